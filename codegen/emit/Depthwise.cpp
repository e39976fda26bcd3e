//===- Depthwise.cpp - convolutions of each channel by itself, or within small groups ---===//
//
// Lanes run along channels. A tile of pixels along x keeps one sum each; a row of taps loads each pixel that
// any of them needs once, and the taps' weights. In groups, one channel after the other is spread over the
// lanes of its group: a permutation serves all taps that meet the pixel. Borders as in Conv.cpp: rows of taps
// by loop bounds, columns by the tile's class, each pixel of which multiplies the taps that exist for it.
//===----------------------------------------------------------------------===//
#include "codegen/emit/ConvStage.h"
#include "codegen/emit/Ops.h"
#include "codegen/emit/Roots.h"
#include "codegen/emit/TileOutput.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

Type elementOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()).getElementType(); }

class DepthwiseEmitter {
public:
  DepthwiseEmitter(ValueEmitter &e, ConvOp op, EmittedKernel &result);
  void emit();

private:
  void enterRows(Value index);
  void emitTile(Value y, Value channel, const TileClass &some, Value pixel);
  Accumulators outerTaps(int64_t d, Value y, Value left, Value firstTap, const TileClass &some,
                         Accumulators sums);
  Accumulators lastTaps(Value left, Value firstTap, const TileClass &some, Accumulators sums);
  Accumulators borderTaps(std::pair<Value, Value> bounds, Value left, Value firstTap, Accumulators sums);
  Value loadLanes(Value address, Type element, int64_t elementBytes, bool padded);
  Value loadPixel(Value address) {
    return loadLanes(address, kernel.vectorType().getElementType(), bytes, false);
  }
  Value loadWeights(Value tap, int64_t groupChannel);
  Value spreadChannel(Value pixel, int64_t groupChannel);

  ValueEmitter &e;
  ConvOp op;
  EmittedKernel &result;
  ConvGeometry g;
  ConvLaneSchedule schedule;
  MicroKernel kernel;
  ConvTiles tiles;
  TileOutput output;
  int64_t channels, bytes, weightPitch; ///< elements between taps
  std::optional<StridedView> view;
  std::optional<ConvStage> stage;
  RowBlock rows;
  PixelMemory pixels;
  Value weights, channel, mask;
};

DepthwiseEmitter::DepthwiseEmitter(ValueEmitter &e, ConvOp op, EmittedKernel &result)
    : e(e), op(op), result(result), g(op), schedule(e.kernel.schedule()),
      kernel(e, accumulatorType(elementOf(op.getResult())), elementOf(op.getResult()), schedule),
      tiles(e, g, schedule.rows, schedule.staged), output(e, kernel, op, schedule), channels(g.channels()),
      bytes(kernel.accumulatorBytes()), weightPitch(channels) {
  weights = e.kernel.pointers.lookup(schedule.packed ? op.getRhs() : viewOf(op.getRhs())->argument);
  if (schedule.packed)
    weightPitch = llvm::alignTo(channels, kernel.lanes());
}

void DepthwiseEmitter::emit() {
  e.lanes = {kernel.lanes(), {}};
  if (schedule.staged)
    stage.emplace(e, kernel, g, schedule.itemRows);
  else
    view = viewOf(op.getLhs());
  const int64_t vectors = llvm::divideCeil(channels, kernel.lanes());
  const int64_t perPart = llvm::divideCeil(vectors, schedule.channelParts),
                count = llvm::divideCeil(vectors, perPart);
  result.extent = canonical(RowBlock::count(g, schedule.itemRows) * count);
  e.loop(e.kernel.begin, e.kernel.end, 1, [&](Value item) {
    enterRows(e.divide(item, e.constant(count)));
    Value first = e.mul(e.remainder(item, e.constant(count)), perPart * kernel.lanes());
    Value end = e.minimum(e.add(first, perPart * kernel.lanes()), e.constant(channels));
    e.loop(rows.first, rows.end, 1, [&](Value y) {
      tiles.forEach([&](const TileClass &some, Value pixel) {
        e.loop(first, end, kernel.lanes(), [&](Value channel) { emitTile(y, channel, some, pixel); });
      });
    });
  });
}

void DepthwiseEmitter::enterRows(Value index) {
  rows = RowBlock::decode(e, g, schedule.itemRows, index);
  if (stage) {
    stage->fill(rows);
    pixels = stage->pixels();
  } else {
    pixels = pixelsOf(e, g, *view, rows.image, bytes);
  }
}

void DepthwiseEmitter::emitTile(Value y, Value channel, const TileClass &some, Value pixel) {
  const bool exact = channels % kernel.lanes() == 0;
  mask = exact ? Value() : e.laneMask(channel, e.constant(channels), kernel.lanes());
  this->channel = channel;
  output.enterPanel(channel, e.constant(channels), exact);
  Value left = e.address(e.address(pixels.base, channel, bytes),
                         e.mul(e.mul(pixel, g.strides.back()), pixels.pitches.back()), 1);
  const MicroKernel::Tile tile{some.rows, 1};
  const Accumulators sums = outerTaps(0, y, left, e.constant(0), some, kernel.zero(tile));
  output.finish(tile, sums, [&](Value i, const Index &column) {
    return resultIndices(e, g, rows, y, e.add(pixel, i), column);
  });
}

Accumulators DepthwiseEmitter::outerTaps(int64_t d, Value y, Value left, Value firstTap,
                                         const TileClass &some, Accumulators sums) {
  if (d == g.rank - 1)
    return some.border ? borderTaps(*some.border, left, firstTap, std::move(sums))
                       : lastTaps(left, firstTap, some, std::move(sums));
  Value index = rows.index(g, d, y), origin = index;
  if (stage)
    origin = d == g.rank - 2 ? e.sub(index, rows.first) : e.constant(0);
  auto [lo, hi] = tapBounds(e, g, d, index);
  return e.loop(lo, hi, 1, sums, [&](Value tap, ValueRange carried) {
    Value row = e.add(e.mul(origin, g.strides[d]), e.mul(tap, g.rhsDilation[d]));
    return outerTaps(d + 1, y, e.address(left, e.mul(row, pixels.pitches[d]), 1),
                     e.mul(e.add(firstTap, tap), g.taps[d + 1]), some, Accumulators(carried));
  });
}

Value DepthwiseEmitter::loadLanes(Value address, Type element, int64_t elementBytes, bool padded) {
  auto type = VectorType::get({kernel.lanes()}, element);
  if (!mask || padded)
    return LLVM::LoadOp::create(e.b, e.loc, type, address, elementBytes);
  Value zero = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(type));
  return LLVM::MaskedLoadOp::create(e.b, e.loc, type, address, mask, zero,
                                    e.b.getI32IntegerAttr(elementBytes));
}

/// Weights stay as narrow as the model has them, and are widened as they are loaded.
Value DepthwiseEmitter::loadWeights(Value tap, int64_t groupChannel) {
  const Type element = elementOf(op.getRhs());
  const int64_t elementBytes = graph::byteWidth(element);
  Value row = e.add(e.mul(tap, g.groupChannels), groupChannel);
  Value stored = loadLanes(e.address(weights, e.add(e.mul(row, weightPitch), channel), elementBytes),
                           storageType(element), elementBytes, schedule.packed);
  return widen(e, fromStorage(e, stored, element), element, kernel.vectorType().getElementType());
}

/// In every lane the `groupChannel`-th channel of the lane's group.
Value DepthwiseEmitter::spreadChannel(Value pixel, int64_t groupChannel) {
  if (g.groupChannels == 1)
    return pixel;
  SmallVector<int64_t> sources;
  for (int64_t lane = 0; lane < kernel.lanes(); ++lane)
    sources.push_back(lane / g.groupChannels * g.groupChannels + groupChannel);
  return vector::ShuffleOp::create(e.b, e.loc, pixel, pixel, sources);
}

Accumulators DepthwiseEmitter::lastTaps(Value left, Value firstTap, const TileClass &some,
                                        Accumulators sums) {
  llvm::DenseMap<int64_t, Value> columns; // by distance from the tile's first pixel
  for (int64_t c = 0; c < g.groupChannels; ++c) {
    llvm::DenseMap<int64_t, Value> spread;
    for (const TapInterval &taps : some.taps)
      for (int64_t tap = taps.firstTap; tap < taps.endTap; ++tap) {
        Value weight = loadWeights(e.add(firstTap, tap), c);
        for (int64_t row = taps.firstRow; row < taps.endRow; ++row) {
          const int64_t x = row * g.strides.back() + tap * g.rhsDilation.back();
          Value &column = columns[x], &here = spread[x];
          if (!column)
            column = loadPixel(e.address(left, e.mul(pixels.pitches.back(), x), 1));
          if (!here)
            here = spreadChannel(column, c);
          sums[row] = kernel.multiplyAdd(here, weight, sums[row]);
        }
      }
  }
  return sums;
}

Accumulators DepthwiseEmitter::borderTaps(std::pair<Value, Value> bounds, Value left, Value firstTap,
                                          Accumulators sums) {
  return e.loop(bounds.first, bounds.second, 1, sums, [&](Value tap, ValueRange carried) {
    Value column =
        loadPixel(e.address(left, e.mul(e.mul(tap, g.rhsDilation.back()), pixels.pitches.back()), 1));
    Accumulators sum(carried);
    for (int64_t c = 0; c < g.groupChannels; ++c)
      sum[0] = kernel.multiplyAdd(spreadChannel(column, c), loadWeights(e.add(firstTap, tap), c), sum[0]);
    return sum;
  });
}

} // namespace

LogicalResult emitConvLanes(ValueEmitter &e, Operation *root, EmittedKernel &result) {
  DepthwiseEmitter(e, cast<ConvOp>(root), result).emit();
  return success();
}

} // namespace tilewright::codegen
