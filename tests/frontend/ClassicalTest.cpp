// The operators of ai.onnx.ml, and forms of operators that only old models have, on numbers worked out by
// hand.
#include "tests/frontend/Operators.h"

#include <cmath>

using namespace tilewright;
using namespace tilewright::onnxwriter;
using testing::AllOf;
using testing::HasSubstr;
using tests::Numbers;

namespace {

const std::string ml = "ai.onnx.ml";

struct Classical : tests::Operators {
  Numbers classify(const Messages &attributes, const std::string &op, llvm::ArrayRef<double> x,
                   Numbers &labels) {
    GraphWriter graph;
    graph.input("x", ElementType::Float32, {"n", 2}).node(op, {"x"}, {"label", "p"}, attributes, ml);
    auto results = run(graph.output("label").output("p"), {floats({int64_t(x.size()) / 2, 2}, x)});
    if (results.size() != 2)
      return {};
    labels = results[0].numbers();
    return results[1].numbers();
  }
};

/// x[1] <= 0.5 ? leaf 1 : leaf 2
Messages stump(const std::string &mode = "BRANCH_LEQ") {
  return {
      attributeInts("nodes_treeids", {0, 0, 0}),     attributeInts("nodes_nodeids", {0, 1, 2}),
      attributeInts("nodes_featureids", {1, 0, 0}),  attributeStrings("nodes_modes", {mode, "LEAF", "LEAF"}),
      attributeFloats("nodes_values", {0.5f, 0, 0}), attributeInts("nodes_truenodeids", {1, 0, 0}),
      attributeInts("nodes_falsenodeids", {2, 0, 0})};
}

Messages with(Messages messages, const Messages &more) {
  messages.insert(messages.end(), more.begin(), more.end());
  return messages;
}

TEST_F(Classical, ScalersSubtractThenMultiply) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"n", 2});
  graph.node("Scaler", {"x"}, {"y"},
             {attributeFloats("offset", {1, 2}), attributeFloats("scale", {10, 0.5f})}, ml);
  auto results = run(graph.output("y"), {floats({2, 2}, {3, 4, 1, 2})});
  tests::expectNear(results[0], {2, 2}, {20, 1, 0, 0});
  GraphWriter bad;
  bad.input("x", ElementType::Float32, {"n", 3});
  bad.node("Scaler", {"x"}, {"y"}, {attributeFloats("offset", {1, 2})}, ml);
  EXPECT_THAT(import(bad.output("y")), HasSubstr("TW2005"));
}

TEST_F(Classical, TreesGiveTheLabelOfTheHighestScore) {
  Messages leaves = {attributeInts("class_treeids", {0, 0, 0, 0, 0, 0}),
                     attributeInts("class_nodeids", {1, 1, 1, 2, 2, 2}),
                     attributeInts("class_ids", {0, 1, 2, 0, 1, 2}),
                     attributeFloats("class_weights", {0.5f, 0.25f, 0.25f, 0, 0.125f, 0.875f}),
                     attributeInts("classlabels_int64s", {10, 20, 30})};
  Numbers labels,
      scores = classify(with(stump(), leaves), "TreeEnsembleClassifier", {9, 0.5, 0, 0.6}, labels);
  EXPECT_EQ(labels, Numbers({10, 30}));
  EXPECT_EQ(scores, Numbers({0.5, 0.25, 0.25, 0, 0.125, 0.875}));
}

/// One score for two classes: of weights that are not negative the other class has the complement.
TEST_F(Classical, TreesOfOneScoreDecideBetweenTwoClasses) {
  auto leaves = [](float one, float two) {
    return Messages{attributeInts("class_treeids", {0, 0}), attributeInts("class_nodeids", {1, 2}),
                    attributeInts("class_ids", {0, 0}), attributeFloats("class_weights", {one, two}),
                    attributeInts("classlabels_int64s", {3, 5})};
  };
  Numbers labels, scores;
  scores = classify(with(stump(), leaves(0.25f, 0.75f)), "TreeEnsembleClassifier", {0, 0, 0, 1}, labels);
  EXPECT_EQ(labels, Numbers({3, 5}));
  EXPECT_EQ(scores, Numbers({0.75, 0.25, 0.25, 0.75}));
  scores = classify(with(stump(), leaves(-0.25f, 0.25f)), "TreeEnsembleClassifier", {0, 0, 0, 1}, labels);
  EXPECT_EQ(labels, Numbers({3, 5}));
  EXPECT_EQ(scores, Numbers({0.25, -0.25, -0.25, 0.25}));
}

TEST_F(Classical, NodesCompareEachInItsWay) {
  for (auto [mode, want] : {std::pair("BRANCH_LT", Numbers{1, 2, 2}),
                            {"BRANCH_LEQ", {1, 1, 2}},
                            {"BRANCH_GT", {2, 2, 1}},
                            {"BRANCH_GTE", {2, 1, 1}},
                            {"BRANCH_EQ", {2, 1, 2}},
                            {"BRANCH_NEQ", {1, 2, 1}}}) {
    GraphWriter graph;
    graph.input("x", ElementType::Float32, {"n", 2});
    graph.node(
        "TreeEnsembleRegressor", {"x"}, {"y"},
        with(stump(mode), {attributeInts("target_treeids", {0, 0}), attributeInts("target_nodeids", {1, 2}),
                           attributeInts("target_ids", {0, 0}), attributeFloats("target_weights", {1, 2})}),
        ml);
    auto results = run(graph.output("y"), {floats({3, 2}, {0, 0.25, 0, 0.5, 0, 1})});
    tests::expectNear(results[0], {3, 1}, want);
  }
}

TEST_F(Classical, LoopsAreNoTrees) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"n", 2});
  graph.node("TreeEnsembleRegressor", {"x"}, {"y"},
             {attributeInts("nodes_treeids", {0, 0}), attributeInts("nodes_nodeids", {0, 1}),
              attributeInts("nodes_featureids", {0, 0}),
              attributeStrings("nodes_modes", {"BRANCH_LT", "BRANCH_LT"}),
              attributeFloats("nodes_values", {0, 0}), attributeInts("nodes_truenodeids", {1, 0}),
              attributeInts("nodes_falsenodeids", {1, 0})},
             ml);
  EXPECT_THAT(import(graph.output("y")), HasSubstr("TW1205"));
}

TEST_F(Classical, EncodersKnowTheirKeysAndADefault) {
  GraphWriter graph;
  graph.input("x", ElementType::Int64, {"n"});
  graph.node("LabelEncoder", {"x"}, {"y"},
             {attributeInts("keys_int64s", {5, 9}), attributeFloats("values_floats", {0.5f, 0.9f}),
              attributeFloat("default_float", -7)},
             ml);
  graph.node("OneHotEncoder", {"x"}, {"z"}, {attributeInts("cats_int64s", {5, 9})}, ml);
  auto results = run(graph.output("y").output("z"), {ints({3}, {9, 1, 5})});
  tests::expectNear(results[0], {3}, {0.9, -7, 0.5});
  tests::expectNear(results[1], {3, 2}, {0, 1, 0, 0, 1, 0});
}

TEST_F(Classical, LinearModels) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"n", 2});
  graph.node("LinearRegressor", {"x"}, {"y"},
             {attributeFloats("coefficients", {1, 2, 3, 4}), attributeFloats("intercepts", {0.5f, -0.5f}),
              attributeInt("targets", 2)},
             ml);
  auto results = run(graph.output("y"), {floats({1, 2}, {10, 1})});
  tests::expectNear(results[0], {1, 2}, {12.5, 33.5});
  Numbers labels,
      scores = classify({attributeFloats("coefficients", {1, -1}), attributeFloats("intercepts", {0.5f}),
                         attributeInts("classlabels_ints", {4, 7})},
                        "LinearClassifier", {0, 1, 1, 0}, labels);
  EXPECT_EQ(labels, Numbers({4, 7}));
  EXPECT_EQ(scores, Numbers({1.5, -0.5, -0.5, 1.5}));
}

TEST_F(Classical, SupportVectorsDecideByVotesOfPairs) {
  Messages pair = {attributeFloats("support_vectors", {1, 0, 0, 1}),
                   attributeInts("vectors_per_class", {1, 1}), attributeFloats("coefficients", {1, -1}),
                   attributeFloats("rho", {0.5f}), attributeInts("classlabels_ints", {7, 9})};
  Numbers labels, scores = classify(pair, "SVMClassifier", {2, 0, 0, 3}, labels);
  EXPECT_EQ(labels, Numbers({7, 9}));
  EXPECT_EQ(scores, Numbers({-2.5, 2.5, 2.5, -2.5}));
  Messages three = {attributeFloats("support_vectors", {1, 0, 0, 1, -1, -1}),
                    attributeInts("vectors_per_class", {1, 1, 1}),
                    attributeFloats("coefficients", {1, -1, -1, 1, 1, -1}),
                    attributeFloats("rho", {0, 0.25f, -0.5f}), attributeInts("classlabels_ints", {4, 5, 6})};
  scores = classify(three, "SVMClassifier", {2, 0, 0, 3, -1, -2}, labels);
  EXPECT_EQ(labels, Numbers({4, 5, 6})); // pairs (4, 5), (4, 6), (5, 6)
  EXPECT_EQ(scores, Numbers({2, 4.25, 1.5, -3, 3.25, 5.5, 1, -3.75, -5.5}));
  GraphWriter bad;
  bad.input("x", ElementType::Float32, {"n", 2});
  bad.node("SVMClassifier", {"x"}, {"label", "p"},
           with({attributeFloats("prob_a", {-1}), attributeFloats("prob_b", {0})}, three), ml);
  EXPECT_THAT(import(bad.output("p")), HasSubstr("TW1205"));
}

/// Where the pairs agree, the classes' probabilities are those that the pairs came from: r = p_i / (p_i +
/// p_j).
TEST_F(Classical, ProbabilitiesOfPairsAreCoupled) {
  double wanted[] = {0.5, 0.3, 0.2};
  float odds[] = {std::log(0.5f / 0.3f), std::log(0.5f / 0.2f), std::log(0.3f / 0.2f)};
  Messages three = {attributeFloats("support_vectors", {1, 0, 0, 1, 1, 1}),
                    attributeInts("vectors_per_class", {1, 1, 1}),
                    attributeFloats("coefficients", {0, 0, 0, 0, 0, 0}),
                    attributeFloats("rho", {odds[0], odds[1], odds[2]}),
                    attributeFloats("prob_a", {-1, -1, -1}),
                    attributeFloats("prob_b", {0, 0, 0}),
                    attributeInts("classlabels_ints", {4, 5, 6})};
  Numbers labels, scores = classify(three, "SVMClassifier", {2, 0, 5, -3}, labels);
  EXPECT_EQ(labels, Numbers({4, 4}));
  ASSERT_EQ(scores.size(), 6u);
  for (size_t i = 0; i < scores.size(); ++i)
    EXPECT_NEAR(scores[i], wanted[i % 3], 0.005);
}

TEST_F(Classical, MapsAndTextAreRefusedWithAWayOut) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"n", 2});
  graph.node("ZipMap", {"x"}, {"y"}, {attributeInts("classlabels_int64s", {0, 1})}, ml);
  graph.node("StringConcat", {"x", "x"}, {"z"});
  EXPECT_THAT(import(graph.output("y").output("z")),
              AllOf(HasSubstr("TW1201"), HasSubstr("zipmap=False"), HasSubstr("before the model")));
}

//===- Old forms --------------------------------------------------------------------===//

TEST_F(Classical, TheFirstTileRepeatsAlongOneAxis) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"n", 2});
  graph.initializer(tensor<float>("tiles", {}, {2})).initializer(tensor<float>("axis", {}, {-1}));
  auto results =
      run(graph.node("Tile", {"x", "tiles", "axis"}, {"y"}).output("y"), {floats({1, 2}, {1, 2})}, 1);
  tests::expectNear(results[0], {1, 4}, {1, 2, 1, 2});
  GraphWriter given;
  given.input("x", ElementType::Float32, {"n", 2}).input("tiles", ElementType::Float32, {1});
  given.initializer(tensor<float>("axis", {}, {0}));
  results = run(given.node("Tile", {"x", "tiles", "axis"}, {"y"}).output("y"),
                {floats({1, 2}, {1, 2}), floats({1}, {3})}, 1);
  tests::expectNear(results[0], {3, 2}, {1, 2, 1, 2, 1, 2});
  GraphWriter bad;
  bad.input("x", ElementType::Float32, {"n", 2});
  bad.initializer(tensor<float>("tiles", {}, {1.5f})).initializer(tensor<float>("axis", {}, {0}));
  EXPECT_THAT(import(bad.node("Tile", {"x", "tiles", "axis"}, {"y"}).output("y"), 1), HasSubstr("TW2004"));
}

TEST_F(Classical, TheFirstPoolsHaveOrdersThatAreNoIntegers) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {1, 1, "w"});
  graph.node("GlobalLpPool", {"x"}, {"y"}, {attributeFloat("p", 3)});
  graph.node("LpPool", {"x"}, {"z"}, {attributeFloat("p", 1.5f), attributeInts("kernel_shape", {2})});
  auto results = run(graph.output("y").output("z"), {floats({1, 1, 3}, {1, -2, 3})}, 1);
  tests::expectNear(results[0], {1, 1, 1}, {std::cbrt(36.0)});
  tests::expectNear(
      results[1], {1, 1, 2},
      {std::pow(1 + std::pow(2, 1.5), 1 / 1.5), std::pow(std::pow(2, 1.5) + std::pow(3, 1.5), 1 / 1.5)});
}

} // namespace
