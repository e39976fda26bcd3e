/// Signal.cpp - Fourier transforms as contractions with cosine tables, window functions, mel filters.
///
/// Tables are index arithmetic, never stored constants: angles are reduced exactly as integers, and evaluated
/// in f64.
#include "frontend/ops/Composites.h"
#include <numbers>

using namespace mlir;
namespace tilewright::frontend {
using graph::BinaryKind;
using graph::CompareKind;
using graph::UnaryKind;

constexpr double pi = std::numbers::pi;

//===- Tables ---------------------------------------------------------------------------===//

namespace {
/// The real matrix of a discrete Fourier transform: part `o` of frequency k gets part `c` of sample n times
/// cos(+-2 pi k n / length + (o - c) pi / 2). Part 0 is real, part 1 imaginary.
struct FourierTable {
  AffineExpr samples, frequencies; ///< how many of each
  AffineExpr length;
  int64_t partsIn, partsOut;
  bool inverse;

  /// [samples, partsIn, frequencies, partsOut] in f64. With `inverse` the result is divided by the length.
  Value build(NodeImporter &n) const;
};
} // namespace

Value FourierTable::build(NodeImporter &n) const {
  Type index = signedType(n, 64), wide = Float64Type::get(n.b.getContext());
  Dims shape = {samples, n.dim(partsIn), frequencies, n.dim(partsOut)};
  auto whole = [&](int64_t value) { return n.scalarInt(index, value); };
  Value period = dimValue(n, length, index);
  Value turns = n.binary(BinaryKind::rem, n.mul(n.iota(shape, index, 0), n.iota(shape, index, 2)), period);
  if (inverse)
    turns = n.sub(whole(0), turns);
  Value quarters = n.sub(n.iota(shape, index, 3), n.iota(shape, index, 1));
  // In units of a quarter of 2 pi / length, within one turn.
  Value angle = n.add(n.mul(turns, whole(4)), n.mul(quarters, period));
  angle = n.binary(BinaryKind::mod, angle, n.mul(period, whole(4)));
  Value size = n.cast(period, wide);
  Value table = n.unary(UnaryKind::cos, n.mul(n.cast(angle, wide), n.div(n.scalar(wide, pi / 2), size)));
  return inverse ? n.div(table, size) : table;
}

/// One-sided inverse transforms count every frequency twice but the first and, for even lengths, the last
/// possible one.
static Value foldConjugates(NodeImporter &n, Value table, AffineExpr length) {
  Type index = signedType(n, 64), wide = GraphBuilder::elementType(table);
  Value k = n.iota({dimsOf(table)[0]}, index, 0);
  Value single = n.binary(BinaryKind::ior, n.compare(CompareKind::eq, k, n.scalarInt(index, 0)),
                          n.compare(CompareKind::eq, n.add(k, k), dimValue(n, length, index)));
  Value weight = n.select(single, n.scalar(wide, 1), n.scalar(wide, 2));
  return n.mul(table, alongAxis(n, weight, 0, 4));
}

/// The only element of an integer operand: a constant, a known expression, or a symbol defined when the
/// program runs.
static std::optional<AffineExpr> sizeOperand(NodeImporter &n, size_t index, llvm::StringRef name) {
  if (!isInteger(n.operand(index)))
    n.fail("TW2003", name + " must be an integer");
  Value value = n.hasFailed() ? Value() : singleElement(n, n.operand(index), name);
  if (!value)
    return std::nullopt;
  AffineExpr size = canonical(n.valueOrDefine(value, name, 1)[0]);
  return n.requireAtLeast(size, n.dim(1), name) ? std::optional(size) : std::nullopt;
}

//===- DFT ------------------------------------------------------------------------------===//

/// The axis: an attribute until opset 19, then an operand (that is known).
static std::optional<int64_t> transformAxis(NodeImporter &n, int64_t rank) {
  int64_t axis = n.intAttr("axis", 1);
  if (n.opset >= 20)
    axis = n.has(2) ? n.constantInts(n.operand(2))->front() : -2;
  std::optional<int64_t> result = n.axis(axis, rank);
  if (result && *result == rank - 1) {
    n.fail("TW2001", "the last axis holds the real and imaginary parts; it cannot be transformed");
    return std::nullopt;
  }
  return result;
}

/// x with [samples, parts] of the axis and the last dimension transformed, back in place.
static Value transform(NodeImporter &n, Value x, int64_t axis, Value table) {
  int64_t last = GraphBuilder::rank(x) - 1;
  table = n.cast(table, GraphBuilder::elementType(x));
  Value y = n.contract(x, table, {}, {}, {axis, last}, {0, 1}); // [others..., frequencies, parts]
  SmallVector<int64_t> perm = upTo(last - 1);
  perm.insert(perm.begin() + axis, last - 1);
  perm.push_back(last);
  return n.transpose(y, perm);
}

static std::optional<int64_t> signalParts(NodeImporter &n, Value &x) {
  AffineExpr size = dimsOf(x).back();
  std::optional<int64_t> parts = constantOf(size);
  if (parts == 1 || parts == 2)
    return parts;
  if (!parts && n.requireAtLeast(size, n.dim(1), "the parts of a number") &&
      n.requireAtMost(size, n.dim(2), "the parts of a number")) { // real ones get an imaginary part of 0
    Dims none(GraphBuilder::rank(x), n.dim(0)), missing = none;
    missing.back() = canonical(2 - size);
    x = n.pad(x, none, missing, graph::PadMode::constant, n.like(x, 0));
    x = withSize(n, x, GraphBuilder::rank(x) - 1, n.dim(2));
    return 2;
  }
  n.fail("TW2005", "the last dimension of " + shapeText(n, x) + " must be 1 (real) or 2 (complex)");
  return std::nullopt;
}

namespace {
/// The options of a DFT node.
struct Transform {
  NodeImporter &n;
  bool inverse, onesided;
  int64_t parts;

  int64_t partsOut() const { return inverse && onesided ? 1 : 2; }
  Value along(Value x, int64_t axis) const;
};
} // namespace

Value Transform::along(Value x, int64_t axis) const {
  AffineExpr available = dimsOf(x)[axis], length = available;
  if (inverse && onesided)
    length = canonical((available - 1) * 2);
  if (n.has(1)) {
    std::optional<AffineExpr> given = sizeOperand(n, 1, "dft_length");
    if (!given)
      return {};
    length = *given;
  }
  AffineExpr half = canonical(length.floorDiv(2) + 1);
  // Missing samples are zeros: they are left out of the sum. Samples beyond the length are cut off.
  AffineExpr samples = n.symbols.minimum(available, inverse && onesided ? half : length);
  x = n.sliceAxis(x, axis, n.dim(0), samples);
  AffineExpr frequencies = onesided && !inverse ? half : length;
  Value matrix = FourierTable{samples, frequencies, length, parts, partsOut(), inverse}.build(n);
  if (inverse && onesided)
    matrix = foldConjugates(n, matrix, length);
  return transform(n, x, axis, matrix);
}

/// An axis that only the running program knows: the dimensions before and after it are merged into one each,
/// which a transform along a fixed axis serves; the result's sizes are picked by the axis.
static Value transformAnyAxis(const Transform &t, Value x, Value axis) {
  NodeImporter &n = t.n;
  Type index = signedType(n, 64);
  int64_t rank = GraphBuilder::rank(x);
  auto number = [&](int64_t value) { return n.scalarInt(index, value); };
  axis = n.cast(axis, index);
  if (!n.requireWithin(axis, n.dim(-rank), n.dim(rank - 2), "the axis")) // the last one holds the parts
    return {};
  axis = n.select(n.compare(CompareKind::lt, axis, number(0)), n.add(axis, number(rank)), axis);
  Value sizes = n.dims(dimsOf(x)), at = n.iota({n.dim(rank)}, index, 0);
  Value inside = n.compare(CompareKind::lt, at, number(rank - 1)),
        here = n.compare(CompareKind::eq, at, axis);
  auto product = [&](Value condition) {
    Value picked = n.select(n.binary(BinaryKind::iand, inside, condition), sizes, number(1));
    return n.valueOrDefine(n.reduce(graph::ReduceKind::prod, picked, {0}), "merged")[0];
  };
  Dims merged = {product(n.compare(CompareKind::lt, at, axis)), product(here),
                 product(n.compare(CompareKind::gt, at, axis)), n.dim(t.parts)};
  Value y = t.along(n.reshape(x, merged), 1);
  if (!y)
    return {};
  Value wanted = n.select(here, dimValue(n, dimsOf(y)[1], index), sizes);
  Dims shape = n.valueOrDefine(wanted, "transformed");
  shape.back() = n.dim(t.partsOut());
  return n.reshape(y, shape);
}

static void importDft(NodeImporter &n) {
  if (!require(n, 1) || !requireFloat(n, n.operand(0)) || !requireRank(n, n.operand(0), 2, INT64_MAX))
    return;
  Value x = n.operand(0);
  std::optional<int64_t> parts = signalParts(n, x);
  if (!parts)
    return;
  Transform t{n, n.intAttr("inverse", 0) != 0, n.intAttr("onesided", 0) != 0, *parts};
  if (n.opset >= 20 && n.has(2)) {
    if (!isInteger(n.operand(2)))
      return n.fail("TW2003", "the axis must be an integer");
    Value axis = singleElement(n, n.operand(2), "the axis");
    if (!axis)
      return;
    if (!n.constantInts(axis))
      return n.result(0, transformAnyAxis(t, x, axis));
  }
  if (std::optional<int64_t> axis = transformAxis(n, GraphBuilder::rank(x)))
    n.result(0, t.along(x, *axis));
}

//===- STFT -----------------------------------------------------------------------------===//

/// The frames' length: frame_length, else the window's, else the signal's.
static std::optional<AffineExpr> frameLength(NodeImporter &n) {
  if (n.has(3))
    return sizeOperand(n, 3, "frame_length");
  if (n.has(2))
    return dimsOf(n.operand(2))[0];
  return dimsOf(n.operand(0))[1];
}

namespace {
/// A short-time transform: signal [B, samples, parts], windowed table [length, parts, frequencies, 2].
struct ShortTime {
  NodeImporter &n;
  Value signal, table;
  AffineExpr length, frequencies;

  Value byConvolution(int64_t step) const;
  Value byGather(AffineExpr step) const;
};
} // namespace

/// A strided convolution of the signal with windowed cosines: one output channel for each part of each
/// frequency.
Value ShortTime::byConvolution(int64_t step) const {
  Dims shape = dimsOf(signal);
  AffineExpr frames = canonical((shape[1] - length).floorDiv(step) + 1);
  Value kernel =
      n.reshape(n.transpose(table, {2, 3, 1, 0}), {product(frequencies, n.dim(2)), shape[2], length});
  Value y = n.conv(n.transpose(signal, {0, 2, 1}), kernel, step, {n.dim(0)}, {1}, {1}, 1, {frames});
  return n.reshape(n.transpose(y, {0, 2, 1}), {shape[0], frames, frequencies, n.dim(2)});
}

/// For a step that only the running program knows: every frame is gathered.
Value ShortTime::byGather(AffineExpr step) const {
  Type index = signedType(n, 64);
  AffineExpr frames = canonical((dimsOf(signal)[1] - length).floorDiv(step) + 1);
  Value first = n.mul(n.iota({frames, n.dim(1)}, index, 0), dimValue(n, step, index));
  Value framed = n.gather(signal, n.add(first, n.iota({n.dim(1), length}, index, 1)), 1);
  return n.contract(framed, table, {}, {}, {2, 3}, {0, 1});
}

static void importStft(NodeImporter &n) {
  if (!require(n, 2) || !requireFloat(n, n.operand(0)) || !requireRank(n, n.operand(0), 2, 3))
    return;
  Value x = n.operand(0);
  if (GraphBuilder::rank(x) == 2)
    x = n.unsqueeze(x, {2});
  if (n.has(2) &&
      (!requireRank(n, n.operand(2), 1, 1, "the window") || !requireSameElements(n, {x, n.operand(2)})))
    return;
  std::optional<int64_t> parts = signalParts(n, x);
  std::optional<AffineExpr> step = parts ? sizeOperand(n, 1, "frame_step") : std::nullopt;
  std::optional<AffineExpr> length = step ? frameLength(n) : std::nullopt;
  if (!length)
    return;
  std::optional<int64_t> knownStep = constantOf(*step);
  if (knownStep && *knownStep < 1)
    return n.fail("TW1205", "frame_step must be positive");
  if (!n.requireAtMost(*length, dimsOf(x)[1], "the lengths of a frame and of the signal"))
    return;
  AffineExpr frequencies = n.intAttr("onesided", 1) ? canonical(length->floorDiv(2) + 1) : *length;
  Value table = FourierTable{*length, frequencies, *length, *parts, 2, false}.build(n);
  if (n.has(2)) {
    if (!n.requireEqual(dimsOf(n.operand(2))[0], *length, "the window and frame_length"))
      return;
    Value window = withSize(n, n.operand(2), 0, *length);
    table = n.mul(table, alongAxis(n, n.cast(window, GraphBuilder::elementType(table)), 0, 4));
  }
  ShortTime transform{n, x, n.cast(table, GraphBuilder::elementType(x)), *length, frequencies};
  n.result(0, knownStep ? transform.byConvolution(*knownStep) : transform.byGather(*step));
}

//===- Window functions and mel filters -------------------------------------------------===//

/// constant + sum of weights[i] * cos(2 pi (i + 1) k / period)
static void cosineWindow(NodeImporter &n, double constant, ArrayRef<double> weights) {
  if (!require(n, 1))
    return;
  std::optional<AffineExpr> size = sizeOperand(n, 0, "size");
  Type target = n.elementTypeOf(n.intAttr("output_datatype", 1)), wide = Float64Type::get(n.b.getContext());
  if (!size || !target)
    return;
  AffineExpr period = n.intAttr("periodic", 1) ? *size : canonical(*size - 1);
  Value divisor = n.maximum(dimValue(n, period, wide), n.scalar(wide, 1));
  Value angle = n.mul(n.iota({*size}, wide, 0), n.div(n.scalar(wide, 2 * pi), divisor));
  Value sum = n.scalar(wide, constant);
  for (auto [i, weight] : llvm::enumerate(weights)) {
    Value multiple = i ? n.mul(angle, n.scalar(wide, i + 1)) : angle;
    sum = n.add(sum, n.mul(n.unary(UnaryKind::cos, multiple), n.scalar(wide, weight)));
  }
  n.result(0, n.cast(sum, target));
}

static void importHannWindow(NodeImporter &n) { cosineWindow(n, 0.5, {-0.5}); }
static void importHammingWindow(NodeImporter &n) { cosineWindow(n, 25.0 / 46, {25.0 / 46 - 1}); }
static void importBlackmanWindow(NodeImporter &n) { cosineWindow(n, 0.42, {-0.5, 0.08}); }

/// The spectrogram bins of the mel filters' corners, bins + 2 of them, as whole numbers in f64.
static Value melCorners(NodeImporter &n, AffineExpr bins) {
  Type wide = Float64Type::get(n.b.getContext());
  auto scalar = [&](size_t index) { return n.cast(n.reshape(n.operand(index), {}), wide); };
  auto number = [&](double value) { return n.scalar(wide, value); };
  auto mel = [&](Value hertz) {
    return n.mul(n.unary(UnaryKind::log1p, n.div(hertz, number(700))), number(2595 / std::log(10.0)));
  };
  Value low = mel(scalar(3)), high = mel(scalar(4));
  Value step = n.div(n.sub(high, low), dimValue(n, bins + 2, wide));
  Value corner = n.add(n.mul(n.iota({canonical(bins + 2)}, wide, 0), step), low);
  Value hertz = n.mul(n.unary(UnaryKind::expm1, n.mul(corner, number(std::log(10.0) / 2595))), number(700));
  Value scaled = n.mul(n.add(scalar(1), number(1)), hertz);
  return n.unary(UnaryKind::floor, n.div(scaled, scalar(2)));
}

static void importMelWeightMatrix(NodeImporter &n) {
  if (!require(n, 5))
    return;
  std::optional<AffineExpr> bins = sizeOperand(n, 0, "num_mel_bins");
  std::optional<AffineExpr> length = bins ? sizeOperand(n, 1, "dft_length") : std::nullopt;
  Type target = n.elementTypeOf(n.intAttr("output_datatype", 1)), wide = Float64Type::get(n.b.getContext());
  if (!length || !target)
    return;
  for (size_t index : {2, 3, 4})
    if (!singleElement(n, n.operand(index), "operand " + std::to_string(index)))
      return;
  Value corners = melCorners(n, *bins);
  auto corner = [&](int64_t first) { return n.sliceAxis(corners, 0, n.dim(first), *bins); };
  Value left = corner(0), center = corner(1), right = corner(2);
  Value bin = n.iota({canonical(length->floorDiv(2) + 1), *bins}, wide, 0);
  Value zero = n.scalar(wide, 0), one = n.scalar(wide, 1), width = n.sub(center, left);
  auto both = [&](Value a, Value b) { return n.binary(BinaryKind::iand, a, b); };
  Value rising = both(n.compare(CompareKind::ge, bin, left), n.compare(CompareKind::le, bin, center));
  Value falling = both(n.compare(CompareKind::ge, bin, center), n.compare(CompareKind::lt, bin, right));
  Value up = n.div(n.sub(bin, left), n.maximum(width, one));
  up = n.select(n.compare(CompareKind::eq, width, zero), one, up); // a side of no width is its peak alone
  Value down = n.div(n.sub(right, bin), n.maximum(n.sub(right, center), one));
  n.result(0, n.cast(n.select(falling, down, n.select(rising, up, zero)), target));
}

llvm::ArrayRef<OpEntry> signalOps() {
  static const OpEntry rows[] = {
      {"DFT", importDft},
      {"STFT", importStft},
      {"HannWindow", importHannWindow},
      {"HammingWindow", importHammingWindow},
      {"BlackmanWindow", importBlackmanWindow},
      {"MelWeightMatrix", importMelWeightMatrix},
  };
  return rows;
}

} // namespace tilewright::frontend
