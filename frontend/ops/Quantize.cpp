/// Quantize.cpp - see Quantize.h.
#include "frontend/ops/Quantize.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::BinaryKind;
using graph::CompareKind;
using graph::PadMode;
using graph::ReduceKind;
using graph::UnaryKind;

std::pair<double, double> integerRange(Type elementType) {
  auto type = cast<IntegerType>(elementType);
  double span = std::ldexp(1.0, type.getWidth());
  return type.isUnsigned() ? std::pair(0.0, span - 1) : std::pair(-span / 2, span / 2 - 1);
}

/// [.., blocks, ..] with every block repeated blockSize times along `axis`, cut to `size`.
static Value repeatBlocks(NodeImporter &n, Value parameter, int64_t axis, int64_t blockSize,
                          AffineExpr size) {
  Dims shape = dimsOf(parameter), wide = shape, merged = shape;
  wide.insert(wide.begin() + axis + 1, n.dim(blockSize));
  merged[axis] = canonical(shape[axis] * blockSize);
  Value repeated = n.broadcastTo(n.unsqueeze(parameter, {axis + 1}), wide);
  return n.sliceAxis(n.reshape(repeated, merged), axis, n.dim(0), size);
}

Value quantizationParameter(NodeImporter &n, Value parameter, Value x, int64_t axis, int64_t blockSize,
                            StringRef what) {
  int64_t rank = GraphBuilder::rank(x), own = GraphBuilder::rank(parameter);
  if (own == 0)
    return parameter;
  Dims shape = dimsOf(parameter), of = dimsOf(x);
  if (blockSize > 0 && own == rank) {
    std::optional<int64_t> along = n.axis(axis, rank);
    if (!along)
      return {};
    for (int64_t i = 0; i < rank; ++i) {
      AffineExpr want = i == *along ? (of[i] + (blockSize - 1)).floorDiv(blockSize) : of[i];
      if (!n.requireEqual(shape[i], want, "the blocks of " + what))
        return {};
    }
    return repeatBlocks(n, parameter, *along, blockSize, of[*along]);
  }
  if (constantOf(elementCount(parameter.getType())) == 1)
    return n.reshape(parameter, {});
  if (!requireRank(n, parameter, 1, 1, what))
    return {};
  std::optional<int64_t> along = n.axis(rank == 1 ? 0 : axis, rank);
  if (!along || !n.requireRepeatable(shape[0], of[*along], "the entries of " + what))
    return {};
  return onePerEntry(n, parameter, of[*along], *along, rank);
}

Value onePerEntry(GraphBuilder &g, Value vector, AffineExpr size, int64_t axis, int64_t rank) {
  Dims shape(rank, g.dim(1));
  shape[axis] = size;
  return g.broadcastTo(alongAxis(g, vector, axis, rank), shape);
}

Value matrixScale(GraphBuilder &g, Value scale, int64_t axis) {
  scale = g.cast(scale, Float32Type::get(g.b.getContext()));
  if (constantOf(elementCount(scale.getType())) == 1)
    return g.reshape(scale, {});
  return GraphBuilder::rank(scale) == 1 ? alongAxis(g, scale, axis, 2) : scale;
}

Value productScale(NodeImporter &n, Value a, Value b) {
  a = matrixScale(n, a, 0), b = matrixScale(n, b, 1);
  return requireBroadcast(n, {a, b}) ? n.mul(a, b) : Value();
}

//===- Rounding -----------------------------------------------------------------------===//

Value roundTo(NodeImporter &n, Value x, Value zeroPoint, Type target, bool saturate) {
  Type wide = accumulationType(GraphBuilder::elementType(x));
  if (isa<IntegerType>(target)) {
    x = n.cast(n.unary(UnaryKind::round, x), wide);
    if (zeroPoint)
      x = n.add(x, n.cast(zeroPoint, wide));
    auto [low, high] = integerRange(target);
    return n.cast(clamp(n, x, low, high), target);
  }
  if (zeroPoint)
    x = n.add(n.cast(x, wide), n.cast(zeroPoint, wide));
  return n.cast(x, target, saturate);
}

Value quantize(NodeImporter &n, Value x, Value scale, Value zeroPoint, Type target, bool saturate) {
  return roundTo(n, n.div(x, n.cast(scale, GraphBuilder::elementType(x))), zeroPoint, target, saturate);
}

Value dequantize(NodeImporter &n, Value x, Value scale, Value zeroPoint, Type target) {
  Type wide = Float32Type::get(n.b.getContext());
  Value value = n.cast(x, wide);
  if (zeroPoint)
    value = n.sub(value, n.cast(zeroPoint, wide));
  return n.cast(n.mul(value, n.cast(scale, wide)), target);
}

DynamicallyQuantized quantizeDynamically(NodeImporter &n, Value x) {
  Value zero = n.like(x, 0), all = n.like(x, 255);
  SmallVector<int64_t> dims = upTo(GraphBuilder::rank(x));
  Value largest = n.maximum(n.reduce(ReduceKind::rmax, x, dims), zero);
  Value smallest = n.minimum(n.reduce(ReduceKind::rmin, x, dims), zero);
  Value range = n.sub(largest, smallest);
  Value scale = n.select(n.compare(CompareKind::eq, largest, smallest), n.like(x, 1), n.div(range, all));
  Value point = n.unary(UnaryKind::round, clamp(n, n.sub(zero, n.div(smallest, scale)), 0, 255));
  Type narrow = IntegerType::get(n.b.getContext(), 8, IntegerType::Unsigned);
  Value rounded = n.add(n.unary(UnaryKind::round, n.div(x, scale)), point);
  return {n.cast(clamp(n, rounded, 0, 255), narrow), scale, n.cast(point, narrow)};
}

//===- Integer products -----------------------------------------------------------------===//

static Value widened(NodeImporter &n, Value x) { return n.cast(x, signedType(n, 32)); }

/// The zero point as s32, or null when there is none or it is known to be all zeros.
static Value effectiveZeroPoint(NodeImporter &n, Value zeroPoint) {
  if (!zeroPoint)
    return {};
  if (auto known = n.constantInts(zeroPoint))
    if (llvm::all_of(*known, [](int64_t value) { return value == 0; }))
      return {};
  return widened(n, zeroPoint);
}

/// u8 constants become s8 by flipping the top bit, their zero point moves by 128: kernels multiply u8 by s8.
static QuantizedOperand signedConstant(NodeImporter &n, QuantizedOperand operand) {
  Type element = GraphBuilder::elementType(operand.value);
  if (!element.isUnsignedInteger(8) || !graph::isConstantExpression(operand.value))
    return operand;
  Value flipped = n.binary(BinaryKind::ixor, operand.value, n.scalarInt(element, 128));
  Value offset = n.scalarInt(signedType(n, 32), 128);
  Value point =
      operand.zeroPoint ? n.sub(widened(n, operand.zeroPoint), offset) : n.scalarInt(signedType(n, 32), -128);
  if (auto known = operand.zeroPoint ? n.constantInts(operand.zeroPoint) : std::nullopt)
    if (llvm::all_of(*known, [](int64_t value) { return value == 128; }))
      point = Value();
  return {n.bitcast(flipped, signedType(n, 8)), point};
}

/// The zero point shaped to broadcast with a matrix: scalars stay, vectors run along `axis` (of the last
/// two).
static Value alongMatrix(NodeImporter &n, Value zeroPoint, int64_t axis, AffineExpr size) {
  if (!zeroPoint || GraphBuilder::rank(zeroPoint) == 0)
    return zeroPoint;
  if (GraphBuilder::rank(zeroPoint) > 1)
    return zeroPoint;
  if (constantOf(dimsOf(zeroPoint)[0]) == 1)
    return n.reshape(zeroPoint, {});
  if (!n.requireRepeatable(dimsOf(zeroPoint)[0], size, "the zero points and the matrix"))
    return {};
  return onePerEntry(n, zeroPoint, size, axis, 2);
}

Value integerMatmul(NodeImporter &n, QuantizedOperand a, QuantizedOperand b) {
  bool leftVector = GraphBuilder::rank(a.value) == 1, rightVector = GraphBuilder::rank(b.value) == 1;
  if (leftVector)
    a.value = n.unsqueeze(a.value, {0});
  if (rightVector)
    b.value = n.unsqueeze(b.value, {1});
  b = signedConstant(n, b);
  Type wide = signedType(n, 32);
  Value product = checkedMatmul(n, a.value, b.value, wide);
  if (!product)
    return {};
  Dims left = dimsOf(a.value), right = dimsOf(b.value);
  int64_t rows = left.size() - 2, depth = right.size() - 2;
  Value pointA = alongMatrix(n, effectiveZeroPoint(n, a.zeroPoint), 0, left[rows]);
  Value pointB = alongMatrix(n, effectiveZeroPoint(n, b.zeroPoint), 1, right.back());
  for (Value point : {pointA, pointB})
    if (n.hasFailed() || (point && !requireFitsInto(n, point, dimsOf(product), "the zero points")))
      return {};
  if (pointA)
    product = n.sub(
        product, n.mul(n.reduce(ReduceKind::sum, widened(n, b.value), {depth}, /*keepDims=*/true), pointA));
  if (pointB)
    product =
        n.sub(product,
              n.mul(n.reduce(ReduceKind::sum, widened(n, a.value), {rows + 1}, /*keepDims=*/true), pointB));
  if (pointA && pointB)
    product = n.add(product, n.mul(n.mul(pointA, pointB), dimValue(n, right[depth], wide)));
  SmallVector<int64_t> dropped;
  int64_t rank = GraphBuilder::rank(product);
  if (leftVector)
    dropped.push_back(rank - 2);
  if (rightVector)
    dropped.push_back(rank - 1);
  return n.squeeze(product, dropped);
}

/// Sums of x over each window and channel group, for every output channel: the convolution with ones.
static Value windowSums(NodeImporter &n, Value x, Value w, const Spatial &s, ArrayRef<AffineExpr> low,
                        int64_t groups, ArrayRef<AffineExpr> sizes) {
  Dims kernel = dimsOf(w), from = dimsOf(x);
  kernel[0] = n.dim(groups);
  SmallVector<int64_t> none(s.strides.size(), 1);
  Value ones = filled(n, kernel, signedType(n, 8), 1);
  Value sums = n.conv(x, ones, s.strides, low, none, s.dilations, groups, sizes, signedType(n, 32));
  if (groups == 1)
    return sums; // [N, 1, ...] broadcasts over the output channels
  std::optional<AffineExpr> each = evenParts(n, dimsOf(w)[0], groups, "the output channels of all groups");
  if (!each)
    return {};
  Dims wide = {from[0], n.dim(groups), *each}, merged = {from[0], dimsOf(w)[0]};
  wide.append(sizes.begin(), sizes.end());
  merged.append(sizes.begin(), sizes.end());
  return n.reshape(n.broadcastTo(n.unsqueeze(sums, {2}), wide), merged);
}

/// The zero points of a convolution, checked and shaped to broadcast with its result: a scalar for x, a
/// scalar or one an output channel for w.
static bool convolutionPoints(NodeImporter &n, const QuantizedOperand &x, const QuantizedOperand &w,
                              Value &pointX, Value &pointW) {
  if (pointX) {
    pointX = singleElement(n, pointX, "the input's zero point");
    if (!pointX || !requireSameElements(n, {x.value, x.zeroPoint}))
      return false;
  }
  if (!pointW || constantOf(elementCount(pointW.getType())) == 1) {
    pointW = pointW ? n.reshape(pointW, {}) : pointW;
    return true;
  }
  AffineExpr outputs = dimsOf(w.value)[0];
  if (!requireRank(n, pointW, 1, 1, "the weight's zero point") ||
      !n.requireRepeatable(dimsOf(pointW)[0], outputs, "the weight's zero points and the output channels"))
    return false;
  pointW = onePerEntry(n, pointW, outputs, 1, GraphBuilder::rank(x.value));
  return true;
}

Value integerConvolution(NodeImporter &n, QuantizedOperand x, QuantizedOperand w) {
  int64_t groups = n.intAttr("group", 1);
  if (!requireConvolution(n, x.value, w.value, groups))
    return {};
  int64_t rank = GraphBuilder::rank(x.value);
  std::optional<Spatial> s = spatialAttributes(n, spatialDims(x.value), spatialDims(w.value));
  std::optional<Dims> sizes = s ? outputSizes(n, *s) : std::nullopt;
  if (!sizes)
    return {};
  w = signedConstant(n, w);
  Value pointX = effectiveZeroPoint(n, x.zeroPoint), pointW = effectiveZeroPoint(n, w.zeroPoint);
  Dims low = s->low, shape = dimsOf(w.value);
  if (!convolutionPoints(n, x, w, pointX, pointW))
    return {};
  if (pointX) {
    if (s->padded()) { // outside x lies its zero point
      Dims front = {n.dim(0), n.dim(0)}, back = front;
      front.append(s->low), back.append(s->high);
      x.value = n.pad(x.value, front, back, PadMode::constant, n.reshape(x.zeroPoint, {}));
      low.assign(low.size(), n.dim(0));
    }
  }
  Type wide = signedType(n, 32);
  SmallVector<int64_t> ones(s->strides.size(), 1), kernelDims = llvm::to_vector(llvm::seq<int64_t>(1, rank));
  Value product = n.conv(x.value, w.value, s->strides, low, ones, s->dilations, groups, *sizes, wide);
  if (pointX)
    product = n.sub(
        product,
        n.mul(alongAxis(n, n.reduce(ReduceKind::sum, widened(n, w.value), kernelDims), 1, rank), pointX));
  if (pointW) {
    Value sums = windowSums(n, x.value, w.value, *s, low, groups, *sizes);
    if (!sums)
      return {};
    product = n.sub(product, n.mul(sums, pointW));
  }
  AffineExpr taps = productOf(ArrayRef<AffineExpr>(shape).drop_front(), n.b.getContext());
  if (pointX && pointW)
    product = n.add(product, n.mul(n.mul(pointX, pointW), dimValue(n, taps, wide)));
  return product;
}

} // namespace tilewright::frontend
