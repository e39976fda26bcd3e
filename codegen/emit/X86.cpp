//===- X86.cpp - what only x86 has ----------------------------------------===//
//
// Members of shared classes that ask the target's table first whether they may be called.
//===----------------------------------------------------------------------===//
#include "codegen/emit/Floats.h"
#include "codegen/emit/Subnormals.h"

using namespace mlir;

namespace tilewright::codegen {
namespace {

Value immediate(ValueEmitter &e, int32_t value) {
  return arith::ConstantOp::create(e.b, e.loc, e.b.getI32IntegerAttr(value));
}

/// llvm.x86.avx512.mask.NAME.ps.512 in all lanes.
Value wide(Floats &f, StringRef name, ValueRange operands) {
  ValueEmitter &e = f.e;
  llvm::SmallVector<Value> all(operands);
  all.push_back(arith::ConstantOp::create(e.b, e.loc, e.b.getIntegerAttr(e.b.getIntegerType(16), -1)));
  all.push_back(immediate(e, 4)); // the current rounding
  return LLVM::CallIntrinsicOp::create(e.b, e.loc, f.type,
                                       e.b.getStringAttr("llvm.x86.avx512.mask." + name + ".ps.512"), all)
      .getResult(0);
}

} // namespace

Value Floats::scaled(Value x, Value n) { return wide(*this, "scalef", {x, n, x}); }

Value Floats::nearerToZero(Value x, double bound) {
  Value limit = constant(bound), smallerWithItsSign = immediate(e, 2);
  return wide(*this, "range", {x, limit, smallerWithItsSign, x});
}

Value Floats::mantissa(Value x) {
  Value fromThreeQuarters = immediate(e, 2 << 2 | 3); // the range, and NaN below 0
  return wide(*this, "getmant", {x, fromThreeQuarters, x});
}

Value Floats::exponent(Value x) { return wide(*this, "getexp", {x, x}); }

void emitFlushMode(ValueEmitter &e, bool flush) {
  constexpr int masked = 0x1f80, flushToZero = 0x8000, denormalsAreZero = 0x0040;
  llvm::StringRef name = flush ? "mode_flush" : "mode_keep";
  auto module = e.b.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  auto global = module.lookupSymbol<LLVM::GlobalOp>(name);
  if (!global) {
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(module.getBody());
    int mode = flush ? masked | flushToZero | denormalsAreZero : masked;
    global = LLVM::GlobalOp::create(e.b, e.loc, e.b.getI32Type(), /*isConstant=*/true,
                                    LLVM::Linkage::Internal, name, e.b.getI32IntegerAttr(mode));
  }
  Value address = LLVM::AddressOfOp::create(e.b, e.loc, global);
  LLVM::CallIntrinsicOp::create(e.b, e.loc, e.b.getStringAttr("llvm.x86.sse.ldmxcsr"), ValueRange{address});
}

} // namespace tilewright::codegen
