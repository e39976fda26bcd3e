// Numbers that a compiled program must give to the last bit, or within a stated bound: quotients, long sums,
// counts, quantisation. Each model runs on every target, and what is expected comes from C++ here.
#include "tests/compiler/Support.h"
#include "tests/support/OnnxWriter.h"
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

using namespace tilewright;
using namespace tilewright::onnxwriter;
using namespace tilewright::tests;
using ::testing::_;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

template <class T> Tensor tensorOf(interpreter::Shape shape, const std::vector<T> &values) {
  mlir::Type type;
  static mlir::MLIRContext context;
  mlir::Builder b(&context);
  if constexpr (std::is_floating_point_v<T>)
    type = sizeof(T) == 4 ? mlir::Type(b.getF32Type()) : mlir::Type(b.getF64Type());
  else
    type =
        mlir::IntegerType::get(&context, 8 * sizeof(T),
                               std::is_signed_v<T> ? mlir::IntegerType::Signed : mlir::IntegerType::Unsigned);
  Tensor tensor(type, shape);
  std::memcpy(tensor.mutableData(), values.data(), values.size() * sizeof(T));
  return tensor;
}
template <class T> Tensor vectorOf(const std::vector<T> &values) {
  return tensorOf<T>({int64_t(values.size())}, values);
}
template <class T> std::vector<T> elementsOf(const Tensor &tensor) {
  std::vector<T> values(tensor.size());
  std::memcpy(values.data(), tensor.data(), values.size() * sizeof(T));
  return values;
}

class Numbers : public ::testing::TestWithParam<std::string> {
protected:
  RunResult run(const GraphWriter &graph, llvm::ArrayRef<Tensor> inputs, int opset = 18) {
    CompiledProgram &program = *programs.emplace_back(std::make_unique<CompiledProgram>(GetParam()));
    std::string problem = program.compileModel(ModelWriter(graph).opset(opset).bytes());
    EXPECT_EQ(problem, "");
    if (!problem.empty())
      return {{}, TW_INVALID, problem};
    RunResult one = program.run(inputs, 1), two = program.run(inputs, 2);
    EXPECT_EQ(one.problem, two.problem);
    for (auto [a, b] : llvm::zip(one.outputs, two.outputs))
      EXPECT_EQ(compareTensors(b, a, Agreement::Exact), "") << "with two threads";
    return one;
  }

private:
  std::vector<std::unique_ptr<CompiledProgram>> programs; ///< element types of results live in theirs
};

/// Whole numbers, random bits, and what arithmetic on the way could lose, among the normal numbers.
template <class T> std::vector<T> dividends() {
  std::vector<T> values{0,
                        T(-0.0),
                        T(INFINITY),
                        T(-INFINITY),
                        T(NAN),
                        std::numeric_limits<T>::max(),
                        std::numeric_limits<T>::min(),
                        1,
                        3};
  for (int i = -4096; i <= 4096; ++i)
    values.push_back(T(i));
  std::mt19937_64 random(1);
  while (values.size() < 60000) {
    uint64_t bits = random();
    T value;
    std::memcpy(&value, &bits, sizeof(T));
    if (std::isnormal(value))
      values.push_back(value);
  }
  return values;
}

template <class T> void expectQuotients(const Tensor &got, const std::vector<T> &x, T divisor) {
  std::vector<T> y = elementsOf<T>(got);
  for (size_t i = 0; i < x.size(); ++i) {
    const T want = x[i] / divisor;
    if (want != 0 && std::abs(want) < 2 * std::numeric_limits<T>::min())
      continue; // may be flushed
    const bool same =
        (std::isnan(want) && std::isnan(y[i])) || (y[i] == want && std::signbit(y[i]) == std::signbit(want));
    ASSERT_TRUE(same || (x[i] != 0 && want == 0 && y[i] == 0))
        << x[i] << " / " << divisor << " is " << y[i] << " instead of " << want;
  }
}

template <class T> GraphWriter division(bool constant, T divisor) {
  GraphWriter graph("division");
  graph.input("x", elementTypeOf<T>(), {"n"});
  if (constant)
    graph.initializer(tensor<T>("c", {}, {divisor}));
  else
    graph.input("c", elementTypeOf<T>(), Shape{});
  return graph.node("Div", {"x", "c"}, {"y"}).output("y");
}

TEST_P(Numbers, QuotientsByAConstantRoundOnce) {
  const std::vector<float> x = dividends<float>();
  for (float c : {41.0f, 3.0f, 0.16f, -7.0f, 1e-30f, 1e30f, 0x1.fffffep0f, 0x1.fffffcp0f, 0.001f})
    expectQuotients(run(division(true, c), {vectorOf(x)}).outputs[0], x, c);
  const std::vector<double> wide = dividends<double>();
  expectQuotients(run(division(true, 49.0), {vectorOf(wide)}).outputs[0], wide, 49.0);
}

TEST_P(Numbers, QuotientsByARunTimeScalarRoundOnce) {
  const std::vector<float> x = dividends<float>();
  CompiledProgram program(GetParam());
  ASSERT_EQ(program.compileModel(ModelWriter(division(false, 0.0f)).opset(18).bytes()), "");
  for (float c : {41.0f, -41.0f, 0.16f, 1e-3f, 1e25f, 0.0f, INFINITY, NAN}) {
    RunResult result = program.run({vectorOf(x), tensorOf<float>({}, {c})}, 1);
    ASSERT_EQ(result.problem, "");
    expectQuotients(result.outputs[0], x, c);
  }
}

/// Rows by their own norms: the patterns whose numerators are bounded by their divisors.
TEST_P(Numbers, RowsByTheirRootMeanSquareRoundOnce) {
  GraphWriter graph("rows");
  graph.input("x", ElementType::Float32, {"n", 100}).initializer(tensor<int64_t>("axes", {1}, {1}));
  graph.node("Mul", {"x", "x"}, {"s"}).node("ReduceMean", {"s", "axes"}, {"m"}).node("Sqrt", {"m"}, {"d"});
  graph.node("Div", {"x", "d"}, {"y"}).output("y").output("d");
  std::mt19937 random(3);
  std::vector<float> x(20000);
  for (float &value : x)
    value = std::normal_distribution<float>()(random);
  std::fill_n(x.begin() + 100, 100, 0.0f);   // 0 / 0
  std::fill_n(x.begin() + 200, 100, 1e30f);  // squares overflow: x / inf
  std::fill_n(x.begin() + 300, 100, 1e-30f); // squares underflow: x / 0
  RunResult result = run(graph, {tensorOf<float>({200, 100}, x)});
  ASSERT_EQ(result.problem, "");
  const std::vector<float> y = elementsOf<float>(result.outputs[0]), d = elementsOf<float>(result.outputs[1]);
  for (size_t i = 0; i < x.size(); ++i) {
    const float want = x[i] / d[i / 100];
    ASSERT_TRUE(y[i] == want || (std::isnan(want) && std::isnan(y[i])))
        << i << ": " << y[i] << ", not " << want;
  }
}

TEST_P(Numbers, IntegerDivisionByWayOfFloatsIsExact) {
  GraphWriter graph("exported");
  graph.input("x", ElementType::Int64, {"n"}).initializer(tensor<float>("c", {}, {41}));
  graph.node("Cast", {"x"}, {"f"}, {attributeInt("to", 1)}).node("Div", {"f", "c"}, {"d"});
  graph.node("Floor", {"d"}, {"w"}).node("Cast", {"w"}, {"y"}, {attributeInt("to", 7)}).output("y");
  graph.node("Ceil", {"d"}, {"u"}).output("u").node("Equal", {"d", "w"}, {"e"}).output("e");
  std::vector<int64_t> x(4096);
  std::iota(x.begin(), x.end(), 0);
  RunResult result = run(graph, {vectorOf(x)});
  for (int64_t i = 0; i < 4096; ++i) {
    ASSERT_EQ(result.outputs[0].integer(i), i / 41);
    ASSERT_EQ(result.outputs[1].number(i), double((i + 40) / 41));
    ASSERT_EQ(result.outputs[2].integer(i) != 0, i % 41 == 0) << i;
  }
}

TEST_P(Numbers, QuantisationDividesAndRoundsHalvesToEven) {
  for (float scale : {0.001f, 0.16f, 3.0f}) {
    GraphWriter graph("quantize");
    graph.input("x", ElementType::Float32, {"n"}).initializer(tensor<float>("s", {}, {scale}));
    graph.initializer(tensor<int8_t>("z", {}, {7}));
    graph.node("QuantizeLinear", {"x", "s", "z"}, {"y"}).output("y");
    std::vector<float> x{1e20f, -1e20f};
    for (int i = -300; i < 300; ++i)
      x.push_back(i * 0.5f * scale);
    RunResult result = run(graph, {vectorOf(x)});
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(result.outputs[0].integer(i),
                std::clamp(std::nearbyint(x[i] / scale) + 7.0f, -128.0f, 127.0f))
          << x[i] << " / " << scale;
  }
}

TEST_P(Numbers, NothingQuantisesToZeros) {
  GraphWriter graph("zeros");
  graph.input("x", ElementType::Float32, {"n"});
  graph.node("DynamicQuantizeLinear", {"x"}, {"y", "s", "z"}).output("y").output("s").output("z");
  RunResult result = run(graph, {vectorOf<float>({0, 0, 0})});
  EXPECT_THAT(result.outputs[0].integers(), ElementsAre(0, 0, 0));
  EXPECT_EQ(result.outputs[1].number(0), 1);
  EXPECT_EQ(result.outputs[2].integer(0), 0);
}

//===- Sums ---------------------------------------------------------------------------===//

/// Equal numbers, along and across lanes, of sizes known and unknown, by a mean and by windows.
TEST_P(Numbers, MeansOfManyEqualNumbersAreThatNumber) {
  struct Case {
    interpreter::Shape shape;
    std::vector<int64_t> axes;
  };
  const Case cases[] = {
      {{2, 1000003}, {1}},    {{1000003, 2}, {0}},    {{3, 1025}, {1}},    {{2, 100, 7, 5, 11}, {1, 2, 3}},
      {{2, 1000, 7}, {1, 2}}, {{7, 3, 2000}, {0, 2}}, {{200000, 17}, {0}}, {{3, 41}, {1}}};
  for (const Case &c : cases)
    for (bool known : {false, true}) {
      GraphWriter graph("mean");
      static const char *const names[] = {"a", "b", "c", "d", "e"};
      Shape shape;
      for (size_t dim = 0; dim < c.shape.size(); ++dim)
        shape.push_back(known ? Dim(c.shape[dim]) : Dim(names[dim]));
      graph.input("x", ElementType::Float32, shape);
      graph.initializer(tensor<int64_t>("axes", {int64_t(c.axes.size())}, c.axes));
      graph.node("ReduceMean", {"x", "axes"}, {"y"}).output("y");
      for (float value : {0.3f, 7.0f}) {
        const std::vector<float> x(interpreter::elementCount(c.shape), value);
        RunResult result = run(graph, {tensorOf<float>(c.shape, x)});
        ASSERT_EQ(result.problem, "");
        for (double y : result.outputs[0].numbers())
          ASSERT_NEAR(y, value, value == 7 ? 0 : 6e-7 * value)
              << (known ? "known " : "unknown ") << c.shape[0];
      }
    }
}

TEST_P(Numbers, PoolsOfManyEqualNumbersAreThatNumber) {
  for (int64_t size : {5, 31, 200}) {
    GraphWriter graph("pool");
    graph.input("x", ElementType::Float32, {1, "c", "h", 203});
    graph.node("AveragePool", {"x"}, {"y"}, {attributeInts("kernel_shape", {size, size})}).output("y");
    graph.node("GlobalAveragePool", {"x"}, {"g"}).output("g");
    RunResult result =
        run(graph, {tensorOf<float>({1, 2, 203, 203}, std::vector<float>(2 * 203 * 203, 0.1f))});
    for (const Tensor &output : result.outputs)
      for (double y : output.numbers())
        ASSERT_NEAR(y, 0.1f, 6e-8) << size;
  }
}

TEST_P(Numbers, RunningSumsKeepTheirDigits) {
  GraphWriter graph("cumsum");
  graph.input("x", ElementType::Float32, {"n"}).initializer(tensor<int64_t>("axis", {}, {0}));
  graph.node("CumSum", {"x", "axis"}, {"y"}).output("y");
  RunResult result = run(graph, {vectorOf(std::vector<float>(1000000, 0.3f))});
  for (int64_t i : {0, 999, 99999, 999999})
    EXPECT_EQ(float(result.outputs[0].number(i)), float(double(0.3f) * double(i + 1)));
}

TEST_P(Numbers, LongProductsAddInBlocks) {
  const int64_t depth = 300000;
  for (int64_t columns : {1, 5})
    for (bool known : {false, true}) {
      GraphWriter graph("product");
      graph.input("a", ElementType::Float32, {"m", known ? Dim(depth) : Dim("k")});
      graph.input("b", ElementType::Float32, {known ? Dim(depth) : Dim("k"), columns});
      graph.node("MatMul", {"a", "b"}, {"y"}).output("y");
      RunResult result =
          run(graph, {tensorOf<float>({3, depth}, std::vector<float>(3 * depth, 0.3f)),
                      tensorOf<float>({depth, columns}, std::vector<float>(depth * columns, 0.7f))});
      const double want = depth * double(0.3f) * double(0.7f);
      for (double y : result.outputs[0].numbers())
        EXPECT_NEAR(y, want, 2e-5 * want) << columns << (known ? " known" : " unknown");
    }
}

TEST_P(Numbers, LargeWindowsAddInBlocks) {
  GraphWriter graph("convolution");
  graph.input("x", ElementType::Float32, {"n", 64, 34, 33});
  graph.initializer(tensor<float>("w", {8, 64, 33, 33}, std::vector<float>(8 * 64 * 33 * 33, 0.7f)));
  graph.node("Conv", {"x", "w"}, {"y"}).output("y");
  RunResult result = run(graph, {tensorOf<float>({1, 64, 34, 33}, std::vector<float>(64 * 34 * 33, 0.3f))});
  const double want = 64 * 33 * 33 * double(0.3f) * double(0.7f);
  for (double y : result.outputs[0].numbers())
    EXPECT_NEAR(y, want, 2e-5 * want);
}

/// Taps that are apart in memory, with all of them inside and, where the length is unknown, at borders.
TEST_P(Numbers, LargeWindowsOfDistantTapsAddInBlocks) {
  const int64_t taps = 20000, channels = 3, length = 2 * taps + 20;
  for (bool known : {false, true}) {
    GraphWriter graph("convolution");
    graph.input("x", ElementType::Float32, {1, channels, known ? Dim(length) : Dim("n")});
    graph.initializer(tensor<float>("w", {2, channels, taps}, std::vector<float>(2 * channels * taps, 0.7f)));
    graph.node("Conv", {"x", "w"}, {"y"}, {attributeInts("dilations", {2})}).output("y");
    RunResult result =
        run(graph, {tensorOf<float>({1, channels, length}, std::vector<float>(channels * length, 0.3f))});
    const double want = channels * taps * double(0.3f) * double(0.7f);
    for (double y : result.outputs[0].numbers())
      EXPECT_NEAR(y, want, 2e-5 * want) << (known ? "known" : "unknown");
  }
}

/// Products of numbers near 1, and one that leaves the range of f32 on its way.
TEST_P(Numbers, LongProductsOfElementsRoundOnce) {
  GraphWriter graph("product");
  graph.input("x", ElementType::Float32, {2, "n"}).initializer(tensor<int64_t>("axis", {1}, {1}));
  graph.node("ReduceProd", {"x", "axis"}, {"y"}, {attributeInt("keepdims", 0)}).output("y");
  const int64_t count = 20000;
  std::vector<float> x(2 * count, 1);
  std::mt19937 random(5);
  double want = 1;
  for (int64_t i = 0; i < count; ++i)
    want *= x[i] = 1 + 0.01f * std::normal_distribution<float>()(random);
  std::fill_n(x.begin() + count, 4, 1e30f);
  std::fill_n(x.begin() + count + 64, 4, 1e-30f);
  RunResult result = run(graph, {tensorOf<float>({2, count}, x)});
  ASSERT_EQ(result.problem, "");
  EXPECT_EQ(result.outputs[0].number(0), float(want));
  EXPECT_NEAR(result.outputs[0].number(1), 1, 1e-6);
}

/// Halves whose sum along one dimension has more digits than a half.
TEST_P(Numbers, SumsAlongRunTimeAxesRoundOnce) {
  GraphWriter graph("sum");
  graph.input("x", ElementType::Float32, {2, 2}).input("axes", ElementType::Int64, {2});
  graph.node("Cast", {"x"}, {"h"}, {attributeInt("to", 10)}).node("ReduceSum", {"h", "axes"}, {"s"});
  graph.node("Cast", {"s"}, {"y"}, {attributeInt("to", 1)}).output("y");
  RunResult result = run(graph, {tensorOf<float>({2, 2}, {2048, 1, 1, -2048}), vectorOf<int64_t>({0, 1})});
  ASSERT_EQ(result.problem, "");
  EXPECT_EQ(result.outputs[0].number(0), 2);
}

//===- Integers ------------------------------------------------------------------------===//

template <class T> GraphWriter integerDivision() {
  GraphWriter graph("integers");
  graph.input("a", elementTypeOf<T>(), {"n"}).input("b", elementTypeOf<T>(), {"n"});

  return graph.node("Div", {"a", "b"}, {"q"}).node("Mod", {"a", "b"}, {"r"}).output("q").output("r");
}

template <class T>
void expectDivision(const RunResult &result, const std::vector<T> &quotients, const std::vector<T> &rests) {
  ASSERT_EQ(result.problem, "");
  EXPECT_EQ(elementsOf<T>(result.outputs[0]), quotients);
  EXPECT_EQ(elementsOf<T>(result.outputs[1]), rests);
}

template <class T> void signedDivision(llvm::function_ref<RunResult(std::vector<T>, std::vector<T>)> divide) {
  const T low = std::numeric_limits<T>::min();
  expectDivision<T>(divide({low, 7, -7, 7, 0, low}, {-1, 2, 2, -2, 3, 1}), {low, 3, -3, -3, 0, low},
                    {0, 1, 1, -1, 0, 0});
}

TEST_P(Numbers, IntegersDivideAndTheLowestByMinusOneWraps) {
  auto with = [&]<class T>(T) {
    return [&](std::vector<T> a, std::vector<T> b) {
      return run(integerDivision<T>(), {vectorOf(a), vectorOf(b)});
    };
  };
  signedDivision<int64_t>(with(int64_t()));
  signedDivision<int32_t>(with(int32_t()));
  signedDivision<int8_t>(with(int8_t()));
  expectDivision<uint8_t>(with(uint8_t())({255, 7}, {2, 255}), {127, 0}, {1, 7});
}

template <class T> GraphWriter quotientAlone(bool constant) {
  GraphWriter graph("by zero");
  graph.input("a", elementTypeOf<T>(), {"n"});
  if (constant)
    graph.initializer(tensor<T>("b", {1}, {0}));
  else
    graph.input("b", elementTypeOf<T>(), {"n"});
  return graph
      .add(1, message([](auto &w) {
             w.add_string(1, "a");
             w.add_string(1, "b");
             w.add_string(2, "q");
             w.add_string(3, "the_division");
             w.add_string(4, "Div");
           }))
      .output("q");
}

template <class T> std::string problemOf(const RunResult &result) {
  EXPECT_EQ(result.status, TW_INVALID);
  return result.problem;
}

TEST_P(Numbers, IntegerDivisionByZeroNamesTheNode) {
  const auto named = AllOf(HasSubstr("TW4406"), HasSubstr("the_division"));
  std::vector<int64_t> a(100, 5), b(100, 5);
  b[99] = 0;
  EXPECT_THAT(problemOf<int64_t>(run(quotientAlone<int64_t>(false), {vectorOf(a), vectorOf(b)})), named);
  std::vector<uint8_t> c(37, 5), d(37, 5);
  d[36] = 0;
  EXPECT_THAT(problemOf<uint8_t>(run(quotientAlone<uint8_t>(false), {vectorOf(c), vectorOf(d)})), named);
  EXPECT_THAT(problemOf<int64_t>(run(quotientAlone<int64_t>(true), {vectorOf(a)})), named);
}

TEST_P(Numbers, RangesOfIntegersAreExactBeyondDoubles) {
  GraphWriter graph("range");
  for (const char *name : {"a", "b", "c"})
    graph.input(name, ElementType::Int64, Shape{});
  graph.node("Range", {"a", "b", "c"}, {"y"}).output("y");
  auto range = [&](int64_t a, int64_t b, int64_t c) {
    RunResult result =
        run(graph, {tensorOf<int64_t>({}, {a}), tensorOf<int64_t>({}, {b}), tensorOf<int64_t>({}, {c})});
    EXPECT_EQ(result.problem, "");
    return result.status ? std::vector<int64_t>() : elementsOf<int64_t>(result.outputs[0]);
  };
  EXPECT_EQ(range(1700000000000000001, 1700000000000000301, 100),
            (std::vector<int64_t>{1700000000000000001, 1700000000000000101, 1700000000000000201}));
  EXPECT_EQ(range(INT64_MIN, INT64_MAX, INT64_MAX), (std::vector<int64_t>{INT64_MIN, -1, INT64_MAX - 1}));
  EXPECT_EQ(range(5, 0, INT64_MIN), std::vector<int64_t>{5});
  EXPECT_EQ(range(0, 5, -1), std::vector<int64_t>{});
}

//===- Casts, positions -----------------------------------------------------------------------===//

/// What does not fit, folded by the compiler and computed by the program.
TEST_P(Numbers, FloatsOutOfRangeBecomeTheSameIntegersEverywhere) {
  const std::vector<float> x{300,   -1,     -1.5f,    70000, 4294967040.0f, -3e9f, 1e19f,
                             1e30f, -1e30f, INFINITY, NAN};
  const double low32 = INT32_MIN, low64 = INT64_MIN;
  const std::pair<ElementType, std::vector<double>> cases[] = {
      {ElementType::Int8, {44, -1, -1, 112, 0, 0, 0, 0, 0, 0, 0}},
      {ElementType::UInt8, {44, 255, 255, 112, 0, 0, 0, 0, 0, 0, 0}},
      {ElementType::UInt16, {300, 65535, 65535, 4464, 0, 0, 0, 0, 0, 0, 0}},
      {ElementType::Int32, {300, -1, -1, 70000, low32, low32, low32, low32, low32, low32, 0}},
      {ElementType::UInt32, {300, 4294967295, 4294967295, 70000, 4294967040, 1294967296, 0, 0, 0, 0, 0}},
      {ElementType::Int64, {300, -1, -1, 70000, 4294967040, -3e9, low64, low64, low64, low64, 0}},
      {ElementType::UInt64,
       {300, 0x1p64, 0x1p64, 70000, 4294967040, 0x1p64 - 3e9, 1e19, 0x1p64, 0x1p63, 0x1p64, 0}},
  };
  for (bool folded : {false, true}) {
    GraphWriter graph("casts");
    if (folded)
      graph.initializer(tensor<float>("x", {int64_t(x.size())}, x));
    else
      graph.input("x", ElementType::Float32, {"n"});
    for (auto [i, c] : llvm::enumerate(cases)) {
      const std::string name = "y" + std::to_string(i);
      graph.node("Cast", {"x"}, {name}, {attributeInt("to", int64_t(c.first))}).output(name);
    }
    RunResult result = folded ? run(graph, {}) : run(graph, {vectorOf(x)});
    ASSERT_EQ(result.problem, "");
    for (auto [i, c] : llvm::enumerate(cases))
      for (size_t at = 0; at < x.size(); ++at)
        EXPECT_EQ(float(result.outputs[i].number(at)), float(c.second[at]))
            << x[at] << " to element type " << int(c.first) << (folded ? ", folded" : "");
  }
}

/// A window of the lowest number only, or of NaN, has a position, too.
TEST_P(Numbers, LargestElementsHavePositionsWhateverTheyAre) {
  GraphWriter graph("pools");
  graph.input("f", ElementType::Float32, {1, 1, "n"}).input("u", ElementType::UInt8, {1, 1, "n"});
  for (std::string name : {"f", "u"})
    graph
        .node("MaxPool", {name}, {name + "y", name + "i"},
              {attributeInts("kernel_shape", {2}), attributeInts("strides", {2})})
        .output(name + "i");
  const float low = -INFINITY;
  RunResult result = run(graph, {tensorOf<float>({1, 1, 10}, {1, 2, low, low, 3, NAN, NAN, 4, low, 5}),
                                 tensorOf<uint8_t>({1, 1, 10}, {1, 2, 0, 0, 2, 1, 0, 0, 0, 1})});
  ASSERT_EQ(result.problem, "");
  EXPECT_THAT(result.outputs[0].integers(), ElementsAre(1, 2, 5, 6, 9));
  EXPECT_THAT(result.outputs[1].integers(), ElementsAre(1, 2, 4, 6, 9));
}

//===- Interpolation, slices ----------------------------------------------------------------===//

TEST_P(Numbers, CubicResizeOfIntegersSaturates) {
  GraphWriter graph("resize");
  graph.input("x", ElementType::UInt8, {1, 1, 1, "w"}).input("z", ElementType::Int32, {1, 1, 1, "w"});
  graph.initializer(tensor<float>("s", {4}, {1, 1, 1, 2}));
  for (std::string name : {"x", "z"})
    graph.node("Resize", {name, "", "s"}, {name + "2"}, {attributeString("mode", "cubic")})
        .output(name + "2");
  const int32_t low = INT32_MIN, high = INT32_MAX;
  RunResult result =
      run(graph, {tensorOf<uint8_t>({1, 1, 1, 8}, {0, 0, 0, 255, 255, 255, 0, 0}),
                  tensorOf<int32_t>({1, 1, 1, 8}, {low, low, low, high, high, high, low, low})});
  ASSERT_EQ(result.problem, "");
  EXPECT_THAT(result.outputs[0].integers(),
              ElementsAre(0, 0, 0, 0, 0, 58, 197, 255, 255, 255, 255, 197, 58, 0, 0, 0));
  EXPECT_THAT(result.outputs[1].integers(),
              ElementsAre(low, low, low, low, low, _, _, high, high, high, high, _, _, low, low, low));
}

TEST_P(Numbers, LinearResizeKeepsAnEvenPicture) {
  GraphWriter graph("resize");
  graph.input("x", ElementType::UInt8, {1, 1, "h", "w"})
      .initializer(tensor<float>("s", {4}, {1, 1, 1.7f, 2.3f}));
  graph.node("Resize", {"x", "", "s"}, {"y"}, {attributeString("mode", "linear")}).output("y");
  RunResult result = run(graph, {tensorOf<uint8_t>({1, 1, 5, 7}, std::vector<uint8_t>(35, 77))});
  ASSERT_EQ(result.problem, "");
  EXPECT_THAT(result.outputs[0].integers(), ::testing::Each(77));
}

/// Pixels 1, 5, -2, 4 at positions from -1.2 to 4.2: a window takes the outermost pixels again and again.
TEST_P(Numbers, CubicSamplesNearABorderTakeItsPixels) {
  GraphWriter graph("samples");
  graph.input("x", ElementType::Float32, {1, 1, 1, 4}).input("g", ElementType::Float32, {1, 1, "p", 2});
  graph.node("GridSample", {"x", "g"}, {"y"},
             {attributeString("mode", "cubic"), attributeString("padding_mode", "border"),
              attributeInt("align_corners", 1)});
  const std::vector<float> row{1, 5, -2, 4},
      along{-1.8f, -1.2f, -0.9f, 0.1f, 0.9f, 1.2f, 1.8f, 1e30f, -INFINITY};
  std::vector<float> grid;
  for (float x : along)
    grid.insert(grid.end(), {x, 0});
  RunResult result =
      run(graph.output("y"),
          {tensorOf<float>({1, 1, 1, 4}, row), tensorOf<float>({1, 1, int64_t(along.size()), 2}, grid)}, 20);
  ASSERT_EQ(result.problem, "");
  for (size_t i = 0; i < along.size(); ++i) {
    const double x = std::clamp((double(along[i]) + 1) / 2 * 3, -3.0, 6.0), first = std::floor(x) - 1;
    double want = 0;
    for (int tap = 0; tap < 4; ++tap) {
      const double d = std::abs(x - first - tap), a = -0.75;
      const double weight =
          d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
      want += weight * row[std::clamp(int(first) + tap, 0, 3)];
    }
    EXPECT_NEAR(result.outputs[0].number(i), want, 2e-5) << along[i];
  }
}

TEST_P(Numbers, SlicesOfTheLargestSteps) {
  GraphWriter graph("slice");
  graph.input("x", ElementType::Float32, {"n"});
  for (const char *name : {"a", "b", "s"})
    graph.input(name, ElementType::Int64, {1});
  graph.initializer(tensor<int64_t>("axis", {1}, {0}));
  graph.node("Slice", {"x", "a", "b", "axis", "s"}, {"y"}).output("y");
  struct Case {
    int64_t start, end, step;
    std::vector<double> want;
  };
  const Case cases[] = {{0, INT64_MAX, INT64_MAX, {0}},         {-1, INT64_MIN, INT64_MIN, {7}},
                        {INT64_MAX, INT64_MIN, INT64_MIN, {7}}, {6, INT64_MIN, -3, {6, 3, 0}},
                        {INT64_MIN, INT64_MAX, 3, {0, 3, 6}},   {5, 2, 1, {}}};
  for (const Case &c : cases) {
    RunResult result = run(graph, {vectorOf<float>({0, 1, 2, 3, 4, 5, 6, 7}), vectorOf<int64_t>({c.start}),
                                   vectorOf<int64_t>({c.end}), vectorOf<int64_t>({c.step})});
    ASSERT_EQ(result.problem, "");
    EXPECT_EQ(result.outputs[0].numbers(), llvm::SmallVector<double>(c.want.begin(), c.want.end())) << c.step;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Numbers, ::testing::ValuesIn(testedTargets()),
                         [](const auto &info) { return testName(info.param, ""); });

} // namespace
