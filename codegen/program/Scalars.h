/// Scalars.h - 64-bit arithmetic of the program: symbols and expressions over them, as values of loop IR.
#pragma once
#include "codegen/emit/Bounded.h"
#include "ir/Symbols.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace tilewright::codegen {

/// Scalar code in one function, and the model's symbols as values.
class Scalars {
public:
  Scalars(mlir::OpBuilder &b, mlir::Location loc, const SymbolTable &symbols)
      : b(b), loc(loc), symbols(symbols) {}
  mlir::OpBuilder &b;
  mlir::Location loc;
  const SymbolTable &symbols;
  mlir::Value symbolArray; ///< int64_t*
  /// Derived symbols keep their values where `remember` is set: what follows must be dominated by what was
  /// emitted since. Without it, each use of a symbol writes out all that it is derived from.
  bool remember = false;
  size_t remembered() const { return order.size(); }
  /// Down to `count`: what was computed since does not dominate what follows.
  void forget(size_t count) {
    for (; order.size() > count; order.pop_back())
      derived.erase(order.back());
  }
  mlir::Value overflow; ///< i1: whether the arithmetic so far has left 64 bits; null where nobody asks

  mlir::Type pointer() { return mlir::LLVM::LLVMPointerType::get(b.getContext()); }
  mlir::Value i64(int64_t v) { return mlir::arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(v)); }
  mlir::Value i32(int32_t v) { return mlir::arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(v)); }
  mlir::Value add(mlir::Value x, mlir::Value y) {
    mlir::Value sum = mlir::arith::AddIOp::create(b, loc, x, y);
    if (overflow) // the sum's sign is neither operand's
      note(compare(mlir::arith::CmpIPredicate::slt, both(differing(sum, x), differing(sum, y)), i64(0)));
    return sum;
  }
  mlir::Value sub(mlir::Value x, mlir::Value y) {
    mlir::Value difference = mlir::arith::SubIOp::create(b, loc, x, y);
    if (overflow)
      note(compare(mlir::arith::CmpIPredicate::slt, both(differing(x, y), differing(difference, x)), i64(0)));
    return difference;
  }
  mlir::Value mul(mlir::Value x, mlir::Value y) {
    if (!overflow)
      return mlir::arith::MulIOp::create(b, loc, x, y);
    auto product = mlir::arith::MulSIExtendedOp::create(b, loc, x, y);
    mlir::Value sign = mlir::arith::ShRSIOp::create(b, loc, product.getLow(), i64(63));
    note(compare(mlir::arith::CmpIPredicate::ne, product.getHigh(), sign));
    return product.getLow();
  }
  mlir::Value compare(mlir::arith::CmpIPredicate p, mlir::Value x, mlir::Value y) {
    return mlir::arith::CmpIOp::create(b, loc, p, x, y);
  }
  mlir::Value select(mlir::Value c, mlir::Value x, mlir::Value y) {
    return mlir::arith::SelectOp::create(b, loc, c, x, y);
  }
  mlir::Value offset(mlir::Value base, int64_t bytes) {
    if (bytes == 0)
      return base;
    return mlir::LLVM::GEPOp::create(b, loc, pointer(), b.getI8Type(), base, mlir::LLVM::GEPArg(i64(bytes)));
  }
  mlir::Value offset(mlir::Value base, mlir::Value bytes) {
    return mlir::LLVM::GEPOp::create(b, loc, pointer(), b.getI8Type(), base, mlir::LLVM::GEPArg(bytes));
  }
  mlir::Value load(mlir::Type type, mlir::Value address) {
    return mlir::LLVM::LoadOp::create(b, loc, type, address);
  }
  /// For targets with checksBounds: the pointer, which may reach `bytes` bytes.
  mlir::Value bounded(mlir::Value pointer, mlir::Value bytes) {
    return boundedPointer(b, loc, pointer, bytes);
  }
  void store(mlir::Value value, mlir::Value address) { mlir::LLVM::StoreOp::create(b, loc, value, address); }

  /// What is known before the run is in the array, derived symbols too (see tw_descriptor::derive).
  mlir::Value symbol(unsigned index) {
    const Symbol &s = symbols[index];
    if (s.origin != Symbol::Derived || !s.atRunTime)
      return load(b.getI64Type(), symbolAddress(index));
    if (mlir::Value known = derived.lookup(index);
        known && (remember || !overflow)) // its own overflow was noted elsewhere
      return known;
    mlir::Value result = derive(s);
    if (remember) {
      derived[index] = result;
      order.push_back(index);
    }
    return result;
  }
  /// A derived symbol from what it is derived from.
  mlir::Value derive(const Symbol &s) {
    mlir::Value x = value(s.a), y = value(s.b);
    if (s.rule == Symbol::Min)
      return mlir::arith::MinSIOp::create(b, loc, x, y);
    if (s.rule == Symbol::Max)
      return mlir::arith::MaxSIOp::create(b, loc, x, y);
    if (s.rule == Symbol::Sum)
      return add(x, y);
    return select(compare(mlir::arith::CmpIPredicate::eq, x, i64(1)), y, x); // broadcast
  }
  mlir::Value symbolAddress(unsigned index) { return offset(symbolArray, int64_t(index) * 8); }

  /// An expression over the module's symbols, or over `locals` when given (kernel symbols).
  mlir::Value value(mlir::AffineExpr expr, llvm::ArrayRef<mlir::Value> locals = {}, bool isLocal = false) {
    if (auto known = constantOf(expr))
      return i64(*known);
    if (isOversized(expr)) { // refused where anybody asks; for the others it is the largest number
      if (overflow)
        note(mlir::arith::ConstantOp::create(b, loc, b.getBoolAttr(true)));
      return i64(INT64_MAX);
    }
    if (auto s = llvm::dyn_cast<mlir::AffineSymbolExpr>(expr))
      return isLocal ? locals[s.getPosition()] : symbol(s.getPosition());
    auto binary = llvm::cast<mlir::AffineBinaryOpExpr>(expr);
    mlir::Value x = value(binary.getLHS(), locals, isLocal), y = value(binary.getRHS(), locals, isLocal);
    switch (expr.getKind()) {
    case mlir::AffineExprKind::Add:
      return add(x, y);
    case mlir::AffineExprKind::Mul:
      return mul(x, y);
    case mlir::AffineExprKind::FloorDiv:
      return floorDivide(x, y);
    case mlir::AffineExprKind::CeilDiv:
      return floorDivide(add(x, sub(y, i64(1))), y);
    default:
      return sub(x, mul(floorDivide(x, y), y));
    }
  }

  /// An expression over a kernel's symbols, which are `symbols` of the module's.
  mlir::Value value(mlir::AffineExpr expr, mlir::AffineMap symbols) {
    // Only what is used: another symbol may not be known yet, and overflow.
    llvm::SmallVector<mlir::Value> locals(symbols.getNumResults());
    for (unsigned symbol : symbolsIn(expr))
      locals[symbol] = value(symbols.getResult(symbol));
    return value(expr, locals, /*isLocal=*/true);
  }

private:
  llvm::DenseMap<unsigned, mlir::Value> derived;
  std::vector<unsigned> order; ///< of `derived`
  mlir::Value both(mlir::Value x, mlir::Value y) { return mlir::arith::AndIOp::create(b, loc, x, y); }
  mlir::Value differing(mlir::Value x, mlir::Value y) { return mlir::arith::XOrIOp::create(b, loc, x, y); }
  void note(mlir::Value happened) { overflow = mlir::arith::OrIOp::create(b, loc, overflow, happened); }

  /// Rounds down; 0 where the divisor is 0.
  mlir::Value floorDivide(mlir::Value x, mlir::Value y) {
    mlir::Value zero = i64(0), divisor = mlir::arith::MaxSIOp::create(b, loc, y, i64(1));
    mlir::Value quotient = mlir::arith::DivSIOp::create(b, loc, x, divisor),
                rest = mlir::arith::RemSIOp::create(b, loc, x, divisor);
    mlir::Value adjusted = sub(quotient, i64(1));
    return select(compare(mlir::arith::CmpIPredicate::slt, rest, zero), adjusted, quotient);
  }
};

} // namespace tilewright::codegen
