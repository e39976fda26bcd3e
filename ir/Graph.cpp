// Registration of the graph dialect, and small queries on its ops.
#include "ir/Graph.h"
#include "ir/WeightFiles.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "ir/GraphDialect.cpp.inc"
#include "ir/GraphEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/GraphAttrs.cpp.inc"

/// A map behind an operand is written out: `%0 #map` would be read as a result's number.
static mlir::ParseResult parseInlineMap(mlir::OpAsmParser &parser, mlir::AffineMapAttr &map) {
  return parser.parseAttribute(map);
}
static void printInlineMap(mlir::OpAsmPrinter &printer, mlir::Operation *, mlir::AffineMapAttr map) {
  map.print(printer.getStream());
}

#define GET_OP_CLASSES
#include "ir/GraphOps.cpp.inc"

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

bool isConstantExpression(Value value) {
  auto isStatic = [](Type type) { return llvm::cast<RankedTensorType>(type).hasStaticShape(); };
  // Each value once: recipes may share operands. The first that is none decides.
  llvm::SmallDenseSet<Value> seen{value};
  llvm::SmallVector<Value> pending{value};
  while (!pending.empty()) {
    Operation *op = pending.pop_back_val().getDefiningOp();
    if (!op || !isa_and_present<GraphDialect>(op->getDialect()) || !isPure(op) || op->getNumRegions() ||
        !llvm::all_of(op->getResultTypes(), isStatic))
      return false;
    if (isa<ConstantOp, WeightOp, IotaOp>(op))
      continue;
    if (op->getNumOperands() == 0)
      return false;
    for (Value operand : op->getOperands())
      if (seen.insert(operand).second)
        pending.push_back(operand);
  }
  return true;
}

unsigned byteWidth(Type elementType) { return llvm::divideCeil(elementType.getIntOrFloatBitWidth(), 8); }

} // namespace tilewright::graph
