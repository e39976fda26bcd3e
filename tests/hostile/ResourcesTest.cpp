/// Too little memory, disk, threads or time: an error that says so (exit 5), never a crash, and nothing left.
#include "Fixture.h"

#include <csignal>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

using namespace tilewright;
using namespace tilewright::onnxwriter;
using namespace tilewright::hostile;
namespace fs = std::filesystem;

namespace {

class Resources : public Hostile {
protected:
  /// Convolutions, so that there is something to compile.
  std::string layers(int count = 3) {
    GraphWriter graph("g");
    graph.input("t0", ElementType::Float32, {1, 16, 32, 32});
    for (int i = 0; i < count; ++i) {
      const std::string w = fmt::format("w{}", i);
      graph.initializer(tensor<float>(w, {16, 16, 3, 3}, std::vector<float>(16 * 16 * 9, 0.01f)));
      graph.node("Conv", {fmt::format("t{}", i), w}, {fmt::format("t{}", i + 1)},
                 {attributeInts("pads", {1, 1, 1, 1})});
    }
    return model(graph.output(fmt::format("t{}", count)));
  }
  /// `count` weights of 4 MB.
  std::string heavy(int count) {
    GraphWriter graph("g");
    graph.input("x", ElementType::Float32, {1});
    for (int i = 0; i < count; ++i) {
      const std::string w = fmt::format("w{}", i), y = fmt::format("y{}", i);
      graph.initializer(tensor<float>(w, {1 << 20}, std::vector<float>(1 << 20, float(i))));
      graph.node("Add", {"x", w}, {y}).output(y);
    }
    return model(graph);
  }
  static void expectOkOrLack(const Ran &ran, const std::string &what) {
    EXPECT_TRUE(ran.exit == 0 || ran.exit == 5) << what << ": exit " << ran.exit << " " << ran.err;
    if (ran.exit) {
      EXPECT_NE(ran.err.find("error TW"), std::string::npos) << what << ": " << ran.err;
    }
  }
  const std::string noCache = "TILEWRIGHT_CACHE_DIR= timeout 60 ";
};

} // namespace

TEST_F(Resources, LittleAddressSpace) {
  const std::string file = layers();
  ASSERT_EQ(driver("compile " + file + " -o " + path("model.so"), noCache).exit, 0);
  // Below 24 MB the system cannot even load the program.
  for (int megabytes = 24; megabytes < 400; megabytes += megabytes < 60 ? 4 : 20)
    for (const std::string &words : {"compile " + file + " -o " + path("out.so"), "run " + file,
                                     "run " + path("model.so"), "check " + file, "inspect " + file})
      expectOkOrLack(driver(words + (words[1] == 'h' ? "" : " --threads 2"),
                            noCache + LIMITED + fmt::format(" as={} ", megabytes << 20)),
                     fmt::format("{} with {} MB", words, megabytes));
}

TEST_F(Resources, EveryAllocationMayFail) {
  const std::string file = layers(1);
  ASSERT_EQ(driver("compile " + file + " -o " + path("model.so"), noCache).exit, 0);
  auto failing = [&](unsigned long number, bool all) {
    return noCache + fmt::format("env LD_PRELOAD={} FAIL_ALLOCATION={} {}", FAILING_MALLOC, number,
                                 all ? "FAIL_ALL=1 " : "");
  };
  for (const std::string &words : {"run " + path("model.so") + " --threads 2", "check " + file,
                                   "compile " + file + " --threads 2 -o " + path("out.so")})
    for (double number = 1; number < 3e6; number *= number < 50 ? 1.3 : 1.6) {
      const auto at = static_cast<unsigned long>(number + 0.5);
      for (bool all : {false, true})
        expectOkOrLack(driver(words, failing(at, all)), fmt::format("{}, allocation {}", words, at));
    }
}

TEST_F(Resources, SmallFiles) {
  const std::string file = layers();
  fs::create_directory(path("out"));
  for (int bytes : {1000, 5000}) {
    const std::string little = noCache + LIMITED + fmt::format(" fsize={} ", bytes);
    for (const char *weights : {"embed", "side"})
      expectError(
          driver(fmt::format("compile {} -o {} --weights={}", file, path("out/model.so"), weights), little),
          5, {"error TW5"});
    expectError(driver("compile " + file + " --emit=asm -o " + path("out/text"), little), 5, {"error TW5"});
    EXPECT_TRUE(fs::is_empty(path("out"))) << bytes;
  }
  ASSERT_EQ(driver("compile " + file + " -o " + path("model.so"), noCache).exit, 0);
  expectError(driver("run " + path("model.so") + " --outputs " + path("out/y.npz"),
                     std::string(LIMITED) + " fsize=1000 "),
              5, {"error TW5"});
  EXPECT_TRUE(fs::is_empty(path("out")));
}

TEST_F(Resources, NoThreadsAndNoProcesses) {
  // The limit does not bind root, so the command runs as nobody, who must be able to reach it.
  const std::string file = layers(), installed = path("installed");
  for (const char *part : {"bin", "lib"})
    fs::create_directories(installed + "/" + part);
  const fs::path from = fs::path(DRIVER).parent_path().parent_path();
  fs::copy_file(DRIVER, installed + "/bin/tilewright");
  for (const auto &library : fs::directory_iterator(from / "lib"))
    if (library.path().filename().string().starts_with("libtilewright"))
      fs::copy(library.path(), fs::path(installed) / "lib" / library.path().filename(),
               fs::copy_options::copy_symlinks);
  fs::create_directory(path("out"));
  for (const std::string &folder : {path(""), installed, installed + "/bin", installed + "/lib", path("out")})
    fs::permissions(folder, fs::perms::all);
  fs::copy_file(LIMITED, path("limited"));
  for (int threads : {1, 4})
    for (const std::string &words :
         {"check " + file, fmt::format("compile {} -o {} --threads {}", file, path("out/model.so"), threads),
          fmt::format("run {} --threads {}", file, threads)})
      expectOkOrLack(tools::test::runShell(noCache + path("limited") + " nproc=0 " + installed +
                                           "/bin/tilewright " + words),
                     words);
  if (fs::exists(path("out/model.so"))) {
    expectOkOrLack(tools::test::runShell(path("limited") + " nproc=0 " + installed + "/bin/tilewright run " +
                                         path("out/model.so") + " --threads 4"),
                   "run the artifact");
  }
}

TEST_F(Resources, InterruptsLeaveNothing) {
  const std::string file = heavy(8);
  for (const char *folder : {"out", "tmp", "cache"})
    fs::create_directory(path(folder));
  const std::string places = "TMPDIR=" + path("tmp") + " TILEWRIGHT_CACHE_DIR=" + path("cache") + " ";
  int interrupted = 0;
  for (int number : {SIGINT, SIGHUP, SIGTERM})
    for (int after : {5, 40, 80, 120, 200, 400})
      for (const std::string &words : {"compile " + file + " -o " + path("out/model.so"),
                                       "compile " + file + " --weights=side -o " + path("out/side.so"),
                                       "run " + file + " --outputs " + path("out/y.npz")}) {
        Ran ran = driver(words, places + LIMITED + fmt::format(" signal={} after={} ", number, after));
        EXPECT_TRUE(ran.exit == 0 || ran.exit == 128 + number) << words << ": " << ran.exit << ran.err;
        interrupted += ran.exit != 0;
        for (const auto &entry : fs::directory_iterator(path("out"))) {
          const std::string name = entry.path().filename();
          EXPECT_TRUE(name == "model.so" || name == "side.so" || name == "side.weights" || name == "y.npz")
              << name << " is left by signal " << number << " after " << after << " ms";
        }
        EXPECT_TRUE(fs::is_empty(path("tmp")));
        for (const auto &entry : fs::directory_iterator(path("cache")))
          EXPECT_EQ(entry.path().extension().string(), ".object");
      }
  EXPECT_GT(interrupted, 10);
}

TEST_F(Resources, SmallStacks) {
  const std::string file = layers(1);
  for (const char *command : {"check ", "inspect ", "run "})
    for (int kilobytes : {20, 24, 32, 48})
      expectOkOrLack(driver(command + file + " --threads 1",
                            noCache + LIMITED + fmt::format(" stack={} ", kilobytes << 10)),
                     fmt::format("{} with {} KB of stack", command, kilobytes));
}

TEST_F(Resources, WhatIsPrintedMayNotGrow) {
  for (const char *command : {"inspect ", "compile --emit=graph ", "check --json "})
    for (int bytes : {60, 600}) {
      Ran ran = driver(command + layers() + " > " + path("text"),
                       noCache + LIMITED + fmt::format(" fsize={} ", bytes));
      EXPECT_TRUE(ran.exit == 5 || ran.exit == 0) << command << ran.exit << ran.err;
      EXPECT_EQ(ran.err.find("TW9"), std::string::npos) << ran.err;
    }
}

TEST_F(Resources, ClosedStandardStreams) {
  const std::string file = layers();
  for (const char *closed : {"<&-", ">&-", "2>&-", "<&- >&- 2>&-"}) {
    tools::test::runShell("{ " DRIVER " compile " + file + " -o " + path("model.so") + "; } " + closed);
    EXPECT_EQ(driver("run --verify " + path("model.so")).exit, 0) << closed;
    fs::remove(path("model.so"));
  }
}
