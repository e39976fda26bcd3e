/// Reduction.cpp - reductions, running sums, arg-min/max, softmax and its kin, top-k.
#include "frontend/ops/RuntimeAxes.h"

using namespace mlir;
namespace tilewright::frontend {

using graph::BinaryKind;
using graph::CompareKind;
using graph::ReduceKind;
using graph::UnaryKind;

//===- Reduce* ---------------------------------------------------------------------------===//

namespace {

/// A Reduce operator: what happens before, the reduction (which may be done one dimension after the other),
/// and what happens after.
struct Reducer {
  int inputOpset;    ///< axes are an operand from here on
  bool wide = false; ///< floats in their accumulation type, integers as doubles
  llvm::function_ref<Value(Value x, ArrayRef<int64_t> axes, bool keepDims)> reduce;
  UnaryKind after = UnaryKind::abs;
  bool hasAfter = false;
};

} // namespace

/// Axes that are known; nothing with a diagnostic. No axes are all of them unless noop_with_empty_axes.
static std::optional<SmallVector<int64_t>> reducedAxes(NodeImporter &n, int inputOpset, int64_t rank) {
  auto given = n.opset >= inputOpset ? intsFrom(n, 1, "") : n.intsAttr("axes");
  if (n.hasFailed())
    return std::nullopt;
  if (given && !given->empty())
    return normalizedAxes(n, *given, rank);
  bool identity = n.opset >= inputOpset && n.intAttr("noop_with_empty_axes", 0);
  return identity ? SmallVector<int64_t>() : upTo(rank);
}

/// The reduction along axes that are only known when the program runs.
static Value reducedAtRunTime(NodeImporter &n, Value x, const Reducer &r, bool keepDims) {
  int64_t rank = n.rank(x);
  if (!requireRank(n, x, 1, INT64_MAX))
    return {};
  Value axes = axesVector(n, n.operand(1), rank);
  if (!axes || (!keepDims && !requireKnownNumber(n, axes)))
    return {};
  Value mask = axesMask(n, axes, rank);
  if (!constantOf(dimsOf(axes)[0]) && !n.intAttr("noop_with_empty_axes", 0)) {
    Value number = dimValue(n, dimsOf(axes)[0], si64(n));
    mask = n.binary(BinaryKind::ior, mask, n.compare(CompareKind::eq, number, n.like(number, 0)));
  }
  auto one = [&](Value value, int64_t axis) { return r.reduce(value, {axis}, /*keepDims=*/true); };
  std::optional<Value> reduced = reducedWhere(n, x, mask, one);
  if (!reduced || keepDims)
    return reduced.value_or(Value());
  if (lengthOf(axes) > rank) {
    n.fail("TW2001", "there are more axes than dimensions");
    return {};
  }
  Value kept = unmarked(n, n.dims(dimsOf(*reduced)), mask, lengthOf(axes));
  std::optional<Dims> shape = kept ? n.elements(kept, "kept") : std::nullopt;
  return shape ? n.reshape(*reduced, *shape) : Value();
}

static void reduceWith(NodeImporter &n, Value x, Type type, const Reducer &r) {
  bool keepDims = n.intAttr("keepdims", 1);
  bool runTime = n.opset >= r.inputOpset && n.has(1) && !n.constantInts(n.operand(1));
  if (r.wide || (runTime && isFloat(type))) // one dimension after the other: round at the end only
    x = n.cast(x, isFloat(type) ? accumulationType(n.elementType(x)) : Type(n.b.getF64Type()));
  Value result;
  if (runTime) {
    result = reducedAtRunTime(n, x, r, keepDims);
  } else {
    auto axes = reducedAxes(n, r.inputOpset, n.rank(x));
    result = !axes ? Value() : axes->empty() ? x : r.reduce(x, *axes, keepDims);
  }
  if (result && !n.hasFailed())
    n.result(0, n.cast(r.hasAfter ? n.unary(r.after, result) : result, type));
}

template <ReduceKind kind, int inputOpset> static void importReduce(NodeImporter &n) {
  if (!require(n, 1))
    return;
  Value x = n.operand(0); // sums of halves are rounded once, by the op itself
  Type type = n.elementType(x);
  if (kind == ReduceKind::prod && isFloat(type)) // the error of a product grows with every rounding
    x = n.cast(x, n.b.getF64Type());
  reduceWith(n, x, type, {inputOpset, false, [&](Value value, ArrayRef<int64_t> axes, bool keepDims) {
                            return n.reduce(kind, value, axes, keepDims);
                          }});
}

static void importReduceMean(NodeImporter &n) {
  if (!require(n, 1))
    return;
  Value x = n.operand(0);
  reduceWith(n, x, n.elementType(x), {18, true, [&](Value value, ArrayRef<int64_t> axes, bool keepDims) {
                                        return n.mean(value, axes, keepDims);
                                      }});
}

/// Sums of a function of the operand, and possibly a function of that. Integers stay integers where the
/// result is one.
static void reduceSum(NodeImporter &n, llvm::function_ref<Value(Value)> before,
                      std::optional<UnaryKind> after) {
  if (!require(n, 1))
    return;
  Value x = n.operand(0);
  Type type = n.elementType(x);
  bool exact = !after && isInteger(type);
  Value wide = exact ? x : n.cast(x, isFloat(type) ? accumulationType(type) : Type(n.b.getF64Type()));
  auto sum = [&](Value value, ArrayRef<int64_t> axes, bool keepDims) {
    return n.reduce(ReduceKind::sum, value, axes, keepDims);
  };
  reduceWith(n, before(wide), type, {18, !exact, sum, after.value_or(UnaryKind::abs), after.has_value()});
}

static void importReduceL1(NodeImporter &n) {
  reduceSum(n, [&](Value x) { return n.unary(UnaryKind::abs, x); }, std::nullopt);
}

static void importReduceSumSquare(NodeImporter &n) {
  reduceSum(n, [&](Value x) { return n.mul(x, x); }, std::nullopt);
}

static void importReduceL2(NodeImporter &n) {
  reduceSum(n, [&](Value x) { return n.mul(x, x); }, UnaryKind::sqrt);
}

static void importReduceLogSum(NodeImporter &n) {
  reduceSum(n, [&](Value x) { return x; }, UnaryKind::log);
}

/// max + log(sum(exp(x - max))); a maximum that is not finite (nothing to sum, an infinity) is not
/// subtracted.
static Value logSumExp(NodeImporter &n, Value x, ArrayRef<int64_t> axes, bool keepDims) {
  Value top = n.reduce(ReduceKind::rmax, x, axes, /*keepDims=*/true);
  top = n.select(n.unary(UnaryKind::isinf, top), n.like(top, 0), top);
  Value sum = n.reduce(ReduceKind::sum, n.unary(UnaryKind::exp, n.sub(x, top)), axes, keepDims);
  return n.add(n.unary(UnaryKind::log, sum), n.reshape(top, dimsOf(sum)));
}

static void importReduceLogSumExp(NodeImporter &n) {
  if (!require(n, 1))
    return;
  Value x = n.operand(0);
  reduceWith(n, x, n.elementType(x), {18, true, [&](Value value, ArrayRef<int64_t> axes, bool keepDims) {
                                        return logSumExp(n, value, axes, keepDims);
                                      }});
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
  if (!require(n, 2) || !requireRank(n, n.operand(0), 1, INT64_MAX))
    return;
  Value x = n.operand(0);
  Value given = singleElement(n, n.operand(1), "axis");
  if (!given)
    return;
  auto along = [&](int64_t axis) {
    return n.scan(kind, x, axis, n.intAttr("exclusive", 0), n.intAttr("reverse", 0));
  };
  if (auto known = n.constantInts(given)) {
    if (std::optional<int64_t> axis = n.axis(known->front(), n.rank(x)))
      n.result(0, along(*axis));
    return;
  }
  Value axis = axesVector(n, given, n.rank(x)), result = along(0);
  if (!axis)
    return;
  for (int64_t dim = 1; dim < n.rank(x); ++dim)
    result = n.select(n.compare(CompareKind::eq, n.reshape(axis, {}), n.scalarInt(si64(n), dim)), along(dim),
                      result);
  n.result(0, result);
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
  Value count = singleElement(n, n.operand(1), "K");
  std::optional<Dims> known = count ? shapeOperand(n, count, "K") : std::nullopt;
  return known ? std::optional((*known)[0]) : std::nullopt;
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
