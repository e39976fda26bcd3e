//===- Conv.cpp - dense and grouped convolutions as implicit matrix products ----------===//
//
// Output pixels of one row (tiles along x) are the rows of the product, taps x channels its depth, read where
// they lie: pixel i of a tile is a constant distance behind pixel i - 1, so a tile needs one address. Taps
// above and below the operand are skipped by loop bounds. At the left and right border, the pixels of a tile
// for which a tap exists form an interval that is known at compile time: the tap multiplies only their rows
// of the tile. No border is ever written or multiplied.
//
// Operands that are computed, spread out (transposed convolutions), or have few channels are copied row by
// row into scratch, with their border as zeros; then all tiles are alike.
//===----------------------------------------------------------------------===//
#include "codegen/emit/ConvStage.h"
#include "codegen/emit/Roots.h"
#include "codegen/emit/TileOutput.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

Type elementOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()).getElementType(); }

/// Which part of the result is being computed.
struct Item {
  RowBlock rows;
  Value group, panel; ///< panel: within the group
};

class ConvEmitter {
public:
  ConvEmitter(ValueEmitter &e, ConvOp op, EmittedKernel &result);
  void emit();

private:
  void emitItems();
  void enterRows(Item &item, Value index);
  void enterPanel(Item &item, Value index);
  Accumulators startOfSums();
  void emitItem(const Item &item);
  void emitBlockedItem(const Item &item);
  using TileBody = llvm::function_ref<void(Value y, const TileClass &tiles, Value firstPixel)>;
  void forEachTile(const Item &item, TileBody body);
  Value rowAddress(int64_t d, const Item &item, Value y, Value tap, Value left);
  Accumulators rowTaps(const Item &item, Value y, const TileClass &tiles, Value firstPixel,
                       Accumulators sums);
  Accumulators outerTaps(int64_t d, const Item &item, Value y, Value left, Value panel,
                         const TileClass &tiles, Accumulators sums);
  Accumulators lastTaps(Value left, Value panel, const TileClass &tiles, Value channels, Accumulators sums);
  Accumulators borderTaps(std::pair<Value, Value> bounds, Value left, Value panel, Value channels,
                          Accumulators sums);
  Accumulators tapByTap(MicroKernel::Tile tile, Value lo, Value hi, ValueRange sums,
                        llvm::function_ref<Accumulators(Value tap, ValueRange carried)> run);
  Accumulators interval(const TapInterval &taps, Value left, Value panel, Value channels, Accumulators sums);
  MicroKernel::Run runOf(Value left, Value panel, Value tap, Value x, Value depth);
  Indices indicesAt(const Item &item, Value y, Value pixel, const Index &column);

  ValueEmitter &e;
  ConvOp op;
  EmittedKernel &result;
  MLIRContext *context;
  ConvGeometry g;
  ConvTileSchedule schedule;
  MicroKernel kernel;
  ConvTiles tiles;
  TileOutput output;
  int64_t vectors, groupPanels;
  int64_t channelSteps, panelStride; ///< steps of a tap, bytes of a step
  bool signedLeft;                   ///< sums start from a correction that assumes all taps
  std::optional<StridedView> view;
  std::optional<ConvStage> stage;
  PixelMemory pixels; ///< of the current item; staged ones start at the item's first row
  Value panelBase, panelScratch;
  Value partial; ///< scratch for the sums of an item where channels are cut
  Value
      waiting; ///< scratch for the sums of a tile while those of a row of taps start anew; null: they do not
};

ConvEmitter::ConvEmitter(ValueEmitter &e, ConvOp op, EmittedKernel &result)
    : e(e), op(op), result(result), context(op.getContext()), g(op), schedule(e.kernel.schedule()),
      kernel(e, accumulatorType(elementOf(op.getResult())),
             schedule.packed ? elementOf(op.getRhs()) : accumulatorType(elementOf(op.getResult())), schedule,
             schedule.kind),
      tiles(e, g, schedule.rows, schedule.staged), output(e, kernel, op, schedule),
      vectors(schedule.columns / kernel.lanes()),
      groupPanels(llvm::divideCeil(g.groupOutputs, schedule.columns)),
      channelSteps(llvm::divideCeil(g.groupChannels, kernel.group())),
      panelStride(kernel.panelStride(schedule.columns)),
      signedLeft(kernel.needsCorrection(elementOf(op.getLhs()))) {}

void ConvEmitter::emit() {
  e.lanes = {kernel.lanes(), {}};
  if (schedule.staged)
    stage.emplace(e, kernel, g, schedule.itemRows);
  else
    view = viewOf(op.getLhs());
  if (!schedule.packed)
    panelScratch = e.reserveScratch(
        constantDim(context, llvm::alignTo(g.tapCount() * g.groupChannels, kernel.lanes()) * panelStride));
  if (schedule.channelBlock)
    partial = e.reserveScratch(canonical(g.out.back() * (schedule.itemRows * output.pitch())));
  else if (g.rank > 1 && kernel.isLong(g.tapCount() * channelSteps / 2))
    waiting = e.reserveScratch(constantDim(context, schedule.rows * output.pitch()));
  emitItems();
}

void ConvEmitter::forEachTile(const Item &item, TileBody body) {
  e.loop(item.rows.first, item.rows.end, 1,
         [&](Value y) { tiles.forEach([&](const TileClass &some, Value pixel) { body(y, some, pixel); }); });
}

//===- Work items ----------------------------------------------------------------------===//

void ConvEmitter::emitItems() {
  const int64_t panels = g.groups * groupPanels;
  AffineExpr blocks = RowBlock::count(g, schedule.itemRows);
  const bool rowsOuter = schedule.rowsOuter && schedule.packed;
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
  item.rows = RowBlock::decode(e, g, schedule.itemRows, index);
  if (!stage) {
    pixels = pixelsOf(e, g, *view, item.rows.image, kernel.leftBytes());
    return;
  }
  stage->fill(item.rows);
  pixels = stage->pixels();
}

void ConvEmitter::enterPanel(Item &item, Value index) {
  item.group = e.divide(index, e.constant(groupPanels));
  item.panel = e.remainder(index, e.constant(groupPanels));
  const int64_t depth = g.tapCount() * channelSteps;
  if (schedule.packed) {
    Value pointer = e.kernel.pointers.lookup(op.getRhs());
    panelBase = e.address(pointer, index, depth * panelStride);
    return;
  }
  panelBase = panelScratch;
  SmallVector<int64_t> contracted = llvm::to_vector(llvm::seq<int64_t>(0, g.rank + 1));
  const ProductOperand weights{op.getRhs(), DimGroup(op.getRhs(), {}), DimGroup(op.getRhs(), {g.rank + 1}),
                               DimGroup(op.getRhs(), contracted)};
  packPanels(e, kernel, weights, e.constant(0), schedule.columns, item.panel, e.add(item.panel, 1),
             e.constant(depth), panelScratch, e.constant(0));
}

//===- One item -------------------------------------------------------------------------===//

/// What a row of sums starts from.
Accumulators ConvEmitter::startOfSums() {
  if (!signedLeft)
    return kernel.zero({1, vectors});
  return kernel.signedCorrection(vectors, panelBase, panelStride, e.constant(g.tapCount() * channelSteps));
}

void ConvEmitter::emitItem(const Item &item) {
  const Accumulators start = startOfSums();
  forEachTile(item, [&](Value y, const TileClass &some, Value pixel) {
    const MicroKernel::Tile tile{some.rows, vectors};
    const Accumulators sums = rowTaps(item, y, some, pixel, kernel.repeated(start, some.rows));
    output.finish(tile, sums,
                  [&](Value i, const Index &column) { return indicesAt(item, y, e.add(pixel, i), column); });
  });
}

/// Taps above and below, and channels in blocks, run outside the tiles over sums kept in scratch, so that
/// what a pass reads of the panel stays in the first-level cache for all tiles.
void ConvEmitter::emitBlockedItem(const Item &item) {
  Value width = e.dim(g.out.back());
  auto partialOf = [&](Value y, Value pixel) {
    return e.address(partial, e.add(e.mul(e.sub(y, item.rows.first), width), pixel), output.pitch());
  };
  const Accumulators start = startOfSums();
  Value pixelCount = e.mul(e.sub(item.rows.end, item.rows.first), width);
  e.loop(e.constant(0), pixelCount, 1, [&](Value i) {
    kernel.store({1, vectors}, e.address(partial, i, output.pitch()), output.pitch(), start);
  });
  const int64_t block = std::min(schedule.channelBlock, channelSteps);
  const int64_t lastRowTaps = g.rank > 1 ? g.taps[g.rank - 2] : 1;
  const int64_t outerTapCount = g.tapCount() / g.lastTaps() / lastRowTaps;
  e.loop(e.constant(0), e.constant(outerTapCount * lastRowTaps), 1, [&](Value tap) {
    e.loop(e.constant(0), e.constant(channelSteps), block, [&](Value channel) {
      Value channels = channelSteps % block == 0
                           ? e.constant(block)
                           : e.minimum(e.sub(e.constant(channelSteps), channel), e.constant(block));
      Value panel = e.address(e.address(panelBase, tap, g.lastTaps() * channelSteps * panelStride), channel,
                              panelStride);
      forEachTile(item, [&](Value y, const TileClass &some, Value pixel) {
        Value left =
            e.address(pixels.base, e.add(e.mul(channel, kernel.group()), e.mul(item.group, g.groupChannels)),
                      kernel.leftBytes());
        Value exists, rest = tap;
        for (int64_t d = g.rank - 1; d-- > 0;) {
          Value k = e.remainder(rest, e.constant(g.taps[d]));
          rest = e.divide(rest, e.constant(g.taps[d]));
          auto [lo, hi] = tapBounds(e, g, d, item.rows.index(g, d, y));
          Value inside = e.both(e.less(k, hi), e.less(lo, e.add(k, 1)));
          if (!signedLeft)
            exists = exists ? e.both(exists, inside) : inside;
          left = rowAddress(d, item, y, k, left);
        }
        auto pass = [&] {
          const MicroKernel::Tile tile{some.rows, vectors};
          Value at = e.address(left, e.mul(e.mul(pixel, g.strides.back()), pixels.pitches.back()), 1),
                before = partialOf(y, pixel);
          const Accumulators sums = lastTaps(at, panel, some, channels, kernel.zero(tile));
          kernel.store(tile, before, output.pitch(),
                       kernel.plus(kernel.load(tile, before, output.pitch()), sums));
        };
        exists ? e.guarded(exists, pass) : pass();
      });
    });
  });
  forEachTile(item, [&](Value y, const TileClass &some, Value pixel) {
    output.finishFrom(partialOf(y, pixel), some.rows, [&](Value i, const Index &column) {
      return indicesAt(item, y, e.add(pixel, i), column);
    });
  });
}

//===- Taps ------------------------------------------------------------------------------===//

/// `left` moved to the row that tap `tap` of dimension d reads.
Value ConvEmitter::rowAddress(int64_t d, const Item &item, Value y, Value tap, Value left) {
  Value index = item.rows.index(g, d, y);
  if (stage)
    index = d == g.rank - 2 ? e.sub(index, item.rows.first) : e.constant(0);
  Value row = e.add(e.mul(index, g.strides[d]), e.mul(tap, g.rhsDilation[d]));
  return e.address(left, e.mul(row, pixels.pitches[d]), 1);
}

Accumulators ConvEmitter::rowTaps(const Item &item, Value y, const TileClass &tiles, Value pixel,
                                  Accumulators sums) {
  Value left = e.address(pixels.base, e.mul(item.group, g.groupChannels), kernel.leftBytes());
  left = e.address(left, e.mul(e.mul(pixel, g.strides.back()), pixels.pitches.back()), 1);
  const MicroKernel::Tile tile{tiles.rows, vectors};
  if (!waiting)
    return outerTaps(0, item, y, left, panelBase, tiles, std::move(sums));
  kernel.store(tile, waiting, kernel.pitchOf(tile), sums);
  outerTaps(0, item, y, left, panelBase, tiles, {});
  return kernel.load(tile, waiting, kernel.pitchOf(tile));
}

Accumulators ConvEmitter::outerTaps(int64_t d, const Item &item, Value y, Value left, Value panel,
                                    const TileClass &tiles, Accumulators sums) {
  if (d == g.rank - 1 && !waiting)
    return lastTaps(left, panel, tiles, e.constant(channelSteps), std::move(sums));
  if (d == g.rank - 1) {
    const MicroKernel::Tile tile{tiles.rows, vectors};
    const Accumulators row = lastTaps(left, panel, tiles, e.constant(channelSteps), kernel.zero(tile));
    kernel.store(tile, waiting, kernel.pitchOf(tile),
                 kernel.plus(kernel.load(tile, waiting, kernel.pitchOf(tile)), row));
    return {};
  }
  int64_t inner = channelSteps;
  for (int64_t k = d + 1; k < g.rank; ++k)
    inner *= g.taps[k];
  Value index = item.rows.index(g, d, y);
  auto [lo, hi] = signedLeft ? std::pair(e.constant(0), e.constant(g.taps[d])) : tapBounds(e, g, d, index);
  int64_t step = 1;
  if (g.lhsDilation[d] > 1 && g.rhsDilation[d] == 1 &&
      !signedLeft) { // only every lhsDilation-th tap meets an element
    step = g.lhsDilation[d];
    Value phase = e.remainder(
        e.add(e.sub(e.mul(index, g.strides[d]), e.dim(g.low[d])), e.constant(step << 20)), e.constant(step));
    Value wanted = e.remainder(e.sub(e.constant(step), phase), e.constant(step)); // tap = wanted mod step
    lo = e.add(lo, e.remainder(e.add(e.sub(wanted, lo), e.constant(int64_t(step) << 20)), e.constant(step)));
  }
  return e.loop(lo, hi, step, sums, [&](Value tap, ValueRange carried) {
    return outerTaps(d + 1, item, y, rowAddress(d, item, y, tap, left),
                     e.address(panel, tap, inner * panelStride), tiles, Accumulators(carried));
  });
}

Accumulators ConvEmitter::lastTaps(Value left, Value panel, const TileClass &tiles, Value channels,
                                   Accumulators sums) {
  if (tiles.border)
    return borderTaps(*tiles.border, left, panel, channels, std::move(sums));
  for (const TapInterval &taps : tiles.taps) {
    const int64_t first = taps.firstRow * vectors, count = (taps.endRow - taps.firstRow) * vectors;
    Accumulators some(ArrayRef(sums).slice(first, count));
    some = interval(taps, left, panel, channels, std::move(some));
    llvm::copy(some, sums.begin() + first);
  }
  return sums;
}

Accumulators ConvEmitter::borderTaps(std::pair<Value, Value> bounds, Value left, Value panel, Value channels,
                                     Accumulators sums) {
  const MicroKernel::Tile tile{1, vectors};
  return tapByTap(tile, bounds.first, bounds.second, sums, [&](Value tap, ValueRange carried) {
    return kernel.accumulate(tile, runOf(left, panel, tap, e.mul(tap, g.rhsDilation.back()), channels),
                             carried);
  });
}

/// Taps [lo, hi) of a row, one run each. Many steps start anew in blocks, as the kernel's own do.
Accumulators ConvEmitter::tapByTap(MicroKernel::Tile tile, Value lo, Value hi, ValueRange sums,
                                   llvm::function_ref<Accumulators(Value tap, ValueRange carried)> run) {
  auto taps = [&](Value first, Value end, ValueRange carried) { return e.loop(first, end, 1, carried, run); };
  if (!kernel.isLong(g.lastTaps() * channelSteps))
    return taps(lo, hi, sums);
  const int64_t block = std::max<int64_t>(1, MicroKernel::longestSum / channelSteps);
  return e.loop(lo, hi, block, sums, [&](Value first, ValueRange carried) {
    return kernel.plus(carried, taps(first, e.minimum(e.add(first, block), hi), kernel.zero(tile)));
  });
}

/// `depth` steps of a tap whose first row is `x` positions from `left`.
MicroKernel::Run ConvEmitter::runOf(Value left, Value panel, Value tap, Value x, Value depth) {
  MicroKernel::Run run;
  run.left = e.address(left, e.mul(x, pixels.pitches.back()), 1);
  run.rowStride = e.mul(pixels.pitches.back(), g.strides.back());
  run.depthStride = e.constant(kernel.leftBytes() * kernel.group());
  run.panel = e.address(panel, tap, channelSteps * panelStride);
  run.panelStride = panelStride;
  run.depth = depth;
  run.mostDepth = channelSteps * g.lastTaps();
  return run;
}

/// Taps that multiply the same rows of a tile. One run where taps and channels follow each other in memory.
Accumulators ConvEmitter::interval(const TapInterval &taps, Value left, Value panel, Value channels,
                                   Accumulators sums) {
  const MicroKernel::Tile tile{taps.endRow - taps.firstRow, vectors};
  const int64_t count = taps.endTap - taps.firstTap;
  auto run = [&](Value tap, Value depth, ValueRange carried) {
    Value x = e.add(e.mul(tap, g.rhsDilation.back()), taps.firstRow * g.strides.back());
    return kernel.accumulate(tile, runOf(left, panel, tap, x, depth), carried);
  };
  const auto pitch = e.constantOf(pixels.pitches.back()), depth = e.constantOf(channels);
  const bool adjacent = pitch && depth == std::optional<int64_t>(channelSteps) &&
                        *pitch * g.rhsDilation.back() == channelSteps * kernel.group() * kernel.leftBytes();
  if (count == 1 || adjacent)
    return run(e.constant(taps.firstTap), count == 1 ? channels : e.constant(count * channelSteps), sums);
  return tapByTap(tile, e.constant(taps.firstTap), e.constant(taps.endTap), sums,
                  [&](Value tap, ValueRange carried) { return run(tap, channels, carried); });
}

Indices ConvEmitter::indicesAt(const Item &item, Value y, Value pixel, const Index &column) {
  return resultIndices(e, g, item.rows, y, pixel,
                       e.add(column, e.uniform(e.mul(item.group, g.groupOutputs))));
}

} // namespace

LogicalResult emitConv(ValueEmitter &e, Operation *root, EmittedKernel &result) {
  ConvEmitter(e, cast<ConvOp>(root), result).emit();
  return success();
}

} // namespace tilewright::codegen
