/// GraphGenerator.h - seeded small programs for every graph op, to compare compiled code with the reference
/// interpreter.
///
/// Each case has one op at its heart, alone or inside a short chain that fusion may join: movement or exact
/// element-wise ops in front, element-wise ops, a reduction or a transpose behind. Shapes have sizes 0, 1,
/// odd and large ones; dimensions are static or symbolic. Element types are those the op takes. The same seed
/// gives the same cases on every machine.
#pragma once
#include "ir/interpreter/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace tilewright::tests {

struct GeneratedCase {
  std::string description;                       ///< op, seed and number: enough to make it again
  mlir::OwningOpRef<mlir::ModuleOp> module;      ///< verified, with func.func @main
  llvm::SmallVector<interpreter::Tensor> inputs; ///< of @main; no run of it fails
  /// Integers, bools and moved or exactly rounded floats only: compiled code must agree bit for bit. Else
  /// rounding may differ.
  bool exact = true;
};

/// Names without dialect ("contract"), in the order of GraphOps.td. `weight` is left out: it differs from
/// `constant` by its storage only.
llvm::ArrayRef<llvm::StringRef> generatedOps();
/// `count` cases of an op of generatedOps(). `context` has the dialects of makeContext().
std::vector<GeneratedCase> generateCases(mlir::MLIRContext &context, llvm::StringRef op, uint64_t seed,
                                         unsigned count);

} // namespace tilewright::tests
