/// The driver as its users meet it: exit codes, streams and files.
#include "Support.h"
#include "support/Json.h"
#include "support/Npy.h"

#include <filesystem>

using namespace tilewright::tools;
using namespace tilewright::tools::test;

class CliTest : public FolderTest {
protected:
  std::string model(const std::string &request = "") { return write("model.onnx", modelProto(request)); }
  std::string inputs() {
    EXPECT_FALSE(writeNpz(path("in.npz"), {{"x", tensorOf<float>(TW_F32, {2, 3}, {1, 2, 3, 4, 5, 6})},
                                           {"half/in", tensorOf<uint16_t>(TW_U16, {2}, {0x3f80, 0x4000})}}));
    return path("in.npz");
  }
  void expectOutputs(const std::string &file) {
    auto npz = NpzReader::open(file);
    ASSERT_TRUE(npz) << npz.problem().message;
    EXPECT_EQ(npz->names(), (std::vector<std::string>{"y", "half/out"}));
    EXPECT_EQ(valuesOf<float>(*npz->read("y")), (std::vector<float>{3, 5, 7, 9, 11, 13}));
    EXPECT_EQ(npz->read("y")->shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(valuesOf<uint16_t>(*npz->read("half/out")), (std::vector<uint16_t>{0x3f80, 0x4000}));
  }
};

static void expectError(const Ran &ran, int exit, const std::string &words) {
  EXPECT_EQ(ran.exit, exit) << ran.err;
  EXPECT_NE(ran.err.find(words), std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find('\033'), std::string::npos) << "colour off the terminal";
}

TEST_F(CliTest, HelpIsEverywhere) {
  for (const char *words : {"--help", "check --help", "compile --help", "run --help", "bench --help",
                            "test --help", "inspect -h"}) {
    Ran ran = driver(words);
    EXPECT_EQ(ran.exit, 0) << words;
    EXPECT_NE(ran.out.find("Usage:"), std::string::npos) << words;
    EXPECT_NE(ran.out.find(std::string(words) == "--help" ? "Exit codes" : "Examples"), std::string::npos)
        << words;
  }
  EXPECT_NE(driver("--version").out.find("stand-in compiler"), std::string::npos);
}

TEST_F(CliTest, UsageErrors) {
  expectError(driver(""), 2, "Usage:");
  expectError(driver("cmpile x"), 2, "did you mean 'compile'?");
  expectError(driver("run --treads 2 x"), 2, "did you mean '--threads'?");
  expectError(driver("run"), 2, "MODEL");
  expectError(driver("run x --threads many"), 2, "--threads");
  expectError(driver("run x --threads 1025"), 2, "--threads");
  expectError(driver("run x --seed -1"), 2, "--seed");
  expectError(driver("check x --max-time nan"), 2, "--max-time");
  expectError(driver("bench x --seconds nan"), 2, "--seconds");
  expectError(driver("compile x --emit=lops"), 2, "did you mean 'loops'?");
  expectError(driver("compile x"), 2, "-o OUT.so");
  expectError(driver("bench x --dim batch=3..2"), 2, "TW5005");
  expectError(driver("compile x -o y --max-memory 3Q"), 2, "TW5004");
}

TEST_F(CliTest, RunsAnArtifact) {
  Ran ran = driver("run " FAKE_ARTIFACT " --inputs " + inputs() + " --outputs " + path("out.npz"));
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out + ran.err, "");
  expectOutputs(path("out.npz"));
}

TEST_F(CliTest, RunsAModelAndLeavesNothingBehind) {
  inputs();
  std::filesystem::create_directory(path("tmp"));
  Ran ran = runShell("TMPDIR=" + path("tmp") + " " DRIVER " run " + model() + " --inputs " + path("in.npz") +
                     " --outputs " + path("out.npz"));
  EXPECT_EQ(ran.exit, 0) << ran.err;
  expectOutputs(path("out.npz"));
  EXPECT_TRUE(std::filesystem::is_empty(path("tmp")));
}

TEST_F(CliTest, ContentDecidesNotTheName) {
  std::filesystem::copy_file(FAKE_ARTIFACT, path("model.onnx"));
  EXPECT_EQ(driver("run " + path("model.onnx")).exit, 0);
}

TEST_F(CliTest, SummarisesRandomRuns) {
  Ran ran = driver("run " FAKE_ARTIFACT " --seed 3 --dim batch=2");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_NE(ran.out.find("y: float32[2,3]  min "), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("half/out: bfloat16[2]"), std::string::npos) << ran.out;
  EXPECT_EQ(driver("run " FAKE_ARTIFACT " --seed 3 --dim batch=2").out, ran.out);
  auto json = parseJson(driver("run " FAKE_ARTIFACT " --json").out);
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["outputs"][0]["name"], "y");
}

TEST_F(CliTest, InputErrors) {
  std::string npz = inputs();
  expectError(driver("run " FAKE_ARTIFACT " --input y=" + npz), 4, "no input 'y'");
  expectError(driver("run " FAKE_ARTIFACT " --inputs " + write("bad.npz", "not a zip")), 4, "TW5201");
  expectError(driver("run " FAKE_ARTIFACT " --inputs " + path("missing.npz")), 5, "No such file");
  ASSERT_FALSE(writeNpz(npz, {{"x", tensorOf<float>(TW_F32, {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8})},
                              {"half/in", tensorOf<uint16_t>(TW_U16, {2}, {1, 2})}}));
  expectError(driver("run " FAKE_ARTIFACT " --inputs " + npz), 4, "expected shape [batch, 3]");
  ASSERT_FALSE(writeNpz(npz, {{"x", tensorOf<double>(TW_F64, {1, 3}, {1, 2, 3})},
                              {"half/in", tensorOf<uint16_t>(TW_U16, {2}, {1, 2})}}));
  expectError(driver("run " FAKE_ARTIFACT " --inputs " + npz), 4, "float64");
}

TEST_F(CliTest, OutputErrors) {
  std::string run = "run " FAKE_ARTIFACT " --inputs " + inputs() + " --outputs ";
  expectError(driver(run + "/dev/full"), 5, "No space left");
  expectError(driver(run + path("no/folder.npz")), 5, "TW5102");
  expectError(driver(run + path("")), 5, "TW5102");
  expectError(driver("run " FAKE_ARTIFACT " > /dev/full"), 5, "standard output");
  expectError(driver("inspect " FAKE_ARTIFACT " > /dev/full"), 5, "standard output");
  // A limit on file sizes stands for a full disk.
  Ran limited = runShell("ulimit -f 0; trap '' XFSZ; " DRIVER " " + run + path("out.npz"));
  EXPECT_EQ(limited.exit, 5) << limited.err;
  EXPECT_EQ(entries(), std::vector<std::string>{"in.npz"}) << "no partial file";
}

TEST_F(CliTest, ModelErrors) {
  expectError(driver("run " + path("missing.onnx")), 5, "No such file");
  expectError(driver("run " + path("")), 5, "Is a directory");
  expectError(driver("run " + write("bad.so", "\x7f"
                                              "ELF and no more")),
              4, "error TW4");
  expectError(driver("run " + model("fake:invalid")), 4, "error TW1101: invalid thing");
  expectError(driver("bench " + model("fake:internal")), 70, "TW9001");
  EXPECT_EQ(entries(), (std::vector<std::string>{"bad.so", "model.onnx"}))
      << "no artifact of a failed compilation";
}

TEST_F(CliTest, CrashesAreOurOwnBug) {
  expectError(driver("run " + model("fake:crash")), 70, "error TW900");
  expectError(driver("compile " + model("fake:exit") + " -o " + path("out.so")), 70, "bug in tilewright");
#if defined(__has_feature) && (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
  GTEST_SKIP() << "a sanitizer handles the crash";
#else
  expectError(driver("compile " + model("fake:crash") + " -o " + path("out.so")), 70, "bug in tilewright");
#endif
}

TEST_F(CliTest, ChecksAModel) {
  EXPECT_EQ(driver("check " + model()).exit, 0);
  Ran ran = driver("check " + model("fake:unsupported"));
  expectError(ran, 3,
              "error TW1301: first unsupported thing\n  node:   n1\n  op:     Frobnicate\n  tensor: t\n  "
              "hint:   try another model\n");
  expectError(ran, 3, "error TW1302");
  auto json = parseJson(driver("check --json " + model("fake:unsupported")).out);
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["ok"], false);
  EXPECT_EQ((*json)["diagnostics"].size(), 2u);
  EXPECT_EQ((*json)["diagnostics"][1]["code"], "TW1302");
}

TEST_F(CliTest, Compiles) {
  Ran ran = driver("compile " + model() + " -o " + path("out.so"));
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(driver("run " + path("out.so")).exit, 0);
}

TEST_F(CliTest, EmitsText) {
  std::string words = "compile " + model() +
                      " --emit=llvm --target cpu:haswell --precision=strict --weights=side --threads 3 "
                      "--max-memory 2K --dim a=1..9 --dim b=2";
  const char *text = "stage llvm target cpu:haswell precision strict weights side threads 3 memory 2048\ndim "
                     "a 1..9\ndim b 2..2\n";
  EXPECT_EQ(driver(words).out, text);
  EXPECT_EQ(driver(words + " -o " + path("out.ll")).out, "");
  EXPECT_EQ(read("out.ll"), text);
  expectError(driver(words + " -o /dev/full"), 5, "No space left");
}

TEST_F(CliTest, BenchPrintsOneObject) {
  for (const std::string &subject : {std::string(FAKE_ARTIFACT), model()}) {
    Ran ran = driver("bench " + subject + " --inputs " + inputs() + " --seconds 0.01 --threads 1 --json");
    ASSERT_EQ(ran.exit, 0) << ran.err;
    auto json = parseJson(ran.out);
    ASSERT_TRUE(json) << ran.out;
    for (const char *key : {"median_ms", "min_ms", "p99_ms", "runs", "compile_s", "load_ms", "peak_rss_mb"})
      EXPECT_TRUE((*json)[key].is_number()) << key;
    EXPECT_GE((*json)["runs"], 3);
    EXPECT_LE((*json)["min_ms"], (*json)["median_ms"]);
    EXPECT_LE((*json)["median_ms"], (*json)["p99_ms"]);
    EXPECT_EQ((*json)["compile_s"] == 0, subject == FAKE_ARTIFACT);
    EXPECT_EQ(json->size(), 7u);
  }
}

TEST_F(CliTest, BenchRunsAtLeastThreeTimes) {
  auto json = parseJson(driver("bench " FAKE_ARTIFACT " --seconds 0").out);
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["runs"], 3);
}

TEST_F(CliTest, BenchProfiles) {
  Ran ran = driver("bench " FAKE_ARTIFACT " --seconds 0.01 --profile --json");
  EXPECT_NE(ran.err.find("scale"), std::string::npos) << ran.err;
  auto json = parseJson(ran.out);
  ASSERT_TRUE(json) << ran.out;
  ASSERT_EQ((*json)["profile"].size(), 2u);
  EXPECT_EQ((*json)["profile"][0]["launches"], 1);
}

TEST_F(CliTest, Inspects) {
  for (const std::string &subject : {std::string(FAKE_ARTIFACT), model()}) {
    Ran ran = driver("inspect " + subject);
    EXPECT_EQ(ran.exit, 0) << ran.err;
    for (const char *words :
         {"target cpu:test, 2 nodes", "[batch,3]", "kernels (1)", "6*batch", "2.4 k", "vector 16"})
      EXPECT_NE(ran.out.find(words), std::string::npos) << words << " in\n" << ran.out;
    auto json = parseJson(driver("inspect --json " + subject).out);
    ASSERT_TRUE(json);
    EXPECT_EQ((*json)["kernels"][0]["name"], "scale");
  }
}

TEST_F(CliTest, InspectAsksTheRuntimeForTheArena) {
  Ran artifact = driver("inspect " FAKE_ARTIFACT " --dim batch=5"), onnx = driver("inspect " + model());
  EXPECT_NE(artifact.out.find("arena    0 B for 4 buffers with batch 5"), std::string::npos) << artifact.out;
  EXPECT_NE(onnx.out.find("results  at least 2 KiB at once, in 4 buffers"), std::string::npos) << onnx.out;
}

TEST_F(CliTest, ExplainsANode) {
  Ran ran = driver("inspect " FAKE_ARTIFACT " --explain double");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  for (const char *words : {"kernel   scale", "fused    shift", "not more nothing else reads it"})
    EXPECT_NE(ran.out.find(words), std::string::npos) << words << " in\n" << ran.out;
  expectError(driver("inspect " FAKE_ARTIFACT " --explain duoble"), 2, "did you mean 'double'?");
}
