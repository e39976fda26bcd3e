#include "MemoryPlan.h"
#include "Region.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

using namespace tilewright::runtime;

namespace {

uint64_t planned(const std::vector<Interval> &intervals, std::vector<uint64_t> &offsets) {
  MemoryPlanner planner;
  uint64_t peak = 0;
  offsets.assign(intervals.size(), ~uint64_t(0));
  EXPECT_TRUE(planner.prepare(intervals.data(), intervals.size()));
  EXPECT_TRUE(planner.plan(intervals.data(), offsets.data(), peak));
  return peak;
}

/// Whatever lives at the same launch must not share a byte; everything must be aligned and below the peak.
void expectSound(const std::vector<Interval> &intervals, const std::vector<uint64_t> &offsets,
                 uint64_t peak) {
  for (size_t i = 0; i < intervals.size(); ++i) {
    const Interval &a = intervals[i];
    ASSERT_EQ(offsets[i] % a.align, 0u);
    ASSERT_LE(offsets[i] + a.bytes, peak);
    for (size_t j = 0; j < i; ++j) {
      const Interval &b = intervals[j];
      const bool together = a.birth <= b.death && b.birth <= a.death;
      const bool apart = offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
      ASSERT_TRUE(!together || apart || !a.bytes || !b.bytes) << i << " and " << j;
    }
  }
}

/// The most bytes alive at once: no plan can need less.
uint64_t lowerBound(const std::vector<Interval> &intervals) {
  uint64_t most = 0;
  for (const Interval &at : intervals) {
    uint64_t live = 0;
    for (const Interval &interval : intervals)
      if (interval.birth <= at.birth && at.birth <= interval.death)
        live += alignUp(interval.bytes, 64);
    most = std::max(most, live);
  }
  return most;
}

std::vector<Interval> randomIntervals(std::mt19937 &random, size_t count, uint32_t launches, bool aligned) {
  std::vector<Interval> intervals(count);
  for (Interval &interval : intervals) {
    const uint32_t birth = random() % launches, length = random() % (random() % 4 ? 4 : launches);
    const uint64_t bytes = random() % 9 == 0 ? 0 : random() % (1u << (1 + random() % 16));
    const uint32_t align = aligned && random() % 4 == 0 ? 64u << (random() % 7) : 64;
    interval = {bytes, birth, birth + length, align};
  }
  return intervals;
}

} // namespace

TEST(MemoryPlan, NothingToPlan) {
  std::vector<uint64_t> offsets;
  EXPECT_EQ(planned({}, offsets), 0u);
}

TEST(MemoryPlan, ReusesMemoryOfTheDead) {
  std::vector<uint64_t> offsets;
  EXPECT_EQ(planned({{1000, 0, 1, 64}, {1000, 1, 2, 64}, {1000, 2, 3, 64}}, offsets), 2048u);
  EXPECT_EQ(offsets[0], offsets[2]);
}

TEST(MemoryPlan, NeighboursShareALaunch) {
  // Death is inclusive: a kernel reads its input while it writes its output.
  std::vector<uint64_t> offsets;
  EXPECT_EQ(planned({{64, 0, 5, 64}, {64, 5, 5, 64}}, offsets), 128u);
  EXPECT_EQ(planned({{64, 0, 4, 64}, {64, 5, 5, 64}}, offsets), 64u);
}

TEST(MemoryPlan, MergesFreedNeighbours) {
  std::vector<uint64_t> offsets;
  EXPECT_EQ(planned({{640, 0, 1, 64}, {640, 0, 1, 64}, {1280, 2, 3, 64}}, offsets), 1280u);
}

TEST(MemoryPlan, LastLaunchOfAll) {
  std::vector<uint64_t> offsets;
  const std::vector<Interval> intervals = {
      {64, 0, UINT32_MAX, 64}, {64, 0, 0, 64}, {64, UINT32_MAX, UINT32_MAX, 64}};
  expectSound(intervals, offsets, planned(intervals, offsets));
}

TEST(MemoryPlan, RandomIntervalsNeverOverlap) {
  std::mt19937 random(1);
  for (int round = 0; round < 400; ++round) {
    const auto intervals = randomIntervals(random, 1 + random() % 80, 1 + random() % 60, round % 2);
    std::vector<uint64_t> offsets;
    const uint64_t peak = planned(intervals, offsets);
    ASSERT_NO_FATAL_FAILURE(expectSound(intervals, offsets, peak)) << "round " << round;
  }
}

TEST(MemoryPlan, ManyBuffersStaySoundAndLinear) {
  std::mt19937 random(2);
  const auto intervals = randomIntervals(random, 3000, 2000, true);
  std::vector<uint64_t> offsets;
  expectSound(intervals, offsets, planned(intervals, offsets));
}

TEST(MemoryPlan, StaysCloseToTheLowerBound) {
  std::mt19937 random(3);
  double excess = 0;
  const int rounds = 200;
  for (int round = 0; round < rounds; ++round) {
    const auto intervals = randomIntervals(random, 60, 50, false);
    std::vector<uint64_t> offsets;
    const uint64_t bound = lowerBound(intervals);
    excess += bound ? double(planned(intervals, offsets)) / double(bound) - 1 : 0;
  }
  EXPECT_LT(excess / rounds, 0.03);
}

TEST(MemoryPlan, NeedsNoMoreThanTheSumOfAll) {
  std::mt19937 random(4);
  const auto intervals = randomIntervals(random, 100, 1, false);
  std::vector<uint64_t> offsets;
  EXPECT_EQ(planned(intervals, offsets), lowerBound(intervals));
}

TEST(MemoryPlan, OnePlannerForManySizes) {
  std::mt19937 random(5);
  auto intervals = randomIntervals(random, 50, 40, true);
  MemoryPlanner planner;
  ASSERT_TRUE(planner.prepare(intervals.data(), intervals.size()));
  std::vector<uint64_t> offsets(intervals.size());
  for (int round = 0; round < 50; ++round) {
    for (Interval &interval : intervals)
      interval.bytes = random() % 10000;
    uint64_t peak = 0;
    ASSERT_TRUE(planner.plan(intervals.data(), offsets.data(), peak));
    ASSERT_NO_FATAL_FAILURE(expectSound(intervals, offsets, peak));
  }
}

TEST(MemoryPlan, RefusesMoreThanTheAddressSpace) {
  std::vector<Interval> intervals = {{largestMemory, 0, 1, 64}, {largestMemory, 1, 2, 64}};
  std::vector<uint64_t> offsets(2);
  MemoryPlanner planner;
  uint64_t peak = 0;
  ASSERT_TRUE(planner.prepare(intervals.data(), 2));
  EXPECT_FALSE(planner.plan(intervals.data(), offsets.data(), peak));
  intervals = {{UINT64_MAX, 0, 0, 64}, {UINT64_MAX - 63, 1, 1, 64}};
  EXPECT_FALSE(planner.plan(intervals.data(), offsets.data(), peak));
}

TEST(Region, ExtendsWithItsContents) {
  Region region;
  ASSERT_TRUE(region.extend(100));
  region.data()[99] = 7;
  for (uint64_t bytes = 1 << 14; bytes <= uint64_t(1) << 25; bytes *= 8) {
    ASSERT_TRUE(region.extend(bytes));
    EXPECT_GE(region.capacity(), bytes);
    EXPECT_EQ(region.data()[99], 7);
    EXPECT_EQ(region.data()[bytes - 1], 0) << "new memory is zero";
  }
  const uint8_t *before = region.data();
  EXPECT_FALSE(region.extend(largestMemory + 1));
  EXPECT_EQ(region.data(), before) << "what cannot grow stays";
  EXPECT_EQ(region.data()[99], 7);
}

TEST(Region, GrowsAndKeepsItsPromises) {
  Region region;
  for (uint64_t bytes : {uint64_t(1), uint64_t(4032), uint64_t(4033), uint64_t(100000), uint64_t(3) << 20}) {
    ASSERT_TRUE(region.reserve(bytes));
    EXPECT_GE(region.capacity(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(region.data()) % (bytes >= 2u << 20 ? 2u << 20 : 4096), 0u);
    region.data()[0] = region.data()[bytes - 1] = 1;
    for (uint64_t slack = 0; slack < readableSlack; ++slack)
      EXPECT_EQ(region.data()[region.capacity() + slack], 0);
  }
  const uint8_t *before = region.data();
  ASSERT_TRUE(region.reserve(5));
  EXPECT_EQ(region.data(), before);
  EXPECT_FALSE(region.reserve(largestMemory + 1));
}
