/// Program.h - from @main and its plan to native code: the function every thread of the team walks, the sizes
/// of buffers and outputs.
#pragma once
#include "codegen/program/ProgramPlan.h"
#include "llvm/ADT/StringMap.h"

namespace tilewright::codegen {

/// What the program must know of a compiled kernel.
struct KernelBinding {
  std::string function; ///< symbol of its code
  unsigned resultCount = 0;
  unsigned symbolCount = 0;
  mlir::AffineExpr extent;       ///< over the kernel's symbols
  mlir::AffineExpr scratchBytes; ///< over the kernel's symbols
  unsigned siteCount = 0;
};

/// Two sizes that must be equal when the program runs: `reshape` says which message a user gets.
struct ShapeCheck {
  mlir::AffineExpr have, want;
  bool orOne = false; ///< or `have` is 1
  bool reshape = false;
  std::string node; ///< "op:node" of the ONNX node that relies on it
  unsigned site = 0;
};

/// The equalities that the ops of @main's own block rely on and that cannot be proved. Branches and loop
/// bodies are left out: they may not run.
std::vector<ShapeCheck> collectShapeChecks(mlir::func::FuncOp main);

struct ProgramInputs {
  mlir::func::FuncOp main;
  const ProgramPlan &plan;
  const SymbolTable &symbols;
  const llvm::StringMap<KernelBinding> &kernels; ///< by kernel.func name
  llvm::ArrayRef<uint64_t> constantOffsets;      ///< from frame->weights, of each of the plan's constants
  llvm::ArrayRef<unsigned> firstSites;           ///< of each launch
  llvm::ArrayRef<ShapeCheck> checks;
  unsigned controlSite = 0; ///< failure site of shape checks that no launch makes
};

/// Defines tilewright_program, tilewright_sizes and tilewright_output_dims (tilewright/artifact.h) in
/// `module`, as loop IR with plain control flow, and declares the kernels. Straight-line code is cut into
/// functions of a bounded number of launches, so that compilation stays linear in the model's size.
void emitProgram(const ProgramInputs &inputs, mlir::ModuleOp module);

} // namespace tilewright::codegen
