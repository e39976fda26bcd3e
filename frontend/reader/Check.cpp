//===- Check.cpp - names, order, opsets and calls of a whole model --------===//
//
// One walk from the inside out: a graph is checked after the subgraphs of its nodes, which report the names
// they take from around them. Those captured names count as inputs of the node that holds the subgraph, so
// sorting respects them. Linear in the size of the model (times the nesting depth for captured names); only
// an unsorted graph pays for a heap.
//===----------------------------------------------------------------------===//

#include "frontend/reader/OnnxModel.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace tilewright::onnx {

namespace {

constexpr size_t maxReportedErrors = 1000;
constexpr unsigned maxCallDepth = 100;

/// A name that a graph uses but does not define, and who uses it.
struct Capture {
  std::string_view value, node, op;
};

/// Producers of the values of one graph: a node's index, or `fromGraph` for inputs and initializers.
using Producers = std::unordered_map<std::string_view, size_t>;
constexpr size_t fromGraph = SIZE_MAX;

/// Which nodes each node needs: `producers[begin[i]..begin[i + 1])` for node i.
struct Dependencies {
  std::vector<size_t> begin = {0}, producers;
};

class Checker {
public:
  Checker(Model &model, const ReadLimits &limits) : model(model), limits(limits) {}

  std::vector<Error> run() {
    checkBody(model.graph, nullptr);
    for (Function &function : model.functions)
      checkBody(function.body, &function);
    if (!model.functions.empty() && errors.empty())
      checkCalls();
    return std::move(errors);
  }

private:
  /// What calling a function amounts to.
  struct Call {
    bool active = false; ///< being counted: meeting it again is a recursion
    uint64_t nodes = 0;
    unsigned height = 0; ///< longest chain of calls from here
  };
  /// The main graph or a function body while it is counted.
  struct Frame {
    unsigned depth = 0;
    unsigned height = 0;
  };

  Error &report(int code, std::string message, std::string hint) {
    if (errors.size() < maxReportedErrors)
      return errors.emplace_back(Error{.code = code, .message = std::move(message), .hint = std::move(hint)});
    return ignored = {};
  }
  Error &reportAt(const Node &node, int code, std::string message, std::string hint) {
    Error &error = report(code, std::move(message), std::move(hint));
    error.node = std::string(node.name);
    error.op = std::string(node.opType);
    return error;
  }

  void checkBody(Graph &graph, const Function *function);
  std::vector<Capture> checkGraph(Graph &graph);
  Producers define(const Graph &graph);
  void defineGraphValue(Producers &producers, std::string_view name, const char *what);
  void checkNode(const Node &node);
  void checkAttribute(const Node &node, const Attribute &attribute);
  void checkOpset(const Node &node);
  void sort(Graph &graph, const Dependencies &dependencies);
  void reportCycle(const Graph &graph, const Dependencies &dependencies, const std::vector<size_t> &blocked);
  void checkCalls();
  uint64_t countNodes(const Graph &graph, Frame &frame);
  uint64_t countCall(const Function &function, Frame &caller);

  Model &model;
  const ReadLimits &limits;
  const Function *within = nullptr; ///< the function whose body is being checked
  std::vector<Error> errors;
  Error ignored;
  std::set<std::pair<const Function *, std::string_view>> checkedDomains;
  std::unordered_map<const Function *, Call> calls;
};

/// The main graph or a function body: nothing lies around it, so nothing may be captured.
void Checker::checkBody(Graph &graph, const Function *function) {
  within = function;
  for (const Capture &capture : checkGraph(graph)) {
    Error &error = report(1021, "the value '" + std::string(capture.value) + "' is used but never defined",
                          "The model was cut or edited wrongly; export it again.");
    error.node = std::string(capture.node);
    error.op = std::string(capture.op);
    error.tensor = std::string(capture.value);
  }
}

void Checker::defineGraphValue(Producers &producers, std::string_view name, const char *what) {
  if (name.empty())
    report(1025, std::string(what) + " of graph '" + std::string(model.graph.name) + "' has no name",
           "Every graph input, output and initializer needs one; export the model again.");
  else if (!producers.emplace(name, fromGraph).second)
    report(1020, std::string(what) + " '" + std::string(name) + "' is defined twice",
           "Names must be unique within a graph; export the model again.")
        .tensor = std::string(name);
}

/// All values that the graph itself defines. An initializer may share the name of an input: it is its
/// default.
Producers Checker::define(const Graph &graph) {
  Producers producers, initializers;
  producers.reserve(graph.nodes.size() + graph.initializers.size());
  for (const ValueInfo &input : graph.inputs)
    defineGraphValue(producers, input.name, "an input");
  for (const Tensor &tensor : graph.initializers)
    defineGraphValue(initializers, tensor.name, "an initializer");
  for (const SparseTensor &tensor : graph.sparseInitializers)
    defineGraphValue(initializers, tensor.values.name, "an initializer");
  producers.merge(initializers);
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    for (std::string_view output : graph.nodes[i].outputs)
      if (!output.empty() && !producers.emplace(output, i).second)
        reportAt(graph.nodes[i], 1020, "the value '" + std::string(output) + "' is defined twice",
                 "Names must be unique within a graph; export the model again.")
            .tensor = std::string(output);
  return producers;
}

std::vector<Capture> Checker::checkGraph(Graph &graph) {
  Producers producers = define(graph);
  std::vector<Capture> captures;
  std::unordered_set<std::string_view> captured;
  Dependencies dependencies;
  bool sorted = true;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    Node &node = graph.nodes[i];
    auto use = [&](const Capture &value) {
      auto producer = producers.find(value.value);
      if (producer == producers.end()) {
        if (captured.insert(value.value).second)
          captures.push_back(value);
      } else if (producer->second != fromGraph) {
        sorted &= producer->second < i;
        dependencies.producers.push_back(producer->second);
      }
    };
    checkNode(node);
    for (std::string_view input : node.inputs)
      if (!input.empty())
        use({input, node.name, node.opType});
    for (Attribute &attribute : node.attributes)
      for (Graph &subgraph : attribute.graphs)
        for (const Capture &capture : checkGraph(subgraph))
          use(capture);
    dependencies.begin.push_back(dependencies.producers.size());
  }
  for (const ValueInfo &output : graph.outputs) {
    if (output.name.empty())
      report(1025, "an output of graph '" + std::string(graph.name) + "' has no name",
             "Every graph input, output and initializer needs one; export the model again.");
    else if (!producers.count(output.name) && captured.insert(output.name).second)
      captures.push_back({output.name, {}, {}});
  }
  if (!sorted)
    sort(graph, dependencies);
  return captures;
}

void Checker::checkNode(const Node &node) {
  if (node.opType.empty())
    reportAt(node, 1025, "a node has no operator", "The model is damaged; export it again.");
  else
    checkOpset(node);
  std::unordered_set<std::string_view> names;
  for (const Attribute &attribute : node.attributes) {
    checkAttribute(node, attribute);
    if (!names.insert(attribute.name).second)
      reportAt(node, 1016, "the attribute '" + std::string(attribute.name) + "' is given twice",
               "Run onnx.checker on the model.");
  }
}

void Checker::checkAttribute(const Node &node, const Attribute &attribute) {
  if (attribute.refAttrName.empty())
    return;
  auto isDefault = [&](const Attribute &other) { return other.name == attribute.refAttrName; };
  bool declared =
      within &&
      (std::count(within->attributeNames.begin(), within->attributeNames.end(), attribute.refAttrName) ||
       std::any_of(within->attributeDefaults.begin(), within->attributeDefaults.end(), isDefault));
  if (!declared)
    reportAt(node, 1028,
             "the attribute '" + std::string(attribute.name) + "' refers to '" +
                 std::string(attribute.refAttrName) + "', which " +
                 (within ? "its function does not declare" : "only a function body may do"),
             "The exporter wrote an invalid function; export the model again.");
}

/// Each domain is reported once, at its first node.
void Checker::checkOpset(const Node &node) {
  if (!checkedDomains.contains({within, node.domain}) && !model.functionOf(node)) {
    checkedDomains.insert({within, node.domain});
    std::optional<int64_t> opset = model.opsetOf(node, within);
    if (!opset)
      reportAt(node, 1023,
               "the model imports no operator set for the domain '" +
                   (node.domain.empty() ? "ai.onnx" : std::string(node.domain)) + "'",
               "Without it the operator's meaning is unknown; add the opset import.");
    else if (node.domain.empty() && (*opset < oldestOpset || *opset > newestOpset))
      reportAt(node, 1024,
               "the model uses ONNX opset " + std::to_string(*opset) + "; " + std::to_string(oldestOpset) +
                   " to " + std::to_string(newestOpset) + " are supported",
               "Convert it with onnx.version_converter, or export it at another opset.")
          .status = Status::Unsupported;
  }
}

/// Kahn's algorithm; of the nodes that are ready, the first in the file goes first.
void Checker::sort(Graph &graph, const Dependencies &dependencies) {
  size_t count = graph.nodes.size();
  std::vector<size_t> waitingFor(count), userBegin(count + 1), users(dependencies.producers.size());
  for (size_t producer : dependencies.producers)
    ++userBegin[producer + 1];
  for (size_t i = 0; i < count; ++i)
    userBegin[i + 1] += userBegin[i];
  std::vector<size_t> fill(userBegin.begin(), userBegin.end() - 1);
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < count; ++i) {
    for (size_t d = dependencies.begin[i]; d < dependencies.begin[i + 1]; ++d)
      users[fill[dependencies.producers[d]]++] = i;
    waitingFor[i] = dependencies.begin[i + 1] - dependencies.begin[i];
    if (waitingFor[i] == 0)
      ready.push(i);
  }
  std::vector<Node> order;
  order.reserve(count);
  std::vector<size_t> places;
  while (!ready.empty()) {
    size_t node = ready.top();
    ready.pop();
    places.push_back(node);
    for (size_t u = userBegin[node]; u < userBegin[node + 1]; ++u)
      if (--waitingFor[users[u]] == 0)
        ready.push(users[u]);
  }
  if (places.size() != count)
    return reportCycle(graph, dependencies, waitingFor);
  for (size_t place : places)
    order.push_back(std::move(graph.nodes[place]));
  graph.nodes = std::move(order);
}

/// `waitingFor` is not zero for the nodes on and after a cycle: from any of them, walking to a blocked
/// producer must come round.
void Checker::reportCycle(const Graph &graph, const Dependencies &dependencies,
                          const std::vector<size_t> &waitingFor) {
  auto isBlocked = [&](size_t node) { return waitingFor[node] != 0; };
  size_t node = 0;
  while (!isBlocked(node))
    ++node;
  std::vector<size_t> path;
  std::unordered_map<size_t, size_t> placeOnPath;
  while (placeOnPath.emplace(node, path.size()).second) {
    path.push_back(node);
    auto first = dependencies.producers.begin() + ptrdiff_t(dependencies.begin[node]);
    auto last = dependencies.producers.begin() + ptrdiff_t(dependencies.begin[node + 1]);
    node = *std::find_if(first, last, isBlocked);
  }
  std::string names;
  size_t begin = placeOnPath[node], shown = 0;
  for (size_t i = path.size(); i > begin && shown < 8; --i, ++shown) {
    const Node &step = graph.nodes[path[i - 1]];
    names += (shown ? ", " : "") + std::string(step.opType) + " '" + std::string(step.name) + "'";
  }
  reportAt(graph.nodes[node], 1022,
           "the graph has a cycle of " + std::to_string(path.size() - begin) + " nodes: " + names +
               (path.size() - begin > shown ? ", ..." : ""),
           "A value cannot depend on itself; use Loop or Scan for repetition.");
}

/// Calls of model-local functions must end, and must not blow up.
void Checker::checkCalls() {
  Frame main;
  uint64_t nodes = countNodes(model.graph, main);
  for (const Function &function : model.functions)
    countCall(function, main);
  if (errors.empty() && (nodes > limits.maxCalledNodes || main.height > maxCallDepth))
    report(1027,
           "with all function calls expanded the model has more than " +
               std::to_string(limits.maxCalledNodes) + " nodes, or calls nested more than " +
               std::to_string(maxCallDepth) + " deep",
           "Real models are far smaller; the model is wrong or hostile.");
}

/// Nodes of the graph and its subgraphs with all calls expanded, capped just above the limit.
uint64_t Checker::countNodes(const Graph &graph, Frame &frame) {
  uint64_t nodes = 0;
  for (const Node &node : graph.nodes) {
    const Function *function = model.functionOf(node);
    nodes += function ? countCall(*function, frame) : 1;
    for (const Attribute &attribute : node.attributes)
      for (const Graph &subgraph : attribute.graphs)
        nodes += countNodes(subgraph, frame);
    nodes = std::min(nodes, limits.maxCalledNodes + 1);
  }
  return nodes;
}

uint64_t Checker::countCall(const Function &function, Frame &caller) {
  Call &call = calls[&function]; // references into unordered_map stay valid as it grows
  if (call.active && errors.empty())
    report(1026, "the model-local function '" + std::string(function.name) + "' calls itself",
           "ONNX functions cannot be recursive; export the model again.");
  if (call.height == 0 && !call.active) {
    Frame frame{.depth = caller.depth + 1};
    call.active = true;
    call.nodes = frame.depth > maxCallDepth ? 0 : countNodes(function.body, frame);
    call.active = false;
    call.height = frame.depth > maxCallDepth ? frame.depth : frame.height + 1;
  }
  caller.height = std::max(caller.height, call.height);
  return call.nodes;
}

} // namespace

std::vector<Error> checkModel(Model &model, const ReadLimits &limits) { return Checker(model, limits).run(); }

} // namespace tilewright::onnx
