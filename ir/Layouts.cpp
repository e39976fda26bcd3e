#include "ir/Layouts.h"
#include "ir/Symbols.h"
#include <numeric>

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::kernel {
namespace {

/// The shape after a step; nothing where the step does not fit.
std::optional<SmallVector<int64_t>> shapeAfter(LayoutStepAttr step, ArrayRef<int64_t> shape) {
  ArrayRef<int64_t> numbers = step.getNumbers();
  if (step.getKind() == "reshape") {
    auto count = [](ArrayRef<int64_t> sizes) {
      return std::accumulate(sizes.begin(), sizes.end(), int64_t(1), std::multiplies<>());
    };
    return count(numbers) == count(shape) ? std::optional(llvm::to_vector(numbers)) : std::nullopt;
  }
  if (numbers.size() != shape.size())
    return std::nullopt;
  SmallVector<int64_t> result;
  for (auto [i, number] : llvm::enumerate(numbers))
    result.push_back(step.getKind() == "pad" ? shape[i] + number : shape[number]);
  return result;
}

} // namespace

RankedTensorType LayoutAttr::storedType(RankedTensorType logical) const {
  if (!logical.hasStaticShape())
    return {};
  SmallVector<int64_t> shape(logical.getShape());
  for (LayoutStepAttr step : getSteps()) {
    auto next = shapeAfter(step, shape);
    if (!next)
      return {};
    shape = std::move(*next);
  }
  return RankedTensorType::get(shape, logical.getElementType());
}

LayoutRecipe::LayoutRecipe(RankedTensorType logical)
    : context(logical.getContext()), shape(logical.getShape()) {}

void LayoutRecipe::step(llvm::StringRef kind, ArrayRef<int64_t> numbers) {
  auto step =
      LayoutStepAttr::get(context, StringAttr::get(context, kind), DenseI64ArrayAttr::get(context, numbers));
  shape = *shapeAfter(step, shape);
  steps.push_back(step);
}

LayoutRecipe &LayoutRecipe::transpose(ArrayRef<int64_t> permutation) {
  if (!llvm::equal(permutation, llvm::seq<int64_t>(0, permutation.size())))
    step("transpose", permutation);
  return *this;
}

LayoutRecipe &LayoutRecipe::pad(ArrayRef<int64_t> behind) {
  if (llvm::any_of(behind, [](int64_t count) { return count != 0; }))
    step("pad", behind);
  return *this;
}

LayoutRecipe &LayoutRecipe::reshape(ArrayRef<int64_t> to) {
  if (to != ArrayRef(shape))
    step("reshape", to);
  return *this;
}

LayoutAttr LayoutRecipe::get() const {
  return steps.empty() ? LayoutAttr() : LayoutAttr::get(context, steps);
}

Value applyLayout(GraphBuilder &g, Value logical, LayoutAttr layout) {
  if (!layout)
    return logical;
  Value x = logical;
  for (LayoutStepAttr step : layout.getSteps()) {
    ArrayRef<int64_t> numbers = step.getNumbers();
    if (step.getKind() == "transpose")
      x = g.transpose(x, numbers);
    else if (step.getKind() == "reshape")
      x = g.reshape(x, g.dims(numbers));
    else
      x = g.pad(x, g.dims(SmallVector<int64_t>(numbers.size(), 0)), g.dims(numbers), graph::PadMode::constant,
                g.like(x, 0));
  }
  return x;
}

RankedTensorType storedType(FuncOp kernel, unsigned argument) {
  auto logical = llvm::cast<RankedTensorType>(kernel.getBody().getArgument(argument).getType());
  LayoutAttr layout = kernel.layoutOf(argument);
  return layout ? layout.storedType(logical) : logical;
}

} // namespace tilewright::kernel
