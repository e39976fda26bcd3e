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
  for (auto [m, n, k] : {std::tuple{1, 1, 1}, {1, 100, 64}, {3, 17, 5}, {14, 32, 16}, {49, 96, 40}, {64, 48, 128}, {33, 130, 7}, {128, 64, 100}})
    checkLinear(target(), m, n, k);
}

TEST(Contract, OnEveryTarget) {
  for (const char *name : {"cpu:haswell", "cpu:skylake-avx512"})
    if (TargetInfo cpu = target(name); hostCanRun(cpu))
      checkLinear(cpu, 29, 70, 33);
}

} // namespace
} // namespace tilewright::codegen::testing
