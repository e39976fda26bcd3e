//===- BuiltinsTest.cpp - what LLVM calls behind our back -----------------===//
//
// Each test makes generated code need a built-in and compares the result with the host compiler's own
// arithmetic.
//===----------------------------------------------------------------------===//
#include "Support.h"
#include "codegen/artifact/Link.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

using namespace tilewright::codegen;
using namespace tilewright::codegen::testing;

namespace {

/// Applies `body`, which makes %y of %x (and %x2 when `second`), to n elements.
std::string elementwise(const std::string &body, const std::string &from, const std::string &to,
                        bool second = false) {
  auto element = [](const std::string &name, const std::string &base, const std::string &type) {
    return "%" + name + " = llvm.getelementptr %" + base + "[%i] : (!llvm.ptr, i64) -> !llvm.ptr, " + type +
           "\n";
  };
  std::string text = R"(func.func @tilewright_program(%frame: !llvm.ptr, %n32: i32, %threads: i32) {
    %n = arith.extsi %n32 : i32 to i64
    %c0 = arith.constant 0 : i64
    %c1 = arith.constant 1 : i64
    %to = llvm.load %frame : !llvm.ptr -> !llvm.ptr
    %slot1 = llvm.getelementptr %frame[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
    %from = llvm.load %slot1 : !llvm.ptr -> !llvm.ptr
    %slot2 = llvm.getelementptr %frame[2] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
    %from2 = llvm.load %slot2 : !llvm.ptr -> !llvm.ptr
    scf.for %i = %c0 to %n step %c1 : i64 {
    )";
  text += element("xAt", "from", from) + "%x = llvm.load %xAt : !llvm.ptr -> " + from + "\n";
  if (second)
    text += element("x2At", "from2", from) + "%x2 = llvm.load %x2At : !llvm.ptr -> " + from + "\n";
  text +=
      body + "\n" + element("yAt", "to", to) + "llvm.store %y, %yAt : " + to + ", !llvm.ptr\n} return }\n";
  return text;
}

template <typename To, typename From>
std::vector<To> apply(LoadedProgram &program, std::vector<From> x, std::vector<From> x2 = {}) {
  std::vector<To> y(x.size());
  program.run({y.data(), x.data(), x2.data()}, static_cast<int32_t>(x.size()));
  return y;
}

template <typename T> uint64_t bitsOf(T value) {
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  return bits;
}

/// Doubles near what 16-bit formats can hold: ties, neighbours of ties, denormals, infinities.
std::vector<double> interestingDoubles() {
  std::vector<double> values = {0.0,      -0.0,       INFINITY,      -INFINITY,  65504,       65519.999,
                                65520,    65536,      1e300,         -1e300,     5e-324,      1e-310,
                                0x1p-24,  0x1p-25,    0x1.00001p-25, 0x1p-26,    3 * 0x1p-25, 0x1p-133,
                                0x1p-134, 0x1.8p-134, 0x1.fep127,    0x1.ffp127, 3.4e38};
  std::mt19937_64 random(1);
  for (int i = 0; i < 200000; ++i) {
    const int exponent = static_cast<int>(random() % 60) - 40;
    const double significand = 1.0 + static_cast<double>(random() % 8192) / 8192; // many ties
    values.push_back(std::ldexp(random() % 2 ? significand : -significand, exponent));
  }
  return values;
}

TEST(Builtins, DoubleToHalf) {
  LoadedProgram program(elementwise("%y = arith.truncf %x : f64 to f16", "f64", "f16"), "cpu:haswell");
  const std::vector<double> x = interestingDoubles();
  const auto y = apply<_Float16>(program, x);
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_EQ(bitsOf(y[i]), bitsOf(static_cast<_Float16>(x[i]))) << x[i];
  EXPECT_TRUE(std::isnan(static_cast<float>(apply<_Float16>(program, std::vector<double>{NAN})[0])));
}

TEST(Builtins, HalfToDoubleAndFloat) {
  std::vector<_Float16> x(65536);
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const uint16_t half = static_cast<uint16_t>(bits);
    memcpy(&x[bits], &half, 2);
  }
  LoadedProgram program(elementwise("%y = arith.extf %x : f16 to f64", "f16", "f64"), "cpu:haswell");
  const auto y = apply<double>(program, x);
  for (uint32_t bits = 0; bits < 65536; ++bits)
    if (std::isnan(static_cast<double>(x[bits])))
      ASSERT_TRUE(std::isnan(y[bits])) << bits;
    else
      ASSERT_EQ(bitsOf(y[bits]), bitsOf(static_cast<double>(x[bits]))) << bits;
}

TEST(Builtins, FloatToBrainFloat) {
  LoadedProgram program(elementwise("%y = arith.truncf %x : f32 to bf16", "f32", "bf16"), "cpu:haswell");
  std::vector<float> x = {0.0f,        -0.0f,     INFINITY,  -INFINITY, 0x1.fep127f,
                          0x1.ffp127f, 0x1p-149f, 0x1p-133f, 0x1p-134f, 0x1.8p-134f};
  std::mt19937 random(2);
  for (int i = 0; i < 100000; ++i) {
    uint32_t bits = random();
    if (i % 3 == 0)
      bits = (bits & 0xffff0000u) | 0x8000u; // a tie
    float value;
    memcpy(&value, &bits, 4);
    if (!std::isnan(value))
      x.push_back(value);
  }
  const auto y = apply<uint16_t>(program, x);
  for (size_t i = 0; i < x.size(); ++i) {
    const uint32_t bits = static_cast<uint32_t>(bitsOf(x[i]));
    const uint16_t expected = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    ASSERT_EQ(y[i], expected) << x[i];
  }
  const uint16_t nan = apply<uint16_t>(program, std::vector<float>{NAN})[0];
  EXPECT_EQ(nan & 0x7fc0, 0x7fc0);
}

TEST(Builtins, DoubleToBrainFloatRoundsOnce) {
  LoadedProgram program(elementwise("%y = arith.truncf %x : f64 to bf16", "f64", "bf16"), "cpu:haswell");
  // Just above a tie of bf16, by less than f32 can see: rounding twice would give 1.0.
  const auto y =
      apply<uint16_t>(program, std::vector<double>{1 + 0x1p-8 + 0x1p-40, 1 + 0x1p-8, 1 + 0x1.8p-7, -2.0});
  EXPECT_EQ(y, (std::vector<uint16_t>{0x3f81, 0x3f80, 0x3f82, 0xc000}));
}

template <typename T> void checkRemainder(const char *type, T (*reference)(T, T)) {
  LoadedProgram program(elementwise(std::string("%y = arith.remf %x, %x2 : ") + type, type, type, true),
                        "cpu:haswell");
  const T tiny = std::numeric_limits<T>::denorm_min(), least = std::numeric_limits<T>::min();
  std::vector<T> values = {
      0,    -T(0),    1,     -1,        3,        T(0.1),    T(1e30), -T(1e30),
      tiny, 7 * tiny, least, 5 * least, INFINITY, -INFINITY, NAN,     std::numeric_limits<T>::max()};
  std::mt19937_64 random(3);
  while (values.size() < 200)
    values.push_back(static_cast<T>(
        std::ldexp(static_cast<double>(random()) - 9e18, static_cast<int>(random() % 120) - 100)));
  std::vector<T> x, x2;
  for (T a : values)
    for (T b : values) {
      x.push_back(a);
      x2.push_back(b);
    }
  const auto y = apply<T>(program, x, x2);
  for (size_t i = 0; i < x.size(); ++i) {
    const T expected = reference(x[i], x2[i]);
    if (std::isnan(expected))
      ASSERT_TRUE(std::isnan(y[i])) << x[i] << " % " << x2[i];
    else
      ASSERT_EQ(bitsOf(y[i]), bitsOf(expected)) << x[i] << " % " << x2[i];
  }
}

TEST(Builtins, Remainder) {
  checkRemainder<float>("f32", std::fmod);
  checkRemainder<double>("f64", std::fmod);
}

TEST(Builtins, WideDivision) {
  const char *body = R"(
    %a = arith.extsi %x : i64 to i128
    %b = arith.extsi %x2 : i64 to i128
    %shift = arith.constant 37 : i128
    %wide = arith.shli %a, %shift : i128
    %q = arith.OPERATION %wide, %b : i128
    %y = arith.trunci %q : i128 to i64)";
  std::mt19937_64 random(4);
  std::vector<int64_t> x, x2;
  for (int i = 0; i < 2000; ++i) {
    x.push_back(static_cast<int64_t>(random()) >> random() % 40);
    x2.push_back((static_cast<int64_t>(random()) >> random() % 62) | 1);
  }
  auto check = [&](const char *operation, auto reference) {
    std::string text = body;
    text.replace(text.find("OPERATION"), 9, operation);
    LoadedProgram program(elementwise(text, "i64", "i64", true), "cpu:haswell");
    const auto y = apply<int64_t>(program, x, x2);
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(y[i], static_cast<int64_t>(reference(
                          static_cast<__int128>(static_cast<unsigned __int128>(x[i]) << 37), x2[i])))
          << operation << ' ' << x[i] << ' ' << x2[i];
  };
  using Unsigned = unsigned __int128;
  check("divsi", [](__int128 a, __int128 b) { return a / b; });
  check("remsi", [](__int128 a, __int128 b) { return a % b; });
  check("divui", [](Unsigned a, Unsigned b) { return a / b; });
  check("remui", [](Unsigned a, Unsigned b) { return a % b; });
}

TEST(Builtins, MovingMemory) {
  LoadedProgram program(R"(func.func @tilewright_program(%frame: !llvm.ptr, %kind: i32, %bytes32: i32) {
    %bytes = arith.extsi %bytes32 : i32 to i64
    %to = llvm.load %frame : !llvm.ptr -> !llvm.ptr
    %slot = llvm.getelementptr %frame[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
    %from = llvm.load %slot : !llvm.ptr -> !llvm.ptr
    %value = arith.constant 171 : i8
    %choice = arith.index_cast %kind : i32 to index
    scf.index_switch %choice
    case 0 { "llvm.intr.memcpy"(%to, %from, %bytes) <{isVolatile = false}> : (!llvm.ptr, !llvm.ptr, i64) -> () scf.yield }
    case 1 { "llvm.intr.memmove"(%to, %from, %bytes) <{isVolatile = false}> : (!llvm.ptr, !llvm.ptr, i64) -> () scf.yield }
    default { "llvm.intr.memset"(%to, %value, %bytes) <{isVolatile = false}> : (!llvm.ptr, i8, i64) -> () }
    return })",
                        "cpu:haswell");
  for (int size : {0, 1, 31, 32, 33, 100, 2047, 2048, 5000})
    for (int kind : {0, 1, 2})
      for (int shift : {-40, -1, 0, 1, 33}) {
        std::vector<uint8_t> memory(12000), expected;
        for (size_t i = 0; i < memory.size(); ++i)
          memory[i] = static_cast<uint8_t>(i * 37 + i / 256);
        expected = memory;
        const int distance = kind == 0 ? 6000 : shift; // memcpy must not overlap
        uint8_t *from = memory.data() + 100, *to = from + distance;
        if (kind == 2)
          memset(expected.data() + 100 + distance, 171, size);
        else
          memmove(expected.data() + 100 + distance, expected.data() + 100, size);
        program.run({to, from}, kind, size);
        ASSERT_EQ(memory, expected) << kind << ' ' << size << ' ' << distance;
      }
}

} // namespace
