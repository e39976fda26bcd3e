#include "tests/support/ShapeCases.h"

using namespace tilewright::onnxwriter;
using tilewright::interpreter::Tensor;

namespace tilewright::tests {

int64_t ShapeCase::size(const std::string &name) {
  auto [found, fresh] = sizes.try_emplace(name, 0);
  if (fresh)
    found->second = pick({1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33});
  return found->second;
}

void ShapeCase::input(const std::string &name, ElementType type, const Shape &shape, int64_t low,
                      int64_t high) {
  Shape declared;
  Input input{{}, low, high, {}};
  for (auto [axis, dim] : llvm::enumerate(shape)) {
    auto *constant = std::get_if<int64_t>(&dim.value);
    const std::string label = constant ? "" : std::get<std::string>(dim.value);
    const int64_t fits = constant ? *constant : size(label);
    const bool own = chance(constant ? constantsVary : 60);
    if (!own && (constant || chance(40))) {
      declared.push_back(fits);
      input.dims.push_back(fits);
      continue;
    }
    std::string symbol = own ? name + "_" + std::to_string(axis) : label;
    symbols[symbol] = fits;
    declared.push_back(symbol.c_str());
    input.dims.push_back(symbol);
  }
  graph.input(name, type, declared);
  inputs.push_back(std::move(input));
}

void ShapeCase::numbers(const std::string &name, const Shape &shape, std::vector<int64_t> values,
                        ElementType type) {
  input(name, type, shape);
  inputs.back().values = std::move(values);
}

void ShapeCase::node(const std::string &op, const Names &operands, const Messages &attributes,
                     const Names &outputs) {
  graph.node(op, operands, outputs, attributes, domain);
  for (const std::string &output : outputs)
    if (!output.empty())
      graph.output(output);
}

std::string ShapeCase::model() const {
  ModelWriter writer(graph.bytes());
  writer.opset(opset);
  if (!domain.empty())
    writer.opset(1, domain);
  return writer.bytes();
}

llvm::SmallVector<Tensor> ShapeCase::inputsAt(mlir::TypeRange types, const Symbols &at, int wildPercent) {
  llvm::SmallVector<Tensor> tensors;
  for (auto [input, type] : llvm::zip(inputs, types)) {
    interpreter::Shape shape;
    for (const auto &dim : input.dims) {
      auto *constant = std::get_if<int64_t>(&dim);
      shape.push_back(constant ? *constant : at.at(std::get<std::string>(dim)));
    }
    Tensor tensor(llvm::cast<mlir::RankedTensorType>(type).getElementType(), shape);
    const bool isFloat = interpreter::isFloat(tensor.elementType);
    for (int64_t i = 0; i < tensor.size(); ++i) {
      int64_t value = input.values.empty() ? between(input.low, input.high)
                                           : input.values[size_t(i) % input.values.size()];
      if (chance(wildPercent) && !isFloat)
        value = pick({-1, 0, 1, 2, value + 1, value - 1, -value, 2 * value + 1, INT64_MAX, INT64_MIN,
                      INT32_MAX, int64_t(1) << 40});
      isFloat ? tensor.setNumber(i, double(value) / 100) : tensor.setInteger(i, value);
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

llvm::SmallVector<Tensor> ShapeCase::violatingInputs(mlir::TypeRange types) {
  Symbols changed = symbols;
  const int share = int(pick({20, 40, 100}));
  for (auto &[name, size] : changed)
    if (chance(share))
      size = pick({0, 1, 2, size + 1, std::max<int64_t>(size - 1, 0), 2 * size, 3 * size + 1, 17});
  return inputsAt(types, changed, int(pick({0, 0, 30, 100})));
}

std::vector<ShapeTemplate> shapeTemplates() {
  std::vector<ShapeTemplate> all = arithmeticTemplates().vec();
  llvm::append_range(all, movementTemplates());
  llvm::append_range(all, fusedTemplates());
  return all;
}

} // namespace tilewright::tests
