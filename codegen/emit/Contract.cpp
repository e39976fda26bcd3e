//===- Contract.cpp - matrix products -------------------------------------===//
//
// The dimensions of a contraction collapse to batch x m x n x k. Rows of the result are cut into tiles of
// nearly equal size, columns into panels of the right operand; some tiles and panels of one batch element
// make a work item. Work items are numbered so that consecutive ones share what is costly to bring near the
// core (staged rows, packed panels), whatever share of them a thread gets.
//===----------------------------------------------------------------------===//
#include "codegen/emit/BlockOperands.h"
#include "codegen/emit/NarrowPanels.h"
#include "codegen/emit/Roots.h"
#include "codegen/emit/ScoreRows.h"
#include "codegen/emit/TileOutput.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
//===- The emitter ------------------------------------------------------------------------===//

namespace {

Type elementOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()).getElementType(); }

class ContractEmitter {
public:
  ContractEmitter(ValueEmitter &e, ContractOp op, EmittedKernel &result);
  void emit();

private:
  void emitItems(AffineExpr rowBlocks, AffineExpr panelBlocks);
  void prepareLeft(const Block &block);
  void prepareRight(const Block &block);
  void emitBlock(const Block &block);
  void emitNarrow(AffineExpr rowBlocks, AffineExpr panelBlocks);
  void emitFewRows(const Block &block);
  void emitChunks(const Block &block);
  void emitBlockedDepth(const Block &block);
  void enterPanel(Value panel);
  Indices indicesAt(const Block &block, Value row, const Index &column);

  ValueEmitter &e;
  ContractOp op;
  EmittedKernel &result;
  ContractDims dims;
  ProductSchedule schedule;
  MicroKernel kernel;
  RowTiles tiles;
  BlockOperands operands;
  std::optional<NarrowPanels> narrow; ///< how the right operand is stored, where it has few bits
  bool fewRows = false;               ///< they are multiplied with it as it is stored
  std::optional<ScoreRows> scores;    ///< what the left operand is computed from
  TileOutput output;
  Value n, k; ///< k in steps
  int64_t vectors;
  Value weights; ///< scratch for a chunk of a panel, where the right operand has few bits
  Value partial; ///< scratch for the sums of a block where k is cut
};

ContractEmitter::ContractEmitter(ValueEmitter &e, ContractOp op, EmittedKernel &result)
    : e(e), op(op), result(result), dims(op), schedule(e.kernel.schedule()),
      kernel(microKernelOf(e, op, schedule)), tiles(e, dims.m, schedule.rows),
      operands(e, kernel, tiles, dims, schedule), output(e, kernel, op, schedule) {
  n = e.dim(dims.n);
  k = operands.depth();
  vectors = schedule.columns / kernel.lanes();
  if (ContractOp inner = scoresOf(op))
    scores.emplace(e, inner, tiles, scoreSchedule(e.kernel.schedule()));
  if (auto layout = NarrowLayout::of(e.kernel.kernel)) {
    narrow.emplace(e, kernel, *layout, *constantOf(dims.k), schedule);
  }
}

void ContractEmitter::emit() {
  e.lanes = {kernel.lanes(), {}};
  MLIRContext *context = op.getContext();
  AffineExpr panelCount = operands.panelCount;
  AffineExpr rowBlocks =
      canonical((tiles.countExpr + (schedule.tilesPerBlock - 1)).floorDiv(schedule.tilesPerBlock));
  AffineExpr panelsPerBlock =
      schedule.panelsPerBlock ? constantDim(context, schedule.panelsPerBlock) : panelCount;
  AffineExpr panelBlocks =
      schedule.panelsPerBlock
          ? canonical((panelCount + (schedule.panelsPerBlock - 1)).floorDiv(schedule.panelsPerBlock))
          : constantDim(context, 1);
  if (narrow)
    weights = e.reserveScratch(constantDim(context, narrow->mostChunk() * output.pitch()));
  operands.reserve(narrow ? AffineExpr() : panelsPerBlock, scores ? scores->rowLength() : dims.k);
  if (scores)
    scores->reserve();
  if (schedule.depthBlock || narrow)
    partial = e.reserveScratch(canonical(panelsPerBlock * (schedule.tilesPerBlock * schedule.rows) *
                                         (schedule.columns * kernel.accumulatorBytes())));
  result.extent = canonical(dims.batch * rowBlocks * panelBlocks);
  narrow ? emitNarrow(rowBlocks, panelBlocks) : emitItems(rowBlocks, panelBlocks);
}

/// One way for few rows and one for more, chosen when the number is known.
void ContractEmitter::emitNarrow(AffineExpr rowBlocks, AffineExpr panelBlocks) {
  auto emitFor = [&](bool few) {
    fewRows = few;
    emitItems(rowBlocks, panelBlocks);
    return llvm::SmallVector<Value>();
  };
  Value few = narrow->mostRows() ? e.less(e.dim(dims.m), e.constant(narrow->mostRows() + 1))
                                 : e.equal(e.constant(0), e.constant(1));
  if (auto known = e.constantOf(few))
    emitFor(*known);
  else
    e.guarded(few, TypeRange(), [&] { return emitFor(true); }, [&] { return emitFor(false); });
}

void ContractEmitter::emitFewRows(const Block &block) {
  e.loop(block.firstPanel, block.endPanel, 1, [&](Value panel) {
    enterPanel(panel);
    RowTiles::forEachPiece(e, e.constant(0), e.dim(dims.m), narrow->mostRows(), [&](int64_t rows, Value row) {
      const MicroKernel::Tile tile{rows, vectors};
      const Accumulators sums = narrow->multiply(tile, operands.leftOf(row, e.constant(0)), panel);
      output.finish(tile, sums,
                    [&](Value i, const Index &column) { return indicesAt(block, e.add(row, i), column); });
    });
  });
}

void ContractEmitter::emitItems(AffineExpr rowBlocks, AffineExpr panelBlocks) {
  const bool rowsOuter = schedule.rowsOuter;
  AffineExpr outerCount = rowsOuter ? rowBlocks : panelBlocks,
             innerCount = rowsOuter ? panelBlocks : rowBlocks;
  Value inner = e.dim(innerCount), begin = e.kernel.begin, end = e.kernel.end;
  Value tileCount = tiles.count, panels = e.dim(operands.panelCount);
  auto setRows = [&](Block &block, Value index) {
    block.firstTile = e.mul(index, schedule.tilesPerBlock);
    block.endTile = e.minimum(e.add(block.firstTile, schedule.tilesPerBlock), tileCount);
    prepareLeft(block);
  };
  auto setPanels = [&](Block &block, Value index) {
    block.firstPanel = schedule.panelsPerBlock ? e.mul(index, schedule.panelsPerBlock) : e.constant(0);
    block.endPanel = schedule.panelsPerBlock
                         ? e.minimum(e.add(block.firstPanel, schedule.panelsPerBlock), panels)
                         : panels;
    prepareRight(block);
  };
  Value lastOuter = e.divide(e.add(end, e.add(inner, -1)), inner);
  e.loop(e.divide(begin, inner), lastOuter, 1, [&](Value outer) {
    Block block;
    block.batch = e.divide(outer, e.dim(outerCount));
    Value outerIndex = e.remainder(outer, e.dim(outerCount)), first = e.mul(outer, inner);
    rowsOuter ? setRows(block, outerIndex) : setPanels(block, outerIndex);
    Value lo = e.maximum(e.sub(begin, first), e.constant(0)), hi = e.minimum(e.sub(end, first), inner);
    e.loop(lo, hi, 1, [&](Value innerIndex) {
      rowsOuter ? setPanels(block, innerIndex) : setRows(block, innerIndex);
      schedule.depthBlock ? emitBlockedDepth(block) : emitBlock(block);
    });
  });
}

void ContractEmitter::prepareLeft(const Block &block) {
  if (scores)
    scores->emit(block, operands.leftStart(), operands.layout());
  operands.prepareLeft(block);
}

void ContractEmitter::prepareRight(const Block &block) {
  if (narrow)
    return;
  operands.prepareRight(block);
  if (scores)
    scores->prepareBatch(block);
}

void ContractEmitter::enterPanel(Value panel) {
  auto columns = constantOf(dims.n);
  output.enterPanel(e.mul(panel, schedule.columns), n, columns && *columns % schedule.columns == 0);
}

/// Every chunk of a panel is unpacked once for all rows of the block, whose sums wait in scratch.
void ContractEmitter::emitChunks(const Block &block) {
  const int64_t pitch = output.pitch();
  Value firstRow = tiles.firstRow(block.firstTile), endRow = tiles.firstRow(block.endTile);
  auto partialOf = [&](Value row) { return e.address(partial, e.sub(row, firstRow), pitch); };
  e.loop(block.firstPanel, block.endPanel, 1, [&](Value panel) {
    enterPanel(panel);
    e.loop(firstRow, endRow, 1,
           [&](Value row) { kernel.store({1, vectors}, partialOf(row), pitch, kernel.zero({1, vectors})); });
    narrow->forEachChunk([&](Value firstBlock, int64_t depth) {
      narrow->unpack(panel, firstBlock, depth, weights);
      tiles.forEach(block.firstTile, block.endTile, [&](int64_t rows, Value row) {
        const MicroKernel::Tile tile{rows, vectors};
        MicroKernel::Run run = operands.leftOf(row, narrow->firstOf(firstBlock));
        run.panel = weights;
        run.panelStride = pitch;
        run.depth = e.constant(depth);
        Value pointer = partialOf(row);
        const Accumulators sums = kernel.accumulate(tile, run, kernel.zero(tile));
        kernel.store(tile, pointer, pitch, kernel.plus(kernel.load(tile, pointer, pitch), sums));
      });
    });
    tiles.forEach(block.firstTile, block.endTile, [&](int64_t rows, Value row) {
      output.finishFrom(partialOf(row), rows, [&](Value i, const Index &column) {
        return indicesAt(block, e.add(row, i), column);
      });
    });
  });
}

void ContractEmitter::emitBlock(const Block &block) {
  if (narrow)
    return fewRows ? emitFewRows(block) : emitChunks(block);
  e.loop(block.firstPanel, block.endPanel, 1, [&](Value panel) {
    enterPanel(panel);
    const Accumulators start = operands.startOf(block, panel);
    tiles.forEach(block.firstTile, block.endTile, [&](int64_t rows, Value row) {
      const MicroKernel::Tile tile{rows, vectors};
      const Accumulators sums = kernel.accumulate(
          tile, operands.runOf(block, panel, rows, row, e.constant(0), k), kernel.repeated(start, rows));
      output.finish(tile, sums,
                    [&](Value i, const Index &column) { return indicesAt(block, e.add(row, i), column); });
    });
  });
}

Indices ContractEmitter::indicesAt(const Block &block, Value row, const Index &column) {
  Indices indices(llvm::cast<RankedTensorType>(op.getType()).getRank(), e.uniform(e.constant(0)));
  spreadOver(e, dims.resultBatch, e.uniform(block.batch), indices);
  spreadOver(e, dims.resultRows, e.uniform(row), indices);
  spreadOver(e, dims.resultColumns, column, indices);
  return indices;
}

/// k in blocks over sums kept in scratch, so that a block of a panel stays near while all rows pass.
void ContractEmitter::emitBlockedDepth(const Block &block) {
  const int64_t pitch = output.pitch();
  Value firstRow = tiles.firstRow(block.firstTile);
  Value blockRows = e.constant(schedule.tilesPerBlock * schedule.rows);
  auto partialOf = [&](Value panel, Value row) {
    Value index = e.add(e.mul(e.sub(panel, block.firstPanel), blockRows), e.sub(row, firstRow));
    return e.address(partial, index, pitch);
  };
  auto each = [&](llvm::function_ref<void(Value, int64_t, Value)> body) {
    e.loop(block.firstPanel, block.endPanel, 1, [&](Value panel) {
      tiles.forEach(block.firstTile, block.endTile, [&](int64_t rows, Value row) { body(panel, rows, row); });
    });
  };
  e.loop(block.firstPanel, block.endPanel, 1, [&](Value panel) {
    const Accumulators start = operands.startOf(block, panel);
    e.loop(e.constant(0), e.sub(tiles.firstRow(block.endTile), firstRow), 1,
           [&](Value i) { kernel.store({1, vectors}, partialOf(panel, e.add(firstRow, i)), pitch, start); });
  });
  e.loop(e.constant(0), k, schedule.depthBlock, [&](Value first) {
    Value depth = e.minimum(e.sub(k, first), e.constant(schedule.depthBlock));
    if (auto known = e.constantOf(k); known && *known % schedule.depthBlock == 0)
      depth = e.constant(schedule.depthBlock);
    each([&](Value panel, int64_t rows, Value row) {
      Value pointer = partialOf(panel, row);
      const MicroKernel::Tile tile{rows, vectors};
      MicroKernel::Run run = operands.runOf(block, panel, rows, row, first, depth);
      run.mostDepth = schedule.depthBlock;
      const Accumulators sums = kernel.accumulate(tile, run, kernel.zero(tile));
      kernel.store(tile, pointer, pitch, kernel.plus(kernel.load(tile, pointer, pitch), sums));
    });
  });
  e.loop(block.firstPanel, block.endPanel, 1, [&](Value panel) {
    enterPanel(panel);
    tiles.forEach(block.firstTile, block.endTile, [&](int64_t rows, Value row) {
      output.finishFrom(partialOf(panel, row), rows, [&](Value i, const Index &column) {
        return indicesAt(block, e.add(row, i), column);
      });
    });
  });
}

} // namespace

MicroKernel microKernelOf(ValueEmitter &e, ContractOp op, const ProductSchedule &schedule) {
  Type sums = accumulatorType(elementOf(op.getResult()));
  return MicroKernel(e, sums, schedule.packed ? elementOf(op.getRhs()) : sums, schedule, schedule.kind);
}

LogicalResult emitContract(ValueEmitter &e, Operation *root, EmittedKernel &result) {
  ContractEmitter(e, cast<ContractOp>(root), result).emit();
  return success();
}

} // namespace tilewright::codegen
