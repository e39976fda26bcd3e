/// Quantization.cpp - ONNX's quantisation operators.
#include "frontend/ops/Quantize.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::UnaryKind;

static bool isSmallFloat(Type type) { return isa<FloatType>(type) && type.getIntOrFloatBitWidth() <= 8; }

/// QuantizeLinear's output type: output_dtype, the zero point's, or uint8.
static Type quantizedType(NodeImporter &n) {
  int64_t wanted = n.intAttr("output_dtype", 0);
  Type type = wanted ? n.elementTypeOf(wanted) : Type();
  if (n.hasFailed())
    return {};
  if (!n.has(2))
    return type ? type : Type(IntegerType::get(n.b.getContext(), 8, IntegerType::Unsigned));
  Type own = GraphBuilder::elementType(n.operand(2));
  if (type && type != own)
    return n.fail("TW2003", "output_dtype is " + typeName(type) + ", the zero point " + typeName(own)),
           Type();
  return own;
}

/// The type x is divided by its scale in.
static Type divisionType(NodeImporter &n, Value x, Value scale) {
  if (int64_t precision = n.intAttr("precision", 0))
    return n.elementTypeOf(precision);
  Type type = GraphBuilder::elementType(scale), own = GraphBuilder::elementType(x);
  if (isFloat(type) && !isSmallFloat(type))
    return type;
  return isFloat(own) ? own : Type(Float32Type::get(n.b.getContext()));
}

/// Scale and zero point, which say as much as each other, are of one shape.
static bool requireSameEntries(NodeImporter &n) {
  if (!n.has(2))
    return true;
  Value scale = n.operand(1), point = n.operand(2);
  auto isSingle = [](Value value) { return constantOf(elementCount(value.getType())) == 1; };
  if (isSingle(scale))
    return bool(singleElement(n, point, "the zero point"));
  if (isSingle(point))
    return bool(singleElement(n, scale, "the scale"));
  return requireShape(n, point, dimsOf(scale), "the zero point");
}

static void importQuantizeLinear(NodeImporter &n) {
  if (!require(n, 2))
    return;
  Value x = n.operand(0);
  Type target = quantizedType(n), type = divisionType(n, x, n.operand(1));
  int64_t axis = n.intAttr("axis", 1), block = n.intAttr("block_size", 0);
  if (!target || !type || !requireSameEntries(n))
    return;
  if (!isa<IntegerType>(target) && !isSmallFloat(target))
    return n.unsupported("TW1203", "quantisation to " + typeName(target));
  Value scale = quantizationParameter(n, n.operand(1), x, axis, block, "the scale"), point;
  // A zero point of a float8 type only names the type.
  bool used = n.has(2) && (isa<IntegerType>(target) || target.getIntOrFloatBitWidth() < 8);
  if (scale && used && !(point = quantizationParameter(n, n.operand(2), x, axis, block, "the zero point")))
    return;
  if (scale)
    n.result(0, quantize(n, n.cast(x, type), scale, point, target, n.intAttr("saturate", 1) != 0));
}

static void importDequantizeLinear(NodeImporter &n) {
  if (!require(n, 2))
    return;
  Value x = n.operand(0);
  int64_t axis = n.intAttr("axis", 1), block = n.intAttr("block_size", 0),
          wanted = n.intAttr("output_dtype", 0);
  if (!requireSameEntries(n))
    return;
  Value scale = quantizationParameter(n, n.operand(1), x, axis, block, "the scale"), point;
  if (!scale)
    return;
  if (n.has(2) &&
      !(isSmallFloat(GraphBuilder::elementType(x)) &&
        GraphBuilder::elementType(x).getIntOrFloatBitWidth() == 8) &&
      !(point = quantizationParameter(n, n.operand(2), x, axis, block, "the zero point")))
    return;
  Type target = wanted ? n.elementTypeOf(wanted) : GraphBuilder::elementType(scale);
  if (target && isSmallFloat(target)) // power-of-two scales say nothing about the output
    target = Float32Type::get(n.b.getContext());
  if (target)
    n.result(0, dequantize(n, x, scale, point, target));
}

static void importDynamicQuantizeLinear(NodeImporter &n) {
  if (!require(n, 1) || !requireFloat(n, n.operand(0)))
    return;
  DynamicallyQuantized q = quantizeDynamically(n, n.operand(0));
  n.result(0, q.value);
  n.result(1, q.scale);
  n.result(2, q.zeroPoint);
}

//===- Integer products -----------------------------------------------------------------===//

static bool requireNarrow(NodeImporter &n, std::initializer_list<size_t> operands) {
  for (size_t index : operands)
    if (!isInteger(n.operand(index)) ||
        GraphBuilder::elementType(n.operand(index)).getIntOrFloatBitWidth() > 16) {
      n.fail("TW2003", "operand " + llvm::Twine(index) + " is " +
                           typeName(GraphBuilder::elementType(n.operand(index))) +
                           "; it must be int8 or uint8");
      return false;
    }
  return true;
}

static void importMatMulInteger(NodeImporter &n) {
  if (!require(n, 2) || !requireNarrow(n, {0, 1}))
    return;
  n.result(0, integerMatmul(n, {n.operand(0), n.operand(2)}, {n.operand(1), n.operand(3)}));
}

static void importConvInteger(NodeImporter &n) {
  if (!require(n, 2) || !requireNarrow(n, {0, 1}))
    return;
  n.result(0, integerConvolution(n, {n.operand(0), n.operand(2)}, {n.operand(1), n.operand(3)}));
}

/// Products of float8 operands, in f32.
static Value floatProduct(NodeImporter &n) {
  Type wide = Float32Type::get(n.b.getContext());
  auto whole = [&](size_t index, int64_t axis) {
    Value x = n.cast(n.operand(index), wide), point = matrixScale(n, n.operand(index + 2), axis);
    return requireFitsInto(n, point, dimsOf(x), "the zero points") ? n.sub(x, point) : Value();
  };
  Value a = whole(0, 0), b = a ? whole(3, 1) : Value();
  return b ? checkedMatmul(n, a, b) : Value();
}

static void importQLinearMatMul(NodeImporter &n) {
  if (!require(n, 8))
    return;
  bool floating = isFloat(n.operand(0));
  if (!floating && !requireNarrow(n, {0, 3}))
    return;
  Value product = floating ? floatProduct(n)
                           : integerMatmul(n, {n.operand(0), n.operand(2)}, {n.operand(3), n.operand(5)});
  Value factor = product ? productScale(n, n.operand(1), n.operand(4)) : Value();
  if (!factor)
    return;
  Value scale = matrixScale(n, n.operand(6), 0), point = matrixScale(n, n.operand(7), 0);
  product = n.cast(product, Float32Type::get(n.b.getContext()));
  for (Value parameter : {factor, scale, point})
    if (!requireFitsInto(n, parameter, dimsOf(product), "the scales and zero points"))
      return;
  n.result(0,
           roundTo(n, n.mul(product, n.div(factor, scale)), point, GraphBuilder::elementType(n.operand(7))));
}

/// The factor from a convolution's sums to its output's steps, shaped to broadcast with them.
static Value convolutionFactor(NodeImporter &n, Value sum) {
  Type wide = Float32Type::get(n.b.getContext());
  Value input = singleElement(n, n.operand(1), "the input's scale");
  Value output = input ? singleElement(n, n.operand(6), "the output's scale") : Value();
  if (!output)
    return {};
  Value weights = n.cast(n.operand(4), wide);
  if (constantOf(elementCount(weights.getType())) == 1) {
    weights = n.reshape(weights, {});
  } else {
    AffineExpr channels = dimsOf(sum)[1];
    if (!requireRank(n, weights, 1, 1, "the weight's scale") ||
        !n.requireRepeatable(dimsOf(weights)[0], channels, "the weight's scales and the output channels"))
      return {};
    weights = onePerEntry(n, weights, channels, 1, GraphBuilder::rank(sum));
  }
  return n.div(n.mul(n.cast(input, wide), weights), n.cast(output, wide));
}

static void importQLinearConv(NodeImporter &n) {
  if (!require(n, 8) || !requireNarrow(n, {0, 3}))
    return;
  Value sum = integerConvolution(n, {n.operand(0), n.operand(2)}, {n.operand(3), n.operand(5)});
  Value factor = sum ? convolutionFactor(n, sum) : Value();
  Value point = factor ? singleElement(n, n.operand(7), "the output's zero point") : Value();
  if (!point)
    return;
  if (n.has(8)) {
    Value bias = n.operand(8);
    if (!requireRank(n, bias, 1, 1, "the bias") || !requireSameElements(n, {sum, bias}) ||
        !n.requireEqual(dimsOf(bias)[0], dimsOf(sum)[1], "the bias and the output channels"))
      return;
    sum = n.add(sum, alongAxis(n, withSize(n, bias, 0, dimsOf(sum)[1]), 1, GraphBuilder::rank(sum)));
  }
  Value scaled = n.mul(n.cast(sum, Float32Type::get(n.b.getContext())), factor);
  n.result(0, roundTo(n, scaled, point, GraphBuilder::elementType(n.operand(7))));
}

llvm::ArrayRef<OpEntry> quantizationOps() {
  static const OpEntry rows[] = {
      {"QuantizeLinear", importQuantizeLinear},
      {"DequantizeLinear", importDequantizeLinear},
      {"QuantizeLinear", importQuantizeLinear, "com.microsoft"},
      {"DequantizeLinear", importDequantizeLinear, "com.microsoft"},
      {"DynamicQuantizeLinear", importDynamicQuantizeLinear},
      {"MatMulInteger", importMatMulInteger},
      {"ConvInteger", importConvInteger},
      {"QLinearMatMul", importQLinearMatMul},
      {"QLinearConv", importQLinearConv},
  };
  return rows;
}

} // namespace tilewright::frontend
