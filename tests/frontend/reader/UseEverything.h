//===- UseEverything.h - touch all that a model gives -----------*- C++ -*-===//
//
// What a caller may do with a model that was read without error, for mutation tests and fuzzing: nothing of
// it may crash.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_TESTS_FRONTEND_READER_USEEVERYTHING_H
#define TILEWRIGHT_TESTS_FRONTEND_READER_USEEVERYTHING_H

#include "frontend/reader/Substitute.h"

namespace tilewright::onnx {

/// A sum over everything reached, so that no access can be optimised away.
class Everything {
public:
  uint64_t use(Model &model) {
    use(model.graph);
    uint64_t allowance = 64 << 20;
    for (const Function &function : model.functions) {
      use(function.body);
      for (const Node &node : function.body.nodes)
        if (auto copy = substituteAttributes(node, model.graph.nodes.empty() ? node : model.graph.nodes[0],
                                             function, allowance))
          use(*copy);
    }
    for (const Error &error : checkModel(model))
      sum += error.text().size();
    use(model.graph);
    return sum;
  }

private:
  void use(std::string_view text) {
    for (char c : text)
      sum += (unsigned char)c;
  }

  template <typename R> bool useError(const R &result) {
    if (!result)
      sum += result.error().text().size();
    return bool(result);
  }

  void use(const Tensor &tensor) {
    use(tensor.name);
    auto view = tensor.view();
    if (useError(view) && view->has_value())
      for (std::byte b : **view)
        sum += uint64_t(b);
    auto dense = tensor.read(1 << 20);
    if (useError(dense))
      sum += dense->size();
    auto strings = tensor.readStrings();
    if (useError(strings))
      for (std::string_view text : *strings)
        use(text);
    useError(tensor.readInts(1 << 16));
  }

  void use(const SparseTensor &tensor) {
    use(tensor.values);
    useError(tensor.read(1 << 20));
  }

  void use(const TypeInfo &type) {
    use(elementTypeName(type.elementType));
    for (const Dimension &dimension : type.shape)
      use(dimension.name);
    for (const TypeInfo &nested : type.nested)
      use(nested);
  }

  void use(const Attribute &attribute) {
    use(attribute.name);
    use(attributeKindName(attribute.kind));
    use(attribute.s);
    for (std::string_view text : attribute.strings)
      use(text);
    for (const Tensor &tensor : attribute.tensors)
      use(tensor);
    for (const SparseTensor &tensor : attribute.sparseTensors)
      use(tensor);
    for (const TypeInfo &type : attribute.types)
      use(type);
    for (const Graph &graph : attribute.graphs)
      use(graph);
  }

  void use(const Node &node) {
    use(node.name);
    for (std::string_view input : node.inputs)
      use(input);
    for (const Attribute &attribute : node.attributes)
      use(attribute);
  }

  void use(const Graph &graph) {
    for (const auto *values : {&graph.inputs, &graph.outputs, &graph.valueInfos})
      for (const ValueInfo &value : *values)
        use(value.type);
    for (const Tensor &tensor : graph.initializers)
      use(tensor);
    for (const SparseTensor &tensor : graph.sparseInitializers)
      use(tensor);
    for (const Node &node : graph.nodes)
      use(node);
  }

  uint64_t sum = 0;
};

} // namespace tilewright::onnx

#endif // TILEWRIGHT_TESTS_FRONTEND_READER_USEEVERYTHING_H
