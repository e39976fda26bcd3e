//===- Substitute.cpp - attribute references of function bodies -----------===//

#include "frontend/reader/OnnxModel.h"

#include <algorithm>

namespace tilewright::onnx {

namespace {

class Substitution {
public:
  Substitution(const Node &call, const Function &function) : call(call), function(function) {}

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
    kept.push_back(*value);
    kept.back().name = reference.name;
    return true;
  }

  const Node &call;
  const Function &function;
  Error problem;
};

} // namespace

Result<Node> substituteAttributes(const Node &node, const Node &call, const Function &function) {
  Node copy = node;
  Substitution substitution(call, function);
  if (!substitution.apply(copy))
    return substitution.error();
  return copy;
}

} // namespace tilewright::onnx
