//===- RowTiles.h - rows in register tiles ----------------------*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_ROWTILES_H
#define TILEWRIGHT_CODEGEN_EMIT_ROWTILES_H

#include "codegen/emit/Emitter.h"

namespace tilewright::codegen {

/// Rows cut into tiles. A number of rows that is known into tiles of nearly equal size: `larger` tiles of
/// size + 1 rows, then tiles of `size` rows. Else into tiles of `limit` rows, the last of which comes in
/// pieces.
class RowTiles {
public:
  /// Tiles of at most `limit` rows.
  RowTiles(ValueEmitter &e, mlir::AffineExpr rows, int64_t limit);
  mlir::Value firstRow(mlir::Value tile);
  using TileBody = llvm::function_ref<void(int64_t rows, mlir::Value firstRow)>;
  /// `body` for each tile in [first, end), in loops.
  void forEach(mlir::Value first, mlir::Value end, TileBody body);
  /// `rows` rows from `first` on: `limit` at a time, and what is left in powers of two. Few sizes, as `body`
  /// is emitted for each.
  static void forEachPiece(ValueEmitter &e, mlir::Value first, mlir::Value rows, int64_t limit,
                           TileBody body);
  bool isFixed() const { return fixed.has_value(); }

  mlir::AffineExpr countExpr;
  mlir::Value count, size, larger;

private:
  ValueEmitter &e;
  mlir::Value m;
  int64_t limit;
  std::optional<int64_t> fixed;
};

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_ROWTILES_H
