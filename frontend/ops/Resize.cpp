/// Resize.cpp - Resize and Upsample: one axis after the other, as gathers of few taps and weighted sums.
///
/// Where an output pixel lies in the operand is a vector of doubles (one entry an output position, arithmetic
/// on iota: a constant where sizes are known). Nearest takes one tap there, linear two, cubic four. With
/// antialias the taps of an axis become a matrix to contract with, as they may be many. The definitions are
/// those of ONNX's reference implementation.
#include "frontend/ops/Composites.h"
#include <cmath>

using namespace mlir;
namespace tilewright::frontend {

using graph::BinaryKind;
using graph::CompareKind;
using graph::ReduceKind;
using graph::ScatterKind;
using graph::UnaryKind;

namespace {

/// A double that is known now, or when the program runs (rank 0).
struct Number {
  std::optional<double> known;
  Value value;
};

struct Axis {
  int64_t axis;
  AffineExpr in, out;
  Number scale;
  Number roiStart, roiEnd; ///< tf_crop_and_resize only
};

struct Settings {
  std::string mode = "nearest", coordinates = "half_pixel", nearest = "round_prefer_floor",
              policy = "stretch";
  double cubicA = -0.75, extrapolation = 0;
  bool antialias = false, excludeOutside = false;
};

/// Arithmetic on numbers, folded where both are known.
class Calculator {
public:
  explicit Calculator(NodeImporter &n) : n(n) {}
  Type type() { return n.b.getF64Type(); }
  Number of(double value) { return {value, {}}; }
  Number of(AffineExpr size) {
    if (std::optional<int64_t> known = constantOf(canonical(size)))
      return of(double(*known));
    return {std::nullopt, dimValue(n, size, type())};
  }
  Value value(const Number &x) { return x.known ? n.scalar(type(), *x.known) : x.value; }
  Number apply(BinaryKind kind, const Number &a, const Number &b) {
    if (!a.known || !b.known)
      return {std::nullopt, n.binary(kind, value(a), value(b))};
    switch (kind) {
    case BinaryKind::add:
      return of(*a.known + *b.known);
    case BinaryKind::sub:
      return of(*a.known - *b.known);
    case BinaryKind::mul:
      return of(*a.known * *b.known);
    default:
      return of(*a.known / *b.known);
    }
  }
  Number add(const Number &a, const Number &b) { return apply(BinaryKind::add, a, b); }
  Number sub(const Number &a, const Number &b) { return apply(BinaryKind::sub, a, b); }
  Number mul(const Number &a, const Number &b) { return apply(BinaryKind::mul, a, b); }
  Number div(const Number &a, const Number &b) { return apply(BinaryKind::div, a, b); }
  /// `special` where x is 1, else `usual`, of any shape.
  Value whereOne(const Number &x, llvm::function_ref<Value()> special, llvm::function_ref<Value()> usual) {
    if (x.known)
      return *x.known == 1 ? special() : usual();
    return n.select(n.compare(CompareKind::eq, x.value, n.scalar(type(), 1)), special(), usual());
  }

private:
  NodeImporter &n;
};

} // namespace

//===- Where output positions lie in the operand --------------------------------------------===//

/// ((y + 0.5) / scale) - 0.5
static Value halfPixel(NodeImporter &n, Calculator &c, Value y, const Axis &a) {
  Value centre = n.add(y, n.scalar(c.type(), 0.5));
  return n.sub(n.div(centre, c.value(a.scale)), n.scalar(c.type(), 0.5));
}

static Value alignedCorners(NodeImporter &n, Calculator &c, Value y, const Axis &a) {
  Number width = c.mul(a.scale, c.of(a.in)), last = c.sub(c.of(a.in), c.of(1.0));
  return c.whereOne(
      width, [&] { return n.mul(y, n.scalar(c.type(), 0)); },
      [&] { return n.div(n.mul(y, c.value(last)), c.value(c.sub(width, c.of(1.0)))); });
}

static Value cropped(NodeImporter &n, Calculator &c, Value y, const Axis &a) {
  Number width = c.mul(a.scale, c.of(a.in)), last = c.sub(c.of(a.in), c.of(1.0));
  Number extent = c.mul(c.sub(a.roiEnd, a.roiStart), last);
  Value inside = c.whereOne(
      width, [&] { return n.add(n.mul(y, n.scalar(c.type(), 0)), c.value(c.div(extent, c.of(2.0)))); },
      [&] { return n.div(n.mul(y, c.value(extent)), c.value(c.sub(width, c.of(1.0)))); });
  return n.add(inside, c.value(c.mul(a.roiStart, last)));
}

static Value symmetric(NodeImporter &n, Calculator &c, Value y, const Axis &a) {
  Number adjustment = c.div(c.of(a.out), c.mul(a.scale, c.of(a.in)));
  Number offset = c.mul(c.div(c.of(a.in), c.of(2.0)), c.sub(c.of(1.0), adjustment));
  return n.add(halfPixel(n, c, y, a), c.value(offset));
}

/// [out] f64; null, with a diagnostic, for a mode that does not exist.
static Value coordinates(NodeImporter &n, const Axis &a, const Settings &s) {
  Calculator c(n);
  Value y = n.iota(ArrayRef<AffineExpr>{a.out}, c.type(), 0);
  if (s.coordinates == "half_pixel")
    return halfPixel(n, c, y, a);
  if (s.coordinates == "pytorch_half_pixel")
    return c.whereOne(
        c.mul(a.scale, c.of(a.in)),
        [&] { return n.sub(n.mul(y, n.scalar(c.type(), 0)), n.scalar(c.type(), 0.5)); },
        [&] { return halfPixel(n, c, y, a); });
  if (s.coordinates == "half_pixel_symmetric")
    return symmetric(n, c, y, a);
  if (s.coordinates == "align_corners")
    return alignedCorners(n, c, y, a);
  if (s.coordinates == "asymmetric")
    return n.div(y, c.value(a.scale));
  if (s.coordinates == "tf_half_pixel_for_nn")
    return n.div(n.add(y, n.scalar(c.type(), 0.5)), c.value(a.scale));
  if (s.coordinates == "tf_crop_and_resize")
    return cropped(n, c, y, a);
  n.fail("TW1205", "coordinate_transformation_mode '" + s.coordinates + "' does not exist");
  return {};
}

//===- Interpolation along one axis -------------------------------------------------------------===//

static Value clampedIndex(NodeImporter &n, Value position, AffineExpr size) {
  Value last = dimValue(n, size - 1, n.elementType(position));
  return n.cast(n.minimum(n.maximum(position, n.like(position, 0)), last), si64(n));
}

static Value nearestPosition(NodeImporter &n, Value x, const Settings &s) {
  Value half = n.like(x, 0.5);
  if (s.nearest == "round_prefer_floor")
    return n.unary(UnaryKind::ceil, n.sub(x, half));
  if (s.nearest == "round_prefer_ceil")
    return n.unary(UnaryKind::floor, n.add(x, half));
  if (s.nearest == "floor" || s.nearest == "ceil")
    return n.unary(s.nearest == "floor" ? UnaryKind::floor : UnaryKind::ceil, x);
  n.fail("TW1205", "nearest_mode '" + s.nearest + "' does not exist");
  return {};
}

/// The cubic convolution kernel at distance d >= 0.
static Value cubicWeight(NodeImporter &n, Value d, double a) {
  auto k = [&](double value) { return n.like(d, value); };
  Value square = n.mul(d, d), near = n.add(n.mul(n.sub(n.mul(d, k(a + 2)), k(a + 3)), square), k(1));
  Value far = n.sub(n.mul(n.add(n.mul(n.sub(n.mul(d, k(a)), k(5 * a)), d), k(8 * a)), d), k(4 * a));
  far = n.select(n.compare(CompareKind::lt, d, k(2)), far, k(0));
  return n.select(n.compare(CompareKind::le, d, k(1)), near, far);
}

static Value linearWeight(NodeImporter &n, Value d) {
  return n.maximum(n.sub(n.like(d, 1), d), n.like(d, 0));
}

/// The kernel at the distance of taps from x, scaled down with the operand for antialias.
static Value weightAt(NodeImporter &n, Value tap, Value x, const Settings &s, double shrink) {
  Value distance = n.unary(UnaryKind::abs, n.mul(n.sub(tap, x), n.like(x, shrink)));
  return s.mode == "cubic" ? cubicWeight(n, distance, s.cubicA) : linearWeight(n, distance);
}

namespace {
struct Taps {
  Value positions; ///< [out, count] f64, unclamped
  Value weights;   ///< [out, count] f64, sums are 1
};
} // namespace

static Taps tapsOf(NodeImporter &n, Value x, const Axis &a, const Settings &s) {
  double shrink = s.antialias && a.scale.known ? std::min(*a.scale.known, 1.0) : 1,
         radius = s.mode == "cubic" ? 2 : 1;
  int64_t first = static_cast<int64_t>(std::floor(-radius / shrink)) + 1, count = 2 - 2 * first;
  Dims shape{a.out, n.dim(count)};
  Value column = n.unsqueeze(x, {1});
  Value base = n.add(n.unary(UnaryKind::floor, column), n.like(x, first));
  Value positions = n.add(n.broadcastTo(base, shape), n.iota(shape, n.elementType(x), 1));
  Value weights = weightAt(n, positions, column, s, shrink);
  if (s.excludeOutside) {
    Value last = dimValue(n, difference(a.in, n.dim(1)), n.elementType(x)), zero = n.like(x, 0);
    Value inside = n.binary(BinaryKind::iand, n.compare(CompareKind::ge, positions, zero),
                            n.compare(CompareKind::le, positions, last));
    weights = n.select(inside, weights, zero);
  }
  if (s.excludeOutside || s.antialias)
    weights = n.div(weights, n.reduce(ReduceKind::sum, weights, {1}, /*keepDims=*/true));
  return {positions, weights};
}

/// Each output position is a weighted sum of few operand positions.
static Value weightedGathers(NodeImporter &n, Value data, const Axis &a, const Taps &taps) {
  Value sum, index = clampedIndex(n, taps.positions, a.in),
             weights = n.cast(taps.weights, n.elementType(data));
  int64_t count = *constantOf(dimsOf(taps.weights)[1]);
  auto column = [&](Value matrix, int64_t tap) {
    return n.squeeze(n.sliceAxis(matrix, 1, n.dim(tap), n.dim(1)), {1});
  };
  for (int64_t tap = 0; tap < count; ++tap) {
    Value part = n.gather(data, column(index, tap), a.axis);
    part = n.mul(part, alongAxis(n, column(weights, tap), a.axis, n.rank(data)));
    sum = sum ? n.add(sum, part) : part;
  }
  return sum;
}

/// The same with a matrix [out, in], for many taps.
static Value weightedMatrix(NodeImporter &n, Value data, const Axis &a, const Taps &taps) {
  Value matrix = n.broadcastTo(n.scalar(n.elementType(taps.weights), 0), {a.out, a.in});
  Value index = clampedIndex(n, taps.positions, a.in);
  matrix = graph::ScatterElementsOp::create(n.b, n.loc, matrix.getType(), matrix, index, taps.weights, 1,
                                            ScatterKind::sadd);
  Value result = n.contract(data, n.cast(matrix, n.elementType(data)), {}, {}, {a.axis}, {1});
  SmallVector<int64_t> perm = upTo(n.rank(data) - 1); // the new dimension came last
  perm.insert(perm.begin() + a.axis, n.rank(data) - 1);
  return n.transpose(result, perm);
}

/// Whether nearest gives every element `factor` times: a broadcast instead of a gather.
static bool repeats(const Axis &a, const Settings &s, int64_t &factor) {
  if (!a.scale.known || *a.scale.known < 1 || *a.scale.known != std::floor(*a.scale.known) ||
      *a.scale.known > 1024)
    return false;
  factor = static_cast<int64_t>(*a.scale.known);
  bool centred = s.coordinates == "half_pixel" || s.coordinates == "half_pixel_symmetric" ||
                 (s.coordinates == "pytorch_half_pixel" && factor > 1);
  return provablyEqual(a.out, product(a.in, constantDim(a.in.getContext(), factor))) &&
         ((s.coordinates == "asymmetric" && s.nearest == "floor") ||
          (centred && s.nearest.rfind("round_prefer", 0) == 0));
}

/// A gather rather than a broadcast and a reshape: layouts pass through it, and its index costs nothing where
/// it is the same for all lanes.
static Value repeated(NodeImporter &n, Value data, int64_t axis, int64_t factor) {
  Type index = IntegerType::get(n.b.getContext(), 64, IntegerType::Signed);
  Dims size{canonical(dimsOf(data)[axis] * factor)};
  return n.gather(data, n.div(n.iota(size, index, 0), n.scalarInt(index, factor)), axis);
}

static Value resizedAlong(NodeImporter &n, Value data, const Axis &a, const Settings &s) {
  int64_t factor;
  if (s.mode == "nearest" && repeats(a, s, factor))
    return repeated(n, data, a.axis, factor);
  Value x = coordinates(n, a, s);
  if (!x)
    return {};
  Value result;
  if (s.mode == "nearest") {
    Value position = nearestPosition(n, x, s);
    result = position ? n.gather(data, clampedIndex(n, position, a.in), a.axis) : Value();
  } else {
    Taps taps = tapsOf(n, x, a, s);
    result = s.antialias ? weightedMatrix(n, data, a, taps) : weightedGathers(n, data, a, taps);
  }
  if (!result || s.coordinates != "tf_crop_and_resize")
    return result;
  Value last = dimValue(n, difference(a.in, n.dim(1)), n.elementType(x));
  Value outside = n.binary(BinaryKind::ior, n.compare(CompareKind::lt, x, n.like(x, 0)),
                           n.compare(CompareKind::gt, x, last));
  return n.select(alongAxis(n, outside, a.axis, n.rank(data)), n.like(result, s.extrapolation), result);
}

static void resize(NodeImporter &n, ArrayRef<Axis> axes, const Settings &s) {
  Value x = n.operand(0);
  Type type = n.elementType(x);
  if (s.mode != "nearest" && s.mode != "linear" && s.mode != "cubic")
    return n.fail("TW1205", "mode '" + s.mode + "' does not exist");
  Value data = s.mode == "nearest" ? x : n.cast(x, interpolationType(n, type));
  for (const Axis &a : axes) {
    bool same = provablyEqual(a.in, a.out) && a.scale.known == 1.0 && s.coordinates != "tf_crop_and_resize";
    if (constantOf(a.in) == 0 && constantOf(a.out) != 0)
      return n.fail("TW2005", "an empty dimension cannot be resized to one that is not");
    if (!same && s.antialias && s.mode != "nearest" && (!a.scale.known || *a.scale.known < 1e-3))
      return n.unsupported("TW2006", "with antialias, scales must be known when the model is compiled");
    data = same ? data : resizedAlong(n, data, a, s);
    if (!data)
      return;
  }
  // Cut like integers elsewhere; but cubic and antialiased values are rounded, as there is no other custom.
  n.result(0, interpolated(n, data, type, s.mode == "cubic" || s.antialias));
}

//===- Sizes and scales ---------------------------------------------------------------------------===//

/// floor(in * scale), in f32 as is usual: exact fractions as expressions, others when the program runs.
static std::optional<AffineExpr> scaledSize(NodeImporter &n, AffineExpr in, const Number &scale) {
  std::optional<int64_t> size = constantOf(in);
  if (size && scale.known)
    return n.dim(
        static_cast<int64_t>(std::floor(static_cast<float>(*size) * static_cast<float>(*scale.known))));
  for (int64_t divisor = 1; scale.known && divisor <= 32; ++divisor) {
    double product = *scale.known * divisor;
    if (std::abs(product - std::round(product)) < 1e-6 * product && std::round(product) >= 1)
      return canonical((in * static_cast<int64_t>(std::round(product))).floorDiv(divisor));
  }
  Type type = n.b.getF32Type();
  Value factor = scale.known ? n.scalar(type, *scale.known) : n.cast(scale.value, type);
  Value product = n.unary(UnaryKind::floor, n.mul(dimValue(n, in, type), factor));
  std::optional<Dims> out = n.elements(n.cast(product, si64(n)), "resized");
  return out ? std::optional((*out)[0]) : std::nullopt;
}

static Number elementOf(NodeImporter &n, Value vector, int64_t index) {
  Value element = n.reshape(n.sliceAxis(vector, 0, n.dim(index), n.dim(1)), {});
  if (auto known = n.constantFloats(vector))
    return {(*known)[index], {}};
  return {std::nullopt, n.cast(element, n.b.getF64Type())};
}

static std::optional<SmallVector<Axis>> axesFromScales(NodeImporter &n, ArrayRef<int64_t> dims,
                                                       Value scales) {
  SmallVector<Axis> axes;
  scales = vectorOf(n, scales, dims.size(), "scales");
  if (!scales)
    return std::nullopt;
  for (auto [index, axis] : llvm::enumerate(dims)) {
    Axis a{axis, dimsOf(n.operand(0)) [axis], {}, elementOf(n, scales, index), {}, {}};
    if (a.scale.known && !(*a.scale.known > 0 && *a.scale.known < 1e6)) {
      n.fail("TW1205", "a scale is not positive");
      return std::nullopt;
    }
    std::optional<AffineExpr> out = scaledSize(n, a.in, a.scale);
    if (!out)
      return std::nullopt;
    a.out = *out;
    axes.push_back(a);
  }
  return axes;
}

/// not_larger and not_smaller: one scale for all axes, the smallest or largest that sizes ask for.
static bool keepAspectRatio(NodeImporter &n, SmallVectorImpl<Axis> &axes, const Settings &s) {
  if (s.policy == "stretch")
    return true;
  if (s.policy != "not_larger" && s.policy != "not_smaller") {
    n.fail("TW1205", "keep_aspect_ratio_policy '" + s.policy + "' does not exist");
    return false;
  }
  std::optional<double> scale;
  for (const Axis &a : axes) {
    if (!a.scale.known || !constantOf(a.in)) {
      n.unsupported("TW2006",
                    "keep_aspect_ratio_policy needs sizes that are known when the model is compiled");
      return false;
    }
    scale = !scale                     ? *a.scale.known
            : s.policy == "not_larger" ? std::min(*scale, *a.scale.known)
                                       : std::max(*scale, *a.scale.known);
  }
  for (Axis &a : axes) {
    a.scale.known = scale;
    a.out = n.dim(static_cast<int64_t>(std::floor(*scale * *constantOf(a.in) + 0.5)));
  }
  return true;
}

static std::optional<SmallVector<Axis>> axesFromSizes(NodeImporter &n, ArrayRef<int64_t> dims, Value sizes,
                                                      const Settings &s) {
  SmallVector<Axis> axes;
  sizes = vectorOf(n, sizes, dims.size(), "sizes");
  std::optional<Dims> out = sizes ? shapeOperand(n, sizes, "sizes") : std::nullopt;
  if (!out)
    return std::nullopt;
  Calculator c(n);
  for (auto [index, axis] : llvm::enumerate(dims)) {
    AffineExpr in = dimsOf(n.operand(0))[axis];
    std::optional<AffineExpr> ratio = divideExactly((*out)[index], in);
    std::optional<int64_t> factor = ratio ? constantOf(*ratio) : std::nullopt;
    Number scale = factor ? c.of(double(*factor)) : c.div(c.of((*out)[index]), c.of(in));
    axes.push_back({axis, in, (*out)[index], scale, {}, {}});
  }
  if (!keepAspectRatio(n, axes, s))
    return std::nullopt;
  return axes;
}

//===- The operators --------------------------------------------------------------------------------===//

static Settings settingsOf(NodeImporter &n) {
  Settings s;
  s.mode = n.stringAttr("mode", "nearest");
  s.coordinates = n.stringAttr("coordinate_transformation_mode", "half_pixel");
  s.nearest = n.stringAttr("nearest_mode", "round_prefer_floor");
  s.policy = n.stringAttr("keep_aspect_ratio_policy", "stretch");
  s.cubicA = n.floatAttr("cubic_coeff_a", -0.75f);
  s.extrapolation = n.floatAttr("extrapolation_value", 0);
  s.antialias = n.intAttr("antialias", 0);
  s.excludeOutside = n.intAttr("exclude_outside", 0);
  return s;
}

static bool given(NodeImporter &n, size_t index) {
  return n.has(index) &&
         constantOf(elementCount(n.operand(index).getType())) != 0; // empty ones stand for absent ones
}

static void importResize(NodeImporter &n) {
  if (!require(n, 1) || !requireRank(n, n.operand(0), 1, INT64_MAX))
    return;
  Settings s = settingsOf(n);
  SmallVector<int64_t> dims = upTo(n.rank(n.operand(0)));
  if (n.opset < 11) { // positions are simply divided
    s.coordinates = "asymmetric";
    s.nearest = "floor";
    auto axes = require(n, 2) ? axesFromScales(n, dims, n.operand(1)) : std::nullopt;
    return axes ? resize(n, *axes, s) : void();
  }
  if (auto given = n.intsAttr("axes")) {
    dims = *given;
    for (int64_t &dim : dims) {
      std::optional<int64_t> axis = n.axis(dim, n.rank(n.operand(0)));
      if (!axis)
        return;
      dim = *axis;
    }
  }
  if (!given(n, 2) && !given(n, 3))
    return n.fail("TW1206", "scales or sizes are needed");
  auto axes = given(n, 2) ? axesFromScales(n, dims, n.operand(2)) : axesFromSizes(n, dims, n.operand(3), s);
  if (!axes)
    return;
  if (s.coordinates == "tf_crop_and_resize") {
    Value roi = n.has(1) ? vectorOf(n, n.operand(1), 2 * axes->size(), "roi") : Value();
    if (!roi)
      return n.fail("TW1206", "tf_crop_and_resize needs a roi");
    for (auto [index, a] : llvm::enumerate(*axes)) {
      a.roiStart = elementOf(n, roi, index);
      a.roiEnd = elementOf(n, roi, axes->size() + index);
    }
  }
  resize(n, *axes, s);
}

static void importUpsample(NodeImporter &n) {
  if (!require(n, n.opset < 9 ? 1 : 2))
    return;
  Settings s;
  s.mode = n.stringAttr("mode", "nearest");
  s.mode = s.mode == "bilinear" ? "linear" : s.mode;
  s.coordinates = "asymmetric";
  s.nearest = "floor";
  Value scales = n.operand(1);
  if (n.opset < 9) {
    auto values = n.floatsAttr("scales");
    if (n.opset < 7) // images only
      values = SmallVector<float>{1, 1, n.floatAttr("height_scale", 1), n.floatAttr("width_scale", 1)};
    if (!values)
      return n.fail("TW1206", "scales are missing");
    scales = n.constant(DenseElementsAttr::get(
        RankedTensorType::get({int64_t(values->size())}, n.b.getF32Type()), ArrayRef<float>(*values)));
  }
  if (auto axes = axesFromScales(n, upTo(n.rank(n.operand(0))), scales))
    resize(n, *axes, s);
}

llvm::ArrayRef<OpEntry> resizeOps() {
  static const OpEntry table[] = {
      {"Resize", importResize},
      {"Upsample", importUpsample},
  };
  return table;
}

} // namespace tilewright::frontend
