//===- ConvStage.cpp - rows of a convolution's operand in scratch ---------===//
#include "codegen/emit/ConvStage.h"
#include "codegen/emit/Ops.h"

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

Type elementOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()).getElementType(); }

} // namespace

/// Bytes that are written at once.
int64_t ConvStage::vectorBytes() const { return kernel.lanes() * kernel.accumulatorBytes(); }

ConvStage::ConvStage(ValueEmitter &e, const MicroKernel &kernel, const ConvGeometry &geometry, int64_t rows)
    : e(e), kernel(kernel), g(geometry), channels(g.groups * g.groupChannels), bytes(kernel.leftBytes()),
      pixelBytes(llvm::alignTo(channels, kernel.group()) * bytes) {
  MLIRContext *context = e.b.getContext();
  Dims sizes(g.rank);
  for (int64_t d = 0; d < g.rank; ++d) {
    const int64_t reach = (g.taps[d] - 1) * g.rhsDilation[d] + 1;
    if (d == g.rank - 1)
      sizes[d] = (AffineExpr(g.out[d]) - 1) * g.strides[d] + reach;
    else
      sizes[d] = constantDim(context, d == g.rank - 2 ? (rows - 1) * g.strides[d] + reach : reach);
  }
  AffineExpr pitch = constantDim(context, pixelBytes);
  pitchValues.resize(g.rank);
  for (int64_t d = g.rank; d-- > 0;) {
    pitchValues[d] = e.dim(pitch);
    pitch = canonical(pitch * sizes[d]);
    if (d == g.rank - 1) // whole vectors are written beyond the last pixel
      pitch = canonical((pitch + (2 * vectorBytes() - 1)).floorDiv(vectorBytes()) * vectorBytes());
  }
  width = e.dim(sizes.back());
  scratch = e.reserveScratch(pitch);
  origin.assign(g.rank, Value());
  extents.assign(g.rank, Value());
  for (int64_t d = 0; d < g.rank; ++d)
    extents[d] = e.dim(sizes[d]);
}

void ConvStage::fill(const RowBlock &block) {
  image = block.image;
  for (int64_t d = 0; d + 1 < g.rank; ++d) {
    const bool last = d == g.rank - 2;
    origin[d] = e.sub(e.mul(block.index(g, d, block.first), g.strides[d]), e.dim(g.low[d]));
    if (last) {
      const int64_t reach = (g.taps[d] - 1) * g.rhsDilation[d] + 1;
      extents[d] = e.add(e.mul(e.add(e.sub(block.end, block.first), -1), g.strides[d]), reach);
    }
  }
  const Lanes saved = e.lanes;
  fillDim(0, {}, scratch);
  e.lanes = saved;
}

/// Position `p` along dimension d of the spread operand is its element p / lhsDilation, if that exists.
void ConvStage::fillDim(int64_t d, SmallVector<Value> position, Value to) {
  if (d == g.rank - 1) {
    fillRow(position, to);
    return;
  }
  e.loop(e.constant(0), extents[d], 1, [&](Value i) {
    Value p = e.add(origin[d], i), dilation = e.constant(g.lhsDilation[d]);
    Value row = e.address(to, e.mul(i, pitchValues[d]), 1);
    Value exists = e.both(e.less(e.constant(-1), p), e.less(p, e.mul(e.dim(g.in[d]), g.lhsDilation[d])));
    Value clamped = e.maximum(p, e.constant(0));
    if (g.lhsDilation[d] > 1)
      exists = e.both(exists, e.equal(e.remainder(clamped, dilation), e.constant(0)));
    SmallVector<Value> next(position);
    next.push_back(e.divide(clamped, dilation));
    e.guarded(
        exists, TypeRange(),
        [&] {
          fillDim(d + 1, next, row);
          return SmallVector<Value>{};
        },
        [&] {
          clear(d + 1, row);
          return SmallVector<Value>{};
        });
  });
}

/// Zeros at all positions of dimensions d and further in.
void ConvStage::clear(int64_t d, Value to) {
  if (d < g.rank - 1) {
    e.loop(e.constant(0), extents[d], 1,
           [&](Value i) { clear(d + 1, e.address(to, e.mul(i, pitchValues[d]), 1)); });
    return;
  }
  Value zero = kernel.zero({1, 1}).front();
  if (kernel.needsCorrection(elementOf(graph::ConvOp(g.op).getLhs())))
    zero = splatInteger(e, kernel.vectorType(), int32_t(0x80808080));
  e.loop(e.constant(0), e.mul(width, pixelBytes), vectorBytes(),
         [&](Value offset) { LLVM::StoreOp::create(e.b, e.loc, zero, e.address(to, offset, 1), bytes); });
}

void ConvStage::fillRow(ArrayRef<Value> position, Value to) {
  const int64_t d = g.rank - 1, dilation = g.lhsDilation[d];
  clear(d, to);
  Value low = e.dim(g.low[d]), zero = e.constant(0);
  // Elements [first, end) lie at columns element * dilation + low of the staged row.
  Value first = e.divide(e.add(e.maximum(e.sub(zero, low), zero), dilation - 1), e.constant(dilation));
  Value end = e.minimum(e.dim(g.in[d]), e.divide(e.add(e.maximum(e.sub(width, low), zero), dilation - 1),
                                                 e.constant(dilation)));
  Value origin = e.address(to, e.mul(low, pixelBytes), 1);
  if (copyContiguous(position, first, end, origin))
    return;
  channels * 2 >= kernel.lanes() ? copyPixels(position, first, end, origin)
                                 : copyAlongPixels(position, first, end, origin);
}

Indices ConvStage::indices(ArrayRef<Value> position, const Index &x, const Index &channel) {
  Indices result{e.uniform(image)};
  for (Value index : position)
    result.push_back(e.uniform(index));
  result.push_back(x);
  result.push_back(channel);
  return result;
}

Value ConvStage::toLeft(Value lanes) {
  return kernel.toLeft(e.spread(lanes), elementOf(graph::ConvOp(g.op).getLhs()));
}

/// Pixel by pixel, lanes along channels.
void ConvStage::copyPixels(ArrayRef<Value> position, Value first, Value end, Value to) {
  Value operand = graph::ConvOp(g.op).getLhs();
  const int64_t dilation = g.lhsDilation.back();
  e.loop(first, end, 1, [&](Value x) {
    Value pixel = e.address(to, e.mul(x, dilation), pixelBytes);
    e.laneLoop(e.constant(0), e.constant(channels), kernel.lanes(), [&](Value channel) {
      Value lanes = toLeft(e.at(operand, indices(position, e.uniform(x), e.lane(channel))));
      // Whole vectors: what hangs over is overwritten by the next pixel, or must be border.
      if (e.lanes.mask)
        lanes = arith::SelectOp::create(
            e.b, e.loc, e.lanes.mask, lanes,
            toLeft(splatConstant(e, ValueEmitter::computeType(elementOf(operand)), 0)));
      LLVM::StoreOp::create(e.b, e.loc, lanes, e.address(pixel, channel, bytes), bytes);
    });
  });
}

/// Channel by channel, lanes along x: for few channels, wherever they lie.
void ConvStage::copyAlongPixels(ArrayRef<Value> position, Value first, Value end, Value to) {
  Value operand = graph::ConvOp(g.op).getLhs();
  const int64_t dilation = g.lhsDilation.back();
  auto row = RankedTensorType::get({int64_t(1) << 40}, kernel.leftType());
  for (int64_t channel = 0; channel < channels; ++channel)
    e.laneLoop(first, end, kernel.lanes(), [&](Value x) {
      Value lanes = toLeft(e.at(operand, indices(position, e.lane(x), e.uniform(e.constant(channel)))));
      const int64_t step = dilation * (pixelBytes / bytes);
      e.store(row, to, {e.lane(e.add(e.mul(x, step), channel), step)}, lanes);
    });
}

/// The whole row at once, where pixels lie behind each other in an argument.
bool ConvStage::copyContiguous(ArrayRef<Value> position, Value first, Value end, Value to) {
  Value operand = graph::ConvOp(g.op).getLhs();
  auto view = viewOf(operand);
  auto is = [](AffineExpr expr, int64_t value) { return constantOf(expr) == std::optional<int64_t>(value); };
  if (!view || kernel.kind() != DotKind::Plain || elementOf(operand) != kernel.leftType() ||
      g.lhsDilation.back() != 1 || !is(view->strides.back(), 1) || !is(view->strides[g.rank], channels))
    return false;
  Value offset = e.add(e.dim(view->offset), e.mul(image, e.dim(view->strides.front())));
  for (auto [d, index] : llvm::enumerate(position))
    offset = e.add(offset, e.mul(index, e.dim(view->strides[d + 1])));
  Value from = e.address(e.kernel.pointers.lookup(view->argument), offset, bytes);
  auto type = RankedTensorType::get({int64_t(1) << 40}, kernel.vectorType().getElementType());
  e.laneLoop(e.mul(first, channels), e.mul(end, channels), kernel.lanes(),
             [&](Value i) { e.store(type, to, {e.lane(i)}, e.load(type, from, {e.lane(i)})); });
  return true;
}

} // namespace tilewright::codegen
