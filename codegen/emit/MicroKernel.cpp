//===- MicroKernel.cpp - a register tile of a matrix product --------------===//
#include "codegen/emit/MicroKernel.h"
#include "codegen/emit/Ops.h"

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

/// Rows up to which runs of unknown depth are cut: for more, the many sums that a branch must keep cost 15 %.
constexpr int64_t mostRowsOfAnyDepth = 2;

} // namespace

Value widen(ValueEmitter &e, Value value, Type from, Type accumulator) {
  auto integer = llvm::dyn_cast_or_null<IntegerType>(from);
  Type to = withElement(value.getType(), accumulator);
  if (!integer || value.getType() == to)
    return value;
  if (integer.isUnsigned() || integer.getWidth() == 1)
    return arith::ExtUIOp::create(e.b, e.loc, to, value);
  return arith::ExtSIOp::create(e.b, e.loc, to, value);
}

MicroKernel::MicroKernel(ValueEmitter &e, Type accumulator, Type panelElement, const TileSchedule &schedule,
                         DotKind kind)
    : e(e),
      vector(VectorType::get({e.kernel.target.lanes(accumulator.getIntOrFloatBitWidth())}, accumulator)),
      panelElement(panelElement), wantedSums(schedule.sums), prefetchDistance(schedule.prefetch),
      straightDepth(schedule.straightDepth), dotKind(kind),
      product(integerProductFor(kind, panelElement, e.kernel.target)) {}

int64_t MicroKernel::panelStride(int64_t columns) const {
  return columns * group() * graph::byteWidth(panelElement);
}

Type MicroKernel::leftType() const {
  return dotKind == DotKind::Plain ? vector.getElementType() : Type(e.b.getIntegerType(32 / group()));
}

bool MicroKernel::needsCorrection(Type left) const {
  return dotKind == DotKind::Quads && left.isSignedInteger() != product->leftSigned;
}

Value MicroKernel::toLeft(Value lanes, Type element) const {
  if (dotKind == DotKind::Plain)
    return widen(e, lanes, element, vector.getElementType());
  if (dotKind == DotKind::Pairs)
    return widen(e, lanes, element, e.b.getI16Type());
  if (!needsCorrection(element))
    return lanes;
  return arith::XOrIOp::create(e.b, e.loc, lanes, splatInteger(e, lanes.getType(), -128));
}

Accumulators MicroKernel::signedCorrection(int64_t vectors, Value panel, int64_t stride, Value depth) const {
  Value offset = arith::ConstantOp::create(
      e.b, e.loc, DenseElementsAttr::get(vector, e.b.getI32IntegerAttr(int32_t(0x80808080))));
  Accumulators sums = e.loop(e.constant(0), depth, 1, zero({1, vectors}), [&](Value k, ValueRange carried) {
    Accumulators next(carried);
    for (int64_t x = 0; x < vectors; ++x)
      next[x] = multiplyAdd(offset, loadPanel(e.address(panel, k, stride), x), next[x]);
    return next;
  });
  for (Value &sum : sums)
    sum = arith::SubIOp::create(e.b, e.loc, zero({1, 1}).front(), sum);
  return sums;
}

Accumulators MicroKernel::repeated(const Accumulators &row, int64_t rows) {
  Accumulators all;
  for (int64_t i = 0; i < rows; ++i)
    llvm::append_range(all, row);
  return all;
}

Accumulators MicroKernel::zero(Tile tile) const {
  Value zero = e.placedAt(
      0, [&]() -> Value { return arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(vector)); });
  return Accumulators(tile.rows * tile.vectors, zero);
}

Accumulators MicroKernel::load(Tile tile, Value pointer, int64_t pitch) const {
  Accumulators sums;
  for (int64_t row = 0; row < tile.rows; ++row)
    for (int64_t x = 0; x < tile.vectors; ++x) {
      Value from = e.address(pointer, e.constant(row * pitch + x * lanes() * accumulatorBytes()), 1);
      sums.push_back(LLVM::LoadOp::create(e.b, e.loc, vector, from, accumulatorBytes()));
    }
  return sums;
}

void MicroKernel::store(Tile tile, Value pointer, int64_t pitch, ValueRange sums) const {
  for (int64_t row = 0; row < tile.rows; ++row)
    for (int64_t x = 0; x < tile.vectors; ++x) {
      Value to = e.address(pointer, e.constant(row * pitch + x * lanes() * accumulatorBytes()), 1);
      LLVM::StoreOp::create(e.b, e.loc, sums[row * tile.vectors + x], to, accumulatorBytes());
    }
}

Accumulators MicroKernel::plus(ValueRange x, ValueRange y) const {
  Accumulators sums;
  for (auto [a, b] : llvm::zip_equal(x, y))
    sums.push_back(llvm::isa<FloatType>(vector.getElementType())
                       ? Value(arith::AddFOp::create(e.b, e.loc, a, b))
                       : Value(arith::AddIOp::create(e.b, e.loc, a, b)));
  return sums;
}

Value MicroKernel::multiplyAdd(Value x, Value y, Value sum) const {
  if (llvm::isa<FloatType>(vector.getElementType()))
    return vector::FMAOp::create(e.b, e.loc, x, y, sum);
  if (dotKind == DotKind::Plain)
    return arith::AddIOp::create(e.b, e.loc, sum, arith::MulIOp::create(e.b, e.loc, x, y));
  auto narrow = VectorType::get({lanes() * group()}, e.b.getIntegerType(32 / group()));
  SmallVector<Value> operands{vector::BitCastOp::create(e.b, e.loc, narrow, x),
                              vector::BitCastOp::create(e.b, e.loc, narrow, y)};
  if (product->accumulates)
    operands.insert(operands.begin(), sum);
  Value result =
      LLVM::CallIntrinsicOp::create(e.b, e.loc, vector, e.b.getStringAttr(product->intrinsic), operands)
          .getResult(0);
  return product->accumulates ? result : Value(arith::AddIOp::create(e.b, e.loc, sum, result));
}

bool MicroKernel::canLookUp16() const {
  return e.kernel.target.lookup16 && vector.getElementType().isF32() && lanes() == 16;
}

Value MicroKernel::lookUp16(Value table, Value indices) const {
  if (!canLookUp16())
    return {};
  return LLVM::CallIntrinsicOp::create(e.b, e.loc, vector, e.b.getStringAttr(e.kernel.target.lookup16),
                                       ValueRange{table, indices})
      .getResult(0);
}

/// Vector `vectorIndex` of a step: of the sums' type, or its bits as pairs or quads.
Value MicroKernel::loadPanel(Value pointer, int64_t vectorIndex) const {
  const int64_t count = lanes() * group(), bytes = graph::byteWidth(panelElement);
  Value from = e.address(pointer, e.constant(vectorIndex * count * bytes), 1);
  Value loaded =
      LLVM::LoadOp::create(e.b, e.loc, VectorType::get({count}, storageType(panelElement)), from, bytes);
  if (dotKind == DotKind::Plain)
    return widen(e, fromStorage(e, loaded, panelElement), panelElement, vector.getElementType());
  if (dotKind == DotKind::Pairs)
    loaded = widen(e, loaded, panelElement, e.b.getI16Type());
  return vector::BitCastOp::create(e.b, e.loc, vector, loaded);
}

/// Where one step of k reads.
struct MicroKernel::Cursor {
  SmallVector<Value> rows; ///< address of each row's scalar
  Value panel;
  Value ahead;
  bool prefetch = false;
  int64_t panelStride = 0;
};

void MicroKernel::step(Tile tile, const Cursor &cursor, llvm::MutableArrayRef<Value> sums) const {
  SmallVector<Value> columns;
  for (int64_t x = 0; x < tile.vectors; ++x)
    columns.push_back(loadPanel(cursor.panel, x));
  if (cursor.prefetch)
    for (int64_t byte = 0; byte < panelStride(tile.vectors * lanes()); byte += e.kernel.target.cacheLine)
      LLVM::Prefetch::create(
          e.b, e.loc, e.address(cursor.panel, e.constant(prefetchDistance * cursor.panelStride + byte), 1),
          /*rw=*/0, /*hint=*/3, /*cache=*/1);
  if (cursor.ahead)
    LLVM::Prefetch::create(e.b, e.loc, cursor.ahead, /*rw=*/0, /*hint=*/2, /*cache=*/1);
  for (int64_t row = 0; row < tile.rows; ++row) {
    Value scalar = LLVM::LoadOp::create(e.b, e.loc, vector.getElementType(), cursor.rows[row], leftBytes());
    Value spread = vector::BroadcastOp::create(e.b, e.loc, vector, scalar);
    for (int64_t x = 0; x < tile.vectors; ++x) {
      Value &sum = sums[row * tile.vectors + x];
      sum = multiplyAdd(spread, columns[x], sum);
    }
  }
}

Accumulators MicroKernel::steps(Tile tile, const Run &run, Value k, int64_t count, int64_t sets,
                                ValueRange given) const {
  Accumulators sums(given);
  const int64_t perSet = tile.rows * tile.vectors;
  Value panel = e.address(run.panel, k, run.panelStride);
  Value left = e.address(run.left, e.mul(k, run.depthStride), 1);
  for (int64_t u = 0; u < count; ++u) {
    Cursor cursor;
    cursor.panel = e.address(panel, e.constant(u * run.panelStride), 1);
    cursor.panelStride = run.panelStride;
    if (run.ahead)
      cursor.ahead = e.address(run.ahead, e.mul(e.add(k, u), run.aheadStride), 1);
    cursor.prefetch =
        tile.rows > 1 && prefetchDistance; // one row: the panel streams, which the hardware sees by itself
    for (int64_t row = 0; row < tile.rows; ++row)
      cursor.rows.push_back(e.address(left, e.add(e.mul(run.rowStride, row), e.mul(run.depthStride, u)), 1));
    step(tile, cursor, llvm::MutableArrayRef<Value>(sums).slice((u % sets) * perSet, perSet));
  }
  return sums;
}

Value MicroKernel::scratchFor(Tile tile) const {
  if (tile.rows * tile.vectors > scratchVectors) {
    scratchVectors = tile.rows * tile.vectors;
    scratch = e.reserveScratch(constantDim(e.b.getContext(), scratchVectors * lanes() * accumulatorBytes()));
  }
  return scratch;
}

Accumulators MicroKernel::accumulate(Tile tile, const Run &run, ValueRange given) const {
  const auto depth = e.constantOf(run.depth);
  const bool known = depth || run.mostDepth != INT64_MAX;
  if (!isLong(std::min(depth.value_or(INT64_MAX), run.mostDepth)) ||
      (!known && tile.rows > mostRowsOfAnyDepth))
    return inRegisters(tile, run, given);
  Value waiting = scratchFor(tile), block = e.constant(longestSum), several = e.less(block, run.depth);
  const SmallVector<Type> types(tile.rows * tile.vectors, vector);
  e.guarded(several, [&] { store(tile, waiting, pitchOf(tile), zero(tile)); });
  Accumulators sums =
      e.loop(e.constant(0), run.depth, longestSum, given, [&](Value first, ValueRange carried) {
        Value rest = e.sub(run.depth, first);
        Run part = run;
        part.left = e.address(run.left, e.mul(first, run.depthStride), 1);
        part.panel = e.address(run.panel, first, run.panelStride);
        part.depth = e.minimum(rest, block);
        if (run.ahead)
          part.ahead = e.address(run.ahead, e.mul(first, run.aheadStride), 1);
        Accumulators now = inRegisters(tile, part, carried);
        return e.guarded(
            e.less(block, rest), types,
            [&] {
              store(tile, waiting, pitchOf(tile), plus(load(tile, waiting, pitchOf(tile)), now));
              return zero(tile);
            },
            [&] { return now; });
      });
  return e.guarded(
      several, types, [&] { return plus(load(tile, waiting, pitchOf(tile)), sums); }, [&] { return sums; });
}

Accumulators MicroKernel::inRegisters(Tile tile, const Run &run, ValueRange given) const {
  const int64_t perSet = tile.rows * tile.vectors;
  const auto depth = e.constantOf(run.depth);
  if (depth && *depth <= straightDepth)
    return steps(tile, run, e.constant(0), *depth, 1, given);
  int64_t sets = 1;
  while (sets * perSet < wantedSums && sets < 4)
    sets *= 2;
  Accumulators sums(given);
  for (int64_t set = 1; set < sets; ++set)
    llvm::append_range(sums, zero(tile));
  Value tail = e.sub(run.depth, e.remainder(run.depth, e.constant(sets)));
  sums = e.loop(e.constant(0), tail, sets, sums,
                [&](Value k, ValueRange carried) { return steps(tile, run, k, sets, sets, carried); });
  for (int64_t half = sets / 2; half > 0; half /= 2)
    llvm::copy(
        plus(ArrayRef(sums).take_front(half * perSet), ArrayRef(sums).slice(half * perSet, half * perSet)),
        sums.begin());
  sums.truncate(perSet);
  if (depth && *depth - *e.constantOf(tail) <= 1)
    return steps(tile, run, tail, *depth - *e.constantOf(tail), 1, sums);
  return e.loop(tail, run.depth, 1, sums,
                [&](Value k, ValueRange carried) { return steps(tile, run, k, 1, 1, carried); });
}

} // namespace tilewright::codegen
