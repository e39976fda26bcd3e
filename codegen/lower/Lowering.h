//===- Lowering.h - loop IR to the llvm dialect ------------------*- C++ -*-===//
//
// Loop IR is a module of func.func with
//   scf         for, if, while, yield, condition, index_switch
//   arith, ub   on scalars and 1-D vectors; i64 arithmetic throughout, `index` where convenient (it is 64
//   bits wide) vector      broadcast, fma, reduction, shuffle, bitcast, extract, insert, from_elements, step,
//   ... on 1-D vectors math        fma, sqrt, floor, ceil, roundeven, trunc, absf, absi, copysign, ctpop,
//   ctlz, cttz: what the CPU has as instructions func        call (also of functions declared here and
//   defined in another module), return, constant llvm        memory: getelementptr, load, store,
//   intr.masked.load/store, intr.masked.gather/scatter, intr.prefetch,
//               alloca, call_intrinsic, mlir.global, mlir.addressof, call through a pointer; atomics
// Loop-carried vectors should have the native width (TargetInfo::vectorBits): LLVM scalarises odd ones across
// blocks.
//
// What comes out:
//   - a function with a body is external and hidden; `private` ones are internal to their object. Names are
//   kept: they
//     must be unique in an artifact. Declarations are hidden too: objects call each other without a table.
//   - floating point is as written: multiply and add fuse only through `math.fma`/`vector.fma`, or where both
//   carry
//     `fastmath<contract>`. No other fast-math flag is added.
//   - an argument with {llvm.noalias} keeps it; {llvm.align = 64 : i64} and the like are kept too.
//     A float vector.reduction <add> is a chain of scalar additions unless it carries `fastmath<reassoc>`.
//   - loops are neither vectorised nor unrolled by LLVM; library calls are never invented. What the back end
//   cannot do
//     inline (memcpy, f64 to f16, 128-bit division) is called in artifact/builtins.c, which artifact/Link.h
//     links in.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_LOWER_LOWERING_H
#define TILEWRIGHT_CODEGEN_LOWER_LOWERING_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Dialect.h"
#include "mlir/Support/LLVM.h"

namespace tilewright::codegen {

/// Registers the dialects of loop IR and their translations to LLVM IR. Call once, before the context is
/// shared.
void registerCodegenDialects(mlir::DialectRegistry &registry);

/// Loads what registerCodegenDialects() registered. Loading is not thread-safe: call it before threads share
/// the context.
void loadCodegenDialects(mlir::MLIRContext &context);

/// Lowers loop IR to the llvm dialect, in place. On failure the module is broken and diagnostics were
/// emitted.
mlir::LogicalResult lowerToLLVM(mlir::ModuleOp module);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_LOWER_LOWERING_H
