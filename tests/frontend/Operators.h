/// Operators.h - for tests of single operators: write a small graph, import it, run it in the interpreter.
#pragma once
#include "ir/Graph.h"
#include "ir/interpreter/Interpreter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tests/frontend/Support.h"
#include "tests/support/OnnxWriter.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

namespace tilewright::tests {

using onnxwriter::ElementType;
using onnxwriter::GraphWriter;
using Numbers = llvm::SmallVector<double>;

class Operators : public testing::Test {
protected:
  std::unique_ptr<mlir::MLIRContext> context = makeImportContext();
  std::string bytes; // the model points into them
  Imported imported;
  std::mt19937 generator{42};

  /// Imports; the outputs' types are left to the importer.
  const std::string &import(const GraphWriter &graph, int64_t opset = 17) {
    bytes =
        onnxwriter::ModelWriter(graph).opset(opset).opset(1, "com.microsoft").opset(3, "ai.onnx.ml").bytes();
    imported = importBytes(bytes, *context);
    return imported.problems;
  }

  /// Imports and runs. Nothing, and a failed test, when either fails.
  llvm::SmallVector<interpreter::Tensor> run(const GraphWriter &graph,
                                             llvm::ArrayRef<interpreter::Tensor> inputs, int64_t opset = 17) {
    import(graph, opset);
    EXPECT_TRUE(imported.ok()) << imported.problems;
    if (!imported.ok())
      return {};
    auto results = interpreter::Evaluator(*imported.result.module).run(imported.main(), inputs);
    if (results)
      return *results;
    ADD_FAILURE() << llvm::toString(results.takeError());
    return {};
  }

  mlir::Type f32() { return mlir::Float32Type::get(context.get()); }
  mlir::Type integer(unsigned width, bool isSigned = true) {
    return mlir::IntegerType::get(context.get(), width,
                                  isSigned ? mlir::IntegerType::Signed : mlir::IntegerType::Unsigned);
  }
  interpreter::Tensor floats(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<double> values) {
    return interpreter::Tensor::fromDoubles(f32(), shape, values);
  }
  interpreter::Tensor ints(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> values,
                           unsigned width = 64) {
    return interpreter::Tensor::fromInts(integer(width), shape, values);
  }

  /// Values in [-1, 1), rounded to float.
  Numbers random(int64_t count) {
    std::uniform_real_distribution<float> distribution(-1, 1);
    Numbers values;
    for (int64_t i = 0; i < count; ++i)
      values.push_back(distribution(generator));
    return values;
  }
  llvm::SmallVector<int64_t> randomInts(int64_t count, int64_t low, int64_t high) {
    std::uniform_int_distribution<int64_t> distribution(low, high);
    llvm::SmallVector<int64_t> values;
    for (int64_t i = 0; i < count; ++i)
      values.push_back(distribution(generator));
    return values;
  }

  template <typename Op> int64_t count() {
    int64_t found = 0;
    imported.main().walk([&](Op) { ++found; });
    return found;
  }
};

inline std::vector<float> toFloats(const Numbers &values) { return {values.begin(), values.end()}; }

inline void expectNear(const interpreter::Tensor &got, llvm::ArrayRef<int64_t> shape, const Numbers &want,
                       double tolerance = 1e-5) {
  ASSERT_EQ(llvm::ArrayRef<int64_t>(got.shape), shape);
  ASSERT_EQ(got.size(), int64_t(want.size()));
  for (int64_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got.number(i), want[i], tolerance * (1 + std::abs(want[i]))) << "element " << i;
}

} // namespace tilewright::tests
