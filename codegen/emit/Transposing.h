//===- Transposing.h - tiles of values that lie the other way -----*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_TRANSPOSING_H
#define TILEWRIGHT_CODEGEN_EMIT_TRANSPOSING_H

#include "codegen/emit/Emitter.h"

namespace tilewright::codegen {

/// Square tiles of a result whose rows are made from transposed values: lanes read along dimension `across`,
/// where those are contiguous, are transposed in registers, and the results are stored along the rows.
class TransposedTiles {
public:
  /// Nothing to do for `value` when no transpose stands in its way element-wise, when either dimension is
  /// short, or when something computes whole rows.
  static std::optional<TransposedTiles> find(ValueEmitter &e, mlir::Value value);

  int64_t across() const { return acrossDim; }
  int64_t inner() const { return innerDim; } ///< the innermost dimension of more than one element
  /// One tile: elements [row, row + lanes) of dimension across() times [column, column + lanes) of the
  /// innermost one, up to their ends. `finish` gets the indices of each row with lanes along the innermost
  /// dimension, and asks for the value there. `indices` are those of the value; `exact`: the tile does not
  /// cross the innermost end.
  void emit(Indices indices, mlir::Value row, mlir::Value column, bool exact,
            llvm::function_ref<void(llvm::ArrayRef<Index>)> finish);

private:
  TransposedTiles(ValueEmitter &e, mlir::Value value) : e(&e), value(value) {}
  ValueEmitter *e;
  mlir::Value value;
  llvm::SmallVector<graph::TransposeOp, 2> sources;
  int64_t acrossDim = -1, innerDim = -1;
};

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_TRANSPOSING_H
