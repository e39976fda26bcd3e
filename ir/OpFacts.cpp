// The one place for facts about ops that more than one room needs.
#include "ir/OpFacts.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tilewright::graph {

bool isMovement(Operation *op) {
  return isa<BroadcastOp, ReshapeOp, TransposeOp, SliceOp, PadOp, IotaOp, DimsOp>(op);
}
bool isGather(Operation *op) { return isa<GatherOp, GatherElementsOp, GatherNDOp>(op); }
bool isSerial(Operation *op) { return isa<ScanOp, SortOp, ScatterElementsOp, ScatterNDOp, CompactOp>(op); }
bool isProduct(Operation *op) { return isa<ContractOp, ConvOp>(op); }

namespace {

constexpr unsigned dear = 5, function = 12, power = 20, memory = 20;

unsigned instructionsOfUnary(UnaryKind kind) {
  switch (kind) {
  case UnaryKind::neg:
  case UnaryKind::abs:
  case UnaryKind::bitnot:
  case UnaryKind::floor:
  case UnaryKind::ceil:
  case UnaryKind::round:
  case UnaryKind::trunc:
    return 1;
  case UnaryKind::sqrt:
    return dear;
  default:
    return function;
  }
}

unsigned instructionsOfBinary(BinaryKind kind) {
  switch (kind) {
  case BinaryKind::div:
  case BinaryKind::rem:
  case BinaryKind::mod:
    return dear;
  case BinaryKind::pow:
  case BinaryKind::atan2:
    return power;
  default:
    return 1;
  }
}

/// A product with a reciprocal, and its correction.
bool dividesByConstant(BinaryOp op) {
  auto constant = op.getRhs().getDefiningOp<ConstantOp>();
  if (auto broadcast = op.getRhs().getDefiningOp<BroadcastOp>())
    constant = broadcast.getOperand().getDefiningOp<ConstantOp>();
  return op.getKind() == BinaryKind::div && constant && constant.getType().getNumElements() == 1;
}

} // namespace

unsigned instructionsOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, unsigned>(op)
      .Case([](UnaryOp unary) { return instructionsOfUnary(unary.getKind()); })
      .Case([](BinaryOp binary) {
        return dividesByConstant(binary) ? 2 : instructionsOfBinary(binary.getKind());
      })
      .Case<GatherOp, GatherElementsOp, GatherNDOp, ContractOp, ConvOp, WindowOp>([](auto) { return memory; })
      .Default([](Operation *other) { return isElementwise(other) ? 1u : 0u; });
}

bool isDear(Operation *op) {
  if (auto binary = dyn_cast<BinaryOp>(op))
    return instructionsOfBinary(binary.getKind()) >= dear;
  return !isProduct(op) && instructionsOf(op) >= dear;
}

} // namespace tilewright::graph

namespace tilewright::kernel {

static constexpr std::pair<RootFamily, llvm::StringLiteral> names[] = {
    {RootFamily::product, "product"},
    {RootFamily::row_chain, "row_chain"},
    {RootFamily::convolution, "convolution"},
    {RootFamily::serial, "serial"},
    {RootFamily::rows, "rows"},
    {RootFamily::window, "window"},
    {RootFamily::loops, "loops"}};

llvm::StringRef nameOf(RootFamily family) {
  return llvm::find_if(names, [=](auto &pair) { return pair.first == family; })->second;
}

std::optional<RootFamily> familyNamed(llvm::StringRef name) {
  for (auto &[family, text] : names)
    if (text == name)
      return family;
  return std::nullopt;
}

Operation *rootOf(FuncOp kernel) {
  Operation *root = nullptr;
  for (Operation &op : kernel.getBody().front())
    if (graph::isProduct(&op) || graph::isSerial(&op))
      root = &op; // the last: one before it computes its left operand
  return root;
}

RootFamily familyOf(FuncOp kernel) {
  unsigned contractions = 0;
  bool reduces = false, pools = false;
  for (Operation &op : kernel.getBody().front()) {
    contractions += isa<graph::ContractOp>(op);
    reduces |= isa<graph::ReduceOp, graph::ArgReduceOp>(op);
    pools |= isa<graph::WindowOp>(op);
  }
  Operation *root = rootOf(kernel);
  if (isa_and_present<graph::ContractOp>(root))
    return contractions > 1 ? RootFamily::row_chain : RootFamily::product;
  if (root)
    return isa<graph::ConvOp>(root) ? RootFamily::convolution : RootFamily::serial;
  return reduces ? RootFamily::rows : pools ? RootFamily::window : RootFamily::loops;
}

} // namespace tilewright::kernel
