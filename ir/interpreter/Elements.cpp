/// Elements.cpp - the storage formats of elements.
#include "ir/interpreter/Elements.h"
#include "ir/interpreter/Tensor.h"
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

using namespace mlir;

namespace tilewright::interpreter {

namespace {
constexpr FloatFormat f16 = {16, 10, 15, 0x7BFF, 0x7C00, 0x7E00, true};
constexpr FloatFormat bf16 = {16, 7, 127, 0x7F7F, 0x7F80, 0x7FC0, true};
constexpr FloatFormat f8E4M3FN = {8, 3, 7, 0x7E, -1, 0x7F, true};
constexpr FloatFormat f8E4M3FNUZ = {8, 3, 8, 0x7F, -1, 0x80, false};
constexpr FloatFormat f8E5M2 = {8, 2, 15, 0x7B, 0x7C, 0x7E, true};
constexpr FloatFormat f8E5M2FNUZ = {8, 2, 16, 0x7F, -1, 0x80, false};
constexpr FloatFormat f8E8M0 = {8, 0, 127, 0xFE, -1, 0xFF, false, false};
constexpr FloatFormat f4E2M1 = {4, 1, 1, 0x7, -1, 0x8, true};

constexpr unsigned doubleMantissa = 52;

/// 2^exponent, for exponents that a normal double has.
double powerOfTwo(int exponent) { return std::bit_cast<double>(uint64_t(exponent + 1023) << doubleMantissa); }
} // namespace

const FloatFormat *formatOf(Type type) {
  if (isa<Float16Type>(type))
    return &f16;
  if (isa<BFloat16Type>(type))
    return &bf16;
  if (isa<Float8E4M3FNType>(type))
    return &f8E4M3FN;
  if (isa<Float8E4M3FNUZType>(type))
    return &f8E4M3FNUZ;
  if (isa<Float8E5M2Type>(type))
    return &f8E5M2;
  if (isa<Float8E5M2FNUZType>(type))
    return &f8E5M2FNUZ;
  if (isa<Float8E8M0FNUType>(type))
    return &f8E8M0;
  if (isa<Float4E2M1FNType>(type))
    return &f4E2M1;
  return nullptr;
}

[[gnu::always_inline]] static inline double decodeWith(const FloatFormat &format, uint32_t code) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  if (!format.isSigned)
    return code == format.nanCode ? nan : powerOfTwo(int(code) - format.bias);
  uint32_t signBit = 1u << (format.bits - 1);
  code &= (signBit << 1) - 1;
  uint32_t magnitude = code & (signBit - 1);
  double sign = code & signBit ? -1.0 : 1.0;
  if (!format.negativeZero && code == signBit)
    return nan;
  if (magnitude > format.maxCode)
    return int32_t(magnitude) == format.infCode ? sign * std::numeric_limits<double>::infinity() : nan;
  uint32_t field = magnitude >> format.mantissaBits;
  uint32_t mantissa = magnitude & ((1u << format.mantissaBits) - 1);
  if (field == 0)
    return sign * mantissa * powerOfTwo(1 - format.bias - int(format.mantissaBits));
  uint64_t bits = uint64_t(int(field) - format.bias + 1023) << doubleMantissa;
  bits |= uint64_t(mantissa) << (doubleMantissa - format.mantissaBits);
  return sign * std::bit_cast<double>(bits);
}

double decodeFloat(const FloatFormat &format, uint32_t code) { return decodeWith(format, code); }

/// f8E8M0 holds 2^(code - 127). Values without a neighbour there saturate or become NaN.
static uint32_t encodePowerOfTwo(const FloatFormat &format, double value, bool saturate) {
  if (std::isnan(value) || value < 0)
    return format.nanCode;
  if (value < powerOfTwo(-format.bias))
    return saturate ? 0 : format.nanCode;
  if (std::isinf(value))
    return saturate ? format.maxCode : format.nanCode;
  int exponent = 0;
  double fraction = std::frexp(value, &exponent); // in [0.5, 1)
  int64_t code = int64_t(exponent) - 1 + (fraction >= 0.75 ? 1 : 0) + format.bias;
  if (code > int64_t(format.maxCode))
    return saturate ? format.maxCode : format.nanCode;
  return static_cast<uint32_t>(code);
}

/// Magnitude code of a finite double, as if the format had no largest exponent.
[[gnu::always_inline]] static inline uint64_t roundMagnitude(const FloatFormat &format, uint64_t bits) {
  int exponent = int((bits >> doubleMantissa) & 0x7FF) - 1023;
  uint64_t significand = (bits & ((uint64_t(1) << doubleMantissa) - 1)) | (uint64_t(1) << doubleMantissa);
  int minExponent = 1 - format.bias;
  int kept = std::max(exponent, minExponent);
  unsigned shift = doubleMantissa - format.mantissaBits + unsigned(kept - exponent);
  if (shift > doubleMantissa + 1)
    return 0; // below half of the smallest value, as a double's subnormals are for every format
  uint64_t odd = (significand >> shift) & 1;
  uint64_t quotient = (significand + ((uint64_t(1) << (shift - 1)) - 1) + odd) >> shift;
  // The implicit bit of `quotient` counts one up in the exponent field; a carry out of the mantissa does so
  // too.
  return (uint64_t(kept - minExponent) << format.mantissaBits) + quotient;
}

/// Inlined where the format is a constant: this is what casts of weights spend their time in.
[[gnu::always_inline]] static inline uint32_t encodeWith(const FloatFormat &format, double value,
                                                         bool saturate) {
  if (!format.isSigned)
    return encodePowerOfTwo(format, value, saturate);
  uint64_t bits = std::bit_cast<uint64_t>(value);
  uint32_t signBit = 1u << (format.bits - 1);
  uint32_t sign = bits >> 63 ? signBit : 0;
  saturate = (saturate && format.bits == 8) || format.bits == 4;
  bool finite = ((bits >> doubleMantissa) & 0x7FF) != 0x7FF;
  if (!finite && (bits << 12) != 0)
    return format.negativeZero && format.bits != 4 ? format.nanCode | sign : format.nanCode;
  uint64_t magnitude = finite ? roundMagnitude(format, bits) : UINT64_MAX;
  if (magnitude <= format.maxCode)
    return magnitude == 0 && !format.negativeZero ? 0 : uint32_t(magnitude) | sign;
  if (saturate)
    return format.maxCode | sign;
  if (format.infCode >= 0)
    return uint32_t(format.infCode) | sign;
  return format.negativeZero ? format.nanCode | sign : format.nanCode;
}

uint32_t encodeFloat(const FloatFormat &format, double value, bool saturate) {
  return encodeWith(format, value, saturate);
}

//===- Runs of elements ----------------------------------------------------------===//

namespace {
template <typename T> T loadAs(const std::byte *source, int64_t index) {
  T value;
  std::memcpy(&value, source + index * int64_t(sizeof(T)), sizeof(T));
  return value;
}
template <typename T> void storeAs(std::byte *target, int64_t index, T value) {
  std::memcpy(target + index * int64_t(sizeof(T)), &value, sizeof(T));
}
template <typename Stored, typename Result>
void readRun(const std::byte *source, int64_t count, Result *result) {
  for (int64_t i = 0; i < count; ++i)
    result[i] = static_cast<Result>(loadAs<Stored>(source, i));
}
template <typename Stored, typename Value>
void writeRun(const Value *values, int64_t count, std::byte *result) {
  for (int64_t i = 0; i < count; ++i)
    storeAs<Stored>(result, i, static_cast<Stored>(values[i]));
}
template <typename Code>
void readCodes(const FloatFormat &format, const std::byte *source, int64_t count, double *result) {
  auto read = [&](const FloatFormat &known) {
    for (int64_t i = 0; i < count; ++i)
      result[i] = decodeWith(known, loadAs<Code>(source, i));
  };
  return &format == &f16 ? read(f16) : &format == &bf16 ? read(bf16) : read(format);
}
template <typename Code>
void writeCodes(const FloatFormat &format, const double *values, int64_t count, std::byte *result,
                bool saturate) {
  auto write = [&](const FloatFormat &known) {
    for (int64_t i = 0; i < count; ++i)
      storeAs<Code>(result, i, static_cast<Code>(encodeWith(known, values[i], saturate)));
  };
  return &format == &f16        ? write(f16)
         : &format == &bf16     ? write(bf16)
         : &format == &f8E4M3FN ? write(f8E4M3FN)
                                : write(format);
}
} // namespace

static void readFloats(Type type, const std::byte *source, int64_t count, double *result) {
  if (type.isF32())
    return readRun<float>(source, count, result);
  if (type.isF64())
    return readRun<double>(source, count, result);
  const FloatFormat *format = formatOf(type);
  assert(format && "not an element type of the graph dialect");
  return format->bits == 16 ? readCodes<uint16_t>(*format, source, count, result)
                            : readCodes<uint8_t>(*format, source, count, result);
}

void integersToDoubles(Type type, const int64_t *values, int64_t count, bool sticky, double *result) {
  bool isUnsignedType = isUnsigned(type);
  if (type.getIntOrFloatBitWidth() <= 32) {
    std::copy(values, values + count, result); // exact
    return;
  }
  for (int64_t i = 0; i < count; ++i)
    result[i] = integerToDouble(values[i], isUnsignedType, sticky);
}

/// Doubles to integers of `type` (not yet wrapped to its width).
static void truncateRun(Type type, const double *values, int64_t count, bool saturate, int64_t *result) {
  if (!saturate) {
    for (int64_t i = 0; i < count; ++i)
      result[i] = truncateOrWrap(values[i], type);
    return;
  }
  if (type.getIntOrFloatBitWidth() > 32) {
    for (int64_t i = 0; i < count; ++i)
      result[i] = truncateAndClamp(values[i], type);
    return;
  }
  auto low = static_cast<double>(truncateAndClamp(-HUGE_VAL, type)),
       high = static_cast<double>(truncateAndClamp(HUGE_VAL, type));
  for (int64_t i = 0; i < count; ++i) {
    double value = values[i] == values[i] ? values[i] : 0; // NaN gives 0
    result[i] = static_cast<int64_t>(std::min(std::max(value, low), high));
  }
}

void readNumbers(Type type, const std::byte *source, int64_t count, double *result) {
  if (isFloat(type))
    return readFloats(type, source, count, result);
  int64_t block[blockSize];
  for (int64_t start = 0; start < count; start += blockSize) {
    int64_t length = std::min(blockSize, count - start);
    readIntegers(type, source + start * storedBytes(type), length, block);
    integersToDoubles(type, block, length, false, result + start);
  }
}

void writeNumbers(Type type, const double *values, int64_t count, std::byte *result, bool saturate) {
  if (type.isF32())
    return writeRun<float>(values, count, result);
  if (type.isF64())
    return writeRun<double>(values, count, result);
  if (const FloatFormat *format = formatOf(type))
    return format->bits == 16 ? writeCodes<uint16_t>(*format, values, count, result, saturate)
                              : writeCodes<uint8_t>(*format, values, count, result, saturate);
  int64_t block[blockSize];
  for (int64_t start = 0; start < count; start += blockSize) {
    int64_t length = std::min(blockSize, count - start);
    truncateRun(type, values + start, length, saturate, block);
    writeIntegers(type, block, length, result + start * storedBytes(type));
  }
}

void readIntegers(Type type, const std::byte *source, int64_t count, int64_t *result) {
  unsigned width = type.getIntOrFloatBitWidth();
  bool isUnsignedType = isUnsigned(type);
  switch (width) {
  case 64:
    return readRun<int64_t>(source, count, result);
  case 32:
    return isUnsignedType ? readRun<uint32_t>(source, count, result)
                          : readRun<int32_t>(source, count, result);
  case 16:
    return isUnsignedType ? readRun<uint16_t>(source, count, result)
                          : readRun<int16_t>(source, count, result);
  case 8:
    return isUnsignedType ? readRun<uint8_t>(source, count, result) : readRun<int8_t>(source, count, result);
  default: // sub-byte: the low bits count, whatever the others hold
    for (int64_t i = 0; i < count; ++i) {
      uint64_t low = loadAs<uint8_t>(source, i) & ((1u << width) - 1);
      result[i] = isUnsignedType ? int64_t(low) : int64_t(low << (64 - width)) >> (64 - width);
    }
  }
}

void writeIntegers(Type type, const int64_t *values, int64_t count, std::byte *result) {
  unsigned width = type.getIntOrFloatBitWidth();
  switch (width) {
  case 64:
    return writeRun<int64_t>(values, count, result);
  case 32:
    return writeRun<int32_t>(values, count, result);
  case 16:
    return writeRun<int16_t>(values, count, result);
  case 8:
    return writeRun<int8_t>(values, count, result);
  default:
    bool isUnsignedType = isUnsigned(type);
    for (int64_t i = 0; i < count; ++i) {
      uint64_t low = uint64_t(values[i]) & ((1u << width) - 1);
      storeAs<uint8_t>(result, i,
                       uint8_t(isUnsignedType ? int64_t(low) : int64_t(low << (64 - width)) >> (64 - width)));
    }
  }
}

int64_t truncateOrWrap(double value, Type type) {
  const unsigned width = type.getIntOrFloatBitWidth();
  const bool natural = isUnsigned(type), wraps = width < 32 || (width == 32 && natural);
  const double edge = std::ldexp(1.0, wraps ? (width < 32 ? 31 : 63) : natural ? 63 : int(width) - 1);
  if (std::isnan(value))
    return 0;
  value = std::trunc(value);
  if (value >= -edge && value < edge)
    return static_cast<int64_t>(value);
  if (wraps)
    return 0;
  if (natural && value > 0) // from 2^63 on
    return value < 2 * edge ? static_cast<int64_t>(static_cast<uint64_t>(value)) : -1;
  return width == 64 ? INT64_MIN : INT32_MIN;
}

int64_t truncateAndClamp(double value, Type type) {
  if (std::isnan(value))
    return 0;
  unsigned width = type.getIntOrFloatBitWidth();
  bool isUnsignedType = isUnsigned(type);
  double low = isUnsignedType ? 0.0 : -std::ldexp(1.0, int(width) - 1);
  double limit = std::ldexp(1.0, int(width) - (isUnsignedType ? 0 : 1)); // one above the largest
  value = std::trunc(value);
  if (value < low)
    value = low;
  if (value < limit)
    return isUnsignedType ? static_cast<int64_t>(static_cast<uint64_t>(value)) : static_cast<int64_t>(value);
  return isUnsignedType && width == 64
             ? -1
             : static_cast<int64_t>((uint64_t(1) << (width - (isUnsignedType ? 0 : 1))) - 1);
}

double integerToDouble(int64_t value, bool isUnsigned, bool sticky) {
  bool negative = !isUnsigned && value < 0;
  uint64_t magnitude = negative ? -uint64_t(value) : uint64_t(value);
  if (!sticky || magnitude < (uint64_t(1) << 53))
    return isUnsigned ? static_cast<double>(uint64_t(value)) : static_cast<double>(value);
  uint64_t lost = magnitude & 0x7FF;
  magnitude = (magnitude >> 11) << 11;
  // Bit 11 is the last one that a magnitude of 2^63 keeps; below that more are kept, and setting bit 11 is
  // still far below half of a narrower format's last place.
  if (lost)
    magnitude |= 0x800;
  double result = static_cast<double>(magnitude);
  return negative ? -result : result;
}

} // namespace tilewright::interpreter
