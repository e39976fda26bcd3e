//===- RowTiles.cpp - rows in register tiles ------------------------------===//
#include "codegen/emit/RowTiles.h"

using namespace mlir;

namespace tilewright::codegen {

RowTiles::RowTiles(ValueEmitter &e, AffineExpr rows, int64_t limit) : e(e), limit(limit) {
  Value m = e.dim(rows);
  fixed = constantOf(rows);
  countExpr = canonical((rows + (limit - 1)).floorDiv(limit));
  count = e.dim(countExpr);
  size = e.divide(m, e.maximum(count, e.constant(1)));
  larger = e.sub(m, e.mul(size, count));
}

Value RowTiles::firstRow(Value tile) { return e.add(e.mul(tile, size), e.minimum(tile, larger)); }

void RowTiles::forEach(Value first, Value end, llvm::function_ref<void(int64_t, Value)> body) {
  if (fixed) {
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
    return;
  }
  e.loop(first, end, 1, [&](Value tile) {
    Value rows = e.select(e.less(tile, larger), e.add(size, 1), size), row = firstRow(tile);
    for (int64_t exact = limit; exact > 0; --exact)
      e.guarded(e.equal(rows, e.constant(exact)), [&] { body(exact, row); });
  });
}

} // namespace tilewright::codegen
