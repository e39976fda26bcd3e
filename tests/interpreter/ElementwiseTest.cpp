/// unary, binary, compare, select, cast, bitcast.
#include "tests/interpreter/Support.h"

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::NanSensitiveDoubleEq;

namespace {

class ElementwiseTest : public InterpreterTest {
protected:
  Tensor cast(const Tensor &x, llvm::StringRef to, bool saturate = false) {
    return one({x}, [&](GraphProgram &p, ValueRange in) { return p.g.cast(in[0], p.type(to), saturate); });
  }
};

TEST_F(ElementwiseTest, UnaryIntegersWrap) {
  Tensor x = ints("si8", {4}, {-128, -1, 0, 127});
  EXPECT_THAT(integers(unary(UnaryKind::neg, x)), ElementsAre(-128, 1, 0, -127));
  EXPECT_THAT(integers(unary(UnaryKind::abs, x)), ElementsAre(-128, 1, 0, 127));
  EXPECT_THAT(integers(unary(UnaryKind::sign, x)), ElementsAre(-1, -1, 0, 1));
  EXPECT_THAT(integers(unary(UnaryKind::bitnot, x)), ElementsAre(127, 0, -1, -128));
  EXPECT_THAT(integers(unary(UnaryKind::neg, ints("ui8", {2}, {1, 0}))), ElementsAre(255, 0));
  EXPECT_THAT(integers(unary(UnaryKind::bitnot, ints("i1", {2}, {1, 0}))), ElementsAre(0, 1));
  EXPECT_THAT(integers(unary(UnaryKind::neg, ints("si64", {1}, {INT64_MIN}))), ElementsAre(INT64_MIN));
}

TEST_F(ElementwiseTest, UnaryFloatsRoundOnce) {
  Tensor x = floats("f32", {2}, {0.1, 1});
  EXPECT_EQ(unary(UnaryKind::exp, x).number(1), double(float(std::exp(1.0))));
  EXPECT_EQ(unary(UnaryKind::log1p, x).number(0), double(float(std::log1p(double(0.1f)))));
  EXPECT_EQ(unary(UnaryKind::erf, floats("f64", {1}, {0.5})).number(0), std::erf(0.5));
  EXPECT_EQ(unary(UnaryKind::exp, floats("f16", {1}, {1})).number(0), 2.71875);
  EXPECT_EQ(unary(UnaryKind::exp, floats("bf16", {1}, {1})).number(0), 2.71875);
  EXPECT_EQ(unary(UnaryKind::exp, floats("f8E4M3FN", {1}, {1})).number(0), 2.75);
}

TEST_F(ElementwiseTest, RoundIsToNearestEven) {
  Tensor x = floats("f32", {6}, {0.5, 1.5, 2.5, -0.5, -1.5, 2.4});
  EXPECT_THAT(numbers(unary(UnaryKind::round, x)), ElementsAre(0, 2, 2, 0, -2, 2));
  EXPECT_THAT(numbers(unary(UnaryKind::floor, x)), ElementsAre(0, 1, 2, -1, -2, 2));
  EXPECT_THAT(numbers(unary(UnaryKind::ceil, x)), ElementsAre(1, 2, 3, 0, -1, 3));
  EXPECT_THAT(numbers(unary(UnaryKind::trunc, x)), ElementsAre(0, 1, 2, 0, -1, 2));
}

TEST_F(ElementwiseTest, UnaryNaNAndInfinity) {
  Tensor x = floats("f32", {4}, {notANumber, infinity, -infinity, -2});
  EXPECT_THAT(numbers(unary(UnaryKind::sign, x)), ElementsAre(NanSensitiveDoubleEq(notANumber), 1, -1, -1));
  EXPECT_THAT(integers(unary(UnaryKind::isnan, x)), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(integers(unary(UnaryKind::isinf, x)), ElementsAre(0, 1, 1, 0));
  EXPECT_THAT(numbers(unary(UnaryKind::sigmoid, x)),
              ElementsAre(NanSensitiveDoubleEq(notANumber), 1, 0, double(float(1 / (1 + std::exp(2.0))))));
  EXPECT_THAT(numbers(unary(UnaryKind::sqrt, floats("f32", {2}, {4, -1}))),
              ElementsAre(2, NanSensitiveDoubleEq(notANumber)));
  EXPECT_EQ(unary(UnaryKind::isnan, x).elementType, type("i1"));
}

TEST_F(ElementwiseTest, EveryUnaryFunction) {
  struct Row {
    UnaryKind kind;
    double at, expected;
  };
  for (const Row &row : {Row{UnaryKind::neg, 2, -2},
                         {UnaryKind::abs, -2, 2},
                         {UnaryKind::log, 1, 0},
                         {UnaryKind::rsqrt, 4, 0.5},
                         {UnaryKind::reciprocal, -4, -0.25},
                         {UnaryKind::sin, 0, 0},
                         {UnaryKind::cos, 0, 1},
                         {UnaryKind::tan, 0, 0},
                         {UnaryKind::asin, 1, M_PI / 2},
                         {UnaryKind::acos, 1, 0},
                         {UnaryKind::atan, 1, M_PI / 4},
                         {UnaryKind::sinh, 0, 0},
                         {UnaryKind::cosh, 0, 1},
                         {UnaryKind::tanh, infinity, 1},
                         {UnaryKind::asinh, 0, 0},
                         {UnaryKind::acosh, 1, 0},
                         {UnaryKind::atanh, 0, 0},
                         {UnaryKind::expm1, 0, 0},
                         {UnaryKind::lgamma, 3, std::log(2.0)},
                         {UnaryKind::lgamma, -0.5, 1.2655121234846454},
                         {UnaryKind::sigmoid, -1000, 0}})
    EXPECT_DOUBLE_EQ(unary(row.kind, floats("f64", {1}, {row.at})).number(0), row.expected)
        << graph::stringifyUnaryKind(row.kind).str();
}

TEST_F(ElementwiseTest, BinaryIntegersWrapInTheirWidth) {
  Tensor x = ints("si8", {3}, {127, -128, 100}), y = ints("si8", {3}, {1, -1, 100});
  EXPECT_THAT(integers(binary(BinaryKind::add, x, y)), ElementsAre(-128, 127, -56));
  EXPECT_THAT(integers(binary(BinaryKind::sub, x, y)), ElementsAre(126, -127, 0));
  EXPECT_THAT(integers(binary(BinaryKind::mul, x, y)), ElementsAre(127, -128, 16));
  EXPECT_THAT(integers(binary(BinaryKind::div, x, y)), ElementsAre(127, -128, 1));
  EXPECT_THAT(integers(binary(BinaryKind::add, ints("ui16", {1}, {65535}), ints("ui16", {1}, {2}))),
              ElementsAre(1));
  EXPECT_THAT(integers(binary(BinaryKind::mul, ints("si64", {1}, {INT64_MAX}), ints("si64", {1}, {2}))),
              ElementsAre(-2));
  EXPECT_THAT(integers(binary(BinaryKind::div, ints("si64", {1}, {INT64_MIN}), ints("si64", {1}, {-1}))),
              ElementsAre(INT64_MIN));
}

TEST_F(ElementwiseTest, DivisionRemainderAndModulus) {
  Tensor x = ints("si32", {5}, {7, -7, 7, -7, 5}), y = ints("si32", {5}, {3, 3, -3, -3, -1});
  EXPECT_THAT(integers(binary(BinaryKind::div, x, y)), ElementsAre(2, -2, -2, 2, -5));
  EXPECT_THAT(integers(binary(BinaryKind::rem, x, y)), ElementsAre(1, -1, 1, -1, 0));
  EXPECT_THAT(integers(binary(BinaryKind::mod, x, y)), ElementsAre(1, 2, -2, -1, 0));
  Tensor u = ints("ui64", {2}, {-1, 9}), v = ints("ui64", {2}, {2, -1});
  EXPECT_THAT(integers(binary(BinaryKind::div, u, v)), ElementsAre(INT64_MAX, 0));
  EXPECT_THAT(integers(binary(BinaryKind::mod, u, v)), ElementsAre(1, 9));
  Tensor a = floats("f32", {4}, {7.5, -7.5, 7.5, -7.5}), b = floats("f32", {4}, {2, 2, -2, -2});
  EXPECT_THAT(numbers(binary(BinaryKind::rem, a, b)), ElementsAre(1.5, -1.5, 1.5, -1.5));
  EXPECT_THAT(numbers(binary(BinaryKind::mod, a, b)), ElementsAre(1.5, 0.5, -0.5, -1.5));
}

TEST_F(ElementwiseTest, IntegerDivisionByZeroFails) {
  for (BinaryKind kind : {BinaryKind::div, BinaryKind::rem, BinaryKind::mod})
    for (const char *element : {"si64", "si8", "ui8"}) {
      Outcome outcome =
          run({ints(element, {2}, {5, 5}), ints(element, {2}, {5, 0})}, [&](GraphProgram &p, ValueRange in) {
            return llvm::SmallVector<Value>{p.g.binary(kind, in[0], in[1])};
          });
      EXPECT_EQ(outcome.kind, Failure::Division);
      EXPECT_THAT(outcome.message, HasSubstr("TW2907"));
    }
}

TEST_F(ElementwiseTest, MinimumAndMaximumPropagateNaN) {
  Tensor x = floats("f32", {3}, {notANumber, 1, 2}), y = floats("f32", {3}, {1, notANumber, 3});
  for (BinaryKind kind : {BinaryKind::min, BinaryKind::max}) {
    Tensor z = binary(kind, x, y);
    EXPECT_TRUE(std::isnan(z.number(0)) && std::isnan(z.number(1)));
    EXPECT_EQ(z.number(2), kind == BinaryKind::min ? 2 : 3);
  }
  EXPECT_THAT(integers(binary(BinaryKind::max, ints("ui64", {1}, {-1}), ints("ui64", {1}, {1}))),
              ElementsAre(-1));
  EXPECT_THAT(integers(binary(BinaryKind::min, ints("si64", {1}, {-1}), ints("si64", {1}, {1}))),
              ElementsAre(-1));
}

TEST_F(ElementwiseTest, PowersOfIntegersWrap) {
  Tensor x = ints("si32", {5}, {3, -2, 2, -1, 5}), y = ints("si32", {5}, {4, 3, 33, -3, -1});
  EXPECT_THAT(integers(binary(BinaryKind::pow, x, y)), ElementsAre(81, -8, 0, -1, 0));
  EXPECT_THAT(numbers(binary(BinaryKind::pow, floats("f32", {2}, {2, -8}), floats("f32", {2}, {0.5, 3}))),
              ElementsAre(double(float(std::sqrt(2.0))), -512));
  EXPECT_EQ(binary(BinaryKind::atan2, floats("f64", {1}, {1}), floats("f64", {1}, {-1})).number(0),
            std::atan2(1.0, -1.0));
}

TEST_F(ElementwiseTest, ShiftsBeyondTheWidth) {
  Tensor x = ints("si8", {4}, {-128, -128, 64, -1}), y = ints("si8", {4}, {7, 8, 1, 100});
  EXPECT_THAT(integers(binary(BinaryKind::shr, x, y)), ElementsAre(-1, -1, 32, -1));
  EXPECT_THAT(integers(binary(BinaryKind::shl, x, y)), ElementsAre(0, 0, -128, 0));
  Tensor u = ints("ui8", {3}, {128, 128, 255}), v = ints("ui8", {3}, {7, 8, 4});
  EXPECT_THAT(integers(binary(BinaryKind::shr, u, v)), ElementsAre(1, 0, 15));
  EXPECT_THAT(integers(binary(BinaryKind::shl, u, v)), ElementsAre(0, 0, 240));
}

TEST_F(ElementwiseTest, Bits) {
  Tensor x = ints("ui8", {2}, {0b1100, 255}), y = ints("ui8", {2}, {0b1010, 1});
  EXPECT_THAT(integers(binary(BinaryKind::iand, x, y)), ElementsAre(0b1000, 1));
  EXPECT_THAT(integers(binary(BinaryKind::ior, x, y)), ElementsAre(0b1110, 255));
  EXPECT_THAT(integers(binary(BinaryKind::ixor, x, y)), ElementsAre(0b0110, 254));
}

TEST_F(ElementwiseTest, SmallFloatsRoundEachOpOnce) {
  Tensor x = floats("f16", {1}, {2048}), y = floats("f16", {1}, {1});
  EXPECT_EQ(binary(BinaryKind::add, x, y).number(0), 2048);
  EXPECT_EQ(binary(BinaryKind::add, x, floats("f16", {1}, {3})).number(0), 2052);
  EXPECT_EQ(binary(BinaryKind::mul, floats("f16", {1}, {60000}), floats("f16", {1}, {2})).number(0),
            infinity);
  EXPECT_EQ(binary(BinaryKind::add, floats("bf16", {1}, {256}), floats("bf16", {1}, {1})).number(0), 256);
}

TEST_F(ElementwiseTest, CompareTreatsNaNAsUnordered) {
  Tensor x = floats("f32", {4}, {1, notANumber, 2, 3}), y = floats("f32", {4}, {1, notANumber, 3, 2});
  auto compare = [&](CompareKind kind, const Tensor &a, const Tensor &b) {
    return integers(
        one({a, b}, [&](GraphProgram &p, ValueRange in) { return p.g.compare(kind, in[0], in[1]); }));
  };
  EXPECT_THAT(compare(CompareKind::eq, x, y), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(compare(CompareKind::ne, x, y), ElementsAre(0, 1, 1, 1));
  EXPECT_THAT(compare(CompareKind::lt, x, y), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(compare(CompareKind::le, x, y), ElementsAre(1, 0, 1, 0));
  EXPECT_THAT(compare(CompareKind::gt, x, y), ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(compare(CompareKind::ge, x, y), ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(compare(CompareKind::gt, ints("ui64", {1}, {-1}), ints("ui64", {1}, {1})), ElementsAre(1));
  EXPECT_THAT(compare(CompareKind::gt, ints("si64", {1}, {-1}), ints("si64", {1}, {1})), ElementsAre(0));
}

TEST_F(ElementwiseTest, Select) {
  Tensor z = one({ints("i1", {3}, {1, 0, 1}), floats("f32", {3}, {1, 2, 3}), floats("f32", {3}, {4, 5, 6})},
                 [](GraphProgram &p, ValueRange in) { return p.g.select(in[0], in[1], in[2]); });
  EXPECT_THAT(numbers(z), ElementsAre(1, 5, 3));
}

TEST_F(ElementwiseTest, CastsBetweenIntegersWrap) {
  EXPECT_THAT(integers(cast(ints("si16", {3}, {200, -1, 300}), "si8")), ElementsAre(-56, -1, 44));
  EXPECT_THAT(integers(cast(ints("si16", {2}, {200, -1}), "ui8")), ElementsAre(200, 255));
  EXPECT_THAT(integers(cast(ints("si8", {2}, {-1, 9}), "si4")), ElementsAre(-1, -7));
  EXPECT_THAT(integers(cast(ints("si8", {2}, {-1, 9}), "ui4")), ElementsAre(15, 9));
  EXPECT_THAT(integers(cast(ints("si8", {3}, {0, 2, -1}), "i1")), ElementsAre(0, 1, 1));
  EXPECT_THAT(integers(cast(ints("i1", {2}, {0, 1}), "si64")), ElementsAre(0, 1));
}

TEST_F(ElementwiseTest, CastsFromFloatsTruncate) {
  EXPECT_THAT(integers(cast(floats("f32", {4}, {1.9, -1.9, 300, -1}), "ui8")), ElementsAre(1, 255, 44, 255));
  EXPECT_THAT(integers(cast(floats("f32", {4}, {1.9, -1.9, 300, -300}), "si8", true)),
              ElementsAre(1, -1, 127, -128));
  EXPECT_THAT(integers(cast(floats("f32", {3}, {1e30, -1e30, notANumber}), "si64", true)),
              ElementsAre(INT64_MAX, INT64_MIN, 0));
  EXPECT_THAT(integers(cast(floats("f32", {2}, {1e30, -1}), "ui64", true)), ElementsAre(-1, 0));
  EXPECT_THAT(integers(cast(floats("f32", {4}, {0, -0.0, 0.1, notANumber}), "i1")), ElementsAre(0, 0, 1, 1));
}

TEST_F(ElementwiseTest, CastsBetweenFloats) {
  EXPECT_THAT(numbers(cast(floats("f64", {2}, {0.1, 1e300}), "f32")), ElementsAre(double(0.1f), infinity));
  EXPECT_THAT(numbers(cast(floats("f32", {3}, {1000, -1000, 0.3}), "f8E4M3FN", true)),
              ElementsAre(448, -448, 0.3125));
  EXPECT_TRUE(std::isnan(cast(floats("f32", {1}, {1000}), "f8E4M3FN").number(0)));
  EXPECT_THAT(numbers(cast(floats("f8E5M2", {2}, {1.5, -3}), "bf16")), ElementsAre(1.5, -3));
}

TEST_F(ElementwiseTest, BitcastKeepsBits) {
  auto bitcast = [&](const Tensor &x, llvm::StringRef to) {
    return one({x}, [&](GraphProgram &p, ValueRange in) { return p.g.bitcast(in[0], p.type(to)); });
  };
  EXPECT_THAT(integers(bitcast(floats("f32", {2}, {1, -0.0}), "si32")), ElementsAre(0x3F800000, INT32_MIN));
  EXPECT_THAT(integers(bitcast(ints("si8", {1}, {-1}), "ui8")), ElementsAre(255));
  EXPECT_THAT(integers(bitcast(ints("si4", {2}, {-1, 7}), "ui4")), ElementsAre(15, 7));
  EXPECT_THAT(numbers(bitcast(ints("si4", {2}, {-1, 7}), "f4E2M1FN")), ElementsAre(-6, 6));
}

TEST_F(ElementwiseTest, EmptyTensors) {
  EXPECT_EQ(shapeOf(unary(UnaryKind::exp, Tensor(type("f32"), {2, 0}))), (std::vector<int64_t>{2, 0}));
}

TEST_F(ElementwiseTest, FunctionsThatIntegersDoNotHave) {
  Outcome outcome = run({ints("si32", {1}, {1})}, [](GraphProgram &p, ValueRange in) {
    return llvm::SmallVector<Value>{p.g.unary(UnaryKind::exp, in[0])};
  });
  EXPECT_EQ(outcome.kind, Failure::Unsupported);
}

} // namespace
