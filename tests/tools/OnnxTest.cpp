#include "support/Onnx.h"
#include "Support.h"

#include <protozero/pbf_writer.hpp>

using namespace tilewright::tools;
using namespace tilewright::tools::test;

/// A TensorProto without data; `fill` adds some.
template <typename Fill> static std::string proto(tw_dtype dtype, std::vector<int64_t> dims, Fill fill) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_packed_int64(1, dims.begin(), dims.end());
  writer.add_int32(2, dtype);
  fill(writer);
  return bytes;
}

static Result<Tensor> parse(const std::string &bytes) {
  return readTensorProto(std::as_bytes(std::span(bytes)), "t.pb");
}

template <typename T>
static void expectValues(const std::string &bytes, tw_dtype dtype, const std::vector<T> &values) {
  auto tensor = parse(bytes);
  ASSERT_TRUE(tensor) << tensor.problem().message;
  EXPECT_EQ(tensor->dtype, dtype);
  EXPECT_EQ(valuesOf<T>(*tensor), values);
}

TEST(TensorProto, ReadsRawData) {
  expectValues<float>(tensorProto<float>(TW_F32, {2}, {1.5f, -2}), TW_F32, {1.5f, -2});
  expectValues<int64_t>(tensorProto<int64_t>(TW_I64, {}, {42}), TW_I64, {42});
  expectValues<float>(tensorProto(TW_F32, {0}, std::string()), TW_F32, {});
}

TEST(TensorProto, ReadsTypedFields) {
  std::vector<float> floats{1, 2};
  std::vector<double> doubles{3, 4};
  std::vector<int32_t> ints{-1, 200};
  std::vector<int64_t> longs{-5, 6};
  std::vector<uint64_t> unsignedLongs{7, 0xfffffffful};
  auto f = [&](auto &w) { w.add_packed_float(4, floats.begin(), floats.end()); };
  auto d = [&](auto &w) { w.add_packed_double(10, doubles.begin(), doubles.end()); };
  auto i = [&](auto &w) { w.add_packed_int32(5, ints.begin(), ints.end()); };
  auto l = [&](auto &w) { w.add_packed_int64(7, longs.begin(), longs.end()); };
  auto u = [&](auto &w) { w.add_packed_uint64(11, unsignedLongs.begin(), unsignedLongs.end()); };
  expectValues<float>(proto(TW_F32, {2}, f), TW_F32, floats);
  expectValues<float>(proto(TW_C64, {1}, f), TW_C64, floats);
  expectValues<double>(proto(TW_F64, {2}, d), TW_F64, doubles);
  expectValues<double>(proto(TW_C128, {1}, d), TW_C128, doubles);
  expectValues<int32_t>(proto(TW_I32, {2}, i), TW_I32, ints);
  expectValues<int16_t>(proto(TW_I16, {2}, i), TW_I16, {-1, 200});
  expectValues<uint8_t>(proto(TW_U8, {2}, i), TW_U8, {255, 200});
  expectValues<int64_t>(proto(TW_I64, {2}, l), TW_I64, longs);
  expectValues<uint32_t>(proto(TW_U32, {2}, u), TW_U32, {7, 0xffffffffu});
  expectValues<uint64_t>(proto(TW_U64, {2}, u), TW_U64, unsignedLongs);
}

TEST(TensorProto, ReadsSmallFloatsFromInt32Data) {
  std::vector<int32_t> bits{0x3c00, 0xc000};
  auto fill = [&](auto &w) { w.add_packed_int32(5, bits.begin(), bits.end()); };
  expectValues<uint16_t>(proto(TW_F16, {2}, fill), TW_F16, {0x3c00, 0xc000});
  expectValues<uint16_t>(proto(TW_BF16, {2}, fill), TW_BF16, {0x3c00, 0xc000});
  bits = {0x7e, 0x80};
  expectValues<uint8_t>(proto(TW_F8E4M3FN, {2}, fill), TW_F8E4M3FN, {0x7e, 0x80});
}

TEST(TensorProto, UnpacksSubByteElements) {
  expectValues<int8_t>(tensorProto(TW_I4, {3}, std::string("\xf1\x08", 2)), TW_I4, {1, -1, -8});
  expectValues<uint8_t>(tensorProto(TW_U4, {3}, std::string("\xf1\x08", 2)), TW_U4, {1, 15, 8});
  expectValues<int8_t>(tensorProto(TW_I2, {5}, std::string("\xe4\x01", 2)), TW_I2, {0, 1, -2, -1, 1});
  expectValues<uint8_t>(tensorProto(TW_F4E2M1, {2}, std::string("\x7f", 1)), TW_F4E2M1, {15, 7});
  std::vector<int32_t> pairs{0xf1, 0x08};
  expectValues<int8_t>(proto(TW_I4, {3}, [&](auto &w) { w.add_packed_int32(5, pairs.begin(), pairs.end()); }),
                       TW_I4, {1, -1, -8});
}

TEST(TensorProto, ReadsUnpackedRepeatedFields) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_int64(1, 2);
  writer.add_int32(2, TW_F32);
  writer.add_float(4, 1);
  writer.add_float(4, 2);
  expectValues<float>(bytes, TW_F32, {1, 2});
}

TEST(TensorProto, ReadsStrings) {
  auto tensor = parse(proto(TW_STRING, {2}, [](auto &w) {
    w.add_string(6, "one");
    w.add_string(6, "");
  }));
  ASSERT_TRUE(tensor);
  EXPECT_EQ(tensor->strings, (std::vector<std::string>{"one", ""}));
}

TEST(TensorProto, RefusesDamage) {
  std::string good = tensorProto<float>(TW_F32, {2}, {1, 2});
  for (size_t size = 1; size < good.size(); ++size)
    EXPECT_FALSE(parse(good.substr(0, size))) << size;
  EXPECT_FALSE(parse(tensorProto(TW_F32, {3}, std::string(8, 'x')))) << "too few bytes";
  EXPECT_FALSE(parse(tensorProto(TW_F32, {1}, std::string(8, 'x')))) << "too many bytes";
  EXPECT_FALSE(parse(tensorProto(TW_F32, {-1}, std::string()))) << "negative dimension";
  EXPECT_FALSE(parse(tensorProto(TW_F32, {int64_t{1} << 40, int64_t{1} << 40}, std::string()))) << "overflow";
  EXPECT_FALSE(parse(tensorProto(static_cast<tw_dtype>(99), {}, std::string()))) << "unknown type";
  EXPECT_FALSE(parse(proto(TW_STRING, {2}, [](auto &w) { w.add_string(6, "one"); }))) << "a string too few";
  EXPECT_FALSE(parse(proto(TW_F32, {1}, [](auto &w) { w.add_enum(14, 1); }))) << "external data";
}

TEST(TensorProto, SurvivesEveryFlippedByte) {
  std::string good = tensorProto<float>(TW_F32, {2}, {1, 2});
  size_t readable = 0;
  for (size_t i = 0; i < good.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ 1 << bit);
      auto tensor = parse(bytes);
      if (tensor) {
        ++readable;
        EXPECT_EQ(tensor->bytes.size(), tensor->elementCount() * tw_dtype_bytes(tensor->dtype));
      }
    }
  EXPECT_GE(readable, 64u) << "flips in the elements do no harm";
}

TEST(ModelSignature, ListsInputsOutputsAndInitialisers) {
  std::string extra;
  protozero::pbf_writer writer(extra);
  std::string initialiser;
  protozero::pbf_writer(initialiser).add_string(8, "x");
  writer.add_message(5, initialiser);
  writer.add_message(11, valueInfo("list", 4));
  std::string model = modelProto("", extra);
  auto signature = readModelSignature(std::as_bytes(std::span(model)), "model.onnx");
  ASSERT_TRUE(signature);
  ASSERT_EQ(signature->inputs.size(), 3u);
  EXPECT_EQ(signature->inputs[1].name, "half/in");
  EXPECT_EQ(signature->inputs[1].kind, "tensor");
  EXPECT_EQ(signature->inputs[2].kind, "sequence");
  EXPECT_EQ(signature->outputs.size(), 2u);
  EXPECT_TRUE(signature->isInitialiser("x"));
  EXPECT_FALSE(signature->isInitialiser("half/in"));
  EXPECT_FALSE(
      readModelSignature(std::as_bytes(std::span(model).subspan(0, model.size() - 3)), "model.onnx"));
}
