/// Threads.h - kernels as threads of a GPU compute them.
#pragma once
#include "codegen/schedule/Schedule.h"

namespace tilewright::codegen {

namespace algorithm {
constexpr llvm::StringLiteral elements = "elements"; ///< a thread for the elements of one access
constexpr llvm::StringLiteral teams = "teams";       ///< a team of threads for each row that is reduced
} // namespace algorithm

/// `elements` and `teams`.
struct ThreadSchedule {
  explicit ThreadSchedule(kernel::ScheduleAttr schedule)
      : threads(schedule["threads"]), accessBytes(schedule["access_bytes"]) {}
  int64_t threads;     ///< of a block, where rows ask for no other number
  int64_t accessBytes; ///< of one thread, of the widest tensor
};

/// `teams`.
struct TeamSchedule : ThreadSchedule {
  explicit TeamSchedule(kernel::ScheduleAttr schedule)
      : ThreadSchedule(schedule), rowThreads(schedule["row_threads"]), keptPieces(schedule["kept_pieces"]),
        unrolledPieces(schedule["unrolled_pieces"]) {}
  int64_t rowThreads;     ///< that may share a row
  int64_t keptPieces;     ///< of a row, in the registers of a thread
  int64_t unrolledPieces; ///< of a long row: loads that are under way at once
};

/// Whether the kernel has an op of one of these classes.
template <class... Ops> bool holds(kernel::FuncOp kernel) {
  return llvm::any_of(kernel.getBody().front(), [](mlir::Operation &op) { return mlir::isa<Ops...>(op); });
}

/// Whether a thread can compute the op at single elements.
bool hasThreadCode(mlir::Operation *op);

/// A kernel whose outer dimensions count rows, each reduced as a whole.
struct WholeRows {
  size_t outer;            ///< how many of the yielded values' dimensions count rows
  mlir::AffineExpr rows;   ///< how many there are
  mlir::AffineExpr length; ///< elements that are reduced in each
  bool single;             ///< a row gives one element
};

/// The rows of a kernel that reduces whole rows of what it yields.
std::optional<WholeRows> wholeRowsOf(kernel::FuncOp kernel, const TargetInfo &target);

} // namespace tilewright::codegen
