/// Space.h - which schedules a kernel can have on a target, which of them are legal, which is taken, and
/// roughly what one costs. One root family a file; the table of them is in Space.cpp.
#pragma once
#include "codegen/schedule/Schedule.h"
#include <string>

namespace tilewright::codegen {

/// The numbers that a parameter may have: low, low + step, ... up to high, or the powers of two between them;
/// and maybe 0.
struct Domain {
  int64_t low = 0, high = 0, step = 1;
  bool orZero = false, powersOfTwo = false;

  bool contains(int64_t value) const;
  int64_t size() const;
  int64_t operator[](int64_t index) const; ///< ascending
  std::string text() const;                ///< "0 or 16 to 64 in steps of 16", "1 to 8, a power of two"
  static Domain flag() { return {0, 1}; }
  static Domain only(int64_t value) { return {value, value}; }
  static Domain powers(int64_t low, int64_t high) { return {low, high, 1, false, true}; }
};

struct Parameter {
  llvm::StringLiteral name;
  Domain domain;
  int64_t preferred = 0; ///< the default choice
};

/// One way to compute a kernel.
struct Algorithm {
  llvm::StringLiteral name;
  llvm::SmallVector<Parameter> parameters;
};

/// What is already settled when a schedule is chosen.
struct Wish {
  llvm::StringRef algorithm;      ///< empty: the preferred one
  std::optional<int64_t> columns; ///< panel width: another kernel reads the same panels
};

/// The ways there are for this kernel, the preferred one first. Pure: of the kernel (without its schedule and
/// layouts) and the target. Never empty for a CPU; empty for a GPU where its back end has no code for the
/// kernel.
llvm::SmallVector<Algorithm> spaceOf(kernel::FuncOp kernel, const TargetInfo &target, const Wish &wish = {});

/// The default choice. Null where the space is empty.
kernel::ScheduleAttr chooseSchedule(kernel::FuncOp kernel, const TargetInfo &target, const Wish &wish = {});

/// Why the schedule is not one for this kernel on this target; empty where it is. Parameters are looked at
/// one by one, then together.
std::string obstacleOf(kernel::FuncOp kernel, kernel::ScheduleAttr schedule, const TargetInfo &target);

/// Cycles of one core for one run of the kernel, roughly: good for ranking schedules of one kernel. Sizes
/// that only a run tells count as a few hundred.
double estimate(kernel::FuncOp kernel, kernel::ScheduleAttr schedule, const TargetInfo &target);

/// A root family: what the functions above ask. `space` gives domains and preferred numbers.
struct Family {
  kernel::RootFamily family;
  llvm::SmallVector<Algorithm> (*space)(kernel::FuncOp, const TargetInfo &, const Wish &);
  /// Obstacles that no single parameter shows.
  std::string (*obstacle)(kernel::FuncOp, kernel::ScheduleAttr, const TargetInfo &);
  double (*estimate)(kernel::FuncOp, kernel::ScheduleAttr, const TargetInfo &);
};
extern const Family productFamily, rowChainFamily, convolutionFamily, serialFamily, rowsFamily, windowFamily,
    loopsFamily;

/// Of GPUs, whatever the family (Threads.cpp).
llvm::SmallVector<Algorithm> threadSpace(kernel::FuncOp kernel, const TargetInfo &target);
double estimateThreads(kernel::FuncOp kernel);

/// The parts of spaces that families share (Loops.cpp).
Algorithm loopsOf(kernel::FuncOp kernel, const TargetInfo &target);
double estimateLoops(kernel::FuncOp kernel, kernel::ScheduleAttr schedule, const TargetInfo &target);
/// Parameters of reductions and windows, where the kernel has such.
void addWalkParameters(kernel::FuncOp kernel, Algorithm &algorithm);

/// The product of sizes, unknown ones counted as `unknown`; at most 2^40.
int64_t roughly(llvm::ArrayRef<mlir::AffineExpr> sizes, int64_t unknown);

} // namespace tilewright::codegen
