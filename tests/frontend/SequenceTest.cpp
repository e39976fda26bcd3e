// Sequences and optional values that are resolved while a model is imported.
#include "tests/frontend/Operators.h"

using namespace tilewright;
using namespace tilewright::onnxwriter;
using testing::HasSubstr;
using tests::expectNear;
using tests::Numbers;

namespace {

struct Sequence : tests::Operators {
  /// x of [3, 2], and positions one to minus two.
  static GraphWriter graph() {
    GraphWriter graph;
    graph.input("x", ElementType::Float32, {3, 2});
    graph.initializer(tensor<int64_t>("one", {}, {1})).initializer(tensor<int64_t>("last", {}, {-1}));
    return graph;
  }
  interpreter::Tensor x() { return floats({3, 2}, {1, 2, 3, 4, 5, 6}); }
};

TEST_F(Sequence, SplitsPickedByPosition) {
  GraphWriter g = graph();
  g.node("SplitToSequence", {"x"}, {"rows"}, {attributeInt("keepdims", 0)});
  g.node("SequenceAt", {"rows", "last"}, {"y"})
      .node("SequenceLength", {"rows"}, {"n"})
      .output("y")
      .output("n");
  auto results = run(g, {x()});
  ASSERT_EQ(results.size(), 2u);
  expectNear(results[0], {2}, {5, 6});
  EXPECT_EQ(results[1].integer(0), 3);
  EXPECT_EQ(results[1].rank(), 0);
}

TEST_F(Sequence, PartsOfOneSizeAndOfGivenSizes) {
  GraphWriter g = graph();
  g.initializer(tensor<int64_t>("two", {}, {2})).initializer(tensor<int64_t>("sizes", {2}, {1, 2}));
  g.node("SplitToSequence", {"x", "two"}, {"a"}).node("SequenceAt", {"a", "one"}, {"y"});
  g.node("SplitToSequence", {"x", "sizes"}, {"b"})
      .node("SequenceAt", {"b", "one"}, {"z"})
      .output("y")
      .output("z");
  auto results = run(g, {x()});
  ASSERT_EQ(results.size(), 2u);
  expectNear(results[0], {1, 2}, {5, 6});
  expectNear(results[1], {2, 2}, {3, 4, 5, 6});
}

TEST_F(Sequence, GrownShrunkAndJoined) {
  GraphWriter g = graph();
  g.node("SequenceEmpty", {}, {"none"})
      .node("Neg", {"x"}, {"negative"})
      .node("Abs", {"negative"}, {"positive"});
  g.node("SequenceInsert", {"none", "x"}, {"s1"}).node("SequenceInsert", {"s1", "negative"}, {"s2"});
  g.node("SequenceInsert", {"s2", "positive", "one"}, {"s3"}).node("Identity", {"s3"}, {"same"});
  g.node("SequenceErase", {"same", "last"}, {"s4"}); // x, positive
  g.node("ConcatFromSequence", {"s4"}, {"y"}, {attributeInt("axis", 1)});
  g.node("SequenceInsert", {"s2", "positive", "last"}, {"s5"}).node("SequenceAt", {"s5", "last"}, {"end"});
  g.node("ConcatFromSequence", {"s3"}, {"z"}, {attributeInt("axis", -1), attributeInt("new_axis", 1)});
  g.output("y").output("z").output("end");
  auto results = run(g, {x()});
  ASSERT_EQ(results.size(), 3u);
  expectNear(results[2], {3, 2}, {-1, -2, -3, -4, -5, -6}); // inserted before the last, as in a Python list
  expectNear(results[0], {3, 4}, {1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6});
  expectNear(results[1], {3, 2, 3}, {1, 1, -1, 2, 2, -2, 3, 3, -3, 4, 4, -4, 5, 5, -5, 6, 6, -6});
}

TEST_F(Sequence, OutputsAreNumbered) {
  GraphWriter g = graph();
  g.node("SplitToSequence", {"x"}, {"rows"}).output("rows");
  auto results = run(g, {x()});
  ASSERT_EQ(results.size(), 3u);
  expectNear(results[2], {1, 2}, {5, 6});
  auto names = imported.main()->getAttrOfType<mlir::ArrayAttr>("graph.output_names");
  EXPECT_EQ(llvm::cast<mlir::StringAttr>(names[2]).getValue(), "rows.2");
}

TEST_F(Sequence, OptionalValuesSayWhetherTheyAreThere) {
  GraphWriter g = graph();
  g.node("Optional", {"x"}, {"some"}).node("OptionalHasElement", {"some"}, {"has"});
  g.node("Optional", {}, {"none"}).node("OptionalHasElement", {"none"}, {"hasNot"});
  g.node("OptionalGetElement", {"some"}, {"y"}).output("has").output("hasNot").output("y");
  auto results = run(g, {x()}, 18);
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].integer(0), 1);
  EXPECT_EQ(results[1].integer(0), 0);
  expectNear(results[2], {3, 2}, {1, 2, 3, 4, 5, 6});
}

TEST_F(Sequence, WhatCannotBeResolvedIsRefused) {
  auto refused = [&](GraphWriter g, const char *reason) { EXPECT_THAT(import(g, 18), HasSubstr(reason)); };
  auto rows = [] { return graph().node("SplitToSequence", {"x"}, {"rows"}); };
  refused(rows().node("Relu", {"rows"}, {"y"}).output("y"), "is a sequence");
  refused(rows().node("SequenceAt", {"x", "one"}, {"y"}).output("y"), "must be a sequence");
  refused(rows().node("SequenceInsert", {"rows", "rows"}, {"y"}).output("y"), "must be a tensor");
  refused(rows()
              .initializer(tensor<int64_t>("nine", {}, {9}))
              .node("SequenceAt", {"rows", "nine"}, {"y"})
              .output("y"),
          "position");
  refused(rows().input("i", ElementType::Int64, {}).node("SequenceAt", {"rows", "i"}, {"y"}).output("y"),
          "TW2006");
  refused(GraphWriter()
              .input("x", ElementType::Float32, {"N", 2})
              .node("SplitToSequence", {"x"}, {"s"})
              .node("ConcatFromSequence", {"s"}, {"y"})
              .output("y"),
          "--dim N");
  refused(GraphWriter()
              .input("x", ElementType::Float32, {1 << 30})
              .node("SplitToSequence", {"x"}, {"s"})
              .output("s"),
          "together");
  refused(graph().node("Optional", {}, {"none"}).node("OptionalGetElement", {"none"}, {"y"}).output("y"),
          "no element");
  refused(graph().node("SequenceEmpty", {}, {"s"}).node("SequenceErase", {"s"}, {"t"}).output("t"),
          "empty sequence");
  GraphWriter then("then"), otherwise("otherwise");
  then.node("SequenceConstruct", {"x", "x"}, {"s"}).output("s");
  otherwise.node("SequenceConstruct", {"x"}, {"t"}).output("t");
  refused(graph()
              .input("c", ElementType::Bool, {})
              .node("If", {"c"}, {"s"},
                    {attributeGraph("then_branch", then), attributeGraph("else_branch", otherwise)})
              .output("s"),
          "is a sequence");
}

/// h doubles in each iteration; `more` makes the next sequence, "grown", of "s" and what there is.
GraphWriter doubling(llvm::function_ref<void(GraphWriter &)> more) {
  GraphWriter body("body");
  body.input("i", ElementType::Int64, {}).input("c", ElementType::Bool, {});
  body.input("h", ElementType::Float32, {2}).input("s", ElementType::Float32, {2});
  body.node("Identity", {"c"}, {"go"}).node("Add", {"h", "h"}, {"twice"});
  more(body);
  body.output("go").output("twice").output("grown");
  return body;
}

void appendTwice(GraphWriter &body) {
  body.node("SequenceInsert", {"s", "twice"}, {"t"}).node("Neg", {"twice"}, {"less"});
  body.node("SequenceInsert", {"t", "less"}, {"grown"});
}

GraphWriter growing(llvm::function_ref<void(GraphWriter &)> more) {
  GraphWriter g("g");
  g.input("x", ElementType::Float32, {2}).input("trips", ElementType::Int64, {});
  g.initializer(tensor<int64_t>("last", {}, {-1}));
  g.node("SequenceEmpty", {}, {"none"}).node("SequenceConstruct", {"x"}, {"one"});
  g.node("Loop", {"trips", "", "x", "none"}, {"h", "list"}, {attributeGraph("body", doubling(more))});
  g.node("Loop", {"trips", "", "x", "one"}, {"k", "longer"}, {attributeGraph("body", doubling(more))});
  return g;
}

TEST_F(Sequence, GrowsInALoop) {
  GraphWriter g = growing(appendTwice);
  g.node("ConcatFromSequence", {"list"}, {"a"}, {attributeInt("axis", 1), attributeInt("new_axis", 1)});
  g.node("ConcatFromSequence", {"longer"}, {"b"}, {attributeInt("axis", -1)});
  g.node("SequenceLength", {"longer"}, {"n"}).node("SequenceAt", {"longer", "last"}, {"end"});
  g.output("a").output("b").output("n").output("end");
  auto results = run(g, {floats({2}, {1, 3}), ints({}, {2})});
  ASSERT_EQ(results.size(), 4u);
  expectNear(results[0], {2, 4}, {2, -2, 4, -4, 6, -6, 12, -12});
  expectNear(results[1], {10}, {1, 3, 2, 6, -2, -6, 4, 12, -4, -12});
  EXPECT_EQ(results[2].integer(0), 5);
  expectNear(results[3], {2}, {-4, -12});
}

TEST_F(Sequence, LoopsOnlyAppend) {
  auto refused = [&](llvm::function_ref<void(GraphWriter &)> more, const std::string &what) {
    EXPECT_THAT(import(growing(more).node("SequenceLength", {"list"}, {"n"}).output("n")), HasSubstr(what));
  };
  refused([](GraphWriter &body) { body.node("SequenceErase", {"s"}, {"grown"}); }, "when the program runs");
  refused([](GraphWriter &body) { body.node("SequenceConstruct", {"twice"}, {"grown"}); },
          "more with a carried sequence than append");
  refused([](GraphWriter &body) { body.node("Identity", {"twice"}, {"grown"}); }, "is no sequence");
  GraphWriter g = growing(appendTwice);
  g.node("Loop", {"trips", "", "x", "list"}, {"z", "both"}, {attributeGraph("body", doubling(appendTwice))});
  EXPECT_THAT(import(g.node("SequenceLength", {"both"}, {"n"}).output("n")), HasSubstr("two loops"));
}

TEST_F(Sequence, BranchesSeeSequencesAroundThem) {
  GraphWriter then("then"), otherwise("otherwise");
  then.node("SequenceAt", {"rows", "one"}, {"a"}).output("a");
  otherwise.node("SequenceAt", {"rows", "last"}, {"b"}).output("b");
  GraphWriter g = graph();
  g.input("c", ElementType::Bool, {}).node("SplitToSequence", {"x"}, {"rows"});
  g.node("If", {"c"}, {"y"}, {attributeGraph("then_branch", then), attributeGraph("else_branch", otherwise)});
  g.output("y");
  auto results =
      run(g, {x(), interpreter::Tensor::fromInts(mlir::IntegerType::get(context.get(), 1), {}, {0})});
  ASSERT_EQ(results.size(), 1u);
  expectNear(results[0], {1, 2}, {5, 6});
}

} // namespace
