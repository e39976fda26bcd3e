//===- NarrowPanels.h - weights of 2, 4 or 8 bits in a product --*- C++ -*-===//
//
// Few rows read a weight once: what it takes is how many bytes it has. Panels hold integers u without sign,
// group() of one column in 32 bits, from the lowest bit on: [panel][block][step][column], each block of the
// summed index padded to whole steps. A weight is (u - zero) * scale, with a scale and zero point for each
// column of a block.
//
// 2^23 + u is u in the low bits of a float: a shift, a mask and one subtraction (of 2^23 + zero, exact) make
// 16 weights of 16 integers; where they have four bits and one zero point, a table of 16 floats is looked up
// in instead, if the target can. For few rows, sums of a block are scaled; for more, panels are unpacked to
// scratch first and multiplied as floats.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_NARROWPANELS_H
#define TILEWRIGHT_CODEGEN_EMIT_NARROWPANELS_H

#include "codegen/emit/MicroKernel.h"
#include "codegen/schedule/NarrowLayout.h"

namespace tilewright::codegen {

class NarrowPanels {
public:
  /// For sums over `depth` elements.
  NarrowPanels(ValueEmitter &e, const MicroKernel &kernel, const NarrowLayout &layout, int64_t depth,
               const ProductSchedule &schedule);

  /// Rows up to which sums are taken from the integers, as scheduled; 0 where precision is strict, as scaling
  /// sums rounds differently.
  int64_t mostRows() const;

  /// The summed index in chunks of whole blocks, whose weights as floats stay in the first-level cache:
  /// `body` gets the first block and how many elements there are.
  void forEachChunk(llvm::function_ref<void(mlir::Value firstBlock, int64_t depth)> body) const;
  int64_t mostChunk() const; ///< elements of a chunk
  /// Writes the weights of a chunk of a panel to `pointer` as floats [depth][column].
  void unpack(mlir::Value panel, mlir::Value firstBlock, int64_t chunkDepth, mlir::Value pointer) const;
  /// The element at which a block starts.
  mlir::Value firstOf(mlir::Value block) const { return e.mul(block, layout.block); }

  /// Rows of the left operand times a panel. `run` says where the rows are.
  Accumulators multiply(MicroKernel::Tile tile, const MicroKernel::Run &run, mlir::Value panel) const;

private:
  struct Block; ///< what one block of a panel is read with
  using BlockBody = llvm::function_ref<Accumulators(const Block &, mlir::ValueRange carried)>;
  Accumulators forEachBlock(mlir::Value panel, mlir::Value first, int64_t elements, mlir::ValueRange init,
                            BlockBody body) const;
  Block blockAt(mlir::Value panel, mlir::Value index, int64_t depth) const;
  using StepBody = llvm::function_ref<Accumulators(int64_t vector, int64_t element, mlir::Value depth,
                                                   mlir::Value weights, Accumulators carried)>;
  Accumulators forEachWeight(const Block &block, mlir::ValueRange init, StepBody body) const;
  Accumulators step(const Block &block, mlir::Value index, int64_t elements, mlir::ValueRange carried,
                    StepBody body) const;
  mlir::Value integersAsFloats(mlir::Value packed, int64_t element) const;
  mlir::Value shifted(mlir::Value packed, int64_t element) const;
  mlir::Value withoutZero(const Block &block, int64_t vector, mlir::Value packed, int64_t element) const;
  Accumulators loadParameters(int64_t argument, mlir::Value row) const;

  ValueEmitter &e;
  const MicroKernel &kernel;
  NarrowLayout layout;
  int64_t depth, rowsAsStored, wantedChunk, vectors;
};

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_NARROWPANELS_H
