/// Reach.h - what the last bit of a float can decide: which values reach which ops by way of element-wise ops
/// and movement.
#pragma once
#include "ir/Graph.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseSet.h"

namespace tilewright::passes {

using ValueSet = llvm::DenseSet<mlir::Value>;

/// Whether the last bit of an operand may decide about a whole unit of the result: floor, ceil, round, trunc,
/// sign, casts to integers, remainders and comparisons; not with zero unless `strictly`, as signs stay.
bool isStep(mlir::Operation *op, bool strictly);

/// Whether operands are summed with many others, so that the rounding of the sum, whose order nobody
/// promises, hides theirs: products, convolutions, sums over dimensions and windows.
bool isSum(mlir::Operation *op);

/// Whether the op gives each element of its result from few elements of its operands.
bool isElementwiseOrMovement(mlir::Operation *op);

/// Float values that an op chosen by `ends` reads, directly or through element-wise ops and movement. Linear
/// in the size of the module.
ValueSet valuesReaching(mlir::ModuleOp module, llvm::function_ref<bool(mlir::Operation *)> ends);

} // namespace tilewright::passes
