#include "support/Npy.h"
#include "Support.h"

#include <numeric>

using namespace tilewright::tools;
using namespace tilewright::tools::test;

/// A .npy file of version 1 with this header text, then `elements`.
static Bytes npy(const std::string &header, const std::string &elements) {
  std::string text = std::string("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(header.size() & 0xff);
  text += static_cast<char>(header.size() >> 8);
  return bytesOf(text + header + elements);
}

static Bytes npy(const std::string &type, const std::string &shape, const std::string &elements,
                 bool fortran = false) {
  return npy("{'descr': '" + type + "', 'fortran_order': " + (fortran ? "True" : "False") +
                 ", 'shape': " + shape + ", }\n",
             elements);
}

static Result<Tensor> readData(const char *name) {
  std::string path = std::string(DATA_FOLDER "/") + name;
  auto file = readFile(path);
  if (!file)
    return file.problem();
  return readNpy(*file, name);
}

static void expectRefused(const Bytes &file, const char *code) {
  auto tensor = readNpy(file, "array");
  ASSERT_FALSE(tensor);
  EXPECT_EQ(tensor.problem().code, code) << tensor.problem().message;
  EXPECT_EQ(tensor.problem().exit, ExitCode::Invalid);
}

TEST(Npy, ReadsEveryNumericType) {
  struct Row {
    const char *descriptor;
    size_t bytes;
    tw_dtype dtype;
  };
  for (Row row : {Row{"|b1", 1, TW_BOOL}, Row{"|i1", 1, TW_I8}, Row{"<i2", 2, TW_I16}, Row{"<i4", 4, TW_I32},
                  Row{"<i8", 8, TW_I64}, Row{"|u1", 1, TW_U8}, Row{"<u2", 2, TW_U16}, Row{"<u4", 4, TW_U32},
                  Row{"<u8", 8, TW_U64}, Row{"<f2", 2, TW_F16}, Row{"<f4", 4, TW_F32}, Row{"<f8", 8, TW_F64},
                  Row{"<c8", 8, TW_C64}, Row{"<c16", 16, TW_C128}, Row{"?", 1, TW_BOOL},
                  Row{"<V2", 2, TW_U16}, Row{"|V1", 1, TW_U8}}) {
    std::string elements(3 * row.bytes, '\1');
    auto tensor = readNpy(npy(row.descriptor, "(3,)", elements), "array");
    ASSERT_TRUE(tensor) << row.descriptor;
    EXPECT_EQ(tensor->dtype, row.dtype) << row.descriptor;
    EXPECT_EQ(tensor->shape, std::vector<int64_t>{3});
    EXPECT_EQ(tensor->bytes.size(), elements.size());
  }
}

TEST(Npy, SwapsTheOtherByteOrder) {
  auto integers = readNpy(npy(">i4", "(2,)", std::string("\0\0\0\1\0\0\1\0", 8)), "array");
  ASSERT_TRUE(integers);
  EXPECT_EQ(valuesOf<int32_t>(*integers), (std::vector<int32_t>{1, 256}));
  auto complex = readNpy(npy(">c8", "()", std::string("\x3f\x80\0\0\x40\0\0\0", 8)), "array");
  ASSERT_TRUE(complex);
  EXPECT_EQ(valuesOf<float>(*complex), (std::vector<float>{1, 2})) << "each part is swapped by itself";
}

TEST(Npy, ReordersFortranOrder) {
  auto matrix = readNpy(npy("|u1", "(2, 3)", "adbecf", true), "array");
  ASSERT_TRUE(matrix);
  EXPECT_EQ(valuesOf<char>(*matrix), (std::vector<char>{'a', 'b', 'c', 'd', 'e', 'f'}));
  auto cube = readData("fortran_big_endian.npy");
  ASSERT_TRUE(cube);
  std::vector<int16_t> ascending(24);
  std::iota(ascending.begin(), ascending.end(), int16_t{0});
  EXPECT_EQ(cube->shape, (std::vector<int64_t>{2, 3, 4}));
  EXPECT_EQ(valuesOf<int16_t>(*cube), ascending);
  auto empty = readNpy(npy("<f4", "(2, 0, 3)", "", true), "array");
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->bytes.size(), 0u);
}

TEST(Npy, ReadsStrings) {
  auto words = readData("words.npy");
  ASSERT_TRUE(words);
  EXPECT_EQ(words->dtype, TW_STRING);
  EXPECT_EQ(words->shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(words->strings, (std::vector<std::string>{"eins", "Straße", "", "日本🙂"}));
  auto bytes = readNpy(npy("|S3", "(2,)", std::string("abcd\0\0", 6)), "array");
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->strings, (std::vector<std::string>{"abc", "d"}));
  expectRefused(npy("<U1", "(1,)", std::string("\0\0\x11\0", 4)), "TW5202");
}

TEST(Npy, ReadsAllHeaderVersions) {
  for (const char *name : {"header_v2.npy", "header_v3.npy"}) {
    auto tensor = readData(name);
    ASSERT_TRUE(tensor) << name;
    EXPECT_EQ(valuesOf<uint32_t>(*tensor), (std::vector<uint32_t>{0, 1, 2}));
  }
}

TEST(Npy, ReadsScalarsAndEmptyArrays) {
  auto scalar = readNpy(npy("<i2", "()", std::string("\x2a\0", 2)), "array");
  ASSERT_TRUE(scalar);
  EXPECT_TRUE(scalar->shape.empty());
  EXPECT_EQ(valuesOf<int16_t>(*scalar), std::vector<int16_t>{42});
  auto empty = readNpy(npy("<f4", "(0,)", ""), "array");
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->elementCount(), 0u);
}

TEST(Npy, MakesBooleansZeroOrOne) {
  auto tensor = readNpy(npy("|b1", "(3,)", std::string("\0\2\xff", 3)), "array");
  ASSERT_TRUE(tensor);
  EXPECT_EQ(valuesOf<uint8_t>(*tensor), (std::vector<uint8_t>{0, 1, 1}));
}

TEST(Npy, RefusesDamage) {
  expectRefused(bytesOf(""), "TW5202");
  expectRefused(bytesOf("\x93NUMPY\x01"), "TW5202");
  expectRefused(bytesOf(std::string("\x93NUMPY\x04\x00\x02\x00{}", 12)), "TW5202");
  expectRefused(bytesOf(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff{}", 14)), "TW5202");
  expectRefused(npy("<f4", "(3,)", "short"), "TW5202");
  expectRefused(npy("<f4", "(4611686018427387904,)", ""), "TW5202");
  expectRefused(npy("<f4", "(99999999999999999999,)", ""), "TW5202");
  expectRefused(npy("<f4", "(0, 4611686018427387904, 4611686018427387904)", ""), "TW5202");
  expectRefused(npy("<f4", "(-1,)", ""), "TW5202");
  expectRefused(npy("<f4", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)", "abcd"), "TW5202");
  expectRefused(npy("<U0", "(4611686018427387904,)", ""), "TW5202");
  expectRefused(npy("{'descr': '<f4', 'fortran_order': False}", ""), "TW5202");
  expectRefused(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1", "abcd"), "TW5202");
  expectRefused(npy("{'descr': '<f4', 'fortran_order': 1, 'shape': (1,)}", "abcd"), "TW5202");
  expectRefused(npy("__import__('os')", ""), "TW5202");
}

TEST(Npy, RefusesWhatIsNoTensor) {
  for (const char *type : {"|O", "<M8[ns]", "<f16", "<i3", "", "<", "<f99999999999999999999"})
    expectRefused(npy(type, "(1,)", std::string(64, '\0')), "TW5203");
  EXPECT_FALSE(readData("pickled.npy"));
  EXPECT_FALSE(readData("structure.npy"));
}

TEST(Npy, HeaderIsAlignedAndReadAgain) {
  for (const std::vector<int64_t> &shape :
       {std::vector<int64_t>{}, {3}, {2, 3}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}) {
    std::string header = npyHeader(TW_F16, shape);
    EXPECT_EQ(header.size() % 64, 0u);
    auto tensor = readNpy(bytesOf(header + std::string(12, '\0')), "array");
    ASSERT_TRUE(tensor);
    EXPECT_EQ(tensor->shape, shape);
    EXPECT_EQ(tensor->dtype, TW_F16);
  }
}

TEST(Npy, TypesWithoutNumPyNameTravelAsIntegers) {
  EXPECT_EQ(carrierOf(TW_BF16), TW_U16);
  EXPECT_EQ(carrierOf(TW_F8E5M2), TW_U8);
  EXPECT_EQ(carrierOf(TW_I4), TW_I8);
  EXPECT_EQ(carrierOf(TW_U4), TW_U8);
  EXPECT_NE(npyHeader(TW_BF16, {1}).find("'<u2'"), std::string::npos);
  EXPECT_NE(npyHeader(TW_I2, {1}).find("'|i1'"), std::string::npos);
}
