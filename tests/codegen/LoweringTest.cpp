//===- LoweringTest.cpp - loop IR runs as written -------------------------===//
#include "GemmText.h"
#include "Support.h"

#include "mlir/Parser/Parser.h"

#include <cmath>
#include <gtest/gtest.h>
#include <thread>

using namespace tilewright::codegen;
using namespace tilewright::codegen::testing;

namespace {

/// Wraps a body into a program whose arguments %p0, %p1, ... are the pointers that run() passes.
std::string program(const std::string &body, unsigned pointers, const std::string &others = "") {
  std::string text =
      others + "func.func @tilewright_program(%frame: !llvm.ptr, %thread: i32, %threads: i32) {\n";
  for (unsigned i = 0; i < pointers; ++i) {
    const std::string n = std::to_string(i);
    text += "%slot" + n + " = llvm.getelementptr %frame[" + n + "] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr\n";
    text += "%p" + n + " = llvm.load %slot" + n + " : !llvm.ptr -> !llvm.ptr\n";
  }
  return text + body + "\nreturn }\n";
}

class LoweringOn : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Targets, LoweringOn, ::testing::ValuesIn(runnableTargets()), [](const auto &info) {
  std::string name = info.param;
  for (char &c : name)
    c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

TEST_P(LoweringOn, MatrixProduct) {
  const unsigned lanes = llvm::cantFail(resolveTarget(GetParam())).lanes(32);
  GemmShape shape{12, 6 * lanes, 37, 6, 2 * lanes, lanes, 4};
  LoadedProgram gemm(program("func.call @gemm(%p0, %p1, %p2) : (!llvm.ptr, !llvm.ptr, !llvm.ptr) -> ()", 3,
                             gemmText("gemm", shape)),
                     GetParam());
  std::vector<float> a(shape.m * shape.k), b(shape.k * shape.n), packed(b.size()),
      c(shape.m * shape.n, -1.0f);
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = float(int(i * 7 % 11) - 5);
  for (size_t i = 0; i < b.size(); ++i)
    b[i] = float(int(i * 5 % 13) - 6);
  for (int64_t k = 0; k < shape.k; ++k)
    for (int64_t n = 0; n < shape.n; ++n)
      packed[(n / shape.columns * shape.k + k) * shape.columns + n % shape.columns] = b[k * shape.n + n];
  gemm.run({a.data(), packed.data(), c.data()});
  for (int64_t m = 0; m < shape.m; ++m)
    for (int64_t n = 0; n < shape.n; ++n) {
      float expected = 0; // small integers: exact in any order
      for (int64_t k = 0; k < shape.k; ++k)
        expected += a[m * shape.k + k] * b[k * shape.n + n];
      ASSERT_EQ(c[m * shape.n + n], expected) << m << "," << n;
    }
}

TEST_P(LoweringOn, MaskedTailReadsAndWritesOnlyItsElements) {
  // y[i] = sqrt(|x[i]|) for i < n, in vectors of 8 with a masked tail made by vector.create_mask on index.
  LoadedProgram tail(program(R"(
    %n = llvm.load %p2 : !llvm.ptr -> i64
    %c0 = arith.constant 0 : i64
    %c8 = arith.constant 8 : i64
    %zeros = arith.constant dense<0.0> : vector<8xf32>
    scf.for %i = %c0 to %n step %c8 : i64 {
      %left = arith.subi %n, %i : i64
      %count = arith.index_cast %left : i64 to index
      %mask = vector.create_mask %count : vector<8xi1>
      %from = llvm.getelementptr %p0[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
      %to = llvm.getelementptr %p1[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
      %x = llvm.intr.masked.load %from, %mask, %zeros {alignment = 4 : i32} : (!llvm.ptr, vector<8xi1>, vector<8xf32>) -> vector<8xf32>
      %positive = math.absf %x : vector<8xf32>
      %root = math.sqrt %positive : vector<8xf32>
      llvm.intr.masked.store %root, %to, %mask {alignment = 4 : i32} : vector<8xf32>, vector<8xi1> into !llvm.ptr
    })",
                             3),
                     GetParam());
  for (int64_t n : {0, 1, 7, 8, 9, 31}) {
    std::vector<float> x(n), y(n + 16, -1.0f);
    for (int64_t i = 0; i < n; ++i)
      x[i] = i % 2 ? float(i) : -float(i);
    tail.run({x.data(), y.data(), &n});
    for (int64_t i = 0; i < n + 16; ++i)
      ASSERT_EQ(y[i], i < n ? std::sqrt(float(i)) : -1.0f) << n << ": " << i;
  }
}

TEST_P(LoweringOn, OneKnownLaneIsStoredAsNarrowAsItIs) {
  // Truncated vectors, masked to a constant lane: LLVM alone writes 32 bits (SingleLanes.h).
  LoadedProgram lane(program(R"(
    %x = llvm.load %p0 {alignment = 4 : i64} : !llvm.ptr -> vector<16xi32>
    %halves = arith.trunci %x : vector<16xi32> to vector<16xi16>
    %bytes = arith.trunci %x : vector<16xi32> to vector<16xi8>
    %first = arith.constant dense<[true, false, false, false, false, false, false, false, false, false, false, false, false, false, false, false]> : vector<16xi1>
    %third = arith.constant dense<[false, false, true, false, false, false, false, false, false, false, false, false, false, false, false, false]> : vector<16xi1>
    llvm.intr.masked.store %halves, %p1, %first {alignment = 2 : i32} : vector<16xi16>, vector<16xi1> into !llvm.ptr
    llvm.intr.masked.store %bytes, %p2, %third {alignment = 1 : i32} : vector<16xi8>, vector<16xi1> into !llvm.ptr
  )",
                             3),
                     GetParam());
  std::vector<int32_t> x(16, 0x01020304);
  std::vector<int16_t> halves(16, -1);
  std::vector<int8_t> bytes(16, -1);
  lane.run({x.data(), halves.data(), bytes.data()});
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(halves[i], i == 0 ? 0x0304 : -1) << i;
    EXPECT_EQ(bytes[i], i == 2 ? 4 : -1) << i;
  }
}

TEST_P(LoweringOn, VectorOperations) {
  LoadedProgram vectors(program(R"(
    %x = llvm.load %p0 {alignment = 4 : i64} : !llvm.ptr -> vector<8xi32>
    %twice = vector.shuffle %x, %x [7, 6, 5, 4, 3, 2, 1, 0] : vector<8xi32>, vector<8xi32>
    %low = vector.extract_strided_slice %twice {offsets = [2], sizes = [4], strides = [1]} : vector<8xi32> to vector<4xi32>
    %back = vector.insert_strided_slice %low, %x {offsets = [4], strides = [1]} : vector<4xi32> into vector<8xi32>
    %bytes = vector.bitcast %back : vector<8xi32> to vector<32xi8>
    %words = vector.bitcast %bytes : vector<32xi8> to vector<8xi32>
    %step = vector.step : vector<8xindex>
    %indices = arith.index_cast %step : vector<8xindex> to vector<8xi32>
    %sum = arith.addi %words, %indices : vector<8xi32>
    %total = vector.reduction <add>, %sum : vector<8xi32> into i32
    %position = llvm.load %p2 : !llvm.ptr -> i64
    %dynamic = arith.index_cast %position : i64 to index
    %picked = vector.extract %sum[%dynamic] : i32 from vector<8xi32>
    %both = vector.from_elements %total, %picked : vector<2xi32>
    llvm.store %both, %p1 {alignment = 4 : i64} : vector<2xi32>, !llvm.ptr
  )",
                                3),
                        GetParam());
  std::vector<int32_t> x = {10, 20, 30, 40, 50, 60, 70, 80}, y(2);
  int64_t position = 5;
  vectors.run({x.data(), y.data(), &position});
  // Reversed, elements 2..5 are 60 50 40 30; put at 4..7 of x; plus 0..7.
  EXPECT_EQ(y[0], 10 + 20 + 30 + 40 + 60 + 50 + 40 + 30 + 28);
  EXPECT_EQ(y[1], 50 + 5);
}

TEST_P(LoweringOn, ControlFlowAndCalls) {
  // Collatz steps through a private function called directly and through a pointer; while, if, and index
  // arithmetic.
  LoadedProgram steps(program(R"(
    %n = llvm.load %p0 : !llvm.ptr -> i64
    %direct = func.call @collatz(%n) : (i64) -> i64
    llvm.store %direct, %p1 : i64, !llvm.ptr
    %function = func.constant @collatz : (i64) -> i64
    %indirect = func.call_indirect %function(%n) : (i64) -> i64
    %next = llvm.getelementptr %p1[1] : (!llvm.ptr) -> !llvm.ptr, i64
    llvm.store %indirect, %next : i64, !llvm.ptr)",
                              2, R"(
    func.func private @collatz(%n: i64) -> i64 {
      %c0 = arith.constant 0 : i64
      %one = arith.constant 1 : i64
      %two = arith.constant 2 : i64
      %three = arith.constant 3 : i64
      %start = arith.constant 0 : index
      %step = arith.constant 1 : index
      %end:2 = scf.while (%x = %n, %count = %start) : (i64, index) -> (i64, index) {
        %more = arith.cmpi ne, %x, %one : i64
        scf.condition(%more) %x, %count : i64, index
      } do {
      ^bb0(%x: i64, %count: index):
        %rest = arith.remsi %x, %two : i64
        %even = arith.cmpi eq, %rest, %c0 : i64
        %y = scf.if %even -> (i64) {
          %half = arith.divsi %x, %two : i64
          scf.yield %half : i64
        } else {
          %triple = arith.muli %x, %three : i64
          %odd = arith.addi %triple, %one : i64
          scf.yield %odd : i64
        }
        %more = arith.addi %count, %step : index
        scf.yield %y, %more : i64, index
      }
      %result = arith.index_cast %end#1 : index to i64
      return %result : i64
    })"),
                      GetParam());
  int64_t n = 27, counts[2] = {};
  steps.run({&n, counts});
  EXPECT_EQ(counts[0], 111);
  EXPECT_EQ(counts[1], 111);
}

TEST_P(LoweringOn, CallThroughALoadedPointer) {
  // As generated code calls the host table: no symbol, a pointer from memory.
  LoadedProgram call(program(R"(
    %function = llvm.load %p0 : !llvm.ptr -> !llvm.ptr
    %x = llvm.load %p1 : !llvm.ptr -> f64
    %y = llvm.call %function(%x) : !llvm.ptr, (f64) -> f64
    llvm.store %y, %p1 : f64, !llvm.ptr)",
                             2),
                     GetParam());
  double (*function)(double) = [](double x) { return x / 9; };
  double x = 27;
  call.run({&function, &x});
  EXPECT_EQ(x, 3.0);
}

TEST_P(LoweringOn, GlobalsAndMath) {
  LoadedProgram table(program(R"(
    %table = llvm.mlir.addressof @table : !llvm.ptr
    %x = llvm.load %table {alignment = 4 : i64} : !llvm.ptr -> vector<4xf32>
    %floor = math.floor %x : vector<4xf32>
    %ceil = math.ceil %x : vector<4xf32>
    %even = math.roundeven %x : vector<4xf32>
    %truncated = math.trunc %x : vector<4xf32>
    %a = arith.addf %floor, %ceil : vector<4xf32>
    %b = arith.addf %even, %truncated : vector<4xf32>
    %signed = math.copysign %b, %x : vector<4xf32>
    %c = math.fma %a, %a, %signed : vector<4xf32>
    llvm.store %c, %p0 {alignment = 4 : i64} : vector<4xf32>, !llvm.ptr)",
                              1,
                              "llvm.mlir.global internal constant @table(dense<[1.5, -2.5, 0.25, -7.0]> : "
                              "tensor<4xf32>) : !llvm.array<4 x f32>\n"),
                      GetParam());
  float result[4];
  table.run({result});
  EXPECT_EQ(result[0], (1 + 2) * (1 + 2) + (2 + 1));
  EXPECT_EQ(result[1], (-3 - 2) * (-3 - 2) + (-2 - 2));
  EXPECT_EQ(result[2], (0 + 1) * (0 + 1) + (0 + 0));
  EXPECT_EQ(result[3], (-7 - 7) * (-7 - 7) + (-7 - 7));
}

TEST(Lowering, FloatingPointFusesOnlyWhereAllowed) {
  auto assembly = [](const char *flags) {
    const std::string text =
        std::string("func.func @f(%p: !llvm.ptr) { %x = llvm.load %p : !llvm.ptr -> f32\n") +
        "%y = arith.mulf %x, %x " + flags + " : f32\n %z = arith.addf %y, %x " + flags +
        " : f32\n llvm.store %z, %p : f32, !llvm.ptr\n return }";
    CompileOptions options;
    options.wantAsm = options.wantLlvm = true;
    return llvm::cantFail(compileText(text, llvm::cantFail(resolveTarget("cpu:haswell")), options));
  };
  EXPECT_EQ(assembly("").assembly.find("vfmadd"), std::string::npos);
  EXPECT_NE(assembly("fastmath<contract>").assembly.find("vfmadd"), std::string::npos);
  EXPECT_NE(assembly("").llvm.find("define hidden void @f"), std::string::npos);
}

TEST(Lowering, WideKernelUsesFullVectorsWithoutSpills) {
  CompileOptions options;
  options.wantAsm = true;
  const std::string text = gemmText("gemm", {16, 96, 64});
  const TargetInfo target = llvm::cantFail(resolveTarget("cpu:skylake-avx512"));
  const ObjectCode code = llvm::cantFail(compileText(text, target, options));
  llvm::StringRef assembly = code.assembly;
  EXPECT_EQ(assembly.count("vfmadd"), 24u);      // one per accumulator: the loop is not unrolled
  EXPECT_EQ(assembly.count("(%rsp), %zmm"), 0u); // nothing reloaded from the stack
  EXPECT_NE(code.bytes, "");
}

TEST(Lowering, ClearingLoopStaysALoop) {
  const char *text = R"(func.func @clear(%p: !llvm.ptr, %n: i64) {
    %c0 = arith.constant 0 : i64
    %c1 = arith.constant 1 : i64
    %zero = arith.constant 0 : i8
    scf.for %i = %c0 to %n step %c1 : i64 {
      %at = llvm.getelementptr %p[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i8
      llvm.store %zero, %at : i8, !llvm.ptr
    }
    return })";
  CompileOptions options;
  options.wantAsm = true;
  options.wantObject = false;
  const ObjectCode code =
      llvm::cantFail(compileText(text, llvm::cantFail(resolveTarget("cpu:haswell")), options));
  EXPECT_EQ(code.assembly.find("memset"), std::string::npos);
  EXPECT_EQ(code.bytes, "");
}

TEST(Lowering, UnknownOperationIsNamed) {
  const TargetInfo target = llvm::cantFail(resolveTarget("cpu"));
  const ErrorText error = errorOf(compileText(R"(func.func @f(%x: vector<4x4xf32>) -> vector<4x4xf32> {
    %y = vector.transpose %x, [1, 0] : vector<4x4xf32> to vector<4x4xf32>
    return %y : vector<4x4xf32> })",
                                              target)
                                      .takeError());
  EXPECT_EQ(error.code, 9201);
  EXPECT_NE(error.text.find("vector.transpose"), std::string::npos) << error.text;
}

TEST(Lowering, SameTextGivesSameObject) {
  const TargetInfo target = llvm::cantFail(resolveTarget("cpu"));
  const std::string text = gemmText("gemm", {12, 32, 16, 6, 16, 8});
  EXPECT_EQ(llvm::cantFail(compileText(text, target)).bytes, llvm::cantFail(compileText(text, target)).bytes);
}

TEST(Lowering, ThreadsShareOneContext) {
  const TargetInfo target = llvm::cantFail(resolveTarget("cpu:haswell"));
  const GemmShape shapes[] = {
      {12, 32, 16, 6, 16, 8}, {8, 24, 9, 4, 24, 8}, {10, 16, 5, 5, 16, 8}, {3, 48, 7, 3, 16, 8}};
  std::vector<std::string> alone, together(16);
  for (const GemmShape &shape : shapes)
    alone.push_back(llvm::cantFail(compileText(gemmText("gemm", shape), target)).bytes);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < together.size(); ++i)
    threads.emplace_back([&, i] {
      if (i % 5 == 4) // Some fail, and their diagnostics stay theirs.
        together[i] =
            errorOf(compileText("func.func @f(%x: tensor<4xf32>) { return }", target).takeError()).text;
      else
        together[i] = llvm::cantFail(compileText(gemmText("gemm", shapes[i % 4]), target)).bytes;
    });
  for (std::thread &thread : threads)
    thread.join();
  for (unsigned i = 0; i < together.size(); ++i)
    if (i % 5 != 4)
      EXPECT_EQ(together[i], alone[i % 4]) << i;
}

} // namespace
