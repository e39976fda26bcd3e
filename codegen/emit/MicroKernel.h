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
#include "codegen/schedule/Schedule.h"

namespace tilewright::codegen {

/// Sums of a tile, row by row, `vectors` values each.
using Accumulators = llvm::SmallVector<mlir::Value>;

class MicroKernel {
public:
  /// C += A * B of elements of type `accumulator` (f32, f64, i32, i64). Panels hold elements of the graph
  /// type `panelElement`, converted as they are loaded.
  MicroKernel(ValueEmitter &e, mlir::Type accumulator, mlir::Type panelElement, const TileSchedule &schedule,
              DotKind kind = DotKind::Plain);

  struct Tile {
    int64_t rows = 0, vectors = 0;
  };

  /// One run of the contracted dimension in steps of group() k: A[row][step] at
  /// `left + row * rowStride + step * depthStride`, B[step][...] at `panel + step * panelStride`. Bytes, i64.
  struct Run {
    mlir::Value left, rowStride, depthStride;
    mlir::Value panel;
    int64_t panelStride = 0;
    mlir::Value depth;             ///< how many steps
    int64_t mostDepth = INT64_MAX; ///< no depth is larger, if that is known
    /// What a later tile will read, fetched on the way: `ahead + step * aheadStride`. Null: nothing.
    mlir::Value ahead;
    int64_t aheadStride = 0;
  };

  Accumulators zero(Tile tile) const;
  /// `sums` plus the products of a run. The order of additions to an element depends on the tile's shape and
  /// on the run's depth, never on where the tile lies. Floats narrower than f64 start anew every `longestSum`
  /// steps, where there are many, and what came before waits in scratch: the error grows with the number of
  /// these blocks, not of steps.
  Accumulators accumulate(Tile tile, const Run &run, mlir::ValueRange sums) const;
  static constexpr int64_t longestSum = 1024;
  /// Whether so many steps are better cut.
  bool isLong(int64_t steps) const { return steps > 2 * longestSum && vector.getElementType().isF32(); }
  Accumulators plus(mlir::ValueRange x, mlir::ValueRange y) const;
  int64_t pitchOf(Tile tile) const { return tile.vectors * lanes() * accumulatorBytes(); }

  /// Sums at `pointer + row * pitch` (bytes): partial results between blocks of the contracted dimension.
  Accumulators load(Tile tile, mlir::Value pointer, int64_t pitch) const;
  void store(Tile tile, mlir::Value pointer, int64_t pitch, mlir::ValueRange sums) const;

  /// sum + x * y of vectors.
  mlir::Value multiplyAdd(mlir::Value x, mlir::Value y, mlir::Value sum) const;

  /// For each lane the float of `table` (as many as lanes) at the low bits of `indices`, where the target
  /// does that for 16 lanes in one instruction; else null.
  mlir::Value lookUp16(mlir::Value table, mlir::Value indices) const;
  bool canLookUp16() const;

  mlir::VectorType vectorType() const { return vector; }
  int64_t lanes() const { return vector.getNumElements(); }
  int64_t accumulatorBytes() const { return vector.getElementTypeBitWidth() / 8; }
  DotKind kind() const { return dotKind; }
  int64_t group() const { return groupOf(dotKind); }
  /// Bytes of one k of a row of the left operand as it is read: in steps of four bytes for pairs and quads.
  int64_t leftBytes() const { return accumulatorBytes() / group(); }
  mlir::Type leftType() const;
  /// Bytes of one step of a panel `columns` wide.
  int64_t panelStride(int64_t columns) const;
  /// Lanes of a left operand (e.lanes wide, graph type `element`) as it is read. Where the target's
  /// instruction takes bytes of the other sign, 128 is added or subtracted: sums start from
  /// signedCorrection() then.
  mlir::Value toLeft(mlir::Value lanes, mlir::Type element) const;
  bool needsCorrection(mlir::Type left) const;
  /// What is missing then: -128 or 128 times the sums of columns of a panel over `depth` steps, `vectors`
  /// values.
  Accumulators signedCorrection(int64_t vectors, mlir::Value panel, int64_t panelStride,
                                mlir::Value depth) const;
  /// `rows` copies of a row of sums.
  static Accumulators repeated(const Accumulators &row, int64_t rows);

private:
  struct Cursor;
  void step(Tile tile, const Cursor &cursor, llvm::MutableArrayRef<mlir::Value> sums) const;
  Accumulators steps(Tile tile, const Run &run, mlir::Value k, int64_t count, int64_t sets,
                     mlir::ValueRange sums) const;
  /// Scratch for the sums of a tile; the same for all tiles.
  mlir::Value scratchFor(Tile tile) const;
  Accumulators inRegisters(Tile tile, const Run &run, mlir::ValueRange sums) const;
  mlir::Value loadPanel(mlir::Value pointer, int64_t vectorIndex) const;

  ValueEmitter &e;
  mlir::VectorType vector;
  mlir::Type panelElement;
  int64_t wantedSums, prefetchDistance, straightDepth; ///< see TileSchedule
  DotKind dotKind;
  const IntegerProduct *product; ///< null: plain
  mutable mlir::Value scratch;
  mutable int64_t scratchVectors = 0;
};

/// `value` of graph element type `from`, as computed with (ValueEmitter::computeType), in the wider type that
/// sums have. Null `from`: already so.
mlir::Value widen(ValueEmitter &e, mlir::Value value, mlir::Type from, mlir::Type accumulator);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_MICROKERNEL_H
