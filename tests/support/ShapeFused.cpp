// Cases of operators that packed layouts make of several: attention with its heads in one dimension, and the
// fused operators of com.microsoft.
#include "tests/support/ShapeCases.h"

using namespace tilewright::onnxwriter;

namespace tilewright::tests {
namespace {

constexpr ElementType I32 = ElementType::Int32, U8 = ElementType::UInt8, I8 = ElementType::Int8;

void fused(ShapeCase &c) { c.domain = "com.microsoft"; }

void packedAttention(ShapeCase &c) {
  c.floats("q", {"B", "T", 12});
  c.floats("k", {"B", "S", 6});
  c.floats("v", {"B", "S", 4});
  c.node("Attention", {"q", "k", "v"}, {attributeInt("q_num_heads", 4), attributeInt("kv_num_heads", 2)});
}
void linearAttention(ShapeCase &c) {
  c.opset = 27;
  c.floats("q", {"B", "T", 8});
  c.floats("k", {"B", "T", 4});
  c.floats("v", {"B", "T", 6});
  c.floats("d", {"B", "T", 2});
  c.floats("b", {"B", "T", c.pick({1, 2})});
  c.graph.node("LinearAttention", {"q", "k", "v", "", "d", "b"}, {"y", "s"},
               {attributeInt("q_num_heads", 4), attributeInt("kv_num_heads", 2)});
  c.graph.output("y").output("s");
}
void swiGlu(ShapeCase &c) {
  c.opset = 28;
  c.floats("a", {"N", "M"});
  c.floats("b", {"N", "M"});
  c.node("SwiGLU", {"a", "b"});
}

void multiHead(ShapeCase &c) {
  fused(c);
  c.floats("q", {"B", "T", 8});
  c.floats("k", {"B", "S", 8});
  c.floats("v", {"B", "S", 6});
  c.floats("b", {22});
  c.node("MultiHeadAttention", {"q", "k", "v", "b"}, {attributeInt("num_heads", 2)});
}
void fusedAttention(ShapeCase &c) {
  fused(c);
  c.floats("x", {"B", "T", 5});
  c.floats("w", {5, 12});
  c.floats("b", {12});
  c.input("m", I32, {"B"}, 1, 3);
  c.node("Attention", {"x", "w", "b", "m"}, {attributeInt("num_heads", 2)});
}
void groupQuery(ShapeCase &c) {
  fused(c);
  const int64_t past = 3;
  c.floats("q", {"B", 1, 16});
  c.floats("k", {"B", 1, 8});
  c.floats("v", {"B", 1, 8});
  c.floats("pk", {"B", 2, past, 4});
  c.floats("pv", {"B", 2, past, 4});
  c.input("l", I32, {"B"}, past, past);
  c.numbers("t", {1}, {past + 1}, I32);
  c.node("GroupQueryAttention", {"q", "k", "v", "pk", "pv", "l", "t"},
         {attributeInt("num_heads", 4), attributeInt("kv_num_heads", 2)}, {"y", "nk", "nv"});
}
void fusedRotary(ShapeCase &c) {
  fused(c);
  c.floats("x", {"B", 3, 16});
  c.indices("p", {"B", 3}, 0, 5);
  c.floats("cos", {6, 4});
  c.floats("sin", {6, 4});
  c.node("RotaryEmbedding", {"x", "p", "cos", "sin"}, {attributeInt("num_heads", c.pick({0, 2}))});
}

void biasGelu(ShapeCase &c) {
  fused(c);
  c.floats("x", {"N", "M"});
  c.floats("b", {"M"});
  c.node(c.chance(50) ? "BiasGelu" : "FastGelu", {"x", "b"});
}
void skipNormalization(ShapeCase &c) {
  fused(c);
  c.floats("x", {"B", "S", "M"});
  c.floats("s", {"B", "S", "M"});
  c.floats("g", {"M"});
  if (c.chance(50))
    return c.node("SkipSimplifiedLayerNormalization", {"x", "s", "g"});
  c.floats("b", {"M"});
  c.node("SkipLayerNormalization", {"x", "s", "g", "b"});
}
void fusedGemm(ShapeCase &c) {
  fused(c);
  c.floats("a", {"M", "K"});
  c.floats("b", {"K", "N"});
  c.floats("d", {"N"});
  c.node("FusedGemm", {"a", "b", "d"},
         {attributeString("activation", "LeakyRelu"), attributeFloat("activation_alpha", 0.25f)});
}
void dynamicProduct(ShapeCase &c) {
  fused(c);
  c.floats("a", {"M", "K"});
  c.input("b", I8, {"K", "N"});
  c.floats("s", {"N"});
  c.input("z", I8, {"N"}, -3, 3);
  c.floats("d", {"N"});
  c.node("DynamicQuantizeMatMul", {"a", "b", "s", "z", "d"});
}
void quantizedSum(ShapeCase &c) {
  fused(c);
  for (std::string name : {"a", "b"}) {
    c.input(name, U8, {"N", "M"}, 0, 255);
    c.input(name + "s", ElementType::Float32, {1}, 1, 9);
    c.input(name + "z", U8, {1}, 0, 9);
  }
  c.input("ys", ElementType::Float32, {}, 1, 9);
  c.input("yz", U8, {}, 0, 9);
  c.node("QLinearAdd", {"a", "as", "az", "b", "bs", "bz", "ys", "yz"});
}

void groupedIntegerConv(ShapeCase &c) {
  c.input("x", U8, {"N", 4, 5, 5}, 0, 9);
  c.input("w", U8, {6, 2, 3, 3}, 0, 9);
  c.input("xz", U8, {1}, 0, 9);
  c.input("wz", U8, {c.pick({1, 6})}, 0, 9);
  c.node("ConvInteger", {"x", "w", "xz", "wz"}, {attributeInt("group", 2)});
}
void groupedTransposed(ShapeCase &c) {
  c.floats("x", {"N", 4, 5});
  c.floats("w", {4, 3, 3});
  c.floats("b", {6});
  c.node("ConvTranspose", {"x", "w", "b"}, {attributeInt("group", 2)});
}
void groupedDeformed(ShapeCase &c) {
  c.opset = 22;
  c.floats("x", {"N", 4, 5, 5});
  c.floats("w", {6, 2, 2, 2});
  c.floats("o", {"N", 16, 4, 4});
  c.floats("b", {6});
  c.floats("m", {"N", 8, 4, 4});
  c.node("DeformConv", {"x", "w", "o", "b", "m"},
         {attributeInt("group", 2), attributeInt("offset_group", 2), attributeInts("kernel_shape", {2, 2})});
}

constexpr ShapeTemplate templates[] = {
    {"PackedAttention", packedAttention},
    {"LinearAttention", linearAttention},
    {"SwiGLU", swiGlu},
    {"MultiHeadAttention", multiHead},
    {"FusedAttention", fusedAttention},
    {"GroupQueryAttention", groupQuery},
    {"FusedRotaryEmbedding", fusedRotary},
    {"BiasGelu", biasGelu},
    {"SkipNormalization", skipNormalization},
    {"FusedGemm", fusedGemm},
    {"DynamicQuantizeMatMul", dynamicProduct},
    {"QLinearAdd", quantizedSum},
    {"GroupedConvInteger", groupedIntegerConv},
    {"GroupedConvTranspose", groupedTransposed},
    {"GroupedDeformConv", groupedDeformed},
};

} // namespace

llvm::ArrayRef<ShapeTemplate> fusedTemplates() { return templates; }

} // namespace tilewright::tests
