//===- Backend.cpp - LLVM IR to machine code ------------------------------===//
#include "codegen/cpu/Backend.h"

#include "llvm/Analysis/CGSCCPassManager.h"
#include "llvm/Analysis/InlineCost.h"
#include "llvm/Analysis/LoopAnalysisManager.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/IPO/Inliner.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/DeadStoreElimination.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/GVN.h"
#include "llvm/Transforms/Scalar/IndVarSimplify.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopDeletion.h"
#include "llvm/Transforms/Scalar/LoopInstSimplify.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/LoopRotation.h"
#include "llvm/Transforms/Scalar/LoopSimplifyCFG.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimpleLoopUnswitch.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"

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

/// Loop strength reduction took more than half of the time of code generation, quadratic in the addresses of
/// unrolled tiles, and the code is as fast without it (5 % slower in depthwise convolutions, a little faster
/// in products): addresses are written as base plus offset already. LLVM has no other switch for it than this
/// one of the process.
void disableLoopStrengthReduction() {
  auto &options = llvm::cl::getRegisteredOptions();
  if (auto option = options.find("disable-lsr"); option != options.end())
    option->second->addOccurrence(1, "disable-lsr", "true");
}

const llvm::Target &x86Target() {
  static const llvm::Target *target = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    disableLoopStrengthReduction();
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

/// Brings a function into the shape that inlining and the main passes expect: no allocas, no repetitions.
llvm::FunctionPassManager earlyPasses() {
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  return passes;
}

/// Loads and address arithmetic move out of loops; rotation gives each loop a block that runs only if the
/// loop does.
llvm::FunctionToLoopPassAdaptor invariantMotion() {
  llvm::LoopPassManager passes;
  passes.addPass(llvm::LoopInstSimplifyPass());
  passes.addPass(llvm::LoopSimplifyCFGPass());
  passes.addPass(llvm::LICMPass(llvm::LICMOptions()));
  passes.addPass(llvm::LoopRotatePass());
  passes.addPass(llvm::LICMPass(llvm::LICMOptions()));
  passes.addPass(llvm::SimpleLoopUnswitchPass(/*NonTrivial=*/false));
  return llvm::createFunctionToLoopPassAdaptor(std::move(passes), /*UseMemorySSA=*/true);
}

llvm::FunctionToLoopPassAdaptor inductionVariables() {
  llvm::LoopPassManager passes;
  passes.addPass(llvm::IndVarSimplifyPass());
  passes.addPass(llvm::LoopDeletionPass());
  return llvm::createFunctionToLoopPassAdaptor(std::move(passes));
}

llvm::FunctionPassManager mainPasses() {
  llvm::FunctionPassManager passes;
  passes.addPass(invariantMotion());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(inductionVariables());
  passes.addPass(llvm::GVNPass());
  passes.addPass(llvm::InstCombinePass()); // what GVN made equal
  passes.addPass(llvm::DSEPass());
  llvm::LoopPassManager late;
  late.addPass(llvm::LICMPass(llvm::LICMOptions()));
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(late), /*UseMemorySSA=*/true));
  passes.addPass(llvm::SimplifyCFGPass(
      llvm::SimplifyCFGOptions().hoistCommonInsts(true).sinkCommonInsts(true).convertSwitchToLookupTable(
          true)));
  passes.addPass(llvm::InstCombinePass());
  return passes;
}

/// What hand-shaped loops need of LLVM's O3, in about half its time and with equal kernels; see README.md.
llvm::ModulePassManager modulePasses(const llvm::Module &module) {
  llvm::ModulePassManager passes;
  passes.addPass(llvm::createModuleToFunctionPassAdaptor(earlyPasses()));
  if (llvm::any_of(module, [](const llvm::Function &function) { return function.hasLocalLinkage(); })) {
    passes.addPass(llvm::ModuleInlinerWrapperPass(llvm::getInlineParams(/*OptLevel=*/3, /*SizeOptLevel=*/0)));
    passes.addPass(llvm::GlobalDCEPass());
    passes.addPass(llvm::createModuleToFunctionPassAdaptor(earlyPasses()));
  }
  passes.addPass(llvm::createModuleToFunctionPassAdaptor(mainPasses()));
  return passes;
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
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(moduleAnalyses);
  builder.registerCGSCCAnalyses(callGraphAnalyses);
  builder.registerFunctionAnalyses(functionAnalyses);
  builder.registerLoopAnalyses(loopAnalyses);
  builder.crossRegisterProxies(loopAnalyses, functionAnalyses, callGraphAnalyses, moduleAnalyses);
  modulePasses(module).run(module, moduleAnalyses);
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
