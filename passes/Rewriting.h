/// Rewriting.h - patterns applied until none matches, with an end.
#pragma once
#include "ir/Budget.h"
#include "mlir/Rewrite/FrozenRewritePatternSet.h"

namespace tilewright::passes {

/// Applies `patterns` below `root` until none matches, without folding or moving constants.
///
/// Every pattern of a pass must lower one measure, which is written beside the pass, so that this ends; a
/// measure of the sum of the ops' sizes is lowered in a number of steps proportional to the ops. Should the
/// measure be wrong all the same, the cap of steps (proportional to the ops there are at the start) turns
/// what would never end into an error that names `pass` and the pattern that was applied last. A budget that
/// is used up ends it, too.
mlir::LogicalResult rewriteToEnd(mlir::Operation *root, const mlir::FrozenRewritePatternSet &patterns,
                                 llvm::StringRef pass, Budget *budget = nullptr);

} // namespace tilewright::passes
