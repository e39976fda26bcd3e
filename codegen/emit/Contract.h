//===- Contract.h - matrix products: what schedules and packing need to know -*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_CONTRACT_H
#define TILEWRIGHT_CODEGEN_EMIT_CONTRACT_H

#include "codegen/emit/Epilogue.h"
#include "codegen/emit/Packing.h"
#include "codegen/emit/Schedules.h"

namespace tilewright::codegen {

/// A contraction as batch x m x n x k.
struct ContractDims {
  explicit ContractDims(graph::ContractOp op);
  ProductOperand left, right;
  DimGroup resultBatch, resultRows, resultColumns;
  mlir::AffineExpr batch, m, n, k;

  /// Whether the left operand has to be copied to scratch: computed, of another type than its products are
  /// summed in, or with rows that compete for the same cache lines.
  bool mustStageLeft(DotKind kind) const;
  /// k in steps of `kind`.
  ProductShape shape(mlir::Type accumulator, DotKind kind) const;

private:
  static bool canReadInPlace(const StridedView &view, const ProductOperand &operand);
};

/// How a contraction or convolution of this kernel is summed: its schedule's `group`.
DotKind dotKindOf(mlir::Operation *root);

/// The heuristics' choice for `op`, with what its kernel's schedule attribute overrides.
ProductSchedule contractSchedule(graph::ContractOp op, const TargetInfo &target);

MicroKernel microKernelOf(ValueEmitter &e, graph::ContractOp op);

/// Whether emitContract() takes this root; else it is loops.
bool canEmitContract(graph::ContractOp op);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_CONTRACT_H
