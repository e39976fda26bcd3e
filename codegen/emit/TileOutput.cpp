//===- TileOutput.cpp - finished register tiles ---------------------------===//
#include "codegen/emit/TileOutput.h"

using namespace mlir;

namespace tilewright::codegen {

TileOutput::TileOutput(ValueEmitter &e, MicroKernel &kernel, Operation *root, const TileSchedule &schedule)
    : e(e), kernel(kernel), epilogue(e, root), columns(schedule.columns) {
  if (!schedule.epilogueInRegisters)
    scratch = e.reserveScratch(constantDim(e.b.getContext(), schedule.rows * pitch()));
}

void TileOutput::enterPanel(Value first, Value end, bool exact) {
  firstColumn = first;
  masks.assign(columns / kernel.lanes(), Value());
  if (exact)
    return;
  for (auto [x, mask] : llvm::enumerate(masks))
    mask = e.laneMask(e.add(first, x * kernel.lanes()), end, kernel.lanes());
}

void TileOutput::finish(MicroKernel::Tile tile, ValueRange sums, IndicesOf indicesOf) {
  if (scratch) {
    kernel.store(tile, scratch, pitch(), sums);
    finishFrom(scratch, tile.rows, indicesOf);
    return;
  }
  for (int64_t row = 0; row < tile.rows; ++row)
    for (int64_t x = 0; x < tile.vectors; ++x)
      finishVector(e.constant(row), x, sums[row * tile.vectors + x], indicesOf);
}

void TileOutput::finishFrom(Value pointer, int64_t rows, IndicesOf indicesOf) {
  const MicroKernel::Tile row{1, columns / kernel.lanes()};
  e.loop(e.constant(0), e.constant(rows), 1, [&](Value i) {
    const Accumulators sums = kernel.load(row, e.address(pointer, i, pitch()), pitch());
    for (int64_t x = 0; x < row.vectors; ++x)
      finishVector(i, x, sums[x], indicesOf);
  });
}

void TileOutput::finishVector(Value row, int64_t x, Value sum, IndicesOf indicesOf) {
  e.lanes = {kernel.lanes(), masks[x]};
  epilogue.emit(indicesOf(row, e.lane(e.add(firstColumn, x * kernel.lanes()))), sum);
  e.lanes.mask = {};
}

} // namespace tilewright::codegen
