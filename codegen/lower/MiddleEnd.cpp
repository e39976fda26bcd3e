//===- MiddleEnd.cpp - what LLVM does to every target's code --------------===//
#include "codegen/lower/MiddleEnd.h"

#include "codegen/target/Error.h"

#include "llvm/Analysis/CGSCCPassManager.h"
#include "llvm/Analysis/InlineCost.h"
#include "llvm/Analysis/LoopAnalysisManager.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"
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

/// What hand-shaped loops need of LLVM's O3, in about half its time and with equal kernels; see
/// ../machine/README.md.
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
