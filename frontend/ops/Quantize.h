/// Quantize.h - the arithmetic of quantised tensors, shared by ONNX's operators and the fused ones.
///
/// Everything is plain graph ops. Integer products keep their narrow operands (contract or conv of u8/s8 into
/// s32); zero points are taken out afterwards by row and column sums, which fold where an operand is
/// constant. Constant u8 weights are moved to s8.
#pragma once
#include "frontend/ops/Spatial.h"

namespace tilewright::frontend {

/// The smallest and largest value of an integer type.
std::pair<double, double> integerRange(mlir::Type elementType);
/// A scale or zero point as ONNX gives it (scalar, one entry along `axis`, or one a block of `blockSize`
/// along it), shaped to broadcast with x. Null, with a diagnostic, when it does not fit.
mlir::Value quantizationParameter(NodeImporter &n, mlir::Value parameter, mlir::Value x, int64_t axis,
                                  int64_t blockSize, llvm::StringRef what);
/// A vector of `size` entries, or, as may only turn out at run time, of one for all, shaped to broadcast with
/// tensors of that rank along `axis`. The program checks which.
mlir::Value onePerEntry(GraphBuilder &g, mlir::Value vector, mlir::AffineExpr size, int64_t axis,
                        int64_t rank);
/// clamp(round(x / scale) + zeroPoint) as `target`; integers or small floats. scale and zeroPoint (may be
/// null) broadcast with x.
mlir::Value quantize(NodeImporter &n, mlir::Value x, mlir::Value scale, mlir::Value zeroPoint,
                     mlir::Type target, bool saturate = true);
/// clamp(round(x) + zeroPoint) as `target`, x being a multiple of the output's scale already.
mlir::Value roundTo(NodeImporter &n, mlir::Value x, mlir::Value zeroPoint, mlir::Type target,
                    bool saturate = true);
/// (x - zeroPoint) * scale in f32, as `target`.
mlir::Value dequantize(NodeImporter &n, mlir::Value x, mlir::Value scale, mlir::Value zeroPoint,
                       mlir::Type target);

/// An integer operand of a product with its zero point (null: 0).
struct QuantizedOperand {
  mlir::Value value, zeroPoint;
};
/// sum over k of (a - a.zeroPoint) * (b - b.zeroPoint), NumPy's matmul, s32. Zero points: scalar, [M] of a,
/// [N] of b, or shaped to broadcast with the matrices.
mlir::Value integerMatmul(NodeImporter &n, QuantizedOperand a, QuantizedOperand b);
/// The same for a convolution; x's zero point is a scalar and is what lies outside x; w's may have one entry
/// an output channel.
mlir::Value integerConvolution(NodeImporter &n, QuantizedOperand x, QuantizedOperand w);

/// A scale as f32: rank 0, or a vector along `axis` (0: rows, 1: columns) of a matrix, or shaped as it is.
mlir::Value matrixScale(GraphBuilder &g, mlir::Value scale, int64_t axis);
/// The scale of a product of matrices: of a's rows times of b's columns. Null, with a diagnostic, when they
/// do not fit.
mlir::Value productScale(NodeImporter &n, mlir::Value a, mlir::Value b);

struct DynamicallyQuantized {
  mlir::Value value, scale, zeroPoint; ///< u8, f32 and u8, the latter two of rank 0
};
/// DynamicQuantizeLinear.
DynamicallyQuantized quantizeDynamically(NodeImporter &n, mlir::Value x);

} // namespace tilewright::frontend
