/// Subnormals.h - where subnormal numbers count as zero: in products, which they make several hundred times
/// slower on processors that trap to microcode for them.
#pragma once
#include "codegen/emit/Emitter.h"

namespace tilewright::codegen {

/// Whether the target has such a mode, and a kernel's root multiplies floats, and whatever it computes
/// besides cannot tell a subnormal number from zero but by as little as the number itself: no sign,
/// logarithm, quotient, step.
bool flushesSubnormals(kernel::FuncOp kernel, const TargetInfo &target);

/// From here on this thread flushes subnormal numbers, or keeps them. Processor state: whoever sets it sets
/// it back.
void emitFlushMode(ValueEmitter &e, bool flush);

} // namespace tilewright::codegen
