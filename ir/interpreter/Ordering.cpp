/// Ordering.cpp - ops that rank elements: arg_reduce and sort. NaN counts as the largest for sort, as the
/// extreme for arg_reduce.
#include "ir/interpreter/Elements.h"
#include "ir/interpreter/Evaluation.h"
#include <algorithm>
#include <cmath>
#include <numeric>

using namespace mlir;

namespace tilewright::interpreter {

namespace {
/// A row of elements under a total preorder, whatever their type.
struct Row {
  const Tensor &tensor; // the axis is the last dimension
  bool floats = isFloat(tensor.elementType);
  int64_t length = tensor.shape.back();
  std::vector<double> numbers = std::vector<double>(floats ? length : 0);
  std::vector<int64_t> integers = std::vector<int64_t>(floats ? 0 : length);

  explicit Row(const Tensor &tensor) : tensor(tensor) {}
  void load(int64_t row) {
    const std::byte *from = tensor.data() + row * length * storedBytes(tensor.elementType);
    if (floats)
      return readNumbers(tensor.elementType, from, length, numbers.data());
    readIntegers(tensor.elementType, from, length, integers.data());
    for (int64_t &value : integers)
      value = orderKey(tensor.elementType, value);
  }
  bool isNaN(int64_t i) const { return floats && std::isnan(numbers[i]); }
  /// NaN is above everything.
  bool less(int64_t i, int64_t j) const {
    if (!floats)
      return integers[i] < integers[j];
    return numbers[i] < numbers[j] || (!isNaN(i) && isNaN(j));
  }
};
} // namespace

/// Position `i` is more extreme than position `j`.
static bool beats(const Row &row, int64_t i, int64_t j, bool isMax) {
  if (row.isNaN(i) || row.isNaN(j))
    return row.isNaN(i) && !row.isNaN(j);
  return isMax ? row.less(j, i) : row.less(i, j);
}

Outcome run(graph::ArgReduceOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0);
  Tensor rows = withAxisLast(operand, op.getAxis());
  auto result = e.make(e.resultElement(), llvm::ArrayRef(rows.shape).drop_back());
  if (!result || result->size() == 0)
    return result;
  if (operand.shape[op.getAxis()] == 0)
    return e.fail(Failure::ShapeMismatch, "an empty dimension has no largest or smallest element");
  Row row(rows);
  for (int64_t i = 0; i < result->size(); ++i) {
    row.load(i);
    int64_t best = 0;
    for (int64_t j = 1; j < row.length; ++j)
      if (beats(row, j, best, op.getIsMax()) || (op.getLastIndex() && !beats(row, best, j, op.getIsMax())))
        best = j;
    result->setInteger(i, best);
  }
  return result;
}

/// Stable: of equal elements the earlier one.
static bool comesFirst(const Row &row, int64_t i, int64_t j, bool descending) {
  bool before = descending ? row.less(j, i) : row.less(i, j),
       after = descending ? row.less(i, j) : row.less(j, i);
  return before || (!after && i < j);
}

llvm::Expected<Results> run(graph::SortOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0);
  auto shape = e.resultShape();
  if (!shape)
    return shape.takeError();
  Tensor rows = withAxisLast(operand, op.getAxis());
  int64_t length = rows.shape.back(), kept = (*shape)[op.getAxis()];
  if (kept > length)
    return e.fail(Failure::ShapeMismatch, "the first " + llvm::Twine(kept) + " of " + llvm::Twine(length) +
                                              " elements are asked for");
  Shape resultShape = rows.shape;
  resultShape.back() = kept;
  auto values = e.make(operand.elementType, resultShape);
  if (!values)
    return values.takeError();
  auto indices = e.make(e.resultElement(1), resultShape);
  if (!indices)
    return indices.takeError();
  unsigned bytes = storedBytes(operand.elementType);
  Row row(rows);
  std::vector<int64_t> order(length);
  for (int64_t i = 0, count = kept == 0 ? 0 : values->size() / kept; i < count; ++i) {
    row.load(i);
    std::iota(order.begin(), order.end(), 0);
    llvm::sort(order, [&](int64_t a, int64_t b) { return comesFirst(row, a, b, op.getDescending()); });
    for (int64_t j = 0; j < kept; ++j) {
      std::memcpy(values->mutableData() + (i * kept + j) * bytes,
                  rows.data() + (i * length + order[j]) * bytes, bytes);
      indices->setInteger(i * kept + j, order[j]);
    }
  }
  return Results{withLastAt(*values, op.getAxis()), withLastAt(*indices, op.getAxis())};
}

} // namespace tilewright::interpreter
