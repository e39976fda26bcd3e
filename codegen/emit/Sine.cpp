// Sine and cosine of f32: the remainder of x over quarter turns, then a polynomial for the quadrant.
// Remainders are taken in f64 with pi / 2 in two parts, which is enough below 2^45; beyond, the product of x
// and 2 / pi is taken in integers, of which only the bits that matter are computed (Payne and Hanek, "Radian
// reduction for trigonometric functions", 1983), on a path that is entered where any lane needs it.
#include "codegen/emit/Floats.h"

using namespace mlir;

namespace tilewright::codegen {
namespace {

/// x = r + quadrant * pi / 2, with |r| <= pi / 4; the quadrant modulo 4.
struct Remainder {
  Value r;        ///< f32
  Value quadrant; ///< i32
};

/// The low half of each 64-bit word. A shuffle is one instruction where truncation of 16 words takes three.
Value lowHalves(Floats f, Value words) {
  auto &e = f.e;
  auto vector = llvm::dyn_cast<VectorType>(f.type);
  if (!vector)
    return arith::TruncIOp::create(e.b, e.loc, f.integers(), words);
  const int64_t lanes = vector.getNumElements();
  auto halves = VectorType::get({2 * lanes}, e.b.getI32Type());
  Value split = vector::BitCastOp::create(e.b, e.loc, halves, words);
  llvm::SmallVector<int64_t> even(lanes);
  for (int64_t i = 0; i < lanes; ++i)
    even[i] = 2 * i;
  return vector::ShuffleOp::create(e.b, e.loc, split, split, even);
}

Remainder ofModerate(Floats f, Value x) {
  auto &e = f.e;
  Floats wide(e, withElement(f.type, e.b.getF64Type()));
  Value big = arith::ExtFOp::create(e.b, e.loc, wide.type, x);
  Value magic = wide.constant(6755399441055744.0); // 1.5 * 2^52: whole numbers land in the low bits
  Value shifted = wide.fma(big, wide.constant(0.63661977236758134308), magic), n = wide.sub(shifted, magic);
  Value r = wide.fma(n, wide.constant(-1.57079632679489655800e+00), big);
  r = wide.fma(n, wide.constant(-6.12323399573676603587e-17), r);
  return {arith::TruncFOp::create(e.b, e.loc, f.type, r), lowHalves(f, wide.bits(shifted))};
}

/// 2 / pi = 0.A2F9836E 4E441529 ... in base 2^32.
constexpr uint32_t twoOverPi[] = {0xA2F9836E, 0x4E441529, 0xFC2757D1, 0xF534DDC0,
                                  0xDB629599, 0x3C439041, 0xFE5163AB};

class Words {
public:
  Words(ValueEmitter &e, Type type) : e(e), type(type) {}
  ValueEmitter &e;
  Type type;
  Value constant(uint64_t v) { return splatInteger(e, type, int64_t(v)); }
  Value add(Value x, Value y) { return arith::AddIOp::create(e.b, e.loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(e.b, e.loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulIOp::create(e.b, e.loc, x, y); }
  Value both(Value x, Value y) { return arith::AndIOp::create(e.b, e.loc, x, y); }
  Value either(Value x, Value y) { return arith::OrIOp::create(e.b, e.loc, x, y); }
  Value left(Value x, Value by) { return arith::ShLIOp::create(e.b, e.loc, x, by); }
  Value right(Value x, Value by) { return arith::ShRUIOp::create(e.b, e.loc, x, by); }
  Value left(Value x, unsigned by) { return left(x, constant(by)); }
  Value right(Value x, unsigned by) { return right(x, constant(by)); }
};

/// For |x| from 2^24 to the largest float. With x = m * 2^k, m of 24 bits: the bits of 2 / pi above the
/// second before 2^-k only add whole turns to x * 2 / pi, and what is more than 96 bits below adds less than
/// 2^-72.
Remainder ofLarge(Floats f, Value x) {
  auto &e = f.e;
  Words narrow(e, f.integers()), wide(e, withElement(f.type, e.b.getI64Type()));
  Value raw = f.bits(x);
  Value exponent = narrow.both(narrow.right(raw, 23), narrow.constant(255));
  Value m = narrow.either(narrow.both(raw, narrow.constant(0x7fffff)), narrow.constant(0x800000));
  Value first = narrow.sub(exponent, narrow.constant(152)); // of the bits of 2 / pi that matter
  Value word = narrow.right(first, 5), shift = narrow.both(first, narrow.constant(31));
  auto extended = [&](Value v) -> Value { return arith::ExtUIOp::create(e.b, e.loc, wide.type, v); };
  Value words[4];
  for (unsigned i = 0; i < 4; ++i) {
    Value chosen = narrow.constant(twoOverPi[i + 3]);
    for (unsigned at = 0; at < 3; ++at) {
      Value is = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, word, narrow.constant(at));
      chosen = arith::SelectOp::create(e.b, e.loc, is, narrow.constant(twoOverPi[i + at]), chosen);
    }
    words[i] = extended(chosen);
  }
  Value by = extended(shift), factor = extended(m), parts[3];
  for (unsigned i = 0; i < 3; ++i) // 32 bits of 2 / pi times m
    parts[i] =
        wide.mul(wide.right(wide.left(wide.either(wide.left(words[i], 32), words[i + 1]), by), 32), factor);
  Value turns =
      wide.add(wide.add(wide.left(parts[0], 32), parts[1]), wide.right(parts[2], 32)); // quarter: 2^62
  Value quadrant = wide.right(wide.add(turns, wide.constant(uint64_t(1) << 61)), 62);
  Value rest = wide.sub(turns, wide.left(quadrant, 62));
  Floats doubles(e, withElement(f.type, e.b.getF64Type()));
  Value r =
      doubles.mul(arith::SIToFPOp::create(e.b, e.loc, doubles.type, rest), 1.57079632679489661923 * 0x1p-62);
  // What is found is |x|'s.
  Value magnitude = arith::TruncFOp::create(e.b, e.loc, f.type, r), negative = f.less(x, f.constant(0));
  magnitude = f.add(magnitude, f.sub(x, x)); // NaN for infinities
  Value count = arith::TruncIOp::create(e.b, e.loc, narrow.type, quadrant);
  return {f.select(negative, f.neg(magnitude), magnitude),
          arith::SelectOp::create(e.b, e.loc, negative, narrow.sub(narrow.constant(0), count), count)};
}

Remainder overQuarterTurns(Floats f, Value x) {
  auto &e = f.e;
  const Remainder moderate = ofModerate(f, x);
  Value isLarge = f.compare(Floats::Predicate::OGE, f.abs(x), f.constant(0x1p45)), any = isLarge;
  if (llvm::isa<VectorType>(f.type))
    any = vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::OR, isLarge);
  auto chosen = e.guarded(
      any, {moderate.r.getType(), moderate.quadrant.getType()},
      [&]() -> llvm::SmallVector<Value> {
        const Remainder large = ofLarge(f, x);
        return {f.select(isLarge, large.r, moderate.r), f.select(isLarge, large.quadrant, moderate.quadrant)};
      },
      [&]() -> llvm::SmallVector<Value> { return {moderate.r, moderate.quadrant}; });
  return {chosen[0], chosen[1]};
}

} // namespace

Value emitSine(ValueEmitter &e, Value x, bool cosine) {
  Floats f(e, x.getType());
  auto [r, quadrant] = overQuarterTurns(f, x);
  Value z = f.mul(r, r);
  Value s = f.polynomial(z, {-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4});
  s = f.withSignOf(r, f.fma(f.mul(z, r), s, r)); // also of zero
  Value c = f.polynomial(z, {4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5});
  // What rounding 1 - z / 2 takes away comes back: else cos is not monotone.
  Value one = f.constant(1.0), minusHalf = f.constant(-0.5), top = f.fma(z, minusHalf, one);
  Value lost = f.fma(z, minusHalf, f.sub(one, top));
  c = f.add(top, f.fma(f.mul(z, z), c, lost));
  if (cosine)
    quadrant = arith::AddIOp::create(e.b, e.loc, quadrant, f.integer(1));
  auto has = [&](int64_t bit) -> Value {
    Value masked = arith::AndIOp::create(e.b, e.loc, quadrant, f.integer(bit));
    return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ne, masked, f.integer(0));
  };
  Value result = f.select(has(1), c, s);
  result = f.select(has(2), f.neg(result), result);
  return result;
}

} // namespace tilewright::codegen
