// Between what lies in memory and what is computed with: the one place where narrow floats are decoded and
// rounded.
#include "codegen/emit/Ops.h"

using namespace mlir;

namespace tilewright::codegen {
namespace {

/// The layout of a float narrower than f16.
struct SmallFloat {
  unsigned exponentBits, mantissaBits;
  int bias;
  bool hasInfinity;  ///< all-ones exponent holds inf and NaN as in IEEE
  bool unsignedZero; ///< FNUZ: 0x80 is NaN, there is no -0 and no other NaN
  bool hasNaN = true;
};

std::optional<SmallFloat> layoutOf(Type element) {
  if (llvm::isa<Float8E4M3FNType>(element))
    return SmallFloat{4, 3, 7, false, false};
  if (llvm::isa<Float8E5M2Type>(element))
    return SmallFloat{5, 2, 15, true, false};
  if (llvm::isa<Float8E4M3FNUZType>(element))
    return SmallFloat{4, 3, 8, false, true};
  if (llvm::isa<Float8E5M2FNUZType>(element))
    return SmallFloat{5, 2, 16, false, true};
  if (llvm::isa<Float4E2M1FNType>(element))
    return SmallFloat{2, 1, 1, false, false, false};
  return std::nullopt;
}

class Bits {
public:
  Bits(ValueEmitter &e, Type like) : e(e), type(withElement(like, e.b.getI32Type())) {}
  ValueEmitter &e;
  Type type;
  Value constant(int64_t value) { return splatInteger(e, type, value); }
  Value iand(Value x, int64_t mask) { return arith::AndIOp::create(e.b, e.loc, x, constant(mask)); }
  Value ior(Value x, Value y) { return arith::OrIOp::create(e.b, e.loc, x, y); }
  Value shl(Value x, int64_t by) { return arith::ShLIOp::create(e.b, e.loc, x, constant(by)); }
  Value shr(Value x, int64_t by) { return arith::ShRUIOp::create(e.b, e.loc, x, constant(by)); }
  Value add(Value x, Value y) { return arith::AddIOp::create(e.b, e.loc, x, y); }
  Value compare(arith::CmpIPredicate p, Value x, int64_t y) {
    return arith::CmpIOp::create(e.b, e.loc, p, x, constant(y));
  }
  Value select(Value c, Value x, Value y) { return arith::SelectOp::create(e.b, e.loc, c, x, y); }
  Value asFloat(Value x) {
    return arith::BitcastOp::create(e.b, e.loc, withElement(type, e.b.getF32Type()), x);
  }
  Value ofFloat(Value x) { return arith::BitcastOp::create(e.b, e.loc, type, x); }
};

/// Small float bits (i8) -> f32: shift the magnitude into f32's fields and rescale by the difference of the
/// biases, which also normalises subnormals.
Value decode(ValueEmitter &e, Value stored, const SmallFloat &f) {
  Bits bits(e, stored.getType());
  Value wide = arith::ExtUIOp::create(e.b, e.loc, bits.type, stored);
  unsigned width = 1 + f.exponentBits + f.mantissaBits;
  int64_t magnitudeMask = (1 << (width - 1)) - 1;
  Value magnitude = bits.iand(wide, magnitudeMask),
        sign = bits.shl(bits.iand(wide, 1 << (width - 1)), 32 - width);
  // Exact for subnormals too: integer to float, scaled by a power of two, for values below the smallest
  // normal.
  Value fraction = arith::SIToFPOp::create(e.b, e.loc, withElement(bits.type, e.b.getF32Type()), magnitude);
  Value tiny = arith::MulFOp::create(
      e.b, e.loc, fraction,
      splatConstant(e, fraction.getType(), std::ldexp(1.0, 1 - f.bias - int(f.mantissaBits))));
  Value normal =
      bits.add(bits.shl(magnitude, 23 - f.mantissaBits), bits.constant(int64_t(127 - f.bias) << 23));
  Value isTiny = bits.compare(arith::CmpIPredicate::ult, magnitude, 1 << f.mantissaBits);
  Value result = bits.select(isTiny, bits.ofFloat(tiny), normal);
  int64_t nan = 0x7fc00000;
  if (f.unsignedZero) {
    result = bits.ior(result, sign);
    return bits.asFloat(
        bits.select(bits.compare(arith::CmpIPredicate::eq, wide, 0x80), bits.constant(nan), result));
  }
  if (f.hasInfinity) {
    int64_t infinity = ((1 << f.exponentBits) - 1) << f.mantissaBits;
    result = bits.select(bits.compare(arith::CmpIPredicate::eq, magnitude, infinity),
                         bits.constant(0x7f800000), result);
    result =
        bits.select(bits.compare(arith::CmpIPredicate::ugt, magnitude, infinity), bits.constant(nan), result);
  } else if (f.hasNaN) {
    result = bits.select(bits.compare(arith::CmpIPredicate::eq, magnitude, magnitudeMask), bits.constant(nan),
                         result);
  }
  return bits.asFloat(bits.ior(result, sign));
}

/// f32 -> small float bits (i8), to nearest even.
Value encode(ValueEmitter &e, Value x, const SmallFloat &f, bool saturate) {
  Bits bits(e, x.getType());
  unsigned width = 1 + f.exponentBits + f.mantissaBits, shift = 23 - f.mantissaBits;
  Value raw = bits.ofFloat(x), magnitude = bits.iand(raw, 0x7fffffff),
        sign = bits.shr(bits.iand(raw, int64_t(0x80000000)), 32 - width);
  // Normal results: add half an ulp (less one when even) and drop the bits below.
  Value odd = bits.iand(bits.shr(magnitude, shift), 1);
  Value rounded =
      bits.shr(bits.add(bits.add(magnitude, odd), bits.constant((int64_t(1) << (shift - 1)) - 1)), shift);
  Value normal = bits.add(rounded, bits.constant(-(int64_t(127 - f.bias) << f.mantissaBits)));
  // Subnormal results: adding a power of two whose ulp is the subnormal step makes the FPU round.
  double step = std::ldexp(1.0, 1 - f.bias - int(f.mantissaBits) + 23);
  Value base = splatConstant(e, withElement(bits.type, e.b.getF32Type()), step);
  Value shifted = arith::AddFOp::create(e.b, e.loc, bits.asFloat(magnitude), base);
  Value subnormal = arith::SubIOp::create(e.b, e.loc, bits.ofFloat(shifted), bits.ofFloat(base));
  float smallest = float(std::ldexp(1.0, 1 - f.bias));
  Value isTiny = bits.compare(arith::CmpIPredicate::ult, magnitude, llvm::bit_cast<int32_t>(smallest));
  Value result = bits.select(isTiny, subnormal, normal);
  int64_t all = (1 << (width - 1)) - 1;
  int64_t largest = f.unsignedZero || !f.hasNaN ? all
                    : f.hasInfinity             ? (((1 << f.exponentBits) - 1) << f.mantissaBits) - 1
                                                : all - 1;
  int64_t nan = f.unsignedZero ? 0x80 : f.hasNaN ? all : all + 1; // without NaN: -0
  Value beyond = bits.compare(arith::CmpIPredicate::sgt, result, largest);
  bool clamps = saturate || !f.hasNaN;
  int64_t overflow = clamps ? largest : f.hasInfinity ? largest + 1 : nan;
  Value isInfinite = bits.compare(arith::CmpIPredicate::eq, magnitude, 0x7f800000);
  result = bits.select(arith::OrIOp::create(e.b, e.loc, beyond, isInfinite), bits.constant(overflow), result);
  Value isNaN = bits.compare(arith::CmpIPredicate::ugt, magnitude, 0x7f800000);
  if (f.unsignedZero) {
    Value special = bits.compare(arith::CmpIPredicate::eq, result, 0),
          poisoned = bits.compare(arith::CmpIPredicate::eq, result, 0x80);
    Value plain = arith::OrIOp::create(e.b, e.loc, special, poisoned);
    result = bits.select(plain, result, bits.ior(result, sign));
    result = bits.select(isNaN, bits.constant(nan), result);
  } else {
    result = bits.ior(bits.select(isNaN, bits.constant(nan), result), sign);
  }
  return arith::TruncIOp::create(e.b, e.loc, withElement(bits.type, e.b.getI8Type()), result);
}

/// To nearest, ties to even; what is none stays none, also where its payload is in the lower half.
Value encodeBfloat(ValueEmitter &e, Value x) {
  Bits bits(e, x.getType());
  Value raw = bits.ofFloat(x), odd = bits.iand(bits.shr(raw, 16), 1);
  Value rounded = bits.add(bits.add(raw, bits.constant(0x7fff)), odd);
  Value isNaN = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::UNO, x, x);
  Value upper = bits.shr(bits.select(isNaN, bits.ior(raw, bits.constant(0x00400000)), rounded), 16);
  return arith::TruncIOp::create(e.b, e.loc, withElement(bits.type, e.b.getI16Type()), upper);
}

} // namespace

Type storageType(Type element) {
  MLIRContext *context = element.getContext();
  if (element.isF32() || element.isF64() || element.isF16())
    return element;
  unsigned width = element.getIntOrFloatBitWidth();
  return IntegerType::get(context, std::max(8u, width));
}

Value fromStorage(ValueEmitter &e, Value stored, Type element) {
  if (element.isF32() || element.isF64())
    return stored;
  if (element.isF16())
    return arith::ExtFOp::create(e.b, e.loc, withElement(stored.getType(), e.b.getF32Type()), stored);
  if (element.isInteger(1))
    return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ne, stored,
                                 splatInteger(e, stored.getType(), 0));
  if (llvm::isa<IntegerType>(element))
    return stored;
  Bits bits(e, stored.getType());
  if (element.isBF16())
    return bits.asFloat(bits.shl(arith::ExtUIOp::create(e.b, e.loc, bits.type, stored), 16));
  if (llvm::isa<Float8E8M0FNUType>(element)) { // a bare exponent
    Value wide = arith::ExtUIOp::create(e.b, e.loc, bits.type, stored);
    Value result = bits.select(bits.compare(arith::CmpIPredicate::eq, wide, 0), bits.constant(0x00400000),
                               bits.shl(wide, 23));
    return bits.asFloat(
        bits.select(bits.compare(arith::CmpIPredicate::eq, wide, 255), bits.constant(0x7fc00000), result));
  }
  return decode(e, stored, *layoutOf(element));
}

/// What `fromStorage` made this value of; null where something else did.
static Value storedAs(Value value, Type element) {
  if (auto extended = value.getDefiningOp<arith::ExtFOp>(); extended && element.isF16())
    return getElementTypeOrSelf(extended.getIn().getType()) == element ? extended.getIn() : Value();
  auto cast = value.getDefiningOp<arith::BitcastOp>();
  auto shifted = cast && element.isBF16() ? cast.getIn().getDefiningOp<arith::ShLIOp>() : nullptr;
  auto wide = shifted ? shifted.getLhs().getDefiningOp<arith::ExtUIOp>() : nullptr;
  llvm::APInt by;
  if (!wide || !getElementTypeOrSelf(wide.getIn().getType()).isInteger(16) ||
      !matchPattern(shifted.getRhs(), m_ConstantInt(&by)) || by != 16)
    return {};
  return wide.getIn();
}

Value roundTrip(ValueEmitter &e, Value value, Type element, bool exact) {
  if (!exact || !(element.isF16() || element.isBF16()))
    return fromStorage(e, toStorage(e, value, element), element);
  if (element.isF16())
    return value;
  // So that storing it finds it.
  Bits bits(e, value.getType());
  Value half = arith::TruncIOp::create(e.b, e.loc, withElement(bits.type, e.b.getI16Type()),
                                       bits.shr(bits.ofFloat(value), 16));
  return fromStorage(e, half, element);
}

Value toStorage(ValueEmitter &e, Value value, Type element, bool saturate) {
  if (element.isF32() || element.isF64())
    return value;
  if (Value stored = storedAs(value, element))
    return stored;
  if (element.isF16())
    return arith::TruncFOp::create(e.b, e.loc, withElement(value.getType(), element), value);
  if (element.isInteger(1))
    return arith::ExtUIOp::create(e.b, e.loc, withElement(value.getType(), e.b.getI8Type()), value);
  if (llvm::isa<IntegerType>(element))
    return value;
  if (element.isBF16())
    return encodeBfloat(e, value);
  if (llvm::isa<Float8E8M0FNUType>(element)) { // nearest power of two, ties away
    Bits bits(e, value.getType());
    Value raw = bits.iand(bits.ofFloat(value), 0x7fffffff);
    Value exponent = bits.shr(bits.add(raw, bits.constant(0x00400000)), 23);
    exponent = bits.select(bits.compare(arith::CmpIPredicate::ugt, exponent, 254),
                           bits.constant(saturate ? 254 : 255), exponent);
    exponent =
        bits.select(bits.compare(arith::CmpIPredicate::ugt, raw, 0x7f800000), bits.constant(255), exponent);
    return arith::TruncIOp::create(e.b, e.loc, withElement(bits.type, e.b.getI8Type()), exponent);
  }
  return encode(e, value, *layoutOf(element), saturate);
}

} // namespace tilewright::codegen
