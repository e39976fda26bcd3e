/// Schedule.h - schedules as emitters read them. A kernel's `#kernel.schedule` holds every number that there
/// is to choose; an emitter obeys and looks at nothing else of what the heuristics go by (caches, ports).
#pragma once
#include "codegen/schedule/Products.h"
#include "ir/OpFacts.h"

namespace tilewright::codegen {

/// The algorithms, as `#kernel.schedule` spells them.
namespace algorithm {
constexpr llvm::StringLiteral tiles = "tiles"; ///< products and convolutions: register tiles
constexpr llvm::StringLiteral lanes = "lanes"; ///< convolutions: lanes along channels, each summed by itself
constexpr llvm::StringLiteral loops =
    "loops"; ///< loops over the yielded values, the innermost dimension in lanes
constexpr llvm::StringLiteral transpose = "transpose"; ///< loops: square tiles, transposed in registers
constexpr llvm::StringLiteral sequence = "sequence";   ///< serial: element after element, rows in parallel
} // namespace algorithm

/// What a tile fetches on its way for a later one.
enum class Fetch {
  none,
  panel, ///< its share of the next panel
  rows,  ///< as many bytes of the rows behind its own
};

/// rows x columns sums in registers.
struct TileSchedule {
  explicit TileSchedule(kernel::ScheduleAttr schedule);
  int64_t rows;             ///< of the left operand, or pixels along x
  int64_t columns;          ///< panel width, a multiple of the lanes
  int64_t sums;             ///< k is unrolled until a tile has so many independent ones
  int64_t prefetch;         ///< steps of a panel ahead of their use; 0: none
  int64_t straightDepth;    ///< up to so many steps are no loop
  bool epilogueInRegisters; ///< a copy of the epilogue for each vector of a tile; else a loop over scratch
};

/// `tiles` of products and row chains. Work items are blocks of row tiles x panels.
struct ProductSchedule : TileSchedule {
  explicit ProductSchedule(kernel::ScheduleAttr schedule);
  int64_t depthBlock;     ///< k runs in blocks of so many steps over partial sums; 0: in one
  int64_t tilesPerBlock;  ///< row tiles of a work item
  int64_t panelsPerBlock; ///< panels of a work item; 0: all
  bool rowsOuter;         ///< work items that follow each other share their rows (else their panels)
  bool staged;            ///< rows of the left operand are copied to scratch
  bool packed;            ///< the right operand is a constant that the launch gives in panels
  DotKind kind;
  Fetch fetch;
  int64_t narrowChunk; ///< elements of the summed index that are unpacked at once from a weight of few bits
  int64_t narrowRows;  ///< up to so many rows multiply a weight of few bits as it is stored; 0: none does
};
/// Of the inner product of a row chain: it shares the outer one's tiles.
ProductSchedule scoreSchedule(kernel::ScheduleAttr schedule);

/// `tiles` of convolutions. Work items are blocks of output rows x panels.
struct ConvTileSchedule : TileSchedule {
  explicit ConvTileSchedule(kernel::ScheduleAttr schedule);
  int64_t channelBlock; ///< steps of channels per pass over partial sums; 0: all, sums stay in registers
  int64_t itemRows;     ///< output rows of a work item
  bool rowsOuter;       ///< work items that follow each other share their rows (else their panels)
  bool staged;          ///< rows of the operand are copied to scratch, with their border
  bool packed;          ///< the weights are a constant that the launch gives in panels
  DotKind kind;
};

/// `lanes` of convolutions. Work items are blocks of output rows x parts of the channels.
struct ConvLaneSchedule : TileSchedule {
  explicit ConvLaneSchedule(kernel::ScheduleAttr schedule);
  int64_t itemRows;     ///< output rows of a work item
  int64_t channelParts; ///< that work items cut the channels into
  bool staged, packed;
};

/// `loops` of every family. A work item is a row, a block of one, or the rows of an outer index together.
struct LoopSchedule {
  explicit LoopSchedule(kernel::ScheduleAttr schedule);
  int64_t vectors;   ///< native vectors that a step along the innermost dimension takes
  int64_t rowBlock;  ///< elements that a row is cut into; 0: rows are whole
  bool rowsTogether; ///< the rows along the second innermost dimension are one work item
  bool lanesReduce;  ///< lanes run along what each result is reduced from, not along results
};

/// `transpose` of loops.
struct TransposeSchedule {
  explicit TransposeSchedule(kernel::ScheduleAttr schedule);
  int64_t rowBlock; ///< elements of the innermost dimension that are one work item
};

/// How reductions inside any kernel run along rows.
struct ReduceSchedule {
  explicit ReduceSchedule(kernel::ScheduleAttr schedule);
  int64_t accumulators; ///< vectors that a row is summed into side by side
  int64_t keptRows;     ///< bit i: what the i-th reduce of the kernel reads is kept for later uses
};

/// How windows take taps outside of their operand.
struct WindowSchedule {
  explicit WindowSchedule(kernel::ScheduleAttr schedule);
  int64_t boundedTaps; ///< more taps than this are bounded by loop limits where lanes differ; else by masks
};

/// `sequence` of serial kernels.
struct SerialSchedule {
  explicit SerialSchedule(kernel::ScheduleAttr schedule);
  int64_t held; ///< a sort holds its first so many in order and reads rows once; 0: it sorts whole rows
};

/// Lanes of a native register for the widest type that the kernel computes in.
int64_t nativeLanesOf(kernel::FuncOp kernel, const TargetInfo &target);

/// The transposes that stand element-wise in a value's way: lanes read along dimension `across` of the value,
/// where those are contiguous, and stored along `inner`, its innermost dimension of more than one element.
struct TransposedSources {
  int64_t inner = -1, across = -1;
  llvm::SmallVector<graph::TransposeOp, 2> sources;
};
std::optional<TransposedSources> transposedSources(mlir::Value value);
/// What is stored next to each other along the innermost dimension: one value, or the pieces of a
/// concatenation.
llvm::SmallVector<mlir::Value> piecesOf(mlir::Value yielded);

/// total cut into the fewest parts of at most `limit`: how many, and the size of the largest.
struct EvenSplit {
  int64_t parts, largest;
};
EvenSplit splitEvenly(int64_t total, int64_t limit);

} // namespace tilewright::codegen
