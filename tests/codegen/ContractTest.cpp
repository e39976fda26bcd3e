//===- ContractTest.cpp - matrix products against the interpreter ---------===//
#include "KernelCase.h"

#include <gtest/gtest.h>

using namespace mlir;

namespace tilewright::codegen::testing {
namespace {

TargetInfo target(const char *name = "cpu") { return llvm::cantFail(resolveTarget(name)); }

/// x[m, k] * w[k, n] + bias, rectified.
void checkLinear(const TargetInfo &cpu, int64_t m, int64_t n, int64_t k, bool pack = true) {
  SCOPED_TRACE(cpu.name + ": " + std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k));
  KernelCase c;
  Value x = c.argument({m, k}), w = c.weight({k, n}), bias = c.weight({n});
  Value y = c.g->add(c.g->matmul(x, w), bias);
  c.yield(c.g->maximum(y, c.g->like(y, 0)));
  c.compile(cpu, pack);
  c.check({}, 3, 1e-5);
}

TEST(Contract, StaticShapes) {
  for (auto [m, n, k] : {std::tuple{1, 1, 1},
                         {1, 100, 64},
                         {3, 17, 5},
                         {14, 32, 16},
                         {49, 96, 40},
                         {64, 48, 128},
                         {33, 130, 7},
                         {128, 64, 100}})
    checkLinear(target(), m, n, k);
}

TEST(Contract, OnEveryTarget) {
  for (const char *name : {"cpu:haswell", "cpu:skylake-avx512"})
    if (TargetInfo cpu = target(name); hostCanRun(cpu))
      checkLinear(cpu, 29, 70, 33);
}

TEST(Contract, RightOperandPackedByEachThread) {
  for (auto [m, n, k] : {std::tuple{1, 100, 64}, {49, 96, 40}, {33, 130, 7}})
    checkLinear(target(), m, n, k, /*pack=*/false);
}

TEST(Contract, RowsKnownAtRunTime) {
  KernelCase c(1);
  Value x = c.argument(llvm::ArrayRef<AffineExpr>{c.symbol(0), c.g->dim(48)}, c.f32()),
        w = c.weight({48, 40}), bias = c.weight({40});
  c.yield(c.g->add(c.g->matmul(x, w), bias));
  c.compile(target());
  for (int64_t m : {0, 1, 2, 7, 13, 14, 15, 29, 100})
    c.check({m}, 3, 1e-5);
}

TEST(Contract, EverySizeKnownAtRunTime) {
  KernelCase c(3);
  AffineExpr m = c.symbol(0), n = c.symbol(1), k = c.symbol(2);
  Value x = c.argument(llvm::ArrayRef<AffineExpr>{m, k}, c.f32()),
        y = c.argument(llvm::ArrayRef<AffineExpr>{k, n}, c.f32());
  c.yield(c.g->matmul(x, y));
  c.compile(target());
  for (auto [rows, columns, depth] : {std::tuple{1, 1, 1}, {5, 33, 20}, {30, 64, 3}, {17, 100, 0}, {0, 5, 5}})
    c.check({rows, columns, depth}, 3, 1e-5);
}

/// Heads of attention: x[batch * sequence, heads * size] seen as [batch, heads, sequence, size].
Value heads(KernelCase &c, Value x, int64_t batch, int64_t sequence, int64_t heads, int64_t size) {
  Value split = c.g->reshape(x, c.g->dims(llvm::ArrayRef<int64_t>{batch, sequence, heads, size}));
  return c.g->transpose(split, {0, 2, 1, 3});
}

TEST(Contract, AttentionScores) {
  for (auto [sequence, size] : {std::pair{19, 16}, {32, 64}, {7, 10}}) {
    KernelCase c;
    Value q = heads(c, c.argument({2 * sequence, 3 * size}), 2, sequence, 3, size);
    Value k = heads(c, c.argument({2 * sequence, 3 * size}), 2, sequence, 3, size);
    Value scores = c.g->contract(q, k, {0, 1}, {0, 1}, {3}, {3});
    c.yield(c.g->mul(scores, c.g->like(scores, 0.125)));
    c.compile(target());
    c.check({}, 3, 1e-5);
  }
}

TEST(Contract, AttentionValuesMergeHeads) {
  for (auto [sequence, size] : {std::pair{19, 16}, {32, 64}, {7, 10}}) {
    KernelCase c;
    Value p = c.argument({2, 3, sequence, sequence});
    Value v = heads(c, c.argument({2 * sequence, 3 * size}), 2, sequence, 3, size);
    Value mixed = c.g->contract(p, v, {0, 1}, {0, 1}, {3}, {2});
    Value merged = c.g->transpose(mixed, {0, 2, 1, 3});
    c.yield(c.g->reshape(merged, c.g->dims(llvm::ArrayRef<int64_t>{2 * sequence, 3 * size})));
    c.compile(target());
    c.check({}, 3, 1e-5);
  }
}

TEST(Contract, TransposedOperands) {
  KernelCase c;
  Value x = c.g->transpose(c.argument({40, 31}), {1, 0}), w = c.g->transpose(c.weight({70, 40}), {1, 0});
  c.yield(c.g->matmul(x, w));
  c.compile(target());
  c.check({}, 3, 1e-5);
}

TEST(Contract, ComputedLeftOperandAndTransposedResult) {
  KernelCase c;
  Value x = c.argument({5, 9, 24}), scale = c.argument({24});
  Value y = c.g->matmul(c.g->unary(graph::UnaryKind::tanh, c.g->mul(x, scale)), c.weight({24, 35}));
  c.yield(c.g->transpose(y, {2, 0, 1}));
  c.compile(target());
  c.check({}, 3, 1e-5);
}

TEST(Contract, HeavyEpilogueAndTwoResults) {
  KernelCase c;
  Value y = c.g->matmul(c.argument({37, 24}), c.weight({24, 50}));
  Value half = c.g->mul(y, c.g->like(y, 0.5));
  Value gelu =
      c.g->mul(half, c.g->add(c.g->unary(graph::UnaryKind::erf, c.g->mul(y, c.g->like(y, 0.70710678))),
                              c.g->like(y, 1)));
  Value residual = c.g->add(gelu, c.argument({37, 50}));
  c.yield({residual, y});
  c.compile(target());
  c.check({}, 3, 1e-5);
}

TEST(Contract, DepthInBlocks) {
  KernelCase c;
  c.yield(c.g->matmul(c.argument({150, 900}), c.weight({900, 80})));
  c.wanted = {{"depth_block", 256}, {"panels", 2}, {"row_tiles", 4}};
  c.compile(target());
  c.check({}, 3, 1e-4);
}

TEST(Contract, OtherElementTypes) {
  for (auto makeType : {+[](OpBuilder &b) { return Type(b.getF64Type()); },
                        +[](OpBuilder &b) { return Type(b.getF16Type()); },
                        +[](OpBuilder &b) { return Type(b.getBF16Type()); }}) {
    KernelCase c;
    Type type = makeType(c.g->b);
    c.yield(c.g->matmul(c.argument({21, 30}, type), c.weight({30, 41}, type)));
    c.compile(target());
    c.check({}, 3, type.isF64() ? 1e-12 : 1e-2);
  }
}

/// Bytes times bytes: pairs or quads where packed, plain where not.
void checkBytes(const TargetInfo &cpu, bool signedLeft, bool signedRight, int64_t k, bool pack,
                bool prologue) {
  SCOPED_TRACE(cpu.name + (signedLeft ? " s8" : " u8") + (signedRight ? " s8 " : " u8 ") + std::to_string(k));
  KernelCase c;
  Value x = c.argument({21, k}, c.integer(8, signedLeft)), w = c.weight({k, 41}, c.integer(8, signedRight));
  if (prologue)
    x = c.g->maximum(x, c.g->scalarInt(c.integer(8, signedLeft), 3));
  c.yield(c.g->contract(x, w, {}, {}, {1}, {0}));
  c.compile(cpu, pack);
  c.check({}, 3, 0);
}

TEST(Contract, Bytes) {
  for (auto [left, right] : {std::pair{true, true}, {false, true}, {true, false}, {false, false}})
    for (bool pack : {true, false}) {
      checkBytes(target(), left, right, 37, pack, pack);
      checkBytes(target(), left, right, 64, pack, false);
      checkBytes(target("cpu:haswell"), left, right, 37, pack, false);
    }
}

TEST(Contract, BytesInBlocks) {
  KernelCase c;
  c.yield(c.g->contract(c.argument({150, 900}, c.integer(8, true)), c.weight({900, 80}, c.integer(8, true)),
                        {}, {}, {1}, {0}));
  c.wanted = {{"depth_block", 64}, {"panels", 2}, {"row_tiles", 4}};
  c.compile(target());
  c.check({}, 3, 0);
}

TEST(Contract, WideIntegers) {
  for (unsigned width : {32, 64}) {
    KernelCase c;
    Type type = c.integer(width, true);
    c.yield(c.g->contract(c.argument({21, 37}, type), c.weight({37, 41}, type), {}, {}, {1}, {0}, type));
    c.compile(target());
    c.check({}, 3, 0);
  }
}

} // namespace
} // namespace tilewright::codegen::testing
