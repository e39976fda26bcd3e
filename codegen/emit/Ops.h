/// Ops.h - how each graph op answers `ValueEmitter::at`: private to codegen/emit.
#pragma once
#include "codegen/emit/Emitter.h"

namespace tilewright::codegen {

// Elementwise.cpp: on scalars or vectors of compute types. `element` is the graph element type (signedness,
// width).
mlir::Value emitUnary(ValueEmitter &e, graph::UnaryKind kind, mlir::Value x, mlir::Type element);
mlir::Value emitBinary(ValueEmitter &e, graph::BinaryKind kind, mlir::Value x, mlir::Value y,
                       mlir::Type element);
mlir::Value emitCompare(ValueEmitter &e, graph::CompareKind kind, mlir::Value x, mlir::Value y,
                        mlir::Type element);
mlir::Value emitCast(ValueEmitter &e, mlir::Value x, mlir::Type from, mlir::Type to, bool saturate);
mlir::Value emitBitcast(ValueEmitter &e, mlir::Value x, mlir::Type from, mlir::Type to);
mlir::Value emitReduceStep(ValueEmitter &e, graph::ReduceKind kind, mlir::Value accumulator, mlir::Value x,
                           mlir::Type element);
/// The neutral element as a scalar of the compute type.
mlir::Value neutral(ValueEmitter &e, graph::ReduceKind kind, mlir::Type element);
/// A constant of a (scalar or vector) type.
mlir::Value splatConstant(ValueEmitter &e, mlir::Type type, double value);
mlir::Value splatInteger(ValueEmitter &e, mlir::Type type, int64_t value);

// Math.cpp: elementary functions on f32 scalars and vectors, f64 through the host table.
mlir::Value emitMath(ValueEmitter &e, graph::UnaryKind kind, mlir::Value x);
mlir::Value emitPower(ValueEmitter &e, mlir::Value x, mlir::Value y);
/// Call math1[index] or math2[index] of the host table on each lane, in f64.
mlir::Value callHostMath(ValueEmitter &e, int index, mlir::Value x, mlir::Value y = {});

// Convert.cpp: storage to compute type and back.
mlir::Value fromStorage(ValueEmitter &e, mlir::Value stored, mlir::Type element);
mlir::Value toStorage(ValueEmitter &e, mlir::Value value, mlir::Type element, bool saturate = false);
/// The value as rounded to the type, in the type to compute with; `exact`: it is one of the type's already.
mlir::Value roundTrip(ValueEmitter &e, mlir::Value value, mlir::Type element, bool exact = false);
/// What lies in memory: i8 for bool and sub-byte integers, i8 / i16 for small floats.
mlir::Type storageType(mlir::Type elementType);

// Division.cpp
/// Lanes x by a scalar y, correctly rounded; null where a division instruction is the way.
mlir::Value emitQuotient(ValueEmitter &e, graph::BinaryOp op, mlir::Value x, mlir::Value y);

// Movement.cpp
mlir::Value emitMovement(ValueEmitter &e, mlir::Operation *op, llvm::ArrayRef<Index> indices);
// Reduction.cpp
mlir::Value emitReduction(ValueEmitter &e, mlir::Operation *op, llvm::ArrayRef<Index> indices);
// Products.cpp: contract and conv as plain loops, the general variant.
mlir::Value emitProduct(ValueEmitter &e, mlir::Operation *op, llvm::ArrayRef<Index> indices);

/// A vector or scalar of i1 / i64 / ... of the same lanes as `like`.
mlir::Type withElement(mlir::Type like, mlir::Type element);
inline mlir::Type scalarType(mlir::Type type) {
  auto vector = llvm::dyn_cast<mlir::VectorType>(type);
  return vector ? vector.getElementType() : type;
}

} // namespace tilewright::codegen
