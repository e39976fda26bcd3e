// Fourier transforms, windows, losses and optimisers.
#include "tests/frontend/Operators.h"
#include <numbers>

using namespace tilewright;
using namespace tilewright::onnxwriter;
using testing::HasSubstr;
using tests::expectNear;
using tests::Numbers;

namespace {

struct Signal : tests::Operators {
  /// Real and imaginary parts of the transform of a real signal.
  static Numbers transform(llvm::ArrayRef<double> x, int64_t frequencies) {
    Numbers parts;
    for (int64_t k = 0; k < frequencies; ++k) {
      double real = 0, imaginary = 0;
      for (size_t n = 0; n < x.size(); ++n) {
        double angle = 2 * std::numbers::pi * k * n / x.size();
        real += x[n] * std::cos(angle), imaginary -= x[n] * std::sin(angle);
      }
      parts.append({real, imaginary});
    }
    return parts;
  }
};

TEST_F(Signal, TransformsAlongAnAxisKnownOnlyAtRunTime) {
  Numbers x = random(7);
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"B", "L", 1}).input("axis", ElementType::Int64, {});
  graph.node("DFT", {"x", "", "axis"}, {"y"}, {attributeInt("onesided", 1)}).output("y");
  auto rows = run(graph, {floats({1, 7, 1}, x), ints({}, {-2})}, 20);
  ASSERT_EQ(rows.size(), 1u);
  expectNear(rows[0], {1, 4, 2}, transform(x, 4));
  auto columns = run(graph, {floats({7, 1, 1}, x), ints({}, {0})}, 20);
  ASSERT_EQ(columns.size(), 1u);
  expectNear(columns[0], {4, 1, 2}, transform(x, 4));
}

TEST_F(Signal, OneSidedTransformsInvert) {
  for (int64_t length : {6, 7}) {
    Numbers x = random(length);
    GraphWriter graph;
    graph.input("x", ElementType::Float32, {"B", "L", 1}).initializer(tensor<int64_t>("n", {}, {length}));
    graph.node("DFT", {"x"}, {"f"}, {attributeInt("onesided", 1)});
    graph.node("DFT", {"f", "n"}, {"y"}, {attributeInt("onesided", 1), attributeInt("inverse", 1)})
        .output("y");
    auto results = run(graph, {floats({1, length, 1}, x)}, 20);
    ASSERT_EQ(results.size(), 1u);
    expectNear(results[0], {1, length, 1}, x);
  }
}

TEST_F(Signal, ShorterLengthsCutAndLongerOnesPad) {
  Numbers x = random(5);
  for (int64_t length : {4, 8}) {
    GraphWriter graph;
    graph.input("x", ElementType::Float32, {1, 5, 1}).initializer(tensor<int64_t>("n", {}, {length}));
    graph.node("DFT", {"x", "n"}, {"y"}).output("y");
    Numbers resized = x;
    resized.resize(length, 0);
    auto results = run(graph, {floats({1, 5, 1}, x)}, 20);
    ASSERT_EQ(results.size(), 1u);
    expectNear(results[0], {1, length, 2}, transform(resized, length));
  }
}

TEST_F(Signal, FramesAreWindowed) {
  constexpr int64_t length = 4, step = 3, frames = 3;
  Numbers x = random(11), window = {0.5, 1, 2, 1}, want;
  for (int64_t frame = 0; frame < frames; ++frame) {
    Numbers part;
    for (int64_t n = 0; n < length; ++n)
      part.push_back(x[frame * step + n] * window[n]);
    Numbers bins = transform(part, length / 2 + 1);
    want.append(bins.begin(), bins.end());
  }
  for (bool known : {true, false}) {
    GraphWriter graph;
    graph.input("x", ElementType::Float32, {"B", "L", 1});
    if (known)
      graph.initializer(tensor<int64_t>("step", {}, {step}));
    else
      graph.input("step", ElementType::Int64, {});
    graph.initializer(tensor<float>("window", {length}, tests::toFloats(window)));
    graph.node("STFT", {"x", "step", "window"}, {"y"}).output("y");
    llvm::SmallVector<interpreter::Tensor> inputs = {floats({1, 11, 1}, x)};
    if (!known)
      inputs.push_back(ints({}, {step}));
    auto results = run(graph, inputs);
    ASSERT_EQ(results.size(), 1u);
    expectNear(results[0], {1, frames, length / 2 + 1, 2}, want);
    EXPECT_EQ(count<graph::ConvOp>(), known ? 1 : 0);
  }
}

TEST_F(Signal, WindowsMayHaveASizeFromTheInput) {
  GraphWriter graph;
  graph.input("size", ElementType::Int64, {});
  graph.node("HannWindow", {"size"}, {"y"}, {attributeInt("periodic", 0)}).output("y");
  auto results = run(graph, {ints({}, {5})});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {5}, {0, 0.5, 1, 0.5, 0});
}

TEST_F(Signal, RefusesAxesOfParts) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {1, 5, 1});
  graph.node("DFT", {"x"}, {"y"}, {attributeInt("axis", 2)}).output("y");
  EXPECT_THAT(import(graph), HasSubstr("TW2001"));
}

struct Training : tests::Operators {};

TEST_F(Training, IgnoredClassesDoNotCount) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N", 2}).input("t", ElementType::Int64, {"N"});
  graph.initializer(tensor<float>("w", {2}, {1, 3}));
  graph.node("NegativeLogLikelihoodLoss", {"x", "t", "w"}, {"y"}, {attributeInt("ignore_index", -100)})
      .output("y");
  auto results = run(graph, {floats({3, 2}, {-1, -2, -3, -4, -5, -6}), ints({3}, {0, -100, 1})});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {}, {(1 * 1 + 6 * 3) / 4.0});
}

TEST_F(Training, CrossEntropyIsStable) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N", 2}).input("t", ElementType::Int64, {"N"});
  graph.node("SoftmaxCrossEntropyLoss", {"x", "t"}, {"y", "l"}, {attributeString("reduction", "none")});
  graph.output("y").output("l");
  auto results = run(graph, {floats({1, 2}, {1000, 999}), ints({1}, {1})});
  ASSERT_EQ(results.size(), 2u);
  double normalizer = std::log(1 + std::exp(-1));
  expectNear(results[0], {1}, {1 + normalizer});
  expectNear(results[1], {1, 2}, {-normalizer, -1 - normalizer});
}

TEST_F(Training, AdamCorrectsItsFirstSteps) {
  GraphWriter graph;
  graph.input("rate", ElementType::Float32, {}).input("count", ElementType::Int64, {});
  for (const char *name : {"x", "g", "v", "h"})
    graph.input(name, ElementType::Float32, {"N"});
  graph.node("Adam", {"rate", "count", "x", "g", "v", "h"}, {"nx", "nv", "nh"},
             {attributeFloat("alpha", 0.5f), attributeFloat("beta", 0.75f), attributeFloat("epsilon", 0)},
             "ai.onnx.preview.training");
  graph.output("nx").output("nv").output("nh");
  bytes = ModelWriter(graph).opset(17).opset(1, "ai.onnx.preview.training").bytes();
  imported = tests::importBytes(bytes, *context);
  ASSERT_TRUE(imported.ok()) << imported.problems;
  auto one = [&](double value) { return floats({1}, {value}); };
  auto results =
      interpreter::Evaluator(*imported.result.module)
          .run(imported.main(), {floats({}, {0.1}), ints({}, {1}), one(3), one(4), one(0), one(0)});
  ASSERT_TRUE(bool(results)) << llvm::toString(results.takeError());
  expectNear((*results)[1], {1}, {2});
  expectNear((*results)[2], {1}, {4});
  expectNear((*results)[0], {1}, {3 - 0.1 * (0.5 / 0.5) * 2 / 2}); // sqrt(1 - beta) / (1 - alpha) is 1
}

} // namespace
