//===- ConvTest.cpp - convolutions against the interpreter ----------------===//
#include "KernelCase.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace tilewright::graph;
using llvm::SmallVector;

namespace tilewright::codegen::testing {
namespace {

TargetInfo target(const char *name = "cpu") { return llvm::cantFail(resolveTarget(name)); }

struct Case {
  const char *name;
  int64_t images;
  SmallVector<int64_t> in;
  int64_t channels, outputs;
  SmallVector<int64_t> taps;
  SmallVector<int64_t> strides = {}, low = {}, high = {}, rhsDilation = {}, lhsDilation = {};
  int64_t groups = 1;
};

SmallVector<int64_t> orElse(const SmallVector<int64_t> &values, size_t rank, int64_t value) {
  return values.empty() ? SmallVector<int64_t>(rank, value) : values;
}

/// A channels-last convolution of a case, with the result's sizes that its pads give. Spatial sizes are those
/// of `x`.
Value conv(KernelCase &c, const Case &t, Value x, Value w, Type element) {
  const size_t rank = t.in.size();
  const auto strides = orElse(t.strides, rank, 1), low = orElse(t.low, rank, 0),
             high = orElse(t.high, rank, 0), dilation = orElse(t.rhsDilation, rank, 1),
             spread = orElse(t.lhsDilation, rank, 1);
  Dims shape = dimsOf(x.getType());
  for (size_t d = 0; d < rank; ++d) {
    AffineExpr padded = (shape[d + 1] - 1) * spread[d] + (low[d] + high[d] - (t.taps[d] - 1) * dilation[d]);
    shape[d + 1] = canonical(padded.floorDiv(strides[d]) + 1);
  }
  shape.back() = c.g->dim(t.outputs);
  OpBuilder &b = c.g->b;
  return ConvOp::create(
      b, b.getUnknownLoc(), tensorType(shape, element), x, w, b.getDenseI64ArrayAttr(strides),
      AffineMapAttr::get(mapOf(llvm::ArrayRef<int64_t>(low), b.getContext())), b.getDenseI64ArrayAttr(spread),
      b.getDenseI64ArrayAttr(dilation), b.getI64IntegerAttr(t.groups), b.getUnitAttr());
}

SmallVector<int64_t> operandShape(const Case &t) {
  SmallVector<int64_t> shape{t.images};
  shape.append(t.in);
  shape.push_back(t.channels);
  return shape;
}

SmallVector<int64_t> weightShape(const Case &t) {
  SmallVector<int64_t> shape(t.taps);
  shape.append({t.channels / t.groups, t.outputs});
  return shape;
}

void checkConv(const TargetInfo &cpu, const Case &t, bool pack = true, bool prologue = false) {
  SCOPED_TRACE(std::string(t.name) + " on " + cpu.name);
  KernelCase c;
  Value x = c.argument(operandShape(t)), w = c.weight(weightShape(t)), bias = c.weight({t.outputs});
  if (prologue)
    x = c.g->maximum(x, c.g->like(x, 0));
  Value y = c.g->add(conv(c, t, x, w, c.f32()), bias);
  c.yield(c.g->maximum(y, c.g->like(y, 0)));
  c.compile(cpu, pack);
  c.check({}, 3, 1e-5);
}

/// All spatial sizes known at run time only: those of the case, larger ones, and the least that has a result.
void checkRunTimeSizes(const TargetInfo &cpu, const Case &t) {
  SCOPED_TRACE(std::string(t.name) + " with sizes of run time on " + cpu.name);
  const size_t rank = t.in.size();
  KernelCase c(rank);
  Dims shape{c.g->dim(t.images)};
  for (size_t d = 0; d < rank; ++d)
    shape.push_back(c.symbol(d));
  shape.push_back(c.g->dim(t.channels));
  Value x = c.argument(shape, c.f32()), w = c.weight(weightShape(t)), bias = c.weight({t.outputs});
  Value y = c.g->add(conv(c, t, x, w, c.f32()), bias);
  c.yield(c.g->maximum(y, c.g->like(y, 0)));
  c.compile(cpu);
  const auto low = orElse(t.low, rank, 0), high = orElse(t.high, rank, 0),
             dilation = orElse(t.rhsDilation, rank, 1);
  for (int64_t more : {0, 5}) {
    SmallVector<int64_t> sizes(t.in);
    for (int64_t &size : sizes)
      size += more;
    c.check(sizes, 3, 1e-5);
  }
  SmallVector<int64_t> least;
  for (size_t d = 0; d < rank; ++d)
    least.push_back(std::max<int64_t>(1, (t.taps[d] - 1) * dilation[d] + 1 - low[d] - high[d]));
  c.check(least, 3, 1e-5);
}

const Case cases[] = {
    {.name = "1x1", .images = 2, .in = {5, 6}, .channels = 20, .outputs = 40, .taps = {1, 1}},
    {.name = "1x1 stride 2",
     .images = 2,
     .in = {7, 9},
     .channels = 20,
     .outputs = 33,
     .taps = {1, 1},
     .strides = {2, 2}},
    {.name = "3x3",
     .images = 1,
     .in = {9, 20},
     .channels = 16,
     .outputs = 32,
     .taps = {3, 3},
     .low = {1, 1},
     .high = {1, 1}},
    {.name = "3x3 wide",
     .images = 1,
     .in = {4, 61},
     .channels = 17,
     .outputs = 50,
     .taps = {3, 3},
     .low = {1, 1},
     .high = {1, 1}},
    {.name = "3x3 7x7",
     .images = 1,
     .in = {7, 7},
     .channels = 64,
     .outputs = 48,
     .taps = {3, 3},
     .low = {1, 1},
     .high = {1, 1}},
    {.name = "3x3 stride 2",
     .images = 2,
     .in = {14, 15},
     .channels = 12,
     .outputs = 24,
     .taps = {3, 3},
     .strides = {2, 2},
     .low = {1, 1},
     .high = {0, 1}},
    {.name = "5x5 dilated",
     .images = 1,
     .in = {12, 13},
     .channels = 9,
     .outputs = 10,
     .taps = {5, 5},
     .low = {4, 4},
     .high = {4, 4},
     .rhsDilation = {2, 2}},
    {.name = "negative pads",
     .images = 1,
     .in = {12, 33},
     .channels = 9,
     .outputs = 10,
     .taps = {3, 3},
     .low = {-1, -2},
     .high = {-1, 1}},
    {.name = "first layer",
     .images = 2,
     .in = {23, 31},
     .channels = 3,
     .outputs = 64,
     .taps = {7, 7},
     .strides = {2, 2},
     .low = {3, 3},
     .high = {3, 3}},
    {.name = "transposed",
     .images = 1,
     .in = {5, 6},
     .channels = 18,
     .outputs = 20,
     .taps = {4, 4},
     .low = {2, 2},
     .high = {2, 2},
     .lhsDilation = {2, 2}},
    {.name = "transposed 3",
     .images = 1,
     .in = {5, 6},
     .channels = 18,
     .outputs = 20,
     .taps = {3, 2},
     .low = {1, 0},
     .high = {2, 1},
     .lhsDilation = {3, 2}},
    {.name = "grouped",
     .images = 2,
     .in = {8, 8},
     .channels = 24,
     .outputs = 36,
     .taps = {3, 3},
     .low = {1, 1},
     .high = {1, 1},
     .groups = 4},
    {.name = "groups of 8",
     .images = 2,
     .in = {9, 20},
     .channels = 40,
     .outputs = 40,
     .taps = {3, 3},
     .low = {1, 1},
     .high = {1, 1},
     .groups = 5},
    {.name = "groups of 4, stride 2",
     .images = 1,
     .in = {10, 23},
     .channels = 28,
     .outputs = 28,
     .taps = {3, 5},
     .strides = {2, 2},
     .low = {1, 2},
     .high = {0, 2},
     .groups = 7},
    {.name = "groups of 2, dilated",
     .images = 1,
     .in = {30},
     .channels = 34,
     .outputs = 34,
     .taps = {3},
     .low = {2},
     .high = {2},
     .rhsDilation = {2},
     .groups = 17},
    {.name = "depthwise",
     .images = 2,
     .in = {9, 20},
     .channels = 40,
     .outputs = 40,
     .taps = {3, 3},
     .low = {1, 1},
     .high = {1, 1},
     .groups = 40},
    {.name = "depthwise stride 2",
     .images = 1,
     .in = {14, 15},
     .channels = 32,
     .outputs = 32,
     .taps = {5, 5},
     .strides = {2, 2},
     .low = {2, 2},
     .high = {2, 1},
     .groups = 32},
    {.name = "depthwise multiplier",
     .images = 1,
     .in = {6, 7},
     .channels = 5,
     .outputs = 10,
     .taps = {3, 3},
     .low = {1, 1},
     .high = {1, 1},
     .groups = 5},
    {.name = "depthwise 1-d",
     .images = 2,
     .in = {50},
     .channels = 33,
     .outputs = 33,
     .taps = {4},
     .low = {3},
     .groups = 33},
    {.name = "1-d",
     .images = 2,
     .in = {40},
     .channels = 10,
     .outputs = 30,
     .taps = {5},
     .low = {2},
     .high = {2}},
    {.name = "3-d",
     .images = 1,
     .in = {5, 6, 7},
     .channels = 10,
     .outputs = 16,
     .taps = {3, 3, 3},
     .low = {1, 1, 1},
     .high = {1, 1, 1}},
};

void checkBytes(const TargetInfo &cpu, const Case &t, bool signedLeft) {
  SCOPED_TRACE(std::string(t.name) + (signedLeft ? " s8 on " : " u8 on ") + cpu.name);
  KernelCase c;
  Value x = c.argument(operandShape(t), c.integer(8, signedLeft)),
        w = c.weight(weightShape(t), c.integer(8, true));
  c.yield(conv(c, t, x, w, c.integer(32, true)));
  c.compile(cpu);
  c.check({}, 3, 0);
}

TEST(Conv, Bytes) {
  for (const Case &t : cases)
    for (bool signedLeft : {false, true})
      checkBytes(target(), t, signedLeft);
}

TEST(Conv, BytesInPairs) {
  for (const Case &t : cases)
    checkBytes(target("cpu:haswell"), t, true);
}

TEST(Conv, ShapesOfAllKinds) {
  for (const Case &t : cases)
    checkConv(target(), t);
}

TEST(Conv, SizesOfRunTime) {
  for (const char *name : {"cpu", "cpu:haswell"})
    for (const Case &t : cases)
      checkRunTimeSizes(target(name), t);
}

void checkHalf(const TargetInfo &cpu, const Case &t, bool brain) {
  SCOPED_TRACE(std::string(t.name) + (brain ? " bf16 on " : " f16 on ") + cpu.name);
  KernelCase c;
  MLIRContext *context = c.f32().getContext();
  Type half = brain ? Type(BFloat16Type::get(context)) : Type(Float16Type::get(context));
  Value x = c.argument(operandShape(t), half), w = c.weight(weightShape(t), half);
  c.yield(conv(c, t, x, w, half));
  c.compile(cpu);
  c.check({}, 3, brain ? 1.6e-2 : 2e-3);
}

TEST(Conv, HalfPrecision) {
  for (const char *name : {"cpu", "cpu:haswell"})
    for (const Case &t : cases)
      for (bool brain : {false, true})
        checkHalf(target(name), t, brain);
}

TEST(Conv, WithPrologue) {
  for (const Case &t : cases)
    checkConv(target(), t, true, true);
}

TEST(Conv, OnEveryTarget) {
  for (const Case &t : cases)
    checkConv(target("cpu:haswell"), t);
}

} // namespace
} // namespace tilewright::codegen::testing
