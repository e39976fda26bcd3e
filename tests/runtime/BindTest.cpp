#include "Bind.h"
#include "Support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

using testing::HasSubstr;

namespace {

class Binding : public testing::Test {
protected:
  ModelPointer model = loadArtifact(artifactPath("dynamic"));
  SessionPointer session = createSession(model, 2);
  std::vector<float> a = std::vector<float>(600, 1), b = std::vector<float>(600, 2);

  tw_error run(const std::vector<tw_tensor> &inputs, tw_tensor output = {}) {
    tw_error error;
    tw_session_run(session.get(), inputs.data(), static_cast<uint32_t>(inputs.size()), &output, 1, &error);
    return error;
  }
  tw_tensor f32(const std::vector<int64_t> &shape, const std::vector<float> &data) {
    return tensorOf(TW_F32, shape, data.data());
  }
};

} // namespace

TEST_F(Binding, AcceptsEveryDimensionInRange) {
  for (int64_t batch : {1, 2, 7})
    for (int64_t width : {0, 1, 16, 28}) {
      tw_tensor inputs[] = {f32({batch, 3, width}, a), f32({batch, 3, width}, b)}, output = {};
      tw_error error;
      ASSERT_EQ(tw_session_run(session.get(), inputs, 2, &output, 1, &error), TW_OK) << error.message;
      EXPECT_EQ(output.rank, 3);
      EXPECT_EQ(output.dtype, TW_F32);
      EXPECT_EQ((std::vector<int64_t>(output.shape, output.shape + 3)),
                (std::vector<int64_t>{batch, 3, width}));
      for (int64_t i = 0; i < batch * 3 * width; ++i)
        ASSERT_EQ(static_cast<float *>(output.data)[i], 4) << i;
    }
}

TEST_F(Binding, WrongCounts) {
  EXPECT_STREQ(run({}).code, "TW4201");
  EXPECT_STREQ(run({f32({1, 3, 1}, a)}).code, "TW4201");
  tw_tensor inputs[] = {f32({1, 3, 1}, a), f32({1, 3, 1}, b)};
  tw_error error;
  EXPECT_EQ(tw_session_run(session.get(), nullptr, 2, nullptr, 0, &error), TW_INVALID);
  EXPECT_EQ(tw_session_run(session.get(), inputs, 2, nullptr, 0, &error), TW_INVALID);
  EXPECT_STREQ(error.code, "TW4209");
}

TEST_F(Binding, ConstantDimension) {
  const tw_error error = run({f32({2, 4, 5}, a), f32({2, 3, 5}, b)});
  EXPECT_EQ(error.status, TW_INVALID);
  EXPECT_STREQ(error.code, "TW4204");
  EXPECT_STREQ(error.tensor, "a");
  EXPECT_THAT(error.message, HasSubstr("input 'a'"));
  EXPECT_THAT(error.message, HasSubstr("[batch, 3, width]"));
  EXPECT_THAT(error.message, HasSubstr("[2, 4, 5]"));
}

TEST_F(Binding, SymbolsMustAgree) {
  const tw_error error = run({f32({2, 3, 5}, a), f32({3, 3, 5}, b)});
  EXPECT_STREQ(error.code, "TW4205");
  EXPECT_STREQ(error.tensor, "b");
  EXPECT_THAT(error.message, HasSubstr("batch = 3"));
  EXPECT_THAT(error.message, HasSubstr("input 'a' has batch = 2"));
}

TEST_F(Binding, SymbolRange) {
  const tw_error error = run({f32({0, 3, 5}, a), f32({0, 3, 5}, b)});
  EXPECT_STREQ(error.code, "TW4206");
  EXPECT_THAT(error.message, HasSubstr("1..1048576"));
  EXPECT_STREQ(run({f32({1, 3, -1}, a), f32({1, 3, -1}, b)}).code, "TW4204");
}

TEST_F(Binding, TypeRankDataDevice) {
  EXPECT_STREQ(run({tensorOf(TW_F64, {1, 3, 1}, a.data()), f32({1, 3, 1}, b)}).code, "TW4202");
  EXPECT_THAT(run({tensorOf(TW_F64, {1, 3, 1}, a.data()), f32({1, 3, 1}, b)}).message, HasSubstr("float64"));
  EXPECT_STREQ(run({tensorOf(static_cast<tw_dtype>(99), {1, 3, 1}, a.data()), f32({1, 3, 1}, b)}).code,
               "TW4202");
  EXPECT_STREQ(run({f32({3, 1}, a), f32({1, 3, 1}, b)}).code, "TW4203");
  tw_tensor deep = f32({1, 3, 1}, a);
  deep.rank = 1000;
  EXPECT_STREQ(run({deep, f32({1, 3, 1}, b)}).code, "TW4203");
  deep.rank = -5;
  EXPECT_STREQ(run({deep, f32({1, 3, 1}, b)}).code, "TW4203");
  EXPECT_STREQ(run({tensorOf(TW_F32, {1, 3, 1}, nullptr), f32({1, 3, 1}, b)}).code, "TW4207");
  tw_tensor remote = f32({1, 3, 1}, a);
  remote.device.kind = 1;
  EXPECT_STREQ(run({remote, f32({1, 3, 1}, b)}).code, "TW4208");
  EXPECT_EQ(run({remote, f32({1, 3, 1}, b)}).status, TW_UNSUPPORTED);
}

TEST_F(Binding, EmptyInputsNeedNoData) {
  const tw_tensor empty = tensorOf(TW_F32, {4, 3, 0}, nullptr);
  EXPECT_EQ(run({empty, empty}).status, TW_OK);
}

TEST_F(Binding, OutputBufferMustMatch) {
  std::vector<float> out(6);
  const std::vector<tw_tensor> inputs = {f32({1, 3, 2}, a), f32({1, 3, 2}, b)};
  EXPECT_EQ(run(inputs, tensorOf(TW_F32, {1, 3, 2}, out.data())).status, TW_OK);
  EXPECT_EQ(out, std::vector<float>(6, 4));
  const tw_error error = run(inputs, tensorOf(TW_F32, {1, 3, 1}, out.data()));
  EXPECT_STREQ(error.code, "TW4210");
  EXPECT_STREQ(error.tensor, "out");
  EXPECT_THAT(error.message, HasSubstr("[1, 3, 2]"));
  EXPECT_STREQ(run(inputs, tensorOf(TW_F32, {6}, out.data())).code, "TW4210");
  EXPECT_STREQ(run(inputs, tensorOf(TW_I32, {1, 3, 2}, out.data())).code, "TW4210");
  const int64_t strides[] = {6, 1, 3};
  tw_tensor strided = tensorOf(TW_F32, {1, 3, 2}, out.data());
  strided.strides = strides;
  EXPECT_STREQ(run(inputs, strided).code, "TW4211");
}

TEST_F(Binding, UnalignedBuffers) {
  std::vector<char> raw(3 * 24 + 9);
  std::vector<float> values = {1, 2, 3, 4, 5, 6}, out(6);
  memcpy(raw.data() + 1, values.data(), 24);
  // The program under test reads whole floats: only their alignment to 64 bytes is in question here.
  const auto base = reinterpret_cast<uintptr_t>(raw.data());
  auto *odd = reinterpret_cast<float *>((base + 7) / 4 * 4);
  memcpy(odd, values.data(), 24);
  tw_tensor inputs[] = {tensorOf(TW_F32, {1, 3, 2}, odd), f32({1, 3, 2}, b)};
  tw_tensor output = tensorOf(TW_F32, {1, 3, 2}, out.data());
  tw_error error;
  ASSERT_EQ(tw_session_run(session.get(), inputs, 2, &output, 1, &error), TW_OK) << error.message;
  EXPECT_EQ(out, (std::vector<float>{4, 6, 8, 10, 12, 14}));
}

TEST_F(Binding, StridedInputs) {
  std::vector<float> source(2 * 3 * 4), zero(24, 0);
  std::iota(source.begin(), source.end(), 0.0f);
  struct Case {
    const char *name;
    std::vector<int64_t> strides;
    int64_t start;
  };
  for (const Case &item : std::vector<Case>{{"transposed", {12, 1, 3}, 0},
                                            {"broadcast", {0, 4, 1}, 0},
                                            {"reversed", {12, 4, -1}, 3},
                                            {"dense", {12, 4, 1}, 0}}) {
    tw_tensor inputs[] = {tensorOf(TW_F32, {2, 3, 4}, source.data() + item.start), f32({2, 3, 4}, zero)},
              output = {};
    inputs[0].strides = item.strides.data();
    tw_error error;
    ASSERT_EQ(tw_session_run(session.get(), inputs, 2, &output, 1, &error), TW_OK) << error.message;
    const auto *out = static_cast<const float *>(output.data);
    for (int64_t i = 0, at = 0; i < 2; ++i)
      for (int64_t j = 0; j < 3; ++j)
        for (int64_t k = 0; k < 4; ++k, ++at)
          ASSERT_EQ(out[at], 2 * source[static_cast<size_t>(item.start + i * item.strides[0] +
                                                            j * item.strides[1] + k * item.strides[2])])
              << item.name << " " << i << " " << j << " " << k;
  }
}

TEST(Strides, CopiesEveryElementSize) {
  for (tw_dtype dtype : {TW_U8, TW_U16, TW_U32, TW_U64, TW_C128}) {
    const uint32_t size = tw_dtype_bytes(dtype);
    std::vector<uint8_t> source(6 * size), out(6 * size);
    std::iota(source.begin(), source.end(), uint8_t(0));
    const int64_t strides[] = {1, 3};
    tw_tensor tensor = tensorOf(dtype, {3, 2}, source.data());
    tensor.strides = strides;
    ASSERT_FALSE(tilewright::runtime::isDense(tensor));
    tilewright::runtime::copyStrided(tensor, size, out.data());
    for (int row = 0; row < 3; ++row)
      for (int column = 0; column < 2; ++column)
        EXPECT_EQ(memcmp(&out[(row * 2 + column) * size], &source[(row + column * 3) * size], size), 0);
  }
}

TEST(Strides, IgnoredWhereTheyDoNotMatter) {
  const int64_t strides[] = {999, 2, 77, 1};
  tw_tensor tensor = tensorOf(TW_F32, {1, 3, 1, 2}, nullptr);
  tensor.strides = strides;
  EXPECT_TRUE(tilewright::runtime::isDense(tensor));
  tensor.shape[2] = 0;
  EXPECT_TRUE(tilewright::runtime::isDense(tensor));
}

TEST(Sizes, BytesOfShapes) {
  using tilewright::runtime::countBytes;
  uint64_t bytes = 7;
  const int64_t huge[] = {INT64_MAX, INT64_MAX, 0}, large[] = {1 << 20, 1 << 20, 1 << 10};
  EXPECT_TRUE(countBytes(huge, 0, 4, bytes));
  EXPECT_EQ(bytes, 4u);
  EXPECT_FALSE(countBytes(huge, 2, 4, bytes));
  EXPECT_TRUE(countBytes(huge, 3, 4, bytes));
  EXPECT_EQ(bytes, 0u);
  EXPECT_FALSE(countBytes(large, 3, 1, bytes));
  EXPECT_TRUE(countBytes(large, 2, 4, bytes));
  EXPECT_EQ(bytes, uint64_t(1) << 42);
}
