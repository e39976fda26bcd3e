// Registration of the graph and kernel dialects, and small queries on their ops.
#include "ir/Graph.h"
#include "ir/WeightFiles.h"
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
  addInterfaces<WeightFiles>();
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

bool isElementwise(Operation *op) {
  return isa<UnaryOp, BinaryOp, CompareOp, SelectOp, CastOp, BitcastOp>(op);
}

/// Each value once: recipes may share operands.
static bool isConstantExpression(Value value, llvm::DenseMap<Value, bool> &memo) {
  auto [it, fresh] = memo.try_emplace(value, false);
  if (!fresh)
    return it->second;
  Operation *op = value.getDefiningOp();
  auto isStatic = [](Type type) { return llvm::cast<RankedTensorType>(type).hasStaticShape(); };
  bool result = op && isa_and_present<GraphDialect>(op->getDialect()) && isPure(op) &&
                op->getNumRegions() == 0 && llvm::all_of(op->getResultTypes(), isStatic);
  if (result && !isa<ConstantOp, WeightOp, IotaOp>(op)) {
    result = op->getNumOperands() > 0;
    for (Value operand : op->getOperands())
      result = result && isConstantExpression(operand, memo);
  }
  return memo[value] = result;
}

bool isConstantExpression(Value value) {
  llvm::DenseMap<Value, bool> memo;
  return isConstantExpression(value, memo);
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
