/// Models of a few hundred bytes that ask for more than there is: sizes beyond 2^63, graphs that double,
/// constants that never end, sizes whose expressions grow. Each is refused, or compiled, soon and in little
/// memory. And models that are large in earnest: what they take grows with them.
#include "tests/support/OnnxWriter.h"
#include "tests/tools/Support.h"

#include <algorithm>

using namespace tilewright;
using namespace tilewright::onnxwriter;
using onnx::ElementType;
using tools::test::driver;
using tools::test::Ran;

namespace {

constexpr int64_t most = INT64_MAX;

class Budgets : public tools::test::FolderTest {
protected:
  std::string model(const GraphWriter &graph, int64_t opset = 17) {
    return write("model.onnx", ModelWriter(graph).opset(opset).bytes());
  }
  /// Within 2 GB of address space beyond what the libraries take, and 60 s on a busy machine.
  Ran limited(const std::string &command) { return driver(command, "ulimit -v 3500000; timeout 60 "); }
  Ran compile(const GraphWriter &graph, int64_t opset = 17, const std::string &options = "") {
    return limited("compile " + model(graph, opset) + " -o " + path("m.so") + " --threads 2 " + options);
  }
};

void expectOneOf(const Ran &ran, std::initializer_list<int> exits, const std::string &what) {
  EXPECT_TRUE(std::find(exits.begin(), exits.end(), ran.exit) != exits.end())
      << what << ": exit " << ran.exit << "\n"
      << ran.err.substr(0, 2000);
  if (ran.exit)
    EXPECT_NE(ran.err.find("error TW"), std::string::npos) << what << ": " << ran.err;
}

GraphWriter over(const std::vector<int64_t> &shape) {
  Shape dims;
  for (int64_t size : shape)
    dims.push_back(size);
  return GraphWriter("g").input("x", ElementType::Float32, dims);
}

std::string number(const std::string &name, int64_t value) { return tensorInt64Data(name, {}, {value}); }

} // namespace

TEST_F(Budgets, SizesThatDoNotFitIn63Bits) {
  struct Case {
    const char *name;
    GraphWriter graph;
    int64_t opset = 17;
  };
  auto ints = [](const char *name, std::vector<int64_t> values) {
    return tensorInt64Data(name, {int64_t(values.size())}, values);
  };
  auto weight = [](std::vector<int64_t> dims, size_t count) {
    return tensorFloatData("w", ElementType::Float32, dims, std::vector<float>(count, 1));
  };
  std::vector<Case> cases;
  cases.push_back({"concat", over({8})
                                 .initializer(ints("s", {most}))
                                 .node("ConstantOfShape", {"s"}, {"a"})
                                 .node("Concat", {"a", "a", "x"}, {"y"}, {attributeInt("axis", 0)})
                                 .output("y")});
  cases.push_back({"expand", over({1})
                                 .initializer(ints("s", {int64_t(1) << 32, int64_t(1) << 32}))
                                 .node("Expand", {"x", "s"}, {"y"})
                                 .output("y")});
  cases.push_back({"tile", over({8})
                               .initializer(ints("s", {(int64_t(1) << 61) + 1}))
                               .node("Tile", {"x", "s"}, {"y"})
                               .output("y")});
  cases.push_back({"tile behind a dimension of 0", over({0, 8})
                                                       .initializer(ints("s", {1, (int64_t(1) << 61) + 1}))
                                                       .node("Tile", {"x", "s"}, {"y"})
                                                       .output("y")});
  cases.push_back(
      {"pad", over({8}).initializer(ints("s", {most, most})).node("Pad", {"x", "s"}, {"y"}).output("y")});
  cases.push_back({"pad of an unknown size", GraphWriter("g")
                                                 .input("x", ElementType::Float32, {"n"})
                                                 .initializer(ints("s", {most, most}))
                                                 .node("Pad", {"x", "s"}, {"y"})
                                                 .output("y")});
  cases.push_back({"flatten", over({1})
                                  .initializer(ints("s", {int64_t(1) << 32, int64_t(1) << 32}))
                                  .node("ConstantOfShape", {"s"}, {"a"})
                                  .node("Flatten", {"a"}, {"b"}, {attributeInt("axis", 0)})
                                  .node("Add", {"b", "x"}, {"y"})
                                  .output("y")});
  cases.push_back({"depth to space", over({1, 9, int64_t(1) << 62, 2})
                                         .node("DepthToSpace", {"x"}, {"y"}, {attributeInt("blocksize", 3)})
                                         .output("y")});
  cases.push_back(
      {"dilations", over({1, 1, 16, 16})
                        .initializer(weight({1, 1, 9, 1}, 9))
                        .node("Conv", {"x", "w"}, {"y"}, {attributeInts("dilations", {int64_t(1) << 61, 1})})
                        .output("y")});
  cases.push_back({"pads of a convolution",
                   over({1, 1, 16, 16})
                       .initializer(weight({1, 1, 3, 3}, 9))
                       .node("Conv", {"x", "w"}, {"y"}, {attributeInts("pads", {most, 0, most, 0})})
                       .output("y")});
  cases.push_back({"pads of a pool", over({1, 1, 16, 16})
                                         .node("AveragePool", {"x"}, {"y"},
                                               {attributeInts("kernel_shape", {3, 3}),
                                                attributeInts("pads", {most, 0, most, 0})})
                                         .output("y")});
  cases.push_back({"dilations of a pool", over({1, 1, 16, 16})
                                              .node("MaxPool", {"x"}, {"y"},
                                                    {attributeInts("kernel_shape", {9, 1}),
                                                     attributeInts("dilations", {int64_t(1) << 61, 1})})
                                              .output("y")});
  cases.push_back(
      {"strides of a transposed convolution",
       over({1, 1, 9, 9})
           .initializer(weight({1, 1, 3, 3}, 9))
           .node("ConvTranspose", {"x", "w"}, {"y"}, {attributeInts("strides", {(int64_t(1) << 61) + 1, 1})})
           .output("y")});
  cases.push_back({"an input of 2^64 bytes", over({int64_t(1) << 62}).node("Neg", {"x"}, {"y"}).output("y")});
  cases.push_back(
      {"rows of a product",
       over({most, 4}).initializer(weight({4, 3}, 12)).node("MatMul", {"x", "w"}, {"y"}).output("y")});
  cases.push_back({"an outer product", over({int64_t(1) << 40, 1})
                                           .node("Transpose", {"x"}, {"t"})
                                           .node("MatMul", {"x", "t"}, {"y"})
                                           .output("y")});
  cases.push_back({"one hot", GraphWriter("g")
                                  .input("x", ElementType::Int64, {int64_t(1) << 20})
                                  .initializer(number("d", most))
                                  .initializer(tensorFloatData("v", ElementType::Float32, {2}, {0, 1}))
                                  .node("OneHot", {"x", "d", "v"}, {"y"})
                                  .output("y")});
  for (const Case &each : cases)
    expectOneOf(compile(each.graph, each.opset), {3, 4}, each.name);
}

TEST_F(Budgets, SizesThatJustFitAreCompiled) {
  expectOneOf(compile(over({int64_t(1) << 40}).node("Neg", {"x"}, {"y"}).output("y")), {0}, "4 TB");
  expectOneOf(compile(GraphWriter("g")
                          .input("x", ElementType::Float32, {"n"})
                          .initializer(tensorInt64Data("s", {2}, {0, int64_t(1) << 40}))
                          .node("Pad", {"x", "s"}, {"y"})
                          .output("y")),
              {0}, "a pad of 4 TB behind an unknown size");
}

TEST_F(Budgets, ExpressionsOfSizesThatGrow) {
  for (int steps : {8, 16, 60}) {
    GraphWriter sum("g"), power("g"), tower("g");
    for (GraphWriter *graph : {&sum, &power, &tower})
      graph->input("x", ElementType::Float32, {"n"}).node("Shape", {"x"}, {"s0"}).initializer(number("c", 3));
    tower.input("z", ElementType::Float32, {"m"}).node("Shape", {"z"}, {"t0"});
    for (int i = 0; i < steps; ++i) {
      std::string now = std::to_string(i), next = std::to_string(i + 1);
      sum.node("Div", {"s" + now, "c"}, {"d" + now}).node("Add", {"s" + now, "d" + now}, {"s" + next});
      power.node("Mul", {"s" + now, "s" + now}, {"s" + next});
      tower.node("Max", {"s" + now, "t" + now}, {"s" + next})
          .node("Min", {"s" + now, "t" + now}, {"l" + now})
          .node("Sub", {"s" + next, "l" + now}, {"t" + next});
    }
    for (GraphWriter *graph : {&sum, &power, &tower})
      expectOneOf(compile(graph->node("ConstantOfShape", {"s" + std::to_string(steps)}, {"y"}).output("y")),
                  {0, 3, 4}, std::to_string(steps) + " steps");
  }
}

TEST_F(Budgets, ConstantsThatWouldNeverEnd) {
  auto folded = [&](GraphWriter graph) {
    return compile(graph.input("x", ElementType::Float32, {1}).node("Add", {"r", "x"}, {"y"}).output("y"));
  };
  expectOneOf(
      folded(GraphWriter("g")
                 .initializer(tensorFloatData("c", ElementType::Float32, {1, 1, 8}, std::vector<float>(8, 1)))
                 .node("AveragePool", {"c"}, {"r"},
                       {attributeInts("kernel_shape", {(int64_t(1) << 40) + 1}),
                        attributeInts("pads", {int64_t(1) << 39, int64_t(1) << 39}),
                        attributeInt("count_include_pad", 1)})),
      {0, 3, 4}, "a window of 2^40");
  expectOneOf(folded(GraphWriter("g")
                         .initializer(tensorFloatData("c", ElementType::Float32, {1}, {1.5}))
                         .initializer(tensorInt64Data("s", {2}, {8192, 8192}))
                         .node("Expand", {"c", "s"}, {"e"})
                         .node("MatMul", {"e", "e"}, {"m"})
                         .node("ReduceSum", {"m"}, {"r"}, {attributeInt("keepdims", 0)})),
              {0, 3}, "a product of 2^39 multiplications");
  expectOneOf(folded(GraphWriter("g")
                         .initializer(number("a", 0))
                         .initializer(number("b", int64_t(1) << 36))
                         .initializer(number("d", 1))
                         .node("Range", {"a", "b", "d"}, {"i"})
                         .node("Cast", {"i"}, {"f"}, {attributeInt("to", 1)})
                         .node("ReduceSum", {"f"}, {"r"}, {attributeInt("keepdims", 0)})),
              {0, 3}, "a range of 2^36");
}

TEST_F(Budgets, ACornerOfAHugeConstantTakesLittle) {
  GraphWriter graph("g");
  graph.input("x", ElementType::Float32, {8, 8})
      .initializer(tensorInt64Data("size", {2}, {12000, 12000}))
      .initializer(tensorInt64Data("from", {2}, {0, 0}))
      .initializer(tensorInt64Data("to", {2}, {8, 8}))
      .initializer(number("one", 1))
      .node("ConstantOfShape", {"size"}, {"full"})
      .node("Cos", {"full"}, {"ones"})
      .node("Trilu", {"ones", "one"}, {"mask"}, {attributeInt("upper", 1)})
      .node("Slice", {"mask", "from", "to"}, {"corner"})
      .node("Add", {"x", "corner"}, {"y"})
      .output("y");
  expectOneOf(driver("compile " + model(graph) + " -o " + path("m.so") + " --threads 1",
                     "ulimit -v 1200000; timeout 60 "),
              {0}, "the whole mask has 576 MB");
}

TEST_F(Budgets, LargeModelsInEarnest) {
  GraphWriter chain("g"), outputs("g"), same("g"), inputs("g");
  chain.input("x", ElementType::Float32, {8});
  outputs.input("x", ElementType::Float32, {8});
  same.input("x", ElementType::Float32, {"n"});
  std::vector<std::string> names, copies(2000, "x");
  for (int i = 0; i < 2000; ++i) {
    std::string name = std::to_string(i);
    outputs.node("Relu", {"x"}, {"y" + name}).output("y" + name);
    inputs.input("i" + name, ElementType::Float32, {Dim(("n" + name).c_str())});
    names.push_back("i" + name);
  }
  for (int i = 0; i < 10000; ++i)
    chain.node(i % 2 ? "Relu" : "Neg", {i ? "t" + std::to_string(i - 1) : "x"}, {"t" + std::to_string(i)});
  expectOneOf(compile(chain.output("t9999")), {0}, "a chain of 10,000");
  expectOneOf(compile(outputs), {0}, "2,000 outputs");
  expectOneOf(compile(same.node("Concat", copies, {"y"}, {attributeInt("axis", 0)}).output("y")), {0},
              "2,000 operands");
  expectOneOf(compile(inputs.node("Concat", names, {"y"}, {attributeInt("axis", 0)}).output("y")), {0},
              "2,000 sizes");
}

TEST_F(Budgets, TheTimeThatIsGivenIsKept) {
  GraphWriter graph = over({8});
  for (int i = 0; i < 5000; ++i)
    graph.node("Neg", {i ? "t" + std::to_string(i - 1) : "x"}, {"t" + std::to_string(i)});
  Ran ran = compile(graph.output("t4999"), 17, "--max-time 0.000001");
  expectOneOf(ran, {3}, "a millionth of a second");
  EXPECT_NE(ran.err.find("--max-time"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("seconds"), std::string::npos) << ran.err;
}
