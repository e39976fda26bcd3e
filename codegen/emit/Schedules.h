//===- Schedules.h - how products are blocked -------------------*- C++ -*-===//
//
// A schedule is data: what the heuristics here choose from sizes and the target's table, what a kernel's
// `schedule` attribute may override, and what the emitters obey.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_SCHEDULES_H
#define TILEWRIGHT_CODEGEN_EMIT_SCHEDULES_H

#include "codegen/target/Target.h"
#include "mlir/IR/BuiltinAttributes.h"
#include <optional>

namespace tilewright::codegen {

/// A matrix product as schedules see it. Sizes that are not known before the program runs are empty.
struct ProductShape {
  std::optional<int64_t> batch, m, n, k;
  unsigned bits = 32;             ///< of the type that sums have
  bool packedRight = false;       ///< panels exist: the right operand is a constant
  bool stagedLeft = false;        ///< the left operand must be copied: computed, or badly strided
  std::optional<int64_t> columns; ///< the panels' width, where it is settled
};

struct ProductSchedule {
  int64_t rows = 0;           ///< mr: register tile
  int64_t columns = 0;        ///< nr: panel width, a multiple of the lanes
  int64_t depthBlock = 0;     ///< kc: k runs in blocks of this size over partial sums; 0: in one
  int64_t tilesPerBlock = 1;  ///< row tiles of a work item
  int64_t panelsPerBlock = 1; ///< panels of a work item; 0: all
  bool rowsOuter = false;     ///< work items that follow each other share their rows (else their panels)
  bool staged = false;        ///< rows of the left operand are copied to scratch
};

/// rows x columns scalars of a product held in registers.
struct RegisterTile {
  unsigned rows = 0;
  unsigned columns = 0;
};

/// The register tile for a product of m rows and n columns: the one that does least work, counting what
/// rounding up wastes. With `width`, of the tiles of so many columns where there are such.
RegisterTile chooseTile(std::optional<int64_t> m, std::optional<int64_t> n, unsigned bits,
                        const TargetInfo &target, std::optional<int64_t> width = {});

ProductSchedule chooseProduct(const ProductShape &shape, const TargetInfo &target);

/// For a right operand of few bits (NarrowPanels.h), in panels of `shape.columns`: one panel at a time is
/// unpacked for as many rows as make that cheap.
ProductSchedule chooseNarrow(const ProductShape &shape, const TargetInfo &target);

/// `schedule` with the fields that `attribute` has (mr, nr, kc, row_tiles, panels, rows_outer, staged) taken
/// from it.
ProductSchedule overridden(ProductSchedule schedule, mlir::DictionaryAttr attribute);

/// For a product whose left operand is computed from rows of another product, with `innerDepth` products an
/// element: rows stay in scratch between both, and each thread packs both right operands once a batch
/// element.
ProductSchedule chooseRowChain(const ProductShape &shape, std::optional<int64_t> innerDepth,
                               const TargetInfo &target);

/// An integer of a schedule attribute.
std::optional<int64_t> scheduleInteger(mlir::DictionaryAttr attribute, llvm::StringRef name);

/// total cut into the fewest parts of at most `limit`: how many, and the size of the largest.
struct EvenSplit {
  int64_t parts, largest;
};
EvenSplit splitEvenly(int64_t total, int64_t limit);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_SCHEDULES_H
