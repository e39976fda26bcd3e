#include "CommandLine.h"

#include <gtest/gtest.h>

using namespace tilewright::tools;

TEST(ParseDimension, AcceptsNumbersAndRanges) {
  auto fixed = parseDimension("batch=4");
  ASSERT_TRUE(fixed);
  EXPECT_EQ(fixed->name, "batch");
  EXPECT_EQ(fixed->low, 4);
  EXPECT_EQ(fixed->high, 4);
  auto range = parseDimension("a=b=1..512");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->name, "a=b");
  EXPECT_EQ(range->low, 1);
  EXPECT_EQ(range->high, 512);
}

TEST(ParseDimension, RefusesTheRest) {
  for (const char *text : {"batch", "=4", "batch=", "batch=x", "batch=-1", "batch=3..2", "batch=1..",
                           "batch=1...3", "batch=99999999999999999999"}) {
    auto dim = parseDimension(text);
    ASSERT_FALSE(dim) << text;
    EXPECT_EQ(dim.problem().exit, ExitCode::Usage);
  }
}

TEST(ParseBytes, KnowsSuffixes) {
  EXPECT_EQ(*parseBytes("123"), 123u);
  EXPECT_EQ(*parseBytes("4K"), 4096u);
  EXPECT_EQ(*parseBytes("1.5m"), 1536u * 1024);
  EXPECT_EQ(*parseBytes("2GiB"), 2ull << 30);
  EXPECT_EQ(*parseBytes("2GB"), 2ull << 30);
  for (const char *text : {"", "K", "-1", "3Q", "1e30", "nan", "4K4"})
    EXPECT_FALSE(parseBytes(text)) << text;
}
