#include "ir/Graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tests/frontend/Support.h"
#include "tests/support/OnnxWriter.h"
#include <chrono>
#include <cstring>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace tilewright;
using namespace tilewright::onnxwriter;
using testing::HasSubstr;

namespace {

class Importer : public testing::Test {
protected:
  std::unique_ptr<mlir::MLIRContext> context = tests::makeImportContext();
  std::string bytes; // the model points into them

  tests::Imported import(const GraphWriter &graph, const frontend::ImportOptions &options = {},
                         int64_t opset = 17) {
    bytes = ModelWriter(graph).opset(opset).bytes();
    return tests::importBytes(bytes, *context, options);
  }
};

TEST_F(Importer, NamesInputsAndOutputs) {
  auto imported = import(GraphWriter("g")
                             .input("x", ElementType::Float32, {"N", 4})
                             .node("Relu", {"x"}, {"y"})
                             .output("y", ElementType::Float32, {"N", 4}));
  ASSERT_TRUE(imported.ok()) << imported.problems;
  auto main = imported.main();
  EXPECT_EQ(llvm::cast<mlir::StringAttr>(main->getAttrOfType<mlir::ArrayAttr>("graph.input_names")[0]), "x");
  EXPECT_EQ(llvm::cast<mlir::StringAttr>(main->getAttrOfType<mlir::ArrayAttr>("graph.output_names")[0]), "y");
  EXPECT_EQ(main.getArgumentTypes()[0], main.getResultTypes()[0]);
  SymbolTable symbols(*imported.result.module);
  ASSERT_EQ(symbols.size(), 1u);
  EXPECT_EQ(symbols[0].name, "N");
}

TEST_F(Importer, RangesOfDimensionsFixThem) {
  GraphWriter graph("g");
  graph.input("x", ElementType::Float32, {"N", "T", ""})
      .node("Relu", {"x"}, {"y"})
      .output("y", ElementType::Float32, {});
  auto imported = import(graph, {{{"N", 2, 2}, {"T", 1, 512}}});
  ASSERT_TRUE(imported.ok()) << imported.problems;
  auto dims = dimsOf(imported.main().getArgumentTypes()[0]);
  EXPECT_EQ(constantOf(dims[0]), 2);
  SymbolTable symbols(*imported.result.module);
  EXPECT_EQ(symbols.upperBound(dims[1]), 512);
  EXPECT_EQ(toText(dims[2], symbols.names()), "x_2");
  EXPECT_THAT(import(graph, {{{"M", 2, 2}}}).problems, HasSubstr("TW1208"));
}

TEST_F(Importer, ReportsEveryProblemOnceAndSkipsWhatFollows) {
  auto imported = import(GraphWriter("g")
                             .input("x", ElementType::Float32, {4})
                             .node("Rellu", {"x"}, {"a"})
                             .node("Relu", {"a"}, {"b"})
                             .node("Frobnicate", {"x"}, {"c"})
                             .node("Add", {"b", "c"}, {"y"})
                             .output("y", ElementType::Float32, {4}));
  ASSERT_EQ(imported.result.diagnostics.size(), 2u) << imported.problems;
  EXPECT_EQ(imported.result.diagnostics[0].code, "TW1201");
  EXPECT_EQ(imported.result.diagnostics[0].hint, "did you mean Relu?");
  EXPECT_EQ(imported.result.diagnostics[1].op, "Frobnicate");
  EXPECT_FALSE(imported.result.module);
}

std::string branch(const std::string &op, const Names &inputs, const std::string &result) {
  return GraphWriter("branch").node(op, inputs, {result}).output(result, ElementType::Float32, {}).bytes();
}

/// Also behind each other, in branches, and in functions.
TEST_F(Importer, ReportsEveryUnknownOperator) {
  FunctionWriter function("local", "Call", {"a"}, {"b"});
  function.opset(17).node("UnknownInFunction", {"a"}, {"b"});
  GraphWriter graph("g");
  graph.input("x", ElementType::Float32, {4}).input("which", ElementType::Bool, {});
  graph.node("Unknown1", {"x"}, {"a"}).node("Unknown2", {"a"}, {"b"}).node("Relu", {"b"}, {"r"});
  graph.node("If", {"which"}, {"c"},
             {attributeGraph("then_branch", branch("UnknownInBranch", {"r"}, "t")),
              attributeGraph("else_branch", branch("Relu", {"r"}, "e"))});
  graph.node("Call", {"c"}, {"d"}, {}, "local").node("Unknown3", {"d"}, {"y"}).output("y");
  bytes = ModelWriter(graph).opset(17).opset(1, "local").function(function).bytes();
  auto imported = tests::importBytes(bytes, *context);
  std::vector<std::string> operators;
  for (const frontend::Diagnostic &problem : imported.result.diagnostics)
    operators.push_back(problem.op);
  EXPECT_THAT(operators, testing::UnorderedElementsAre("Unknown1", "Unknown2", "UnknownInBranch",
                                                       "UnknownInFunction", "Unknown3"));
}

TEST_F(Importer, RefusesShapesThatDoNotBroadcast) {
  auto imported = import(GraphWriter("g")
                             .input("x", ElementType::Float32, {2, 3})
                             .input("w", ElementType::Float32, {2, 4})
                             .node("Add", {"x", "w"}, {"y"})
                             .output("y", ElementType::Float32, {}));
  EXPECT_THAT(imported.problems, HasSubstr("TW2002"));
  EXPECT_THAT(imported.problems, HasSubstr("[2, 3], [2, 4]"));
}

TEST_F(Importer, ComputedShapesDisappear) {
  auto imported = import(GraphWriter("g")
                             .input("x", ElementType::Float32, {"N", 4, 6})
                             .initializer(tensor<int64_t>("zero", {1}, {0}))
                             .initializer(tensor<int64_t>("rest", {1}, {-1}))
                             .node("Shape", {"x"}, {"shape"})
                             .node("Gather", {"shape", "zero"}, {"batch"})
                             .node("Concat", {"batch", "rest"}, {"target"}, {attributeInt("axis", 0)})
                             .node("Reshape", {"x", "target"}, {"y"})
                             .output("y", ElementType::Float32, {}));
  ASSERT_TRUE(imported.ok()) << imported.problems;
  auto dims = dimsOf(imported.main().getResultTypes()[0]);
  ASSERT_EQ(dims.size(), 2u);
  EXPECT_EQ(dims[0], dimsOf(imported.main().getArgumentTypes()[0])[0]);
  EXPECT_EQ(constantOf(dims[1]), 24);
}

TEST_F(Importer, SlicesOfUnknownSizesKeepComparableSizes) {
  auto imported = import(GraphWriter("g")
                             .input("x", ElementType::Float32, {"N"})
                             .initializer(tensor<int64_t>("zero", {1}, {0}))
                             .initializer(tensor<int64_t>("one", {1}, {1}))
                             .initializer(tensor<int64_t>("last", {1}, {-1}))
                             .initializer(tensor<int64_t>("end", {1}, {INT64_MAX}))
                             .node("Slice", {"x", "one", "end"}, {"a"})
                             .node("Slice", {"x", "zero", "last"}, {"b"})
                             .node("Sub", {"a", "b"}, {"y"})
                             .output("y", ElementType::Float32, {}));
  ASSERT_TRUE(imported.ok()) << imported.problems;
  int broadcasts = 0;
  imported.main().walk([&](graph::BroadcastOp) { ++broadcasts; });
  EXPECT_EQ(broadcasts, 0) << "N - 1 was not recognised as one size";
}

TEST_F(Importer, LargeRawDataStaysInItsFile) {
  std::string path = testing::TempDir() + "/weights.onnx";
  std::vector<float> values(1000, 0.5f);
  bytes = ModelWriter(GraphWriter("g")
                          .input("x", ElementType::Float32, {1000})
                          .initializer(tensor<float>("w", {1000}, values))
                          .node("Add", {"x", "w"}, {"y"})
                          .output("y", ElementType::Float32, {}))
              .opset(17)
              .bytes();
  std::ofstream(path, std::ios::binary) << bytes;
  auto imported = tests::importFile(path, *context);
  ASSERT_TRUE(imported.ok()) << imported.problems;
  bool found = false;
  imported.main().walk([&](graph::WeightOp weight) {
    found = true;
    EXPECT_EQ(weight.getLength(), 4000u);
    float first;
    std::memcpy(&first, bytes.data() + weight.getOffset(), sizeof first);
    EXPECT_EQ(first, 0.5f);
  });
  EXPECT_TRUE(found);
}

TEST_F(Importer, ImportsTenThousandNodesInLinearTime) {
  auto seconds = [&](int count) {
    GraphWriter graph("g");
    graph.input("v0", ElementType::Float32, {"N", 8});
    for (int index = 0; index < count; ++index)
      graph.node("Relu", {"v" + std::to_string(index)}, {"v" + std::to_string(index + 1)});
    graph.output("v" + std::to_string(count), ElementType::Float32, {});
    auto start = std::chrono::steady_clock::now();
    auto imported = import(graph);
    EXPECT_TRUE(imported.ok()) << imported.problems;
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  double small = seconds(1000), large = seconds(10000);
  EXPECT_LT(large, 40 * small + 0.5);
}

/// A branch of an If: one node on outer values.
TEST_F(Importer, DecidedConditionsLeaveOneBranch) {
  auto imported = import(GraphWriter("g")
                             .input("x", ElementType::Float32, {4})
                             .initializer(tensorInt32Data("yes", ElementType::Bool, {}, {1}))
                             .node("If", {"yes"}, {"y"},
                                   {attributeGraph("then_branch", branch("Relu", {"x"}, "a")),
                                    attributeGraph("else_branch", branch("NoSuchOperator", {"x"}, "b"))})
                             .output("y", ElementType::Float32, {}));
  ASSERT_TRUE(imported.ok()) << imported.problems;
  imported.main().walk([](graph::IfOp) { ADD_FAILURE() << "an If is left"; });
}

TEST_F(Importer, BranchesOfDifferentSizesGetOneSymbol) {
  auto imported = import(GraphWriter("g")
                             .input("x", ElementType::Float32, {4})
                             .input("z", ElementType::Float32, {6})
                             .input("which", ElementType::Bool, {})
                             .node("If", {"which"}, {"y"},
                                   {attributeGraph("then_branch", branch("Relu", {"x"}, "a")),
                                    attributeGraph("else_branch", branch("Relu", {"z"}, "b"))})
                             .output("y", ElementType::Float32, {}));
  ASSERT_TRUE(imported.ok()) << imported.problems;
  auto size = dimsOf(imported.main().getResultTypes()[0])[0];
  SymbolTable symbols(*imported.result.module);
  EXPECT_EQ(symbols.lowerBound(size), 4);
  EXPECT_EQ(symbols.upperBound(size), 6);
}

TEST_F(Importer, SqueezesOfSizesKnownAtRunTimeAreLeftToTheOutputs) {
  GraphWriter graph("g");
  graph.input("x", ElementType::Float32, {"N", 1, 3})
      .initializer(tensorFloatData("half", ElementType::Float32, {}, {0.5f}))
      .node("Squeeze", {"x"}, {"flat"})
      .node("Sigmoid", {"flat"}, {"s"})
      .node("Mul", {"half", "s"}, {"y"})
      .node("Relu", {"x"}, {"z"})
      .output("y", ElementType::Float32, {})
      .output("z", ElementType::Float32, {});
  auto imported = import(graph, {}, 11);
  ASSERT_TRUE(imported.ok()) << imported.problems;
  auto main = imported.main();
  EXPECT_EQ(llvm::cast<mlir::RankedTensorType>(main.getResultTypes()[0]).getRank(), 2);
  EXPECT_THAT(main->getAttrOfType<mlir::DenseI64ArrayAttr>("graph.squeezed_dims").asArrayRef(),
              testing::ElementsAre(1, 0));
  imported = import(graph, {{{"N", 2, 8}}}, 11);
  ASSERT_TRUE(imported.ok()) << imported.problems;
  EXPECT_FALSE(imported.main()->hasAttr("graph.squeezed_dims"));
}

TEST_F(Importer, OperatorsThatNeedTheRankRefuseSuchASqueeze) {
  auto withUse = [&](const char *op, int64_t rows) {
    return import(GraphWriter("g")
                      .input("x", ElementType::Float32, {"N", 3})
                      .initializer(
                          tensorFloatData("w", ElementType::Float32, {rows}, std::vector<float>(rows, 1)))
                      .node("Squeeze", {"x"}, {"flat"})
                      .node(op, {"flat", "w"}, {"y"})
                      .output("y", ElementType::Float32, {}),
                  {}, 11)
        .problems;
  };
  EXPECT_EQ(withUse("Add", 3), "") << "a row lines up whether or not the batch is dropped";
  EXPECT_THAT(withUse("MatMul", 3), HasSubstr("TW2007"));
}

TEST_F(Importer, OperatorsThatCountFromTheFrontAssumeTheSqueezedRank) {
  auto imported =
      import(GraphWriter("g")
                 .input("x", ElementType::Float32, {"N", 3})
                 .node("Squeeze", {"x"}, {"flat"})
                 .node("Slice", {"flat"}, {"y"},
                       {attributeInts("axes", {0}), attributeInts("starts", {1}), attributeInts("ends", {3})})
                 .output("y", ElementType::Float32, {}),
             {}, 9);
  ASSERT_TRUE(imported.ok()) << imported.problems;
  EXPECT_EQ(llvm::cast<mlir::RankedTensorType>(imported.main().getResultTypes()[0]).getShape(),
            llvm::ArrayRef<int64_t>{2});
  int64_t checks = 0;
  imported.main().walk([&](graph::DefineOp) { ++checks; });
  EXPECT_EQ(checks, 1);
}

TEST_F(Importer, OperatorsWhoseAxisNeedsAllDimensionsAssumeThatNoneIsSqueezed) {
  auto imported = import(GraphWriter("g")
                             .input("x", ElementType::Float32, {"N", 1, 4})
                             .node("Squeeze", {"x"}, {"flat"})
                             .node("Split", {"flat"}, {"y", "z"}, {attributeInt("axis", 1)})
                             .output("y", ElementType::Float32, {})
                             .output("z", ElementType::Float32, {}),
                         {}, 11);
  ASSERT_TRUE(imported.ok()) << imported.problems;
  EXPECT_EQ(llvm::cast<mlir::RankedTensorType>(imported.main().getResultTypes()[0]).getRank(), 2);
  int64_t checks = 0;
  imported.main().walk([&](graph::DefineOp) { ++checks; });
  EXPECT_EQ(checks, 1) << "a run with N = 1 is refused";
}

TEST_F(Importer, OutputsOfUndecidedRankAreWhatTheyDeclare) {
  auto branches = [&](std::string onTrue, std::string onFalse, const Shape &declared) {
    return import(GraphWriter("g")
                      .input("x", ElementType::Float32, {1, 4})
                      .input("which", ElementType::Bool, {})
                      .node("If", {"which"}, {"y"},
                            {attributeGraph("then_branch", std::move(onTrue)),
                             attributeGraph("else_branch", std::move(onFalse))})
                      .output("y", ElementType::Float32, declared),
                  {}, 11);
  };
  auto imported = branches(branch("Identity", {"x"}, "a"), branch("Squeeze", {"x"}, "b"), {"size"});
  ASSERT_TRUE(imported.ok()) << imported.problems;
  EXPECT_EQ(llvm::cast<mlir::RankedTensorType>(imported.main().getResultTypes()[0]).getRank(), 1);
  SymbolTable symbols(*imported.result.module);
  imported.main().walk([&](graph::DefineOp op) {
    EXPECT_EQ(symbols[op.getSymbols()[0]].lo, 0);
    EXPECT_EQ(symbols[op.getSymbols()[0]].hi, 0);
  });
  EXPECT_THAT(branches(branch("Relu", {"x"}, "a"), branch("Squeeze", {"x"}, "b"), {1, 2, 3}).problems,
              HasSubstr("TW2007"));
}

TEST_F(Importer, OldBroadcastsLineUpFromTheirAxis) {
  auto imported =
      import(GraphWriter("g")
                 .input("x", ElementType::Float32, {2, 3, 4})
                 .initializer(tensorFloatData("w", ElementType::Float32, {3}, {1, 2, 3}))
                 .node("Add", {"x", "w"}, {"y"}, {attributeInt("broadcast", 1), attributeInt("axis", 1)})
                 .output("y", ElementType::Float32, {}),
             {}, 6);
  ASSERT_TRUE(imported.ok()) << imported.problems;
  EXPECT_EQ(llvm::cast<mlir::RankedTensorType>(imported.main().getResultTypes()[0]).getShape(),
            llvm::ArrayRef<int64_t>({2, 3, 4}));
}

TEST_F(Importer, CarriedValuesMayGrowAgainstTheirDeclaration) {
  std::string body = GraphWriter("body")
                         .input("i", ElementType::Int64, {})
                         .input("c", ElementType::Bool, {})
                         .input("v", ElementType::Float32, {4})
                         .node("Identity", {"c"}, {"again"})
                         .node("Concat", {"v", "v"}, {"longer"}, {attributeInt("axis", 0)})
                         .output("again", ElementType::Bool, {})
                         .output("longer", ElementType::Float32, {})
                         .bytes();
  auto imported = import(GraphWriter("g")
                             .input("x", ElementType::Float32, {4})
                             .input("n", ElementType::Int64, {})
                             .node("Loop", {"n", "", "x"}, {"y"}, {attributeGraph("body", body)})
                             .output("y", ElementType::Float32, {}));
  ASSERT_TRUE(imported.ok()) << imported.problems;
  imported.main().walk([](graph::LoopOp loop) {
    ASSERT_EQ(loop.symbolsThatChange().size(), 1u);
    EXPECT_EQ(constantOf(loop.getInitialDims()->getResult(0)), 4);
  });
}

TEST_F(Importer, InlinesFunctionsWithTheCallersAttributes) {
  FunctionWriter function("local", "Scaled", {"a"}, {"b"});
  function.attributeName("slope").opset(17).node(
      "LeakyRelu", {"a"}, {"b"}, {attributeReference("alpha", "slope", onnx::Attribute::Kind::Float)});
  bytes = ModelWriter(GraphWriter("g")
                          .input("x", ElementType::Float32, {4})
                          .node("Scaled", {"x"}, {"y"}, {attributeFloat("slope", 0.25f)}, "local")
                          .output("y", ElementType::Float32, {}))
              .opset(17)
              .opset(1, "local")
              .function(function)
              .bytes();
  auto imported = tests::importBytes(bytes, *context);
  ASSERT_TRUE(imported.ok()) << imported.problems;
  bool found = false;
  imported.main().walk([&](graph::ConstantOp constant) {
    auto elements = llvm::dyn_cast<mlir::DenseFPElementsAttr>(constant.getValue());
    found |= elements && elements.getNumElements() == 1 &&
             elements.getSplatValue<llvm::APFloat>().convertToFloat() == 0.25f;
  });
  EXPECT_TRUE(found);
}

} // namespace
