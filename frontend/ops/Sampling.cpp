/// Sampling.cpp - reading images at computed places: GridSample, AffineGrid; and Col2Im, which adds patches
/// into one.
#include "frontend/ops/Composites.h"

using namespace mlir;
namespace tilewright::frontend {

using graph::BinaryKind;
using graph::CompareKind;
using graph::ScatterKind;
using graph::UnaryKind;

//===- GridSample ---------------------------------------------------------------------------===//

namespace {

struct Sampling {
  std::string mode, padding;
  bool alignCorners;
};

/// One spatial dimension: where the samples lie in it, [N, out...].
struct Coordinate {
  Value x, size; ///< size: rank 0
};

/// One tap of one dimension, [N, out...].
struct Tap {
  Value index;  ///< si64, in range
  Value weight; ///< 0 where the tap is outside and outside is zero
};

} // namespace

/// From [-1, 1] to pixels.
static Value denormalized(NodeImporter &n, Value x, Value size, bool alignCorners) {
  Value one = n.like(x, 1), half = n.like(x, 0.5);
  if (alignCorners)
    return n.mul(n.mul(n.add(x, one), half), n.sub(size, one));
  return n.mul(n.sub(n.mul(n.add(x, one), size), one), half);
}

/// Folded back between the borders as often as needed: a triangle wave.
static Value reflected(NodeImporter &n, Value x, Value size, bool alignCorners) {
  Value low = n.like(x, alignCorners ? 0 : -0.5), range = alignCorners ? n.sub(size, n.like(x, 1)) : size;
  range = n.maximum(range, n.like(x, 1e-6)); // one pixel: everything is that pixel
  Value period = n.add(range, range), phase = n.binary(BinaryKind::mod, n.sub(x, low), period);
  return n.add(low, n.minimum(phase, n.sub(period, phase)));
}

static Value withinBorders(NodeImporter &n, const Coordinate &c, Value x) {
  return n.minimum(n.maximum(x, n.like(x, 0)), n.sub(c.size, n.like(x, 1)));
}

/// The coordinate itself, padded; taps around it are padded once more. Of a cubic window that meets the
/// border, some taps lie inside: it keeps its place, until all lie on one pixel.
static Value paddedCoordinate(NodeImporter &n, const Coordinate &c, const Sampling &s) {
  if (s.padding == "border" && s.mode == "cubic")
    return n.minimum(n.maximum(c.x, n.like(c.x, -3)), n.add(c.size, n.like(c.x, 2)));
  if (s.padding == "border")
    return withinBorders(n, c, c.x);
  return s.padding == "reflection" ? reflected(n, c.x, c.size, s.alignCorners) : c.x;
}

static Tap tapAt(NodeImporter &n, const Coordinate &c, Value position, Value weight, const Sampling &s) {
  Value inside = withinBorders(n, c, position);
  if (s.padding == "zeros")
    weight = n.select(n.compare(CompareKind::eq, inside, position), weight, n.like(weight, 0));
  if (s.padding == "reflection")
    inside = withinBorders(n, c, n.unary(UnaryKind::trunc, reflected(n, position, c.size, s.alignCorners)));
  return {n.cast(inside, si64(n)), weight};
}

/// Keys' cubic convolution for the taps at -1, 0, 1 and 2, with a = -0.75; t is the fraction.
static SmallVector<Value> cubicWeights(NodeImporter &n, Value t) {
  constexpr double a = -0.75;
  auto k = [&](double value) { return n.like(t, value); };
  auto near = [&](Value d) { return n.add(n.mul(n.mul(n.sub(n.mul(k(a + 2), d), k(a + 3)), d), d), k(1)); };
  auto far = [&](Value d) {
    return n.sub(n.mul(n.add(n.mul(n.sub(n.mul(k(a), d), k(5 * a)), d), k(8 * a)), d), k(4 * a));
  };
  Value rest = n.sub(k(1), t);
  return {far(n.add(t, k(1))), near(t), near(rest), far(n.add(rest, k(1)))};
}

static SmallVector<Tap> tapsOf(NodeImporter &n, const Coordinate &c, const Sampling &s) {
  Coordinate nearest = c;
  if (s.mode == "nearest") {
    nearest.x = n.unary(UnaryKind::round, c.x);
    Value x = paddedCoordinate(n, nearest, s);
    x = s.padding == "zeros" ? x : n.unary(UnaryKind::trunc, x);
    return {tapAt(n, c, x, n.broadcastTo(n.like(x, 1), dimsOf(x)), s)};
  }
  Value x = paddedCoordinate(n, c, s), base = n.unary(UnaryKind::floor, x), t = n.sub(x, base);
  if (s.mode == "linear")
    return {tapAt(n, c, base, n.sub(n.like(t, 1), t), s), tapAt(n, c, n.add(base, n.like(t, 1)), t, s)};
  SmallVector<Tap> taps;
  for (auto [index, weight] : llvm::enumerate(cubicWeights(n, t)))
    taps.push_back(tapAt(n, c, n.add(base, n.like(base, double(index) - 1)), weight, s));
  return taps;
}

/// Sum over all combinations of one tap a dimension. `image` is [N, spatial..., C]; the result [N, out...,
/// C].
static Value sampled(NodeImporter &n, Value image, ArrayRef<SmallVector<Tap>> taps) {
  size_t combinations = 1;
  for (const auto &list : taps)
    combinations *= list.size();
  Value sum;
  for (size_t number = 0; number < combinations; ++number) {
    size_t rest = number;
    SmallVector<Value> index;
    Value weight;
    for (const auto &list : taps) {
      const Tap &tap = list[rest % list.size()];
      rest /= list.size();
      index.push_back(n.unsqueeze(tap.index, {n.rank(tap.index)}));
      weight = weight ? n.mul(weight, tap.weight) : tap.weight;
    }
    Dims shape = dimsOf(weight);
    shape.push_back(dimsOf(image).back());
    Value place = n.concat(index, n.rank(index[0]) - 1);
    auto type = tensorType(shape, n.elementType(image));
    Value pixels = graph::GatherNDOp::create(n.b, n.loc, type, image, place, 1);
    Value part = n.mul(pixels, n.cast(n.unsqueeze(weight, {n.rank(weight)}), n.elementType(image)));
    sum = sum ? n.add(sum, part) : part;
  }
  return sum;
}

static bool samplingOf(NodeImporter &n, Sampling &s) {
  s.mode = n.stringAttr("mode", n.opset < 20 ? "bilinear" : "linear");
  s.mode = s.mode == "bilinear" ? "linear" : s.mode == "bicubic" ? "cubic" : s.mode;
  s.padding = n.stringAttr("padding_mode", "zeros");
  s.alignCorners = n.intAttr("align_corners", 0);
  bool known = (s.mode == "linear" || s.mode == "cubic" || s.mode == "nearest") &&
               (s.padding == "zeros" || s.padding == "border" || s.padding == "reflection");
  if (!known)
    n.fail("TW1205", "mode '" + s.mode + "' or padding_mode '" + s.padding + "' does not exist");
  return known;
}

static void importGridSample(NodeImporter &n) {
  Sampling s;
  if (!require(n, 2) || !requireRank(n, n.operand(0), 3, 5) || !samplingOf(n, s) ||
      !requireFloat(n, n.operand(1)))
    return;
  Value image = n.operand(0), grid = n.operand(1);
  int64_t spatial = n.rank(image) - 2;
  if (!requireRank(n, grid, spatial + 2, spatial + 2, "grid") ||
      !n.requireEqual(dimsOf(grid).back(), n.dim(spatial),
                      "coordinates in the grid and spatial dimensions") ||
      !n.requireEqual(dimsOf(grid)[0], dimsOf(image)[0], "batches of image and grid"))
    return;
  grid = withSize(n, n.cast(grid, accumulationType(n.elementType(grid))), 0, dimsOf(image)[0]);
  Type type = n.elementType(image), wide = interpolationType(n, type);
  SmallVector<int64_t> toLast{0};
  for (int64_t dim = 0; dim < spatial; ++dim)
    toLast.push_back(dim + 2);
  toLast.push_back(1);
  SmallVector<SmallVector<Tap>> taps;
  for (int64_t dim = 0; dim < spatial; ++dim) { // the grid's first coordinate belongs to the last dimension
    Value x = n.squeeze(n.sliceAxis(grid, spatial + 1, n.dim(spatial - 1 - dim), n.dim(1)), {spatial + 1});
    Value size = dimValue(n, dimsOf(image)[dim + 2], n.elementType(x));
    taps.push_back(tapsOf(n, {denormalized(n, x, size, s.alignCorners), size}, s));
  }
  Value result = sampled(n, n.cast(n.transpose(image, toLast), wide), taps);
  SmallVector<int64_t> toSecond{0, spatial + 1};
  for (int64_t dim = 0; dim < spatial; ++dim)
    toSecond.push_back(dim + 1);
  n.result(0, interpolated(n, n.transpose(result, toSecond), type, s.mode == "cubic"));
}

//===- AffineGrid --------------------------------------------------------------------------------===//

/// Pixel centres (or, aligned, corners) of a dimension in [-1, 1].
static Value normalizedPixels(NodeImporter &n, ArrayRef<AffineExpr> shape, int64_t dim, Type type,
                              bool alignCorners) {
  Value index = n.iota(shape, type, dim), size = dimValue(n, shape[dim], type), one = n.scalar(type, 1),
        two = n.scalar(type, 2);
  if (alignCorners) // a single pixel lies at -1
    return n.sub(n.div(n.mul(index, two), n.maximum(n.sub(size, one), one)), one);
  return n.sub(n.div(n.add(n.mul(index, two), one), size), one);
}

static void importAffineGrid(NodeImporter &n) {
  if (!require(n, 2) || !requireRank(n, n.operand(0), 3, 3, "theta") || !requireFloat(n, n.operand(0)))
    return;
  Value theta = n.operand(0);
  // Whichever is known tells the number of spatial dimensions.
  std::optional<int64_t> rows = constantOf(dimsOf(theta)[1]), columns = constantOf(dimsOf(theta)[2]);
  std::optional<int64_t> spatialSizes = rows ? rows : columns ? std::optional(*columns - 1) : std::nullopt;
  std::optional<Dims> size = spatialSizes ? shapeOperand(n, n.operand(1), *spatialSizes + 2, "size")
                                          : shapeOperand(n, n.operand(1), "size");
  if (!size)
    return;
  int64_t spatial = int64_t(size->size()) - 2;
  if (spatial < 2 || spatial > 3)
    return n.fail("TW2005", "size must have 4 or 5 elements");
  if (!n.requireEqual(dimsOf(theta)[1], n.dim(spatial), "rows of theta and spatial dimensions") ||
      !n.requireEqual(dimsOf(theta)[2], n.dim(spatial + 1),
                      "columns of theta and spatial dimensions plus 1") ||
      !n.requireEqual(dimsOf(theta)[0], (*size)[0], "batches of theta and size"))
    return;
  theta = withSize(n, withSize(n, theta, 1, n.dim(spatial)), 2, n.dim(spatial + 1));
  Dims shape = piece(*size, 2, size->size());
  Type type = n.elementType(theta), wide = accumulationType(type);
  SmallVector<Value> parts;
  for (int64_t dim = spatial; dim-- > 0;) // x first, which is the last dimension
    parts.push_back(
        n.unsqueeze(normalizedPixels(n, shape, dim, wide, n.intAttr("align_corners", 0)), {spatial}));
  parts.push_back(filled(n, dimsOf(parts[0]), wide, 1));
  Value points = n.concat(parts, spatial);                                      // [spatial..., spatial + 1]
  Value grid = n.contract(n.cast(theta, wide), points, {}, {}, {2}, {spatial}); // [N, spatial, spatial...]
  SmallVector<int64_t> perm{0};
  for (int64_t dim = 0; dim < spatial; ++dim)
    perm.push_back(dim + 2);
  perm.push_back(1);
  n.result(0, n.cast(n.transpose(grid, perm), type));
}

//===- Col2Im --------------------------------------------------------------------------------------===//

namespace {
/// One spatial dimension of the image, with its border.
struct Patches {
  AffineExpr padded, blocks;
  int64_t block, stride, dilation;
  AffineExpr low;
};
} // namespace

static std::optional<SmallVector<Patches>> patchesOf(NodeImporter &n, ArrayRef<AffineExpr> image,
                                                     ArrayRef<int64_t> block) {
  size_t rank = image.size();
  auto attribute = [&](llvm::StringRef name, size_t count, int64_t fallback) {
    return n.intsAttr(name).value_or(SmallVector<int64_t>(count, fallback));
  };
  auto strides = attribute("strides", rank, 1), dilations = attribute("dilations", rank, 1),
       pads = attribute("pads", 2 * rank, 0);
  auto positive = [](ArrayRef<int64_t> list) {
    return llvm::all_of(list, [](int64_t value) { return value > 0 && value < INT32_MAX; });
  };
  bool padsFit = llvm::all_of(pads, [](int64_t value) { return value >= 0 && value < INT32_MAX; });
  if (strides.size() != rank || dilations.size() != rank || pads.size() != 2 * rank || block.size() != rank ||
      !positive(strides) || !positive(dilations) || !positive(block) || !padsFit) {
    n.fail("TW1205", "block, strides, dilations or pads do not fit the image");
    return std::nullopt;
  }
  SmallVector<Patches> dims;
  for (size_t dim = 0; dim < rank; ++dim) {
    AffineExpr padded = sum({image[dim], n.dim(pads[dim]), n.dim(pads[rank + dim])}, n.b.getContext());
    AffineExpr blocks = n.windowSize(padded, block[dim], strides[dim], dilations[dim], n.dim(0), n.dim(0));
    if (!n.requireAtMost(n.dim((block[dim] - 1) * dilations[dim] + 1), padded,
                         "a block and the padded image"))
      return std::nullopt;
    dims.push_back({padded, blocks, block[dim], strides[dim], dilations[dim], n.dim(pads[dim])});
  }
  return dims;
}

/// The flat position in the padded image of each element of each patch: [block..., blocks...].
static Value patchPositions(NodeImporter &n, ArrayRef<Patches> dims) {
  Dims shape;
  for (const Patches &p : dims)
    shape.push_back(n.dim(p.block));
  for (const Patches &p : dims)
    shape.push_back(p.blocks);
  auto scaled = [&](Value x, int64_t factor) { return n.mul(x, n.scalarInt(si64(n), factor)); };
  Value flat;
  for (auto [dim, p] : llvm::enumerate(dims)) {
    Value place = n.add(scaled(n.iota(shape, si64(n), dim), p.dilation),
                        scaled(n.iota(shape, si64(n), dims.size() + dim), p.stride));
    flat = flat ? n.add(n.mul(flat, dimValue(n, p.padded, si64(n))), place) : place;
  }
  return flat;
}

static void importCol2Im(NodeImporter &n) {
  if (!require(n, 3) || !requireRank(n, n.operand(0), 3, 3))
    return;
  Value x = n.operand(0);
  std::optional<Dims> image = shapeOperand(n, n.operand(1), "image_shape");
  auto block = intsFrom(n, 2, "");
  auto dims = image && block ? patchesOf(n, *image, *block) : std::nullopt;
  if (!dims)
    return;
  int64_t blockSize = 1;
  AffineExpr paddedCount = n.dim(1), blockCount = n.dim(1);
  for (const Patches &p : *dims) {
    blockSize *= p.block;
    paddedCount = paddedCount * p.padded;
    blockCount = blockCount * p.blocks;
  }
  AffineExpr batch = dimsOf(x)[0], channels = canonical(dimsOf(x)[1].floorDiv(blockSize));
  if (!n.requireEqual(channels * blockSize, dimsOf(x)[1], "channels and the size of a block") ||
      !n.requireEqual(blockCount, dimsOf(x)[2], "patches and their number in the image"))
    return;
  Dims updates{batch, channels, canonical(blockCount * blockSize)};
  Value flat = n.reshape(patchPositions(n, *dims), {updates[2]});
  Value zeros = filled(n, {batch, channels, canonical(paddedCount)}, n.elementType(x), 0);
  Value sums =
      graph::ScatterElementsOp::create(n.b, n.loc, zeros.getType(), zeros, n.broadcastTo(flat, updates),
                                       n.reshape(x, updates), 2, ScatterKind::sadd);
  Dims padded{batch, channels}, starts{n.dim(0), n.dim(0)}, shape{batch, channels};
  for (auto [size, p] : llvm::zip_equal(*image, *dims)) {
    padded.push_back(p.padded);
    starts.push_back(p.low);
    shape.push_back(size);
  }
  n.result(0, n.slice(n.reshape(sums, padded), starts, SmallVector<int64_t>(shape.size(), 1), shape));
}

llvm::ArrayRef<OpEntry> samplingOps() {
  static const OpEntry table[] = {
      {"AffineGrid", importAffineGrid},
      {"Col2Im", importCol2Im},
      {"GridSample", importGridSample},
  };
  return table;
}

} // namespace tilewright::frontend
