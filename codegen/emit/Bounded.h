/// Bounded.h - says in loop IR what a pointer may reach, for targets with checksBounds.
#pragma once
#include "codegen/target/Target.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace tilewright::codegen {

/// `pointer`, and what is derived from it, may reach the `bytes` (i64) bytes that begin there, and no others.
inline mlir::Value boundedPointer(mlir::OpBuilder &b, mlir::Location loc, mlir::Value pointer,
                                  mlir::Value bytes) {
  auto module = b.getInsertionBlock()->getParentOp()->getParentOfType<mlir::ModuleOp>();
  if (!module.lookupSymbol(boundedFunction)) {
    mlir::OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(module.getBody());
    auto type = b.getFunctionType({pointer.getType(), b.getI64Type()}, {pointer.getType()});
    mlir::func::FuncOp::create(b, loc, boundedFunction, type).setPrivate();
  }
  return mlir::func::CallOp::create(b, loc, boundedFunction, mlir::TypeRange{pointer.getType()},
                                    mlir::ValueRange{pointer, bytes})
      .getResult(0);
}

} // namespace tilewright::codegen
