/// Slice.cpp - operators that keep or add a border: slice, pad, centre crop.
#include "frontend/ops/RuntimeAxes.h"

using namespace mlir;
namespace tilewright::frontend {

using graph::BinaryKind;
using graph::CompareKind;
using graph::PadMode;
using graph::UnaryKind;

//===- Slice -----------------------------------------------------------------------------===//

namespace {
/// One sliced dimension: `size` elements from `start` on.
struct Range {
  AffineExpr start, size;
};
} // namespace

/// Where a possibly negative index points, not yet clamped. Nothing when its sign is not known.
static std::optional<AffineExpr> position(NodeImporter &n, AffineExpr value, AffineExpr size, bool forward) {
  // Exporters write infinite ends as INT32_MAX or INT64_MAX and their negatives.
  std::optional<int64_t> known = constantOf(value);
  if (known && *known >= INT32_MAX)
    return size;
  if (known && *known <= -INT32_MAX)
    return n.dim(forward ? 0 : -1);
  if (n.symbols.lowerBound(value) >= 0)
    return value;
  if (n.symbols.upperBound(value) >= 0)
    return std::nullopt;
  return canonical(size + value);
}

/// NumPy's rule: clamp both ends, then count. Ends are clamped only where the count needs it: a start beyond
/// the end of an empty slice is never read, and expressions like N - 1 instead of nested minima are what
/// makes sizes provably equal later.
static std::optional<Range> symbolicRange(NodeImporter &n, AffineExpr start, AffineExpr end, int64_t step,
                                          AffineExpr size) {
  std::optional<AffineExpr> first = position(n, start, size, step > 0),
                            last = position(n, end, size, step > 0);
  if (!first || !last)
    return std::nullopt;
  SymbolTable &s = n.symbols;
  AffineExpr zero = n.dim(0), span;
  if (step > 0) {
    *last = s.minimum(*last, size);
    span = s.minimum(*last - *first, *last); // last - max(first, 0)
    *first = s.maximum(*first, zero);
  } else {
    *first = s.minimum(*first, size - 1);
    span = s.minimum(*first - *last, *first + 1); // first - max(last, -1)
  }
  int64_t stride = step == INT64_MIN ? INT64_MAX : std::abs(step);
  span = s.maximum(span, zero);
  if (stride > (int64_t(1) << 30)) // one element at most
    return Range{*first, s.minimum(span, n.dim(1))};
  return Range{*first, canonical((span + (stride - 1)).floorDiv(stride))};
}

/// How many steps of `stride` > 0 begin within `span`, which may be negative: without overflow, whatever the
/// stride is.
static Value stepsWithin(NodeImporter &n, Value span, Value stride) {
  Value one = n.like(span, 1), more = n.maximum(n.sub(span, one), n.like(span, 0));
  return n.select(n.compare(CompareKind::ge, span, one), n.add(n.div(more, stride), one), n.like(span, 0));
}

/// The same by arithmetic on the tensors `start` and `end` (scalars), when the program runs.
static std::optional<Range> runtimeRange(NodeImporter &n, Value start, Value end, int64_t step,
                                         AffineExpr size) {
  bool forward = step > 0;
  Value extent = n.dims(ArrayRef<AffineExpr>{size}, /*scalar=*/true), zero = n.like(extent, 0);
  auto clamped = [&](Value value, int64_t low, int64_t high) {
    value = n.select(n.compare(CompareKind::lt, value, zero), n.add(value, extent), value);
    return n.minimum(n.maximum(value, n.scalarInt(si64(n), low)), n.add(extent, n.scalarInt(si64(n), high)));
  };
  Value first = clamped(start, 0, forward ? 0 : -1), last = clamped(end, forward ? 0 : -1, forward ? 0 : -1);
  Value count = stepsWithin(n, forward ? n.sub(last, first) : n.sub(first, last),
                            n.scalarInt(si64(n), step == INT64_MIN ? INT64_MAX : std::abs(step)));
  int64_t most = n.symbols.upperBound(size);
  std::optional<Dims> begin = n.elements(n.maximum(first, zero), "start", 0, most),
                      length = n.elements(count, "length", 0, most);
  if (!begin || !length)
    return std::nullopt;
  return Range{(*begin)[0], (*length)[0]};
}

/// Starts, ends, axes and steps of a Slice, as tensors for opset 10 and later, as constants before.
namespace {
struct SliceOperands {
  Value starts, ends;
  SmallVector<int64_t> axes, steps;
};
} // namespace

/// How many dimensions are sliced, by whichever operand tells.
static std::optional<int64_t> numberOfSlices(NodeImporter &n) {
  for (size_t index = 1; index < n.operandCount(); ++index)
    if (std::optional<int64_t> known =
            n.has(index) ? constantOf(elementCount(n.operand(index).getType())) : std::nullopt)
      return known;
  return std::nullopt;
}

static std::optional<SliceOperands> sliceOperands(NodeImporter &n) {
  SliceOperands s;
  std::optional<SmallVector<int64_t>> axes;
  if (n.opset < 10) {
    auto starts = n.intsAttr("starts"), ends = n.intsAttr("ends");
    if (!starts || !ends) {
      n.fail("TW1206", "starts and ends are needed");
      return std::nullopt;
    }
    s.starts = n.intVector(*starts);
    s.ends = n.intVector(*ends);
    axes = n.intsAttr("axes");
  } else {
    if (!require(n, 3) || !requireRank(n, n.operand(1), 1, 1, "starts") ||
        !requireRank(n, n.operand(2), 1, 1, "ends"))
      return std::nullopt;
    std::optional<int64_t> number = numberOfSlices(n);
    Value starts = number ? vectorOf(n, n.operand(1), *number, "starts") : Value(),
          ends = starts ? vectorOf(n, n.operand(2), *number, "ends") : Value();
    if (!ends)
      return std::nullopt;
    s.starts = n.cast(starts, si64(n));
    s.ends = n.cast(ends, si64(n));
    axes = intsFrom(n, 3, "");
  }
  AffineExpr count = dimsOf(s.starts)[0];
  s.axes = axes ? *axes : upTo(*constantOf(count));
  s.steps =
      (n.opset < 10 ? std::nullopt : intsFrom(n, 4, "")).value_or(SmallVector<int64_t>(s.axes.size(), 1));
  if (n.hasFailed())
    return std::nullopt;
  if (dimsOf(s.ends)[0] != count || s.axes.size() != size_t(*constantOf(count)) ||
      s.steps.size() != s.axes.size()) {
    n.fail("TW2005", "starts, ends, axes and steps have different lengths");
    return std::nullopt;
  }
  return s;
}

/// The element of a vector as an expression, where it can be told (other elements of the vector may not be).
static std::optional<AffineExpr> knownAt(NodeImporter &n, Value vector, int64_t index) {
  std::optional<Dims> value = n.symbolicValue(vector);
  if (value)
    return (*value)[index];
  value = n.symbolicValue(elementAt(n, vector, index));
  return value ? std::optional((*value)[0]) : std::nullopt;
}

static std::optional<Range> slicedRange(NodeImporter &n, const SliceOperands &s, size_t index,
                                        AffineExpr size) {
  std::optional<AffineExpr> start = knownAt(n, s.starts, index), end = knownAt(n, s.ends, index);
  std::optional<Range> range;
  if (start && end)
    range = symbolicRange(n, *start, *end, s.steps[index], size);
  if (!range)
    range = runtimeRange(n, elementAt(n, s.starts, index), elementAt(n, s.ends, index), s.steps[index], size);
  return range;
}

/// Axes, steps or how many there are, only known when the program runs: each dimension is gathered, at
/// positions computed for all dimensions.
static void sliceAtRunTime(NodeImporter &n) {
  Value x = n.operand(0);
  Dims from = dimsOf(x);
  int64_t rank = from.size();
  for (size_t index = 1; index < n.operandCount(); ++index)
    if (n.has(index) && (!isInteger(n.operand(index)) || !requireRank(n, n.operand(index), 1, 1) ||
                         !n.requireEqual(dimsOf(n.operand(index))[0], dimsOf(n.operand(1))[0],
                                         "numbers of starts and of others")))
      return n.fail("TW2003", "starts, ends, axes and steps must be vectors of integers");
  Value axes = n.has(3) ? axesVector(n, n.operand(3), rank) : n.iota(dimsOf(n.operand(1)), si64(n), 0);
  if (!axes || !requireRank(n, x, 1, INT64_MAX) ||
      !n.requireAtMost(dimsOf(axes)[0], n.dim(rank), "the number of axes and the rank"))
    return;
  auto full = [&](Value given, int64_t fallback) { // for all dimensions
    Value base = n.broadcastTo(n.scalarInt(si64(n), fallback), {n.dim(rank)});
    return given ? writtenAt(n, base, axes, n.cast(given, si64(n))) : base;
  };
  Value start = full(n.operand(1), 0), end = full(n.operand(2), INT64_MAX), step = full(n.operand(4), 1);
  Value zero = n.like(start, 0), one = n.like(start, 1), sizes = n.dims(from);
  Value backward = n.compare(CompareKind::lt, step, zero),
        lowest = n.select(backward, n.like(start, -1), zero);
  auto clamped = [&](Value value, Value low) {
    value = n.select(n.compare(CompareKind::lt, value, zero), n.add(value, sizes), value);
    return n.minimum(n.maximum(value, low), n.add(sizes, lowest));
  };
  start = clamped(start, zero);
  Value span = n.sub(clamped(end, lowest), start), still = n.compare(CompareKind::eq, step, zero);
  span = n.select(backward, n.unary(UnaryKind::neg, span), span);
  Value stride = n.select(backward, n.unary(UnaryKind::neg, step), step); // -2^63 stays what it is
  stride = n.select(n.compare(CompareKind::lt, stride, zero), n.scalarInt(si64(n), INT64_MAX), stride);
  Value count = stepsWithin(n, span, n.select(still, one, stride));
  count = n.select(still, n.like(count, -1), count); // no count: the run fails
  std::optional<Dims> counts = n.elements(count, "length");
  for (int64_t dim = 0; counts && dim < rank; ++dim) {
    Value place = n.mul(n.iota(ArrayRef<AffineExpr>{(*counts)[dim]}, si64(n), 0), elementAt(n, step, dim));
    x = n.gather(x, n.add(place, elementAt(n, start, dim)), dim);
  }
  if (counts)
    n.result(0, x);
}

static bool runTimeSlice(NodeImporter &n) {
  if (n.opset < 10 || !n.has(1) || !n.has(2))
    return false;
  auto unknown = [&](size_t index) { return n.has(index) && !n.constantInts(n.operand(index)); };
  return unknown(3) || unknown(4) || !numberOfSlices(n);
}

static void importSlice(NodeImporter &n) {
  if (!require(n, 1))
    return;
  if (runTimeSlice(n))
    return sliceAtRunTime(n);
  std::optional<SliceOperands> s = sliceOperands(n);
  if (!s)
    return;
  Value x = n.operand(0);
  Dims sizes = dimsOf(x), starts(sizes.size(), n.dim(0));
  SmallVector<int64_t> steps(sizes.size(), 1);
  llvm::SmallDenseSet<int64_t> seen;
  for (size_t index = 0; index < s->axes.size(); ++index) {
    std::optional<int64_t> axis = n.axis(s->axes[index], sizes.size());
    if (!axis)
      return;
    if (s->steps[index] == 0 || !seen.insert(*axis).second)
      return n.fail("TW1205", "a step is 0 or an axis is given twice");
    std::optional<Range> range = slicedRange(n, *s, index, sizes[*axis]);
    if (!range)
      return;
    starts[*axis] = range->start;
    sizes[*axis] = range->size;
    steps[*axis] = s->steps[index];
  }
  n.result(0, n.slice(x, starts, steps, sizes));
}

//===- Pad ---------------------------------------------------------------------------------===//

/// Cut away what is negative in `low` and `high`, which then are what is to be added.
static Value cropped(NodeImporter &n, Value x, Dims &low, Dims &high) {
  Dims shape = dimsOf(x), starts;
  for (size_t index = 0; index < shape.size(); ++index) {
    AffineExpr before = n.symbols.maximum(-low[index], n.dim(0)),
               after = n.symbols.maximum(-high[index], n.dim(0));
    starts.push_back(before);
    shape[index] = n.symbols.maximum(shape[index] - before - after, n.dim(0));
    low[index] = n.symbols.maximum(low[index], n.dim(0));
    high[index] = n.symbols.maximum(high[index], n.dim(0));
  }
  return n.slice(x, starts, SmallVector<int64_t>(shape.size(), 1), shape);
}

/// Pads for axes that are only known when the program runs, written into those for all dimensions.
static Value padsOfAllAxes(NodeImporter &n, Value pads) {
  int64_t rank = n.rank(n.operand(0));
  Value axes = axesVector(n, n.operand(3), rank);
  if (!axes || !requireRank(n, pads, 1, 1, "pads") ||
      !n.requireEqual(dimsOf(pads)[0], canonical(dimsOf(axes)[0] * 2), "pads and twice the number of axes"))
    return {};
  Value places = n.concat({axes, n.add(axes, n.like(axes, rank))}, 0);
  return writtenAt(n, n.broadcastTo(n.scalarInt(si64(n), 0), {n.dim(2 * rank)}), places,
                   n.cast(pads, si64(n)));
}

static std::optional<Dims> padSizes(NodeImporter &n) {
  if (n.opset >= 11) {
    if (!require(n, 2))
      return std::nullopt;
    bool axesKnown = !n.has(3) || n.constantInts(n.operand(3));
    int64_t axes = n.has(3) && axesKnown ? n.constantInts(n.operand(3))->size() : n.rank(n.operand(0));
    Value pads = axesKnown ? vectorOf(n, n.operand(1), 2 * axes, "pads") : padsOfAllAxes(n, n.operand(1));
    return pads ? n.elements(pads, "pads", INT64_MIN) : std::nullopt;
  }
  auto pads = n.intsAttr(n.opset < 2 ? "paddings" : "pads");
  if (!pads) {
    n.fail("TW1206", "pads are missing");
    return std::nullopt;
  }
  return n.dims(*pads);
}

static std::optional<PadMode> padMode(NodeImporter &n) {
  std::string mode = n.stringAttr("mode", "constant");
  if (mode == "constant")
    return PadMode::constant;
  if (mode == "edge")
    return PadMode::edge;
  if (mode == "reflect")
    return PadMode::reflect;
  if (mode == "wrap")
    return PadMode::wrap;
  n.fail("TW1205", "mode is '" + mode + "'; it must be constant, edge, reflect or wrap");
  return std::nullopt;
}

static Value padValue(NodeImporter &n) {
  Value x = n.operand(0);
  if (n.opset < 11 || !n.has(2))
    return n.like(x, n.opset < 11 ? n.floatAttr("value", 0) : 0);
  Value value = n.operand(2);
  if (!requireSameElements(n, {x, value}))
    return {};
  return singleElement(n, value, "the fill value");
}

/// Edge, reflect and wrap need something to repeat, and reflect does not go around twice.
static bool padsFit(NodeImporter &n, Value x, PadMode mode, ArrayRef<AffineExpr> low,
                    ArrayRef<AffineExpr> high) {
  for (auto [size, before, after] : llvm::zip_equal(dimsOf(x), low, high)) {
    int64_t most = n.symbols.upperBound(size),
            pad = std::max(n.symbols.lowerBound(before), n.symbols.lowerBound(after));
    if (mode == PadMode::constant || pad <= 0 || (most > 0 && (mode != PadMode::reflect || pad < most)))
      continue;
    if (most <= 0)
      return n.fail("TW2005", "an empty dimension cannot be extended in this mode"), false;
    n.unsupported("TW1203", "a dimension of " + llvm::Twine(most) + " cannot be extended by " +
                                llvm::Twine(pad) + " in this mode");
    return false;
  }
  return true;
}

static void importPad(NodeImporter &n) {
  if (!require(n, 1))
    return;
  Value x = n.operand(0);
  std::optional<PadMode> mode = padMode(n);
  std::optional<Dims> pads = padSizes(n);
  SmallVector<int64_t> axes =
      (n.has(3) ? n.constantInts(n.operand(3)) : std::nullopt).value_or(upTo(n.rank(x)));
  if (!mode || !pads || n.hasFailed())
    return;
  if (pads->size() != 2 * axes.size())
    return n.fail("TW2005", "pads has " + llvm::Twine(pads->size()) + " elements for " +
                                llvm::Twine(axes.size()) + " dimensions");
  Dims low(n.rank(x), n.dim(0)), high = low;
  for (auto [index, value] : llvm::enumerate(axes)) {
    std::optional<int64_t> axis = n.axis(value, n.rank(x));
    if (!axis)
      return;
    low[*axis] = (*pads)[index];
    high[*axis] = (*pads)[axes.size() + index];
  }
  Value fill = padValue(n);
  if (!fill)
    return;
  x = cropped(n, x, low, high);
  if (padsFit(n, x, *mode, low, high))
    n.result(0, n.pad(x, low, high, *mode, fill));
}

static void importCenterCropPad(NodeImporter &n) {
  if (!require(n, 2))
    return;
  Value x = n.operand(0);
  auto axes = normalizedAxes(n, n.intsAttr("axes").value_or(upTo(n.rank(x))), n.rank(x));
  SmallVector<int64_t> order = n.intsAttr("axes").value_or(upTo(n.rank(x)));
  std::optional<Dims> target = shapeOperand(n, n.operand(1), order.size(), "shape");
  if (!axes || !target)
    return;
  if (axes->size() != order.size())
    return n.fail("TW2001", "an axis is given twice");
  Dims low(n.rank(x), n.dim(0)), high = low, shape = dimsOf(x);
  for (auto [index, given] : llvm::enumerate(order)) {
    int64_t axis = *n.axis(given, n.rank(x));
    AffineExpr more = n.symbols.maximum((*target)[index] - shape[axis], n.dim(0));
    AffineExpr less = n.symbols.maximum(shape[axis] - (*target)[index], n.dim(0));
    low[axis] = canonical(more.floorDiv(2) - less.floorDiv(2));
    high[axis] = canonical((more - more.floorDiv(2)) - (less - less.floorDiv(2)));
  }
  x = cropped(n, x, low, high);
  n.result(0, n.pad(x, low, high, PadMode::constant, n.like(x, 0)));
}

llvm::ArrayRef<OpEntry> sliceOps() {
  static const OpEntry table[] = {
      {"CenterCropPad", importCenterCropPad},
      {"Pad", importPad},
      {"Slice", importSlice},
  };
  return table;
}

} // namespace tilewright::frontend
