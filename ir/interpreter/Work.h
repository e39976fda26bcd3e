/// Work.h - what it takes to evaluate an op, before anybody does.
#pragma once
#include "mlir/IR/Operation.h"

namespace tilewright::interpreter {

/// Elements that evaluating a pure graph op of static shapes reads, multiplies or writes, roughly; infinite
/// where a shape is not static. In double: no overflow.
double workOf(mlir::Operation *op);

} // namespace tilewright::interpreter
