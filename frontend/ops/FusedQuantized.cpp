/// FusedQuantized.cpp - quantised operators of the domain com.microsoft. Element-wise ones compute in f32
/// between dequantisation and quantisation; products stay integer ones.
#include "frontend/ops/Quantize.h"
#include "frontend/ops/Recurrent.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::BinaryKind;
using graph::CompareKind;
using graph::UnaryKind;

static Type f32(NodeImporter &n) { return Float32Type::get(n.b.getContext()); }

//===- Element-wise -----------------------------------------------------------------------===//

/// Operands `first`, first + 1 and first + 2: value, scale, zero point (may be absent), as f32.
static Value real(NodeImporter &n, size_t first) {
  Value x = n.operand(first), scale, point;
  if (!x || !n.has(first + 1))
    return n.fail("TW1206", "operand " + llvm::Twine(first + (x ? 1 : 0)) + " is missing"), Value();
  scale = quantizationParameter(n, n.operand(first + 1), x, -1, 0, "the scale");
  if (n.has(first + 2) &&
      !(point = quantizationParameter(n, n.operand(first + 2), x, -1, 0, "the zero point")))
    return {};
  return scale ? dequantize(n, x, scale, point, f32(n)) : Value();
}

/// Sets result 0 to y, quantised by operands `scale` and scale + 1; without a zero point the type is that of
/// operand `like`.
static void quantizedResult(NodeImporter &n, Value y, size_t scale, size_t like) {
  if (!y || n.hasFailed())
    return;
  if (!n.has(scale))
    return n.fail("TW1206", "operand " + llvm::Twine(scale) + " is missing");
  Value factor = singleElement(n, n.operand(scale), "the scale"), point;
  if (factor && n.has(scale + 1))
    point = singleElement(n, n.operand(scale + 1), "the zero point");
  if (n.hasFailed())
    return;
  Type target = GraphBuilder::elementType(n.operand(point ? scale + 1 : like));
  if (!isInteger(target))
    return n.fail("TW2003", "the output's zero point must be of integers");
  n.result(0, quantize(n, y, factor, point, target));
}

static void quantizedBinary(NodeImporter &n, BinaryKind kind) {
  Value a = real(n, 0), b = a ? real(n, 3) : Value();
  if (b && requireBroadcast(n, {a, b}))
    quantizedResult(n, n.binary(kind, a, b), 6, 0);
}

static void importQLinearAdd(NodeImporter &n) { quantizedBinary(n, BinaryKind::add); }
static void importQLinearMul(NodeImporter &n) { quantizedBinary(n, BinaryKind::mul); }

static void importQLinearSigmoid(NodeImporter &n) {
  if (Value x = real(n, 0))
    quantizedResult(n, n.unary(UnaryKind::sigmoid, x), 3, 0);
}

static void importQLinearLeakyRelu(NodeImporter &n) {
  Value x = real(n, 0);
  if (!x)
    return;
  Value negative = n.mul(x, n.like(x, n.floatAttr("alpha", 0.01f)));
  quantizedResult(n, n.select(n.compare(CompareKind::ge, x, n.like(x, 0)), x, negative), 3, 0);
}

static void importQLinearSoftmax(NodeImporter &n) {
  Value x = real(n, 0);
  std::optional<int64_t> axis = x ? n.axis(n.intAttr("axis", -1), GraphBuilder::rank(x)) : std::nullopt;
  if (!axis)
    return;
  if (n.intAttr("opset", 13) < 13)
    return n.unsupported("TW1203", "softmax over merged dimensions (opset before 13) is not supported");
  quantizedResult(n, softmax(n, x, *axis), 3, 0);
}

static void importQLinearAveragePool(NodeImporter &n) {
  Value x = real(n, 0);
  if (!x)
    return;
  if (n.intAttr("channels_last", 0))
    return n.unsupported("TW1203", "channels_last is not supported",
                         "export the model before layout optimisation");
  quantizedResult(n, averagePool(n, x), 3, 0);
}

static void importQLinearGlobalAveragePool(NodeImporter &n) {
  Value x = real(n, 0);
  if (!x || !requireRank(n, x, 3, INT64_MAX))
    return;
  int64_t first = n.intAttr("channels_last", 0) ? 1 : 2;
  int64_t count = GraphBuilder::rank(x) - 2;
  quantizedResult(n, n.mean(x, llvm::to_vector(llvm::seq<int64_t>(first, first + count)), /*keepDims=*/true),
                  3, 0);
}

static void importQLinearConcat(NodeImporter &n) {
  SmallVector<Value> parts;
  for (size_t first = 2; first < n.operandCount(); first += 3) {
    Value part = real(n, first);
    if (!part ||
        (!parts.empty() && !requireRank(n, part, GraphBuilder::rank(parts[0]), GraphBuilder::rank(parts[0]))))
      return;
    parts.push_back(part);
  }
  if (parts.empty())
    return n.fail("TW1206", "there is nothing to concatenate");
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", 0), GraphBuilder::rank(parts[0]));
  if (!axis)
    return;
  for (Value &part : parts)
    for (int64_t dim = 0; dim < GraphBuilder::rank(part); ++dim) {
      AffineExpr size = dimsOf(parts[0])[dim];
      if (dim == *axis)
        continue;
      if (!n.requireEqual(dimsOf(part)[dim], size, "the sizes besides the axis"))
        return;
      part = withSize(n, part, dim, size);
    }
  quantizedResult(n, n.concat(parts, *axis), 0, 2);
}

//===- Products ---------------------------------------------------------------------------===//

/// sum * scale (+ the bias at `index`), or null.
static Value scaledProduct(NodeImporter &n, Value sum, Value scale, size_t bias) {
  Value product = n.cast(sum, f32(n));
  if (!requireFitsInto(n, scale, dimsOf(product), "the scale"))
    return {};
  product = n.mul(product, scale);
  if (!n.has(bias))
    return product;
  Value added = n.cast(n.operand(bias), f32(n));
  return requireShape(n, added, dimsOf(product).back(), "the bias") ? n.add(product, added) : Value();
}

static void importDynamicQuantizeMatMul(NodeImporter &n) {
  if (!require(n, 3) || !requireFloat(n, n.operand(0)) || !isInteger(n.operand(1)))
    return n.fail("TW2003", "the operands must be of floats and of integers");
  DynamicallyQuantized a = quantizeDynamically(n, n.cast(n.operand(0), f32(n)));
  Value sum = integerMatmul(n, {a.value, a.zeroPoint}, {n.operand(1), n.operand(3)});
  if (!sum)
    return;
  Value y = scaledProduct(n, sum, n.mul(a.scale, matrixScale(n, n.operand(2), 1)), 4);
  n.result(0, y ? n.cast(y, GraphBuilder::elementType(n.operand(0))) : Value());
}

static void importMatMulIntegerToFloat(NodeImporter &n) {
  if (!require(n, 4))
    return;
  if (!isInteger(n.operand(0)) || !isInteger(n.operand(1)))
    return n.fail("TW2003", "the operands must be of integers");
  Value sum = integerMatmul(n, {n.operand(0), n.operand(4)}, {n.operand(1), n.operand(5)});
  if (!sum)
    return;
  Value scale = productScale(n, n.operand(2), n.operand(3));
  Value y = scale ? scaledProduct(n, sum, scale, 6) : Value();
  n.result(0, y ? n.cast(y, GraphBuilder::elementType(n.operand(2))) : Value());
}

/// A, a_scale, a_zero_point, B, b_scale, b_zero_point, C of s32, y_scale, y_zero_point; a float result
/// without y_scale.
static void importQGemm(NodeImporter &n) {
  if (!require(n, 6) || !requireRank(n, n.operand(0), 2, 2, "A") || !requireRank(n, n.operand(3), 2, 2, "B"))
    return;
  if (!isInteger(n.operand(0)) || !isInteger(n.operand(3)))
    return n.fail("TW2003", "the operands must be of integers");
  Value a = n.intAttr("transA", 0) ? n.transpose(n.operand(0), {1, 0}) : n.operand(0);
  Value b = n.intAttr("transB", 0) ? n.transpose(n.operand(3), {1, 0}) : n.operand(3);
  Value sum = integerMatmul(n, {a, n.operand(2)}, {b, n.operand(5)});
  if (!sum)
    return;
  if (n.has(6)) {
    if (!requireSameElements(n, {sum, n.operand(6)}) || !requireFitsInto(n, n.operand(6), dimsOf(sum), "C"))
      return;
    sum = n.add(sum, n.operand(6));
  }
  Value scale = productScale(n, n.operand(1), n.operand(4));
  if (!scale || !requireBroadcast(n, {sum, scale}))
    return;
  float alpha = n.floatAttr("alpha", 1);
  if (alpha != 1)
    scale = n.mul(scale, n.like(scale, alpha));
  Value y = n.mul(n.cast(sum, f32(n)), scale);
  if (n.has(7))
    return quantizedResult(n, y, 7, 0);
  n.result(0, y);
}

//===- DynamicQuantizeLSTM ----------------------------------------------------------------===//

namespace {
/// An LSTM whose weights are quantised, [directions, inputs, 4 * hidden]; its inputs are quantised while it
/// runs.
struct QuantizedLstm {
  NodeImporter &n;
  const RecurrentLayer &layer;

  Value product(Value x, int64_t direction, size_t weights, size_t scale) const;
};
} // namespace

Value QuantizedLstm::product(Value x, int64_t direction, size_t weights, size_t scale) const {
  auto row = [&](size_t index) { // a scale or zero point: one a direction, or one a column of each direction
    Value part = layer.part(index, direction);
    return part && GraphBuilder::rank(part) == 1 && constantOf(dimsOf(part)[0]) == 1 ? n.reshape(part, {})
                                                                                     : part;
  };
  DynamicallyQuantized quantized = quantizeDynamically(n, x);
  Value sum = integerMatmul(n, {quantized.value, quantized.zeroPoint},
                            {layer.part(weights, direction), row(scale + 1)});
  return sum ? scaledProduct(n, sum, n.mul(quantized.scale, matrixScale(n, row(scale), 1)), SIZE_MAX)
             : Value();
}

/// W [directions, inputs, 4 * hidden], R [directions, hidden, 4 * hidden]; each with a scale and a zero
/// point, one a direction or one a column. Gives hidden.
static std::optional<AffineExpr> quantizedHiddenSize(NodeImporter &n) {
  if (!requireRank(n, n.operand(0), 3, 3, "X") || !requireRank(n, n.operand(1), 3, 3, "W") ||
      !requireRank(n, n.operand(2), 3, 3, "R"))
    return std::nullopt;
  if (!GraphBuilder::elementType(n.operand(0)).isF32() || !isInteger(n.operand(1)) ||
      !isInteger(n.operand(2)))
    return n.fail("TW2003", "X must be of float, W and R of integers"), std::nullopt;
  Dims w = dimsOf(n.operand(1)), r = dimsOf(n.operand(2));
  AffineExpr directions = n.dim(n.stringAttr("direction", "forward") == "bidirectional" ? 2 : 1);
  if (!n.requireEqual(r[2], canonical(r[1] * 4), "the rows and columns of R") ||
      !n.requireEqual(w[2], r[2], "the columns of W and R") ||
      !n.requireEqual(dimsOf(n.operand(0))[2], w[1], "the inputs of X and W") ||
      !n.requireEqual(w[0], directions, "the directions and W") ||
      !n.requireEqual(r[0], directions, "the directions and R"))
    return std::nullopt;
  for (size_t index : {8, 9, 10, 11}) {
    if (!requireRank(n, n.operand(index), 1, 2, "scales and zero points"))
      return std::nullopt;
    Dims shape = dimsOf(n.operand(index));
    if (!n.requireEqual(shape[0], directions, "the directions and operand " + llvm::Twine(index)) ||
        (shape.size() == 2 &&
         !n.requireRepeatable(shape[1], r[2], "the columns and operand " + llvm::Twine(index))))
      return std::nullopt;
  }
  return r[1];
}

static void importDynamicQuantizeLstm(NodeImporter &n) {
  for (size_t index : {0, 1, 2, 8, 9, 10, 11})
    if (!n.has(index))
      return n.fail("TW1206", "operand " + llvm::Twine(index) + " is missing");
  std::optional<AffineExpr> hidden = quantizedHiddenSize(n);
  RecurrentLayer layer{n};
  if (!hidden || !layer.read(4, {"sigmoid", "tanh", "tanh"}, *hidden))
    return;
  QuantizedLstm lstm{n, layer};
  auto project = [&](int64_t d) -> Value {
    Value product = lstm.product(layer.x, d, 1, 8);
    auto [inputBias, stateBias] = biases(layer, d);
    return product && inputBias ? n.add(product, n.add(inputBias, stateBias)) : product;
  };
  runLstm(layer, {project, [&](int64_t d, Value state) { return lstm.product(state, d, 2, 10); }});
}

llvm::ArrayRef<OpEntry> fusedQuantizedOps() {
  static const StringRef domain = "com.microsoft";
  static const OpEntry rows[] = {
      {"QLinearAdd", importQLinearAdd, domain},
      {"QLinearMul", importQLinearMul, domain},
      {"QLinearSigmoid", importQLinearSigmoid, domain},
      {"QLinearLeakyRelu", importQLinearLeakyRelu, domain},
      {"QLinearSoftmax", importQLinearSoftmax, domain},
      {"QLinearAveragePool", importQLinearAveragePool, domain},
      {"QLinearGlobalAveragePool", importQLinearGlobalAveragePool, domain},
      {"QLinearConcat", importQLinearConcat, domain},
      {"DynamicQuantizeMatMul", importDynamicQuantizeMatMul, domain},
      {"MatMulIntegerToFloat", importMatMulIntegerToFloat, domain},
      {"QGemm", importQGemm, domain},
      {"DynamicQuantizeLSTM", importDynamicQuantizeLstm, domain},
  };
  return rows;
}

} // namespace tilewright::frontend
