// Kernels without a tiled root: loops over the yielded values, the innermost dimension in lanes, rows and
// blocks of rows split over threads.
#include "codegen/emit/Ops.h"
#include "codegen/emit/Transposing.h"

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

/// Whether every result is what one row that lies together was reduced to, with something done to it: lanes
/// that read along the row beat lanes that gather from many rows, unless rows are very short.
bool reducesWholeRows(kernel::FuncOp kernel, ArrayRef<AffineExpr> results) {
  auto withoutOnes = [](ArrayRef<AffineExpr> dims) {
    return llvm::to_vector(
        llvm::make_filter_range(dims, [](AffineExpr size) { return tilewright::constantOf(size) != 1; }));
  };
  bool any = false;
  for (Operation &op : kernel.getBody().front()) {
    if (isa<TransposeOp, GatherOp, ContractOp, ConvOp, WindowOp>(op))
      return false;
    auto reduce = dyn_cast<ReduceOp>(op);
    if (!reduce)
      continue;
    Dims shape = dimsOf(reduce.getOperand()), row;
    size_t first = shape.size();
    for (; first > 0 && llvm::is_contained(reduce.getDims(), int64_t(first) - 1); --first)
      row.push_back(shape[first - 1]);
    auto length = tilewright::constantOf(productOf(row, kernel.getContext()));
    bool whole = withoutOnes(dimsOf(reduce.getResult())) == withoutOnes(results);
    const bool extreme = reduce.getKind() == ReduceKind::rmax || reduce.getKind() == ReduceKind::rmin;
    if (row.empty() || (length && *length < (extreme ? 64 : 16)) || !whole) // as measured
      return false;
    any = true;
  }
  return any;
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

/// What is stored next to each other along the innermost dimension: one value, or the pieces of a
/// concatenation.
SmallVector<Value> piecesOf(Value yielded) {
  auto concat = yielded.getDefiningOp<ConcatOp>();
  if (concat && concat.getAxis() + 1 == dimsOf(yielded).size())
    return llvm::to_vector(concat.getOperands());
  return {yielded};
}

/// Square tiles where most pieces lie the other way; false where they do not.
bool emitTransposed(ValueEmitter &e, Value yielded, EmittedKernel &result) {
  const auto pieces = piecesOf(yielded);
  SmallVector<std::optional<TransposedTiles>> tiles;
  int64_t across = -1;
  for (Value piece : pieces) {
    tiles.push_back(TransposedTiles::find(e, piece));
    if (!tiles.back() || (across >= 0 && tiles.back()->across() != across))
      return false;
    across = tiles.back()->across();
  }
  Dims dims = dimsOf(yielded);
  // A piece of one column lies along another dimension than its neighbours.
  const size_t inner = tiles.front()->inner();
  if (llvm::any_of(tiles, [&](const auto &tile) { return tile->inner() != int64_t(inner); }) ||
      (pieces.size() > 1 && inner + 1 != dims.size()))
    return false;
  const int64_t width = e.nativeLanes();
  // An item is the tiles along the innermost dimension; a part of them where there is one piece and many
  // tiles.
  const int64_t part = blockElements / width * width;
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
    for (auto [piece, tile] : llvm::zip(pieces, tiles)) {
      Value size = e.dims(piece)[inner], lo = split ? e.mul(indices[inner].base, part) : e.constant(0),
            hi = split ? e.minimum(e.add(lo, part), size) : size;
      auto at = [&](Value column, bool exact) {
        tile->emit(indices, row, column, exact, [&](ArrayRef<Index> here) {
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
  return true;
}

/// Only index arithmetic and element-wise work on values in memory.
bool movesOnly(kernel::FuncOp kernel) {
  return llvm::all_of(kernel.getBody().front(), [](Operation &op) {
    return isElementwise(&op) ||
           isa<ConstantOp, BroadcastOp, ReshapeOp, TransposeOp, SliceOp, ConcatOp, DimsOp, kernel::YieldOp>(
               op);
  });
}

} // namespace

LogicalResult emitLoops(ValueEmitter &e, Operation *, EmittedKernel &result) {
  auto yield = cast<kernel::YieldOp>(e.kernel.kernel.getBody().front().getTerminator());
  if (yield.getNumOperands() == 1 && movesOnly(e.kernel.kernel) &&
      emitTransposed(e, yield.getOperand(0), result))
    return success();
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
  const bool onePerRow = reducesWholeRows(e.kernel.kernel, dims);
  if (onePerRow) // each result is a row of one element, which all lanes share
    dims.push_back(constantDim(context, 1));
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
  sizes.resize(dims.size(), e.constant(1));
  int64_t width = laneWidth(e, innerSize);
  auto row = [&](Indices indices, Value block) {
    indices.push_back(e.uniform(e.constant(0)));
    if (onePerRow)
      return storeAll(indices);
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
