/// Bench.cpp - speed of what streams weights into artifacts; ir/interpreter/README.md quotes it. Not a test.
#include "ir/interpreter/Interpreter.h"
#include "tests/support/GraphProgram.h"
#include <cstdio>
#include <ctime>

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;
using interpreter::Tensor;
using Ints = llvm::ArrayRef<int64_t>;

namespace {

/// Of this thread: what else the machine does counts little.
double processorSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

/// Best of three evaluations of `op`, in processor seconds.
double timeOf(Operation *op, llvm::ArrayRef<Tensor> operands) {
  double best = 1e9;
  for (int repetition = 0; repetition < 3; ++repetition) {
    double start = processorSeconds();
    llvm::cantFail(interpreter::evaluate(op, operands, {}));
    best = std::min(best, processorSeconds() - start);
  }
  return best;
}

Tensor someValues(Type element, Ints shape) {
  Tensor tensor(element, shape);
  for (int64_t i = 0; i < tensor.size(); ++i)
    tensor.setNumber(i, double(i * 7919 % 1000) / 100 - 5);
  return tensor;
}

class Bench {
public:
  using Build = llvm::function_ref<Value(GraphProgram &, ValueRange)>;

  /// Reads and writes count: MB/s of operands plus results.
  void stream(const char *name, llvm::StringRef element, llvm::ArrayRef<Tensor> inputs, Build build) {
    GraphProgram program(*context);
    Operation *op = build(program, inputsOf(program, inputs)).getDefiningOp();
    double seconds = timeOf(op, inputs.take_front(op->getNumOperands()));
    auto result = llvm::cantFail(interpreter::evaluate(op, inputs.take_front(op->getNumOperands()), {}));
    std::printf("%-36s %-8s %6.0f MB/s read, %6.0f MB/s written\n", name, element.str().c_str(),
                double(inputs[0].bytes()) / seconds / 1e6, double(result[0].bytes()) / seconds / 1e6);
  }
  void stream(const char *name, llvm::StringRef element, Ints shape, Build build) {
    stream(name, element, someValues(elementType(*context, element), shape), build);
  }
  void multiply(const char *name, double products, Ints lhs, Ints rhs, Build build) {
    GraphProgram program(*context);
    Type f32 = program.type("f32");
    Tensor inputs[] = {someValues(f32, lhs), someValues(f32, rhs)};
    Operation *op = build(program, inputsOf(program, inputs)).getDefiningOp();
    std::printf("%-36s %-8s %6.2f G products/s\n", name, "f32", products / timeOf(op, inputs) / 1e9);
  }
  Type type(llvm::StringRef text) { return elementType(*context, text); }

private:
  static llvm::SmallVector<Value> inputsOf(GraphProgram &program, llvm::ArrayRef<Tensor> tensors) {
    llvm::SmallVector<Value> values;
    for (const Tensor &tensor : tensors)
      values.push_back(program.input(tensor.shape, tensor.elementType));
    return values;
  }
  std::unique_ptr<MLIRContext> context = makeContext();
};

const int64_t square[] = {4096, 4096};

void benchMovement(Bench &bench) {
  auto transpose = [&](const char *name, const char *element, Ints shape, Ints perm) {
    bench.stream(name, element, shape,
                 [&](GraphProgram &p, ValueRange in) { return p.g.transpose(in[0], perm); });
  };
  transpose("transpose 4096x4096", "f32", square, {1, 0});
  transpose("transpose 4095x4097", "f32", {4095, 4097}, {1, 0});
  transpose("transpose 4096x4096", "si8", square, {1, 0});
  transpose("transpose 768x12x64 to heads first", "f32", {768, 12, 64}, {1, 0, 2});
  transpose("transpose OIHW to HWIO", "f32", {512, 512, 3, 3}, {2, 3, 1, 0});
  transpose("transpose OIHW to OHWI", "f32", {512, 512, 3, 3}, {0, 2, 3, 1});
  bench.stream("slice of columns", "f32", square, [](GraphProgram &p, ValueRange in) {
    return p.g.sliceAxis(in[0], 1, p.g.dim(1), p.g.dim(2000));
  });
  bench.stream("slice, step 2", "f32", square, [](GraphProgram &p, ValueRange in) {
    return p.g.slice(in[0], p.g.dims(Ints({0, 0})), {1, 2}, p.g.dims({4096, 2048}));
  });
  bench.stream("broadcast of a row", "f32", {4096},
               [](GraphProgram &p, ValueRange in) { return p.g.broadcastTo(in[0], p.g.dims({4096, 4096})); });
  bench.stream("broadcast of a column", "f32", {4096, 1},
               [](GraphProgram &p, ValueRange in) { return p.g.broadcastTo(in[0], p.g.dims({4096, 4096})); });
  Tensor half = someValues(bench.type("f32"), {4096, 2048}), zero = someValues(bench.type("f32"), {});
  bench.stream("concat of columns", "f32", {half, half},
               [](GraphProgram &p, ValueRange in) { return p.g.concat({in[0], in[1]}, 1); });
  bench.stream("pad of columns", "f32", {half, zero}, [](GraphProgram &p, ValueRange in) {
    return p.g.pad(in[0], p.g.dims(Ints({0, 1})), p.g.dims(Ints({0, 2})), graph::PadMode::constant, in[1]);
  });
  Tensor indices(bench.type("si64"), {2048});
  for (int64_t i = 0; i < 2048; ++i)
    indices.setInteger(i, i * 7 % 2048);
  bench.stream("gather of rows", "f32", {half, indices},
               [](GraphProgram &p, ValueRange in) { return p.g.gather(in[0], in[1], 0); });
  bench.stream("gather of columns", "f32", {half, indices},
               [](GraphProgram &p, ValueRange in) { return p.g.gather(in[0], in[1], 1); });
}

void benchElementwise(Bench &bench) {
  for (auto [from, to] : {std::pair{"f32", "f16"},
                          {"f32", "bf16"},
                          {"f16", "f32"},
                          {"bf16", "f32"},
                          {"f32", "f8E4M3FN"},
                          {"si8", "f32"},
                          {"f32", "si8"},
                          {"si64", "si32"}})
    bench.stream((std::string("cast to ") + to).c_str(), from, square,
                 [to = to](GraphProgram &p, ValueRange in) { return p.g.cast(in[0], p.type(to), true); });
  Tensor x = someValues(bench.type("f32"), square);
  using graph::BinaryKind;
  for (BinaryKind kind : {BinaryKind::add, BinaryKind::div, BinaryKind::max})
    bench.stream(graph::stringifyBinaryKind(kind).str().c_str(), "f32", {x, x},
                 [&](GraphProgram &p, ValueRange in) { return p.g.binary(kind, in[0], in[1]); });
  for (graph::UnaryKind kind :
       {graph::UnaryKind::neg, graph::UnaryKind::sqrt, graph::UnaryKind::round, graph::UnaryKind::exp})
    bench.stream(graph::stringifyUnaryKind(kind).str().c_str(), "f32", {x},
                 [&](GraphProgram &p, ValueRange in) { return p.g.unary(kind, in[0]); });
  for (int64_t axis : {0, 1})
    bench.stream(axis ? "sum of rows" : "sum of columns", "f32", {x}, [&](GraphProgram &p, ValueRange in) {
      return p.g.reduce(graph::ReduceKind::sum, in[0], {axis});
    });
}

void benchContractions(Bench &bench) {
  bench.multiply("contract 768x768x768", 768. * 768 * 768, {768, 768}, {768, 768},
                 [](GraphProgram &p, ValueRange in) { return p.g.matmul(in[0], in[1]); });
  bench.multiply("conv 3x3, 64 channels, 56x56", 64. * 64 * 9 * 56 * 56, {1, 64, 56, 56}, {64, 64, 3, 3},
                 [](GraphProgram &p, ValueRange in) {
                   return p.g.conv(in[0], in[1], {1, 1}, p.g.dims({1, 1}), {1, 1}, {1, 1}, 1,
                                   p.g.dims({56, 56}));
                 });
}

} // namespace

int main() {
  Bench bench;
  benchMovement(bench);
  benchElementwise(bench);
  benchContractions(bench);
}
