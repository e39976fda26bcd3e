// Cases of element-wise operators, products, convolutions, normalisations, quantisation, recurrent layers,
// resampling, signals.
#include "tests/support/ShapeCases.h"

using namespace tilewright::onnxwriter;

namespace tilewright::tests {
namespace {

constexpr ElementType F32 = ElementType::Float32, I32 = ElementType::Int32, U8 = ElementType::UInt8,
                      I8 = ElementType::Int8, Bool = ElementType::Bool;

void add(ShapeCase &c) {
  c.floats("a", {"N", "M"});
  c.floats("b", {"N", "M"});
  c.node("Add", {"a", "b"});
}
void where(ShapeCase &c) {
  c.input("c", Bool, {"N", "M"}, 0, 1);
  c.floats("a", {"N", "M"});
  c.floats("b", {"M"});
  c.node("Where", {"c", "a", "b"});
}
void divide(ShapeCase &c) {
  c.input("a", I32, {"N", "M"});
  c.input("b", I32, {"N", "M"}, 1, 9);
  c.node(c.chance(50) ? "Div" : "Mod", {"a", "b"});
}
void prelu(ShapeCase &c) {
  c.floats("x", {"N", "C", "W"});
  c.floats("s", {"C", 1});
  c.node("PRelu", {"x", "s"});
}
void clip(ShapeCase &c) {
  c.floats("x", {"N", "W"});
  c.floats("low", {});
  c.floats("high", {});
  c.node("Clip", {"x", "low", "high"});
}
void sumOfThree(ShapeCase &c) {
  for (const char *name : {"a", "b", "d"})
    c.floats(name, {"N", "M"});
  c.node(c.chance(50) ? "Sum" : "Max", {"a", "b", "d"});
}

void matmul(ShapeCase &c) {
  c.floats("a", {"B", "M", "K"});
  c.floats("b", {"B", "K", "N"});
  c.node("MatMul", {"a", "b"});
}
void matmulOfTwo(ShapeCase &c) {
  c.floats("a", {"M", "K"});
  c.floats("b", {"K", "N"});
  c.floats("d", {"N"});
  c.graph.node("MatMul", {"a", "b"}, {"h"});
  c.node("Add", {"h", "d"});
}
void gemm(ShapeCase &c) {
  const bool left = c.chance(50), right = c.chance(50);
  c.floats("a", left ? Shape{"K", "M"} : Shape{"M", "K"});
  c.floats("b", right ? Shape{"N", "K"} : Shape{"K", "N"});
  c.floats("d", {"M", "N"});
  c.node("Gemm", {"a", "b", "d"}, {attributeInt("transA", left), attributeInt("transB", right)});
}
void matmulInteger(ShapeCase &c) {
  c.input("a", U8, {"M", "K"}, 0, 255);
  c.input("b", I8, {"K", "N"});
  c.input("za", U8, {}, 0, 255);
  c.input("zb", I8, {"N"});
  c.node("MatMulInteger", {"a", "b", "za", "zb"});
}
void qlinearMatmul(ShapeCase &c) {
  c.input("a", U8, {"M", "K"}, 0, 255);
  c.input("as", F32, {}, 1, 5);
  c.input("az", U8, {}, 0, 255);
  c.input("b", I8, {"K", "N"});
  c.input("bs", F32, {"N"}, 1, 5);
  c.input("bz", I8, {"N"});
  c.input("ys", F32, {}, 1, 5);
  c.input("yz", U8, {}, 0, 255);
  c.node("QLinearMatMul", {"a", "as", "az", "b", "bs", "bz", "ys", "yz"});
}
void einsum(ShapeCase &c) {
  c.floats("a", {"B", "M", "K"});
  c.floats("b", {"B", "N", "K"});
  c.node("Einsum", {"a", "b"}, {attributeString("equation", "bik,bjk->bij")});
}
void attention(ShapeCase &c) {
  c.floats("q", {"B", 2, "T", 5});
  c.floats("k", {"B", 2, "S", 5});
  c.floats("v", {"B", 2, "S", "E"});
  c.floats("m", {"T", "S"});
  c.node("Attention", {"q", "k", "v", "m"});
}
void rotaryEmbedding(ShapeCase &c) {
  c.setSize("S", 4);
  c.floats("x", {"B", 2, "S", 8});
  c.floats("cos", {6, 4});
  c.floats("sin", {6, 4});
  c.indices("p", {"B", "S"}, 0, 5);
  c.node("RotaryEmbedding", {"x", "cos", "sin", "p"});
}

void conv(ShapeCase &c) {
  const int64_t groups = c.pick({1, 1, 2, 3}), kernel = c.pick({1, 2, 3});
  c.setSize("H", c.pick({5, 9, 17}));
  c.setSize("W", c.pick({4, 8, 18}));
  c.floats("x", {"N", 6, "H", "W"});
  c.floats("w", {12, 6 / groups, kernel, kernel});
  c.floats("b", {12});
  c.node("Conv", {"x", "w", "b"},
         {attributeInt("group", groups), attributeInts("strides", {c.pick({1, 2}), 1}),
          attributeInts("pads", {kernel / 2, 0, kernel / 2, 0}),
          attributeInts("dilations", {1, c.pick({1, 2})})});
}
void depthwise(ShapeCase &c) {
  c.setSize("C", c.pick({4, 16, 19}));
  c.setSize("H", c.pick({5, 9}));
  c.floats("x", {"N", "C", "H", "H"});
  c.floats("w", {c.size("C"), 1, 3, 3});
  c.node("Conv", {"x", "w"}, {attributeInt("group", c.size("C")), attributeInts("pads", {1, 1, 1, 1})});
}
void convOfOne(ShapeCase &c) {
  c.setSize("L", c.pick({8, 30}));
  c.floats("x", {"N", "C", "L"});
  c.floats("w", {"M", "C", 3});
  c.floats("b", {"M"});
  c.node("Conv", {"x", "w", "b"}, {attributeInts("strides", {c.pick({1, 2})})});
}
void convTranspose(ShapeCase &c) {
  const int64_t groups = c.pick({1, 2});
  c.floats("x", {"N", 4, "H", "W"});
  c.floats("w", {4, 3, 3, 3});
  c.floats("b", {3 * groups});
  c.node("ConvTranspose", {"x", "w", "b"},
         {attributeInt("group", groups), attributeInts("strides", {c.pick({1, 2}), 2}),
          attributeInts("pads", {1, 0, 0, 1})});
}
void convInteger(ShapeCase &c) {
  c.setSize("H", 7);
  c.input("x", U8, {"N", 3, "H", "H"}, 0, 255);
  c.input("w", U8, {4, 3, 3, 3}, 0, 255);
  c.input("z", U8, {}, 0, 255);
  c.node("ConvInteger", {"x", "w", "z"});
}
void pool(ShapeCase &c) {
  const char *ops[] = {"MaxPool", "AveragePool", "LpPool"};
  c.setSize("H", c.pick({5, 9}));
  c.setSize("W", c.pick({4, 17}));
  c.floats("x", {"N", "C", "H", "W"});
  c.node(ops[c.between(0, 2)], {"x"},
         {attributeInts("kernel_shape", {c.pick({2, 3, 4}), c.pick({2, 3})}),
          attributeInts("strides", {c.pick({1, 2}), 2}), attributeInts("pads", {1, 0, 0, 1})});
}
void globalPool(ShapeCase &c) {
  c.floats("x", {"N", "C", "H", "W"});
  c.node(c.chance(50) ? "GlobalAveragePool" : "GlobalMaxPool", {"x"});
}
void maxUnpool(ShapeCase &c) {
  c.floats("x", {1, 1, "H", "W"});
  c.indices("i", {1, 1, "H", "W"}, 0, 4 * c.size("H") * c.size("W") - 1);
  c.node("MaxUnpool", {"x", "i"}, {attributeInts("kernel_shape", {2, 2}), attributeInts("strides", {2, 2})});
}
void roiAlign(ShapeCase &c) {
  c.setSize("H", 8);
  c.floats("x", {"N", 2, "H", "H"});
  c.input("r", F32, {"R", 4}, 0, 700);
  c.indices("b", {"R"}, 0, c.size("N") - 1);
  c.node("RoiAlign", {"x", "r", "b"}, {attributeInt("output_height", 2), attributeInt("output_width", 3)});
}
void maxRoiPool(ShapeCase &c) {
  c.setSize("N", 1);
  c.floats("x", {"N", 2, 8, 8});
  c.input("r", F32, {"R", 5}, 0, 0);
  c.node("MaxRoiPool", {"x", "r"}, {attributeInts("pooled_shape", {2, 2})});
}
void deformConv(ShapeCase &c) {
  c.floats("x", {"N", 2, 6, 6});
  c.floats("w", {3, 2, 3, 3});
  c.floats("o", {"N", 18, 4, 4});
  c.opset = 22;
  c.node("DeformConv", {"x", "w", "o"});
}

void layerNorm(ShapeCase &c) {
  c.floats("x", {"N", "M"});
  c.floats("s", {"M"});
  c.floats("b", {"M"});
  c.node("LayerNormalization", {"x", "s", "b"});
}
void groupNorm(ShapeCase &c) {
  c.setSize("C", 4);
  c.floats("x", {"N", "C", "H", "W"});
  c.floats("s", {"C"});
  c.floats("b", {"C"});
  c.node("GroupNormalization", {"x", "s", "b"}, {attributeInt("num_groups", 2)});
}
void instanceNorm(ShapeCase &c) {
  c.floats("x", {"N", "C", "H"});
  c.floats("s", {"C"});
  c.floats("b", {"C"});
  c.node("InstanceNormalization", {"x", "s", "b"});
}
void batchNorm(ShapeCase &c) {
  c.floats("x", {"N", "C", "H"});
  for (const char *name : {"s", "b", "m"})
    c.floats(name, {"C"});
  c.input("v", F32, {"C"}, 10, 90);
  c.node("BatchNormalization", {"x", "s", "b", "m", "v"});
}
void rmsNorm(ShapeCase &c) {
  c.floats("x", {"N", "M"});
  c.floats("s", {"M"});
  c.node("RMSNormalization", {"x", "s"});
}
void softmax(ShapeCase &c) {
  c.floats("x", {"N", "M"});
  c.node("Softmax", {"x"}, {attributeInt("axis", c.between(0, 1))});
}

void quantize(ShapeCase &c) {
  const int64_t axis = c.between(0, 1);
  c.floats("x", {"N", "M"});
  c.input("s", F32, {axis ? "M" : "N"}, 1, 9);
  c.input("z", U8, {axis ? "M" : "N"}, 0, 255);
  c.node("QuantizeLinear", {"x", "s", "z"}, {attributeInt("axis", axis)});
}
void dequantize(ShapeCase &c) {
  const int64_t axis = c.between(0, 1);
  c.input("x", U8, {"N", "M"}, 0, 255);
  c.input("s", F32, {axis ? "M" : "N"}, 1, 9);
  c.input("z", U8, {axis ? "M" : "N"}, 0, 255);
  c.node("DequantizeLinear", {"x", "s", "z"}, {attributeInt("axis", axis)});
}
void blockwise(ShapeCase &c) {
  const bool back = c.chance(50);
  c.setSize("N", 8);
  if (back)
    c.input("x", I8, {"N", "M"});
  else
    c.floats("x", {"N", "M"});
  c.input("s", F32, {2, "M"}, 1, 9);
  c.input("z", I8, {2, "M"}, -3, 3);
  c.node(back ? "DequantizeLinear" : "QuantizeLinear", {"x", "s", "z"},
         {attributeInt("axis", 0), attributeInt("block_size", 4)});
}

void recurrent(ShapeCase &c, const char *op, int64_t gates, bool cell) {
  const int64_t hidden = c.pick({1, 4, 5});
  const bool both = c.chance(40);
  const int64_t directions = both ? 2 : 1;
  c.floats("x", {"T", "B", "I"});
  c.floats("w", {directions, gates * hidden, "I"});
  c.floats("r", {directions, gates * hidden, hidden});
  c.floats("b", {directions, 2 * gates * hidden});
  c.input("l", I32, {"B"}, 1, c.size("T"));
  c.floats("h", {directions, "B", hidden});
  Names operands{"x", "w", "r", "b", "l", "h"};
  if (cell) {
    c.floats("c", {directions, "B", hidden});
    c.floats("p", {directions, 3 * hidden});
    operands.insert(operands.end(), {"c", "p"});
  }
  c.node(op, operands,
         {attributeInt("hidden_size", hidden), attributeString("direction", both           ? "bidirectional"
                                                                            : c.chance(50) ? "reverse"
                                                                                           : "forward")},
         {"y", "z"});
}
void lstm(ShapeCase &c) { recurrent(c, "LSTM", 4, true); }
void gru(ShapeCase &c) { recurrent(c, "GRU", 3, false); }
void rnn(ShapeCase &c) { recurrent(c, "RNN", 1, false); }

void resizeTo(ShapeCase &c) {
  const char *modes[] = {"nearest", "linear", "cubic"};
  c.floats("x", {"N", 2, "H", "W"});
  c.numbers("s", {4}, {c.size("N"), 2, c.between(1, 12), c.between(1, 12)});
  c.node("Resize", {"x", "", "", "s"}, {attributeString("mode", modes[c.between(0, 2)])});
}
void resizeBy(ShapeCase &c) {
  c.floats("x", {"N", 2, "H", "W"});
  c.input("s", F32, {4}, 100, 100);
  c.node("Resize", {"x", "", "s"}, {attributeString("mode", c.chance(50) ? "nearest" : "linear")});
}
void gridSample(ShapeCase &c) {
  const char *modes[] = {"nearest", "linear", "cubic"}, *pads[] = {"zeros", "border", "reflection"};
  c.floats("x", {"N", "C", "H", "W"});
  c.input("g", F32, {"N", "P", "Q", 2}, -150, 150);
  c.node("GridSample", {"x", "g"},
         {attributeString("mode", modes[c.between(0, 2)]),
          attributeString("padding_mode", pads[c.between(0, 2)])});
}
void affineGrid(ShapeCase &c) {
  c.floats("t", {"N", 2, 3});
  c.numbers("s", {4}, {c.size("N"), 3, 4, 5});
  c.node("AffineGrid", {"t", "s"});
}
void loss(ShapeCase &c) {
  c.setSize("C", 5);
  c.floats("x", {"N", "C", "D"});
  c.indices("t", {"N", "D"}, 0, 4);
  c.floats("w", {"C"});
  c.node(c.chance(50) ? "NegativeLogLikelihoodLoss" : "SoftmaxCrossEntropyLoss", {"x", "t", "w"},
         {attributeString("reduction", c.chance(50) ? "none" : "sum")});
}
void nonMaxSuppression(ShapeCase &c) {
  c.input("b", F32, {"N", "P", 4}, 0, 100);
  c.input("s", F32, {"N", "K", "P"}, 0, 100);
  c.numbers("m", {1}, {3});
  c.node("NonMaxSuppression", {"b", "s", "m"});
}
void dft(ShapeCase &c) {
  c.setSize("L", 8);
  c.floats("x", {"N", "L", 1});
  c.numbers("n", {}, {c.pick({5, 8, 9})});
  c.node("DFT", {"x", "n"});
}
void stft(ShapeCase &c) {
  c.setSize("L", 32);
  c.floats("x", {"N", "L", 1});
  c.numbers("p", {}, {4});
  c.floats("w", {8});
  c.node("STFT", {"x", "p", "w"});
}
void hann(ShapeCase &c) {
  c.numbers("n", {}, {8});
  c.node("HannWindow", {"n"});
}
void melWeights(ShapeCase &c) {
  c.numbers("b", {}, {4});
  c.numbers("l", {}, {16});
  c.numbers("r", {}, {8000});
  c.graph.initializer(tensor<float>("e", {}, {100.0f})).initializer(tensor<float>("f", {}, {3000.0f}));
  c.node("MelWeightMatrix", {"b", "l", "r", "e", "f"});
}

constexpr ShapeTemplate templates[] = {
    {"Add", add},
    {"Where", where},
    {"Div", divide},
    {"PRelu", prelu},
    {"Clip", clip},
    {"Sum", sumOfThree},
    {"MatMul", matmul},
    {"MatMulOfTwo", matmulOfTwo},
    {"Gemm", gemm},
    {"MatMulInteger", matmulInteger},
    {"QLinearMatMul", qlinearMatmul},
    {"Einsum", einsum},
    {"Attention", attention},
    {"RotaryEmbedding", rotaryEmbedding},
    {"Conv", conv},
    {"Depthwise", depthwise},
    {"ConvOfOne", convOfOne},
    {"ConvTranspose", convTranspose},
    {"ConvInteger", convInteger},
    {"Pool", pool},
    {"GlobalPool", globalPool},
    {"MaxUnpool", maxUnpool},
    {"RoiAlign", roiAlign},
    {"MaxRoiPool", maxRoiPool},
    {"DeformConv", deformConv},
    {"LayerNorm", layerNorm},
    {"GroupNorm", groupNorm},
    {"InstanceNorm", instanceNorm},
    {"BatchNorm", batchNorm},
    {"RMSNorm", rmsNorm},
    {"Softmax", softmax},
    {"Quantize", quantize},
    {"Dequantize", dequantize},
    {"Blockwise", blockwise},
    {"LSTM", lstm},
    {"GRU", gru},
    {"RNN", rnn},
    {"ResizeTo", resizeTo},
    {"ResizeBy", resizeBy},
    {"GridSample", gridSample},
    {"AffineGrid", affineGrid},
    {"Loss", loss},
    {"NonMaxSuppression", nonMaxSuppression},
    {"DFT", dft},
    {"STFT", stft},
    {"Hann", hann},
    {"MelWeights", melWeights},
};

} // namespace

llvm::ArrayRef<ShapeTemplate> arithmeticTemplates() { return templates; }

} // namespace tilewright::tests
