#include "Support.h"
#include "artifacts/control.h"
#include "tilewright.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

using testing::HasSubstr;

TEST(Wrapper, LoadsAndRuns) {
  auto model = tilewright::Model::load(artifactPath("dynamic")).value();
  auto session = model.createSession({.threads = 2}).value();
  std::vector<float> a(6, 1), b(6, 2);
  auto outputs =
      session.run({tilewright::Tensor::view(a, {1, 3, 2}), tilewright::Tensor::view(b, {1, 3, 2})});
  ASSERT_TRUE(outputs) << outputs.error().text();
  ASSERT_EQ(outputs->size(), 1u);
  EXPECT_EQ(outputs->at(0).elements(), 6u);
  EXPECT_EQ(outputs->at(0).bytes(), 24u);
  EXPECT_EQ(outputs->at(0).dims()[1], 3);
  for (float value : outputs->at(0).values<float>())
    EXPECT_EQ(value, 4);
  EXPECT_TRUE(outputs->at(0).values<int32_t>().empty());
  EXPECT_STREQ(model.input(1).name, "b");
  EXPECT_EQ(model.outputCount(), 1u);
  EXPECT_GT(session.memoryBytes(), 0u);
}

TEST(Wrapper, RunsIntoTheCallersMemory) {
  auto model = tilewright::Model::load(artifactPath("dynamic")).value();
  auto session = model.createSession({.threads = 1}).value();
  const std::array<float, 3> a = {1, 2, 3};
  std::array<float, 3> out = {};
  tilewright::Tensor inputs[] = {tilewright::Tensor::view(a, {1, 3, 1}),
                                 tilewright::Tensor::view(a, {1, 3, 1})};
  tilewright::Tensor outputs[] = {tilewright::Tensor::view(out, {1, 3, 1})};
  session.reserve(inputs).value();
  session.run(inputs, outputs).value();
  EXPECT_EQ(out, (std::array<float, 3>{3, 6, 9}));
}

TEST(Wrapper, Errors) {
  auto missing = tilewright::Model::load("/nowhere/model.so");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().status, TW_IO);
  EXPECT_EQ(missing.error().codeName(), "TW4001");
  EXPECT_THAT(missing.error().text(), HasSubstr("TW4001: cannot open artifact '/nowhere/model.so'"));
  EXPECT_THROW(missing.value(), std::runtime_error);

  auto model = tilewright::Model::load(artifactPath("dynamic")).value();
  EXPECT_FALSE(model.createSession({.threads = -1}));
  auto session = model.createSession().value();
  std::vector<double> wrong(3);
  const tilewright::Tensor inputs[] = {tilewright::Tensor::view(wrong, {1, 3, 1}), tilewright::Tensor()};
  auto failed = session.run(inputs);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().codeName(), "TW4202");
  EXPECT_THROW(session.reserve(inputs).value(), std::runtime_error);
}

TEST(Wrapper, MovesAndOutlives) {
  std::optional<tilewright::Session> session;
  {
    auto model = tilewright::Model::load(artifactPath("alias")).value();
    auto first = model.createSession({.threads = 2}).value();
    session.emplace(std::move(first));
  }
  std::vector<int32_t> x = {4, 5};
  auto outputs = session->run({tilewright::Tensor::view(x, {2})});
  ASSERT_TRUE(outputs);
  EXPECT_EQ(outputs->at(3).values<int32_t>()[1], 15);
}

TEST(Wrapper, Profile) {
  auto model = tilewright::Model::load(artifactPath("control")).value();
  auto session = model.createSession({.threads = 2}).value();
  std::vector<int64_t> orders(CONTROL_LENGTH);
  orders[0] = CONTROL_MARKS;
  std::vector<std::string> kernels;
  session.profile([&](uint32_t, std::string_view kernel, uint64_t) { kernels.emplace_back(kernel); });
  auto moved = std::move(session);
  ASSERT_TRUE(moved.run({tilewright::Tensor::view(orders, {CONTROL_LENGTH})}));
  EXPECT_EQ(kernels, (std::vector<std::string>{"first", "body", "last"}));
  moved.profile({});
  ASSERT_TRUE(moved.run({tilewright::Tensor::view(orders, {CONTROL_LENGTH})}));
  EXPECT_EQ(kernels.size(), 3u);
}

TEST(Wrapper, ElementTypes) {
  static_assert(tilewright::dtypeOf<bool>() == TW_BOOL);
  static_assert(tilewright::dtypeOf<const int8_t>() == TW_I8);
  static_assert(tilewright::dtypeOf<long long>() == TW_I64);
  static_assert(tilewright::dtypeOf<uint16_t>() == TW_U16);
  static_assert(tilewright::dtypeOf<double>() == TW_F64);
  static_assert(tilewright::dtypeOf<char>() == (std::is_signed_v<char> ? TW_I8 : TW_U8));
  std::vector<int64_t> deep(TW_MAX_RANK + 9, 1);
  const tilewright::Tensor tensor = tilewright::Tensor::view(nullptr, TW_F32, deep);
  EXPECT_EQ(tensor.rank, TW_MAX_RANK + 9);
}
