/// `tilewright test`: every outcome a case can have.
#include "Support.h"
#include "support/Json.h"

#include <filesystem>
#include <protozero/pbf_writer.hpp>

using namespace tilewright::tools;
using namespace tilewright::tools::test;

class TestCommandTest : public FolderTest {
protected:
  /// A case that passes, unless its model asks for something else or `y` is wrong.
  void addCase(const std::string &name, const std::string &model, std::vector<float> y = {3, 5, 7},
               int set = 0) {
    std::string data = name + "/test_data_set_" + std::to_string(set) + "/";
    write(name + "/model.onnx", model);
    write(data + "input_0.pb", tensorProto<float>(TW_F32, {1, 3}, {1, 2, 3}));
    write(data + "input_1.pb", tensorProto<uint16_t>(TW_BF16, {2}, {0x3f80, 0x4000}));
    write(data + "output_0.pb", tensorProto(TW_F32, {1, 3}, y));
    write(data + "output_1.pb", tensorProto<uint16_t>(TW_BF16, {2}, {0x3f80, 0x4000}));
  }
  Json runJson(const std::string &words, int exit) {
    Ran ran = driver("test " + path("") + " --json " + words);
    EXPECT_EQ(ran.exit, exit) << ran.err;
    auto json = parseJson(ran.out);
    EXPECT_TRUE(json) << ran.out;
    return json.value_or(Json());
  }
};

static std::string statusOf(const Json &report, const std::string &name) {
  for (const Json &entry : report["cases"])
    if (entry["dir"].get<std::string>().ends_with("/" + name))
      return entry["status"].get<std::string>();
  return "missing";
}

static std::string messageOf(const Json &report, const std::string &name) {
  for (const Json &entry : report["cases"])
    if (entry["dir"].get<std::string>().ends_with("/" + name))
      return entry["message"].get<std::string>();
  return "missing";
}

TEST_F(TestCommandTest, PassesAndExitsWithZero) {
  addCase("a/deep/case", modelProto());
  addCase("b", modelProto());
  Ran ran = driver("test " + path(""));
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, "2 cases: 2 passed, 0 failed, 0 unsupported, 0 crashed\n");
  EXPECT_EQ(driver("test " + path("b")).out, "1 cases: 1 passed, 0 failed, 0 unsupported, 0 crashed\n")
      << "a case itself may be named";
}

TEST_F(TestCommandTest, UnsupportedAloneExitsWithThree) {
  addCase("good", modelProto());
  addCase("unsupported", modelProto("fake:unsupported"));
  std::string sequence;
  protozero::pbf_writer(sequence).add_message(12, valueInfo("list", 4));
  addCase("sequence", modelProto("", sequence));
  Json report = runJson("", 3);
  EXPECT_EQ(report["unsupported"], 2);
  EXPECT_EQ(messageOf(report, "unsupported"), "TW1301: first unsupported thing (Frobnicate n1) and 1 more");
  EXPECT_NE(messageOf(report, "sequence").find("is a sequence"), std::string::npos);
}

TEST_F(TestCommandTest, IsolatesWhatGoesWrong) {
  addCase("wrong", modelProto(), {3, 5, 8});
  addCase("invalid", modelProto("fake:invalid"));
  addCase("internal", modelProto("fake:internal"));
  addCase("crash", modelProto("fake:crash"));
  addCase("words", modelProto("fake:print fake:crash"));
  addCase("hang", modelProto("fake:hang"));
  addCase("good", modelProto());
  Json report = runJson("--timeout 1 --jobs 4", 1);
  EXPECT_EQ(report["total"], 7);
  EXPECT_EQ(report["passed"], 1);
  EXPECT_EQ(report["failed"], 2);
  EXPECT_EQ(report["crashed"], 4);
  EXPECT_EQ(statusOf(report, "good"), "passed");
  EXPECT_EQ(messageOf(report, "wrong"),
            "output 'y': 1 of 3 elements differ; at [0,2]: 7 where 8 is expected (rtol 0.001, atol 1e-07)");
  EXPECT_EQ(statusOf(report, "invalid"), "failed");
  EXPECT_EQ(statusOf(report, "internal"), "crashed");
  EXPECT_EQ(statusOf(report, "crash"), "crashed");
  EXPECT_NE(messageOf(report, "words").find("last words"), std::string::npos) << messageOf(report, "words");
  EXPECT_EQ(messageOf(report, "hang"), "no result after 1 s");
}

TEST_F(TestCommandTest, WantOfResourcesIsNoDifference) {
  addCase("good", modelProto());
  addCase("lack", modelProto("fake:lack"));
  EXPECT_EQ(statusOf(runJson("", 5), "lack"), "failed");
  addCase("wrong", modelProto(), {3, 5, 8});
  EXPECT_EQ(runJson("", 1)["failed"], 2);
}

TEST_F(TestCommandTest, RunsEveryDataSet) {
  addCase("case", modelProto());
  addCase("case", modelProto(), {0, 0, 0}, 1);
  Json report = runJson("", 1);
  EXPECT_EQ(messageOf(report, "case").find("test_data_set_1: output 'y': 3 of 3"), 0u)
      << messageOf(report, "case");
}

TEST_F(TestCommandTest, ReadsTolerances) {
  addCase("case", modelProto(), {3.1f, 5, 7});
  EXPECT_EQ(statusOf(runJson("", 1), "case"), "failed");
  write("case/data.json", R"({"rtol": 0.1, "atol": 0})");
  EXPECT_EQ(statusOf(runJson("", 0), "case"), "passed");
}

TEST_F(TestCommandTest, DoesNotFeedInitialisers) {
  // A third input, first in the data files' order but for its initialiser.
  std::string extra, initialiser;
  protozero::pbf_writer(initialiser).add_string(8, "weight");
  protozero::pbf_writer writer(extra);
  writer.add_message(5, initialiser);
  writer.add_message(11, valueInfo("weight"));
  addCase("two_files", modelProto("", extra));
  addCase("three_files", modelProto("", extra));
  write("three_files/test_data_set_0/input_2.pb", tensorProto<float>(TW_F32, {1}, {9}));
  EXPECT_EQ(runJson("", 0)["passed"], 2);
}

TEST_F(TestCommandTest, ReportsDamagedCases) {
  addCase("no_input", modelProto());
  std::filesystem::remove(path("no_input/test_data_set_0/input_1.pb"));
  addCase("bad_output", modelProto());
  write("bad_output/test_data_set_0/output_0.pb", "\xff\xff");
  write("no_model_inside/model.onnx", "\xff\xff");
  write("no_data/model.onnx", modelProto());
  Json report = runJson("", 1);
  EXPECT_EQ(report["failed"], 4);
  EXPECT_NE(messageOf(report, "no_input").find("'half/in'"), std::string::npos);
  EXPECT_NE(messageOf(report, "bad_output").find("TW5401"), std::string::npos);
}

TEST_F(TestCommandTest, ACaseThatSaysNotWhatIsRightFails) {
  addCase("none", modelProto());
  std::filesystem::remove(path("none/test_data_set_0/output_0.pb"));
  std::filesystem::remove(path("none/test_data_set_0/output_1.pb"));
  addCase("one", modelProto());
  std::filesystem::remove(path("one/test_data_set_0/output_1.pb"));
  Json report = runJson("", 1);
  EXPECT_EQ(report["failed"], 2);
  EXPECT_EQ(messageOf(report, "none"),
            "0 output files where the model has 2 outputs: nothing says what is right");
  EXPECT_EQ(messageOf(report, "one"),
            "1 output files where the model has 2 outputs: nothing says what is right");
}

TEST_F(TestCommandTest, NeedsCases) {
  EXPECT_EQ(driver("test " + path("")).exit, 2);
  EXPECT_EQ(driver("test " + path("missing")).exit, 5);
  EXPECT_EQ(driver("test").exit, 2);
}
