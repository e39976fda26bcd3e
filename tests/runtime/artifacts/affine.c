/* y = 2 x + w for four floats, w being the weights. The build makes damaged variants of it by macros. */
#include "artifact.h"

#ifndef MAGIC
#define MAGIC TW_DESCRIPTOR_MAGIC
#endif
#ifndef ABI
#define ABI TW_ABI_VERSION
#endif
#ifndef SIZE
#define SIZE sizeof(tw_descriptor)
#endif
#ifndef FEATURES
#define FEATURES 0
#endif
#ifndef WEIGHT_BYTES
#define WEIGHT_BYTES 16
#endif
#ifndef SIDE_FILE
#define SIDE_FILE 0
#endif
#ifndef OUTPUT_BUFFER_INDEX
#define OUTPUT_BUFFER_INDEX 1
#endif

static const tw_io_dim dims[] = {CONSTANT(4)};
static const tw_io_info inputs[] = {{.name = "x", .dtype = TW_F32, .rank = 1, .dims = dims, .buffer = 0}};
static const tw_io_info outputs[] = {
    {.name = "y", .dtype = TW_F32, .rank = 1, .dims = dims, .buffer = OUTPUT_BUFFER_INDEX}};
static const tw_buffer_info buffers[] = {INPUT_BUFFER(0), OUTPUT_BUFFER(0)};

static void program(tw_frame *frame, int32_t thread, int32_t threads) {
  const float *x = (const float *)frame->buffers[0], *w = (const float *)frame->weights;
  float *y = (float *)frame->buffers[1];
  for (int64_t i = rangeBegin(4, thread, threads); i < rangeEnd(4, thread, threads); ++i)
    y[i] = 2 * x[i] + w[i];
}

static void sizes(const int64_t *symbols, int64_t *bytes) {
  (void)symbols;
  bytes[0] = bytes[1] = 16;
  bytes[2] = 0;
}

static void outputDims(const int64_t *symbols, int64_t *result) {
  (void)symbols;
  result[0] = 4;
}

EXPORT const tw_descriptor tilewright_model = {
    .magic = MAGIC,
    .size = SIZE,
    .abi = ABI,
    .cpu_features = FEATURES,
    .weight_bytes = WEIGHT_BYTES,
    .input_count = 1,
    .output_count = 1,
    .buffer_count = 2,
    .inputs = inputs,
    .outputs = outputs,
    .buffers = buffers,
    .report = "{\"kernels\":[]}",
    .program = program,
    .sizes = sizes,
    .output_dims = outputDims,
    .weights_file = SIDE_FILE,
    .weights_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
};
