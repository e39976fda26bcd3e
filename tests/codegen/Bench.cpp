//===- Bench.cpp - how long compilation takes, and what comes out ---------===//
#include "GemmText.h"
#include "Support.h"
#include "codegen/artifact/Link.h"
#include "codegen/lower/MiddleEnd.h"

#include "mlir/Parser/Parser.h"
#include "llvm/Support/Format.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

using namespace tilewright::codegen;
using namespace tilewright::codegen::testing;

namespace {

double milliseconds() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

/// Least of several compilations of `text`: the steps in milliseconds of CPU time.
CompileTimes compileTimes(const std::string &text, const TargetInfo &target, int rounds) {
  CompileTimes best;
  best.mlir = 1e9;
  for (int round = 0; round < rounds; ++round) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &sharedContext());
    const CompileTimes times = llvm::cantFail(compileModule(*module, target)).times;
    if (times.total() < best.total())
      best = times;
  }
  return best;
}

std::string program(const GemmShape &shape) {
  return gemmText("gemm", shape) + R"(
    func.func @tilewright_program(%frame: !llvm.ptr, %thread: i32, %threads: i32) {
      %a = llvm.load %frame : !llvm.ptr -> !llvm.ptr
      %slot1 = llvm.getelementptr %frame[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
      %b = llvm.load %slot1 : !llvm.ptr -> !llvm.ptr
      %slot2 = llvm.getelementptr %frame[2] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
      %c = llvm.load %slot2 : !llvm.ptr -> !llvm.ptr
      func.call @gemm(%a, %b, %c) : (!llvm.ptr, !llvm.ptr, !llvm.ptr) -> ()
      return
    })";
}

void benchKernel(const char *name, const GemmShape &shape, const std::string &targetName) {
  const TargetInfo target = llvm::cantFail(resolveTarget(targetName));
  const CompileTimes times = compileTimes(gemmText("gemm", shape), target, 20);
  LoadedProgram kernel(program(shape), targetName);
  // Aligned, as arena and weights are; the prefetches run over the end of b.
  auto buffer = [](size_t count) {
    auto *data = static_cast<float *>(std::aligned_alloc(64, llvm::alignTo(count * sizeof(float), 64)));
    std::fill_n(data, count, 0.5f);
    return std::unique_ptr<float, decltype(&std::free)>(data, std::free);
  };
  auto a = buffer(shape.m * shape.k), b = buffer(shape.n * shape.k), c = buffer(shape.m * shape.n);
  double best = 1e9;
  for (int round = 0; round < 100; ++round) {
    const double start = threadMilliseconds();
    kernel.run({a.get(), b.get(), c.get()});
    best = std::min(best, threadMilliseconds() - start);
  }
  llvm::outs() << llvm::format(
      "%-24s %-18s mlir %5.1f  translate %4.1f  llvm-opt %5.1f  codegen %5.1f  total %5.1f ms | "
      "%6.1f GFLOP/s\n",
      name, targetName.c_str(), times.mlir, times.translate, times.optimize, times.codegen, times.total(),
      2e-6 * shape.m * shape.n * shape.k / best);
}

void benchText(const char *name, const std::string &text) {
  const CompileTimes times = compileTimes(text, llvm::cantFail(resolveTarget("cpu")), 20);
  llvm::outs() << llvm::format(
      "%-43s mlir %5.1f  translate %4.1f  llvm-opt %5.1f  codegen %5.1f  total %5.1f ms\n", name, times.mlir,
      times.translate, times.optimize, times.codegen, times.total());
}

void benchLink(unsigned kernels) {
  const TargetInfo target = llvm::cantFail(resolveTarget("cpu"));
  std::vector<std::string> objects = {
      llvm::cantFail(compileText(std::string(emptyFunctions) + program({96, 768, 768}), target)).bytes};
  for (unsigned i = 1; i < kernels; ++i)
    objects.push_back(
        llvm::cantFail(compileText(gemmText("gemm" + std::to_string(i), {8, 48, 64 + i}), target)).bytes);
  std::vector<llvm::StringRef> views(objects.begin(), objects.end());
  TemporaryFolder folder;
  auto noWeights = [](WeightSink &) { return llvm::Error::success(); };
  double best = 1e9, descriptor = 1e9;
  for (int round = 0; round < 10; ++round) {
    double start = milliseconds();
    llvm::cantFail(emitDescriptor({}, target));
    descriptor = std::min(descriptor, milliseconds() - start);
    start = milliseconds();
    llvm::cantFail(writeArtifact(folder.file("m.so"), views, {}, target, noWeights));
    best = std::min(best, milliseconds() - start);
  }
  llvm::outs() << llvm::format("artifact of %3u kernels: %5.1f ms wall, of which the descriptor %4.1f\n",
                               kernels, best, descriptor);
}

} // namespace

int main() {
  benchKernel("128x768x768, 8x48", {128, 768, 768, 8, 48, 16}, "cpu");
  benchKernel("126x768x768, 14x32", {126, 768, 768, 14, 32, 16}, "cpu");
  benchKernel("126x768x768, 6x16", {126, 768, 768, 6, 16, 8}, "cpu:haswell");
  benchKernel("8x48x16, 1x16", {8, 48, 16, 1, 16, 16}, "cpu");
  benchText("empty function", "func.func @f() { return }");
  std::string many;
  for (unsigned i = 0; i < 10; ++i)
    many += gemmText("gemm" + std::to_string(i), {128, 768, 768 + i, 8, 48, 16});
  benchText("ten 8x48 in one module", many);
  benchLink(1);
  benchLink(100);
}
