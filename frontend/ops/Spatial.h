/// Spatial.h - kernels, strides, dilations and pads of convolutions and pooling, as ONNX spells them.
#pragma once
#include "frontend/ops/Composites.h"

namespace tilewright::frontend {

/// One entry for each spatial dimension. `low` and `high` are what auto_pad or pads come to, so far as they
/// apply.
struct Spatial {
  Dims input, kernel;
  llvm::SmallVector<int64_t> strides, dilations;
  Dims low, high;
  bool padded() const; ///< some pad is not provably 0
};

/// The attributes kernel_shape, strides, dilations, pads and auto_pad for operands of these spatial sizes.
/// `kernel`: the sizes that weights give, or empty when only kernel_shape does. Reports what does not fit
/// (TW1205) and gives nothing.
std::optional<Spatial> spatialAttributes(NodeImporter &n, llvm::ArrayRef<mlir::AffineExpr> input,
                                         llvm::ArrayRef<mlir::AffineExpr> kernel = {});
/// (kernel - 1) * dilation + 1
mlir::AffineExpr windowExtent(const Spatial &s, size_t dim);
/// The output sizes. With `ceil` the last window may hang over the end, but must begin before it. Reports
/// sizes that are known to be negative (TW2005) and gives nothing.
std::optional<Dims> outputSizes(NodeImporter &n, const Spatial &s, bool ceil = false);
/// The spatial dimensions of a channels-first tensor.
Dims spatialDims(mlir::Value x);
/// Kernel sizes as integers, where they are constants (TW2006 otherwise).
std::optional<llvm::SmallVector<int64_t>> constantKernel(NodeImporter &n, const Spatial &s);
/// An attribute with one entry for each of `count` dimensions, `fallback` where it is absent.
std::optional<llvm::SmallVector<int64_t>> spatialInts(NodeImporter &n, llvm::StringRef name, size_t count,
                                                      int64_t fallback);

/// AveragePool of `x`, which has the shape of the node's first operand. Null when the attributes do not fit.
/// (Pooling.cpp)
mlir::Value averagePool(NodeImporter &n, mlir::Value x);

/// Checks x, w, groups and ranks of a convolution whose weights are [O, C/groups, kernel...]; x's channels
/// come back as C.
bool requireConvolution(NodeImporter &n, mlir::Value &x, mlir::Value w, int64_t groups);

} // namespace tilewright::frontend
