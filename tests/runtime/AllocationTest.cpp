#include "AllocationHooks.h"
#include "Support.h"

#include <gtest/gtest.h>

#include <sys/mman.h>

namespace {

class Allocation : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    if (UNDER_SANITIZER)
      GTEST_SKIP() << "sanitizers have allocators of their own";
  }

  /// Allocations during `runs`, which must all succeed.
  template <typename Run> uint64_t countDuring(int runs, Run run) {
    const uint64_t before = allocationCount();
    bool good = true;
    for (int i = 0; i < runs; ++i)
      good &= run() == TW_OK;
    const uint64_t after = allocationCount();
    EXPECT_TRUE(good);
    return after - before;
  }
};

} // namespace

TEST_P(Allocation, TheHooksCount) {
  const uint64_t before = allocationCount();
  delete new int;
  free(malloc(10));
  munmap(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
  ModelPointer model = loadArtifact(artifactPath("dynamic"));
  EXPECT_GE(allocationCount() - before, 6u);
}

TEST_P(Allocation, SteadyRunsHaveNone) {
  ModelPointer model = loadArtifact(artifactPath("dynamic"));
  SessionPointer session = createSession(model, GetParam());
  std::vector<float> a(300, 1), b(300, 2), out(300);
  const int64_t strides[] = {60, 1, 3};
  tw_tensor inputs[] = {tensorOf(TW_F32, {5, 3, 20}, a.data()), tensorOf(TW_F32, {5, 3, 20}, b.data())};
  inputs[1].strides = strides; // a staged copy
  tw_tensor own = {}, given = tensorOf(TW_F32, {5, 3, 20}, out.data());
  tw_error error;
  auto run = [&] {
    own.data = nullptr;
    const tw_status first = tw_session_run(session.get(), inputs, 2, &own, 1, &error);
    return first ? first : tw_session_run(session.get(), inputs, 2, &given, 1, &error);
  };
  EXPECT_GT(countDuring(1, run), 0u);
  EXPECT_EQ(countDuring(50, run), 0u);
}

TEST_P(Allocation, ReservedRunsHaveNone) {
  ModelPointer model = loadArtifact(artifactPath("dynamic"));
  SessionPointer session = createSession(model, GetParam());
  std::vector<float> data(3 * 5000);
  tw_tensor inputs[] = {tensorOf(TW_F32, {1, 3, 5000}, nullptr), tensorOf(TW_F32, {1, 3, 5000}, nullptr)},
            output = {};
  ASSERT_EQ(tw_session_reserve(session.get(), inputs, 2, nullptr), TW_OK);
  inputs[0].data = inputs[1].data = data.data();
  EXPECT_EQ(countDuring(1, [&] { return tw_session_run(session.get(), inputs, 2, &output, 1, nullptr); }),
            0u);
}

TEST_P(Allocation, DimensionsMetBeforeHaveNone) {
  ModelPointer model = loadArtifact(artifactPath("dynamic"));
  SessionPointer session = createSession(model, GetParam());
  std::vector<float> data(3 * 8 * 100);
  const tw_tensor input = tensorOf(TW_F32, {8, 3, 100}, data.data());
  auto runAll = [&] {
    for (int64_t batch = 8; batch >= 1; --batch) {
      tw_tensor inputs[] = {input, input}, output = {};
      inputs[0].shape[0] = inputs[1].shape[0] = batch;
      if (tw_status status = tw_session_run(session.get(), inputs, 2, &output, 1, nullptr))
        return status;
    }
    return TW_OK;
  };
  countDuring(1, runAll);
  EXPECT_EQ(countDuring(5, runAll), 0u);
}

TEST_P(Allocation, GrownOutputsStayGrown) {
  ModelPointer model = loadArtifact(artifactPath("nonzero"));
  SessionPointer session = createSession(model, GetParam());
  std::vector<uint8_t> x(5000, 1);
  tw_tensor input = tensorOf(TW_U8, {0}, x.data());
  auto run = [&](int64_t length) {
    tw_tensor outputs[2] = {};
    input.shape[0] = length;
    return tw_session_run(session.get(), &input, 1, outputs, 2, nullptr);
  };
  countDuring(1, [&] { return run(100); });
  countDuring(1, [&] { return run(5000); });
  EXPECT_EQ(countDuring(20, [&] { return run(5000); }), 0u);
  EXPECT_EQ(countDuring(20, [&] { return run(100); }), 0u);
}

TEST_P(Allocation, EveryOneMayFail) {
  // Load, start, run: each either works or says that memory is missing, and frees what it has.
  TemporaryFolder folder;
  const std::string path = folder.file("model.so");
  writeFile(path, withWeights(readFile(artifactPath("affine")), floatBytes({1, 2, 3, 4}), affineId));
  std::vector<float> x = {1, 1, 1, 1};
  for (uint64_t number = 1;; ++number) {
    tw_model *model = nullptr;
    tw_session *session = nullptr;
    tw_session_options options = {sizeof options, GetParam(), 0};
    tw_tensor input = tensorOf(TW_F32, {4}, x.data()), output = {};
    tw_error error = {};
    const uint64_t before = allocationCount();
    failAllocation(number);
    tw_status status = tw_model_load(path.c_str(), nullptr, &model, &error);
    if (status == TW_OK)
      status = tw_session_create(model, &options, &session, &error);
    if (status == TW_OK)
      status = tw_session_run(session, &input, 1, &output, 1, &error);
    const bool reached = allocationCount() - before >= number;
    failAllocation(0);
    EXPECT_TRUE(status == TW_OK || status == TW_IO) << number << ": " << error.code << " " << error.message;
    if (status == TW_OK)
      EXPECT_EQ(static_cast<float *>(output.data)[3], 6) << number;
    tw_session_free(session);
    tw_model_free(model);
    if (!reached) {
      EXPECT_GT(number, 20u);
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, Allocation, testing::Values(1, 3));
