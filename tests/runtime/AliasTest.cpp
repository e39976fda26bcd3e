#include "Support.h"

#include <gtest/gtest.h>

#include <numeric>

namespace {

class Alias : public testing::TestWithParam<int> {
protected:
  ModelPointer model = loadArtifact(artifactPath("alias"));
  SessionPointer session = createSession(model, GetParam());

  static tw_tensor view(std::vector<int32_t> &values, size_t start, size_t count) {
    return tensorOf(TW_I32, {static_cast<int64_t>(count)}, values.data() + start);
  }
  static void expectOutputs(const tw_tensor *outputs, const std::vector<int32_t> &x) {
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(static_cast<int32_t *>(outputs[0].data)[i], x[i]) << i;
      ASSERT_EQ(static_cast<int32_t *>(outputs[1].data)[i], x[i] + 1) << i;
      ASSERT_EQ(static_cast<int32_t *>(outputs[2].data)[i], x[i] + 1) << i;
      ASSERT_EQ(static_cast<int32_t *>(outputs[3].data)[i], 3 * x[i]) << i;
    }
  }
  void run(const tw_tensor &input, tw_tensor *outputs) {
    tw_error error;
    ASSERT_EQ(tw_session_run(session.get(), &input, 1, outputs, 4, &error), TW_OK) << error.message;
  }
};

} // namespace

TEST_P(Alias, OutputsOfTheSession) {
  for (size_t count : {5, 0, 1000, 100}) {
    std::vector<int32_t> x(count);
    std::iota(x.begin(), x.end(), 7);
    tw_tensor outputs[4] = {};
    run(view(x, 0, count), outputs);
    expectOutputs(outputs, x);
    if (count) {
      EXPECT_NE(outputs[0].data, x.data()) << "the caller may free its input";
    }
  }
}

TEST_P(Alias, OutputsOfTheCaller) {
  std::vector<int32_t> x(100), memory(400);
  std::iota(x.begin(), x.end(), -3);
  tw_tensor outputs[4];
  for (size_t i = 0; i < 4; ++i)
    outputs[i] = view(memory, 100 * i, 100);
  run(view(x, 0, 100), outputs);
  expectOutputs(outputs, x);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_EQ(outputs[i].data, memory.data() + 100 * i);
}

TEST_P(Alias, AnyMixtureOfOwners) {
  std::vector<int32_t> x(33);
  std::iota(x.begin(), x.end(), 1);
  for (unsigned mask = 0; mask < 16; ++mask) {
    std::vector<int32_t> memory(4 * 33, -9);
    tw_tensor outputs[4] = {};
    for (size_t i = 0; i < 4; ++i)
      if (mask >> i & 1)
        outputs[i] = view(memory, 33 * i, 33);
    run(view(x, 0, 33), outputs);
    ASSERT_NO_FATAL_FAILURE(expectOutputs(outputs, x)) << mask;
  }
}

TEST_P(Alias, OutputBufferOverTheInput) {
  // Whichever output lies on the input, wholly or shifted: the others are computed from the input as it was.
  for (size_t which = 0; which < 4; ++which)
    for (size_t shift : {0, 1, 20}) {
      std::vector<int32_t> memory(150), x(100);
      std::iota(memory.begin(), memory.end(), 11);
      std::copy_n(memory.begin(), 100, x.begin());
      tw_tensor outputs[4] = {};
      outputs[which] = view(memory, shift, 100);
      run(view(memory, 0, 100), outputs);
      ASSERT_NO_FATAL_FAILURE(expectOutputs(outputs, x)) << which << " shifted by " << shift;
      EXPECT_EQ(outputs[which].data, memory.data() + shift);
    }
}

INSTANTIATE_TEST_SUITE_P(Threads, Alias, testing::Values(1, 2, 4));
