// Elementary functions of compiled code, value by value: within a bound of the true value, inside the
// function's range, monotone where the function is, and exact where the true value is a float. All values of
// f16 and bf16; a sample of f32 and f64, of which TILEWRIGHT_SWEEP_BITS=28 makes 2^28 floats (32: all of
// them).
#include "tests/compiler/Functions.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;
using graph::BinaryKind;
using graph::UnaryKind;

namespace {

std::unique_ptr<CompiledProgram> compiled(const std::string &target, llvm::StringRef type,
                                          const Function &function) {
  auto program = std::make_unique<CompiledProgram>(target);
  GraphProgram p(program->compilation.mlirContext());
  Value x = p.input({p.symbols.input("n")}, p.type(type));
  EXPECT_TRUE(p.finish(function.build(p.g, x)));
  EXPECT_EQ(program->compile(std::move(p.module)), "");
  return program;
}

Tensor run(CompiledProgram &program, const Tensor &inputs) {
  RunResult result = program.run(inputs, 1);
  EXPECT_EQ(result.problem, "");
  return result.outputs.front();
}

using Parameters = std::tuple<std::string, llvm::StringRef>; ///< target and element type
class Functions : public ::testing::TestWithParam<Parameters> {};

TEST_P(Functions, StayWithinTheirBounds) {
  auto [target, type] = GetParam();
  for (const Function &function : allFunctions()) {
    auto program = compiled(target, type, function);
    Checker checker(function, elementType(program->compilation.mlirContext(), type));
    for (Sweep sweep(checker.type()); !sweep.atEnd();) {
      Tensor inputs = sweep.next();
      checker.check(inputs, run(*program, inputs));
    }
    EXPECT_EQ(checker.problems(), "") << function.name << " of " << type.str() << " on " << target;
    if (std::getenv("TILEWRIGHT_SWEEP_BITS"))
      llvm::outs() << checker.summary() << "\n";
  }
}

TEST_P(Functions, AreExactAtSpecialValuesAlsoInTheInterpreter) {
  auto [target, type] = GetParam();
  for (const Function &function : allFunctions()) {
    auto program = compiled(target, type, function);
    Checker checker(function, elementType(program->compilation.mlirContext(), type));
    Tensor inputs = specialValues(checker.type());
    Tensor interpreted = program->interpret(inputs).outputs.front();
    EXPECT_EQ(checker.differenceFromRounded(inputs, interpreted), "") << function.name << ", interpreted";
    EXPECT_EQ(checker.differenceWhereExact(inputs, run(*program, inputs)), "")
        << function.name << " of " << type.str() << " on " << target;
  }
}

/// Tails are masked lanes: a value does not depend on where it stands.
TEST_P(Functions, DependOnNoOtherElement) {
  auto [target, type] = GetParam();
  for (const Function &function : allFunctions()) {
    auto program = compiled(target, type, function);
    Tensor all = specialValues(elementType(program->compilation.mlirContext(), type));
    Tensor expected = run(*program, all);
    for (int64_t size = 1; size <= 40; ++size)
      EXPECT_TRUE(identical(run(*program, part(all, size)), part(expected, size)))
          << function.name << " of " << type.str() << " at size " << size;
  }
}

/// Results of the C library, as IEEE 754 wants them, for all pairs of special values.
TEST_P(Functions, OfTwoOperandsAreTheInterpreters) {
  auto [target, name] = GetParam();
  for (BinaryKind kind : {BinaryKind::pow, BinaryKind::rem, BinaryKind::mod, BinaryKind::atan2}) {
    CompiledProgram program(target);
    GraphProgram p(program.compilation.mlirContext());
    Type type = p.type(name);
    AffineExpr n = p.symbols.input("n");
    Value x = p.input({n}, type), y = p.input({n}, type);
    ASSERT_TRUE(p.finish(p.g.binary(kind, x, y)));
    ASSERT_EQ(program.compile(std::move(p.module)), "");
    auto [lhs, rhs] = allPairs(specialValues(type));
    RunResult got = program.run({lhs, rhs}, 1), want = program.interpret({lhs, rhs});
    ASSERT_EQ(got.problem, "");
    const bool isNarrow = type.getIntOrFloatBitWidth() < 32; // rounded to f32 before
    std::string difference = differenceBeyond(isNarrow ? 1 : 0, got.outputs.front(), want.outputs.front());
    EXPECT_EQ(difference, "") << graph::stringifyBinaryKind(kind).str() << " of " << name.str() << " on "
                              << target;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Functions,
                         ::testing::Combine(::testing::ValuesIn(testedTargets()),
                                            ::testing::Values("f32", "f16", "bf16", "f64")),
                         [](const auto &info) {
                           return testName(std::get<0>(info.param), std::get<1>(info.param));
                         });

//===- Subnormal numbers --------------------------------------------------------------------===//

constexpr double tiny = 1e-40;

/// x W and functions of it, x of one subnormal number, W of ones; and a sign taken after the product.
class Subnormals : public ::testing::TestWithParam<std::string> {
protected:
  using Build = llvm::function_ref<llvm::SmallVector<Value>(GraphProgram &, Value x, Value product)>;

  /// The elements of each output: tensors would not outlive their program.
  std::vector<std::vector<double>> run(double x, Build build) {
    CompiledProgram program(GetParam());
    GraphProgram p(program.compilation.mlirContext());
    Value in = p.input({4, 64}, p.type("f32")), weight = p.input({64, 32}, p.type("f32"));
    EXPECT_TRUE(p.finish(build(p, in, p.g.matmul(in, weight))));
    EXPECT_EQ(program.compile(std::move(p.module)), "");
    Tensor lhs(elementType(program.compilation.mlirContext(), "f32"), {4, 64});
    Tensor ones(lhs.elementType, {64, 32});
    for (int64_t row = 0; row < 4; ++row)
      lhs.setNumber(row * 64, x);
    for (int64_t i = 0; i < ones.size(); ++i)
      ones.setNumber(i, 1);
    RunResult result = program.run({lhs, ones}, 2);
    EXPECT_EQ(result.problem, "");
    std::vector<std::vector<double>> numbers;
    for (const Tensor &output : result.outputs)
      for (int64_t i = (numbers.emplace_back(), 0); i < output.size(); ++i)
        numbers.back().push_back(output.number(i));
    return numbers;
  }
};

TEST_P(Subnormals, CountInProductsWhereASignIsTakenOfThem) {
  auto outputs = run(-tiny, [](GraphProgram &p, Value, Value product) -> llvm::SmallVector<Value> {
    return {p.g.unary(UnaryKind::sign, product)};
  });
  EXPECT_EQ(outputs.at(0).at(5), -1);
}

TEST_P(Subnormals, AreZeroInPlainProductsAndNumbersAgainAfter) {
  auto outputs = run(1, [](GraphProgram &p, Value x, Value product) -> llvm::SmallVector<Value> {
    Value one = p.g.reduce(graph::ReduceKind::rmax, product, {0, 1}); // after the product
    Value small = p.g.mul(p.g.broadcastTo(one, dimsOf(x)), p.g.broadcastTo(p.g.like(x, tiny), dimsOf(x)));
    return {product, p.g.unary(UnaryKind::sign, small), small};
  });
  EXPECT_EQ(outputs.at(0).at(0), 1);
  EXPECT_EQ(outputs.at(1).at(7), 1);
  EXPECT_EQ(outputs.at(2).at(7), double(float(tiny)));
  outputs = run(tiny, [](GraphProgram &, Value, Value product) { return llvm::SmallVector<Value>{product}; });
  EXPECT_EQ(outputs.at(0).at(0), 0);
}

INSTANTIATE_TEST_SUITE_P(Targets, Subnormals, ::testing::ValuesIn(testedTargets()),
                         [](const auto &info) { return testName(info.param, "f32"); });

/// A new kind of unary function is swept as soon as it is registered.
TEST(FunctionCoverage, EveryUnaryKindOfFloatsIsSwept) {
  for (uint64_t value = 0; value <= graph::getMaxEnumValForUnaryKind(); ++value) {
    std::string name = graph::stringifyUnaryKind(UnaryKind(value)).str();
    bool isNoFunctionOfFloats =
        llvm::is_contained({UnaryKind::bitnot, UnaryKind::isnan, UnaryKind::isinf}, UnaryKind(value));
    bool isSwept = llvm::any_of(allFunctions(), [&](const Function &f) { return f.name == name; });
    EXPECT_NE(isNoFunctionOfFloats, isSwept) << name;
  }
}

} // namespace
