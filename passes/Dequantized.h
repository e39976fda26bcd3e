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

/// What is repeated to `repeated`; nothing where it varies along several dimensions.
std::optional<Parameter> parameterOf(GraphBuilder &g, mlir::Value repeated);

/// value = (q - zero) * scale in f32, element by element.
struct Dequantized {
  mlir::Value q;     ///< integers of at most 8 bits
  mlir::Value zero;  ///< f32 of q's shape; null: none
  mlir::Value scale; ///< f32 of q's shape
  mlir::Type element() const { return GraphBuilder::elementType(q); }
};
/// Nothing where `value` is computed otherwise.
std::optional<Dequantized> dequantized(mlir::Value value);

/// The integers that f32 numbers are: what they were cast from, or a cast of constants that are whole
/// numbers of 16 bits. Null where that cannot be told.
mlir::Value wholeNumbers(GraphBuilder &g, mlir::Value floats);

/// The f32 value of the same meaning for integers `q`.
mlir::Value dequantize(GraphBuilder &g, mlir::Value q, const Parameter &zero, const Parameter &scale);

} // namespace tilewright::passes
