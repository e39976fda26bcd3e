// Contractions and convolutions as plain loops inside the walk: the general variant, for what the tiled
// emitters do not take.
#include "codegen/emit/LongSum.h"
#include "codegen/emit/Ops.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

Type elementOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()).getElementType(); }

/// The sum of products that a loop carries: many of them are added in f64, while the loop waits for its sum
/// and not for conversions.
class ProductSum {
public:
  ProductSum(ValueEmitter &e, Type element, bool lanes, std::optional<int64_t> steps)
      : e(e), element(element), lanes(lanes), sum(e, ReduceKind::sum, element), isLong(sum.isLong(steps)) {}

  SmallVector<Value> start() {
    Value zero = splatConstant(e, ValueEmitter::computeType(element), 0);
    zero = lanes ? e.spread(zero) : zero;
    return isLong ? sum.start(zero.getType()) : SmallVector<Value>{zero};
  }
  SmallVector<Value> add(ValueRange now, Value x, Type xElement, Value y, Type yElement) {
    x = emitCast(e, x, xElement, element, false);
    y = emitCast(e, y, yElement, element, false);
    if (lanes)
      x = e.spread(x), y = e.spread(y);
    Value product = emitBinary(e, BinaryKind::mul, x, y, element);
    if (isLong)
      return sum.add(now, product);
    return {emitBinary(e, BinaryKind::add, product, now[0], element)};
  }
  Value result(ValueRange totals) { return isLong ? sum.narrowed(totals) : totals[0]; }

private:
  ValueEmitter &e;
  Type element;
  bool lanes;
  LongSum sum;
  bool isLong;
};

/// The product of sizes that are all known.
std::optional<int64_t> stepsOf(ValueEmitter &e, ArrayRef<Value> sizes) {
  uint64_t steps = 1;
  for (Value size : sizes) {
    auto known = e.constantOf(size);
    if (!known)
      return std::nullopt;
    steps = llvm::SaturatingMultiply<uint64_t>(steps, *known);
  }
  return std::min<uint64_t>(steps, INT64_MAX);
}

/// Narrow floats accumulate in f32: products are formed in the compute type.
Type accumulationType(Type element) {
  if (llvm::isa<FloatType>(element) && !element.isF64())
    return Float32Type::get(element.getContext());
  return element;
}

bool haveLanes(ArrayRef<Index> indices) {
  return !llvm::all_of(indices, [](const Index &i) { return i.uniform(); });
}

Value emitContractLoops(ValueEmitter &e, ContractOp op, ArrayRef<Index> indices) {
  Indices lhs(llvm::cast<RankedTensorType>(op.getLhs().getType()).getRank()),
      rhs(llvm::cast<RankedTensorType>(op.getRhs().getType()).getRank());
  size_t next = 0;
  for (auto [l, r] : llvm::zip(op.getLhsBatch(), op.getRhsBatch()))
    lhs[l] = rhs[r] = indices[next++];
  for (size_t i = 0; i < lhs.size(); ++i)
    if (!llvm::is_contained(op.getLhsBatch(), int64_t(i)) &&
        !llvm::is_contained(op.getLhsContract(), int64_t(i)))
      lhs[i] = indices[next++];
  for (size_t i = 0; i < rhs.size(); ++i)
    if (!llvm::is_contained(op.getRhsBatch(), int64_t(i)) &&
        !llvm::is_contained(op.getRhsContract(), int64_t(i)))
      rhs[i] = indices[next++];
  Type element = accumulationType(elementOf(op.getResult()));
  SmallVector<Value> sizes = e.dims(op.getLhs()), contracted;
  for (int64_t dim : op.getLhsContract())
    contracted.push_back(sizes[dim]);
  ProductSum sum(e, element, haveLanes(indices), stepsOf(e, contracted));
  std::function<SmallVector<Value>(size_t, ValueRange)> nest = [&](size_t k,
                                                                   ValueRange carried) -> SmallVector<Value> {
    if (k == op.getLhsContract().size())
      return sum.add(carried, e.at(op.getLhs(), lhs), elementOf(op.getLhs()), e.at(op.getRhs(), rhs),
                     elementOf(op.getRhs()));
    return e.loop(e.constant(0), sizes[op.getLhsContract()[k]], 1, carried, [&](Value i, ValueRange now) {
      lhs[op.getLhsContract()[k]] = rhs[op.getRhsContract()[k]] = e.uniform(i);
      return nest(k + 1, now);
    });
  };
  return sum.result(nest(0, sum.start()));
}

class ConvLoops {
public:
  ConvLoops(ValueEmitter &e, ConvOp op, ArrayRef<Index> indices) : e(e), op(op), out(indices) {
    last = op.getChannelsLast();
    spatial = op.getStrides().size();
    sizes = e.dims(op.getLhs());
    taps = e.dims(op.getRhs());
    element = accumulationType(elementOf(op.getResult()));
  }

  Value run() {
    const Index &o = out[last ? spatial + 1 : 1];
    x.resize(spatial + 2);
    w.resize(spatial + 2);
    x[0] = out[0];
    w[last ? spatial + 1 : 0] = o;
    perGroup = taps[last ? spatial : 1];
    // First input channel of the group that output channel o belongs to.
    Value outputsPerGroup = e.divide(taps[last ? spatial + 1 : 0], e.constant(op.getGroups()));
    groupStart = op.getGroups() == 1 ? e.uniform(e.constant(0)) : e.mul(divide(o, outputsPerGroup), perGroup);
    SmallVector<Value> counts{perGroup};
    for (size_t dim = 0; dim < spatial; ++dim)
      counts.push_back(taps[(last ? 0 : 2) + dim]);
    sum.emplace(e, element, haveLanes(out), stepsOf(e, counts));
    return sum->result(tap(0, sum->start(), {}));
  }

private:
  Index divide(const Index &index, Value by) {
    if (index.uniform())
      return e.uniform(e.divide(index.base, by));
    Value divisor = e.lanesOf(e.uniform(e.maximum(by, e.constant(1)))); // an empty filter must not trap
    return {e.constant(0), 0, arith::DivUIOp::create(e.b, e.loc, e.lanesOf(index), divisor)};
  }

  SmallVector<Value> tap(size_t dim, ValueRange carried, Value inside) {
    if (dim == spatial)
      return channels(carried, inside);
    size_t axis = (last ? 1 : 2) + dim, wAxis = (last ? 0 : 2) + dim;
    int64_t spreadBy = op.getLhsDilation()[dim];
    Index origin = e.add(e.mul(out[axis], e.constant(op.getStrides()[dim])),
                         e.uniform(e.sub(e.constant(0), e.dim(op.getLow().getResult(dim)))));
    return e.loop(e.constant(0), taps[wAxis], 1, carried, [&](Value t, ValueRange now) -> SmallVector<Value> {
      Index p = e.add(origin, e.uniform(e.mul(t, op.getRhsDilation()[dim])));
      w[wAxis] = e.uniform(t);
      return position(dim, axis, p, spreadBy, now, inside);
    });
  }

  /// Position p of the spread operand: taken when it is in range and falls on an element.
  SmallVector<Value> position(size_t dim, size_t axis, const Index &p, int64_t spreadBy, ValueRange now,
                              Value inside) {
    Value limit = e.add(e.mul(e.sub(sizes[axis], e.constant(1)), spreadBy), 1);
    if (p.uniform()) {
      Value in = e.both(e.less(e.constant(-1), p.base), e.less(p.base, limit));
      if (spreadBy != 1) {
        Value shifted = e.add(p.base, spreadBy << 20); // p may be negative; the phase is what counts
        in = e.both(in, e.equal(e.remainder(shifted, e.constant(spreadBy)), e.constant(0)));
      }
      SmallVector<Type> types(llvm::map_range(now, [](Value v) { return v.getType(); }));
      return e.guarded(
          in, types,
          [&] {
            x[axis] = e.uniform(e.divide(p.base, e.constant(spreadBy)));
            return tap(dim + 1, now, inside);
          },
          [&] { return SmallVector<Value>(now); });
    }
    Value lanes = e.lanesOf(p);
    Value here =
        arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, lanes, e.lanesOf(e.uniform(limit)));
    if (spreadBy != 1) {
      Value by = e.lanesOf(e.uniform(e.constant(spreadBy)));
      Value rest = arith::RemUIOp::create(e.b, e.loc, lanes, by);
      Value falls = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, rest,
                                          e.lanesOf(e.uniform(e.constant(0))));
      here = arith::AndIOp::create(e.b, e.loc, here, falls);
      x[axis] = {e.constant(0), 0, arith::DivUIOp::create(e.b, e.loc, lanes, by)};
    } else {
      x[axis] = p;
    }
    return tap(dim + 1, now, inside ? Value(arith::AndIOp::create(e.b, e.loc, inside, here)) : here);
  }

  SmallVector<Value> channels(ValueRange carried, Value inside) {
    return e.loop(e.constant(0), perGroup, 1, carried, [&](Value c, ValueRange now) {
      w[last ? spatial : 1] = e.uniform(c);
      x[last ? spatial + 1 : 1] = e.add(groupStart, e.uniform(c));
      Lanes saved = e.lanes;
      if (inside)
        e.lanes.mask = saved.mask ? Value(arith::AndIOp::create(e.b, e.loc, saved.mask, inside)) : inside;
      Value input = e.at(op.getLhs(), x);
      if (inside)
        input = arith::SelectOp::create(e.b, e.loc, inside, e.spread(input),
                                        e.spread(splatConstant(e, scalarType(input.getType()), 0)));
      e.lanes = saved;
      Value weight = e.at(op.getRhs(), w);
      return sum->add(now, input, elementOf(op.getLhs()), weight, elementOf(op.getRhs()));
    });
  }

  ValueEmitter &e;
  ConvOp op;
  Indices out, x, w;
  Index groupStart;
  Value perGroup;
  SmallVector<Value> sizes, taps;
  Type element;
  bool last;
  size_t spatial;
  std::optional<ProductSum> sum;
};

} // namespace

Value emitProduct(ValueEmitter &e, Operation *op, ArrayRef<Index> indices) {
  if (auto contract = dyn_cast<ContractOp>(op))
    return emitContractLoops(e, contract, indices);
  return ConvLoops(e, cast<ConvOp>(op), indices).run();
}

} // namespace tilewright::codegen
