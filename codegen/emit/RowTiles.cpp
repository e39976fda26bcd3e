//===- RowTiles.cpp - rows in register tiles ------------------------------===//
#include "codegen/emit/RowTiles.h"

using namespace mlir;

namespace tilewright::codegen {

RowTiles::RowTiles(ValueEmitter &e, AffineExpr rows, int64_t limit) : e(e), limit(limit) {
  m = e.dim(rows);
  fixed = constantOf(rows);
  countExpr = canonical((rows + (limit - 1)).floorDiv(limit));
  count = e.dim(countExpr);
  size = fixed ? e.divide(m, e.maximum(count, e.constant(1))) : e.constant(limit);
  larger = fixed ? e.sub(m, e.mul(size, count)) : e.constant(0);
}

Value RowTiles::firstRow(Value tile) {
  Value row = e.add(e.mul(tile, size), e.minimum(tile, larger));
  return fixed ? row : e.minimum(row, m);
}

void RowTiles::forEach(Value first, Value end, TileBody body) {
  if (!fixed) {
    Value row = firstRow(first);
    return forEachPiece(e, row, e.sub(firstRow(end), row), limit, body);
  }
  const int64_t rows = *e.constantOf(size);
  auto some = [&](Value lo, Value hi, int64_t tileRows) {
    if (tileRows > 0)
      e.loop(lo, hi, 1, [&](Value tile) { body(tileRows, firstRow(tile)); });
  };
  Value boundary = e.minimum(e.maximum(larger, first), end);
  if (*e.constantOf(larger) > 0)
    some(first, boundary, rows + 1);
  if (*e.constantOf(larger) < *e.constantOf(count))
    some(boundary, end, rows);
}

void RowTiles::forEachPiece(ValueEmitter &e, Value first, Value rows, int64_t limit, TileBody body) {
  Value end = e.add(first, rows), next = e.sub(end, e.remainder(rows, e.constant(limit)));
  e.loop(first, next, limit, [&](Value row) { body(limit, row); });
  for (int64_t piece = llvm::PowerOf2Ceil(limit) / 2; piece > 0; piece /= 2) {
    Value after = e.add(next, piece), fits = e.less(after, e.add(end, 1));
    e.guarded(fits, [&] { body(piece, next); });
    next = e.select(fits, after, next);
  }
}

} // namespace tilewright::codegen
