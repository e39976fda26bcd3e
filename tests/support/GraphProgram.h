/// GraphProgram.h - for tests: a module with one func.func @main, built through GraphBuilder.
#pragma once
#include "ir/GraphBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace tilewright::tests {

/// A context with the dialects that programs use.
std::unique_ptr<mlir::MLIRContext> makeContext();
/// "f32", "si8", "f8E4M3FN", "i1", ...
mlir::Type elementType(mlir::MLIRContext &context, llvm::StringRef text);

class GraphProgram {
public:
  explicit GraphProgram(mlir::MLIRContext &context);
  mlir::MLIRContext &context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  SymbolTable symbols;
  mlir::func::FuncOp function;
  mlir::OpBuilder builder;
  GraphBuilder g;

  mlir::Type type(llvm::StringRef text) { return elementType(context, text); }
  /// One more argument of @main.
  mlir::Value input(llvm::ArrayRef<mlir::AffineExpr> dims, mlir::Type elementType);
  mlir::Value input(llvm::ArrayRef<int64_t> shape, mlir::Type elementType) {
    return input(g.dims(shape), elementType);
  }
  /// Return these values; nothing may be built after. False (with diagnostics on the context) when the module
  /// does not verify.
  bool finish(mlir::ValueRange outputs);
};

} // namespace tilewright::tests
