/// GraphImporter.h - what stands behind NodeImporter: names in scope, constants, diagnostics, function calls.
/// Not for the families.
#pragma once
#include "frontend/Importer.h"
#include "ir/interpreter/Interpreter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace tilewright::frontend {

/// Subgraphs and function calls inside each other. The reader admits 64 levels of subgraphs alone; calls
/// multiply that.
constexpr unsigned maxDepth = 128;

/// Imports one model. Not thread-safe; the model and the context must outlive it. Nesting of subgraphs and
/// function calls together is bounded, so hostile models cannot exhaust the stack.
class GraphImporter {
public:
  GraphImporter(const onnx::Model &model, mlir::MLIRContext &context, const ImportOptions &options);
  ImportResult run();

  /// The value of a name in the innermost scope that defines it. Null value: poison (its maker failed).
  /// Nothing: not defined.
  std::optional<mlir::Value> lookup(std::string_view name) const;
  /// The name of a function's input that the call leaves out.
  bool isAbsent(std::string_view name) const;
  /// A constant at the builder's insertion point: graph.constant up to 1 KB or where the bytes are in no
  /// file, else graph.weight. Null, with a diagnostic, when the data is unusable.
  mlir::Value constant(const onnx::Tensor &tensor, mlir::Location location, std::string_view node,
                       std::string_view op);
  /// The MLIR type of ONNX elements; null for strings, complex and unknown ones.
  mlir::Type elementType(onnx::ElementType type) const;
  /// The tensor behind a graph.weight made by `constant`, or null.
  const onnx::Tensor *tensorOf(mlir::Value value) const;
  /// The value of a cheap constant expression; nothing where it is none.
  std::optional<interpreter::Tensor> evaluate(mlir::Value value);
  /// Symbols with the run-time values of `value`, made once for each value where the earlier definition is
  /// still visible.
  Dims defined(GraphBuilder &g, mlir::Value value, llvm::StringRef name, int64_t lo, int64_t hi);
  mlir::Value sparse(const onnx::SparseTensor &tensor, mlir::Location location);
  std::optional<llvm::SmallVector<mlir::Value>>
  subgraph(const onnx::Graph &graph, llvm::ArrayRef<mlir::Value> arguments, const onnx::Node &owner);
  /// See NodeImporter::keepBranch.
  void keepBranch(mlir::Operation *op, mlir::Region &region);
  /// What a branch leaves, or why it cannot run.
  struct Side {
    llvm::SmallVector<mlir::Value> values; ///< none, or null ones: something failed
    llvm::SmallVector<Diagnostic> problems;
    bool failed = false; ///< also where its operands already had
  };
  /// The results of an If without results or yields, whose regions are filled: joined, or of the only branch
  /// that can run. Nothing, with diagnostics, where there are none.
  std::optional<llvm::SmallVector<mlir::Value>> finishBranches(GraphBuilder &g, graph::IfOp draft,
                                                               llvm::MutableArrayRef<Side> sides);
  /// Nothing may be remembered about values and blocks that go: others will have their addresses.
  void forget(mlir::Region &region);
  void report(Diagnostic diagnostic);
  const ImportOptions &options;

private:
  struct Definition {
    Dims dims;
    mlir::Block *block; ///< visible in it and below
    int64_t lo, hi;
  };
  /// Names of one graph. Inner graphs see outer names; function bodies do not.
  struct Scope {
    llvm::StringMap<mlir::Value> values;
    llvm::StringSet<> absent; ///< a function's inputs that its call leaves out
    const Scope *parent = nullptr;
    const onnx::Function *function = nullptr; ///< whose body this is part of
    const onnx::Node *call =
        nullptr; ///< the node that called it: gives the attributes that its body refers to
    unsigned depth = 0;
  };

  /// A value whose rank a condition decides: what it is where the condition holds, and where it does not.
  /// Known by its first side.
  struct Either {
    mlir::Value condition;
    mlir::Value sides[2];
    Dims shapes[2]; ///< as they are known in the branches
  };
  llvm::SmallVector<mlir::Value> joinBranches(GraphBuilder &g, graph::IfOp draft,
                                              llvm::ArrayRef<mlir::Value> onTrue,
                                              llvm::ArrayRef<mlir::Value> onFalse);
  void keepRunnable(GraphBuilder &g, graph::IfOp draft, bool branch, const Diagnostic &problem);
  const Either *eitherOperand(const onnx::Node &node) const;
  void bindSides(const onnx::Node &node, Scope &scope, mlir::Value condition, bool branch);
  Side importSide(const onnx::Node &node, const Scope &scope, int opset, mlir::Value condition, bool branch);
  void importOnSides(const onnx::Node &node, Scope &scope, int opset, Either either);
  /// The value as an output that declares its rank; the run fails where it has another. Nothing, with a
  /// diagnostic, where the declaration does not decide.
  std::optional<mlir::Value> withRank(mlir::Value value, const onnx::ValueInfo &output, bool inBranch);

  void importMain();
  void importInputs(Scope &scope, mlir::Block &block, llvm::SmallVectorImpl<mlir::Attribute> &names);
  mlir::Type inputType(const onnx::ValueInfo &input);
  bool fitsInterface(size_t rank, llvm::StringRef kind, llvm::StringRef name);
  mlir::AffineExpr inputDim(const onnx::ValueInfo &input, size_t axis);
  void finishMain(mlir::func::FuncOp function, const Scope &scope,
                  llvm::ArrayRef<mlir::Attribute> inputNames);
  void checkDimOverrides();

  void importInitializers(const onnx::Graph &graph, Scope &scope);
  void importNodes(const onnx::Graph &graph, Scope &scope);
  void importNode(const onnx::Node &node, Scope &scope);
  /// Whether there is time and room for one more; where not, nothing more is imported.
  bool admitNode(const onnx::Node &node);
  bool operandsUsable(const onnx::Node &node, bool &poisoned);
  /// False, with a diagnostic about the user, where the value is a sequence or an empty optional.
  bool requireTensor(mlir::Value value, std::string_view name, const onnx::Node *user);
  bool requireTensors(const onnx::Node &node);
  void removeSequences();
  void importOperator(const onnx::Node &node, Scope &scope, int opset);
  void refuseImpossible(NodeImporter &n, mlir::Block::iterator first, mlir::Block::iterator last);
  void importCall(const onnx::Node &node, const onnx::Function &function, Scope &scope);
  bool bindCall(const onnx::Node &node, const onnx::Function &function, const Scope &caller, Scope &body);
  void define(Scope &scope, std::string_view name, mlir::Value value, const onnx::Node *node);
  void poison(const onnx::Node &node, Scope &scope);
  /// The dimensions that the node's results drop at run time because an operand does; nothing, with a
  /// diagnostic, where the operator needs to know the rank.
  std::optional<uint64_t> squeezedOperands(NodeImporter &n);
  std::string unknownRank(NodeImporter &n, mlir::Value squeezed);
  void keepSqueezed(NodeImporter &n, uint64_t dims);
  void markOutputs(mlir::func::FuncOp function, llvm::ArrayRef<mlir::Value> outputs);
  /// False, with a diagnostic, where an op behind `last` in the block has a size that does not fit.
  bool sizesFit(NodeImporter &n, mlir::Block &block, mlir::Operation *last);
  void unknownOperator(const onnx::Node &node, int64_t opset);
  /// Report the unknown operators of a node that is skipped, and of what it has inside.
  void survey(const onnx::Node &node, const onnx::Function *function);
  void surveyInside(const onnx::Node &node, const onnx::Function *function);
  mlir::Value embedded(mlir::RankedTensorType type, onnx::ElementType elementType, llvm::ArrayRef<char> bytes,
                       mlir::Location location);
  mlir::Value weight(const onnx::Tensor &tensor, mlir::RankedTensorType type, mlir::Location location);
  void noteSuspect(NodeImporter &n);
  /// Results that follow from few constants can be computed: indices lie where they should.
  void requireComputable(NodeImporter &n);
  mlir::Location locationOf(const onnx::Node &node) const;
  mlir::Location locationOf(std::string_view kind, std::string_view name) const;

  const onnx::Model &model;
  mlir::MLIRContext &context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  SymbolTable symbols;
  mlir::OpBuilder builder;
  std::vector<Diagnostic> diagnostics;
  llvm::StringMap<std::string> suspects;
  std::string modelFile, modelFolder; ///< absolute; empty when the model was read from memory
  interpreter::ConstantEvaluator evaluator;
  llvm::DenseMap<mlir::Value, onnx::Tensor> weights;
  llvm::DenseMap<mlir::Value, Definition> definitions;
  llvm::DenseMap<mlir::Value, uint64_t> squeezedDims; ///< see NodeImporter::squeezeAtRunTime
  llvm::DenseMap<mlir::Value, Either> eithers;
  size_t splits = 0;                                 ///< nodes imported for both sides of an operand
  unsigned splitDepth = 0;                           ///< of those, inside each other
  llvm::StringMap<const onnx::Function *> functions; ///< "domain:name:overload"
  llvm::StringSet<> usedOverrides;
  llvm::DenseSet<const onnx::Function *> surveyed;
  bool stopped = false;                ///< nothing more is imported, and that has been said
  uint64_t attributeBytes = 512 << 20; ///< that may still be copied into the bodies of functions
  size_t importedNodes = 0;            ///< of graphs and of functions wherever they are called
  size_t sequenceElements = 0;         ///< of all sequences
  Scope *current = nullptr;
  friend class NodeImporter;
};

/// Whether a tensor could be in some memory: the sizes that are known give at most 2^47 bytes (what
/// processors address), even where another dimension is 0, and the number of bytes can be calculated for the
/// others. Then no place in it, no stride and no sum of a few sizes overflows in anything that is generated.
bool bytesFit(mlir::Type type);
/// "[N, 3]", cut where it is long.
std::string shapeText(mlir::Type type, const SymbolTable &symbols);

Diagnostic diagnosticOf(const onnx::Error &error);

/// All families' rows by "domain:op"; built once.
const llvm::StringMap<ImportFunction> &operators();

} // namespace tilewright::frontend
