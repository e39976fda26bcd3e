/* A program that does what its input says: see control.h. */
#include "control.h"
#include "artifact.h"

static const tw_io_dim dims[] = {CONSTANT(CONTROL_LENGTH)};
static const tw_io_info inputs[] = {
    {.name = "orders", .dtype = TW_I64, .rank = 1, .dims = dims, .buffer = 0}};
static const tw_io_info outputs[] = {{.name = "out", .dtype = TW_I64, .rank = 1, .dims = dims, .buffer = 1}};
static const tw_buffer_info buffers[] = {INPUT_BUFFER(0),
                                         OUTPUT_BUFFER(0),
                                         ARENA_BUFFER(0, 9),
                                         {.kind = TW_BUFFER_GROWABLE, .alias = NO_ALIAS, .site = 1}};
static const tw_site_info sites[] = {{"gather_3", "Gather", "indices", ""}, {"", "Reshape", "shape", ""}};
static const tw_launch_info launches[] = {{"first"}, {"body"}, {"never"}, {"last"}};

static void meetRepeatedly(tw_frame *frame, int32_t thread, int32_t threads) {
  const int64_t *orders = (const int64_t *)frame->buffers[0];
  int64_t *out = (int64_t *)frame->buffers[1], *round = (int64_t *)frame->buffers[2];
  int64_t lagging = 0;
  round[thread] = 0;
  if (frame->host->barrier(frame, thread))
    return;
  for (int64_t current = 1; current <= orders[1]; ++current) {
    round[thread] = current;
    if (frame->host->barrier(frame, thread))
      return;
    for (int32_t other = 0; other < threads; ++other)
      lagging += round[other] != current;
    if (frame->host->barrier(frame, thread))
      return;
  }
  out[thread] = lagging;
}

static void failAt(tw_frame *frame, int32_t thread, int late) {
  const int64_t *orders = (const int64_t *)frame->buffers[0];
  int64_t *out = (int64_t *)frame->buffers[1];
  const tw_host_table *host = frame->host;
  for (int64_t round = 0; round < 100; ++round) {
    if (!late && thread == orders[1] && round == orders[6])
      host->fail(frame, (int32_t)orders[2], (int32_t)orders[3], orders[4], orders[5]);
    out[thread] = round;
    if (host->barrier(frame, thread))
      return;
  }
  if (late && thread == orders[1])
    host->fail(frame, (int32_t)orders[2], (int32_t)orders[3], orders[4], orders[5]);
}

static void raceToFail(tw_frame *frame, int32_t thread) {
  const int64_t *orders = (const int64_t *)frame->buffers[0];
  int64_t *out = (int64_t *)frame->buffers[1];
  for (int64_t round = 0; round < 1000; ++round) {
    out[thread] = round;
    if (round >= 20 && (thread * 7 + orders[1] + round) % 5 == 0)
      frame->host->fail(frame, TW_FAIL_DIVIDE, thread % 2, 0, 0);
    if (frame->host->barrier(frame, thread))
      return;
  }
}

static void runUntilCancelled(tw_frame *frame, int32_t thread) {
  int64_t *out = (int64_t *)frame->buffers[1];
  for (int64_t round = 0;; ++round) {
    out[thread] = round;
    if (frame->host->barrier(frame, thread))
      return;
  }
}

static void markLaunches(tw_frame *frame, int32_t thread) {
  static const uint32_t order[] = {0, 1, 1, 1, 3};
  int64_t *out = (int64_t *)frame->buffers[1];
  out[thread] = frame->profile;
  for (uint32_t step = 0; step < COUNT(order); ++step) {
    if (frame->profile)
      frame->host->mark(frame, thread, order[step]);
    if (order[step] == 1)
      for (volatile int i = 0; i < 100000; ++i)
        ;
    if (frame->host->barrier(frame, thread))
      return;
  }
}

static void computeSubnormal(tw_frame *frame, int32_t thread) {
  volatile double small = 2.3e-308, subnormal = 1e-310, half = 0.5, large = 1e300;
  int64_t *out = (int64_t *)frame->buffers[1];
  out[thread] = small * half != 0 && subnormal * large != 0;
}

static void callMath(tw_frame *frame) {
  const int64_t *orders = (const int64_t *)frame->buffers[0];
  double *out = (double *)frame->buffers[1];
  const double *arguments = (const double *)(orders + 2);
  for (int i = 0; i < TW_MATH1_COUNT; ++i)
    out[i] = frame->host->math1[i](arguments[0]);
  for (int i = 0; i < TW_MATH2_COUNT; ++i)
    out[TW_MATH1_COUNT + i] = frame->host->math2[i](arguments[0], arguments[1]);
}

static void program(tw_frame *frame, int32_t thread, int32_t threads) {
  const int64_t *orders = (const int64_t *)frame->buffers[0];
  switch (orders[0]) {
  case CONTROL_BARRIERS:
    return meetRepeatedly(frame, thread, threads);
  case CONTROL_FAIL:
    return failAt(frame, thread, 0);
  case CONTROL_FAIL_LATE:
    return failAt(frame, thread, 1);
  case CONTROL_RACE:
    return raceToFail(frame, thread);
  case CONTROL_UNTIL_CANCELLED:
    return runUntilCancelled(frame, thread);
  case CONTROL_MARKS:
    return markLaunches(frame, thread);
  case CONTROL_SUBNORMAL:
    return computeSubnormal(frame, thread);
  case CONTROL_MATH:
    if (thread == 0)
      callMath(frame);
    return;
  case CONTROL_GROW_BAD:
    if (thread == 0)
      frame->host->grow(frame, (uint32_t)orders[1], orders[2], 0);
    return;
  }
}

static void sizes(const int64_t *symbols, int64_t *bytes) {
  (void)symbols;
  bytes[0] = bytes[1] = bytes[2] = 8 * CONTROL_LENGTH;
  bytes[3] = bytes[4] = 0;
}

static void outputDims(const int64_t *symbols, int64_t *result) {
  (void)symbols;
  result[0] = CONTROL_LENGTH;
}

EXPORT const tw_descriptor tilewright_model = {
    DESCRIPTOR_HEAD,
    .input_count = COUNT(inputs),
    .output_count = COUNT(outputs),
    .buffer_count = COUNT(buffers),
    .site_count = COUNT(sites),
    .launch_count = COUNT(launches),
    .inputs = inputs,
    .outputs = outputs,
    .buffers = buffers,
    .sites = sites,
    .launches = launches,
    .program = program,
    .sizes = sizes,
    .output_dims = outputDims,
};
