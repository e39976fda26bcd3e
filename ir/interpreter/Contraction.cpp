/// Contraction.cpp - contract and conv. Floats accumulate in double and round once, integers modulo 2^64 and
/// wrap once.
#include "ir/interpreter/Elements.h"
#include "ir/interpreter/Evaluation.h"

using namespace mlir;

namespace tilewright::interpreter {

namespace {
/// All elements as the numbers that are multiplied: double, or uint64_t (two's complement).
template <typename T> std::vector<T> loadAll(const Tensor &tensor) {
  std::vector<T> result(tensor.size());
  if constexpr (std::is_same_v<T, double>)
    readNumbers(tensor.elementType, tensor.data(), tensor.size(), result.data());
  else
    readIntegers(tensor.elementType, tensor.data(), tensor.size(),
                 reinterpret_cast<int64_t *>(result.data()));
  return result;
}
template <typename T> void storeRun(Tensor &tensor, int64_t start, const std::vector<T> &values) {
  std::byte *target = tensor.mutableData() + start * storedBytes(tensor.elementType);
  if constexpr (std::is_same_v<T, double>)
    writeNumbers(tensor.elementType, values.data(), int64_t(values.size()), target);
  else
    writeIntegers(tensor.elementType, reinterpret_cast<const int64_t *>(values.data()),
                  int64_t(values.size()), target);
}

Shape sizesOf(const Tensor &tensor, llvm::ArrayRef<int64_t> dims) {
  Shape sizes;
  for (int64_t dim : dims)
    sizes.push_back(tensor.shape[dim]);
  return sizes;
}
Shape freeDims(const Tensor &tensor, llvm::ArrayRef<int64_t> batch, llvm::ArrayRef<int64_t> contracted) {
  Shape dims;
  for (int64_t dim = 0; dim < tensor.rank(); ++dim)
    if (!llvm::is_contained(batch, dim) && !llvm::is_contained(contracted, dim))
      dims.push_back(dim);
  return dims;
}
Tensor arranged(const Tensor &tensor, llvm::ArrayRef<int64_t> a, llvm::ArrayRef<int64_t> b,
                llvm::ArrayRef<int64_t> c) {
  Shape perm(a);
  perm.append(b.begin(), b.end());
  perm.append(c.begin(), c.end());
  return transposed(tensor, perm);
}
} // namespace

//===- Contract ------------------------------------------------------------------------===//

/// result[b, m, n] = sum over k of lhs[b, m, k] * rhs[b, k, n]
template <typename T>
static void multiply(const Tensor &left, const Tensor &right, int64_t rows, int64_t depth, int64_t columns,
                     Tensor &result) {
  std::vector<T> lhs = loadAll<T>(left), rhs = loadAll<T>(right), row(columns);
  for (int64_t start = 0, i = 0; start < result.size(); start += columns, ++i) {
    std::fill(row.begin(), row.end(), T(0));
    const T *matrix = rhs.data() + i / rows * depth * columns;
    for (int64_t k = 0; k < depth; ++k) {
      T factor = lhs[i * depth + k];
      for (int64_t n = 0; n < columns; ++n)
        row[n] += factor * matrix[k * columns + n];
    }
    storeRun(result, start, row);
  }
}

Outcome run(graph::ContractOp op, const Evaluation &e) {
  const Tensor &lhs = e.operand(0), &rhs = e.operand(1);
  Shape batch = sizesOf(lhs, op.getLhsBatch()), contracted = sizesOf(lhs, op.getLhsContract());
  if (llvm::Error error =
          e.requireShape("the right-hand side's batch", sizesOf(rhs, op.getRhsBatch()), batch))
    return std::move(error);
  if (llvm::Error error = e.requireShape("what is contracted of the right-hand side",
                                         sizesOf(rhs, op.getRhsContract()), contracted))
    return std::move(error);
  Shape lhsFree = freeDims(lhs, op.getLhsBatch(), op.getLhsContract()),
        rhsFree = freeDims(rhs, op.getRhsBatch(), op.getRhsContract());
  Shape shape = batch, rows = sizesOf(lhs, lhsFree), columns = sizesOf(rhs, rhsFree);
  shape.append(rows);
  shape.append(columns);
  auto result = e.make(e.resultElement(), shape);
  if (!result || result->size() == 0)
    return result;
  Tensor left = arranged(lhs, op.getLhsBatch(), lhsFree, op.getLhsContract());
  Tensor right = arranged(rhs, op.getRhsBatch(), op.getRhsContract(), rhsFree);
  if (!left.data() || !right.data())
    return e.fail(Failure::Memory, "no memory to contract " + lhs.describe() + " and " + rhs.describe());
  auto multiplyAll = isFloat(lhs.elementType) ? multiply<double> : multiply<uint64_t>;
  multiplyAll(left, right, elementCount(rows), elementCount(contracted), elementCount(columns), *result);
  return result;
}

//===- Conv ----------------------------------------------------------------------------===//

namespace {
/// A channels-first convolution: [n, c, input] * [o, c / groups, kernel] -> [n, o, output].
struct Convolution {
  int64_t batch, channels, outputs, groups;
  Shape input, kernel, output;
  /// positions[dim][tap * output[dim] + out]: which input element tap `tap` meets at output position `out`;
  /// -1 when none.
  llvm::SmallVector<std::vector<int64_t>, 3> positions;

  void locate(size_t dim, int64_t stride, int64_t low, int64_t lhsDilation, int64_t rhsDilation) {
    std::vector<int64_t> table;
    for (int64_t tap = 0; tap < kernel[dim]; ++tap)
      for (int64_t out = 0; out < output[dim]; ++out) {
        int64_t spread =
            out * stride - low + tap * rhsDilation; // in the operand with zeros between its elements
        bool inside = spread >= 0 && spread % lhsDilation == 0 && spread / lhsDilation < input[dim];
        table.push_back(inside ? spread / lhsDilation : -1);
      }
    positions.push_back(std::move(table));
  }

  template <typename T> void run(const Tensor &lhs, const Tensor &rhs, Tensor &result) const {
    std::vector<T> values = loadAll<T>(lhs), weights = loadAll<T>(rhs), plane(elementCount(output));
    int64_t depth = channels / groups, inputPlane = elementCount(input), taps = elementCount(kernel), at = 0;
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t o = 0; o < outputs; ++o) {
        int64_t firstChannel = o / (outputs / groups) * depth;
        std::fill(plane.begin(), plane.end(), T(0));
        for (int64_t c = 0; c < depth; ++c)
          addChannel(values.data() + (n * channels + firstChannel + c) * inputPlane,
                     weights.data() + (o * depth + c) * taps, plane.data());
        storeRun(result, at, plane);
        at += int64_t(plane.size());
      }
  }

private:
  template <typename T> void addChannel(const T *values, const T *weights, T *plane) const {
    forEachIndex(kernel, [&](llvm::ArrayRef<int64_t> tap) { addTap(values, *weights++, tap, plane); });
  }
  template <typename T> void addTap(const T *values, T weight, llvm::ArrayRef<int64_t> tap, T *plane) const {
    size_t last = input.size() - 1;
    const int64_t *columns = positions[last].data() + tap[last] * output[last];
    forEachIndex(llvm::ArrayRef(output).drop_back(), [&](llvm::ArrayRef<int64_t> out) {
      T *row = plane;
      plane += output[last];
      int64_t offset = 0;
      for (size_t dim = 0; dim < last; ++dim) {
        int64_t position = positions[dim][tap[dim] * output[dim] + out[dim]];
        if (position < 0)
          return;
        offset = (offset + position) * input[dim + 1];
      }
      for (int64_t i = 0; i < output[last]; ++i)
        if (columns[i] >= 0)
          row[i] += weight * values[offset + columns[i]];
    });
  }
};
} // namespace

/// [N, spatial..., C] and [spatial..., C / groups, O] as [N, C, spatial...] and [O, C / groups, spatial...].
static void toChannelsFirst(Tensor &lhs, Tensor &rhs, Shape &resultShape) {
  lhs = withLastAt(lhs, 1);
  rhs = withLastAt(withLastAt(rhs, 0), 1);
  std::rotate(resultShape.begin() + 1, resultShape.end() - 1, resultShape.end());
}

Outcome run(graph::ConvOp op, const Evaluation &e) {
  auto low = e.values(op.getLow());
  if (!low)
    return low.takeError();
  auto shape = e.resultShape();
  if (!shape)
    return shape.takeError();
  Tensor lhs = e.operand(0), rhs = e.operand(1);
  if (op.getChannelsLast())
    toChannelsFirst(lhs, rhs, *shape);
  llvm::ArrayRef<int64_t> left = lhs.shape, right = rhs.shape;
  int64_t groups = op.getGroups();
  if (groups <= 0 || left[1] != right[1] * groups || right[0] % groups != 0)
    return e.fail(Failure::ShapeMismatch, llvm::Twine(left[1]) + " channels in " + llvm::Twine(groups) +
                                              " groups do not fit filters for " + llvm::Twine(right[1]));
  if (llvm::Error error = e.requireShape("the result's batch and channels",
                                         llvm::ArrayRef(*shape).take_front(2), {left[0], right[0]}))
    return std::move(error);
  auto result = e.make(e.resultElement(), *shape);
  if (!result || result->size() == 0)
    return result;
  Convolution loops{left[0],
                    left[1],
                    right[0],
                    groups,
                    Shape(left.drop_front(2)),
                    Shape(right.drop_front(2)),
                    Shape(llvm::ArrayRef(*shape).drop_front(2)),
                    {}};
  for (size_t dim = 0; dim < loops.input.size(); ++dim)
    loops.locate(dim, op.getStrides()[dim], (*low)[dim], op.getLhsDilation()[dim], op.getRhsDilation()[dim]);
  if (isFloat(lhs.elementType))
    loops.run<double>(lhs, rhs, *result);
  else
    loops.run<uint64_t>(lhs, rhs, *result);
  return op.getChannelsLast() ? withAxisLast(*result, 1) : *result;
}

} // namespace tilewright::interpreter
