// Quotients of floats, correctly rounded and yet not by the divider where lanes share their divisor.
//
// Let r = 1 / c and q = x * r, each rounded. An FMA gives the remainder q * c - x, a second one corrects q by
// it, and that is x / c rounded once. Why: with p bits, u = 2^-p, 1 <= c < 2 and 1 <= x / c < 2, q is off by
// less than (c + 1) u, so the remainder is exact up to 4 u^2, and what the last step rounds differs from x /
// c by less than c^2 u^2 / 2 where a midpoint between two numbers is u away. No quotient is nearer to a
// midpoint than 2 u^2 / c. Only c = 2 - 2u and 2 - 4u let q be off by the 3 u that the argument does not
// cover; for them all 2^24 dividends of f32 were tried. (Markstein, IBM J. Res. Dev. 34, 1990; Brisebarre,
// Muller and Raina, IEEE Trans. Comput. 53, 2004.)
//
// The argument needs a remainder that is not subnormal, and numbers that do not overflow: divisors and
// dividends outside of ranges that are wide enough for everything usual go to the divider. Signs of zeros are
// right for positive divisors.
#include "codegen/emit/Ops.h"
#include "codegen/schedule/Marks.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;

namespace tilewright::codegen {
namespace {

/// Divisors, and dividends other than zero, that need no divider: then quotients lie within 2^124, and the
/// last bit of a remainder above 2^-108.
constexpr int divisorExponent = 64, dividendExponent = 60;

Value behindMovement(Value v) {
  while (isa_and_present<BroadcastOp, ReshapeOp, TransposeOp>(v.getDefiningOp()))
    v = v.getDefiningOp()->getOperand(0);
  return v;
}

/// exp(x - max(x)) by its own sum: between 0 and 1, by at least 1.
bool isSoftmax(Value dividend, Value divisor) {
  auto sum = divisor.getDefiningOp<ReduceOp>();
  auto exponential = dividend.getDefiningOp<UnaryOp>();
  if (!sum || sum.getKind() != ReduceKind::sum || sum.getOperand() != dividend || !exponential ||
      exponential.getKind() != UnaryKind::exp)
    return false;
  auto difference = exponential.getOperand().getDefiningOp<BinaryOp>();
  if (!difference || difference.getKind() != BinaryKind::sub)
    return false;
  auto largest = behindMovement(difference.getRhs()).getDefiningOp<ReduceOp>();
  return largest && largest.getKind() == ReduceKind::rmax && largest.getOperand() == difference.getLhs() &&
         largest.getDims() == sum.getDims();
}

/// A constant, or a number of elements.
bool isSize(Value v) {
  v = behindMovement(v);
  while (auto cast = v.getDefiningOp<CastOp>())
    v = cast.getOperand();
  return isa_and_present<DimsOp, ConstantOp>(v.getDefiningOp());
}

/// x by the square root of the mean of x * x (plus a constant): at most the root of the count.
bool isStandardized(Value dividend, Value divisor) {
  auto root = divisor.getDefiningOp<UnaryOp>();
  if (!root || root.getKind() != UnaryKind::sqrt)
    return false;
  Value square = behindMovement(root.getOperand());
  for (auto kind : {BinaryKind::add, BinaryKind::div})
    if (auto op = square.getDefiningOp<BinaryOp>(); op && op.getKind() == kind && isSize(op.getRhs()))
      square = behindMovement(op.getLhs());
  auto sum = square.getDefiningOp<ReduceOp>();
  auto product =
      sum && sum.getKind() == ReduceKind::sum ? sum.getOperand().getDefiningOp<BinaryOp>() : BinaryOp();
  return product && product.getKind() == BinaryKind::mul && product.getLhs() == dividend &&
         product.getRhs() == dividend;
}

std::optional<llvm::APFloat> constantDivisor(Value divisor) {
  auto constant = divisor.getDefiningOp<ConstantOp>();
  auto elements = constant ? llvm::dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
  if (!elements || !elements.isSplat() || !llvm::isa<FloatType>(elements.getElementType()))
    return std::nullopt;
  return elements.getSplatValue<llvm::APFloat>();
}

/// A GPU's division of what is unusual is a call, for which registers go to memory: by default it does
/// without for constant divisors (correctedFinite) and for rows that are normalised (a product).
bool approximates(const ValueEmitter &e) {
  return e.kernel.target.isGpu && e.kernel.precision == Precision::Default;
}

class Divider {
public:
  Divider(ValueEmitter &e, BinaryOp op)
      : e(e), divisor(behindMovement(op.getRhs())), softmax(isSoftmax(op.getLhs(), divisor)),
        bounded(softmax || isStandardized(op.getLhs(), divisor)),
        hidden(bounded && (op->hasAttr(hiddenQuotient) || (!softmax && approximates(e)))) {}

  /// x / y for a scalar y; null where the divider must do it.
  Value quotient(Value x, Value y) {
    Value always = arith::ConstantOp::create(e.b, e.loc, e.b.getBoolAttr(true)), usual = always;
    if (auto known = constantDivisor(divisor)) {
      const int exponent = llvm::ilogb(*known);
      if (exponent < -divisorExponent || exponent >= divisorExponent)
        return {};
      if (known->isNegative()) {
        x = arith::NegFOp::create(e.b, e.loc, x);
        y = arith::NegFOp::create(e.b, e.loc, y);
      }
    } else if (!softmax && !hidden) {
      usual = perRow(usualTag, y, [&] { return usualDivisor(y); });
    }
    Value reciprocal = perRow(reciprocalTag, y, [&]() -> Value {
      return arith::DivFOp::create(e.b, e.loc, splatConstant(e, y.getType(), 1), y);
    });
    if (hidden)
      return arith::MulFOp::create(e.b, e.loc, x, e.spread(reciprocal));
    if (e.kernel.target.isGpu && !softmax)
      return correctedFinite(x, e.spread(y), e.spread(reciprocal));
    if (!bounded)
      usual = e.both(usual, usualDividends(x));
    Value all = e.spread(y);
    if (usual == always)
      return corrected(x, all, e.spread(reciprocal));
    return e.guarded(
        usual, x.getType(), [&] { return SmallVector<Value>{corrected(x, all, e.spread(reciprocal))}; },
        [&] { return SmallVector<Value>{arith::DivFOp::create(e.b, e.loc, x, all)}; })[0];
  }

private:
  template <class T> using SmallVector = llvm::SmallVector<T>;
  static inline const char reciprocalTag = 0, usualTag = 0;

  /// What depends on the divisor only, made once where that is known.
  Value perRow(const char &tag, Value y, llvm::function_ref<Value()> emit) {
    Builder::Key key{&tag, {y.getAsOpaquePointer()}};
    if (Value *known = e.lookup(key))
      return *known;
    const unsigned target = e.depthOf(y);
    Value made = e.placedAt(target, emit);
    e.remember(target, std::move(key), made);
    return made;
  }

  Value usualDivisor(Value y) {
    auto within = [&](arith::CmpFPredicate predicate, int exponent) -> Value {
      return arith::CmpFOp::create(e.b, e.loc, predicate, y,
                                   splatConstant(e, y.getType(), std::ldexp(1.0, exponent)));
    };
    return arith::AndIOp::create(e.b, e.loc, within(arith::CmpFPredicate::OGE, -divisorExponent),
                                 within(arith::CmpFPredicate::OLE, divisorExponent));
  }

  /// All lanes are zero or of usual magnitude.
  Value usualDividends(Value x) {
    auto type = VectorType::get({llvm::cast<VectorType>(x.getType()).getDimSize(0)}, e.b.getI32Type());
    auto bits = [&](int exponent) { return splatInteger(e, type, int64_t(127 + exponent) << 23); };
    Value magnitude = arith::AndIOp::create(e.b, e.loc, arith::BitcastOp::create(e.b, e.loc, type, x),
                                            splatInteger(e, type, 0x7fffffff));
    Value one = splatInteger(e, type, 1); // takes zero beyond everything
    Value small = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult,
                                        arith::SubIOp::create(e.b, e.loc, magnitude, one),
                                        arith::SubIOp::create(e.b, e.loc, bits(-dividendExponent), one));
    Value large =
        arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ugt, magnitude, bits(dividendExponent));
    Value any = vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::OR,
                                            arith::OrIOp::create(e.b, e.loc, small, large));
    return arith::XOrIOp::create(e.b, e.loc, any, splatInteger(e, any.getType(), 1));
  }

  /// As `corrected`, and what is infinite stays so; dividends below 2^-100 may be off by their last bit.
  Value correctedFinite(Value x, Value y, Value reciprocal) {
    Value product = arith::MulFOp::create(e.b, e.loc, x, reciprocal);
    Value difference = arith::SubFOp::create(e.b, e.loc, product, product); // NaN where it is infinite
    Value finite = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::ORD, difference, difference);
    return arith::SelectOp::create(e.b, e.loc, finite, corrected(x, y, reciprocal), product);
  }

  Value corrected(Value x, Value y, Value reciprocal) {
    Value quotient = arith::MulFOp::create(e.b, e.loc, x, reciprocal);
    Value remainder = vector::FMAOp::create(e.b, e.loc, quotient, y, arith::NegFOp::create(e.b, e.loc, x));
    return vector::FMAOp::create(e.b, e.loc, arith::NegFOp::create(e.b, e.loc, remainder), reciprocal,
                                 quotient);
  }

  ValueEmitter &e;
  Value divisor;
  bool softmax;
  bool bounded; ///< no dividend overflows, nor does a quotient
  bool hidden;  ///< and the last bit of a quotient, which is then a product, is lost in a sum or given away
};

} // namespace

/// A scalar by a constant on a GPU, as lanes of one: means of rows.
static Value scalarQuotient(ValueEmitter &e, BinaryOp op, Value x, Value y) {
  if (!approximates(e) || !x.getType().isF32() || !constantDivisor(behindMovement(op.getRhs())))
    return {};
  auto one = VectorType::get({1}, x.getType());
  const Lanes saved = e.lanes;
  e.lanes = {1, {}};
  Value quotient = Divider(e, op).quotient(vector::BroadcastOp::create(e.b, e.loc, one, x), y);
  e.lanes = saved;
  return quotient ? Value(vector::ExtractOp::create(e.b, e.loc, quotient, 0)) : Value();
}

Value emitQuotient(ValueEmitter &e, BinaryOp op, Value x, Value y) {
  if (e.kernel.target.isGpu && !llvm::isa<VectorType>(x.getType()) && !llvm::isa<VectorType>(y.getType()))
    return scalarQuotient(e, op, x, y);
  auto lanes = llvm::dyn_cast<VectorType>(x.getType());
  if (!lanes || !lanes.getElementType().isF32() || llvm::isa<VectorType>(y.getType()))
    return {};
  // On a GPU a second way, for what is unusual, costs registers; its division is a sequence like this one.
  const Value divisor = behindMovement(op.getRhs());
  if (e.kernel.target.isGpu && !isSoftmax(op.getLhs(), divisor) &&
      !(approximates(e) && (isStandardized(op.getLhs(), divisor) || constantDivisor(divisor))))
    return {};
  return Divider(e, op).quotient(x, y);
}

} // namespace tilewright::codegen
