/// Support.h - build a small program, run it, look at the elements.
#pragma once
#include "ir/interpreter/Interpreter.h"
#include "tests/support/GraphProgram.h"
#include "gmock/gmock.h"
#include <cmath>
#include <limits>

namespace tilewright::tests {

using interpreter::Failure;
using interpreter::Shape;
using interpreter::Tensor;
using Doubles = llvm::ArrayRef<double>;
using Ints = llvm::ArrayRef<int64_t>;
using graph::BinaryKind;
using graph::CompareKind;
using graph::PadMode;
using graph::ReduceKind;
using graph::ScatterKind;
using graph::UnaryKind;
using graph::WindowKind;

inline constexpr double infinity = std::numeric_limits<double>::infinity();
inline constexpr double notANumber = std::numeric_limits<double>::quiet_NaN();

/// What a run gave: outputs, or the kind and text of the failure.
struct Outcome {
  llvm::SmallVector<Tensor> outputs;
  std::optional<Failure::Kind> kind;
  std::string message;
  const Tensor &operator[](size_t index) const { return outputs[index]; }
};

class InterpreterTest : public ::testing::Test {
protected:
  std::unique_ptr<mlir::MLIRContext> owned = makeContext();
  mlir::MLIRContext &context = *owned;

  mlir::Type type(llvm::StringRef text) { return elementType(context, text); }
  Tensor floats(llvm::StringRef element, Ints shape, Doubles values) {
    return Tensor::fromDoubles(type(element), shape, values);
  }
  Tensor ints(llvm::StringRef element, Ints shape, Ints values) {
    return Tensor::fromInts(type(element), shape, values);
  }
  /// 0, 1, 2, ...
  Tensor counting(llvm::StringRef element, Ints shape);

  using Build = llvm::function_ref<llvm::SmallVector<mlir::Value>(GraphProgram &, mlir::ValueRange)>;
  /// A program whose inputs have the static types of `inputs`.
  Outcome run(llvm::ArrayRef<Tensor> inputs, Build build);
  /// A program whose inputs have these dimensions (symbols are made by `dims`).
  Outcome run(llvm::ArrayRef<Tensor> inputs, llvm::function_ref<llvm::SmallVector<Dims>(SymbolTable &)> dims,
              Build build);
  /// With one result, which must be there.
  Tensor one(llvm::ArrayRef<Tensor> inputs,
             llvm::function_ref<mlir::Value(GraphProgram &, mlir::ValueRange)> build);
  Tensor unary(UnaryKind kind, const Tensor &x);
  Tensor binary(BinaryKind kind, const Tensor &x, const Tensor &y);
};

Outcome evaluateProgram(GraphProgram &program, llvm::ArrayRef<Tensor> inputs);
Outcome toOutcome(llvm::Expected<llvm::SmallVector<Tensor>> outputs);

/// Elements of a tensor, for EXPECT_THAT(numbers(t), ElementsAre(...)).
inline std::vector<double> numbers(const Tensor &tensor) {
  auto values = tensor.numbers();
  return {values.begin(), values.end()};
}
inline std::vector<int64_t> integers(const Tensor &tensor) {
  auto values = tensor.integers();
  return {values.begin(), values.end()};
}
inline std::vector<int64_t> shapeOf(const Tensor &tensor) {
  return {tensor.shape.begin(), tensor.shape.end()};
}

} // namespace tilewright::tests
