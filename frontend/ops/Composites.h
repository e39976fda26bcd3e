/// Composites.h - values that several families build in the same way. All of them work with symbolic
/// dimensions.
#pragma once
#include "frontend/ops/Common.h"

namespace tilewright::frontend {

/// The type in which sums of `elementType` are taken: f64 and integers stay, every other float becomes f32.
mlir::Type accumulationType(mlir::Type elementType);
/// What elements are interpolated in: integers in a float type that has all of their bits.
mlir::Type interpolationType(GraphBuilder &g, mlir::Type elementType);
/// Interpolated values as elements: integers saturate, and are cut or rounded.
mlir::Value interpolated(GraphBuilder &g, mlir::Value x, mlir::Type elementType, bool rounds);
mlir::IntegerType signedType(GraphBuilder &g, unsigned width);
/// The value of an expression as a rank-0 tensor.
mlir::Value dimValue(GraphBuilder &g, mlir::AffineExpr expr, mlir::Type elementType);
/// A tensor of one value, repeated.
mlir::Value filled(GraphBuilder &g, llvm::ArrayRef<mlir::AffineExpr> shape, mlir::Type elementType,
                   double value);
/// A vector of size n shaped [1, ..., n, ..., 1] so that it broadcasts along `axis` of a tensor of `rank`.
/// Scalars stay.
mlir::Value alongAxis(GraphBuilder &g, mlir::Value vector, int64_t axis, int64_t rank);
/// `x` with dimension `axis` written as `size`: the same value, whose equality is checked at run time where
/// it is not provable.
mlir::Value withSize(GraphBuilder &g, mlir::Value x, int64_t axis, mlir::AffineExpr size);
/// `value` broadcasts to `shape` without changing it (TW2004, TW2005).
bool requireFitsInto(NodeImporter &n, mlir::Value value, llvm::ArrayRef<mlir::AffineExpr> shape,
                     llvm::StringRef what);
/// Have the program fail where the rank-0 integer or bool is not `expected`.
graph::DefineOp assume(GraphBuilder &g, mlir::Value value, int64_t expected);
mlir::Value clamp(GraphBuilder &g, mlir::Value x, double low, double high);
/// x read backwards along `axis`.
mlir::Value flip(GraphBuilder &g, mlir::Value x, int64_t axis);
mlir::Value gatherElements(GraphBuilder &g, mlir::Value x, mlir::Value indices, int64_t axis);

/// Max-shifted, computed in the accumulation type, rounded once to x's type.
mlir::Value softmax(GraphBuilder &g, mlir::Value x, int64_t axis);
mlir::Value logSoftmax(GraphBuilder &g, mlir::Value x, int64_t axis);
mlir::Value sigmoidLinear(GraphBuilder &g, mlir::Value x, double alpha = 1); ///< x * sigmoid(alpha * x)
mlir::Value geluErf(GraphBuilder &g, mlir::Value x);
mlir::Value geluTanh(GraphBuilder &g, mlir::Value x);

/// Two-pass statistics over `dims`, kept as size 1: mean, then the mean of squared differences.
struct Moments {
  mlir::Value mean, centered, variance;
};
Moments moments(GraphBuilder &g, mlir::Value x, llvm::ArrayRef<int64_t> dims);

/// What one step of a loop leaves: the next carried values (types as the initial ones), a slice for each
/// stacked output, and whether another step follows (i1, rank 0; null: until the count is reached).
struct LoopValues {
  llvm::SmallVector<mlir::Value> carried, stacked;
  mlir::Value goesOn = {};
};
/// graph.loop over index = 0 .. count - 1 (si64, rank 0). Stacked results are [count, slice...]; a step that
/// stacks does not say whether another follows.
LoopValues
countedLoop(GraphBuilder &g, mlir::AffineExpr count, llvm::ArrayRef<mlir::Value> initial,
            llvm::function_ref<LoopValues(mlir::Value index, llvm::ArrayRef<mlir::Value> carried)> step);

/// A contraction whose result has the operands' element type, integers included (they wrap).
mlir::Value contractSameType(GraphBuilder &g, mlir::Value lhs, mlir::Value rhs,
                             llvm::ArrayRef<int64_t> lhsBatch, llvm::ArrayRef<int64_t> rhsBatch,
                             llvm::ArrayRef<int64_t> lhsContract, llvm::ArrayRef<int64_t> rhsContract);
/// NumPy's matmul of two operands of one element type; reports shapes that do not fit (TW2005, TW2002) and
/// gives null.
mlir::Value checkedMatmul(NodeImporter &n, mlir::Value lhs, mlir::Value rhs, mlir::Type resultElement = {});

/// The values, of equal types but for their sizes along `axis`, behind each other along it; null, with a
/// diagnostic, where they do not fit together. What one knows of its other sizes holds for all.
mlir::Value joined(NodeImporter &n, llvm::SmallVector<mlir::Value> values, int64_t axis);
/// Parts of these sizes along `axis`; nothing, with a diagnostic, where they do not make up the value.
std::optional<llvm::SmallVector<mlir::Value>> cutUp(NodeImporter &n, mlir::Value value, int64_t axis,
                                                    llvm::ArrayRef<mlir::AffineExpr> sizes);

} // namespace tilewright::frontend
