/// ThreadEmitter.h - the walk as one thread does it, and the teams that share a row: private to codegen/gpu.
#pragma once
#include "codegen/emit/Emitter.h"
#include "codegen/gpu/Kernel.h"
#include "codegen/schedule/Threads.h"

namespace tilewright::codegen::gpu {

constexpr int64_t warpThreads = 32;

class ThreadEmitter : public ValueEmitter {
public:
  /// `function` is being written; dimensions become parameters at its end.
  ThreadEmitter(mlir::OpBuilder &builder, mlir::Location location, KernelContext &kernel,
                mlir::func::FuncOp function, bool wide);

  /// Sizes are computed by whoever launches: each distinct expression is a parameter.
  mlir::Value dim(mlir::AffineExpr expr) override;
  mlir::Value approximate(Approximation kind, mlir::Value x) override;

  /// A special register as an index: "tid.x", "ctaid.x", "ntid.x".
  mlir::Value special(llvm::StringRef name);
  mlir::Value call(llvm::StringRef intrinsic, mlir::Type result, mlir::ValueRange operands);
  /// `value` of the lane whose number differs by the bits of `mask`; all 32 lanes of the warp take part.
  mlir::Value shuffle(mlir::Value value, int64_t mask);
  void barrier();
  /// A new array of shared memory, of 32 elements.
  mlir::Value shared(mlir::Type element);
  void assumeDivisor(mlir::Value value, int64_t divisor) { knownDivisors[value] = divisor; }

  std::vector<mlir::AffineExpr> sizes; ///< of the parameters added, in order
  unsigned sharedBytes = 0;

private:
  mlir::func::FuncOp function;
  llvm::DenseMap<mlir::AffineExpr, mlir::Value> dimensions;
  llvm::StringMap<mlir::Value> registers;
};

/// Elements that one access of a thread takes, of a row or tensor of `size` elements: a power of two that
/// divides it, at most `most`.
int64_t accessLanes(mlir::AffineExpr size, int64_t most);

/// A team: threads that follow each other, in one warp (a power of two of them) or making up a whole block.
class Team : public RowTeam {
public:
  /// `threads`: of a team; nothing: the block, whose size is known when it is launched.
  Team(ThreadEmitter &e, std::optional<int64_t> threads, int64_t lanes, const TeamSchedule &schedule);

  bool shares(llvm::ArrayRef<Index> indices) const override;
  int64_t lanesFor(mlir::Value size) const override;
  mlir::Value fold(mlir::Value size, mlir::Value init, Piece piece) override;
  mlir::Value combine(mlir::Value mine, mlir::Value neutral,
                      llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> step) override;
  /// Calls `piece` for every piece of this thread. Pieces of rows that are kept in registers are those of
  /// `fold`, with equal values for where they start.
  void each(mlir::Value size, llvm::function_ref<void(const Index &at, mlir::Value inside)> piece);

  /// The number of the team among those of its block, and of the thread in its team.
  mlir::Value number() const { return teamNumber; }
  mlir::Value member() const { return thread; }

private:
  using Body = llvm::function_ref<llvm::SmallVector<mlir::Value>(const Index &at, mlir::Value inside,
                                                                 mlir::ValueRange carried)>;
  llvm::SmallVector<mlir::Value> walk(mlir::Value size, mlir::ValueRange init, Body body);
  llvm::SmallVector<mlir::Value> walkLong(mlir::Value size, mlir::ValueRange init, Body body);
  bool varies(mlir::Value value) const;
  mlir::Value acrossWarps(mlir::Value value, mlir::Value neutral,
                          llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> step);

  ThreadEmitter &e;
  std::optional<int64_t> threads;
  int64_t lanes, keptPieces, unrolledPieces;
  mlir::Value count; ///< threads of the team
  mlir::Value teamNumber, thread;
};

} // namespace tilewright::codegen::gpu
