//===- BoundsChecks.h - no access of generated code goes unchecked *- C++ -*-===//
//
// For targets whose checksBounds is set. Each pointer of a function is accompanied by the region that it may
// reach: where that begins, and its bytes. Regions come from calls of `boundedFunction` (see Scalars.h and
// ValueEmitter::bounded), from globals and from allocas; they follow a pointer through address arithmetic,
// phis, selects and calls, for which functions get two parameters more per pointer. Each load, store, masked
// access (its active lanes only) and copy is compared with its pointer's region: one that would leave it
// does not happen, a load gives zeros, and the run fails with TW_FAIL_READ or TW_FAIL_WRITE.
//
// What the runtime lends (the frame and what is loaded from it: the parameters of the entry points, and
// pointers in memory) is followed at constant offsets only. Any other pointer whose region is not known, and
// any instruction that touches memory in a way not known here, is an error: nothing is left out silently.
//
// Runs before LLVM optimises: what is checked is what was emitted, and LLVM adds no access of its own.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_MACHINE_BOUNDSCHECKS_H
#define TILEWRIGHT_CODEGEN_MACHINE_BOUNDSCHECKS_H

#include "llvm/Support/Error.h"

namespace llvm {
class Module;
}

namespace tilewright::codegen {

/// Checks every access of the module's functions. Kernels are the functions named "kernel_...": their last
/// two parameters are the frame and their launch's first failure site; the site before that one stands for
/// the launch. Other functions but the entry points have the frame as their first parameter. Error TW9203: an
/// access that cannot be checked.
llvm::Error insertBoundsChecks(llvm::Module &module);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_MACHINE_BOUNDSCHECKS_H
