/// Pooling.cpp - sliding windows, global pooling, and their partial inverse. Regions of interest:
/// RegionPooling.cpp.
#include "frontend/ops/Spatial.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::BinaryKind;
using graph::PadMode;
using graph::ReduceKind;
using graph::ScatterKind;
using graph::UnaryKind;
using graph::WindowKind;

void importMaxRoiPool(NodeImporter &n); // RegionPooling.cpp
void importRoiAlign(NodeImporter &n);   // RegionPooling.cpp

namespace {
/// One pooling node: its window, and the result's spatial sizes.
struct Pool {
  Spatial s;
  SmallVector<int64_t> kernel;
  Dims sizes;
  bool ceil;
};
} // namespace

static std::optional<Pool> poolOf(NodeImporter &n) {
  if (!require(n, 1) || !requireRank(n, n.operand(0), 3, INT64_MAX))
    return std::nullopt;
  std::optional<Spatial> s = spatialAttributes(n, spatialDims(n.operand(0)));
  std::optional<SmallVector<int64_t>> kernel = s ? constantKernel(n, *s) : std::nullopt;
  bool ceil = n.intAttr("ceil_mode", 0) != 0;
  std::optional<Dims> sizes = kernel ? outputSizes(n, *s, ceil) : std::nullopt;
  if (!sizes)
    return std::nullopt;
  return Pool{*s, *kernel, *sizes, ceil};
}

static Value slide(NodeImporter &n, WindowKind kind, Value x, const Pool &pool) {
  return n.window(kind, x, pool.kernel, pool.s.strides, pool.s.dilations, pool.s.low, pool.sizes);
}

//===- MaxPool ------------------------------------------------------------------------===//

/// A row-major position in a plane, as the column-major position of the same element.
static Value columnMajor(NodeImporter &n, Value position, ArrayRef<AffineExpr> plane) {
  Type index = GraphBuilder::elementType(position);
  Value result, rest = position;
  AffineExpr stride = productOf(plane.drop_back(), n.b.getContext());
  for (size_t d = plane.size(); d-- > 0;) {
    Value size = dimValue(n, plane[d], index);
    Value term = n.mul(n.binary(BinaryKind::rem, rest, size), dimValue(n, stride, index));
    result = result ? n.add(result, term) : term;
    rest = n.div(rest, size);
    if (d > 0)
      stride = productOf(plane.take_front(d - 1), n.b.getContext());
  }
  return result;
}

static void importMaxPool(NodeImporter &n) {
  std::optional<Pool> pool = poolOf(n);
  if (!pool)
    return;
  Value x = n.operand(0);
  n.result(0, slide(n, WindowKind::wmax, x, *pool));
  if (!n.wants(1))
    return;
  Dims shape = dimsOf(x);
  Value position = slide(n, WindowKind::wargmax, x, *pool);
  if (n.intAttr("storage_order", 0))
    position = columnMajor(n, position, pool->s.input);
  Type index = signedType(n, 64);
  Value plane = n.add(n.mul(n.iota({shape[0], shape[1]}, index, 0), dimValue(n, shape[1], index)),
                      n.iota({shape[0], shape[1]}, index, 1));
  plane = n.mul(plane, dimValue(n, productOf(pool->s.input, n.b.getContext()), index));
  Dims perPlane(shape.size(), n.dim(1));
  perPlane[0] = shape[0], perPlane[1] = shape[1];
  n.result(1, n.add(position, n.reshape(plane, perPlane)));
}

//===- AveragePool, LpPool ------------------------------------------------------------===//

/// How many elements each window averages over: those inside the input, or inside the pads too.
static Value windowCounts(NodeImporter &n, const Pool &pool, bool includePads, Type element) {
  double all = 1;
  for (int64_t size : pool.kernel)
    all *= double(size);
  bool whole = !pool.ceil && (includePads || !pool.s.padded());
  if (whole)
    return n.scalar(element, all);
  Pool counted = pool;
  Dims shape = {n.dim(1), n.dim(1)};
  for (size_t i = 0; i < pool.kernel.size(); ++i) {
    AffineExpr size = pool.s.input[i];
    if (includePads) {
      size = canonical(size + pool.s.low[i] + pool.s.high[i]);
      counted.s.low[i] = n.dim(0);
    }
    shape.push_back(size);
  }
  return slide(n, WindowKind::wsum, filled(n, shape, element, 1), counted);
}

Value averagePool(NodeImporter &n, Value x) {
  std::optional<Pool> pool = poolOf(n);
  if (!pool || !requireFloat(n, x))
    return {};
  Type element = GraphBuilder::elementType(x);
  x = n.cast(x, accumulationType(element));
  Value counts = windowCounts(n, *pool, n.intAttr("count_include_pad", 0) != 0, GraphBuilder::elementType(x));
  return n.cast(n.div(slide(n, WindowKind::wsum, x, *pool), counts), element);
}

static void importAveragePool(NodeImporter &n) {
  n.result(0, require(n, 1) ? averagePool(n, n.operand(0)) : Value());
}

/// |x|^p
static Value absolutePower(NodeImporter &n, Value x, double p) {
  if (p == 2)
    return n.mul(x, x);
  Value size = n.unary(UnaryKind::abs, x);
  return p == 1 ? size : n.binary(BinaryKind::pow, size, n.like(x, p));
}

static Value root(NodeImporter &n, Value x, double p) {
  if (p == 1)
    return x;
  return p == 2 ? n.unary(UnaryKind::sqrt, x) : n.binary(BinaryKind::pow, x, n.like(x, 1.0 / p));
}

/// An integer since opset 2, a float before.
static std::optional<double> normOrder(NodeImporter &n) {
  double p = n.opset < 2 ? n.floatAttr("p", 2) : double(n.intAttr("p", 2));
  if (p > 0 && std::isfinite(p) && !n.hasFailed())
    return p;
  n.fail("TW1205", "p is " + std::to_string(p) + "; it must be positive");
  return std::nullopt;
}

static void importLpPool(NodeImporter &n) {
  std::optional<Pool> pool = poolOf(n);
  std::optional<double> p = normOrder(n);
  if (!pool || !p || !requireFloat(n, n.operand(0)))
    return;
  Type element = GraphBuilder::elementType(n.operand(0));
  Value x = n.cast(n.operand(0), accumulationType(element));
  Value sum = slide(n, WindowKind::wsum, absolutePower(n, x, *p), *pool);
  n.result(0, n.cast(root(n, sum, *p), element));
}

//===- Global pooling -------------------------------------------------------------------===//

static SmallVector<int64_t> allSpatial(Value x) {
  return llvm::to_vector(llvm::seq<int64_t>(2, std::max<int64_t>(2, GraphBuilder::rank(x))));
}

static bool requireGlobal(NodeImporter &n) {
  return require(n, 1) && requireFloat(n, n.operand(0)) && requireRank(n, n.operand(0), 2, INT64_MAX);
}

static void importGlobalAveragePool(NodeImporter &n) {
  if (!requireGlobal(n))
    return;
  Type element = GraphBuilder::elementType(n.operand(0));
  Value x = n.cast(n.operand(0), accumulationType(element));
  n.result(0, n.cast(n.mean(x, allSpatial(x), /*keepDims=*/true), element));
}

static void importGlobalMaxPool(NodeImporter &n) {
  if (requireGlobal(n))
    n.result(0, n.reduce(ReduceKind::rmax, n.operand(0), allSpatial(n.operand(0)), /*keepDims=*/true));
}

static void importGlobalLpPool(NodeImporter &n) {
  std::optional<double> p = normOrder(n);
  if (!p || !requireGlobal(n))
    return;
  Type element = GraphBuilder::elementType(n.operand(0));
  Value x = n.cast(n.operand(0), accumulationType(element));
  Value sum = n.reduce(ReduceKind::sum, absolutePower(n, x, *p), allSpatial(x), /*keepDims=*/true);
  n.result(0, n.cast(root(n, sum, *p), element));
}

//===- MaxUnpool --------------------------------------------------------------------------===//

/// Every value goes to its index in a tensor of the size that pooling started from; output_shape may add
/// zeros at the ends.
static void importMaxUnpool(NodeImporter &n) {
  if (!require(n, 2) || !requireRank(n, n.operand(0), 3, INT64_MAX))
    return;
  Value x = n.operand(0), positions = indices(n, n.operand(1));
  std::optional<Spatial> s = spatialAttributes(n, spatialDims(x));
  if (!s || !positions)
    return;
  Dims shape = dimsOf(x);
  for (size_t i = 0; i < s->input.size(); ++i)
    shape[i + 2] = canonical((s->input[i] - 1) * s->strides[i] + s->kernel[i] - s->low[i] - s->high[i]);
  Dims flat = {productOf(dimsOf(x), n.b.getContext())};
  if (!n.requireEqual(elementCount(positions.getType()), flat[0], "the elements of the two operands"))
    return;
  Value empty = filled(n, {productOf(shape, n.b.getContext())}, GraphBuilder::elementType(x), 0);
  Value y = graph::ScatterElementsOp::create(n.b, n.loc, empty.getType(), empty, n.reshape(positions, flat),
                                             n.reshape(x, flat), 0, ScatterKind::assign);
  y = n.reshape(y, shape);
  if (n.has(2)) {
    Value sizes = vectorOf(n, n.operand(2), shape.size(), "output_shape");
    if (!sizes || !isInteger(sizes))
      return n.fail("TW2003", "output_shape must be a vector of integers");
    Dims wanted = n.valueOrDefine(sizes, "unpooled"), low(shape.size(), n.dim(0)), high;
    for (auto [to, from] : llvm::zip_equal(wanted, shape))
      high.push_back(canonical(to - from));
    for (auto [to, from] : llvm::zip_equal(wanted, shape))
      if (!n.requireAtLeast(to, from, "output_shape and what kernel, strides and pads come to"))
        return;
    y = n.pad(y, low, high, PadMode::constant, n.like(y, 0));
  }
  n.result(0, y);
}

llvm::ArrayRef<OpEntry> poolingOps() {
  static const OpEntry rows[] = {
      {"MaxPool", importMaxPool},
      {"AveragePool", importAveragePool},
      {"LpPool", importLpPool},
      {"GlobalAveragePool", importGlobalAveragePool},
      {"GlobalMaxPool", importGlobalMaxPool},
      {"GlobalLpPool", importGlobalLpPool},
      {"MaxUnpool", importMaxUnpool},
      {"MaxRoiPool", importMaxRoiPool},
      {"RoiAlign", importRoiAlign},
  };
  return rows;
}

} // namespace tilewright::frontend
