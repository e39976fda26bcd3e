/// Movement.cpp - operators that only rearrange: reshape, transpose, concat, split, expand, tile, depth to
/// space.
#include "frontend/ops/RuntimeAxes.h"

using namespace mlir;
namespace tilewright::frontend {

using graph::BinaryKind;
using graph::CompareKind;
using graph::ReduceKind;

//===- Reshape ---------------------------------------------------------------------------===//

/// A shape operand that is not known as a whole: zeros (copied sizes) and -1 are replaced by arithmetic on
/// the tensor, as they are only known at run time.
static Value resolvedShape(NodeImporter &n, Value x, Value shape, bool copyZeros, bool mayInfer) {
  int64_t rank = n.rank(x), count = cast<RankedTensorType>(shape.getType()).getNumElements();
  Value sizes = n.cast(shape, si64(n)), zero = n.like(sizes, 0), one = n.like(sizes, 1);
  if (copyZeros) {
    Dims from = dimsOf(x);
    from.resize(count, n.dim(0)); // a zero beyond the operand's rank stays
    if (rank > count)
      from.truncate(count);
    sizes = n.select(n.compare(CompareKind::eq, sizes, zero), n.dims(from), sizes);
  }
  if (!mayInfer)
    return sizes;
  Value inferred = n.compare(CompareKind::eq, sizes, n.like(sizes, -1));
  Value others = n.reduce(ReduceKind::prod, n.select(inferred, one, sizes), {0});
  Value total = n.dims(ArrayRef<AffineExpr>{elementCount(x.getType())}, /*scalar=*/true);
  others = n.select(n.compare(CompareKind::eq, others, n.like(others, 0)), n.like(others, 1), others);
  return n.select(inferred, n.div(total, others), sizes);
}

/// The element that is -1 takes what the others leave.
static bool inferSize(NodeImporter &n, Value x, Dims &shape) {
  AffineExpr *inferred = nullptr, others = n.dim(1);
  for (AffineExpr &size : shape) {
    if (constantOf(size) != -1) {
      others = others * size;
      continue;
    }
    if (inferred) {
      n.fail("TW2005", "the shape has more than one -1");
      return false;
    }
    inferred = &size;
  }
  if (!inferred)
    return true;
  AffineExpr total = elementCount(x.getType());
  others = canonical(others);
  std::optional<int64_t> divisor = constantOf(others), dividend = constantOf(total);
  if (divisor == 0 || (divisor && dividend && *dividend % *divisor)) {
    n.fail("TW2005", "the elements of a tensor of shape " + shapeText(n, x) +
                         " do not divide into blocks of " + llvm::Twine(*divisor));
    return false;
  }
  std::optional<AffineExpr> exact = divideExactly(total, others);
  *inferred = exact ? *exact : canonical(total.floorDiv(others));
  return true;
}

static bool copySizes(NodeImporter &n, Value x, Dims &shape) {
  Dims from = dimsOf(x);
  for (size_t index = 0; index < shape.size(); ++index) {
    if (constantOf(shape[index]) != 0)
      continue;
    if (index >= from.size()) {
      n.fail("TW2005",
             "the shape copies dimension " + llvm::Twine(index) + " of a tensor of shape " + shapeText(n, x));
      return false;
    }
    shape[index] = from[index];
  }
  return true;
}

static std::optional<Dims> reshapeTarget(NodeImporter &n, Value x, Value target, bool copyZeros) {
  if (std::optional<Dims> known = n.symbolicValue(target))
    return known;
  auto type = cast<RankedTensorType>(target.getType());
  if (!type.hasStaticShape() || type.getRank() != 1 || !isInteger(target))
    return n.elements(target, "shape"); // reports
  std::optional<Dims> shape = n.elements(target, "shape", -1);
  if (!shape)
    return std::nullopt;
  bool inferredKnown = llvm::any_of(*shape, [](AffineExpr size) { return constantOf(size) == -1; });
  std::optional<Dims> sizes =
      n.elements(resolvedShape(n, x, target, copyZeros, !inferredKnown), "size", inferredKnown ? -1 : 0);
  for (size_t index = 0; sizes && index < shape->size(); ++index)
    if (n.symbols.lowerBound((*shape)[index]) < 0 && constantOf((*shape)[index]) != -1)
      (*shape)[index] = (*sizes)[index];
  return shape;
}

/// The shape as an operand; an attribute until opset 4.
static Value shapeToReshapeTo(NodeImporter &n) {
  if (n.opset >= 5)
    return require(n, 2) ? n.operand(1) : Value();
  auto sizes = n.intsAttr("shape");
  if (sizes && require(n, 1))
    return n.intVector(*sizes);
  n.fail("TW1206", "the attribute shape is missing");
  return {};
}

static void importReshape(NodeImporter &n) {
  Value sizes = shapeToReshapeTo(n);
  if (!sizes)
    return;
  Value x = n.operand(0);
  bool copyZeros = n.intAttr("allowzero", 0) == 0;
  std::optional<Dims> shape = reshapeTarget(n, x, sizes, copyZeros);
  if (!shape || (copyZeros && !copySizes(n, x, *shape)) || !inferSize(n, x, *shape))
    return;
  for (AffineExpr size : *shape)
    if (!n.requireAtLeast(size, n.dim(0), "a size in the shape"))
      return;
  if (n.requireEqual(elementCount(x.getType()), productOf(*shape, n.b.getContext()),
                     "element counts before and after"))
    n.result(0, n.reshape(x, *shape));
}

static void importFlatten(NodeImporter &n) {
  if (!require(n, 1))
    return;
  Dims shape = dimsOf(n.operand(0));
  int64_t rank = shape.size(), axis = n.intAttr("axis", 1);
  if (axis < -rank || axis > rank)
    return n.fail("TW2001",
                  "axis " + llvm::Twine(axis) + " is outside a tensor of rank " + llvm::Twine(rank));
  axis += axis < 0 ? rank : 0;
  MLIRContext *context = n.b.getContext();
  n.result(0, n.reshape(n.operand(0), {productOf(piece(shape, 0, axis), context),
                                       productOf(piece(shape, axis, rank), context)}));
}

/// Axes that are only known when the program runs: their number gives the rank, arithmetic on the shape the
/// sizes.
static void squeezeAtRunTime(NodeImporter &n) {
  Value x = n.operand(0);
  Value axes = axesVector(n, n.operand(1), n.rank(x));
  if (!requireKnownNumber(n, axes) || !requireRank(n, x, lengthOf(axes), INT64_MAX))
    return;
  Value kept = unmarked(n, n.dims(dimsOf(x)), axesMask(n, axes, n.rank(x)), lengthOf(axes));
  std::optional<Dims> shape = kept ? n.elements(kept, "kept") : std::nullopt;
  if (shape)
    n.result(0, n.reshape(x, *shape));
}

static void unsqueezeAtRunTime(NodeImporter &n) {
  Value x = n.operand(0);
  int64_t rank = n.rank(x) + cast<RankedTensorType>(n.operand(1).getType()).getNumElements();
  Value axes = axesVector(n, n.operand(1), rank);
  if (!axes)
    return;
  // The operand's sizes in order where the mask is off; a 1 behind them for where it is on.
  Value mask = axesMask(n, axes, rank), one = n.scalarInt(si64(n), 1);
  if (!requireDistinct(n, mask, lengthOf(axes)))
    return;
  Dims sizes = dimsOf(x);
  sizes.push_back(n.dim(1));
  Value source = n.scan(ReduceKind::sum, n.select(mask, n.scalarInt(si64(n), 0), one), 0, /*exclusive=*/true,
                        /*reverse=*/false);
  source = n.select(mask, n.scalarInt(si64(n), n.rank(x)), source);
  if (std::optional<Dims> shape = n.elements(n.gather(n.dims(sizes), source, 0), "unsqueezed"))
    n.result(0, n.reshape(x, *shape));
}

static bool axesAtRunTime(NodeImporter &n) {
  return n.opset >= 13 && n.has(1) && !n.constantInts(n.operand(1));
}

static void importSqueeze(NodeImporter &n) {
  if (!require(n, 1))
    return;
  if (axesAtRunTime(n))
    return squeezeAtRunTime(n);
  Value x = n.operand(0);
  Dims shape = dimsOf(x);
  std::optional<SmallVector<int64_t>> given = intsFrom(n, 1, n.opset < 13 ? "axes" : ""),
                                      axes = SmallVector<int64_t>();
  if (n.hasFailed())
    return;
  if (given && !(axes = normalizedAxes(n, *given, n.rank(x))))
    return;
  if (given) {
    for (int64_t axis : *axes)
      if (!n.requireEqual(shape[axis], n.dim(1), "squeezed dimension and 1"))
        return;
    return n.result(0, n.squeeze(x, *axes));
  }
  uint64_t atRunTime = 0;
  for (auto [index, size] : llvm::enumerate(shape)) {
    size_t place = index - axes->size();
    if (constantOf(size) == 1)
      axes->push_back(index);
    else if (n.symbols.lowerBound(size) > 1 || n.symbols.upperBound(size) < 1)
      continue;
    else if (place < 32)
      atRunTime |= uint64_t(1) << place;
    else
      return n.unsupported("TW2007",
                           "the rank depends on whether " + toText(size, n.symbols.names()) + " is 1",
                           "export Squeeze with axes");
  }
  n.result(0, n.squeezeAtRunTime(n.squeeze(x, *axes), atRunTime));
}

static void importUnsqueeze(NodeImporter &n) {
  if (!require(n, 1))
    return;
  if (axesAtRunTime(n) && cast<RankedTensorType>(n.operand(1).getType()).hasStaticShape())
    return unsqueezeAtRunTime(n);
  auto axes = intsFrom(n, 1, n.opset < 13 ? "axes" : "");
  if (!axes && !n.hasFailed())
    return n.fail("TW1206", "axes are missing");
  if (!axes)
    return;
  auto normalized = normalizedAxes(n, *axes, n.rank(n.operand(0)) + axes->size());
  if (!normalized)
    return;
  if (normalized->size() != axes->size())
    return n.fail("TW2001", "an axis is given twice");
  n.result(0, n.unsqueeze(n.operand(0), *normalized));
}

static void importTranspose(NodeImporter &n) {
  if (!require(n, 1))
    return;
  int64_t rank = n.rank(n.operand(0));
  SmallVector<int64_t> reversed = upTo(rank);
  std::reverse(reversed.begin(), reversed.end());
  SmallVector<int64_t> perm = n.intsAttr("perm").value_or(reversed);
  if (n.hasFailed())
    return;
  for (int64_t &axis : perm) { // exporters write negative ones
    std::optional<int64_t> normalized = n.axis(axis, rank);
    if (!normalized)
      return;
    axis = *normalized;
  }
  SmallVector<int64_t> sorted(perm);
  llvm::sort(sorted);
  if (sorted != upTo(rank))
    return n.fail("TW1205", "perm is not a permutation of the " + llvm::Twine(rank) + " dimensions");
  n.result(0, n.transpose(n.operand(0), perm));
}

//===- Concat, split -------------------------------------------------------------------------===//

static void importConcat(NodeImporter &n) {
  if (!require(n, std::max<size_t>(n.operandCount(), 1)))
    return;
  SmallVector<Value> values;
  for (size_t index = 0; index < n.operandCount(); ++index)
    values.push_back(n.operand(index));
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", 1), n.rank(values[0]));
  if (axis)
    n.result(0, joined(n, values, *axis));
}

/// `count` equal parts; where they do not come out even, the last is smaller.
static Dims equalParts(NodeImporter &n, AffineExpr size, int64_t count) {
  Dims parts;
  if (std::optional<int64_t> known = constantOf(size)) {
    int64_t chunk = llvm::divideCeil(*known, count), rest = *known;
    for (int64_t index = 0; index < count; ++index) {
      parts.push_back(n.dim(std::min(chunk, rest)));
      rest -= std::min(chunk, rest);
    }
    return parts;
  }
  if (std::optional<AffineExpr> exact = divideExactly(size, n.dim(count)))
    return Dims(count, *exact);
  AffineExpr chunk = canonical((size + (count - 1)).floorDiv(count)), rest = size;
  for (int64_t index = 0; index < count; ++index) {
    parts.push_back(n.symbols.minimum(chunk, rest));
    rest = canonical(rest - parts.back());
  }
  return parts;
}

static std::optional<Dims> splitSizes(NodeImporter &n, AffineExpr size) {
  int64_t count = n.resultCount();
  if (n.has(1))
    return shapeOperand(n, n.operand(1), count, "split");
  if (auto sizes = n.opset < 13 ? n.intsAttr("split") : std::nullopt)
    return n.dims(*sizes);
  if (n.opset >= 18 && n.intAttr("num_outputs", count) != count) {
    n.fail("TW1205", "num_outputs is not the number of outputs");
    return std::nullopt;
  }
  std::optional<int64_t> known = constantOf(size);
  if (n.opset < 18 && known && *known % count) {
    n.fail("TW2005",
           llvm::Twine(*known) + " elements do not split into " + llvm::Twine(count) + " equal parts");
    return std::nullopt;
  }
  return equalParts(n, size, count);
}

static void importSplit(NodeImporter &n) {
  if (!require(n, 1) || n.resultCount() == 0)
    return;
  Value x = n.operand(0);
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", 0), n.rank(x));
  if (!axis)
    return;
  std::optional<Dims> sizes = splitSizes(n, dimsOf(x)[*axis]);
  if (!sizes)
    return;
  if (sizes->size() != n.resultCount())
    return n.fail("TW2005", "split has " + llvm::Twine(sizes->size()) + " sizes for " +
                                llvm::Twine(n.resultCount()) + " outputs");
  if (auto parts = cutUp(n, x, *axis, *sizes))
    for (auto [index, part] : llvm::enumerate(*parts))
      n.result(index, part);
}

//===- Expand, tile ------------------------------------------------------------------------------===//

static void importExpand(NodeImporter &n) {
  if (!require(n, 2))
    return;
  Value x = n.operand(0);
  std::optional<Dims> target = shapeOperand(n, n.operand(1), "shape");
  if (!target)
    return;
  Dims from = dimsOf(x), shape;
  size_t rank = std::max(from.size(), target->size());
  from.insert(from.begin(), rank - from.size(), n.dim(1));
  target->insert(target->begin(), rank - target->size(), n.dim(1));
  for (auto [have, want] : llvm::zip_equal(from, *target)) {
    std::optional<int64_t> a = constantOf(have), b = constantOf(want);
    if (a && b && *a != *b && *a != 1 && *b != 1)
      return n.fail("TW2002", "a dimension of " + llvm::Twine(*a) + " does not expand to " + llvm::Twine(*b));
    shape.push_back(n.symbols.broadcast(have, want));
  }
  n.result(0, n.broadcastTo(x, shape));
}

/// Until opset 5: the operands are how often, and along which axis, as numbers of the input's element type.
static std::optional<Dims> repeatsOfOneAxis(NodeImporter &n) {
  if (!require(n, 3))
    return std::nullopt;
  auto along = n.constantFloats(n.operand(2)), times = n.constantFloats(n.operand(1));
  if (!along) {
    n.unsupported("TW2006", "the axis must be known when the model is compiled",
                  "make it an initialiser or a Constant");
    return std::nullopt;
  }
  bool whole = along->size() == 1 && std::abs(along->front()) < 1e6 && (!times || times->size() == 1);
  for (double number : times.value_or(SmallVector<double>()))
    whole &= number >= 0 && number < 0x1p53 && number == std::trunc(number);
  if (!whole) {
    n.fail("TW2004", "tiles and axis must be one whole number each");
    return std::nullopt;
  }
  Value tiles = singleElement(n, n.cast(n.operand(1), si64(n)), "tiles");
  std::optional<Dims> count = times   ? std::optional(Dims{n.dim(int64_t(times->front()))})
                              : tiles ? shapeOperand(n, tiles, "tiles")
                                      : std::nullopt;
  if (!count)
    return std::nullopt;
  std::optional<int64_t> axis = n.axis(int64_t(along->front()), n.rank(n.operand(0)));
  if (!axis)
    return std::nullopt;
  Dims repeats(n.rank(n.operand(0)), n.dim(1));
  repeats[*axis] = count->front();
  return repeats;
}

static void importTile(NodeImporter &n) {
  if (!require(n, 2))
    return;
  Value x = n.operand(0);
  std::optional<Dims> repeats =
      n.opset < 6 ? repeatsOfOneAxis(n) : shapeOperand(n, n.operand(1), n.rank(x), "repeats");
  if (!repeats)
    return;
  Dims shape = dimsOf(x), split, repeated, joined;
  for (auto [size, repeat] : llvm::zip_equal(shape, *repeats)) {
    if (constantOf(repeat) != 1) {
      split.push_back(n.dim(1));
      repeated.push_back(repeat);
    }
    split.push_back(size);
    repeated.push_back(size);
    joined.push_back(size * repeat);
  }
  n.result(0, n.reshape(n.broadcastTo(n.reshape(x, split), repeated), joined));
}

//===- Depth and space ------------------------------------------------------------------------------===//

static std::optional<AffineExpr> dividedBy(NodeImporter &n, AffineExpr size, int64_t divisor) {
  std::optional<int64_t> known = constantOf(size);
  if (known && *known % divisor) {
    n.fail("TW2005", llvm::Twine(*known) + " is not a multiple of " + llvm::Twine(divisor));
    return std::nullopt;
  }
  return canonical(size.floorDiv(divisor));
}

/// The attributes blocksize and mode, checked; operand 0 of rank 4.
static int64_t blockSize(NodeImporter &n, std::string &mode) {
  mode = n.stringAttr("mode", "DCR");
  int64_t block = n.intAttr("blocksize", 0);
  if (!require(n, 1) || !requireRank(n, n.operand(0), 4, 4))
    return 0;
  if (block >= 1 && block <= 65536 && (mode == "DCR" || mode == "CRD"))
    return block;
  n.fail("TW1205", "blocksize must be positive and mode DCR or CRD");
  return 0;
}

static void importDepthToSpace(NodeImporter &n) {
  std::string mode;
  int64_t block = blockSize(n, mode);
  if (!block)
    return;
  Dims d = dimsOf(n.operand(0));
  std::optional<AffineExpr> depth = dividedBy(n, d[1], block * block);
  if (!depth)
    return;
  AffineExpr size = n.dim(block);
  bool depthFirst = mode == "CRD";
  Dims split =
      depthFirst ? Dims{d[0], *depth, size, size, d[2], d[3]} : Dims{d[0], size, size, *depth, d[2], d[3]};
  Value x = n.transpose(n.reshape(n.operand(0), split), depthFirst ? ArrayRef<int64_t>{0, 1, 4, 2, 5, 3}
                                                                   : ArrayRef<int64_t>{0, 3, 4, 1, 5, 2});
  n.result(0, n.reshape(x, {d[0], *depth, d[2] * block, d[3] * block}));
}

static void importSpaceToDepth(NodeImporter &n) {
  std::string mode;
  int64_t block = blockSize(n, mode);
  if (!block)
    return;
  Dims d = dimsOf(n.operand(0));
  std::optional<AffineExpr> height = dividedBy(n, d[2], block),
                            width = height ? dividedBy(n, d[3], block) : std::nullopt;
  if (!width)
    return;
  AffineExpr size = n.dim(block);
  Value x = n.reshape(n.operand(0), {d[0], d[1], *height, size, *width, size});
  x = n.transpose(x,
                  mode == "CRD" ? ArrayRef<int64_t>{0, 1, 3, 5, 2, 4} : ArrayRef<int64_t>{0, 3, 5, 1, 2, 4});
  n.result(0, n.reshape(x, {d[0], d[1] * (block * block), *height, *width}));
}

//===- Triangles, reversed sequences --------------------------------------------------------------------===//

static void importTrilu(NodeImporter &n) {
  if (!require(n, 1) || !requireRank(n, n.operand(0), 2, INT64_MAX))
    return;
  Value x = n.operand(0);
  Dims shape = dimsOf(x);
  Dims matrix{shape[shape.size() - 2], shape[shape.size() - 1]};
  Value offset = n.has(1) ? n.cast(n.operand(1), si64(n)) : n.scalarInt(si64(n), 0);
  offset = singleElement(n, offset, "k");
  if (!offset)
    return;
  constexpr int64_t beyond = int64_t(1) << 48; // any matrix, and far from overflow
  offset = n.minimum(n.maximum(offset, n.like(offset, -beyond)), n.like(offset, beyond));
  Value diagonal = n.add(n.iota(matrix, si64(n), 0), offset);
  Value column = n.iota(matrix, si64(n), 1);
  Value kept = n.compare(n.intAttr("upper", 1) ? CompareKind::ge : CompareKind::le, column, diagonal);
  n.result(0, n.select(kept, x, n.like(x, 0)));
}

static void importReverseSequence(NodeImporter &n) {
  if (!require(n, 2) || !requireRank(n, n.operand(0), 2, INT64_MAX) ||
      !requireRank(n, n.operand(1), 1, 1, "sequence_lens"))
    return;
  Value x = n.operand(0);
  std::optional<int64_t> batch = n.axis(n.intAttr("batch_axis", 1), n.rank(x)),
                         time = n.axis(n.intAttr("time_axis", 0), n.rank(x));
  if (!batch || !time)
    return;
  if (*batch == *time)
    return n.fail("TW1205", "batch_axis and time_axis are the same");
  if (!n.requireEqual(dimsOf(n.operand(1))[0], dimsOf(x)[*batch], "sequence lengths and batch") ||
      !n.requireWithin(n.operand(1), n.dim(0), dimsOf(x)[*time], "the sequence lengths"))
    return;
  Value length = n.cast(n.broadcastInDims(n.operand(1), dimsOf(x), {*batch}), si64(n));
  Value step = n.iota(dimsOf(x), si64(n), *time);
  Value mirrored = n.sub(n.sub(length, n.like(length, 1)), step);
  n.result(0,
           gatherElements(n, x, n.select(n.compare(CompareKind::lt, step, length), mirrored, step), *time));
}

llvm::ArrayRef<OpEntry> movementOps() {
  static const OpEntry table[] = {
      {"Concat", importConcat},
      {"DepthToSpace", importDepthToSpace},
      {"Expand", importExpand},
      {"Flatten", importFlatten},
      {"Reshape", importReshape},
      {"ReverseSequence", importReverseSequence},
      {"SpaceToDepth", importSpaceToDepth},
      {"Split", importSplit},
      {"Squeeze", importSqueeze},
      {"Tile", importTile},
      {"Transpose", importTranspose},
      {"Trilu", importTrilu},
      {"Unsqueeze", importUnsqueeze},
  };
  return table;
}

} // namespace tilewright::frontend
