/// Indexing.cpp - operators whose indices are data: gather, scatter, and those whose results' sizes are data
/// too.
#include "frontend/ops/Indexing.h"
#include "frontend/ops/Composites.h"

using namespace mlir;
namespace tilewright::frontend {

using graph::BinaryKind;
using graph::CompareKind;
using graph::ReduceKind;
using graph::ScatterKind;

//===- Gather ----------------------------------------------------------------------------===//

/// Indices that are constants lie within a size that is known.
static bool requireKnownIndices(NodeImporter &n, Value index, AffineExpr size) {
  auto type = cast<RankedTensorType>(index.getType());
  std::optional<int64_t> known = constantOf(size);
  if (!known || !type.hasStaticShape() || type.getNumElements() > 4096)
    return true;
  for (int64_t value : n.constantInts(index).value_or(SmallVector<int64_t>()))
    if (value < -*known || value >= *known) {
      n.fail("TW2005", "index " + llvm::Twine(value) + " is outside [" + llvm::Twine(-*known) + ", " +
                           llvm::Twine(*known) + ")");
      return false;
    }
  return true;
}

static void importGather(NodeImporter &n) {
  if (!require(n, 2))
    return;
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", 0), n.rank(n.operand(0)));
  Value index = axis ? indices(n, n.operand(1)) : Value();
  if (index && requireKnownIndices(n, index, dimsOf(n.operand(0))[*axis]))
    n.result(0, n.gather(n.operand(0), index, *axis));
}

/// Ranks agree, and along other dimensions than `axis` the indices are not more than the operand has.
static bool requireElementwiseIndices(NodeImporter &n, Value x, Value index, int64_t axis) {
  if (!requireRank(n, index, n.rank(x), n.rank(x), "indices"))
    return false;
  for (auto [dim, sizes] : llvm::enumerate(llvm::zip_equal(dimsOf(x), dimsOf(index)))) {
    auto [have, want] = sizes;
    if (int64_t(dim) == axis || n.symbols.lowerBound(want - have) <= 0)
      continue;
    n.fail("TW2005", "indices of shape " + shapeText(n, index) + " do not lie within " + shapeText(n, x));
    return false;
  }
  return true;
}

static void importGatherElements(NodeImporter &n) {
  if (!require(n, 2))
    return;
  Value x = n.operand(0);
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", 0), n.rank(x));
  Value index = axis ? indices(n, n.operand(1)) : Value();
  if (index && requireElementwiseIndices(n, x, index, *axis) &&
      requireKnownIndices(n, index, dimsOf(x)[*axis]))
    n.result(0, gatherElements(n, x, index, *axis));
}

/// The size of the last dimension of ND indices, which decides ranks.
static std::optional<int64_t> tupleSize(NodeImporter &n, Value x, Value index, int64_t batch) {
  std::optional<int64_t> size = constantOf(dimsOf(index).back());
  if (!size) {
    n.unsupported("TW2007", "the last dimension of the indices must be known when the model is compiled");
    return std::nullopt;
  }
  if (*size >= 1 && *size <= n.rank(x) - batch)
    return size;
  n.fail("TW2005",
         "indices of " + llvm::Twine(*size) + " coordinates into a tensor of shape " + shapeText(n, x));
  return std::nullopt;
}

static void importGatherND(NodeImporter &n) {
  if (!require(n, 2) || !requireRank(n, n.operand(0), 1, INT64_MAX) ||
      !requireRank(n, n.operand(1), 1, INT64_MAX, "indices"))
    return;
  Value x = n.operand(0), index = indices(n, n.operand(1));
  int64_t batch = n.intAttr("batch_dims", 0);
  if (!index)
    return;
  if (batch < 0 || batch >= std::min(n.rank(x), n.rank(index)))
    return n.fail("TW2001", "batch_dims " + llvm::Twine(batch) + " does not fit the ranks");
  std::optional<int64_t> size = tupleSize(n, x, index, batch);
  if (!size)
    return;
  Dims from = dimsOf(x), at = dimsOf(index);
  for (int64_t dim = 0; dim < batch; ++dim)
    if (!n.requireEqual(from[dim], at[dim], "batch dimensions"))
      return;
  Dims shape = piece(at, 0, at.size() - 1);
  shape.append(from.begin() + batch + *size, from.end());
  auto type = tensorType(shape, n.elementType(x));
  n.result(0, graph::GatherNDOp::create(n.b, n.loc, type, x, index, batch));
}

//===- Scatter ------------------------------------------------------------------------------===//

static std::optional<ScatterKind> scatterKind(NodeImporter &n) {
  std::string reduction = n.stringAttr("reduction", "none");
  if (reduction == "none")
    return ScatterKind::assign;
  if (reduction == "add")
    return ScatterKind::sadd;
  if (reduction == "mul")
    return ScatterKind::smul;
  if (reduction == "max")
    return ScatterKind::smax;
  if (reduction == "min")
    return ScatterKind::smin;
  n.fail("TW1205", "reduction is '" + reduction + "'; it must be none, add, mul, max or min");
  return std::nullopt;
}

static void importScatterElements(NodeImporter &n) {
  if (!require(n, 3) || !requireSameElements(n, {n.operand(0), n.operand(2)}))
    return;
  Value x = n.operand(0), updates = n.operand(2);
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", 0), n.rank(x));
  std::optional<ScatterKind> kind = scatterKind(n);
  Value index = axis && kind ? indices(n, n.operand(1)) : Value();
  if (!index || !requireElementwiseIndices(n, x, index, *axis) ||
      !requireRank(n, updates, n.rank(x), n.rank(x), "updates"))
    return;
  Dims shape = dimsOf(index);
  for (auto [dim, size] : llvm::enumerate(shape)) {
    if (!n.requireEqual(dimsOf(updates)[dim], size, "indices and updates"))
      return;
    updates = withSize(n, updates, dim, size);
  }
  n.result(0, graph::ScatterElementsOp::create(n.b, n.loc, x.getType(), x, index, updates, *axis, *kind));
}

static void importScatterND(NodeImporter &n) {
  if (!require(n, 3) || !requireSameElements(n, {n.operand(0), n.operand(2)}) ||
      !requireRank(n, n.operand(0), 1, INT64_MAX) || !requireRank(n, n.operand(1), 1, INT64_MAX, "indices"))
    return;
  Value x = n.operand(0), updates = n.operand(2), index = indices(n, n.operand(1));
  std::optional<ScatterKind> kind = scatterKind(n);
  if (!index || !kind)
    return;
  // The updates' rank tells how many coordinates there are, where the indices do not.
  if (int64_t last = n.rank(index) - 1, count = last + n.rank(x) - n.rank(updates);
      !constantOf(dimsOf(index)[last]) && count >= 1 && count <= n.rank(x) &&
      n.requireEqual(dimsOf(index)[last], n.dim(count), "the coordinates in indices and the rank of updates"))
    index = withSize(n, index, last, n.dim(count));
  std::optional<int64_t> size = tupleSize(n, x, index, 0);
  if (!size)
    return;
  Dims from = dimsOf(x), at = dimsOf(index), shape = piece(at, 0, at.size() - 1);
  shape.append(from.begin() + *size, from.end());
  if (!requireRank(n, updates, shape.size(), shape.size(), "updates"))
    return;
  for (auto [dim, want] : llvm::enumerate(shape)) {
    if (!n.requireEqual(dimsOf(updates)[dim], want, "updates and the shape that indices give"))
      return;
    updates = withSize(n, updates, dim, want);
  }
  n.result(0, graph::ScatterNDOp::create(n.b, n.loc, x.getType(), x, index, updates, *kind));
}

/// A cache gets `update` written along one axis, from a position on that differs by batch.
static void importTensorScatter(NodeImporter &n) {
  if (!require(n, 2) || !requireSameElements(n, {n.operand(0), n.operand(1)}) ||
      !requireRank(n, n.operand(0), 2, INT64_MAX))
    return;
  Value cache = n.operand(0), update = n.operand(1);
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", -2), n.rank(cache));
  std::string mode = n.stringAttr("mode", "linear");
  if (!axis || !requireRank(n, update, n.rank(cache), n.rank(cache), "update"))
    return;
  if (*axis == 0 || (mode != "linear" && mode != "circular"))
    return n.fail("TW1205", "the axis is not the batch, and mode is linear or circular");
  Value start = n.has(2) ? indices(n, n.operand(2)) : Value();
  if (n.hasFailed() || (start && !requireRank(n, start, 1, 1, "write_indices")))
    return;
  Value position = n.iota(dimsOf(update), si64(n), *axis);
  if (start) {
    if (!n.requireEqual(dimsOf(start)[0], dimsOf(update)[0], "write_indices and batch"))
      return;
    position = n.add(position, n.cast(n.broadcastInDims(start, dimsOf(update), {0}), si64(n)));
  }
  if (mode == "circular")
    position = n.binary(BinaryKind::mod, position, dimValue(n, dimsOf(cache)[*axis], si64(n)));
  n.result(0, graph::ScatterElementsOp::create(n.b, n.loc, cache.getType(), cache, position, update, *axis,
                                               ScatterKind::assign));
}

//===- Sizes that are data ----------------------------------------------------------------------===//

Value truePositions(NodeImporter &n, Value mask) {
  Dims shape = dimsOf(mask);
  Value total = n.reduce(ReduceKind::sum, n.cast(mask, si64(n)), upTo(shape.size()));
  int64_t most = n.symbols.upperBound(elementCount(mask.getType()));
  std::optional<Dims> count = n.elements(total, "count", 0, most);
  if (!count)
    return {};
  auto type = tensorType({(*count)[0], n.dim(shape.size())}, si64(n));
  return graph::CompactOp::create(n.b, n.loc, type, mask);
}

static void importNonZero(NodeImporter &n) {
  if (!require(n, 1))
    return;
  Value x = n.operand(0);
  if (n.rank(x) == 0) // as of a vector of one element
    x = n.reshape(x, {n.dim(1)});
  Value mask = isBool(x) ? x : n.compare(CompareKind::ne, x, n.like(x, 0));
  if (Value positions = truePositions(n, mask))
    n.result(0, n.transpose(positions, {1, 0}));
}

/// x[mask] along an axis; the mask may be shorter than the axis.
static Value compressed(NodeImporter &n, Value x, Value mask, int64_t axis) {
  Value positions = truePositions(n, mask);
  if (!positions)
    return {};
  return n.gather(x, n.reshape(positions, {dimsOf(positions)[0]}), axis);
}

static void importCompress(NodeImporter &n) {
  if (!require(n, 2) || !requireBool(n, n.operand(1)) || !requireRank(n, n.operand(1), 1, 1, "condition"))
    return;
  Value x = n.operand(0);
  int64_t axis = 0;
  if (n.attr("axis")) {
    std::optional<int64_t> given = n.axis(n.intAttr("axis", 0), n.rank(x));
    if (!given)
      return;
    axis = *given;
  } else {
    x = n.reshape(x, {elementCount(x.getType())});
  }
  n.result(0, compressed(n, x, n.operand(1), axis));
}

//===- Unique -------------------------------------------------------------------------------------===//

namespace {
/// Rows in an order in which equal ones are neighbours.
struct Sorted {
  Value rows;  ///< [count, width], sorted
  Value order; ///< [count]: where each was before
};
} // namespace

/// Sort the rows of a matrix by stable sorts from the last column to the first.
static Sorted sortRows(NodeImporter &n, Value rows, int64_t width) {
  AffineExpr count = dimsOf(rows)[0];
  Value order = n.iota(ArrayRef<AffineExpr>{count}, si64(n), 0);
  for (int64_t column = width; column-- > 0;) {
    Value keys = n.reshape(n.sliceAxis(rows, 1, n.dim(column), n.dim(1)), {count});
    Value step = n.sort(keys, 0, /*descending=*/false, count).second;
    rows = n.gather(rows, step, 0);
    order = n.gather(order, step, 0);
  }
  return {rows, order};
}

/// [count] i1: the row differs from the one before it.
static Value startsGroup(NodeImporter &n, Value rows) {
  AffineExpr count = dimsOf(rows)[0];
  Value previous =
      n.gather(rows,
               n.maximum(n.sub(n.iota(ArrayRef<AffineExpr>{count}, si64(n), 0), n.scalarInt(si64(n), 1)),
                         n.scalarInt(si64(n), 0)),
               0);
  Value differs = n.reduce(ReduceKind::sum, n.compare(CompareKind::ne, rows, previous), {1});
  Value first =
      n.compare(CompareKind::eq, n.iota(ArrayRef<AffineExpr>{count}, si64(n), 0), n.scalarInt(si64(n), 0));
  return n.binary(BinaryKind::ior, differs, first);
}

namespace {
/// One entry a group of equal rows, by ascending row.
struct Groups {
  Value first;   ///< where the group occurs first
  Value counts;  ///< how often
  Value inverse; ///< [count of rows]: the group of each row
};
} // namespace

static std::optional<Groups> groupRows(NodeImporter &n, Value rows, int64_t width) {
  AffineExpr count = dimsOf(rows)[0];
  Sorted sorted = sortRows(n, rows, width);
  Value starts = startsGroup(n, sorted.rows), one = n.scalarInt(si64(n), 1);
  Value positions = truePositions(n, starts);
  if (!positions)
    return std::nullopt;
  AffineExpr groups = dimsOf(positions)[0];
  Value group = n.sub(n.scan(ReduceKind::sum, n.cast(starts, si64(n)), 0, false, false), one);
  // Sorting is stable: the first of a group in sorted order is the first that occurs.
  Value first = n.gather(sorted.order, n.reshape(positions, {groups}), 0);
  Value zeros = n.broadcastTo(n.scalarInt(si64(n), 0), {groups}), ones = n.broadcastTo(one, {count});
  Value counts =
      graph::ScatterElementsOp::create(n.b, n.loc, zeros.getType(), zeros, group, ones, 0, ScatterKind::sadd);
  Value unordered = n.broadcastTo(n.scalarInt(si64(n), 0), {count});
  Value inverse = graph::ScatterElementsOp::create(n.b, n.loc, unordered.getType(), unordered, sorted.order,
                                                   group, 0, ScatterKind::assign);
  return Groups{first, counts, inverse};
}

/// Groups by where they occur first instead of by value.
static void orderByOccurrence(NodeImporter &n, Groups &groups) {
  AffineExpr count = dimsOf(groups.first)[0];
  auto [first, order] = n.sort(groups.first, 0, /*descending=*/false, count);
  Value place = n.broadcastTo(n.scalarInt(si64(n), 0), {count}),
        rank = n.iota(ArrayRef<AffineExpr>{count}, si64(n), 0);
  place = graph::ScatterElementsOp::create(n.b, n.loc, place.getType(), place, order, rank, 0,
                                           ScatterKind::assign);
  groups = {first, n.gather(groups.counts, order, 0), n.gather(place, groups.inverse, 0)};
}

static void importUnique(NodeImporter &n) {
  if (!require(n, 1))
    return;
  Value x = n.operand(0);
  int64_t axis = 0, width = 1;
  if (n.attr("axis")) {
    std::optional<int64_t> given = n.axis(n.intAttr("axis", 0), n.rank(x));
    if (!given)
      return;
    axis = *given;
  } else {
    x = n.reshape(x, {elementCount(x.getType())});
  }
  SmallVector<int64_t> perm{axis};
  for (int64_t dim : upTo(n.rank(x)))
    if (dim != axis)
      perm.push_back(dim);
  AffineExpr rowSize = productOf(piece(dimsOf(n.transpose(x, perm)), 1, n.rank(x)), n.b.getContext());
  if (std::optional<int64_t> known = constantOf(rowSize); known && *known <= 256)
    width = *known;
  else
    return n.unsupported(
        "TW2007",
        "Unique of slices whose size is not known when the model is compiled, or large, is not supported");
  std::optional<Groups> groups =
      groupRows(n, n.reshape(n.transpose(x, perm), {dimsOf(x)[axis], rowSize}), width);
  if (!groups)
    return;
  if (!n.intAttr("sorted", 1))
    orderByOccurrence(n, *groups);
  n.result(0, n.gather(x, groups->first, axis));
  n.result(1, groups->first);
  n.result(2, groups->inverse);
  n.result(3, groups->counts);
}

llvm::ArrayRef<OpEntry> indexingOps() {
  static const OpEntry table[] = {
      {"Compress", importCompress},
      {"Gather", importGather},
      {"GatherElements", importGatherElements},
      {"GatherND", importGatherND},
      {"NonZero", importNonZero},
      {"Scatter", importScatterElements},
      {"ScatterElements", importScatterElements},
      {"ScatterND", importScatterND},
      {"TensorScatter", importTensorScatter},
      {"Unique", importUnique},
  };
  return table;
}

} // namespace tilewright::frontend
