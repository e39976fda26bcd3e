//===- NarrowPanels.cpp - weights of 2, 4 or 8 bits in a product ----------===//
#include "codegen/emit/NarrowPanels.h"
#include "codegen/emit/Ops.h"

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

/// Steps of a block that are not worth a loop.
constexpr int64_t straightSteps = 2;
/// 2^23: where the last bit of a float is one.
constexpr int64_t exponentBits = 0x4B000000;
constexpr double exponent = 8388608;

} // namespace

/// `depth` elements of the summed index, from `first` on, in one panel.
struct NarrowPanels::Block {
  Value first;
  Value steps; ///< address of the first step
  int64_t depth;
  Accumulators scales, zeros; ///< a vector for each of the panel's; zeros with 2^23 added
};

NarrowPanels::NarrowPanels(ValueEmitter &e, const MicroKernel &kernel, const NarrowLayout &layout,
                           int64_t depth, const ProductSchedule &schedule)
    : e(e), kernel(kernel), layout(layout), depth(depth), rowsAsStored(schedule.narrowRows),
      wantedChunk(schedule.narrowChunk), vectors(layout.columns / kernel.lanes()) {}

int64_t NarrowPanels::mostRows() const { return e.kernel.precision == Precision::Strict ? 0 : rowsAsStored; }

/// Row `row` of [panel and block][column], as floats.
Accumulators NarrowPanels::loadParameters(int64_t argument, Value row) const {
  Value value = e.kernel.kernel.getBody().getArgument(argument);
  Type element = llvm::cast<RankedTensorType>(value.getType()).getElementType();
  const int64_t bytes = graph::byteWidth(element);
  Value pointer = e.address(e.kernel.pointers.lookup(value), row, layout.columns * bytes);
  Accumulators vectorsOf;
  for (int64_t x = 0; x < vectors; ++x) {
    Value from = e.address(pointer, e.constant(x * kernel.lanes() * bytes), 1);
    Value loaded = LLVM::LoadOp::create(e.b, e.loc, VectorType::get({kernel.lanes()}, storageType(element)),
                                        from, bytes);
    vectorsOf.push_back(fromStorage(e, loaded, element));
  }
  return vectorsOf;
}

NarrowPanels::Block NarrowPanels::blockAt(Value panel, Value index, int64_t blockDepth) const {
  const int64_t blocks = llvm::divideCeil(depth, layout.block), stepBytes = layout.columns * 4;
  Value row = e.add(e.mul(panel, blocks), index);
  Block block;
  block.first = e.mul(index, layout.block);
  Value panels = e.kernel.pointers.lookup(e.kernel.kernel.getBody().getArgument(layout.panels));
  block.steps = e.address(panels, e.mul(row, layout.stepsPerBlock()), stepBytes);
  block.depth = blockDepth;
  block.scales = loadParameters(layout.scales, row);
  if (layout.zeros < 0) {
    block.zeros.assign(vectors, splatConstant(e, kernel.vectorType(), exponent + double(layout.zero)));
    return block;
  }
  auto integers = VectorType::get({kernel.lanes()}, e.b.getI32Type());
  for (Value bytes : loadParameters(layout.zeros, row)) {
    Value wide = arith::ExtUIOp::create(e.b, e.loc, integers, bytes);
    Value bits = arith::OrIOp::create(e.b, e.loc, wide, splatInteger(e, integers, exponentBits));
    block.zeros.push_back(arith::BitcastOp::create(e.b, e.loc, kernel.vectorType(), bits));
  }
  return block;
}

/// Of `elements` elements from block `first` on, the whole blocks in a loop, then what is left.
Accumulators NarrowPanels::forEachBlock(Value panel, Value first, int64_t elements, ValueRange init,
                                        BlockBody body) const {
  const int64_t whole = elements / layout.block, rest = elements % layout.block;
  Value end = e.add(first, whole);
  Accumulators carried(init);
  if (whole == 1)
    carried = body(blockAt(panel, first, layout.block), carried);
  else if (whole > 1)
    carried = e.loop(first, end, 1, carried, [&](Value index, ValueRange values) {
      return body(blockAt(panel, index, layout.block), values);
    });
  return rest ? body(blockAt(panel, end, rest), carried) : carried;
}

int64_t NarrowPanels::mostChunk() const {
  return std::min(depth, std::max<int64_t>(1, wantedChunk / layout.block) * layout.block);
}

void NarrowPanels::forEachChunk(llvm::function_ref<void(Value, int64_t)> body) const {
  const int64_t chunk = mostChunk(), blocks = llvm::divideCeil(chunk, layout.block), whole = depth / chunk;
  if (whole == 1)
    body(e.constant(0), chunk);
  else
    e.loop(e.constant(0), e.constant(whole * blocks), blocks, [&](Value first) { body(first, chunk); });
  if (depth % chunk)
    body(e.constant(whole * blocks), depth % chunk);
}

/// Element `element` of each 32 bits less its zero point.
Value NarrowPanels::withoutZero(const Block &block, int64_t vector, Value packed, int64_t element) const {
  if (layout.bits != 4 || layout.zeros >= 0 || !kernel.canLookUp16())
    return arith::SubFOp::create(e.b, e.loc, integersAsFloats(packed, element), block.zeros[vector]);
  SmallVector<float> numbers;
  for (int64_t i = 0; i < 16; ++i)
    numbers.push_back(float(i - layout.zero));
  Value table =
      arith::ConstantOp::create(e.b, e.loc, DenseElementsAttr::get(kernel.vectorType(), ArrayRef(numbers)));
  return kernel.lookUp16(table, shifted(packed, element)); // higher bits do not count
}

Value NarrowPanels::shifted(Value packed, int64_t element) const {
  if (!element)
    return packed;
  return arith::ShRUIOp::create(e.b, e.loc, packed, splatInteger(e, packed.getType(), element * layout.bits));
}

/// 2^23 + element `element` of each 32 bits.
Value NarrowPanels::integersAsFloats(Value packed, int64_t element) const {
  Type type = packed.getType();
  Value bits = shifted(packed, element);
  bits = arith::AndIOp::create(e.b, e.loc, bits, splatInteger(e, type, (int64_t(1) << layout.bits) - 1));
  bits = arith::OrIOp::create(e.b, e.loc, bits, splatInteger(e, type, exponentBits));
  return arith::BitcastOp::create(e.b, e.loc, kernel.vectorType(), bits);
}

/// `elements` of step `index`, in the order in which the summed index counts.
Accumulators NarrowPanels::step(const Block &block, Value index, int64_t elements, ValueRange carried,
                                StepBody body) const {
  auto integers = VectorType::get({kernel.lanes()}, e.b.getI32Type());
  Value pointer = e.address(block.steps, index, layout.columns * 4);
  Accumulators packed, values(carried);
  for (int64_t x = 0; x < vectors; ++x)
    packed.push_back(LLVM::LoadOp::create(e.b, e.loc, integers,
                                          e.address(pointer, e.constant(x * kernel.lanes() * 4), 1), 4));
  for (int64_t i = 0; i < elements; ++i)
    for (int64_t x = 0; x < vectors; ++x) {
      Value weights = withoutZero(block, x, packed[x], i);
      values =
          body(x, i, e.add(e.add(block.first, e.mul(index, layout.group())), i), weights, std::move(values));
    }
  return values;
}

Accumulators NarrowPanels::forEachWeight(const Block &block, ValueRange init, StepBody body) const {
  const int64_t whole = block.depth / layout.group(), rest = block.depth % layout.group();
  Accumulators values(init);
  if (whole <= straightSteps)
    for (int64_t i = 0; i < whole; ++i)
      values = step(block, e.constant(i), layout.group(), values, body);
  else
    values = e.loop(e.constant(0), e.constant(whole), 1, values, [&](Value index, ValueRange carried) {
      return step(block, index, layout.group(), carried, body);
    });
  return rest ? step(block, e.constant(whole), rest, values, body) : values;
}

void NarrowPanels::unpack(Value panel, Value firstBlock, int64_t chunkDepth, Value pointer) const {
  const int64_t rowBytes = layout.columns * kernel.accumulatorBytes(), bytes = kernel.accumulatorBytes();
  Value start = firstOf(firstBlock);
  forEachBlock(panel, firstBlock, chunkDepth, {}, [&](const Block &block, ValueRange) {
    return forEachWeight(block, {}, [&](int64_t x, int64_t, Value k, Value weights, Accumulators) {
      Value scaled = arith::MulFOp::create(e.b, e.loc, weights, block.scales[x]);
      Value row = e.address(pointer, e.sub(k, start), rowBytes);
      LLVM::StoreOp::create(e.b, e.loc, scaled, e.address(row, e.constant(x * kernel.lanes() * bytes), 1),
                            bytes);
      return Accumulators();
    });
  });
}

Accumulators NarrowPanels::multiply(MicroKernel::Tile tile, const MicroKernel::Run &run, Value panel) const {
  const int64_t perSet = tile.rows * tile.vectors, sets = perSet < 8 ? 2 : 1;
  return forEachBlock(
      panel, e.constant(0), depth, kernel.zero(tile), [&](const Block &block, ValueRange sums) {
        Accumulators own;
        for (int64_t set = 0; set < sets; ++set)
          llvm::append_range(own, kernel.zero(tile));
        own = forEachWeight(block, own, [&](int64_t x, int64_t i, Value k, Value weights, Accumulators now) {
          for (int64_t row = 0; row < tile.rows; ++row) {
            Value from = e.address(run.left, e.add(e.mul(run.rowStride, row), e.mul(k, run.depthStride)), 1);
            Value scalar = LLVM::LoadOp::create(e.b, e.loc, kernel.vectorType().getElementType(), from,
                                                kernel.leftBytes());
            Value spread = vector::BroadcastOp::create(e.b, e.loc, kernel.vectorType(), scalar);
            Value &sum = now[(i % sets) * perSet + row * tile.vectors + x];
            sum = kernel.multiplyAdd(spread, weights, sum);
          }
          return now;
        });
        Accumulators all = own;
        if (sets == 2)
          all = kernel.plus(llvm::ArrayRef(own).take_front(perSet), llvm::ArrayRef(own).drop_front(perSet));
        for (auto [i, sum] : llvm::enumerate(all))
          sum = kernel.multiplyAdd(sum, block.scales[i % tile.vectors], sums[i]);
        return all;
      });
}

} // namespace tilewright::codegen
