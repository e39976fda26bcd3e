//===- ConvStage.h - rows of a convolution's operand in scratch -*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_CONVSTAGE_H
#define TILEWRIGHT_CODEGEN_EMIT_CONVSTAGE_H

#include "codegen/emit/ConvTiles.h"
#include "codegen/emit/Packing.h"

namespace tilewright::codegen {

/// The part of the operand that a block of output rows reads, copied to scratch as [rows..., x, channel] with
/// its border as zeros (or what MicroKernel::toLeft() makes of them), spread by lhsDilation.
class ConvStage {
public:
  /// For blocks of up to `rows` output rows (along the last dimension but x).
  ConvStage(ValueEmitter &e, const MicroKernel &kernel, const ConvGeometry &geometry, int64_t rows);

  /// Copies what a block of rows reads.
  void fill(const RowBlock &block);
  /// The copy; its first row is what tap 0 of the block's first row reads.
  PixelMemory pixels() const { return {scratch, pitchValues}; }

private:
  void fillDim(int64_t d, llvm::SmallVector<mlir::Value> position, mlir::Value to);
  void fillRow(llvm::ArrayRef<mlir::Value> position, mlir::Value to);
  void copyPixels(llvm::ArrayRef<mlir::Value> position, mlir::Value first, mlir::Value end, mlir::Value to);
  void copyAlongPixels(llvm::ArrayRef<mlir::Value> position, mlir::Value first, mlir::Value end,
                       mlir::Value to);
  bool copyContiguous(llvm::ArrayRef<mlir::Value> position, mlir::Value first, mlir::Value end,
                      mlir::Value to);
  Indices indices(llvm::ArrayRef<mlir::Value> position, const Index &x, const Index &channel);
  void clear(int64_t d, mlir::Value to);
  mlir::Value toLeft(mlir::Value lanes);
  int64_t vectorBytes() const;

  ValueEmitter &e;
  const MicroKernel &kernel;
  const ConvGeometry &g;
  int64_t channels, bytes, pixelBytes;
  mlir::Value width; ///< columns of a staged row
  llvm::SmallVector<mlir::Value> pitchValues, extents;
  mlir::Value scratch;
  mlir::Value image;
  llvm::SmallVector<mlir::Value> origin; ///< padded index of the first staged row of each dimension
};

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_CONVSTAGE_H
