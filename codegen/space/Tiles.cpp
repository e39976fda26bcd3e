#include "codegen/space/Tiles.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using llvm::divideCeil;

namespace tilewright::codegen {
namespace {

/// Work items that give 64 threads something to balance, where the product is large enough to be split.
constexpr int64_t wantedItems = 128;
/// Multiply-adds below which a work item is not worth being split further.
constexpr int64_t smallestItem = 1 << 16;
/// Panel rows that are prefetched ahead of their use, and the farthest that makes sense.
constexpr int64_t prefetchDistance = 16, farthestPrefetch = 64;
/// Steps that are not worth a loop.
constexpr int64_t straightDepth = 4;
/// Independent sums that keep two FMA ports busy over a latency of four cycles.
constexpr int64_t independentSums = 8;
/// Instructions of an epilogue up to which every vector of a tile gets a copy: those of a hard swish.
constexpr int64_t unrolledEpilogue = 7;

/// Rows that fit beside `vectors` panel registers and one broadcast.
int64_t rowsFor(int64_t vectors, const TargetInfo &target) { return target.tileRows[vectors - 1]; }

} // namespace

double cyclesPerStep(int64_t rows, int64_t vectors, const TargetInfo &target) {
  const double fmas = double(rows * vectors) / target.fmaPorts, loads = (rows + vectors) / 2.0;
  return std::max({fmas, loads, 1.0}) + 0.1 * loads;
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
      best = {m ? split.largest : rowsFor(vectors, target), vectors * lanes};
    }
  }
  return best;
}

int64_t registersOf(int64_t rows, int64_t columns, unsigned bits, const TargetInfo &target) {
  const int64_t vectors = columns / target.lanes(bits);
  return rows * vectors + vectors + 1;
}

std::string registerObstacle(int64_t rows, int64_t columns, unsigned bits, const TargetInfo &target) {
  const int64_t needed = registersOf(rows, columns, bits, target);
  if (needed <= target.vectorRegisters)
    return "";
  return "a tile of " + std::to_string(rows) + " x " + std::to_string(columns) + " takes " +
         std::to_string(needed) + " vector registers, there are " + std::to_string(target.vectorRegisters);
}

int64_t tilesPerItem(int64_t tiles, int64_t otherItems, int64_t workPerTile) {
  const int64_t wanted = std::max<int64_t>(1, wantedItems / std::max<int64_t>(otherItems, 1));
  const int64_t worthwhile =
      std::max<int64_t>(1, divideCeil(smallestItem, std::max<int64_t>(workPerTile, 1)));
  const int64_t limit = std::max(worthwhile, std::max<int64_t>(1, tiles / wanted));
  return splitEvenly(tiles, std::min(limit, tiles)).largest;
}

void addTileParameters(Algorithm &algorithm, const RegisterTile &tile, unsigned bits, bool fixed,
                       mlir::Operation *root, const TargetInfo &target) {
  const int64_t lanes = target.lanes(bits), most = target.vectorRegisters;
  const bool unrolled = fixed && epilogueInstructions(root) <= unrolledEpilogue;
  algorithm.parameters.append(
      {{"rows", {1, most}, tile.rows},
       {"columns", {lanes, 4 * lanes, lanes}, tile.columns},
       {"sums", {1, 4 * independentSums}, independentSums},
       {"prefetch", {0, farthestPrefetch}, prefetchDistance},
       {"straight_depth", {0, 32}, straightDepth},
       {"epilogue_in_registers", fixed ? Domain::flag() : Domain::only(0), unrolled}});
}

} // namespace tilewright::codegen
