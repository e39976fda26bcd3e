// tilewright-opt FILE --PASS...: graph and tensor IR in text through the named passes, in that order,
// verified before the first and after each. Prints the IR that is left. For tests: it is not installed.
#include "codegen/target/Target.h"
#include "ir/Program.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "passes/NarrowWeights.h"
#include "passes/PackBits.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace tilewright;

namespace {

/// Output does not depend on this machine unless asked to.
llvm::cl::opt<std::string> targetName("target", llvm::cl::desc("target to schedule kernels for"),
                                      llvm::cl::init("cpu:skylake-avx512"));

codegen::TargetInfo target() { return llvm::cantFail(codegen::resolveTarget(targetName)); }

using Run = LogicalResult (*)(ModuleOp);

/// A function of passes/ as a pass of MLIR's driver.
class NamedPass : public PassWrapper<NamedPass, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(NamedPass)
  NamedPass(llvm::StringRef name, llvm::StringRef purpose, Run run)
      : name(name), purpose(purpose), run(run) {}
  llvm::StringRef getArgument() const override { return name; }
  llvm::StringRef getDescription() const override { return purpose; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<func::FuncDialect, graph::GraphDialect, kernel::KernelDialect, program::ProgramDialect>();
  }
  void runOnOperation() override {
    if (failed(run(getOperation())))
      signalPassFailure();
  }

private:
  llvm::StringRef name, purpose;
  Run run;
};

void add(llvm::StringRef name, llvm::StringRef purpose, Run run) {
  registerPass([=] { return std::make_unique<NamedPass>(name, purpose, run); });
}

/// For a program that has not merged its kernels yet.
LogicalResult packAll(ModuleOp module) {
  passes::packConstants(module);
  return success();
}

LogicalResult scheduleAll(ModuleOp module) { return success(passes::schedule(module, target()).empty()); }

LogicalResult pipeline(ModuleOp module, bool graphOnly) {
  passes::PipelineOptions options;
  options.stopAfterGraph = graphOnly;
  return passes::runPipeline(module, target(), options);
}

} // namespace

int main(int count, char **arguments) {
  add("settle-sizes", "required sizes are constants", [](ModuleOp m) {
    passes::settleSizes(m);
    return success();
  });
  add("simplify", "fewer and smaller ops", [](ModuleOp m) { return passes::simplify(m); });
  add("integer-products", "products of dequantised operands multiply integers",
      [](ModuleOp m) { return passes::integerProducts(m); });
  add("fold-scales", "factors of output channels into weights",
      [](ModuleOp m) { return passes::foldScales(m); });
  add("channels-last", "convolutions and windows in [N, spatial..., C]",
      [](ModuleOp m) { return passes::channelsLast(m); });
  add("pointwise-to-products", "convolutions of single pixels are products", [](ModuleOp m) {
    passes::pointwiseToProducts(m);
    return success();
  });
  add("mark-hidden-quotients", "divisions nobody can tell from products", [](ModuleOp m) {
    passes::markHiddenQuotients(m);
    return success();
  });
  add("mark-narrow-weights", "which weights stay as narrow as they are stored", [](ModuleOp m) {
    passes::markNarrowWeights(m, target());
    return success();
  });
  add("pack-narrow-weights", "weights of few bits as kernels read them", [](ModuleOp m) {
    passes::packNarrowWeights(m, target());
    return success();
  });
  add("fuse", "kernels and launches", [](ModuleOp m) { return passes::fuse(m, target()); });
  add("schedule", "how each kernel is computed", scheduleAll);
  add("pack-constants", "weights in the order in which kernels read them", packAll);
  add("pack-bits", "constants below a byte packed", [](ModuleOp m) {
    passes::packBits(m);
    return success();
  });
  add("merge-equal-kernels", "one kernel for launches that do the same", [](ModuleOp m) {
    passes::mergeEqualKernels(m);
    return success();
  });
  add("graph-pipeline", "all passes before fusion", [](ModuleOp m) { return pipeline(m, true); });
  add("pipeline", "all passes", [](ModuleOp m) { return pipeline(m, false); });
  DialectRegistry registry;
  registry.insert<func::FuncDialect, graph::GraphDialect, kernel::KernelDialect, program::ProgramDialect>();
  return failed(MlirOptMain(count, arguments, "Tilewright's passes\n", registry));
}
