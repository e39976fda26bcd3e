/// Marks.h - attributes that passes, which see the whole graph, leave on ops for emitters, which see a
/// kernel.
#pragma once
#include "llvm/ADT/StringRef.h"

namespace tilewright::codegen {

/// On a division of floats: nobody can tell the last bit of its result, which only goes into sums of many
/// elements (passes/Reach.cpp).
inline constexpr llvm::StringLiteral hiddenQuotient = "graph.hidden_quotient";

/// On what computes the right operand of a product from a constant of few bits: it is done where it is
/// multiplied (passes/NarrowWeights.h).
inline constexpr llvm::StringLiteral narrowWeight = "graph.narrow_weight";

} // namespace tilewright::codegen
