/// Compare.h - are these results the expected ones?
#pragma once

#include "Tensor.h"

namespace tilewright::tools {

struct Tolerance {
  double relative = 1e-3;
  double absolute = 1e-7;
};

/// Nothing when `got` is `want`: same type and shape; floating-point and complex elements within
/// |got - want| <= absolute + relative * |want|, with NaNs and infinities in the same places; all others
/// equal. No tolerance is finer than float32, float16 and bfloat16 are: a difference of one unit in the last
/// place of the largest expected element is allowed as well. (ONNX's cases give 0.001 for bfloat16, a quarter
/// of such a unit, where the expected values were summed with every partial sum rounded; and 1e-7 around
/// zeros that cancellation in float32 left at 2e-7.) Else one line that says how many elements differ and
/// shows the worst.
std::optional<std::string> findDifference(const Tensor &got, const Tensor &want, const Tolerance &tolerance);

} // namespace tilewright::tools
