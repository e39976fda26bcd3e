#include "support/Compare.h"
#include "Support.h"

#include <cmath>

using namespace tilewright::tools;
using test::tensorOf;

static const Tolerance loose{1e-3, 1e-7};

static std::optional<std::string> compareFloats(std::vector<float> got, std::vector<float> want,
                                                Tolerance tolerance = loose) {
  auto size = static_cast<int64_t>(got.size());
  return findDifference(tensorOf(TW_F32, {size}, got), tensorOf(TW_F32, {size}, want), tolerance);
}

TEST(Compare, ToleranceIsThatOfNumPy) {
  EXPECT_FALSE(compareFloats({1.0009f}, {1.0f}));
  EXPECT_TRUE(compareFloats({1.0011f}, {1.0f}));
  EXPECT_FALSE(compareFloats({0.5e-7f}, {0.0f}));
  EXPECT_TRUE(compareFloats({1.5e-7f}, {0.0f}));
  EXPECT_FALSE(compareFloats({10.0f}, {9.0f}, {0, 1})) << "the limit itself is allowed";
}

TEST(Compare, SpecialValuesMustAgree) {
  float inf = INFINITY, nan = NAN;
  EXPECT_FALSE(compareFloats({nan, inf, -inf}, {nan, inf, -inf}));
  EXPECT_TRUE(compareFloats({nan}, {1}));
  EXPECT_TRUE(compareFloats({1}, {nan}));
  EXPECT_TRUE(compareFloats({inf}, {-inf}));
  EXPECT_TRUE(compareFloats({3e38f}, {inf}));
}

TEST(Compare, SaysWhereAndByHowMuch) {
  auto got = tensorOf<float>(TW_F32, {2, 2}, {1, 2, 3, 4}),
       want = tensorOf<float>(TW_F32, {2, 2}, {1, 2, 7, 4.5});
  EXPECT_EQ(findDifference(got, want, loose),
            "2 of 4 elements differ; at [1,0]: 3 where 7 is expected (rtol 0.001, atol 1e-07)");
}

TEST(Compare, TypeAndShapeMustBeEqual) {
  auto base = tensorOf<float>(TW_F32, {2, 1}, {1, 2});
  EXPECT_EQ(findDifference(base, tensorOf<float>(TW_F32, {1, 2}, {1, 2}), loose),
            "float32[2,1] where float32[1,2] is expected");
  EXPECT_TRUE(findDifference(base, tensorOf<int32_t>(TW_I32, {2, 1}, {1, 2}), loose));
}

TEST(Compare, IntegersAndStringsAreExact) {
  auto big = tensorOf<int64_t>(TW_I64, {1}, {(int64_t{1} << 60) + 1}),
       near = tensorOf<int64_t>(TW_I64, {1}, {int64_t{1} << 60});
  EXPECT_TRUE(findDifference(big, near, loose)) << "a double cannot tell them apart";
  EXPECT_FALSE(findDifference(big, big, loose));
  Tensor words{TW_STRING, {2}, {}, {"a", "b"}}, others{TW_STRING, {2}, {}, {"a", "c"}};
  EXPECT_FALSE(findDifference(words, words, loose));
  EXPECT_EQ(findDifference(words, others, loose),
            "1 of 2 elements differ; at [1]: 'b' where 'c' is expected");
}

TEST(Compare, SmallFloatsAndComplexNumbers) {
  auto one = tensorOf<uint16_t>(TW_BF16, {1}, {0x3f80}), third = tensorOf<uint16_t>(TW_BF16, {1}, {0x3f82});
  EXPECT_TRUE(findDifference(third, one, loose));
  EXPECT_FALSE(findDifference(third, one, {2e-2, 0}));
  auto z = tensorOf<float>(TW_C64, {1}, {3, 4}), w = tensorOf<float>(TW_C64, {1}, {3.001f, 4.001f});
  EXPECT_FALSE(findDifference(z, w, loose));
  EXPECT_TRUE(findDifference(z, w, {1e-6, 1e-6}));
}

TEST(Compare, EachElementIsJudgedByItself) {
  auto bf16 = [](uint16_t bits) { return tensorOf<uint16_t>(TW_BF16, {1}, {bits}); };
  EXPECT_TRUE(findDifference(bf16(0x3f81), bf16(0x3f80), {1e-3, 1e-7}))
      << "one unit in the last place is 2^-7";
  EXPECT_TRUE(compareFloats({2e-7f, 3.0f}, {0.0f, 3.0f})) << "a large neighbour excuses nothing";
  EXPECT_TRUE(compareFloats({1.5e-7f, INFINITY}, {0.0f, INFINITY}));
}

TEST(Compare, ScalarsAndEmptyTensors) {
  EXPECT_FALSE(
      findDifference(tensorOf<float>(TW_F32, {0, 3}, {}), tensorOf<float>(TW_F32, {0, 3}, {}), loose));
  EXPECT_EQ(findDifference(tensorOf<int8_t>(TW_I8, {}, {1}), tensorOf<int8_t>(TW_I8, {}, {2}), loose),
            "1 of 1 elements differ; at []: 1 where 2 is expected");
}

TEST(Elements, DecodesSmallFloats) {
  auto value = [](tw_dtype dtype, uint16_t bits) {
    return elementAsDouble(dtype, reinterpret_cast<const std::byte *>(&bits), 0);
  };
  EXPECT_EQ(value(TW_F16, 0x3c00), 1);
  EXPECT_EQ(value(TW_F16, 0x8001), -std::ldexp(1.0, -24));
  EXPECT_EQ(value(TW_F16, 0xfc00), -INFINITY);
  EXPECT_TRUE(std::isnan(value(TW_F16, 0x7e00)));
  EXPECT_EQ(value(TW_BF16, 0xc000), -2);
  EXPECT_EQ(value(TW_F8E4M3FN, 0x7e), 448);
  EXPECT_TRUE(std::isnan(value(TW_F8E4M3FN, 0xff)));
  EXPECT_EQ(value(TW_F8E4M3FNUZ, 0x7f), 240);
  EXPECT_TRUE(std::isnan(value(TW_F8E4M3FNUZ, 0x80)));
  EXPECT_EQ(value(TW_F8E5M2, 0x7b), 57344);
  EXPECT_EQ(value(TW_F8E5M2, 0xfc), -INFINITY);
  EXPECT_EQ(value(TW_F8E5M2FNUZ, 0x7f), 57344);
  EXPECT_EQ(value(TW_F8E8M0, 0x80), 2);
  EXPECT_EQ(value(TW_F4E2M1, 0xf), -6);
}

TEST(Elements, EncodingUndoesDecoding) {
  for (tw_dtype dtype : {TW_F16, TW_BF16})
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      auto stored = static_cast<uint16_t>(bits);
      double value = elementAsDouble(dtype, reinterpret_cast<const std::byte *>(&stored), 0);
      if (std::isnan(value))
        continue;
      uint16_t again;
      storeElement(dtype, reinterpret_cast<std::byte *>(&again), 0, value);
      ASSERT_EQ(again, stored) << tw_dtype_name(dtype);
    }
}

TEST(Elements, HalvesRoundToNearestEven) {
  auto half = [](double value) {
    uint16_t bits;
    storeElement(TW_F16, reinterpret_cast<std::byte *>(&bits), 0, value);
    return bits;
  };
  EXPECT_EQ(half(1 + 0x1p-11), 0x3c00);
  EXPECT_EQ(half(1 + 3 * 0x1p-11), 0x3c02);
  EXPECT_EQ(half(2047.5), half(2048)) << "the carry reaches the exponent";
  EXPECT_EQ(half(65519), 0x7bff);
  EXPECT_EQ(half(65520), 0x7c00);
  EXPECT_EQ(half(0x1p-25), 0) << "a tie between zero and the smallest number";
}

TEST(Elements, CountsAreBounded) {
  EXPECT_EQ(checkedElementCount({}, 4), 1u);
  EXPECT_EQ(checkedElementCount({2, 0, 3}, 4), 0u);
  EXPECT_EQ(checkedElementCount({int64_t{1} << 62}, 4), std::nullopt);
  EXPECT_EQ(checkedElementCount({int64_t{1} << 40, int64_t{1} << 40}, 1), std::nullopt);
  EXPECT_EQ(checkedElementCount({0, int64_t{1} << 40, int64_t{1} << 40}, 1), std::nullopt);
  EXPECT_EQ(checkedElementCount({-1}, 1), std::nullopt);
}
