//===- RowChainTest.cpp - products of computed rows of products -----------===//
#include "KernelCase.h"

#include <gtest/gtest.h>

using namespace mlir;

namespace tilewright::codegen::testing {
namespace {

using graph::ReduceKind;
using graph::UnaryKind;

struct Attention {
  int64_t symbols = 0;
  llvm::SmallVector<int64_t> queries, keys, values; ///< [batch, sequence, heads, size]; -1 - i: symbol i
  bool masked = false, capped = false;
  const char *type = "f32";
};

Type elementOf(KernelCase &c, llvm::StringRef name) {
  OpBuilder &b = c.g->b;
  return name == "f32" ? Type(b.getF32Type()) : Type(b.getBF16Type());
}

/// softmax(q k / 8 + mask) v as one kernel, read from and written to [batch, sequence, heads, size].
std::unique_ptr<KernelCase> build(const Attention &a) {
  auto c = std::make_unique<KernelCase>(a.symbols);
  GraphBuilder &g = *c->g;
  const Type type = elementOf(*c, a.type);
  auto shape = [&](llvm::ArrayRef<int64_t> sizes) {
    Dims dims;
    for (int64_t size : sizes)
      dims.push_back(size < 0 ? c->symbol(-1 - size) : g.dim(size));
    return dims;
  };
  auto heads = [&](llvm::ArrayRef<int64_t> sizes) {
    return g.transpose(c->argument(shape(sizes), type), {0, 2, 1, 3});
  };
  Value q = heads(a.queries), k = heads(a.keys), v = heads(a.values);
  Value s = g.contract(q, k, {0, 1}, {0, 1}, {3}, {3});
  s = g.mul(s, g.like(s, 0.125));
  if (a.capped)
    s = g.unary(UnaryKind::tanh, s);
  if (a.masked)
    s = g.add(s, c->argument(shape({a.keys[0], 1, 1, a.keys[1]}), type));
  Value e = g.unary(UnaryKind::exp, g.sub(s, g.reduce(ReduceKind::rmax, s, {3}, true)));
  Value p = g.div(e, g.reduce(ReduceKind::sum, e, {3}, true));
  c->yield(g.transpose(g.contract(p, v, {0, 1}, {0, 1}, {3}, {2}), {0, 2, 1, 3}));
  return c;
}

const char *targets[] = {"cpu", "cpu:haswell", "cpu:skylake-avx512"};

void check(const Attention &a, std::initializer_list<llvm::SmallVector<int64_t>> sizes, double tolerance) {
  for (const char *name : targets) {
    const TargetInfo target = llvm::cantFail(resolveTarget(name));
    if (!hostCanRun(target))
      continue;
    SCOPED_TRACE(name);
    auto c = build(a);
    c->compile(target);
    for (const auto &symbols : sizes)
      c->check(symbols, 3, tolerance);
  }
}

TEST(RowChain, StaticSizes) {
  check({0, {1, 150, 3, 64}, {1, 150, 3, 64}, {1, 150, 3, 64}}, {{}}, 1e-5);
  check({0, {2, 33, 3, 32}, {2, 17, 3, 32}, {2, 17, 3, 20}, true}, {{}}, 1e-5);
  check({0, {1, 29, 2, 8}, {1, 1, 2, 8}, {1, 1, 2, 40}}, {{}}, 1e-5);
  check({0, {1, 40, 1, 16}, {1, 300, 1, 16}, {1, 300, 1, 70}, true, true}, {{}}, 1e-5);
}

TEST(RowChain, SizesKnownAtRunTime) {
  check({3, {-3, -1, 2, 16}, {-3, -2, 2, 16}, {-3, -2, 2, 24}, true},
        {{1, 1, 1}, {7, 30, 2}, {40, 5, 1}, {100, 130, 2}, {0, 9, 1}, {9, 3, 0}}, 1e-5);
}

TEST(RowChain, OtherElementTypes) {
  Attention a{0, {1, 30, 2, 16}, {1, 45, 2, 16}, {1, 45, 2, 16}, true};
  a.type = "bf16";
  check(a, {{}}, 2e-2);
}

} // namespace
} // namespace tilewright::codegen::testing
