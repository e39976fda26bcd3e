//===- PackConstants.h - weights in the order in which kernels read them ----*- C++ -*-===//
//
// Purpose: the constant right operand of a kernel's contraction or convolution is stored as the micro-kernel
//   streams it: panels [panel][k][nr] (depthwise convolutions: [tap][channel], channels padded to the lanes).
// Requires: fusion is done; every kernel has one launch.
// Ensures: the launch's operand is a constant expression of the packed shape, the kernel's body undoes the
//   packing with graph ops (so the interpreter runs it unchanged), and the kernel's schedule says which
//   argument holds panels and how wide they are. A kernel without such an operand is left alone.
// Example: launch @k(%x, %w) with %w: tensor<768x100xf32> constant becomes launch @k(%x, %p) with
//   %p: tensor<4x768x32xf32> = transpose(reshape(pad(%w))), and schedule = {panel_argument = 1, nr = 32,
//   ...}.
//   Kernels that multiply one weight get panels of one width, so that equal packings are stored once, unless
//   the weight is small.
// Limits: static weights only; weights reached through anything but reshapes, transposes and slices stay.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_PASSES_PACKCONSTANTS_H
#define TILEWRIGHT_PASSES_PACKCONSTANTS_H

#include "codegen/target/Target.h"
#include "ir/Graph.h"

namespace tilewright::passes {

void packConstants(mlir::ModuleOp module, const codegen::TargetInfo &target);

} // namespace tilewright::passes

#endif // TILEWRIGHT_PASSES_PACKCONSTANTS_H
