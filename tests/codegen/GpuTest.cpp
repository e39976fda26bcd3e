//===- GpuTest.cpp - kernels as PTX ------------------------------------------===//
//
// Each kernel is looked at three times: its PTX has the accesses and exchanges that make it fast, ptxas
// (where there is one) keeps it in registers, and its threads, simulated, compute what the interpreter
// computes.
//===----------------------------------------------------------------------===//
#include "GpuSimulation.h"
#include "KernelCase.h"
#include "Support.h"

#include "codegen/gpu/Ptx.h"
#include "codegen/space/Space.h"
#include "codegen/target/Cuda.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"

#include <gtest/gtest.h>

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;
using llvm::StringRef;
using tilewright::graph::BinaryKind;
using tilewright::graph::ReduceKind;
using tilewright::graph::UnaryKind;

namespace tilewright::codegen::testing {
namespace {

/// ptxas of a CUDA toolkit, or of the Python package that tests/requirements.txt names; "" when there is
/// none.
const std::string &assembler() {
  static const std::string path = [] {
    if (auto found = llvm::sys::findProgramByName("ptxas"))
      return *found;
    std::error_code error;
    const std::string libraries = TILEWRIGHT_SOURCE_FOLDER "/.venv/lib";
    for (llvm::sys::fs::directory_iterator python(libraries, error), end; !error && python != end;
         python.increment(error)) {
      const std::string candidate = python->path() + "/site-packages/nvidia/cuda_nvcc/bin/ptxas";
      if (llvm::sys::fs::can_execute(candidate))
        return candidate;
    }
    return std::string();
  }();
  return path;
}

size_t countOf(StringRef text, StringRef part) { return text.count(part); }

class GpuCase : public KernelCase {
public:
  using KernelCase::KernelCase;

  OwningOpRef<ModuleOp> emit(StringRef target, bool strict = false) {
    OwningOpRef<ModuleOp> threads(ModuleOp::create(module->getLoc()));
    info = llvm::cantFail(resolveTarget(target));
    refused.clear();
    if (auto schedule = chooseSchedule(kernel, info))
      kernel.setScheduleAttr(schedule);
    entries =
        gpu::emitKernel(kernel, *threads, info, strict ? Precision::Strict : Precision::Default, refused);
    return threads;
  }

  void generate(StringRef target = "cuda:sm_80", bool strict = false) {
    auto threads = emit(target, strict);
    ASSERT_TRUE(refused.empty()) << refused.front()->getName().getStringRef().str();
    auto text = gpu::compileToPtx(*threads, entries, info);
    ASSERT_TRUE(bool(text)) << llvm::toString(text.takeError());
    ptx = text->ptx;
    for (const gpu::Kernel &entry : entries)
      EXPECT_NE(ptx.find(".entry " + entry.entry + "("), std::string::npos);
    EXPECT_EQ(ptx.find(".extern"), std::string::npos) << "something is missing";
  }

  /// No thread may put registers into memory.
  void assemble() {
    ASSERT_FALSE(ptx.empty());
    if (assembler().empty())
      GTEST_SKIP() << "no ptxas: install a CUDA toolkit, or tests/requirements.txt";
    TemporaryFolder folder;
    const std::string source = folder.file("kernel.ptx"), report = folder.file("report");
    writeFile(source, ptx);
    const std::string architecture = "-arch=" + info.cpu, out = folder.file("kernel.cubin");
    std::optional<StringRef> redirects[] = {std::nullopt, StringRef(report), StringRef(report)};
    const int status = llvm::sys::ExecuteAndWait(
        assembler(), {assembler(), "-v", architecture, source, "-o", out}, std::nullopt, redirects);
    const std::string said = readFile(report);
    EXPECT_EQ(status, 0) << said << ptx;
    EXPECT_EQ(countOf(said, "0 bytes spill stores, 0 bytes spill loads"), entries.size()) << said;
  }

  /// Every entry, on this machine.
  void simulate(ArrayRef<int64_t> symbols = {}, double tolerance = 1e-6, StringRef target = "cuda:sm_80") {
    auto threads = emit(target);
    ASSERT_TRUE(refused.empty());
    GpuSimulation simulation(*threads);
    for (const gpu::Kernel &entry : entries) {
      SCOPED_TRACE(entry.entry);
      prepare(symbols);
      ASSERT_TRUE(simulation.launch(entry.entry, *evaluate(entry.launch.blocks, symbols),
                                    threadsOf(entry.launch, symbols), parametersOf(entry, symbols)))
          << "threads wait for ever";
      compare(tolerance);
    }
  }

  std::string ptx;
  std::vector<gpu::Kernel> entries;
  SmallVector<Operation *> refused;
  TargetInfo info;

private:
  static unsigned threadsOf(const gpu::Launch &launch, ArrayRef<int64_t> symbols) {
    if (!launch.rowParts)
      return launch.threads;
    const uint64_t parts = *evaluate(launch.rowParts, symbols);
    return std::clamp<uint64_t>(llvm::alignTo(parts, 32), 32, launch.threads);
  }

  std::vector<uint64_t> parametersOf(const gpu::Kernel &entry, ArrayRef<int64_t> symbols) {
    std::vector<uint64_t> values;
    for (const gpu::Parameter &parameter : entry.parameters) {
      if (parameter.kind == gpu::Parameter::Size)
        values.push_back(*evaluate(parameter.size, symbols));
      else
        values.push_back(reinterpret_cast<uint64_t>(
            (parameter.kind == gpu::Parameter::Result ? outputBuffers : inputBuffers)[parameter.index]
                .data()));
    }
    return values;
  }
};

Value softmax(GpuCase &c, Value x, int64_t axis) {
  GraphBuilder &g = *c.g;
  Value e = g.unary(UnaryKind::exp, g.sub(x, g.reduce(ReduceKind::rmax, x, {axis}, true)));
  return g.div(e, g.reduce(ReduceKind::sum, e, {axis}, true));
}

Value layerNorm(GpuCase &c, Value x, int64_t axis, Value scale, Value bias) {
  GraphBuilder &g = *c.g;
  Value centred = g.sub(x, g.mean(x, {axis}, true));
  Value variance = g.mean(g.mul(centred, centred), {axis}, true);
  Value inverse = g.unary(UnaryKind::rsqrt, g.add(variance, g.like(variance, 1e-5)));
  return g.add(g.mul(g.mul(centred, inverse), scale), bias);
}

/// gelu(x + bias) * x
Value gatedGelu(GpuCase &c, Value x, Value bias) {
  GraphBuilder &g = *c.g;
  Value t = g.add(x, bias);
  Value half = g.add(g.unary(UnaryKind::erf, g.mul(t, g.like(t, 0.70710678))), g.like(t, 1));
  return g.mul(g.mul(g.mul(t, g.like(t, 0.5)), half), x);
}

TEST(GpuTarget, TakesEveryArchitectureOfTheBackEnd) {
  const std::vector<std::string> names = cudaNames();
  for (const char *name : {"sm_80", "sm_90a", "sm_100a"})
    EXPECT_TRUE(llvm::is_contained(names, name)) << name;
  for (const std::string &name : names) {
    auto target = resolveTarget("cuda:" + name);
    ASSERT_TRUE(bool(target)) << name;
    EXPECT_TRUE(target->isGpu);
    EXPECT_FALSE(hostCanRun(*target));
  }
}

TEST(GpuTarget, RefusesWhatIsNot) {
  EXPECT_NE(errorOf(resolveTarget("cuda:sm80").takeError()).text.find("Did you mean 'cuda:sm_80'"),
            std::string::npos);
  const ErrorText none = errorOf(resolveTarget("cuda").takeError());
  EXPECT_EQ(none.code, 3001);
  EXPECT_NE(none.text.find("cuda:sm_90a"), std::string::npos);
}

TEST(GpuKernel, EveryArchitectureGetsCode) {
  for (const std::string &name : cudaNames()) {
    SCOPED_TRACE(name);
    GpuCase c;
    c.yield(softmax(c, c.argument({64, 300}), 1));
    c.generate("cuda:" + name);
    EXPECT_NE(c.ptx.find(".target " + name), std::string::npos);
  }
}

TEST(GpuKernel, ElementsAreReadSixteenBytesAtATime) {
  GpuCase c;
  Value x = c.argument({8, 77, 768});
  c.yield(gatedGelu(c, x, c.argument({768})));
  c.generate();
  EXPECT_EQ(countOf(c.ptx, "ld.global.nc.v4.b32"), 2u) << c.ptx;
  EXPECT_EQ(countOf(c.ptx, "st.global.v4.b32"), 1u);
  EXPECT_EQ(countOf(c.ptx, "div.u64") + countOf(c.ptx, "rem.u64"), 0u);
  c.simulate();
  c.assemble();
}

TEST(GpuKernel, TensorsOfOneShapeAreReadFlatWhateverTheirDimensions) {
  GpuCase c(1);
  AffineExpr n = c.symbol(0), seven = constantDim(n.getContext(), 7), rows = constantDim(n.getContext(), 64);
  Value x = c.argument({n, rows, seven, seven}, c.f32());
  c.yield(c.g->maximum(c.g->add(x, c.argument({64, 1, 1})), c.g->like(x, 0)));
  c.generate();
  EXPECT_EQ(c.entries.size(), 2u);
  EXPECT_GE(countOf(c.ptx, "ld.global.nc.v4.b32"), 2u) << c.ptx;
  c.simulate({3});
  c.simulate({1});
  c.assemble();
}

TEST(GpuKernel, TailsAndTransposes) {
  GpuCase c;
  Value x = c.argument({3, 33, 65});
  c.yield(c.g->unary(UnaryKind::exp, c.g->transpose(x, {0, 2, 1})));
  c.generate();
  c.simulate();
  c.assemble();
}

TEST(GpuKernel, PadsAndConcatenations) {
  GpuCase c;
  GraphBuilder &g = *c.g;
  Value x = c.argument({5, 12}), y = c.argument({5, 7});
  const int64_t low[] = {0, 2}, high[] = {0, 1};
  Value padded =
      g.pad(x, g.dims(ArrayRef(low)), g.dims(ArrayRef(high)), graph::PadMode::constant, g.like(x, 3));
  c.yield(g.unary(UnaryKind::tanh, g.concat({padded, y}, 1)));
  c.generate();
  c.simulate();
  c.assemble();
}

TEST(GpuKernel, ShortRowsShareAWarp) {
  for (int64_t length : {1, 2, 3, 10, 31, 64}) {
    SCOPED_TRACE(length);
    GpuCase c(1);
    AffineExpr n = c.symbol(0);
    c.yield(softmax(c, c.argument({n, constantDim(n.getContext(), length)}, c.f32()), 1));
    c.generate();
    c.simulate({37});
    c.assemble();
  }
}

TEST(GpuKernel, AWarpKeepsARowInRegisters) {
  GpuCase c;
  c.yield(softmax(c, c.argument({13, 1024}), 1));
  c.generate();
  EXPECT_EQ(countOf(c.ptx, "ld.global"), 8u) << "each element is read once";
  EXPECT_EQ(countOf(c.ptx, "ld.global.nc.v4.b32"), 8u);
  EXPECT_EQ(countOf(c.ptx, "st.global.v4.b32"), 8u);
  EXPECT_EQ(countOf(c.ptx, "shfl.sync.bfly"), 10u);
  EXPECT_EQ(countOf(c.ptx, "bar"), 0u);
  c.simulate();
  c.assemble();
}

TEST(GpuKernel, ABlockKeepsALongerRowInRegisters) {
  GpuCase c;
  c.yield(layerNorm(c, c.argument({5, 4100}), 1, c.argument({4100}), c.argument({4100})));
  c.generate();
  EXPECT_EQ(countOf(c.ptx, "shfl.sync.bfly"), 2 * (5 + 4u));
  EXPECT_EQ(countOf(c.ptx, "barrier.sync") + countOf(c.ptx, "bar.sync"), 2u) << c.ptx;
  EXPECT_GT(c.entries[0].launch.sharedBytes, 0u);
  c.simulate({}, 4e-6);
  c.assemble();
}

TEST(GpuKernel, RowsTooLongForRegistersAreReadAgain) {
  GpuCase c;
  c.yield(softmax(c, c.argument({2, 33000}), 1));
  c.generate();
  EXPECT_EQ(countOf(c.ptx, "ld.global.nc.v4.b32"), 3 * (4 + 1u));
  c.simulate({}, 4e-6);
  c.assemble();
}

TEST(GpuKernel, RowsOfUnknownLength) {
  GpuCase c(2);
  AffineExpr rows = c.symbol(0), length = c.symbol(1);
  Value x = c.argument({rows, length}, c.f32());
  c.yield(layerNorm(c, x, 1, c.argument({length}, c.f32()), c.argument({length}, c.f32())));
  c.generate();
  ASSERT_EQ(c.entries.size(), 2u);
  EXPECT_FALSE(c.entries[0].narrow.empty());
  EXPECT_TRUE(c.entries[1].narrow.empty());
  for (int64_t size : {1, 31, 33, 515, 3001})
    c.simulate({3, size}, 4e-6);
  c.assemble();
}

TEST(GpuKernel, KnownFactorsOfUnknownSizesGiveWideAccesses) {
  GpuCase c(1);
  AffineExpr n = c.symbol(0);
  c.yield(softmax(c, c.argument({n, n * 8}, c.f32()), 1));
  c.generate();
  EXPECT_GT(countOf(c.ptx, "ld.global.nc.v4.b32"), 0u) << c.ptx;
  c.simulate({5});
  c.simulate({70});
  c.assemble();
}

TEST(GpuKernel, RowsThatGiveOneElement) {
  for (ReduceKind kind : {ReduceKind::sum, ReduceKind::rmax, ReduceKind::rmin, ReduceKind::prod}) {
    GpuCase c(1);
    AffineExpr n = c.symbol(0);
    auto fixed = [&](int64_t size) { return constantDim(n.getContext(), size); };
    c.yield(c.g->reduce(kind, c.argument({n, fixed(6), fixed(7), fixed(7)}, c.f32()), {2, 3}));
    c.generate();
    EXPECT_GT(countOf(c.ptx, "shfl.sync.bfly"), 0u);
    c.simulate({3}, 4e-6);
    c.assemble();
  }
}

TEST(GpuKernel, ColumnsAreReducedByAThreadEach) {
  GpuCase c;
  c.yield(c.g->reduce(ReduceKind::sum, c.argument({50, 70}), {0}));
  c.generate();
  EXPECT_EQ(countOf(c.ptx, "shfl"), 0u);
  c.simulate({}, 4e-6);
  c.assemble();
}

TEST(GpuKernel, ReductionsOfEveryType) {
  GpuCase floats;
  mlir::Builder types(floats.kernel.getContext());
  for (Type type : {Type(types.getF16Type()), Type(types.getBF16Type()), Type(types.getF64Type()),
                    floats.integer(8, true), floats.integer(8, false), floats.integer(16, true),
                    floats.integer(32, true), floats.integer(64, true)}) {
    GpuCase c;
    Value x = c.argument({6, 2052}, type);
    c.yield(c.g->add(x, c.g->reduce(ReduceKind::rmax, x, {1}, true)));
    c.generate();
    EXPECT_GT(countOf(c.ptx, "shfl.sync.bfly"), 0u);
    c.simulate();
    c.assemble();
  }
}

TEST(GpuKernel, NarrowFloatsRoundAsOnTheCpu) {
  mlir::Builder types(&sharedContext());
  for (Type type : {Type(types.getF16Type()), Type(types.getBF16Type())}) {
    GpuCase c;
    c.yield(softmax(c, c.argument({4, 2048}, type), 1));
    c.generate();
    EXPECT_EQ(countOf(c.ptx, "ld.global.nc.v4.b32"), 8u) << "eight elements in sixteen bytes\n" << c.ptx;
    c.simulate({}, type.isF16() ? 1e-3 : 8e-3);
    c.assemble();
  }
}

TEST(GpuKernel, ApproximateInstructionsOnlyWherePrecisionAllows) {
  for (bool strict : {false, true}) {
    GpuCase c;
    Value x = c.argument({8, 128});
    c.yield(layerNorm(c, softmax(c, x, 1), 1, c.argument({128}), c.argument({128})));
    c.generate("cuda:sm_90", strict);
    for (const char *name : {"ex2.approx", "rsqrt.approx"})
      EXPECT_EQ(c.ptx.find(name) != std::string::npos, !strict) << name;
    EXPECT_EQ(c.ptx.find("div.full"), std::string::npos) << "division rounds correctly";
  }
}

TEST(GpuKernel, LaunchRecordsAreJson) {
  GpuCase c(1);
  AffineExpr n = c.symbol(0);
  c.yield(softmax(c, c.argument({n, n}, c.f32()), 1));
  c.generate();
  const StringRef line = StringRef(c.ptx).split('\n').first;
  ASSERT_TRUE(line.starts_with("// tilewright: "));
  auto record = llvm::json::parse(line.drop_front(15));
  ASSERT_TRUE(bool(record));
  const llvm::json::Object &object = *record->getAsObject();
  EXPECT_EQ(object.getString("entry"), StringRef("tested"));
  EXPECT_EQ(object.getString("blocks"), StringRef("s0"));
  EXPECT_EQ(object.getObject("threads")->getString("parts"), StringRef("(s0+3)/4"));
  EXPECT_EQ(object.getArray("parameters")->size(), c.entries[0].parameters.size());
  EXPECT_TRUE(object.getObject("if_elements_below"));
}

TEST(GpuKernel, WhatHasNoCodeIsNamed) {
  GpuCase product;
  product.yield(product.g->matmul(product.argument({4, 8}), product.argument({8, 4})));
  auto none = product.emit("cuda:sm_80");
  ASSERT_EQ(product.refused.size(), 1u);
  EXPECT_TRUE(isa<graph::ContractOp>(product.refused[0]));
  EXPECT_TRUE(none->getBody()->empty());

  GpuCase host;
  Value x = host.argument({4, 8});
  host.yield(host.g->add(host.g->unary(UnaryKind::lgamma, x), host.g->binary(BinaryKind::pow, x, x)));
  none = host.emit("cuda:sm_80");
  EXPECT_EQ(host.refused.size(), 2u);
  EXPECT_TRUE(none->getBody()->empty());
}

} // namespace
} // namespace tilewright::codegen::testing
