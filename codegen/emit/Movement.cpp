// Movement ops: where the value at an index comes from.
#include "codegen/emit/Ops.h"
#include "tilewright/artifact.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

Type elementOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()).getElementType(); }

/// Constants are splats here: larger ones are kernel arguments. One-element tensors count as splats.
Value emitConstant(ValueEmitter &e, ConstantOp op) {
  auto dense = llvm::cast<DenseElementsAttr>(op.getValue());
  Type element = elementOf(op.getResult()), compute = ValueEmitter::computeType(element);
  if (llvm::isa<FloatType>(element))
    return splatConstant(e, compute, [&] {
      llvm::APFloat number = dense.getSplatValue<llvm::APFloat>();
      bool lossy;
      number.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &lossy);
      return number.convertToDouble();
    }());
  llvm::APInt number = dense.getSplatValue<llvm::APInt>();
  return splatInteger(e, compute,
                      element.isSignedInteger() ? number.getSExtValue() : int64_t(number.getZExtValue()));
}

Value fromIndex(ValueEmitter &e, const Index &index, Type element) {
  Value value = index.uniform() ? index.base : e.lanesOf(index);
  return emitCast(e, value, e.signedIndexType(), element, false);
}

Value emitDims(ValueEmitter &e, DimsOp op, ArrayRef<Index> indices) {
  Type element = elementOf(op.getResult());
  auto exprs = op.getExprs().getResults();
  Value result = e.dim(exprs[0]);
  for (size_t i = 1; i < exprs.size(); ++i) {
    Value other = e.dim(exprs[i]), position = e.constant(i);
    if (indices[0].uniform()) {
      result = e.select(e.equal(indices[0].base, position), other, result);
      continue;
    }
    Value hit = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, e.lanesOf(indices[0]),
                                      e.spread(position));
    result = arith::SelectOp::create(e.b, e.loc, hit, e.spread(other), e.spread(result));
  }
  return emitCast(e, result, e.signedIndexType(), element, false);
}

Value emitBroadcast(ValueEmitter &e, BroadcastOp op, ArrayRef<Index> indices) {
  Dims from = dimsOf(op.getOperand()), to = dimsOf(op.getResult());
  Indices inner;
  for (auto [i, dim] : llvm::enumerate(op.getDims())) {
    const Index &index = indices[dim];
    if (tilewright::constantOf(from[i]) == 1) {
      inner.push_back(e.uniform(e.constant(0)));
    } else if (op.getExact() || from[i] == to[dim] || tilewright::constantOf(from[i])) {
      inner.push_back(index);
    } else { // 1 or the full size, known when it runs
      Value single = e.equal(e.dim(from[i]), e.constant(1));
      if (index.uniform())
        inner.push_back(e.uniform(e.select(single, e.constant(0), index.base)));
      else
        inner.push_back(e.mul(index, e.select(single, e.constant(0), e.constant(1))));
    }
  }
  return e.at(op.getOperand(), inner);
}

Value emitReshape(ValueEmitter &e, ReshapeOp op, ArrayRef<Index> indices) {
  // Leading dimensions that both sides share need no arithmetic.
  Dims from = dimsOf(op.getOperand()), to = dimsOf(op.getResult());
  size_t shared = 0;
  while (shared < from.size() && shared < to.size() && from[shared] == to[shared])
    ++shared;
  SmallVector<Value> fromSizes = e.dims(op.getOperand()), toSizes = e.dims(op.getResult());
  Indices inner(indices.begin(), indices.begin() + shared);
  Index rest = e.linearize(ArrayRef(toSizes).drop_front(shared), indices.drop_front(shared));
  // Lanes that stay inside the innermost dimension keep their stride instead of becoming irregular.
  size_t last = from.size();
  Indices tail;
  while (last > shared && tilewright::constantOf(from[last - 1]) == 1) {
    tail.push_back(e.uniform(e.constant(0)));
    --last;
  }
  if (last > shared && !rest.uniform() && !rest.lanes && to.back() == from[last - 1] && rest.stride == 1 &&
      indices.back().stride == 1 &&
      llvm::all_of(indices.drop_back(), [](const Index &i) { return i.uniform(); })) {
    Index outer = e.linearize(ArrayRef(toSizes).slice(shared, to.size() - shared - 1),
                              indices.slice(shared, to.size() - shared - 1));
    inner.append(e.delinearize(ArrayRef(fromSizes).slice(shared, last - shared - 1), outer));
    inner.push_back(indices.back());
  } else {
    inner.append(e.delinearize(ArrayRef(fromSizes).slice(shared, last - shared), rest));
  }
  inner.append(tail);
  return e.at(op.getOperand(), inner);
}

Value emitTranspose(ValueEmitter &e, TransposeOp op, ArrayRef<Index> indices) {
  Indices inner(indices.size());
  for (auto [i, dim] : llvm::enumerate(op.getPerm()))
    inner[dim] = indices[i];
  return e.at(op.getOperand(), inner);
}

Value emitSlice(ValueEmitter &e, SliceOp op, ArrayRef<Index> indices) {
  Indices inner;
  for (auto [i, index] : llvm::enumerate(indices))
    inner.push_back(
        e.add(e.mul(index, e.constant(op.getSteps()[i])), e.uniform(e.dim(op.getStarts().getResult(i)))));
  return e.at(op.getOperand(), inner);
}

Type valueType(ValueEmitter &e, Value v, ArrayRef<Index> indices) {
  Type scalar = ValueEmitter::computeType(elementOf(v));
  bool uniform = llvm::all_of(indices, [](const Index &i) { return i.uniform(); });
  return uniform ? scalar : Type(VectorType::get({e.lanes.width}, scalar));
}

Value matching(ValueEmitter &e, Type type, Value value) {
  return llvm::isa<VectorType>(type) ? e.spread(value) : value;
}

Value emitConcat(ValueEmitter &e, ConcatOp op, ArrayRef<Index> indices) {
  int64_t axis = op.getAxis();
  Type type = valueType(e, op.getResult(), indices);
  const Index &index = indices[axis];
  SmallVector<Value> starts{e.constant(0)};
  for (Value operand : op.getOperands())
    starts.push_back(e.add(starts.back(), e.dim(dimsOf(operand)[axis])));
  auto piece = [&](size_t i) {
    Indices inner(indices);
    inner[axis] = e.add(index, e.uniform(e.sub(e.constant(0), starts[i])));
    return matching(e, type, e.at(op.getOperands()[i], inner));
  };
  size_t count = op.getOperands().size();
  if (index.uniform()) {
    std::function<Value(size_t)> choose = [&](size_t i) -> Value {
      if (i + 1 == count)
        return piece(i);
      return e.guarded(
          e.less(index.base, starts[i + 1]), TypeRange{type}, [&] { return SmallVector<Value>{piece(i)}; },
          [&] { return SmallVector<Value>{choose(i + 1)}; })[0];
    };
    return choose(0);
  }
  Value position = e.lanesOf(index), result = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(type));
  Lanes saved = e.lanes;
  for (size_t i = 0; i < count; ++i) {
    Value inside =
        arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::sge, position, e.spread(starts[i]));
    Value before =
        arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, position, e.spread(starts[i + 1]));
    Value mask = arith::AndIOp::create(e.b, e.loc, inside, before);
    e.lanes.mask = saved.mask ? Value(arith::AndIOp::create(e.b, e.loc, mask, saved.mask)) : mask;
    result = arith::SelectOp::create(e.b, e.loc, mask, piece(i), result);
    e.lanes = saved;
  }
  return result;
}

/// The source index of modes edge, reflect and wrap, for position p relative to the operand's start.
Index padSource(ValueEmitter &e, PadMode mode, const Index &p, Value size) {
  auto wide = [&](int64_t v) { return e.lanesOf(e.uniform(e.constant(v))); };
  if (p.uniform()) {
    Value last = e.sub(size, e.constant(1)), zero = e.constant(0), x = p.base;
    if (mode == PadMode::edge)
      return e.uniform(e.minimum(e.maximum(x, zero), last));
    if (mode == PadMode::wrap) {
      Value shifted = e.add(x, e.mul(size, e.constant(1 << 16)));
      return e.uniform(e.remainder(shifted, size));
    }
    Value period = e.maximum(e.mul(last, 2), e.constant(1)); // ... 2 1 0 1 2 ... repeats every 2 (n - 1)
    Value phase = e.remainder(e.add(x, e.mul(period, e.constant(1 << 16))), period);
    return e.uniform(e.minimum(phase, e.sub(period, phase)));
  }
  Value x = e.lanesOf(p), n = e.lanesOf(e.uniform(size));
  Value last = arith::SubIOp::create(e.b, e.loc, n, wide(1));
  auto wrapped = [&](Value v, Value period) -> Value {
    Value rest = arith::RemSIOp::create(e.b, e.loc, v, period);
    Value negative = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, rest, wide(0));
    return arith::SelectOp::create(e.b, e.loc, negative, arith::AddIOp::create(e.b, e.loc, rest, period),
                                   rest);
  };
  Value result;
  if (mode == PadMode::edge) {
    result = arith::MinSIOp::create(e.b, e.loc, arith::MaxSIOp::create(e.b, e.loc, x, wide(0)), last);
  } else if (mode == PadMode::wrap) {
    result = wrapped(x, arith::MaxSIOp::create(e.b, e.loc, n, wide(1))); // an empty operand must not trap
  } else {
    Value period =
        arith::MaxSIOp::create(e.b, e.loc, arith::MulIOp::create(e.b, e.loc, last, wide(2)), wide(1));
    Value phase = wrapped(x, period);
    result = arith::MinSIOp::create(e.b, e.loc, phase, arith::SubIOp::create(e.b, e.loc, period, phase));
  }
  return {e.constant(0), 0, result};
}

Value emitPad(ValueEmitter &e, PadOp op, ArrayRef<Index> indices) {
  Dims from = dimsOf(op.getOperand()), to = dimsOf(op.getResult());
  Indices inner;
  Value inside = arith::ConstantOp::create(e.b, e.loc, e.b.getBoolAttr(true));
  Value laneInside;
  for (auto [i, index] : llvm::enumerate(indices)) {
    Value low = e.dim(op.getLow().getResult(i)), size = e.dim(from[i]);
    Index p = e.add(index, e.uniform(e.sub(e.constant(0), low)));
    bool padded = from[i] != to[i];
    if (padded && op.getMode() != PadMode::constant)
      p = padSource(e, op.getMode(), p, size);
    inner.push_back(p);
    if (!padded || op.getMode() != PadMode::constant)
      continue;
    if (p.uniform()) { // one unsigned comparison would do, but signed ones fold with constants
      inside = e.both(inside, e.both(e.less(e.constant(-1), p.base), e.less(p.base, size)));
      continue;
    }
    Value x = e.lanesOf(p);
    Value in = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, x, e.lanesOf(e.uniform(size)));
    laneInside = laneInside ? Value(arith::AndIOp::create(e.b, e.loc, laneInside, in)) : in;
  }
  if (op.getMode() != PadMode::constant)
    return e.at(op.getOperand(), inner);
  Type type = valueType(e, op.getResult(), indices);
  auto fill = [&] { return matching(e, type, e.at(op.getValue(), {})); };
  return e.guarded(
      inside, TypeRange{type},
      [&] {
        Lanes saved = e.lanes;
        if (laneInside)
          e.lanes.mask =
              saved.mask ? Value(arith::AndIOp::create(e.b, e.loc, saved.mask, laneInside)) : laneInside;
        Value value = matching(e, type, e.at(op.getOperand(), inner));
        e.lanes = saved;
        if (laneInside)
          value = arith::SelectOp::create(e.b, e.loc, laneInside, value, fill());
        return SmallVector<Value>{value};
      },
      [&] { return SmallVector<Value>{fill()}; })[0];
}

/// An index read from memory: negative ones count from the end, others outside are reported and replaced by
/// 0.
Index checkedIndex(ValueEmitter &e, Operation *op, Value value, Type element, Value size) {
  Type i64 = IntegerType::get(e.b.getContext(), 64, IntegerType::Signed);
  value = emitCast(e, value, element, i64, false);
  Value zero = splatInteger(e, value.getType(), 0),
        limit = llvm::isa<VectorType>(value.getType()) ? e.spread(size) : size;
  Value negative = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, value, zero);
  Value index =
      arith::SelectOp::create(e.b, e.loc, negative, arith::AddIOp::create(e.b, e.loc, value, limit), value);
  Value bad = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::uge, index, limit);
  bool vector = llvm::isa<VectorType>(value.getType());
  if (vector && e.lanes.mask)
    bad = arith::AndIOp::create(e.b, e.loc, bad, e.lanes.mask);
  Value any = vector ? Value(vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::OR, bad)) : bad;
  auto report = scf::IfOp::create(e.b, e.loc, any, /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPoint(report.thenBlock()->getTerminator());
    Value shown = value;
    if (vector) { // the offender: the lowest when it is below, else the highest
      Value lowest = vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::MINSI,
                                                 arith::SelectOp::create(e.b, e.loc, bad, value, zero));
      Value highest = vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::MAXSI,
                                                  arith::SelectOp::create(e.b, e.loc, bad, value, zero));
      Value none = splatInteger(e, i64 = e.b.getI64Type(), 0);
      Value below = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, lowest, none);
      shown = arith::SelectOp::create(e.b, e.loc, below, lowest, highest);
    }
    e.fail(op, TW_FAIL_INDEX, shown, size);
  }
  index = arith::SelectOp::create(e.b, e.loc, bad, zero, index);
  if (vector)
    return {e.constant(0), 0, index};
  return e.uniform(index);
}

Value emitGather(ValueEmitter &e, GatherOp op, ArrayRef<Index> indices) {
  size_t axis = op.getAxis(), count = llvm::cast<RankedTensorType>(op.getIndices().getType()).getRank();
  Value picked = e.at(op.getIndices(), indices.slice(axis, count));
  Value size = e.dim(dimsOf(op.getOperand())[axis]);
  Indices inner(indices.begin(), indices.begin() + axis);
  inner.push_back(checkedIndex(e, op, picked, elementOf(op.getIndices()), size));
  inner.append(indices.begin() + axis + count, indices.end());
  return e.at(op.getOperand(), inner);
}

Value emitGatherElements(ValueEmitter &e, GatherElementsOp op, ArrayRef<Index> indices) {
  Value picked = e.at(op.getIndices(), indices), size = e.dim(dimsOf(op.getOperand())[op.getAxis()]);
  Indices inner(indices);
  inner[op.getAxis()] = checkedIndex(e, op, picked, elementOf(op.getIndices()), size);
  return e.at(op.getOperand(), inner);
}

Value emitGatherND(ValueEmitter &e, GatherNDOp op, ArrayRef<Index> indices) {
  size_t outer = llvm::cast<RankedTensorType>(op.getIndices().getType()).getRank() - 1,
         batch = op.getBatchDims();
  int64_t depth = llvm::cast<RankedTensorType>(op.getIndices().getType()).getShape().back();
  Dims sizes = dimsOf(op.getOperand());
  Indices inner(indices.begin(), indices.begin() + batch);
  for (int64_t k = 0; k < depth; ++k) {
    Indices which(indices.begin(), indices.begin() + outer);
    which.push_back(e.uniform(e.constant(k)));
    inner.push_back(checkedIndex(e, op, e.at(op.getIndices(), which), elementOf(op.getIndices()),
                                 e.dim(sizes[batch + k])));
  }
  inner.append(indices.begin() + outer, indices.end());
  return e.at(op.getOperand(), inner);
}

} // namespace

Value emitMovement(ValueEmitter &e, Operation *op, ArrayRef<Index> indices) {
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<ConstantOp>([&](auto c) { return emitConstant(e, c); })
      .Case<DimsOp>([&](auto d) { return emitDims(e, d, indices); })
      .Case<IotaOp>([&](auto i) { return fromIndex(e, indices[i.getAxis()], elementOf(i.getResult())); })
      .Case<BroadcastOp>([&](auto m) { return emitBroadcast(e, m, indices); })
      .Case<ReshapeOp>([&](auto m) { return emitReshape(e, m, indices); })
      .Case<TransposeOp>([&](auto m) { return emitTranspose(e, m, indices); })
      .Case<SliceOp>([&](auto m) { return emitSlice(e, m, indices); })
      .Case<ConcatOp>([&](auto m) { return emitConcat(e, m, indices); })
      .Case<PadOp>([&](auto m) { return emitPad(e, m, indices); })
      .Case<GatherOp>([&](auto m) { return emitGather(e, m, indices); })
      .Case<GatherElementsOp>([&](auto m) { return emitGatherElements(e, m, indices); })
      .Case<GatherNDOp>([&](auto m) { return emitGatherND(e, m, indices); })
      .Default([&](Operation *other) -> Value {
        llvm::report_fatal_error("no inline emission for " + other->getName().getStringRef());
      });
}

} // namespace tilewright::codegen
