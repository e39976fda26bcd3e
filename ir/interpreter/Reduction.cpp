/// Reduction.cpp - reduce, scan, window: floats accumulate in double and round once, integers in 64 bits and
/// wrap once.
#include "ir/interpreter/Elements.h"
#include "ir/interpreter/Evaluation.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using tilewright::graph::ReduceKind;
using tilewright::graph::WindowKind;

namespace tilewright::interpreter {

//===- Accumulators --------------------------------------------------------------------===//

namespace {
/// How doubles (T = double) or integers (T = int64_t) of one element type are reduced.
template <typename T> struct Reducer {
  Type type;
  ReduceKind kind;

  T neutral() const {
    switch (kind) {
    case ReduceKind::sum:
      return 0;
    case ReduceKind::prod:
      return 1;
    default:
      break;
    }
    bool lowest = kind == ReduceKind::rmax;
    if constexpr (std::is_same_v<T, double>)
      return extremeNumber(type, lowest);
    else
      return extremeInteger(type, lowest);
  }
  T combine(T a, T b) const {
    if constexpr (std::is_same_v<T, double>)
      return combineNumbers(a, b);
    else
      return combineIntegers(a, b);
  }

private:
  double combineNumbers(double a, double b) const {
    switch (kind) {
    case ReduceKind::sum:
      return a + b;
    case ReduceKind::prod:
      return a * b;
    case ReduceKind::rmax:
      return std::isnan(a) || a > b ? a : b;
    case ReduceKind::rmin:
      return std::isnan(a) || a < b ? a : b;
    }
    llvm_unreachable("all kinds are handled");
  }
  int64_t combineIntegers(int64_t a, int64_t b) const {
    switch (kind) {
    case ReduceKind::sum:
      return type.isInteger(1) ? a | b : int64_t(uint64_t(a) + uint64_t(b));
    case ReduceKind::prod:
      return int64_t(uint64_t(a) * uint64_t(b));
    case ReduceKind::rmax:
      return orderKey(type, a) > orderKey(type, b) ? a : b;
    case ReduceKind::rmin:
      return orderKey(type, a) < orderKey(type, b) ? a : b;
    }
    llvm_unreachable("all kinds are handled");
  }
};

void read(const Tensor &tensor, int64_t start, int64_t count, double *block) {
  readNumbers(tensor.elementType, tensor.data() + start * storedBytes(tensor.elementType), count, block);
}
void read(const Tensor &tensor, int64_t start, int64_t count, int64_t *block) {
  readIntegers(tensor.elementType, tensor.data() + start * storedBytes(tensor.elementType), count, block);
}
void write(Tensor &tensor, int64_t start, int64_t count, const double *block) {
  writeNumbers(tensor.elementType, block, count,
               tensor.mutableData() + start * storedBytes(tensor.elementType));
}
void write(Tensor &tensor, int64_t start, int64_t count, const int64_t *block) {
  writeIntegers(tensor.elementType, block, count,
                tensor.mutableData() + start * storedBytes(tensor.elementType));
}
} // namespace

//===- Reduce --------------------------------------------------------------------------===//

/// Each row of `length` elements becomes one element.
template <typename T>
static void reduceRows(ReduceKind kind, const Tensor &rows, int64_t length, Tensor &result) {
  Reducer<T> reducer{rows.elementType, kind};
  for (int64_t row = 0, count = result.size(); row < count; ++row) {
    T accumulator = reducer.neutral(), block[blockSize];
    for (int64_t start = 0; start < length; start += blockSize) {
      int64_t run = std::min(blockSize, length - start);
      read(rows, row * length + start, run, block);
      for (int64_t i = 0; i < run; ++i)
        accumulator = reducer.combine(accumulator, block[i]);
    }
    write(result, row, 1, &accumulator);
  }
}

Outcome run(graph::ReduceOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0);
  Shape perm, kept;
  int64_t length = 1;
  for (int64_t dim = 0; dim < operand.rank(); ++dim) {
    if (llvm::is_contained(op.getDims(), dim)) {
      length *= operand.shape[dim];
      continue;
    }
    perm.push_back(dim);
    kept.push_back(operand.shape[dim]);
  }
  perm.append(op.getDims().begin(), op.getDims().end());
  Tensor rows = transposed(operand, perm);
  auto result = e.make(operand.elementType, kept);
  if (!result)
    return result;
  if (!rows.data())
    return e.fail(Failure::Memory, "no memory to reduce " + operand.describe());
  if (isFloat(operand.elementType))
    reduceRows<double>(op.getKind(), rows, length, *result);
  else
    reduceRows<int64_t>(op.getKind(), rows, length, *result);
  return result;
}

//===- Scan ----------------------------------------------------------------------------===//

template <typename T> static Tensor scanRows(graph::ScanOp op, const Tensor &rows) {
  Reducer<T> reducer{rows.elementType, op.getKind()};
  Tensor result(rows.elementType, rows.shape);
  int64_t length = rows.shape.back();
  std::vector<T> row(length);
  for (int64_t start = 0; start < rows.size(); start += length) {
    read(rows, start, length, row.data());
    T accumulator = reducer.neutral();
    for (int64_t i = 0; i < length; ++i) {
      T &element = row[op.getReverse() ? length - 1 - i : i];
      T before = accumulator;
      accumulator = reducer.combine(accumulator, element);
      element = op.getExclusive() ? before : accumulator;
    }
    write(result, start, length, row.data());
  }
  return result;
}

Outcome run(graph::ScanOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0);
  if (operand.size() == 0)
    return operand;
  Tensor rows = withAxisLast(operand, op.getAxis());
  Tensor result = isFloat(operand.elementType) ? scanRows<double>(op, rows) : scanRows<int64_t>(op, rows);
  return withLastAt(result, op.getAxis());
}

//===- Window --------------------------------------------------------------------------===//

namespace {
/// One window op on a channels-first operand: shapes are those of the spatial dimensions.
struct Windows {
  Shape input, output, kernel, strides, dilations, low;

  /// Call `function(flat position)` for every tap of the window at `out` that lies inside, in row-major
  /// order.
  template <typename Function> void forEachTap(llvm::ArrayRef<int64_t> out, Function function) const {
    forEachIndex(kernel, [&](llvm::ArrayRef<int64_t> tap) {
      int64_t flat = 0;
      for (size_t dim = 0; dim < input.size(); ++dim) {
        int64_t at = out[dim] * strides[dim] - low[dim] + tap[dim] * dilations[dim];
        if (at < 0 || at >= input[dim])
          return;
        flat = flat * input[dim] + at;
      }
      function(flat);
    });
  }
};
} // namespace

template <typename T>
static void reduceWindows(const Windows &windows, ReduceKind kind, const Tensor &operand, Tensor &result) {
  Reducer<T> reducer{operand.elementType, kind};
  int64_t plane = elementCount(windows.input);
  std::vector<T> values(plane);
  for (int64_t at = 0, from = 0; at < result.size(); from += plane) {
    read(operand, from, plane, values.data());
    forEachIndex(windows.output, [&](llvm::ArrayRef<int64_t> out) {
      T accumulator = reducer.neutral();
      windows.forEachTap(out,
                         [&](int64_t flat) { accumulator = reducer.combine(accumulator, values[flat]); });
      write(result, at++, 1, &accumulator);
    });
  }
}

/// Of equal elements the first; NaN wins. -1 for a window without taps.
template <typename T>
static void locateMaxima(const Windows &windows, const Tensor &operand, Tensor &result) {
  int64_t plane = elementCount(windows.input);
  std::vector<T> values(plane);
  auto above = [&](T a, T b) {
    if constexpr (std::is_same_v<T, double>)
      return a > b || (std::isnan(a) && !std::isnan(b));
    else
      return orderKey(operand.elementType, a) > orderKey(operand.elementType, b);
  };
  for (int64_t at = 0, from = 0; at < result.size(); from += plane) {
    read(operand, from, plane, values.data());
    forEachIndex(windows.output, [&](llvm::ArrayRef<int64_t> out) {
      int64_t best = -1;
      windows.forEachTap(out, [&](int64_t flat) {
        if (best < 0 || above(values[flat], values[best]))
          best = flat;
      });
      result.setInteger(at++, best);
    });
  }
}

template <typename T>
static void runWindows(WindowKind kind, const Windows &windows, const Tensor &operand, Tensor &result) {
  if (kind == WindowKind::wargmax)
    return locateMaxima<T>(windows, operand, result);
  reduceWindows<T>(windows, kind == WindowKind::wmax ? ReduceKind::rmax : ReduceKind::sum, operand, result);
}

Outcome run(graph::WindowOp op, const Evaluation &e) {
  auto low = e.values(op.getLow());
  if (!low)
    return low.takeError();
  auto resultShape = e.resultShape();
  if (!resultShape)
    return resultShape.takeError();
  Tensor operand = e.operand(0);
  if (op.getChannelsLast()) {
    operand = withLastAt(operand, 1);
    std::rotate(resultShape->begin() + 1, resultShape->end() - 1, resultShape->end());
  }
  if (llvm::Error error =
          e.requireShape("the operand's batch and channels", llvm::ArrayRef(operand.shape).take_front(2),
                         llvm::ArrayRef(*resultShape).take_front(2)))
    return std::move(error);
  auto result = e.make(e.resultElement(), *resultShape);
  if (!result)
    return result;
  Windows windows{Shape(llvm::ArrayRef(operand.shape).drop_front(2)),
                  Shape(llvm::ArrayRef(*resultShape).drop_front(2)),
                  Shape(op.getKernel()),
                  Shape(op.getStrides()),
                  Shape(op.getDilations()),
                  *low};
  if (isFloat(operand.elementType))
    runWindows<double>(op.getKind(), windows, operand, *result);
  else
    runWindows<int64_t>(op.getKind(), windows, operand, *result);
  return op.getChannelsLast() ? withAxisLast(*result, 1) : *result;
}

} // namespace tilewright::interpreter
