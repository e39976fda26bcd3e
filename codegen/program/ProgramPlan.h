/// ProgramPlan.h - when each launch runs, where each value lives, and which barriers are needed.
#pragma once
#include "ir/Graph.h"
#include "ir/Symbols.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace tilewright::codegen {

/// A piece of memory of a run. Times are phases: stretches of the program between two barriers; two buffers
/// may share memory when their phases do not meet.
struct PlannedBuffer {
  enum Kind { Arena, Input, Output, Growable, GrowableOutput } kind = Arena;
  unsigned io = 0;
  unsigned birth = 0, death = 0;
  mlir::AffineExpr bytes; ///< over the module's symbols
  /// A growable buffer whose memory this one takes over: a growable buffer, too, that is dead by then.
  std::optional<unsigned> alias;
  mlir::Type type; ///< of the value that it was made for; null: none
};

/// Where a value is: a buffer, or a constant in the weights.
struct Place {
  bool constant = false;
  unsigned index = 0; ///< into buffers or constants
};

/// What `tilewright_program` does, in the order of @main. Copies are moves of a yielded value to the buffer
/// of an if's or loop's result.
struct ProgramPlan {
  std::vector<PlannedBuffer> buffers;
  llvm::DenseMap<mlir::Value, Place> places;
  std::vector<mlir::Value> constants; ///< constant expressions, in the order of their first use
  llvm::DenseMap<mlir::Operation *, unsigned> launchNumbers;
  std::vector<kernel::LaunchOp> launches;
  llvm::DenseSet<mlir::Operation *>
      barrierBefore; ///< launches (and terminators, before their copies) that wait for the phase to end
  /// Of each loop: the buffer that holds the iteration number.
  llvm::DenseMap<mlir::Operation *, unsigned> counters;
  unsigned phases = 0;
  /// The growable buffer for the scratch of launches that need an amount which only the program knows, where
  /// there may be such.
  std::optional<unsigned> scratchBuffer;

  Place placeOf(mlir::Value value) const; ///< follows views
};

/// Symbols whose value is known only while the program runs, directly or through a rule.
bool definedByProgram(mlir::AffineExpr expr, const SymbolTable &symbols);

ProgramPlan planProgram(mlir::func::FuncOp main, const SymbolTable &symbols);

} // namespace tilewright::codegen
