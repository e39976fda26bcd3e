/// ShapeCases.h - small ONNX models whose sizes, indices and counts are only known when they run.
///
/// A case is one operator. Each of its dimensions is a symbol of its own, a symbol that other inputs share,
/// or a constant; what the operator assumes of them (equal sizes, indices in range, windows that fit) holds
/// at the sizes that the case was made for, and need not hold at others.
#pragma once
#include "ir/interpreter/Tensor.h"
#include "mlir/IR/TypeRange.h"
#include "tests/support/OnnxWriter.h"
#include <map>
#include <random>

namespace tilewright::tests {

class ShapeCase {
public:
  explicit ShapeCase(uint64_t seed) : random(seed) {}
  onnxwriter::GraphWriter graph;
  int64_t opset = 23;
  std::string domain; ///< besides ONNX's own, or ""

  int64_t between(int64_t low, int64_t high) { return low + int64_t(random() % uint64_t(high - low + 1)); }
  int64_t pick(std::initializer_list<int64_t> list) { return list.begin()[random() % list.size()]; }
  bool chance(int percent) { return between(1, 100) <= percent; }

  /// What `name` stands for in shapes; drawn when it is first asked for.
  int64_t size(const std::string &name);
  void setSize(const std::string &name, int64_t size) { sizes[name] = size; }

  /// How many percent of the constants in the shapes that follow become symbols.
  void setConstantsVary(int percent) { constantsVary = percent; }
  /// Random values: floats in [low, high] / 100, or integers in [low, high].
  void input(const std::string &name, onnx::ElementType type, const onnxwriter::Shape &shape,
             int64_t low = -100, int64_t high = 100);
  void floats(const std::string &name, const onnxwriter::Shape &shape) {
    input(name, onnx::ElementType::Float32, shape);
  }
  void indices(const std::string &name, const onnxwriter::Shape &shape, int64_t low, int64_t high) {
    input(name, onnx::ElementType::Int64, shape, low, high);
  }
  /// These integers: where sizes violate nothing.
  void numbers(const std::string &name, const onnxwriter::Shape &shape, std::vector<int64_t> values,
               onnx::ElementType type = onnx::ElementType::Int64);
  /// One node, whose outputs are the model's.
  void node(const std::string &op, const onnxwriter::Names &inputs,
            const onnxwriter::Messages &attributes = {}, const onnxwriter::Names &outputs = {"y"});

  std::string model() const;
  /// Inputs at the sizes that the case was made for, or at others, with integers that may be anything.
  llvm::SmallVector<interpreter::Tensor> fittingInputs(mlir::TypeRange types) {
    return inputsAt(types, symbols, 0);
  }
  llvm::SmallVector<interpreter::Tensor> violatingInputs(mlir::TypeRange types);

private:
  struct Input {
    std::vector<std::variant<int64_t, std::string>> dims; ///< sizes and symbols
    int64_t low, high;
    std::vector<int64_t> values; ///< empty: random ones
  };
  using Symbols = std::map<std::string, int64_t>;
  llvm::SmallVector<interpreter::Tensor> inputsAt(mlir::TypeRange types, const Symbols &sizes,
                                                  int wildPercent);
  int constantsVary = 20;
  std::mt19937_64 random;
  Symbols sizes, symbols;
  std::vector<Input> inputs;
};

struct ShapeTemplate {
  const char *name;
  void (*build)(ShapeCase &);
};
/// One for every kind of operator with relations between its inputs.
std::vector<ShapeTemplate> shapeTemplates();
llvm::ArrayRef<ShapeTemplate> arithmeticTemplates();
llvm::ArrayRef<ShapeTemplate> movementTemplates();
llvm::ArrayRef<ShapeTemplate> fusedTemplates();

} // namespace tilewright::tests
