// Matrix products: register tiles over panels of the right operand, which are packed when the artifact is
// written or by each thread; and row chains, whose inner product's rows stay in scratch.
#include "codegen/schedule/NarrowLayout.h"
#include "codegen/space/Tiles.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace tilewright::graph;
using llvm::divideCeil;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

/// Row tiles of a block over which a panel that comes from afar is amortised.
constexpr int64_t wantedTiles = 9;
/// Bytes of scratch that a thread may need.
constexpr double mostScratch = 64 << 20;
/// Rows that share unpacked weights: unpacking one takes as long as five rows' products with it.
constexpr int64_t rowsPerUnpacking = 192;
/// Elements that are unpacked at once: 32 KiB of panels two vectors of AVX-512 wide.
constexpr int64_t narrowChunk = 256;
/// Rows for which unpacking a weight of few bits to scratch does not pay.
constexpr int64_t narrowRows = 4;
/// Rows from which on copying those that collide in the cache pays.
constexpr int64_t fewRows = 8;

Type elementOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()).getElementType(); }

/// A matrix product as its schedule sees it. Sizes that are not known before the program runs are empty.
struct Product {
  Product(kernel::FuncOp kernel, const TargetInfo &target)
      : op(cast<ContractOp>(kernel::rootOf(kernel))), dims(op), batch(constantOf(dims.batch)),
        m(constantOf(dims.m)), n(constantOf(dims.n)), k(constantOf(dims.k)),
        bits(accumulatorType(elementOf(op.getResult())).getIntOrFloatBitWidth()) {
    narrow = NarrowLayout::of(kernel);
    if (constantRightOf(kernel)) {
      packed = true;
      kind = dotKindFor(elementOf(op.getLhs()), elementOf(op.getRhs()),
                        accumulatorType(elementOf(op.getResult())), target);
    }
  }

  ContractOp op;
  ContractDims dims;
  std::optional<int64_t> batch, m, n, k;
  unsigned bits;       ///< of the type that sums have
  bool packed = false; ///< the right operand is a constant that can be given in panels
  DotKind kind = DotKind::Plain;
  std::optional<NarrowLayout> narrow; ///< the right operand is a constant of few bits, unpacked here

  std::optional<int64_t> steps(DotKind as) const {
    return k ? std::optional<int64_t>(divideCeil(*k, groupOf(as))) : std::nullopt;
  }
  bool prefersStaging(const TargetInfo &target) const {
    return !dims.canReadLeft(kind, target) || (!(m && *m < fewRows) && dims.leftRowsCollide());
  }
};

struct Choice {
  int64_t depthBlock = 0, tilesPerBlock = 1, panelsPerBlock = 1;
  bool rowsOuter = false, staged = false;
};

/// How tiles make work items.
Choice chooseBlocks(const Product &p, const RegisterTile &tile, const TargetInfo &target) {
  Choice s;
  s.staged = p.prefersStaging(target);
  const int64_t bytes = p.bits / 8, k = std::max<int64_t>(1, p.steps(p.kind).value_or(512)),
                m = p.m.value_or(512), n = p.n.value_or(1024);
  const int64_t panels = divideCeil(n, tile.columns),
                tiles = splitEvenly(std::max<int64_t>(m, 1), tile.rows).parts;
  const int64_t half = target.l2Bytes / 2, batch = p.batch.value_or(8);
  if (p.narrow) { // one panel at a time, for as many rows as make unpacking cheap
    s.rowsOuter = true;
    s.tilesPerBlock = splitEvenly(tiles, std::max<int64_t>(1, rowsPerUnpacking / tile.rows)).largest;
    return s;
  }
  const bool rightFits = n * k * bytes <= half;
  const int64_t tilesInCache = std::max<int64_t>(1, half / (k * bytes) / tile.rows);
  if (!p.packed) { // panels are packed by each thread: keep them for all rows
    s.panelsPerBlock = rightFits ? 0 : std::max<int64_t>(1, half / (k * tile.columns * bytes));
    const int64_t groups = s.panelsPerBlock ? divideCeil(panels, s.panelsPerBlock) : 1;
    s.tilesPerBlock = tilesPerItem(tiles, batch * groups,
                                   tile.rows * k * (s.panelsPerBlock ? s.panelsPerBlock * tile.columns : n));
    return s;
  }
  const int64_t fill = tilesPerItem(tiles, batch * panels, tile.rows * k * tile.columns);
  if (tilesInCache < std::min<int64_t>(tiles, wantedTiles)) {
    s.rowsOuter = true;
    s.tilesPerBlock = splitEvenly(tiles, wantedTiles).largest;
    s.depthBlock =
        splitEvenly(k, std::max<int64_t>(256, half / (s.tilesPerBlock * tile.rows * bytes))).largest;
    s.panelsPerBlock = splitEvenly(panels, 6).largest;
    return s;
  }
  s.rowsOuter = s.staged || m * k * bytes > half || rightFits;
  s.tilesPerBlock = s.staged      ? splitEvenly(tiles, std::min(tilesInCache, tiles)).largest
                    : s.rowsOuter ? splitEvenly(tiles, std::min<int64_t>({tiles, tilesInCache, 4})).largest
                                  : fill;
  return s;
}

double panelBytes(const Product &p, int64_t columns) {
  const double stored = p.packed ? graph::byteWidth(elementOf(ContractOp(p.op).getRhs())) : p.bits / 8;
  return double(p.steps(p.kind).value_or(512)) * double(columns * groupOf(p.kind)) * stored;
}

/// Of the two operands, the one that comes from beyond the core's own cache.
Fetch chooseFetch(const Product &p, const RegisterTile &tile, const Choice &choice,
                  const TargetInfo &target) {
  const bool known = p.n && p.k;
  const double all = double(divideCeil(p.n.value_or(0), tile.columns)) * panelBytes(p, tile.columns);
  if (p.packed && known && all > double(target.l2Bytes / 2) && choice.tilesPerBlock > 1)
    return Fetch::panel;
  return !choice.staged && p.dims.leftRowsTouch(p.kind) ? Fetch::rows : Fetch::none;
}

Algorithm tilesOf(kernel::FuncOp kernel, const Product &p, const TargetInfo &target, const Wish &wish) {
  const RegisterTile tile =
      chooseTile(p.m, p.n, p.bits, target, p.narrow ? std::optional(p.narrow->columns) : wish.columns);
  const Choice choice = chooseBlocks(p, tile, target);
  const int64_t mostTiles = p.m ? std::max<int64_t>(1, *p.m) : 1 << 10,
                mostPanels = p.n ? divideCeil(std::max<int64_t>(1, *p.n), target.lanes(p.bits)) : 1 << 10;
  const bool canRead = p.dims.canReadLeft(DotKind::Plain, target) || p.dims.canReadLeft(p.kind, target);
  Algorithm tiles{algorithm::tiles, {}};
  addTileParameters(tiles, tile, p.bits, p.m.has_value(), p.op, target);
  tiles.parameters.append(
      {{"depth_block", p.narrow ? Domain::only(0) : Domain{16, 1 << 16, 1, /*orZero=*/true},
        p.narrow ? 0 : choice.depthBlock},
       {"row_tiles", {1, mostTiles}, choice.tilesPerBlock},
       {"panels", {0, mostPanels}, choice.panelsPerBlock},
       {"rows_outer", Domain::flag(), choice.rowsOuter},
       {"staged", canRead ? Domain::flag() : Domain::only(1), choice.staged},
       {"packed", p.packed ? Domain::flag() : Domain::only(0), p.packed},
       {"group", Domain::powers(1, groupOf(p.kind)), groupOf(p.kind)},
       {"fetch", {0, int64_t(Fetch::rows)}, int64_t(chooseFetch(p, tile, choice, target))}});
  if (p.narrow) {
    llvm::find_if(tiles.parameters, [](const Parameter &one) { return one.name == "columns"; })->domain =
        Domain::only(p.narrow->columns);
    tiles.parameters.append(
        {{"narrow_rows", {0, 8}, narrowRows}, {"narrow_chunk", {32, 4096, 32}, narrowChunk}});
  }
  addWalkParameters(kernel, tiles);
  return tiles;
}

SmallVector<Algorithm> productSpace(kernel::FuncOp kernel, const TargetInfo &target, const Wish &wish) {
  SmallVector<Algorithm> space;
  const Product p(kernel, target);
  if (canTile(p.op))
    space.push_back(tilesOf(kernel, p, target, wish));
  space.push_back(loopsOf(kernel, target));
  return space;
}

/// Bytes of scratch of one thread.
double scratchOf(const Product &p, const ProductSchedule &s) {
  const double bytes = p.bits / 8, k = double(p.k.value_or(512)), rows = double(s.tilesPerBlock * s.rows);
  const double panels =
      s.panelsPerBlock ? double(s.panelsPerBlock) : std::ceil(double(p.n.value_or(1024)) / double(s.columns));
  return (s.staged ? rows * k * bytes : 0) + (s.packed || p.narrow ? 0 : panels * s.columns * k * bytes) +
         (s.depthBlock || p.narrow ? panels * s.columns * rows * bytes : 0);
}

std::string productObstacle(kernel::FuncOp kernel, kernel::ScheduleAttr schedule, const TargetInfo &target) {
  if (schedule.getAlgorithm() != StringRef(algorithm::tiles))
    return "";
  const Product p(kernel, target);
  const ProductSchedule s(schedule);
  if (std::string obstacle = registerObstacle(s.rows, s.columns, p.bits, target); !obstacle.empty())
    return obstacle;
  if (!canSum(s.kind, p.op, target))
    return "the target has no instruction that sums " + std::to_string(schedule["group"]) +
           " products of these types";
  if (groupOf(s.kind) > 1 && !s.packed)
    return "products are summed in groups only where 'packed' is 1";
  if (!s.staged && !p.dims.canReadLeft(s.kind, target))
    return "the left operand cannot be read where it lies: 'staged' must be 1";
  if (s.fetch == Fetch::rows && (s.staged || !p.dims.leftRowsTouch(s.kind)))
    return "rows are fetched ahead only where they lie behind each other and are not staged";
  if (s.fetch == Fetch::panel && !s.packed)
    return "panels are fetched ahead only where 'packed' is 1";
  if (p.narrow && s.rows * s.tilesPerBlock < s.narrowRows && !(p.m && *p.m <= s.rows * s.tilesPerBlock))
    return "few rows are one work item: 'rows' times 'row_tiles' must be at least 'narrow_rows'";
  if (s.depthBlock && !s.panelsPerBlock)
    return "partial sums are kept for some panels, not for all: 'panels' must not be 0 where 'depth_block' "
           "is not";
  if (const double bytes = scratchOf(p, s); bytes > mostScratch)
    return "a thread would need " + std::to_string(int64_t(bytes) >> 20) +
           " MiB of scratch: lower 'row_tiles' or 'panels'";
  return "";
}

/// Work per core cycle, with what is read again for every block, and the share of the last round of items
/// that finds no thread.
double estimateTiles(const Product &p, const ProductSchedule &s, const TargetInfo &target) {
  const int64_t lanes = target.lanes(p.bits), vectors = s.columns / lanes;
  const double m = double(p.m.value_or(420)), n = double(p.n.value_or(1024)),
               k = double(p.k.value_or(512)) / groupOf(s.kind), batch = double(p.batch.value_or(8));
  const double tiles = std::ceil(m / s.rows), panels = std::ceil(n / s.columns);
  double cycles = tiles * panels * (k * cyclesPerStep(s.rows, vectors, target) + 4.0 * s.rows * vectors);
  const double blocks = std::ceil(tiles / s.tilesPerBlock);
  if (s.staged)
    cycles += m * k / lanes * (s.rowsOuter ? 1 : std::ceil(panels / std::max<int64_t>(1, s.panelsPerBlock)));
  if (!s.packed)
    cycles += blocks * n * k / lanes * 2;
  if (s.depthBlock)
    cycles += m * n / lanes * 2 * std::ceil(k / s.depthBlock);
  if (!s.epilogueInRegisters)
    cycles += m * n / lanes * 2;
  const double items = batch * blocks * (s.panelsPerBlock ? std::ceil(panels / double(s.panelsPerBlock)) : 1);
  return batch * cycles + 50 * items;
}

double estimateProduct(kernel::FuncOp kernel, kernel::ScheduleAttr schedule, const TargetInfo &target) {
  if (schedule.getAlgorithm() != StringRef(algorithm::tiles))
    return estimateLoops(kernel, schedule, target);
  return estimateTiles(Product(kernel, target), ProductSchedule(schedule), target);
}

//===- Row chains ---------------------------------------------------------------------------===//

/// Rows stay in scratch between both products, and each thread packs both right operands once a batch
/// element.
Algorithm chainOf(kernel::FuncOp kernel, const Product &p, const TargetInfo &target) {
  const ContractDims scores(scoresOf(p.op));
  const RegisterTile tile = chooseTile(p.m, p.n, p.bits, target);
  const int64_t m = std::max<int64_t>(p.m.value_or(512), 1), k = std::max<int64_t>(p.k.value_or(512), 1),
                work = tile.rows * k * (constantOf(scores.k).value_or(64) + p.n.value_or(64));
  const int64_t tiles = splitEvenly(m, tile.rows).parts;
  const int64_t rowsInCache = target.l2Bytes / 4 / (k * (p.bits / 8));
  const int64_t block =
      std::min(std::max<int64_t>(1, rowsInCache / tile.rows), tilesPerItem(tiles, p.batch.value_or(8), work));
  const bool canRead = scores.canReadLeft(DotKind::Plain, target),
             few = constantOf(scores.m).value_or(fewRows) < fewRows,
             staged = !canRead || (!few && scores.leftRowsCollide());
  const bool touch = scores.leftRowsTouch(DotKind::Plain);
  Algorithm chain{algorithm::tiles, {}};
  addTileParameters(chain, tile, p.bits, p.m.has_value(), p.op, target);
  chain.parameters.append({{"row_tiles", {1, 1 << 10}, block},
                           {"score_rows_staged", canRead ? Domain::flag() : Domain::only(1), staged},
                           {"score_fetch",
                            {0, touch ? int64_t(Fetch::rows) : 0, int64_t(Fetch::rows)},
                            touch && !staged ? int64_t(Fetch::rows) : 0}});
  addWalkParameters(kernel, chain);
  return chain;
}

SmallVector<Algorithm> rowChainSpace(kernel::FuncOp kernel, const TargetInfo &target, const Wish &) {
  SmallVector<Algorithm> space;
  const Product p(kernel, target);
  if (canTile(p.op))
    space.push_back(chainOf(kernel, p, target));
  space.push_back(loopsOf(kernel, target));
  return space;
}

std::string rowChainObstacle(kernel::FuncOp kernel, kernel::ScheduleAttr schedule, const TargetInfo &target) {
  if (schedule.getAlgorithm() != StringRef(algorithm::tiles))
    return "";
  if (schedule["score_fetch"] && schedule["score_rows_staged"])
    return "rows are fetched ahead only where they are not staged";
  return registerObstacle(schedule["rows"], schedule["columns"], Product(kernel, target).bits, target);
}

double estimateRowChain(kernel::FuncOp kernel, kernel::ScheduleAttr schedule, const TargetInfo &target) {
  if (schedule.getAlgorithm() != StringRef(algorithm::tiles))
    return estimateLoops(kernel, schedule, target);
  const Product p(kernel, target);
  return 2 * estimateTiles(p, ProductSchedule(schedule), target);
}

} // namespace

const Family productFamily{kernel::RootFamily::product, productSpace, productObstacle, estimateProduct};
const Family rowChainFamily{kernel::RootFamily::row_chain, rowChainSpace, rowChainObstacle, estimateRowChain};

} // namespace tilewright::codegen
