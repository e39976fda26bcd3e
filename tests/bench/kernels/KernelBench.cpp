//===- KernelBench.cpp - generated kernels against oneDNN -----------------===//
//
// Every case runs in turns with oneDNN's on one thread, in CPU time; the table at the end gives the best of
// all repetitions and their ratio, in floating-point operations (rows/: elements) a second. Ends with 1 when
// a kernel falls below the ratio that --require asks for.
//   kernel_bench --benchmark_filter=conv --require=0.9
//===----------------------------------------------------------------------===//
#include "Peer.h"
#include "tests/codegen/KernelCase.h"

#include <benchmark/benchmark.h>
#include <cmath>
#include <map>
#include <unistd.h>

using namespace mlir;
using namespace tilewright;
using tilewright::codegen::testing::KernelCase;

namespace tilewright::bench {
namespace {

std::shared_ptr<KernelCase> compiled(std::shared_ptr<KernelCase> c) {
  c->compile(llvm::cantFail(codegen::resolveTarget("cpu")));
  c->prepare();
  return c;
}

Execution ours(const MatrixProduct &p) {
  auto c = std::make_shared<KernelCase>();
  Value x = c->argument({p.m, p.k}), w = c->weight({p.k, p.n});
  c->yield(c->g->matmul(x, w));
  return [c = compiled(c)] { c->run(); };
}

Execution ours(const Convolution &t) {
  auto c = std::make_shared<KernelCase>();
  Value x = c->argument({t.images, t.size, t.size, t.channels}),
        w = c->weight({t.taps, t.taps, t.channels / t.groups, t.outputs});
  OpBuilder &b = c->g->b;
  auto pads = AffineMapAttr::get(mapOf(llvm::ArrayRef<int64_t>{t.pad, t.pad}, b.getContext()));
  auto type = RankedTensorType::get({t.images, t.outputSize(), t.outputSize(), t.outputs}, c->f32());
  auto ones = b.getDenseI64ArrayAttr({1, 1});
  c->yield(graph::ConvOp::create(b, b.getUnknownLoc(), type, x, w,
                                 b.getDenseI64ArrayAttr({t.stride, t.stride}), pads, ones, ones,
                                 b.getI64IntegerAttr(t.groups), b.getUnitAttr())
               .getResult());
  return [c = compiled(c)] { c->run(); };
}

Execution ours(const Attention &a) {
  auto c = std::make_shared<KernelCase>();
  auto shape = [&](std::initializer_list<int64_t> sizes) {
    return c->g->dims(llvm::ArrayRef<int64_t>(sizes));
  };
  auto heads = [&] {
    Value rows = c->argument({a.batch * a.sequence, a.heads * a.size});
    return c->g->transpose(c->g->reshape(rows, shape({a.batch, a.sequence, a.heads, a.size})), {0, 2, 1, 3});
  };
  if (a.scores) {
    Value q = heads(), k = heads();
    c->yield(c->g->contract(q, k, {0, 1}, {0, 1}, {3}, {3}));
  } else {
    Value p = c->argument({a.batch, a.heads, a.sequence, a.sequence}), v = heads();
    Value mixed = c->g->transpose(c->g->contract(p, v, {0, 1}, {0, 1}, {3}, {2}), {0, 2, 1, 3});
    c->yield(c->g->reshape(mixed, shape({a.batch * a.sequence, a.heads * a.size})));
  }
  return [c = compiled(c)] { c->run(); };
}

Execution ours(const RowKernel &r) {
  auto c = std::make_shared<KernelCase>();
  GraphBuilder &g = *c->g;
  Value x = c->argument({r.rows, r.columns});
  auto reduced = [&](graph::ReduceKind kind, Value v) { return g.reduce(kind, v, {1}, /*keepDims=*/true); };
  switch (r.kind) {
  case RowKernel::Softmax: {
    Value e = g.unary(graph::UnaryKind::exp, g.sub(x, reduced(graph::ReduceKind::rmax, x)));
    c->yield(g.div(e, reduced(graph::ReduceKind::sum, e)));
    break;
  }
  case RowKernel::LayerNorm: {
    Value centred = g.sub(x, g.mean(x, {1}, true)), variance = g.mean(g.mul(centred, centred), {1}, true);
    Value deviation = g.unary(graph::UnaryKind::sqrt, g.add(variance, g.like(x, 1e-5)));
    Value scale = c->argument({r.columns}), shift = c->argument({r.columns});
    c->yield(g.add(g.mul(g.div(centred, deviation), scale), shift));
    break;
  }
  case RowKernel::Gelu: {
    Value half = g.mul(x, g.like(x, 0.5)),
          erf = g.unary(graph::UnaryKind::erf, g.mul(x, g.like(x, M_SQRT1_2)));
    c->yield(g.mul(half, g.add(erf, g.like(x, 1))));
    break;
  }
  case RowKernel::Tanh:
    c->yield(g.unary(graph::UnaryKind::tanh, x));
    break;
  case RowKernel::Add:
    c->yield(g.add(x, c->argument({r.rows, r.columns})));
    break;
  }
  return [c = compiled(c)] { c->run(); };
}

/// Compiled on first use, so that a filter costs nothing for what it leaves out.
void add(const std::string &name, double work, std::function<Execution()> make) {
  auto made = std::make_shared<Execution>();
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State &state) {
                                 if (!*made) {
                                   *made = make();
                                   for (int warm = 0; warm < 3; ++warm)
                                     (*made)();
                                 }
                                 for (auto _ : state)
                                   (*made)();
                                 state.counters["G/s"] = benchmark::Counter(
                                     work * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
                               })
      ->Unit(benchmark::kMicrosecond)
      ->MinTime(0.05)
      ->Repetitions(9);
}

template <class Case> void addPair(const std::string &name, double work, const Case &c) {
  add(name + "/tilewright", work, [=] { return ours(c); });
  add(name + "/onednn", work, [=] { return peerOf(c); });
}

const MatrixProduct products[] = {
    {128, 768, 768},    {128, 3072, 768}, {128, 768, 3072}, {512, 768, 3072},
    {1024, 1024, 1024}, {49, 512, 2048},  {197, 768, 768},  {16, 768, 768},
    {8, 768, 768},      {1, 4096, 4096},  {1, 768, 768},    {64, 64, 64},
};

// name, images, size, channels, outputs, taps, stride, pad, groups
const Convolution convolutions[] = {
    {"7x7s2_224_3_64", 1, 224, 3, 64, 7, 2, 3, 1},     {"3x3_56_64_64", 1, 56, 64, 64, 3, 1, 1, 1},
    {"3x3_28_128_128", 1, 28, 128, 128, 3, 1, 1, 1},   {"3x3_14_256_256", 1, 14, 256, 256, 3, 1, 1, 1},
    {"3x3_7_512_512", 1, 7, 512, 512, 3, 1, 1, 1},     {"3x3s2_56_128_128", 1, 56, 128, 128, 3, 2, 1, 1},
    {"3x3s2_14_512_512", 1, 14, 512, 512, 3, 2, 1, 1}, {"1x1_56_64_256", 1, 56, 64, 256, 1, 1, 0, 1},
    {"1x1_56_256_64", 1, 56, 256, 64, 1, 1, 0, 1},     {"1x1_28_512_128", 1, 28, 512, 128, 1, 1, 0, 1},
    {"1x1_14_1024_256", 1, 14, 1024, 256, 1, 1, 0, 1}, {"1x1_14_256_1024", 1, 14, 256, 1024, 1, 1, 0, 1},
    {"1x1_7_2048_512", 1, 7, 2048, 512, 1, 1, 0, 1},   {"1x1s2_56_256_512", 1, 56, 256, 512, 1, 2, 0, 1},
    {"dw3x3_112_32", 1, 112, 32, 32, 3, 1, 1, 32},     {"dw3x3s2_112_96", 1, 112, 96, 96, 3, 2, 1, 96},
    {"dw3x3_14_576", 1, 14, 576, 576, 3, 1, 1, 576},   {"dw5x5_14_672", 1, 14, 672, 672, 5, 1, 2, 672},
    {"3x3_28_256_g32", 1, 28, 256, 256, 3, 1, 1, 32},
};

const Attention attentions[] = {
    {true, 1, 12, 128, 64},  {true, 1, 12, 512, 64},  {true, 8, 12, 32, 64},
    {false, 1, 12, 128, 64}, {false, 1, 12, 512, 64}, {false, 8, 12, 32, 64},
};

const RowKernel rowKernels[] = {
    {RowKernel::Softmax, "softmax_1536x128", 1536, 128},
    {RowKernel::Softmax, "softmax_512x1500", 512, 1500},
    {RowKernel::Softmax, "softmax_64x32000", 64, 32000},
    {RowKernel::Softmax, "softmax_4096x49", 4096, 49},
    {RowKernel::LayerNorm, "layernorm_128x768", 128, 768},
    {RowKernel::LayerNorm, "layernorm_1500x384", 1500, 384},
    {RowKernel::Gelu, "gelu_128x3072", 128, 3072},
    {RowKernel::Tanh, "tanh_128x3072", 128, 3072},
    {RowKernel::Add, "add_128x768", 128, 768},
    {RowKernel::Add, "add_3136x256", 3136, 256},
};

void registerAll() {
  for (const RowKernel &r : rowKernels)
    addPair(std::string("rows/") + r.name, double(r.rows) * r.columns, r);
  for (const MatrixProduct &p : products)
    addPair("product/" + std::to_string(p.m) + "x" + std::to_string(p.n) + "x" + std::to_string(p.k),
            2.0 * p.m * p.n * p.k, p);
  for (const Convolution &c : convolutions)
    addPair(std::string("conv/") + c.name, c.flops(), c);
  for (const Attention &a : attentions)
    addPair(std::string(a.scores ? "scores/" : "values/") + std::to_string(a.batch * a.heads) + "x" +
                std::to_string(a.sequence),
            2.0 * a.batch * a.heads * a.sequence * a.sequence * a.size, a);
}

/// Keeps the best rate of each benchmark and pairs them up.
class Ratios : public benchmark::BenchmarkReporter {
public:
  bool ReportContext(const Context &) override { return true; }
  void ReportRuns(const std::vector<Run> &runs) override {
    for (const Run &run : runs)
      if (run.run_type == Run::RT_Iteration && !run.error_occurred) {
        const std::string name = run.run_name.function_name;
        double &rate = best[name.substr(0, name.rfind('/'))][name.substr(name.rfind('/') + 1) == "onednn"];
        rate = std::max(rate, run.counters.at("G/s").value);
      }
  }
  /// The table; how many kernels are slower than `required` times oneDNN.
  int print(double required) const {
    int slow = 0;
    std::printf("%-28s %12s %12s %7s\n", "G/s, one thread", "tilewright", "oneDNN", "ratio");
    for (const auto &[name, rates] : best) {
      const double ratio = rates[1] > 0 ? rates[0] / rates[1] : 0;
      slow += ratio < required;
      std::printf("%-28s %12.1f %12.1f %7.2f%s\n", name.c_str(), rates[0], rates[1], ratio,
                  ratio < required ? "  <" : "");
    }
    return slow;
  }

private:
  std::map<std::string, std::array<double, 2>> best;
};

} // namespace
} // namespace tilewright::bench

int main(int argc, char **argv) {
  if (!getenv("OMP_NUM_THREADS")) { // read by oneDNN's OpenMP before main
    setenv("OMP_NUM_THREADS", "1", 1);
    execv("/proc/self/exe", argv);
  }
  std::string interleaved = "--benchmark_enable_random_interleaving=true";
  std::vector<char *> arguments{argv[0], interleaved.data()};
  double required = 0;
  for (int i = 1; i < argc; ++i)
    if (llvm::StringRef(argv[i]).starts_with("--require="))
      required = atof(argv[i] + 10);
    else
      arguments.push_back(argv[i]);
  int count = arguments.size();
  benchmark::Initialize(&count, arguments.data());
  tilewright::bench::registerAll();
  tilewright::bench::Ratios ratios;
  benchmark::RunSpecifiedBenchmarks(&ratios);
  return ratios.print(required) > 0;
}
