// Kernels without a tiled root: loops over the yielded values, the innermost dimension in lanes, rows and
// blocks of rows split over threads.
#include "codegen/emit/Ops.h"
#include "codegen/emit/Roots.h"
#include "codegen/emit/Transposing.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

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

LogicalResult emitTransposed(ValueEmitter &e, Operation *, EmittedKernel &result) {
  Value yielded = e.kernel.kernel.getBody().front().getTerminator()->getOperand(0);
  const auto pieces = piecesOf(yielded);
  SmallVector<TransposedTiles> tiles;
  for (Value piece : pieces)
    tiles.emplace_back(e, piece);
  Dims dims = dimsOf(yielded);
  const int64_t across = tiles.front().across();
  const size_t inner = tiles.front().inner();
  const int64_t width = e.nativeLanes();
  // An item is the tiles along the innermost dimension; a part of them where there is one piece and many
  // tiles.
  const int64_t part = TransposeSchedule(e.kernel.schedule()).rowBlock;
  const bool split = pieces.size() == 1;
  SmallVector<Value> counts;
  AffineExpr extent = constantDim(yielded.getContext(), 1);
  for (auto [i, size] : llvm::enumerate(dims)) {
    const int64_t step = int64_t(i) == across ? width : i == inner ? part : 1;
    AffineExpr count = i == inner && !split ? constantDim(yielded.getContext(), 1)
                                            : canonical((size + (step - 1)).floorDiv(step));
    counts.push_back(e.dim(count));
    extent = extent * count;
  }
  result.extent = canonical(extent);
  auto type = llvm::cast<RankedTensorType>(yielded.getType());
  e.loop(e.kernel.begin, e.kernel.end, 1, [&](Value item) {
    Indices indices = e.delinearize(counts, e.uniform(item));
    Value row = e.mul(indices[across].base, width), start = e.constant(0);
    for (auto [of, made] : llvm::zip(pieces, tiles)) {
      Value piece = of;
      TransposedTiles &tile = made;
      Value size = e.dims(piece)[inner], lo = split ? e.mul(indices[inner].base, part) : e.constant(0),
            hi = split ? e.minimum(e.add(lo, part), size) : size;
      auto at = [&](Value column, bool exact) {
        tile.emit(indices, row, column, exact, [&](ArrayRef<Index> here) {
          Value value = e.at(piece, here);
          Indices to(here);
          to[inner] = e.lane(e.add(start, column));
          e.store(type, e.kernel.results[0], to, value);
        });
      };
      Value full = e.sub(hi, e.remainder(e.sub(hi, lo), e.constant(width)));
      e.loop(lo, full, width, [&](Value column) { at(column, /*exact=*/true); });
      e.guarded(e.less(full, hi), [&] { at(full, /*exact=*/false); });
      start = e.add(start, size);
    }
  });
  return success();
}

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
  const LoopSchedule schedule(e.kernel.schedule());
  if (schedule.lanesReduce) // each result is a row of one element, which all lanes share
    dims.push_back(constantDim(context, 1));
  // An item is a row, a block of one, or all rows along the next dimension.
  AffineExpr inner = dims.back();
  auto concat = shapeOf.getDefiningOp<ConcatOp>();
  if (concat && (concat.getAxis() + 1 != rank || dims.size() != rank || yield.getNumOperands() != 1))
    concat = {};
  const int64_t blockSize = schedule.rowBlock;
  const bool split = blockSize > 0;
  const size_t outer = dims.size() - 1 - schedule.rowsTogether;
  AffineExpr rows = productOf(ArrayRef(dims).take_front(outer), context);
  AffineExpr blocks =
      split ? canonical((inner + (blockSize - 1)).floorDiv(blockSize)) : constantDim(context, 1);
  result.extent = canonical(rows * blocks);
  SmallVector<Value> sizes = e.dims(shapeOf);
  sizes.resize(dims.size(), e.constant(1));
  const int64_t width = schedule.vectors * e.nativeLanes();
  auto row = [&](Indices indices, Value block) {
    indices.push_back(e.uniform(e.constant(0)));
    if (schedule.lanesReduce)
      return storeAll(indices);
    if (concat)
      return storeConcat(e, concat, indices, width);
    Value lo = split ? e.mul(block, blockSize) : e.constant(0);
    Value hi = split ? e.minimum(e.add(lo, blockSize), sizes.back()) : sizes.back();
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
