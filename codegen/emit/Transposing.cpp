//===- Transposing.cpp - tiles of values that lie the other way -----------===//
#include "codegen/emit/Transposing.h"
#include "codegen/emit/Packing.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

constexpr int64_t shortest = 8; ///< of a dimension worth cutting into tiles

int64_t innermost(Value v) {
  Dims dims = dimsOf(v);
  for (int64_t i = dims.size(); i-- > 0;)
    if (tilewright::constantOf(dims[i]) != 1)
      return i;
  return -1;
}

/// Which result dimension the operand's innermost one becomes.
int64_t acrossOf(TransposeOp op) {
  const int64_t inner = innermost(op.getOperand());
  return inner < 0 ? -1 : llvm::find(op.getPerm(), inner) - op.getPerm().begin();
}

bool isLong(AffineExpr size) { return tilewright::constantOf(size).value_or(shortest) >= shortest; }

} // namespace

std::optional<TransposedTiles> TransposedTiles::find(ValueEmitter &e, Value value) {
  TransposedTiles tiles(e, value);
  tiles.innerDim = innermost(value);
  Dims dims = dimsOf(value);
  if (tiles.innerDim < 0 || !isLong(dims[tiles.innerDim]) || getElementTypeOrSelf(value).isInteger(1))
    return std::nullopt;
  SmallVector<Value> pending{value};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!pending.empty()) {
    Operation *op = pending.pop_back_val().getDefiningOp();
    if (!op || !seen.insert(op).second || isa<ConstantOp>(op))
      continue;
    if (auto transpose = dyn_cast<TransposeOp>(op)) {
      const int64_t across = acrossOf(transpose);
      if (across < 0 || across == tiles.innerDim || !isLong(dims[across]) ||
          (tiles.acrossDim >= 0 && tiles.acrossDim != across) ||
          getElementTypeOrSelf(op->getResult(0)).isInteger(1))
        continue;
      tiles.acrossDim = across;
      tiles.sources.push_back(transpose);
    } else if (isElementwise(op)) {
      llvm::append_range(pending, op->getOperands());
    }
  }
  if (tiles.sources.empty())
    return std::nullopt;
  return tiles;
}

void TransposedTiles::emit(Indices indices, Value row, Value column, bool exact,
                           llvm::function_ref<void(ArrayRef<Index>)> finish) {
  const int64_t width = e->nativeLanes();
  const Lanes saved = e->lanes;
  SmallVector<Value> sizes = e->dims(value);
  Value rows = sizes[acrossDim], columns = sizes[innerDim];
  const auto knownRows = e->constantOf(rows);
  const bool wholeRows = knownRows && *knownRows % width == 0;
  const Lanes alongRows{width, wholeRows ? Value() : e->laneMask(row, rows, width)},
      alongColumns{width, exact ? Value() : e->laneMask(column, columns, width)};
  SmallVector<SmallVector<Value>> tiles;
  for (TransposeOp source : sources) {
    e->lanes = alongRows;
    SmallVector<Value> vectors;
    for (int64_t i = 0; i < width; ++i) { // beyond the end: the last column again
      Value at = e->add(column, i);
      indices[innerDim] = e->uniform(exact ? at : e->minimum(at, e->add(columns, -1)));
      indices[acrossDim] = e->lane(row);
      vectors.push_back(e->spread(e->at(source.getResult(), indices)));
    }
    tiles.push_back(transposeRegisters(*e, std::move(vectors)));
  }
  e->lanes = alongColumns;
  indices[innerDim] = e->lane(column);
  for (int64_t i = 0; i < width; ++i) {
    Value at = e->add(row, i);
    auto one = [&] {
      indices[acrossDim] = e->uniform(at);
      for (auto [source, tile] : llvm::zip(sources, tiles))
        e->define(source.getResult(), indices, tile[i]);
      finish(indices);
    };
    if (wholeRows || i == 0)
      one();
    else
      e->guarded(e->less(at, rows), one);
  }
  e->lanes = saved;
}

} // namespace tilewright::codegen
