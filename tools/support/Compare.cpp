#include "Compare.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <fmt/format.h>
#include <limits>

namespace tilewright::tools {

namespace {

/// Elements that differ, and the one that differs most.
struct Differences {
  size_t count = 0, worst = 0;
  double error = -1;
  void add(size_t index, double size) {
    ++count;
    if (size > error) {
      error = size;
      worst = index;
    }
  }
};

} // namespace

/// How far `got` is from `want` beyond what is allowed; nothing when it is close enough.
static std::optional<double> excess(double got, double want, const Tolerance &tolerance) {
  if (std::isnan(got) || std::isnan(want))
    return std::isnan(got) == std::isnan(want) ? std::nullopt
                                               : std::optional(std::numeric_limits<double>::infinity());
  if (got == want)
    return std::nullopt;
  if (std::isinf(got) || std::isinf(want))
    return std::numeric_limits<double>::infinity();
  double error = std::fabs(got - want);
  return error <= tolerance.absolute + tolerance.relative * std::fabs(want) ? std::nullopt
                                                                            : std::optional(error);
}

static std::complex<double> complexElement(const Tensor &tensor, size_t index) {
  tw_dtype part = tensor.dtype == TW_C64 ? TW_F32 : TW_F64;
  const std::byte *elements = tensor.bytes.view.data();
  return {elementAsDouble(part, elements, 2 * index), elementAsDouble(part, elements, 2 * index + 1)};
}

static std::optional<double> complexExcess(std::complex<double> got, std::complex<double> want,
                                           const Tolerance &tolerance) {
  auto finite = [](std::complex<double> z) { return std::isfinite(z.real()) && std::isfinite(z.imag()); };
  if (!finite(got) || !finite(want)) {
    // Each part must then agree by itself.
    auto real = excess(got.real(), want.real(), tolerance);
    return real ? real : excess(got.imag(), want.imag(), tolerance);
  }
  double error = std::abs(got - want);
  return error <= tolerance.absolute + tolerance.relative * std::abs(want) ? std::nullopt
                                                                           : std::optional(error);
}

static Differences compareElements(const Tensor &got, const Tensor &want, const Tolerance &tolerance) {
  Differences differences;
  size_t count = want.elementCount(), bytes = tw_dtype_bytes(want.dtype);
  const std::byte *g = got.bytes.view.data(), *w = want.bytes.view.data();
  bool real = isFloat(want.dtype), complex = isComplex(want.dtype);
  for (size_t i = 0; i < count; ++i) {
    if (real) {
      if (auto size = excess(elementAsDouble(got.dtype, g, i), elementAsDouble(want.dtype, w, i), tolerance))
        differences.add(i, *size);
    } else if (complex) {
      if (auto size = complexExcess(complexElement(got, i), complexElement(want, i), tolerance))
        differences.add(i, *size);
    } else if (want.dtype == TW_STRING) {
      if (got.strings[i] != want.strings[i])
        differences.add(i, 0);
    } else if (std::memcmp(g + i * bytes, w + i * bytes, bytes) != 0) {
      differences.add(i, std::fabs(elementAsDouble(got.dtype, g, i) - elementAsDouble(want.dtype, w, i)));
    }
  }
  return differences;
}

/// The coordinates of element `index`: "[1,0,3]".
static std::string position(size_t index, const std::vector<int64_t> &shape) {
  std::vector<size_t> coordinates(shape.size());
  for (size_t axis = shape.size(); axis-- > 0;) {
    coordinates[axis] = index % static_cast<size_t>(shape[axis]);
    index /= static_cast<size_t>(shape[axis]);
  }
  return fmt::format("[{}]", fmt::join(coordinates, ","));
}

std::optional<std::string> findDifference(const Tensor &got, const Tensor &want, const Tolerance &tolerance) {
  if (got.dtype != want.dtype || got.shape != want.shape)
    return fmt::format("{} where {} is expected", typeText(got.dtype, got.shape),
                       typeText(want.dtype, want.shape));
  Differences differences = compareElements(got, want, tolerance);
  if (!differences.count)
    return std::nullopt;
  std::string text =
      fmt::format("{} of {} elements differ; at {}: {} where {} is expected", differences.count,
                  want.elementCount(), position(differences.worst, want.shape),
                  elementText(got, differences.worst), elementText(want, differences.worst));
  if (isFloat(want.dtype) || isComplex(want.dtype))
    text += fmt::format(" (rtol {:g}, atol {:g})", tolerance.relative, tolerance.absolute);
  return text;
}

} // namespace tilewright::tools
