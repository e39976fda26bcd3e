/// Elements.h - (internal) reading and writing runs of elements as doubles or 64-bit integers: where floats
/// round and integers wrap.
#pragma once
#include "mlir/IR/BuiltinTypes.h"
#include <cstddef>
#include <cstdint>

namespace tilewright::interpreter {

/// A binary float of at most 16 bits. Codes are sign, exponent, mantissa; magnitudes above maxCode are
/// infCode or NaN.
struct FloatFormat {
  unsigned bits;
  unsigned mantissaBits;
  int bias;
  uint32_t maxCode;     ///< largest finite magnitude
  int32_t infCode;      ///< -1: the format has no infinity
  uint32_t nanCode;     ///< what NaN is written as; f4 has none and writes -0
  bool negativeZero;    ///< false (FNUZ): the sign bit alone is NaN
  bool isSigned = true; ///< false: f8E8M0, powers of two without zero
};
/// The format of f16, bf16, f8*, f4; null for f32, f64 and integers.
const FloatFormat *formatOf(mlir::Type type);
double decodeFloat(const FloatFormat &format, uint32_t code);
/// Nearest, ties to even (f8E8M0: ties up, as ONNX). Overflow gives infinity, NaN where there is none, and
/// with `saturate` (8-bit formats; f4 always) the largest value; infinities then saturate too.
uint32_t encodeFloat(const FloatFormat &format, double value, bool saturate);

/// `count` elements from `source`. Floats and integers are both allowed as type of the number functions; the
/// integer ones take integers only (ui64 as its bit pattern).
void readNumbers(mlir::Type type, const std::byte *source, int64_t count, double *result);
void writeNumbers(mlir::Type type, const double *values, int64_t count, std::byte *result,
                  bool saturate = false);
void readIntegers(mlir::Type type, const std::byte *source, int64_t count, int64_t *result);
void writeIntegers(mlir::Type type, const int64_t *values, int64_t count, std::byte *result);

/// Truncate toward zero; what is out of range is as the cast op says. NaN gives 0.
int64_t truncateOrWrap(double value, mlir::Type type);
/// Truncate toward zero and clamp to the integer type's range; NaN gives 0.
int64_t truncateAndClamp(double value, mlir::Type type);
/// The double nearest to an integer, or (`sticky`) truncated with the lost bits or-ed into the last one, so
/// that a second rounding to a narrower float is right.
double integerToDouble(int64_t value, bool isUnsigned, bool sticky);
/// integerToDouble of `count` integers of one type.
void integersToDoubles(mlir::Type type, const int64_t *values, int64_t count, bool sticky, double *result);

/// Elements are processed in blocks of this many.
inline constexpr int64_t blockSize = 512;

} // namespace tilewright::interpreter
