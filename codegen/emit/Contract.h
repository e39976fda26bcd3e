//===- Contract.h - matrix products: what schedules and packing need to know -*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_CONTRACT_H
#define TILEWRIGHT_CODEGEN_EMIT_CONTRACT_H

#include "codegen/emit/Epilogue.h"
#include "codegen/emit/Packing.h"
#include "codegen/emit/Schedules.h"

namespace tilewright::codegen {

/// Instructions of an epilogue, as Epilogue::weight() counts, up to which each register of a tile gets its own
/// copy; heavier ones loop over rows in scratch.
inline constexpr int64_t registerEpilogueWeight = 6;

/// A contraction as batch x m x n x k.
struct ContractDims {
  explicit ContractDims(graph::ContractOp op);
  ProductOperand left, right;
  DimGroup resultBatch, resultRows, resultColumns;
  mlir::AffineExpr batch, m, n, k;

  /// Whether the left operand has to be copied to scratch: computed, of another type than its products are
  /// summed in, or with rows that compete for the same cache lines.
  bool mustStageLeft(mlir::MLIRContext *context) const;
  ProductShape shape(mlir::MLIRContext *context, mlir::Type accumulator) const;

private:
  static bool canReadInPlace(const StridedView &view, const ProductOperand &operand);
};

/// The heuristics' choice for `op`, with what its kernel's schedule attribute overrides.
ProductSchedule contractSchedule(graph::ContractOp op, const TargetInfo &target);

/// Rows cut into tiles of nearly equal size: `larger` tiles of size + 1 rows, then tiles of `size` rows.
class RowTiles {
public:
  /// Tiles of at most `limit` rows.
  RowTiles(ValueEmitter &e, mlir::AffineExpr rows, int64_t limit);
  mlir::Value firstRow(mlir::Value tile);
  /// body(number of rows, first row) for each tile in [first, end), in loops. Where the number of rows is known
  /// only at run time, body is emitted once for each size and the right one chosen.
  void forEach(mlir::Value first, mlir::Value end, llvm::function_ref<void(int64_t, mlir::Value)> body);
  bool isFixed() const { return fixed.has_value(); }

  mlir::AffineExpr countExpr;
  mlir::Value count, size, larger;

private:
  ValueEmitter &e;
  int64_t limit;
  std::optional<int64_t> fixed;
};

/// Whether emitContract() takes this root; else it is loops.
bool canEmitContract(graph::ContractOp op);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_CONTRACT_H
