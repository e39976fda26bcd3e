// Roots whose elements depend on each other: scan, sort, scatter, compact. Rows run in parallel where there
// are rows.
#include "codegen/emit/LongSum.h"
#include "codegen/emit/Ops.h"
#include "codegen/emit/Roots.h"
#include "tilewright/artifact.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

RankedTensorType tensorOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()); }

/// All dimensions but `axis`, as the work items of a kernel; `body` gets indices with 0 at the axis.
void overRows(ValueEmitter &e, Value shapeOf, int64_t axis, EmittedKernel &result,
              llvm::function_ref<void(Indices)> body) {
  Dims dims = dimsOf(shapeOf);
  dims[axis] = constantDim(shapeOf.getContext(), 1);
  result.extent = productOf(dims, shapeOf.getContext());
  SmallVector<Value> sizes;
  for (AffineExpr expr : dims)
    sizes.push_back(e.dim(expr));
  e.loop(e.kernel.begin, e.kernel.end, 1, [&](Value item) { body(e.delinearize(sizes, e.uniform(item))); });
}

LogicalResult emitScan(ValueEmitter &e, ScanOp op, EmittedKernel &result) {
  int64_t axis = op.getAxis();
  Type element = tensorOf(op.getResult()).getElementType();
  Value size = e.dims(op.getOperand())[axis];
  Value start = neutral(e, op.getKind(), element);
  const LongSum sum(e, op.getKind(), element);
  const bool isLong = sum.isLong(e.constantOf(size));
  overRows(e, op.getResult(), axis, result, [&](Indices indices) {
    SmallVector<Value> init = isLong ? sum.start(start.getType()) : SmallVector<Value>{start};
    e.loop(e.constant(0), size, 1, init, [&](Value i, ValueRange carried) {
      indices[axis] = e.uniform(op.getReverse() ? e.sub(e.sub(size, e.constant(1)), i) : i);
      Value x = e.at(op.getOperand(), indices);
      SmallVector<Value> now(carried);
      SmallVector<Value> next =
          isLong ? sum.add(now, x) : SmallVector<Value>{emitReduceStep(e, op.getKind(), now[0], x, element)};
      const SmallVector<Value> &kept = op.getExclusive() ? now : next;
      e.store(tensorOf(op.getResult()), e.kernel.results[0], indices, isLong ? sum.narrowed(kept) : kept[0]);
      return next;
    });
  });
  return success();
}

/// Stable merge sort of (value, position) pairs in scratch, bottom up; or the first ones of a row are held in
/// order, and it is read once.
class Sorter {
public:
  Sorter(ValueEmitter &e, SortOp op) : e(e), op(op), element(tensorOf(op.getOperand()).getElementType()) {
    AffineExpr count = dimsOf(op.getOperand())[op.getAxis()];
    size = e.dim(count);
    held = SerialSchedule(e.kernel.schedule()).held;
    count = held ? constantDim(op.getContext(), held) : count;
    keyType = RankedTensorType::get({1}, ValueEmitter::computeType(element));
    placeType = RankedTensorType::get({1}, e.b.getI64Type());
    int64_t keyBytes = byteWidth(keyType.getElementType());
    for (int side = 0; side < (held ? 1 : 2); ++side) {
      keys[side] = e.reserveScratch(canonical(count * keyBytes));
      places[side] = e.reserveScratch(canonical(count * 8));
    }
  }

  /// Sorts the row at `indices`, or as much of it as is kept; the result lies behind the returned pointers.
  std::pair<Value, Value> row(Indices indices) { return held ? firstOf(indices) : allOf(indices); }

  Value key(Value pointer, Value i) { return e.load(keyType, pointer, {e.uniform(i)}); }
  Value place(Value pointer, Value i) { return e.load(placeType, pointer, {e.uniform(i)}); }

private:
  /// Those read so far stand in order, the first `held` of them. Equal ones keep theirs: one that is read
  /// later passes only what it comes before.
  std::pair<Value, Value> firstOf(Indices indices) {
    e.loop(e.constant(0), size, 1, [&](Value i) {
      indices[op.getAxis()] = e.uniform(i);
      Value x = e.at(op.getOperand(), indices), full = constant(held);
      Value isEarly = op2(i, full, arith::CmpIPredicate::slt), last = constant(held - 1);
      Value worst = read(keys[0], arith::SelectOp::create(e.b, e.loc, isEarly, constant(0), last), keyType);
      Value enters = arith::OrIOp::create(e.b, e.loc, isEarly, before(x, worst));
      e.guarded(enters, [&] { insert(x, i, arith::SelectOp::create(e.b, e.loc, isEarly, i, last)); });
    });
    return {keys[0], places[0]};
  }

  /// Put (x, position) at `slot` or before it, and move what it passes up by one.
  void insert(Value x, Value position, Value slot) {
    auto previous = [&](Value at) { return arith::SubIOp::create(e.b, e.loc, at, constant(1)); };
    auto loop = scf::WhileOp::create(
        e.b, e.loc, TypeRange{e.b.getI64Type()}, ValueRange{slot},
        [&](OpBuilder &b, Location loc, ValueRange now) {
          Value before0 = arith::MaxSIOp::create(b, loc, previous(now[0]), constant(0));
          Value passes = arith::AndIOp::create(b, loc, op2(now[0], constant(0), arith::CmpIPredicate::sgt),
                                               before(x, read(keys[0], before0, keyType)));
          scf::ConditionOp::create(b, loc, passes, now);
        },
        [&](OpBuilder &b, Location loc, ValueRange now) {
          Value from = previous(now[0]);
          write(keys[0], now[0], keyType, read(keys[0], from, keyType));
          write(places[0], now[0], placeType, read(places[0], from, placeType));
          scf::YieldOp::create(b, loc, from);
        });
    write(keys[0], loop.getResult(0), keyType, x);
    write(places[0], loop.getResult(0), placeType, position);
  }

  std::pair<Value, Value> allOf(Indices indices) {
    e.loop(e.constant(0), size, 1, [&](Value i) {
      indices[op.getAxis()] = e.uniform(i);
      put(keys[0], places[0], i, e.at(op.getOperand(), indices), i);
    });
    auto pointer = keys[0].getType();
    auto loop = scf::WhileOp::create(
        e.b, e.loc, TypeRange{e.b.getI64Type(), pointer, pointer, pointer, pointer},
        ValueRange{e.constant(1), keys[0], places[0], keys[1], places[1]},
        [&](OpBuilder &b, Location loc, ValueRange now) {
          Value more = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, now[0], size);
          scf::ConditionOp::create(b, loc, more, now);
        },
        [&](OpBuilder &b, Location loc, ValueRange now) { merge(now); });
    return {loop.getResult(1), loop.getResult(2)};
  }

  void put(Value keyPointer, Value placePointer, Value i, Value key, Value place) {
    e.store(keyType, keyPointer, {e.uniform(i)}, key);
    e.store(placeType, placePointer, {e.uniform(i)}, place);
  }

  Value op2(Value x, Value y, arith::CmpIPredicate p) { return arith::CmpIOp::create(e.b, e.loc, p, x, y); }

  // Plain ops, for places that are no scope of the value numbering.
  Value constant(int64_t v) { return arith::ConstantOp::create(e.b, e.loc, e.b.getI64IntegerAttr(v)); }
  Value address(Value pointer, Value index, RankedTensorType type) {
    Value offset = arith::MulIOp::create(e.b, e.loc, index, constant(byteWidth(type.getElementType())));
    return LLVM::GEPOp::create(e.b, e.loc, pointer.getType(), e.b.getI8Type(), pointer, LLVM::GEPArg(offset));
  }
  Value read(Value pointer, Value index, RankedTensorType type) {
    Type stored = type.getElementType();
    return fromStorage(e,
                       LLVM::LoadOp::create(e.b, e.loc, storageType(stored), address(pointer, index, type),
                                            byteWidth(stored)),
                       stored);
  }
  void write(Value pointer, Value index, RankedTensorType type, Value value) {
    Type stored = type.getElementType();
    LLVM::StoreOp::create(e.b, e.loc, toStorage(e, value, stored), address(pointer, index, type),
                          byteWidth(stored));
  }

  /// One pass: runs of `width` become runs of twice that.
  void merge(ValueRange now) {
    OpBuilder &b = e.b;
    Location loc = e.loc;
    OpBuilder::InsertionGuard guard(b);
    Value width = now[0], twice = arith::AddIOp::create(b, loc, width, width);
    auto outer = scf::ForOp::create(b, loc, constant(0), size, twice);
    b.setInsertionPoint(outer.getBody()->getTerminator());
    Value lo = outer.getInductionVar();
    Value mid = arith::MinSIOp::create(b, loc, arith::AddIOp::create(b, loc, lo, width), size);
    Value hi = arith::MinSIOp::create(b, loc, arith::AddIOp::create(b, loc, lo, twice), size);
    auto inner = scf::ForOp::create(b, loc, lo, hi, constant(1), ValueRange{lo, mid});
    b.setInsertionPointToEnd(inner.getBody());
    Value i = inner.getRegionIterArg(0), j = inner.getRegionIterArg(1), t = inner.getInductionVar();
    Value leftDone = op2(i, mid, arith::CmpIPredicate::sge),
          rightDone = op2(j, hi, arith::CmpIPredicate::sge);
    Value safeI = arith::SelectOp::create(b, loc, leftDone, lo, i),
          safeJ = arith::SelectOp::create(b, loc, rightDone, lo, j);
    Value left = read(now[1], safeI, keyType), right = read(now[1], safeJ, keyType);
    Value rightFirst = arith::AndIOp::create(
        b, loc, before(right, left),
        op2(rightDone, arith::ConstantOp::create(b, loc, b.getBoolAttr(false)), arith::CmpIPredicate::eq));
    Value takeRight = arith::OrIOp::create(b, loc, leftDone, rightFirst);
    write(now[3], t, keyType, arith::SelectOp::create(b, loc, takeRight, right, left));
    Value fromLeft = read(now[2], safeI, placeType), fromRight = read(now[2], safeJ, placeType);
    write(now[4], t, placeType, arith::SelectOp::create(b, loc, takeRight, fromRight, fromLeft));
    Value step = arith::ExtUIOp::create(b, loc, b.getI64Type(), takeRight);
    Value nextJ = arith::AddIOp::create(b, loc, j, step);
    Value nextI = arith::AddIOp::create(b, loc, i, arith::SubIOp::create(b, loc, constant(1), step));
    scf::YieldOp::create(b, loc, ValueRange{nextI, nextJ});
    b.setInsertionPointAfter(outer);
    scf::YieldOp::create(b, loc, ValueRange{twice, now[3], now[4], now[1], now[2]});
  }

  /// x sorts strictly before y. NaN is the largest.
  Value before(Value x, Value y) {
    Value less = emitCompare(e, op.getDescending() ? CompareKind::gt : CompareKind::lt, x, y, element);
    if (!llvm::isa<FloatType>(element))
      return less;
    Value xNaN = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::UNO, x, x),
          yNaN = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::UNO, y, y);
    if (!op.getDescending())
      std::swap(xNaN, yNaN);
    Value no = arith::ConstantOp::create(e.b, e.loc, e.b.getBoolAttr(false));
    Value byNaN = arith::AndIOp::create(
        e.b, e.loc, xNaN, arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, yNaN, no));
    return arith::OrIOp::create(e.b, e.loc, less, byNaN);
  }

  ValueEmitter &e;
  SortOp op;
  Type element;
  RankedTensorType keyType, placeType;
  int64_t held = 0; ///< how many are kept, where they are held in order
  Value keys[2], places[2], size;
};

LogicalResult emitSort(ValueEmitter &e, SortOp op, EmittedKernel &result) {
  Sorter sorter(e, op);
  int64_t axis = op.getAxis();
  Value keep = e.dims(op.getValues())[axis];
  overRows(e, op.getValues(), axis, result, [&](Indices indices) {
    auto [keys, places] = sorter.row(indices);
    e.loop(e.constant(0), keep, 1, [&](Value i) {
      indices[axis] = e.uniform(i);
      e.store(tensorOf(op.getValues()), e.kernel.results[0], indices, sorter.key(keys, i));
      e.store(tensorOf(op.getIndices()), e.kernel.results[1], indices, sorter.place(places, i));
    });
  });
  return success();
}

/// An index of a scatter: negative ones count from the end; others outside are reported and replaced by 0.
Value scatterIndex(ValueEmitter &e, Operation *op, Value value, Type element, Value size) {
  value = emitCast(e, value, element, IntegerType::get(e.b.getContext(), 64, IntegerType::Signed), false);
  Value index = e.select(e.less(value, e.constant(0)), e.add(value, size), value);
  Value good = e.both(e.less(e.constant(-1), index), e.less(index, size));
  Value bad =
      arith::XOrIOp::create(e.b, e.loc, good, arith::ConstantOp::create(e.b, e.loc, e.b.getBoolAttr(true)));
  e.guarded(bad, [&] { e.fail(op, TW_FAIL_INDEX, value, size); });
  return e.select(good, index, e.constant(0));
}

Value combine(ValueEmitter &e, ScatterKind kind, Value old, Value update, Type element) {
  static constexpr ReduceKind kinds[] = {ReduceKind::sum, ReduceKind::sum, ReduceKind::prod, ReduceKind::rmax,
                                         ReduceKind::rmin};
  if (kind == ScatterKind::assign)
    return update;
  if (llvm::isa<VectorType>(old.getType()))
    update = e.spread(update);
  return emitReduceStep(e, kinds[unsigned(kind)], old, update, element);
}

/// result = operand, in lanes over the last dimension.
void copyOperand(ValueEmitter &e, Value operand, Value result) {
  SmallVector<Value> sizes = e.dims(result);
  Indices indices;
  std::function<void(size_t)> nest = [&](size_t dim) {
    if (dim + 1 < sizes.size()) {
      e.loop(e.constant(0), sizes[dim], 1, [&](Value i) {
        indices.push_back(e.uniform(i));
        nest(dim + 1);
        indices.pop_back();
      });
      return;
    }
    e.laneLoop(e.constant(0), sizes[dim], e.nativeLanes(), [&](Value base) {
      indices.push_back(e.lane(base));
      e.store(tensorOf(result), e.kernel.results[0], indices, e.at(operand, indices));
      indices.pop_back();
    });
  };
  if (sizes.empty())
    e.store(tensorOf(result), e.kernel.results[0], {}, e.at(operand, {}));
  else
    nest(0);
}

/// Every index of `v` in row-major order.
void overAll(ValueEmitter &e, ArrayRef<Value> sizes, llvm::function_ref<void(ArrayRef<Index>)> body) {
  Indices indices;
  std::function<void(size_t)> nest = [&](size_t dim) {
    if (dim == sizes.size())
      return body(indices);
    e.loop(e.constant(0), sizes[dim], 1, [&](Value i) {
      indices.push_back(e.uniform(i));
      nest(dim + 1);
      indices.pop_back();
    });
  };
  nest(0);
}

void update(ValueEmitter &e, ScatterKind kind, Value result, ArrayRef<Index> to, Value value) {
  RankedTensorType type = tensorOf(result);
  if (kind != ScatterKind::assign)
    value = combine(e, kind, e.load(type, e.kernel.results[0], to), value, type.getElementType());
  e.store(type, e.kernel.results[0], to, value);
}

LogicalResult emitScatterElements(ValueEmitter &e, ScatterElementsOp op, EmittedKernel &result) {
  result.extent = constantDim(op.getContext(), 1);
  e.loop(e.kernel.begin, e.kernel.end, 1, [&](Value) {
    copyOperand(e, op.getOperand(), op.getResult());
    Value size = e.dims(op.getOperand())[op.getAxis()];
    overAll(e, e.dims(op.getUpdates()), [&](ArrayRef<Index> indices) {
      Indices to(indices);
      Value index = e.at(op.getIndices(), indices);
      to[op.getAxis()] =
          e.uniform(scatterIndex(e, op, index, tensorOf(op.getIndices()).getElementType(), size));
      update(e, op.getKind(), op.getResult(), to, e.at(op.getUpdates(), indices));
    });
  });
  return success();
}

LogicalResult emitScatterND(ValueEmitter &e, ScatterNDOp op, EmittedKernel &result) {
  result.extent = constantDim(op.getContext(), 1);
  e.loop(e.kernel.begin, e.kernel.end, 1, [&](Value) {
    copyOperand(e, op.getOperand(), op.getResult());
    SmallVector<Value> sizes = e.dims(op.getOperand()), places = e.dims(op.getIndices());
    int64_t depth = tensorOf(op.getIndices()).getShape().back();
    places.pop_back();
    overAll(e, places, [&](ArrayRef<Index> which) {
      Indices to, from(which);
      for (int64_t k = 0; k < depth; ++k) {
        Indices entry(which);
        entry.push_back(e.uniform(e.constant(k)));
        Value index = e.at(op.getIndices(), entry);
        to.push_back(
            e.uniform(scatterIndex(e, op, index, tensorOf(op.getIndices()).getElementType(), sizes[k])));
      }
      overAll(e, ArrayRef(sizes).drop_front(depth), [&](ArrayRef<Index> inner) {
        Indices target(to), source(from);
        target.append(inner.begin(), inner.end());
        source.append(inner.begin(), inner.end());
        update(e, op.getKind(), op.getResult(), target, e.at(op.getUpdates(), source));
      });
    });
  });
  return success();
}

LogicalResult emitCompact(ValueEmitter &e, CompactOp op, EmittedKernel &result) {
  result.extent = constantDim(op.getContext(), 1);
  SmallVector<Value> sizes = e.dims(op.getMask());
  RankedTensorType type = tensorOf(op.getResult());
  e.loop(e.kernel.begin, e.kernel.end, 1, [&](Value) {
    Indices indices;
    std::function<SmallVector<Value>(size_t, ValueRange)> nest =
        [&](size_t dim, ValueRange carried) -> SmallVector<Value> {
      if (dim < sizes.size())
        return e.loop(e.constant(0), sizes[dim], 1, carried, [&](Value i, ValueRange now) {
          indices.push_back(e.uniform(i));
          SmallVector<Value> next = nest(dim + 1, now);
          indices.pop_back();
          return next;
        });
      Value count = carried[0], hit = e.at(op.getMask(), indices);
      e.guarded(hit, [&] {
        for (auto [k, index] : llvm::enumerate(indices))
          e.store(type, e.kernel.results[0], {e.uniform(count), e.uniform(e.constant(k))}, index.base);
      });
      return {arith::AddIOp::create(e.b, e.loc, count,
                                    arith::ExtUIOp::create(e.b, e.loc, e.b.getI64Type(), hit))};
    };
    nest(0, ValueRange{e.constant(0)});
  });
  return success();
}

} // namespace

LogicalResult emitSerial(ValueEmitter &e, Operation *root, EmittedKernel &result) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(root)
      .Case<ScanOp>([&](auto op) { return emitScan(e, op, result); })
      .Case<SortOp>([&](auto op) { return emitSort(e, op, result); })
      .Case<ScatterElementsOp>([&](auto op) { return emitScatterElements(e, op, result); })
      .Case<ScatterNDOp>([&](auto op) { return emitScatterND(e, op, result); })
      .Case<CompactOp>([&](auto op) { return emitCompact(e, op, result); })
      .Default([](Operation *op) { return op->emitError("has no serial emission"); });
}

} // namespace tilewright::codegen
