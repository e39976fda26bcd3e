/// Spatial.cpp - see Spatial.h.
#include "frontend/ops/Spatial.h"

using namespace mlir;
namespace tilewright::frontend {

bool Spatial::padded() const {
  auto isZero = [](AffineExpr pad) { return constantOf(pad) == 0; };
  return !llvm::all_of(low, isZero) || !llvm::all_of(high, isZero);
}

Dims spatialDims(Value x) {
  Dims shape = dimsOf(x);
  return Dims(shape.begin() + 2, shape.end());
}

AffineExpr windowExtent(const Spatial &s, size_t dim) {
  return (AffineExpr(s.kernel[dim]) - 1) * s.dilations[dim] + 1;
}

std::optional<SmallVector<int64_t>> spatialInts(NodeImporter &n, llvm::StringRef name, size_t count,
                                                int64_t fallback) {
  std::optional<SmallVector<int64_t>> values = n.intsAttr(name);
  if (!values || values->empty())
    return SmallVector<int64_t>(count, fallback);
  if (values->size() == count)
    return values;
  n.fail("TW1205", "attribute '" + name + "' has " + llvm::Twine(values->size()) +
                       " entries; the tensor's rank asks for " + llvm::Twine(count));
  return std::nullopt;
}

/// SAME pads: as many as make ceil(input / stride) windows, the odd one at the end (upper) or in front
/// (lower).
static void padSame(NodeImporter &n, Spatial &s, bool upper) {
  for (size_t i = 0; i < s.input.size(); ++i) {
    AffineExpr windows = (s.input[i] + (s.strides[i] - 1)).floorDiv(s.strides[i]);
    AffineExpr wanted = canonical((windows - 1) * s.strides[i] + windowExtent(s, i) - s.input[i]);
    AffineExpr total = n.symbols.maximum(wanted, n.dim(0));
    AffineExpr half = total.floorDiv(2);
    s.low.push_back(canonical(upper ? half : total - half));
    s.high.push_back(canonical(total - s.low.back()));
  }
}

static bool addPads(NodeImporter &n, Spatial &s) {
  std::string mode = n.stringAttr("auto_pad", "NOTSET");
  size_t count = s.input.size();
  if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    padSame(n, s, mode == "SAME_UPPER");
    return true;
  }
  std::optional<SmallVector<int64_t>> pads = spatialInts(n, "pads", 2 * count, 0);
  if (!pads)
    return false;
  if (mode == "VALID")
    pads->assign(2 * count, 0);
  else if (mode != "NOTSET" && !mode.empty()) {
    n.fail("TW1205", "auto_pad is '" + mode + "'; it must be NOTSET, SAME_UPPER, SAME_LOWER or VALID");
    return false;
  }
  for (size_t i = 0; i < count; ++i) {
    s.low.push_back(n.dim((*pads)[i]));
    s.high.push_back(n.dim((*pads)[count + i]));
  }
  return true;
}

std::optional<Spatial> spatialAttributes(NodeImporter &n, ArrayRef<AffineExpr> input,
                                         ArrayRef<AffineExpr> kernel) {
  Spatial s;
  s.input.assign(input.begin(), input.end());
  std::optional<SmallVector<int64_t>> shape = n.intsAttr("kernel_shape");
  if (!kernel.empty())
    s.kernel.assign(kernel.begin(), kernel.end());
  else if (shape)
    s.kernel = n.dims(ArrayRef<int64_t>(*shape));
  if (s.kernel.size() != input.size() || (shape && !shape->empty() && shape->size() != input.size())) {
    n.fail("TW1205", "kernel_shape has " + llvm::Twine(shape ? shape->size() : s.kernel.size()) +
                         " entries; the tensor has " + llvm::Twine(input.size()) + " spatial dimensions");
    return std::nullopt;
  }
  for (size_t i = 0; shape && i < shape->size() && !kernel.empty(); ++i)
    if (!n.requireEqual(n.dim((*shape)[i]), kernel[i], "kernel_shape and the weights"))
      return std::nullopt;
  std::optional<SmallVector<int64_t>> strides = spatialInts(n, "strides", input.size(), 1);
  std::optional<SmallVector<int64_t>> dilations = spatialInts(n, "dilations", input.size(), 1);
  if (!strides || !dilations)
    return std::nullopt;
  s.strides = *strides, s.dilations = *dilations;
  for (size_t i = 0; i < input.size(); ++i)
    if (s.strides[i] < 1 || s.dilations[i] < 1 || constantOf(s.kernel[i]).value_or(1) < 1) {
      n.fail("TW1205", "kernel sizes, strides and dilations must be positive");
      return std::nullopt;
    }
  constexpr int64_t longest = int64_t(1) << 48; // no tensor is as long: there is one window, or none
  for (int64_t &stride : s.strides)
    stride = std::min(stride, longest);
  for (AffineExpr size : s.kernel)
    if (!n.requireAtLeast(size, n.dim(1), "the kernel's size"))
      return std::nullopt;
  if (!addPads(n, s))
    return std::nullopt;
  return s;
}

std::optional<Dims> outputSizes(NodeImporter &n, const Spatial &s, bool ceil) {
  Dims result;
  for (size_t i = 0; i < s.input.size(); ++i) {
    AffineExpr span = sum({s.input[i], s.low[i], s.high[i]}, n.b.getContext()) - windowExtent(s, i);
    AffineExpr size = canonical((ceil ? span + (s.strides[i] - 1) : span).floorDiv(s.strides[i]) + 1);
    if (ceil) // windows that would begin in the padding at the end are dropped
      size = n.symbols.minimum(size, (sum(s.input[i], s.low[i]) - 1).floorDiv(s.strides[i]) + 1);
    if (!n.requireAtMost(windowExtent(s, i), sum({s.input[i], s.low[i], s.high[i]}, n.b.getContext()),
                         "the window's extent and the padded input in spatial dimension " + llvm::Twine(i)))
      return std::nullopt;
    result.push_back(size);
  }
  return result;
}

std::optional<SmallVector<int64_t>> constantKernel(NodeImporter &n, const Spatial &s) {
  SmallVector<int64_t> sizes;
  for (AffineExpr size : s.kernel)
    if (std::optional<int64_t> known = constantOf(size)) {
      sizes.push_back(*known);
    } else {
      n.unsupported("TW2006", "the kernel's size must be known when the model is compiled");
      return std::nullopt;
    }
  return sizes;
}

bool requireConvolution(NodeImporter &n, Value &x, Value w, int64_t groups) {
  if (!requireRank(n, x, 3, INT64_MAX, "the input") ||
      !requireRank(n, w, GraphBuilder::rank(x), GraphBuilder::rank(x), "the weight"))
    return false;
  std::optional<int64_t> outputs = constantOf(dimsOf(w)[0]);
  if (groups < 1 || (outputs && *outputs % groups)) {
    n.fail("TW1205",
           "group is " + llvm::Twine(groups) + "; it must be positive and divide the output channels");
    return false;
  }
  AffineExpr channels = canonical(dimsOf(w)[1] * groups);
  if (!n.requireEqual(dimsOf(x)[1], channels, "the input's channels and the weight's"))
    return false;
  x = withSize(n, x, 1, channels);
  return true;
}

} // namespace tilewright::frontend
