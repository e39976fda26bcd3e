//===- Epilogue.cpp - from a root's sums to what the kernel yields --------===//
#include "codegen/emit/Epilogue.h"
#include "codegen/schedule/Products.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
Epilogue::Epilogue(ValueEmitter &e, Operation *root) : e(e), root(root) {
  for (Value value : root->getBlock()->getTerminator()->getOperands()) {
    outputs.push_back({value, *epiloguePath(root, value)});
  }
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
