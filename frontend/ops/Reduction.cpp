/// Reduction.cpp - reductions, running sums, arg-min/max, softmax and its kin, top-k.
#include "frontend/ops/Composites.h"

using namespace mlir;
namespace tilewright::frontend {

using graph::BinaryKind;
using graph::CompareKind;
using graph::ReduceKind;
using graph::UnaryKind;

//===- Reduce* ---------------------------------------------------------------------------===//

namespace {
struct Reduction {
  Value x;
  SmallVector<int64_t> axes;
  bool keepDims;
};
} // namespace

/// The operand, axes (an attribute, later an input) and keepdims of a Reduce operator whose axes became an
/// input with `inputOpset`. Nothing when it failed or is the identity, which has been set as the result.
static std::optional<Reduction> reduction(NodeImporter &n, int inputOpset) {
  if (!require(n, 1))
    return std::nullopt;
  Value x = n.operand(0);
  auto given = n.opset >= inputOpset ? intsFrom(n, 1, "") : n.intsAttr("axes");
  bool keepDims = n.intAttr("keepdims", 1);
  bool none = !given || given->empty();
  auto axes = none ? std::optional(upTo(n.rank(x))) : normalizedAxes(n, *given, n.rank(x));
  if (!axes || n.hasFailed())
    return std::nullopt;
  if (none && n.opset >= inputOpset && n.intAttr("noop_with_empty_axes", 0))
    axes->clear();
  return Reduction{x, *axes, keepDims};
}

template <ReduceKind kind, int inputOpset> static void importReduce(NodeImporter &n) {
  std::optional<Reduction> r = reduction(n, inputOpset);
  if (!r)
    return;
  // Sums and products of halves are rounded once, by the op itself.
  n.result(0, n.reduce(kind, r->x, r->axes, r->keepDims));
}

/// A reduction of floats (integers: computed in f32 and truncated where `floatOnly` is not asked) in the
/// accumulation type.
static void reduceWide(NodeImporter &n, int inputOpset,
                       llvm::function_ref<Value(const Reduction &)> function) {
  std::optional<Reduction> r = reduction(n, inputOpset);
  if (!r)
    return;
  Type type = n.elementType(r->x);
  r->x = n.cast(r->x, isFloat(type) ? accumulationType(type) : Type(n.b.getF64Type()));
  n.result(0, n.cast(function(*r), type));
}

static void importReduceMean(NodeImporter &n) {
  reduceWide(n, 18,
             [&](const Reduction &r) { return r.axes.empty() ? r.x : n.mean(r.x, r.axes, r.keepDims); });
}

static void importReduceL1(NodeImporter &n) {
  if (std::optional<Reduction> r = reduction(n, 18))
    n.result(0, n.reduce(ReduceKind::sum, n.unary(UnaryKind::abs, r->x), r->axes, r->keepDims));
}

static void importReduceSumSquare(NodeImporter &n) {
  if (n.has(0) && isInteger(n.operand(0))) {
    if (std::optional<Reduction> r = reduction(n, 18))
      n.result(0, n.reduce(ReduceKind::sum, n.mul(r->x, r->x), r->axes, r->keepDims));
    return;
  }
  reduceWide(n, 18, [&](const Reduction &r) {
    return n.reduce(ReduceKind::sum, n.mul(r.x, r.x), r.axes, r.keepDims);
  });
}

static void importReduceL2(NodeImporter &n) {
  reduceWide(n, 18, [&](const Reduction &r) {
    return n.unary(UnaryKind::sqrt, n.reduce(ReduceKind::sum, n.mul(r.x, r.x), r.axes, r.keepDims));
  });
}

static void importReduceLogSum(NodeImporter &n) {
  reduceWide(n, 18, [&](const Reduction &r) {
    return n.unary(UnaryKind::log, n.reduce(ReduceKind::sum, r.x, r.axes, r.keepDims));
  });
}

/// max + log(sum(exp(x - max))); a maximum that is not finite (nothing to sum, an infinity) is not
/// subtracted.
static void importReduceLogSumExp(NodeImporter &n) {
  reduceWide(n, 18, [&](const Reduction &r) {
    Value top = n.reduce(ReduceKind::rmax, r.x, r.axes, /*keepDims=*/true);
    top = n.select(n.unary(UnaryKind::isinf, top), n.like(top, 0), top);
    Value sum = n.reduce(ReduceKind::sum, n.unary(UnaryKind::exp, n.sub(r.x, top)), r.axes, r.keepDims);
    return n.add(n.unary(UnaryKind::log, sum), n.reshape(top, dimsOf(sum)));
  });
}

template <bool isMax> static void importArgReduce(NodeImporter &n) {
  if (!require(n, 1))
    return;
  Value x = n.operand(0);
  if (std::optional<int64_t> axis = n.axis(n.intAttr("axis", 0), n.rank(x)))
    n.result(0, n.argReduce(x, *axis, isMax, n.intAttr("select_last_index", 0), n.intAttr("keepdims", 1)));
}

//===- Running sums --------------------------------------------------------------------------===//

template <ReduceKind kind> static void importCumulative(NodeImporter &n) {
  if (!require(n, 2))
    return;
  auto axes = intsFrom(n, 1, "");
  if (!axes)
    return;
  if (axes->size() != 1)
    return n.fail("TW2004", "axis must be a scalar");
  if (std::optional<int64_t> axis = n.axis((*axes)[0], n.rank(n.operand(0))))
    n.result(0, n.scan(kind, n.operand(0), *axis, n.intAttr("exclusive", 0), n.intAttr("reverse", 0)));
}

//===- Softmax -------------------------------------------------------------------------------===//

static Value hardmax(GraphBuilder &g, Value x, int64_t axis) {
  Value index = g.argReduce(x, axis, /*isMax=*/true, /*lastIndex=*/false, /*keepDims=*/true);
  Value position = g.iota(dimsOf(x), GraphBuilder::elementType(index), axis);
  return g.cast(g.compare(CompareKind::eq, position, index), GraphBuilder::elementType(x));
}

/// Before opset 13 the dimensions from `axis` on count as one.
static void alongOneDimension(NodeImporter &n, Value (*function)(GraphBuilder &, Value, int64_t)) {
  if (!require(n, 1) || !requireFloat(n, n.operand(0)))
    return;
  Value x = n.operand(0);
  Dims shape = dimsOf(x);
  int64_t rank = shape.size();
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", n.opset < 13 ? 1 : -1), std::max<int64_t>(rank, 1));
  if (!axis)
    return;
  if (rank == 0)
    return n.result(0, n.reshape(function(n, n.reshape(x, {n.dim(1)}), 0), {}));
  if (n.opset >= 13 || *axis == rank - 1)
    return n.result(0, function(n, x, *axis));
  Dims joined = piece(shape, 0, *axis);
  joined.push_back(productOf(piece(shape, *axis, rank), n.b.getContext()));
  n.result(0, n.reshape(function(n, n.reshape(x, joined), *axis), shape));
}

static void importSoftmax(NodeImporter &n) { alongOneDimension(n, softmax); }
static void importLogSoftmax(NodeImporter &n) { alongOneDimension(n, logSoftmax); }
static void importHardmax(NodeImporter &n) { alongOneDimension(n, hardmax); }

//===- Top-k -----------------------------------------------------------------------------------===//

static std::optional<AffineExpr> topCount(NodeImporter &n) {
  if (n.opset < 10)
    return n.dim(n.intAttr("k", 1));
  if (!require(n, 2))
    return std::nullopt;
  std::optional<Dims> count = shapeOperand(n, n.operand(1), "K");
  if (!count)
    return std::nullopt;
  if (count->size() == 1)
    return (*count)[0];
  n.fail("TW2004", "K must have one element");
  return std::nullopt;
}

static void importTopK(NodeImporter &n) {
  if (!require(n, 1))
    return;
  Value x = n.operand(0);
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", -1), n.rank(x));
  std::optional<AffineExpr> count = axis ? topCount(n) : std::nullopt;
  if (!count)
    return;
  std::optional<int64_t> wanted = constantOf(*count), size = constantOf(dimsOf(x)[*axis]);
  if (wanted && (*wanted < 0 || (size && *wanted > *size)))
    return n.fail("TW2005", "K is " + llvm::Twine(*wanted) + " for a tensor of shape " + shapeText(n, x));
  auto [values, indices] = n.sort(x, *axis, n.intAttr("largest", 1), *count);
  n.result(0, values);
  n.result(1, indices);
}

llvm::ArrayRef<OpEntry> reductionOps() {
  static const OpEntry table[] = {
      {"ArgMax", importArgReduce<true>},
      {"ArgMin", importArgReduce<false>},
      {"CumProd", importCumulative<ReduceKind::prod>},
      {"CumSum", importCumulative<ReduceKind::sum>},
      {"Hardmax", importHardmax},
      {"LogSoftmax", importLogSoftmax},
      {"ReduceL1", importReduceL1},
      {"ReduceL2", importReduceL2},
      {"ReduceLogSum", importReduceLogSum},
      {"ReduceLogSumExp", importReduceLogSumExp},
      {"ReduceMax", importReduce<ReduceKind::rmax, 18>},
      {"ReduceMean", importReduceMean},
      {"ReduceMin", importReduce<ReduceKind::rmin, 18>},
      {"ReduceProd", importReduce<ReduceKind::prod, 18>},
      {"ReduceSum", importReduce<ReduceKind::sum, 13>},
      {"ReduceSumSquare", importReduceSumSquare},
      {"Softmax", importSoftmax},
      {"TopK", importTopK},
  };
  return table;
}

} // namespace tilewright::frontend
