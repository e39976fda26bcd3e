/// Fusion.h - which ops share a kernel.
#pragma once
#include "codegen/schedule/Views.h"
#include "codegen/target/Target.h"
#include "ir/OpFacts.h"
#include "ir/Symbols.h"
#include "passes/RowChains.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"
#include <memory>
#include <vector>

namespace tilewright::passes {

/// A kernel to be: the op whose value is stored, and the ops computed with it.
struct FusionGroup {
  mlir::Operation *root = nullptr;
  mlir::Operation *hero = nullptr; ///< its contract or conv
  std::optional<RowChain> chain;   ///< what computes the rows of the hero's left operand
  Dims iteration;                  ///< dimensions of the stored value
  int64_t rowRank = 0;             ///< trailing dimensions (without ones) that its reduces run over
  llvm::SetVector<mlir::Operation *> ops;
  llvm::SmallPtrSet<mlir::Operation *, 4> prologue; ///< ops that feed the hero
};

/// Decides for the ops of one block. Ops that compute constants, views of stored values and control flow
/// belong to no group.
class FusionPlanner {
public:
  /// `fold`: what follows from constants alone is computed when the artifact is written.
  FusionPlanner(mlir::Block &block, const codegen::TargetInfo &target, bool fold)
      : block(block), target(target), fold(fold) {}
  /// Groups in program order of their roots.
  std::vector<std::unique_ptr<FusionGroup>> plan();
  /// Why an op got a kernel of its own rather than joining its consumers ("" where it joined).
  llvm::StringRef reasonOf(mlir::Operation *op) const { return reasons.lookup(op); }

private:
  void place(mlir::Operation *op);
  llvm::StringRef whyStored(mlir::Operation *op) const;
  llvm::StringRef whyNotFused(mlir::Operation *op, FusionGroup &group) const;
  llvm::StringRef reduceObstacle(mlir::Operation *reduce, FusionGroup &group) const;
  llvm::StringRef heroObstacle(mlir::Operation *op, FusionGroup &group) const;
  bool feedsChain(mlir::Operation *op, const FusionGroup &group) const;
  bool feedsHero(mlir::Operation *op, FusionGroup &group) const;
  bool isRowScalar(mlir::Operation *op, FusionGroup &group, int depth = 0) const;
  bool isRepeated(mlir::Operation *op, FusionGroup &group, int depth = 0) const;
  void join(mlir::Operation *op, FusionGroup &group);
  bool feedsWindow(mlir::Operation *op, FusionGroup &group, int depth = 0) const;
  bool isConstant(mlir::Value value) const;
  struct Constness {
    bool isConstant = false;
    bool dear = false;      ///< some op on the way to it is
    double sourceBytes = 0; ///< of the constants it is computed from
    double work = 0;        ///< elements that computing it takes
  };
  const Constness &constnessOf(mlir::Value value) const;
  bool mayBeConstant(mlir::Value value) const;
  Constness computeConstness(mlir::Value value) const;

  mlir::Block &block;
  const codegen::TargetInfo &target;
  bool fold;
  std::vector<std::unique_ptr<FusionGroup>> groups;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<FusionGroup *, 2>> groupsOf;
  llvm::DenseMap<mlir::Operation *, llvm::StringRef> reasons;
  llvm::SmallPtrSet<mlir::Operation *, 8> views;
  mutable llvm::DenseMap<mlir::Value, Constness> constants;
};

using codegen::withoutOnes;
/// How many of the operand's innermost dimensions (without ones) a reduce takes away, when it takes only
/// those; else nothing.
std::optional<int64_t> trailingReduction(graph::ReduceOp reduce);

} // namespace tilewright::passes
