/// Products.h - contractions and convolutions as schedules and emitters see them: sizes, operands, what may
/// follow in the same kernel.
#pragma once
#include "codegen/schedule/Views.h"
#include "codegen/target/Target.h"

namespace tilewright::codegen {

/// The type in which values of this element type are computed: floats narrower than f32 in f32.
mlir::Type computeTypeOf(mlir::Type element);
/// The type in which products are summed for a result of this type.
inline mlir::Type accumulatorType(mlir::Type result) { return computeTypeOf(result); }

/// How products are summed: the instruction decides how many k one step takes and what lies in memory for it.
enum class DotKind {
  Plain, ///< one k: operands of the sums' type
  Pairs, ///< two k of 16-bit integers: panels of 8-bit ones [k / 2][column][2], rows widened to 16
  Quads, ///< four k of 8-bit integers: panels [k / 4][column][4]
};
/// k of one step.
inline int64_t groupOf(DotKind kind) { return kind == DotKind::Quads ? 4 : kind == DotKind::Pairs ? 2 : 1; }
inline DotKind dotKindOf(int64_t group) {
  return group == 4 ? DotKind::Quads : group == 2 ? DotKind::Pairs : DotKind::Plain;
}
/// The target's instruction for packed right operands of this type; null: none, or none is needed.
const IntegerProduct *integerProductFor(DotKind kind, mlir::Type right, const TargetInfo &target);
/// What the target has for products of these graph types summed as `accumulator`, the right one being packed.
DotKind dotKindFor(mlir::Type left, mlir::Type right, mlir::Type accumulator, const TargetInfo &target);
/// Whether a packed product may be summed so.
bool canSum(DotKind kind, mlir::Operation *product, const TargetInfo &target);

/// An operand of a product: which of its dimensions are what, in the order in which they are walked.
struct ProductOperand {
  mlir::Value value;
  DimGroup batch, free, contracted;

  /// Whether the fastest dimension of the value is a contracted one.
  bool contractedFastest() const;
};

/// A contraction as batch x m x n x k.
struct ContractDims {
  explicit ContractDims(graph::ContractOp op);
  ProductOperand left, right;
  DimGroup resultBatch, resultRows, resultColumns;
  mlir::AffineExpr batch, m, n, k;

  /// Whether the left operand can be read where it lies, in steps of `kind`.
  bool canReadLeft(DotKind kind, const TargetInfo &target) const;
  /// Whether rows of the left operand compete for the same lines of the first-level cache.
  bool leftRowsCollide() const;
  /// Whether rows of the left operand lie behind each other, without gaps.
  bool leftRowsTouch(DotKind kind) const;

private:
  std::optional<std::pair<mlir::AffineExpr, mlir::AffineExpr>> leftStrides() const; ///< of rows and of k
};

/// A channels-last convolution. Spatial dimensions are listed outermost first; the last one is x, along which
/// register tiles run, the others are rows.
struct ConvGeometry {
  explicit ConvGeometry(graph::ConvOp op);

  graph::ConvOp op;
  int64_t rank;            ///< spatial dimensions
  mlir::AffineExpr images; ///< batch
  Dims in, out, low;       ///< spatial
  llvm::SmallVector<int64_t> taps, strides, lhsDilation, rhsDilation;
  int64_t groups, groupChannels, groupOutputs; ///< of the operand's and the result's channels

  int64_t lastTaps() const { return taps.back(); }
  int64_t tapCount() const;
  int64_t channels() const { return groups * groupOutputs; } ///< of the result
  /// One input channel for each group: no channel is shared between outputs.
  bool depthwise() const { return groups > 1 && groupChannels == 1; }
  /// Depthwise, or of groups that are smaller than a vector and as wide as their outputs: lanes may run along
  /// channels, each of which takes its inputs from its own vector.
  bool lanewise(const TargetInfo &target) const;
  /// Whether every tap of every output along dimension d lies inside the operand.
  bool alwaysInside(int64_t d) const;
  /// Whether the operand's pixels can be read where they lie: channels together, as the sums' type; the tiles
  /// along x known, or made at run time.
  bool canReadInPlace(DotKind kind, const TargetInfo &target) const;
};

/// Element-wise ops, casts, reshapes and transposes between a root and a yielded value, in order; nothing
/// where there is no such way.
std::optional<llvm::SmallVector<mlir::Operation *>> epiloguePath(mlir::Operation *root, mlir::Value yielded);
/// Whether there is one to every yielded value.
bool isFollowedByEpilogue(mlir::Operation *root);
/// Instructions for one vector of what comes behind the root (graph::instructionsOf).
int64_t epilogueInstructions(mlir::Operation *root);

/// Whether register tiles can compute this root at all.
bool canTile(graph::ContractOp op);
bool canTile(graph::ConvOp op);

/// The right operand of a kernel's product where it follows from a constant argument by movement only, and
/// nothing else reads that: the launch may give it in another layout.
struct ConstantRight {
  mlir::OpOperand *use = nullptr;
  mlir::BlockArgument argument;
  llvm::SmallVector<mlir::Operation *> movements; ///< from the argument to the root
};
std::optional<ConstantRight> constantRightOf(kernel::FuncOp kernel);

/// The contraction from whose rows the left operand of `values` is computed, in the same kernel; null where
/// there is none.
graph::ContractOp scoresOf(graph::ContractOp values);

} // namespace tilewright::codegen
