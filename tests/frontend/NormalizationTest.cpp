// Normalisations: numerical stability, where parameters go, and what is refused.
#include "tests/frontend/Operators.h"

using namespace tilewright;
using namespace tilewright::onnxwriter;
using testing::HasSubstr;

namespace {

struct Normalization : tests::Operators {};
using tests::expectNear;

TEST_F(Normalization, VarianceSurvivesALargeMean) {
  // The difference of mean squares would cancel in f32: (1e4)^2 leaves no bits for 1.
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N", 4});
  graph.initializer(tensor<float>("scale", {4}, {1, 2, 3, 4}));
  graph.node("LayerNormalization", {"x", "scale"}, {"y", "mean", "inverse"}, {attributeFloat("epsilon", 0)});
  graph.output("y").output("mean").output("inverse");
  auto results = run(graph, {floats({1, 4}, {9999, 10001, 9999, 10001})});
  ASSERT_EQ(results.size(), 3u);
  expectNear(results[0], {1, 4}, {-1, 2, -3, 4});
  expectNear(results[1], {1, 1}, {10000});
  expectNear(results[2], {1, 1}, {1});
}

TEST_F(Normalization, BatchStatisticsMoveInTraining) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N", 1, "L"});
  graph.initializer(tensor<float>("scale", {1}, {2})).initializer(tensor<float>("bias", {1}, {1}));
  graph.initializer(tensor<float>("mean", {1}, {10})).initializer(tensor<float>("variance", {1}, {4}));
  graph.node(
      "BatchNormalization", {"x", "scale", "bias", "mean", "variance"}, {"y", "m", "v"},
      {attributeInt("training_mode", 1), attributeFloat("momentum", 0.5f), attributeFloat("epsilon", 0)});
  graph.output("y").output("m").output("v");
  auto results = run(graph, {floats({2, 1, 2}, {1, 3, 1, 3})});
  ASSERT_EQ(results.size(), 3u);
  expectNear(results[0], {2, 1, 2}, {-1, 3, -1, 3});
  expectNear(results[1], {1}, {6});
  expectNear(results[2], {1}, {2.5});
}

TEST_F(Normalization, GroupParametersChangedWithOpset21) {
  auto graph = [](int64_t parameters) {
    GraphWriter writer;
    writer.input("x", ElementType::Float32, {"N", 4, "L"});
    std::vector<float> scale = {1, 10, 100, 1000};
    scale.resize(parameters);
    writer.initializer(tensor<float>("scale", {parameters}, scale));
    writer.initializer(tensor<float>("bias", {parameters}, std::vector<float>(parameters, 0)));
    writer.node("GroupNormalization", {"x", "scale", "bias"}, {"y"},
                {attributeInt("num_groups", 2), attributeFloat("epsilon", 0)});
    return writer.output("y");
  };
  auto x = floats({1, 4, 1}, {1, 3, 5, 9});
  auto perGroup = run(graph(2), {x}, 18), perChannel = run(graph(4), {x}, 21);
  ASSERT_EQ(perGroup.size() + perChannel.size(), 2u);
  expectNear(perGroup[0], {1, 4, 1}, {-1, 1, -10, 10});
  expectNear(perChannel[0], {1, 4, 1}, {-1, 10, -100, 1000});
  EXPECT_THAT(import(graph(2), 21), HasSubstr("TW2005"));
}

TEST_F(Normalization, ZerosHaveNoDirection) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N", 2}).node("LpNormalization", {"x"}, {"y"}).output("y");
  auto results = run(graph, {floats({2, 2}, {0, 0, 3, 4})}, 22);
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {2, 2}, {0, 0, 0.6, 0.8});
}

TEST_F(Normalization, ResponsesLeanTowardsLaterChannels) {
  // size 2 looks at channel c and the next one.
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N", 3, "L"});
  graph.node("LRN", {"x"}, {"y"},
             {attributeInt("size", 2), attributeFloat("alpha", 2), attributeFloat("beta", 1),
              attributeFloat("bias", 1)});
  graph.output("y");
  auto results = run(graph, {floats({1, 3, 1}, {1, 2, 3})});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {1, 3, 1}, {1.0 / 6, 2.0 / 14, 3.0 / 10});
}

TEST_F(Normalization, RefusesParametersOfOtherSizes) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N", 3, 5}).input("s", ElementType::Float32, {4});
  graph.node("InstanceNormalization", {"x", "s", "s"}, {"y"}).output("y");
  EXPECT_THAT(import(graph), HasSubstr("TW2005"));
}

} // namespace
