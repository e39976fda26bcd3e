/// Constants.cpp - the values of constant expressions: weights mapped from files, and recipes over them.
#include "ir/WeightFiles.h"
#include "ir/interpreter/Evaluation.h"

using namespace mlir;

namespace tilewright::interpreter {

llvm::Expected<Tensor> ConstantEvaluator::weight(graph::WeightOp op) {
  Evaluation e(op, {}, {});
  auto shape = e.resultShape();
  if (!shape)
    return shape.takeError();
  Type type = e.resultElement();
  if (packedBytes(type, elementCount(*shape)) != int64_t(op.getLength()))
    return e.fail(Failure::File, "the weight has " + llvm::Twine(int64_t(op.getLength())) +
                                     " bytes where its type needs " +
                                     llvm::Twine(packedBytes(type, elementCount(*shape))));
  auto file = graph::WeightFiles::of(op.getContext()).open(op.getFile());
  if (!file)
    return e.fail(Failure::File, "cannot map '" + op.getFile() + "': " + llvm::toString(file.takeError()));
  uint64_t size = file->bytes.size(), offset = op.getOffset(), length = op.getLength();
  if (offset > size || length > size - offset)
    return e.fail(Failure::File, "'" + op.getFile() + "' ends before the weight does");
  if (length == 0)
    return e.make(type, *shape);
  return Tensor::fromPacked(type, *shape, reinterpret_cast<const std::byte *>(file->bytes.data()) + offset,
                            file->owner);
}

/// The operands' values are remembered already.
llvm::Error ConstantEvaluator::evaluateOp(Operation *op) {
  if (auto weightOp = dyn_cast<graph::WeightOp>(op)) {
    auto tensor = weight(weightOp);
    if (!tensor)
      return tensor.takeError();
    values[op->getResult(0)] = std::move(*tensor);
    return llvm::Error::success();
  }
  llvm::SmallVector<Tensor> operands;
  for (Value operand : op->getOperands())
    operands.push_back(values.lookup(operand));
  auto results = interpreter::evaluate(op, operands, {});
  if (!results)
    return results.takeError();
  for (auto [value, tensor] : llvm::zip_equal(op->getResults(), *results))
    values[value] = std::move(tensor);
  for (Value operand : op->getOperands())
    if (operand.hasOneUse())
      values.erase(operand);
  return llvm::Error::success();
}

llvm::Expected<Tensor> ConstantEvaluator::evaluate(Value value) {
  // Operands before their users, without recursion: recipes may be long chains.
  llvm::SmallVector<Value> pending{value};
  while (!pending.empty()) {
    Value next = pending.back();
    if (values.contains(next)) {
      pending.pop_back();
      continue;
    }
    Operation *op = next.getDefiningOp();
    if (!op || op->getNumRegions() != 0 || !isMemoryEffectFree(op))
      return llvm::make_error<Failure>(Failure::Unsupported, next.getLoc(), "the value is not a constant");
    size_t before = pending.size();
    for (Value operand : op->getOperands())
      if (!values.contains(operand))
        pending.push_back(operand);
    if (pending.size() != before)
      continue;
    if (llvm::Error error = evaluateOp(op))
      return std::move(error);
  }
  Tensor result = values.lookup(value);
  if (value.hasOneUse() || value.use_empty())
    values.erase(value);
  return result;
}

llvm::FailureOr<llvm::SmallVector<DenseElementsAttr>> fold(Operation *op, int64_t maxBytes,
                                                           ConstantEvaluator &constants) {
  if (op->getNumRegions() != 0 || op->getNumResults() == 0 || !isMemoryEffectFree(op))
    return failure();
  for (Value result : op->getResults()) {
    auto type = dyn_cast<RankedTensorType>(result.getType());
    if (!type || !type.hasStaticShape() ||
        type.getNumElements() > maxBytes / storedBytes(type.getElementType()))
      return failure();
  }
  for (Value operand : op->getOperands())
    if (!graph::isConstantExpression(operand))
      return failure();
  llvm::SmallVector<DenseElementsAttr> attributes;
  for (Value result : op->getResults()) {
    auto tensor = constants.evaluate(result);
    if (!tensor) {
      llvm::consumeError(tensor.takeError());
      return failure();
    }
    attributes.push_back(tensor->toAttribute());
  }
  return attributes;
}

} // namespace tilewright::interpreter
