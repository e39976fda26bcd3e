// MLIR's greedy driver, in slices: between them the steps are counted and the budget is asked.
#include "passes/Rewriting.h"
#include "mlir/IR/Operation.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace tilewright::passes {
namespace {

/// Far above what the measures allow for the models there are: the most seen is 6 steps for an op.
constexpr int64_t stepsPerOp = 64, stepsAtLeast = 10000;

/// Counts the rewrites that took place, and remembers the last.
struct StepCounter : RewriterBase::Listener {
  int64_t steps = 0;
  std::string last;
  void notifyPatternEnd(const Pattern &pattern, LogicalResult status) override {
    if (failed(status))
      return;
    ++steps;
    last = pattern.getDebugName();
  }
};

} // namespace

LogicalResult rewriteToEnd(Operation *root, const FrozenRewritePatternSet &patterns, llvm::StringRef pass,
                           Budget *budget) {
  int64_t ops = 0;
  root->walk([&](Operation *) { ++ops; });
  const int64_t most = stepsAtLeast + stepsPerOp * ops;
  StepCounter counter;
  GreedyRewriteConfig config;
  config.enableFolding(false); // constants are the passes' to fold
  config.setMaxIterations(1);  // one slice: it succeeds where nothing is left to do
  config.setMaxNumRewrites(stepsAtLeast + ops);
  config.setListener(&counter);
  for (auto &region : root->getRegions())
    while (failed(applyPatternsGreedily(region, patterns, config))) {
      if (budget && budget->exhausted())
        return root->emitError() << "the pass '" << pass << "' was stopped";
      if (counter.steps > most)
        return root->emitError() << "the pass '" << pass << "' does not come to an end: " << counter.steps
                                 << " rewrites of " << ops << " ops, the last by '" << counter.last << "'";
    }
  return success();
}

} // namespace tilewright::passes
