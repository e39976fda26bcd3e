/// Thousands of damaged models: each is taken or refused with a clear error, never with a crash or as our own
/// bug. Seeded, so that a failure repeats; what fails is left in the folder that the message names.
#include "compiler/tilewright_compiler.h"
#include "tests/hostile/Models.h"
#include "tests/tools/Support.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace tilewright;
using namespace tilewright::hostile;
using tools::test::driver;
using tools::test::FolderTest;
using tools::test::Ran;

namespace {

/// What is being tried, for whoever reads the log of a crash.
char attempt[512];
void tellAttempt(int signal) {
  (void)!write(STDERR_FILENO, attempt, strlen(attempt));
  std::signal(signal, SIG_DFL);
  raise(signal);
}

struct Heard {
  int count = 0;
  std::string nameless; ///< a message without code, or of a bug of ours
};

void hear(void *user, const twc_diagnostic *diagnostic) {
  auto &heard = *static_cast<Heard *>(user);
  ++heard.count;
  std::string code = diagnostic->code;
  if (code.size() != 6 || code.substr(0, 2) != "TW" || code[2] == '9' || !*diagnostic->message)
    heard.nameless = code + ": " + diagnostic->message;
}

class Mutation : public FolderTest, public ::testing::WithParamInterface<std::string> {
protected:
  Mutation() {
    for (int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL})
      std::signal(signal, tellAttempt);
  }

  /// Import it in this process. Returns the status; fails the test where that is no honest answer.
  tw_status check(const std::string &model, const std::string &what) {
    std::string file = write("model.onnx", model);
    snprintf(attempt, sizeof attempt, "while checking %s of %s\n", what.c_str(), GetParam().c_str());
    Heard heard;
    twc_options options = {};
    options.struct_size = sizeof options;
    options.user = &heard;
    options.diagnostic = hear;
    tw_status status = twc_check(file.c_str(), &options);
    bool honest = status == TW_OK ? heard.count == 0
                                  : heard.count > 0 &&
                                        (status == TW_UNSUPPORTED || status == TW_INVALID || status == TW_IO);
    if (!honest || !heard.nameless.empty())
      ADD_FAILURE() << what << ": status " << status << ", " << heard.nameless << "; kept as "
                    << keep(model, what);
    return status;
  }

  std::string keep(const std::string &model, const std::string &what) {
    std::string file =
        std::filesystem::temp_directory_path() / ("hostile-" + GetParam() + "-" + what + ".onnx");
    std::ofstream(file, std::ios::binary) << model;
    return file;
  }
};

} // namespace

TEST_P(Mutation, EditedBytesAreReadOrRefused) {
  Damage none(0, 0);
  std::string original = buildModel(GetParam(), none);
  ASSERT_EQ(check(original, "original"), TW_OK);
  std::mt19937 random(7);
  int refused = 0;
  for (int i = 0; i < 400; ++i)
    refused += check(editBytes(original, random), "edit-" + std::to_string(i)) != TW_OK;
  EXPECT_GT(refused, 40) << "the edits must do damage";
}

TEST_P(Mutation, TruncationsAreRefused) {
  Damage none(0, 0);
  std::string original = buildModel(GetParam(), none);
  for (size_t size = 0; size < original.size(); size += 1 + size / 64)
    EXPECT_NE(check(original.substr(0, size), "prefix-" + std::to_string(size)), TW_OK);
}

TEST_P(Mutation, ExchangedFieldsAreImportedOrRefused) {
  int refused = 0, taken = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    Damage damage(seed, 0.02 + 0.0002 * seed);
    (check(buildModel(GetParam(), damage), "exchange-" + std::to_string(seed)) ? refused : taken)++;
  }
  EXPECT_GT(refused, 30);
  EXPECT_GT(taken, 10) << "some must get through";
}

/// The whole way: what the importer takes compiles and runs, or is refused in the run.
TEST_P(Mutation, WhatGetsThroughCompilesAndRuns) {
  int ran = 0;
  for (uint32_t seed = 1000; seed < 1000 + MUTANTS_TO_RUN; ++seed) {
    Damage damage(seed, 0.015);
    std::string model = buildModel(GetParam(), damage), what = "run-" + std::to_string(seed);
    Ran result = driver("run " + write("model.onnx", model) + " --threads 2", "timeout 120 ");
    bool honest = result.exit == 0 ||
                  (result.exit >= 3 && result.exit <= 5 && result.err.find("error TW") != std::string::npos);
    if (!honest)
      ADD_FAILURE() << what << ": exit " << result.exit << "\n"
                    << result.err.substr(0, 2000) << "\nkept as " << keep(model, what);
    ran += result.exit == 0;
  }
  EXPECT_GT(ran, 0) << "some must run";
}

INSTANTIATE_TEST_SUITE_P(Models, Mutation, ::testing::ValuesIn(modelNames()), [](const auto &info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
});
