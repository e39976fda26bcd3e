//===- LongSum.cpp - runs of a sum, added in f64 -------------------------------------===//
#include "codegen/emit/LongSum.h"
#include "codegen/emit/Ops.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::SmallVector;

namespace tilewright::codegen {

bool LongSum::isLong(std::optional<int64_t> steps, int64_t limit) const {
  const bool adds = kind == ReduceKind::sum || kind == ReduceKind::prod;
  return adds && llvm::isa<FloatType>(element) && !element.isF64() && !e.kernel.target.isGpu &&
         !(steps && *steps <= limit);
}

Value LongSum::combine(Value x, Value y) const {
  return emitReduceStep(e, kind, x, y, Float64Type::get(e.b.getContext()));
}

SmallVector<Value> LongSum::start(Type like) const {
  Type wide = e.b.getF64Type();
  const double neutral = kind == ReduceKind::prod;
  auto vector = llvm::dyn_cast<VectorType>(like);
  if (!vector || vector.getDimSize(0) == 1)
    return {splatConstant(e, withElement(like, wide), neutral)};
  Value half = splatConstant(e, VectorType::get({vector.getDimSize(0) / 2}, wide), neutral);
  return {half, half};
}

SmallVector<Value> LongSum::add(ValueRange totals, Value run) const {
  if (totals.size() == 1)
    return {combine(totals[0], arith::ExtFOp::create(e.b, e.loc, totals[0].getType(), run))};
  const int64_t half = llvm::cast<VectorType>(run.getType()).getDimSize(0) / 2;
  SmallVector<Value> next;
  for (int64_t part = 0; part < 2; ++part) {
    auto lanes = llvm::to_vector(llvm::seq<int64_t>(part * half, (part + 1) * half));
    Value narrow = vector::ShuffleOp::create(e.b, e.loc, run, run, lanes);
    next.push_back(combine(totals[part], arith::ExtFOp::create(e.b, e.loc, totals[part].getType(), narrow)));
  }
  return next;
}

Value LongSum::narrowed(ValueRange totals) const {
  auto narrow = [&](Value total) -> Value {
    return arith::TruncFOp::create(e.b, e.loc, withElement(total.getType(), e.b.getF32Type()), total);
  };
  if (totals.size() == 1)
    return narrow(totals[0]);
  auto half = llvm::cast<VectorType>(totals[0].getType()).getDimSize(0);
  return vector::ShuffleOp::create(e.b, e.loc, narrow(totals[0]), narrow(totals[1]),
                                   llvm::to_vector(llvm::seq<int64_t>(0, 2 * half)));
}

Value LongSum::folded(ValueRange totals) const {
  return totals.size() == 1 ? totals[0] : combine(totals[0], totals[1]);
}

} // namespace tilewright::codegen
