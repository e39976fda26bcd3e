//===- Epilogue.h - from a root's sums to what the kernel yields -*- C++ -*-===//
//
// Element-wise ops, casts, reshapes and transposes between a root and the yielded values are emitted on the
// lanes that the root hands over, and the results are stored.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_EPILOGUE_H
#define TILEWRIGHT_CODEGEN_EMIT_EPILOGUE_H

#include "codegen/emit/Spread.h"

namespace tilewright::codegen {

class Epilogue {
public:
  /// `root` has one result; every value that the kernel yields follows from it.
  Epilogue(ValueEmitter &e, mlir::Operation *root);

  /// Finish and store the elements of the root's result at `indices`, `value` (e.lanes, compute type).
  void emit(const Indices &indices, mlir::Value value);

private:
  Indices forward(mlir::Operation *op, const Indices &indices);

  ValueEmitter &e;
  mlir::Operation *root;
  struct Output {
    mlir::Value value;
    llvm::SmallVector<mlir::Operation *> path; ///< from the root, which is not in it
  };
  llvm::SmallVector<Output, 1> outputs;
};

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_EPILOGUE_H
