// Elementary functions. f32 goes through polynomials and rationals fitted for f32 (Chebyshev interpolation;
// odd rationals with weighted least squares), a few ulp each: exp 1, log 1, tanh and erf 4, sigmoid 2, sin
// and cos 1 (up to |x| = 1e9). What is rare, and all of f64, calls the host's libm in f64 lane by lane.
// Relative accuracy in the far tails of erf-based functions is not promised; absolute accuracy is.
#include "mlir/Dialect/Math/IR/Math.h"
#include "codegen/emit/Ops.h"
#include "tilewright/artifact.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;

namespace tilewright::codegen {
namespace {

/// Float arithmetic in the type of one operand.
class Floats {
public:
  Floats(ValueEmitter &e, Type type) : e(e), type(type) {}
  ValueEmitter &e;
  Type type;
  Value constant(double v) { return splatConstant(e, type, v); }
  Value add(Value x, Value y) { return arith::AddFOp::create(e.b, e.loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(e.b, e.loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(e.b, e.loc, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(e.b, e.loc, x, y); }
  Value fma(Value x, Value y, Value z) { return math::FmaOp::create(e.b, e.loc, x, y, z); }
  Value less(Value x, Value y) { return arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OLT, x, y); }
  Value equal(Value x, Value y) { return arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OEQ, x, y); }
  Value isNaN(Value x) { return arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::UNO, x, x); }
  Value select(Value c, Value x, Value y) { return arith::SelectOp::create(e.b, e.loc, c, x, y); }
  /// NaN passes through.
  Value clamp(Value x, double lo, double hi) {
    Value low = constant(lo), high = constant(hi);
    x = select(less(x, low), low, x);
    return select(less(high, x), high, x);
  }
  /// Coefficients from the lowest power up.
  Value polynomial(Value x, ArrayRef<double> coefficients) {
    Value result = constant(coefficients.back());
    for (double c : llvm::reverse(coefficients.drop_back()))
      result = fma(result, x, constant(c));
    return result;
  }
  Type integers() { return withElement(type, e.b.getIntegerType(scalarType(type).getIntOrFloatBitWidth())); }
  Value bits(Value x) { return arith::BitcastOp::create(e.b, e.loc, integers(), x); }
  Value fromBits(Value x) { return arith::BitcastOp::create(e.b, e.loc, type, x); }
};

constexpr double log2e = 1.4426950408889634, ln2High = 0.693145751953125, ln2Low = 1.42860682030941723e-06;

/// x * 2^n for whole n in one instruction, with overflow and subnormal results as they should be.
Value scaled(ValueEmitter &e, Value x, Value n) {
  auto vector = llvm::cast<VectorType>(x.getType());
  const int64_t lanes = vector.getNumElements();
  Type mask = e.b.getIntegerType(lanes), rounding = e.b.getI32Type();
  Value all = arith::ConstantOp::create(e.b, e.loc, e.b.getIntegerAttr(mask, -1)),
        current = arith::ConstantOp::create(e.b, e.loc, e.b.getIntegerAttr(rounding, 4));
  return LLVM::CallIntrinsicOp::create(e.b, e.loc, vector,
                                       e.b.getStringAttr("llvm.x86.avx512.mask.scalef.ps.512"),
                                       ValueRange{x, n, x, all, current})
      .getResult(0);
}

Value exponential(Floats f, Value x) {
  // 2^n * e^r with n = round(x / ln 2). Adding 1.5 * 2^23 leaves n in the low bits of the float: no
  // float-to-int conversion.
  Value magic = f.constant(12582912.0), clamped = f.clamp(x, -104.0, 89.0);
  Value shifted = f.fma(clamped, f.constant(log2e), magic), n = f.sub(shifted, magic);
  Value r = f.fma(n, f.constant(-ln2High), clamped);
  r = f.fma(n, f.constant(-ln2Low), r);
  Value p = f.e.approximate(Approximation::exp2, f.mul(r, f.constant(log2e)));
  if (!p) {
    Value q = f.polynomial(
        r, {0.5, 0.16666573286056519, 0.04166645556688309, 0.008363776840269566, 0.0013934544986113906});
    p = f.fma(f.fma(q, r, f.constant(1.0)), r, f.constant(1.0));
  }
  auto vector = llvm::dyn_cast<VectorType>(x.getType());
  if (f.e.kernel.target.hasAvx512() && vector && vector.getNumElements() == 16)
    return scaled(f.e, p, n);
  // 2^n in two factors, so that results near overflow and below the smallest normal come out right.
  auto &e = f.e;
  Type ints = f.integers();
  Value whole = arith::SubIOp::create(e.b, e.loc, f.bits(shifted), f.bits(magic));
  Value half = arith::ShRSIOp::create(e.b, e.loc, whole, splatInteger(e, ints, 1));
  auto power = [&](Value k) {
    Value biased = arith::AddIOp::create(e.b, e.loc, k, splatInteger(e, ints, 127));
    return f.fromBits(arith::ShLIOp::create(e.b, e.loc, biased, splatInteger(e, ints, 23)));
  };
  return f.mul(f.mul(p, power(half)), power(arith::SubIOp::create(e.b, e.loc, whole, half)));
}

Value logarithm(Floats f, Value x) {
  auto &e = f.e;
  Type ints = f.integers();
  // x = m * 2^k with m in [sqrt(1/2), sqrt(2)): subtracting the bits of sqrt(1/2) makes the exponent field
  // come out as k.
  Value raw = f.bits(x), origin = splatInteger(e, ints, 0x3f3504f3);
  Value k = arith::ShRSIOp::create(e.b, e.loc, arith::SubIOp::create(e.b, e.loc, raw, origin),
                                   splatInteger(e, ints, 23));
  Value mantissa = f.fromBits(arith::SubIOp::create(
      e.b, e.loc, raw, arith::ShLIOp::create(e.b, e.loc, k, splatInteger(e, ints, 23))));
  Value m = f.sub(mantissa, f.constant(1.0)), square = f.mul(m, m);
  Value exponent = arith::SIToFPOp::create(e.b, e.loc, f.type, k);
  Value p =
      f.polynomial(m, {0.333333283662796, -0.2500029504299164, 0.20001481473445892, -0.16642262041568756,
                       0.14201900362968445, -0.1297181397676468, 0.12714016437530518, -0.08104817569255829});
  Value tail = f.fma(exponent, f.constant(ln2Low), f.mul(f.mul(square, m), p));
  tail = f.fma(square, f.constant(-0.5), tail);
  Value result = f.fma(exponent, f.constant(ln2High), f.add(m, tail));
  Value zero = f.constant(0.0), infinity = f.constant(INFINITY);
  result = f.select(f.equal(x, infinity), infinity, result);
  result = f.select(f.equal(x, zero), f.constant(-INFINITY), result);
  result = f.select(f.less(x, zero), f.constant(NAN), result);
  return f.select(f.isNaN(x), x, result);
}

Value hyperbolicTangent(Floats f, Value x) {
  Value clamped = f.clamp(x, -9.0, 9.0), square = f.mul(clamped, clamped);
  Value p = f.polynomial(square, {1.0, 0.13681350648403168, 0.0038701200392097235, 2.8043192287441343e-05,
                                  3.066919163074999e-08, -1.2264282471530219e-11});
  Value q = f.polynomial(
      square, {1.0, 0.4701468348503113, 0.02725241519510746, 0.00039417759398929775, 1.2898398153993185e-06});
  return f.div(f.mul(clamped, p), q);
}

Value errorFunction(Floats f, Value x) {
  Value clamped = f.clamp(x, -3.92, 3.92), square = f.mul(clamped, clamped);
  Value p = f.polynomial(square, {1.1283791065216064, 0.1900702267885208, 0.05270510911941528,
                                  0.0037514998111873865, 0.00028461901820264757, 2.0533325368887745e-06});
  Value q = f.polynomial(square, {1.0, 0.5017781853675842, 0.11397091299295425, 0.014940819703042507,
                                  0.0011592177907004952, 3.811164424405433e-05});
  return f.div(f.mul(clamped, p), q);
}

/// sin, or cos by a quarter turn. The reduction runs in f64, where n * pi / 2 is exact enough for any f32
/// that has a meaningful phase.
Value sine(ValueEmitter &e, Value x, bool cosine) {
  Floats single(e, x.getType()), wide(e, withElement(x.getType(), e.b.getF64Type()));
  Value big = arith::ExtFOp::create(e.b, e.loc, wide.type, x);
  Value magic = wide.constant(6755399441055744.0); // 1.5 * 2^52
  Value shifted = wide.fma(big, wide.constant(0.63661977236758134308), magic), n = wide.sub(shifted, magic);
  Value r64 = wide.fma(n, wide.constant(-1.57079632679489655800e+00), big);
  r64 = wide.fma(n, wide.constant(-6.12323399573676603587e-17), r64);
  Value r = arith::TruncFOp::create(e.b, e.loc, x.getType(), r64), z = single.mul(r, r);
  Value s = single.polynomial(z, {-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4});
  s = single.fma(single.mul(z, r), s, r);
  Value c = single.polynomial(z, {4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5});
  c = single.fma(single.mul(z, z), c, single.fma(z, single.constant(-0.5), single.constant(1.0)));
  Type ints = single.integers();
  Value quadrant = arith::TruncIOp::create(e.b, e.loc, ints, wide.bits(shifted));
  if (cosine)
    quadrant = arith::AddIOp::create(e.b, e.loc, quadrant, splatInteger(e, ints, 1));
  auto has = [&](int64_t bit) -> Value {
    Value masked = arith::AndIOp::create(e.b, e.loc, quadrant, splatInteger(e, ints, bit));
    return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ne, masked, splatInteger(e, ints, 0));
  };
  Value result = single.select(has(1), c, s);
  result = single.select(has(2), arith::NegFOp::create(e.b, e.loc, result), result);
  return single.add(result, single.mul(x, single.constant(0.0))); // infinities and NaN give NaN
}

/// log(1 + x) with the rounding of 1 + x put right: log(u) * x / (u - 1).
Value logOnePlus(Floats f, Value x) {
  Value one = f.constant(1.0), u = f.add(x, one), spread = f.sub(u, one), zero = f.constant(0.0);
  Value exact = f.equal(spread, zero), finite = f.less(u, f.constant(INFINITY));
  Value ratio = f.div(x, f.select(exact, one, spread)), value = logarithm(f, u);
  Value result = f.select(finite, f.mul(value, ratio), value);
  return f.select(exact, x, result);
}

/// e^x - 1: the series near 0, else directly.
Value expMinusOne(Floats f, Value x) {
  Value p = f.polynomial(x, {0.5, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320});
  Value near = f.fma(f.mul(x, x), p, x), far = f.sub(exponential(f, x), f.constant(1.0));
  Value magnitude = math::AbsFOp::create(f.e.b, f.e.loc, x);
  return f.select(f.less(magnitude, f.constant(0.5)), near, far);
}

int hostFunction(UnaryKind kind) {
  switch (kind) {
  case UnaryKind::sin:
    return TW_MATH_SIN;
  case UnaryKind::cos:
    return TW_MATH_COS;
  case UnaryKind::tan:
    return TW_MATH_TAN;
  case UnaryKind::asin:
    return TW_MATH_ASIN;
  case UnaryKind::acos:
    return TW_MATH_ACOS;
  case UnaryKind::atan:
    return TW_MATH_ATAN;
  case UnaryKind::sinh:
    return TW_MATH_SINH;
  case UnaryKind::cosh:
    return TW_MATH_COSH;
  case UnaryKind::tanh:
    return TW_MATH_TANH;
  case UnaryKind::asinh:
    return TW_MATH_ASINH;
  case UnaryKind::acosh:
    return TW_MATH_ACOSH;
  case UnaryKind::atanh:
    return TW_MATH_ATANH;
  case UnaryKind::exp:
    return TW_MATH_EXP;
  case UnaryKind::log:
    return TW_MATH_LOG;
  case UnaryKind::erf:
    return TW_MATH_ERF;
  case UnaryKind::log1p:
    return TW_MATH_LOG1P;
  case UnaryKind::expm1:
    return TW_MATH_EXPM1;
  case UnaryKind::lgamma:
    return TW_MATH_LGAMMA;
  default:
    llvm_unreachable("no elementary function");
  }
}

} // namespace

Value callHostMath(ValueEmitter &e, int index, Value x, Value y) {
  if (!e.kernel.frame) {
    e.kernel.hostOps.insert(e.computing);
    return x;
  }
  auto pointer = LLVM::LLVMPointerType::get(e.b.getContext());
  Type f64 = e.b.getF64Type(), scalar = scalarType(x.getType());
  // The table never changes: its entries are read once, at the top of the kernel.
  Value function = e.placedAt(0, [&]() -> Value {
    auto field = [&](Value base, int64_t offset) -> Value {
      Value slot =
          LLVM::GEPOp::create(e.b, e.loc, pointer, e.b.getI8Type(), base, LLVM::GEPArg(int32_t(offset)));
      return LLVM::LoadOp::create(e.b, e.loc, pointer, slot);
    };
    Value host = LLVM::LoadOp::create(e.b, e.loc, pointer, e.kernel.frame);
    return field(field(host, y ? offsetof(tw_host_table, math2) : offsetof(tw_host_table, math1)), 8 * index);
  });
  auto type = LLVM::LLVMFunctionType::get(f64, y ? ArrayRef<Type>{f64, f64} : ArrayRef<Type>{f64});
  auto callOne = [&](Value p, Value q) -> Value {
    auto wide = [&](Value v) -> Value {
      return scalar == f64 ? v : Value(arith::ExtFOp::create(e.b, e.loc, f64, v));
    };
    llvm::SmallVector<Value> operands{function, wide(p)};
    if (q)
      operands.push_back(wide(q));
    Value result = LLVM::CallOp::create(e.b, e.loc, type, operands).getResult();
    return scalar == f64 ? result : Value(arith::TruncFOp::create(e.b, e.loc, scalar, result));
  };
  auto vector = llvm::dyn_cast<VectorType>(x.getType());
  if (!vector)
    return callOne(x, y);
  Value result = splatConstant(e, x.getType(), 0);
  for (int64_t lane = 0; lane < vector.getDimSize(0); ++lane) {
    Value p = vector::ExtractOp::create(e.b, e.loc, x, lane);
    Value q = y ? Value(vector::ExtractOp::create(e.b, e.loc, y, lane)) : Value();
    result = vector::InsertOp::create(e.b, e.loc, callOne(p, q), result, lane);
  }
  return result;
}

Value emitMath(ValueEmitter &e, UnaryKind kind, Value x) {
  Floats f(e, x.getType());
  auto sigmoid = [&](Value exponential) {
    return f.div(f.constant(1.0), f.add(f.constant(1.0), exponential));
  };
  Value negative = kind == UnaryKind::sigmoid ? Value(arith::NegFOp::create(e.b, e.loc, x)) : Value();
  if (scalarType(x.getType()).isF64())
    return negative ? sigmoid(callHostMath(e, TW_MATH_EXP, negative))
                    : callHostMath(e, hostFunction(kind), x);
  switch (kind) {
  case UnaryKind::exp:
    return exponential(f, x);
  case UnaryKind::log:
    return logarithm(f, x);
  case UnaryKind::tanh:
    return hyperbolicTangent(f, x);
  case UnaryKind::erf:
    return errorFunction(f, x);
  case UnaryKind::sigmoid:
    return sigmoid(exponential(f, negative));
  case UnaryKind::sin:
  case UnaryKind::cos:
    return sine(e, x, kind == UnaryKind::cos);
  case UnaryKind::log1p:
    return logOnePlus(f, x);
  case UnaryKind::expm1:
    return expMinusOne(f, x);
  default:
    return callHostMath(e, hostFunction(kind), x);
  }
}

/// The constant that all lanes of `v` hold.
static std::optional<double> splatOf(Value v) {
  if (auto broadcast = v.getDefiningOp<vector::BroadcastOp>())
    v = broadcast.getSource();
  auto op = v.getDefiningOp<arith::ConstantOp>();
  if (!op)
    return std::nullopt;
  if (auto number = llvm::dyn_cast<FloatAttr>(op.getValue()))
    return number.getValueAsDouble();
  if (auto dense = llvm::dyn_cast<DenseElementsAttr>(op.getValue());
      dense && dense.isSplat() && llvm::isa<FloatType>(dense.getElementType()))
    return dense.getSplatValue<llvm::APFloat>().convertToDouble();
  return std::nullopt;
}

Value emitPower(ValueEmitter &e, Value x, Value y) {
  Floats f(e, x.getType());
  auto root = [&](Value v) -> Value { return math::SqrtOp::create(e.b, e.loc, v); };
  if (auto exponent = splatOf(y)) {
    if (*exponent == 0)
      return f.constant(1.0);
    if (*exponent == 1)
      return x;
    if (*exponent == 2)
      return f.mul(x, x);
    if (*exponent == 3)
      return f.mul(f.mul(x, x), x);
    if (*exponent == 4)
      return f.mul(f.mul(x, x), f.mul(x, x));
    if (*exponent == -1)
      return f.div(f.constant(1.0), x);
    if (*exponent == -2)
      return f.div(f.constant(1.0), f.mul(x, x));
    if (*exponent == 0.5) // pow(-inf, 0.5) is +inf and pow(-0, 0.5) is +0, unlike sqrt
      return f.select(f.equal(x, f.constant(-INFINITY)), f.constant(INFINITY),
                      f.add(root(x), f.constant(0.0)));
    if (*exponent == -0.5)
      return f.div(f.constant(1.0), root(x));
  }
  return callHostMath(e, TW_MATH_POW, x, y);
}

} // namespace tilewright::codegen
