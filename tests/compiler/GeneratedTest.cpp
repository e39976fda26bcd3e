// Generated kernels against the interpreter: every op of the graph dialect, on every target that this machine
// runs, over generated shapes, element types and neighbours; dynamic cases at several sizes from one
// artifact; one thread and two bit for bit.
#include "ir/Constraints.h"
#include "tests/compiler/Support.h"
#include "tests/support/GraphGenerator.h"
#include "llvm/ADT/TypeSwitch.h"
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>

using namespace mlir;
using namespace tilewright;
using namespace tilewright::tests;

namespace {

constexpr uint64_t seed = 20;

/// Ops that have no cases of their own, and why.
const std::map<llvm::StringRef, llvm::StringRef> &exemptOps() {
  static const std::map<llvm::StringRef, llvm::StringRef> ops = {
      {"require", "taken out before passes run: SizesTest.cpp has it, from models"},
      {"weight", "a constant stored in a file: OperatorsTest.cpp has them, from models"},
      {"yield", "the end of a branch or body: the cases of if and loop have it"},
  };
  return ops;
}

/// Kinds are many, and so are pairs of element types.
unsigned casesOf(llvm::StringRef op) {
  if (op == "unary")
    return 160;
  return llvm::is_contained({"binary", "cast", "conv", "contract", "scatter_elements"}, op) ? 50 : 25;
}

/// Enough for a minute; all of them with TILEWRIGHT_ALL_CASES set.
unsigned checkedCasesOf(llvm::StringRef op) {
  return std::getenv("TILEWRIGHT_ALL_CASES") ? casesOf(op) : casesOf(op) / 5;
}

func::FuncOp mainOf(ModuleOp module) { return module.lookupSymbol<func::FuncOp>("main"); }

/// The elements of `from`, over and over.
Tensor resized(const Tensor &from, llvm::ArrayRef<int64_t> shape) {
  Tensor result(from.elementType, shape);
  for (int64_t i = 0; i < result.size() && from.size(); ++i)
    std::memcpy(result.mutableData() + i * interpreter::storedBytes(from.elementType),
                from.data() + i % from.size() * interpreter::storedBytes(from.elementType),
                interpreter::storedBytes(from.elementType));
  return result;
}

/// Sizes follow from the symbols, and none is negative.
bool isShape(ModuleOp module, llvm::ArrayRef<int64_t> symbols, const tilewright::SymbolTable &table) {
  auto negative = [&](AffineExpr dim) {
    auto used = symbolsIn(dim);
    return llvm::all_of(used, [&](unsigned s) { return table[s].origin == Symbol::Input; }) &&
           *evaluate(dim, symbols) < 0;
  };
  return !module
              .walk([&](Operation *op) {
                for (Value result : op->getResults())
                  if (llvm::any_of(dimsOf(result), negative))
                    return WalkResult::interrupt();
                return WalkResult::advance();
              })
              .wasInterrupted();
}

/// The inputs of a dynamic case at other sizes, or nothing where these would be no sizes.
std::optional<llvm::SmallVector<Tensor>> atOtherSizes(ModuleOp module, llvm::ArrayRef<Tensor> inputs,
                                                      bool mayShrink, std::mt19937_64 &random) {
  tilewright::SymbolTable table(module);
  llvm::SmallVector<int64_t> symbols;
  auto types = mainOf(module).getArgumentTypes();
  if (llvm::errorToBool(interpreter::bindSymbols(types, inputs, module.getLoc(), symbols)))
    return std::nullopt;
  bool changed = false;
  for (unsigned i = 0; i < symbols.size(); ++i) {
    if (table[i].origin != Symbol::Input || !interpreter::isBoundValue(symbols[i]))
      continue;
    int64_t size = symbols[i], sizes[] = {size, size + 1, std::min<int64_t>(2 * size + 1, size + 40), 1};
    symbols[i] = std::clamp(sizes[random() % (mayShrink ? 4 : 3)], table[i].lo, table[i].hi);
    changed |= symbols[i] != size;
  }
  if (!changed || !isShape(module, symbols, table))
    return std::nullopt;
  llvm::SmallVector<Tensor> result;
  for (auto [type, tensor] : llvm::zip(types, inputs)) {
    interpreter::Shape shape;
    for (AffineExpr dim : dimsOf(type))
      shape.push_back(*evaluate(dim, symbols));
    if (interpreter::elementCount(shape) > 100000)
      return std::nullopt;
    result.push_back(resized(tensor, shape));
  }
  return result;
}

/// The inputs of a case with dimensions of other sizes, each by itself: they need not fit together.
llvm::SmallVector<Tensor> unfitting(ModuleOp module, llvm::ArrayRef<Tensor> inputs, std::mt19937_64 &random) {
  llvm::SmallVector<Tensor> result;
  for (auto [type, tensor] : llvm::zip(mainOf(module).getArgumentTypes(), inputs)) {
    interpreter::Shape shape(tensor.shape.begin(), tensor.shape.end());
    for (auto [dim, size] : llvm::enumerate(shape))
      if (llvm::cast<RankedTensorType>(type).isDynamicDim(unsigned(dim)) && random() % 2)
        size = std::array<int64_t, 5>{0, 1, size + 1, size - 1, 2 * size}[random() % 5];
    for (int64_t &size : shape)
      size = std::max<int64_t>(size, 0);
    result.push_back(resized(tensor, shape));
  }
  return result;
}

/// Under bounds checks, inputs that fit nothing end with an error, or run to the interpreter's values.
std::string runUnfitting(CompiledProgram &program, llvm::ArrayRef<Tensor> inputs, bool exact,
                         std::mt19937_64 &random) {
  for (int i = 0; i < 12; ++i) {
    auto given = unfitting(program.original(), inputs, random);
    RunResult got = program.run(given, 1);
    if (got.status == TW_INTERNAL)
      return got.problem;
    if (got.status)
      continue;
    if (std::string difference = differenceFromInterpreter(program, given, got.outputs,
                                                           exact ? Agreement::Exact : Agreement::Rounding);
        !difference.empty())
      return difference;
  }
  return "";
}

std::string runCase(const std::string &target, llvm::StringRef op, unsigned number) {
  CompiledProgram program(target);
  // One case a seed, so that each can be made again alone, in the compilation's own context.
  auto generated =
      std::move(generateCases(program.compilation.mlirContext(), op, seed * 1000 + number, 1).front());
  if (std::string problem = program.compile(std::move(generated.module)); !problem.empty())
    return "does not compile: " + problem;
  llvm::SmallVector<llvm::SmallVector<Tensor>> inputSets{generated.inputs};
  std::mt19937_64 random(number);
  bool mayShrink = op != "slice" && op != "pad"; // what these take away is more than a smaller size has
  for (int i = 0; i < 2; ++i)
    if (auto inputs = atOtherSizes(program.original(), generated.inputs, mayShrink, random))
      inputSets.push_back(*inputs);
  std::string difference =
      checkAgainstInterpreter(program, inputSets, generated.exact ? Agreement::Exact : Agreement::Rounding);
  if (difference.empty() && isChecked(target))
    difference = runUnfitting(program, generated.inputs, generated.exact, random);
  if (difference.empty())
    return "";
  llvm::raw_string_ostream(difference) << "\n" << program.original();
  return difference;
}

/// The inputs of fixed size become constants of the program.
void makeConstant(GeneratedCase &generated) {
  func::FuncOp main = mainOf(*generated.module);
  OpBuilder builder(main.getBody());
  for (unsigned i = main.getNumArguments(); i-- > 0;) {
    auto type = llvm::cast<RankedTensorType>(main.getArgument(i).getType());
    if (!type.hasStaticShape())
      continue;
    auto constant =
        graph::ConstantOp::create(builder, main.getLoc(), type, generated.inputs[i].toAttribute());
    main.getArgument(i).replaceAllUsesWith(constant.getResult());
    (void)main.eraseArgument(i);
    generated.inputs.erase(generated.inputs.begin() + i);
  }
}

/// A case whose operands are constants: computed by the folder, or by kernels.
std::string runConstantCase(const std::string &target, llvm::StringRef op, unsigned number, bool fold) {
  CompiledProgram program(target, fold);
  auto generated =
      std::move(generateCases(program.compilation.mlirContext(), op, seed * 1000 + number, 1).front());
  makeConstant(generated);
  if (std::string problem = program.compile(std::move(generated.module)); !problem.empty())
    return "does not compile: " + problem;
  return checkAgainstInterpreter(program, {generated.inputs},
                                 generated.exact ? Agreement::Exact : Agreement::Rounding);
}

using Parameters = std::tuple<std::string, llvm::StringRef>; ///< target and op
class GeneratedKernels : public ::testing::TestWithParam<Parameters> {};

TEST_P(GeneratedKernels, AgreeWithTheInterpreter) {
  auto [target, op] = GetParam();
  unsigned count = isChecked(target) ? checkedCasesOf(op) : casesOf(op);
  for (unsigned number = 0; number < count; ++number) {
    EXPECT_EQ(runCase(target, op, number), "") << op.str() << " " << number << " " << target;
  }
}

/// The interpreter folds, and it is the oracle: only kernels show a mistake that is in both.
TEST_P(GeneratedKernels, AgreeOnConstantsFoldedOrNot) {
  auto [target, op] = GetParam();
  for (unsigned number = 0; number < 4; ++number)
    for (bool fold : {false, true})
      EXPECT_EQ(runConstantCase(target, op, number, fold), "")
          << op.str() << " " << number << " " << target << (fold ? ", folded" : ", not folded");
}

INSTANTIATE_TEST_SUITE_P(Targets, GeneratedKernels,
                         ::testing::Combine(::testing::ValuesIn(testedTargets()),
                                            ::testing::ValuesIn(generatedOps().vec())),
                         [](const auto &info) {
                           return testName(std::get<0>(info.param), std::get<1>(info.param));
                         });

/// With bounds checks and red zones: other cases would find little more, so there are fewer.
INSTANTIATE_TEST_SUITE_P(Checked, GeneratedKernels,
                         ::testing::Combine(::testing::ValuesIn(checkedTargets()),
                                            ::testing::ValuesIn(generatedOps().vec())),
                         [](const auto &info) {
                           return testName(std::get<0>(info.param), std::get<1>(info.param));
                         });

//===- Nothing is left out ---------------------------------------------------------------===//

TEST(Coverage, EveryOpHasCasesOrAReason) {
  CompiledProgram program("cpu:haswell");
  for (RegisteredOperationName name :
       program.compilation.mlirContext().getRegisteredOperationsByDialect("graph")) {
    llvm::StringRef op = name.stripDialect();
    EXPECT_NE(llvm::is_contained(generatedOps(), op), exemptOps().count(op) == 1)
        << "graph." << op.str() << ": needs cases in tests/support, or a reason in exemptOps(); not both";
  }
}

/// Also that there is nothing to say is an answer, with a reason beside it (ir/Constraints.cpp).
TEST(Coverage, EveryOpSaysWhatItsSizesRestOn) {
  CompiledProgram program("cpu:haswell");
  for (RegisteredOperationName name :
       program.compilation.mlirContext().getRegisteredOperationsByDialect("graph"))
    EXPECT_TRUE(hasConstraintAnswer(name.getStringRef()))
        << name.getStringRef().str() << ": needs an answer in ir/Constraints.cpp";
}

/// Of every op with kinds, all kinds: a new one is tested as soon as it is registered.
TEST(Coverage, EveryKindHasCases) {
  std::map<std::string, std::set<uint64_t>> seen;
  auto context = std::make_unique<CompiledProgram>("cpu:haswell");
  for (llvm::StringRef op : {"unary", "binary", "compare", "reduce", "window", "pad", "scatter_elements"})
    for (unsigned number = 0; number < casesOf(op); ++number) {
      auto generated =
          std::move(generateCases(context->compilation.mlirContext(), op, seed * 1000 + number, 1).front());
      generated.module->walk([&](Operation *inner) {
        llvm::TypeSwitch<Operation *>(inner)
            .Case([&](graph::UnaryOp o) { seen["unary"].insert(uint64_t(o.getKind())); })
            .Case([&](graph::BinaryOp o) { seen["binary"].insert(uint64_t(o.getKind())); })
            .Case([&](graph::CompareOp o) { seen["compare"].insert(uint64_t(o.getKind())); })
            .Case([&](graph::ReduceOp o) { seen["reduce"].insert(uint64_t(o.getKind())); })
            .Case([&](graph::WindowOp o) { seen["window"].insert(uint64_t(o.getKind())); })
            .Case([&](graph::PadOp o) { seen["pad"].insert(uint64_t(o.getMode())); })
            .Case([&](graph::ScatterElementsOp o) { seen["scatter"].insert(uint64_t(o.getKind())); });
      });
    }
  EXPECT_EQ(seen["unary"].size(), graph::getMaxEnumValForUnaryKind() + 1);
  EXPECT_EQ(seen["binary"].size(), graph::getMaxEnumValForBinaryKind() + 1);
  EXPECT_EQ(seen["compare"].size(), graph::getMaxEnumValForCompareKind() + 1);
  EXPECT_EQ(seen["reduce"].size(), graph::getMaxEnumValForReduceKind() + 1);
  EXPECT_EQ(seen["window"].size(), graph::getMaxEnumValForWindowKind() + 1);
  EXPECT_EQ(seen["pad"].size(), graph::getMaxEnumValForPadMode() + 1);
  EXPECT_EQ(seen["scatter"].size(), graph::getMaxEnumValForScatterKind() + 1);
}

} // namespace
