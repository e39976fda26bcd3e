//===- PackBits.h - constants below a byte, packed --------------*- C++ -*-===//
//
// Purpose: constants of 2 and 4 bits take 2 and 4 bits in the artifact. Values that a run computes have a
// byte
//   each, so that threads write them independently.
// Requires: packConstants; every kernel has one launch.
// Ensures: no launch of a kernel without a product, convolution or serial root has a constant operand of more
//   than a few integers below a byte; it has bytes, and the kernel's body takes them apart.
// Example: launch @k(%i, %t) with %t: tensor<1000x32xsi4> becomes launch @k(%i, %b) with %b:
//   tensor<16000xui8>.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_PASSES_PACKBITS_H
#define TILEWRIGHT_PASSES_PACKBITS_H

#include "ir/Graph.h"
#include "mlir/IR/BuiltinOps.h"

namespace tilewright::passes {

void packBits(mlir::ModuleOp module);

} // namespace tilewright::passes

#endif // TILEWRIGHT_PASSES_PACKBITS_H
