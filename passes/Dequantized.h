/// Dequantized.h - values that are (q - zero) * scale of narrow integers: what DequantizeLinear and its like
/// are in graph ops.
#pragma once
#include "ir/GraphBuilder.h"

namespace tilewright::passes {

/// One number for all elements, or one an entry of a dimension: a tensor of rank 0 or 1.
struct Parameter {
  mlir::Value value;
  int64_t dim = -1; ///< of what it applies to; -1 with rank 0
  explicit operator bool() const { return bool(value); }
};

/// The one dimension along which `repeated` varies; -1: none; nothing: several.
std::optional<int64_t> variesAlong(mlir::Value repeated);
/// What is repeated to `repeated`, which varies along one dimension at most.
Parameter parameterOf(GraphBuilder &g, mlir::Value repeated);

/// value = (q - zero) * scale in f32, element by element.
struct Dequantized {
  mlir::Value q;     ///< integers of at most 8 bits
  mlir::Value zero;  ///< f32 of q's shape; null: none
  mlir::Value scale; ///< f32 of q's shape
  mlir::Type element() const { return GraphBuilder::elementType(q); }
};
/// Nothing where `value` is computed otherwise.
std::optional<Dequantized> dequantized(mlir::Value value);

/// Whether f32 numbers are known to be integers: cast from some of 8 bits at most, or constants of 16.
bool areWholeNumbers(mlir::Value floats);
/// Those integers.
mlir::Value wholeNumbers(GraphBuilder &g, mlir::Value floats);

/// The f32 value of the same meaning for integers `q`.
mlir::Value dequantize(GraphBuilder &g, mlir::Value q, const Parameter &zero, const Parameter &scale);

} // namespace tilewright::passes
