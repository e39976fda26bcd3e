/// OpFacts.h - what is true of each graph op wherever one asks: how dear it is, what kind of kernel it makes.
#pragma once
#include "ir/Graph.h"

namespace tilewright::graph {

/// Broadcast, reshape, transpose, slice, pad, iota, dims: arithmetic on indices.
bool isMovement(mlir::Operation *op);
/// Reads elements at places that other elements tell.
bool isGather(mlir::Operation *op);
/// Scan, sort, scatter, compact: its elements depend on each other.
bool isSerial(mlir::Operation *op);
/// Contraction or convolution.
bool isProduct(mlir::Operation *op);

/// Vector instructions for one vector of results, roughly; 0 for what is only arithmetic on indices.
unsigned instructionsOf(mlir::Operation *op);
/// Elementary functions, roots, divisions, gathers and windows: not to be repeated for nothing.
bool isDear(mlir::Operation *op);

} // namespace tilewright::graph

namespace tilewright::kernel {

/// What decides how a kernel is computed.
enum class RootFamily {
  product,     ///< one contraction
  row_chain,   ///< a contraction whose left operand is computed from rows of another one: attention
  convolution, ///< one convolution
  serial,      ///< scan, sort, scatter, compact
  rows,        ///< loops over the yielded values that reduce or search rows
  window,      ///< loops over the yielded values that pool windows
  loops,       ///< loops over the yielded values
};
llvm::StringRef nameOf(RootFamily family);
std::optional<RootFamily> familyNamed(llvm::StringRef name);

/// The op that decides how a kernel is computed: product or serial op, the last where there are two; null
/// where loops over the yielded values are all there is.
mlir::Operation *rootOf(FuncOp kernel);
RootFamily familyOf(FuncOp kernel);

} // namespace tilewright::kernel
