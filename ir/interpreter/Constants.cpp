/// Constants.cpp - the values of constant expressions: weights mapped from files, and recipes over them.
#include "ir/interpreter/Evaluation.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;

namespace tilewright::interpreter {

/// A whole file, mapped read-only. Tensors that view it keep it alive.
struct ConstantEvaluator::Mapping {
  llvm::sys::fs::mapped_file_region region;
};

static llvm::Expected<llvm::sys::fs::mapped_file_region> mapFile(llvm::StringRef path) {
  auto file = llvm::sys::fs::openNativeFileForRead(path);
  if (!file)
    return file.takeError();
  llvm::sys::fs::file_status status;
  std::error_code error = llvm::sys::fs::status(*file, status);
  llvm::sys::fs::mapped_file_region region;
  if (!error && !llvm::sys::fs::is_regular_file(status))
    error = std::make_error_code(std::errc::invalid_argument);
  if (!error && status.getSize() > 0)
    region = llvm::sys::fs::mapped_file_region(*file, llvm::sys::fs::mapped_file_region::readonly,
                                               status.getSize(), 0, error);
  llvm::sys::fs::closeFile(*file);
  if (error)
    return llvm::errorCodeToError(error);
  return region;
}

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
  std::string path = op.getFile().str();
  auto &mapping = mappings[path];
  if (!mapping) {
    auto region = mapFile(path);
    if (!region)
      return e.fail(Failure::File, "cannot map '" + path + "': " + llvm::toString(region.takeError()));
    mapping = std::make_shared<const Mapping>(Mapping{std::move(*region)});
  }
  uint64_t size = mapping->region ? mapping->region.size() : 0, offset = op.getOffset(),
           length = op.getLength();
  if (offset > size || length > size - offset)
    return e.fail(Failure::File, "'" + path + "' ends before the weight does");
  if (length == 0)
    return e.make(type, *shape);
  return Tensor::fromPacked(
      type, *shape, reinterpret_cast<const std::byte *>(mapping->region.const_data()) + offset, mapping);
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
