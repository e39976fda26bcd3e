//===- Schedules.cpp - how products are blocked ---------------------------===//
#include "codegen/emit/Schedules.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cmath>

using llvm::divideCeil;

namespace tilewright::codegen {
namespace {

/// Work items that give 64 threads something to balance, where the product is large enough to be split.
constexpr int64_t wantedItems = 128;
/// Row tiles of a block over which a panel that comes from afar is amortised.
constexpr int64_t wantedTiles = 9;
/// Rows that share unpacked weights: unpacking one takes as long as five rows' products with it.
constexpr int64_t rowsPerUnpacking = 192;
/// Multiply-adds below which a work item is not worth being split further.
constexpr int64_t smallestItem = 1 << 16;

int64_t rowsFor(int64_t vectors, const TargetInfo &target) { return target.tileRows[vectors - 1]; }

/// Cycles per k of a tile: FMAs on their ports, loads on theirs, or the latency of few sums.
double cyclesPerStep(int64_t rows, int64_t vectors, const TargetInfo &target) {
  const double fmas = double(rows * vectors) / target.fmaPorts, loads = (rows + vectors) / 2.0;
  return std::max({fmas, loads, 1.0}) + 0.1 * loads;
}

} // namespace

EvenSplit splitEvenly(int64_t total, int64_t limit) {
  const int64_t parts = std::max<int64_t>(1, divideCeil(total, limit));
  return {parts, int64_t(divideCeil(total, parts))};
}

RegisterTile chooseTile(std::optional<int64_t> m, std::optional<int64_t> n, unsigned bits,
                        const TargetInfo &target, std::optional<int64_t> width) {
  const int64_t lanes = target.lanes(bits), rows = m.value_or(420), columns = n.value_or(3072);
  RegisterTile best;
  double bestCost = INFINITY;
  const bool settled = width && *width % lanes == 0 && *width / lanes >= 1 && *width / lanes <= 4;
  for (int64_t vectors : {2, 3, 4, 1}) {
    if (settled ? vectors * lanes != *width : vectors > 1 && (vectors - 1) * lanes >= columns)
      continue;
    const EvenSplit split = splitEvenly(std::max<int64_t>(rows, 1), rowsFor(vectors, target));
    const double larger = double(rows) - double(split.largest - 1) * split.parts;
    const double perPanel =
        larger * cyclesPerStep(split.largest, vectors, target) +
        (split.parts - larger) * (split.largest > 1 ? cyclesPerStep(split.largest - 1, vectors, target) : 0);
    const double cost = perPanel * divideCeil(columns, vectors * lanes);
    if (cost < bestCost * 0.98) {
      bestCost = cost;
      best = {unsigned(m ? split.largest : rowsFor(vectors, target)), unsigned(vectors * lanes)};
    }
  }
  return best;
}

namespace {

/// Row tiles per work item, so that there are enough items for many threads and each is worth its overhead.
int64_t tilesPerItem(int64_t tiles, int64_t otherItems, int64_t workPerTile) {
  const int64_t wanted = std::max<int64_t>(1, wantedItems / std::max<int64_t>(otherItems, 1));
  const int64_t worthwhile =
      std::max<int64_t>(1, divideCeil(smallestItem, std::max<int64_t>(workPerTile, 1)));
  const int64_t limit = std::max(worthwhile, std::max<int64_t>(1, tiles / wanted));
  return splitEvenly(tiles, std::min(limit, tiles)).largest;
}

} // namespace

ProductSchedule chooseProduct(const ProductShape &shape, const TargetInfo &target) {
  ProductSchedule s;
  const RegisterTile tile = chooseTile(shape.m, shape.n, shape.bits, target, shape.columns);
  s.rows = tile.rows;
  s.columns = tile.columns;
  s.staged = shape.stagedLeft;
  const int64_t bytes = shape.bits / 8, k = std::max<int64_t>(1, shape.k.value_or(512)),
                m = shape.m.value_or(512), n = shape.n.value_or(1024);
  const int64_t panels = divideCeil(n, s.columns), tiles = splitEvenly(std::max<int64_t>(m, 1), s.rows).parts;
  const int64_t half = target.l2Bytes / 2, batch = shape.batch.value_or(8);
  const bool rightFits = n * k * bytes <= half;
  const int64_t tilesInCache = std::max<int64_t>(1, half / (k * bytes) / s.rows);
  if (!shape.packedRight) { // panels are packed by each thread: keep them for all rows
    s.panelsPerBlock = rightFits ? 0 : std::max<int64_t>(1, half / (k * s.columns * bytes));
    const int64_t groups = s.panelsPerBlock ? divideCeil(panels, s.panelsPerBlock) : 1;
    s.tilesPerBlock = tilesPerItem(tiles, batch * groups,
                                   s.rows * k * (s.panelsPerBlock ? s.panelsPerBlock * s.columns : n));
    return s;
  }
  const int64_t fill = tilesPerItem(tiles, batch * panels, s.rows * k * s.columns);
  if (tilesInCache < std::min<int64_t>(tiles, wantedTiles)) {
    s.rowsOuter = true;
    s.tilesPerBlock = splitEvenly(tiles, wantedTiles).largest;
    s.depthBlock = splitEvenly(k, std::max<int64_t>(256, half / (s.tilesPerBlock * s.rows * bytes))).largest;
    s.panelsPerBlock = splitEvenly(panels, 6).largest;
    return s;
  }
  s.rowsOuter = s.staged || m * k * bytes > half || rightFits;
  s.tilesPerBlock = s.staged      ? splitEvenly(tiles, std::min(tilesInCache, tiles)).largest
                    : s.rowsOuter ? splitEvenly(tiles, std::min<int64_t>({tiles, tilesInCache, 4})).largest
                                  : fill;
  return s;
}

ProductSchedule chooseNarrow(const ProductShape &shape, const TargetInfo &target) {
  ProductSchedule s;
  const RegisterTile tile = chooseTile(shape.m, shape.n, shape.bits, target, shape.columns);
  s.rows = tile.rows;
  s.columns = tile.columns;
  s.staged = shape.stagedLeft;
  s.rowsOuter = true;
  const int64_t tiles = splitEvenly(std::max<int64_t>(shape.m.value_or(512), 1), s.rows).parts;
  s.tilesPerBlock = splitEvenly(tiles, std::max<int64_t>(1, rowsPerUnpacking / s.rows)).largest;
  return s;
}

ProductSchedule chooseRowChain(const ProductShape &shape, std::optional<int64_t> innerDepth,
                               const TargetInfo &target) {
  ProductSchedule s;
  const RegisterTile tile = chooseTile(shape.m, shape.n, shape.bits, target);
  s.rows = tile.rows;
  s.columns = tile.columns;
  s.staged = true;
  s.panelsPerBlock = 0;
  const int64_t m = std::max<int64_t>(shape.m.value_or(512), 1),
                k = std::max<int64_t>(shape.k.value_or(512), 1),
                work = s.rows * k * (innerDepth.value_or(64) + shape.n.value_or(64));
  const int64_t tiles = splitEvenly(m, s.rows).parts;
  const int64_t rowsInCache = target.l2Bytes / 4 / (k * (shape.bits / 8));
  s.tilesPerBlock = std::min(std::max<int64_t>(1, rowsInCache / s.rows),
                             tilesPerItem(tiles, shape.batch.value_or(8), work));
  return s;
}

std::optional<int64_t> scheduleInteger(mlir::DictionaryAttr attribute, llvm::StringRef name) {
  if (attribute)
    if (auto value = attribute.getAs<mlir::IntegerAttr>(name))
      return value.getInt();
  return std::nullopt;
}

ProductSchedule overridden(ProductSchedule schedule, mlir::DictionaryAttr attribute) {
  schedule.rows = scheduleInteger(attribute, "mr").value_or(schedule.rows);
  schedule.columns = scheduleInteger(attribute, "nr").value_or(schedule.columns);
  schedule.depthBlock = scheduleInteger(attribute, "kc").value_or(schedule.depthBlock);
  schedule.tilesPerBlock = scheduleInteger(attribute, "row_tiles").value_or(schedule.tilesPerBlock);
  schedule.panelsPerBlock = scheduleInteger(attribute, "panels").value_or(schedule.panelsPerBlock);
  schedule.rowsOuter = scheduleInteger(attribute, "rows_outer").value_or(schedule.rowsOuter);
  schedule.staged = scheduleInteger(attribute, "staged").value_or(schedule.staged);
  return schedule;
}

} // namespace tilewright::codegen
