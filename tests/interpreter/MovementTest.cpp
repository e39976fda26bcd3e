/// broadcast, reshape, transpose, slice, concat, pad, and their run-time errors.
#include "tests/interpreter/Support.h"

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

using Values = llvm::SmallVector<Value>;
using DimsList = llvm::SmallVector<Dims>;

class MovementTest : public InterpreterTest {
protected:
  Tensor pad(const Tensor &x, Ints low, Ints high, PadMode mode, double value = 0) {
    return one({x}, [&](GraphProgram &p, ValueRange in) {
      return p.g.pad(in[0], p.g.dims(low), p.g.dims(high), mode, p.g.scalar(x.elementType, value));
    });
  }
  Tensor slice(const Tensor &x, Ints starts, Ints steps, Ints sizes) {
    return one({x}, [&](GraphProgram &p, ValueRange in) {
      return p.g.slice(in[0], p.g.dims(starts), steps, p.g.dims(sizes));
    });
  }
  Tensor transpose(const Tensor &x, Ints perm) {
    return one({x}, [&](GraphProgram &p, ValueRange in) { return p.g.transpose(in[0], perm); });
  }
};

TEST_F(MovementTest, Broadcast) {
  Tensor x = ints("si32", {2, 1}, {1, 2});
  Tensor y =
      one({x}, [](GraphProgram &p, ValueRange in) { return p.g.broadcastTo(in[0], p.g.dims({2, 2, 3})); });
  EXPECT_THAT(integers(y), ElementsAre(1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2));
  Tensor z = one({ints("si32", {2}, {1, 2})}, [](GraphProgram &p, ValueRange in) {
    return p.g.broadcastInDims(in[0], p.g.dims({2, 2}), {0});
  });
  EXPECT_THAT(integers(z), ElementsAre(1, 1, 2, 2));
  Tensor empty = one({ints("si32", {1}, {1})}, [](GraphProgram &p, ValueRange in) {
    return p.g.broadcastTo(in[0], p.g.dims(Ints({0})));
  });
  EXPECT_EQ(empty.size(), 0);
}

/// C2: a dynamic operand dimension may turn out to be 1, or the result's, and nothing else.
TEST_F(MovementTest, DynamicBroadcast) {
  for (int64_t size : {1, 3, 2}) {
    Outcome outcome = run(
        {counting("f32", {3}), counting("f32", {size})},
        [](tilewright::SymbolTable &symbols) { return DimsList{{symbols.input("n")}, {symbols.input("m")}}; },
        [](GraphProgram &p, ValueRange in) { return Values{p.g.add(in[0], in[1])}; });
    if (size == 2) {
      EXPECT_EQ(outcome.kind, Failure::ShapeMismatch);
      EXPECT_THAT(outcome.message, HasSubstr("TW2902"));
      continue;
    }
    ASSERT_FALSE(outcome.kind) << outcome.message;
    EXPECT_THAT(numbers(outcome[0]), size == 1 ? ElementsAre(0, 1, 2) : ElementsAre(0, 2, 4));
  }
}

TEST_F(MovementTest, ReshapeSharesStorage) {
  Tensor x = counting("f32", {2, 3});
  Tensor y = one({x}, [](GraphProgram &p, ValueRange in) { return p.g.reshape(in[0], p.g.dims({3, 2})); });
  EXPECT_EQ(y.data(), x.data());
  EXPECT_EQ(shapeOf(y), (std::vector<int64_t>{3, 2}));
}

/// C1: counts that cannot be proved equal are checked when the program runs.
TEST_F(MovementTest, DynamicReshape) {
  for (int64_t size : {4, 5}) {
    Outcome outcome = run(
        {counting("f32", {size})},
        [](tilewright::SymbolTable &symbols) { return DimsList{{symbols.input("n")}}; },
        [](GraphProgram &p, ValueRange in) { return Values{p.g.reshape(in[0], p.g.dims({2, 2}))}; });
    if (size == 4)
      EXPECT_EQ(shapeOf(outcome[0]), (std::vector<int64_t>{2, 2}));
    else
      EXPECT_EQ(outcome.kind, Failure::Reshape) << outcome.message;
  }
}

TEST_F(MovementTest, Transpose) {
  EXPECT_THAT(integers(transpose(counting("si8", {2, 3}), {1, 0})), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(integers(transpose(counting("si64", {2, 1, 2}), {2, 1, 0})), ElementsAre(0, 2, 1, 3));
}

/// Against the definition, in sizes that leave odd tiles, for every element width.
TEST_F(MovementTest, TransposeOfAnySize) {
  const std::vector<int64_t> permutations[] = {{1, 0, 2}, {2, 1, 0}, {0, 2, 1}, {1, 2, 0}, {2, 0, 1}};
  for (const char *element : {"ui8", "si16", "f32", "si64"})
    for (const std::vector<int64_t> &perm : permutations) {
      Tensor x = counting(element, {35, 3, 67}), y = transpose(x, perm);
      Shape from = interpreter::rowMajorStrides(x.shape), to = interpreter::rowMajorStrides(y.shape);
      for (int64_t flat = 0; flat < y.size(); ++flat) {
        int64_t source = 0;
        for (int dim = 0; dim < 3; ++dim)
          source += flat / to[dim] % y.shape[dim] * from[perm[dim]];
        ASSERT_EQ(y.number(flat), x.number(source)) << element << " " << flat;
      }
    }
}

TEST_F(MovementTest, Slice) {
  Tensor x = counting("si32", {3, 4});
  EXPECT_THAT(integers(slice(x, {0, 1}, {1, 2}, {2, 2})), ElementsAre(1, 3, 5, 7));
  EXPECT_THAT(integers(slice(x, {2, 3}, {-2, -3}, {2, 2})), ElementsAre(11, 8, 3, 0));
  EXPECT_EQ(slice(x, {2, 0}, {1, 1}, {0, 4}).size(), 0);
  Tensor rows = slice(x, {1, 0}, {1, 1}, {2, 4});
  EXPECT_EQ(rows.data(), x.data() + 16); // whole rows need no copy
  EXPECT_THAT(integers(rows), ElementsAre(4, 5, 6, 7, 8, 9, 10, 11));
}

/// C2 holds by construction; where it does not, the interpreter says so instead of reading elsewhere.
TEST_F(MovementTest, SliceOutsideIsAnError) {
  Outcome outcome = run(
      {counting("si32", {3})},
      [](tilewright::SymbolTable &symbols) { return DimsList{{symbols.input("n")}}; },
      [](GraphProgram &p, ValueRange in) {
        return Values{p.g.slice(in[0], p.g.dims({2}), {1}, p.g.dims({2}))};
      });
  EXPECT_EQ(outcome.kind, Failure::ShapeMismatch) << outcome.message;
}

TEST_F(MovementTest, Concat) {
  Tensor x = counting("si16", {2, 2}), y = ints("si16", {2, 1}, {8, 9}), none = Tensor(type("si16"), {2, 0});
  Tensor z =
      one({x, none, y}, [](GraphProgram &p, ValueRange in) { return p.g.concat({in[0], in[1], in[2]}, 1); });
  EXPECT_THAT(integers(z), ElementsAre(0, 1, 8, 2, 3, 9));
  Tensor w = one({x, x}, [](GraphProgram &p, ValueRange in) { return p.g.concat({in[0], in[1]}, 0); });
  EXPECT_THAT(integers(w), ElementsAre(0, 1, 2, 3, 0, 1, 2, 3));
}

TEST_F(MovementTest, Pad) {
  Tensor x = ints("si8", {3}, {1, 2, 3});
  EXPECT_THAT(integers(pad(x, {2}, {1}, PadMode::constant, 7)), ElementsAre(7, 7, 1, 2, 3, 7));
  EXPECT_THAT(integers(pad(x, {2}, {1}, PadMode::edge)), ElementsAre(1, 1, 1, 2, 3, 3));
  EXPECT_THAT(integers(pad(x, {2}, {1}, PadMode::reflect)), ElementsAre(3, 2, 1, 2, 3, 2));
  EXPECT_THAT(integers(pad(x, {2}, {4}, PadMode::wrap)), ElementsAre(2, 3, 1, 2, 3, 1, 2, 3, 1));
  EXPECT_THAT(integers(pad(counting("si8", {2, 2}), {1, 0}, {0, 1}, PadMode::constant, -1)),
              ElementsAre(-1, -1, -1, 0, 1, -1, 2, 3, -1));
  EXPECT_THAT(integers(pad(counting("si8", {2, 2}), {1, 1}, {0, 0}, PadMode::reflect)),
              ElementsAre(3, 2, 3, 1, 0, 1, 3, 2, 3));
  EXPECT_THAT(numbers(pad(Tensor(type("f32"), {0}), {1}, {1}, PadMode::constant, 0.5)),
              ElementsAre(0.5, 0.5));
}

/// C1: nothing to repeat, or nothing to mirror.
TEST_F(MovementTest, PadOfTooLittle) {
  for (auto [size, mode] : {std::pair{0, PadMode::edge}, {0, PadMode::wrap}, {2, PadMode::reflect}}) {
    Outcome outcome = run(
        {counting("f32", {size})},
        [](tilewright::SymbolTable &symbols) { return DimsList{{symbols.input("n")}}; },
        [mode = mode](GraphProgram &p, ValueRange in) {
          return Values{
              p.g.pad(in[0], p.g.dims({2}), p.g.dims(Ints({0})), mode, p.g.scalar(p.type("f32"), 0))};
        });
    EXPECT_EQ(outcome.kind, Failure::ShapeMismatch) << outcome.message;
  }
}

TEST_F(MovementTest, SymbolicStartsAndSizes) {
  Outcome outcome = run(
      {counting("f32", {5})}, [](tilewright::SymbolTable &symbols) { return DimsList{{symbols.input("n")}}; },
      [](GraphProgram &p, ValueRange in) {
        AffineExpr n = dimsOf(in[0])[0];
        Value reversed = p.g.slice(in[0], {n - 1}, {-1}, {n});
        Value padded =
            p.g.pad(reversed, {n - 4}, {p.g.dim(0)}, PadMode::constant, p.g.scalar(p.type("f32"), 9));
        return Values{padded};
      });
  ASSERT_FALSE(outcome.kind) << outcome.message;
  EXPECT_THAT(numbers(outcome[0]), ElementsAre(9, 4, 3, 2, 1, 0));
}

} // namespace
