//===- CheckTest.cpp - names, order, opsets, functions --------------------===//

#include "frontend/reader/Substitute.h"
#include "tests/frontend/reader/ReaderTest.h"

namespace tilewright::onnx {
namespace {

std::vector<Error> check(Held &model, const ReadLimits &limits = {}) { return checkModel(*model, limits); }

/// The codes of all problems.
std::vector<int> codesOf(const ModelWriter &writer, const ReadLimits &limits = {}) {
  Held model = mustRead(writer);
  std::vector<int> codes;
  for (const Error &error : check(model, limits))
    codes.push_back(error.code);
  return codes;
}

std::vector<std::string_view> operators(const Graph &graph) {
  std::vector<std::string_view> ops;
  for (const Node &node : graph.nodes)
    ops.push_back(node.opType);
  return ops;
}

using Codes = std::vector<int>;

GraphWriter withInput(const std::string &name = "x") {
  return GraphWriter().input(name, ElementType::Float32, {1});
}

TEST(CheckModel, ASoundModelPassesUntouched) {
  GraphWriter graph = withInput();
  graph.initializer(tensor<float>("w", {1}, {1})).initializer(tensor<float>("x", {1}, {1}));
  graph.node("Add", {"x", "w"}, {"a"}).node("Clip", {"a", "", "w"}, {"y", ""}).output("y");
  Held model = mustRead(ModelWriter(graph));
  EXPECT_TRUE(check(model).empty()) << "an initializer may be the default of an input";
  EXPECT_EQ(operators(model->graph), (std::vector<std::string_view>{"Add", "Clip"}));
}

TEST(CheckModel, UnsortedNodesAreSortedAndStayInFileOrderOtherwise) {
  GraphWriter graph = withInput();
  graph.node("D", {"c", "b"}, {"d"})
      .node("B", {"x"}, {"b"})
      .node("C", {"b"}, {"c"})
      .node("E", {"x"}, {"e"})
      .output("d");
  Held model = mustRead(ModelWriter(graph));
  EXPECT_TRUE(check(model).empty());
  EXPECT_EQ(operators(model->graph), (std::vector<std::string_view>{"B", "C", "D", "E"}));
}

TEST(CheckModel, CapturedValuesCountForTheOrder) {
  GraphWriter branch;
  branch.node("Relu", {"late"}, {"r"}).output("r");
  GraphWriter graph = withInput();
  graph
      .node("If", {"x"}, {"y"},
            {attributeGraph("then_branch", branch), attributeGraph("else_branch", branch)})
      .node("Neg", {"x"}, {"late"})
      .output("y");
  Held model = mustRead(ModelWriter(graph));
  EXPECT_TRUE(check(model).empty());
  EXPECT_EQ(operators(model->graph), (std::vector<std::string_view>{"Neg", "If"}));
}

TEST(CheckModel, SubgraphsMayReuseNamesAndReturnOuterValues) {
  GraphWriter branch;
  branch.node("Relu", {"x"}, {"y"}).output("y").output("x");
  GraphWriter graph = withInput();
  graph.node("If", {"x"}, {"y", "z"}, {attributeGraph("then_branch", branch)}).output("y");
  EXPECT_EQ(codesOf(ModelWriter(graph)), Codes{});
}

TEST(CheckModel, NamesMustBeDefinedOnce) {
  EXPECT_EQ(codesOf(ModelWriter(withInput().node("A", {"x"}, {"y"}).node("B", {"x"}, {"y"}))), Codes{1020});
  EXPECT_EQ(codesOf(ModelWriter(withInput().node("A", {}, {"x"}))), Codes{1020}) << "a node defines an input";
  EXPECT_EQ(codesOf(ModelWriter(withInput().input("x", ElementType::Float32, {}))), Codes{1020});
  std::string w = tensor<float>("w", {1}, {1});
  EXPECT_EQ(codesOf(ModelWriter(withInput().initializer(w).initializer(w))), Codes{1020});
  EXPECT_EQ(codesOf(ModelWriter(withInput(""))), Codes{1025});
  EXPECT_EQ(codesOf(ModelWriter(withInput().output(""))), Codes{1025});
}

TEST(CheckModel, UndefinedNamesAreReportedOnceWithTheirUser) {
  GraphWriter branch;
  branch.node("Relu", {"ghost"}, {"r"}).node("Abs", {"ghost"}, {"s"});
  GraphWriter graph = withInput();
  graph.node("If", {"x"}, {"y"}, {attributeGraph("then_branch", branch)}).output("nowhere");
  Held model = mustRead(ModelWriter(graph));
  std::vector<Error> errors = check(model);
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_EQ(errors[0].text().substr(0, 60), "TW1021: the value 'ghost' is used but never defined (node 'n");
  EXPECT_EQ(errors[0].op, "Relu");
  EXPECT_EQ(errors[1].tensor, "nowhere");
}

TEST(CheckModel, CyclesNameTheirNodes) {
  GraphWriter graph = withInput();
  graph.node("A", {"x", "c"}, {"a"}).node("B", {"a"}, {"b"}).node("C", {"b"}, {"c"}).node("D", {"c"}, {"d"});
  Held model = mustRead(ModelWriter(graph));
  std::vector<Error> errors = check(model);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].code, 1022);
  EXPECT_NE(errors[0].message.find("a cycle of 3 nodes"), std::string::npos) << errors[0].message;
  EXPECT_EQ(codesOf(ModelWriter(withInput().node("A", {"a"}, {"a"}))), Codes{1022})
      << "a node that needs itself";
  GraphWriter branch;
  branch.node("Relu", {"y"}, {"r"});
  EXPECT_EQ(
      codesOf(ModelWriter(withInput().node("If", {"x"}, {"y"}, {attributeGraph("then_branch", branch)}))),
      Codes{1022})
      << "a branch that needs the result of its If";
}

TEST(CheckModel, Opsets) {
  GraphWriter graph = withInput();
  graph.node("Relu", {"x"}, {"y"}).node("Relu", {"y"}, {"z"});
  EXPECT_EQ(codesOf(ModelWriter(graph).opset(1)), Codes{});
  EXPECT_EQ(codesOf(ModelWriter(graph).opset(28)), Codes{});
  EXPECT_EQ(codesOf(ModelWriter(graph).opset(0)), Codes{1024}) << "once, not per node";
  EXPECT_EQ(codesOf(ModelWriter(graph).opset(29)), Codes{1024});
  EXPECT_EQ(codesOf(ModelWriter(graph).withoutOpset()), Codes{1023});
  graph.node("Fused", {"x"}, {"f"}, {}, "com.microsoft");
  EXPECT_EQ(codesOf(ModelWriter(graph).opset(17)), Codes{1023});
  EXPECT_EQ(codesOf(ModelWriter(graph).opset(17).opset(1, "com.microsoft")), Codes{}) << "others are kept";
}

TEST(CheckModel, NodesNeedOperatorsAndDistinctAttributes) {
  EXPECT_EQ(codesOf(ModelWriter(withInput().node("", {"x"}, {"y"}))), Codes{1025});
  EXPECT_EQ(
      codesOf(ModelWriter(withInput().node("A", {"x"}, {"y"}, {attributeInt("k", 1), attributeInt("k", 2)}))),
      Codes{1016});
}

FunctionWriter function(const std::string &name) {
  FunctionWriter writer("local", name, {"a"}, {"b"});
  return writer.opset(17);
}

TEST(CheckModel, FunctionsSeeOnlyTheirOwnValues) {
  GraphWriter graph = withInput();
  graph.node("F", {"x"}, {"y"}, {}, "local");
  EXPECT_EQ(codesOf(ModelWriter(graph).opset(17).function(function("F").node("Neg", {"a"}, {"b"}))), Codes{});
  EXPECT_EQ(codesOf(ModelWriter(graph).opset(17).function(function("F").node("Neg", {"x"}, {"b"}))),
            Codes{1021});
}

TEST(CheckModel, RecursiveAndExplodingFunctionsAreRefused) {
  GraphWriter graph = withInput();
  graph.node("F0", {"x"}, {"y"}, {}, "local");
  auto call = [](const std::string &name, const std::string &callee) {
    return function(name).node(callee, {"a"}, {"m"}, {}, "local").node(callee, {"m"}, {"b"}, {}, "local");
  };
  EXPECT_EQ(codesOf(ModelWriter(graph).opset(17).function(call("F0", "F1")).function(call("F1", "F0"))),
            Codes{1026});
  auto chain = [&](int length) {
    ModelWriter writer(graph);
    writer.opset(17);
    for (int i = 0; i < length; ++i)
      writer.function(call("F" + std::to_string(i), "F" + std::to_string(i + 1)));
    return writer.function(function("F" + std::to_string(length)).node("Neg", {"a"}, {"b"}));
  };
  EXPECT_EQ(codesOf(chain(16)), Codes{}) << "65,536 nodes";
  EXPECT_EQ(codesOf(chain(20)), Codes{1027}) << "a million nodes";
  EXPECT_EQ(codesOf(chain(63)), Codes{1027}) << "2^63 nodes";
  ReadLimits limits;
  limits.maxCalledNodes = 100;
  EXPECT_EQ(codesOf(chain(7), limits), Codes{1027});
}

TEST(CheckModel, CallsMayNotNestWithoutEnd) {
  GraphWriter graph = withInput();
  graph.node("F0", {"x"}, {"y"}, {}, "local");
  ModelWriter writer(graph);
  writer.opset(17);
  for (int i = 0; i < 20000; ++i)
    writer.function(
        function("F" + std::to_string(i)).node("F" + std::to_string(i + 1), {"a"}, {"b"}, {}, "local"));
  writer.function(function("F20000").node("Neg", {"a"}, {"b"}));
  EXPECT_EQ(codesOf(writer), Codes{1027});
}

TEST(CheckModel, AttributeReferencesBelongIntoFunctions) {
  auto reference = attributeReference("axis", "k", Attribute::Kind::Int);
  GraphWriter graph = withInput();
  graph.node("F", {"x"}, {"y"}, {}, "local");
  auto body = [&] { return function("F").node("Softmax", {"a"}, {"b"}, {reference}); };
  EXPECT_EQ(codesOf(ModelWriter(graph).opset(17).function(body().attributeName("k"))), Codes{});
  EXPECT_EQ(codesOf(ModelWriter(graph).opset(17).function(body())), Codes{1028}) << "not declared";
  EXPECT_EQ(codesOf(ModelWriter(withInput().node("Softmax", {"x"}, {"y"}, {reference}))), Codes{1028});
}

TEST(CheckModel, ReportsEverythingButNotWithoutEnd) {
  GraphWriter graph;
  for (int i = 0; i < 3000; ++i)
    graph.node("Neg", {"ghost" + std::to_string(i)}, {"y" + std::to_string(i)});
  EXPECT_EQ(codesOf(ModelWriter(graph)).size(), 1000u);
}

/// A function whose body has `node`, and a call of it with `callAttributes`; what the node becomes.
Result<Node> substituted(const std::string &node, FunctionWriter function, const Messages &callAttributes,
                         Held &held) {
  GraphWriter graph;
  graph.node("F", {"x"}, {"y"}, callAttributes, "local");
  held = mustRead(ModelWriter(graph).opset(17).function(function.add(7, node)));
  const Function &body = held->functions.at(0);
  uint64_t allowance = 1 << 20;
  return substituteAttributes(body.body.nodes.at(0), held->graph.nodes.at(0), body, allowance);
}

TEST(SubstituteAttributes, TakesTheCallersElseTheDefaultElseNone) {
  auto user = node("Softmax", {"a"}, {"b"}, {attributeReference("axis", "k", Attribute::Kind::Int)});
  Held held;
  auto given = substituted(user, function("F").attributeName("k"), {attributeInt("k", 5)}, held);
  ASSERT_TRUE(given) << given.error().text();
  EXPECT_EQ(given->attribute("axis")->i, 5);
  EXPECT_TRUE(given->attribute("axis")->refAttrName.empty());
  auto byDefault = substituted(user, function("F").attributeDefault(attributeInt("k", 3)), {}, held);
  ASSERT_TRUE(byDefault);
  EXPECT_EQ(byDefault->attribute("axis")->i, 3);
  auto none = substituted(user, function("F").attributeName("k"), {}, held);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->attributes.empty());
}

TEST(SubstituteAttributes, ReachesIntoSubgraphs) {
  GraphWriter branch;
  branch.node("Softmax", {"a"}, {"s"}, {attributeReference("axis", "k", Attribute::Kind::Int)});
  auto user = node("If", {"a"}, {"b"}, {attributeGraph("then_branch", branch)});
  Held held;
  auto result = substituted(user, function("F").attributeName("k"), {attributeInt("k", 5)}, held);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->attribute("then_branch")->graph().nodes.at(0).attribute("axis")->i, 5);
}

TEST(SubstituteAttributes, RefusesWrongKindsAndUndeclaredNames) {
  auto user = node("Softmax", {"a"}, {"b"}, {attributeReference("axis", "k", Attribute::Kind::Int)});
  Held held;
  EXPECT_EQ(substituted(user, function("F").attributeName("k"), {attributeFloat("k", 5)}, held).error().code,
            1028);
  EXPECT_EQ(substituted(user, function("F"), {}, held).error().code, 1028);
}

} // namespace
} // namespace tilewright::onnx
