// Matrix products, Einstein sums, convolutions and determinants against their definitions, on symbolic sizes.
#include "tests/frontend/Operators.h"
#include <fstream>

using namespace tilewright;
using namespace tilewright::onnxwriter;
using testing::HasSubstr;

namespace {

struct Contraction : tests::Operators {};
using tests::expectNear;
using tests::Numbers;

TEST_F(Contraction, MatMulBroadcastsSymbolicBatches) {
  Numbers a = random(2 * 3 * 4), b = random(5 * 4 * 2), want;
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 2; ++j)
      for (int row = 0; row < 3; ++row)
        for (int column = 0; column < 2; ++column) {
          double sum = 0;
          for (int k = 0; k < 4; ++k)
            sum += a[(j * 3 + row) * 4 + k] * b[(i * 4 + k) * 2 + column];
          want.push_back(sum);
        }
  GraphWriter graph;
  graph.input("a", ElementType::Float32, {"A", "M", "K"}).input("b", ElementType::Float32, {"B", 1, 4, "N"});
  graph.node("MatMul", {"a", "b"}, {"y"}).output("y");
  auto results = run(graph, {floats({2, 3, 4}, a), floats({5, 1, 4, 2}, b)});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {5, 2, 3, 2}, want);
}

TEST_F(Contraction, MatMulReportsSizesThatDoNotFit) {
  GraphWriter graph;
  graph.input("a", ElementType::Float32, {2, 3}).input("b", ElementType::Float32, {4, 5});
  graph.node("MatMul", {"a", "b"}, {"y"}).output("y");
  EXPECT_THAT(import(graph), HasSubstr("TW2005"));
}

TEST_F(Contraction, GemmTransposesAndScales) {
  GraphWriter graph;
  graph.input("a", ElementType::Float32, {2, "M"}).input("b", ElementType::Float32, {3, 2});
  graph.initializer(tensor<float>("c", {3}, {10, 20, 30}));
  graph.node("Gemm", {"a", "b", "c"}, {"y"},
             {attributeInt("transA", 1), attributeInt("transB", 1), attributeFloat("alpha", 2),
              attributeFloat("beta", 0.5f)});
  graph.output("y");
  auto results = run(graph, {floats({2, 1}, {1, 2}), floats({3, 2}, {1, 2, 3, 4, 5, 6})});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {1, 3}, {5 * 2 + 5, 11 * 2 + 10, 17 * 2 + 15});
}

TEST_F(Contraction, EinsumTakesDiagonalsAndBroadcastsEllipses) {
  GraphWriter graph;
  graph.input("a", ElementType::Float32, {"B", "N", "N"}).input("b", ElementType::Float32, {1, "N"});
  graph.input("c", ElementType::Float32, {"B", "N", "K"});
  graph.node("Einsum", {"a", "b", "c"}, {"y"}, {attributeString("equation", "...ii, ...i, ...ik -> k...")});
  graph.output("y");
  auto results = run(graph, {floats({2, 2, 2}, {1, 9, 9, 2, 3, 9, 9, 4}), floats({1, 2}, {10, 100}),
                             floats({2, 2, 1}, {1, 2, 3, 4})});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {1, 2}, {1 * 10 * 1 + 2 * 100 * 2, 3 * 10 * 3 + 4 * 100 * 4});
}

TEST_F(Contraction, EinsumRefusesWhatItCannotName) {
  GraphWriter graph;
  graph.input("a", ElementType::Float32, {2, 3});
  graph.node("Einsum", {"a"}, {"y"}, {attributeString("equation", "ij->ik")}).output("y");
  EXPECT_THAT(import(graph), HasSubstr("TW1205"));
}

/// y[o, p] = sum over channels of the group and taps of x * w; the window moves by 2, its taps lie 2 apart.
TEST_F(Contraction, ConvolutionFollowsItsDefinition) {
  constexpr int channels = 4, outputs = 4, groups = 2, kernel = 3, size = 9, stride = 2, dilation = 2,
                low = 2;
  Numbers x = random(channels * size), w = random(outputs * channels / groups * kernel),
          bias = random(outputs), want;
  for (int o = 0; o < outputs; ++o)
    for (int p = 0; p < 5; ++p) {
      double sum = bias[o];
      for (int c = 0; c < channels / groups; ++c)
        for (int k = 0; k < kernel; ++k) {
          int at = p * stride + k * dilation - low, channel = o / 2 * 2 + c;
          if (at >= 0 && at < size)
            sum += x[channel * size + at] * w[(o * 2 + c) * kernel + k];
        }
      want.push_back(sum);
    }
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N", channels, "L"});
  graph.initializer(tensor<float>("w", {outputs, channels / groups, kernel}, tests::toFloats(w)));
  graph.initializer(tensor<float>("b", {outputs}, tests::toFloats(bias)));
  graph.node("Conv", {"x", "w", "b"}, {"y"},
             {attributeInt("group", groups), attributeInts("strides", {stride}),
              attributeInts("dilations", {dilation}), attributeString("auto_pad", "SAME_UPPER")});
  graph.output("y");
  auto results = run(graph, {floats({1, channels, size}, x)});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {1, outputs, 5}, want);
}

/// Every input element adds its multiple of the kernel to the output.
TEST_F(Contraction, TransposedConvolutionFollowsItsDefinition) {
  constexpr int channels = 4, perGroup = 3, groups = 2, kernel = 3, size = 4, stride = 3, dilation = 2,
                low = 1;
  constexpr int length = stride * (size - 1) + 1 + (kernel - 1) * dilation + 1 - 2;
  Numbers x = random(channels * size), w = random(channels * perGroup * kernel);
  Numbers want(perGroup * groups * length, 0);
  for (int c = 0; c < channels; ++c)
    for (int i = 0; i < size; ++i)
      for (int o = 0; o < perGroup; ++o)
        for (int k = 0; k < kernel; ++k) {
          int at = i * stride + k * dilation - low, output = c / 2 * perGroup + o;
          if (at >= 0 && at < length)
            want[output * length + at] += x[c * size + i] * w[(c * perGroup + o) * kernel + k];
        }
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N", channels, "L"});
  graph.initializer(tensor<float>("w", {channels, perGroup, kernel}, tests::toFloats(w)));
  graph.node("ConvTranspose", {"x", "w"}, {"y"},
             {attributeInt("group", groups), attributeInts("strides", {stride}),
              attributeInts("dilations", {dilation}), attributeInts("pads", {low, 1}),
              attributeInts("output_padding", {1})});
  graph.output("y");
  auto results = run(graph, {floats({1, channels, size}, x)});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {1, perGroup * groups, length}, want);
}

TEST_F(Contraction, LargeWeightsAreTransformedLater) {
  std::string path = testing::TempDir() + "/transposed.onnx";
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {1, 8, 5, 5});
  graph.initializer(tensor<float>("w", {8, 8, 3, 3}, std::vector<float>(576, 1)));
  graph.node("ConvTranspose", {"x", "w"}, {"y"}).output("y");
  ASSERT_TRUE(ModelWriter(graph).save(path));
  imported = tests::importFile(path, *context);
  ASSERT_TRUE(imported.ok()) << imported.problems;
  EXPECT_EQ(count<graph::WeightOp>(), 1);
  imported.main().walk([](graph::ConstantOp op) { EXPECT_LE(op.getValue().getNumElements(), 1); });
}

TEST_F(Contraction, ConvolutionRefusesChannelsThatDoNotFit) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {1, 4, 5}).input("w", ElementType::Float32, {6, 3, 3});
  graph.node("Conv", {"x", "w"}, {"y"}).output("y");
  EXPECT_THAT(import(graph), HasSubstr("TW2005"));
  GraphWriter small;
  small.input("x", ElementType::Float32, {1, 3, 5}).input("w", ElementType::Float32, {6, 3, 7});
  small.node("Conv", {"x", "w"}, {"y"}).output("y");
  EXPECT_THAT(import(small), HasSubstr("TW2005"));
}

TEST_F(Contraction, DeterminantsPivot) {
  // Permutations of a triangle: the diagonal's product with the permutation's sign; and a singular matrix.
  Numbers matrices = {0, 0, 0, 2, 3, 1, 5, 0, 0, 4, 1, 7, 0, 0, 5, 2,
                      1, 2, 3, 4, 2, 4, 6, 8, 0, 1, 0, 1, 1, 0, 1, 0};
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N", "M", "M"}).node("Det", {"x"}, {"y"}).output("y");
  auto results = run(graph, {floats({2, 4, 4}, matrices)});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {2}, {-2.0 * 3 * 4 * 5, 0});
}

} // namespace
