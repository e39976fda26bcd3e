/* y = 2 x + 1 over [batch, 3] in float32, and a copy of two bfloat16 values: what the driver's tests run
 * instead of compiled code. */
#include "artifact.h"

static const tw_symbol_info symbols[] = {{.name = "batch", .min = 1, .max = 1 << 20}};
static const tw_io_dim matrix[] = {SYMBOL(0, "batch"), CONSTANT(3)};
static const tw_io_dim pair[] = {CONSTANT(2)};
static const tw_io_info inputs[] = {
    {.name = "x", .dtype = TW_F32, .rank = 2, .dims = matrix, .buffer = 0},
    {.name = "half/in", .dtype = TW_BF16, .rank = 1, .dims = pair, .buffer = 1}};
static const tw_io_info outputs[] = {
    {.name = "y", .dtype = TW_F32, .rank = 2, .dims = matrix, .buffer = 2},
    {.name = "half/out", .dtype = TW_BF16, .rank = 1, .dims = pair, .buffer = 3}};
static const tw_buffer_info buffers[] = {INPUT_BUFFER(0), INPUT_BUFFER(1), OUTPUT_BUFFER(0),
                                         OUTPUT_BUFFER(1)};
static const tw_launch_info launches[] = {{"scale"}, {"copy"}};

static void program(tw_frame *frame, int32_t thread, int32_t threads) {
  const float *x = (const float *)frame->buffers[0];
  const uint16_t *in = (const uint16_t *)frame->buffers[1];
  float *y = (float *)frame->buffers[2];
  uint16_t *out = (uint16_t *)frame->buffers[3];
  const int64_t total = 3 * frame->symbols[0];
  if (frame->profile)
    frame->host->mark(frame, thread, 0);
  for (int64_t i = rangeBegin(total, thread, threads); i < rangeEnd(total, thread, threads); ++i)
    y[i] = 2 * x[i] + 1;
  if (frame->profile)
    frame->host->mark(frame, thread, 1);
  if (thread == 0) {
    out[0] = in[0];
    out[1] = in[1];
  }
}

static void sizes(const int64_t *values, int64_t *bytes) {
  bytes[0] = bytes[2] = multiply(12, values[0]);
  bytes[1] = bytes[3] = 4;
  bytes[4] = 0;
}

static void outputDims(const int64_t *values, int64_t *result) {
  result[0] = values[0];
  result[1] = 3;
  result[2] = 2;
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
    .report = FAKE_REPORT,
    .program = program,
    .sizes = sizes,
    .output_dims = outputDims,
};
