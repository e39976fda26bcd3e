// Kernels without a tiled root: loops over the yielded values, the innermost dimension in lanes, rows and
// blocks of rows split over threads.
#include "codegen/emit/Ops.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

constexpr int64_t blockElements = 2048; ///< of a long row: one work item

constexpr int64_t shortRow = 512;   ///< rows up to this length are taken together
constexpr int64_t enoughItems = 16; ///< for the threads to share

/// Rows are indivisible where something is computed once a row.
bool computesPerRow(kernel::FuncOp kernel) {
  return llvm::any_of(kernel.getBody().front(), [](Operation &op) { return isa<ReduceOp, ArgReduceOp>(op); });
}

/// Reductions that run with their lanes along a kept dimension read one vector of each row at a time: wider
/// lanes use more of each cache line.
int64_t laneWidth(ValueEmitter &e, std::optional<int64_t> innerSize) {
  int64_t width = e.nativeLanes();
  bool across = llvm::any_of(e.kernel.kernel.getBody().front(), [](Operation &op) {
    auto reduce = dyn_cast<ReduceOp>(op);
    return reduce && !llvm::is_contained(reduce.getDims(), int64_t(dimsOf(reduce.getOperand()).size()) - 1);
  });
  if (across && innerSize)
    while (width * 2 <= *innerSize && width < 4 * e.nativeLanes())
      width *= 2;
  return width;
}

/// Piece by piece along the innermost dimension: nothing is chosen by lane.
void storeConcat(ValueEmitter &e, ConcatOp concat, Indices indices, int64_t width) {
  Value start = e.constant(0);
  for (Value piece : concat.getOperands()) {
    Value size = e.dims(piece).back();
    e.laneLoop(e.constant(0), size, width, [&](Value base) {
      indices.back() = e.lane(base);
      Value value = e.at(piece, indices);
      indices.back() = e.lane(e.add(start, base));
      e.store(llvm::cast<RankedTensorType>(concat.getType()), e.kernel.results[0], indices, value);
    });
    start = e.add(start, size);
  }
}

} // namespace

LogicalResult emitLoops(ValueEmitter &e, Operation *, EmittedKernel &result) {
  auto yield = cast<kernel::YieldOp>(e.kernel.kernel.getBody().front().getTerminator());
  Value shapeOf = yield.getOperand(0);
  Dims dims = dimsOf(shapeOf);
  MLIRContext *context = shapeOf.getContext();
  size_t rank = dims.size();
  while (dims.size() > 1 &&
         tilewright::constantOf(dims.back()) == 1) // lanes run along the innermost dimension there is
    dims.pop_back();
  auto storeAll = [&](ArrayRef<Index> given) {
    Indices indices(given);
    indices.resize(rank, e.uniform(e.constant(0)));
    for (auto [i, value] : llvm::enumerate(yield.getOperands()))
      e.store(llvm::cast<RankedTensorType>(value.getType()), e.kernel.results[i], indices,
              e.at(value, indices));
  };
  if (dims.empty()) {
    result.extent = constantDim(context, 1);
    e.loop(e.kernel.begin, e.kernel.end, 1, [&](Value) { storeAll({}); });
    return success();
  }
  // An item is a row, a block of a long row, or, where rows are short, all rows along the next dimension.
  AffineExpr inner = dims.back();
  auto innerSize = tilewright::constantOf(inner);
  auto concat = shapeOf.getDefiningOp<ConcatOp>();
  if (concat && (concat.getAxis() + 1 != rank || dims.size() != rank || yield.getNumOperands() != 1))
    concat = {};
  bool split = !concat && !computesPerRow(e.kernel.kernel) && (!innerSize || *innerSize > blockElements);
  size_t outer = dims.size() - 1;
  if (!split && outer >= 2 && innerSize && *innerSize <= shortRow) {
    auto left = tilewright::constantOf(productOf(ArrayRef(dims).take_front(outer - 1), context));
    outer -= !left || *left >= enoughItems;
  }
  AffineExpr rows = productOf(ArrayRef(dims).take_front(outer), context);
  AffineExpr blocks =
      split ? canonical((inner + (blockElements - 1)).floorDiv(blockElements)) : constantDim(context, 1);
  result.extent = canonical(rows * blocks);
  SmallVector<Value> sizes = e.dims(shapeOf);
  sizes.resize(dims.size());
  int64_t width = laneWidth(e, innerSize);
  auto row = [&](Indices indices, Value block) {
    indices.push_back(e.uniform(e.constant(0)));
    if (concat)
      return storeConcat(e, concat, indices, width);
    Value lo = split ? e.mul(block, blockElements) : e.constant(0);
    Value hi = split ? e.minimum(e.add(lo, blockElements), sizes.back()) : sizes.back();
    e.laneLoop(lo, hi, width, [&](Value base) {
      indices.back() = e.lane(base);
      storeAll(indices);
    });
  };
  e.loop(e.kernel.begin, e.kernel.end, 1, [&](Value item) {
    Value blockCount = e.dim(blocks), first = e.divide(item, blockCount),
          block = e.remainder(item, blockCount);
    Indices indices = e.delinearize(ArrayRef(sizes).take_front(outer), e.uniform(first));
    if (outer + 1 == dims.size())
      return row(indices, block);
    e.loop(e.constant(0), sizes[outer], 1, [&](Value i) {
      Indices all(indices);
      all.push_back(e.uniform(i));
      row(all, block);
    });
  });
  return success();
}

} // namespace tilewright::codegen
