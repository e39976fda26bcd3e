/// Indexing.h - results whose sizes are data.
#pragma once
#include "frontend/ops/Common.h"

namespace tilewright::frontend {

/// The positions of the true elements of `mask`, [count, rank] of si64 in row-major order; count is a symbol
/// that the program defines. Null when something failed.
mlir::Value truePositions(NodeImporter &n, mlir::Value mask);

} // namespace tilewright::frontend
