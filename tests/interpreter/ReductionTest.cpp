/// reduce, arg_reduce, scan, sort, window.
#include "tests/interpreter/Support.h"

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;
using ::testing::ElementsAre;

namespace {

using Values = llvm::SmallVector<Value>;

class ReductionTest : public InterpreterTest {
protected:
  Tensor reduce(ReduceKind kind, const Tensor &x, Ints dims) {
    return one({x}, [&](GraphProgram &p, ValueRange in) { return p.g.reduce(kind, in[0], dims); });
  }
  Tensor argReduce(const Tensor &x, int64_t axis, bool isMax, bool last = false) {
    return one(
        {x}, [&](GraphProgram &p, ValueRange in) { return p.g.argReduce(in[0], axis, isMax, last, false); });
  }
  Tensor scan(ReduceKind kind, const Tensor &x, int64_t axis, bool exclusive, bool reverse) {
    return one(
        {x}, [&](GraphProgram &p, ValueRange in) { return p.g.scan(kind, in[0], axis, exclusive, reverse); });
  }
  Outcome sort(const Tensor &x, int64_t axis, bool descending, int64_t count) {
    return run({x}, [&](GraphProgram &p, ValueRange in) {
      auto [values, indices] = p.g.sort(in[0], axis, descending, p.g.dim(count));
      return Values{values, indices};
    });
  }
  Tensor window(WindowKind kind, const Tensor &x, Ints kernel, Ints strides, Ints dilations, Ints low,
                Ints out) {
    return one({x}, [&](GraphProgram &p, ValueRange in) {
      return p.g.window(kind, in[0], kernel, strides, dilations, p.g.dims(low), p.g.dims(out));
    });
  }
};

TEST_F(ReductionTest, ReduceEachDimension) {
  Tensor x = counting("f32", {2, 3});
  EXPECT_THAT(numbers(reduce(ReduceKind::sum, x, {0})), ElementsAre(3, 5, 7));
  EXPECT_THAT(numbers(reduce(ReduceKind::sum, x, {1})), ElementsAre(3, 12));
  EXPECT_THAT(numbers(reduce(ReduceKind::prod, x, {1})), ElementsAre(0, 60));
  EXPECT_THAT(numbers(reduce(ReduceKind::rmax, x, {0, 1})), ElementsAre(5));
  EXPECT_THAT(numbers(reduce(ReduceKind::rmin, x, {1})), ElementsAre(0, 3));
  EXPECT_EQ(reduce(ReduceKind::rmax, x, {0, 1}).rank(), 0);
}

TEST_F(ReductionTest, MiddleDimensions) {
  EXPECT_THAT(integers(reduce(ReduceKind::sum, counting("si32", {2, 2, 2}), {1})), ElementsAre(2, 4, 10, 12));
  EXPECT_THAT(integers(reduce(ReduceKind::sum, counting("si32", {2, 2, 2}), {0, 2})), ElementsAre(10, 18));
}

TEST_F(ReductionTest, FloatsRoundOnceAtTheEnd) {
  std::vector<double> values(3000, 1.0); // in f16 the running sum would stick at 2048
  EXPECT_EQ(reduce(ReduceKind::sum, floats("f16", {3000}, values), {0}).number(0), 3000);
  EXPECT_EQ(reduce(ReduceKind::sum, floats("f32", {3}, {1e8, 1, -1e8}), {0}).number(0), 1);
}

TEST_F(ReductionTest, IntegersWrapAndBoolsAreLogic) {
  EXPECT_THAT(integers(reduce(ReduceKind::sum, ints("si8", {3}, {100, 100, 100}), {0})), ElementsAre(44));
  EXPECT_THAT(integers(reduce(ReduceKind::prod, ints("ui8", {3}, {100, 100, 1}), {0})), ElementsAre(16));
  EXPECT_THAT(integers(reduce(ReduceKind::rmax, ints("ui64", {2}, {-1, 1}), {0})), ElementsAre(-1));
  Tensor bools = ints("i1", {3, 2}, {0, 0, 0, 1, 1, 1});
  EXPECT_THAT(integers(reduce(ReduceKind::sum, bools, {1})), ElementsAre(0, 1, 1));
  EXPECT_THAT(integers(reduce(ReduceKind::prod, bools, {1})), ElementsAre(0, 0, 1));
  EXPECT_THAT(integers(reduce(ReduceKind::rmax, bools, {1})), ElementsAre(0, 1, 1));
  EXPECT_THAT(integers(reduce(ReduceKind::rmin, bools, {1})), ElementsAre(0, 0, 1));
}

TEST_F(ReductionTest, MaximumPropagatesNaN) {
  for (ReduceKind kind : {ReduceKind::rmax, ReduceKind::rmin}) {
    EXPECT_TRUE(std::isnan(reduce(kind, floats("f32", {3}, {1, notANumber, 2}), {0}).number(0)));
    EXPECT_TRUE(std::isnan(reduce(kind, floats("f32", {2}, {notANumber, 2}), {0}).number(0)));
  }
}

TEST_F(ReductionTest, OfNothing) {
  auto empty = [&](ReduceKind kind, llvm::StringRef element) {
    return reduce(kind, Tensor(type(element), {0}), {0});
  };
  EXPECT_EQ(empty(ReduceKind::sum, "f32").number(0), 0);
  EXPECT_EQ(reduce(ReduceKind::sum, Tensor(type("f32"), {0}, nullptr, nullptr), {0}).number(0), 0)
      << "a constant of no elements has no bytes";
  EXPECT_EQ(empty(ReduceKind::prod, "si8").integer(0), 1);
  EXPECT_EQ(empty(ReduceKind::rmax, "f32").number(0), -infinity);
  EXPECT_EQ(empty(ReduceKind::rmin, "f16").number(0), infinity);
  EXPECT_EQ(empty(ReduceKind::rmax, "f8E4M3FN").number(0), -448);
  EXPECT_EQ(empty(ReduceKind::rmax, "si8").integer(0), -128);
  EXPECT_EQ(empty(ReduceKind::rmin, "ui16").integer(0), 65535);
  EXPECT_EQ(empty(ReduceKind::rmin, "si64").integer(0), INT64_MAX);
  EXPECT_EQ(empty(ReduceKind::rmax, "i1").integer(0), 0);
  EXPECT_EQ(empty(ReduceKind::rmin, "i1").integer(0), 1);
}

TEST_F(ReductionTest, ArgReduce) {
  Tensor x = floats("f32", {2, 4}, {1, 3, 3, 0, 2, 0, 0, 5});
  EXPECT_THAT(integers(argReduce(x, 1, true)), ElementsAre(1, 3));
  EXPECT_THAT(integers(argReduce(x, 1, true, true)), ElementsAre(2, 3));
  EXPECT_THAT(integers(argReduce(x, 1, false)), ElementsAre(3, 1));
  EXPECT_THAT(integers(argReduce(x, 1, false, true)), ElementsAre(3, 2));
  EXPECT_THAT(integers(argReduce(x, 0, true)), ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(integers(argReduce(ints("ui64", {2}, {1, -1}), 0, true)), ElementsAre(1));
}

TEST_F(ReductionTest, ArgReduceFindsNaN) {
  Tensor x = floats("f32", {4}, {1, notANumber, 9, notANumber});
  for (bool isMax : {false, true}) {
    EXPECT_THAT(integers(argReduce(x, 0, isMax)), ElementsAre(1));
    EXPECT_THAT(integers(argReduce(x, 0, isMax, true)), ElementsAre(3));
  }
}

TEST_F(ReductionTest, Scan) {
  Tensor x = ints("si8", {2, 3}, {1, 2, 3, 100, 27, 1});
  EXPECT_THAT(integers(scan(ReduceKind::sum, x, 1, false, false)), ElementsAre(1, 3, 6, 100, 127, -128));
  EXPECT_THAT(integers(scan(ReduceKind::sum, x, 1, true, false)), ElementsAre(0, 1, 3, 0, 100, 127));
  EXPECT_THAT(integers(scan(ReduceKind::sum, x, 1, false, true)), ElementsAre(6, 5, 3, -128, 28, 1));
  EXPECT_THAT(integers(scan(ReduceKind::sum, x, 1, true, true)), ElementsAre(5, 3, 0, 28, 1, 0));
  EXPECT_THAT(integers(scan(ReduceKind::sum, x, 0, false, false)), ElementsAre(1, 2, 3, 101, 29, 4));
  EXPECT_THAT(numbers(scan(ReduceKind::prod, floats("f32", {3}, {2, 3, 4}), 0, true, false)),
              ElementsAre(1, 2, 6));
  EXPECT_THAT(numbers(scan(ReduceKind::sum, floats("f16", {4}, {2048, 1, 1, 1}), 0, false, false)),
              ElementsAre(2048, 2048, 2050, 2052));
}

TEST_F(ReductionTest, SortIsStableAndNaNIsLargest) {
  Tensor x = floats("f32", {5}, {2, notANumber, 1, 2, infinity});
  Outcome up = sort(x, 0, false, 5);
  EXPECT_THAT(integers(up[1]), ElementsAre(2, 0, 3, 4, 1));
  EXPECT_EQ(up[0].number(3), infinity);
  EXPECT_TRUE(std::isnan(up[0].number(4)));
  Outcome down = sort(x, 0, true, 5);
  EXPECT_THAT(integers(down[1]), ElementsAre(1, 4, 0, 3, 2));
}

TEST_F(ReductionTest, SortKeepsTheFirst) {
  Tensor x = ints("ui64", {3, 2}, {5, 1, -1, 3, 7, 2});
  Outcome outcome = sort(x, 0, true, 2);
  EXPECT_THAT(integers(outcome[0]), ElementsAre(-1, 3, 7, 2));
  EXPECT_THAT(integers(outcome[1]), ElementsAre(1, 1, 2, 2));
  EXPECT_EQ(sort(x, 0, true, 0)[0].size(), 0);
}

TEST_F(ReductionTest, SortOfTooFewFails) {
  Outcome outcome = run(
      {floats("f32", {3}, {1, 2, 3})},
      [](tilewright::SymbolTable &symbols) { return llvm::SmallVector<Dims>{{symbols.input("n")}}; },
      [](GraphProgram &p, ValueRange in) { return Values{p.g.sort(in[0], 0, true, p.g.dim(4)).first}; });
  EXPECT_EQ(outcome.kind, Failure::ShapeMismatch) << outcome.message;
}

TEST_F(ReductionTest, WindowMaximumAndSum) {
  Tensor x = counting("f32", {1, 1, 3, 3});
  EXPECT_THAT(numbers(window(WindowKind::wmax, x, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {2, 2})),
              ElementsAre(4, 5, 7, 8));
  EXPECT_THAT(numbers(window(WindowKind::wsum, x, {2, 2}, {2, 2}, {1, 1}, {1, 1}, {2, 2})),
              ElementsAre(0, 3, 9, 24));
  EXPECT_THAT(numbers(window(WindowKind::wsum, x, {2, 2}, {1, 1}, {2, 2}, {0, 0}, {1, 1})), ElementsAre(16));
}

TEST_F(ReductionTest, WindowTapsOutsideAreSkipped) {
  Tensor x = floats("f32", {1, 1, 2}, {-1, -2});
  EXPECT_THAT(numbers(window(WindowKind::wmax, x, {2}, {1}, {1}, {1}, {4})),
              ElementsAre(-1, -1, -2, -infinity));
  EXPECT_THAT(numbers(window(WindowKind::wsum, x, {2}, {1}, {1}, {1}, {4})), ElementsAre(-1, -3, -2, 0));
  EXPECT_THAT(integers(window(WindowKind::wmax, ints("si8", {1, 1, 1}, {5}), {1}, {1}, {1}, {1}, {3})),
              ElementsAre(-128, 5, -128));
}

TEST_F(ReductionTest, WindowArgmax) {
  Tensor x = floats("f32", {1, 2, 2, 2}, {1, 4, 4, 0, notANumber, 9, 0, notANumber});
  EXPECT_THAT(integers(window(WindowKind::wargmax, x, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {1, 1})),
              ElementsAre(1, 0));
  EXPECT_THAT(integers(window(WindowKind::wargmax, x, {1, 2}, {1, 1}, {1, 1}, {0, 0}, {2, 1})),
              ElementsAre(1, 2, 0, 3));
}

TEST_F(ReductionTest, WindowChannelsLast) {
  Tensor x = counting("si32", {1, 3, 2});
  Tensor y = one({x}, [](GraphProgram &p, ValueRange in) -> Value {
    auto type = tensorType(p.g.dims({1, 2, 2}), p.type("si32"));
    return graph::WindowOp::create(p.builder, p.g.loc, type, WindowKind::wsum, in[0], Ints({2}), Ints({1}),
                                   Ints({1}), mapOf(Ints({0}), &p.context), /*channelsLast=*/true);
  });
  EXPECT_THAT(integers(y), ElementsAre(2, 4, 6, 8));
}

TEST_F(ReductionTest, ArgReduceOfNothingFails) {
  Outcome outcome = run(
      {Tensor(type("f32"), {2, 0})},
      [](tilewright::SymbolTable &symbols) {
        return llvm::SmallVector<Dims>{{constantDim(symbols.context(), 2), symbols.input("n")}};
      },
      [](GraphProgram &p, ValueRange in) { return Values{p.g.argReduce(in[0], 1, true, false, false)}; });
  EXPECT_EQ(outcome.kind, Failure::ShapeMismatch);
}

} // namespace
