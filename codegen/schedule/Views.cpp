//===- Views.cpp - tensor values as strided memory ------------------------===//
#include "codegen/schedule/Views.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

bool isOne(AffineExpr size) { return constantOf(size) == std::optional<int64_t>(1); }

/// The stride of the linear index over dimensions of these sizes and strides.
std::optional<AffineExpr> collapse(ArrayRef<AffineExpr> sizes, ArrayRef<AffineExpr> strides,
                                   MLIRContext *context) {
  AffineExpr inner, next; // the fastest stride, and the one that the next dimension must have
  for (size_t i = sizes.size(); i-- > 0;) {
    if (isOne(sizes[i]))
      continue;
    if (!inner)
      inner = strides[i];
    else if (!provablyEqual(strides[i], next))
      return std::nullopt;
    next = product(strides[i], sizes[i]);
  }
  return inner ? inner : constantDim(context, 0);
}

StridedView argumentView(Value argument) {
  MLIRContext *context = argument.getContext();
  StridedView view{argument, constantDim(context, 0), {}};
  Dims sizes = dimsOf(argument);
  view.strides.resize(sizes.size());
  AffineExpr stride = constantDim(context, 1);
  for (size_t i = sizes.size(); i-- > 0;) {
    view.strides[i] = stride;
    stride = canonical(stride * sizes[i]);
  }
  return view;
}

/// Cuts both shapes of a reshape into groups of equal products and gives the result's dimensions the strides
/// of their group. Fails where a group is not contiguous.
class ReshapeStrides {
public:
  ReshapeStrides(ArrayRef<AffineExpr> from, ArrayRef<AffineExpr> fromStrides, ArrayRef<AffineExpr> to)
      : from(from), fromStrides(fromStrides), to(to), strides(to.size()) {}

  bool solve(MLIRContext *context) {
    const AffineExpr one = constantDim(context, 1);
    size_t i = 0, j = 0;
    while (i < from.size() || j < to.size()) {
      const size_t firstFrom = i, firstTo = j;
      AffineExpr p = i < from.size() ? from[i++] : one, q = j < to.size() ? to[j++] : one;
      while (!provablyEqual(p, q))
        if (!grow(p, q, i, j))
          return false;
      if (!close(firstFrom, i, firstTo, j, context))
        return false;
    }
    return true;
  }
  ArrayRef<AffineExpr> result() const { return strides; }

private:
  ArrayRef<AffineExpr> from, fromStrides, to;
  Dims strides;

  bool grow(AffineExpr &p, AffineExpr &q, size_t &i, size_t &j) {
    const bool growRight = divideExactly(p, q).has_value() && j < to.size();
    if (growRight)
      q = canonical(q * to[j++]);
    else if (i < from.size() && (divideExactly(q, p) || j == to.size()))
      p = canonical(p * from[i++]);
    else
      return growStatic(p, q, i, j);
    return true;
  }
  /// Neither side divides the other ([6, 4] to [4, 6]): the smaller one grows, if sizes are known.
  bool growStatic(AffineExpr &p, AffineExpr &q, size_t &i, size_t &j) {
    auto x = constantOf(p), y = constantOf(q);
    if (!x || !y)
      return false;
    if (*x < *y && i < from.size())
      p = canonical(p * from[i++]);
    else if (*y < *x && j < to.size())
      q = canonical(q * to[j++]);
    else
      return false;
    return true;
  }
  bool close(size_t firstFrom, size_t endFrom, size_t firstTo, size_t endTo, MLIRContext *context) {
    const size_t count = endFrom - firstFrom;
    auto stride = collapse(from.slice(firstFrom, count), fromStrides.slice(firstFrom, count), context);
    if (!stride)
      return false;
    AffineExpr next = *stride;
    for (size_t j = endTo; j-- > firstTo;) {
      strides[j] = next;
      next = canonical(next * to[j]);
    }
    return true;
  }
};

std::optional<StridedView> viewOfReshape(ReshapeOp op) {
  auto view = viewOf(op.getOperand());
  if (!view)
    return std::nullopt;
  const Dims from = dimsOf(op.getOperand()), to = dimsOf(op.getResult());
  ReshapeStrides solver(from, view->strides, to);
  if (!solver.solve(op.getContext()))
    return std::nullopt;
  view->strides.assign(solver.result().begin(), solver.result().end());
  return view;
}

std::optional<StridedView> viewOfBroadcast(BroadcastOp op) {
  auto view = viewOf(op.getOperand());
  if (!view)
    return std::nullopt;
  const Dims from = dimsOf(op.getOperand()), to = dimsOf(op.getResult());
  Dims strides(to.size(), constantDim(op.getContext(), 0));
  for (auto [i, dim] : llvm::enumerate(op.getDims())) {
    if (op.getExact() || provablyEqual(from[i], to[dim]))
      strides[dim] = view->strides[i];
    else if (!isOne(from[i]))
      return std::nullopt; // repeated or not: known when it runs
  }
  view->strides = strides;
  return view;
}

std::optional<StridedView> viewOfSlice(SliceOp op) {
  auto view = viewOf(op.getOperand());
  if (!view)
    return std::nullopt;
  for (auto [i, start] : llvm::enumerate(op.getStarts().getResults())) {
    view->offset = view->offset + product(start, view->strides[i]);
    view->strides[i] = canonical(view->strides[i] * op.getSteps()[i]);
  }
  return view;
}

} // namespace

std::optional<StridedView> viewOf(Value value) {
  if (llvm::isa<BlockArgument>(value))
    return argumentView(value);
  Operation *op = value.getDefiningOp();
  if (auto transpose = dyn_cast<TransposeOp>(op)) {
    auto view = viewOf(transpose.getOperand());
    if (!view)
      return std::nullopt;
    Dims strides;
    for (int64_t dim : transpose.getPerm())
      strides.push_back(view->strides[dim]);
    view->strides = strides;
    return view;
  }
  if (auto reshape = dyn_cast<ReshapeOp>(op))
    return viewOfReshape(reshape);
  if (auto broadcast = dyn_cast<BroadcastOp>(op))
    return viewOfBroadcast(broadcast);
  if (auto slice = dyn_cast<SliceOp>(op))
    return viewOfSlice(slice);
  return std::nullopt;
}

DimGroup::DimGroup(Value value, ArrayRef<int64_t> dims) : dims(dims) {
  const Dims all = dimsOf(value);
  for (int64_t dim : dims)
    sizes.push_back(all[dim]);
}

std::optional<AffineExpr> strideOf(const StridedView &view, const DimGroup &group) {
  Dims strides;
  for (int64_t dim : group.dims)
    strides.push_back(view.strides[dim]);
  return collapse(group.sizes, strides, view.argument.getContext());
}

Dims withoutOnes(ArrayRef<AffineExpr> dims) {
  Dims result(dims);
  llvm::erase_if(result, [](AffineExpr dim) { return tilewright::constantOf(dim) == 1; });
  return result;
}

} // namespace tilewright::codegen
