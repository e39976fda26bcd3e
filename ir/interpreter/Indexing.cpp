/// Indexing.cpp - generators, and ops whose indices are data.
#include "ir/interpreter/Evaluation.h"
#include <cmath>

using namespace mlir;
using tilewright::graph::ScatterKind;

namespace tilewright::interpreter {

//===- Generators ----------------------------------------------------------------------===//

Outcome run(graph::DimsOp op, const Evaluation &e) {
  auto values = e.values(op.getExprs());
  if (!values)
    return values.takeError();
  auto result = e.makeResult();
  if (!result)
    return result;
  for (auto [index, value] : llvm::enumerate(*values))
    result->setInteger(int64_t(index), value);
  return result;
}

Outcome run(graph::IotaOp op, const Evaluation &e) {
  auto result = e.makeResult();
  if (!result)
    return result;
  int64_t size = result->shape[op.getAxis()], stride = rowMajorStrides(result->shape)[op.getAxis()];
  for (int64_t i = 0, count = result->size(); i < count; ++i)
    result->setInteger(i, i / stride % size);
  return result;
}

Outcome run(graph::CompactOp op, const Evaluation &e) {
  auto result = e.makeResult();
  if (!result)
    return result;
  const Tensor &mask = e.operand(0);
  int64_t found = 0, flat = 0;
  forEachIndex(mask.shape, [&](llvm::ArrayRef<int64_t> index) {
    if (!mask.integer(flat++))
      return;
    if (found < result->shape[0])
      for (auto [dim, position] : llvm::enumerate(index))
        result->setInteger(found * mask.rank() + int64_t(dim), position);
    ++found;
  });
  if (found != result->shape[0])
    return e.fail(Failure::ShapeMismatch, llvm::Twine(found) + " elements are true where " +
                                              llvm::Twine(result->shape[0]) + " were announced");
  return result;
}

//===- Gather --------------------------------------------------------------------------===//

/// Index values made non-negative, for an axis of `size` elements.
static llvm::Expected<llvm::SmallVector<int64_t>> checkedIndices(const Evaluation &e, const Tensor &indices,
                                                                 int64_t size) {
  llvm::SmallVector<int64_t> result = indices.integers();
  for (int64_t &index : result) {
    auto checked = e.index(index, size);
    if (!checked)
      return checked.takeError();
    index = *checked;
  }
  return result;
}

Outcome run(graph::GatherOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0), &indices = e.operand(1);
  auto axis = static_cast<size_t>(op.getAxis());
  llvm::ArrayRef<int64_t> before = llvm::ArrayRef(operand.shape).take_front(axis),
                          after = llvm::ArrayRef(operand.shape).drop_front(axis + 1);
  Shape shape(before);
  shape.append(indices.shape);
  shape.append(after.begin(), after.end());
  int64_t outer = elementCount(before);
  auto result = e.make(operand.elementType, shape);
  if (!result)
    return result;
  if (result->size() == 0)
    return result;
  auto positions = checkedIndices(e, indices, operand.shape[axis]);
  if (!positions)
    return positions.takeError();
  size_t run = size_t(elementCount(after)) * storedBytes(operand.elementType);
  std::byte *target = result->mutableData();
  for (int64_t i = 0; i < outer; ++i)
    for (int64_t position : *positions) {
      std::memcpy(target, operand.data() + size_t(i * operand.shape[axis] + position) * run, run);
      target += run;
    }
  return result;
}

/// Flat offset in a tensor of `shape` of `index` with the axis' coordinate replaced.
static int64_t offsetWith(llvm::ArrayRef<int64_t> strides, llvm::ArrayRef<int64_t> index, int64_t axis,
                          int64_t coordinate) {
  int64_t offset = 0;
  for (auto [dim, value] : llvm::enumerate(index))
    offset += strides[dim] * (int64_t(dim) == axis ? coordinate : value);
  return offset;
}

/// Other dimensions of `shape` may be smaller than the operand's, not larger.
static llvm::Error requireInside(const Evaluation &e, llvm::ArrayRef<int64_t> shape, const Tensor &operand,
                                 int64_t axis) {
  for (int64_t dim = 0; dim < operand.rank(); ++dim)
    if (dim != axis && shape[dim] > operand.shape[dim])
      return e.fail(Failure::ShapeMismatch, "dimension " + llvm::Twine(dim) + " of the indices has size " +
                                                llvm::Twine(shape[dim]) + ", above the operand's " +
                                                llvm::Twine(operand.shape[dim]));
  return llvm::Error::success();
}

Outcome run(graph::GatherElementsOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0), &indices = e.operand(1);
  int64_t axis = op.getAxis();
  if (llvm::Error error = requireInside(e, indices.shape, operand, axis))
    return std::move(error);
  auto positions = checkedIndices(e, indices, operand.shape[axis]);
  if (!positions)
    return positions.takeError();
  auto result = e.make(operand.elementType, indices.shape);
  if (!result)
    return result;
  Shape strides = rowMajorStrides(operand.shape);
  unsigned bytes = storedBytes(operand.elementType);
  int64_t flat = 0;
  forEachIndex(indices.shape, [&](llvm::ArrayRef<int64_t> index) {
    int64_t from = offsetWith(strides, index, axis, (*positions)[flat]);
    std::memcpy(result->mutableData() + flat++ * bytes, operand.data() + from * bytes, bytes);
  });
  return result;
}

/// Element offset that tuple `tuple` of `indices` [.., k] names in the dimensions [firstDim, firstDim + k) of
/// a tensor.
static llvm::Expected<int64_t> tupleOffset(const Evaluation &e, const Tensor &indices, int64_t tuple,
                                           const Tensor &operand, int64_t firstDim) {
  Shape strides = rowMajorStrides(operand.shape);
  int64_t length = indices.shape.back(), offset = 0;
  for (int64_t i = 0; i < length; ++i) {
    auto position = e.index(indices.integer(tuple * length + i), operand.shape[firstDim + i]);
    if (!position)
      return position.takeError();
    offset += *position * strides[firstDim + i];
  }
  return offset;
}

Outcome run(graph::GatherNDOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0), &indices = e.operand(1);
  int64_t batchDims = op.getBatchDims(), length = indices.shape.back();
  llvm::ArrayRef<int64_t> batch = llvm::ArrayRef(operand.shape).take_front(batchDims);
  if (llvm::Error error = e.requireShape("the batch of the indices",
                                         llvm::ArrayRef(indices.shape).take_front(batchDims), batch))
    return std::move(error);
  llvm::ArrayRef<int64_t> slice = llvm::ArrayRef(operand.shape).drop_front(batchDims + length);
  Shape shape(llvm::ArrayRef(indices.shape).drop_back());
  int64_t tuples = elementCount(shape), batches = elementCount(batch);
  shape.append(slice.begin(), slice.end());
  auto result = e.make(operand.elementType, shape);
  if (!result)
    return result;
  int64_t bytes = storedBytes(operand.elementType), run = elementCount(slice) * bytes;
  for (int64_t tuple = 0; tuple < tuples; ++tuple) {
    auto offset = tupleOffset(e, indices, tuple, operand, batchDims);
    if (!offset)
      return offset.takeError();
    int64_t base = tuple / (tuples / batches) * (operand.size() / batches);
    std::memcpy(result->mutableData() + tuple * run, operand.data() + (base + *offset) * bytes, size_t(run));
  }
  return result;
}

//===- Scatter -------------------------------------------------------------------------===//

namespace {
/// `length` updates from element `source` on meet the operand's elements from `target` on.
struct Update {
  int64_t target, source;
};
} // namespace

static double combine(ScatterKind kind, double old, double update) {
  switch (kind) {
  case ScatterKind::assign:
    return update;
  case ScatterKind::sadd:
    return old + update;
  case ScatterKind::smul:
    return old * update;
  case ScatterKind::smax:
    return std::isnan(old) || old > update ? old : update;
  case ScatterKind::smin:
    return std::isnan(old) || old < update ? old : update;
  }
  llvm_unreachable("all kinds are handled");
}

static int64_t combine(ScatterKind kind, Type type, int64_t old, int64_t update) {
  bool isBool = type.isInteger(1); // sums of bools are or, as in reduce
  switch (kind) {
  case ScatterKind::assign:
    return update;
  case ScatterKind::sadd:
    return isBool ? old | update : int64_t(uint64_t(old) + uint64_t(update));
  case ScatterKind::smul:
    return int64_t(uint64_t(old) * uint64_t(update));
  case ScatterKind::smax:
    return orderKey(type, old) > orderKey(type, update) ? old : update;
  case ScatterKind::smin:
    return orderKey(type, old) < orderKey(type, update) ? old : update;
  }
  llvm_unreachable("all kinds are handled");
}

/// Sums and products of one element accumulate unrounded and round once.
static Tensor applyUpdates(ScatterKind kind, const Tensor &operand, const Tensor &updates,
                           llvm::ArrayRef<Update> list, int64_t length, Tensor result) {
  Type type = operand.elementType;
  std::memcpy(result.mutableData(), operand.data(), operand.bytes());
  int64_t bytes = storedBytes(type);
  if (kind == ScatterKind::assign) {
    for (Update update : list)
      std::memcpy(result.mutableData() + update.target * bytes, updates.data() + update.source * bytes,
                  size_t(length * bytes));
    return result;
  }
  bool floats = isFloat(type);
  llvm::SmallVector<double> numbers = floats ? operand.numbers() : llvm::SmallVector<double>();
  llvm::SmallVector<int64_t> integers = floats ? llvm::SmallVector<int64_t>() : operand.integers();
  for (Update update : list)
    for (int64_t i = 0; i < length; ++i) {
      int64_t at = update.target + i;
      if (floats)
        numbers[at] = combine(kind, numbers[at], updates.number(update.source + i));
      else
        integers[at] = combine(kind, type, integers[at], updates.integer(update.source + i));
    }
  for (Update update : list)
    for (int64_t at = update.target; at < update.target + length; ++at)
      floats ? result.setNumber(at, numbers[at]) : result.setInteger(at, integers[at]);
  return result;
}

Outcome run(graph::ScatterElementsOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0), &indices = e.operand(1), &updates = e.operand(2);
  if (llvm::Error error = e.requireShape("the updates", updates.shape, indices.shape))
    return std::move(error);
  if (llvm::Error error = requireInside(e, indices.shape, operand, op.getAxis()))
    return std::move(error);
  auto positions = checkedIndices(e, indices, operand.shape[op.getAxis()]);
  if (!positions)
    return positions.takeError();
  Shape strides = rowMajorStrides(operand.shape);
  llvm::SmallVector<Update> list;
  forEachIndex(indices.shape, [&](llvm::ArrayRef<int64_t> index) {
    auto source = int64_t(list.size());
    list.push_back({offsetWith(strides, index, op.getAxis(), (*positions)[source]), source});
  });
  auto result = e.make(operand.elementType, operand.shape);
  return result ? Outcome(applyUpdates(op.getKind(), operand, updates, list, 1, *result))
                : result.takeError();
}

Outcome run(graph::ScatterNDOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0), &indices = e.operand(1), &updates = e.operand(2);
  llvm::ArrayRef<int64_t> slice = llvm::ArrayRef(operand.shape).drop_front(indices.shape.back());
  Shape expected(llvm::ArrayRef(indices.shape).drop_back());
  int64_t tuples = elementCount(expected), length = elementCount(slice);
  expected.append(slice.begin(), slice.end());
  if (llvm::Error error = e.requireShape("the updates", updates.shape, expected))
    return std::move(error);
  llvm::SmallVector<Update> list;
  for (int64_t tuple = 0; tuple < tuples; ++tuple) {
    auto offset = tupleOffset(e, indices, tuple, operand, 0);
    if (!offset)
      return offset.takeError();
    list.push_back({*offset, tuple * length});
  }
  auto result = e.make(operand.elementType, operand.shape);
  return result ? Outcome(applyUpdates(op.getKind(), operand, updates, list, length, *result))
                : result.takeError();
}

} // namespace tilewright::interpreter
