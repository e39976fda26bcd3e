//===- TensorTest.cpp - every way to store a tensor gives the same bytes --===//

#include "tests/frontend/reader/ReaderTest.h"

#include <cstring>

namespace tilewright::onnx {
namespace {

/// The dense form of the only initializer.
std::string denseOf(const std::string &tensor) {
  Held model = mustRead(modelWith({tensor}));
  auto dense = model->graph.initializers.at(0).read();
  EXPECT_TRUE(dense) << dense.error().text();
  return dense ? std::string(reinterpret_cast<const char *>(dense->data()), dense->size()) : "";
}

/// The code with which reading the only initializer fails, at once or when its data is asked for.
int refusalOf(const std::string &tensor) {
  std::string bytes = modelWith({tensor}).bytes();
  auto model = readModel(asBytes(bytes));
  if (!model) {
    EXPECT_EQ(model.error().tensor, "t");
    return model.error().code;
  }
  auto dense = (*model)->graph.initializers.at(0).read();
  EXPECT_FALSE(dense);
  return dense ? 0 : dense.error().code;
}

template <typename T> std::string littleEndian(const std::vector<T> &values) {
  return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)};
}

TEST(Tensor, RawDataIsAViewIntoTheFile) {
  Held model = mustRead(modelWith({tensor<float>("w", {2}, {1, 2})}));
  const Tensor &w = model->graph.initializers.at(0);
  auto view = w.view();
  ASSERT_TRUE(view);
  ASSERT_TRUE(view->has_value());
  auto *data = reinterpret_cast<const char *>((*view)->data());
  EXPECT_GE(data, model.bytes.data());
  EXPECT_LE(data + 8, model.bytes.data() + model.bytes.size());
}

TEST(Tensor, TypedDataReadsAsRawDataDoes) {
  std::vector<float> floats = {1.5f, -0.0f, 3e38f};
  EXPECT_EQ(denseOf(tensorFloatData("t", ElementType::Float32, {3}, floats)), littleEndian(floats));
  EXPECT_EQ(denseOf(tensorFloatData("t", ElementType::Complex64, {1}, {1, 2})), littleEndian<float>({1, 2}));
  std::vector<double> doubles = {1.5, -2};
  EXPECT_EQ(denseOf(tensorDoubleData("t", ElementType::Float64, {2}, doubles)), littleEndian(doubles));
  EXPECT_EQ(denseOf(tensorDoubleData("t", ElementType::Complex128, {1}, doubles)), littleEndian(doubles));
  std::vector<int64_t> longs = {INT64_MIN, -1, INT64_MAX};
  EXPECT_EQ(denseOf(tensorInt64Data("t", {3}, longs)), littleEndian(longs));
  std::vector<uint64_t> unsignedLongs = {0, UINT64_MAX};
  EXPECT_EQ(denseOf(tensorUInt64Data("t", ElementType::UInt64, {2}, unsignedLongs)),
            littleEndian(unsignedLongs));
  EXPECT_EQ(denseOf(tensorUInt64Data("t", ElementType::UInt32, {1}, {0xfffffffe})),
            littleEndian<uint32_t>({0xfffffffe}));
}

TEST(Tensor, Int32DataHoldsEverySmallType) {
  auto dense = [](ElementType type, std::vector<int64_t> dims, const std::vector<int32_t> &entries) {
    return denseOf(tensorInt32Data("t", type, dims, entries));
  };
  EXPECT_EQ(dense(ElementType::Int32, {2}, {-1, INT32_MIN}), littleEndian<int32_t>({-1, INT32_MIN}));
  EXPECT_EQ(dense(ElementType::Int16, {2}, {-2, 300}), littleEndian<int16_t>({-2, 300}));
  EXPECT_EQ(dense(ElementType::UInt16, {1}, {65535}), littleEndian<uint16_t>({65535}));
  EXPECT_EQ(dense(ElementType::Int8, {2}, {-128, 127}), littleEndian<int8_t>({-128, 127}));
  EXPECT_EQ(dense(ElementType::UInt8, {2}, {0, 255}), littleEndian<uint8_t>({0, 255}));
  EXPECT_EQ(dense(ElementType::Bool, {3}, {0, 1, 5}), std::string("\0\1\1", 3));
  EXPECT_EQ(dense(ElementType::Float16, {2}, {0x3c00, 0xc000}), littleEndian<uint16_t>({0x3c00, 0xc000}));
  EXPECT_EQ(dense(ElementType::BFloat16, {1}, {0x3f80}), littleEndian<uint16_t>({0x3f80}));
  for (auto type : {ElementType::Float8E4M3FN, ElementType::Float8E4M3FNUZ, ElementType::Float8E5M2,
                    ElementType::Float8E5M2FNUZ, ElementType::Float8E8M0})
    EXPECT_EQ(dense(type, {2}, {0x38, 0xb8}), "\x38\xb8") << elementTypeName(type);
}

TEST(Tensor, SubByteTypesStayPackedAndPaddingIsCleared) {
  for (auto type : {ElementType::UInt4, ElementType::Int4, ElementType::Float4E2M1}) {
    EXPECT_EQ(denseOf(tensorInt32Data("t", type, {3}, {0x21, 0xf3})), "\x21\x03") << elementTypeName(type);
    EXPECT_EQ(denseOf(tensorRaw("t", type, {3}, "\x21\xf3")), "\x21\x03") << elementTypeName(type);
    EXPECT_EQ(refusalOf(tensorRaw("t", type, {5}, "\x21\xf3")), 1011) << elementTypeName(type);
  }
  for (auto type : {ElementType::UInt2, ElementType::Int2}) {
    EXPECT_EQ(denseOf(tensorInt32Data("t", type, {5}, {0xe4, 0xff})), "\xe4\x03") << elementTypeName(type);
    EXPECT_EQ(denseOf(tensorRaw("t", type, {5}, "\xe4\xff")), "\xe4\x03") << elementTypeName(type);
  }
  // Six bits each: 1 | 2 << 6 | 3 << 12 | 4 << 18 | 63 << 24.
  for (auto type : {ElementType::Float6E2M3, ElementType::Float6E3M2})
    EXPECT_EQ(denseOf(tensorInt32Data("t", type, {5}, {1, 2, 3, 4, 63})), "\x81\x30\x10\x3f")
        << elementTypeName(type);
}

TEST(Tensor, NonCanonicalRawBytesAreNotAView) {
  Held model = mustRead(modelWith({tensorRaw("b", ElementType::Bool, {2}, "\x01\x07")}));
  const Tensor &b = model->graph.initializers.at(0);
  EXPECT_FALSE(b.view()->has_value());
  EXPECT_EQ((*b.read())[1], std::byte(1));
}

TEST(Tensor, TypedDataMayBeUnpackedOrInPieces) {
  std::string unpacked = tensorHeader("t", ElementType::Float32, {3}) + message([](auto &w) {
                           w.add_float(4, 1);
                           std::vector<float> rest = {2, 3};
                           w.add_packed_float(4, rest.begin(), rest.end());
                         });
  EXPECT_EQ(denseOf(unpacked), littleEndian<float>({1, 2, 3}));
  std::string ints = tensorHeader("t", ElementType::Int8, {2}) + message([](auto &w) {
                       w.add_int32(5, -1);
                       w.add_int32(5, 2);
                     });
  EXPECT_EQ(denseOf(ints), "\xff\x02");
}

TEST(Tensor, ScalarsAndEmptyTensors) {
  EXPECT_EQ(denseOf(tensorInt64Data("t", {}, {5})), littleEndian<int64_t>({5}));
  EXPECT_EQ(denseOf(tensorHeader("t", ElementType::Float32, {0, 3})), "");
  EXPECT_EQ(denseOf(tensorRaw("t", ElementType::Float32, {3, 0}, "")), "");
}

TEST(Tensor, Strings) {
  Held model = mustRead(modelWith({tensorStrings("s", {3}, {"a", "", std::string("x\0y", 3)})}));
  auto strings = model->graph.initializers.at(0).readStrings();
  ASSERT_TRUE(strings) << strings.error().text();
  EXPECT_EQ(*strings, (std::vector<std::string_view>{"a", "", std::string_view("x\0y", 3)}));
  EXPECT_EQ(refusalOf(tensorStrings("t", {3}, {"a", "b", "c"})), 1018) << "not bytes";
  EXPECT_EQ(refusalOf(tensorRaw("t", ElementType::String, {1}, "a")), 1012);
  Held tooFew = mustRead(modelWith({tensorStrings("s", {3}, {"a"})}));
  EXPECT_EQ(tooFew->graph.initializers.at(0).readStrings().error().code, 1011);
}

TEST(Tensor, SmallIntegersWiden) {
  Held model = mustRead(modelWith({tensor<int32_t>("a", {2}, {-1, 7}), tensor<uint8_t>("b", {1}, {200}),
                                   tensor<float>("c", {1}, {1}), tensor<int64_t>("d", {3}, {1, 2, 3})}));
  const auto &tensors = model->graph.initializers;
  EXPECT_EQ(*tensors[0].readInts(), (std::vector<int64_t>{-1, 7}));
  EXPECT_EQ(*tensors[1].readInts(), (std::vector<int64_t>{200}));
  EXPECT_EQ(tensors[2].readInts().error().code, 1018);
  EXPECT_EQ(tensors[3].readInts(2).error().code, 1018);
}

TEST(Tensor, ImpossibleTensorsAreRefused) {
  int64_t huge = int64_t(1) << 62;
  EXPECT_EQ(refusalOf(tensorRaw("t", ElementType::Float32, {-1}, "1234")), 1010);
  EXPECT_EQ(refusalOf(tensorRaw("t", ElementType::Float32, {huge, 4}, "1234")), 1010) << "count overflows";
  EXPECT_EQ(refusalOf(tensorRaw("t", ElementType::Float32, {huge}, "1234")), 1010)
      << "size in bits overflows";
  EXPECT_EQ(refusalOf(tensorRaw("t", ElementType::Float32, {0, huge, 4}, "")), 1010)
      << "overflows but for the zero";
  EXPECT_EQ(refusalOf(tensorRaw("t", ElementType::Undefined, {1}, "1234")), 1009);
  EXPECT_EQ(refusalOf(tensorRaw("t", ElementType(99), {1}, "1234")), 1009);
  EXPECT_EQ(refusalOf(tensorRaw("t", ElementType::Float32, {2}, "1234")), 1011);
  EXPECT_EQ(refusalOf(tensorRaw("t", ElementType::Float32, {1}, "12345678")), 1011);
  EXPECT_EQ(refusalOf(tensorHeader("t", ElementType::Float32, {2})), 1012) << "no data";
  EXPECT_EQ(refusalOf(tensorHeader("t", ElementType::Float32, {1}) + std::string("\x1a\x00", 2)), 1012)
      << "segment";
}

TEST(Tensor, TypedDataOfTheWrongLengthIsRefusedBeforeMemoryIsAskedFor) {
  EXPECT_EQ(refusalOf(tensorFloatData("t", ElementType::Float32, {int64_t(1) << 50}, {1})), 1018)
      << "over the limit";
  EXPECT_EQ(refusalOf(tensorFloatData("t", ElementType::Float32, {int64_t(1) << 36}, {1})), 1011);
  EXPECT_EQ(refusalOf(tensorFloatData("t", ElementType::Float32, {3}, {1, 2})), 1011);
  EXPECT_EQ(refusalOf(tensorFloatData("t", ElementType::Float32, {3}, {1, 2, 3, 4})), 1011);
  EXPECT_EQ(refusalOf(tensorInt64Data("t", {1}, {1, 2})), 1011);
  EXPECT_EQ(refusalOf(tensorFloatData("t", ElementType::Int64, {1}, {1})), 1011) << "data in the wrong field";
  std::string cut =
      tensorHeader("t", ElementType::Float32, {1}) + message([](auto &w) { w.add_bytes(4, "12345"); });
  EXPECT_EQ(refusalOf(cut), 1011);
}

TEST(Tensor, ReadRespectsItsLimit) {
  Held model = mustRead(modelWith({tensor<float>("w", {4}, {1, 2, 3, 4})}));
  EXPECT_TRUE(model->graph.initializers.at(0).read(16));
  EXPECT_EQ(model->graph.initializers.at(0).read(15).error().code, 1018);
}

/// The dense form of a sparse initializer, or the error's code as text.
std::string denseOfSparse(const std::string &sparse) {
  std::string bytes = ModelWriter(GraphWriter().sparseInitializer(sparse)).bytes();
  auto model = readModel(asBytes(bytes));
  if (!model)
    return model.error().codeText();
  auto dense = (*model)->graph.sparseInitializers.at(0).read();
  return dense ? std::string(reinterpret_cast<const char *>(dense->data()), dense->size())
               : dense.error().codeText();
}

TEST(SparseTensor, BecomesDense) {
  std::string values = tensor<int8_t>("s", {2}, {5, 6});
  std::string expected("\0\0\5\6\0\0", 6);
  EXPECT_EQ(denseOfSparse(sparseTensor(values, tensor<int64_t>("", {2}, {2, 3}), {2, 3})), expected);
  EXPECT_EQ(denseOfSparse(sparseTensor(values, tensor<int64_t>("", {2, 2}, {0, 2, 1, 0}), {2, 3})), expected);
}

TEST(SparseTensor, IsRefusedWhenMalformed) {
  std::string values = tensor<int8_t>("s", {2}, {5, 6});
  auto indices = [](std::vector<int64_t> dims, std::vector<int64_t> at) {
    return tensor<int64_t>("", dims, at);
  };
  EXPECT_EQ(denseOfSparse(sparseTensor(values, indices({2}, {2, 6}), {2, 3})), "TW1017")
      << "linear, past the end";
  EXPECT_EQ(denseOfSparse(sparseTensor(values, indices({2}, {-1, 0}), {2, 3})), "TW1017") << "negative";
  EXPECT_EQ(denseOfSparse(sparseTensor(values, indices({2, 2}, {0, 3, 1, 0}), {2, 3})), "TW1017")
      << "a coordinate";
  EXPECT_EQ(denseOfSparse(sparseTensor(values, indices({3}, {0, 1, 2}), {2, 3})), "TW1017")
      << "counts differ";
  EXPECT_EQ(denseOfSparse(sparseTensor(values, indices({2}, {0, 1}), {-2, 3})), "TW1017") << "negative shape";
  EXPECT_EQ(denseOfSparse(sparseTensor(values, indices({2}, {0, 1}), {int64_t(1) << 40})), "TW1018")
      << "too large";
}

TEST(ReadValue, TensorsSequencesAndOptionals) {
  TemporaryFolder folder;
  std::string one = tensor<float>("a", {1}, {1}), two = tensor<float>("b", {1}, {2});
  folder.write("tensor.pb", one);
  folder.write("sequence.pb", message([&](auto &w) {
                 w.add_message(3, one);
                 w.add_message(3, two);
               }));
  folder.write("optional.pb", message([&](auto &w) { w.add_message(3, two); }));
  folder.write("nothing.pb", "");
  auto read = [&](const std::string &name, TypeInfo::Kind kind) {
    TypeInfo type;
    type.kind = kind;
    return readValue(folder / name, type);
  };
  EXPECT_EQ((*read("tensor.pb", TypeInfo::Kind::Tensor))->tensors.at(0).name, "a");
  EXPECT_EQ((*read("sequence.pb", TypeInfo::Kind::Sequence))->tensors.at(1).name, "b");
  EXPECT_TRUE((*read("optional.pb", TypeInfo::Kind::Optional))->present);
  EXPECT_FALSE((*read("nothing.pb", TypeInfo::Kind::Optional))->present);
  EXPECT_EQ(read("nothing.pb", TypeInfo::Kind::Tensor).error().code, 1009);
  EXPECT_EQ(read("tensor.pb", TypeInfo::Kind::Map).error().status, Status::Unsupported);
}

} // namespace
} // namespace tilewright::onnx
