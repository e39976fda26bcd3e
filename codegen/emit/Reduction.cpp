// Reductions inside the walk. A reduce whose value all lanes share runs along its own innermost dimension in
// lanes, with several accumulators, at the loop level where its index is known: once a row. Otherwise lanes
// lie along a kept dimension and the loops are plain. The order of additions depends on shapes and the target
// only.
#include "codegen/emit/LongSum.h"
#include "codegen/emit/Ops.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

Type elementOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()).getElementType(); }
bool allUniform(ArrayRef<Index> indices) {
  return llvm::all_of(indices, [](const Index &i) { return i.uniform(); });
}

class Reducer {
public:
  Reducer(ValueEmitter &e, ReduceOp op, ArrayRef<Index> indices)
      : e(e), op(op), element(elementOf(op.getOperand())), accumulators(e.kernel.reduce.accumulators) {
    size_t next = 0, rank = llvm::cast<RankedTensorType>(op.getOperand().getType()).getRank();
    for (size_t i = 0; i < rank; ++i)
      inner.push_back(llvm::is_contained(op.getDims(), int64_t(i)) ? e.uniform(e.constant(0))
                                                                   : indices[next++]);
    reduced.assign(op.getDims().begin(), op.getDims().end());
    sizes = e.dims(op.getOperand());
  }

  Value run() {
    // Lanes go along the innermost reduced dimension that is not 1, when the lanes do not matter outside.
    Dims shape = dimsOf(op.getOperand());
    llvm::erase_if(reduced, [&](int64_t dim) { return tilewright::constantOf(shape[dim]) == 1; });
    if (reduced.empty())
      return e.at(op.getOperand(), inner);
    bool inLanes = true;
    for (const Index &index : inner)
      inLanes &= index.uniform();
    if (e.team && e.team->shares(inner))
      return alongTeam();
    return inLanes ? alongLanes() : acrossLanes();
  }

private:
  /// Largest and smallest of floats: lanes keep the extreme of the numbers, and aside whether a NaN was seen.
  bool isExtreme() {
    return llvm::isa<FloatType>(element) &&
           (op.getKind() == ReduceKind::rmax || op.getKind() == ReduceKind::rmin);
  }
  Value extreme(Value accumulator, Value x) {
    auto predicate = op.getKind() == ReduceKind::rmax ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT;
    Value beyond = arith::CmpFOp::create(e.b, e.loc, predicate, x, accumulator);
    return arith::SelectOp::create(e.b, e.loc, beyond, x, accumulator);
  }
  Type flags(Type lanes) {
    return withElement(lanes, e.b.getIntegerType(scalarType(lanes).getIntOrFloatBitWidth()));
  }
  Value seeNaN(Value seen, Value x, Value y) {
    Value here = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::UNO, x, y);
    return arith::OrIOp::create(e.b, e.loc, seen, arith::ExtSIOp::create(e.b, e.loc, seen.getType(), here));
  }

  /// One vector for each x into the first accumulators, which the flags of NaN follow.
  SmallVector<Value> accumulate(ValueRange now, ArrayRef<Value> xs) {
    SmallVector<Value> next(now);
    for (auto [i, x] : llvm::enumerate(xs))
      next[i] = isExtreme() ? extreme(now[i], x) : step(now[i], x);
    if (isExtreme())
      for (size_t i = 0; i < xs.size(); i += 2) {
        Value &seen = next[accumulators + i / 2];
        seen = seeNaN(seen, xs[i], i + 1 < xs.size() ? xs[i + 1] : xs[i]);
      }
    return next;
  }

  Value step(Value accumulator, Value x) {
    if (llvm::isa<VectorType>(accumulator.getType()))
      x = e.spread(x);
    return emitReduceStep(e, op.getKind(), accumulator, x, element);
  }

  /// Folds [lo, hi) of the innermost reduced dimension into what is carried.
  using Leaf = llvm::function_ref<SmallVector<Value>(Value lo, Value hi, ValueRange carried)>;

  Value sizeOf(size_t dim) { return sizes[reduced[dim]]; }

  /// Loops over [lo, hi) of reduced dimension `dim` and all of those within it.
  SmallVector<Value> nest(size_t dim, Value lo, Value hi, ValueRange init, Leaf leaf) {
    if (dim + 1 == reduced.size())
      return leaf(lo, hi, init);
    return e.loop(lo, hi, 1, init, [&](Value i, ValueRange carried) {
      inner[reduced[dim]] = e.uniform(i);
      return nest(dim + 1, e.constant(0), sizeOf(dim + 1), carried, leaf);
    });
  }

  /// The reduced dimension whose loop is cut into runs, and its elements in a run. One turn of the innermost
  /// loop takes `unit` elements.
  struct Runs {
    size_t dim;
    int64_t elements;
  };
  std::optional<Runs> runsOf(const LongSum &sum, int64_t unit) {
    const bool lanes = unit > 1;
    int64_t steps = 1; // of one turn
    for (size_t dim = reduced.size(); dim-- > 0; unit = 1) {
      auto size = e.constantOf(sizeOf(dim));
      std::optional<int64_t> all;
      if (size)
        all = std::min<uint64_t>(llvm::SaturatingMultiply<uint64_t>(llvm::divideCeil(*size, unit), steps),
                                 INT64_MAX);
      if (sum.isLong(all, lanes ? 2 * LongSum::run : LongSum::run)) // short rows stay whole
        return Runs{dim, std::max<int64_t>(1, LongSum::run / steps) * unit};
      steps = std::max<int64_t>(1, *all);
    }
    return std::nullopt;
  }

  /// The totals of all runs; `whole` makes one value of what the leaf returns.
  SmallVector<Value> overRuns(const LongSum &sum, Runs runs, ValueRange init, Leaf leaf,
                              llvm::function_ref<Value(ValueRange)> whole, size_t dim, ValueRange totals) {
    if (dim < runs.dim)
      return e.loop(e.constant(0), sizeOf(dim), 1, totals, [&](Value i, ValueRange now) {
        inner[reduced[dim]] = e.uniform(i);
        return overRuns(sum, runs, init, leaf, whole, dim + 1, now);
      });
    Value size = sizeOf(dim);
    const auto known = e.constantOf(size);
    return e.loop(e.constant(0), size, runs.elements, totals, [&](Value first, ValueRange now) {
      Value end = e.add(first, runs.elements);
      if (!known || *known % runs.elements != 0)
        end = e.minimum(end, size);
      return sum.add(now, whole(nest(dim, first, end, init, leaf)));
    });
  }

  Value acrossLanes() {
    Value init = e.spread(neutral(e, op.getKind(), element));
    auto leaf = [&](Value lo, Value hi, ValueRange carried) {
      return e.loop(lo, hi, 1, carried, [&](Value i, ValueRange now) {
        inner[reduced.back()] = e.uniform(i);
        return SmallVector<Value>{step(now[0], e.at(op.getOperand(), inner))};
      });
    };
    const LongSum sum(e, op.getKind(), element);
    if (auto runs = runsOf(sum, 1))
      return sum.narrowed(overRuns(
          sum, *runs, init, leaf, [](ValueRange one) { return one[0]; }, 0, sum.start(init.getType())));
    return nest(0, e.constant(0), sizeOf(0), init, leaf)[0];
  }

  Value load(Value base) {
    inner[reduced.back()] = e.lane(base);
    Value x = e.at(op.getOperand(), inner);
    if (kept) { // hand the row to later uses
      Indices row;
      Dims rowShape, all = dimsOf(op.getOperand());
      for (int64_t dim : reduced) {
        row.push_back(inner[dim]);
        rowShape.push_back(all[dim]);
      }
      Lanes saved = e.lanes;
      e.lanes.mask = {}; // scratch has slack: whole vectors are stored
      e.store(tensorType(rowShape, ValueEmitter::computeType(element)), kept, row, e.spread(x));
      e.lanes = saved;
    }
    return e.spread(x);
  }

  Value alongLanes() {
    Lanes saved = e.lanes;
    int64_t width = e.nativeLanes();
    e.lanes = {width, {}};
    if (e.kernel.scratch && isKept())
      kept = reserveRow();
    Value neutralLanes = e.spread(neutral(e, op.getKind(), element));
    SmallVector<Value> init(accumulators, neutralLanes);
    if (isExtreme())
      init.append(accumulators / 2, splatInteger(e, flags(neutralLanes.getType()), 0));
    Value total = totalOf(init, width);
    if (kept) {
      Indices given(inner);
      e.keepRow(op.getOperand(), given, reduced, kept);
    }
    e.lanes = saved;
    return total;
  }

  Value totalOf(ArrayRef<Value> init, int64_t width) {
    auto leaf = [&](Value lo, Value hi, ValueRange carried) {
      Value whole = e.wholePart(lo, hi, width * accumulators), full = e.wholePart(lo, hi, width);
      SmallVector<Value> next =
          e.loop(lo, whole, width * accumulators, carried, [&](Value base, ValueRange now) {
            SmallVector<Value> xs;
            for (int64_t u = 0; u < accumulators; ++u)
              xs.push_back(load(e.add(base, u * width)));
            return accumulate(now, xs);
          });
      next = e.loop(whole, full, width, next,
                    [&](Value base, ValueRange now) { return accumulate(now, load(base)); });
      return tail(full, hi, next, init.front());
    };
    auto whole = [&](ValueRange sums) {
      SmallVector<Value> left(sums.take_front(accumulators));
      for (; left.size() > 1; left.resize(left.size() / 2))
        for (size_t i = 0; i < left.size() / 2; ++i)
          left[i] = step(left[2 * i], left[2 * i + 1]);
      return left[0];
    };
    const LongSum sum(e, op.getKind(), element);
    const int64_t run = width * accumulators * LongSum::run;
    if (!e.constantOf(sizes[reduced.back()]) && sum.isLong(std::nullopt))
      return reduced.size() == 1 ? totalOfRow(sum, init, run, leaf, whole)
                                 : totalOfRows(sum, init, run, leaf, whole);
    if (auto runs = runsOf(sum, width * accumulators)) {
      Value wide =
          halve(sum.folded(overRuns(sum, *runs, init, leaf, whole, 0, sum.start(init.front().getType()))));
      return arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(), wide);
    }
    SmallVector<Value> sums = nest(0, e.constant(0), sizeOf(0), init, leaf);
    Value total = halve(whole(sums));
    if (!isExtreme())
      return total;
    Value seen = sums[accumulators];
    for (Value more : ArrayRef(sums).drop_front(accumulators + 1))
      seen = arith::OrIOp::create(e.b, e.loc, seen, more);
    return orNaN(total, seen);
  }

  /// A row of unknown length, most likely a short one: only rows of several runs come to f64.
  Value totalOfRow(const LongSum &sum, ArrayRef<Value> init, int64_t run, Leaf leaf,
                   llvm::function_ref<Value(ValueRange)> whole) {
    Value size = sizeOf(0), step = e.constant(run), several = e.less(step, size);
    SmallVector<Value> start(init), totals = sum.start(init.front().getType());
    llvm::append_range(start, totals);
    SmallVector<Type> types(ValueRange(start).getTypes());
    const size_t count = init.size();
    SmallVector<Value> sums = e.loop(e.constant(0), size, run, start, [&](Value first, ValueRange carried) {
      Value end = e.minimum(e.add(first, run), size);
      SmallVector<Value> now = leaf(first, end, carried.take_front(count));
      llvm::append_range(now, carried.drop_front(count));
      return e.guarded(
          e.less(end, size), types,
          [&] {
            SmallVector<Value> next(init);
            llvm::append_range(
                next, sum.add(ArrayRef(now).drop_front(count), whole(ArrayRef(now).take_front(count))));
            return next;
          },
          [&] { return now; });
    });
    Value last = whole(ArrayRef(sums).take_front(count));
    return e.guarded(
        several, e.b.getF32Type(),
        [&] {
          Value wide = halve(sum.folded(sum.add(ArrayRef(sums).drop_front(count), last)));
          return SmallVector<Value>{arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(), wide)};
        },
        [&] { return SmallVector<Value>{halve(last)}; })[0];
  }

  /// Many rows of unknown length: a run ends with a row, when enough steps have been taken.
  Value totalOfRows(const LongSum &sum, ArrayRef<Value> init, int64_t run, Leaf leaf,
                    llvm::function_ref<Value(ValueRange)> whole) {
    SmallVector<Value> start(init), totals = sum.start(init.front().getType());
    llvm::append_range(start, totals);
    start.push_back(e.constant(0)); // steps of the run
    SmallVector<Type> types(ValueRange(start).getTypes());
    const size_t count = init.size();
    auto row = [&](Value, Value size, ValueRange carried) {
      return e.loop(e.constant(0), size, run, carried, [&](Value first, ValueRange now) {
        Value end = e.minimum(e.add(first, run), size);
        SmallVector<Value> next = leaf(first, end, now.take_front(count));
        Value steps = e.add(now.back(), e.ceilDivide(e.sub(end, first), run / LongSum::run));
        auto flush = [&] {
          SmallVector<Value> fresh(init);
          llvm::append_range(fresh, sum.add(now.slice(count, totals.size()), whole(next)));
          fresh.push_back(e.constant(0));
          return fresh;
        };
        auto goOn = [&] {
          SmallVector<Value> same(next);
          llvm::append_range(same, now.slice(count, totals.size()));
          same.push_back(steps);
          return same;
        };
        return e.guarded(e.less(e.constant(LongSum::run - 1), steps), types, flush, goOn);
      });
    };
    SmallVector<Value> sums = nest(0, e.constant(0), sizeOf(0), start, row);
    ValueRange all(sums);
    Value wide = halve(sum.folded(sum.add(all.slice(count, totals.size()), whole(all.take_front(count)))));
    return arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(), wide);
  }

  Value orNaN(Value total, Value seen) {
    Value any = vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::OR, seen);
    Value none =
        arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, any, splatInteger(e, any.getType(), 0));
    return arith::SelectOp::create(e.b, e.loc, none, total, splatConstant(e, total.getType(), NAN));
  }

  SmallVector<Value> tail(Value full, Value size, ArrayRef<Value> now, Value neutralLanes) {
    return e.guarded(
        e.less(full, size), TypeRange(ValueRange(now)),
        [&] {
          Lanes saved = e.lanes;
          e.lanes.mask = e.laneMask(full, size, e.lanes.width);
          Value x = load(full);
          x = arith::SelectOp::create(e.b, e.loc, e.lanes.mask, x, neutralLanes);
          e.lanes = saved;
          return accumulate(now, x);
        },
        [&] { return SmallVector<Value>(now); });
  }

  /// Threads and their lanes go along the whole reduced part of the row.
  Value alongTeam() {
    Lanes saved = e.lanes;
    SmallVector<Value> lengths;
    Value total = e.constant(1);
    for (int64_t dim : reduced) {
      lengths.push_back(sizes[dim]);
      total = e.mul(total, sizes[dim]);
    }
    e.lanes = {e.team->lanesFor(total), {}};
    Value start = neutral(e, op.getKind(), element), neutralLanes = e.spread(start);
    auto piece = [&](const Index &at, Value inside, Value carried) {
      for (auto [dim, index] : llvm::zip(reduced, e.delinearize(lengths, at)))
        inner[dim] = index;
      Value x = e.spread(e.at(op.getOperand(), inner));
      if (inside)
        x = arith::SelectOp::create(e.b, e.loc, inside, x, neutralLanes);
      return step(carried, x);
    };
    Value mine = halve(e.team->fold(total, neutralLanes, piece));
    e.lanes = saved;
    return e.team->combine(mine, start,
                           [&](Value x, Value y) { return emitReduceStep(e, op.getKind(), x, y, element); });
  }

  /// Lanes to one value, halving: the order is fixed.
  Value halve(Value lanes) {
    int64_t width = llvm::cast<VectorType>(lanes.getType()).getDimSize(0);
    for (int64_t half = width / 2; half >= 1; half /= 2) {
      SmallVector<int64_t> upper;
      for (int64_t i = 0; i < half; ++i)
        upper.push_back(half + i);
      SmallVector<int64_t> lower = llvm::to_vector(llvm::seq<int64_t>(0, half));
      Value high = vector::ShuffleOp::create(e.b, e.loc, lanes, lanes, upper);
      Value low = vector::ShuffleOp::create(e.b, e.loc, lanes, lanes, lower);
      lanes = emitReduceStep(e, op.getKind(), low, high, element);
    }
    return vector::ExtractOp::create(e.b, e.loc, lanes, 0);
  }

  Value reserveRow() {
    AffineExpr bytes = constantDim(op.getContext(), byteWidth(ValueEmitter::computeType(element)));
    Dims all = dimsOf(op.getOperand());
    for (int64_t dim : reduced)
      bytes = bytes * all[dim];
    return e.reserveScratch(canonical(bytes));
  }

  /// Whether the schedule keeps the row for later uses.
  bool isKept() {
    int64_t number = 0;
    for (ReduceOp other : e.kernel.kernel.getBody().front().getOps<ReduceOp>()) {
      if (other == op)
        return e.kernel.reduce.keptRows >> number & 1;
      if (++number == 63)
        break;
    }
    return false;
  }

  ValueEmitter &e;
  ReduceOp op;
  Type element;
  int64_t accumulators; ///< a power of two
  Indices inner;
  SmallVector<int64_t> reduced;
  SmallVector<Value> sizes;
  Value kept;
};

Value emitArgReduce(ValueEmitter &e, ArgReduceOp op, ArrayRef<Index> indices) {
  Type element = elementOf(op.getOperand());
  int64_t axis = op.getAxis();
  Value size = e.dims(op.getOperand())[axis];
  Indices inner(indices);
  inner.insert(inner.begin() + axis, e.uniform(e.constant(0)));
  bool lanes = !allUniform(indices);
  auto fit = [&](Value v) { return lanes ? e.spread(v) : v; };
  Value first = fit(e.at(op.getOperand(), inner));
  auto best =
      e.loop(e.constant(1), size, 1, ValueRange{first, fit(e.constant(0))}, [&](Value i, ValueRange now) {
        inner[axis] = e.uniform(i);
        Value x = fit(e.at(op.getOperand(), inner));
        auto kind = op.getIsMax() ? (op.getLastIndex() ? CompareKind::ge : CompareKind::gt)
                                  : (op.getLastIndex() ? CompareKind::le : CompareKind::lt);
        Value better = emitCompare(e, kind, x, now[0], element);
        if (llvm::isa<FloatType>(element)) { // NaN is the extreme
          Value isNaN = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::UNO, x, x);
          Value wasNaN = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::UNO, now[0], now[0]);
          Value first =
              op.getLastIndex()
                  ? isNaN
                  : Value(arith::AndIOp::create(
                        e.b, e.loc, isNaN,
                        arith::XOrIOp::create(e.b, e.loc, wasNaN, splatInteger(e, wasNaN.getType(), 1))));
          better = arith::OrIOp::create(e.b, e.loc, better, first);
        }
        return SmallVector<Value>{arith::SelectOp::create(e.b, e.loc, better, x, now[0]),
                                  arith::SelectOp::create(e.b, e.loc, better, fit(i), now[1])};
      });
  return best[1];
}

/// Pooling: taps outside are skipped by loop bounds where the position is the same for all lanes, by masks
/// where it is not.
class WindowEmitter {
public:
  WindowEmitter(ValueEmitter &e, WindowOp op, ArrayRef<Index> indices)
      : e(e), op(op), inner(indices), element(elementOf(op.getOperand())) {
    firstSpatial = op.getChannelsLast() ? 1 : 2;
    spatial = op.getKernel().size();
    sizes = e.dims(op.getOperand());
    lanes = !allUniform(indices);
    argument = op.getKind() == WindowKind::wargmax;
    kind = op.getKind() == WindowKind::wsum ? ReduceKind::sum : ReduceKind::rmax;
    int64_t steps = 1;
    for (int64_t size : op.getKernel())
      steps = std::min<uint64_t>(llvm::SaturatingMultiply<uint64_t>(steps, size), INT64_MAX);
    if (LongSum sum(e, kind, element); sum.isLong(steps, longestRow))
      total.emplace(sum);
    out.assign(indices.begin(), indices.end());
  }

  Value run() {
    Value start = fit(neutral(e, kind, element));
    if (total)
      return total->narrowed(taps(0, total->start(start.getType()), {}));
    SmallVector<Value> init{start};
    if (argument)
      init.push_back(fit(e.constant(-1)));
    return taps(0, init, {})[argument ? 1 : 0];
  }

private:
  static constexpr int64_t longestRow = 4 * LongSum::run; ///< taps, of all rows if there are no more
  Value fit(Value v) { return lanes ? e.spread(v) : v; }

  SmallVector<Value> taps(size_t dim, ValueRange carried, Value inside) {
    if (dim == spatial)
      return tap(carried, inside);
    if (total && dim + 1 == spatial && op.getKernel()[dim] <= longestRow)
      return total->add(carried, along(dim, ValueRange{fit(neutral(e, kind, element))}, inside)[0]);
    return along(dim, carried, inside);
  }

  SmallVector<Value> along(size_t dim, ValueRange carried, Value inside) {
    size_t axis = firstSpatial + dim;
    int64_t dilation = op.getDilations()[dim];
    Index origin = e.add(e.mul(out[axis], e.constant(op.getStrides()[dim])),
                         e.uniform(e.sub(e.constant(0), e.dim(op.getLow().getResult(dim)))));
    Value size = sizes[axis], kernel = e.constant(op.getKernel()[dim]);
    Value lo = e.constant(0), hi = kernel;
    // Taps t with 0 <= origin + t * dilation < size, for any lane; lanes select their own.
    if (origin.uniform() || (!origin.lanes && op.getKernel()[dim] > e.kernel.window.boundedTaps)) {
      Value last = e.add(origin.base, e.constant(origin.stride * (e.lanes.width - 1)));
      Value before = e.maximum(e.sub(e.constant(0), last), e.constant(0));
      lo = e.ceilDivide(before, dilation);
      Value room = e.maximum(e.sub(size, origin.base), e.constant(0));
      hi = e.minimum(kernel, e.ceilDivide(room, dilation));
    }
    return e.loop(lo, hi, 1, carried, [&](Value t, ValueRange now) {
      Index position = e.add(origin, e.uniform(e.mul(t, dilation)));
      inner[axis] = position;
      Value in = inside;
      if (!position.uniform()) {
        Value here = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, e.lanesOf(position),
                                           e.lanesOf(e.uniform(size)));
        in = in ? Value(arith::AndIOp::create(e.b, e.loc, in, here)) : here;
      }
      return taps(dim + 1, now, in);
    });
  }

  SmallVector<Value> tap(ValueRange now, Value inside) {
    Lanes saved = e.lanes;
    if (inside)
      e.lanes.mask = saved.mask ? Value(arith::AndIOp::create(e.b, e.loc, saved.mask, inside)) : inside;
    Value x = fit(e.at(op.getOperand(), inner));
    e.lanes = saved;
    if (!argument) {
      if (inside)
        x = arith::SelectOp::create(e.b, e.loc, inside, x, e.spread(neutral(e, kind, element)));
      if (total && scalarType(now[0].getType()).isF64())
        return total->add(now, x);
      return {emitReduceStep(e, kind, now[0], x, element)};
    }
    Value better = beats(x, now[0], now[1]);
    if (inside)
      better = arith::AndIOp::create(e.b, e.loc, better, inside);
    Index flat = e.linearize(ArrayRef(sizes).slice(firstSpatial, spatial),
                             ArrayRef(inner).slice(firstSpatial, spatial));
    Value where = lanes ? e.lanesOf(flat) : flat.base;
    return {arith::SelectOp::create(e.b, e.loc, better, x, now[0]),
            arith::SelectOp::create(e.b, e.loc, better, where, now[1])};
  }

  /// Whether x takes the place of `best` at `where`: the first tap does, whatever it is, and the first NaN.
  Value beats(Value x, Value best, Value where) {
    Value first = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, where,
                                        splatInteger(e, where.getType(), 0));
    Value better = arith::OrIOp::create(e.b, e.loc, first, emitCompare(e, CompareKind::gt, x, best, element));
    if (!llvm::isa<FloatType>(element))
      return better;
    Value isNaN = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::UNO, x, x),
          wasNumber = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::ORD, best, best);
    return arith::OrIOp::create(e.b, e.loc, better, arith::AndIOp::create(e.b, e.loc, isNaN, wasNumber));
  }

  ValueEmitter &e;
  WindowOp op;
  Indices inner, out;
  Type element;
  ReduceKind kind;
  size_t firstSpatial, spatial;
  SmallVector<Value> sizes;
  bool lanes, argument;
  std::optional<LongSum> total; ///< of rows of taps, or of taps where a row is long
};

} // namespace

Value emitReduction(ValueEmitter &e, Operation *op, ArrayRef<Index> indices) {
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return Reducer(e, reduce, indices).run();
  if (auto arg = dyn_cast<ArgReduceOp>(op))
    return emitArgReduce(e, arg, indices);
  return WindowEmitter(e, cast<WindowOp>(op), indices).run();
}

} // namespace tilewright::codegen
