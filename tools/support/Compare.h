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
/// equal. Else one line that says how many elements differ and shows the worst.
std::optional<std::string> findDifference(const Tensor &got, const Tensor &want, const Tolerance &tolerance);

} // namespace tilewright::tools
