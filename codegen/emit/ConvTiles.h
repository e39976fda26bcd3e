//===- ConvTiles.h - the rows of a convolution's result in tiles along x ----*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_CONVTILES_H
#define TILEWRIGHT_CODEGEN_EMIT_CONVTILES_H

#include "codegen/emit/RowTiles.h"
#include "codegen/schedule/Products.h"

namespace tilewright::codegen {

/// Taps [firstTap, endTap) along x multiply rows [firstRow, endRow) of a tile.
struct TapInterval {
  int64_t firstTap, endTap, firstRow, endRow;
  bool operator==(const TapInterval &) const = default;
};

/// Tiles [first, end) of a row, all of `rows` pixels and with the same taps.
struct TileClass {
  int64_t first, end, rows;
  llvm::SmallVector<TapInterval> taps;
  /// Instead of `taps`: the bounds of those of one pixel at a border that is known at run time only.
  std::optional<std::pair<mlir::Value, mlir::Value>> border = {};
};

/// The tiles of a row of the result, by what their taps along x meet. With a border of zeros (`bordered`) all
/// taps meet something. Without one, and where sizes are known at run time only, pixels near the ends of a
/// row are tiles of their own.
class ConvTiles {
public:
  ConvTiles(ValueEmitter &e, const ConvGeometry &geometry, int64_t pixels, bool bordered);

  /// body(class, first pixel) for each tile of a row, in loops.
  void forEach(llvm::function_ref<void(const TileClass &, mlir::Value)> body);
  bool isFixed() const { return tiles.isFixed(); }

private:
  void forEachAtRunTime(llvm::function_ref<void(const TileClass &, mlir::Value)> body);
  llvm::SmallVector<TapInterval> tapsOf(int64_t firstPixel, int64_t rows) const;

  ValueEmitter &e;
  const ConvGeometry &g;
  RowTiles tiles;
  int64_t pixels;
  bool bordered;
  llvm::SmallVector<TileClass> classes; ///< empty where sizes are known at run time only
};

/// A block of rows of the result: `image`, the indices of all row dimensions but the last, and a range of
/// that one.
struct RowBlock {
  mlir::Value image;
  llvm::SmallVector<mlir::Value> outer;
  mlir::Value first, end;

  /// Blocks of `rows` rows of a result of these sizes.
  static mlir::AffineExpr count(const ConvGeometry &geometry, int64_t rows);
  static RowBlock decode(ValueEmitter &e, const ConvGeometry &geometry, int64_t rows, mlir::Value index);
  /// The index along row dimension d, `y` being that along the last.
  mlir::Value index(const ConvGeometry &geometry, int64_t d, mlir::Value y) const {
    return d == geometry.rank - 2 ? y : outer[d];
  }
};

/// The taps [lo, hi) along dimension d that lie inside the operand for output index `index`.
std::pair<mlir::Value, mlir::Value> tapBounds(ValueEmitter &e, const ConvGeometry &geometry, int64_t d,
                                              mlir::Value index);

/// The result's indices at a pixel of a row.
Indices resultIndices(ValueEmitter &e, const ConvGeometry &geometry, const RowBlock &block, mlir::Value y,
                      mlir::Value pixel, const Index &channel);

/// The operand's pixels in memory.
struct PixelMemory {
  mlir::Value base;                       ///< where padded index 0 of every spatial dimension would be
  llvm::SmallVector<mlir::Value> pitches; ///< bytes between neighbours along each
};
/// Of an operand that is read where it lies: the pixels of an image.
PixelMemory pixelsOf(ValueEmitter &e, const ConvGeometry &geometry, const StridedView &view,
                     mlir::Value image, int64_t bytes);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_CONVTILES_H
