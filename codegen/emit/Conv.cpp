//===- Conv.cpp - dense and grouped convolutions as implicit matrix products ----------===//
//
// Output pixels of one row (tiles along x) are the rows of the product, taps x channels its depth, read where
// they lie: pixel i of a tile is a constant distance behind pixel i - 1, so a tile needs one address. Taps above
// and below the operand are skipped by loop bounds. At the left and right border, the pixels of a tile for which
// a tap exists form an interval that is known at compile time: the tap multiplies only their rows of the tile.
// No border is ever written or multiplied.
//
// Operands that are computed, spread out (transposed convolutions), or have few channels are copied row by row
// into scratch, with their border as zeros; then all tiles are alike.
//===----------------------------------------------------------------------===//
#include "codegen/emit/Conv.h"
#include "codegen/emit/Contract.h"
#include "codegen/emit/ConvStage.h"
#include "codegen/emit/RowTiles.h"
#include "codegen/emit/TileOutput.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

Type elementOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()).getElementType(); }

/// Taps [firstTap, endTap) along x multiply rows [firstRow, endRow) of a tile.
struct TapInterval {
  int64_t firstTap, endTap, firstRow, endRow;
  bool operator==(const TapInterval &) const = default;
};

/// Tiles [first, end) of a row, all of `rows` pixels and with the same taps.
struct TileClass {
  int64_t first, end, rows;
  SmallVector<TapInterval> taps;
};

/// Which part of the result is being computed.
struct Item {
  Value image;
  SmallVector<Value> outer; ///< indices of all rows' dimensions but the last
  Value firstRow, endRow;   ///< along the last of them
  Value group, panel;       ///< panel: within the group
};

class ConvEmitter {
public:
  ConvEmitter(ValueEmitter &e, ConvOp op, EmittedKernel &result);
  void emit();

private:
  void emitItems();
  void enterRows(Item &item, Value index);
  void enterPanel(Item &item, Value index);
  void emitItem(const Item &item);
  void emitBlockedItem(const Item &item);
  using TileBody = llvm::function_ref<void(Value y, const TileClass &tiles, Value firstPixel)>;
  void forEachTile(const Item &item, TileBody body);
  void classifyTiles();
  SmallVector<TapInterval> tapsOf(int64_t firstPixel, int64_t rows) const;
  Accumulators rowTaps(const Item &item, Value y, const TileClass &tiles, Value firstPixel, Accumulators sums);
  Accumulators outerTaps(int64_t d, const Item &item, Value y, Value left, Value panel, const TileClass &tiles, Accumulators sums);
  Accumulators lastTaps(Value left, Value panel, const TileClass &tiles, Value channels, Accumulators sums);
  Accumulators interval(const TapInterval &taps, Value left, Value panel, Value channels, Accumulators sums);
  std::pair<Value, Value> tapBounds(int64_t d, Value index);
  Indices indicesAt(const Item &item, Value y, Value pixel, const Index &column);

  ValueEmitter &e;
  ConvOp op;
  EmittedKernel &result;
  MLIRContext *context;
  ConvGeometry g;
  ConvSchedule schedule;
  std::optional<int64_t> panelArgument;
  MicroKernel kernel;
  RowTiles tiles;
  TileOutput output;
  int64_t vectors, groupPanels, bytes;
  SmallVector<TileClass> classes;
  // Where pixels are: element (spatial index, channel) of the current image or staged block.
  std::optional<StridedView> view;
  std::optional<ConvStage> stage;
  SmallVector<Value> pitches; ///< bytes between neighbours along each spatial dimension
  Value leftBase;             ///< of the current item: where padded index 0 of each dimension is
  Value panelBase, panelScratch;
  Value partial;              ///< scratch for the sums of an item where channels are cut
};

ConvEmitter::ConvEmitter(ValueEmitter &e, ConvOp op, EmittedKernel &result)
    : e(e), op(op), result(result), context(op.getContext()), g(op), schedule(convSchedule(op, e.kernel.target)),
      panelArgument(scheduleInteger(e.kernel.kernel.getScheduleAttr(), "panel_argument")),
      kernel(e, accumulatorType(elementOf(op.getResult())),
             panelArgument ? elementOf(e.kernel.kernel.getBody().getArgument(*panelArgument))
                           : accumulatorType(elementOf(op.getResult()))),
      tiles(e, g.out.back(), schedule.rows), output(e, kernel, op, schedule.rows, schedule.columns, tiles.isFixed()),
      vectors(schedule.columns / kernel.lanes()), groupPanels(llvm::divideCeil(g.groupOutputs, schedule.columns)),
      bytes(kernel.accumulatorBytes()) {}

void ConvEmitter::emit() {
  e.lanes = {kernel.lanes(), {}};
  if (schedule.staged) {
    stage.emplace(e, kernel, g, schedule.rowsPerItem);
    pitches = stage->pitches();
  } else {
    view = viewOf(op.getLhs());
    for (int64_t d = 0; d < g.rank; ++d)
      pitches.push_back(e.mul(e.dim(view->strides[d + 1]), bytes));
  }
  if (!panelArgument)
    panelScratch = e.reserveScratch(constantDim(context, llvm::alignTo(g.tapCount() * g.groupChannels, kernel.lanes()) * schedule.columns * bytes));
  if (schedule.channelBlock)
    partial = e.reserveScratch(canonical(g.out.back() * (schedule.rowsPerItem * schedule.columns * bytes)));
  classifyTiles();
  emitItems();
}

//===- Tiles along x -------------------------------------------------------------------===//

SmallVector<TapInterval> ConvEmitter::tapsOf(int64_t firstPixel, int64_t rows) const {
  SmallVector<TapInterval> taps;
  for (int64_t tap = 0; tap < g.lastTaps(); ++tap) {
    int64_t first = 0, end = rows;
    if (!schedule.staged) {
      const int64_t size = *constantOf(g.in.back()), offset = tap * g.rhsDilation.back() - *constantOf(g.low.back());
      auto inside = [&](int64_t row) {
        const int64_t x = (firstPixel + row) * g.strides.back() + offset;
        return x >= 0 && x < size;
      };
      while (first < end && !inside(first))
        ++first;
      while (end > first && !inside(end - 1))
        --end;
    }
    if (first == end)
      continue;
    if (!taps.empty() && taps.back().endTap == tap && taps.back().firstRow == first && taps.back().endRow == end)
      taps.back().endTap = tap + 1;
    else
      taps.push_back({tap, tap + 1, first, end});
  }
  return taps;
}

void ConvEmitter::classifyTiles() {
  if (schedule.staged || !tiles.isFixed())
    return;
  const int64_t count = *e.constantOf(tiles.count);
  for (int64_t tile = 0; tile < count; ++tile) {
    const int64_t first = *e.constantOf(tiles.firstRow(e.constant(tile)));
    const int64_t rows = *e.constantOf(tiles.firstRow(e.constant(tile + 1))) - first;
    SmallVector<TapInterval> taps = tapsOf(first, rows);
    if (!classes.empty() && classes.back().rows == rows && classes.back().taps == taps)
      classes.back().end = tile + 1;
    else
      classes.push_back({tile, tile + 1, rows, std::move(taps)});
  }
}

void ConvEmitter::forEachTile(const Item &item, TileBody body) {
  e.loop(item.firstRow, item.endRow, 1, [&](Value y) {
    for (const TileClass &some : classes) {
      if (some.end - some.first == 1) {
        body(y, some, tiles.firstRow(e.constant(some.first)));
        continue;
      }
      e.loop(e.constant(some.first), e.constant(some.end), 1, [&](Value tile) { body(y, some, tiles.firstRow(tile)); });
    }
    if (classes.empty())
      tiles.forEach(e.constant(0), tiles.count, [&](int64_t rows, Value first) { body(y, {0, 0, rows, tapsOf(0, rows)}, first); });
  });
}

//===- Work items ----------------------------------------------------------------------===//

void ConvEmitter::emitItems() {
  const int64_t panels = g.groups * groupPanels;
  AffineExpr lastRows = g.rank > 1 ? g.out[g.rank - 2] : constantDim(context, 1);
  AffineExpr rowBlocks = canonical((lastRows + (schedule.rowsPerItem - 1)).floorDiv(schedule.rowsPerItem));
  AffineExpr blocks = canonical(g.images * rowBlocks);
  for (int64_t d = 0; d + 2 < g.rank; ++d)
    blocks = canonical(blocks * g.out[d]);
  const bool rowsOuter = schedule.rowsOuter && panelArgument;
  result.extent = canonical(blocks * panels);
  Value inner = rowsOuter ? e.constant(panels) : e.dim(blocks), begin = e.kernel.begin, end = e.kernel.end;
  Value lastOuter = e.divide(e.add(end, e.add(inner, -1)), inner);
  e.loop(e.divide(begin, inner), lastOuter, 1, [&](Value outer) {
    Item item;
    Value first = e.mul(outer, inner);
    rowsOuter ? enterRows(item, outer) : enterPanel(item, outer);
    Value lo = e.maximum(e.sub(begin, first), e.constant(0)), hi = e.minimum(e.sub(end, first), inner);
    e.loop(lo, hi, 1, [&](Value index) {
      rowsOuter ? enterPanel(item, index) : enterRows(item, index);
      Value column = e.mul(item.panel, schedule.columns);
      output.enterPanel(column, e.constant(g.groupOutputs), g.groupOutputs % schedule.columns == 0);
      schedule.channelBlock ? emitBlockedItem(item) : emitItem(item);
    });
  });
}

void ConvEmitter::enterRows(Item &item, Value index) {
  AffineExpr lastRows = g.rank > 1 ? g.out[g.rank - 2] : constantDim(context, 1);
  Value blocks = e.dim(canonical((lastRows + (schedule.rowsPerItem - 1)).floorDiv(schedule.rowsPerItem)));
  item.firstRow = e.mul(e.remainder(index, blocks), schedule.rowsPerItem);
  item.endRow = e.minimum(e.add(item.firstRow, schedule.rowsPerItem), e.dim(lastRows));
  Value rest = e.divide(index, blocks);
  item.outer.assign(std::max<int64_t>(0, g.rank - 2), Value());
  for (int64_t d = g.rank - 2; d-- > 0;) {
    item.outer[d] = e.remainder(rest, e.dim(g.out[d]));
    rest = e.divide(rest, e.dim(g.out[d]));
  }
  item.image = rest;
  if (stage) {
    stage->fill(item.image, item.outer, item.firstRow, item.endRow);
    leftBase = stage->base();
    return;
  }
  Value offset = e.add(e.dim(view->offset), e.mul(item.image, e.dim(view->strides.front())));
  leftBase = e.address(e.kernel.pointers.lookup(view->argument), offset, bytes);
  for (int64_t d = 0; d < g.rank; ++d)
    leftBase = e.address(leftBase, e.sub(e.constant(0), e.mul(e.dim(g.low[d]), pitches[d])), 1);
}

void ConvEmitter::enterPanel(Item &item, Value index) {
  item.group = e.divide(index, e.constant(groupPanels));
  item.panel = e.remainder(index, e.constant(groupPanels));
  const int64_t depth = g.tapCount() * g.groupChannels;
  if (panelArgument) {
    Value pointer = e.kernel.pointers.lookup(e.kernel.kernel.getBody().getArgument(*panelArgument));
    panelBase = e.address(pointer, index, depth * schedule.columns * kernel.panelBytes());
    return;
  }
  panelBase = panelScratch;
  SmallVector<int64_t> contracted = llvm::to_vector(llvm::seq<int64_t>(0, g.rank + 1));
  const ProductOperand weights{op.getRhs(), DimGroup(op.getRhs(), {}), DimGroup(op.getRhs(), {g.rank + 1}), DimGroup(op.getRhs(), contracted)};
  packPanels(e, kernel, weights, e.constant(0), schedule.columns, item.panel, e.add(item.panel, 1), e.constant(depth), panelScratch, e.constant(0));
}

//===- One item -------------------------------------------------------------------------===//

void ConvEmitter::emitItem(const Item &item) {
  forEachTile(item, [&](Value y, const TileClass &some, Value pixel) {
    const MicroKernel::Tile tile{some.rows, vectors};
    const Accumulators sums = rowTaps(item, y, some, pixel, kernel.zero(tile));
    output.finish(tile, sums, [&](Value i, const Index &column) { return indicesAt(item, y, e.add(pixel, i), column); });
  });
}

/// Taps above and below, and channels in blocks, run outside the tiles over sums kept in scratch, so that what a
/// pass reads of the panel stays in the first-level cache for all tiles.
void ConvEmitter::emitBlockedItem(const Item &item) {
  Value width = e.dim(g.out.back());
  auto partialOf = [&](Value y, Value pixel) {
    return e.address(partial, e.add(e.mul(e.sub(y, item.firstRow), width), pixel), output.pitch());
  };
  forEachTile(item, [&](Value y, const TileClass &some, Value pixel) {
    const MicroKernel::Tile tile{some.rows, vectors};
    kernel.store(tile, partialOf(y, pixel), output.pitch(), kernel.zero(tile));
  });
  const int64_t block = std::min(schedule.channelBlock, g.groupChannels), panelStride = schedule.columns * kernel.panelBytes();
  const int64_t lastRowTaps = g.rank > 1 ? g.taps[g.rank - 2] : 1;
  const int64_t outerTapCount = g.tapCount() / g.lastTaps() / lastRowTaps;
  e.loop(e.constant(0), e.constant(outerTapCount * lastRowTaps), 1, [&](Value tap) {
    e.loop(e.constant(0), e.constant(g.groupChannels), block, [&](Value channel) {
      Value channels = g.groupChannels % block == 0 ? e.constant(block) : e.minimum(e.sub(e.constant(g.groupChannels), channel), e.constant(block));
      Value panel = e.address(e.address(panelBase, tap, g.lastTaps() * g.groupChannels * panelStride), channel, panelStride);
      forEachTile(item, [&](Value y, const TileClass &some, Value pixel) {
        // The address and the existence of this row of taps.
        Value left = e.address(leftBase, e.add(channel, e.mul(item.group, g.groupChannels)), bytes), exists;
        Value rest = tap;
        for (int64_t d = g.rank - 1; d-- > 0;) {
          Value index = d == g.rank - 2 ? y : item.outer[d], k = e.remainder(rest, e.constant(g.taps[d]));
          rest = e.divide(rest, e.constant(g.taps[d]));
          auto [lo, hi] = tapBounds(d, index);
          Value inside = e.both(e.less(k, hi), e.less(lo, e.add(k, 1)));
          exists = exists ? e.both(exists, inside) : inside;
          Value origin = stage && d == g.rank - 2 ? e.sub(index, item.firstRow) : stage ? e.constant(0) : index;
          left = e.address(left, e.mul(e.add(e.mul(origin, g.strides[d]), e.mul(k, g.rhsDilation[d])), pitches[d]), 1);
        }
        auto pass = [&] {
          const MicroKernel::Tile tile{some.rows, vectors};
          Value at = e.address(left, e.mul(e.mul(pixel, g.strides.back()), pitches.back()), 1), sums = partialOf(y, pixel);
          kernel.store(tile, sums, output.pitch(), lastTaps(at, panel, some, channels, kernel.load(tile, sums, output.pitch())));
        };
        exists ? e.guarded(exists, pass) : pass();
      });
    });
  });
  forEachTile(item, [&](Value y, const TileClass &some, Value pixel) {
    output.finishFrom(partialOf(y, pixel), some.rows, [&](Value i, const Index &column) { return indicesAt(item, y, e.add(pixel, i), column); });
  });
}

//===- Taps ------------------------------------------------------------------------------===//

/// The taps [lo, hi) along dimension d that lie inside the operand for output index `index`.
std::pair<Value, Value> ConvEmitter::tapBounds(int64_t d, Value index) {
  Value all = e.constant(g.taps[d]);
  if (g.alwaysInside(d))
    return {e.constant(0), all};
  Value origin = e.sub(e.dim(g.low[d]), e.mul(index, g.strides[d])), zero = e.constant(0);
  Value size = e.add(e.mul(e.add(e.dim(g.in[d]), -1), g.lhsDilation[d]), 1);
  auto firstFrom = [&](Value distance) { return e.minimum(e.ceilDivide(e.maximum(distance, zero), g.rhsDilation[d]), all); };
  return {firstFrom(origin), firstFrom(e.add(origin, size))};
}

Accumulators ConvEmitter::rowTaps(const Item &item, Value y, const TileClass &tiles, Value pixel, Accumulators sums) {
  Value left = e.address(leftBase, e.mul(item.group, g.groupChannels), bytes);
  left = e.address(left, e.mul(e.mul(pixel, g.strides.back()), pitches.back()), 1);
  return outerTaps(0, item, y, left, panelBase, tiles, std::move(sums));
}

Accumulators ConvEmitter::outerTaps(int64_t d, const Item &item, Value y, Value left, Value panel, const TileClass &tiles, Accumulators sums) {
  if (d == g.rank - 1)
    return lastTaps(left, panel, tiles, e.constant(g.groupChannels), std::move(sums));
  int64_t inner = g.groupChannels;
  for (int64_t k = d + 1; k < g.rank; ++k)
    inner *= g.taps[k];
  const bool last = d == g.rank - 2;
  Value index = last ? y : item.outer[d];
  Value origin = !stage ? index : last ? e.sub(index, item.firstRow) : e.constant(0);
  auto [lo, hi] = tapBounds(d, index);
  int64_t step = 1;
  if (g.lhsDilation[d] > 1 && g.rhsDilation[d] == 1) { // only every lhsDilation-th tap meets an element
    step = g.lhsDilation[d];
    Value phase = e.remainder(e.add(e.sub(e.mul(index, g.strides[d]), e.dim(g.low[d])), e.constant(step << 20)), e.constant(step));
    Value wanted = e.remainder(e.sub(e.constant(step), phase), e.constant(step));                       // tap = wanted mod step
    lo = e.add(lo, e.remainder(e.add(e.sub(wanted, lo), e.constant(int64_t(step) << 20)), e.constant(step)));
  }
  return e.loop(lo, hi, step, sums, [&](Value tap, ValueRange carried) {
    Value row = e.add(e.mul(origin, g.strides[d]), e.mul(tap, g.rhsDilation[d]));
    return outerTaps(d + 1, item, y, e.address(left, e.mul(row, pitches[d]), 1),
                     e.address(panel, tap, inner * schedule.columns * kernel.panelBytes()), tiles, Accumulators(carried));
  });
}

Accumulators ConvEmitter::lastTaps(Value left, Value panel, const TileClass &tiles, Value channels, Accumulators sums) {
  for (const TapInterval &taps : tiles.taps) {
    const int64_t first = taps.firstRow * vectors, count = (taps.endRow - taps.firstRow) * vectors;
    Accumulators some(ArrayRef(sums).slice(first, count));
    some = interval(taps, left, panel, channels, std::move(some));
    llvm::copy(some, sums.begin() + first);
  }
  return sums;
}

/// Taps that multiply the same rows of a tile. One run where taps and channels follow each other in memory.
Accumulators ConvEmitter::interval(const TapInterval &taps, Value left, Value panel, Value channels, Accumulators sums) {
  const MicroKernel::Tile tile{taps.endRow - taps.firstRow, vectors};
  const int64_t panelStride = schedule.columns * kernel.panelBytes(), count = taps.endTap - taps.firstTap;
  auto run = [&](Value tap, Value depth, ValueRange carried) {
    MicroKernel::Run run;
    Value x = e.add(e.mul(tap, g.rhsDilation.back()), taps.firstRow * g.strides.back());
    run.left = e.address(left, e.mul(x, pitches.back()), 1);
    run.rowStride = e.mul(pitches.back(), g.strides.back());
    run.depthStride = e.constant(bytes);
    run.panel = e.address(panel, tap, g.groupChannels * panelStride);
    run.panelStride = panelStride;
    run.depth = depth;
    return kernel.accumulate(tile, run, carried);
  };
  const auto pitch = e.constantOf(pitches.back()), depth = e.constantOf(channels);
  const bool adjacent = pitch && depth == std::optional<int64_t>(g.groupChannels) && *pitch * g.rhsDilation.back() == g.groupChannels * bytes;
  if (count == 1 || adjacent)
    return run(e.constant(taps.firstTap), count == 1 ? channels : e.constant(count * g.groupChannels), sums);
  return e.loop(e.constant(taps.firstTap), e.constant(taps.endTap), 1, sums, [&](Value tap, ValueRange carried) { return run(tap, channels, carried); });
}

Indices ConvEmitter::indicesAt(const Item &item, Value y, Value pixel, const Index &column) {
  Indices indices{e.uniform(item.image)};
  for (Value index : item.outer)
    indices.push_back(e.uniform(index));
  if (g.rank > 1)
    indices.push_back(e.uniform(y));
  indices.push_back(e.uniform(pixel));
  indices.push_back(e.add(column, e.uniform(e.mul(item.group, g.groupOutputs))));
  return indices;
}

} // namespace

LogicalResult emitConv(ValueEmitter &e, Operation *root, EmittedKernel &result) {
  auto op = cast<ConvOp>(root);
  if (ConvGeometry(op).depthwise())
    return emitDepthwise(e, op, result);
  ConvEmitter(e, op, result).emit();
  return success();
}

bool canEmitFast(Operation *root) {
  if (auto contract = dyn_cast<ContractOp>(root))
    return canEmitContract(contract);
  auto conv = dyn_cast<ConvOp>(root);
  return conv && canEmitConv(conv);
}

} // namespace tilewright::codegen
