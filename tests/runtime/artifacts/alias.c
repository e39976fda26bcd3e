/* Outputs that share memory: same = x (the input itself), next = x + 1, again = next (another output's
   buffer), triple = 3 x (read from the arena, where a later temporary must not land on it). */
#include "artifact.h"

static const tw_symbol_info symbols[] = {{.name = "n", .min = 0, .max = 1 << 20}};
static const tw_io_dim dims[] = {SYMBOL(0, "n")};
static const tw_io_info inputs[] = {{.name = "x", .dtype = TW_I32, .rank = 1, .dims = dims, .buffer = 0}};
static const tw_io_info outputs[] = {
    {.name = "same", .dtype = TW_I32, .rank = 1, .dims = dims, .buffer = 1},
    {.name = "next", .dtype = TW_I32, .rank = 1, .dims = dims, .buffer = 2},
    {.name = "again", .dtype = TW_I32, .rank = 1, .dims = dims, .buffer = 3},
    {.name = "triple", .dtype = TW_I32, .rank = 1, .dims = dims, .buffer = 5}};
static const tw_buffer_info buffers[] = {
    INPUT_BUFFER(0),    {.kind = TW_BUFFER_OUTPUT, .io = 0, .alias = 0},
    OUTPUT_BUFFER(1),   {.kind = TW_BUFFER_OUTPUT, .io = 2, .alias = 2},
    ARENA_BUFFER(0, 0), {.kind = TW_BUFFER_OUTPUT, .io = 3, .alias = 4},
    ARENA_BUFFER(1, 1),
};

static void program(tw_frame *frame, int32_t thread, int32_t threads) {
  const int32_t *x = (const int32_t *)frame->buffers[0];
  int32_t *next = (int32_t *)frame->buffers[2], *triple = (int32_t *)frame->buffers[5];
  int32_t *temporary = (int32_t *)frame->buffers[6];
  const int64_t n = frame->symbols[0];
  for (int64_t i = rangeBegin(n, thread, threads); i < rangeEnd(n, thread, threads); ++i) {
    next[i] = x[i] + 1;
    triple[i] = 3 * x[i];
  }
  if (frame->host->barrier(frame, thread))
    return;
  for (int64_t i = rangeBegin(n, thread, threads); i < rangeEnd(n, thread, threads); ++i)
    temporary[i] = -1;
}

static void sizes(const int64_t *values, int64_t *bytes) {
  bytes[0] = bytes[2] = bytes[4] = bytes[6] = 4 * values[0];
  bytes[1] = bytes[3] = bytes[5] = bytes[7] = 0;
}

static void outputDims(const int64_t *values, int64_t *result) {
  for (int i = 0; i < 4; ++i)
    result[i] = values[0];
}

EXPORT const tw_descriptor tilewright_model = {
    DESCRIPTOR_HEAD,
    .input_count = COUNT(inputs),
    .output_count = COUNT(outputs),
    .symbol_count = COUNT(symbols),
    .buffer_count = COUNT(buffers),
    .inputs = inputs,
    .outputs = outputs,
    .symbols = symbols,
    .buffers = buffers,
    .program = program,
    .sizes = sizes,
    .output_dims = outputDims,
};
