/// artifact.h - shorthand for artifacts written by hand.
#ifndef TILEWRIGHT_TESTS_ARTIFACT_H
#define TILEWRIGHT_TESTS_ARTIFACT_H

#include "tilewright.h"
#include "tilewright/artifact.h"

#define COUNT(table) ((uint32_t)(sizeof(table) / sizeof((table)[0])))
#define EXPORT __attribute__((visibility("default")))
#define NO_ALIAS UINT32_MAX

#define CONSTANT(extent) {.value = (extent)}
#define SYMBOL(index, label) {.value = -1, .symbol = (index), .text = (label)}
#define EXPRESSION(label) {.value = -2, .text = (label)}

#define INPUT_BUFFER(number) {.kind = TW_BUFFER_INPUT, .io = (number), .alias = NO_ALIAS}
#define OUTPUT_BUFFER(number) {.kind = TW_BUFFER_OUTPUT, .io = (number), .alias = NO_ALIAS}
#define ARENA_BUFFER(first, last)                                                                            \
  {.kind = TW_BUFFER_ARENA, .birth = (first), .death = (last), .alias = NO_ALIAS}

/// The head of every descriptor.
#define DESCRIPTOR_HEAD .magic = TW_DESCRIPTOR_MAGIC, .size = sizeof(tw_descriptor), .abi = TW_ABI_VERSION

/// The part of [0, total) that belongs to `thread`.
static inline int64_t rangeBegin(int64_t total, int32_t thread, int32_t threads) {
  return total * thread / threads;
}
static inline int64_t rangeEnd(int64_t total, int32_t thread, int32_t threads) {
  return total * (thread + 1) / threads;
}

/// a * b, or -1 when it overflows or a factor is negative.
static inline int64_t multiply(int64_t a, int64_t b) {
  int64_t product;
  return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product) ? -1 : product;
}

#endif
