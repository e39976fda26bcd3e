// Rounding and saturation, blocked parameters, and integer products that keep narrow operands.
#include "tests/frontend/Operators.h"

using namespace tilewright;
using namespace tilewright::onnxwriter;
using testing::HasSubstr;

namespace {

struct Quantization : tests::Operators {
  interpreter::Tensor bytesOf(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> values) {
    return interpreter::Tensor::fromInts(integer(8, /*isSigned=*/false), shape, values);
  }
};
using tests::expectNear;

TEST_F(Quantization, RoundsHalvesToEvenAndSaturates) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N"});
  graph.initializer(tensor<float>("scale", {}, {2})).initializer(tensor<int8_t>("zero", {}, {-3}));
  graph.node("QuantizeLinear", {"x", "scale", "zero"}, {"y"}).output("y");
  auto results = run(graph, {floats({6}, {1, 3, 5, -1, 1000, -1000})});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_TRUE(results[0].elementType.isSignedInteger(8));
  expectNear(results[0], {6}, {-3, -1, -1, -3, 127, -128}, 0);
}

TEST_F(Quantization, BlocksRepeatTheirScale) {
  GraphWriter graph;
  graph.input("x", ElementType::Int8, {"N", 5});
  graph.initializer(tensor<float>("scale", {1, 3}, {1, 10, 100}))
      .initializer(tensor<int8_t>("zero", {1, 3}, {0, 1, 2}));
  graph.node("DequantizeLinear", {"x", "scale", "zero"}, {"y"},
             {attributeInt("axis", 1), attributeInt("block_size", 2)});
  graph.output("y");
  auto results = run(graph, {ints({1, 5}, {1, 2, 3, 4, 5}, 8)}, 21);
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {1, 5}, {1, 2, 20, 30, 300});
}

TEST_F(Quantization, DynamicParametersCoverZero) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N"}).node("DynamicQuantizeLinear", {"x"}, {"y", "s", "z"});
  graph.output("y").output("s").output("z");
  auto results = run(graph, {floats({3}, {51, 25.5, 10.2})});
  ASSERT_EQ(results.size(), 3u);
  expectNear(results[0], {3}, {255, 128, 51}, 0);
  expectNear(results[1], {}, {0.2});
  expectNear(results[2], {}, {0}, 0);
}

TEST_F(Quantization, MatrixProductsTakeZeroPointsOutAfterwards) {
  constexpr int rows = 3, depth = 4, columns = 2;
  auto a = randomInts(rows * depth, 0, 255), b = randomInts(depth * columns, 0, 255);
  tests::Numbers want;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) {
      int64_t sum = 0;
      for (int k = 0; k < depth; ++k)
        sum += (a[i * depth + k] - 77) * (b[k * columns + j] - (j ? 130 : 128));
      want.push_back(sum);
    }
  GraphWriter graph;
  graph.input("a", ElementType::UInt8, {"M", depth}).input("za", ElementType::UInt8, {});
  graph.initializer(tensor<uint8_t>("b", {depth, columns}, std::vector<uint8_t>(b.begin(), b.end())));
  graph.initializer(tensor<uint8_t>("zb", {columns}, {128, 130}));
  graph.node("MatMulInteger", {"a", "b", "za", "zb"}, {"y"}).output("y");
  auto results = run(graph, {bytesOf({rows, depth}, a), bytesOf({}, {77})});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {rows, columns}, want, 0);
  imported.main().walk([](graph::ContractOp op) { // u8 by s8 into s32
    EXPECT_TRUE(
        llvm::cast<mlir::RankedTensorType>(op.getLhs().getType()).getElementType().isUnsignedInteger(8));
    EXPECT_TRUE(
        llvm::cast<mlir::RankedTensorType>(op.getRhs().getType()).getElementType().isSignedInteger(8));
    EXPECT_TRUE(llvm::cast<mlir::RankedTensorType>(op.getType()).getElementType().isSignedInteger(32));
  });
}

TEST_F(Quantization, ConvolutionsPadWithTheZeroPoint) {
  constexpr int channels = 2, outputs = 2, kernel = 3, size = 5;
  auto x = randomInts(channels * size, 0, 255), w = randomInts(outputs * kernel, -128, 127);
  tests::Numbers want;
  for (int o = 0; o < outputs; ++o) // one channel a group
    for (int p = 0; p < size; ++p) {
      int64_t sum = 0;
      for (int k = 0; k < kernel; ++k)
        if (int at = p + k - 1; at >= 0 && at < size)
          sum += (x[o * size + at] - 100) * (w[o * kernel + k] - 3);
      want.push_back(sum);
    }
  GraphWriter graph;
  graph.input("x", ElementType::UInt8, {"N", channels, "L"});
  graph.initializer(tensor<int8_t>("w", {outputs, 1, kernel}, std::vector<int8_t>(w.begin(), w.end())));
  graph.initializer(tensor<uint8_t>("zx", {}, {100})).initializer(tensor<int8_t>("zw", {}, {3}));
  graph.node("ConvInteger", {"x", "w", "zx", "zw"}, {"y"},
             {attributeInt("group", 2), attributeInts("pads", {1, 1})});
  graph.output("y");
  auto results = run(graph, {bytesOf({1, channels, size}, x)});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {1, outputs, size}, want, 0);
  EXPECT_EQ(count<graph::PadOp>(), 1);
}

TEST_F(Quantization, RefusesParametersThatDoNotFit) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {2, 3}).input("s", ElementType::Float32, {2});
  graph.node("QuantizeLinear", {"x", "s"}, {"y"}).output("y");
  EXPECT_THAT(import(graph), HasSubstr("TW2005"));
}

} // namespace
