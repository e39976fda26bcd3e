/// Convolution.cpp - Conv, ConvTranspose, DeformConv, CausalConvWithState.
#include "frontend/ops/Spatial.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::BinaryKind;
using graph::CompareKind;
using graph::PadMode;
using graph::UnaryKind;

/// y + bias along the channels, if there is a bias at `index` (TW2005 unless it has one entry a channel).
static Value addBias(NodeImporter &n, Value y, size_t index) {
  if (!n.has(index))
    return y;
  Value bias = n.operand(index);
  if (!requireRank(n, bias, 1, 1, "the bias") || !requireSameElements(n, {y, bias}) ||
      !n.requireEqual(dimsOf(bias)[0], dimsOf(y)[1], "the bias and the output channels"))
    return {};
  bias = withSize(n, bias, 0, dimsOf(y)[1]);
  return n.add(y, alongAxis(n, bias, 1, GraphBuilder::rank(y)));
}

/// The convolution of the node's operands and its bias, or null.
Value convolution(NodeImporter &n) {
  if (!require(n, 2) || !requireSameElements(n, {n.operand(0), n.operand(1)}))
    return {};
  Value x = n.operand(0), w = n.operand(1);
  int64_t groups = n.intAttr("group", 1);
  if (!requireFloat(n, x) || !requireConvolution(n, x, w, groups))
    return {};
  std::optional<Spatial> s = spatialAttributes(n, spatialDims(x), spatialDims(w));
  std::optional<Dims> sizes = s ? outputSizes(n, *s) : std::nullopt;
  if (!sizes)
    return {};
  SmallVector<int64_t> ones(s->strides.size(), 1);
  Value y = n.conv(x, w, s->strides, s->low, ones, s->dilations, groups, *sizes);
  return addBias(n, y, 2);
}

void importConv(NodeImporter &n) { n.result(0, convolution(n)); }

//===- ConvTranspose ------------------------------------------------------------------===//

/// [C, O/groups, kernel...] to [O, C/groups, kernel...], kernels reversed: what the equivalent convolution
/// takes.
static Value transposedWeight(NodeImporter &n, Value w, int64_t groups, AffineExpr depth) {
  Dims shape = dimsOf(w), split = {n.dim(groups), depth, shape[1]};
  Dims joined = {canonical(shape[1] * groups), split[1]};
  SmallVector<int64_t> perm = {0, 2, 1};
  for (size_t i = 2; i < shape.size(); ++i) {
    split.push_back(shape[i]);
    joined.push_back(shape[i]);
    perm.push_back(i + 1);
  }
  w = n.reshape(n.transpose(n.reshape(w, split), perm), joined);
  for (size_t i = 2; i < shape.size(); ++i)
    w = flip(n, w, i);
  return w;
}

struct TransposedSizes {
  Dims output, low; ///< low pad of the input after it was spread
};

/// Output sizes and pads: output_shape, else auto_pad's, decide the pads; else the pads decide the sizes.
static std::optional<TransposedSizes> transposedSizes(NodeImporter &n, const Spatial &s) {
  size_t count = s.input.size();
  std::optional<SmallVector<int64_t>> extra = spatialInts(n, "output_padding", count, 0);
  std::optional<SmallVector<int64_t>> wanted = n.intsAttr("output_shape");
  if (!extra)
    return std::nullopt;
  if (wanted && wanted->size() == count + 2) // some exporters include batch and channels
    wanted->erase(wanted->begin(), wanted->begin() + 2);
  if (wanted && !wanted->empty() && wanted->size() != count)
    return n.fail("TW1205", "output_shape has " + llvm::Twine(wanted->size()) + " entries"), std::nullopt;
  std::string mode = n.stringAttr("auto_pad", "NOTSET");
  bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER", given = wanted && !wanted->empty();
  TransposedSizes result;
  for (size_t i = 0; i < count; ++i) {
    AffineExpr extent = windowExtent(s, i);
    AffineExpr full = difference(s.input[i], n.dim(1)) * s.strides[i] + extent + (*extra)[i];
    AffineExpr size = full - s.low[i] - s.high[i], low = s.low[i];
    if (given || same) {
      // SAME wants input * stride elements, but pads cannot be negative: there may be fewer.
      AffineExpr target = given ? n.dim((*wanted)[i]) : product(s.input[i], n.dim(s.strides[i]));
      AffineExpr total = n.symbols.maximum(canonical(full - target), n.dim(0)), half = total.floorDiv(2);
      low = mode == "SAME_UPPER" ? half : total - half;
      size = given ? target : full - total;
    }
    result.output.push_back(canonical(size));
    result.low.push_back(canonical(extent - 1 - low));
    if (!n.requireAtLeast(result.output.back(), n.dim(0),
                          "what the pads leave of spatial dimension " + llvm::Twine(i)))
      return std::nullopt;
  }
  return result;
}

void importConvTranspose(NodeImporter &n) {
  if (!require(n, 2) || !requireSameElements(n, {n.operand(0), n.operand(1)}))
    return;
  Value x = n.operand(0), w = n.operand(1);
  int64_t groups = n.intAttr("group", 1), rank = GraphBuilder::rank(x);
  if (!requireFloat(n, x) || !requireRank(n, x, 3, INT64_MAX, "the input") ||
      !requireRank(n, w, rank, rank, "the weight"))
    return;
  AffineExpr channels = dimsOf(w)[0];
  std::optional<AffineExpr> depth = evenParts(n, channels, groups, "the input channels of all groups");
  if (!depth || !n.requireEqual(dimsOf(x)[1], channels, "the input's channels and the weight's"))
    return;
  x = withSize(n, x, 1, channels);
  std::optional<Spatial> s = spatialAttributes(n, spatialDims(x), spatialDims(w));
  std::optional<TransposedSizes> sizes = s ? transposedSizes(n, *s) : std::nullopt;
  if (!sizes)
    return;
  SmallVector<int64_t> ones(s->strides.size(), 1);
  Value y = n.conv(x, transposedWeight(n, w, groups, *depth), ones, sizes->low, s->strides, s->dilations,
                   groups, sizes->output);
  n.result(0, addBias(n, y, 2));
}

//===- DeformConv ---------------------------------------------------------------------===//

namespace {
/// Sampling of [N, channels, spatial...] at fractional positions, one set for each offset group and kernel
/// tap.
struct DeformableSampler {
  NodeImporter &n;
  Value x; ///< [N, offset groups, channels a group, elements of the plane]
  Dims plane;
  SmallVector<Value> positions; ///< for each spatial dimension [N, offset groups, taps * outputs]

  /// The samples' neighbours on one side each (bit d of `corner`: the upper one along d), weighted.
  Value corner(unsigned corner) const;
  Value sample() const;
};
} // namespace

Value DeformableSampler::corner(unsigned corner) const {
  Type element = GraphBuilder::elementType(x), index = signedType(n, 64);
  Value flat, weight, inside;
  for (size_t d = 0; d < plane.size(); ++d) {
    Value size = dimValue(n, plane[d], element), floor = n.unary(UnaryKind::floor, positions[d]);
    Value fraction = n.sub(positions[d], floor);
    bool upper = corner >> d & 1;
    Value at = upper ? n.add(floor, n.like(floor, 1)) : floor;
    Value part = upper ? fraction : n.sub(n.like(fraction, 1), fraction);
    Value last = n.sub(size, n.like(size, 1));
    Value within = n.binary(BinaryKind::iand, n.compare(CompareKind::ge, at, n.like(at, 0)),
                            n.compare(CompareKind::le, at, last));
    Value cell = n.cast(n.minimum(n.maximum(at, n.like(at, 0)), last), index);
    flat = flat ? n.add(n.mul(flat, dimValue(n, plane[d], index)), cell) : cell;
    weight = weight ? n.mul(weight, part) : part;
    inside = inside ? n.binary(BinaryKind::iand, inside, within) : within;
  }
  Dims shape = dimsOf(x), cells = dimsOf(flat);
  Value taken =
      gatherElements(n, x, n.broadcastInDims(flat, {shape[0], shape[1], shape[2], cells[2]}, {0, 1, 3}), 3);
  return n.mul(taken, n.unsqueeze(n.select(inside, weight, n.like(weight, 0)), {2}));
}

Value DeformableSampler::sample() const {
  Value sum;
  for (unsigned c = 0; c < 1u << plane.size(); ++c)
    sum = sum ? n.add(sum, corner(c)) : corner(c);
  return sum;
}

/// Where each tap of each window samples along dimension d: [N, offset groups, taps, outputs...].
static Value tapPositions(NodeImporter &n, const Spatial &s, Value offset, size_t d,
                          ArrayRef<int64_t> kernel) {
  // offset is [N, offset groups, taps, spatial rank, outputs...]
  Dims shape = dimsOf(offset);
  Value own = n.squeeze(n.sliceAxis(offset, 3, n.dim(d), n.dim(1)), {3});
  Type element = GraphBuilder::elementType(offset), index = signedType(n, 64);
  int64_t inner = 1;
  for (size_t later = d + 1; later < kernel.size(); ++later)
    inner *= kernel[later];
  Value tap = n.iota({shape[2]}, index, 0);
  tap = n.binary(BinaryKind::rem, n.div(tap, n.like(tap, inner)), n.like(tap, kernel[d]));
  tap = n.mul(tap, n.like(tap, s.dilations[d]));
  Value step = n.mul(n.iota({shape[4 + d]}, index, 0), n.scalarInt(index, s.strides[d]));
  step = n.sub(step, dimValue(n, s.low[d], index));
  int64_t rank = GraphBuilder::rank(own);
  Value base = n.add(alongAxis(n, tap, 2, rank), alongAxis(n, step, 3 + d, rank));
  return n.add(own, n.cast(base, element));
}

/// Columns [N, groups, channels a group * taps, outputs] times weights [groups, O a group, channels a group *
/// taps].
static Value multiplyColumns(NodeImporter &n, Value columns, Value w, int64_t groups,
                             ArrayRef<AffineExpr> outputs) {
  Dims shape = dimsOf(w), from = dimsOf(columns);
  std::optional<AffineExpr> each = evenParts(n, shape[0], groups, "the output channels of all groups");
  if (!each)
    return {};
  AffineExpr depth = productOf(ArrayRef<AffineExpr>(shape).drop_front(), n.b.getContext());
  AffineExpr area = productOf(outputs, n.b.getContext());
  columns = n.reshape(columns, {from[0], n.dim(groups), depth, area});
  w = n.reshape(w, {n.dim(groups), *each, depth});
  Value product = n.contract(w, columns, {0}, {1}, {2}, {2}); // [groups, O a group, N, outputs]
  product = n.transpose(product, {2, 0, 1, 3});
  Dims result = {from[0], shape[0]};
  result.append(outputs.begin(), outputs.end());
  return n.reshape(product, result);
}

/// The sampled and masked inputs of every tap: [N, offset groups, channels a group, taps * outputs].
static Value deformedColumns(NodeImporter &n, Value x, const Spatial &s, ArrayRef<int64_t> kernel,
                             ArrayRef<AffineExpr> sizes) {
  Value offset = n.operand(2);
  Dims shape = dimsOf(x);
  int64_t groupCount = n.intAttr("offset_group", 1);
  std::optional<AffineExpr> each =
      evenParts(n, shape[1], groupCount, "the input channels of all offset groups");
  if (!each)
    return {};
  AffineExpr groups = n.dim(groupCount), taps = productOf(s.kernel, n.b.getContext());
  AffineExpr samples = canonical(taps * productOf(sizes, n.b.getContext()));
  Dims split = {shape[0], groups, taps, n.dim(s.input.size())};
  split.append(sizes.begin(), sizes.end());
  Dims offsets = {shape[0], canonical(groups * taps * int64_t(s.input.size()))},
       masks = {shape[0], canonical(groups * taps)};
  offsets.append(sizes.begin(), sizes.end());
  masks.append(sizes.begin(), sizes.end());
  if (!requireShape(n, offset, offsets, "the offset"))
    return {};
  offset = n.reshape(offset, split);
  AffineExpr channels = *each, plane = productOf(s.input, n.b.getContext());
  DeformableSampler sampler{n, n.reshape(x, {shape[0], groups, channels, plane}), s.input, {}};
  for (size_t d = 0; d < kernel.size(); ++d)
    sampler.positions.push_back(
        n.reshape(tapPositions(n, s, offset, d, kernel), {shape[0], groups, samples}));
  Value columns = sampler.sample();
  if (!n.has(4))
    return columns;
  if (!requireSameElements(n, {columns, n.operand(4)}) || !requireShape(n, n.operand(4), masks, "the mask"))
    return {};
  return n.mul(columns, n.reshape(n.operand(4), {shape[0], groups, n.dim(1), samples}));
}

void importDeformConv(NodeImporter &n) {
  if (!require(n, 3) || !requireSameElements(n, {n.operand(0), n.operand(1), n.operand(2)}))
    return;
  Value x = n.operand(0), w = n.operand(1);
  int64_t groups = n.intAttr("group", 1), rank = GraphBuilder::rank(x);
  if (!requireFloat(n, x) || !requireConvolution(n, x, w, groups) ||
      !requireRank(n, n.operand(2), rank, rank, "the offset"))
    return;
  constexpr int64_t mostCorners = 256; // of a cell, each a gather of its own
  if (rank - 2 > llvm::Log2_64(mostCorners))
    return n.unsupported("TW1203",
                         "more than " + llvm::Twine(llvm::Log2_64(mostCorners)) + " spatial dimensions");
  std::optional<Spatial> s = spatialAttributes(n, spatialDims(x), spatialDims(w));
  std::optional<SmallVector<int64_t>> kernel = s ? constantKernel(n, *s) : std::nullopt;
  std::optional<Dims> sizes = kernel ? outputSizes(n, *s) : std::nullopt;
  if (!sizes)
    return;
  if (Value columns = deformedColumns(n, x, *s, *kernel, *sizes))
    n.result(0, addBias(n, multiplyColumns(n, columns, w, groups, *sizes), 3));
}

//===- CausalConvWithState ------------------------------------------------------------===//

/// Depthwise convolution along time that sees the k - 1 positions before the input: the past state, or zeros.
void importCausalConvWithState(NodeImporter &n) {
  if (!require(n, 2) || !requireSameElements(n, {n.operand(0), n.operand(1)}))
    return;
  Value x = n.operand(0), w = n.operand(1);
  if (!requireFloat(n, x) || !requireRank(n, x, 3, 3, "the input") || !requireRank(n, w, 3, 3, "the weight"))
    return;
  std::optional<int64_t> channels = constantOf(dimsOf(w)[0]);
  std::string activation = n.stringAttr("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish")
    return n.fail("TW1205", "activation is '" + activation + "'; it must be none, silu or swish");
  if (!channels)
    return n.unsupported("TW2006", "the weight's channels must be known when the model is compiled");
  if (!requireConvolution(n, x, w, *channels))
    return;
  Dims shape = dimsOf(x);
  AffineExpr past = dimsOf(w)[2] - 1, none = n.dim(0);
  Value whole = n.pad(x, {none, none, past}, {none, none, none}, PadMode::constant, n.like(x, 0));
  if (n.has(3)) {
    Value before = n.operand(3);
    Dims wanted = {shape[0], shape[1], canonical(past)};
    if (!requireRank(n, before, 3, 3, "the past state") || !requireSameElements(n, {x, before}))
      return;
    for (auto [have, want] : llvm::zip_equal(dimsOf(before), wanted))
      if (!n.requireEqual(have, want, "the sizes of the past state"))
        return;
    whole = n.concat({n.reshape(before, wanted), x}, 2);
  }
  Value y = addBias(n, n.conv(whole, w, {1}, {none}, {1}, {1}, *channels, {shape[2]}), 2);
  if (y && activation != "none") {
    Value wide = n.cast(y, accumulationType(GraphBuilder::elementType(y)));
    y = n.cast(sigmoidLinear(n, wide), GraphBuilder::elementType(y));
  }
  n.result(0, y);
  n.result(1, n.sliceAxis(whole, 2, shape[2], canonical(past)));
}

} // namespace tilewright::frontend
