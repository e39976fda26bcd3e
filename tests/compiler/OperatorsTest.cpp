// ONNX operators that become several graph ops, or ops over stored weights: recurrent layers, quantised
// products, convolutions and products with packed weights, normalisations, pooling, branches. Each model is
// compiled once and run at several sizes, against the interpreter on the imported graph.
#include "tests/compiler/Support.h"
#include "tests/support/OnnxWriter.h"
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <random>

using namespace tilewright;
using namespace tilewright::onnxwriter;
using namespace tilewright::tests;

namespace {

using Sizes = std::map<std::string, int64_t>; ///< of the symbolic dimensions

/// A model of one or a few operators with random parameters, and its inputs at any sizes.
class Network {
public:
  explicit Network(uint64_t seed) : random(seed) {}
  GraphWriter graph;
  std::vector<Sizes> sizes{{}};
  int64_t opset = 17;

  int64_t between(int64_t low, int64_t high) { return low + int64_t(random() % uint64_t(high - low + 1)); }
  int64_t pick(std::initializer_list<int64_t> list) { return list.begin()[random() % list.size()]; }
  bool chance(int percent) { return between(1, 100) <= percent; }

  /// Floats in [-1, 1), or integers in [low, high].
  void input(const std::string &name, ElementType type, const Shape &shape, int64_t low = -100,
             int64_t high = 100) {
    graph.input(name, type, shape);
    inputs.push_back({type, shape, low, high});
  }
  /// Sums of `summands` products stay of size one, so that rounding does.
  void weight(const std::string &name, const std::vector<int64_t> &shape, int64_t summands = 1) {
    std::vector<float> values(size_t(interpreter::elementCount(shape)));
    for (float &value : values)
      value = fraction() / std::sqrt(float(summands));
    graph.initializer(tensor<float>(name, shape, values));
  }
  template <class T> void integers(const std::string &name, const std::vector<int64_t> &shape) {
    std::vector<T> values(size_t(interpreter::elementCount(shape)));
    for (T &value : values)
      value = T(random());
    graph.initializer(tensor<T>(name, shape, values));
  }
  /// Random integers of any width, as files pack them.
  void packed(const std::string &name, ElementType type, int64_t bits, const std::vector<int64_t> &shape) {
    std::string bytes(size_t((interpreter::elementCount(shape) * bits + 7) / 8), '\0');
    for (char &byte : bytes)
      byte = char(random());
    const int64_t used = interpreter::elementCount(shape) * bits % 8;
    if (used)
      bytes.back() = char(bytes.back() & ((1 << used) - 1));
    graph.initializer(tensorRaw(name, type, shape, bytes));
  }
  template <class T> void scalar(const std::string &name, T value) {
    graph.initializer(tensor<T>(name, {}, {value}));
  }

  llvm::SmallVector<Tensor> inputsFor(const Sizes &given, mlir::TypeRange types) {
    llvm::SmallVector<Tensor> tensors;
    for (auto [input, type] : llvm::zip(inputs, types)) {
      interpreter::Shape shape;
      for (const Dim &dim : input.shape) {
        auto *size = std::get_if<int64_t>(&dim.value);
        shape.push_back(size ? *size : given.at(std::get<std::string>(dim.value)));
      }
      Tensor tensor(llvm::cast<mlir::RankedTensorType>(type).getElementType(), shape);
      for (int64_t i = 0; i < tensor.size(); ++i)
        interpreter::isFloat(tensor.elementType) ? tensor.setNumber(i, fraction())
                                                 : tensor.setInteger(i, between(input.low, input.high));
      tensors.push_back(tensor);
    }
    return tensors;
  }

private:
  struct Input {
    ElementType type;
    Shape shape;
    int64_t low, high;
  };
  float fraction() { return float(between(-(1 << 20), (1 << 20) - 1)) / (1 << 20); }
  std::vector<Input> inputs;
  std::mt19937_64 random;
};

//===- Products and convolutions with packed weights --------------------------------------===//

/// Rows at several sizes, also none and one; odd depths and widths.
void product(Network &n) {
  int64_t depth = n.pick({1, 3, 16, 33, 64, 130}), columns = n.pick({1, 2, 7, 16, 31, 48, 65, 100});
  n.input("x", ElementType::Float32, {"M", depth});
  n.weight("w", n.chance(50) ? std::vector<int64_t>{depth, columns} : std::vector<int64_t>{1, depth, columns},
           depth);
  n.weight("b", {columns});
  n.graph.node("MatMul", {"x", "w"}, {"h"}).node("Add", {"h", "b"}, {"s"});
  n.graph.node(n.chance(50) ? "Relu" : "Sigmoid", {"s"}, {"y"}).output("y");
  n.sizes = {{{"M", n.between(2, 40)}}, {{"M", 1}}, {{"M", 0}}, {{"M", 97}}};
}

void convolution(Network &n, bool transposed) {
  int64_t rank = n.pick({1, 2, 2, 2, 3}), groups = n.pick({1, 1, 2, 4}), depth = n.pick({1, 3, 4, 16}),
          width = n.pick({1, 4, 5, 16, 24});
  if (n.chance(25)) { // depthwise
    groups = n.pick({3, 8, 17, 32});
    depth = width = 1;
  }
  std::vector<int64_t> kernel, strides, dilations, pads(2 * rank);
  Shape shape{"N", groups * depth};
  for (int64_t i = 0; i < rank; ++i) {
    kernel.push_back(n.pick({1, 2, 3, 3, 5}));
    strides.push_back(n.pick({1, 1, 2, 3}));
    dilations.push_back(n.pick({1, 1, 2}));
    pads[i] = n.between(0, kernel[i] / 2);
    pads[rank + i] = n.between(0, kernel[i] / 2);
    shape.push_back(i == 0 ? Dim("H") : Dim(n.pick({9, 12, 17})));
  }
  std::vector<int64_t> filter =
      transposed ? std::vector<int64_t>{groups * depth, width} : std::vector<int64_t>{groups * width, depth};
  filter.insert(filter.end(), kernel.begin(), kernel.end());
  n.input("x", ElementType::Float32, shape);
  n.weight("w", filter, interpreter::elementCount(filter) / filter[0]);
  n.weight("b", {groups * width});
  n.graph.node(transposed ? "ConvTranspose" : "Conv", {"x", "w", "b"}, {"c"},
               {attributeInts("strides", strides), attributeInts("dilations", dilations),
                attributeInts("pads", pads), attributeInt("group", groups)});
  n.graph.node(n.chance(50) ? "Relu" : "Tanh", {"c"}, {"y"}).output("y");
  n.sizes = {{{"N", 1}, {"H", 13}}, {{"N", 2}, {"H", 10}}, {{"N", 3}, {"H", 23}}};
}
void plainConvolution(Network &n) { convolution(n, false); }
void transposedConvolution(Network &n) { convolution(n, true); }

/// Convolution, normalisation, activation, and a sum with the input: a residual block.
void residualBlock(Network &n) {
  int64_t channels = n.pick({3, 8, 16, 33});
  n.input("x", ElementType::Float32, {"N", channels, "H", 11});
  n.weight("w", {channels, channels, 3, 3}, channels * 9);
  for (const char *name : {"scale", "bias", "mean"})
    n.weight(name, {channels});
  n.graph.initializer(tensor<float>("variance", {channels}, std::vector<float>(size_t(channels), 0.5f)));
  n.graph.node("Conv", {"x", "w"}, {"c"}, {attributeInts("pads", {1, 1, 1, 1})});
  n.graph.node("BatchNormalization", {"c", "scale", "bias", "mean", "variance"}, {"b"});
  n.graph.node("Add", {"b", "x"}, {"s"}).node("Relu", {"s"}, {"r"});
  n.graph.node("GlobalAveragePool", {"r"}, {"p"}).output("r").output("p");
  n.sizes = {{{"N", 1}, {"H", 9}}, {{"N", 2}, {"H", 1}}, {{"N", 2}, {"H", 16}}};
}

/// Queries, keys and values of several heads.
void attention(Network &n) {
  int64_t heads = n.pick({1, 2, 3}), size = n.pick({4, 16, 33});
  for (const char *name : {"q", "k", "v"})
    n.input(name, ElementType::Float32, {"B", *name == 'q' ? "T" : "S", heads, size});
  for (const char *name : {"q", "k", "v"})
    n.graph.node("Transpose", {name}, {std::string(name) + "t"},
                 {attributeInts("perm", *name == 'k' ? std::vector<int64_t>{0, 2, 3, 1}
                                                     : std::vector<int64_t>{0, 2, 1, 3})});
  n.scalar<float>("scale", 0.25f);
  n.graph.node("MatMul", {"qt", "kt"}, {"s"}).node("Mul", {"s", "scale"}, {"z"});
  n.graph.node("Softmax", {"z"}, {"p"}, {attributeInt("axis", -1)}).node("MatMul", {"p", "vt"}, {"o"});
  n.graph.node("Transpose", {"o"}, {"y"}, {attributeInts("perm", {0, 2, 1, 3})}).output("y");
  n.sizes = {
      {{"B", 2}, {"T", 5}, {"S", 9}}, {{"B", 1}, {"T", 1}, {"S", 33}}, {{"B", 1}, {"T", 40}, {"S", 1}}};
}

//===- Rows, windows -----------------------------------------------------------------------===//

void normalization(Network &n) {
  int64_t width = n.pick({1, 3, 16, 31, 64, 200});
  n.input("x", ElementType::Float32, {"N", 3, width});
  n.weight("scale", {width});
  n.weight("bias", {width});
  n.graph.node("LayerNormalization", {"x", "scale", "bias"}, {"l"}, {attributeInt("axis", -1)});
  n.graph.node("Softmax", {"l"}, {"s"}, {attributeInt("axis", n.pick({1, 2}))});
  n.graph.node("LogSoftmax", {"x"}, {"g"}, {attributeInt("axis", -1)}).output("s").output("g");
  n.sizes = {{{"N", 2}}, {{"N", 1}}, {{"N", 0}}, {{"N", 31}}};
}

void pooling(Network &n) {
  int64_t rank = n.pick({1, 2, 2, 3});
  std::vector<int64_t> kernel, strides, pads(2 * rank);
  Shape shape{"N", n.pick({1, 3, 16})};
  for (int64_t i = 0; i < rank; ++i) {
    kernel.push_back(n.pick({2, 3, 5}));
    strides.push_back(n.pick({1, 2, 3}));
    pads[i] = n.between(0, kernel[i] / 2);
    pads[rank + i] = n.between(0, kernel[i] / 2);
    shape.push_back(i == 0 ? Dim("H") : Dim(n.pick({7, 12})));
  }
  n.input("x", ElementType::Float32, shape);
  std::vector<std::string> shared{attributeInts("kernel_shape", kernel), attributeInts("strides", strides),
                                  attributeInts("pads", pads), attributeInt("ceil_mode", n.pick({0, 1}))};
  auto average = shared;
  average.push_back(attributeInt("count_include_pad", n.pick({0, 1})));
  n.graph.node("MaxPool", {"x"}, {"m", "i"}, shared).node("AveragePool", {"x"}, {"a"}, average);
  n.graph.output("m").output("i").output("a");
  n.sizes = {{{"N", 1}, {"H", 9}}, {{"N", 2}, {"H", 6}}, {{"N", 1}, {"H", 20}}};
}

void selection(Network &n) {
  int64_t width = n.pick({5, 16, 33});
  n.input("x", ElementType::Float32, {"N", width});
  n.graph.initializer(tensor<int64_t>("k", {1}, {n.between(1, 4)}));
  n.scalar<int64_t>("axis", n.between(0, 1));
  n.graph.node("TopK", {"x", "k"}, {"v", "i"}, {attributeInt("largest", n.between(0, 1))});
  n.graph.node("CumSum", {"x", "axis"}, {"c"}, {attributeInt("reverse", n.between(0, 1))});
  n.graph.node("ArgMax", {"x"}, {"a"}, {attributeInt("axis", 1)});
  n.graph.node("NonZero", {"x"}, {"z"});
  n.graph.output("v").output("i").output("c").output("a").output("z");
  n.sizes = {{{"N", 3}}, {{"N", 1}}, {{"N", 20}}};
}

//===- Recurrent layers -----------------------------------------------------------------------===//

void recurrent(Network &n, const std::string &op, int64_t gates) {
  bool both = n.chance(40);
  int64_t directions = both ? 2 : 1, inputs = n.pick({3, 16, 20}), hidden = n.pick({1, 4, 17, 32});
  n.input("x", ElementType::Float32, {"T", "B", inputs});
  n.weight("w", {directions, gates * hidden, inputs}, inputs);
  n.weight("r", {directions, gates * hidden, hidden}, hidden);
  n.weight("b", {directions, 2 * gates * hidden});
  Messages attributes{attributeInt("hidden_size", hidden),
                      attributeString("direction", both           ? "bidirectional"
                                                   : n.chance(50) ? "reverse"
                                                                  : "forward")};
  if (op == "GRU")
    attributes.push_back(attributeInt("linear_before_reset", n.between(0, 1)));
  Names operands{"x", "w", "r", "b"};
  if (n.chance(40)) {
    n.input("lengths", ElementType::Int32, {"B"}, 1, 3); // at most the shortest of T
    operands.push_back("lengths");
  }
  n.graph.node(op, operands, {"y", "h"}, attributes).output("y").output("h");
  n.sizes = {{{"T", 5}, {"B", 2}}, {{"T", 3}, {"B", 1}}, {{"T", 12}, {"B", 3}}};
}
void lstm(Network &n) { recurrent(n, "LSTM", 4); }
void gru(Network &n) { recurrent(n, "GRU", 3); }
void rnn(Network &n) { recurrent(n, "RNN", 1); }

//===- Quantised ----------------------------------------------------------------------------===//

/// Products of bytes, the right one constant: signed, unsigned, with and without zero points.
void quantizedProduct(Network &n) {
  int64_t depth = n.pick({3, 16, 33, 64}), columns = n.pick({1, 7, 16, 33});
  n.input("a", ElementType::UInt8, {"M", depth}, 0, 255);
  n.scalar<uint8_t>("az", uint8_t(n.between(0, 255)));
  n.chance(50) ? n.integers<int8_t>("b", {depth, columns}) : n.integers<uint8_t>("b", {depth, columns});
  n.graph.node("MatMulInteger", {"a", "b", "az"}, {"y"}).output("y");
  n.sizes = {{{"M", 9}}, {{"M", 1}}, {{"M", 0}}, {{"M", 50}}};
}

void quantizedConvolution(Network &n) {
  int64_t groups = n.pick({1, 1, 2, 8}), depth = groups == 8 ? 1 : n.pick({3, 4, 16}),
          width = groups == 8 ? 1 : n.pick({4, 5, 16});
  n.input("x", ElementType::UInt8, {"N", groups * depth, "H", 9}, 0, 255);
  n.integers<int8_t>("w", {groups * width, depth, 3, 3});
  n.graph.initializer(
      tensor<int32_t>("b", {groups * width}, std::vector<int32_t>(size_t(groups * width), 300)));
  n.scalar<float>("xs", 0.02f);
  n.scalar<float>("ws", 0.011f);
  n.scalar<float>("ys", 0.37f);
  n.scalar<uint8_t>("xz", uint8_t(n.between(0, 255)));
  n.scalar<int8_t>("wz", 0);
  n.scalar<uint8_t>("yz", 120);
  n.graph.node("QLinearConv", {"x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"}, {"y"},
               {attributeInts("pads", {1, 1, 1, 1}), attributeInt("group", groups)});
  n.graph.output("y");
  n.sizes = {{{"N", 1}, {"H", 7}}, {{"N", 2}, {"H", 1}}, {{"N", 1}, {"H", 20}}};
}

/// Products of dequantised operands, which multiply integers; one or several scales for the weight.
void dequantizedProduct(Network &n) {
  const int64_t depth = n.pick({3, 16, 33, 64}), columns = n.pick({1, 7, 16, 33});
  const bool isSigned = n.chance(50), transposed = n.chance(30);
  n.input("a", isSigned ? ElementType::Int8 : ElementType::UInt8, {"M", depth}, isSigned ? -128 : 0,
          isSigned ? 127 : 255);
  n.scalar<float>("as", 0.01f);
  isSigned ? n.scalar<int8_t>("az", int8_t(n.between(-20, 20)))
           : n.scalar<uint8_t>("az", uint8_t(n.between(0, 255)));
  const std::vector<int64_t> shape = transposed ? std::vector<int64_t>{columns, depth}
                                                : std::vector<int64_t>{depth, columns},
                             scales = n.chance(50) ? std::vector<int64_t>{columns} : std::vector<int64_t>{};
  n.weight("bs", scales, depth);
  const bool bytes = n.chance(50), point = n.chance(50);
  bytes ? n.integers<uint8_t>("b", shape) : n.integers<int8_t>("b", shape);
  if (point)
    bytes ? n.integers<uint8_t>("bz", scales) : n.integers<int8_t>("bz", scales);
  n.graph.node("DequantizeLinear", {"a", "as", "az"}, {"x"});
  n.graph.node("DequantizeLinear", {"b", "bs", point ? "bz" : ""}, {"w"},
               {attributeInt("axis", transposed ? 0 : 1)});
  if (transposed)
    n.graph.node("Transpose", {"w"}, {"wt"}, {attributeInts("perm", {1, 0})});
  n.graph.node("MatMul", {"x", transposed ? "wt" : "w"}, {"y"}).output("y");
  n.sizes = {{{"M", 9}}, {{"M", 1}}, {{"M", 0}}, {{"M", 50}}};
}
/// The same for convolutions: what lies outside of the image is its zero point.
void dequantizedConvolution(Network &n) {
  const int64_t groups = n.pick({1, 1, 2, 8}), depth = groups == 8 ? 1 : n.pick({3, 4, 16}),
                width = groups == 8 ? 1 : n.pick({4, 5, 16});
  const bool point = n.chance(40);
  n.input("a", ElementType::UInt8, {"N", groups * depth, "H", 9}, 0, 255);
  n.scalar<float>("as", 0.01f);
  n.scalar<uint8_t>("az", uint8_t(n.chance(50) ? 0 : n.between(0, 255)));
  const std::vector<int64_t> scales =
      n.chance(50) ? std::vector<int64_t>{groups * width} : std::vector<int64_t>{};
  point ? n.integers<uint8_t>("b", {groups * width, depth, 3, 3})
        : n.integers<int8_t>("b", {groups * width, depth, 3, 3});
  n.weight("bs", scales, depth * 9);
  if (point)
    n.integers<uint8_t>("bz", scales);
  n.graph.node("DequantizeLinear", {"a", "as", "az"}, {"x"});
  n.graph.node("DequantizeLinear", {"b", "bs", point ? "bz" : ""}, {"w"}, {attributeInt("axis", 0)});
  n.graph.node("Conv", {"x", "w"}, {"c"},
               {attributeInts("pads", {1, 0, 1, 1}), attributeInts("strides", {n.pick({1, 2}), 1}),
                attributeInt("group", groups)});
  n.graph.node("Relu", {"c"}, {"r"}).node("MaxPool", {"x"}, {"p"}, {attributeInts("kernel_shape", {3, 2})});
  n.graph.output("r").output("p");
  n.sizes = {{{"N", 1}, {"H", 11}}, {{"N", 2}, {"H", 6}}, {{"N", 1}, {"H", 3}}};
}
/// Rows of floats times weights of few bits: few rows and many, blocks that do not divide the depth, columns
/// that do not fill a panel.
void narrowRows(Network &n, int64_t depth) {
  n.input("x", ElementType::Float32, {"M", depth});
  n.sizes = {{{"M", 1}}, {{"M", 2}}, {{"M", 3}}, {{"M", 4}}, {{"M", 7}}, {{"M", 0}}, {{"M", 31}}};
  n.opset = 21;
}
void narrowBlocks(Network &n) {
  const int64_t bits = n.pick({2, 4, 4, 8}), block = n.pick({16, 32, 128}),
                depth = n.pick({16, 33, 100, 300}), columns = n.pick({1, 7, 33, 70}),
                blocks = (depth + block - 1) / block;
  narrowRows(n, depth);
  n.integers<uint8_t>("w", {columns, blocks, block * bits / 8});
  n.weight("s", {columns * blocks}, depth * (1 << (2 * bits - 2)));
  const bool points = n.chance(50), half = n.chance(25);
  if (points)
    n.integers<uint8_t>("z", {columns * ((blocks * bits + 7) / 8)});
  if (half)
    n.graph.node("Cast", {"x"}, {"h"}, {attributeInt("to", int64_t(ElementType::Float16))});
  n.graph.node("MatMulNBits", {half ? "h" : "x", "w", "s", points ? "z" : ""}, {"y"},
               {attributeInt("K", depth), attributeInt("N", columns), attributeInt("bits", bits),
                attributeInt("block_size", block)},
               "com.microsoft");
  n.graph.output("y");
}
void narrowDequantized(Network &n) {
  struct Kind {
    ElementType type;
    int64_t bits;
  };
  const Kind kinds[] = {
      {ElementType::Int4, 4}, {ElementType::UInt4, 4}, {ElementType::Int8, 8}, {ElementType::UInt8, 8}};
  const Kind kind = kinds[n.between(0, 3)];
  const int64_t depth = n.pick({16, 33, 100, 1100}), columns = n.pick({1, 7, 33, 70}),
                block = n.pick({0, 0, 16, 24, 64}), blocks = block ? (depth + block - 1) / block : 1;
  const bool transposed = n.chance(40), points = n.chance(50), one = !block && n.chance(30);
  narrowRows(n, depth);
  auto matrix = [&](int64_t rows) {
    return transposed ? std::vector<int64_t>{columns, rows} : std::vector<int64_t>{rows, columns};
  };
  const std::vector<int64_t> scales = block ? matrix(blocks)
                                      : one ? std::vector<int64_t>{}
                                            : std::vector<int64_t>{columns};
  n.packed("w", kind.type, kind.bits, matrix(depth));
  n.weight("s", scales, depth * (1 << (2 * kind.bits - 2)));
  if (points)
    n.packed("z", kind.type, kind.bits, scales);
  Messages attributes{attributeInt("axis", (block ? 0 : 1) != transposed)};
  if (block)
    attributes.push_back(attributeInt("block_size", block));
  n.graph.node("DequantizeLinear", {"w", "s", points ? "z" : ""}, {"f"}, attributes);
  n.graph.node("Gemm", {"x", "f"}, {"y"}, {attributeInt("transB", transposed)}).node("Tanh", {"y"}, {"t"});
  n.graph.output("y").output("t");
}
/// A transposed convolution whose windows do not overlap is a product with reversed taps.
void narrowTaps(Network &n) {
  const int64_t depth = n.pick({8, 33}), width = n.pick({4, 20});
  const bool each = n.chance(50);
  n.input("x", ElementType::Float32, {1, depth, "H", 5});
  n.integers<int8_t>("w", {depth, width, 2, 2});
  n.weight("s", each ? std::vector<int64_t>{width} : std::vector<int64_t>{}, depth * 128 * 128);
  n.graph.node("DequantizeLinear", {"w", "s"}, {"f"}, {attributeInt("axis", 1)});
  n.graph.node("ConvTranspose", {"x", "f"}, {"y"}, {attributeInts("strides", {2, 2})}).output("y");
  n.sizes = {{{"H", 1}}, {{"H", 7}}};
}
/// Rows of a table of few bits, with a scale for each row or for blocks of it.
void narrowTable(Network &n) {
  const int64_t bits = n.pick({2, 4, 4, 8}), rows = n.pick({70, 333}), width = n.pick({61, 96}),
                block = n.pick({0, 16}), blocks = (width + block - 1) / std::max<int64_t>(block, 1);
  const ElementType type = bits == 2 ? ElementType::Int2 : bits == 4 ? ElementType::Int4 : ElementType::UInt8;
  n.opset = bits == 2 ? 25 : 21;
  n.packed("w", type, bits, {rows, width});
  const std::vector<int64_t> scales = block ? std::vector<int64_t>{rows, blocks} : std::vector<int64_t>{rows};
  n.weight("s", scales);
  n.packed("z", type, bits, scales);
  n.input("i", ElementType::Int64, {"M"}, 0, rows - 1);
  Messages attributes{attributeInt("axis", block ? 1 : 0)};
  if (block)
    attributes.push_back(attributeInt("block_size", block));
  n.graph.node("DequantizeLinear", {"w", "s", "z"}, {"t"}, attributes).node("Gather", {"t", "i"}, {"y"});
  n.graph.node("Neg", {"t"}, {"all"}).output("y").output("all");
  n.sizes = {{{"M", 5}}, {{"M", 1}}, {{"M", 0}}};
}
/// Quantised while it runs: the parameters come from the input's range.
void dynamicQuantization(Network &n) {
  int64_t depth = n.pick({5, 32}), columns = n.pick({4, 17});
  n.input("x", ElementType::Float32, {"M", depth});
  n.integers<int8_t>("w", {depth, columns});
  n.scalar<float>("ws", 0.01f);
  n.graph.node("DynamicQuantizeLinear", {"x"}, {"q", "s", "z"}).node("MatMulInteger", {"q", "w", "z"}, {"i"});
  n.graph.node("Cast", {"i"}, {"f"}, {attributeInt("to", 1)}).node("Mul", {"s", "ws"}, {"m"});
  n.graph.node("Mul", {"f", "m"}, {"y"}).output("y").output("q");
  n.sizes = {{{"M", 9}}, {{"M", 1}}, {{"M", 30}}};
}

//===- Control flow -------------------------------------------------------------------------===//

/// Branches whose results have different sizes.
void branches(Network &n) {
  n.input("c", ElementType::Bool, {}, 0, 1);
  n.input("x", ElementType::Float32, {"N", 4});
  GraphWriter same("same"), twice("twice");
  same.node("Tanh", {"x"}, {"a"}).output("a", ElementType::Float32, {"K", 4});
  twice.node("Concat", {"x", "x"}, {"t"}, {attributeInt("axis", 0)});
  twice.output("t", ElementType::Float32, {"K", 4});
  n.graph.node("If", {"c"}, {"r"},
               {attributeGraph("then_branch", same.bytes()), attributeGraph("else_branch", twice.bytes())});
  n.graph.node("Neg", {"r"}, {"y"}).output("y");
  n.sizes = {{{"N", 3}}, {{"N", 3}}, {{"N", 1}}, {{"N", 17}}};
}

using Build = void (*)(Network &);
struct Family {
  const char *name;
  Build build;
  unsigned count;
};
const Family families[] = {{"Product", product, 15},
                           {"Convolution", plainConvolution, 25},
                           {"TransposedConvolution", transposedConvolution, 12},
                           {"ResidualBlock", residualBlock, 4},
                           {"Attention", attention, 8},
                           {"Normalization", normalization, 10},
                           {"Pooling", pooling, 12},
                           {"Selection", selection, 6},
                           {"Lstm", lstm, 4},
                           {"Gru", gru, 4},
                           {"Rnn", rnn, 3},
                           {"QuantizedProduct", quantizedProduct, 6},
                           {"QuantizedConvolution", quantizedConvolution, 8},
                           {"DequantizedProduct", dequantizedProduct, 12},
                           {"DequantizedConvolution", dequantizedConvolution, 14},
                           {"NarrowBlocks", narrowBlocks, 16},
                           {"NarrowDequantized", narrowDequantized, 24},
                           {"NarrowTaps", narrowTaps, 8},
                           {"NarrowTable", narrowTable, 12},
                           {"DynamicQuantization", dynamicQuantization, 3},
                           {"Branches", branches, 1}};

std::string runModel(const std::string &target, const Family &family, unsigned number) {
  Network network(number * 31 + 7);
  family.build(network);
  CompiledProgram program(target);
  std::string problem =
      program.compileModel(ModelWriter(network.graph).opset(network.opset).opset(1, "com.microsoft").bytes());
  if (!problem.empty())
    return "does not compile: " + problem;
  auto main = program.original().lookupSymbol<mlir::func::FuncOp>("main");
  llvm::SmallVector<llvm::SmallVector<Tensor>> inputSets;
  for (const Sizes &sizes : network.sizes)
    inputSets.push_back(network.inputsFor(sizes, main.getArgumentTypes()));
  std::string difference = checkAgainstInterpreter(program, inputSets, Agreement::Rounding);
  if (!difference.empty())
    llvm::raw_string_ostream(difference) << "\n" << program.original();
  return difference;
}

class Operators : public ::testing::TestWithParam<std::tuple<std::string, Family>> {};

TEST_P(Operators, AgreeWithTheInterpreter) {
  auto [target, family] = GetParam();
  for (unsigned number = 0; number < family.count; ++number) {
    EXPECT_EQ(runModel(target, family, number), "") << family.name << " " << number << " " << target;
  }
}

/// Bytes of the artifact of `network` by those of its model.
double growth(Network &network) {
  const std::string model = ModelWriter(network.graph).opset(21).opset(1, "com.microsoft").bytes();
  CompiledProgram program("cpu:haswell");
  EXPECT_EQ(program.compileModel(model), "");
  return double(program.artifactBytes()) / double(model.size());
}

/// What is quantised stays so in the artifact: code and padding are a tenth at most.
TEST(ArtifactSize, OfBlocksOfFourBits) {
  for (int64_t block : {16, 32, 128})
    for (bool points : {false, true}) {
      Network n(1);
      n.input("x", ElementType::Float32, {"M", 1024});
      n.integers<uint8_t>("w", {1024, 1024 / block, block / 2});
      n.weight("s", {1024 * 1024 / block});
      n.integers<uint8_t>("z", {1024 * 1024 / block / 2});
      n.graph.node("MatMulNBits", {"x", "w", "s", points ? "z" : ""}, {"y"},
                   {attributeInt("K", 1024), attributeInt("N", 1024), attributeInt("bits", 4),
                    attributeInt("block_size", block)},
                   "com.microsoft");
      n.graph.output("y");
      EXPECT_LT(growth(n), 1.1) << block << points;
    }
}

TEST(ArtifactSize, OfDequantizedOperands) {
  Network n(1);
  n.input("x", ElementType::UInt8, {64, 1024}, 0, 255);
  n.scalar<float>("s", 0.01f);
  n.scalar<uint8_t>("z", 3);
  n.weight("ws", {1024});
  n.integers<int8_t>("w", {1024, 1024});
  n.graph.node("DequantizeLinear", {"x", "s", "z"}, {"f"}).node("DequantizeLinear", {"w", "ws"}, {"v"});
  n.graph.node("MatMul", {"f", "v"}, {"y"}).output("y");
  EXPECT_LT(growth(n), 1.1);
}

TEST(ArtifactSize, OfTables) {
  Network n(1);
  n.packed("w", ElementType::UInt4, 4, {4001, 256});
  n.weight("s", {4001, 8});
  n.input("i", ElementType::Int64, {7}, 0, 4000);
  n.graph.node("DequantizeLinear", {"w", "s"}, {"t"},
               {attributeInt("axis", 1), attributeInt("block_size", 32)});
  n.graph.node("Gather", {"t", "i"}, {"y"}).output("y");
  EXPECT_LT(growth(n), 1.1);
}

INSTANTIATE_TEST_SUITE_P(Targets, Operators,
                         ::testing::Combine(::testing::ValuesIn(testedTargets()),
                                            ::testing::ValuesIn(families)),
                         [](const auto &info) {
                           return testName(std::get<0>(info.param), std::get<1>(info.param).name);
                         });

} // namespace
