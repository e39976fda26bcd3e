// Kernels without a tiled root: loops over the yielded values, the innermost dimension in lanes, rows and blocks of rows split over threads.
#include "codegen/emit/Ops.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

constexpr int64_t blockElements = 2048; ///< of a long row: one work item

/// Rows are indivisible where something is computed once a row.
bool computesPerRow(kernel::FuncOp kernel) {
  return llvm::any_of(kernel.getBody().front(), [](Operation &op) { return isa<ReduceOp, ArgReduceOp>(op); });
}

} // namespace

LogicalResult emitLoops(ValueEmitter &e, Operation *, EmittedKernel &result) {
  auto yield = cast<kernel::YieldOp>(e.kernel.kernel.getBody().front().getTerminator());
  Value shapeOf = yield.getOperand(0);
  Dims dims = dimsOf(shapeOf);
  MLIRContext *context = shapeOf.getContext();
  auto storeAll = [&](ArrayRef<Index> indices) {
    for (auto [i, value] : llvm::enumerate(yield.getOperands()))
      e.store(llvm::cast<RankedTensorType>(value.getType()), e.kernel.results[i], indices, e.at(value, indices));
  };
  if (dims.empty()) {
    result.extent = constantDim(context, 1);
    e.loop(e.kernel.begin, e.kernel.end, 1, [&](Value) { storeAll({}); });
    return success();
  }
  AffineExpr rows = productOf(ArrayRef(dims).drop_back(), context), inner = dims.back();
  auto innerSize = tilewright::constantOf(inner);
  auto concat = shapeOf.getDefiningOp<ConcatOp>();
  if (concat && (concat.getAxis() + 1 != dims.size() || yield.getNumOperands() != 1))
    concat = {};
  bool split = !concat && !computesPerRow(e.kernel.kernel) && (!innerSize || *innerSize > blockElements);
  AffineExpr blocks = split ? canonical((inner + (blockElements - 1)).floorDiv(blockElements)) : constantDim(context, 1);
  result.extent = canonical(rows * blocks);
  SmallVector<Value> sizes = e.dims(shapeOf);
  int64_t width = e.nativeLanes();
  e.loop(e.kernel.begin, e.kernel.end, 1, [&](Value item) {
    Value blockCount = e.dim(blocks), row = e.divide(item, blockCount), block = e.remainder(item, blockCount);
    Indices indices = e.delinearize(ArrayRef(sizes).drop_back(), e.uniform(row));
    indices.push_back(e.uniform(e.constant(0)));
    if (concat) { // piece by piece: nothing is chosen by lane
      Value start = e.constant(0);
      for (Value piece : concat.getOperands()) {
        Value size = e.dims(piece).back();
        e.laneLoop(e.constant(0), size, width, [&](Value base) {
          indices.back() = e.lane(base);
          Value value = e.at(piece, indices);
          indices.back() = e.lane(e.add(start, base));
          e.store(llvm::cast<RankedTensorType>(shapeOf.getType()), e.kernel.results[0], indices, value);
        });
        start = e.add(start, size);
      }
      return;
    }
    Value lo = split ? e.mul(block, blockElements) : e.constant(0);
    Value hi = split ? e.minimum(e.add(lo, blockElements), sizes.back()) : sizes.back();
    e.laneLoop(lo, hi, width, [&](Value base) {
      indices.back() = e.lane(base);
      storeAll(indices);
    });
  });
  return success();
}

} // namespace tilewright::codegen
