/// Roots.h - the root loops of CPUs, by what a schedule names. Each sets the extent. A root loop asks nothing
/// but the kernel, its schedule and what instructions the target has.
#pragma once
#include "codegen/emit/Emitter.h"

namespace tilewright::codegen {

using RootEmitter = llvm::LogicalResult (*)(ValueEmitter &, mlir::Operation *root, EmittedKernel &);

/// Null where no CPU has such an algorithm.
RootEmitter rootEmitterOf(kernel::ScheduleAttr schedule);

llvm::LogicalResult emitContract(ValueEmitter &e, mlir::Operation *root, EmittedKernel &result);
llvm::LogicalResult emitConv(ValueEmitter &e, mlir::Operation *root, EmittedKernel &result);
llvm::LogicalResult emitConvLanes(ValueEmitter &e, mlir::Operation *root, EmittedKernel &result);
llvm::LogicalResult emitSerial(ValueEmitter &e, mlir::Operation *root, EmittedKernel &result);
llvm::LogicalResult emitLoops(ValueEmitter &e, mlir::Operation *root, EmittedKernel &result);
llvm::LogicalResult emitTransposed(ValueEmitter &e, mlir::Operation *root, EmittedKernel &result);

} // namespace tilewright::codegen
