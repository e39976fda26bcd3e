//===- BoundsChecksTest.cpp - accesses that would leave their buffers -----===//
#include "Support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>

using namespace tilewright::codegen;
using namespace tilewright::codegen::testing;

namespace {

struct Failure {
  int32_t code = 0, site = 0;
  int64_t offset = 0, bytes = 0;
} failure;

void noteFailure(tw_frame *, int32_t code, int32_t site, int64_t offset, int64_t bytes) {
  if (!failure.code)
    failure = {code, site, offset, bytes};
}

constexpr int64_t allowed = 40; ///< bytes of the buffer: ten f32

/// A kernel over a buffer of ten floats, in which %i is a number given at run time, and its result.
std::string kernelText(const std::string &body) {
  return R"(
func.func private @tilewright_bounded(!llvm.ptr, i64) -> !llvm.ptr
func.func @kernel_a(%p: !llvm.ptr, %result: !llvm.ptr, %i: i64, %frame: !llvm.ptr, %site: i64) {
  %four = arith.constant 4 : i64
  %eight = arith.constant 8 : i64
  %zero = arith.constant 0 : i64
  %zeros = arith.constant dense<0.0> : vector<8xf32>
  %bytes = arith.muli %i, %four : i64
  %at = llvm.getelementptr %p[%bytes] : (!llvm.ptr, i64) -> !llvm.ptr, i8
)" + body +
         R"(
  return
}
func.func @tilewright_part(%frame: !llvm.ptr) {
  %slot = llvm.getelementptr %frame[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
  %start = llvm.load %slot : !llvm.ptr -> !llvm.ptr
  %extent = arith.constant 40 : i64
  %p = func.call @tilewright_bounded(%start, %extent) : (!llvm.ptr, i64) -> !llvm.ptr
  %other = llvm.getelementptr %frame[2] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
  %there = llvm.load %other : !llvm.ptr -> !llvm.ptr
  %room = arith.constant 64 : i64
  %result = func.call @tilewright_bounded(%there, %room) : (!llvm.ptr, i64) -> !llvm.ptr
  %third = llvm.getelementptr %frame[3] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
  %number = llvm.load %third : !llvm.ptr -> !llvm.ptr
  %i = llvm.load %number : !llvm.ptr -> i64
  %site = arith.constant 8 : i64
  func.call @kernel_a(%p, %result, %i, %frame, %site) : (!llvm.ptr, !llvm.ptr, i64, !llvm.ptr, i64) -> ()
  return
}
func.func @tilewright_program(%frame: !llvm.ptr, %thread: i32, %threads: i32) {
  func.call @tilewright_part(%frame) : (!llvm.ptr) -> ()
  return
}
)";
}

/// What an access at element `i` of ten is to do.
struct Access {
  const char *name, *body;
  bool writes;
  int64_t elements; ///< that it reaches from i on
};

const Access accesses[] = {
    {"Load", R"(
  %v = llvm.load %at : !llvm.ptr -> f32
  llvm.store %v, %result : f32, !llvm.ptr)",
     false, 1},
    {"VectorLoad", R"(
  %v = llvm.load %at {alignment = 4 : i64} : !llvm.ptr -> vector<8xf32>
  llvm.store %v, %result {alignment = 4 : i64} : vector<8xf32>, !llvm.ptr)",
     false, 8},
    {"Store", R"(
  %v = arith.constant 1.0 : f32
  llvm.store %v, %at : f32, !llvm.ptr)",
     true, 1},
    {"MaskedLoad", R"(
  %mask = arith.constant dense<[true, true, true, false, false, false, false, false]> : vector<8xi1>
  %v = llvm.intr.masked.load %at, %mask, %zeros {alignment = 4 : i32} : (!llvm.ptr, vector<8xi1>, vector<8xf32>) -> vector<8xf32>
  llvm.store %v, %result {alignment = 4 : i64} : vector<8xf32>, !llvm.ptr)",
     false, 3},
    {"MaskedStore", R"(
  %mask = arith.constant dense<[true, true, true, false, false, false, false, false]> : vector<8xi1>
  llvm.intr.masked.store %zeros, %at, %mask {alignment = 4 : i32} : vector<8xf32>, vector<8xi1> into !llvm.ptr)",
     true, 3},
    {"Gather", R"(
  %mask = arith.constant dense<[true, true, false, true, false, false, false, false]> : vector<8xi1>
  %steps = arith.constant dense<[0, 4, 4000, 12, 8000, -400, 400, -4]> : vector<8xi64>
  %all = llvm.getelementptr %at[%steps] : (!llvm.ptr, vector<8xi64>) -> vector<8x!llvm.ptr>, i8
  %v = llvm.intr.masked.gather %all, %mask, %zeros {alignment = 4 : i32} : (vector<8x!llvm.ptr>, vector<8xi1>, vector<8xf32>) -> vector<8xf32>
  llvm.store %v, %result {alignment = 4 : i64} : vector<8xf32>, !llvm.ptr)",
     false, 4},
    {"Scatter", R"(
  %mask = arith.constant dense<[true, true, false, true, false, false, false, false]> : vector<8xi1>
  %steps = arith.constant dense<[0, 4, 4000, 12, 8000, -400, 400, -4]> : vector<8xi64>
  %all = llvm.getelementptr %at[%steps] : (!llvm.ptr, vector<8xi64>) -> vector<8x!llvm.ptr>, i8
  llvm.intr.masked.scatter %zeros, %all, %mask {alignment = 4 : i32} : vector<8xf32>, vector<8xi1> into vector<8x!llvm.ptr>)",
     true, 4},
    {"CopyFrom", R"(
  "llvm.intr.memcpy"(%result, %at, %eight) <{isVolatile = false}> : (!llvm.ptr, !llvm.ptr, i64) -> ())",
     false, 2},
    {"CopyTo", R"(
  "llvm.intr.memcpy"(%at, %result, %eight) <{isVolatile = false}> : (!llvm.ptr, !llvm.ptr, i64) -> ())",
     true, 2},
    {"CarriedPointer", R"(
  %one = arith.constant 1 : i64
  %last = scf.for %k = %zero to %i step %one iter_args(%q = %p) -> (!llvm.ptr) : i64 {
    %next = llvm.getelementptr %q[1] : (!llvm.ptr) -> !llvm.ptr, f32
    scf.yield %next : !llvm.ptr
  }
  %v = llvm.load %last : !llvm.ptr -> f32
  llvm.store %v, %result : f32, !llvm.ptr)",
     false, 1},
};

class BoundsChecks : public ::testing::TestWithParam<std::tuple<std::string, Access>> {};

TEST_P(BoundsChecks, StopWhatWouldLeaveTheBuffer) {
  auto &[target, access] = GetParam();
  LoadedProgram program(kernelText(access.body), target + "+checked");
  tw_host_table host{};
  host.fail = noteFailure;
  for (int64_t i : {int64_t(-1), int64_t(0), 10 - access.elements, 11 - access.elements, int64_t(10),
                    int64_t(1) << 40, int64_t(1) << 60, -(int64_t(1) << 40)}) {
    if (access.name == std::string("CarriedPointer") && (i < 0 || i > 100))
      continue;
    std::vector<float> buffer(64), result(32, -1);
    std::iota(buffer.begin(), buffer.end(), 1.0f);
    const std::vector<float> before = buffer;
    failure = {};
    // As a frame, with a buffer that has others before and behind it.
    program.run({&host, buffer.data() + 20, result.data(), &i});
    const bool fits = i >= 0 && i + access.elements <= 10;
    EXPECT_EQ(failure.code, fits ? 0 : access.writes ? TW_FAIL_WRITE : TW_FAIL_READ) << i;
    if (fits) {
      EXPECT_EQ(access.writes, buffer != before) << i;
      if (!access.writes)
        EXPECT_EQ(result[0], buffer[size_t(20 + i)]) << i;
      continue;
    }
    EXPECT_EQ(failure.site, 7) << i; // before the launch's first
    EXPECT_EQ(failure.bytes, allowed) << i;
    EXPECT_EQ(buffer, before) << i;
    if (!access.writes)
      EXPECT_LE(result[0], 0.0f) << i; // zero was loaded, or nothing was copied
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, BoundsChecks,
                         ::testing::Combine(::testing::ValuesIn(runnableTargets()),
                                            ::testing::ValuesIn(accesses)),
                         [](const auto &info) {
                           std::string name = std::get<0>(info.param) + std::get<1>(info.param).name;
                           std::erase_if(name, [](unsigned char c) { return !std::isalnum(c); });
                           return name;
                         });

std::string refusalOf(const std::string &body) {
  auto target = llvm::cantFail(resolveTarget("cpu:haswell+checked"));
  auto object = compileText(kernelText(body), target);
  if (object)
    return "none";
  ErrorText error = errorOf(object.takeError());
  return std::to_string(error.code) + " " + error.text;
}

/// Nothing is left out silently.
TEST(BoundsChecksAlone, RefuseWhatTheyCannotCheck) {
  EXPECT_THAT(refusalOf(R"(
  %q = llvm.load %p : !llvm.ptr -> !llvm.ptr
  %r = llvm.getelementptr %q[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
  %v = llvm.load %r : !llvm.ptr -> f32
  llvm.store %v, %result : f32, !llvm.ptr)"),
              ::testing::HasSubstr("9203"));
  EXPECT_THAT(refusalOf(R"(
  %q = llvm.inttoptr %i : i64 to !llvm.ptr
  llvm.store %zero, %q : i64, !llvm.ptr)"),
              ::testing::HasSubstr("nothing is known of a pointer"));
  EXPECT_THAT(refusalOf(R"(
  %old = llvm.atomicrmw add %p, %i monotonic : !llvm.ptr, i64)"),
              ::testing::HasSubstr("touches memory"));
}

TEST(BoundsChecksAlone, HaveCacheKeysOfTheirOwn) {
  auto plain = llvm::cantFail(resolveTarget("cpu:haswell")),
       checked = llvm::cantFail(resolveTarget("cpu:haswell+checked"));
  EXPECT_FALSE(plain.checksBounds);
  EXPECT_TRUE(checked.checksBounds);
  EXPECT_NE(canonicalText(plain), canonicalText(checked));
  EXPECT_EQ(errorOf(resolveTarget("cuda:sm_80+checked").takeError()).code, 3001);
  EXPECT_EQ(errorOf(resolveTarget("cpu:haswell+checkd").takeError()).code, 3001);
}

} // namespace
