//===- ScoreRows.h - rows of a product that another one consumes -*- C++ -*-===//
//
// values = f(q * k) * v, where f maps rows to rows, as in attention. For a block of rows, the inner product's
// rows are written to scratch; the walk that stages the outer product's left operand reads them there, so
// that f is emitted like any other prologue. It stores the staged rows in the same place: it reads an element
// before it writes it, and reductions of the row come before either. Scores never reach memory as a whole.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_SCOREROWS_H
#define TILEWRIGHT_CODEGEN_EMIT_SCOREROWS_H

#include "codegen/emit/BlockOperands.h"

namespace tilewright::codegen {

class ScoreRows {
public:
  /// Row tiles and panel width are those of the outer product, too.
  ScoreRows(ValueEmitter &e, graph::ContractOp scores, RowTiles &tiles, const ProductSchedule &schedule);

  /// Elements that a row of scratch needs: whole panels.
  mlir::AffineExpr rowLength() const;
  void reserve();
  /// Packs the right operand for the block's batch element.
  void prepareBatch(const Block &block);
  /// Computes the block's rows at `pointer`, a row every layout.rowStride bytes, and answers for their values
  /// from there.
  void emit(const Block &block, mlir::Value pointer, const StagedLayout &layout);

private:
  Block wholeRows(const Block &block);

  ValueEmitter &e;
  graph::ContractOp op;
  ContractDims dims;
  ProductSchedule schedule;
  MicroKernel kernel;
  RowTiles &tiles;
  BlockOperands operands;
};

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_SCOREROWS_H
