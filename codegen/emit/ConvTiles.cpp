//===- ConvTiles.cpp - the rows of a convolution's result in tiles along x ------------===//
#include "codegen/emit/ConvTiles.h"

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {

ConvTiles::ConvTiles(ValueEmitter &e, const ConvGeometry &geometry, int64_t pixels, bool bordered)
    : e(e), g(geometry), tiles(e, g.out.back(), pixels), pixels(pixels), bordered(bordered) {
  if (bordered || !tiles.isFixed())
    return;
  const int64_t count = *e.constantOf(tiles.count);
  for (int64_t tile = 0; tile < count; ++tile) {
    const int64_t first = *e.constantOf(tiles.firstRow(e.constant(tile)));
    const int64_t rows = *e.constantOf(tiles.firstRow(e.constant(tile + 1))) - first;
    SmallVector<TapInterval> taps = tapsOf(first, rows);
    if (!classes.empty() && classes.back().rows == rows && classes.back().taps == taps)
      classes.back().end = tile + 1;
    else
      classes.push_back({tile, tile + 1, rows, std::move(taps)});
  }
}

SmallVector<TapInterval> ConvTiles::tapsOf(int64_t firstPixel, int64_t rows) const {
  SmallVector<TapInterval> taps;
  for (int64_t tap = 0; tap < g.lastTaps(); ++tap) {
    int64_t first = 0, end = rows;
    if (!bordered) {
      const int64_t size = *constantOf(g.in.back()),
                    offset = tap * g.rhsDilation.back() - *constantOf(g.low.back());
      auto inside = [&](int64_t row) {
        const int64_t x = (firstPixel + row) * g.strides.back() + offset;
        return x >= 0 && x < size;
      };
      while (first < end && !inside(first))
        ++first;
      while (end > first && !inside(end - 1))
        --end;
    }
    if (first == end)
      continue;
    if (!taps.empty() && taps.back().endTap == tap && taps.back().firstRow == first &&
        taps.back().endRow == end)
      taps.back().endTap = tap + 1;
    else
      taps.push_back({tap, tap + 1, first, end});
  }
  return taps;
}

void ConvTiles::forEach(llvm::function_ref<void(const TileClass &, Value)> body) {
  for (const TileClass &some : classes) {
    if (some.end - some.first == 1)
      body(some, tiles.firstRow(e.constant(some.first)));
    else
      e.loop(e.constant(some.first), e.constant(some.end), 1,
             [&](Value tile) { body(some, tiles.firstRow(tile)); });
  }
  if (bordered)
    tiles.forEach(e.constant(0), tiles.count,
                  [&](int64_t rows, Value first) { body({0, 0, rows, tapsOf(0, rows)}, first); });
  else if (!tiles.isFixed())
    forEachAtRunTime(body);
}

void ConvTiles::forEachAtRunTime(llvm::function_ref<void(const TileClass &, Value)> body) {
  Value zero = e.constant(0), width = e.dim(g.out.back()), low = e.dim(g.low.back());
  const int64_t stride = g.strides.back(), reach = (g.lastTaps() - 1) * g.rhsDilation.back();
  // Pixels [first, end) meet the operand with all taps.
  Value spare =
      e.sub(e.add(e.dim(g.in.back()), low), e.constant(reach)); // positions of the first tap, from -low on
  Value first = e.minimum(e.ceilDivide(e.maximum(low, zero), stride), width);
  Value end = e.maximum(e.minimum(e.ceilDivide(e.maximum(spare, zero), stride), width), first);
  Value count = e.sub(end, first);
  RowTiles::forEachPiece(e, first, count, pixels, [&](int64_t rows, Value pixel) {
    body({0, 0, rows, {{0, g.lastTaps(), 0, rows}}}, pixel);
  });
  e.loop(zero, e.sub(width, count), 1, [&](Value index) {
    Value pixel = e.select(e.less(index, first), index, e.add(index, count));
    body({0, 0, 1, {}, tapBounds(e, g, g.rank - 1, pixel)}, pixel);
  });
}

//===- Blocks of rows ---------------------------------------------------------------===//

static AffineExpr lastRows(const ConvGeometry &g) {
  return g.rank > 1 ? g.out[g.rank - 2] : constantDim(g.images.getContext(), 1);
}

static AffineExpr blocksOf(const ConvGeometry &g, int64_t rows) {
  return canonical((lastRows(g) + (rows - 1)).floorDiv(rows));
}

AffineExpr RowBlock::count(const ConvGeometry &g, int64_t rows) {
  AffineExpr count = product(g.images, blocksOf(g, rows));
  for (int64_t d = 0; d + 2 < g.rank; ++d)
    count = canonical(count * g.out[d]);
  return count;
}

RowBlock RowBlock::decode(ValueEmitter &e, const ConvGeometry &g, int64_t rows, Value index) {
  RowBlock block;
  Value blocks = e.dim(blocksOf(g, rows));
  block.first = e.mul(e.remainder(index, blocks), rows);
  block.end = e.minimum(e.add(block.first, rows), e.dim(lastRows(g)));
  Value rest = e.divide(index, blocks);
  block.outer.assign(std::max<int64_t>(0, g.rank - 2), Value());
  for (int64_t d = g.rank - 2; d-- > 0;) {
    block.outer[d] = e.remainder(rest, e.dim(g.out[d]));
    rest = e.divide(rest, e.dim(g.out[d]));
  }
  block.image = rest;
  return block;
}

std::pair<Value, Value> tapBounds(ValueEmitter &e, const ConvGeometry &g, int64_t d, Value index) {
  Value all = e.constant(g.taps[d]), zero = e.constant(0);
  if (g.alwaysInside(d))
    return {zero, all};
  Value origin = e.sub(e.dim(g.low[d]), e.mul(index, g.strides[d]));
  Value size = e.add(e.mul(e.add(e.dim(g.in[d]), -1), g.lhsDilation[d]), 1);
  auto firstFrom = [&](Value distance) {
    return e.minimum(e.ceilDivide(e.maximum(distance, zero), g.rhsDilation[d]), all);
  };
  return {firstFrom(origin), firstFrom(e.add(origin, size))};
}

Indices resultIndices(ValueEmitter &e, const ConvGeometry &g, const RowBlock &block, Value y, Value pixel,
                      const Index &channel) {
  Indices indices{e.uniform(block.image)};
  for (Value index : block.outer)
    indices.push_back(e.uniform(index));
  if (g.rank > 1)
    indices.push_back(e.uniform(y));
  indices.push_back(e.uniform(pixel));
  indices.push_back(channel);
  return indices;
}

PixelMemory pixelsOf(ValueEmitter &e, const ConvGeometry &g, const StridedView &view, Value image,
                     int64_t bytes) {
  PixelMemory memory;
  Value offset = e.add(e.dim(view.offset), e.mul(image, e.dim(view.strides.front())));
  memory.base = e.address(e.kernel.pointers.lookup(view.argument), offset, bytes);
  for (int64_t d = 0; d < g.rank; ++d) {
    memory.pitches.push_back(e.mul(e.dim(view.strides[d + 1]), bytes));
    memory.base = e.address(memory.base, e.sub(e.constant(0), e.mul(e.dim(g.low[d]), memory.pitches[d])), 1);
  }
  return memory;
}

} // namespace tilewright::codegen
