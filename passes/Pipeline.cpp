// The map: every pass, in order, each with its reason.
#include "mlir/IR/Verifier.h"
#include "passes/NarrowWeights.h"
#include "passes/PackBits.h"
#include "passes/Passes.h"

using namespace mlir;

namespace tilewright::passes {

LogicalResult runPipeline(ModuleOp module, const codegen::TargetInfo &target,
                          const PipelineOptions &options) {
  auto checked = [&](LogicalResult result) {
    return failed(result) || (options.verify && failed(verify(module))) ? failure() : success();
  };

  const uint64_t foldLimit = options.fold ? defaultFoldLimit : 0;
  // First: sizes become constants, which everything later is better at.
  settleSizes(module);
  if (failed(checked(success())))
    return failure();
  // Importers write plainly and leave the cleaning to this pass. Everything later sees fewer ops.
  if (failed(checked(simplify(module, options.budget, foldLimit))))
    return failure();
  // Before anything looks at the products: integers are multiplied as integers. What is left of scales and
  // zero points is cleaned up below.
  if (!options.strict && failed(checked(integerProducts(module, options.budget))))
    return failure();
  // While weights are still in the order of the model: one place for channels.
  if (!options.strict && failed(checked(foldScales(module, options.budget))))
    return failure();
  // Before fusion, so that the transposes it needs fuse or cancel.
  if (failed(checked(channelsLast(module, options.budget))))
    return failure();
  // Before fusion, so that it sees one kind of product, on every target.
  pointwiseToProducts(module);
  // Again: the transposes of constants and of each other have met.
  if (failed(checked(simplify(module, options.budget, foldLimit))))
    return failure();
  if (options.stopAfterGraph)
    return success();
  // The last look at whole-graph uses: where the rounding of a quotient is hidden by that of a sum.
  if (!options.strict)
    markHiddenQuotients(module);
  // Which weights are multiplied as narrow as they are stored: fusion leaves them so.
  markNarrowWeights(module, target, options.strict);
  // Kernels and launches. After this no pass looks at whole-graph ops.
  if (failed(checked(fuse(module, target, options.fold))))
    return failure();
  // Weights of few bits first: what is left of them is nothing that others would pack.
  packNarrowWeights(module, target);
  if (failed(checked(success())))
    return failure();
  // What is still below a byte, and belongs to no root, is read element by element.
  packBits(module);
  if (failed(checked(success())))
    return failure();
  // How each kernel is computed: from here on emitters obey.
  const std::string problem =
      schedule(module, target, options.schedules ? *options.schedules : ScheduleOverrides());
  if (!problem.empty()) {
    if (options.scheduleProblem)
      *options.scheduleProblem = problem;
    return failure();
  }
  if (options.verify && failed(verifySchedules(module, target)))
    return failure();
  // Weights in the order kernels read them: while every kernel has one launch, before equal kernels become
  // one.
  packConstants(module);
  if (failed(checked(success())))
    return failure();
  // Last: layers of a network that do the same share their code.
  mergeEqualKernels(module);
  return checked(success());
}

} // namespace tilewright::passes
