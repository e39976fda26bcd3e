/// LongSum.h - sums and products of many floats, whose error does not grow with their number: narrow ones are
/// taken in runs of few steps, and the results of runs in f64.
#pragma once
#include "codegen/emit/Emitter.h"

namespace tilewright::codegen {

class LongSum {
public:
  LongSum(ValueEmitter &e, graph::ReduceKind kind, mlir::Type element) : e(e), kind(kind), element(element) {}

  /// Steps of a run. Sums of equal numbers are then off by 6e-7 of themselves at most.
  static constexpr int64_t run = 16;

  /// Whether `steps` (nothing: not known) are too many for one run. Never for integers, f64, and on GPUs,
  /// where many threads share a sum and f64 is dear.
  bool isLong(std::optional<int64_t> steps, int64_t limit = run) const;

  /// What a loop carries: a scalar or one lane in f64, or two vectors of half the lanes of `like` (the type
  /// of a run).
  llvm::SmallVector<mlir::Value> start(mlir::Type like) const;
  llvm::SmallVector<mlir::Value> add(mlir::ValueRange totals, mlir::Value run) const;
  /// The totals in the type of a run, each lane by itself.
  mlir::Value narrowed(mlir::ValueRange totals) const;
  /// The total of all lanes, still in f64, in half as many lanes as a run has, or in one.
  mlir::Value folded(mlir::ValueRange totals) const;

private:
  mlir::Value combine(mlir::Value x, mlir::Value y) const;
  ValueEmitter &e;
  graph::ReduceKind kind;
  mlir::Type element;
};

} // namespace tilewright::codegen
