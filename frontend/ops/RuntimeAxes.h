/// RuntimeAxes.h - axes that are only known when the program runs. Ranks that depend on their number are
/// known where it is.
#pragma once
#include "frontend/ops/Composites.h"

namespace tilewright::frontend {

/// Axes of an operand as a vector of si64 in [0, rank). Null, with a diagnostic, when they are no integer
/// vector.
mlir::Value axesVector(NodeImporter &n, mlir::Value axes, int64_t rank);
/// Whether there are axes, and as many as is known (TW2007): for results whose rank depends on it.
bool requireKnownNumber(NodeImporter &n, mlir::Value axes);
/// [rank] i1: whether the dimension is among the axes.
mlir::Value axesMask(NodeImporter &n, mlir::Value axesVector, int64_t rank);
/// The mask marks `count` dimensions: no axis is given twice.
bool requireDistinct(NodeImporter &n, mlir::Value mask, int64_t count);
/// `sizes` [rank] without the entries that the mask marks, of which there are `count`: [rank - count]. Null,
/// with a diagnostic, where it cannot be.
mlir::Value unmarked(NodeImporter &n, mlir::Value sizes, mlir::Value mask, int64_t count);
/// Number of elements of a vector; its type is static.
int64_t lengthOf(mlir::Value vector);
/// Element `index` of a vector, rank 0.
mlir::Value elementAt(NodeImporter &n, mlir::Value vector, int64_t index);
/// `base` with `values` written at `indices`; all vectors.
mlir::Value writtenAt(NodeImporter &n, mlir::Value base, mlir::Value indices, mlir::Value values);

/// x reduced along the dimensions that the mask marks, which keep size 1. `reduce` reduces one dimension,
/// keeping it.
std::optional<mlir::Value> reducedWhere(NodeImporter &n, mlir::Value x, mlir::Value mask,
                                        llvm::function_ref<mlir::Value(mlir::Value x, int64_t axis)> reduce);

} // namespace tilewright::frontend
