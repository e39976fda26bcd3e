/// Floats.h - float arithmetic in the type of one operand, and the pieces that elementary functions share:
/// private to codegen/emit.
#pragma once
#include "codegen/emit/Ops.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace tilewright::codegen {

class Floats {
public:
  Floats(ValueEmitter &e, mlir::Type type) : e(e), type(type) {}
  ValueEmitter &e;
  mlir::Type type;
  using Value = mlir::Value;
  using Predicate = mlir::arith::CmpFPredicate;

  Value constant(double v) { return splatConstant(e, type, v); }
  Value add(Value x, Value y) { return mlir::arith::AddFOp::create(e.b, e.loc, x, y); }
  Value sub(Value x, Value y) { return mlir::arith::SubFOp::create(e.b, e.loc, x, y); }
  Value mul(Value x, Value y) { return mlir::arith::MulFOp::create(e.b, e.loc, x, y); }
  Value mul(Value x, double y) { return mul(x, constant(y)); }
  Value div(Value x, Value y) { return mlir::arith::DivFOp::create(e.b, e.loc, x, y); }
  Value fma(Value x, Value y, Value z) { return mlir::math::FmaOp::create(e.b, e.loc, x, y, z); }
  Value neg(Value x) { return mlir::arith::NegFOp::create(e.b, e.loc, x); }
  Value abs(Value x) { return mlir::math::AbsFOp::create(e.b, e.loc, x); }
  Value compare(Predicate p, Value x, Value y) { return mlir::arith::CmpFOp::create(e.b, e.loc, p, x, y); }
  Value less(Value x, Value y) { return compare(Predicate::OLT, x, y); }
  Value equal(Value x, Value y) { return compare(Predicate::OEQ, x, y); }
  Value select(Value c, Value x, Value y) { return mlir::arith::SelectOp::create(e.b, e.loc, c, x, y); }
  /// NaN passes through; one instruction each.
  Value atLeast(Value x, double lo) { return select(less(x, constant(lo)), constant(lo), x); }
  Value atMost(Value x, double hi) { return select(less(constant(hi), x), constant(hi), x); }
  Value clamp(Value x, double lo, double hi) { return atMost(atLeast(x, lo), hi); }
  /// Coefficients from the lowest power up.
  Value polynomial(Value x, llvm::ArrayRef<double> coefficients) {
    Value result = constant(coefficients.back());
    for (double c : llvm::reverse(coefficients.drop_back()))
      result = fma(result, x, constant(c));
    return result;
  }

  mlir::Type integers() {
    return withElement(type, e.b.getIntegerType(scalarType(type).getIntOrFloatBitWidth()));
  }
  Value integer(int64_t v) { return splatInteger(e, integers(), v); }
  Value bits(Value x) { return mlir::arith::BitcastOp::create(e.b, e.loc, integers(), x); }
  Value fromBits(Value x) { return mlir::arith::BitcastOp::create(e.b, e.loc, type, x); }
  /// f32 only, as what follows.
  Value withSignOf(Value x, Value magnitude) {
    Value sign = mlir::arith::AndIOp::create(e.b, e.loc, bits(x), integer(INT32_MIN));
    return fromBits(mlir::arith::OrIOp::create(e.b, e.loc, sign, bits(magnitude)));
  }

  /// Whether the target has the instructions below for this type (X86.cpp).
  bool hasSteps() {
    auto vector = llvm::dyn_cast<mlir::VectorType>(type);
    return e.kernel.target.hasFloatSteps && vector &&
           vector.getNumElements() == int64_t(e.kernel.target.lanes(32));
  }
  /// x * 2^n for whole n, with overflow and subnormal results as they should be.
  Value scaled(Value x, Value n);
  /// Of x and `bound` the one nearer to 0, with the sign of x; NaN where x is.
  Value nearerToZero(Value x, double bound);
  /// x over a power of two, in [3/4, 3/2); NaN below 0.
  Value mantissa(Value x);
  /// The largest whole n with 2^n <= |x|, as a float, also of subnormal numbers; of 0 and infinity -+
  /// infinity.
  Value exponent(Value x);
};

/// sin or cos of f32.
mlir::Value emitSine(ValueEmitter &e, mlir::Value x, bool cosine);

} // namespace tilewright::codegen
