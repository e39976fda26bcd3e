//===- BlockOperands.cpp - a product's operands within a work item --------===//
#include "codegen/emit/BlockOperands.h"

using namespace mlir;

namespace tilewright::codegen {

BlockOperands::BlockOperands(ValueEmitter &e, const MicroKernel &kernel, RowTiles &tiles,
                             const ContractDims &dims, const ProductSchedule &schedule)
    : e(e), kernel(kernel), tiles(tiles), dims(dims), schedule(schedule) {
  steps = canonical((AffineExpr(dims.k) + (kernel.group() - 1)).floorDiv(kernel.group()));
  k = e.dim(steps);
  panelCount = canonical((AffineExpr(dims.n) + (schedule.columns - 1)).floorDiv(schedule.columns));
}

void BlockOperands::reserve(AffineExpr panelsPerBlock, AffineExpr rowLength) {
  const int64_t bytes = kernel.accumulatorBytes();
  if (schedule.staged) {
    AffineExpr rows = constantDim(e.b.getContext(), schedule.tilesPerBlock * schedule.rows), size;
    leftLayout = stagedLayout(e, kernel, dims.left, rows, rowLength, size);
    leftScratch = e.reserveScratch(size);
  } else {
    leftView = viewOf(dims.left.value);
    leftLayout = {
        e.mul(e.dim(*strideOf(*leftView, dims.left.free)), kernel.leftBytes()),
        e.mul(e.dim(*strideOf(*leftView, dims.left.contracted)), kernel.leftBytes() * kernel.group())};
  }
  AffineExpr panelDepth = steps;
  if (!schedule.packed && panelsPerBlock) {
    panelDepth =
        canonical((AffineExpr(dims.k) + (kernel.lanes() - 1)).floorDiv(kernel.lanes()) * kernel.lanes());
    rightScratch = e.reserveScratch(canonical(panelsPerBlock * panelDepth * (schedule.columns * bytes)));
  }
  panelPitch = e.dim(canonical(panelDepth * kernel.panelStride(schedule.columns)));
}

void BlockOperands::prepareLeft(const Block &block) {
  if (leftView) {
    Indices batch(leftView->strides.size(), e.uniform(e.constant(0)));
    spreadOver(e, dims.left.batch, e.uniform(block.batch), batch);
    Value offset = e.dim(leftView->offset);
    for (auto [index, stride] : llvm::zip(batch, leftView->strides))
      offset = e.add(offset, e.mul(index.base, e.dim(stride)));
    leftBase = e.address(e.kernel.pointers.lookup(leftView->argument), offset, kernel.leftBytes());
    leftFirstRow = e.constant(0);
    return;
  }
  leftBase = leftScratch;
  leftFirstRow = tiles.firstRow(block.firstTile);
  Value count = e.sub(tiles.firstRow(block.endTile), leftFirstRow);
  stageRows(e, kernel, dims.left, block.batch, leftFirstRow, count, leftScratch, leftLayout);
}

void BlockOperands::prepareRight(const Block &block) {
  if (schedule.packed) {
    Value pointer = e.kernel.pointers.lookup(dims.right.value);
    Value panel = e.add(e.mul(block.batch, e.dim(panelCount)), block.firstPanel);
    rightBase = e.address(pointer, e.mul(panel, panelPitch), 1);
    return;
  }
  rightBase = rightScratch;
  packPanels(e, kernel, dims.right, block.batch, schedule.columns, block.firstPanel, block.endPanel, k,
             rightScratch, panelPitch);
}

MicroKernel::Run BlockOperands::leftOf(Value row, Value firstDepth) const {
  MicroKernel::Run run;
  Value left = e.address(leftBase, e.mul(e.sub(row, leftFirstRow), leftLayout.rowStride), 1);
  run.left = e.address(left, e.mul(firstDepth, leftLayout.depthStride), 1);
  run.rowStride = leftLayout.rowStride;
  run.depthStride = leftLayout.depthStride;
  return run;
}

MicroKernel::Run BlockOperands::runOf(const Block &block, Value panel, int64_t rows, Value row,
                                      Value firstDepth, Value depth) {
  MicroKernel::Run run = leftOf(row, firstDepth);
  run.panelStride = kernel.panelStride(schedule.columns);
  Value panelAddress = e.address(rightBase, e.mul(e.sub(panel, block.firstPanel), panelPitch), 1);
  run.panel = e.address(panelAddress, firstDepth, run.panelStride);
  run.depth = depth;
  fetchAhead(block, run, panel, rows, row, firstDepth);
  return run;
}

void BlockOperands::fetchAhead(const Block &block, MicroKernel::Run &run, Value panel, int64_t rows,
                               Value row, Value firstDepth) {
  if (rows == 1)
    return;
  if (schedule.fetch == Fetch::panel && schedule.tilesPerBlock > 1) {
    // Every tile of the block fetches its share of the next panel; behind the last, of the first one's next
    // depth.
    Value next = e.address(run.panel, panelPitch, 1),
          first = e.address(rightBase, e.add(firstDepth, run.depth), run.panelStride),
          tile = e.divide(e.sub(row, tiles.firstRow(block.firstTile)), e.constant(rows));
    next = e.select(e.less(e.add(panel, 1), block.endPanel), next, first);
    run.aheadStride = llvm::divideCeil(run.panelStride, schedule.tilesPerBlock);
    run.ahead = e.address(next, e.mul(e.mul(tile, run.depth), run.aheadStride), 1);
  } else if (schedule.fetch == Fetch::rows) {
    // Rows behind each other: over its k, a tile fetches as many bytes of the next one.
    run.ahead = e.address(run.left, e.mul(leftLayout.rowStride, rows), 1);
    run.aheadStride = rows * *e.constantOf(leftLayout.depthStride);
  }
}

Accumulators BlockOperands::startOf(const Block &block, Value panel) {
  const int64_t stride = kernel.panelStride(schedule.columns), vectors = schedule.columns / kernel.lanes();
  const Type element = llvm::cast<RankedTensorType>(dims.left.value.getType()).getElementType();
  if (!kernel.needsCorrection(element))
    return kernel.zero({1, vectors});
  return kernel.signedCorrection(
      vectors, e.address(rightBase, e.mul(e.sub(panel, block.firstPanel), panelPitch), 1), stride, k);
}

} // namespace tilewright::codegen
