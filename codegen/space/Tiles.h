/// Tiles.h - register tiles and how many of them a work item takes: private to codegen/space.
#pragma once
#include "codegen/space/Space.h"

namespace tilewright::codegen {

/// rows x columns scalars of a product held in registers.
struct RegisterTile {
  int64_t rows = 0;
  int64_t columns = 0;
};

/// The register tile for a product of m rows and n columns: the one that does least work, counting what
/// rounding up wastes. With `width`, of the tiles of so many columns where there are such.
RegisterTile chooseTile(std::optional<int64_t> m, std::optional<int64_t> n, unsigned bits,
                        const TargetInfo &target, std::optional<int64_t> width = {});

/// Vector registers that a tile needs: its sums, a panel's vectors, one broadcast.
int64_t registersOf(int64_t rows, int64_t columns, unsigned bits, const TargetInfo &target);
/// Empty, or how many registers the tile lacks.
std::string registerObstacle(int64_t rows, int64_t columns, unsigned bits, const TargetInfo &target);

/// Cycles per k of a tile: FMAs on their ports, loads on theirs, or the latency of few sums.
double cyclesPerStep(int64_t rows, int64_t vectors, const TargetInfo &target);

/// Row tiles per work item, so that there are enough items for many threads and each is worth its overhead.
int64_t tilesPerItem(int64_t tiles, int64_t otherItems, int64_t workPerTile);

/// The parameters that every tiled algorithm has. `fixed`: the rows' number is known, so that the epilogue
/// can be unrolled over a tile's rows.
void addTileParameters(Algorithm &algorithm, const RegisterTile &tile, unsigned bits, bool fixed,
                       mlir::Operation *root, const TargetInfo &target);

} // namespace tilewright::codegen
