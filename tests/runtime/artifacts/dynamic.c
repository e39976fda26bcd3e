/* out = 2 (a + b) - b over [batch, width], in three phases through two arena buffers of `factor` times the
 * size. */
#include "artifact.h"

#ifndef FACTOR
#define FACTOR 1
#endif
#ifndef SQUEEZED
#define SQUEEZED 0
#endif

enum { BATCH, WIDTH };
static const tw_symbol_info symbols[] = {{.name = "batch", .min = 1, .max = 1 << 20},
                                         {.name = "width", .min = 0, .max = 1 << 20}};
static const tw_io_dim dims[] = {SYMBOL(BATCH, "batch"), CONSTANT(3), SYMBOL(WIDTH, "width")};
static const tw_io_info inputs[] = {{.name = "a", .dtype = TW_F32, .rank = 3, .dims = dims, .buffer = 0},
                                    {.name = "b", .dtype = TW_F32, .rank = 3, .dims = dims, .buffer = 1}};
static const tw_io_info outputs[] = {
    {.name = "out", .dtype = TW_F32, .rank = 3, .dims = dims, .buffer = 4, .squeezed_dims = SQUEEZED}};
static const tw_buffer_info buffers[] = {INPUT_BUFFER(0), INPUT_BUFFER(1), ARENA_BUFFER(0, 1),
                                         ARENA_BUFFER(1, 2), OUTPUT_BUFFER(0)};
static const tw_launch_info launches[] = {{"add"}, {"double"}, {"subtract"}};

static int64_t elements(const int64_t *values) { return multiply(3, multiply(values[BATCH], values[WIDTH])); }

static void program(tw_frame *frame, int32_t thread, int32_t threads) {
  const float *a = (const float *)frame->buffers[0], *b = (const float *)frame->buffers[1];
  float *sum = (float *)frame->buffers[2], *twice = (float *)frame->buffers[3],
        *out = (float *)frame->buffers[4];
  const int64_t total = elements(frame->symbols);
  const int64_t begin = rangeBegin(total, thread, threads), end = rangeEnd(total, thread, threads);
  volatile uint8_t *scratch = frame->scratch[thread];
  scratch[0] = scratch[frame->symbols[WIDTH]] = (uint8_t)thread;
  for (int64_t i = begin; i < end; ++i)
    sum[i] = a[i] + b[i];
  if (frame->host->barrier(frame, thread))
    return;
  for (int64_t i = begin; i < end; ++i) /* mirrored: reads what other threads wrote */
    twice[total - 1 - i] = 2 * sum[total - 1 - i];
  if (frame->host->barrier(frame, thread))
    return;
  for (int64_t i = begin; i < end; ++i)
    out[i] = scratch[0] == (uint8_t)thread ? twice[i] - b[i] : -1;
}

static void sizes(const int64_t *values, int64_t *bytes) {
  const int64_t size = multiply(4, elements(values));
  bytes[0] = bytes[1] = bytes[4] = size;
  bytes[2] = bytes[3] = multiply(size, FACTOR);
  bytes[5] = values[WIDTH] + 1;
}

static void outputDims(const int64_t *values, int64_t *result) {
  result[0] = values[BATCH];
  result[1] = 3;
  result[2] = values[WIDTH];
}

EXPORT const tw_descriptor tilewright_model = {
    DESCRIPTOR_HEAD,
    .input_count = COUNT(inputs),
    .output_count = COUNT(outputs),
    .symbol_count = COUNT(symbols),
    .buffer_count = COUNT(buffers),
    .launch_count = COUNT(launches),
    .inputs = inputs,
    .outputs = outputs,
    .symbols = symbols,
    .buffers = buffers,
    .launches = launches,
    .program = program,
    .sizes = sizes,
    .output_dims = outputDims,
};
