#include "support/EditDistance.h"

#include <gtest/gtest.h>

using namespace tilewright::tools;

TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(editDistance("", ""), 0u);
  EXPECT_EQ(editDistance("", "abc"), 3u);
  EXPECT_EQ(editDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(editDistance("threads", "thraeds"), 1u) << "a swap of neighbours is one edit";
  EXPECT_EQ(editDistance("Input", "input"), 0u) << "case does not count";
}

TEST(EditDistance, FindsTheNearest) {
  EXPECT_EQ(closest("imput", {"output", "input", "inputs"}), "input");
  EXPECT_EQ(closest("inputs", {"input", "output"}), "input");
  EXPECT_EQ(closest("conv1", {"/layer1/conv1", "/layer1/relu"}), "/layer1/conv1")
      << "the last component of a path";
  EXPECT_EQ(closest("attention", {"attention_mask", "ids"}), "attention_mask") << "the beginning of a name";
}

TEST(EditDistance, DoesNotGuessWildly) {
  EXPECT_EQ(closest("xyz", {"input", "output"}), std::nullopt);
  EXPECT_EQ(closest("b", {"a"}), std::nullopt) << "replacing all of a name is no near miss";
  EXPECT_EQ(closest("x", {}), std::nullopt);
  EXPECT_EQ(closest(std::string(100000, 'a'), {std::string(100000, 'b')}), std::nullopt);
}

TEST(EditDistance, WordsTheHint) {
  EXPECT_EQ(didYouMean("imput", {"input"}), "did you mean 'input'?");
  EXPECT_EQ(didYouMean("zzz", {"input", "mask"}), "there are: 'input', 'mask'");
  EXPECT_EQ(didYouMean("zzz", {}), "");
  EXPECT_NE(didYouMean("zzz", std::vector<std::string>(100, "input")).find("and 92 more"), std::string::npos);
}
