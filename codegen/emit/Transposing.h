//===- Transposing.h - tiles of values that lie the other way -----*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_TRANSPOSING_H
#define TILEWRIGHT_CODEGEN_EMIT_TRANSPOSING_H

#include "codegen/emit/Emitter.h"
#include "codegen/schedule/Schedule.h"

namespace tilewright::codegen {

/// Square tiles of a result whose rows are made from transposed values: lanes read along dimension `across`,
/// where those are contiguous, are transposed in registers, and the results are stored along the rows.
class TransposedTiles {
public:
  TransposedTiles(ValueEmitter &e, mlir::Value value)
      : e(&e), value(value), from(*transposedSources(value)) {}

  int64_t across() const { return from.across; }
  int64_t inner() const { return from.inner; } ///< the innermost dimension of more than one element
  /// One tile: elements [row, row + lanes) of dimension across() times [column, column + lanes) of the
  /// innermost one, up to their ends. `finish` gets the indices of each row with lanes along the innermost
  /// dimension, and asks for the value there. `indices` are those of the value; `exact`: the tile does not
  /// cross the innermost end.
  void emit(Indices indices, mlir::Value row, mlir::Value column, bool exact,
            llvm::function_ref<void(llvm::ArrayRef<Index>)> finish);

private:
  ValueEmitter *e;
  mlir::Value value;
  TransposedSources from;
};

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_TRANSPOSING_H
