#include "codegen/emit/Conv.h"
#include "codegen/emit/Contract.h"
using namespace mlir;
namespace tilewright::codegen {
ConvWeights convWeights(graph::ConvOp op, const TargetInfo &target) { return {}; }
bool canEmitConv(graph::ConvOp op) { return false; }
LogicalResult emitConv(ValueEmitter &e, Operation *root, EmittedKernel &result) { return failure(); }
bool canEmitFast(Operation *root) {
  if (auto contract = dyn_cast<graph::ContractOp>(root))
    return canEmitContract(contract);
  return false;
}
} // namespace
