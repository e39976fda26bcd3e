/// Convert.h - from @main in tensor IR to the program in explicit steps.
#pragma once
#include "ir/Constraints.h"
#include "ir/Program.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tilewright::codegen {

/// What two sizes must be to each other when the program runs.
struct ShapeCheck : Relation {
  std::string node;  ///< "op:node" of the ONNX node that relies on it
  unsigned site = 0; ///< from 1 on, in order
};

/// On an If or Loop: the numbers of the checks of each of its regions.
constexpr llvm::StringLiteral checksAttribute = "graph.shape_checks";

/// What the ops of @main rely on (ir/Constraints.h, graph.require) and nobody could prove. Checks of a branch
/// or loop body hold only where it runs: their numbers are noted on the op, which passes keep, and
/// `convertToProgram` reads them there.
std::vector<ShapeCheck> collectShapeChecks(mlir::func::FuncOp main, const SymbolTable &symbols);

/// A module with the program (program.func) of @main, which stays, and the table of symbols.
///
/// Requires: tensor IR. Launches follow each other in one phase until one reads what the phase writes. Each
/// value gets a buffer that lives from the phase that writes it to the last that reads it; a reshape is a
/// view; equal recipes are one constant. Launches keep their attributes, and buffers the place in the model
/// ("op:node") of what fills them.
///
///     %a = kernel.launch @f(%x) ...            program.launch @f(%x) to (%a) ... on 0
///     %b = kernel.launch @g(%a) ...    ->      program.phase 1
///     return %b                                program.launch @g(%a) to (%b) ... on 0
///                                              program.return %b
///
/// Limits: everything is on device 0. Scratch that only the program can size comes with `addScratch`.
mlir::OwningOpRef<mlir::ModuleOp> convertToProgram(mlir::func::FuncOp main, const SymbolTable &symbols,
                                                   llvm::ArrayRef<ShapeCheck> checks);

/// The only program.func of a module that `convertToProgram` made.
program::FuncOp programOf(mlir::ModuleOp module);

/// Growable buffers take over the memory of dead ones. Their sizes are known too late to lay them out, but
/// their lives are known when the model is compiled.
void shareGrowables(program::FuncOp func);

} // namespace tilewright::codegen
