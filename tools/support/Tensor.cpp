#include "Tensor.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <limits>

namespace tilewright::tools {

size_t Tensor::elementCount() const {
  size_t count = 1;
  for (int64_t dim : shape)
    count *= static_cast<size_t>(dim);
  return count;
}

std::optional<size_t> checkedElementCount(const std::vector<int64_t> &shape, size_t elementBytes) {
  uint64_t limit = (uint64_t{1} << 62) / std::max<size_t>(elementBytes, 1), product = 1;
  bool empty = false;
  for (int64_t dim : shape) {
    if (dim < 0)
      return std::nullopt;
    if (dim == 0) {
      empty = true;
      continue;
    }
    if (static_cast<uint64_t>(dim) > limit / product)
      return std::nullopt;
    product *= static_cast<uint64_t>(dim);
  }
  return empty ? 0 : product;
}

std::string typeText(tw_dtype dtype, const std::vector<int64_t> &shape) {
  return fmt::format("{}[{}]", tw_dtype_name(dtype), fmt::join(shape, ","));
}

bool isFloat(tw_dtype dtype) {
  switch (dtype) {
  case TW_F32:
  case TW_F64:
  case TW_F16:
  case TW_BF16:
  case TW_F8E4M3FN:
  case TW_F8E4M3FNUZ:
  case TW_F8E5M2:
  case TW_F8E5M2FNUZ:
  case TW_F8E8M0:
  case TW_F4E2M1:
    return true;
  default:
    return false;
  }
}

bool isComplex(tw_dtype dtype) { return dtype == TW_C64 || dtype == TW_C128; }

tw_dtype carrierOf(tw_dtype dtype) {
  switch (dtype) {
  case TW_BF16:
    return TW_U16;
  case TW_F8E4M3FN:
  case TW_F8E4M3FNUZ:
  case TW_F8E5M2:
  case TW_F8E5M2FNUZ:
  case TW_F8E8M0:
  case TW_F4E2M1:
  case TW_U4:
  case TW_U2:
    return TW_U8;
  case TW_I4:
  case TW_I2:
    return TW_I8;
  default:
    return dtype;
  }
}

template <typename T> static T load(const std::byte *elements, size_t index) {
  T value;
  std::memcpy(&value, elements + index * sizeof(T), sizeof(T));
  return value;
}

namespace {

/// What the largest exponent of a small float means.
enum class Specials {
  Ieee,     ///< infinities and NaNs
  AllOnes,  ///< NaN only where all other bits are set too
  MinusZero ///< NaN is what would be -0
};

struct SmallFloat {
  int exponentBits, mantissaBits, bias;
  Specials specials;
};

} // namespace

static double decodeSmallFloat(uint32_t bits, SmallFloat format) {
  uint32_t mantissaMask = (1u << format.mantissaBits) - 1, exponentMask = (1u << format.exponentBits) - 1;
  uint32_t mantissa = bits & mantissaMask, exponent = bits >> format.mantissaBits & exponentMask;
  uint32_t sign = bits >> (format.mantissaBits + format.exponentBits) & 1;
  double nan = std::numeric_limits<double>::quiet_NaN();
  if (format.specials == Specials::MinusZero && sign && !exponent && !mantissa)
    return nan;
  if (format.specials == Specials::AllOnes && exponent == exponentMask && mantissa == mantissaMask)
    return nan;
  double value;
  if (format.specials == Specials::Ieee && exponent == exponentMask)
    value = mantissa ? nan : std::numeric_limits<double>::infinity();
  else if (exponent == 0)
    value = std::ldexp(mantissa, 1 - format.bias - format.mantissaBits);
  else
    value = std::ldexp(mantissa | (mantissaMask + 1),
                       static_cast<int>(exponent) - format.bias - format.mantissaBits);
  return sign ? -value : value;
}

static double decodeFloat4(uint32_t bits) {
  static constexpr double values[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  return bits & 8 ? -values[bits & 7] : values[bits & 7];
}

static double decodeByteFloat(tw_dtype dtype, uint8_t bits) {
  switch (dtype) {
  case TW_F8E4M3FN:
    return decodeSmallFloat(bits, {4, 3, 7, Specials::AllOnes});
  case TW_F8E4M3FNUZ:
    return decodeSmallFloat(bits, {4, 3, 8, Specials::MinusZero});
  case TW_F8E5M2:
    return decodeSmallFloat(bits, {5, 2, 15, Specials::Ieee});
  case TW_F8E5M2FNUZ:
    return decodeSmallFloat(bits, {5, 2, 16, Specials::MinusZero});
  case TW_F8E8M0:
    return bits == 0xff ? std::numeric_limits<double>::quiet_NaN() : std::ldexp(1.0, int{bits} - 127);
  default:
    return decodeFloat4(bits);
  }
}

double elementAsDouble(tw_dtype dtype, const std::byte *elements, size_t index) {
  switch (dtype) {
  case TW_F32:
    return load<float>(elements, index);
  case TW_F64:
    return load<double>(elements, index);
  case TW_F16:
    return decodeSmallFloat(load<uint16_t>(elements, index), {5, 10, 15, Specials::Ieee});
  case TW_BF16:
    return std::bit_cast<float>(uint32_t{load<uint16_t>(elements, index)} << 16);
  case TW_I8:
  case TW_I4:
  case TW_I2:
    return load<int8_t>(elements, index);
  case TW_U8:
  case TW_U4:
  case TW_U2:
  case TW_BOOL:
    return load<uint8_t>(elements, index);
  case TW_I16:
    return load<int16_t>(elements, index);
  case TW_U16:
    return load<uint16_t>(elements, index);
  case TW_I32:
    return load<int32_t>(elements, index);
  case TW_U32:
    return load<uint32_t>(elements, index);
  case TW_I64:
    return static_cast<double>(load<int64_t>(elements, index));
  case TW_U64:
    return static_cast<double>(load<uint64_t>(elements, index));
  default:
    return decodeByteFloat(dtype, load<uint8_t>(elements, index));
  }
}

/// Round a float to the nearest half, ties to even.
static uint16_t encodeHalf(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value), sign = bits >> 16 & 0x8000;
  float magnitude = std::fabs(value);
  if (std::isnan(value))
    return static_cast<uint16_t>(sign | 0x7e00);
  if (magnitude >= 65520.0f)
    return static_cast<uint16_t>(sign | 0x7c00);
  int exponent = std::max(-14, magnitude == 0 ? -14 : std::ilogb(magnitude));
  auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  // A normal number has its implicit bit in `steps`, which the subtraction takes away; a carry moves to the
  // exponent.
  return static_cast<uint16_t>(
      sign | (steps < 0x400 ? steps : ((static_cast<uint32_t>(exponent + 15) << 10) + steps - 0x400)));
}

static uint16_t encodeBfloat(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value))
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <typename T> static void put(std::byte *elements, size_t index, T value) {
  std::memcpy(elements + index * sizeof(T), &value, sizeof(T));
}

void storeElement(tw_dtype dtype, std::byte *elements, size_t index, double value) {
  switch (dtype) {
  case TW_F32:
    return put(elements, index, static_cast<float>(value));
  case TW_F64:
    return put(elements, index, value);
  case TW_F16:
    return put(elements, index, encodeHalf(static_cast<float>(value)));
  case TW_BF16:
    return put(elements, index, encodeBfloat(static_cast<float>(value)));
  case TW_I16:
    return put(elements, index, static_cast<int16_t>(value));
  case TW_U16:
    return put(elements, index, static_cast<uint16_t>(value));
  case TW_I32:
    return put(elements, index, static_cast<int32_t>(value));
  case TW_U32:
    return put(elements, index, static_cast<uint32_t>(value));
  case TW_I64:
    return put(elements, index, static_cast<int64_t>(value));
  case TW_U64:
    return put(elements, index, static_cast<uint64_t>(value));
  default:
    // bool and the integers of eight bits and fewer.
    return put(elements, index, static_cast<uint8_t>(static_cast<int64_t>(value)));
  }
}

std::string elementText(const Tensor &tensor, size_t index) {
  const std::byte *elements = tensor.bytes.view.data();
  switch (tensor.dtype) {
  case TW_STRING:
    return fmt::format("'{}'", tensor.strings[index]);
  case TW_BOOL:
    return load<uint8_t>(elements, index) ? "true" : "false";
  case TW_I64:
    return fmt::to_string(load<int64_t>(elements, index));
  case TW_U64:
    return fmt::to_string(load<uint64_t>(elements, index));
  case TW_C64:
    return fmt::format("{:.6g}{:+.6g}j", load<float>(elements, 2 * index),
                       load<float>(elements, 2 * index + 1));
  case TW_C128:
    return fmt::format("{:.6g}{:+.6g}j", load<double>(elements, 2 * index),
                       load<double>(elements, 2 * index + 1));
  default:
    return fmt::format("{:.7g}", elementAsDouble(tensor.dtype, elements, index));
  }
}

} // namespace tilewright::tools
