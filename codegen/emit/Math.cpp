// Elementary functions. f32 goes through polynomials fitted for f32 (Chebyshev interpolation; weighted
// minimax), whose bounds are in README.md and whose values tests/compiler/FunctionsTest.cpp sweeps. What is
// rare, and all of f64, calls the host's libm in f64 lane by lane.
//
// A function that is monotone stays so, without a case apart, where its last steps are monotone in what came
// before: every rounded operation is. So tanh and erf end in 1 - something, and e^r ends in 1 + something.
#include "codegen/emit/Floats.h"
#include "tilewright/artifact.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;

namespace tilewright::codegen {

namespace {

constexpr double log2e = 1.4426950408889634, ln2High = 0.693145751953125, ln2Low = 1.42860682030941723e-06;

//===- Powers of e ------------------------------------------------------------------------===//

/// x = n * ln 2 + r with |r| <= ln 2 / 2. Adding 1.5 * 2^23 leaves n in the low bits of a float: no
/// float-to-int conversion. Adding a bias too, one shift makes 2^(n + bias - 127) of it.
class Halvings {
public:
  Halvings(Floats f, Value x, int bias = 0) : f(f), magic(12582912.0 + bias) {
    shifted = f.fma(x, f.constant(log2e), f.constant(magic));
    n = f.sub(shifted, f.constant(magic));
    r = f.fma(n, f.constant(-ln2High), x);
    r = f.fma(n, f.constant(-ln2Low), r);
  }
  Floats f;
  double magic;
  Value shifted, n, r;

  Value power() { return f.fromBits(arith::ShLIOp::create(f.e.b, f.e.loc, f.bits(shifted), f.integer(23))); }
  /// Keeps r within bounds where x is not, so that scaling by 2^n alone decides; NaN, too, then comes from n.
  void boundRest() { r = f.nearerToZero(r, 0.35); }
};

constexpr double restPowers[] = {0.5, 0.16666573286056519, 0.04166645556688309, 0.008363776840269566,
                                 0.0013934544986113906};

/// e^r - 1 for |r| <= ln 2 / 2.
Value restMinusOne(Floats f, Value r) { return f.fma(f.polynomial(r, restPowers), f.mul(r, r), r); }

/// e^r * scale for |r| <= ln 2 / 2.
Value restPower(Floats f, Value r, double scale = 1) {
  if (Value p = f.e.approximate(Approximation::exp2, f.mul(r, log2e)))
    return scale == 1 ? p : f.mul(p, scale);
  Value s = restMinusOne(f, r), one = f.constant(scale);
  return scale == 1 ? f.add(s, one) : f.fma(s, one, one);
}

Value exponential(Floats f, Value x) {
  if (f.hasSteps()) {
    Halvings h(f, x);
    h.boundRest();
    return f.scaled(restPower(f, h.r), h.n);
  }
  Halvings h(f, f.clamp(x, -104.0, 89.0));
  // 2^n in two factors, so that results near overflow and below the smallest normal come out right.
  auto &e = f.e;
  Value origin = arith::SubIOp::create(e.b, e.loc, f.bits(f.constant(h.magic)), f.integer(2 * 127));
  Value both = arith::SubIOp::create(e.b, e.loc, f.bits(h.shifted), origin);
  Value half = arith::ShRSIOp::create(e.b, e.loc, both, f.integer(1));
  auto power = [&](Value biased) {
    return f.fromBits(arith::ShLIOp::create(e.b, e.loc, biased, f.integer(23)));
  };
  Value other = arith::SubIOp::create(e.b, e.loc, both, half);
  return f.mul(f.mul(restPower(f, h.r), power(half)), power(other));
}

/// e^x - 1 as 2^n * (e^r - 1) + (2^n - 1), at half its size: 2^128 is no float.
Value expMinusOne(Floats f, Value x) {
  Halvings h(f, f.clamp(x, -40.0, 89.0), 126);
  Value power = h.power();
  Value half = f.fma(power, restMinusOne(f, h.r), f.sub(power, f.constant(0.5)));
  Value isTiny = f.less(f.abs(x), f.constant(0x1p-30)); // then it is x, of which half may be no float
  return f.select(isTiny, x, f.add(half, half));
}

/// 1 / (1 + e^-x), both terms scaled by 2^-64, so that results among the subnormals come out right.
Value sigmoid(Floats f, Value x) {
  Value y = f.neg(x), one = f.constant(0x1p-64), power;
  if (f.hasSteps()) {
    Halvings h(f, y);
    h.boundRest();
    power = f.scaled(restPower(f, h.r, 0x1p-64), h.n);
  } else {
    Halvings h(f, f.clamp(y, -40.0, 104.0), 127 - 64);
    power = f.mul(restPower(f, h.r), h.power());
  }
  return f.div(one, f.add(one, power));
}

/// With d = (1 - e^(-2|x|)) / 2, tanh |x| = d / (1 - d). Of -2|x| only halves are needed: h = r / 2.
Value hyperbolicTangent(Floats f, Value x) {
  Value a = f.atMost(f.abs(x), 10.0), magic = f.constant(12582912.0 + 127);
  Value shifted = f.fma(a, f.constant(-2 * log2e), magic), n = f.sub(shifted, magic);
  Value h = f.fma(n, f.constant(-0.34657359027997264), f.neg(a));
  double halves[5]; // (e^2h - 1) / 2 = h + h^2 * polynomial
  for (int i = 0; i < 5; ++i)
    halves[i] = std::ldexp(restPowers[i], i + 1);
  Value s = f.fma(f.polynomial(h, halves), f.mul(h, h), h);
  Value power = f.fromBits(arith::ShLIOp::create(f.e.b, f.e.loc, f.bits(shifted), f.integer(23)));
  Value d = f.fma(f.neg(power), s, f.fma(power, f.constant(-0.5), f.constant(0.5)));
  return f.withSignOf(x, f.div(d, f.sub(f.constant(1.0), d)));
}

/// 1 - erf is the eighth power of 1 - v / 8, where v is a polynomial in |x| that starts with x. Squaring
/// three times goes through 8, 4 and 2 times 1 minus the powers, so that nothing cancels near 0.
Value errorFunction(Floats f, Value x) {
  Value a = f.atMost(f.abs(x), 3.93);
  Value v = f.fma(a,
                  f.polynomial(a, {0x1.06eba4p-3, 0x1.1d34c2p-1, 0x1.11d09ep-6, -0x1.afd57ap-5,
                                   -0x1.871d38p-10, 0x1.0cdff8p-8, -0x1.74c2f8p-11, 0x1.42273p-15}),
                  a);
  for (double share : {1.0 / 16, 1.0 / 8, 1.0 / 4})
    v = f.fma(f.mul(v, -share), v, v);
  return f.withSignOf(x, v);
}

//===- Logarithms -------------------------------------------------------------------------===//

/// log((1 + m) * 2^k) for 1 + m from sqrt(1/2) to sqrt(2), or from 3/4 to 3/2 with the other coefficients.
Value logarithmOf(Floats f, Value m, Value k, bool fromThreeQuarters) {
  Value square = f.mul(m, m);
  Value p = fromThreeQuarters
                ? f.polynomial(m, {0.3333344912046585, -0.25000095828785374, 0.19990860859490087,
                                   -0.1664731234372064, 0.14478400506035505, -0.1316119653814005,
                                   0.10462995667888984, -0.045074466494796336})
                : f.polynomial(m, {0.333333283662796, -0.2500029504299164, 0.20001481473445892,
                                   -0.16642262041568756, 0.14201900362968445, -0.1297181397676468,
                                   0.12714016437530518, -0.08104817569255829});
  Value tail = f.fma(k, f.constant(ln2Low), f.mul(f.mul(square, m), p));
  tail = f.fma(square, f.constant(-0.5), tail);
  return f.fma(k, f.constant(ln2High), f.add(m, tail));
}

/// A float above 0 as mantissa * 2^k, the mantissa in [sqrt(1/2), sqrt(2)): subtracting the bits of sqrt(1/2)
/// makes the exponent field come out as k.
struct Split {
  Split(Floats f, Value raw) {
    auto &e = f.e;
    Value fromRoot = arith::SubIOp::create(e.b, e.loc, raw, f.integer(0x3f3504f3));
    k = arith::ShRSIOp::create(e.b, e.loc, fromRoot, f.integer(23));
    mantissa = f.fromBits(arith::SubIOp::create(e.b, e.loc, raw, exponentBits(f, k)));
  }
  static Value exponentBits(Floats f, Value k) {
    return arith::ShLIOp::create(f.e.b, f.e.loc, k, f.integer(23));
  }
  Value k, mantissa;
};

Value logarithm(Floats f, Value x) {
  auto &e = f.e;
  if (f.hasSteps()) {
    Value mantissa = f.mantissa(x), k = f.sub(f.exponent(x), f.exponent(mantissa));
    return logarithmOf(f, f.sub(mantissa, f.constant(1.0)), k, true);
  }
  Value raw = f.bits(x);
  Value isTiny = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, raw, f.integer(0x00800000));
  Split split(f, f.select(isTiny, f.bits(f.mul(x, 0x1p23)), raw));
  Value k = arith::AddIOp::create(e.b, e.loc, split.k, f.select(isTiny, f.integer(-23), f.integer(0)));
  Value result = logarithmOf(f, f.sub(split.mantissa, f.constant(1.0)),
                             arith::SIToFPOp::create(e.b, e.loc, f.type, k), false);
  result = f.select(f.less(x, f.constant(INFINITY)), result, x);
  result = f.select(f.equal(x, f.constant(0)), f.constant(-INFINITY), result);
  return f.select(f.less(x, f.constant(0)), f.constant(NAN), result);
}

/// log(1 + x): of u = 1 + x rounded, with what rounding took away added to the mantissa's distance from 1.
Value logOnePlus(Floats f, Value x) {
  auto &e = f.e;
  Value one = f.constant(1.0), u = f.add(x, one), lost = f.sub(x, f.sub(u, one));
  Split split(f, f.bits(u));
  Value bounded = arith::MinSIOp::create(e.b, e.loc, split.k, f.integer(127)); // 2^-128 has other bits
  Value shrink =
      f.fromBits(arith::SubIOp::create(e.b, e.loc, f.integer(0x3f800000), Split::exponentBits(f, bounded)));
  Value m = f.fma(lost, shrink, f.sub(split.mantissa, one));
  Value result = logarithmOf(f, m, arith::SIToFPOp::create(e.b, e.loc, f.type, split.k), false);
  result = f.select(f.less(x, f.constant(INFINITY)), f.withSignOf(x, result), x);
  result = f.select(f.equal(x, f.constant(-1.0)), f.constant(-INFINITY), result);
  return f.select(f.less(x, f.constant(-1.0)), f.constant(NAN), result);
}

//===- Functions of the host --------------------------------------------------------------===//

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

/// f64: at x < -40 the 1 in 1 / (1 + e^-x) adds nothing.
static Value wideSigmoid(Floats f, Value x) {
  Value isSmall = f.less(x, f.constant(-40.0));
  Value power = callHostMath(f.e, TW_MATH_EXP, f.select(isSmall, x, f.neg(x))), one = f.constant(1.0);
  return f.select(isSmall, power, f.div(one, f.add(one, power)));
}

Value emitMath(ValueEmitter &e, UnaryKind kind, Value x) {
  Floats f(e, x.getType());
  if (scalarType(x.getType()).isF64())
    return kind == UnaryKind::sigmoid ? wideSigmoid(f, x) : callHostMath(e, hostFunction(kind), x);
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
    return sigmoid(f, x);
  case UnaryKind::sin:
  case UnaryKind::cos:
    return emitSine(e, x, kind == UnaryKind::cos);
  case UnaryKind::log1p:
    return logOnePlus(f, x);
  case UnaryKind::expm1:
    return expMinusOne(f, x);
  default:
    return callHostMath(e, hostFunction(kind), x);
  }
}

//===- Powers -----------------------------------------------------------------------------===//

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

/// x to the power of a constant for which a few instructions do, or null.
static Value knownPower(Floats f, Value x, double exponent) {
  auto inverse = [&](Value v) { return f.div(f.constant(1.0), v); };
  auto square = [&](Value v) { return f.mul(v, v); };
  auto root = [&]() -> Value { // of -infinity and -0 as a power: infinity and 0
    Value sqrt = math::SqrtOp::create(f.e.b, f.e.loc, x);
    return f.select(f.equal(x, f.constant(-INFINITY)), f.constant(INFINITY), f.add(sqrt, f.constant(0.0)));
  };
  if (exponent == 0)
    return f.constant(1.0);
  if (exponent == 1)
    return x;
  if (exponent == 2)
    return square(x);
  if (exponent == 3)
    return f.mul(square(x), x);
  if (exponent == 4)
    return square(square(x));
  if (exponent == -1)
    return inverse(x);
  if (exponent ==
      -2) // the square of the inverse: that of x overflows and underflows where the power does not
    return square(inverse(x));
  if (exponent == 0.5)
    return root();
  if (exponent == -0.5)
    return inverse(root());
  return {};
}

Value emitPower(ValueEmitter &e, Value x, Value y) {
  if (auto exponent = splatOf(y))
    if (Value known = knownPower(Floats(e, x.getType()), x, *exponent))
      return known;
  return callHostMath(e, TW_MATH_POW, x, y);
}

} // namespace tilewright::codegen
