//===- Views.h - tensor values as strided memory ----------------*- C++ -*-===//
//
// A root loop that reads an operand in place, without copying, needs an address and strides. Reshapes,
// transposes, slices and broadcasts between a kernel's argument and the root are resolved here.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_SCHEDULE_VIEWS_H
#define TILEWRIGHT_CODEGEN_SCHEDULE_VIEWS_H

#include "ir/Graph.h"
#include "ir/Symbols.h"
#include <optional>

namespace tilewright::codegen {

/// Element i of a value lies `offset + sum(i[d] * strides[d])` elements behind the start of `argument`.
struct StridedView {
  mlir::Value argument;    ///< of the kernel
  mlir::AffineExpr offset; ///< elements, over kernel symbols
  Dims strides;            ///< elements, over kernel symbols; 0 where repeated
};

/// The view that `value` is of an argument of its kernel; nothing where it is computed, or where no strides
/// can be proved for all sizes.
std::optional<StridedView> viewOf(mlir::Value value);

/// Dimensions that are walked as one, in this order, the last one fastest.
struct DimGroup {
  llvm::SmallVector<int64_t> dims; ///< positions in the operand
  Dims sizes;

  DimGroup() = default;
  DimGroup(mlir::Value value, llvm::ArrayRef<int64_t> dims);
  mlir::AffineExpr total(mlir::MLIRContext *context) const { return productOf(sizes, context); }
};

/// The one stride by which the linear index over `group` moves through `view`; nothing when it takes several.
std::optional<mlir::AffineExpr> strideOf(const StridedView &view, const DimGroup &group);

/// The sizes that are not known to be 1.
Dims withoutOnes(llvm::ArrayRef<mlir::AffineExpr> dims);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_SCHEDULE_VIEWS_H
