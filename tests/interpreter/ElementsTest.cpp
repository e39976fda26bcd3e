/// Elements: every small float type against the definition of its format, rounding at every midpoint,
/// packing, attributes.
#include "ir/interpreter/Elements.h"
#include "tests/interpreter/Support.h"
#include "llvm/ADT/APFloat.h"

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;
using interpreter::decodeFloat;
using interpreter::encodeFloat;
using interpreter::formatOf;
using ::testing::ElementsAre;

namespace {

class ElementsTest : public InterpreterTest {
protected:
  double decode(llvm::StringRef name, uint32_t code) { return decodeFloat(*formatOf(type(name)), code); }
  uint32_t encode(llvm::StringRef name, double value, bool saturate = false) {
    return encodeFloat(*formatOf(type(name)), value, saturate);
  }
};

const char *const smallFloats[] = {"f16",    "bf16",       "f8E4M3FN", "f8E4M3FNUZ",
                                   "f8E5M2", "f8E5M2FNUZ", "f4E2M1FN"};

/// LLVM's own idea of a code, as an independent definition of the formats.
double apfloatValue(const llvm::fltSemantics &semantics, unsigned bits, uint32_t code) {
  llvm::APFloat value(semantics, llvm::APInt(bits, code));
  if (value.isNaN())
    return notANumber; // converting f8E8M0's NaN does not give one
  bool lossy;
  value.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &lossy);
  return value.convertToDouble();
}

TEST_F(ElementsTest, EveryCodeOfEveryTypeDecodes) {
  for (llvm::StringRef name :
       {"f16", "bf16", "f8E4M3FN", "f8E4M3FNUZ", "f8E5M2", "f8E5M2FNUZ", "f4E2M1FN", "f8E8M0FNU"}) {
    auto floatType = cast<FloatType>(type(name));
    unsigned bits = floatType.getWidth();
    for (uint32_t code = 0; code < (1u << bits); ++code) {
      double expected = apfloatValue(floatType.getFloatSemantics(), bits, code), actual = decode(name, code);
      if (std::isnan(expected))
        EXPECT_TRUE(std::isnan(actual)) << name.str() << " " << code;
      else
        EXPECT_TRUE(actual == expected && std::signbit(actual) == std::signbit(expected))
            << name.str() << " " << code;
    }
  }
}

TEST_F(ElementsTest, KnownCodes) {
  EXPECT_EQ(decode("f8E4M3FN", 0x7E), 448);
  EXPECT_EQ(decode("f8E4M3FN", 0x01), 0x1p-9);
  EXPECT_TRUE(std::isnan(decode("f8E4M3FN", 0xFF)));
  EXPECT_EQ(decode("f8E4M3FNUZ", 0x7F), 240);
  EXPECT_TRUE(std::isnan(decode("f8E4M3FNUZ", 0x80)));
  EXPECT_EQ(decode("f8E5M2", 0x7B), 57344);
  EXPECT_EQ(decode("f8E5M2", 0xFC), -infinity);
  EXPECT_EQ(decode("f8E5M2FNUZ", 0x7F), 57344);
  EXPECT_EQ(decode("f8E8M0FNU", 0x7F), 1);
  EXPECT_EQ(decode("f16", 0x3555), 0.333251953125);
  EXPECT_EQ(decode("bf16", 0x4049), 3.140625);
  std::vector<double> f4;
  for (uint32_t code = 0; code < 8; ++code)
    f4.push_back(decode("f4E2M1FN", code));
  EXPECT_THAT(f4, ElementsAre(0, 0.5, 1, 1.5, 2, 3, 4, 6));
}

/// Every finite value comes back, every midpoint goes to the even neighbour, and the values beside it to the
/// nearer one.
TEST_F(ElementsTest, RoundingIsToNearestEvenEverywhere) {
  for (llvm::StringRef name : smallFloats) {
    const auto &format = *formatOf(type(name));
    for (uint32_t code = 0; code < format.maxCode; ++code) {
      double low = decode(name, code), high = decode(name, code + 1), middle = (low + high) / 2;
      uint32_t even = code & 1 ? code + 1 : code;
      ASSERT_EQ(encode(name, low), code) << name.str();
      ASSERT_EQ(encode(name, middle), even) << name.str() << " " << code;
      ASSERT_EQ(encode(name, std::nextafter(middle, 0.0)), code) << name.str() << " " << code;
      ASSERT_EQ(encode(name, std::nextafter(middle, infinity)), code + 1) << name.str() << " " << code;
      if (code + 1 <= format.maxCode && low > 0) {
        uint32_t sign = 1u << (format.bits - 1);
        ASSERT_EQ(encode(name, -low), code | sign) << name.str();
        ASSERT_EQ(encode(name, -middle), even | sign) << name.str();
      }
    }
  }
}

TEST_F(ElementsTest, ZerosKeepTheirSignWhereThereIsOne) {
  EXPECT_EQ(encode("f16", -0.0), 0x8000u);
  EXPECT_EQ(encode("f8E4M3FN", -0.0), 0x80u);
  EXPECT_EQ(encode("f8E5M2", -1e-30), 0x80u);
  EXPECT_EQ(encode("f8E4M3FNUZ", -0.0), 0u);
  EXPECT_EQ(encode("f8E5M2FNUZ", -1e-30), 0u);
  EXPECT_EQ(encode("f4E2M1FN", -0.0), 8u);
}

/// The tables of ONNX's Cast, for both values of `saturate`.
TEST_F(ElementsTest, OverflowFollowsOnnx) {
  struct Row {
    const char *name;
    uint32_t largest, overflow, nan;
  };
  for (const Row &row : {Row{"f8E4M3FN", 0x7E, 0x7F, 0x7F}, Row{"f8E4M3FNUZ", 0x7F, 0x80, 0x80},
                         Row{"f8E5M2", 0x7B, 0x7C, 0x7E}, Row{"f8E5M2FNUZ", 0x7F, 0x80, 0x80}}) {
    for (double value : {1e9, infinity}) {
      EXPECT_EQ(encode(row.name, value, true), row.largest) << row.name;
      EXPECT_EQ(encode(row.name, -value, true), row.largest | 0x80) << row.name;
      EXPECT_EQ(encode(row.name, value, false), row.overflow) << row.name;
      EXPECT_EQ(encode(row.name, -value, false), row.overflow | 0x80) << row.name;
    }
    EXPECT_EQ(encode(row.name, notANumber, true), row.nan) << row.name;
    EXPECT_EQ(encode(row.name, notANumber, false), row.nan) << row.name;
  }
  EXPECT_EQ(encode("f8E4M3FN", 464), 0x7Eu); // halfway to 480, which would be odd's neighbour
  EXPECT_EQ(encode("f8E4M3FN", 464.001), 0x7Fu);
  EXPECT_EQ(encode("f8E5M2", 61439), 0x7Bu);
  EXPECT_EQ(encode("f8E5M2", 61440), 0x7Cu);
  EXPECT_EQ(encode("f16", 65519.99), 0x7BFFu);
  EXPECT_EQ(encode("f16", 65520), 0x7C00u);
  EXPECT_EQ(encode("f16", 65520, true), 0x7C00u); // saturation is for 8-bit types
  EXPECT_EQ(encode("bf16", 3.4e38), 0x7F80u);
  EXPECT_EQ(encode("f4E2M1FN", 1e9), 7u);
  EXPECT_EQ(encode("f4E2M1FN", -infinity), 15u);
}

TEST_F(ElementsTest, PowersOfTwo) {
  EXPECT_EQ(encode("f8E8M0FNU", 1), 0x7Fu);
  EXPECT_EQ(encode("f8E8M0FNU", 1.4999), 0x7Fu);
  EXPECT_EQ(encode("f8E8M0FNU", 1.5), 0x80u); // ties go up
  EXPECT_EQ(encode("f8E8M0FNU", 448), 0x88u);
  EXPECT_EQ(encode("f8E8M0FNU", 0, true), 0u);
  EXPECT_EQ(encode("f8E8M0FNU", 0, false), 0xFFu);
  EXPECT_EQ(encode("f8E8M0FNU", infinity, true), 0xFEu);
  EXPECT_EQ(encode("f8E8M0FNU", infinity, false), 0xFFu);
  EXPECT_EQ(encode("f8E8M0FNU", notANumber, true), 0xFFu);
  EXPECT_EQ(encode("f8E8M0FNU", 0x1p127, false), 0xFEu);
  EXPECT_EQ(encode("f8E8M0FNU", 0x1.8p127, false), 0xFFu);
}

TEST_F(ElementsTest, IntegersToFloatsRoundOnce) {
  // 2^53 + 2^29 + 1 lies above the midpoint of two f32 values; rounding to double first would put it on the
  // midpoint.
  int64_t value = (int64_t(1) << 53) + (int64_t(1) << 29) + 1;
  Tensor x = ints("si64", {2}, {value, -value});
  Tensor y = one({x}, [&](GraphProgram &p, ValueRange in) { return p.g.cast(in[0], type("f32")); });
  EXPECT_THAT(numbers(y), ElementsAre(0x1.000002p53, -0x1.000002p53));
  Tensor top = ints("ui64", {1}, {-1});
  Tensor z = one({top}, [&](GraphProgram &p, ValueRange in) { return p.g.cast(in[0], type("f64")); });
  EXPECT_THAT(numbers(z), ElementsAre(0x1p64));
}

TEST_F(ElementsTest, SubByteTypesUnpack) {
  const std::byte packed[] = {std::byte(0x9F), std::byte(0x07)};
  auto keep = std::make_shared<int>(0);
  EXPECT_THAT(integers(Tensor::fromPacked(type("si4"), {3}, packed, keep)), ElementsAre(-1, -7, 7));
  EXPECT_THAT(integers(Tensor::fromPacked(type("ui4"), {3}, packed, keep)), ElementsAre(15, 9, 7));
  EXPECT_THAT(numbers(Tensor::fromPacked(type("f4E2M1FN"), {3}, packed, keep)), ElementsAre(-6, -0.5, 6));
  EXPECT_THAT(integers(Tensor::fromPacked(type("ui2"), {5}, packed, keep)), ElementsAre(3, 3, 1, 2, 3));
  EXPECT_THAT(integers(Tensor::fromPacked(type("si2"), {5}, packed, keep)), ElementsAre(-1, -1, 1, -2, -1));
  EXPECT_EQ(interpreter::packedBytes(type("ui4"), 3), 2);
  EXPECT_EQ(interpreter::packedBytes(type("i1"), 3), 3);
}

TEST_F(ElementsTest, AttributesRoundTrip) {
  for (const char *name : {"i1", "si4", "ui4", "si8", "ui8", "si16", "ui32", "si64", "ui64", "f4E2M1FN",
                           "f8E4M3FN", "bf16", "f16", "f32", "f64"}) {
    Tensor tensor = Tensor::fromInts(type(name), {2, 2}, {1, 0, 1, -1});
    DenseElementsAttr attribute = tensor.toAttribute();
    EXPECT_FALSE(attribute.getElementType().isSignedInteger() ||
                 attribute.getElementType().isUnsignedInteger())
        << name;
    auto back = Tensor::fromAttribute(attribute, tensor.elementType);
    ASSERT_TRUE(bool(back)) << name;
    EXPECT_TRUE(identical(*back, tensor)) << name;
    auto splat =
        Tensor::fromAttribute(Tensor::fromInts(type(name), {3}, {1, 1, 1}).toAttribute(), type(name));
    ASSERT_TRUE(bool(splat)) << name;
    EXPECT_THAT(integers(*splat), ElementsAre(1, 1, 1)) << name;
  }
  EXPECT_EQ(Tensor(type("f32"), {0, 3}).toAttribute().getType().getShape(), Ints({0, 3}));
}

TEST_F(ElementsTest, AttributesOfAnotherWidthAreRefused) {
  auto attribute = Tensor::fromInts(type("si32"), {1}, {5}).toAttribute();
  auto tensor = Tensor::fromAttribute(attribute, type("si8"));
  EXPECT_FALSE(bool(tensor));
  llvm::consumeError(tensor.takeError());
}

} // namespace
