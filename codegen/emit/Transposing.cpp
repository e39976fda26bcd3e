//===- Transposing.cpp - tiles of values that lie the other way -----------===//
#include "codegen/emit/Transposing.h"
#include "codegen/emit/Packing.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
void TransposedTiles::emit(Indices indices, Value row, Value column, bool exact,
                           llvm::function_ref<void(ArrayRef<Index>)> finish) {
  const int64_t width = e->nativeLanes();
  const Lanes saved = e->lanes;
  SmallVector<Value> sizes = e->dims(value);
  Value rows = sizes[across()], columns = sizes[inner()];
  const auto knownRows = e->constantOf(rows);
  const bool wholeRows = knownRows && *knownRows % width == 0;
  const Lanes alongRows{width, wholeRows ? Value() : e->laneMask(row, rows, width)},
      alongColumns{width, exact ? Value() : e->laneMask(column, columns, width)};
  SmallVector<SmallVector<Value>> tiles;
  for (TransposeOp source : from.sources) {
    e->lanes = alongRows;
    SmallVector<Value> vectors;
    for (int64_t i = 0; i < width; ++i) { // beyond the end: the last column again
      Value at = e->add(column, i);
      indices[inner()] = e->uniform(exact ? at : e->minimum(at, e->add(columns, -1)));
      indices[across()] = e->lane(row);
      vectors.push_back(e->spread(e->at(source.getResult(), indices)));
    }
    tiles.push_back(transposeRegisters(*e, std::move(vectors)));
  }
  e->lanes = alongColumns;
  indices[inner()] = e->lane(column);
  for (int64_t i = 0; i < width; ++i) {
    Value at = e->add(row, i);
    auto one = [&] {
      indices[across()] = e->uniform(at);
      for (auto [source, tile] : llvm::zip(from.sources, tiles))
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
