/// What users meet when models, inputs, files or artifacts are bad: the exit code, one error with its code,
/// and the node or tensor it is about.
#include "Fixture.h"

#include <chrono>
#include <cmath>
#include <filesystem>

using namespace tilewright;
using namespace tilewright::onnxwriter;
using namespace tilewright::hostile;
using tools::test::tensorOf;

namespace {

Tensor floats(std::vector<int64_t> shape, std::vector<float> values) {
  return tensorOf<float>(TW_F32, shape, values);
}
Tensor ints(std::vector<int64_t> shape, std::vector<int64_t> values) {
  return tensorOf<int64_t>(TW_I64, shape, values);
}

GraphWriter perceptron() {
  return GraphWriter("g")
      .input("x", ElementType::Float32, {"N", 4})
      .initializer(tensorFloatData("w", ElementType::Float32, {4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}))
      .node("MatMul", {"x", "w"}, {"h"})
      .node("Relu", {"h"}, {"y"})
      .output("y");
}

} // namespace

//===--- Models ------------------------------------------------------------------------===//

TEST_F(Hostile, ModelsThatAreNone) {
  std::string whole = ModelWriter(perceptron()).opset(17).bytes();
  expectError(driver("check " + write("half.onnx", whole.substr(0, whole.size() / 2))), 4, {"error TW1"});
  expectError(driver("check " + write("empty.onnx", "")), 4, {"error TW1"});
  expectError(driver("check " + write("text.onnx", "this is no model\n")), 4, {"error TW1"});
  expectError(driver("check " + path("absent.onnx")), 5, {"absent.onnx"});
  expectError(driver("check " + path("")), 5, {"error TW"});
}

TEST_F(Hostile, GraphsThatMakeNoSense) {
  auto graph = [] { return GraphWriter("g").input("x", ElementType::Float32, {2, 3}); };
  auto check = [&](const GraphWriter &broken, int64_t opset = 17) {
    return driver("check " + model(broken, opset));
  };
  expectError(check(graph().node("Add", {"x", "b"}, {"a"}).node("Neg", {"a"}, {"b"}).output("a")), 4,
              {"error TW1", "node_a"});
  expectError(check(graph().node("Neg", {"x"}, {"y"}).node("Abs", {"x"}, {"y"}).output("y")), 4, {"'y'"});
  expectError(check(graph().node("Neg", {"nothing"}, {"y"}).output("y")), 4, {"'nothing'", "node_y"});
  expectError(check(graph().node("Frobnicate", {"x"}, {"y"}).output("y")), 3,
              {"TW1201", "Frobnicate", "node_y"});
  expectError(check(graph().node("Neg", {"x"}, {"y"}).output("y"), 99), 3, {"opset 99"});
  expectError(
      check(
          graph().initializer(tensorInt64Data("i", {2}, {1, 2})).node("Add", {"x", "i"}, {"y"}).output("y")),
      4, {"TW2003", "node_y"});
  expectError(check(graph()
                        .initializer(tensorFloatData("w", ElementType::Float32, {4}, {1, 2, 3, 4}))
                        .node("Add", {"x", "w"}, {"y"})
                        .output("y")),
              4, {"TW2002", "node_y"});
  expectError(check(graph().node("Softmax", {"x"}, {"y"}, {attributeString("axis", "one")}).output("y")), 4,
              {"TW1205", "node_y"});
  expectError(check(graph().node("Softmax", {"x"}, {"y"}, {attributeInt("axis", 9)}).output("y")), 4,
              {"TW2001", "node_y"});
}

TEST_F(Hostile, SizesThatNoMachineHas) {
  auto weights = [&](std::vector<int64_t> dims) {
    return driver("check " + model(GraphWriter("g")
                                       .input("x", ElementType::Float32, {2})
                                       .initializer(tensorRaw("w", ElementType::Float32, dims, "12345678"))
                                       .node("Add", {"x", "w"}, {"y"})
                                       .output("y")));
  };
  expectError(weights({int64_t(1) << 40, int64_t(1) << 40}), 4, {"error TW1", "tensor: w"});
  expectError(weights({int64_t(4) << 30}), 4, {"error TW1", "tensor: w"});
  expectError(weights({-2}), 4, {"error TW1", "tensor: w"});
  auto filled = [&](std::vector<int64_t> shape) {
    return run(GraphWriter("g")
                   .input("s", ElementType::Int64, {2})
                   .node("ConstantOfShape", {"s"}, {"y"})
                   .output("y"),
               {{"s", ints({2}, shape)}});
  };
  expectError(filled({int64_t(1) << 40, int64_t(1) << 40}), 5, {"error TW4405", "node_y"});
  expectError(filled({int64_t(1) << 44, 1}), 5, {"error TW"});
  expectError(filled({-1, 2}), 4, {"error TW", "node_y"});
  GraphWriter huge("g");
  huge.input("x", ElementType::Float32, {int64_t(1) << 40, int64_t(1) << 40})
      .node("Neg", {"x"}, {"y"})
      .output("y");
  std::string file = model(huge);
  expectError(driver("run " + file), 4, {"error TW2008", "'x'"});
  expectError(driver("check " + file), 4, {"error TW2008", "'x'"});
}

TEST_F(Hostile, GroupsAndHeadsThatDivideNothing) {
  auto attention = [&](int64_t heads, int64_t shared) {
    return driver("check " + model(GraphWriter("g")
                                       .input("q", ElementType::Float32, {2, heads, 4, 8})
                                       .input("k", ElementType::Float32, {2, shared, 6, 8})
                                       .input("v", ElementType::Float32, {2, shared, 6, 8})
                                       .node("Attention", {"q", "k", "v"}, {"y"})
                                       .output("y"),
                                   23));
  };
  expectError(attention(0, 3), 4, {"TW2005", "node_y"});
  expectError(attention(4, 0), 4, {"TW2005", "node_y"});
  EXPECT_EQ(attention(0, 0).exit, 0);
  EXPECT_EQ(attention(6, 3).exit, 0);
  // Of sizes that only the run knows.
  auto transposed = [&](int64_t channels) {
    return run(GraphWriter("g")
                   .input("x", ElementType::Float32, {1, "c", 5})
                   .input("w", ElementType::Float32, {"c", 1, 3})
                   .node("ConvTranspose", {"x", "w"}, {"y"}, {attributeInt("group", 2)})
                   .output("y"),
               {{"x", floats({1, channels, 5}, std::vector<float>(size_t(channels) * 5, 1))},
                {"w", floats({channels, 1, 3}, std::vector<float>(size_t(channels) * 3, 1))}});
  };
  ASSERT_EQ(transposed(4).exit, 0);
  const Tensor sums = output("y");
  EXPECT_EQ(sums.shape, (std::vector<int64_t>{1, 2, 7}));
  EXPECT_EQ(tools::test::valuesOf<float>(sums),
            (std::vector<float>{2, 4, 6, 6, 6, 4, 2, 2, 4, 6, 6, 6, 4, 2})); // taps of two channels
  expectError(transposed(3), 4, {"error TW44", "node_y"});
}

TEST_F(Hostile, WindowsAndStridesWithoutBound) {
  const std::string inputs = given({{"x", floats({1, 1, 4}, {1, 2, 3, 6})}});
  auto ran = [&](const GraphWriter &graph) {
    return driver("run " + model(graph) + inputs + " --outputs " + path("out.npz"), "timeout 60 ");
  };
  auto pooled = [&](const char *op, int64_t kernel, int64_t stride) -> std::vector<float> {
    const Ran one =
        ran(GraphWriter("g")
                .input("x", ElementType::Float32, {1, 1, "n"})
                .node(op, {"x"}, {"y"},
                      {attributeInts("kernel_shape", {kernel}), attributeInts("strides", {stride}),
                       attributeString("auto_pad", "SAME_UPPER")})
                .output("y"));
    EXPECT_EQ(one.exit, 0) << op << ": " << one.err;
    if (one.exit)
      return {};
    return tools::test::valuesOf<float>(output("y"));
  };
  for (int64_t kernel : {int64_t(1) << 31, int64_t(1) << 40}) {
    EXPECT_EQ(pooled("MaxPool", kernel, 1), std::vector<float>(4, 6)) << kernel;
    EXPECT_EQ(pooled("AveragePool", kernel, 1), std::vector<float>(4, 3)) << kernel;
  }
  for (int64_t stride : {int64_t(1) << 31, int64_t(1) << 62, INT64_MAX})
    EXPECT_EQ(pooled("MaxPool", 3, stride).size(), 1u) << stride;
  for (int64_t stride : {int64_t(1) << 40, INT64_MAX}) {
    GraphWriter graph("g");
    graph.input("x", ElementType::Float32, {1, 1, "n"})
        .initializer(tensorFloatData("w", ElementType::Float32, {2, 1, 3}, {1, 1, 1, 2, 2, 2}))
        .node("Conv", {"x", "w"}, {"y"}, {attributeInts("strides", {stride})})
        .output("y");
    ASSERT_EQ(ran(graph).exit, 0) << stride;
    EXPECT_EQ(output("y").shape, (std::vector<int64_t>{1, 2, 1}));
  }
  // Such a step lets sizes of the kernel leave 63 bits: refused, with a code.
  Ran stft = driver("compile " +
                    model(GraphWriter("g")
                              .input("x", ElementType::Float32, {1, "n", 1})
                              .initializer(tensorInt64Data("step", {}, {int64_t(1) << 62}))
                              .initializer(tensorInt64Data("length", {}, {1 << 16}))
                              .node("STFT", {"x", "step", "", "length"}, {"y"})
                              .output("y")) +
                    " -o " + path("m.so"));
  EXPECT_TRUE(stft.exit == 0 || stft.exit == 3) << stft.exit << stft.err;
}

TEST_F(Hostile, ExternalDataStaysInItsFolder) {
  write("secret.bin", "12345678");
  for (const char *place : {"../secret.bin", "/etc/passwd", "below/../../secret.bin", "absent.bin"}) {
    GraphWriter graph("g");
    graph.input("x", ElementType::Float32, {2})
        .initializer(tensorExternal("w", ElementType::Float32, {2}, {{"location", place}}))
        .node("Add", {"x", "w"}, {"y"})
        .output("y");
    Ran ran = driver("check " + write("model/model.onnx", ModelWriter(graph).opset(17).bytes()));
    EXPECT_TRUE(ran.exit == 4 || ran.exit == 5) << place << ": " << ran.err;
    EXPECT_NE(ran.err.find("tensor: w"), std::string::npos) << ran.err;
  }
}

TEST_F(Hostile, BombsEndSoon) {
  using Clock = std::chrono::steady_clock;
  auto start = Clock::now();
  ModelWriter doubling(
      GraphWriter("g").input("x", ElementType::Float32, {2}).node("f60", {"x"}, {"y"}, {}, "l").output("y"));
  doubling.opset(17).opset(1, "l");
  for (int i = 1; i <= 60; ++i) { // each calls the one below twice
    FunctionWriter function("l", "f" + std::to_string(i), {"a"}, {"c"});
    std::string below = i == 1 ? "Neg" : "f" + std::to_string(i - 1), domain = i == 1 ? "" : "l";
    function.opset(17)
        .opset(1, "l")
        .node(below, {"a"}, {"b"}, {}, domain)
        .node(below, {"b"}, {"c"}, {}, domain);
    doubling.function(function);
  }
  expectError(driver("check " + write("doubling.onnx", doubling.bytes()), "timeout 60 "), 4, {"error TW1"});

  ModelWriter recursive(
      GraphWriter("g").input("x", ElementType::Float32, {2}).node("f", {"x"}, {"y"}, {}, "l").output("y"));
  recursive.opset(17).opset(1, "l").function(
      FunctionWriter("l", "f", {"a"}, {"b"}).opset(1, "l").node("f", {"a"}, {"b"}, {}, "l"));
  expectError(driver("check " + write("recursive.onnx", recursive.bytes()), "timeout 60 "), 4, {"error TW1"});

  std::string inner = GraphWriter("deepest").node("Neg", {"x"}, {"r"}).output("r");
  for (int i = 0; i < 3000; ++i)
    inner = GraphWriter("d").node("If", {"c"}, {"r"}, {attributeGraph("then_branch", inner)}).output("r");
  expectError(driver("check " + model(GraphWriter("g")
                                          .input("x", ElementType::Float32, {2})
                                          .input("c", ElementType::Bool, {})
                                          .node("If", {"c"}, {"y"}, {attributeGraph("then_branch", inner)})
                                          .output("y")),
                     "timeout 60 "),
              4, {"error TW1"});

  std::string endless(1 << 20, 'n');
  expectError(driver("check " + model(GraphWriter("g")
                                          .input("x", ElementType::Float32, {2})
                                          .node(endless, {"x"}, {endless})
                                          .output(endless))),
              3, {"TW1201"});
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(120));
}

//===--- Runs --------------------------------------------------------------------------===//

TEST_F(Hostile, InputsThatDoNotFit) {
  std::string file = model(perceptron());
  Tensor good = floats({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  auto with = [&](const Inputs &inputs) {
    return driver("run " + file + given(inputs) + " --outputs " + path("out.npz"));
  };
  EXPECT_EQ(with({{"x", good}}).exit, 0);
  expectError(with({{"z", good}}), 4, {"error TW53", "'x'"});
  expectError(with({{"x", good}, {"more", good}}), 4, {"error TW53", "'more'"});
  expectError(with({{"x", floats({8}, {1, 2, 3, 4, 5, 6, 7, 8})}}), 4, {"error TW", "'x'"});
  expectError(with({{"x", floats({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8})}}), 4, {"error TW", "'x'"});
  expectError(with({{"x", ints({1, 4}, {1, 2, 3, 4})}}), 4, {"error TW", "'x'"});
  expectError(driver("run " + file + " --inputs " + write("bad.npz", "PK no archive")), 4, {"error TW52"});
  expectError(driver("run " + file + " --inputs " + path("absent.npz")), 5, {"absent.npz"});
}

TEST_F(Hostile, IndicesOutOfRange) {
  GraphWriter gather("g");
  gather.input("x", ElementType::Float32, {4})
      .input("i", ElementType::Int64, {"n"})
      .node("Gather", {"x", "i"}, {"y"})
      .output("y");
  expectError(run(gather, {{"x", floats({4}, {1, 2, 3, 4})}, {"i", ints({2}, {0, 4})}}), 4,
              {"error TW", "node_y", "index 4", "tensor: i"});
  expectError(run(gather, {{"x", floats({4}, {1, 2, 3, 4})}, {"i", ints({1}, {INT64_MIN})}}), 4,
              {"error TW", "node_y"});
  EXPECT_EQ(run(gather, {{"x", floats({4}, {1, 2, 3, 4})}, {"i", ints({2}, {-4, 3})}}).exit, 0);

  GraphWriter scatter("g");
  scatter.input("x", ElementType::Float32, {4})
      .input("i", ElementType::Int64, {1, 1})
      .input("u", ElementType::Float32, {1});
  scatter.node("ScatterND", {"x", "i", "u"}, {"y"}).output("y");
  expectError(
      run(scatter, {{"x", floats({4}, {1, 2, 3, 4})}, {"i", ints({1, 1}, {7})}, {"u", floats({1}, {0})}}), 4,
      {"error TW", "node_y", "index 7", "tensor: i"});
}

TEST_F(Hostile, ValuesThatAreNoSizes) {
  GraphWriter slice("g");
  slice.input("x", ElementType::Float32, {4}).input("s", ElementType::Int64, {1});
  slice.initializer(tensorInt64Data("zero", {1}, {0})).initializer(tensorInt64Data("end", {1}, {4}));
  slice.node("Slice", {"x", "zero", "end", "zero", "s"}, {"y"}).output("y");
  expectError(run(slice, {{"x", floats({4}, {1, 2, 3, 4})}, {"s", ints({1}, {0})}}), 4,
              {"error TW", "node_y"});

  GraphWriter reshape("g");
  reshape.input("x", ElementType::Float32, {"n"})
      .input("s", ElementType::Int64, {2})
      .node("Reshape", {"x", "s"}, {"y"})
      .output("y");
  Tensor six = floats({6}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(run(reshape, {{"x", six}, {"s", ints({2}, {2, -1})}}).exit, 0);
  expectError(run(reshape, {{"x", six}, {"s", ints({2}, {4, 2})}}), 4, {"error TW", "node_y", "tensor: s"});
  expectError(run(reshape, {{"x", six}, {"s", ints({2}, {4, -1})}}), 4, {"error TW", "node_y"});
  expectError(run(reshape, {{"x", six}, {"s", ints({2}, {-3, -2})}}), 4, {"error TW", "node_y"});

  GraphWriter divide("g");
  divide.input("a", ElementType::Int64, {2})
      .input("b", ElementType::Int64, {2})
      .node("Div", {"a", "b"}, {"y"})
      .output("y");
  Ran divided = run(divide, {{"a", ints({2}, {1, INT64_MIN})}, {"b", ints({2}, {0, -1})}});
  EXPECT_TRUE(divided.exit == 0 || divided.exit == 4) << divided.err;
}

TEST_F(Hostile, ScalarsAndVectorsWhoseLengthTheRunDecides) {
  GraphWriter topK("g");
  topK.input("x", ElementType::Float32, {"n"}).input("k", ElementType::Int64, {"m"});
  topK.node("TopK", {"x", "k"}, {"y", "i"}).output("y");
  Tensor four = floats({4}, {1, 4, 2, 3});
  ASSERT_EQ(run(topK, {{"x", four}, {"k", ints({1}, {2})}}).exit, 0);
  EXPECT_EQ(output("y").shape, (std::vector<int64_t>{2}));
  expectError(run(topK, {{"x", four}, {"k", ints({2}, {2, 2})}}), 4, {"error TW44", "node_y"});

  GraphWriter split("g");
  split.input("x", ElementType::Float32, {"n"}).input("s", ElementType::Int64, {"m"});
  split.node("Split", {"x", "s"}, {"y", "z"}).output("y").output("z");
  ASSERT_EQ(run(split, {{"x", four}, {"s", ints({2}, {1, 3})}}).exit, 0);
  EXPECT_EQ(output("z").shape, (std::vector<int64_t>{3}));
  expectError(run(split, {{"x", four}, {"s", ints({1}, {4})}}), 4, {"error TW44", "node_y"});

  GraphWriter sum("g");
  sum.input("x", ElementType::Float32, {"n", "m"}).input("a", ElementType::Int64, {"k"});
  sum.node("ReduceSum", {"x", "a"}, {"y"}).output("y");
  Tensor square = floats({2, 2}, {1, 2, 3, 4});
  for (auto [axes, shape] : {std::pair(ints({1}, {-1}), std::vector<int64_t>{2, 1}),
                             std::pair(ints({0}, {}), std::vector<int64_t>{1, 1})}) {
    ASSERT_EQ(run(sum, {{"x", square}, {"a", axes}}).exit, 0);
    EXPECT_EQ(output("y").shape, shape);
  }
  expectError(run(sum, {{"x", square}, {"a", ints({1}, {2})}}), 4, {"error TW44", "node_y"});
}

TEST_F(Hostile, DiagonalsBeyondAnyMatrix) {
  GraphWriter graph("g");
  graph.input("x", ElementType::Float32, {"n", "n"}).input("k", ElementType::Int64, {});
  graph.node("Trilu", {"x", "k"}, {"y"}).output("y");
  Tensor square = floats({2, 2}, {1, 2, 3, 4});
  for (auto [k, want] : {std::pair(INT64_MAX, 0.f), std::pair(INT64_MIN, 4.f)}) {
    ASSERT_EQ(run(graph, {{"x", square}, {"k", ints({}, {k})}}).exit, 0);
    float last;
    memcpy(&last, output("y").bytes.view.data() + 3 * sizeof last, sizeof last);
    EXPECT_EQ(last, want);
  }
}

TEST_F(Hostile, NamesOfSeveralSizesAreWarnedOf) {
  GraphWriter graph("g");
  graph.input("a", ElementType::Float32, {"n"}).input("b", ElementType::Float32, {"n"});
  graph.node("Relu", {"a"}, {"y"}).node("Relu", {"b"}, {"z"}).output("y").output("z");
  Ran ran = run(graph, {{"a", floats({1}, {1})}, {"b", floats({2}, {1, 2})}});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_NE(ran.err.find("warning TW1214"), std::string::npos) << ran.err;
  Ran checked = driver("check --json " + path("model.onnx"));
  EXPECT_EQ(checked.exit, 0);
  EXPECT_NE(checked.out.find("\"warning\""), std::string::npos) << checked.out;

  GraphWriter sum("g");
  sum.input("a", ElementType::Float32, {"n"}).input("b", ElementType::Float32, {"n"});
  sum.node("Add", {"a", "b"}, {"y"}).output("y");
  EXPECT_EQ(run(sum, {{"a", floats({1}, {1})}, {"b", floats({1}, {1})}}).err.find("warning"),
            std::string::npos);
}

TEST_F(Hostile, ConstantsThatCannotBeComputedNameTheirNode) {
  GraphWriter graph("g");
  graph.input("x", ElementType::Int64, {"n"});
  graph.initializer(tensorInt64Data("a", {2}, {4, 5})).initializer(tensorInt64Data("b", {2}, {0, 1}));
  graph.node("Div", {"a", "b"}, {"q"}).node("Add", {"x", "q"}, {"y"}).output("y");
  expectError(run(graph, {{"x", ints({2}, {1, 2})}}), 4, {"error TW3401", "node:   node_q", "op:     Div"});
}

TEST_F(Hostile, SizesThatShouldBeEqual) {
  GraphWriter add("g");
  add.input("a", ElementType::Float32, {"n"})
      .input("b", ElementType::Float32, {"m"})
      .node("Add", {"a", "b"}, {"y"})
      .output("y");
  auto vector = [](int64_t size) { return floats({size}, std::vector<float>(size_t(size), 1)); };
  EXPECT_EQ(run(add, {{"a", vector(3)}, {"b", vector(1)}}).exit, 0);
  expectError(run(add, {{"a", vector(3)}, {"b", vector(2)}}), 4, {"error TW", "node_y", "tensor: b"});

  GraphWriter fixed("g"); // against a size that is known
  fixed.input("a", ElementType::Float32, {"n"})
      .input("b", ElementType::Float32, {8})
      .node("Add", {"a", "b"}, {"y"})
      .output("y");
  EXPECT_EQ(run(fixed, {{"a", vector(1)}, {"b", vector(8)}}).exit, 0);
  expectError(run(fixed, {{"a", vector(3)}, {"b", vector(8)}}), 4, {"error TW", "node_y", "tensor: a"});
}

TEST_F(Hostile, BranchesAndBodiesCheckTheirSizesWhenTheyRun) {
  GraphWriter sum("sum"), plain("plain");
  sum.node("Add", {"a", "b"}, {"s"}).node("ReduceSum", {"s"}, {"t"}).output("t");
  plain.node("ReduceSum", {"a"}, {"p"}).output("p");
  GraphWriter graph("g");
  graph.input("a", ElementType::Float32, {"n"})
      .input("b", ElementType::Float32, {"m"})
      .input("c", ElementType::Bool, {});
  graph.node("If", {"c"}, {"y"}, {attributeGraph("then_branch", sum), attributeGraph("else_branch", plain)})
      .output("y");
  auto choose = [&](uint8_t which) {
    return run(graph, {{"a", floats({3}, {1, 2, 3})},
                       {"b", floats({2}, {1, 1})},
                       {"c", tensorOf<uint8_t>(TW_BOOL, {}, {which})}});
  };
  Ran untaken = choose(0);
  EXPECT_EQ(untaken.exit, 0) << "what does not run need not fit: " << untaken.err;
  expectError(choose(1), 4, {"error TW", "node_s"});

  GraphWriter body("body");
  body.input("i", ElementType::Int64, {})
      .input("going", ElementType::Bool, {})
      .input("state", ElementType::Float32, {1});
  body.node("Identity", {"going"}, {"more"})
      .node("Mul", {"a", "b"}, {"product"})
      .node("ReduceSum", {"product"}, {"total"});
  body.node("Add", {"state", "total"}, {"next"}).output("more").output("next");
  GraphWriter looped("g");
  looped.input("a", ElementType::Float32, {"n"})
      .input("b", ElementType::Float32, {"m"})
      .input("trips", ElementType::Int64, {});
  looped.initializer(tensorFloatData("start", ElementType::Float32, {1}, {0}));
  looped.node("Loop", {"trips", "", "start"}, {"y"}, {attributeGraph("body", body)}).output("y");
  auto repeat = [&](int64_t trips) {
    return run(looped,
               {{"a", floats({3}, {1, 2, 3})}, {"b", floats({2}, {1, 1})}, {"trips", ints({}, {trips})}});
  };
  for (int64_t none : {int64_t(0), int64_t(-5), INT64_MIN})
    EXPECT_EQ(repeat(none).exit, 0) << none << " iterations are none";
  expectError(repeat(2), 4, {"error TW", "node_product"});
}

TEST_F(Hostile, ScratchOfASizeThatTheDataDecides) {
  GraphWriter graph("g"); // sorting needs scratch for as many as are not zero
  graph.input("x", ElementType::Float32, {"n"}).initializer(tensorInt64Data("zero", {1}, {0}));
  graph.node("NonZero", {"x"}, {"where"})
      .node("Squeeze", {"where", "zero"}, {"list"})
      .node("Gather", {"x", "list"}, {"kept"});
  graph.node("Shape", {"kept"}, {"count"}).node("TopK", {"kept", "count"}, {"y", "order"}).output("y");
  const int64_t size = 60000;
  std::vector<float> values, wanted;
  for (int64_t i = 0; i < size; ++i) {
    values.push_back(float(i * 7919 % 65536) - 1000);
    if (values.back() != 0)
      wanted.push_back(values.back());
  }
  std::stable_sort(wanted.begin(), wanted.end(), std::greater<>());
  Ran ran = run(graph, {{"x", floats({size}, values)}});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(tools::test::valuesOf<float>(output("y")), wanted);
}

TEST_F(Hostile, NothingIsReduced) {
  GraphWriter graph("g");
  graph.input("x", ElementType::Float32, {"n", 2})
      .input("i", ElementType::Int32, {"n", 2})
      .initializer(tensorInt64Data("axes", {1}, {0}));
  graph.node("ReduceMax", {"x", "axes"}, {"max"}, {attributeInt("keepdims", 0)}).output("max");
  graph.node("ReduceMin", {"i", "axes"}, {"min"}, {attributeInt("keepdims", 0)}).output("min");
  graph.node("ReduceProd", {"x", "axes"}, {"prod"}, {attributeInt("keepdims", 0)}).output("prod");
  Ran ran = run(graph, {{"x", floats({0, 2}, {})}, {"i", tensorOf<int32_t>(TW_I32, {0, 2}, {})}}, 20);
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(tools::test::valuesOf<float>(output("max")), (std::vector<float>{-INFINITY, -INFINITY}));
  EXPECT_EQ(tools::test::valuesOf<int32_t>(output("min")), (std::vector<int32_t>{INT32_MAX, INT32_MAX}));
  EXPECT_EQ(tools::test::valuesOf<float>(output("prod")), (std::vector<float>{1, 1}));
}

TEST_F(Hostile, OneScaleForAllMayTurnUpAtRunTime) {
  GraphWriter graph("g");
  graph.input("q", ElementType::UInt8, {2, 3}).input("scale", ElementType::Float32, {"k"});
  graph.node("DequantizeLinear", {"q", "scale"}, {"y"}, {attributeInt("axis", 1)}).output("y");
  Tensor q = tensorOf<uint8_t>(TW_U8, {2, 3}, {1, 2, 3, 4, 5, 6});
  ASSERT_EQ(run(graph, {{"q", q}, {"scale", floats({1}, {2})}}).exit, 0);
  EXPECT_EQ(tools::test::valuesOf<float>(output("y")), (std::vector<float>{2, 4, 6, 8, 10, 12}));
  ASSERT_EQ(run(graph, {{"q", q}, {"scale", floats({3}, {1, 10, 100})}}).exit, 0);
  EXPECT_EQ(tools::test::valuesOf<float>(output("y")), (std::vector<float>{1, 20, 300, 4, 50, 600}));
  expectError(run(graph, {{"q", q}, {"scale", floats({2}, {1, 2})}}), 4, {"error TW", "node_y"});
}

//===--- Files and artifacts -----------------------------------------------------------===//

TEST_F(Hostile, OutputsThatCannotBeWritten) {
  std::string file = model(perceptron());
  expectError(driver("compile " + file + " -o /dev/full"), 5, {"error TW"});
  expectError(driver("compile " + file + " -o " + path("no/such/folder/out.so")), 5, {"out.so"});
  expectError(driver("run " + file + " --outputs /dev/full"), 5, {"/dev/full"});
  expectError(driver("run " + file + " --outputs " + path("no/such/folder/out.npz")), 5, {"out.npz"});
  expectError(driver("check " + file + " >/dev/full"), 5, {"error TW"});
}

TEST_F(Hostile, DamagedArtifacts) {
  std::string file = model(perceptron()), artifact = path("model.so");
  ASSERT_EQ(driver("compile " + file + " -o " + artifact).exit, 0);
  std::string whole = read("model.so");
  for (size_t size :
       {size_t(0), size_t(1), size_t(63), size_t(64), size_t(1000), whole.size() / 2, whole.size() - 1}) {
    Ran ran = driver("run " + write("cut.so", whole.substr(0, size)));
    EXPECT_TRUE(ran.exit == 4 || ran.exit == 5) << size << ": " << ran.exit << ran.err;
    EXPECT_NE(ran.err.find("error TW"), std::string::npos) << ran.err;
  }
  for (size_t at = 0; at < 64; ++at) { // the ELF header
    std::string bent = whole;
    bent[at] = char(~bent[at]);
    Ran ran = driver("run " + write("bent.so", bent));
    EXPECT_TRUE(ran.exit == 0 || (ran.exit >= 3 && ran.exit <= 5))
        << "byte " << at << ": " << ran.exit << ran.err;
  }
}

TEST_F(Hostile, WeightsBesideTheArtifact) {
  std::string file = model(perceptron()), artifact = path("model.so");
  ASSERT_EQ(driver("compile " + file + " -o " + artifact + " --weights=side").exit, 0);
  ASSERT_TRUE(std::filesystem::exists(path("model.weights")));
  Inputs inputs = {{"x", floats({1, 4}, {1, 2, 3, -4})}};
  ASSERT_EQ(driver("run " + artifact + given(inputs) + " --outputs " + path("out.npz")).exit, 0);
  EXPECT_EQ(tools::test::valuesOf<float>(output("y")), (std::vector<float>{0, 0}));
  std::string weights = read("model.weights");
  write("model.weights", weights.substr(0, weights.size() / 2));
  Ran cut = driver("run " + artifact);
  EXPECT_TRUE(cut.exit == 4 || cut.exit == 5) << cut.err;
  EXPECT_NE(cut.err.find("model.weights"), std::string::npos) << cut.err;
  std::filesystem::remove(path("model.weights"));
  expectError(driver("run " + artifact), 5, {"model.weights"});
}

TEST_F(Hostile, MemoryAndPrecisionAsAskedFor) {
  std::string file = model(perceptron());
  expectError(driver("compile " + file + " -o " + path("m.so") + " --max-memory 10"), 3,
              {"TW3501", "--max-memory"});
  EXPECT_FALSE(std::filesystem::exists(path("m.so"))) << "nothing is left behind";
  EXPECT_EQ(driver("compile " + file + " -o " + path("m.so") + " --max-memory 1M").exit, 0);
  Inputs inputs = {{"x", floats({1, 4}, {1, 2, 3, 4})}};
  for (const char *precision : {"strict", "default"}) {
    ASSERT_EQ(
        driver("run " + file + given(inputs) + " --outputs " + path("out.npz") + " --precision=" + precision)
            .exit,
        0);
    EXPECT_EQ(tools::test::valuesOf<float>(output("y")), (std::vector<float>{50, 60}));
  }
}

TEST_F(Hostile, GpuTargetsAndStagesThatDoNotFit) {
  const std::string compile = "compile " + model(perceptron());
  expectError(driver(compile + " -o " + path("m.so") + " --target cuda:sm_80"), 3, {"TW3004", "--emit=ptx"});
  expectError(driver(compile + " --emit=ptx --target cuda:sm_8"), 2, {"TW3001", "cuda:sm_80"});
  expectError(driver(compile + " --emit=ptx"), 2, {"TW3003", "cuda:sm_80"});
  expectError(driver(compile + " --emit=asm --target cuda:sm_80"), 2, {"TW3003", "--emit=ptx"});
  EXPECT_FALSE(std::filesystem::exists(path("m.so")));
}

TEST_F(Hostile, TargetsThatNobodyKnows) {
  Ran ran =
      driver("compile " + model(perceptron()) + " -o " + path("m.so") + " --target cpu:no-such-machine");
  expectError(ran, 2, {"TW3001", "no-such-machine"});
}
