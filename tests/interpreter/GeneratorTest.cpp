/// The generated cases: each verifies, runs, and is the same for the same seed.
#include "tests/interpreter/Support.h"
#include "tests/support/GraphGenerator.h"

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;

namespace {

class GeneratorTest : public ::testing::TestWithParam<llvm::StringRef> {
protected:
  std::unique_ptr<MLIRContext> context = makeContext();
  Outcome run(GeneratedCase &generated) {
    interpreter::Evaluator evaluator(*generated.module);
    return toOutcome(evaluator.run(*generated.module->getOps<func::FuncOp>().begin(), generated.inputs));
  }
  static std::string text(GeneratedCase &generated) {
    std::string result;
    llvm::raw_string_ostream stream(result);
    generated.module->print(stream);
    return result;
  }
};

TEST_P(GeneratorTest, CasesRun) {
  size_t dynamic = 0, withOp = 0;
  for (GeneratedCase &generated : generateCases(*context, GetParam(), 1, 200)) {
    std::string program = text(generated);
    Outcome outcome = run(generated);
    ASSERT_FALSE(outcome.kind) << generated.description << ": " << outcome.message << "\n" << program;
    dynamic += program.find('?') != std::string::npos;
    withOp += program.find("graph." + GetParam().str()) != std::string::npos;
  }
  EXPECT_GT(withOp, 50u); // trivial ones (a cast to the same type, dims of a static shape) are not built
  if (GetParam() != "constant")
    EXPECT_GT(dynamic, 20u);
}

/// As the inputs of compiled models: each dimension is a constant or a symbol, not an expression.
TEST_P(GeneratorTest, InputsHavePlainDimensions) {
  for (GeneratedCase &generated : generateCases(*context, GetParam(), 3, 50))
    for (Type input : (*generated.module->getOps<func::FuncOp>().begin()).getArgumentTypes())
      for (AffineExpr dim : dimsOf(input))
        EXPECT_TRUE(constantOf(dim) || isa<AffineSymbolExpr>(dim)) << generated.description;
}

TEST_P(GeneratorTest, SeedsDecide) {
  auto first = generateCases(*context, GetParam(), 7, 5), again = generateCases(*context, GetParam(), 7, 5);
  auto other = generateCases(*context, GetParam(), 8, 5);
  bool differs = false;
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(text(first[i]), text(again[i]));
    for (size_t j = 0; j < first[i].inputs.size(); ++j)
      EXPECT_TRUE(identical(first[i].inputs[j], again[i].inputs[j]));
    differs |= text(first[i]) != text(other[i]);
  }
  EXPECT_TRUE(differs);
}

INSTANTIATE_TEST_SUITE_P(Ops, GeneratorTest, ::testing::ValuesIn(generatedOps().vec()),
                         [](const auto &info) { return info.param.str(); });

} // namespace
