//===- Contract.cpp - matrix products -------------------------------------===//
//
// The dimensions of a contraction collapse to batch x m x n x k. Rows of the result are cut into tiles of
// nearly equal size, columns into panels of the right operand; some tiles and panels of one batch element
// make a work item. Work items are numbered so that consecutive ones share what is costly to bring near the
// core (staged rows, packed panels), whatever share of them a thread gets.
//===----------------------------------------------------------------------===//
#include "codegen/emit/Contract.h"
#include "codegen/emit/RowTiles.h"
#include "codegen/emit/TileOutput.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

Type elementOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()).getElementType(); }

} // namespace

//===- What is multiplied -------------------------------------------------------------===//

ContractDims::ContractDims(ContractOp op) {
  SmallVector<std::pair<int64_t, int64_t>> pairs;
  for (auto [l, r] : llvm::zip(op.getLhsContract(), op.getRhsContract()))
    pairs.push_back({l, r});
  llvm::sort(pairs); // in the left operand's order: there it is read as it lies
  SmallVector<int64_t> leftContract, rightContract;
  for (auto [l, r] : pairs) {
    leftContract.push_back(l);
    rightContract.push_back(r);
  }
  auto free = [](Value value, ArrayRef<int64_t> batch, ArrayRef<int64_t> contract) {
    SmallVector<int64_t> dims;
    for (int64_t d = 0, rank = llvm::cast<RankedTensorType>(value.getType()).getRank(); d < rank; ++d)
      if (!llvm::is_contained(batch, d) && !llvm::is_contained(contract, d))
        dims.push_back(d);
    return dims;
  };
  left = {op.getLhs(), DimGroup(op.getLhs(), op.getLhsBatch()),
          DimGroup(op.getLhs(), free(op.getLhs(), op.getLhsBatch(), leftContract)),
          DimGroup(op.getLhs(), leftContract)};
  right = {op.getRhs(), DimGroup(op.getRhs(), op.getRhsBatch()),
           DimGroup(op.getRhs(), free(op.getRhs(), op.getRhsBatch(), rightContract)),
           DimGroup(op.getRhs(), rightContract)};
  const int64_t batches = left.batch.dims.size(), rows = left.free.dims.size(),
                columns = right.free.dims.size();
  auto positions = [&](int64_t from, int64_t count) {
    return llvm::to_vector(llvm::seq(from, from + count));
  };
  Value result = op.getResult();
  resultBatch = DimGroup(result, positions(0, batches));
  resultRows = DimGroup(result, positions(batches, rows));
  resultColumns = DimGroup(result, positions(batches + rows, columns));
  MLIRContext *context = op.getContext();
  batch = left.batch.total(context);
  m = left.free.total(context);
  n = right.free.total(context);
  k = left.contracted.total(context);
}

bool ContractDims::canReadInPlace(const StridedView &view, const ProductOperand &operand) {
  return strideOf(view, operand.free) && strideOf(view, operand.contracted);
}

/// Rows at a multiple of a page from each other fall into one set of the first-level cache.
static bool aliases(AffineExpr stride, int64_t bytes) {
  auto known = constantOf(stride);
  return known && *known * bytes % 4096 == 0;
}

bool ContractDims::mustStageLeft(DotKind kind) const {
  auto view = viewOf(left.value);
  Type element = elementOf(left.value);
  const bool quads = kind == DotKind::Quads && element.isUnsignedInteger(8);
  if (!view || !(quads || (kind == DotKind::Plain && (element.isF32() || element.isF64()))) ||
      !canReadInPlace(*view, left))
    return true;
  AffineExpr row = *strideOf(*view, left.free), depth = *strideOf(*view, left.contracted);
  const bool together = constantOf(depth) == std::optional<int64_t>(1);
  auto rows = constantOf(m), size = constantOf(k);
  if (quads && !(together && size && *size % 4 == 0)) // steps read four bytes
    return true;
  if (rows && *rows < 8)
    return false;
  return aliases(together ? row : depth, byteWidth(element));
}

ProductShape ContractDims::shape(Type accumulator, DotKind kind) const {
  ProductShape shape;
  shape.batch = constantOf(batch);
  shape.m = constantOf(m);
  shape.n = constantOf(n);
  if (auto size = constantOf(k))
    shape.k = llvm::divideCeil(*size, groupOf(kind));
  shape.bits = accumulator.getIntOrFloatBitWidth();
  shape.stagedLeft = mustStageLeft(kind);
  return shape;
}

DotKind dotKindOf(Operation *root) {
  auto function = root->getParentOfType<kernel::FuncOp>();
  const int64_t group =
      scheduleInteger(function ? function.getScheduleAttr() : DictionaryAttr(), "group").value_or(1);
  return group == 4 ? DotKind::Quads : group == 2 ? DotKind::Pairs : DotKind::Plain;
}

//===- The emitter ------------------------------------------------------------------------===//

namespace {

/// One share of the result: row tiles x panels of one batch element.
struct Block {
  Value batch, firstTile, endTile, firstPanel, endPanel;
};

class ContractEmitter {
public:
  ContractEmitter(ValueEmitter &e, ContractOp op, EmittedKernel &result);
  void emit();

private:
  void emitItems(AffineExpr rowBlocks, AffineExpr panelBlocks);
  void prepareLeft(const Block &block);
  void prepareRight(const Block &block);
  void emitBlock(const Block &block);
  void emitBlockedDepth(const Block &block);
  void enterPanel(Value panel);
  Accumulators startOf(const Block &block, Value panel);
  Indices indicesAt(const Block &block, Value row, const Index &column);
  MicroKernel::Run runOf(const Block &block, Value panel, int64_t rows, Value row, Value firstDepth,
                         Value depth);

  ValueEmitter &e;
  ContractOp op;
  EmittedKernel &result;
  MLIRContext *context;
  ContractDims dims;
  ProductSchedule schedule;
  std::optional<int64_t> panelArgument;
  MicroKernel kernel;
  RowTiles tiles;
  TileOutput output;
  Value m, n, k; ///< k in steps
  AffineExpr steps, panelCount;
  int64_t vectors;
  // The left operand: element (row, k) at leftBase + (row - leftFirstRow) * row stride + k * depth stride.
  std::optional<StridedView> leftView;
  StagedLayout leftLayout;
  Value leftScratch, leftBase, leftFirstRow;
  // Panels: the first of the block at rightBase.
  Value rightScratch, rightBase, panelPitch;
  Value partial; ///< scratch for the sums of a block where k is cut
};

ContractEmitter::ContractEmitter(ValueEmitter &e, ContractOp op, EmittedKernel &result)
    : e(e), op(op), result(result), context(op.getContext()), dims(op),
      schedule(contractSchedule(op, e.kernel.target)),
      panelArgument(scheduleInteger(e.kernel.kernel.getScheduleAttr(), "panel_argument")),
      kernel(e, accumulatorType(elementOf(op.getResult())),
             panelArgument ? elementOf(e.kernel.kernel.getBody().getArgument(*panelArgument))
                           : accumulatorType(elementOf(op.getResult())),
             dotKindOf(op)),
      tiles(e, dims.m, schedule.rows),
      output(e, kernel, op, schedule.rows, schedule.columns, tiles.isFixed()) {
  m = e.dim(dims.m);
  n = e.dim(dims.n);
  steps = canonical((dims.k + (kernel.group() - 1)).floorDiv(kernel.group()));
  k = e.dim(steps);
  vectors = schedule.columns / kernel.lanes();
  panelCount = canonical((dims.n + (schedule.columns - 1)).floorDiv(schedule.columns));
}

void ContractEmitter::emit() {
  e.lanes = {kernel.lanes(), {}};
  AffineExpr rowBlocks =
      canonical((tiles.countExpr + (schedule.tilesPerBlock - 1)).floorDiv(schedule.tilesPerBlock));
  AffineExpr panelsPerBlock =
      schedule.panelsPerBlock ? constantDim(context, schedule.panelsPerBlock) : panelCount;
  AffineExpr panelBlocks =
      schedule.panelsPerBlock
          ? canonical((panelCount + (schedule.panelsPerBlock - 1)).floorDiv(schedule.panelsPerBlock))
          : constantDim(context, 1);
  AffineExpr blockRows = constantDim(context, schedule.tilesPerBlock * schedule.rows);
  const int64_t bytes = kernel.accumulatorBytes();
  if (schedule.staged) {
    AffineExpr size;
    leftLayout = stagedLayout(e, kernel, dims.left, blockRows, dims.k, size);
    leftScratch = e.reserveScratch(size);
  } else {
    leftView = viewOf(dims.left.value);
    leftLayout = {
        e.mul(e.dim(*strideOf(*leftView, dims.left.free)), kernel.leftBytes()),
        e.mul(e.dim(*strideOf(*leftView, dims.left.contracted)), kernel.leftBytes() * kernel.group())};
  }
  AffineExpr panelDepth = steps;
  if (!panelArgument) {
    panelDepth = canonical((dims.k + (kernel.lanes() - 1)).floorDiv(kernel.lanes()) * kernel.lanes());
    rightScratch = e.reserveScratch(canonical(panelsPerBlock * panelDepth * (schedule.columns * bytes)));
  }
  panelPitch = e.dim(canonical(panelDepth * kernel.panelStride(schedule.columns)));
  if (schedule.depthBlock)
    partial = e.reserveScratch(canonical(panelsPerBlock * blockRows * (schedule.columns * bytes)));
  result.extent = canonical(dims.batch * rowBlocks * panelBlocks);
  emitItems(rowBlocks, panelBlocks);
}

void ContractEmitter::emitItems(AffineExpr rowBlocks, AffineExpr panelBlocks) {
  const bool rowsOuter = schedule.rowsOuter;
  AffineExpr outerCount = rowsOuter ? rowBlocks : panelBlocks,
             innerCount = rowsOuter ? panelBlocks : rowBlocks;
  Value inner = e.dim(innerCount), begin = e.kernel.begin, end = e.kernel.end;
  Value tileCount = tiles.count, panels = e.dim(panelCount);
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

void ContractEmitter::prepareRight(const Block &block) {
  if (panelArgument) {
    Value pointer = e.kernel.pointers.lookup(e.kernel.kernel.getBody().getArgument(*panelArgument));
    Value panel = e.add(e.mul(block.batch, e.dim(panelCount)), block.firstPanel);
    rightBase = e.address(pointer, e.mul(panel, panelPitch), 1);
    return;
  }
  rightBase = rightScratch;
  packPanels(e, kernel, dims.right, block.batch, schedule.columns, block.firstPanel, block.endPanel, k,
             rightScratch, panelPitch);
}

MicroKernel::Run ContractEmitter::runOf(const Block &block, Value panel, int64_t rows, Value row,
                                        Value firstDepth, Value depth) {
  MicroKernel::Run run;
  Value left = e.address(leftBase, e.mul(e.sub(row, leftFirstRow), leftLayout.rowStride), 1);
  run.left = e.address(left, e.mul(firstDepth, leftLayout.depthStride), 1);
  run.rowStride = leftLayout.rowStride;
  run.depthStride = leftLayout.depthStride;
  run.panelStride = kernel.panelStride(schedule.columns);
  Value panelAddress = e.address(rightBase, e.mul(e.sub(panel, block.firstPanel), panelPitch), 1);
  run.panel = e.address(panelAddress, firstDepth, run.panelStride);
  run.depth = depth;
  // Rows behind each other: over its k, a tile fetches as many bytes of the next one.
  const auto rowStride = e.constantOf(leftLayout.rowStride), unit = e.constantOf(leftLayout.depthStride),
             whole = e.constantOf(k);
  if (leftView && rowStride && unit && whole && rows > 1 && *rowStride == *unit * *whole) {
    run.ahead = e.address(run.left, e.constant(rows * *rowStride), 1);
    run.aheadStride = rows * *unit;
  }
  return run;
}

void ContractEmitter::enterPanel(Value panel) {
  auto columns = constantOf(dims.n);
  output.enterPanel(e.mul(panel, schedule.columns), n, columns && *columns % schedule.columns == 0);
}

void ContractEmitter::emitBlock(const Block &block) {
  e.loop(block.firstPanel, block.endPanel, 1, [&](Value panel) {
    enterPanel(panel);
    const Accumulators start = startOf(block, panel);
    tiles.forEach(block.firstTile, block.endTile, [&](int64_t rows, Value row) {
      const MicroKernel::Tile tile{rows, vectors};
      const Accumulators sums = kernel.accumulate(tile, runOf(block, panel, rows, row, e.constant(0), k),
                                                  kernel.repeated(start, rows));
      output.finish(tile, sums,
                    [&](Value i, const Index &column) { return indicesAt(block, e.add(row, i), column); });
    });
  });
}

/// What a row of sums starts from.
Accumulators ContractEmitter::startOf(const Block &block, Value panel) {
  const int64_t stride = kernel.panelStride(schedule.columns);
  if (!kernel.needsCorrection(elementOf(dims.left.value)))
    return kernel.zero({1, vectors});
  return kernel.signedCorrection(
      vectors, e.address(rightBase, e.mul(e.sub(panel, block.firstPanel), panelPitch), 1), stride, k);
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
    const Accumulators start = startOf(block, panel);
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
      kernel.store(tile, pointer, pitch,
                   kernel.accumulate(tile, runOf(block, panel, rows, row, first, depth),
                                     kernel.load(tile, pointer, pitch)));
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

ProductSchedule contractSchedule(ContractOp op, const TargetInfo &target) {
  const ContractDims dims(op);
  auto function = op->getParentOfType<kernel::FuncOp>();
  DictionaryAttr attribute = function ? function.getScheduleAttr() : DictionaryAttr();
  ProductShape shape = dims.shape(accumulatorType(elementOf(op.getResult())), dotKindOf(op));
  shape.packedRight = scheduleInteger(attribute, "panel_argument").has_value();
  return overridden(chooseProduct(shape, target), attribute);
}

bool canEmitContract(ContractOp op) {
  Type type = accumulatorType(elementOf(op.getResult()));
  return Epilogue::supports(op) && (type.isF32() || type.isF64() || type.isInteger(32) || type.isInteger(64));
}

LogicalResult emitContract(ValueEmitter &e, Operation *root, EmittedKernel &result) {
  ContractEmitter(e, cast<ContractOp>(root), result).emit();
  return success();
}

} // namespace tilewright::codegen
