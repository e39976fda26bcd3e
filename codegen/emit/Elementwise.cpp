// Element-wise bodies on scalars and vectors: the single table of what each graph op computes in registers.
#include "codegen/emit/Ops.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "tilewright/artifact.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;

namespace tilewright::codegen {

Value splatInteger(ValueEmitter &e, Type type, int64_t value) {
  auto scalar = llvm::cast<IntegerType>(scalarType(type));
  llvm::APInt number(scalar.getWidth(), uint64_t(value), true, true);
  if (auto vector = llvm::dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(e.b, e.loc, DenseElementsAttr::get(vector, number));
  return arith::ConstantOp::create(e.b, e.loc, e.b.getIntegerAttr(scalar, number));
}

Value splatConstant(ValueEmitter &e, Type type, double value) {
  auto scalar = llvm::dyn_cast<FloatType>(scalarType(type));
  if (!scalar)
    return splatInteger(e, type, int64_t(value));
  llvm::APFloat number(value);
  bool lossy;
  number.convert(scalar.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &lossy);
  if (auto vector = llvm::dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(e.b, e.loc, DenseElementsAttr::get(vector, number));
  return arith::ConstantOp::create(e.b, e.loc, e.b.getFloatAttr(scalar, number));
}

namespace {

bool isFloat(Type element) { return llvm::isa<FloatType>(element); }
bool isUnsigned(Type element) { return element.isUnsignedInteger() || element.isInteger(1); }

Value truthOf(ValueEmitter &e, arith::CmpFPredicate predicate, Value x, Value y) {
  return arith::CmpFOp::create(e.b, e.loc, predicate, x, y);
}

Value selectOf(ValueEmitter &e, Value condition, Value x, Value y) {
  return arith::SelectOp::create(e.b, e.loc, condition, x, y);
}

/// Whether `x` is a constant other than NaN.
bool isNumber(Value x) {
  if (auto spread = x.getDefiningOp<vector::BroadcastOp>())
    x = spread.getSource();
  auto constant = x.getDefiningOp<arith::ConstantOp>();
  if (!constant)
    return false;
  if (auto number = llvm::dyn_cast<FloatAttr>(constant.getValue()))
    return !number.getValue().isNaN();
  auto elements = llvm::dyn_cast<DenseElementsAttr>(constant.getValue());
  return elements && elements.isSplat() && !elements.getSplatValue<llvm::APFloat>().isNaN();
}

Value unaryFloat(ValueEmitter &e, UnaryKind kind, Value x) {
  Type type = x.getType();
  switch (kind) {
  case UnaryKind::neg:
    return arith::NegFOp::create(e.b, e.loc, x);
  case UnaryKind::abs:
    return math::AbsFOp::create(e.b, e.loc, x);
  case UnaryKind::sign: { // NaN stays, and -0 gives 0
    Value zero = splatConstant(e, type, 0), one = splatConstant(e, type, 1);
    Value magnitude =
        selectOf(e, truthOf(e, arith::CmpFPredicate::OGT, x, zero), one, splatConstant(e, type, -1));
    return selectOf(e, truthOf(e, arith::CmpFPredicate::ONE, x, zero), magnitude,
                    arith::AddFOp::create(e.b, e.loc, x, zero));
  }
  case UnaryKind::sqrt:
    return math::SqrtOp::create(e.b, e.loc, x);
  case UnaryKind::rsqrt:
    if (Value fast = e.approximate(Approximation::rsqrt, x))
      return fast;
    return arith::DivFOp::create(e.b, e.loc, splatConstant(e, type, 1), math::SqrtOp::create(e.b, e.loc, x));
  case UnaryKind::reciprocal:
    return arith::DivFOp::create(e.b, e.loc, splatConstant(e, type, 1), x);
  case UnaryKind::floor:
    return math::FloorOp::create(e.b, e.loc, x);
  case UnaryKind::ceil:
    return math::CeilOp::create(e.b, e.loc, x);
  case UnaryKind::round:
    return math::RoundEvenOp::create(e.b, e.loc, x);
  case UnaryKind::trunc:
    return math::TruncOp::create(e.b, e.loc, x);
  case UnaryKind::isnan:
    return truthOf(e, arith::CmpFPredicate::UNO, x, x);
  case UnaryKind::isinf:
    return truthOf(e, arith::CmpFPredicate::OEQ, math::AbsFOp::create(e.b, e.loc, x),
                   splatConstant(e, type, INFINITY));
  default:
    return emitMath(e, kind, x);
  }
}

Value unaryInteger(ValueEmitter &e, UnaryKind kind, Value x, Type element) {
  Type type = x.getType();
  Value zero = splatInteger(e, type, 0);
  auto less = [&](Value p, Value q) -> Value {
    return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, p, q);
  };
  switch (kind) {
  case UnaryKind::neg:
    return arith::SubIOp::create(e.b, e.loc, zero, x);
  case UnaryKind::abs:
    return isUnsigned(element) ? x
                               : selectOf(e, less(x, zero), arith::SubIOp::create(e.b, e.loc, zero, x), x);
  case UnaryKind::sign: {
    Value nonzero = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ne, x, zero),
          one = splatInteger(e, type, 1);
    Value magnitude = isUnsigned(element) ? one : selectOf(e, less(x, zero), splatInteger(e, type, -1), one);
    return selectOf(e, nonzero, magnitude, zero);
  }
  case UnaryKind::bitnot:
    return arith::XOrIOp::create(e.b, e.loc, x, splatInteger(e, type, -1));
  case UnaryKind::isnan:
  case UnaryKind::isinf:
    return splatInteger(e, withElement(type, e.b.getI1Type()), 0);
  default:
    return x; // floor, ceil, round, trunc of integers
  }
}

/// base ** exponent by squaring; negative exponents give 0, 1 or -1 as truncation does.
Value integerPower(ValueEmitter &e, Value x, Value y, Type element) {
  Type type = x.getType();
  Value one = splatInteger(e, type, 1), zero = splatInteger(e, type, 0);
  Value result = one, base = x, rest = y;
  unsigned bits = scalarType(type).getIntOrFloatBitWidth();
  for (unsigned i = 0, steps = bits == 64 ? 6 : bits == 32 ? 5 : bits == 16 ? 4 : 3; i < steps + 1; ++i) {
    Value odd = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ne,
                                      arith::AndIOp::create(e.b, e.loc, rest, one), zero);
    result = selectOf(e, odd, arith::MulIOp::create(e.b, e.loc, result, base), result);
    base = arith::MulIOp::create(e.b, e.loc, base, base);
    rest = arith::ShRUIOp::create(e.b, e.loc, rest, one);
  }
  if (isUnsigned(element))
    return result;
  Value negative = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, y, zero);
  Value isOne = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, x, one);
  return selectOf(e, negative, selectOf(e, isOne, one, zero), result);
}

/// A constant that has no zero.
bool isNonzero(Value x) {
  if (auto spread = x.getDefiningOp<vector::BroadcastOp>())
    x = spread.getSource();
  auto constant = x.getDefiningOp<arith::ConstantOp>();
  if (!constant)
    return false;
  if (auto number = llvm::dyn_cast<IntegerAttr>(constant.getValue()))
    return !number.getValue().isZero();
  auto elements = llvm::dyn_cast<DenseElementsAttr>(constant.getValue());
  return elements && elements.isSplat() && !elements.getSplatValue<llvm::APInt>().isZero();
}

/// y with ones for zeros, which are reported as the failure of the op that divides.
Value checkedDivisor(ValueEmitter &e, Value y) {
  if (isNonzero(y))
    return y;
  Type type = y.getType();
  Value byZero = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, y, splatInteger(e, type, 0));
  Value bad = byZero;
  if (llvm::isa<VectorType>(type)) {
    if (e.lanes.mask)
      bad = arith::AndIOp::create(e.b, e.loc, bad, e.lanes.mask);
    bad = vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::OR, bad);
  }
  auto report = scf::IfOp::create(e.b, e.loc, bad, /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPoint(report.thenBlock()->getTerminator());
    auto constant = [&](int64_t value) -> Value {
      return arith::ConstantOp::create(e.b, e.loc, e.b.getI64IntegerAttr(value));
    };
    e.fail(e.computing, TW_FAIL_DIVIDE, constant(0), constant(0));
  }
  return selectOf(e, byZero, splatInteger(e, type, 1), y);
}

Value divideInteger(ValueEmitter &e, BinaryKind kind, Value x, Value y, Type element) {
  Type type = x.getType();
  Value zero = splatInteger(e, type, 0), one = splatInteger(e, type, 1), minusOne = splatInteger(e, type, -1);
  Value divisor = checkedDivisor(e, y);
  if (isUnsigned(element))
    return kind == BinaryKind::div ? Value(arith::DivUIOp::create(e.b, e.loc, x, divisor))
                                   : Value(arith::RemUIOp::create(e.b, e.loc, x, divisor));
  // The lowest value by -1 overflows and traps: negate instead.
  Value byMinusOne = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, y, minusOne);
  divisor = selectOf(e, byMinusOne, one, divisor);
  if (kind == BinaryKind::div) {
    Value quotient = arith::DivSIOp::create(e.b, e.loc, x, divisor);
    return selectOf(e, byMinusOne, arith::SubIOp::create(e.b, e.loc, zero, x), quotient);
  }
  Value rest = arith::RemSIOp::create(e.b, e.loc, x, divisor);
  if (kind == BinaryKind::mod) { // the sign of the divisor
    Value differs = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt,
                                          arith::XOrIOp::create(e.b, e.loc, rest, y), zero);
    Value nonzero = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ne, rest, zero);
    rest = selectOf(e, arith::AndIOp::create(e.b, e.loc, differs, nonzero),
                    arith::AddIOp::create(e.b, e.loc, rest, y), rest);
  }
  return selectOf(e, byMinusOne, zero, rest);
}

Value shift(ValueEmitter &e, BinaryKind kind, Value x, Value y, Type element) {
  Type type = x.getType();
  unsigned bits = scalarType(type).getIntOrFloatBitWidth();
  Value limit = splatInteger(e, type, bits - 1);
  Value beyond = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ugt, y, limit);
  Value amount = selectOf(e, beyond, limit, y);
  if (kind == BinaryKind::shr && !isUnsigned(element))
    return arith::ShRSIOp::create(e.b, e.loc, x, amount);
  Value result = kind == BinaryKind::shl ? Value(arith::ShLIOp::create(e.b, e.loc, x, amount))
                                         : Value(arith::ShRUIOp::create(e.b, e.loc, x, amount));
  return selectOf(e, beyond, splatInteger(e, type, 0), result);
}

Value binaryFloat(ValueEmitter &e, BinaryKind kind, Value x, Value y) {
  switch (kind) {
  case BinaryKind::add:
    return arith::AddFOp::create(e.b, e.loc, x, y);
  case BinaryKind::sub:
    return arith::SubFOp::create(e.b, e.loc, x, y);
  case BinaryKind::mul:
    return arith::MulFOp::create(e.b, e.loc, x, y);
  case BinaryKind::div:
    return arith::DivFOp::create(e.b, e.loc, x, y);
  case BinaryKind::rem:
    return callHostMath(e, TW_MATH_FMOD, x, y);
  case BinaryKind::mod: {
    Value rest = callHostMath(e, TW_MATH_FMOD, x, y), zero = splatConstant(e, x.getType(), 0);
    Value nonzero = truthOf(e, arith::CmpFPredicate::UNE, rest, zero);
    Value below = truthOf(e, arith::CmpFPredicate::OLT, rest, zero),
          divisorBelow = truthOf(e, arith::CmpFPredicate::OLT, y, zero);
    Value differs =
        arith::AndIOp::create(e.b, e.loc, nonzero, arith::XOrIOp::create(e.b, e.loc, below, divisorBelow));
    rest = selectOf(e, differs, arith::AddFOp::create(e.b, e.loc, rest, y), rest);
    Value signedZero = math::CopySignOp::create(e.b, e.loc, zero, y);
    return selectOf(e, truthOf(e, arith::CmpFPredicate::OEQ, rest, zero), signedZero, rest);
  }
  case BinaryKind::pow:
    return emitPower(e, x, y);
  case BinaryKind::min: // x86's min gives the second operand for NaN: pick x when it is NaN, else min(x, y)
                        // with y's NaN kept
  case BinaryKind::max: {
    if (e.kernel.target.isGpu) // one instruction, with NaN as here
      return kind == BinaryKind::min ? Value(arith::MinimumFOp::create(e.b, e.loc, x, y))
                                     : Value(arith::MaximumFOp::create(e.b, e.loc, x, y));
    auto predicate = kind == BinaryKind::min ? arith::CmpFPredicate::OLT : arith::CmpFPredicate::OGT;
    if (isNumber(y)) // then the comparison fails for NaN, and x is taken: one instruction
      return selectOf(e, truthOf(e, predicate, y, x), y, x);
    Value result = selectOf(e, truthOf(e, predicate, x, y), x, y);
    return selectOf(e, truthOf(e, arith::CmpFPredicate::UNO, x, x), x, result);
  }
  case BinaryKind::atan2:
    return callHostMath(e, TW_MATH_ATAN2, x, y);
  default:
    llvm_unreachable("bit operations are for integers");
  }
}

Value binaryInteger(ValueEmitter &e, BinaryKind kind, Value x, Value y, Type element) {
  bool natural = isUnsigned(element);
  switch (kind) {
  case BinaryKind::add:
    return arith::AddIOp::create(e.b, e.loc, x, y);
  case BinaryKind::sub:
    return arith::SubIOp::create(e.b, e.loc, x, y);
  case BinaryKind::mul:
    return arith::MulIOp::create(e.b, e.loc, x, y);
  case BinaryKind::div:
  case BinaryKind::rem:
  case BinaryKind::mod:
    return divideInteger(e, kind, x, y, element);
  case BinaryKind::pow:
    return integerPower(e, x, y, element);
  case BinaryKind::min:
    return natural ? Value(arith::MinUIOp::create(e.b, e.loc, x, y))
                   : Value(arith::MinSIOp::create(e.b, e.loc, x, y));
  case BinaryKind::max:
    return natural ? Value(arith::MaxUIOp::create(e.b, e.loc, x, y))
                   : Value(arith::MaxSIOp::create(e.b, e.loc, x, y));
  case BinaryKind::iand:
    return arith::AndIOp::create(e.b, e.loc, x, y);
  case BinaryKind::ior:
    return arith::OrIOp::create(e.b, e.loc, x, y);
  case BinaryKind::ixor:
    return arith::XOrIOp::create(e.b, e.loc, x, y);
  case BinaryKind::shl:
  case BinaryKind::shr:
    return shift(e, kind, x, y, element);
  case BinaryKind::atan2:
    break;
  }
  llvm_unreachable("atan2 is for floats");
}

} // namespace

Value emitUnary(ValueEmitter &e, UnaryKind kind, Value x, Type element) {
  return isFloat(element) ? unaryFloat(e, kind, x) : unaryInteger(e, kind, x, element);
}

Value emitBinary(ValueEmitter &e, BinaryKind kind, Value x, Value y, Type element) {
  return isFloat(element) ? binaryFloat(e, kind, x, y) : binaryInteger(e, kind, x, y, element);
}

Value emitCompare(ValueEmitter &e, CompareKind kind, Value x, Value y, Type element) {
  if (isFloat(element)) {
    static constexpr arith::CmpFPredicate table[] = {arith::CmpFPredicate::OEQ, arith::CmpFPredicate::UNE,
                                                     arith::CmpFPredicate::OLT, arith::CmpFPredicate::OLE,
                                                     arith::CmpFPredicate::OGT, arith::CmpFPredicate::OGE};
    return truthOf(e, table[unsigned(kind)], x, y);
  }
  static constexpr arith::CmpIPredicate natural[] = {arith::CmpIPredicate::eq,  arith::CmpIPredicate::ne,
                                                     arith::CmpIPredicate::ult, arith::CmpIPredicate::ule,
                                                     arith::CmpIPredicate::ugt, arith::CmpIPredicate::uge};
  static constexpr arith::CmpIPredicate whole[] = {arith::CmpIPredicate::eq,  arith::CmpIPredicate::ne,
                                                   arith::CmpIPredicate::slt, arith::CmpIPredicate::sle,
                                                   arith::CmpIPredicate::sgt, arith::CmpIPredicate::sge};
  return arith::CmpIOp::create(e.b, e.loc, (isUnsigned(element) ? natural : whole)[unsigned(kind)], x, y);
}

//===- Casts ------------------------------------------------------------------------------===//

namespace {

/// Whether x is in [low, beyond).
Value isWithin(ValueEmitter &e, Value x, double low, double beyond) {
  Value notAbove = truthOf(e, arith::CmpFPredicate::OLT, x, splatConstant(e, x.getType(), beyond));
  Value notBelow = truthOf(e, arith::CmpFPredicate::OGE, x, splatConstant(e, x.getType(), low));
  return arith::AndIOp::create(e.b, e.loc, notAbove, notBelow);
}

/// x, converted, where it is in [low, beyond), else 0.
template <typename Convert> Value within(ValueEmitter &e, Value x, double low, double beyond, Type to) {
  Value safe = selectOf(e, isWithin(e, x, low, beyond), x, splatConstant(e, x.getType(), 0));
  return Convert::create(e.b, e.loc, to, safe);
}

/// `inside` where x is in [low, beyond), `lowest` below and `largest` above.
Value orEnds(ValueEmitter &e, Value x, double low, double beyond, Value inside, int64_t lowest,
             int64_t largest) {
  Value end = splatInteger(e, inside.getType(), lowest);
  if (lowest != largest)
    end = selectOf(e, truthOf(e, arith::CmpFPredicate::OLT, x, splatConstant(e, x.getType(), 0)), end,
                   splatInteger(e, inside.getType(), largest));
  return selectOf(e, isWithin(e, x, low, beyond), inside, end);
}

/// Float to integer without traps or poison: NaN gives 0; `saturate` clamps, else what is out of range is as
/// the cast op says.
Value floatToInteger(ValueEmitter &e, Value x, Type to, bool saturate) {
  using Whole = arith::FPToSIOp;
  using Natural = arith::FPToUIOp;
  auto integer = llvm::cast<IntegerType>(to);
  const unsigned declared = integer.getWidth(), width = std::max(8u, declared);
  const bool natural = integer.isUnsigned();
  auto ofWidth = [&](unsigned bits) {
    return withElement(x.getType(), IntegerType::get(e.b.getContext(), bits));
  };
  Type result = ofWidth(width);
  Value isNumber = truthOf(e, arith::CmpFPredicate::ORD, x, x), zero = splatConstant(e, x.getType(), 0);
  x = selectOf(e, isNumber, math::TruncOp::create(e.b, e.loc, x), zero);
  const double top = std::ldexp(1.0, natural ? declared : declared - 1), low = natural ? 0 : -top;
  const int64_t lowest = natural ? 0 : declared == 64 ? INT64_MIN : -(int64_t(1) << (declared - 1));
  const int64_t largest = natural && declared == 64 ? -1 : declared == 64 ? INT64_MAX : int64_t(top) - 1;
  if (!saturate && (width < 32 || (width == 32 && natural))) { // wrap by way of a wider signed integer
    const unsigned wide = width == 32 ? 64 : 32;
    const double edge = std::ldexp(1.0, wide - 1);
    return arith::TruncIOp::create(e.b, e.loc, result, within<Whole>(e, x, -edge, edge, ofWidth(wide)));
  }
  if (!natural)
    return orEnds(e, x, low, top, within<Whole>(e, x, low, top, result), lowest, saturate ? largest : lowest);
  Value inside = within<Natural>(e, x, low, top, result);
  if (saturate)
    return orEnds(e, x, low, top, inside, lowest, largest);
  inside = arith::OrIOp::create(e.b, e.loc, inside, within<Whole>(e, x, -top / 2, 0, result));
  return orEnds(e, x, -top / 2, top, inside, INT64_MIN, largest);
}

/// Keeps the low bits that a type below a byte has, sign or zero extended to 8.
Value wrapSubByte(ValueEmitter &e, Value x, Type to) {
  unsigned declared = llvm::cast<IntegerType>(to).getWidth();
  if (declared >= 8)
    return x;
  Value spare = splatInteger(e, x.getType(), 8 - declared);
  x = arith::ShLIOp::create(e.b, e.loc, x, spare);
  return isUnsigned(to) ? Value(arith::ShRUIOp::create(e.b, e.loc, x, spare))
                        : Value(arith::ShRSIOp::create(e.b, e.loc, x, spare));
}

Value integerToInteger(ValueEmitter &e, Value x, Type from, Type to) {
  Type result = withElement(x.getType(), ValueEmitter::computeType(to));
  unsigned source = scalarType(x.getType()).getIntOrFloatBitWidth(),
           width = scalarType(result).getIntOrFloatBitWidth();
  if (to.isInteger(1))
    return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ne, x, splatInteger(e, x.getType(), 0));
  if (width > source)
    x = isUnsigned(from) ? Value(arith::ExtUIOp::create(e.b, e.loc, result, x))
                         : Value(arith::ExtSIOp::create(e.b, e.loc, result, x));
  else if (width < source)
    x = arith::TruncIOp::create(e.b, e.loc, result, x);
  return wrapSubByte(e, x, to);
}

} // namespace

Value emitCast(ValueEmitter &e, Value x, Type from, Type to, bool saturate) {
  if (!isFloat(from) && !isFloat(to))
    return integerToInteger(e, x, from, to);
  Type result = withElement(x.getType(), ValueEmitter::computeType(to));
  if (!isFloat(from))
    x = isUnsigned(from) ? Value(arith::UIToFPOp::create(e.b, e.loc, result, x))
                         : Value(arith::SIToFPOp::create(e.b, e.loc, result, x));
  else if (to.isInteger(1))
    return truthOf(e, arith::CmpFPredicate::UNE, x, splatConstant(e, x.getType(), 0));
  else if (!isFloat(to))
    return wrapSubByte(e, floatToInteger(e, x, to, saturate), to);
  else if (result != x.getType())
    x = scalarType(result).isF64() ? Value(arith::ExtFOp::create(e.b, e.loc, result, x))
                                   : Value(arith::TruncFOp::create(e.b, e.loc, result, x));
  // A cast to a narrow float is where its rounding is meant to happen.
  if (to.isF32() || to.isF64())
    return x;
  return fromStorage(e, toStorage(e, x, to, saturate), to);
}

Value emitBitcast(ValueEmitter &e, Value x, Type from, Type to) {
  Value stored = toStorage(e, x, from);
  Type target = withElement(stored.getType(), storageType(to));
  if (target != stored.getType())
    stored = arith::BitcastOp::create(e.b, e.loc, target, stored);
  return fromStorage(e, stored, to);
}

//===- Reductions ----------------------------------------------------------------------------===//

Value neutral(ValueEmitter &e, ReduceKind kind, Type element) {
  Type type = ValueEmitter::computeType(element);
  bool isMax = kind == ReduceKind::rmax;
  if (kind == ReduceKind::sum || kind == ReduceKind::prod)
    return splatConstant(e, type, kind == ReduceKind::prod);
  if (isFloat(element))
    return splatConstant(e, type, isMax ? -INFINITY : INFINITY);
  unsigned width = scalarType(type).getIntOrFloatBitWidth();
  auto number = isUnsigned(element)
                    ? (isMax ? llvm::APInt(width, 0) : llvm::APInt::getMaxValue(width))
                    : (isMax ? llvm::APInt::getSignedMinValue(width) : llvm::APInt::getSignedMaxValue(width));
  return splatInteger(e, type, number.getSExtValue());
}

Value emitReduceStep(ValueEmitter &e, ReduceKind kind, Value accumulator, Value x, Type element) {
  if (element.isInteger(1)) {
    bool any = kind == ReduceKind::sum || kind == ReduceKind::rmax;
    return any ? Value(arith::OrIOp::create(e.b, e.loc, accumulator, x))
               : Value(arith::AndIOp::create(e.b, e.loc, accumulator, x));
  }
  static constexpr BinaryKind kinds[] = {BinaryKind::add, BinaryKind::mul, BinaryKind::max, BinaryKind::min};
  return emitBinary(e, kinds[unsigned(kind)], accumulator, x, element);
}

} // namespace tilewright::codegen
