/// Layouts.h - how constants of kernels lie in memory: `#kernel.layout`, a recipe forward from the logical
/// value. A kernel's body reads logical values and never undoes a layout; what reads an argument that has one
/// knows the layout from the kernel's schedule. The launch's operand is the recipe applied, a constant
/// expression that is evaluated when the artifact is written.
#pragma once
#include "ir/GraphBuilder.h"

namespace tilewright::kernel {

/// Makes a recipe, step by step. Steps that change nothing are left out.
class LayoutRecipe {
public:
  explicit LayoutRecipe(mlir::RankedTensorType logical);
  LayoutRecipe &transpose(llvm::ArrayRef<int64_t> permutation);
  /// Zeros behind each dimension.
  LayoutRecipe &pad(llvm::ArrayRef<int64_t> behind);
  LayoutRecipe &reshape(llvm::ArrayRef<int64_t> shape);
  /// Null where there are no steps.
  LayoutAttr get() const;

private:
  void step(llvm::StringRef kind, llvm::ArrayRef<int64_t> numbers);
  mlir::MLIRContext *context;
  llvm::SmallVector<int64_t> shape;
  llvm::SmallVector<LayoutStepAttr> steps;
};

/// The stored value of `logical`, in graph ops. A null layout: `logical` itself.
mlir::Value applyLayout(GraphBuilder &g, mlir::Value logical, LayoutAttr layout);

/// The type that a launch gives for an argument of a kernel.
mlir::RankedTensorType storedType(FuncOp kernel, unsigned argument);

} // namespace tilewright::kernel
