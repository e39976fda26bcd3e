/// Sequence.h - sequences that a loop appends to, as its importer sees them.
#pragma once
#include "frontend/ops/Composites.h"

namespace tilewright::frontend {

/// Whether the value is a sequence.
bool isSequence(mlir::Value value);
/// In a loop's body: the sequence that the iterations before have left. It can only be appended to.
mlir::Value growingSequence(NodeImporter &n);
/// What was appended to `growing`, which gave `sequence`; nothing, with a diagnostic, where it did not.
std::optional<llvm::SmallVector<mlir::Value>> appendedTo(NodeImporter &n, mlir::Value growing,
                                                         mlir::Value sequence);
/// The elements of `first`, then those of `stack` [count, element...], of which there may be any number.
/// Null, with a diagnostic, where `first` has such a stack.
mlir::Value extendedSequence(NodeImporter &n, mlir::Value first, mlir::Value stack);

} // namespace tilewright::frontend
