// Sizes, lengths, axes and positions that only the inputs decide: each operator runs with some that fit, and
// refuses those that do not, naming the node, before memory outside a buffer is touched.
#include "tests/compiler/Support.h"
#include "tests/support/OnnxWriter.h"
#include <gmock/gmock.h>

using namespace tilewright;
using namespace tilewright::onnxwriter;
using namespace tilewright::tests;

namespace {

/// A tensor of this shape; `values` are its elements again and again (none: 1, 2, 3, ... below 5).
struct Feed {
  std::vector<int64_t> shape, values = {};
};
using Feeds = std::vector<Feed>;

struct Operand {
  ElementType type;
  Shape shape;
};

/// One operator whose operands are all inputs, "a", "b", ...; `misfits` each violate one relation.
struct SizesCase {
  const char *name, *op;
  int64_t opset;
  std::vector<Operand> operands;
  Messages attributes;
  Names outputs;
  Feeds fits;
  std::vector<Feeds> misfits;
  const char *domain = "";
};

constexpr ElementType real = ElementType::Float32, whole = ElementType::Int64;

/// Operands that are absent have no shape and the type Undefined.
const Operand absent{ElementType::Undefined, {}};

const std::vector<SizesCase> &cases() {
  static const std::vector<SizesCase> table{
      {"ScatterElements",
       "ScatterElements",
       18,
       {{real, {"n", "k"}}, {whole, {"p", "q"}}, {real, {"r", "s"}}},
       {},
       {"y"},
       {{{4, 3}}, {{2, 3}, {0}}, {{2, 3}}},
       {{{{4, 3}}, {{2, 9}, {0}}, {{2, 9}}}, {{{4, 3}}, {{2, 3}, {0}}, {{1, 3}}}}},
      {"ScatterND",
       "ScatterND",
       18,
       {{real, {"n", "k"}}, {whole, {"p", 1}}, {real, {"r", "s"}}},
       {},
       {"y"},
       {{{4, 3}}, {{2, 1}, {0, 3}}, {{2, 3}}},
       {{{{4, 3}}, {{2, 1}, {0, 3}}, {{1, 3}}}, {{{4, 3}}, {{2, 1}, {0, 3}}, {{2, 8}}}}},
      {"GatherElements",
       "GatherElements",
       13,
       {{real, {"n", "k"}}, {whole, {"p", "q"}}},
       {},
       {"y"},
       {{{4, 3}}, {{2, 3}, {0, 3}}},
       {{{{4, 3}}, {{2, 9}, {0}}}}},
      {"GatherBatches",
       "GatherND",
       13,
       {{real, {"n", "k"}}, {whole, {"m", 1}}},
       {attributeInt("batch_dims", 1)},
       {"y"},
       {{{2, 3}}, {{2, 1}, {2, 0}}},
       {{{{2, 3}}, {{50, 1}, {0}}}}},
      {"TopK",
       "TopK",
       11,
       {{real, {"n", "k"}}, {whole, {1}}},
       {},
       {"y", "i"},
       {{{2, 6}}, {{1}, {5}}},
       {{{{2, 4}}, {{1}, {5}}}, {{{2, 4}}, {{1}, {-1}}}}},
      {"ArgMax",
       "ArgMax",
       13,
       {{real, {"n", 2}}},
       {attributeInt("axis", 0)},
       {"y"},
       {{{2, 2}}},
       {{{{0, 2}}}}},
      {"Convolution",
       "Conv",
       13,
       {{real, {"n", "c", "w"}}, {real, {"o", "g", 3}}},
       {attributeInt("group", 2)},
       {"y"},
       {{{1, 4, 5}}, {{6, 2, 3}}},
       {{{{1, 4, 5}}, {{3, 2, 3}}}, {{{1, 4, 5}}, {{6, 4, 3}}}, {{{1, 4, 2}}, {{6, 2, 3}}}}},
      {"MaxPool",
       "MaxPool",
       12,
       {{real, {1, 1, "w"}}},
       {attributeInts("kernel_shape", {3})},
       {"y"},
       {{{1, 1, 3}}},
       {{{{1, 1, 1}}}}},
      {"ReverseSequence",
       "ReverseSequence",
       13,
       {{real, {"t", "b"}}, {whole, {"c"}}},
       {},
       {"y"},
       {{{3, 2}}, {{2}, {3, 1}}},
       {{{{3, 2}}, {{2}, {9, 1}}}, {{{3, 2}}, {{2}, {-9, 1}}}, {{{3, 2}}, {{1}, {1}}}}},
      {"CumSumAxis",
       "CumSum",
       14,
       {{real, {"n", "k"}}, {whole, {}}},
       {},
       {"y"},
       {{{2, 3}}, {{}, {1}}},
       {{{{2, 3}}, {{}, {7}}}, {{{2, 3}}, {{}, {-3}}}}},
      {"ReduceAxes",
       "ReduceSum",
       13,
       {{real, {"n", "k"}}, {whole, {1}}},
       {},
       {"y"},
       {{{2, 3}}, {{1}, {-1}}},
       {{{{2, 3}}, {{1}, {5}}}}},
      {"UnsqueezeAxes",
       "Unsqueeze",
       13,
       {{real, {"n", "k"}}, {whole, {2}}},
       {},
       {"y"},
       {{{2, 3}}, {{2}, {0, 3}}},
       {{{{2, 3}}, {{2}, {0, 9}}}, {{{2, 3}}, {{2}, {1, 1}}}}},
      {"AffineGrid",
       "AffineGrid",
       20,
       {{real, {"n", 2, 3}}, {whole, {4}}},
       {},
       {"y"},
       {{{1, 2, 3}}, {{4}, {1, 1, 2, 2}}},
       {{{{1, 2, 3}}, {{4}, {50, 1, 2, 2}}}}},
      {"GridSample",
       "GridSample",
       16,
       {{real, {"n", "c", "h", "w"}}, {real, {"m", "p", "q", "two"}}},
       {},
       {"y"},
       {{{1, 1, 4, 4}}, {{1, 2, 2, 2}, {0}}},
       {{{{1, 1, 4, 4}}, {{1, 2, 2, 1}, {0}}}, {{{1, 1, 4, 4}}, {{3, 2, 2, 2}, {0}}}}},
      {"RoiAlign",
       "RoiAlign",
       16,
       {{real, {"n", "c", "h", "w"}}, {real, {"r", "four"}}, {whole, {"b"}}},
       {attributeInt("output_height", 2), attributeInt("output_width", 2), attributeInt("sampling_ratio", 2)},
       {"y"},
       {{{1, 1, 4, 4}}, {{1, 4}, {0, 0, 3, 3}}, {{1}, {0}}},
       {{{{1, 1, 4, 4}}, {{1, 4}, {0, 0, 3, 3}}, {{1}, {int64_t(1) << 61}}},
        {{{1, 1, 4, 4}}, {{3, 1}, {0}}, {{3}, {0}}},
        {{{1, 1, 4, 4}}, {{2, 4}, {0}}, {{3}, {0}}}}},
      {"LstmBias",
       "LSTM",
       14,
       {{real, {"t", "b", 2}}, {real, {1, 12, 2}}, {real, {1, 12, 3}}, {real, {"d", "r"}}},
       {attributeInt("hidden_size", 3)},
       {"", "y"},
       {{{2, 3, 2}}, {{1, 12, 2}}, {{1, 12, 3}}, {{1, 24}}},
       {{{{2, 3, 2}}, {{1, 12, 2}}, {{1, 12, 3}}, {{1, 5}}}}},
      {"GruLengths",
       "GRU",
       14,
       {{real, {"t", "b", 2}}, {real, {1, 9, 2}}, {real, {1, 9, 3}}, absent, {ElementType::Int32, {"l"}}},
       {attributeInt("hidden_size", 3)},
       {"", "y"},
       {{{1, 2, 2}}, {{1, 9, 2}}, {{1, 9, 3}}, {{2}, {1, 1}}},
       {{{{2, 2, 2}}, {{1, 9, 2}}, {{1, 9, 3}}, {{2}, {90, 1}}},
        {{{2, 2, 2}}, {{1, 9, 2}}, {{1, 9, 3}}, {{2}, {-5, 1}}}}},
      {"DequantizeBlocks",
       "DequantizeLinear",
       21,
       {{ElementType::UInt8, {"n", "k"}}, {real, {"p", "q"}}},
       {attributeInt("axis", 1), attributeInt("block_size", 2)},
       {"y"},
       {{{3, 4}}, {{3, 2}}},
       {{{{3, 400}}, {{3, 1}}}, {{{90, 4}}, {{3, 2}}}}},
      {"QuantizeBlocks",
       "QuantizeLinear",
       21,
       {{real, {"n", "k"}}, {real, {"p", "q"}}},
       {attributeInt("axis", 1), attributeInt("block_size", 2)},
       {"y"},
       {{{3, 4}}, {{3, 2}}},
       {{{{2, 64}}, {{2, 3}}}}},
      {"NegativeLogLikelihood",
       "NegativeLogLikelihoodLoss",
       13,
       {{real, {"n", "c"}}, {whole, {"m"}}},
       {},
       {"y"},
       {{{3, 5}}, {{3}, {0, 4}}},
       {{{{3, 5}}, {{40}, {0}}}}},
      {"LayerScale",
       "LayerNormalization",
       17,
       {{real, {"n", "k"}}, {real, {"s"}}},
       {},
       {"y"},
       {{{2, 3}}, {{3}}},
       {{{{2, 3}}, {{5}}}}},
      {"InstanceScale",
       "InstanceNormalization",
       6,
       {{real, {"n", "c", "w"}}, {real, {"s"}}, {real, {"b"}}},
       {},
       {"y"},
       {{{2, 3, 4}}, {{3}}, {{3}}},
       {{{{2, 3, 4}}, {{7}}, {{3}}}, {{{2, 3, 4}}, {{3}}, {{7}}}}},
      {"Product",
       "MatMul",
       13,
       {{real, {"m", "k"}}, {real, {"l", "n"}}},
       {},
       {"y"},
       {{{2, 3}}, {{3, 4}}},
       {{{{2, 3}}, {{5, 4}}}}},
      {"Concat",
       "Concat",
       13,
       {{real, {"m", "k"}}, {real, {"l", "n"}}},
       {attributeInt("axis", 0)},
       {"y"},
       {{{2, 3}}, {{4, 3}}},
       {{{{2, 3}}, {{4, 5}}}}},
      {"Expand",
       "Expand",
       13,
       {{real, {"m", "k"}}, {whole, {2}}},
       {},
       {"y"},
       {{{2, 1}}, {{2}, {2, 5}}},
       {{{{2, 3}}, {{2}, {2, 5}}}}},
      {"PadReflects",
       "Pad",
       18,
       {{real, {"n"}}, {whole, {2}}},
       {attributeString("mode", "reflect")},
       {"y"},
       {{{3}}, {{2}, {1, 2}}},
       {{{{0}}, {{2}, {1, 1}}}, {{{2}}, {{2}, {2, 1}}}}},
  };
  return table;
}

std::string modelOf(const SizesCase &c) {
  GraphWriter graph;
  Names names;
  for (auto [index, operand] : llvm::enumerate(c.operands)) {
    names.push_back(operand.type == ElementType::Undefined ? "" : std::string(1, char('a' + index)));
    if (!names.back().empty())
      graph.input(names.back(), operand.type, operand.shape);
  }
  graph.node(c.op, names, c.outputs, c.attributes, c.domain);
  for (const std::string &output : c.outputs)
    if (!output.empty())
      graph.output(output);
  return ModelWriter(graph).opset(c.opset).bytes();
}

llvm::SmallVector<Tensor> tensorsOf(const Feeds &feeds, mlir::TypeRange types) {
  llvm::SmallVector<Tensor> tensors;
  for (auto [feed, type] : llvm::zip_equal(feeds, types)) {
    Tensor tensor(llvm::cast<mlir::RankedTensorType>(type).getElementType(), llvm::ArrayRef(feed.shape));
    for (int64_t i = 0; i < tensor.size(); ++i) {
      int64_t value = feed.values.empty() ? 1 + i % 4 : feed.values[size_t(i) % feed.values.size()];
      interpreter::isFloat(tensor.elementType) ? tensor.setNumber(i, double(value))
                                               : tensor.setInteger(i, value);
    }
    tensors.push_back(tensor);
  }
  return tensors;
}

class Sizes : public ::testing::TestWithParam<size_t> {};

TEST_P(Sizes, FitOrAreRefusedWithTheNode) {
  const SizesCase &c = cases()[GetParam()];
  CompiledProgram program(testedTargets().front());
  ASSERT_EQ(program.compileModel(modelOf(c)), "");
  auto types = program.original().lookupSymbol<mlir::func::FuncOp>("main").getArgumentTypes();
  EXPECT_EQ(checkAgainstInterpreter(program, {tensorsOf(c.fits, types)}, Agreement::Rounding), "");
  for (auto [number, feeds] : llvm::enumerate(c.misfits)) {
    auto tensors = tensorsOf(feeds, types);
    for (int threads : {1, 2}) {
      RunResult result = program.run(tensors, threads);
      EXPECT_EQ(result.status, TW_INVALID) << "misfit " << number << ": " << result.problem;
      EXPECT_THAT(result.problem, ::testing::HasSubstr(c.op)) << "misfit " << number;
    }
    EXPECT_EQ(program.interpret(tensors).status, TW_INVALID) << "misfit " << number;
  }
}

INSTANTIATE_TEST_SUITE_P(Operators, Sizes, ::testing::Range(size_t(0), cases().size()),
                         [](const auto &info) { return std::string(cases()[info.param].name); });

} // namespace
