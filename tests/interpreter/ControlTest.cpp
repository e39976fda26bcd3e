/// Programs: symbols, define, if, loop, kernel launches.
#include "tests/interpreter/Support.h"

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;
using interpreter::Evaluator;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

using Values = llvm::SmallVector<Value>;
using DimsList = llvm::SmallVector<Dims>;

class ControlTest : public InterpreterTest {
protected:
  Value scalar(GraphProgram &p, llvm::StringRef element, int64_t value) {
    return p.g.scalarInt(p.type(element), value);
  }
};

//===- Symbols -------------------------------------------------------------------------===//

TEST_F(ControlTest, InputsMustAgree) {
  auto both = [](tilewright::SymbolTable &symbols) {
    return DimsList{{symbols.input("n")}, {symbols.input("n")}};
  };
  auto add = [](GraphProgram &p, ValueRange in) { return Values{p.g.add(in[0], in[1])}; };
  EXPECT_THAT(numbers(run({counting("f32", {2}), counting("f32", {2})}, both, add)[0]), ElementsAre(0, 2));
  EXPECT_EQ(run({counting("f32", {2}), counting("f32", {3})}, both, add).kind, Failure::ShapeMismatch);
  EXPECT_EQ(run({counting("f32", {2}), counting("f32", {2, 1})}, both, add).kind, Failure::ShapeMismatch);
}

TEST_F(ControlTest, InputsHaveTheirTypes) {
  GraphProgram program(context);
  Value x = program.input({2}, type("f32"));
  ASSERT_TRUE(program.finish({x}));
  EXPECT_EQ(evaluateProgram(program, {counting("f64", {2})}).kind, Failure::ShapeMismatch);
  EXPECT_EQ(evaluateProgram(program, {counting("f32", {3})}).kind, Failure::ShapeMismatch);
  EXPECT_EQ(evaluateProgram(program, {}).kind, Failure::ShapeMismatch);
  EXPECT_FALSE(evaluateProgram(program, {counting("f32", {2})}).kind);
}

TEST_F(ControlTest, SizesOutsideTheirRange) {
  auto ranged = [](tilewright::SymbolTable &symbols) { return DimsList{{symbols.input("n", 2, 4)}}; };
  auto same = [](GraphProgram &, ValueRange in) { return Values{in[0]}; };
  EXPECT_FALSE(run({counting("f32", {4})}, ranged, same).kind);
  EXPECT_EQ(run({counting("f32", {1})}, ranged, same).kind, Failure::SymbolRange);
  EXPECT_EQ(run({counting("f32", {5})}, ranged, same).kind, Failure::SymbolRange);
}

TEST_F(ControlTest, SymbolsAreSolvedFromSums) {
  Outcome outcome = run(
      {counting("f32", {7})},
      [](tilewright::SymbolTable &symbols) { return DimsList{{canonical(symbols.input("n") * 2 + 1)}}; },
      [](GraphProgram &p, ValueRange) { return Values{p.g.dims({getAffineSymbolExpr(0, &p.context)})}; });
  ASSERT_FALSE(outcome.kind) << outcome.message;
  EXPECT_THAT(integers(outcome[0]), ElementsAre(3));
}

TEST_F(ControlTest, DerivedSymbols) {
  Outcome outcome = run(
      {counting("f32", {3}), counting("f32", {5})},
      [](tilewright::SymbolTable &symbols) { return DimsList{{symbols.input("n")}, {symbols.input("m")}}; },
      [](GraphProgram &p, ValueRange in) {
        AffineExpr n = dimsOf(in[0])[0], m = dimsOf(in[1])[0];
        return Values{p.g.dims({p.symbols.minimum(n, m), p.symbols.maximum(n, m)})};
      });
  ASSERT_FALSE(outcome.kind) << outcome.message;
  EXPECT_THAT(integers(outcome[0]), ElementsAre(3, 5));
}

TEST_F(ControlTest, Define) {
  auto broadcastBy = [](GraphProgram &p, ValueRange in) {
    Dims shape = p.g.valueOrDefine(in[0], "rows", 0, 3);
    shape.push_back(p.g.dim(2));
    return Values{p.g.broadcastTo(p.g.like(p.g.iota(shape, p.type("f32"), 0), 1), shape)};
  };
  Outcome outcome = run({ints("si64", {1}, {3})}, broadcastBy);
  ASSERT_FALSE(outcome.kind) << outcome.message;
  EXPECT_EQ(shapeOf(outcome[0]), (std::vector<int64_t>{3, 2}));
  for (int64_t value : {-1, 4}) {
    Outcome failed = run({ints("si64", {1}, {value})}, broadcastBy);
    EXPECT_EQ(failed.kind, Failure::SymbolRange);
    EXPECT_THAT(failed.message, HasSubstr("TW2904"));
  }
}

//===- If --------------------------------------------------------------------------------===//

/// Branches of different sizes: the result's dimension is a symbol that the op defines.
TEST_F(ControlTest, If) {
  for (bool condition : {true, false}) {
    Outcome outcome =
        run({ints("i1", {1}, {condition}), counting("f32", {4})}, [](GraphProgram &p, ValueRange in) {
          AffineExpr size = p.symbols.defined("size");
          auto symbol = int64_t(cast<AffineSymbolExpr>(size).getPosition());
          auto op =
              graph::IfOp::create(p.builder, p.g.loc, TypeRange{tensorType({size}, p.type("f32"))}, in[0],
                                  Ints({symbol}), mapOf(Ints({1}), &p.context), mapOf(Ints({4}), &p.context));
          p.builder.createBlock(&op.getThenRegion());
          graph::YieldOp::create(p.builder, p.g.loc, p.g.sliceAxis(in[1], 0, p.g.dim(3), p.g.dim(1)));
          p.builder.createBlock(&op.getElseRegion());
          graph::YieldOp::create(p.builder, p.g.loc, p.g.unary(UnaryKind::neg, in[1]));
          p.builder.setInsertionPointAfter(op);
          return Values{p.g.unary(UnaryKind::neg, op.getResult(0))};
        });
    ASSERT_FALSE(outcome.kind) << outcome.message;
    if (condition)
      EXPECT_THAT(numbers(outcome[0]), ElementsAre(-3));
    else
      EXPECT_THAT(numbers(outcome[0]), ElementsAre(0, 1, 2, 3));
  }
}

/// Sizes that cannot be broadcast are no error in a branch that is not taken.
TEST_F(ControlTest, BranchesNotTakenDoNotFail) {
  for (bool condition : {true, false}) {
    Outcome outcome = run(
        {ints("i1", {}, {condition}), counting("f32", {2}), counting("f32", {3})},
        [](tilewright::SymbolTable &symbols) {
          return DimsList{{}, {symbols.input("n")}, {symbols.input("m")}};
        },
        [](GraphProgram &p, ValueRange in) {
          auto empty = mapOf(Ints(), &p.context);
          auto op = graph::IfOp::create(p.builder, p.g.loc, TypeRange{tensorType({}, p.type("f32"))}, in[0],
                                        Ints(), empty, empty);
          p.builder.createBlock(&op.getThenRegion());
          graph::YieldOp::create(p.builder, p.g.loc, p.g.reduce(ReduceKind::sum, p.g.add(in[1], in[2]), {0}));
          p.builder.createBlock(&op.getElseRegion());
          graph::YieldOp::create(p.builder, p.g.loc, p.g.reduce(ReduceKind::sum, in[2], {0}));
          p.builder.setInsertionPointAfter(op);
          return Values{op.getResult(0)};
        });
    if (condition)
      EXPECT_EQ(outcome.kind, Failure::ShapeMismatch);
    else
      EXPECT_THAT(numbers(outcome[0]), ElementsAre(3));
  }
}

//===- Loop -------------------------------------------------------------------------------===//

/// carried = carried * 2 while below `limit`; the values before doubling are stacked.
Values doublingLoop(GraphProgram &p, Value trips, Value start, int64_t limit, AffineExpr iterations) {
  Type f32 = p.type("f32"), si64 = p.type("si64");
  auto scalarOf = [&](Type element) { return tensorType({}, element); };
  auto symbol = dyn_cast<AffineSymbolExpr>(iterations);
  auto op = graph::LoopOp::create(p.builder, p.g.loc, TypeRange{scalarOf(f32), tensorType({iterations}, f32)},
                                  trips, p.g.scalarInt(p.type("i1"), 1), ValueRange{start},
                                  symbol ? int64_t(symbol.getPosition()) : -1);
  Block *body = p.builder.createBlock(&op.getBody(), {}, {scalarOf(si64), scalarOf(f32)}, {p.g.loc, p.g.loc});
  Value before = body->getArgument(1), after = p.g.add(before, before);
  Value next = p.g.compare(CompareKind::lt, after, p.g.like(after, double(limit)));
  graph::YieldOp::create(p.builder, p.g.loc, ValueRange{next, after, before});
  p.builder.setInsertionPointAfter(op);
  return {op.getResult(0), op.getResult(1)};
}

TEST_F(ControlTest, LoopStopsByCountOrCondition) {
  struct Row {
    int64_t trips;
    double final;
    std::vector<double> stacked;
  };
  for (const Row &row :
       {Row{2, 4, {1, 2}}, Row{0, 1, {}}, Row{-1, 16, {1, 2, 4, 8}}, Row{100, 16, {1, 2, 4, 8}}}) {
    Outcome outcome =
        run({ints("si64", {}, {row.trips}), floats("f32", {}, {1})}, [](GraphProgram &p, ValueRange in) {
          return doublingLoop(p, in[0], in[1], 10, p.symbols.defined("iterations"));
        });
    ASSERT_FALSE(outcome.kind) << outcome.message;
    EXPECT_EQ(outcome[0].number(0), row.final);
    EXPECT_EQ(numbers(outcome[1]), row.stacked);
  }
}

TEST_F(ControlTest, LoopOfConstantTripCount) {
  for (int64_t announced : {3, 4}) {
    Outcome outcome = run({floats("f32", {}, {1})}, [&](GraphProgram &p, ValueRange in) {
      return doublingLoop(p, p.g.scalarInt(p.type("si64"), 3), in[0], 1000, p.g.dim(announced));
    });
    if (announced == 3)
      EXPECT_THAT(numbers(outcome[1]), ElementsAre(1, 2, 4));
    else
      EXPECT_EQ(outcome.kind, Failure::ShapeMismatch);
  }
}

/// A size defined in the body is new in each iteration.
TEST_F(ControlTest, DefineInLoop) {
  Outcome outcome = run({ints("si64", {}, {4})}, [](GraphProgram &p, ValueRange in) {
    Type si64 = p.type("si64");
    auto scalarType = tensorType({}, si64);
    auto op = graph::LoopOp::create(p.builder, p.g.loc, TypeRange{scalarType}, in[0],
                                    p.g.scalarInt(p.type("i1"), 1), ValueRange{p.g.scalarInt(si64, 0)}, -1);
    Block *body = p.builder.createBlock(&op.getBody(), {}, {scalarType, scalarType}, {p.g.loc, p.g.loc});
    Dims size = p.g.valueOrDefine(body->getArgument(0), "i", 0, 100);
    Value sum = p.g.reduce(ReduceKind::sum, p.g.iota(size, si64, 0), {0});
    graph::YieldOp::create(p.builder, p.g.loc,
                           ValueRange{p.g.scalarInt(p.type("i1"), 1), p.g.add(body->getArgument(1), sum)});
    p.builder.setInsertionPointAfter(op);
    return Values{op.getResult(0)};
  });
  ASSERT_FALSE(outcome.kind) << outcome.message;
  EXPECT_THAT(integers(outcome[0]), ElementsAre(0 + 0 + 1 + 3));
}

//===- Kernels ------------------------------------------------------------------------------===//

/// @double(x[s0, 2]) = x + x, with the number of rows appended.
kernel::FuncOp makeKernel(GraphProgram &p) {
  OpBuilder::InsertionGuard guard(p.builder);
  p.builder.setInsertionPointToEnd(p.module->getBody());
  auto function = kernel::FuncOp::create(p.builder, p.g.loc, p.builder.getStringAttr("double"), nullptr,
                                         nullptr, nullptr, nullptr);
  auto type = tensorType({getAffineSymbolExpr(0, &p.context), p.g.dim(2)}, p.type("f32"));
  Block *body = p.builder.createBlock(&function.getBody(), {}, {type}, {p.g.loc});
  Value sum = graph::BinaryOp::create(p.builder, p.g.loc, type, BinaryKind::add, body->getArgument(0),
                                      body->getArgument(0));
  kernel::YieldOp::create(p.builder, p.g.loc,
                          ValueRange{sum, p.g.dims({getAffineSymbolExpr(0, &p.context)})});
  return function;
}

TEST_F(ControlTest, Launch) {
  Outcome outcome = run(
      {counting("f32", {1}), counting("f32", {3, 2})},
      [](tilewright::SymbolTable &symbols) {
        AffineExpr m = symbols.input("m"), n = symbols.input("n");
        return DimsList{{m}, {n, constantDim(symbols.context(), 2)}};
      },
      [](GraphProgram &p, ValueRange in) {
        auto function = makeKernel(p);
        auto rows = tensorType(p.g.dims({1}), p.type("si64"));
        auto launch = kernel::LaunchOp::create(p.builder, p.g.loc, TypeRange{in[1].getType(), rows},
                                               function.getSymName(), ValueRange{in[1]},
                                               mapOf({dimsOf(in[1])[0]}, &p.context));
        return Values{launch.getResult(0), launch.getResult(1)};
      });
  ASSERT_FALSE(outcome.kind) << outcome.message;
  EXPECT_THAT(numbers(outcome[0]), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(integers(outcome[1]), ElementsAre(3));
}

TEST_F(ControlTest, KernelsRunAlone) {
  GraphProgram program(context);
  auto function = makeKernel(program);
  ASSERT_TRUE(program.finish({}));
  Evaluator evaluator(*program.module);
  Outcome bound = toOutcome(evaluator.run(function, {counting("f32", {2, 2})}));
  ASSERT_FALSE(bound.kind) << bound.message;
  EXPECT_THAT(integers(bound[1]), ElementsAre(2));
  EXPECT_EQ(toOutcome(evaluator.run(function, {counting("f32", {2, 2})}, {3})).kind, Failure::ShapeMismatch);
}

TEST_F(ControlTest, ObserverSeesEveryOpOfTheProgram) {
  GraphProgram program(context);
  Value x = program.input({2}, type("f32"));
  ASSERT_TRUE(program.finish({program.g.unary(UnaryKind::neg, program.g.add(x, x))}));
  Evaluator evaluator(*program.module);
  std::vector<std::string> seen;
  evaluator.observer = [&](Operation *op, llvm::ArrayRef<Tensor> operands, llvm::ArrayRef<Tensor> results) {
    EXPECT_EQ(operands.size(), op->getNumOperands());
    seen.push_back(op->getName().getStringRef().str() + " " + std::to_string(int(results[0].number(1))));
  };
  EXPECT_FALSE(toOutcome(evaluator.run(program.function, {counting("f32", {2})})).kind);
  EXPECT_THAT(seen, ElementsAre("graph.binary 2", "graph.unary -2"));
}

/// Failures carry the location of the op that failed.
TEST_F(ControlTest, FailuresHaveALocation) {
  GraphProgram program(context);
  Value x = program.input({2}, type("f32")), i = program.input({1}, type("si64"));
  GraphBuilder located(program.builder, NameLoc::get(StringAttr::get(&context, "Gather:node_7")),
                       program.symbols);
  ASSERT_TRUE(program.finish({located.gather(x, i, 0)}));
  Evaluator evaluator(*program.module);
  auto result = evaluator.run(program.function, {counting("f32", {2}), ints("si64", {1}, {5})});
  ASSERT_FALSE(bool(result));
  llvm::handleAllErrors(result.takeError(), [&](const interpreter::Failure &failure) {
    EXPECT_EQ(cast<NameLoc>(failure.location).getName(), "Gather:node_7");
  });
}

} // namespace
