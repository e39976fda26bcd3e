/// Importer.h - from ONNX nodes to graph ops: one small function per ONNX op, grouped by family in
/// frontend/ops/.
///
/// To add an op: write `void importFoo(NodeImporter &n)` in its family's file and add a row to that family's
/// table. Nothing after the frontend knows ONNX.
#pragma once
#include "frontend/reader/OnnxModel.h"
#include "ir/Budget.h"
#include "ir/Constraints.h"
#include "ir/GraphBuilder.h"
#include "mlir/IR/OwningOpRef.h"
#include <functional>
#include <memory>

namespace tilewright::frontend {

/// One problem with the model; several are collected so that all are reported at once. A warning stops
/// nothing.
struct Diagnostic {
  enum Kind { Unsupported, Invalid, Io, Internal, Warning } kind;
  std::string code, message, hint, node, op, tensor;
};

struct DimRange {
  std::string name;
  int64_t lo, hi;
};

struct ImportOptions {
  std::vector<DimRange> dims; ///< overrides of input dimension names
  /// By "input/axis": names of input dimensions in place of the declared ones.
  llvm::StringMap<std::string> renamedDims;
  bool strict = false; ///< no value-changing decompositions
  size_t maxDiagnostics = 1000;
  /// Nodes after calls of functions are expanded.
  size_t maxNodes = 1 << 18;
  Budget *budget = nullptr; ///< of the compilation; must outlive the import
};

struct ImportResult {
  mlir::OwningOpRef<mlir::ModuleOp> module; ///< null when anything is wrong
  std::vector<Diagnostic> diagnostics;
  /// By location "op:node": the tensor to look at when the node fails at run time.
  llvm::StringMap<std::string> suspects;
};

/// Build the module: func.func @main(inputs) -> outputs, with attributes graph.input_names,
/// graph.output_names (array of strings) and graph.symbols on the module. graph.squeezed_dims, where present,
/// has a bit mask for each output: dimensions that users do not see when they are 1. Every op's location is a
/// NameLoc "op:node" of the ONNX node it came from. Imports as much as it can so that every unsupported or
/// invalid node is reported; `module` is set only when there were none.
ImportResult importModel(const onnx::Model &model, mlir::MLIRContext &context, const ImportOptions &options);

/// Whether a problem is one of shapes and sizes that do not fit, and goes where they are others.
bool isAboutShapes(const Diagnostic &problem);

class GraphImporter;

/// What the import function of one node sees: checked access to operands and attributes, and the builder.
/// Failing is by `return n.fail(...)`, `return n.unsupported(...)`: the node's results become poison, and
/// nodes that use them are skipped silently.
class NodeImporter : public GraphBuilder {
public:
  NodeImporter(GraphImporter &graph, const onnx::Node &node, mlir::OpBuilder &builder,
               mlir::Location location, SymbolTable &symbols, int opset);
  const onnx::Node &node;
  int opset; ///< of the node's domain

  // Operands. Optional ones may be absent ("" or beyond the list).
  size_t operandCount() const;
  bool has(size_t index) const;
  mlir::Value operand(size_t index); ///< null when absent
  size_t resultCount() const;
  bool wants(size_t index) const; ///< the result is named, so somebody may use it
  void result(size_t index, mlir::Value value);

  // Attributes with defaults. A wrong attribute type is a TW1xxx diagnostic and gives the default.
  int64_t intAttr(llvm::StringRef name, int64_t fallback);
  float floatAttr(llvm::StringRef name, float fallback);
  std::string stringAttr(llvm::StringRef name, llvm::StringRef fallback);
  std::optional<llvm::SmallVector<int64_t>> intsAttr(llvm::StringRef name);
  std::optional<llvm::SmallVector<float>> floatsAttr(llvm::StringRef name);
  const onnx::Attribute *attr(llvm::StringRef name);
  /// A tensor attribute as a graph.constant or graph.weight.
  mlir::Value tensorAttr(const onnx::Tensor &tensor);

  mlir::Value sparseAttr(const onnx::SparseTensor &tensor);

  /// As valueOrDefine, for a rank 0 or 1 integer tensor of static size; but elements that can be told stay
  /// expressions when others cannot, and a value asked for twice gives the same symbols. Symbols range over
  /// [lo, hi]. Nothing, with a diagnostic, for other tensors.
  std::optional<Dims> elements(mlir::Value value, llvm::StringRef name, int64_t lo = 0,
                               int64_t hi = INT64_MAX);

  /// `value`, whose dimensions in the bit mask `dims` are dropped when they are 1 at run time. Only
  /// element-wise operators, those that number dimensions from the front and the model's outputs may use it.
  mlir::Value squeezeAtRunTime(mlir::Value value, uint64_t dims);

  // Relations between sizes: proved, or disproved (TW2005, false), or recorded as a check of the program
  // (graph.require). `what` says in words which sizes they are.
  bool requireEqual(mlir::AffineExpr have, mlir::AffineExpr want, const llvm::Twine &what);
  /// The same, or `have` is 1.
  bool requireRepeatable(mlir::AffineExpr have, mlir::AffineExpr want, const llvm::Twine &what);
  bool requireAtMost(mlir::AffineExpr have, mlir::AffineExpr want, const llvm::Twine &what);
  bool requireAtLeast(mlir::AffineExpr have, mlir::AffineExpr want, const llvm::Twine &what);
  bool holds(const Relation &relation);
  /// Every element of an integer tensor lies in [lo, hi]: the same for values.
  bool requireWithin(mlir::Value values, mlir::AffineExpr lo, mlir::AffineExpr hi, const llvm::Twine &what);

  /// axis in [-rank, rank) made non-negative, else a diagnostic and nothing.
  std::optional<int64_t> axis(int64_t value, int64_t rank);
  /// The elements of an integer operand that must be known at compile time (constants only).
  std::optional<llvm::SmallVector<int64_t>> constantInts(mlir::Value value);
  /// The elements of a constant float operand, as doubles.
  std::optional<llvm::SmallVector<double>> constantFloats(mlir::Value value);
  /// ONNX element type to MLIR; null (with a diagnostic) for strings, complex and unknown ones.
  mlir::Type elementTypeOf(int64_t onnxType);

  /// Import a subgraph into the current region: its outputs' values. `arguments` bind its inputs. (If, Loop,
  /// Scan.)
  std::optional<llvm::SmallVector<mlir::Value>> subgraph(const onnx::Graph &graph,
                                                         llvm::ArrayRef<mlir::Value> arguments);

  /// Makes room for a sequence of so many tensors; false, with a diagnostic, when all sequences together have
  /// too many.
  bool holdSequence(size_t elements);

  /// What has been reported so far, and what was reported since: taken back, and given back after all. For
  /// subgraphs that are imported again with other shapes, or that may turn out not to run.
  size_t problemCount() const;
  llvm::SmallVector<Diagnostic> takeProblems(size_t since);
  void giveBack(llvm::SmallVector<Diagnostic> problems);
  /// Empty a region, with all that is remembered about its values.
  void forgetBody(mlir::Region &region);

  /// Import the branches of an If, and set the node's results to what they leave.
  void branches(mlir::Value condition, const onnx::Graph &onTrue, const onnx::Graph &onFalse);

  void fail(llvm::StringRef code, const llvm::Twine &message, llvm::StringRef hint = "");
  void unsupported(llvm::StringRef code, const llvm::Twine &message, llvm::StringRef hint = "");

  /// ImportOptions::strict: no value-changing decompositions.
  bool strict() const;
  /// Whether this node has failed so far; helpers report and callers test.
  bool hasFailed() const { return failed; }

private:
  friend class GraphImporter;
  void alignSecondOperand();
  void report(Diagnostic::Kind kind, llvm::StringRef code, const llvm::Twine &message, llvm::StringRef hint);
  GraphImporter &graph;
  llvm::SmallVector<mlir::Value, 4> operands, results;
  bool failed = false;
};

using ImportFunction = void (*)(NodeImporter &);
/// One row of a family's table: op, first opset it is valid from in this form.
struct OpEntry {
  llvm::StringRef name;
  ImportFunction function;
  llvm::StringRef domain = "";
};
/// The families, each a table in its own file of frontend/ops/.
llvm::ArrayRef<OpEntry> elementwiseOps(); ///< ops/Elementwise.cpp
llvm::ArrayRef<OpEntry> activationOps();  ///< ops/Activation.cpp
llvm::ArrayRef<OpEntry>
movementOps(); ///< ops/Movement.cpp: reshape, transpose, concat, split, expand, tile, depth to space, ...
llvm::ArrayRef<OpEntry> sliceOps();     ///< ops/Slice.cpp: slice, pad, crop
llvm::ArrayRef<OpEntry> indexingOps();  ///< ops/Indexing.cpp: gather, scatter, compress, nonzero, unique
llvm::ArrayRef<OpEntry> resizeOps();    ///< ops/Resize.cpp
llvm::ArrayRef<OpEntry> detectionOps(); ///< ops/Detection.cpp: non-maximum suppression
llvm::ArrayRef<OpEntry> samplingOps();  ///< ops/Sampling.cpp: grid sample, affine grid, col2im
llvm::ArrayRef<OpEntry>
reductionOps(); ///< ops/Reduction.cpp: reduces, arg, cumsum, softmax, topk, sort, unique
llvm::ArrayRef<OpEntry> generatorOps(); ///< ops/Generator.cpp: constants, shape, range, one-hot, eye, random
llvm::ArrayRef<OpEntry> controlOps();   ///< ops/Control.cpp: If, Loop, Scan
llvm::ArrayRef<OpEntry> sequenceOps();  ///< ops/Sequence.cpp: sequences and optional values
llvm::ArrayRef<OpEntry>
contractionOps();                     ///< ops/Contraction.cpp: matmul, gemm, einsum, conv, transposed conv
llvm::ArrayRef<OpEntry> poolingOps(); ///< ops/Pooling.cpp
llvm::ArrayRef<OpEntry> normalizationOps(); ///< ops/Normalization.cpp
llvm::ArrayRef<OpEntry> recurrentOps();     ///< ops/Recurrent.cpp: LSTM, GRU, RNN
llvm::ArrayRef<OpEntry> quantizationOps();  ///< ops/Quantization.cpp
llvm::ArrayRef<OpEntry> attentionOps();     ///< ops/Attention.cpp: Attention, RotaryEmbedding, ...
llvm::ArrayRef<OpEntry> signalOps();        ///< ops/Signal.cpp: DFT, STFT, windows, mel
llvm::ArrayRef<OpEntry> trainingOps();      ///< ops/Training.cpp: losses, optimizer steps
llvm::ArrayRef<OpEntry> classicalOps();     ///< ops/Classical.cpp: ai.onnx.ml: scaling, linear models, trees
llvm::ArrayRef<OpEntry> fusedOps(); ///< ops/Fused.cpp: com.microsoft operators that exported models use

/// Whether the operator's operands may be sequences or empty optional values, which are no tensors.
bool takesSequences(llvm::StringRef domain, llvm::StringRef op);

} // namespace tilewright::frontend
