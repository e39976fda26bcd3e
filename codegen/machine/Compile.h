//===- Compile.h - loop IR to an object -------------------------*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_MACHINE_COMPILE_H
#define TILEWRIGHT_CODEGEN_MACHINE_COMPILE_H

#include "codegen/target/Target.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace tilewright::codegen {

struct CompileOptions {
  bool wantAsm = false;   ///< fill ObjectCode::assembly (costs a second code generation)
  bool wantLlvm = false;  ///< fill ObjectCode::llvm, after optimisation
  bool wantObject = true; ///< fill ObjectCode::bytes
  bool verify = false;    ///< run MLIR's and LLVM's verifiers between the steps
};

/// Thread CPU time, in milliseconds, that the steps took.
struct CompileTimes {
  double mlir = 0;      ///< loop IR to the llvm dialect
  double translate = 0; ///< llvm dialect to LLVM IR
  double optimize = 0;  ///< LLVM's middle end
  double codegen = 0;   ///< LLVM's back end
  double total() const { return mlir + translate + optimize + codegen; }
};

struct ObjectCode {
  std::string bytes;    ///< a relocatable ELF object
  std::string assembly; ///< if wanted
  std::string llvm;     ///< if wanted
  CompileTimes times;
};

/// Loop IR to an object file. Consumes the module: it is lowered in place.
/// Threads may compile different modules of one context at once, provided the context was made with
/// multithreading enabled and loadCodegenDialects() came first. Errors: TW9201 (not loop IR: names the
/// offending op), TW9202 (LLVM refuses the module).
llvm::Expected<ObjectCode> compileModule(mlir::ModuleOp module, const TargetInfo &target,
                                         const CompileOptions &options = {});

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_MACHINE_COMPILE_H
