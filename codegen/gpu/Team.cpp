// How the threads of a team go along a row, and how they combine what each found.
//
// A row whose length is known and short enough is unrolled: its pieces are then values of the function body,
// so the walk's value numbering keeps them in registers from the first reduction to the last use. Threads
// beyond the end read the row's last piece again and discard it: no branch stands between the loads.
#include "codegen/gpu/ThreadEmitter.h"

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen::gpu {
int64_t accessLanes(AffineExpr size, int64_t most) {
  auto known = tilewright::constantOf(size);
  int64_t divisor = known ? *known : size.getLargestKnownDivisor(), lanes = 1;
  while (divisor > 0 && lanes * 2 <= most && divisor % (lanes * 2) == 0)
    lanes *= 2;
  return lanes;
}

Team::Team(ThreadEmitter &e, std::optional<int64_t> threads, int64_t lanes, const TeamSchedule &schedule)
    : e(e), threads(threads), lanes(lanes), keptPieces(schedule.keptPieces),
      unrolledPieces(schedule.unrolledPieces) {
  Value id = e.special("tid.x");
  count = threads ? e.constant(*threads) : e.special("ntid.x");
  const bool block = !threads || *threads > warpThreads;
  teamNumber = block ? e.constant(0) : e.divide(id, count);
  thread = block ? id : e.remainder(id, count);
}

bool Team::varies(Value value) const {
  if (value == thread)
    return !e.constantOf(value);
  if (value == teamNumber)
    return false;
  if (value == e.special("tid.x"))
    return true;
  if (auto argument = llvm::dyn_cast<BlockArgument>(value)) {
    auto loop = llvm::dyn_cast_or_null<scf::ForOp>(argument.getOwner()->getParentOp());
    return loop && (argument != loop.getInductionVar() || varies(loop.getLowerBound()) ||
                    varies(loop.getUpperBound()) || varies(loop.getStep()));
  }
  return llvm::any_of(value.getDefiningOp()->getOperands(), [&](Value operand) { return varies(operand); });
}

bool Team::shares(ArrayRef<Index> indices) const {
  return e.guardDepth() == 0 && llvm::all_of(indices, [&](const Index &index) {
           return index.uniform() && e.depthOf(index.base) == 0 && !varies(index.base);
         });
}

int64_t Team::lanesFor(Value size) const {
  int64_t divisor = e.divisorOf(size), result = lanes;
  while (divisor % result)
    result /= 2;
  return result;
}

SmallVector<Value> Team::walk(Value size, ValueRange init, Body body) {
  const int64_t width = e.lanes.width;
  auto length = e.constantOf(size);
  if (!threads || !length || *length < width || *length > keptPieces * width * *threads)
    return walkLong(size, init, body);
  SmallVector<Value> carried(init);
  for (int64_t start = 0; start < *length; start += width * *threads) {
    Value at = e.mul(e.add(thread, start / width), width), inside;
    if (start + width * *threads > *length) {
      inside = e.less(at, size);
      at = e.minimum(at, e.constant(*length - width));
    }
    carried = body(e.lane(at), inside, carried);
  }
  return carried;
}

SmallVector<Value> Team::walkLong(Value size, ValueRange init, Body body) {
  const int64_t width = e.lanes.width;
  Value first = e.mul(thread, width), stride = e.mul(count, width);
  SmallVector<Value> state(init);
  state.push_back(first);
  Value before = e.sub(size, e.mul(stride, unrolledPieces - 1));
  state = e.loop(first, before, e.mul(stride, unrolledPieces), state, [&](Value i, ValueRange carried) {
    SmallVector<Value> next(carried.drop_back());
    for (int64_t k = 0; k < unrolledPieces; ++k)
      next = body(e.lane(e.add(i, e.mul(stride, k))), {}, next);
    next.push_back(e.add(i, e.mul(stride, unrolledPieces)));
    return next;
  });
  Value rest = state.pop_back_val();
  e.assumeDivisor(rest, width);
  return e.loop(rest, size, stride, state,
                [&](Value i, ValueRange carried) { return body(e.lane(i), {}, carried); });
}

Value Team::fold(Value size, Value init, Piece piece) {
  return walk(size, init, [&](const Index &at, Value inside, ValueRange carried) {
    return SmallVector<Value>{piece(at, inside, carried[0])};
  })[0];
}

void Team::each(Value size, llvm::function_ref<void(const Index &, Value)> piece) {
  walk(size, {}, [&](const Index &at, Value inside, ValueRange) {
    piece(at, inside);
    return SmallVector<Value>{};
  });
}

Value Team::combine(Value mine, Value neutral, llvm::function_ref<Value(Value, Value)> step) {
  const int64_t inWarp = threads ? std::min(*threads, warpThreads) : warpThreads;
  for (int64_t mask = inWarp / 2; mask; mask /= 2)
    mine = step(mine, e.shuffle(mine, mask));
  return threads && *threads <= warpThreads ? mine : acrossWarps(mine, neutral, step);
}

/// Each warp leaves its value in shared memory, and every warp combines them all. An array serves one
/// reduction only, so one barrier is enough.
Value Team::acrossWarps(Value value, Value neutral, llvm::function_ref<Value(Value, Value)> step) {
  Type type = value.getType(), stored = type.isInteger(1) ? Type(e.b.getI8Type()) : type;
  Value slots = e.shared(stored), warpSize = e.constant(warpThreads);
  Value warp = e.divide(thread, warpSize), lane = e.remainder(thread, warpSize);
  const int64_t bytes = stored.getIntOrFloatBitWidth() / 8;
  e.guarded(e.equal(lane, e.constant(0)), [&] {
    Value out = type == stored ? value : Value(arith::ExtUIOp::create(e.b, e.loc, stored, value));
    LLVM::StoreOp::create(e.b, e.loc, out, e.address(slots, warp, bytes), bytes);
  });
  e.barrier();
  const int64_t warps = threads ? *threads / warpThreads : warpThreads;
  Value slot = threads ? e.remainder(lane, e.constant(warps)) : lane;
  Value result = LLVM::LoadOp::create(e.b, e.loc, stored, e.address(slots, slot, bytes), bytes);
  if (type != stored)
    result = arith::TruncIOp::create(e.b, e.loc, type, result);
  if (!threads) // fewer warps than lanes, known at launch
    result = arith::SelectOp::create(e.b, e.loc, e.less(lane, e.divide(count, warpSize)), result, neutral);
  for (int64_t mask = warps / 2; mask; mask /= 2)
    result = step(result, e.shuffle(result, mask));
  return result;
}

} // namespace tilewright::codegen::gpu
