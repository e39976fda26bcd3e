/// Program.h - from program IR to native code: the function every thread of the team walks, the sizes of
/// buffers and outputs.
#pragma once
#include "codegen/program/Convert.h"
#include "llvm/ADT/StringMap.h"

namespace tilewright::codegen {

/// What the program must know of a compiled kernel.
struct KernelBinding {
  std::string function; ///< symbol of its code
  unsigned resultCount = 0;
  unsigned symbolCount = 0;
  mlir::AffineExpr extent;       ///< over the kernel's symbols
  mlir::AffineExpr scratchBytes; ///< over the kernel's symbols
};

struct ProgramInputs {
  mlir::ModuleOp program;                        ///< of convertToProgram, with sites and offsets of constants
  const llvm::StringMap<KernelBinding> &kernels; ///< by kernel.func name
  bool checksBounds = false;                     ///< see TargetInfo
};

/// Gives launches of kernels whose scratch only the program can size a growable buffer for it, which thread 0
/// grows before each; phases are numbered anew, and lives with them.
void addScratch(mlir::ModuleOp program, const llvm::StringMap<KernelBinding> &kernels);

/// Defines tilewright_program and what Sizes.h defines (tilewright/artifact.h) in `module`, as loop IR with
/// plain control flow, and declares the kernels: what each step says, and nothing else. Straight-line code is
/// cut into functions of a bounded number of launches, so that compilation stays linear in the model's size.
/// Fails at a step that the CPU's threads cannot do (a step of another device, for now).
mlir::LogicalResult emitProgram(const ProgramInputs &inputs, mlir::ModuleOp module);

} // namespace tilewright::codegen
