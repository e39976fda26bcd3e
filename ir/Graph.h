/// Graph.h - the graph and kernel dialects. The op set, its numbered constraints and semantics: GraphOps.td,
/// KernelOps.td.
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "ir/GraphDialect.h.inc"
#include "ir/GraphEnums.h.inc"
#include "ir/KernelDialect.h.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/GraphAttrs.h.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/KernelAttrs.h.inc"
#define GET_OP_CLASSES
#include "ir/GraphOps.h.inc"
#define GET_OP_CLASSES
#include "ir/KernelOps.h.inc"

namespace tilewright::graph {

/// unary, binary, compare, select, cast or bitcast: one value in, one value out at the same index.
bool isElementwise(mlir::Operation *op);
/// constant, weight, or a pure op all of whose operands are constants (memo-free: walks up; fine for shallow
/// recipes).
bool isConstantExpression(mlir::Value value);
/// Bytes of one element as stored in buffers (bool and sub-byte types: 1).
unsigned byteWidth(mlir::Type elementType);

} // namespace tilewright::graph
