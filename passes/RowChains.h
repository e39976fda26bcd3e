/// RowChains.h - products of a product's rows: what attention is, by structure.
#pragma once
#include "ir/Graph.h"
#include "llvm/ADT/SetVector.h"

namespace tilewright::passes {

/// values = contract(f(scores), rhs), where f maps rows of `scores` to rows: element-wise ops, reductions of
/// whole rows and their repetition. `ops` is f; nothing outside of the chain reads the scores or f.
struct RowChain {
  graph::ContractOp scores;
  llvm::SmallSetVector<mlir::Operation *, 16> ops;
};

/// The chain that ends in `values`, where rows are worth computing tile by tile; nothing where a part of it
/// must be stored, where nothing reduces rows (such products are fast one after the other), where rows are
/// few or operands wide, or where an operand has another form.
std::optional<RowChain> findRowChain(graph::ContractOp values);

} // namespace tilewright::passes
