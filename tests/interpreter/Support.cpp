#include "tests/interpreter/Support.h"

using namespace mlir;

namespace tilewright::tests {

Outcome toOutcome(llvm::Expected<llvm::SmallVector<Tensor>> outputs) {
  Outcome outcome;
  if (outputs) {
    outcome.outputs = std::move(*outputs);
    return outcome;
  }
  llvm::handleAllErrors(outputs.takeError(), [&](const Failure &failure) {
    outcome.kind = failure.kind;
    llvm::raw_string_ostream stream(outcome.message);
    failure.log(stream);
  });
  return outcome;
}

Outcome evaluateProgram(GraphProgram &program, llvm::ArrayRef<Tensor> inputs) {
  interpreter::Evaluator evaluator(*program.module);
  return toOutcome(evaluator.run(program.function, inputs));
}

Tensor InterpreterTest::counting(llvm::StringRef element, Ints shape) {
  Tensor tensor(type(element), shape);
  for (int64_t i = 0; i < tensor.size(); ++i)
    tensor.setInteger(i, i);
  return tensor;
}

Outcome InterpreterTest::run(llvm::ArrayRef<Tensor> inputs, Build build) {
  GraphProgram program(context);
  llvm::SmallVector<Value> values;
  for (const Tensor &tensor : inputs)
    values.push_back(program.input(tensor.shape, tensor.elementType));
  EXPECT_TRUE(program.finish(build(program, values)));
  return evaluateProgram(program, inputs);
}

Outcome InterpreterTest::run(llvm::ArrayRef<Tensor> inputs,
                             llvm::function_ref<llvm::SmallVector<Dims>(SymbolTable &)> dims, Build build) {
  GraphProgram program(context);
  llvm::SmallVector<Value> values;
  for (auto [tensor, inputDims] : llvm::zip_equal(inputs, dims(program.symbols)))
    values.push_back(program.input(inputDims, tensor.elementType));
  EXPECT_TRUE(program.finish(build(program, values)));
  return evaluateProgram(program, inputs);
}

Tensor InterpreterTest::one(llvm::ArrayRef<Tensor> inputs,
                            llvm::function_ref<Value(GraphProgram &, ValueRange)> build) {
  Outcome outcome = run(inputs, [&](GraphProgram &program, ValueRange values) {
    return llvm::SmallVector<Value>{build(program, values)};
  });
  EXPECT_FALSE(outcome.kind) << outcome.message;
  return outcome.outputs.empty() ? Tensor(type("f32"), {0}) : outcome[0];
}

Tensor InterpreterTest::unary(UnaryKind kind, const Tensor &x) {
  return one({x}, [&](GraphProgram &p, ValueRange in) { return p.g.unary(kind, in[0]); });
}

Tensor InterpreterTest::binary(BinaryKind kind, const Tensor &x, const Tensor &y) {
  return one({x, y}, [&](GraphProgram &p, ValueRange in) { return p.g.binary(kind, in[0], in[1]); });
}

} // namespace tilewright::tests
