//===- Epilogue.h - from a root's sums to what the kernel yields -*- C++ -*-===//
//
// Element-wise ops, casts, reshapes and transposes between a root and the yielded values are emitted on the
// lanes that the root hands over, and the results are stored.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_EPILOGUE_H
#define TILEWRIGHT_CODEGEN_EMIT_EPILOGUE_H

#include "codegen/emit/Views.h"

namespace tilewright::codegen {

class Epilogue {
public:
  /// `root` has one result; every value that the kernel yields follows from it.
  Epilogue(ValueEmitter &e, mlir::Operation *root);

  /// Finish and store the elements of the root's result at `indices`, `value` (e.lanes, compute type).
  void emit(const Indices &indices, mlir::Value value);

  /// Ops that compute something between root and results: what one more unrolled copy costs.
  int64_t weight() const { return weightOfOps; }

  /// Whether some path from a root of this kind to the yielded values can be followed; nothing else is
  /// emitted fast.
  static bool supports(mlir::Operation *root);

private:
  Indices forward(mlir::Operation *op, const Indices &indices);

  ValueEmitter &e;
  mlir::Operation *root;
  struct Output {
    mlir::Value value;
    llvm::SmallVector<mlir::Operation *> path; ///< from the root, which is not in it
  };
  llvm::SmallVector<Output, 1> outputs;
  int64_t weightOfOps = 0;
};

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_EPILOGUE_H
