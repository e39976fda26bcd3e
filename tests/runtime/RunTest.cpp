#include "Session.h"
#include "Support.h"
#include "artifacts/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>

using testing::HasSubstr;

namespace {

/// A session on control.so and its input and output.
struct Control {
  explicit Control(int threads) : session(createSession(model, threads)) {}

  tw_status run(std::vector<int64_t> orders) {
    orders.resize(CONTROL_LENGTH);
    tw_tensor input = tensorOf(TW_I64, {CONTROL_LENGTH}, orders.data());
    tw_tensor output = tensorOf(TW_I64, {CONTROL_LENGTH}, out);
    return tw_session_run(session.get(), &input, 1, &output, 1, &error);
  }

  ModelPointer model = loadArtifact(artifactPath("control"));
  SessionPointer session;
  int64_t out[CONTROL_LENGTH] = {};
  tw_error error = {};
};

/// A session on dynamic.so fed with ones and twos.
struct Dynamic {
  explicit Dynamic(int threads, const char *name = "dynamic")
      : model(loadArtifact(artifactPath(name))), session(createSession(model, threads)) {}

  tw_status run(int64_t batch, int64_t width) {
    const size_t elements = static_cast<size_t>(batch * 3 * width);
    a.assign(elements, 1);
    b.assign(elements, 2);
    tw_tensor inputs[] = {tensorOf(TW_F32, {batch, 3, width}, a.data()),
                          tensorOf(TW_F32, {batch, 3, width}, b.data())};
    output = {};
    const tw_status status = tw_session_run(session.get(), inputs, 2, &output, 1, &error);
    if (status == TW_OK)
      for (size_t i = 0; i < elements; ++i)
        EXPECT_EQ(static_cast<float *>(output.data)[i], 4);
    return status;
  }

  tw_status reserve(int64_t batch, int64_t width) {
    tw_tensor inputs[] = {tensorOf(TW_F32, {batch, 3, width}, nullptr),
                          tensorOf(TW_F32, {batch, 3, width}, nullptr)};
    return tw_session_reserve(session.get(), inputs, 2, &error);
  }

  ModelPointer model;
  SessionPointer session;
  std::vector<float> a, b;
  tw_tensor output = {};
  tw_error error = {};
};

} // namespace

TEST(Failure, IsWordedAndPlaced) {
  struct Case {
    int64_t code, a, b;
    tw_status status;
    const char *name, *message;
  };
  const Case cases[] = {
      {TW_FAIL_INDEX, 12, 10, TW_INVALID, "TW4401", "index 12 is outside [-10, 10)"},
      {TW_FAIL_SHAPE, 5, 7, TW_INVALID, "TW4402", "a dimension is 5 where 7 is needed"},
      {TW_FAIL_RESHAPE, 12, 7, TW_INVALID, "TW4403", "12 elements cannot be reshaped into 7"},
      {TW_FAIL_SIZE, -3, 7, TW_INVALID, "TW4404", "-3 is used as a size or count, which cannot be negative"},
      {TW_FAIL_SIZE, 9, 7, TW_INVALID, "TW4404", "9 is used as a size or count, the limit is 7"},
      {TW_FAIL_MEMORY, 1 << 20, 0, TW_IO, "TW4405", "1048576 bytes of memory cannot be allocated"},
      {TW_FAIL_DIVIDE, 0, 0, TW_INVALID, "TW4406", "integer division by zero"},
      {TW_FAIL_BRANCH, 0, 0, TW_INVALID, "TW4407", "the branch that the inputs choose cannot run"},
      {TW_FAIL_AT_MOST, 9, 7, TW_INVALID, "TW4410", "a size is 9 where at most 7 fits"},
      {TW_FAIL_AT_LEAST, -1, 0, TW_INVALID, "TW4411", "a size is -1 where at least 0 is needed"},
      {TW_FAIL_ASSUMPTION, 0, 1, TW_UNSUPPORTED, "TW4409", "is 0, but the model was compiled for 1 only"},
      {77, 0, 0, TW_INTERNAL, "TW9401", "unknown failure 77"},
  };
  Control control(1);
  for (const Case &item : cases) {
    EXPECT_EQ(control.run({CONTROL_FAIL, 0, item.code, 0, item.a, item.b, 2}), item.status);
    EXPECT_STREQ(control.error.code, item.name);
    EXPECT_THAT(control.error.message, HasSubstr(item.message));
    EXPECT_THAT(control.error.message, HasSubstr("Gather 'gather_3': "));
    EXPECT_STREQ(control.error.node, "gather_3");
    EXPECT_STREQ(control.error.op, "Gather");
    EXPECT_STREQ(control.error.tensor, "indices");
    EXPECT_EQ(control.out[0], 2); // left at the barrier after the failure
  }
}

TEST(Failure, WithoutNodeOrSite) {
  Control control(1);
  control.run({CONTROL_FAIL, 0, TW_FAIL_DIVIDE, 1});
  EXPECT_STREQ(control.error.message, "Reshape: integer division by zero");
  for (int64_t site : {-1, 2, 1 << 30}) {
    control.run({CONTROL_FAIL, 0, TW_FAIL_DIVIDE, site});
    EXPECT_STREQ(control.error.message, "integer division by zero");
    EXPECT_STREQ(control.error.node, "");
  }
}

TEST(Failure, AfterTheLastBarrierStillCounts) {
  Control control(2);
  EXPECT_EQ(control.run({CONTROL_FAIL_LATE, 1, TW_FAIL_DIVIDE, 0}), TW_INVALID);
  EXPECT_EQ(control.run({CONTROL_BARRIERS, 1}), TW_OK) << "the session must be usable again";
  EXPECT_STREQ(control.error.code, "");
}

TEST(Failure, GrowingWhatIsNotGrowable) {
  Control control(2);
  EXPECT_EQ(control.run({CONTROL_GROW_BAD, 2, 100}), TW_INTERNAL);
  EXPECT_EQ(control.run({CONTROL_GROW_BAD, 999, 100}), TW_INTERNAL);
  EXPECT_EQ(control.run({CONTROL_GROW_BAD, 3, -1}), TW_IO);
  EXPECT_STREQ(control.error.code, "TW4405");
  EXPECT_STREQ(control.error.node, "gather_3");
  EXPECT_EQ(control.run({CONTROL_GROW_BAD, 3, INT64_MAX}), TW_IO);
  EXPECT_STREQ(control.error.code, "TW4405");
  EXPECT_STREQ(control.error.node, "gather_3");
  EXPECT_EQ(control.run({CONTROL_GROW_BAD, 3, 100}), TW_OK);
}

TEST(Profile, AddsUpLaunchesInProgramOrder) {
  struct Record {
    std::vector<uint32_t> launches;
    std::vector<std::string> kernels;
    std::map<uint32_t, uint64_t> time;
  };
  for (int threads : {1, 3}) {
    Control control(threads);
    Record record;
    auto callback = [](void *user, uint32_t launch, const char *kernel, uint64_t nanoseconds) {
      auto *into = static_cast<Record *>(user);
      into->launches.push_back(launch);
      into->kernels.push_back(kernel);
      into->time[launch] = nanoseconds;
    };
    tw_session_profile(control.session.get(), callback, &record);
    ASSERT_EQ(control.run({CONTROL_MARKS}), TW_OK);
    EXPECT_EQ(record.launches, (std::vector<uint32_t>{0, 1, 3}));
    EXPECT_EQ(record.kernels, (std::vector<std::string>{"first", "body", "last"}));
    EXPECT_GT(record.time[1], 50000u); // three times 100,000 iterations
    EXPECT_EQ(control.out[threads - 1], 1);

    record = {};
    EXPECT_EQ(control.run({CONTROL_FAIL, 0, TW_FAIL_DIVIDE}), TW_INVALID);
    EXPECT_TRUE(record.launches.empty()) << "a failed run is not reported";

    tw_session_profile(control.session.get(), nullptr, nullptr);
    ASSERT_EQ(control.run({CONTROL_MARKS}), TW_OK);
    EXPECT_TRUE(record.launches.empty());
    EXPECT_EQ(control.out[0], 0);
  }
}

TEST(Math, TablesAreInTheirDeclaredOrder) {
  const double x = 0.37, y = 1.7;
  int sign;
  const double expected[] = {sin(x),    cos(x),      tan(x),    asin(x),  acos(x),  atan(x),
                             sinh(x),   cosh(x),     tanh(x),   asinh(x), acosh(x), atanh(x),
                             exp(x),    log(x),      erf(x),    log1p(x), expm1(x), lgamma_r(x, &sign),
                             pow(x, y), atan2(x, y), fmod(x, y)};
  Control control(2);
  std::vector<int64_t> orders = {CONTROL_MATH, 0, 0, 0};
  memcpy(&orders[2], &x, 8);
  memcpy(&orders[3], &y, 8);
  ASSERT_EQ(control.run(orders), TW_OK);
  for (size_t i = 0; i < std::size(expected); ++i) {
    double got;
    memcpy(&got, &control.out[i], 8);
    EXPECT_TRUE(got == expected[i] || (std::isnan(got) && std::isnan(expected[i]))) << i << ": " << got;
  }
}

TEST(Dims, ManySetsThroughOneSession) {
  Dynamic dynamic(2);
  for (int round = 0; round < 3; ++round)
    for (int64_t batch = 1; batch < 8; ++batch)
      for (int64_t width : {0, 1, 5, 64, 257})
        ASSERT_EQ(dynamic.run(batch, width), TW_OK) << dynamic.error.message;
}

TEST(Dims, PlansOfTheLastEightSetsAreKept) {
  Dynamic dynamic(1);
  tw_session *session = dynamic.session.get();
  for (int round = 0; round < 3; ++round)
    for (int64_t batch = 1; batch <= 8; ++batch)
      ASSERT_EQ(dynamic.run(batch, 4), TW_OK);
  EXPECT_EQ(session->planCount(), 8u);
  ASSERT_EQ(dynamic.run(9, 4), TW_OK); // 1 goes
  EXPECT_EQ(session->planCount(), 9u);
  ASSERT_EQ(dynamic.run(2, 4), TW_OK);
  EXPECT_EQ(session->planCount(), 9u);
  ASSERT_EQ(dynamic.run(1, 4), TW_OK); // 3 goes
  EXPECT_EQ(session->planCount(), 10u);
  ASSERT_EQ(dynamic.run(2, 4), TW_OK);
  EXPECT_EQ(session->planCount(), 10u);
  ASSERT_EQ(dynamic.run(3, 4), TW_OK);
  EXPECT_EQ(session->planCount(), 11u);
}

TEST(Memory, OnlyGrows) {
  Dynamic dynamic(2);
  ASSERT_EQ(dynamic.run(2, 1000), TW_OK);
  const uint64_t large = tw_session_memory_bytes(dynamic.session.get());
  EXPECT_GE(large, 3u * 2 * 3 * 1000 * 4);
  ASSERT_EQ(dynamic.run(1, 10), TW_OK);
  EXPECT_EQ(tw_session_memory_bytes(dynamic.session.get()), large);
  ASSERT_EQ(dynamic.run(4, 1000), TW_OK);
  EXPECT_GT(tw_session_memory_bytes(dynamic.session.get()), large);
}

TEST(Memory, ReserveIsEnough) {
  Dynamic dynamic(2);
  ASSERT_EQ(dynamic.reserve(16, 1000), TW_OK) << dynamic.error.message;
  const uint64_t reserved = tw_session_memory_bytes(dynamic.session.get());
  ASSERT_EQ(dynamic.run(16, 1000), TW_OK);
  EXPECT_EQ(tw_session_memory_bytes(dynamic.session.get()), reserved);
  EXPECT_EQ(dynamic.session->planCount(), 1u);
  EXPECT_EQ(dynamic.reserve(0, 1), TW_INVALID);
}

TEST(Memory, AbsurdSizesAreRefused) {
  Dynamic dynamic(1, "dynamic_huge");
  // 12 TiB of inputs make 12 PiB of intermediate results.
  EXPECT_EQ(dynamic.reserve(1 << 20, 1 << 20), TW_IO);
  EXPECT_STREQ(dynamic.error.code, "TW4301");
  EXPECT_THAT(dynamic.error.message, HasSubstr("batch = 1048576, width = 1048576"));
  ASSERT_EQ(dynamic.run(2, 3), TW_OK) << "the session must be usable again";
}

TEST(Memory, WhatTheSystemRefusesIsAnError) {
  int policy = 1;
  std::ifstream("/proc/sys/vm/overcommit_memory") >> policy;
  if (policy == 1 || UNDER_SANITIZER)
    GTEST_SKIP() << "this system hands out any amount of memory, or none reliably";
  Dynamic dynamic(1, "dynamic_huge");
  ASSERT_EQ(dynamic.reserve(1 << 10, 1 << 20), TW_IO); // 24 TiB
  EXPECT_STREQ(dynamic.error.code, "TW4302");
  ASSERT_EQ(dynamic.run(2, 3), TW_OK) << dynamic.error.message;
}

TEST(Squeezed, DimensionsOfSizeOneAreLeftOut) {
  Dynamic dynamic(2, "dynamic_squeezed");
  const auto shape = [&] {
    return std::vector<int64_t>(dynamic.output.shape, dynamic.output.shape + dynamic.output.rank);
  };
  ASSERT_EQ(dynamic.run(2, 5), TW_OK) << dynamic.error.message;
  EXPECT_THAT(shape(), testing::ElementsAre(2, 3, 5));
  ASSERT_EQ(dynamic.run(1, 5), TW_OK) << dynamic.error.message;
  EXPECT_THAT(shape(), testing::ElementsAre(3, 5));
  ASSERT_EQ(dynamic.run(1, 1), TW_OK) << dynamic.error.message;
  EXPECT_THAT(shape(), testing::ElementsAre(3));
  EXPECT_EQ(tw_model_output(dynamic.model.get(), 0)->rank, 3);
}

TEST(Squeezed, CallersBufferIsOfTheShapeTheCallerSees) {
  Dynamic dynamic(1, "dynamic_squeezed");
  const float a[6] = {1, 1, 1, 1, 1, 1}, b[6] = {2, 2, 2, 2, 2, 2};
  float out[6] = {};
  tw_tensor inputs[] = {tensorOf(TW_F32, {1, 3, 2}, a), tensorOf(TW_F32, {1, 3, 2}, b)};
  dynamic.output = tensorOf(TW_F32, {3, 2}, out);
  ASSERT_EQ(tw_session_run(dynamic.session.get(), inputs, 2, &dynamic.output, 1, &dynamic.error), TW_OK)
      << dynamic.error.message;
  EXPECT_EQ(out[5], 4);
  dynamic.output = tensorOf(TW_F32, {1, 3, 2}, out);
  EXPECT_EQ(tw_session_run(dynamic.session.get(), inputs, 2, &dynamic.output, 1, &dynamic.error), TW_INVALID);
  EXPECT_STREQ(dynamic.error.code, "TW4210");
  EXPECT_THAT(dynamic.error.message, HasSubstr("has shape [3, 2]"));
}

TEST(Growable, OutputsFollowTheData) {
  ModelPointer model = loadArtifact(artifactPath("nonzero"));
  for (int threads : {1, 2, 3}) {
    SessionPointer session = createSession(model, threads);
    for (int64_t length : {10, 0, 3000, 100, 20000, 7}) {
      std::vector<uint8_t> x(static_cast<size_t>(length));
      std::vector<int64_t> expected;
      for (int64_t i = 0; i < length; ++i)
        if ((x[static_cast<size_t>(i)] = i % 3 == 1))
          expected.push_back(i);
      tw_tensor input = tensorOf(TW_U8, {length}, x.data()), outputs[2] = {};
      tw_error error;
      ASSERT_EQ(tw_session_run(session.get(), &input, 1, outputs, 2, &error), TW_OK) << error.message;
      ASSERT_EQ(outputs[0].rank, 1);
      ASSERT_EQ(outputs[0].shape[0], static_cast<int64_t>(expected.size()));
      ASSERT_NE(outputs[0].data, nullptr);
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), static_cast<int64_t *>(outputs[0].data)));
      EXPECT_EQ(outputs[1].rank, 2);
      EXPECT_EQ(outputs[1].shape[1], 2);
      EXPECT_EQ(outputs[1].data, outputs[0].data);
    }
  }
}

TEST(Growable, CallersBufferMustFit) {
  ModelPointer model = loadArtifact(artifactPath("nonzero"));
  SessionPointer session = createSession(model, 2);
  const uint8_t x[] = {0, 1, 0, 1, 1};
  int64_t found[3] = {};
  tw_tensor input = tensorOf(TW_U8, {5}, x), outputs[2] = {tensorOf(TW_I64, {3}, found), {}};
  tw_error error;
  ASSERT_EQ(tw_session_run(session.get(), &input, 1, outputs, 2, &error), TW_OK) << error.message;
  EXPECT_EQ(found[0], 1);
  EXPECT_EQ(found[2], 4);
  outputs[0] = tensorOf(TW_I64, {4}, found);
  outputs[1] = {};
  EXPECT_EQ(tw_session_run(session.get(), &input, 1, outputs, 2, &error), TW_INVALID);
  EXPECT_STREQ(error.code, "TW4210");
  EXPECT_THAT(error.message, HasSubstr("[3]"));
}
