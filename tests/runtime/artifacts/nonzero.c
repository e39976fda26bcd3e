/* The indices of the elements of x that are not zero: as many as there are. A second output is a view of the
   same buffer, with its elements as pairs of 32 bits. */
#include "artifact.h"

enum { LENGTH, FOUND };
static const tw_symbol_info symbols[] = {
    {.name = "length", .min = 0, .max = 1 << 24},
    {.name = "found", .min = 0, .max = INT64_MAX, .defined_by_program = 1}};
static const tw_io_dim inputDims[] = {SYMBOL(LENGTH, "length")};
static const tw_io_dim foundDims[] = {SYMBOL(FOUND, "found")};
static const tw_io_dim pairDims[] = {SYMBOL(FOUND, "found"), CONSTANT(2)};
static const tw_io_info inputs[] = {{.name = "x", .dtype = TW_U8, .rank = 1, .dims = inputDims, .buffer = 0}};
static const tw_io_info outputs[] = {
    {.name = "indices", .dtype = TW_I64, .rank = 1, .dims = foundDims, .buffer = 1},
    {.name = "pairs", .dtype = TW_U32, .rank = 2, .dims = pairDims, .buffer = 2}};
static const tw_buffer_info buffers[] = {INPUT_BUFFER(0),
                                         {.kind = TW_BUFFER_GROWABLE_OUTPUT, .io = 0, .alias = NO_ALIAS},
                                         {.kind = TW_BUFFER_GROWABLE_OUTPUT, .io = 1, .alias = 1}};

static void program(tw_frame *frame, int32_t thread, int32_t threads) {
  const uint8_t *x = frame->buffers[0];
  if (thread == 0) {
    int64_t found = 0;
    for (int64_t i = 0; i < frame->symbols[LENGTH]; ++i)
      found += x[i] != 0;
    frame->symbols[FOUND] = found;
    if (found && frame->host->grow(frame, 1, 8 * found, 0) == 0 && frame->buffers[1] != frame->buffers[2])
      frame->host->fail(frame, TW_FAIL_BRANCH, -1, 0, 0); /* the view must follow */
  }
  if (frame->host->barrier(frame, thread))
    return;
  if (thread != threads - 1) /* another thread than the one that grew */
    return;
  int64_t *out = (int64_t *)frame->buffers[2], next = 0;
  for (int64_t i = 0; i < frame->symbols[LENGTH]; ++i)
    if (x[i])
      out[next++] = i;
}

static void sizes(const int64_t *values, int64_t *bytes) {
  bytes[0] = values[LENGTH];
  bytes[1] = bytes[2] = bytes[3] = 0;
}

static void outputDims(const int64_t *values, int64_t *result) {
  result[0] = result[1] = values[FOUND];
  result[2] = 2;
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
