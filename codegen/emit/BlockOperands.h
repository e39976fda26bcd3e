//===- BlockOperands.h - a product's operands within a work item -*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_BLOCKOPERANDS_H
#define TILEWRIGHT_CODEGEN_EMIT_BLOCKOPERANDS_H

#include "codegen/emit/Packing.h"
#include "codegen/emit/RowTiles.h"

namespace tilewright::codegen {

/// One share of a product's result: row tiles x panels of one batch element.
struct Block {
  mlir::Value batch, firstTile, endTile, firstPanel, endPanel;
};

MicroKernel microKernelOf(ValueEmitter &e, graph::ContractOp op, const ProductSchedule &schedule);

/// Where a work item finds its operands: rows of the left one in place or staged in scratch, panels of the
/// right one packed in scratch or as an argument of the kernel.
class BlockOperands {
public:
  BlockOperands(ValueEmitter &e, const MicroKernel &kernel, RowTiles &tiles, const ContractDims &dims,
                const ProductSchedule &schedule);

  /// Scratch for a block's panels (null: none are packed) and rows. Staged rows have room for `rowLength`
  /// elements, at least k.
  void reserve(mlir::AffineExpr panelsPerBlock, mlir::AffineExpr rowLength);

  void prepareLeft(const Block &block);
  void prepareRight(const Block &block);

  /// `depth` steps of k from `firstDepth` on, for `rows` rows from `row` on.
  MicroKernel::Run runOf(const Block &block, mlir::Value panel, int64_t rows, mlir::Value row,
                         mlir::Value firstDepth, mlir::Value depth);
  /// The same without a panel.
  MicroKernel::Run leftOf(mlir::Value row, mlir::Value firstDepth) const;
  /// What a row of sums starts from.
  Accumulators startOf(const Block &block, mlir::Value panel);

  mlir::Value depth() const { return k; } ///< steps of k
  mlir::Value leftStart() const { return leftScratch; }
  const StagedLayout &layout() const { return leftLayout; }

  mlir::AffineExpr panelCount;

private:
  void fetchAhead(const Block &block, MicroKernel::Run &run, mlir::Value panel, int64_t rows, mlir::Value row,
                  mlir::Value firstDepth);

  ValueEmitter &e;
  const MicroKernel &kernel;
  RowTiles &tiles;
  const ContractDims &dims;
  const ProductSchedule &schedule;
  mlir::AffineExpr steps;
  mlir::Value k;
  // The left operand: element (row, k) at leftBase + (row - leftFirstRow) * row stride + k * depth stride.
  std::optional<StridedView> leftView;
  StagedLayout leftLayout;
  mlir::Value leftScratch, leftBase, leftFirstRow;
  // Panels: the first of the block at rightBase.
  mlir::Value rightScratch, rightBase, panelPitch;
};

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_BLOCKOPERANDS_H
