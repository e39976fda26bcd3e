// One thread's arithmetic beyond the walk: sizes as parameters, special registers, shuffles, shared memory,
// approximate instructions.
#include "codegen/gpu/ThreadEmitter.h"
#include "codegen/emit/Ops.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using llvm::SmallVector;
using llvm::StringRef;

namespace tilewright::codegen::gpu {

ThreadEmitter::ThreadEmitter(OpBuilder &builder, Location location, KernelContext &kernel,
                             func::FuncOp function, bool wide)
    : ValueEmitter(builder, location, kernel), function(function) {
  indexType = wide ? b.getI64Type() : b.getI32Type();
  divisionTraps = false;
  keepOffsets = true;
}

Value ThreadEmitter::dim(AffineExpr expr) {
  if (auto value = tilewright::constantOf(expr))
    return constant(*value);
  if (Value known = dimensions.lookup(expr))
    return known;
  sizes.push_back(expr);
  Block *entry = &function.getBody().front();
  Value result = entry->addArgument(b.getI64Type(), loc);
  if (indexType != b.getI64Type()) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(entry);
    result = arith::TruncIOp::create(b, loc, indexType, result);
  }
  assumeDivisor(result, std::max<int64_t>(1, expr.getLargestKnownDivisor()));
  return dimensions[expr] = result;
}

Value ThreadEmitter::call(StringRef intrinsic, Type result, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, loc, result, b.getStringAttr(intrinsic), operands).getResult(0);
}

Value ThreadEmitter::special(StringRef name) {
  Value &known = registers[name];
  if (known)
    return known;
  return known = placedAt(0, [&] {
           Value read = call(("llvm.nvvm.read.ptx.sreg." + name).str(), b.getI32Type(), {});
           return indexType == read.getType() ? read : Value(arith::ExtUIOp::create(b, loc, indexType, read));
         });
}

Value ThreadEmitter::approximate(Approximation kind, Value x) {
  if (kernel.precision == Precision::Strict || !scalarType(x.getType()).isF32())
    return {};
  const char *name = kind == Approximation::exp2 ? "llvm.nvvm.ex2.approx.f32" : "llvm.nvvm.rsqrt.approx.f";
  auto one = [&](Value p) { return call(name, b.getF32Type(), {p}); };
  auto vector = llvm::dyn_cast<VectorType>(x.getType());
  if (!vector)
    return one(x);
  Value result = splatConstant(*this, vector, 0);
  for (int64_t lane = 0; lane < vector.getDimSize(0); ++lane) {
    Value p = vector::ExtractOp::create(b, loc, x, lane);
    result = vector::InsertOp::create(b, loc, one(p), result, lane);
  }
  return result;
}

Value ThreadEmitter::shuffle(Value value, int64_t mask) {
  Type type = value.getType(), i32 = b.getI32Type(), i64 = b.getI64Type();
  unsigned bits = type.getIntOrFloatBitWidth();
  auto number = [&](int64_t v) -> Value {
    return arith::ConstantOp::create(b, loc, b.getIntegerAttr(i32, v));
  };
  auto exchange = [&](Value word) {
    return call(word.getType().isF32() ? "llvm.nvvm.shfl.sync.bfly.f32" : "llvm.nvvm.shfl.sync.bfly.i32",
                word.getType(), {number(-1), word, number(mask), number(warpThreads - 1)});
  };
  if (bits == 32)
    return exchange(value);
  if (bits < 32)
    return arith::TruncIOp::create(b, loc, type, exchange(arith::ExtUIOp::create(b, loc, i32, value)));
  Value whole = type == i64 ? value : Value(arith::BitcastOp::create(b, loc, i64, value));
  Value half = arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(32));
  Value low = exchange(arith::TruncIOp::create(b, loc, i32, whole));
  Value high = exchange(arith::TruncIOp::create(b, loc, i32, arith::ShRUIOp::create(b, loc, whole, half)));
  Value upper = arith::ShLIOp::create(b, loc, arith::ExtUIOp::create(b, loc, i64, high), half);
  whole = arith::OrIOp::create(b, loc, upper, arith::ExtUIOp::create(b, loc, i64, low));
  return type == i64 ? whole : Value(arith::BitcastOp::create(b, loc, type, whole));
}

void ThreadEmitter::barrier() {
  Value zero = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0));
  LLVM::CallIntrinsicOp::create(b, loc, b.getStringAttr("llvm.nvvm.barrier.cta.sync.aligned.all"),
                                ValueRange{zero});
}

Value ThreadEmitter::shared(Type element) {
  constexpr unsigned space = 3, count = 32;
  auto array = LLVM::LLVMArrayType::get(element, count);
  std::string name = (function.getSymName() + "_shared_" + llvm::Twine(sharedBytes)).str();
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(function);
    auto global = LLVM::GlobalOp::create(b, loc, array, /*isConstant=*/false, LLVM::Linkage::Internal, name,
                                         Attribute(), /*alignment=*/16, space);
    Block *body = b.createBlock(&global.getInitializerRegion());
    b.setInsertionPointToStart(body);
    LLVM::ReturnOp::create(b, loc, LLVM::UndefOp::create(b, loc, array));
  }
  sharedBytes += count * std::max(1u, element.getIntOrFloatBitWidth() / 8);
  return LLVM::AddressOfOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext(), space), name);
}

} // namespace tilewright::codegen::gpu
