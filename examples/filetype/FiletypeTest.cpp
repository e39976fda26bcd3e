#include "Config.h"
#include "Features.h"
#include "Json.h"

#include <gtest/gtest.h>

namespace {

constexpr const char *configText = R"({"beg_size":16,"mid_size":0,"end_size":8,"block_size":32,
  "use_inputs_at_offsets":false, "medium_confidence_threshold":0.5,"min_file_size_for_dl":4,"padding_token":256,
  "target_labels_space":["c","markdown","randomtxt","zip"], "thresholds":{"markdown":0.75},
  "overwrite_map":{"randomtxt":"txt"}})";

Config config() {
  std::string problem;
  const auto parsed = Config::parse(configText, problem);
  EXPECT_TRUE(parsed) << problem;
  return *parsed;
}

Blocks blocksOf(const std::string &content) {
  const size_t size = std::min<size_t>(content.size(), 32);
  return {content.substr(0, size), content.substr(content.size() - size), content.size()};
}

/// Tokens as text, '.' for padding.
std::string featuresOf(const std::string &content) {
  std::vector<int32_t> tokens(24);
  if (const auto label = extractFeatures(config(), blocksOf(content), tokens))
    return *label;
  std::string text;
  for (int32_t token : tokens)
    text += token == 256 ? '.' : static_cast<char>(token);
  return text;
}

} // namespace

TEST(Features, PadsBehindTheBeginningAndBeforeTheEnd) {
  EXPECT_EQ(featuresOf("hello"), "hello..............hello");
  EXPECT_EQ(featuresOf("0123456789"), "0123456789......23456789");
}

TEST(Features, TakesTheEndsOfLongFiles) {
  std::string content(100, 'x');
  content.replace(0, 3, "abc");
  content.replace(97, 3, "YZ!");
  EXPECT_EQ(featuresOf(content), "abcxxxxxxxxxxxxxxxxxxYZ!");
}

TEST(Features, StripsWhiteSpaceOutsideOnly) {
  // The beginning keeps its trailing space, the end its leading one: 8 tokens reach back to it.
  EXPECT_EQ(featuresOf("\n\fab cde \n"), "ab cde \n........\n\fab cde");
  // Behind the first block nothing is looked at: white space there pads the end.
  EXPECT_EQ(featuresOf("abcdefgh" + std::string(60, ' ')), "abcdefgh        ........");
}

TEST(Features, SmallFilesAreNotAsked) {
  EXPECT_EQ(featuresOf(""), "empty");
  EXPECT_EQ(featuresOf("abc"), "txt");
  EXPECT_EQ(featuresOf("\xff\xfe"), "unknown");
  EXPECT_EQ(featuresOf("      a"), "txt");
  EXPECT_EQ(featuresOf(std::string(100, ' ')), "txt");
  EXPECT_EQ(featuresOf("   \xc3\xa4 "), "txt");
}

TEST(Features, Utf8) {
  for (const char *good :
       {"", "plain", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(isUtf8(good)) << good;
  for (const char *bad : {"\x80", "\xc3", "\xc0\xaf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xc3("})
    EXPECT_FALSE(isUtf8(bad)) << bad;
}

TEST(Features, UnreadableFiles) {
  Blocks blocks;
  std::string problem;
  EXPECT_FALSE(readBlocks("/nowhere/at/all", 32, blocks, problem));
  EXPECT_EQ(problem, "No such file or directory");
  EXPECT_FALSE(readBlocks("/", 32, blocks, problem));
  EXPECT_EQ(problem, "is a directory");
}

TEST(Judgement, ThresholdsAndOverwrites) {
  const Config settings = config();
  Knowledge knowledge;
  knowledge.texts = {"c", "markdown"};
  EXPECT_EQ(judge(settings, nullptr, 0, 0.5).label, "c");
  EXPECT_TRUE(judge(settings, nullptr, 0, 0.5).sure);
  EXPECT_FALSE(judge(settings, nullptr, 0, 0.49).sure);
  EXPECT_EQ(judge(settings, &knowledge, 0, 0.49).label, "txt");
  EXPECT_EQ(judge(settings, &knowledge, 3, 0.49).label, "unknown");
  EXPECT_FALSE(judge(settings, nullptr, 1, 0.7).sure);
  EXPECT_TRUE(judge(settings, nullptr, 1, 0.75).sure);
  EXPECT_EQ(judge(settings, &knowledge, 2, 0.9).label, "txt");
}

TEST(Configuration, Refusals) {
  std::string problem;
  EXPECT_FALSE(Config::parse("not json", problem));
  EXPECT_EQ(problem, "it is not JSON");
  EXPECT_FALSE(Config::parse("{}", problem));
  EXPECT_EQ(problem, "'beg_size' is missing or not as expected");
  std::string text = configText;
  text.replace(text.find("\"mid_size\":0"), 12, "\"mid_size\":9");
  EXPECT_FALSE(Config::parse(text, problem));
  EXPECT_EQ(problem, "'mid_size' is missing or not as expected");
}

TEST(JsonText, Values) {
  const auto value = Json::parse(R"( {"a": [1, -2.5e3, true, null, "x\n\u00e4\ud83d\ude00"], "b": {}} )");
  ASSERT_TRUE(value);
  const Json &list = *value->find("a");
  ASSERT_EQ(list.items.size(), 5u);
  EXPECT_EQ(list.items[1].number, -2500);
  EXPECT_TRUE(list.items[2].boolean);
  EXPECT_EQ(list.items[4].string, "x\n\xc3\xa4\xf0\x9f\x98\x80");
  EXPECT_EQ(value->find("b")->kind, Json::Kind::object);
  EXPECT_EQ(value->find("c"), nullptr);
}

TEST(JsonText, Refusals) {
  for (const char *bad : {"", "{", "[1,", "[1 2]", "{\"a\"}", "\"open", "\"\\q\"", "\"\\u12\"",
                          "\"\\ud800x\"", "tru", "1 2", "-"})
    EXPECT_FALSE(Json::parse(bad)) << bad;
  EXPECT_FALSE(Json::parse(std::string(100000, '[')));
}
