//===- Packing.h - operands of a product in scratch -------------*- C++ -*-===//
//
// What is computed (a prologue), badly strided, or used against many rows is copied into the thread's scratch
// first: the left operand row by row, the right one into panels [panel][k][nr].
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_PACKING_H
#define TILEWRIGHT_CODEGEN_EMIT_PACKING_H

#include "codegen/emit/MicroKernel.h"
#include "codegen/emit/Spread.h"

namespace tilewright::codegen {

/// The indices of `operand` at (batch index, free index, contracted index), all linear.
Indices indicesAt(ValueEmitter &e, const ProductOperand &operand, const Index &batchIndex,
                  const Index &freeIndex, const Index &contractedIndex);

/// A left operand in memory: (row, step of k) at row * rowStride + step * depthStride bytes. In scratch,
/// lanes are written whole, along whichever dimension is faster in the operand: the other stride covers a
/// multiple of the lanes.
struct StagedLayout {
  mlir::Value rowStride, depthStride;
};
/// The layout for up to `rows` rows and its size in bytes; strides avoid multiples of a page, at which rows
/// would compete for the same lines of the first-level cache.
StagedLayout stagedLayout(ValueEmitter &e, const MicroKernel &kernel, const ProductOperand &left,
                          mlir::AffineExpr rows, mlir::AffineExpr depth, mlir::AffineExpr &bytes);

/// Copies rows [first, first + count) of the left operand, as MicroKernel::toLeft() says, to `pointer`.
void stageRows(ValueEmitter &e, const MicroKernel &kernel, const ProductOperand &left, mlir::Value batch,
               mlir::Value first, mlir::Value count, mlir::Value pointer, const StagedLayout &layout);

/// Packs panels [first, end) of the right operand to `pointer`; consecutive panels are `panelPitch` bytes
/// apart, which covers the depth rounded up to the lanes. Columns beyond the operand's are unspecified.
void packPanels(ValueEmitter &e, const MicroKernel &kernel, const ProductOperand &right, mlir::Value batch,
                int64_t columns, mlir::Value first, mlir::Value end, mlir::Value depth, mlir::Value pointer,
                mlir::Value panelPitch);

/// Transposes lanes x lanes elements in registers: result i holds element i of each vector.
llvm::SmallVector<mlir::Value> transposeRegisters(ValueEmitter &e, llvm::SmallVector<mlir::Value> rows);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_PACKING_H
