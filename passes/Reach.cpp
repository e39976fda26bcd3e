// Which values reach which ops (Reach.h), and the one thing that divisions take from it.
#include "passes/Reach.h"
#include "codegen/schedule/Marks.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::SmallVector;

namespace tilewright::passes {
namespace {

Type elementOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()).getElementType(); }
bool isFloat(Value v) {
  auto type = llvm::dyn_cast<RankedTensorType>(v.getType());
  return type && llvm::isa<FloatType>(type.getElementType());
}

bool isZero(Value v) {
  while (isa_and_present<BroadcastOp, ReshapeOp>(v.getDefiningOp()))
    v = v.getDefiningOp()->getOperand(0);
  auto constant = v.getDefiningOp<ConstantOp>();
  auto elements = constant ? llvm::dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
  return elements && elements.isSplat() && llvm::isa<FloatType>(elements.getElementType()) &&
         elements.getSplatValue<llvm::APFloat>().isZero();
}

} // namespace

bool isStep(Operation *op, bool strictly) {
  if (auto unary = dyn_cast<UnaryOp>(op))
    return llvm::is_contained(
        {UnaryKind::floor, UnaryKind::ceil, UnaryKind::round, UnaryKind::trunc, UnaryKind::sign},
        unary.getKind());
  if (auto cast = dyn_cast<CastOp>(op)) {
    Type to = elementOf(cast.getResult());
    return llvm::isa<IntegerType>(to) && (strictly || !to.isInteger(1));
  }
  if (auto binary = dyn_cast<BinaryOp>(op))
    return binary.getKind() == BinaryKind::rem || binary.getKind() == BinaryKind::mod;
  auto compare = dyn_cast<CompareOp>(op);
  return compare && (strictly || (!isZero(compare.getLhs()) && !isZero(compare.getRhs())));
}

bool isSum(Operation *op) {
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return reduce.getKind() == ReduceKind::sum;
  if (auto window = dyn_cast<WindowOp>(op))
    return window.getKind() == WindowKind::wsum;
  return isa<ContractOp, ConvOp>(op);
}

bool isElementwiseOrMovement(Operation *op) {
  return isa<UnaryOp, BinaryOp, CompareOp, SelectOp, CastOp, BroadcastOp, ReshapeOp, TransposeOp, SliceOp,
             ConcatOp, PadOp, GatherOp>(op);
}

ValueSet valuesReaching(ModuleOp module, llvm::function_ref<bool(Operation *)> ends) {
  ValueSet found;
  SmallVector<Value> open;
  auto visit = [&](Operation *op) {
    for (Value operand : op->getOperands())
      if ((isFloat(operand) || isElementwiseOrMovement(op)) && found.insert(operand).second)
        open.push_back(operand);
  };
  module.walk([&](Operation *op) {
    if (ends(op))
      visit(op);
  });
  while (!open.empty())
    if (Operation *op = open.pop_back_val().getDefiningOp(); op && isElementwiseOrMovement(op))
      visit(op);
  return found;
}

void markHiddenQuotients(ModuleOp module) {
  auto tells = [](Operation *op) {
    return isStep(op, /*strictly=*/true) || !(isElementwiseOrMovement(op) || isSum(op));
  };
  const ValueSet told = valuesReaching(module, tells);
  module.walk([&](BinaryOp op) {
    if (op.getKind() == BinaryKind::div && isFloat(op.getResult()) && !told.contains(op.getResult()))
      op->setAttr(codegen::hiddenQuotient, UnitAttr::get(op.getContext()));
  });
}

} // namespace tilewright::passes
