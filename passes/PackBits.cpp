// See PackBits.h.
#include "passes/PackBits.h"
#include "ir/GraphBuilder.h"
#include "ir/OpFacts.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::SmallVector;

namespace tilewright::passes {
namespace {

constexpr int64_t fewElements = 64;

RankedTensorType tensorOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()); }

/// 2 or 4 bits of an integer, or 0.
int64_t bitsOf(Value v) {
  auto integer = llvm::dyn_cast<IntegerType>(tensorOf(v).getElementType());
  return integer && (integer.getWidth() == 2 || integer.getWidth() == 4) ? integer.getWidth() : 0;
}

/// From the lowest bit on, in row-major order.
Value packed(GraphBuilder &g, Value x) {
  const int64_t bits = bitsOf(x), perByte = 8 / bits, count = tensorOf(x).getNumElements(),
                bytes = llvm::divideCeil(count, perByte);
  Type byte = IntegerType::get(g.b.getContext(), 8, IntegerType::Unsigned);
  x = g.reshape(g.cast(x, byte), {g.dim(count)}); // negative ones wrap
  x = g.binary(BinaryKind::iand, x, g.like(x, double((1 << bits) - 1)));
  if (bytes * perByte != count)
    x = g.pad(x, {g.dim(0)}, {g.dim(bytes * perByte - count)}, PadMode::constant, g.like(x, 0));
  x = g.reshape(x, {g.dim(bytes), g.dim(perByte)});
  Value all;
  for (int64_t i = 0; i < perByte; ++i) {
    Value part = g.reshape(g.sliceAxis(x, 1, g.dim(i), g.dim(1)), {g.dim(bytes)});
    part = i ? g.binary(BinaryKind::shl, part, g.like(part, double(i * bits))) : part;
    all = all ? g.binary(BinaryKind::ior, all, part) : part;
  }
  return all;
}

Value unpacked(GraphBuilder &g, Value bytes, RankedTensorType type) {
  const int64_t bits = type.getElementTypeBitWidth(), perByte = 8 / bits;
  Dims wide{dimsOf(bytes)[0], g.dim(perByte)};
  Value shifts =
      g.mul(g.iota({g.dim(perByte)}, GraphBuilder::elementType(bytes), 0), g.like(bytes, double(bits)));
  Value x =
      g.binary(BinaryKind::shr, g.broadcastInDims(bytes, wide, {0}), g.broadcastInDims(shifts, wide, {1}));
  x = g.binary(BinaryKind::iand, x, g.like(x, double((1 << bits) - 1)));
  if (tensorOf(x).getNumElements() != type.getNumElements()) {
    x = g.reshape(x, {canonical(wide[0] * perByte)});
    x = g.sliceAxis(x, 0, g.dim(0), g.dim(type.getNumElements()));
  }
  return g.cast(g.reshape(x, g.dims(type.getShape())), type.getElementType()); // above the middle wraps
}

void packOperand(kernel::FuncOp kernel, kernel::LaunchOp launch, unsigned index, SymbolTable &symbols) {
  BlockArgument argument = kernel.getBody().getArgument(index);
  const auto type = tensorOf(argument);
  OpBuilder outside(launch), inside(&kernel.getBody().front(), kernel.getBody().front().begin());
  GraphBuilder program(outside, launch.getLoc(), symbols), body(inside, kernel.getLoc(), symbols);
  Value bytes = packed(program, launch.getOperand(index));
  launch.setOperand(index, bytes);
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : argument.getUses())
    uses.push_back(&use);
  argument.setType(bytes.getType());
  Value whole = unpacked(body, argument, type);
  for (OpOperand *use : uses)
    use->set(whole);
}

} // namespace

void packBits(ModuleOp module) {
  llvm::StringMap<kernel::FuncOp> kernels;
  for (auto kernel : module.getOps<kernel::FuncOp>())
    kernels[kernel.getSymName()] = kernel;
  SymbolTable symbols(module);
  module.walk([&](kernel::LaunchOp launch) {
    kernel::FuncOp kernel = kernels.lookup(launch.getKernel());
    if (kernel::rootOf(kernel)) // reads its operands as they lie
      return;
    for (unsigned i = 0; i < launch.getNumOperands(); ++i)
      if (Value operand = launch.getOperand(i); bitsOf(operand) && isConstantExpression(operand) &&
                                                tensorOf(operand).getNumElements() > fewElements)
        packOperand(kernel, launch, i, symbols);
  });
}

} // namespace tilewright::passes
