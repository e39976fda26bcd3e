//===- Backend.cpp - LLVM IR to machine code ------------------------------===//
#include "codegen/cpu/Backend.h"

#include "llvm/Analysis/CGSCCPassManager.h"
#include "llvm/Analysis/LoopAnalysisManager.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"

#include <ctime>

namespace tilewright::codegen {
namespace {

constexpr const char *tripleText = "x86_64-unknown-linux-gnu";

class Handler : public llvm::DiagnosticHandler {
public:
  explicit Handler(std::shared_ptr<std::optional<std::string>> message) : message(std::move(message)) {}
  bool handleDiagnostics(const llvm::DiagnosticInfo &info) override {
    if (info.getSeverity() == llvm::DS_Error && !*message) {
      message->emplace();
      llvm::raw_string_ostream stream(**message);
      llvm::DiagnosticPrinterRawOStream printer(stream);
      info.print(printer);
    }
    return true; // Nothing reaches stderr, and an error does not end the process.
  }

private:
  std::shared_ptr<std::optional<std::string>> message;
};

const llvm::Target &x86Target() {
  static const llvm::Target *target = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    std::string ignored;
    return llvm::TargetRegistry::lookupTarget(llvm::Triple(tripleText), ignored);
  }();
  return *target;
}

void setFunctionAttributes(llvm::Function &function, const TargetInfo &target) {
  const std::string width = std::to_string(target.vectorBits);
  function.addFnAttr("target-cpu", target.cpu);
  function.addFnAttr("tune-cpu", target.tuneCpu);
  function.addFnAttr("target-features", target.features);
  function.addFnAttr("prefer-vector-width", width);
  function.addFnAttr("min-legal-vector-width", width);
  function.addFnAttr("no-builtins"); // no loop becomes a memset, no call is taken for the C library's
  function.addFnAttr(llvm::Attribute::NoUnwind);
}

} // namespace

LlvmErrors::LlvmErrors(llvm::LLVMContext &context) : message(std::make_shared<std::optional<std::string>>()) {
  context.setDiagnosticHandler(std::make_unique<Handler>(message));
}

std::unique_ptr<llvm::TargetMachine> createTargetMachine(const TargetInfo &target) {
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard; // as written: see Lowering.h
  options.FunctionSections = true;
  options.DataSections = true;
  return std::unique_ptr<llvm::TargetMachine>(x86Target().createTargetMachine(
      llvm::Triple(tripleText), target.cpu, target.features, options, llvm::Reloc::PIC_,
      llvm::CodeModel::Small, llvm::CodeGenOptLevel::Aggressive, /*JIT=*/false));
}

void prepareModule(llvm::Module &module, llvm::TargetMachine &machine, const TargetInfo &target) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  for (llvm::GlobalValue &value : module.global_values()) {
    auto *function = llvm::dyn_cast<llvm::Function>(&value);
    if (value.hasLocalLinkage() || (function && function->isIntrinsic()))
      continue;
    value.setVisibility(llvm::GlobalValue::HiddenVisibility);
    value.setDSOLocal(true);
  }
  for (llvm::Function &function : module)
    if (!function.isIntrinsic())
      setFunctionAttributes(function, target);
}

void optimizeModule(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loopAnalyses;
  llvm::FunctionAnalysisManager functionAnalyses;
  llvm::CGSCCAnalysisManager callGraphAnalyses;
  llvm::ModuleAnalysisManager moduleAnalyses;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopUnrolling = false;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(moduleAnalyses);
  builder.registerCGSCCAnalyses(callGraphAnalyses);
  builder.registerFunctionAnalyses(functionAnalyses);
  builder.registerLoopAnalyses(loopAnalyses);
  builder.crossRegisterProxies(loopAnalyses, functionAnalyses, callGraphAnalyses, moduleAnalyses);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(module, moduleAnalyses);
}

llvm::Expected<std::string> emitMachineCode(llvm::Module &module, llvm::TargetMachine &machine,
                                            bool assembly) {
  LlvmErrors errors(module.getContext());
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  const auto kind = assembly ? llvm::CodeGenFileType::AssemblyFile : llvm::CodeGenFileType::ObjectFile;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, kind))
    return makeError(9202, Fault::Internal, "LLVM cannot emit this kind of file");
  passes.run(module);
  if (errors.first())
    return makeError(9202, Fault::Internal, "LLVM cannot generate code: " + *errors.first(),
                     "This is a bug in Tilewright; please report it");
  return std::string(bytes.begin(), bytes.end());
}

double threadMilliseconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * 1e3 + time.tv_nsec * 1e-6;
}

} // namespace tilewright::codegen
