/// Program.h - from @main and its plan to native code: the function every thread of the team walks, the sizes
/// of buffers and outputs.
#pragma once
#include "codegen/program/ProgramPlan.h"
#include "ir/Constraints.h"
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

/// What two sizes must be to each other when the program runs.
struct ShapeCheck : Relation {
  std::string node; ///< "op:node" of the ONNX node that relies on it
  unsigned site = 0;
};

/// On an If or Loop: the numbers of the checks of each of its regions.
constexpr llvm::StringLiteral checksAttribute = "graph.shape_checks";

/// What the ops of @main rely on (ir/Constraints.h, graph.require) and nobody could prove. Checks of a branch
/// or loop body hold only where it runs: their numbers are noted on the op, which passes keep, and
/// `emitProgram` reads them there.
std::vector<ShapeCheck> collectShapeChecks(mlir::func::FuncOp main, const SymbolTable &symbols);

struct ProgramInputs {
  mlir::func::FuncOp main;
  const ProgramPlan &plan;
  const SymbolTable &symbols;
  const llvm::StringMap<KernelBinding> &kernels; ///< by kernel.func name
  llvm::ArrayRef<uint64_t> constantOffsets;      ///< from frame->weights, of each of the plan's constants
  llvm::ArrayRef<unsigned> firstSites;           ///< of each launch
  llvm::ArrayRef<ShapeCheck> checks;
  /// Failure sites of defines and loops.
  const llvm::DenseMap<mlir::Operation *, unsigned> &controlSites;
  bool checksBounds = false; ///< see TargetInfo
};

/// Defines tilewright_program and what Sizes.h defines (tilewright/artifact.h) in
/// `module`, as loop IR with plain control flow, and declares the kernels. Straight-line code is cut into
/// functions of a bounded number of launches, so that compilation stays linear in the model's size.
void emitProgram(const ProgramInputs &inputs, mlir::ModuleOp module);

} // namespace tilewright::codegen
