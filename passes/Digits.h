/// Digits.h - which element of what it is made of by movement an element of a tensor is.
#pragma once
#include "ir/Graph.h"

namespace tilewright::passes {

/// (index / divisor) % extent * stride, of one of several source indices.
struct Digit {
  static constexpr int unknown = -1; ///< depends on its dimension in another way
  int source;
  int64_t divisor, extent, stride;
};
/// The row-major position of an element: the sum of its digits. Largest stride first.
using Digits = llvm::SmallVector<Digit>;

/// Digits of `op`'s operand from those of its result: reshape, transpose, broadcast and slice. Nothing where
/// an index is no sum of digits.
std::optional<Digits> throughMovement(mlir::Operation *op, const Digits &digits);

} // namespace tilewright::passes
