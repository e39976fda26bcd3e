/// Constants, dims, iota, gather and scatter in all forms, compact.
#include "tests/interpreter/Support.h"

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

using Values = llvm::SmallVector<Value>;
using DimsList = llvm::SmallVector<Dims>;

class IndexingTest : public InterpreterTest {
protected:
  Tensor scatterElements(ScatterKind kind, const Tensor &x, const Tensor &indices, const Tensor &updates,
                         int64_t axis) {
    return one({x, indices, updates}, [&](GraphProgram &p, ValueRange in) -> Value {
      return graph::ScatterElementsOp::create(p.builder, p.g.loc, in[0].getType(), in[0], in[1], in[2], axis,
                                              kind);
    });
  }
  Outcome scatterND(ScatterKind kind, const Tensor &x, const Tensor &indices, const Tensor &updates) {
    return run({x, indices, updates}, [&](GraphProgram &p, ValueRange in) {
      return Values{
          graph::ScatterNDOp::create(p.builder, p.g.loc, in[0].getType(), in[0], in[1], in[2], kind)};
    });
  }
  Outcome gatherND(const Tensor &x, const Tensor &indices, int64_t batchDims, Ints resultShape) {
    return run({x, indices}, [&](GraphProgram &p, ValueRange in) {
      auto type = tensorType(p.g.dims(resultShape), x.elementType);
      return Values{graph::GatherNDOp::create(p.builder, p.g.loc, type, in[0], in[1], batchDims)};
    });
  }
};

TEST_F(IndexingTest, Constants) {
  Tensor x = one({}, [](GraphProgram &p, ValueRange) { return p.g.intVector({1, -2, 3}, 32); });
  EXPECT_THAT(integers(x), ElementsAre(1, -2, 3));
  EXPECT_EQ(x.elementType, type("si32"));
  EXPECT_EQ(
      one({}, [](GraphProgram &p, ValueRange) { return p.g.scalar(p.type("bf16"), 1.00390625); }).number(0),
      1);
  EXPECT_EQ(one({}, [](GraphProgram &p, ValueRange) { return p.g.scalarInt(p.type("ui4"), 15); }).integer(0),
            15);
  EXPECT_EQ(one({}, [](GraphProgram &p, ValueRange) { return p.g.scalarInt(p.type("si4"), -3); }).integer(0),
            -3);
  EXPECT_EQ(one({}, [](GraphProgram &p, ValueRange) { return p.g.scalarInt(p.type("i1"), 1); }).integer(0),
            1);
}

TEST_F(IndexingTest, DimsAreTheValuesOfExpressions) {
  Outcome outcome = run(
      {counting("f32", {3, 4})},
      [](tilewright::SymbolTable &symbols) { return DimsList{{symbols.input("n"), symbols.input("m")}}; },
      [](GraphProgram &p, ValueRange in) {
        Dims dims = dimsOf(in[0]);
        return Values{p.g.dims({dims[0] * dims[1], dims[1] - dims[0] * 2, p.g.dim(7)}),
                      p.g.dims({dims[0]}, true)};
      });
  ASSERT_FALSE(outcome.kind) << outcome.message;
  EXPECT_THAT(integers(outcome[0]), ElementsAre(12, -2, 7));
  EXPECT_EQ(outcome[1].rank(), 0);
  EXPECT_THAT(integers(outcome[1]), ElementsAre(3));
}

TEST_F(IndexingTest, Iota) {
  Tensor x =
      one({}, [](GraphProgram &p, ValueRange) { return p.g.iota(p.g.dims({2, 3}), p.type("f16"), 1); });
  EXPECT_THAT(numbers(x), ElementsAre(0, 1, 2, 0, 1, 2));
  Tensor y =
      one({}, [](GraphProgram &p, ValueRange) { return p.g.iota(p.g.dims({2, 3}), p.type("si64"), 0); });
  EXPECT_THAT(integers(y), ElementsAre(0, 0, 0, 1, 1, 1));
}

TEST_F(IndexingTest, Gather) {
  Tensor x = counting("f32", {2, 3}), indices = ints("si64", {2, 2}, {0, 2, -1, 1});
  Tensor y = one({x, indices}, [](GraphProgram &p, ValueRange in) { return p.g.gather(in[0], in[1], 1); });
  EXPECT_EQ(shapeOf(y), (std::vector<int64_t>{2, 2, 2}));
  EXPECT_THAT(numbers(y), ElementsAre(0, 2, 2, 1, 3, 5, 5, 4));
  Tensor row = one({x, ints("si32", {}, {-1})},
                   [](GraphProgram &p, ValueRange in) { return p.g.gather(in[0], in[1], 0); });
  EXPECT_THAT(numbers(row), ElementsAre(3, 4, 5));
}

TEST_F(IndexingTest, GatherOutOfRange) {
  for (int64_t index : {3, -4}) {
    Outcome outcome = run({counting("f32", {3}), ints("si64", {1}, {index})},
                          [](GraphProgram &p, ValueRange in) { return Values{p.g.gather(in[0], in[1], 0)}; });
    EXPECT_EQ(outcome.kind, Failure::Index);
    EXPECT_THAT(outcome.message, HasSubstr("TW2901"));
    EXPECT_THAT(outcome.message, HasSubstr("[-3, 3)"));
  }
}

TEST_F(IndexingTest, GatherElements) {
  Tensor x = ints("si32", {2, 2}, {1, 2, 3, 4}), indices = ints("si64", {2, 2}, {0, 0, 1, -2});
  Tensor y = one({x, indices}, [](GraphProgram &p, ValueRange in) -> Value {
    return graph::GatherElementsOp::create(p.builder, p.g.loc, in[0].getType(), in[0], in[1], 1);
  });
  EXPECT_THAT(integers(y), ElementsAre(1, 1, 4, 3));
}

TEST_F(IndexingTest, GatherND) {
  Tensor x = ints("si32", {2, 2}, {0, 1, 2, 3});
  EXPECT_THAT(integers(gatherND(x, ints("si64", {2, 2}, {0, 0, 1, 1}), 0, {2})[0]), ElementsAre(0, 3));
  EXPECT_THAT(integers(gatherND(x, ints("si64", {2, 1}, {1, 0}), 0, {2, 2})[0]), ElementsAre(2, 3, 0, 1));
  EXPECT_THAT(integers(gatherND(counting("si32", {2, 2, 2}), ints("si64", {2, 1}, {1, 0}), 1, {2, 2})[0]),
              ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(
      integers(gatherND(counting("si32", {2, 3, 2}), ints("si64", {2, 1, 1}, {-1, 0}), 1, {2, 1, 2})[0]),
      ElementsAre(4, 5, 6, 7));
  EXPECT_EQ(gatherND(x, ints("si64", {1, 2}, {0, 2}), 0, {1}).kind, Failure::Index);
}

TEST_F(IndexingTest, ScatterElements) {
  Tensor x = Tensor(type("f32"), {3, 3}), indices = ints("si64", {2, 3}, {1, 0, 2, 0, 2, 1}),
         updates = floats("f32", {2, 3}, {1, 1.1, 1.2, 2, 2.1, 2.2});
  Tensor y = scatterElements(ScatterKind::assign, x, indices, updates, 0);
  EXPECT_THAT(numbers(y), ElementsAre(2, double(1.1f), 0, 1, 0, double(2.2f), 0, double(2.1f), double(1.2f)));
}

TEST_F(IndexingTest, ScatterWithDuplicates) {
  Tensor x = ints("si8", {3}, {10, 20, 30}), indices = ints("si64", {3}, {1, -2, 0}),
         updates = ints("si8", {3}, {100, 50, 7});
  auto scatter = [&](ScatterKind kind) { return integers(scatterElements(kind, x, indices, updates, 0)); };
  EXPECT_THAT(scatter(ScatterKind::assign), ElementsAre(7, 50, 30));
  EXPECT_THAT(scatter(ScatterKind::sadd), ElementsAre(17, -86, 30));
  EXPECT_THAT(scatter(ScatterKind::smul), ElementsAre(70, int64_t(int8_t(20 * 100 * 50)), 30));
  EXPECT_THAT(scatter(ScatterKind::smax), ElementsAre(10, 100, 30));
  EXPECT_THAT(scatter(ScatterKind::smin), ElementsAre(7, 20, 30));
}

TEST_F(IndexingTest, ScatterSumsRoundOnce) {
  // 2048 + 1 + 1 is 2050 in f16 only when the sum is not rounded in between.
  Tensor y = scatterElements(ScatterKind::sadd, floats("f16", {1}, {2048}), ints("si64", {2}, {0, 0}),
                             floats("f16", {2}, {1, 1}), 0);
  EXPECT_THAT(numbers(y), ElementsAre(2050));
  Tensor z = scatterElements(ScatterKind::smax, floats("f32", {2}, {1, notANumber}),
                             ints("si64", {2}, {0, 1}), floats("f32", {2}, {notANumber, 1}), 0);
  EXPECT_TRUE(std::isnan(z.number(0)) && std::isnan(z.number(1)));
}

TEST_F(IndexingTest, ScatterND) {
  Tensor x = counting("si32", {4, 2});
  Outcome rows = scatterND(ScatterKind::assign, x, ints("si64", {2, 1}, {3, -4}),
                           ints("si32", {2, 2}, {90, 91, 92, 93}));
  EXPECT_THAT(integers(rows[0]), ElementsAre(92, 93, 2, 3, 4, 5, 90, 91));
  Outcome single =
      scatterND(ScatterKind::sadd, x, ints("si64", {2, 2}, {0, 0, 0, 0}), ints("si32", {2}, {5, 6}));
  EXPECT_THAT(integers(single[0]), ElementsAre(11, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_EQ(scatterND(ScatterKind::assign, x, ints("si64", {1, 1}, {4}), ints("si32", {1, 2}, {0, 0})).kind,
            Failure::Index);
}

TEST_F(IndexingTest, ScatterNDOfUpdatesThatDoNotFit) {
  Outcome outcome = run(
      {counting("si32", {4, 2}), ints("si64", {1, 1}, {0}), ints("si32", {1, 1}, {0})},
      [](tilewright::SymbolTable &symbols) {
        auto dim = [&](int64_t value) { return constantDim(symbols.context(), value); };
        return llvm::SmallVector<Dims>{{dim(4), dim(2)}, {dim(1), dim(1)}, {dim(1), symbols.input("n")}};
      },
      [](GraphProgram &p, ValueRange in) {
        return Values{graph::ScatterNDOp::create(p.builder, p.g.loc, in[0].getType(), in[0], in[1], in[2],
                                                 ScatterKind::assign)};
      });
  EXPECT_EQ(outcome.kind, Failure::ShapeMismatch) << outcome.message;
}

/// C1: the number of true elements is defined before.
TEST_F(IndexingTest, Compact) {
  Tensor mask = ints("i1", {2, 3}, {0, 1, 0, 1, 0, 1});
  Outcome outcome = run({mask}, [](GraphProgram &p, ValueRange in) {
    Value count = p.g.reduce(ReduceKind::sum, p.g.cast(in[0], p.type("si64")), {0, 1});
    Dims defined = p.g.valueOrDefine(count, "count", 0, 6);
    auto type = tensorType({defined[0], p.g.dim(2)}, p.type("si64"));
    return Values{graph::CompactOp::create(p.builder, p.g.loc, type, in[0])};
  });
  ASSERT_FALSE(outcome.kind) << outcome.message;
  EXPECT_EQ(shapeOf(outcome[0]), (std::vector<int64_t>{3, 2}));
  EXPECT_THAT(integers(outcome[0]), ElementsAre(0, 1, 1, 0, 1, 2));
}

TEST_F(IndexingTest, CompactOfAnotherCount) {
  Outcome outcome = run({ints("i1", {2}, {1, 1})}, [](GraphProgram &p, ValueRange in) {
    auto type = tensorType(p.g.dims({1, 1}), p.type("si64"));
    return Values{graph::CompactOp::create(p.builder, p.g.loc, type, in[0])};
  });
  EXPECT_EQ(outcome.kind, Failure::ShapeMismatch);
}

} // namespace
