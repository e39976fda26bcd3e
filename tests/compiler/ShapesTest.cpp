// Models whose sizes, indices and counts are only known when they run, with inputs that fit and with inputs
// that violate what operators assume of them, in code with bounds checks and red zones, between guard pages.
// A run ends with the right values or with an error that names the operator: never outside a buffer, never by
// a signal.
#include "tests/compiler/Support.h"
#include "tests/support/ShapeCases.h"
#include <gtest/gtest.h>
#include <sys/resource.h>

using namespace tilewright;
using namespace tilewright::tests;

namespace {

/// Of each operator: models, and violating inputs for each. TILEWRIGHT_SHAPES=N multiplies the models.
constexpr unsigned models = 2, violations = 24;

unsigned modelCount() {
  const char *factor = std::getenv("TILEWRIGHT_SHAPES");
  return models * (factor ? std::max(1, std::atoi(factor)) : 1);
}

/// Requests for terabytes fail at once.
void limitMemory() {
  rlimit limit{uint64_t(16) << 30, uint64_t(16) << 30};
  setrlimit(RLIMIT_AS, &limit);
}

/// Where an error happened is said: errors in a run name the operator, errors about inputs the input.
bool isClear(const RunResult &result) {
  llvm::StringRef code(result.problem);
  return !result.op.empty() || code.starts_with("TW42") || code.starts_with("TW43");
}

bool isRefusal(llvm::StringRef problem) {
  return problem.starts_with("TW2") || problem.starts_with("TW1") || problem.starts_with("TW3");
}

std::string describe(llvm::ArrayRef<Tensor> inputs) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (const Tensor &tensor : inputs) {
    stream << " " << tensor.describe();
    if (interpreter::isFloat(tensor.elementType) || tensor.size() > 8)
      continue;
    stream << "=";
    for (int64_t i = 0; i < tensor.size(); ++i)
      stream << (i ? "," : "") << tensor.integer(i);
  }
  return text;
}

/// What is wrong with a run on inputs that need not fit, or "".
std::string judge(CompiledProgram &program, llvm::ArrayRef<Tensor> inputs) {
  RunResult one = program.run(inputs, 1), two = program.run(inputs, 2);
  if (one.status != two.status)
    return "ends differently with two threads: " + one.problem + " / " + two.problem;
  if (one.status)
    return one.status == TW_INTERNAL || !isClear(one) ? one.problem : "";
  std::string difference = differenceFromInterpreter(program, inputs, one.outputs, Agreement::Rounding);
  for (auto [first, second] : llvm::zip(one.outputs, two.outputs))
    if (difference.empty())
      difference = compareTensors(second, first, Agreement::Exact);
  return difference;
}

using Parameters = std::tuple<std::string, ShapeTemplate>;
class RuntimeShapes : public ::testing::TestWithParam<Parameters> {};

TEST_P(RuntimeShapes, AreCheckedOrRight) {
  limitMemory();
  auto &[target, shape] = GetParam();
  for (unsigned number = 0, compiled = 0; compiled < modelCount(); ++number) {
    SCOPED_TRACE(std::string(shape.name) + " " + std::to_string(number));
    ShapeCase model(number);
    shape.build(model);
    CompiledProgram program(target);
    // Some sizes must be known, which is said; but others need not be.
    if (std::string problem = program.compileModel(model.model()); !problem.empty()) {
      ASSERT_TRUE(number < 5 * modelCount() && isRefusal(problem)) << problem;
      continue;
    }
    ++compiled;
    auto main = program.original().lookupSymbol<mlir::func::FuncOp>("main");
    auto fitting = model.fittingInputs(main.getArgumentTypes());
    EXPECT_EQ(checkAgainstInterpreter(program, {fitting}, Agreement::Rounding), "") << describe(fitting);
    for (unsigned i = 0; i < violations; ++i) {
      auto inputs = model.violatingInputs(main.getArgumentTypes());
      EXPECT_EQ(judge(program, inputs), "") << describe(inputs);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, RuntimeShapes,
                         ::testing::Combine(::testing::ValuesIn(checkedTargets()),
                                            ::testing::ValuesIn(shapeTemplates())),
                         [](const auto &info) {
                           return testName(std::get<0>(info.param), std::get<1>(info.param).name);
                         });

} // namespace
