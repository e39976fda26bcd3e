/// contract and conv.
#include "tests/interpreter/Support.h"

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;
using ::testing::ElementsAre;

namespace {

class ContractionTest : public InterpreterTest {
protected:
  struct ConvSettings {
    std::vector<int64_t> strides, low, lhsDilation, rhsDilation;
    int64_t groups;
    std::vector<int64_t> out;
  };
  Tensor conv(const Tensor &x, const Tensor &w, const ConvSettings &s) {
    return one({x, w}, [&](GraphProgram &p, ValueRange in) {
      return p.g.conv(in[0], in[1], s.strides, p.g.dims(s.low), s.lhsDilation, s.rhsDilation, s.groups,
                      p.g.dims(s.out));
    });
  }
};

TEST_F(ContractionTest, MatrixProducts) {
  Tensor x = counting("f32", {2, 3}), y = counting("f32", {3, 2});
  Tensor z = one({x, y}, [](GraphProgram &p, ValueRange in) { return p.g.matmul(in[0], in[1]); });
  EXPECT_THAT(numbers(z), ElementsAre(10, 13, 28, 40));
  Tensor batched = one({counting("f32", {2, 1, 2}), counting("f32", {2, 2, 1})},
                       [](GraphProgram &p, ValueRange in) { return p.g.matmul(in[0], in[1]); });
  EXPECT_EQ(shapeOf(batched), (std::vector<int64_t>{2, 1, 1}));
  EXPECT_THAT(numbers(batched), ElementsAre(1, 13));
  Tensor empty = one({Tensor(type("f32"), {2, 0}), Tensor(type("f32"), {0, 2})},
                     [](GraphProgram &p, ValueRange in) { return p.g.matmul(in[0], in[1]); });
  EXPECT_THAT(numbers(empty), ElementsAre(0, 0, 0, 0));
}

/// Result dimensions: batch in the order of lhsBatch, then the free ones of both sides in operand order.
TEST_F(ContractionTest, DimensionsInAnyOrder) {
  Tensor x = counting("si32", {2, 3, 4, 2}), y = counting("si32", {4, 3, 2, 5});
  Tensor z = one({x, y}, [](GraphProgram &p, ValueRange in) {
    return p.g.contract(in[0], in[1], {3, 1}, {2, 1}, {2}, {0});
  });
  ASSERT_EQ(shapeOf(z), (std::vector<int64_t>{2, 3, 2, 5}));
  auto at = [](int64_t a, int64_t sizeB, int64_t b, int64_t sizeC, int64_t c, int64_t sizeD, int64_t d) {
    return ((a * sizeB + b) * sizeC + c) * sizeD + d;
  };
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 3; ++j)
      for (int64_t m = 0; m < 2; ++m)
        for (int64_t n = 0; n < 5; ++n) {
          int64_t sum = 0;
          for (int64_t k = 0; k < 4; ++k)
            sum += at(m, 3, j, 4, k, 2, i) * at(k, 3, j, 2, i, 5, n);
          EXPECT_EQ(z.integer(at(i, 3, j, 2, m, 5, n)), sum);
        }
}

/// C2: floats accumulate wide; integers of any kind give si32, wrapping.
TEST_F(ContractionTest, Accumulation) {
  Tensor ones = floats("f16", {1, 3000}, std::vector<double>(3000, 1));
  Tensor z = one({ones, ones},
                 [](GraphProgram &p, ValueRange in) { return p.g.contract(in[0], in[1], {}, {}, {1}, {1}); });
  EXPECT_EQ(z.elementType, type("f16"));
  EXPECT_EQ(z.number(0), 3000);
  Tensor mixed =
      one({ints("ui8", {1, 2}, {255, 255}), ints("si8", {1, 2}, {-128, -1})},
          [](GraphProgram &p, ValueRange in) { return p.g.contract(in[0], in[1], {}, {}, {1}, {1}); });
  EXPECT_EQ(mixed.elementType, type("si32"));
  EXPECT_THAT(integers(mixed), ElementsAre(255 * -129));
  Tensor big = ints("si32", {1, 2}, {INT32_MAX, INT32_MAX});
  Tensor wrapped = one({big, ints("si32", {1, 2}, {1, 1})}, [](GraphProgram &p, ValueRange in) {
    return p.g.contract(in[0], in[1], {}, {}, {1}, {1});
  });
  EXPECT_THAT(integers(wrapped), ElementsAre(-2));
}

TEST_F(ContractionTest, NaNAndInfinityAreNotSkipped) {
  Tensor z = one({floats("f32", {1, 2}, {0, 1}), floats("f32", {2, 1}, {infinity, 1})},
                 [](GraphProgram &p, ValueRange in) { return p.g.matmul(in[0], in[1]); });
  EXPECT_TRUE(std::isnan(z.number(0)));
}

/// C1: dimensions that are dynamic are compared when the program runs.
TEST_F(ContractionTest, ContractedSizesDiffer) {
  Outcome outcome = run(
      {counting("f32", {2, 3}), counting("f32", {4, 2})},
      [](tilewright::SymbolTable &symbols) {
        AffineExpr two = constantDim(symbols.context(), 2);
        return llvm::SmallVector<Dims>{{two, symbols.input("k")}, {symbols.input("l"), two}};
      },
      [](GraphProgram &p, ValueRange in) { return llvm::SmallVector<Value>{p.g.matmul(in[0], in[1])}; });
  EXPECT_EQ(outcome.kind, Failure::ShapeMismatch) << outcome.message;
}

TEST_F(ContractionTest, Convolution) {
  Tensor x = counting("f32", {1, 1, 3, 3}), w = floats("f32", {1, 1, 2, 2}, {1, 2, 3, 4});
  // No kernel flip: 1 * 0 + 2 * 1 + 3 * 3 + 4 * 4.
  EXPECT_THAT(numbers(conv(x, w, {{1, 1}, {0, 0}, {1, 1}, {1, 1}, 1, {2, 2}})), ElementsAre(27, 37, 57, 67));
  EXPECT_THAT(numbers(conv(x, w, {{2, 2}, {1, 1}, {1, 1}, {1, 1}, 1, {2, 2}})), ElementsAre(0, 11, 30, 67));
  EXPECT_THAT(numbers(conv(x, w, {{1, 1}, {0, 0}, {1, 1}, {2, 2}, 1, {1, 1}})),
              ElementsAre(0 + 2 * 2 + 3 * 6 + 4 * 8));
}

TEST_F(ContractionTest, OneDimensionPadsAndCrops) {
  Tensor x = floats("f32", {1, 1, 4}, {1, 2, 3, 4}), w = floats("f32", {1, 1, 2}, {10, 1});
  EXPECT_THAT(numbers(conv(x, w, {{1}, {1}, {1}, {1}, 1, {5}})), ElementsAre(1, 12, 23, 34, 40));
  EXPECT_THAT(numbers(conv(x, w, {{1}, {-1}, {1}, {1}, 1, {3}})), ElementsAre(23, 34, 40));
}

/// lhsDilation puts zeros between the operand's elements: a transposed convolution.
TEST_F(ContractionTest, OperandDilation) {
  Tensor x = floats("f32", {1, 1, 2}, {1, 2}), w = floats("f32", {1, 1, 3}, {1, 10, 100});
  // Spread: 1 0 2, padded by 2 in front.
  EXPECT_THAT(numbers(conv(x, w, {{1}, {2}, {2}, {1}, 1, {5}})), ElementsAre(100, 10, 201, 20, 2));
}

TEST_F(ContractionTest, Groups) {
  Tensor x = floats("f32", {1, 4, 1}, {1, 2, 3, 4}), w = floats("f32", {2, 2, 1}, {1, 10, 1, 10});
  EXPECT_THAT(numbers(conv(x, w, {{1}, {0}, {1}, {1}, 2, {1}})), ElementsAre(21, 43));
  Tensor depthwise = floats("f32", {4, 1, 1}, {1, 2, 3, 4});
  EXPECT_THAT(numbers(conv(x, depthwise, {{1}, {0}, {1}, {1}, 4, {1}})), ElementsAre(1, 4, 9, 16));
}

TEST_F(ContractionTest, IntegerConvolution) {
  Tensor z = conv(ints("ui8", {1, 1, 2}, {255, 255}), ints("si8", {1, 1, 2}, {-128, -128}),
                  {{1}, {0}, {1}, {1}, 1, {1}});
  EXPECT_EQ(z.elementType, type("si32"));
  EXPECT_THAT(integers(z), ElementsAre(-65280));
}

/// Both layouts give the same numbers.
TEST_F(ContractionTest, ChannelsLast) {
  Tensor x = counting("si32", {2, 4, 5, 3}), w = counting("si32", {6, 2, 3, 2});
  ConvSettings settings{{2, 1}, {1, 0}, {1, 1}, {1, 1}, 2, {3, 2}};
  Tensor first = conv(x, w, settings);
  Tensor last = one({x, w}, [&](GraphProgram &p, ValueRange in) {
    Value lhs = p.g.transpose(in[0], {0, 2, 3, 1}), rhs = p.g.transpose(in[1], {2, 3, 1, 0});
    auto type = tensorType(p.g.dims({2, 3, 2, 6}), p.type("si32"));
    Value result = graph::ConvOp::create(p.builder, p.g.loc, type, lhs, rhs, settings.strides,
                                         mapOf(Ints(settings.low), &p.context), settings.lhsDilation,
                                         settings.rhsDilation, settings.groups, /*channelsLast=*/true);
    return p.g.transpose(result, {0, 3, 1, 2});
  });
  EXPECT_TRUE(identical(first, last));
}

} // namespace
