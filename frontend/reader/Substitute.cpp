//===- Substitute.cpp - attribute references of function bodies -----------===//

#include "frontend/reader/Substitute.h"

#include <algorithm>

namespace tilewright::onnx {

namespace {

uint64_t bytesOf(const Node &node);

/// About what a copy takes. Tensors are views; but their dimensions and places in files are not.
uint64_t bytesOf(const Attribute &attribute) {
  uint64_t bytes =
      sizeof(Attribute) + attribute.floats.size() * sizeof(float) + attribute.ints.size() * sizeof(int64_t) +
      attribute.strings.size() * sizeof(std::string_view) + attribute.tensors.size() * sizeof(Tensor) +
      attribute.types.size() * sizeof(TypeInfo) + attribute.sparseTensors.size() * sizeof(SparseTensor);
  for (const Graph &graph : attribute.graphs) {
    bytes += sizeof(Graph) + graph.initializers.size() * sizeof(Tensor) +
             (graph.inputs.size() + graph.outputs.size() + graph.valueInfos.size()) * sizeof(ValueInfo);
    for (const Node &node : graph.nodes)
      bytes += bytesOf(node);
  }
  return bytes;
}

uint64_t bytesOf(const Node &node) {
  uint64_t bytes = sizeof(Node) + (node.inputs.size() + node.outputs.size()) * sizeof(std::string_view);
  for (const Attribute &attribute : node.attributes)
    bytes += bytesOf(attribute);
  return bytes;
}

class Substitution {
public:
  Substitution(const Node &call, const Function &function, uint64_t &allowance)
      : call(call), function(function), allowance(allowance) {}

  /// Takes what a copy needs from the allowance; false, and nothing left, where that is too much.
  bool spend(const Node &node, uint64_t bytes) {
    if (bytes <= allowance) {
      allowance -= bytes;
      return true;
    }
    allowance = 0;
    problem = {.code = 1029,
               .status = Status::Unsupported,
               .message = "the attributes that functions hand on grow beyond all bounds",
               .hint = "Does the model hand a graph to a function that uses it twice, and so on?",
               .node = std::string(node.name),
               .op = std::string(node.opType)};
    return false;
  }

  /// False when a reference cannot be resolved; then error() says why.
  bool apply(Node &node) {
    std::vector<Attribute> kept;
    for (Attribute &attribute : node.attributes) {
      if (!attribute.refAttrName.empty()) {
        if (!resolve(node, attribute, kept))
          return false;
        continue;
      }
      for (Graph &graph : attribute.graphs)
        for (Node &inner : graph.nodes)
          if (!apply(inner))
            return false;
      kept.push_back(std::move(attribute));
    }
    node.attributes = std::move(kept);
    return true;
  }

  const Error &error() const { return problem; }

private:
  bool fail(const Node &node, std::string message) {
    problem = {.code = 1028,
               .message = std::move(message),
               .hint = "The exporter wrote an invalid function; export the model again.",
               .node = std::string(node.name),
               .op = std::string(node.opType)};
    return false;
  }

  /// The attribute that a reference stands for: the caller's, else the default, else null.
  const Attribute *valueOf(std::string_view name) const {
    if (const Attribute *given = call.attribute(name))
      return given;
    const auto &defaults = function.attributeDefaults;
    auto found =
        std::find_if(defaults.begin(), defaults.end(), [&](const Attribute &a) { return a.name == name; });
    return found == defaults.end() ? nullptr : &*found;
  }

  bool resolve(const Node &node, const Attribute &reference, std::vector<Attribute> &kept) {
    const auto &names = function.attributeNames;
    const Attribute *value = valueOf(reference.refAttrName);
    std::string label = "the attribute '" + std::string(reference.name) + "', a reference to '" +
                        std::string(reference.refAttrName) + "' of function '" + std::string(function.name) +
                        "', ";
    if (!value)
      return std::find(names.begin(), names.end(), reference.refAttrName) != names.end() ||
             fail(node, label + "which declares no such attribute");
    if (!value->refAttrName.empty())
      return fail(node, label + "is called with an attribute that is itself a reference");
    if (reference.kind != Attribute::Kind::Undefined && reference.kind != value->kind)
      return fail(node, label + "wants " + std::string(attributeKindName(reference.kind)) + " but gets " +
                            std::string(attributeKindName(value->kind)));
    if (!spend(node, bytesOf(*value)))
      return false;
    kept.push_back(*value);
    kept.back().name = reference.name;
    return true;
  }

  const Node &call;
  const Function &function;
  uint64_t &allowance;
  Error problem;
};

} // namespace

bool refersToAttributes(const Node &node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(), [](const Attribute &attribute) {
    return !attribute.refAttrName.empty() ||
           std::any_of(attribute.graphs.begin(), attribute.graphs.end(), [](const Graph &graph) {
             return std::any_of(graph.nodes.begin(), graph.nodes.end(), refersToAttributes);
           });
  });
}

Result<Node> substituteAttributes(const Node &node, const Node &call, const Function &function,
                                  uint64_t &allowance) {
  Substitution substitution(call, function, allowance);
  if (!substitution.spend(node, bytesOf(node)))
    return substitution.error();
  Node copy = node;
  if (!substitution.apply(copy))
    return substitution.error();
  return copy;
}

} // namespace tilewright::onnx
