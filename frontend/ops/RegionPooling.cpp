/// RegionPooling.cpp - MaxRoiPool and RoiAlign: pooling over regions whose corners are data.
#include "frontend/ops/Composites.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::BinaryKind;
using graph::CompareKind;
using graph::ReduceKind;
using graph::UnaryKind;

/// Column `index` of a matrix, as a vector.
static Value column(NodeImporter &n, Value matrix, int64_t index) {
  return n.squeeze(n.sliceAxis(matrix, 1, n.dim(index), n.dim(1)), {1});
}

//===- MaxRoiPool -------------------------------------------------------------------===//

namespace {
/// Which cells of one spatial dimension belong to which bin: [regions, bins, cells], and bins without any:
/// [regions, bins].
struct Bins {
  Value inside, empty;
};
} // namespace

static Bins binsOf(NodeImporter &n, Value first, Value last, int64_t bins, AffineExpr cells) {
  Type element = GraphBuilder::elementType(first);
  auto rounded = [&](Value x) { return n.unary(UnaryKind::floor, n.add(x, n.like(x, 0.5))); };
  Value begin = rounded(first), end = rounded(last);
  Value length = n.maximum(n.add(n.sub(end, begin), n.like(begin, 1)), n.like(begin, 1));
  Value width = n.unsqueeze(n.div(length, n.like(length, bins)), {1}),
        bin = n.iota({n.dim(bins)}, element, 0);
  Value size = dimValue(n, cells, element), zero = n.like(begin, 0), offset = n.unsqueeze(begin, {1});
  auto within = [&](Value edge) { return n.minimum(n.maximum(n.add(edge, offset), zero), size); };
  Value from = within(n.unary(UnaryKind::floor, n.mul(bin, width)));
  Value to = within(n.unary(UnaryKind::ceil, n.mul(n.add(bin, n.like(bin, 1)), width)));
  Value cell = n.iota({cells}, element, 0);
  Value inside = n.binary(BinaryKind::iand, n.compare(CompareKind::ge, cell, n.unsqueeze(from, {2})),
                          n.compare(CompareKind::lt, cell, n.unsqueeze(to, {2})));
  return {inside, n.compare(CompareKind::le, to, from)};
}

static bool requireRegions(NodeImporter &n, size_t count, int64_t columns) {
  if (!require(n, count) || !requireFloat(n, n.operand(0)) ||
      !requireRank(n, n.operand(0), 4, 4, "the input") ||
      !requireRank(n, n.operand(1), 2, 2, "the regions") ||
      !requireSameElements(n, {n.operand(0), n.operand(1)}))
    return false;
  return n.requireEqual(dimsOf(n.operand(1))[1], n.dim(columns), "the regions' columns");
}

void importMaxRoiPool(NodeImporter &n) {
  std::optional<SmallVector<int64_t>> pooled = n.intsAttr("pooled_shape");
  if (!requireRegions(n, 2, 5))
    return;
  if (!pooled || pooled->size() != 2 || (*pooled)[0] < 1 || (*pooled)[1] < 1)
    return n.fail("TW1205", "pooled_shape must be two positive sizes");
  Type element = GraphBuilder::elementType(n.operand(0));
  Value x = n.cast(n.operand(0), accumulationType(element)),
        regions = n.cast(n.operand(1), accumulationType(element));
  Value scaled = n.mul(regions, n.like(regions, n.floatAttr("spatial_scale", 1)));
  Dims shape = dimsOf(x);
  Bins columns = binsOf(n, column(n, scaled, 1), column(n, scaled, 3), (*pooled)[1], shape[3]);
  Bins rows = binsOf(n, column(n, scaled, 2), column(n, scaled, 4), (*pooled)[0], shape[2]);
  Value lowest = n.like(x, -std::numeric_limits<double>::infinity());
  Value batch = n.cast(column(n, regions, 0), signedType(n, 64));
  if (!n.requireWithin(batch, n.dim(0), canonical(shape[0] - 1), "the regions' batches"))
    return;
  Value image = n.gather(x, batch, 0); // [regions, C, H, W]
  Value perRow = n.select(n.unsqueeze(rows.inside, {1, 4}), n.unsqueeze(image, {2}), lowest);
  Value strips = n.reduce(ReduceKind::rmax, perRow, {3}); // [regions, C, bins, W]
  Value perCell = n.select(n.unsqueeze(columns.inside, {1, 2}), n.unsqueeze(strips, {3}), lowest);
  Value largest = n.reduce(ReduceKind::rmax, perCell, {4});
  Value empty =
      n.binary(BinaryKind::ior, n.unsqueeze(rows.empty, {1, 3}), n.unsqueeze(columns.empty, {1, 2}));
  n.result(0, n.cast(n.select(empty, n.like(x, 0), largest), element));
}

//===- RoiAlign ---------------------------------------------------------------------===//

namespace {
/// The samples along one spatial dimension, [regions, bins, samples] each: two neighbours, their weights, and
/// whether the sample counts at all (a region may want fewer samples than the largest one).
struct Samples {
  Value low, high, lowWeight, highWeight, active;
  Value count; ///< wanted by each region: [regions] or rank 0
};

struct Align {
  NodeImporter &n;
  Value regions; ///< scaled and shifted
  int64_t ratio;
  bool halfPixel;

  Samples along(int64_t firstColumn, int64_t bins, AffineExpr cells) const;
  std::pair<Value, AffineExpr> sampleCount(Value length, int64_t bins) const;
};
} // namespace

/// Samples a bin: sampling_ratio, or ceil(length / bins) of each region; the largest one is found when the
/// program runs.
std::pair<Value, AffineExpr> Align::sampleCount(Value length, int64_t bins) const {
  if (ratio > 0)
    return {n.like(length, ratio), n.dim(ratio)};
  Value count = n.maximum(n.unary(UnaryKind::ceil, n.div(length, n.like(length, bins))), n.like(length, 0));
  Value most = n.maximum(n.reduce(ReduceKind::rmax, count, {0}), n.like(count, 1));
  return {count, n.valueOrDefine(n.cast(most, signedType(n, 64)), "samples", 1, 1 << 20)[0]};
}

Samples Align::along(int64_t firstColumn, int64_t bins, AffineExpr cells) const {
  Type element = GraphBuilder::elementType(regions), index = signedType(n, 64);
  Value begin = column(n, regions, firstColumn), end = column(n, regions, firstColumn + 2),
        length = n.sub(end, begin);
  if (!halfPixel)
    length = n.maximum(length, n.like(length, 1));
  auto [count, most] = sampleCount(length, bins);
  auto perRegion = [&](Value x) { return GraphBuilder::rank(x) ? n.unsqueeze(x, {1, 2}) : x; };
  Value width = perRegion(n.div(length, n.like(length, bins)));
  Value bin = n.unsqueeze(n.iota({n.dim(bins)}, element, 0), {1}), sample = n.iota({most}, element, 0);
  Value within = n.div(n.mul(n.add(sample, n.like(sample, 0.5)), width), perRegion(count));
  Value at = n.add(n.add(perRegion(begin), n.mul(bin, width)), within);
  Value size = dimValue(n, cells, element), last = n.sub(size, n.like(size, 1)), zero = n.like(at, 0),
        one = n.like(at, 1);
  Value valid = n.binary(BinaryKind::iand, n.compare(CompareKind::ge, at, n.like(at, -1)),
                         n.compare(CompareKind::le, at, size));
  Value clamped = n.minimum(n.maximum(at, zero), last), low = n.unary(UnaryKind::floor, clamped);
  Value fraction = n.sub(clamped, low);
  Value high = n.minimum(n.add(low, one), last);
  Value active = n.broadcastTo(n.compare(CompareKind::lt, sample, perRegion(count)), dimsOf(at));
  Value counted = n.binary(BinaryKind::iand, valid, active);
  return {n.cast(low, index),
          n.cast(high, index),
          n.select(counted, n.sub(one, fraction), zero),
          n.select(counted, fraction, zero),
          active,
          count};
}

/// [regions, bins, samples] of rows with [regions, bins, samples] of columns: [regions, bins, samples, bins,
/// samples].
static Value crossed(NodeImporter &n, BinaryKind kind, Value rows, Value columns) {
  return n.binary(kind, n.unsqueeze(rows, {3, 4}), n.unsqueeze(columns, {1, 2}));
}

/// The four neighbours of every sample, weighted: [regions, bins, samples, bins, samples, C] each.
static SmallVector<Value> neighbours(NodeImporter &n, Value x, Value batch, const Samples &rows,
                                     const Samples &columns) {
  Dims shape = dimsOf(x);
  Type index = signedType(n, 64);
  AffineExpr cells = canonical(shape[0] * shape[2] * shape[3]);
  Value pixels = n.reshape(n.transpose(x, {0, 2, 3, 1}), {cells, shape[1]});
  Value plane = n.unsqueeze(n.mul(batch, dimValue(n, shape[2], index)), {1, 2}),
        width = dimValue(n, shape[3], index);
  SmallVector<Value> result;
  for (bool lowRow : {true, false})
    for (bool lowColumn : {true, false}) {
      Value row = n.mul(n.add(plane, lowRow ? rows.low : rows.high), width);
      Value position = crossed(n, BinaryKind::add, row, lowColumn ? columns.low : columns.high);
      Value weight = crossed(n, BinaryKind::mul, lowRow ? rows.lowWeight : rows.highWeight,
                             lowColumn ? columns.lowWeight : columns.highWeight);
      result.push_back(n.mul(n.gather(pixels, position, 0), n.unsqueeze(weight, {5})));
    }
  return result;
}

/// The mean over each bin's samples, or their largest: [regions, bins, bins, C].
static Value poolSamples(NodeImporter &n, ArrayRef<Value> corners, const Samples &rows,
                         const Samples &columns, bool average) {
  auto perRegion = [&](Value x) { return GraphBuilder::rank(x) ? n.unsqueeze(x, {1, 2, 3}) : x; };
  Value count = perRegion(n.mul(rows.count, columns.count)), one = n.like(count, 1);
  if (average) {
    Value sum = n.add(n.add(corners[0], corners[1]), n.add(corners[2], corners[3]));
    return n.div(n.reduce(ReduceKind::sum, sum, {2, 4}), n.maximum(count, one));
  }
  Value largest = n.maximum(n.maximum(corners[0], corners[1]), n.maximum(corners[2], corners[3]));
  Value active = n.unsqueeze(crossed(n, BinaryKind::iand, rows.active, columns.active), {5});
  largest = n.select(active, largest, n.like(largest, -std::numeric_limits<double>::infinity()));
  Value result = n.reduce(ReduceKind::rmax, largest, {2, 4});
  return n.select(n.compare(CompareKind::gt, count, n.like(count, 0)), result, n.like(result, 0));
}

void importRoiAlign(NodeImporter &n) {
  if (!requireRegions(n, 3, 4) || !requireRank(n, n.operand(2), 1, 1, "the batch indices") ||
      !n.requireEqual(dimsOf(n.operand(2))[0], dimsOf(n.operand(1))[0],
                      "the batch indices and the regions") ||
      !n.requireWithin(n.operand(2), n.dim(0), canonical(dimsOf(n.operand(0))[0] - 1), "the batch indices"))
    return;
  int64_t height = n.intAttr("output_height", 1), width = n.intAttr("output_width", 1);
  std::string mode = n.stringAttr("mode", "avg");
  std::string pixels =
      n.stringAttr("coordinate_transformation_mode", n.opset < 16 ? "output_half_pixel" : "half_pixel");
  if (height < 1 || width < 1 || (mode != "avg" && mode != "max"))
    return n.fail("TW1205", "output sizes must be positive and mode avg or max");
  Type element = GraphBuilder::elementType(n.operand(0));
  Value x = n.cast(n.operand(0), accumulationType(element)),
        regions = n.cast(n.operand(1), accumulationType(element));
  regions = n.mul(regions, n.like(regions, n.floatAttr("spatial_scale", 1)));
  bool halfPixel = pixels == "half_pixel";
  if (halfPixel)
    regions = n.sub(regions, n.like(regions, 0.5));
  Align align{n, regions, n.intAttr("sampling_ratio", 0), halfPixel};
  Dims shape = dimsOf(x);
  Samples columns = align.along(0, width, shape[3]), rows = align.along(1, height, shape[2]);
  Value batch = n.cast(withSize(n, n.operand(2), 0, dimsOf(regions)[0]), signedType(n, 64));
  Value pooled = poolSamples(n, neighbours(n, x, batch, rows, columns), rows, columns, mode == "avg");
  n.result(0, n.cast(n.transpose(pooled, {0, 3, 1, 2}), element));
}

} // namespace tilewright::frontend
