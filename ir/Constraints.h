/// Constraints.h - the relations between sizes that the meaning and the memory safety of graph ops rest on.
///
/// Each op of the graph dialect answers here, once: the verifier refuses what is disproved, the importer says
/// so with the ONNX node's name, and what nobody can decide becomes a check of the compiled program. So no
/// importer or pass can assume a size: an op that reads or writes by sizes is only as trusted as its answer.
#pragma once
#include "ir/Graph.h"
#include "ir/Symbols.h"

namespace tilewright {

/// What two sizes must be to each other; see graph.require. `when` null: always.
struct Relation {
  graph::RelationKind kind;
  mlir::AffineExpr have, want;
  std::string what; ///< "the sizes to contract"
  mlir::AffineExpr when = {};
};

enum class Verdict { Proved, Disproved, Undecided };
/// Whether the relation holds for all values of the symbols, or for none. Without a table of symbols only
/// what constants decide.
Verdict decide(const Relation &relation, const SymbolTable *symbols);
/// "the sizes to contract do not fit: 3 and 4"
std::string disproof(const Relation &relation, llvm::ArrayRef<std::string> names);

/// Every relation that the op rests on, between its operands' and results' sizes and expressions.
void constraintsOf(mlir::Operation *op, llvm::function_ref<void(Relation)> relation);
/// What sizes, and the values of expressions, rest on whatever op has them: none is negative, and nothing is
/// divided by 0.
void constraintsOfSizes(mlir::Operation *op, llvm::function_ref<void(Relation)> relation);
/// Whether `constraintsOf` has an answer for the op, be it that there are none.
bool hasConstraintAnswer(llvm::StringRef opName);

} // namespace tilewright
