//===- RowTiles.h - rows in register tiles ----------------------*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_ROWTILES_H
#define TILEWRIGHT_CODEGEN_EMIT_ROWTILES_H

#include "codegen/emit/Emitter.h"

namespace tilewright::codegen {

/// Rows cut into tiles of nearly equal size: `larger` tiles of size + 1 rows, then tiles of `size` rows.
class RowTiles {
public:
  /// Tiles of at most `limit` rows.
  RowTiles(ValueEmitter &e, mlir::AffineExpr rows, int64_t limit);
  mlir::Value firstRow(mlir::Value tile);
  /// body(number of rows, first row) for each tile in [first, end), in loops. Where the number of rows is
  /// known only at run time, body is emitted once for each size and the right one chosen.
  void forEach(mlir::Value first, mlir::Value end, llvm::function_ref<void(int64_t, mlir::Value)> body);
  bool isFixed() const { return fixed.has_value(); }

  mlir::AffineExpr countExpr;
  mlir::Value count, size, larger;

private:
  ValueEmitter &e;
  int64_t limit;
  std::optional<int64_t> fixed;
};

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_ROWTILES_H
