// See Digits.h.
#include "passes/Digits.h"
#include "ir/Symbols.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::passes {
namespace {

ArrayRef<int64_t> shapeOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()).getShape(); }

SmallVector<int64_t> stridesOf(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;)
    strides[d - 1] = strides[d] * shape[d];
  return strides;
}

/// A digit within one dimension; its stride counts elements of that dimension.
struct Placed {
  int64_t dim;
  Digit digit;
};

/// Digits of row-major positions, cut so that each lies in one dimension of `shape`.
std::optional<SmallVector<Placed>> placed(const Digits &digits, ArrayRef<int64_t> shape) {
  const SmallVector<int64_t> strides = stridesOf(shape);
  SmallVector<Placed> result;
  for (Digit digit : digits)
    for (size_t d = shape.size(); d-- > 0 && digit.extent > 1;) {
      const int64_t end = strides[d] * shape[d];
      if (digit.stride >= end)
        continue;
      if (digit.stride < strides[d] || digit.stride % strides[d] != 0)
        return std::nullopt;
      Digit inner = digit;
      inner.stride = digit.stride / strides[d];
      if (digit.stride * digit.extent > end) {
        if (end % digit.stride != 0)
          return std::nullopt;
        inner.extent = end / digit.stride;
      }
      result.push_back({int64_t(d), inner});
      digit = {digit.source, digit.divisor * inner.extent,
               int64_t(llvm::divideCeil(digit.extent, inner.extent)), end};
    }
  return result;
}

Digits linear(ArrayRef<Placed> parts, ArrayRef<int64_t> shape) {
  const SmallVector<int64_t> strides = stridesOf(shape);
  Digits digits;
  for (auto [dim, digit] : parts) {
    digit.stride *= strides[dim];
    digits.push_back(digit);
  }
  llvm::sort(digits, [](const Digit &a, const Digit &b) { return a.stride > b.stride; });
  return digits;
}

bool keepsIndex(SliceOp slice, int64_t dim) {
  return constantOf(slice.getStarts().getResult(dim)) == 0 && slice.getSteps()[dim] == 1;
}

} // namespace

std::optional<Digits> throughMovement(Operation *op, const Digits &digits) {
  if (isa<ReshapeOp>(op))
    return digits;
  auto parts = placed(digits, shapeOf(op->getResult(0)));
  if (!parts)
    return std::nullopt;
  const ArrayRef<int64_t> operand = shapeOf(op->getOperand(0));
  if (auto slice = dyn_cast<SliceOp>(op)) {
    for (Placed &part : *parts)
      if (!keepsIndex(slice, part.dim))
        part.digit.source = Digit::unknown;
  } else if (auto transpose = dyn_cast<TransposeOp>(op)) {
    for (Placed &part : *parts)
      part.dim = transpose.getPerm()[part.dim];
  } else if (auto repeat = dyn_cast<BroadcastOp>(op)) {
    SmallVector<Placed> kept;
    for (Placed &part : *parts)
      if (auto *at = llvm::find(repeat.getDims(), part.dim);
          at != repeat.getDims().end() && operand[at - repeat.getDims().begin()] != 1)
        kept.push_back({at - repeat.getDims().begin(), part.digit});
    parts = std::move(kept);
  } else {
    return std::nullopt;
  }
  return linear(*parts, operand);
}

} // namespace tilewright::passes
