//===- ScheduleTest.cpp - every legal schedule computes the same ----------===//
//
// Kernels of every root family under random legal schedules, on AVX2 and AVX-512, against the interpreter:
// what makes a search over schedules possible. And that emitters obey: nothing but the schedule decides.
//===----------------------------------------------------------------------===//
#include "KernelCase.h"
#include "codegen/space/Space.h"

#include <gtest/gtest.h>
#include <random>
#include <set>

using namespace mlir;
using namespace tilewright::graph;
using llvm::SmallVector;
using llvm::StringRef;

namespace tilewright::codegen::testing {
namespace {

using Build = void (*)(KernelCase &);
struct Kernel {
  const char *name;
  Build build;
  double tolerance = 1e-4;
  std::vector<std::vector<int64_t>> sizes = {{}}; ///< of run-time dimensions
};

Value linear(KernelCase &c, Value x, int64_t k, int64_t n, Type element) {
  return c.g->contract(x, c.weight({k, n}, element), {}, {}, {1}, {0});
}

Value convolve(KernelCase &c, SmallVector<int64_t> in, SmallVector<int64_t> weights, int64_t groups,
               int64_t stride) {
  Value x = c.argument(in), w = c.weight(weights);
  Dims shape = dimsOf(x.getType());
  const int64_t pad = weights[0] / 2;
  for (size_t d = 1; d <= 2; ++d)
    shape[d] = c.g->dim((in[d] + 2 * pad - weights[0]) / stride + 1);
  shape.back() = c.g->dim(weights.back());
  OpBuilder &b = c.g->b;
  const SmallVector<int64_t> ones{1, 1}, strides{stride, stride}, low{pad, pad};
  return ConvOp::create(
      b, b.getUnknownLoc(), tensorType(shape, c.f32()), x, w, b.getDenseI64ArrayAttr(strides),
      AffineMapAttr::get(mapOf(llvm::ArrayRef<int64_t>(low), b.getContext())), b.getDenseI64ArrayAttr(ones),
      b.getDenseI64ArrayAttr(ones), b.getI64IntegerAttr(groups), b.getUnitAttr());
}

void rectified(KernelCase &c, Value y) { c.yield(c.g->maximum(y, c.g->like(y, 0))); }

void attention(KernelCase &c) {
  GraphBuilder &g = *c.g;
  auto heads = [&](int64_t sequence) { return g.transpose(c.argument({2, sequence, 3, 20}), {0, 2, 1, 3}); };
  Value q = heads(19), k = heads(45), v = heads(45);
  Value s = g.contract(q, k, {0, 1}, {0, 1}, {3}, {3});
  Value e = g.unary(UnaryKind::exp, g.sub(s, g.reduce(ReduceKind::rmax, s, {3}, true)));
  Value p = g.div(e, g.reduce(ReduceKind::sum, e, {3}, true));
  c.yield(g.transpose(g.contract(p, v, {0, 1}, {0, 1}, {3}, {2}), {0, 2, 1, 3}));
}

void softmax(KernelCase &c) {
  GraphBuilder &g = *c.g;
  Value x = c.argument(llvm::ArrayRef<AffineExpr>{c.symbol(0), g.dim(9), g.dim(75)}, c.f32());
  Value e = g.unary(UnaryKind::exp, g.sub(x, g.reduce(ReduceKind::rmax, x, {2}, true)));
  c.yield(g.div(e, g.reduce(ReduceKind::sum, e, {2}, true)));
}

void pool(KernelCase &c) {
  GraphBuilder &g = *c.g;
  const SmallVector<int64_t> low{1, 30}, out{7, 81};
  c.yield(g.window(WindowKind::wsum, c.argument({2, 7, 13, 90}), {3, 70}, {2, 1}, {1, 1}, g.dims(low),
                   g.dims(out)));
}

const Kernel kernels[] = {
    {"product",
     [](KernelCase &c) {
       rectified(c, c.g->add(linear(c, c.argument({75, 70}), 70, 130, c.f32()), c.weight({130})));
     }},
    {"product_of_rows",
     [](KernelCase &c) {
       rectified(c, linear(c, c.argument(llvm::ArrayRef<AffineExpr>{c.symbol(0), c.g->dim(70)}, c.f32()), 70,
                           50, c.f32()));
     },
     1e-4,
     {{0}, {1}, {29}}},
    {"product_of_short_rows",
     [](KernelCase &c) { rectified(c, linear(c, c.argument({40, 5}), 5, 33, c.f32())); }},
    {"product_of_computed_rows",
     [](KernelCase &c) {
       c.yield(linear(c, c.g->unary(UnaryKind::tanh, c.argument({40, 33})), 33, 70, c.f32()));
     }},
    {"product_of_arguments",
     [](KernelCase &c) {
       Value x = c.argument({3, 37, 50}), y = c.argument({3, 41, 50});
       c.yield(c.g->contract(x, y, {0}, {0}, {2}, {2}));
     }},
    {"product_of_bytes",
     [](KernelCase &c) {
       c.yield(linear(c, c.argument({45, 68}, c.integer(8, false)), 68, 70, c.integer(8, true)));
     },
     0},
    {"product_of_doubles",
     [](KernelCase &c) {
       Type type = c.g->b.getF64Type();
       c.yield(linear(c, c.argument({29, 40}, type), 40, 35, type));
     }},
    {"attention", attention},
    {"convolution", [](KernelCase &c) { rectified(c, convolve(c, {1, 11, 19, 20}, {3, 3, 20, 70}, 1, 1)); }},
    {"convolution_of_few_channels",
     [](KernelCase &c) { rectified(c, convolve(c, {1, 20, 31, 3}, {5, 5, 3, 24}, 1, 2)); }},
    {"convolution_in_groups",
     [](KernelCase &c) { rectified(c, convolve(c, {1, 9, 13, 32}, {3, 3, 8, 32}, 4, 1)); }},
    {"depthwise", [](KernelCase &c) { rectified(c, convolve(c, {1, 13, 17, 40}, {3, 3, 1, 40}, 40, 1)); }},
    {"softmax", softmax, 1e-4, {{1}, {6}}},
    {"layer_norm",
     [](KernelCase &c) {
       GraphBuilder &g = *c.g;
       Value x = c.argument({21, 300});
       Value mean = g.mul(g.reduce(ReduceKind::sum, x, {1}, true), g.like(x, 1.0 / 300));
       Value d = g.sub(x, mean);
       c.yield(g.mul(d, g.reduce(ReduceKind::rmax, g.unary(UnaryKind::abs, d), {1}, true)));
     }},
    {"means_of_rows",
     [](KernelCase &c) { c.yield(c.g->reduce(ReduceKind::sum, c.argument({7, 5, 200}), {2}, false)); }},
    {"sums_of_columns",
     [](KernelCase &c) { c.yield(c.g->reduce(ReduceKind::sum, c.argument({7, 90, 70}), {1}, false)); }},
    {"largest_of_rows",
     [](KernelCase &c) { c.yield(c.g->reduce(ReduceKind::rmax, c.argument({7, 5, 333}), {2}, false)); }},
    {"pool", pool},
    {"elements",
     [](KernelCase &c) {
       Value x = c.argument(llvm::ArrayRef<AffineExpr>{c.g->dim(3), c.symbol(0)}, c.f32());
       c.yield(c.g->add(x, c.g->unary(UnaryKind::sigmoid, x)));
     },
     1e-4,
     {{1}, {5000}}},
    {"rows_of_elements",
     [](KernelCase &c) { c.yield(c.g->mul(c.argument({4, 9, 20, 33}), c.weight({33}))); }},
    {"transposed", [](KernelCase &c) { c.yield(c.g->transpose(c.argument({3, 70, 45}), {0, 2, 1})); }, 0},
    {"pieces", [](KernelCase &c) { c.yield(c.g->concat({c.argument({9, 30}), c.argument({9, 7})}, 1)); }, 0},
    {"top",
     [](KernelCase &c) {
       auto [values, places] = c.g->sort(c.argument({5, 60}), 1, true, c.g->dim(7));
       c.yield({values, places});
     },
     0},
    {"running_sum",
     [](KernelCase &c) { c.yield(c.g->scan(ReduceKind::sum, c.argument({9, 40}), 1, false, false)); }},
};

std::unique_ptr<KernelCase> make(const Kernel &kernel) {
  auto c = std::make_unique<KernelCase>(kernel.sizes.front().size());
  kernel.build(*c);
  return c;
}

/// Half of the parameters as preferred; the others anywhere in their domains, small numbers more often.
kernel::ScheduleAttr draw(std::mt19937_64 &random, kernel::ScheduleAttr schedule,
                          const Algorithm &algorithm) {
  for (const Parameter &parameter : algorithm.parameters) {
    if (random() % 2)
      continue;
    const int64_t size = parameter.domain.size();
    const int64_t limit = std::min<int64_t>(size, int64_t(1) << (random() % 17));
    schedule = schedule.with(parameter.name, parameter.domain[int64_t(random() % uint64_t(limit))]);
  }
  return schedule;
}

/// `count` different legal schedules, fewer where there are not so many.
std::vector<kernel::ScheduleAttr> legalSchedules(KernelCase &c, const TargetInfo &target, size_t count) {
  std::mt19937_64 random(7);
  std::vector<kernel::ScheduleAttr> found;
  const auto space = spaceOf(c.kernel, target);
  for (const Algorithm &algorithm : space)
    found.push_back(chooseSchedule(c.kernel, target, {algorithm.name, {}}));
  for (size_t attempt = 0; attempt < 200 * count && found.size() < count; ++attempt) {
    const Algorithm &algorithm = space[random() % space.size()];
    auto schedule = draw(random, chooseSchedule(c.kernel, target, {algorithm.name, {}}), algorithm);
    if (obstacleOf(c.kernel, schedule, target).empty() && !llvm::is_contained(found, schedule))
      found.push_back(schedule);
  }
  return found;
}

std::string textOf(kernel::ScheduleAttr schedule) {
  std::string text;
  llvm::raw_string_ostream(text) << schedule;
  return text;
}

class Schedules : public ::testing::TestWithParam<Kernel> {};
INSTANTIATE_TEST_SUITE_P(EveryFamily, Schedules, ::testing::ValuesIn(kernels),
                         [](const auto &info) { return std::string(info.param.name); });

TEST_P(Schedules, LegalOnesComputeTheSame) {
  for (const char *name : {"cpu:haswell", "cpu:skylake-avx512"}) {
    const TargetInfo target = llvm::cantFail(resolveTarget(name));
    if (!hostCanRun(target))
      continue;
    auto pattern = make(GetParam());
    pattern->markConstants();
    for (kernel::ScheduleAttr schedule : legalSchedules(*pattern, target, 50)) {
      SCOPED_TRACE(std::string(name) + " " + textOf(schedule));
      EXPECT_GE(estimate(pattern->kernel, schedule, target), 0);
      auto c = make(GetParam());
      c->schedule = schedule;
      c->compile(target);
      for (const std::vector<int64_t> &sizes : GetParam().sizes)
        c->check(sizes, 3, GetParam().tolerance);
      if (HasFailure())
        return;
    }
  }
}

std::string loopsOf(const Kernel &kernel, kernel::ScheduleAttr schedule, const TargetInfo &target) {
  auto c = make(kernel);
  c->schedule = schedule;
  return c->loops(target);
}

TEST_P(Schedules, EmittersLookAtNothingElse) {
  const TargetInfo target = llvm::cantFail(resolveTarget("cpu:skylake-avx512"));
  TargetInfo other = target; // what heuristics go by
  other.l1Bytes = 4 << 10, other.l2Bytes = 16 << 10, other.fmaPorts = 7;
  auto pattern = make(GetParam());
  pattern->markConstants();
  for (const Algorithm &algorithm : spaceOf(pattern->kernel, target)) {
    auto schedule = chooseSchedule(pattern->kernel, target, {algorithm.name, {}});
    EXPECT_EQ(loopsOf(GetParam(), schedule, target), loopsOf(GetParam(), schedule, other))
        << textOf(schedule);
  }
}

/// A parameter that changes no code of any kernel is none.
TEST(Schedule, EveryParameterMatters) {
  const TargetInfo target = llvm::cantFail(resolveTarget("cpu:cascadelake"));
  std::set<std::string> all, matter;
  for (const Kernel &kernel : kernels) {
    auto pattern = make(kernel);
    pattern->markConstants();
    for (const Algorithm &algorithm : spaceOf(pattern->kernel, target)) {
      auto schedule = chooseSchedule(pattern->kernel, target, {algorithm.name, {}});
      const std::string before = loopsOf(kernel, schedule, target);
      for (const Parameter &parameter : algorithm.parameters) {
        const std::string name =
            schedule.getFamily().str() + " " + algorithm.name.str() + " " + parameter.name.str();
        const int64_t size = parameter.domain.size();
        for (int64_t i = 0; i < 2 * size && !matter.count(name); i = i < 16 ? i + 1 : 2 * i) {
          auto changed = schedule.with(parameter.name, parameter.domain[std::min(i, size - 1)]);
          if (changed == schedule || !obstacleOf(pattern->kernel, changed, target).empty())
            continue;
          all.insert(name);
          if (loopsOf(kernel, changed, target) != before)
            matter.insert(name);
        }
      }
    }
  }
  for (const std::string &name : all)
    EXPECT_TRUE(matter.count(name)) << name;
  EXPECT_GE(all.size(), 30u);
}

TEST(Schedule, IllegalOnesSayWhy) {
  const TargetInfo target = llvm::cantFail(resolveTarget("cpu:skylake-avx512"));
  auto pattern = make(kernels[0]);
  pattern->markConstants();
  auto schedule = chooseSchedule(pattern->kernel, target);
  auto obstacle = [&](StringRef name, int64_t value) {
    return obstacleOf(pattern->kernel, schedule.with(name, value), target);
  };
  EXPECT_EQ(obstacle("rows", 0), "'rows' is 0, and may be 1 to 32");
  EXPECT_EQ(obstacle("columns", 17), "'columns' is 17, and may be 16 to 64 in steps of 16");
  EXPECT_EQ(obstacle("rows", 32), "a tile of 32 x " + std::to_string(schedule["columns"]) + " takes " +
                                      std::to_string(33 * schedule["columns"] / 16 + 1) +
                                      " vector registers, there are 32");
  EXPECT_NE(obstacle("speed", 11).find("has no parameter 'speed'; its parameters: rows,"), std::string::npos);
  auto other =
      make(*llvm::find_if(kernels, [](const Kernel &one) { return StringRef(one.name) == "convolution"; }));
  EXPECT_EQ(obstacleOf(other->kernel, schedule, target),
            "the kernel is of the family 'convolution', not 'product'");
}

} // namespace
} // namespace tilewright::codegen::testing
