/// Cases of leaves and element-wise ops.
#include "tests/support/CaseBuilder.h"

using namespace mlir;
using tilewright::graph::BinaryKind;
using tilewright::graph::CompareKind;
using tilewright::graph::UnaryKind;

namespace tilewright::tests {
namespace {

using Values = llvm::SmallVector<Value>;

Values constantCase(CaseBuilder &c) {
  Sized like = c.sized(c.anyShape(0, 2).shape);
  interpreter::Tensor tensor(c.anyType(), like.shape);
  for (int64_t i = 0; i < tensor.size(); ++i)
    tensor.setInteger(i, c.between(tensor.elementType.isInteger(1) ? 0 : -3, 1));
  auto type = RankedTensorType::get(like.shape, tensor.elementType);
  Value constant = graph::ConstantOp::create(c.p.builder, c.p.g.loc, type, tensor.toAttribute());
  return {c.epilogue(constant)};
}

Values dimsCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 3);
  Value x = c.input(like, c.p.type("f32"));
  Dims dims = dimsOf(x);
  Dims exprs = {dims[0], dims.back() * 2 + 1, productOf(dims, &c.p.context), dims[0].floorDiv(2)};
  return {c.p.g.dims(exprs), c.p.g.dims({dims[0]}, true), x};
}

Values iotaCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 3);
  Value x = c.input(like, c.anyNumber());
  Value positions = c.p.g.iota(dimsOf(x), GraphBuilder::elementType(x), c.below(like.rank()));
  return {c.rounded(c.p.g.add(positions, x))};
}

Values defineCase(CaseBuilder &c) {
  Sized row = c.anyShape(1, 1);
  Value count =
      c.input(interpreter::Tensor::fromInts(c.p.type("si64"), {1}, {c.between(0, 20)}), c.p.g.dims({1}));
  Dims shape = c.p.g.valueOrDefine(count, "count", 0, 100);
  Value x = c.input(row, c.anyNumber());
  shape.push_back(dimsOf(x)[0]);
  return {c.epilogue(c.p.g.broadcastTo(x, shape))};
}

/// Where a function is defined, and not so steep that rounding of the operand matters.
Range domainOf(UnaryKind kind) {
  switch (kind) {
  case UnaryKind::log:
  case UnaryKind::sqrt:
  case UnaryKind::rsqrt:
  case UnaryKind::lgamma:
    return {0.125, 8};
  case UnaryKind::asin:
  case UnaryKind::acos:
  case UnaryKind::atanh:
    return {-0.9, 0.9};
  case UnaryKind::acosh:
    return {1.125, 8};
  case UnaryKind::log1p:
    return {-0.75, 8};
  case UnaryKind::tan:
    return {-1, 1};
  default:
    return {-4, 4, true};
  }
}

Values unaryCase(CaseBuilder &c) {
  Sized like = c.anyShape(0, 4);
  auto kind = *graph::symbolizeUnaryKind(uint32_t(c.turn % (graph::getMaxEnumValForUnaryKind() + 1)));
  bool takesIntegers = llvm::is_contained({UnaryKind::neg, UnaryKind::abs, UnaryKind::sign}, kind);
  Type type = kind == UnaryKind::bitnot ? c.anyInteger() : takesIntegers ? c.anyNumber() : c.anyFloat();
  if (!interpreter::isFloat(type))
    return {c.epilogue(c.p.g.unary(kind, c.operand(like, type, {-200, 200})))};
  Value result = c.p.g.unary(kind, c.operand(like, type, domainOf(kind)));
  return {c.epilogue(c.rounded(result))};
}

Values floatBinary(CaseBuilder &c, const Sized &like, Type type) {
  BinaryKind kind =
      c.pick({BinaryKind::add, BinaryKind::sub, BinaryKind::mul, BinaryKind::div, BinaryKind::rem,
              BinaryKind::mod, BinaryKind::pow, BinaryKind::min, BinaryKind::max, BinaryKind::atan2});
  bool positive = kind == BinaryKind::pow || kind == BinaryKind::rem || kind == BinaryKind::mod;
  bool specials = kind == BinaryKind::min || kind == BinaryKind::max || kind == BinaryKind::add;
  Value lhs = c.operand(like, type, {positive ? 0.25 : -4, 4, specials});
  Value rhs = c.operand(like, type, {positive ? 0.25 : -4, 4, specials});
  return {c.epilogue(c.rounded(c.p.g.binary(kind, lhs, rhs)))};
}

Values binaryCase(CaseBuilder &c) {
  Sized like = c.anyShape(0, 4);
  Type type = c.chance(10) ? c.p.type("i1") : c.anyNumber();
  if (interpreter::isFloat(type))
    return floatBinary(c, like, type);
  BinaryKind kind = c.pick({BinaryKind::iand, BinaryKind::ior, BinaryKind::ixor});
  if (!type.isInteger(1))
    kind = c.pick({BinaryKind::add, BinaryKind::sub, BinaryKind::mul, BinaryKind::div, BinaryKind::rem,
                   BinaryKind::mod, BinaryKind::min, BinaryKind::max, kind, BinaryKind::shl, BinaryKind::shr,
                   BinaryKind::pow});
  Range amounts{-20, 20};
  if (kind == BinaryKind::shl || kind == BinaryKind::shr)
    amounts = {0, double(type.getIntOrFloatBitWidth()) + 2};
  if (kind == BinaryKind::pow)
    amounts = {0, 5};
  if (kind == BinaryKind::div || kind == BinaryKind::rem || kind == BinaryKind::mod) // by zero is refused
    amounts = c.chance(30) && type.isSignedInteger() ? Range{-20, -1} : Range{1, 20};
  Value lhs = c.operand(like, type, {-100, 100});
  return {c.epilogue(c.p.g.binary(kind, lhs, c.operand(like, type, amounts)))};
}

Values compareCase(CaseBuilder &c) {
  Sized like = c.anyShape(0, 4);
  Type type = c.anyNumber();
  Range few{-2, 2, true}; // so that equal elements occur
  Value lhs = c.operand(like, type, few), rhs = c.chance(20) ? lhs : c.operand(like, type, few);
  return {c.p.g.compare(*graph::symbolizeCompareKind(uint32_t(c.below(6))), lhs, rhs)};
}

Values selectCase(CaseBuilder &c) {
  Sized like = c.anyShape(0, 4);
  Type type = c.anyType();
  Value condition = c.operand(like, c.p.type("i1")), x = c.operand(like, type), y = c.operand(like, type);
  return {c.epilogue(c.p.g.select(condition, x, y))};
}

Values castCase(CaseBuilder &c) {
  Sized like = c.anyShape(0, 4);
  const char *const extra[] = {"i1",         "f8E4M3FN", "f8E4M3FNUZ", "f8E5M2",
                               "f8E5M2FNUZ", "si4",      "ui4",        "f4E2M1FN"};
  auto any = [&] { return c.chance(60) ? c.anyNumber() : c.p.type(extra[c.below(8)]); };
  Type from = any(), to = any();
  bool saturate = c.chance(40), toInteger = !interpreter::isFloat(to);
  Range range{-300, 300, interpreter::isFloat(to)};
  if (interpreter::isFloat(from) && toInteger) // out of the range of bytes, words, or of all integers
    range = {-std::ldexp(1, c.below(70)), std::ldexp(1, c.below(70)), true};
  return {c.p.g.cast(c.operand(like, from, range), to, saturate)};
}

Values bitcastCase(CaseBuilder &c) {
  Sized like = c.anyShape(0, 3);
  auto [from, to] = c.pick<std::pair<const char *, const char *>>({{"f32", "si32"},
                                                                   {"ui32", "f32"},
                                                                   {"si8", "ui8"},
                                                                   {"f16", "ui16"},
                                                                   {"bf16", "si16"},
                                                                   {"f64", "si64"},
                                                                   {"ui64", "si64"}});
  return {c.p.g.bitcast(c.operand(like, c.p.type(from), {-1000, 1000}), c.p.type(to))};
}

} // namespace

llvm::ArrayRef<CaseFamily> elementwiseCases() {
  static const CaseFamily cases[] = {
      {"constant", constantCase}, {"dims", dimsCase},      {"iota", iotaCase},       {"define", defineCase},
      {"unary", unaryCase},       {"binary", binaryCase},  {"compare", compareCase}, {"select", selectCase},
      {"cast", castCase},         {"bitcast", bitcastCase}};
  return cases;
}

} // namespace tilewright::tests
