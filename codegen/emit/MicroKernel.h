//===- MicroKernel.h - a register tile of a matrix product ------*- C++ -*-===//
//
// rows x vectors native vectors of C stay in registers while k runs: each step loads `vectors` vectors of a
// panel, and for each row broadcasts one scalar and multiplies-adds. On two FMA ports this is limited by the
// FMAs as long as rows * vectors is at least 8 (latency) and rows + vectors + 1 + rows * vectors registers
// exist. Measured: 86 to 90 % of peak for 14 x 2 and 8 x 3 AVX-512 vectors (codegen/emit/README.md).
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_MICROKERNEL_H
#define TILEWRIGHT_CODEGEN_EMIT_MICROKERNEL_H

#include "codegen/emit/Emitter.h"

namespace tilewright::codegen {

/// Sums of a tile, row by row, `vectors` values each.
using Accumulators = llvm::SmallVector<mlir::Value>;

class MicroKernel {
public:
  /// C += A * B of elements of type `accumulator` (f32, f64, i32, i64). Panels hold elements of the graph
  /// type `panelElement`, converted as they are loaded.
  MicroKernel(ValueEmitter &e, mlir::Type accumulator, mlir::Type panelElement);

  struct Tile {
    int64_t rows = 0, vectors = 0;
  };

  /// One run of the contracted dimension: A[row][k] at `left + row * rowStride + k * depthStride`, B[k][...] at
  /// `panel + k * panelStride`. Bytes, i64.
  struct Run {
    mlir::Value left, rowStride, depthStride;
    mlir::Value panel;
    int64_t panelStride = 0;
    mlir::Value depth; ///< how many k
    /// What the next tile will read, fetched on the way: `ahead + k * aheadStride`. Null: nothing.
    mlir::Value ahead;
    int64_t aheadStride = 0;
  };

  Accumulators zero(Tile tile);
  /// `sums` plus the products of a run. The order of additions to an element depends on the tile's shape and
  /// on the run's depth, never on where the tile lies.
  Accumulators accumulate(Tile tile, const Run &run, mlir::ValueRange sums);

  /// Sums at `pointer + row * pitch` (bytes): partial results between blocks of the contracted dimension.
  Accumulators load(Tile tile, mlir::Value pointer, int64_t pitch);
  void store(Tile tile, mlir::Value pointer, int64_t pitch, mlir::ValueRange sums);

  /// sum + x * y of vectors.
  mlir::Value multiplyAdd(mlir::Value x, mlir::Value y, mlir::Value sum);

  mlir::VectorType vectorType() const { return vector; }
  int64_t lanes() const { return vector.getNumElements(); }
  int64_t accumulatorBytes() const { return vector.getElementTypeBitWidth() / 8; }
  int64_t panelBytes() const;

private:
  struct Cursor;
  void step(Tile tile, const Cursor &cursor, llvm::MutableArrayRef<mlir::Value> sums);
  Accumulators steps(Tile tile, const Run &run, mlir::Value k, int64_t count, int64_t sets,
                     mlir::ValueRange sums);
  mlir::Value loadPanel(mlir::Value pointer, int64_t vectorIndex);

  ValueEmitter &e;
  mlir::VectorType vector;
  mlir::Type panelElement;
};

/// `value` of graph element type `from`, as computed with (ValueEmitter::computeType), in the wider type that
/// sums have. Null `from`: already so.
mlir::Value widen(ValueEmitter &e, mlir::Value value, mlir::Type from, mlir::Type accumulator);

/// The type in which products of `operand` elements are summed for a result of type `result`.
mlir::Type accumulatorType(mlir::Type result);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_MICROKERNEL_H
