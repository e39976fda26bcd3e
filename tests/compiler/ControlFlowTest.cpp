// Loops that end by their condition and collect what they compute, and loops whose state changes its shape:
// the memory that they take follows what ran. Branches that differ in rank, and branches that cannot run.
// Against right values, on one thread and on two.
#include "tests/compiler/Support.h"
#include "tests/support/OnnxWriter.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

using namespace tilewright;
using namespace tilewright::onnxwriter;
using namespace tilewright::tests;
using testing::HasSubstr;

namespace {

constexpr auto f32 = ElementType::Float32;
constexpr auto si64 = ElementType::Int64;

struct ControlFlow : ::testing::Test {
  CompiledProgram program{testedTargets().front()};

  void compile(const GraphWriter &graph, int64_t opset = 17) {
    ASSERT_EQ(program.compileModel(ModelWriter(graph).opset(opset).bytes()), "");
  }
  Tensor floats(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<double> values) {
    return Tensor::fromDoubles(mlir::Float32Type::get(program.original().getContext()), shape, values);
  }
  Tensor count(int64_t value) {
    auto type = mlir::IntegerType::get(program.original().getContext(), 64, mlir::IntegerType::Signed);
    return Tensor::fromInts(type, {}, {value});
  }
  Tensor flag(bool value) {
    return Tensor::fromInts(mlir::IntegerType::get(program.original().getContext(), 1), {}, {value});
  }
  void expect(llvm::ArrayRef<Tensor> inputs, llvm::ArrayRef<Tensor> want) {
    for (int threads : {1, 2}) {
      RunResult got = program.run(inputs, threads);
      ASSERT_EQ(got.problem, "");
      for (size_t i = 0; i < want.size(); ++i)
        EXPECT_EQ(compareTensors(got.outputs[i], want[i], Agreement::Rounding), "") << "output " << i;
    }
    RunResult interpreted = program.interpret(inputs);
    ASSERT_EQ(interpreted.problem, "");
    for (size_t i = 0; i < want.size(); ++i)
      EXPECT_EQ(compareTensors(interpreted.outputs[i], want[i], Agreement::Rounding), "") << "interpreted";
  }
};

using Loops = ControlFlow;
using Branches = ControlFlow;

/// A body of (iteration, condition, carried...) whose condition is carried on unless `condition` computes it.
GraphWriter body(llvm::ArrayRef<std::string> carried, ElementType type = f32) {
  GraphWriter graph("body");
  graph.input("i", si64, {}).input("c", ElementType::Bool, {});
  for (const std::string &name : carried)
    graph.inputOfType(name, tensorType(type));
  return graph;
}

/// sum += x while i < limit, every sum collected, with the trip count as an input.
GraphWriter collecting() {
  GraphWriter step = body({"a"});
  step.node("Less", {"i", "limit"}, {"more"}).node("Add", {"a", "x"}, {"sum"});
  step.node("Identity", {"sum"}, {"copy"}).output("more").output("sum").output("copy");
  GraphWriter graph;
  graph.input("x", f32, {"n"}).input("limit", si64, {}).input("trips", si64, {});
  graph.initializer(tensorRaw("go", ElementType::Bool, {}, std::string(1, '\1')));
  graph.node("Sub", {"x", "x"}, {"zero"});
  graph.node("Loop", {"trips", "go", "zero"}, {"last", "all"}, {attributeGraph("body", step)});
  return graph.output("last").output("all");
}

TEST_F(Loops, CollectAsOftenAsTheyRun) {
  compile(collecting());
  for (int64_t trips : {int64_t(3), int64_t(1) << 40, int64_t(INT64_MAX)})
    for (int64_t limit : {1, 500}) {
      int64_t ran = std::min(trips, limit + 1);
      std::vector<double> all;
      for (int64_t i = 1; i <= ran; ++i)
        all.insert(all.end(), {double(i), -2.0 * i, 0.5 * i});
      expect({floats({3}, {1, -2, 0.5}), count(limit), count(trips)},
             {floats({3}, {1.0 * ran, -2.0 * ran, 0.5 * ran}), floats({ran, 3}, all)});
    }
  expect({floats({3}, {1, 2, 3}), count(5), count(0)}, {floats({3}, {0, 0, 0}), floats({0, 3}, {})});
}

TEST_F(Loops, SayWhichOfThemNeedsTooMuch) {
  GraphWriter step = body({"a"});
  step.node("Identity", {"c"}, {"go"}).node("Identity", {"a"}, {"next"}).node("Neg", {"a"}, {"copy"});
  step.output("go").output("next").output("copy");
  GraphWriter graph;
  graph.input("x", f32, {"n"}).input("trips", si64, {});
  graph.node("Loop", {"trips", "", "x"}, {"last", "all"}, {attributeGraph("body", step)});
  compile(graph.output("last").output("all"));
  // Each iteration adds 4 MB, and the process may not have more than 4 GB.
  constexpr int64_t size = 1 << 20;
  rlimit usual{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &usual), 0);
  rlimit little{rlim_t(4) << 30, usual.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &little), 0);
  RunResult got = program.run({floats({size}, std::vector<double>(size, 1)), count(int64_t(1) << 45)}, 2);
  setrlimit(RLIMIT_AS, &usual);
  EXPECT_EQ(got.status, TW_IO);
  EXPECT_THAT(got.problem, HasSubstr("Loop 'node_last': "));
}

/// state = Concat(state, x), and the sum of it in each iteration.
GraphWriter growing() {
  GraphWriter step = body({"a"});
  step.node("Identity", {"c"}, {"go"}).node("Concat", {"a", "x"}, {"next"}, {attributeInt("axis", 0)});
  step.node("ReduceSum", {"next"}, {"sum"}, {attributeInt("keepdims", 0)});
  return step.output("go").output("next").output("sum");
}

TEST_F(Loops, StateMayGrow) {
  GraphWriter graph;
  graph.input("x", f32, {"n"}).input("start", f32, {"m"}).input("trips", si64, {});
  graph.node("Loop", {"trips", "", "start"}, {"y", "sums"}, {attributeGraph("body", growing())});
  compile(graph.output("y").output("sums"));
  Tensor x = floats({2}, {1, 2}), none = floats({0}, {});
  expect({x, none, count(0)}, {none, none});
  expect({x, none, count(3)}, {floats({6}, {1, 2, 1, 2, 1, 2}), floats({3}, {3, 6, 9})});
  expect({x, floats({1}, {5}), count(2)}, {floats({5}, {5, 1, 2, 1, 2}), floats({2}, {8, 11})});
}

TEST_F(Loops, StateMayGrowInALoopInABranch) {
  GraphWriter outer = body({"s"}), taken("taken"), other("other");
  outer.node("Identity", {"c"}, {"go"});
  outer.node("Loop", {"inner", "", "s"}, {"t", "sums"}, {attributeGraph("body", growing())});
  outer.output("go").output("t");
  taken.node("Loop", {"trips", "", "x"}, {"y"}, {attributeGraph("body", outer)}).output("y");
  other.node("Neg", {"x"}, {"z"}).output("z");
  GraphWriter graph;
  graph.input("x", f32, {"n"}).input("trips", si64, {}).input("inner", si64, {});
  graph.input("flag", ElementType::Bool, {});
  graph.node("If", {"flag"}, {"r"},
             {attributeGraph("then_branch", taken), attributeGraph("else_branch", other)});
  compile(graph.output("r"));
  Tensor x = floats({1}, {3});
  expect({x, count(2), count(3), flag(true)}, {floats({7}, {3, 3, 3, 3, 3, 3, 3})});
  expect({x, count(0), count(3), flag(true)}, {x});
  expect({x, count(2), count(3), flag(false)}, {floats({1}, {-3})});
}

/// Two values that change places have each other's size after every iteration.
TEST_F(Loops, StatesMaySwap) {
  GraphWriter step = body({"u", "v"});
  step.node("Identity", {"c"}, {"go"}).node("Identity", {"v"}, {"un"}).node("Identity", {"u"}, {"vn"});
  step.output("go").output("un").output("vn");
  GraphWriter graph;
  graph.input("x", f32, {"n"}).input("z", f32, {"m"}).input("trips", si64, {});
  graph.node("Loop", {"trips", "", "x", "z"}, {"y", "w"}, {attributeGraph("body", step)});
  compile(graph.output("y").output("w"));
  Tensor x = floats({1}, {3}), z = floats({2}, {4, 5});
  expect({x, z, count(3)}, {z, x});
  expect({x, z, count(2)}, {x, z});
}

/// Slices whose shape only the run knows have one shape in all iterations, or the run is refused.
TEST_F(Loops, SlicesMustBeAlike) {
  GraphWriter step = body({});
  step.node("Identity", {"c"}, {"go"}).node("Cast", {"i"}, {"f"}, {attributeInt("to", 1)});
  step.node("Greater", {"x", "f"}, {"large"}).node("NonZero", {"large"}, {"at"});
  step.output("go").output("at");
  GraphWriter graph;
  graph.input("x", f32, {"n"}).input("trips", si64, {});
  graph.node("Loop", {"trips", ""}, {"all"}, {attributeGraph("body", step)});
  compile(graph.output("all"));
  RunResult got = program.run({floats({3}, {9, -1, 9}), count(2)}, 2);
  ASSERT_EQ(got.problem, "");
  EXPECT_EQ(got.outputs[0].shape, (interpreter::Shape{2, 1, 2}));
  got = program.run({floats({3}, {9, -1, 1}), count(2)}, 2);
  EXPECT_EQ(got.status, TW_INVALID);
  EXPECT_THAT(got.problem, HasSubstr("Loop 'node_all': a dimension is 1 where 2 is needed"));
}

//===- Branches ---------------------------------------------------------------------===//

GraphWriter branch(const std::string &op, const Names &inputs, const std::string &output,
                   const Messages &attributes = {}) {
  return GraphWriter(output + "_graph").node(op, inputs, {output}, attributes).output(output);
}

/// choice = flag ? onTrue : onFalse
GraphWriter choosing(const GraphWriter &onTrue, const GraphWriter &onFalse, const Shape &shape) {
  GraphWriter graph;
  graph.input("x", f32, shape).input("flag", ElementType::Bool, {});
  graph.initializer(tensor<int64_t>("first", {1}, {0})).initializer(tensor<int64_t>("flat", {1}, {-1}));
  graph.node("If", {"flag"}, {"choice"},
             {attributeGraph("then_branch", onTrue), attributeGraph("else_branch", onFalse)});
  return graph;
}

/// What follows is done for either rank, until there is one again.
TEST_F(Branches, MayDifferInRank) {
  GraphWriter graph = choosing(branch("Squeeze", {"x", "first"}, "t"), branch("Neg", {"x"}, "e"), {1, 3});
  graph.node("Relu", {"choice"}, {"r"}).node("MatMul", {"r", "w"}, {"p"}).node("Add", {"p", "r"}, {"q"});
  graph.initializer(tensor<float>("w", {3, 3}, {1, 0, 0, 0, 2, 0, 0, 0, 3}));
  compile(graph.node("Reshape", {"q", "flat"}, {"y"}).output("y"));
  Tensor x = floats({1, 3}, {1, -2, 3});
  expect({x, flag(true)}, {floats({3}, {2, 0, 12})});
  expect({x, flag(false)}, {floats({3}, {0, 6, 0})});
}

/// Two conditions that together decide a rank are refused, and the node is named.
TEST_F(Branches, OfDifferentRankMayNotMeetOthers) {
  GraphWriter graph = choosing(branch("Squeeze", {"x", "first"}, "t"), branch("Neg", {"x"}, "e"), {1, "n"});
  graph.input("other", ElementType::Bool, {});
  graph.node("If", {"other"}, {"second"},
             {attributeGraph("then_branch", branch("Identity", {"x"}, "i")),
              attributeGraph("else_branch", branch("Reshape", {"choice", "flat"}, "r"))});
  graph.node("Add", {"choice", "second"}, {"sum"}).node("Reshape", {"sum", "flat"}, {"y"}).output("y");
  std::string problem = program.compileModel(ModelWriter(graph).opset(17).bytes());
  EXPECT_THAT(problem, HasSubstr("TW2007"));
}

/// The declared rank of an output decides; without one the model is refused, and the If is named.
TEST_F(Branches, OfDifferentRankAreNoOutputs) {
  GraphWriter graph = choosing(branch("Squeeze", {"x", "first"}, "t"), branch("Neg", {"x"}, "e"), {1, 3});
  GraphWriter declared = graph;
  compile(declared.output("choice", f32, {"p", "q"}));
  Tensor x = floats({1, 3}, {1, -2, 3});
  expect({x, flag(false)}, {floats({1, 3}, {-1, 2, -3})});
  RunResult got = program.run({x, flag(true)}, 2);
  EXPECT_EQ(got.status, TW_INVALID);
  EXPECT_THAT(got.problem, HasSubstr("If 'node_choice'"));
  CompiledProgram other{testedTargets().front()};
  EXPECT_THAT(other.compileModel(ModelWriter(graph.output("choice")).opset(17).bytes()), HasSubstr("TW2007"));
}

/// What cannot work is an error where it would run, and names the node in the branch.
TEST_F(Branches, ThatCannotRunAreErrorsWhereTheyAreTaken) {
  GraphWriter graph = choosing(branch("MatMul", {"x", "x"}, "product"), branch("Neg", {"x"}, "e"), {2, 3});
  compile(graph.output("choice"));
  Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  expect({x, flag(false)}, {floats({2, 3}, {-1, -2, -3, -4, -5, -6})});
  RunResult got = program.run({x, flag(true)}, 1);
  EXPECT_EQ(got.status, TW_INVALID);
  EXPECT_THAT(got.problem, HasSubstr("MatMul 'node_product'"));
}

TEST_F(Branches, AreCheckedWhereTheyRun) {
  GraphWriter graph = choosing(branch("Squeeze", {"x", "first"}, "t"), branch("Neg", {"x"}, "e"), {"n", 3});
  compile(graph.node("Reshape", {"choice", "flat"}, {"y"}).output("y"));
  Tensor one = floats({1, 3}, {1, 2, 3}), two = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  expect({one, flag(true)}, {floats({3}, {1, 2, 3})});
  expect({two, flag(false)}, {floats({6}, {-1, -2, -3, -4, -5, -6})});
  RunResult got = program.run({two, flag(true)}, 2);
  EXPECT_EQ(got.status, TW_INVALID);
  EXPECT_THAT(got.problem, HasSubstr("Squeeze 'node_t'"));
}

TEST_F(Branches, AreAllWrongTogether) {
  GraphWriter graph =
      choosing(branch("MatMul", {"x", "x"}, "one"), branch("MatMul", {"x", "x"}, "two"), {2, 3});
  EXPECT_THAT(program.compileModel(ModelWriter(graph.output("choice")).opset(17).bytes()),
              HasSubstr("TW2005"));
}

//===- Names ------------------------------------------------------------------------===//

/// Two inputs give one name to sizes that no operator compares; where one does, the name holds.
TEST_F(ControlFlow, OneNameMayMeanTwoSizes) {
  GraphWriter graph;
  graph.input("x", f32, {"batch", "width"}).input("d", f32, {"batch", "width"});
  graph.node("ReduceSum", {"d"}, {"s"}, {attributeInt("keepdims", 1)}).node("Add", {"x", "s"}, {"y"});
  compile(graph.output("y"));
  expect({floats({1, 3}, {1, 2, 3}), floats({1, 2}, {4, 5})}, {floats({1, 3}, {10, 11, 12})});
  GraphWriter sum;
  sum.input("x", f32, {"batch", "width"}).input("d", f32, {"batch", "width"});
  CompiledProgram other{testedTargets().front()};
  EXPECT_EQ(other.compileModel(ModelWriter(sum.node("Add", {"x", "d"}, {"y"}).output("y")).opset(17).bytes()),
            "");
  RunResult got = other.run({floats({1, 3}, {1, 2, 3}), floats({1, 2}, {4, 5})}, 1);
  EXPECT_THAT(got.problem, HasSubstr("TW4205"));
}

} // namespace
