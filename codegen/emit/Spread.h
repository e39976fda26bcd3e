//===- Spread.h - linear indices over groups of dimensions ------*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_SPREAD_H
#define TILEWRIGHT_CODEGEN_EMIT_SPREAD_H

#include "codegen/emit/Emitter.h"
#include "codegen/schedule/Views.h"

namespace tilewright::codegen {

/// Sets `indices[d]` for each dimension d of the group to what the linear index `linear` means there. Lanes
/// stay regular where the fastest dimension and `linear.base` are provably multiples of the lane count.
void spreadOver(ValueEmitter &e, const DimGroup &group, const Index &linear, Indices &indices);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_SPREAD_H
