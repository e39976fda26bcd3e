/// Elementwise.cpp - one value in, one value out at the same index: arithmetic, comparisons, logic, casts.
#include "frontend/ops/Composites.h"

using namespace mlir;
namespace tilewright::frontend {

using graph::BinaryKind;
using graph::CompareKind;
using graph::UnaryKind;

//===- Unary -------------------------------------------------------------------------===//

template <UnaryKind kind> static void importFloatUnary(NodeImporter &n) {
  if (require(n, 1) && requireFloat(n, n.operand(0)))
    n.result(0, n.unary(kind, n.operand(0)));
}

static bool requireNumber(NodeImporter &n, Value value) {
  if (!isBool(value))
    return true;
  n.fail("TW2003", "elements are bool; this operator needs numbers");
  return false;
}

template <UnaryKind kind> static void importUnary(NodeImporter &n) {
  if (require(n, 1) && requireNumber(n, n.operand(0)))
    n.result(0, n.unary(kind, n.operand(0)));
}

static void importIdentity(NodeImporter &n) {
  if (require(n, 1))
    n.result(0, n.operand(0));
}

static void importNot(NodeImporter &n) {
  if (require(n, 1) && requireBool(n, n.operand(0)))
    n.result(0, n.unary(UnaryKind::bitnot, n.operand(0)));
}

static void importIsInf(NodeImporter &n) {
  if (!require(n, 1) || !requireFloat(n, n.operand(0)))
    return;
  Value x = n.operand(0), infinite = n.unary(UnaryKind::isinf, x), zero = n.like(x, 0);
  bool negative = n.intAttr("detect_negative", 1), positive = n.intAttr("detect_positive", 1);
  if (!negative)
    infinite = n.binary(BinaryKind::iand, infinite, n.compare(CompareKind::gt, x, zero));
  if (!positive)
    infinite = n.binary(BinaryKind::iand, infinite, n.compare(CompareKind::lt, x, zero));
  n.result(0, infinite);
}

//===- Binary --------------------------------------------------------------------------===//

/// The first two operands, of one element type and broadcastable.
static bool requirePair(NodeImporter &n) {
  return require(n, 2) && requireSameElements(n, {n.operand(0), n.operand(1)}) &&
         requireBroadcast(n, {n.operand(0), n.operand(1)});
}

template <BinaryKind kind> static void importBinary(NodeImporter &n) {
  if (requirePair(n) && requireNumber(n, n.operand(0)))
    n.result(0, n.binary(kind, n.operand(0), n.operand(1)));
}

template <BinaryKind kind> static void importLogical(NodeImporter &n) {
  if (requirePair(n) && requireBool(n, n.operand(0)))
    n.result(0, n.binary(kind, n.operand(0), n.operand(1)));
}

template <BinaryKind kind> static void importBitwise(NodeImporter &n) {
  if (!requirePair(n))
    return;
  if (!isInteger(n.operand(0)))
    return n.fail("TW2003",
                  "elements are " + typeName(n.elementType(n.operand(0))) + "; this operator needs integers");
  n.result(0, n.binary(kind, n.operand(0), n.operand(1)));
}

static void importBitwiseNot(NodeImporter &n) {
  if (!require(n, 1))
    return;
  if (!isInteger(n.operand(0)))
    return n.fail("TW2003",
                  "elements are " + typeName(n.elementType(n.operand(0))) + "; this operator needs integers");
  n.result(0, n.unary(UnaryKind::bitnot, n.operand(0)));
}

static void importBitShift(NodeImporter &n) {
  std::string direction = n.stringAttr("direction", "");
  if (direction == "LEFT")
    return importBitwise<BinaryKind::shl>(n);
  if (direction == "RIGHT")
    return importBitwise<BinaryKind::shr>(n);
  n.fail("TW1205", "direction is '" + direction + "'; it must be LEFT or RIGHT");
}

static void importMod(NodeImporter &n) {
  if (n.intAttr("fmod", 0))
    return importBinary<BinaryKind::rem>(n);
  importBinary<BinaryKind::mod>(n);
}

static void importPow(NodeImporter &n) {
  if (!require(n, 2) || !requireBroadcast(n, {n.operand(0), n.operand(1)}) || !requireNumber(n, n.operand(0)))
    return;
  Value base = n.operand(0), exponent = n.operand(1);
  Type type = n.elementType(base);
  if (isInteger(base) &&
      isFloat(exponent)) { // the result is the base's type; the power must not be cut before
    Type wide = n.b.getF64Type();
    return n.result(0, n.cast(n.binary(BinaryKind::pow, n.cast(base, wide), n.cast(exponent, wide)), type));
  }
  n.result(0, n.binary(BinaryKind::pow, base, n.cast(exponent, type)));
}

template <CompareKind kind> static void importCompare(NodeImporter &n) {
  if (requirePair(n))
    n.result(0, n.compare(kind, n.operand(0), n.operand(1)));
}

/// Any number of operands, at least one.
static SmallVector<Value> variadic(NodeImporter &n) {
  SmallVector<Value> values;
  if (!require(n, std::max<size_t>(n.operandCount(), 1)))
    return values;
  for (size_t index = 0; index < n.operandCount(); ++index)
    values.push_back(n.operand(index));
  if (!requireSameElements(n, values) || !requireBroadcast(n, values))
    values.clear();
  return values;
}

template <BinaryKind kind> static void importVariadic(NodeImporter &n) {
  SmallVector<Value> values = variadic(n);
  if (values.empty())
    return;
  Value total = values[0];
  for (Value value : llvm::drop_begin(values))
    total = n.binary(kind, total, value);
  n.result(0, total);
}

static void importMean(NodeImporter &n) {
  SmallVector<Value> values = variadic(n);
  if (values.empty() || !requireFloat(n, values[0]))
    return;
  Value total = values[0];
  for (Value value : llvm::drop_begin(values))
    total = n.add(total, value);
  n.result(0, values.size() == 1 ? total : n.div(total, n.like(total, values.size())));
}

static void importWhere(NodeImporter &n) {
  if (!require(n, 3) || !requireBool(n, n.operand(0)) ||
      !requireSameElements(n, {n.operand(1), n.operand(2)}) ||
      !requireBroadcast(n, {n.operand(0), n.operand(1), n.operand(2)}))
    return;
  n.result(0, n.select(n.operand(0), n.operand(1), n.operand(2)));
}

/// A bound of Clip as a scalar; exporters also write vectors of one element. Null when there is none.
static Value clipBound(NodeImporter &n, size_t index, llvm::StringRef attribute) {
  Value x = n.operand(0);
  if (n.opset < 11) {
    const onnx::Attribute *bound = n.attr(attribute);
    return bound ? n.like(x, n.floatAttr(attribute, 0)) : Value();
  }
  if (!n.has(index))
    return {};
  Value bound = n.operand(index);
  if (!requireSameElements(n, {x, bound}))
    return {};
  return singleElement(n, bound, attribute);
}

static void importClip(NodeImporter &n) {
  if (!require(n, 1) || !requireNumber(n, n.operand(0)))
    return;
  Value x = n.operand(0);
  Value low = clipBound(n, 1, "min"), high = clipBound(n, 2, "max");
  if (low)
    x = n.maximum(x, low);
  if (high)
    x = n.minimum(x, high);
  n.result(0, x);
}

//===- Types ---------------------------------------------------------------------------===//

static bool isFloat8(Type type) {
  return isa<Float8E4M3FNType, Float8E4M3FNUZType, Float8E5M2Type, Float8E5M2FNUZType>(type);
}

/// Only conversions to float8 ask for saturation; narrower floats have no infinity to overflow to.
static void castTo(NodeImporter &n, Type type) {
  bool narrowFloat = isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 8;
  if (isa<Float8E8M0FNUType>(type) && n.stringAttr("round_mode", "up") != "nearest")
    return n.unsupported("TW1203", "rounding to float8e8m0 other than to nearest is not supported");
  n.result(0, n.cast(n.operand(0), type, narrowFloat || (isFloat8(type) && n.intAttr("saturate", 1))));
}

/// Until opset 5 the type is written out: "FLOAT".
static void importCastToNamed(NodeImporter &n) {
  std::string wanted = n.stringAttr("to", "");
  for (int64_t type = 1; type < 32; ++type)
    if (wanted != "" && StringRef(onnx::elementTypeName(onnx::ElementType(type))).equals_insensitive(wanted))
      if (Type known = n.elementTypeOf(type))
        return castTo(n, known);
  n.fail("TW1205", "there is no element type '" + wanted + "'");
}

static void importCast(NodeImporter &n) {
  if (!require(n, 1))
    return;
  if (n.opset < 6)
    return importCastToNamed(n);
  if (Type type = n.elementTypeOf(n.intAttr("to", 0)))
    castTo(n, type);
}

static void importCastLike(NodeImporter &n) {
  if (require(n, 2))
    castTo(n, n.elementType(n.operand(1)));
}

static void importBitCast(NodeImporter &n) {
  if (!require(n, 1))
    return;
  Type from = n.elementType(n.operand(0)), to = n.elementTypeOf(n.intAttr("to", 0));
  if (!to)
    return;
  if (isBool(from) && to.isInteger(8)) // a bool takes a byte, 0 or 1
    return n.result(0, n.cast(n.operand(0), to));
  if (from.getIntOrFloatBitWidth() != to.getIntOrFloatBitWidth())
    return n.fail("TW2003", typeName(from) + " and " + typeName(to) + " have different widths");
  n.result(0, n.bitcast(n.operand(0), to));
}

static void importDropout(NodeImporter &n) {
  if (!require(n, 1))
    return;
  if (n.has(2)) { // training_mode
    auto training = n.constantInts(n.operand(2));
    auto ratio = n.has(1) ? n.constantFloats(n.operand(1)) : std::nullopt;
    bool off = training && training->size() == 1 && (*training)[0] == 0;
    bool keepsAll = ratio && ratio->size() == 1 && (*ratio)[0] == 0;
    if (!off && !keepsAll)
      return n.unsupported("TW1203", "Dropout in training mode is not supported",
                           "export the model for inference");
  }
  Value x = n.operand(0);
  n.result(0, x);
  if (n.wants(1))
    n.result(1, filled(n, dimsOf(x), n.opset < 10 ? n.elementType(x) : Type(n.b.getI1Type()), 1));
}

llvm::ArrayRef<OpEntry> elementwiseOps() {
  static const OpEntry table[] = {
      {"Abs", importUnary<UnaryKind::abs>},
      {"Acos", importFloatUnary<UnaryKind::acos>},
      {"Acosh", importFloatUnary<UnaryKind::acosh>},
      {"Add", importBinary<BinaryKind::add>},
      {"And", importLogical<BinaryKind::iand>},
      {"Asin", importFloatUnary<UnaryKind::asin>},
      {"Asinh", importFloatUnary<UnaryKind::asinh>},
      {"Atan", importFloatUnary<UnaryKind::atan>},
      {"Atanh", importFloatUnary<UnaryKind::atanh>},
      {"BitCast", importBitCast},
      {"BitShift", importBitShift},
      {"BitwiseAnd", importBitwise<BinaryKind::iand>},
      {"BitwiseNot", importBitwiseNot},
      {"BitwiseOr", importBitwise<BinaryKind::ior>},
      {"BitwiseXor", importBitwise<BinaryKind::ixor>},
      {"Cast", importCast},
      {"CastLike", importCastLike},
      {"Ceil", importFloatUnary<UnaryKind::ceil>},
      {"Clip", importClip},
      {"Cos", importFloatUnary<UnaryKind::cos>},
      {"Cosh", importFloatUnary<UnaryKind::cosh>},
      {"Div", importBinary<BinaryKind::div>},
      {"Dropout", importDropout},
      {"Equal", importCompare<CompareKind::eq>},
      {"Erf", importFloatUnary<UnaryKind::erf>},
      {"Exp", importFloatUnary<UnaryKind::exp>},
      {"Floor", importFloatUnary<UnaryKind::floor>},
      {"Greater", importCompare<CompareKind::gt>},
      {"GreaterOrEqual", importCompare<CompareKind::ge>},
      {"Identity", importIdentity},
      {"IsInf", importIsInf},
      {"IsNaN", importFloatUnary<UnaryKind::isnan>},
      {"Less", importCompare<CompareKind::lt>},
      {"LessOrEqual", importCompare<CompareKind::le>},
      {"Log", importFloatUnary<UnaryKind::log>},
      {"Max", importVariadic<BinaryKind::max>},
      {"Mean", importMean},
      {"Min", importVariadic<BinaryKind::min>},
      {"Mod", importMod},
      {"Mul", importBinary<BinaryKind::mul>},
      {"Neg", importUnary<UnaryKind::neg>},
      {"Not", importNot},
      {"Or", importLogical<BinaryKind::ior>},
      {"Pow", importPow},
      {"Reciprocal", importFloatUnary<UnaryKind::reciprocal>},
      {"Round", importFloatUnary<UnaryKind::round>},
      {"Sigmoid", importFloatUnary<UnaryKind::sigmoid>},
      {"Sign", importUnary<UnaryKind::sign>},
      {"Sin", importFloatUnary<UnaryKind::sin>},
      {"Sinh", importFloatUnary<UnaryKind::sinh>},
      {"Sqrt", importFloatUnary<UnaryKind::sqrt>},
      {"Sub", importBinary<BinaryKind::sub>},
      {"Sum", importVariadic<BinaryKind::add>},
      {"Tan", importFloatUnary<UnaryKind::tan>},
      {"Tanh", importFloatUnary<UnaryKind::tanh>},
      {"Where", importWhere},
      {"Xor", importLogical<BinaryKind::ixor>},
  };
  return table;
}

} // namespace tilewright::frontend
