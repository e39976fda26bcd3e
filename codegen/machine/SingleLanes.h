//===- SingleLanes.h - around a fault of LLVM's instruction selection -------===//
//
// Purpose: a masked store of one lane that is known becomes a plain store of that element.
// Why: LLVM 22 narrows such a store itself, but where the stored vector is a truncation to 8 or 16 bits, it
//   writes the element before truncation: 32 bits, over its neighbours and over the end of a buffer.
// Requires: the middle end has run, so that every mask that can be known is a constant.
// Limits: masks of two lanes and more, and those known only at run time, are selected correctly.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_MACHINE_SINGLELANES_H
#define TILEWRIGHT_CODEGEN_MACHINE_SINGLELANES_H

namespace llvm {
class Module;
}

namespace tilewright::codegen {

void storeSingleLanesPlainly(llvm::Module &module);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_MACHINE_SINGLELANES_H
