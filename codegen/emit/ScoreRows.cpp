//===- ScoreRows.cpp - rows of a product that another one consumes --------===//
#include "codegen/emit/ScoreRows.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;

namespace tilewright::codegen {

ScoreRows::ScoreRows(ValueEmitter &e, ContractOp scores, RowTiles &tiles, const ProductSchedule &given)
    : e(e), op(scores), dims(scores), schedule(given), kernel(microKernelOf(e, scores, schedule)),
      tiles(tiles), operands(e, kernel, tiles, dims, schedule) {}

AffineExpr ScoreRows::rowLength() const { return AffineExpr(operands.panelCount) * schedule.columns; }

void ScoreRows::reserve() { operands.reserve(operands.panelCount, dims.k); }

Block ScoreRows::wholeRows(const Block &block) {
  Block whole = block;
  whole.firstPanel = e.constant(0);
  whole.endPanel = e.dim(operands.panelCount);
  return whole;
}

void ScoreRows::prepareBatch(const Block &block) { operands.prepareRight(wholeRows(block)); }

void ScoreRows::emit(const Block &given, Value pointer, const StagedLayout &layout) {
  const Block block = wholeRows(given);
  const int64_t vectors = schedule.columns / kernel.lanes(), bytes = kernel.accumulatorBytes();
  operands.prepareLeft(block);
  Value first = tiles.firstRow(block.firstTile);
  auto rowAt = [=, this](Value row) {
    return e.address(pointer, e.mul(e.sub(row, first), layout.rowStride), 1);
  };
  e.loop(block.firstPanel, block.endPanel, 1, [&](Value panel) {
    const Accumulators start = operands.startOf(block, panel);
    tiles.forEach(block.firstTile, block.endTile, [&](int64_t rows, Value row) {
      const MicroKernel::Tile tile{rows, vectors};
      const MicroKernel::Run run = operands.runOf(block, panel, rows, row, e.constant(0), operands.depth());
      const Accumulators sums = kernel.accumulate(tile, run, kernel.repeated(start, rows));
      Value corner = e.address(rowAt(row), e.mul(panel, schedule.columns), bytes);
      for (int64_t i = 0; i < rows; ++i)
        kernel.store({1, vectors}, e.address(corner, e.mul(layout.rowStride, i), 1), 0,
                     ArrayRef(sums).slice(i * vectors, vectors));
    });
  });
  auto rowType = tensorType({dims.n}, kernel.vectorType().getElementType());
  e.provide(op.getResult(), [=, this](ArrayRef<Index> indices) {
    const Index &row = indices[indices.size() - 2];
    assert(row.uniform() && "lanes run along rows");
    return e.load(rowType, rowAt(row.base), indices.back());
  });
}

} // namespace tilewright::codegen
