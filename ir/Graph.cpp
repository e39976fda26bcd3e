// Registration of the graph and kernel dialects, and small queries on their ops.
#include "ir/Graph.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "ir/GraphDialect.cpp.inc"
#include "ir/GraphEnums.cpp.inc"
#include "ir/KernelDialect.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/GraphAttrs.cpp.inc"
#define GET_OP_CLASSES
#include "ir/GraphOps.cpp.inc"
#define GET_OP_CLASSES
#include "ir/KernelOps.cpp.inc"

using namespace mlir;

namespace tilewright::graph {

void GraphDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/GraphAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ir/GraphOps.cpp.inc"
      >();
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

bool isElementwise(Operation *op) { return isa<UnaryOp, BinaryOp, CompareOp, SelectOp, CastOp, BitcastOp>(op); }

bool isConstantExpression(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return false;
  if (isa<ConstantOp, WeightOp>(op))
    return true;
  if (isa<DimsOp, IotaOp>(op))
    return llvm::cast<RankedTensorType>(value.getType()).hasStaticShape() && isa<IotaOp>(op);
  return isPure(op) && op->getNumOperands() > 0 && op->getNumRegions() == 0 && isa_and_present<GraphDialect>(op->getDialect()) &&
         llvm::all_of(op->getResultTypes(), [](Type type) { return llvm::cast<RankedTensorType>(type).hasStaticShape(); }) &&
         llvm::all_of(op->getOperands(), isConstantExpression);
}

unsigned byteWidth(Type elementType) { return llvm::divideCeil(elementType.getIntOrFloatBitWidth(), 8); }

} // namespace tilewright::graph

namespace tilewright::kernel {

void KernelDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "ir/KernelOps.cpp.inc"
      >();
}

} // namespace tilewright::kernel
