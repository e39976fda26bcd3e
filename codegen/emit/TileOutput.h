//===- TileOutput.h - finished register tiles -------------------*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_TILEOUTPUT_H
#define TILEWRIGHT_CODEGEN_EMIT_TILEOUTPUT_H

#include "codegen/emit/Epilogue.h"
#include "codegen/emit/MicroKernel.h"

namespace tilewright::codegen {

/// Hands the sums of register tiles to the epilogue: from registers, one copy of its code for each, or
/// through scratch, in a loop over rows.
class TileOutput {
public:
  TileOutput(ValueEmitter &e, MicroKernel &kernel, mlir::Operation *root, const TileSchedule &schedule);

  /// Columns [first, first + panel width) come next, of which those below `end` exist. `exact`: all do.
  void enterPanel(mlir::Value first, mlir::Value end, bool exact);

  /// The indices of the root's result at a row of the tile and at lanes that start at a column.
  using IndicesOf = llvm::function_ref<Indices(mlir::Value row, const Index &column)>;
  void finish(MicroKernel::Tile tile, mlir::ValueRange sums, IndicesOf indicesOf);
  /// Sums at `pointer + row * pitch()`.
  void finishFrom(mlir::Value pointer, int64_t rows, IndicesOf indicesOf);
  int64_t pitch() const { return columns * kernel.accumulatorBytes(); }

private:
  void finishVector(mlir::Value row, int64_t x, mlir::Value sum, IndicesOf indicesOf);

  ValueEmitter &e;
  MicroKernel &kernel;
  Epilogue epilogue;
  int64_t columns;
  mlir::Value scratch; ///< of one tile; null where registers suffice
  mlir::Value firstColumn;
  llvm::SmallVector<mlir::Value> masks; ///< of the panel's vectors; null: all lanes exist
};

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_TILEOUTPUT_H
