/// Interpreter.h - what graph and kernel IR means: slow, obvious, independent of the emitters.
///
/// Integers wrap exactly in their width. Each float op computes in double and rounds once to its declared
/// type; reductions and contractions accumulate in double and round once. It is the constant folder, the
/// evaluator of constant recipes when an artifact is written (movement, casts and f32 element-wise ops are
/// therefore fast enough to stream weights), and the oracle of tests and of `verify`. Thread-safety:
/// evaluate() may be called from several threads; Evaluator and ConstantEvaluator objects belong to one
/// thread each.
#pragma once
#include "ir/Graph.h"
#include "ir/Symbols.h"
#include "ir/interpreter/Tensor.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <functional>
#include <map>

namespace tilewright::interpreter {

/// Why an evaluation stopped. TW29xx codes; the message is one line.
class Failure : public llvm::ErrorInfo<Failure> {
public:
  enum Kind {
    Index = 2901,         ///< an index is out of range
    ShapeMismatch = 2902, ///< a dimension has one size where another is needed (inputs, broadcasts,
                          ///< element-wise operands)
    Reshape = 2903,       ///< element counts differ
    SymbolRange = 2904,   ///< a defined size is negative or outside its symbol's range
    File = 2905,          ///< a weight cannot be read
    Memory = 2906,        ///< a tensor is too large
    Division = 2907,      ///< an integer is divided by zero
    Unsupported = 2980,   ///< not something the interpreter runs, or a symbol that has no value yet
  };
  Failure(Kind kind, mlir::Location location, const llvm::Twine &message)
      : kind(kind), location(location), message(message.str()) {}
  Kind kind;
  mlir::Location location; ///< of the op that failed
  std::string message;

  /// "TW2901: index 7 is outside [-5, 5)"
  void log(llvm::raw_ostream &stream) const override;
  std::error_code convertToErrorCode() const override { return llvm::inconvertibleErrorCode(); }
  static char ID;
};

using Results = llvm::SmallVector<Tensor, 1>;

/// Value of a symbol that is not bound yet.
inline constexpr int64_t unboundSymbol = INT64_MIN;
/// Value of a broadcast's symbol whose two sizes are neither equal nor 1: an error where it is needed.
inline constexpr int64_t mismatchedSymbol = INT64_MIN + 1;
inline bool isBoundValue(int64_t value) { return value > mismatchedSymbol; }

/// Run one pure graph op. Operand shapes are the tensors' own; result shapes are the result types' dimensions
/// for `symbols`, where `symbols[k]` is the value of symbol k (missing or unboundSymbol: an error only where
/// it is needed).
llvm::Expected<Results> evaluate(mlir::Operation *op, llvm::ArrayRef<Tensor> operands,
                                 llvm::ArrayRef<int64_t> symbols);

/// Values of constant expressions (graph.constant, graph.weight, pure ops over them). Weights used as they
/// are stay mapped, never read. Values used more than once are kept until clear() or the object's end.
class ConstantEvaluator {
public:
  /// The value of a constant expression (graph::isConstantExpression); Unsupported otherwise.
  llvm::Expected<Tensor> evaluate(mlir::Value value);
  /// Drop remembered values.
  void clear() { values.clear(); }
  /// A weight's elements, mapped from its file.
  llvm::Expected<Tensor> weight(graph::WeightOp op);

private:
  llvm::Error evaluateOp(mlir::Operation *op);
  llvm::DenseMap<mlir::Value, Tensor> values;
};

/// The results of a pure op over constant expressions, as attributes for graph.constant. Failure when an
/// operand is not constant, a result is not static or larger than `maxBytes`, or evaluation fails (the op
/// then stays, and fails when it runs).
llvm::FailureOr<llvm::SmallVector<mlir::DenseElementsAttr>> fold(mlir::Operation *op, int64_t maxBytes,
                                                                 ConstantEvaluator &constants);

/// Runs functions: control flow, run-time symbols, kernel launches.
class Evaluator {
public:
  explicit Evaluator(mlir::ModuleOp module);
  /// Run the program (func.func) on inputs in argument order. Symbols are bound from their shapes; ranges of
  /// symbols are checked.
  llvm::Expected<llvm::SmallVector<Tensor>> run(mlir::func::FuncOp function, llvm::ArrayRef<Tensor> inputs);
  /// Run one kernel. `symbols` are the kernel's own; those not given are bound from the inputs' shapes.
  llvm::Expected<llvm::SmallVector<Tensor>> run(kernel::FuncOp function, llvm::ArrayRef<Tensor> inputs,
                                                llvm::ArrayRef<int64_t> symbols = {});
  /// Called after every op of the program with its operands and results (not inside kernels). For `verify`.
  std::function<void(mlir::Operation *, llvm::ArrayRef<Tensor> operands, llvm::ArrayRef<Tensor> results)>
      observer;
  /// Values of the program's symbols after the last run of a func.func.
  llvm::ArrayRef<int64_t> symbolValues() const { return programSymbols; }

private:
  struct Frame;
  llvm::Expected<llvm::SmallVector<Tensor>> runBlock(Frame &frame, mlir::Block &block,
                                                     llvm::ArrayRef<Tensor> arguments);
  llvm::Error runOp(Frame &frame, mlir::Operation *op);
  llvm::Expected<llvm::SmallVector<Tensor>> runIf(Frame &frame, graph::IfOp op);
  llvm::Expected<llvm::SmallVector<Tensor>> runLoop(Frame &frame, graph::LoopOp op);
  llvm::Error setLoopSizes(Frame &frame, graph::LoopOp op, std::optional<mlir::AffineMap> dims);
  llvm::Expected<llvm::SmallVector<Tensor>> finishLoop(Frame &frame, graph::LoopOp op, int64_t iterations,
                                                       llvm::SmallVector<Tensor> results,
                                                       llvm::ArrayRef<llvm::SmallVector<Tensor>> slices);
  llvm::Expected<llvm::SmallVector<Tensor>> runLaunch(Frame &frame, kernel::LaunchOp op);
  llvm::Error define(Frame &frame, graph::DefineOp op);
  llvm::Error requireConstraints(Frame &frame, mlir::Operation *op);

  mlir::ModuleOp module;
  SymbolTable table;
  ConstantEvaluator constants;
  llvm::SmallVector<int64_t> programSymbols;
};

/// Bind symbols that are unboundSymbol in `symbols` (grown as needed) from the sizes of tensors of the given
/// types, then check every dimension.
llvm::Error bindSymbols(mlir::TypeRange types, llvm::ArrayRef<Tensor> tensors, mlir::Location location,
                        llvm::SmallVectorImpl<int64_t> &symbols);

} // namespace tilewright::interpreter
