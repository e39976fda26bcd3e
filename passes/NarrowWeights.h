//===- NarrowWeights.h - weights of few bits stay so ------------*- C++ -*-===//
//
// Purpose: a constant right operand (q - zero) * scale of integers of 2, 4 or 8 bits, with scales and zero
//   points for blocks of the summed dimensions, for columns or for all, stays as narrow as it is: in the
//   artifact, in memory, and until it is multiplied.
// markNarrowWeights, before fuse: what such a weight is computed by carries codegen::narrowWeight, and fusion
//   computes it in the kernel that multiplies it. So does a table of such values that is looked up in, or
//   read by element-wise ops.
// packNarrowWeights, after fuse, while every kernel has one launch: the kernel gets panels of bytes, scales
//   and zero points as codegen/schedule/NarrowLayout.h says them, and its body undoes this with graph ops.
// Example: launch @k(%x, %q, %s) with %q: tensor<4096x4096xui4> becomes launch @k(%x, %p, %t) with
//   %p: tensor<128x512x128xui8>, %t: tensor<128x128x32xf32>.
// Limits: f32 and half-precision products without batch dimensions; whole zero points; blocks that are no
// multiple of what 32
//   bits hold are padded, and left alone where that costs more than an eighth.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_PASSES_NARROWWEIGHTS_H
#define TILEWRIGHT_PASSES_NARROWWEIGHTS_H

#include "codegen/target/Target.h"
#include "ir/Graph.h"

namespace tilewright::passes {

/// `strict`: no rounding of the model may be left out, as that of weights in half precision is.
void markNarrowWeights(mlir::ModuleOp module, const codegen::TargetInfo &target, bool strict = false);
void packNarrowWeights(mlir::ModuleOp module, const codegen::TargetInfo &target);

} // namespace tilewright::passes

#endif // TILEWRIGHT_PASSES_NARROWWEIGHTS_H
