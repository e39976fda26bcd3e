//===- Epilogue.cpp - from a root's sums to what the kernel yields --------===//
#include "codegen/emit/Epilogue.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

/// The ops from `root` (excluded) to the one that makes `value`; false when there is no such path or an op on
/// it does not map an element to an element.
bool findPath(Operation *root, Value value, llvm::SmallPtrSetImpl<Operation *> &seen,
              SmallVectorImpl<Operation *> &path) {
  Operation *op = value.getDefiningOp();
  if (op == root)
    return true;
  if (!op || !seen.insert(op).second || !(isElementwise(op) || isa<ReshapeOp, TransposeOp>(op)))
    return false;
  for (Value operand : op->getOperands())
    if (findPath(root, operand, seen, path)) {
      path.push_back(op);
      return true;
    }
  return false;
}

/// Rough instructions per vector of results.
int64_t weightOf(Operation *op) {
  if (auto unary = dyn_cast<UnaryOp>(op))
    return llvm::is_contained({UnaryKind::neg, UnaryKind::abs, UnaryKind::sqrt, UnaryKind::floor,
                               UnaryKind::ceil, UnaryKind::round},
                              unary.getKind())
               ? 1
               : 12;
  if (auto binary = dyn_cast<BinaryOp>(op))
    return binary.getKind() == BinaryKind::pow ? 20 : 1;
  return isElementwise(op) ? 1 : 0;
}

} // namespace

bool Epilogue::supports(Operation *root) {
  Operation *yield = root->getBlock()->getTerminator();
  return root->getNumResults() == 1 && yield->getNumOperands() > 0 &&
         llvm::all_of(yield->getOperands(), [&](Value value) {
           SmallVector<Operation *> path;
           llvm::SmallPtrSet<Operation *, 16> seen;
           return findPath(root, value, seen, path);
         });
}

Epilogue::Epilogue(ValueEmitter &e, Operation *root) : e(e), root(root) {
  for (Value value : root->getBlock()->getTerminator()->getOperands()) {
    Output output{value, {}};
    llvm::SmallPtrSet<Operation *, 16> seen;
    findPath(root, value, seen, output.path);
    outputs.push_back(std::move(output));
  }
  for (Operation *op = root->getNextNode(); op; op = op->getNextNode())
    weightOfOps += weightOf(op);
}

Indices Epilogue::forward(Operation *op, const Indices &indices) {
  if (auto transpose = dyn_cast<TransposeOp>(op)) {
    Indices moved;
    for (int64_t dim : transpose.getPerm())
      moved.push_back(indices[dim]);
    return moved;
  }
  auto reshape = dyn_cast<ReshapeOp>(op);
  if (!reshape)
    return indices;
  const int64_t rank = llvm::cast<RankedTensorType>(op->getResult(0).getType()).getRank();
  const Index offset = e.linearize(e.dims(reshape.getOperand()), indices);
  Indices result(rank, e.uniform(e.constant(0)));
  spreadOver(e, DimGroup(reshape.getResult(), llvm::to_vector(llvm::seq<int64_t>(0, rank))), offset, result);
  return result;
}

void Epilogue::emit(const Indices &indices, Value value) {
  e.define(root->getResult(0), indices, value);
  for (auto [output, pointer] : llvm::zip(outputs, e.kernel.results)) {
    Indices at = indices;
    Value current = value;
    for (Operation *op : output.path) {
      const bool moves = !isElementwise(op);
      at = forward(op, at);
      if (moves)
        e.define(op->getResult(0), at, current);
      else
        current = e.at(op->getResult(0), at);
    }
    e.store(llvm::cast<RankedTensorType>(output.value.getType()), pointer, at, current);
  }
}

} // namespace tilewright::codegen
