/// Movement.cpp - ops that only move elements. They stream weights when artifacts are written, so copies run
/// over contiguous stretches.
#include "ir/interpreter/Evaluation.h"
#include <numeric>

using namespace mlir;

namespace tilewright::interpreter {

//===- Strided copies ------------------------------------------------------------------===//

namespace {
struct CopyDim {
  int64_t size, source, target;
};

/// Drop dimensions of size 1 and merge neighbours that both sides walk as one.
llvm::SmallVector<CopyDim, 6> mergedDims(const StridedCopy &copy) {
  llvm::SmallVector<CopyDim, 6> dims;
  for (auto [size, source, target] : llvm::zip_equal(copy.shape, copy.sourceStrides, copy.targetStrides)) {
    if (size == 1)
      continue;
    if (!dims.empty() && dims.back().source == source * size && dims.back().target == target * size)
      dims.back() = {dims.back().size * size, source, target};
    else
      dims.push_back({size, source, target});
  }
  return dims;
}

template <typename T> class Copier {
public:
  explicit Copier(llvm::SmallVector<CopyDim, 6> all) : dims(std::move(all)) {
    if (dims.empty())
      dims.push_back({1, 1, 1});
    if (dims.back().source == 1)
      return;
    // The source is contiguous along another dimension: make it the last but one, and walk the two in tiles.
    auto *contiguous = llvm::find_if(dims, [](const CopyDim &dim) { return dim.source == 1; });
    if (contiguous == dims.end())
      return;
    std::rotate(contiguous, contiguous + 1, dims.end() - 1);
    tiled = true;
  }

  void run(const T *source, T *target) const { walk(0, source, target); }

private:
  void walk(size_t level, const T *source, T *target) const {
    if (tiled && level + 2 == dims.size())
      return tiles(source, target);
    if (level + 1 == dims.size())
      return line(source, target);
    const CopyDim &dim = dims[level];
    for (int64_t i = 0; i < dim.size; ++i)
      walk(level + 1, source + i * dim.source, target + i * dim.target);
  }
  void line(const T *source, T *target) const {
    const CopyDim &dim = dims.back();
    if (dim.source == 1 && dim.target == 1)
      std::memcpy(target, source, size_t(dim.size) * sizeof(T));
    else
      stretch(source, target, dim.size);
  }
  void stretch(const T *source, T *target, int64_t count) const {
    int64_t sourceStride = dims.back().source, targetStride = dims.back().target;
    for (int64_t i = 0; i < count; ++i)
      std::memcpy(target + i * targetStride, source + i * sourceStride, sizeof(T));
  }
  void tiles(const T *source, T *target) const {
    constexpr int64_t tile = 32;
    const CopyDim &outer = dims[dims.size() - 2], &inner = dims.back();
    for (int64_t row = 0; row < outer.size; row += tile)
      for (int64_t column = 0; column < inner.size; column += tile)
        for (int64_t i = row, end = std::min(row + tile, outer.size); i < end; ++i)
          stretch(source + i * outer.source + column * inner.source,
                  target + i * outer.target + column * inner.target, std::min(tile, inner.size - column));
  }
  llvm::SmallVector<CopyDim, 6> dims;
  bool tiled = false;
};
} // namespace

template <typename T>
static void runCopy(const StridedCopy &copy, const std::byte *source, std::byte *target) {
  // Sources may be unaligned (weights lie anywhere in their file): every access is a memcpy.
  struct [[gnu::packed]] Unaligned {
    T value;
  };
  Copier<Unaligned>(mergedDims(copy))
      .run(reinterpret_cast<const Unaligned *>(source), reinterpret_cast<Unaligned *>(target));
}

void StridedCopy::run(const std::byte *source, std::byte *target) const {
  if (llvm::is_contained(shape, 0))
    return;
  switch (elementBytes) {
  case 1:
    return runCopy<uint8_t>(*this, source, target);
  case 2:
    return runCopy<uint16_t>(*this, source, target);
  case 4:
    return runCopy<uint32_t>(*this, source, target);
  default:
    return runCopy<uint64_t>(*this, source, target);
  }
}

//===- Broadcast, reshape, transpose ----------------------------------------------------===//

Outcome run(graph::BroadcastOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0);
  auto result = e.makeResult();
  if (!result)
    return result;
  Shape strides(result->rank(), 0), from = rowMajorStrides(operand.shape);
  for (auto [index, dim] : llvm::enumerate(op.getDims())) {
    int64_t size = operand.shape[index];
    if (size != 1 && size != result->shape[dim])
      return e.fail(Failure::ShapeMismatch, "dimension " + llvm::Twine(index) + " has size " +
                                                llvm::Twine(size) + " and cannot be broadcast to " +
                                                llvm::Twine(result->shape[dim]));
    strides[dim] = size == 1 ? 0 : from[index];
  }
  StridedCopy{result->shape, strides, rowMajorStrides(result->shape), storedBytes(operand.elementType)}.run(
      operand.data(), result->mutableData());
  return result;
}

Outcome run(graph::ReshapeOp op, const Evaluation &e) {
  auto shape = e.resultShape();
  if (!shape)
    return shape.takeError();
  int64_t count = elementCount(*shape);
  if (count != e.operand(0).size())
    return e.fail(Failure::Reshape, llvm::Twine(e.operand(0).size()) + " elements cannot be reshaped into " +
                                        llvm::Twine(count));
  return e.operand(0).reshaped(*shape);
}

static bool isIdentity(llvm::ArrayRef<int64_t> perm) {
  return llvm::all_of(llvm::enumerate(perm),
                      [](auto entry) { return int64_t(entry.index()) == entry.value(); });
}

Tensor transposed(const Tensor &tensor, llvm::ArrayRef<int64_t> perm) {
  if (isIdentity(perm))
    return tensor;
  Shape shape, strides, from = rowMajorStrides(tensor.shape);
  for (int64_t dim : perm) {
    shape.push_back(tensor.shape[dim]);
    strides.push_back(from[dim]);
  }
  Tensor result(tensor.elementType, shape);
  if (result.data())
    StridedCopy{shape, strides, rowMajorStrides(shape), storedBytes(tensor.elementType)}.run(
        tensor.data(), result.mutableData());
  return result;
}

Outcome run(graph::TransposeOp op, const Evaluation &e) {
  Tensor result = transposed(e.operand(0), op.getPerm());
  if (!result.data())
    return e.fail(Failure::Memory, "no memory to transpose " + e.operand(0).describe());
  return result;
}

static Shape axisLastPermutation(int64_t rank, int64_t axis) {
  Shape perm(rank);
  std::iota(perm.begin(), perm.end(), 0);
  std::rotate(perm.begin() + axis, perm.begin() + axis + 1, perm.end());
  return perm;
}

Tensor withAxisLast(const Tensor &tensor, int64_t axis) {
  return transposed(tensor, axisLastPermutation(tensor.rank(), axis));
}

Tensor withLastAt(const Tensor &tensor, int64_t axis) {
  Shape perm(tensor.rank());
  std::iota(perm.begin(), perm.end(), 0);
  std::rotate(perm.begin() + axis, perm.end() - 1, perm.end());
  return transposed(tensor, perm);
}

//===- Slice, concat, pad ------------------------------------------------------------------===//

Outcome run(graph::SliceOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0);
  auto starts = e.values(op.getStarts());
  if (!starts)
    return starts.takeError();
  auto shape = e.resultShape();
  if (!shape)
    return shape.takeError();
  if (llvm::is_contained(*shape, 0))
    return e.make(operand.elementType, *shape);
  Shape strides = rowMajorStrides(operand.shape);
  int64_t first = 0;
  for (int64_t dim = 0; dim < operand.rank(); ++dim) {
    int64_t start = (*starts)[dim], step = op.getSteps()[dim], last = start + step * ((*shape)[dim] - 1);
    if (std::min(start, last) < 0 || std::max(start, last) >= operand.shape[dim])
      return e.fail(Failure::Index, "the slice from " + llvm::Twine(start) + " to " + llvm::Twine(last) +
                                        " leaves dimension " + llvm::Twine(dim) + " of size " +
                                        llvm::Twine(operand.shape[dim]));
    first += start * strides[dim];
    strides[dim] *= step;
  }
  StridedCopy copy{*shape, strides, rowMajorStrides(*shape), storedBytes(operand.elementType)};
  auto contiguous = [&](int64_t dim) {
    return (*shape)[dim] == 1 || copy.sourceStrides[dim] == copy.targetStrides[dim];
  };
  if (llvm::all_of(llvm::seq(operand.rank()), contiguous))
    return operand.section(first, *shape);
  auto result = e.make(operand.elementType, *shape);
  if (result)
    copy.run(operand.data() + first * copy.elementBytes, result->mutableData());
  return result;
}

Outcome run(graph::ConcatOp op, const Evaluation &e) {
  auto result = e.makeResult();
  if (!result)
    return result;
  auto axis = static_cast<size_t>(op.getAxis());
  Shape strides = rowMajorStrides(result->shape);
  int64_t position = 0;
  for (const Tensor &operand : e.operands) {
    Shape expected = result->shape;
    expected[axis] = operand.shape[axis];
    if (llvm::Error error = e.requireShape("an operand", operand.shape, expected))
      return std::move(error);
    if (position + operand.shape[axis] > result->shape[axis])
      break;
    StridedCopy copy{operand.shape, rowMajorStrides(operand.shape), strides,
                     storedBytes(operand.elementType)};
    copy.run(operand.data(), result->mutableData() + position * strides[axis] * copy.elementBytes);
    position += operand.shape[axis];
  }
  int64_t total = 0;
  for (const Tensor &operand : e.operands)
    total += operand.shape[axis];
  if (total != result->shape[axis])
    return e.fail(Failure::ShapeMismatch, "the operands' sizes add up to " + llvm::Twine(total) +
                                              ", not to the result's " + llvm::Twine(result->shape[axis]));
  return result;
}

static void fill(Tensor &tensor, const std::byte *element) {
  unsigned step = storedBytes(tensor.elementType);
  if (std::all_of(element, element + step, [](std::byte byte) { return byte == std::byte(0); }))
    return; // new tensors are zero
  for (int64_t i = 0, count = tensor.size(); i < count; ++i)
    std::memcpy(tensor.mutableData() + i * step, element, step);
}

/// The part of the operand that lies inside the result, in a result full of `value`.
static Tensor padWithConstant(const Tensor &operand, const Tensor &value, llvm::ArrayRef<int64_t> low,
                              Tensor result) {
  fill(result, value.data());
  Shape shape, from = rowMajorStrides(operand.shape), to = rowMajorStrides(result.shape);
  int64_t source = 0, target = 0;
  for (int64_t dim = 0; dim < operand.rank(); ++dim) {
    int64_t first = std::max<int64_t>(0, -low[dim]);
    int64_t last = std::min(operand.shape[dim], result.shape[dim] - low[dim]);
    shape.push_back(std::max<int64_t>(0, last - first));
    source += first * from[dim];
    target += (first + low[dim]) * to[dim];
  }
  unsigned bytes = storedBytes(operand.elementType);
  if (!llvm::is_contained(shape, 0))
    StridedCopy{shape, from, to, bytes}.run(operand.data() + source * bytes,
                                            result.mutableData() + target * bytes);
  return result;
}

/// Where position `at` (may be outside) of an axis of `size` elements takes its value from.
static int64_t paddedPosition(graph::PadMode mode, int64_t at, int64_t size) {
  auto wrapped = [](int64_t value, int64_t period) { return (value % period + period) % period; };
  if (mode == graph::PadMode::edge)
    return std::clamp<int64_t>(at, 0, size - 1);
  if (mode == graph::PadMode::wrap)
    return wrapped(at, size);
  if (size == 1)
    return 0;
  int64_t period = 2 * (size - 1);
  at = wrapped(at, period);
  return at < size ? at : period - at;
}

/// One axis of a pad in mode edge, reflect or wrap.
static Tensor padAxis(const Tensor &operand, int64_t axis, int64_t low, int64_t newSize,
                      graph::PadMode mode) {
  Shape shape = operand.shape;
  shape[axis] = newSize;
  Tensor result(operand.elementType, shape);
  if (!result.data())
    return result;
  int64_t size = operand.shape[axis];
  llvm::ArrayRef<int64_t> all = operand.shape;
  size_t run = size_t(elementCount(all.drop_front(axis + 1))) * storedBytes(operand.elementType);
  std::byte *target = result.mutableData();
  for (int64_t outer = 0, count = elementCount(all.take_front(axis)); outer < count; ++outer)
    for (int64_t i = 0; i < newSize; ++i, target += run)
      std::memcpy(target, operand.data() + size_t(outer * size + paddedPosition(mode, i - low, size)) * run,
                  run);
  return result;
}

Outcome run(graph::PadOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0);
  auto low = e.values(op.getLow());
  if (!low)
    return low.takeError();
  auto shape = e.resultShape();
  if (!shape)
    return shape.takeError();
  graph::PadMode mode = op.getMode();
  if (mode == graph::PadMode::constant) {
    auto result = e.make(operand.elementType, *shape);
    return result ? Outcome(padWithConstant(operand, e.operand(1), *low, *result)) : result.takeError();
  }
  Tensor result = operand;
  for (int64_t axis = 0; axis < operand.rank(); ++axis) {
    int64_t size = operand.shape[axis], before = (*low)[axis], after = (*shape)[axis] - before - size;
    if (before == 0 && after == 0)
      continue;
    if (size == 0 || (mode == graph::PadMode::reflect && std::max(before, after) >= size))
      return e.fail(Failure::ShapeMismatch, "dimension " + llvm::Twine(axis) + " of size " +
                                                llvm::Twine(size) + " is too small to be padded by " +
                                                llvm::Twine(std::max(before, after)));
    result = padAxis(result, axis, before, (*shape)[axis], mode);
    if (!result.data())
      return e.fail(Failure::Memory, "no memory to pad " + operand.describe());
  }
  return result;
}

} // namespace tilewright::interpreter
