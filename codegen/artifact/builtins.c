/// builtins.c - what LLVM's back ends may call from generated code, since an artifact imports nothing.
///
/// Compiled once, when the compiler is built, into an object that travels inside it; each function in its own
/// section, so an artifact contains only those it calls. Freestanding: no header but the compiler's own, and
/// no function here may be compiled into a call of itself (-fno-builtin sees to that).
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

typedef uint8_t Vector __attribute__((vector_size(32), aligned(1), may_alias));

// Above this size the processor's own string instruction wins, where it has one.
#if defined(__x86_64__)
enum { longCopy = 2048 };
#define COPY_LONG __asm__ volatile("rep movsb" : "+D"(target), "+S"(source), "+c"(count) : : "memory")
#define FILL_LONG __asm__ volatile("rep stosb" : "+D"(target), "+c"(count) : "a"(value) : "memory")
#else
#define longCopy SIZE_MAX
#define COPY_LONG
#define FILL_LONG
#endif

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
  uint8_t *target = to;
  const uint8_t *source = from;
  if (count >= longCopy) {
    COPY_LONG;
    return to;
  }
  for (; count >= sizeof(Vector); count -= sizeof(Vector)) {
    *(Vector *)target = *(const Vector *)source;
    target += sizeof(Vector);
    source += sizeof(Vector);
  }
  for (; count; --count)
    *target++ = *source++;
  return to;
}

void *memmove(void *to, const void *from, size_t count) {
  if ((uintptr_t)to - (uintptr_t)from >= count)
    return memcpy(to, from, count);
  // The target begins inside the source: from the end.
  uint8_t *target = (uint8_t *)to + count;
  const uint8_t *source = (const uint8_t *)from + count;
  for (; count >= sizeof(Vector); count -= sizeof(Vector)) {
    target -= sizeof(Vector);
    source -= sizeof(Vector);
    *(Vector *)target = *(const Vector *)source;
  }
  while (count--)
    *--target = *--source;
  return to;
}

void *memset(void *to, int value, size_t count) {
  uint8_t *target = to;
  if (count >= longCopy) {
    FILL_LONG;
    return to;
  }
  const Vector filled = (uint8_t)value - (Vector){0};
  for (; count >= sizeof(Vector); count -= sizeof(Vector)) {
    *(Vector *)target = filled;
    target += sizeof(Vector);
  }
  while (count--)
    *target++ = (uint8_t)value;
  return to;
}

int memcmp(const void *left, const void *right, size_t count) {
  const uint8_t *a = left, *b = right;
  for (; count; --count, ++a, ++b)
    if (*a != *b)
      return *a - *b;
  return 0;
}

// Conversions. f16 and bf16 travel as _Float16 does; only the bits are touched here.

static uint32_t bitsOfFloat(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}
static uint64_t bitsOfDouble(double value) {
  uint64_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}
static float floatOfBits(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
static double doubleOfBits(uint64_t bits) {
  double value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
static _Float16 halfOfBits(uint16_t bits) {
  _Float16 value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
static uint16_t bitsOfHalf(_Float16 value) {
  uint16_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// A finite non-zero double rounded to nearest even to a 16-bit format with `fraction` fraction bits and
/// exponent bias `bias`, as bits without sign. Denormal results are rounded at their own position.
static uint16_t roundTo16(uint64_t magnitude, int fraction, int bias) {
  int exponent = (int)(magnitude >> 52) - 1023 + bias;
  uint64_t significand = (magnitude & 0xfffffffffffffu) | (magnitude >> 52 ? 1ull << 52 : 0);
  int shift = 52 - fraction;
  if (exponent < 1) {
    shift += 1 - exponent;
    exponent = 1;
  }
  if (shift > 62)
    return 0;
  const uint64_t kept = significand >> shift, rest = significand & ((1ull << shift) - 1),
                 half = 1ull << (shift - 1);
  const uint64_t rounded = kept + (rest > half || (rest == half && (kept & 1)));
  // The leading one of a normal significand adds 1 to the exponent field; so does a carry out of rounding.
  const uint64_t result = ((uint64_t)(exponent - 1) << fraction) + rounded;
  const uint64_t infinity = (uint64_t)(2 * bias + 1) << fraction;
  return (uint16_t)(result < infinity ? result : infinity);
}

static uint16_t narrowTo16(double value, int fraction, int bias) {
  const uint64_t bits = bitsOfDouble(value), magnitude = bits & 0x7fffffffffffffffu;
  const uint16_t sign = (uint16_t)(bits >> 48) & 0x8000;
  const uint16_t infinity = (uint16_t)((2 * bias + 1) << fraction);
  if (magnitude > 0x7ff0000000000000u) // NaN: quiet, with the leading payload bits
    return sign | infinity | (uint16_t)(1u << (fraction - 1)) |
           (uint16_t)((magnitude & 0xfffffffffffffu) >> (52 - fraction));
  if (magnitude == 0x7ff0000000000000u)
    return sign | infinity;
  return sign | roundTo16(magnitude, fraction, bias);
}

static float widenHalf(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000) << 16, magnitude = half & 0x7fff;
  if (magnitude >= 0x7c00)
    return floatOfBits(sign | 0x7f800000u | (magnitude & 0x3ff) << 13 | (magnitude > 0x7c00 ? 0x400000u : 0));
  if (magnitude >= 0x400)
    return floatOfBits(sign | ((magnitude << 13) + ((127 - 15) << 23)));
  // A denormal is its fraction times 2^-24: exact in f32.
  return floatOfBits(bitsOfFloat((float)(int32_t)magnitude * 0x1p-24f) | sign);
}

_Float16 __truncdfhf2(double value) { return halfOfBits(narrowTo16(value, 10, 15)); }
_Float16 __truncsfhf2(float value) { return halfOfBits(narrowTo16(value, 10, 15)); }
float __extendhfsf2(_Float16 value) { return widenHalf(bitsOfHalf(value)); }
double __extendhfdf2(_Float16 value) { return widenHalf(bitsOfHalf(value)); }
_Float16 __truncdfbf2(double value) { return halfOfBits(narrowTo16(value, 7, 127)); }
_Float16 __truncsfbf2(float value) { return halfOfBits(narrowTo16(value, 7, 127)); }
float __extendbfsf2(_Float16 value) { return floatOfBits((uint32_t)bitsOfHalf(value) << 16); }

// The remainder of truncated division, exact: long division on the significands.

static uint64_t remainderOf(uint64_t x, uint64_t y, int fraction) {
  const uint64_t one = 1ull << fraction;
  int exponentX = (int)(x >> fraction), exponentY = (int)(y >> fraction);
  uint64_t significandX = x & (one - 1), significandY = y & (one - 1);
  if (exponentX)
    significandX |= one;
  else
    exponentX = 1;
  if (exponentY)
    significandY |= one;
  else
    exponentY = 1;
  for (; exponentX > exponentY; --exponentX) {
    significandX %= significandY;
    significandX <<= 1;
  }
  significandX %= significandY; // x >= y, so the exponents are equal now
  while (significandX && significandX < one && exponentX > 1) {
    significandX <<= 1;
    --exponentX;
  }
  return significandX < one ? significandX : (significandX & (one - 1)) | (uint64_t)exponentX << fraction;
}

double fmod(double x, double y) {
  const uint64_t infinity = 0x7ff0000000000000u, mask = 0x7fffffffffffffffu;
  const uint64_t a = bitsOfDouble(x) & mask, b = bitsOfDouble(y) & mask;
  if (b == 0 || a >= infinity || b > infinity)
    return (x * y) / (x * y);
  if (a < b)
    return x;
  return doubleOfBits(remainderOf(a, b, 52) | (bitsOfDouble(x) & ~mask));
}

float fmodf(float x, float y) {
  const uint32_t infinity = 0x7f800000u, mask = 0x7fffffffu;
  const uint32_t a = bitsOfFloat(x) & mask, b = bitsOfFloat(y) & mask;
  if (b == 0 || a >= infinity || b > infinity)
    return (x * y) / (x * y);
  if (a < b)
    return x;
  return floatOfBits((uint32_t)remainderOf(a, b, 23) | (bitsOfFloat(x) & ~mask));
}

// 128-bit division, for the wide products of index arithmetic.

typedef unsigned __int128 Unsigned128;
typedef __int128 Signed128;

/// Shift and subtract; the quotient goes through `quotient`, the remainder is returned. A zero divisor traps,
/// as div does.
static Unsigned128 divide(Unsigned128 dividend, Unsigned128 divisor, Unsigned128 *quotient) {
  if (divisor == 0)
    __builtin_trap();
  Unsigned128 remainder = 0, result = 0;
  for (int bit = 127; bit >= 0; --bit) {
    const int carry = (int)(remainder >> 127);
    remainder = remainder << 1 | (dividend >> bit & 1);
    if (carry || remainder >= divisor) {
      remainder -= divisor;
      result |= (Unsigned128)1 << bit;
    }
  }
  *quotient = result;
  return remainder;
}
static Unsigned128 magnitudeOf(Signed128 value) {
  return value < 0 ? -(Unsigned128)value : (Unsigned128)value;
}

Unsigned128 __udivti3(Unsigned128 dividend, Unsigned128 divisor) {
  Unsigned128 quotient;
  divide(dividend, divisor, &quotient);
  return quotient;
}
Unsigned128 __umodti3(Unsigned128 dividend, Unsigned128 divisor) {
  Unsigned128 quotient;
  return divide(dividend, divisor, &quotient);
}
Signed128 __divti3(Signed128 dividend, Signed128 divisor) {
  Unsigned128 quotient;
  divide(magnitudeOf(dividend), magnitudeOf(divisor), &quotient);
  return (dividend < 0) != (divisor < 0) ? -(Signed128)quotient : (Signed128)quotient;
}
Signed128 __modti3(Signed128 dividend, Signed128 divisor) {
  Unsigned128 quotient;
  const Unsigned128 remainder = divide(magnitudeOf(dividend), magnitudeOf(divisor), &quotient);
  return dividend < 0 ? -(Signed128)remainder : (Signed128)remainder;
}
