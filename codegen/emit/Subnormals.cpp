#include "codegen/emit/Subnormals.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tilewright::graph;

namespace tilewright::codegen {
namespace {

bool isFloatValue(Value v) {
  return llvm::isa<FloatType>(llvm::cast<RankedTensorType>(v.getType()).getElementType());
}

/// What a divisor is made of, when it surely is no tiny number: a constant, or softmax's sum of powers of e.
bool isFarFromZero(Value divisor) {
  while (isa_and_present<BroadcastOp, ReshapeOp, TransposeOp>(divisor.getDefiningOp()))
    divisor = divisor.getDefiningOp()->getOperand(0);
  if (divisor.getDefiningOp<ConstantOp>())
    return true;
  auto sum = divisor.getDefiningOp<ReduceOp>();
  auto power =
      sum && sum.getKind() == ReduceKind::sum ? sum.getOperand().getDefiningOp<UnaryOp>() : UnaryOp();
  return power && power.getKind() == UnaryKind::exp;
}

/// x < 0 ? f(x) : x and the like do not jump at 0.
bool onlyChoosesItsOperand(CompareOp compare) {
  return llvm::all_of(compare->getUsers(), [&](Operation *user) {
    return isa<SelectOp>(user) && llvm::is_contained(user->getOperands(), compare.getLhs());
  });
}

bool tellsFromZero(Operation *op) {
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case([](UnaryOp unary) {
        return llvm::is_contained({UnaryKind::sign, UnaryKind::log, UnaryKind::sqrt, UnaryKind::rsqrt,
                                   UnaryKind::reciprocal, UnaryKind::floor, UnaryKind::ceil,
                                   UnaryKind::lgamma},
                                  unary.getKind());
      })
      .Case([](BinaryOp binary) {
        return llvm::is_contained({BinaryKind::pow, BinaryKind::rem, BinaryKind::mod, BinaryKind::atan2},
                                  binary.getKind()) ||
               (binary.getKind() == BinaryKind::div && !isFarFromZero(binary.getRhs()));
      })
      .Case(
          [](CompareOp compare) { return isFloatValue(compare.getLhs()) && !onlyChoosesItsOperand(compare); })
      .Case([](CastOp cast) {
        return isFloatValue(cast.getOperand()) &&
               llvm::cast<RankedTensorType>(cast.getType()).getElementType().isInteger(1);
      })
      .Case([](BitcastOp) { return true; })
      .Default(false);
}

} // namespace

bool flushesSubnormals(kernel::FuncOp kernel, const TargetInfo &target) {
  if (!target.flushesSubnormals)
    return false;
  Operation *root = kernel::rootOf(kernel);
  return isa_and_present<ContractOp, ConvOp>(root) && isFloatValue(root->getResult(0)) &&
         llvm::none_of(kernel.getBody().front().without_terminator(),
                       [](Operation &op) { return tellsFromZero(&op); });
}

} // namespace tilewright::codegen
