/// What is written is whole or not there, and never over what was read.
#include "files/OutputFile.h"
#include "Support.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace tilewright;
using namespace tilewright::files;
namespace fs = std::filesystem;

namespace {

std::span<const std::byte> bytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

class OutputTest : public tools::test::FolderTest {
protected:
  int refusal(const std::string &name, const OutputOptions &options = {}) {
    auto problem = OutputFile().create(path(name), known, options);
    return problem ? problem->code : 0;
  }
  ReadFiles known;
};

} // namespace

TEST_F(OutputTest, NothingIsWrittenOverWhatWasRead) {
  known.add(write("model.onnx", "model"));
  fs::create_symlink("model.onnx", path("link"));
  fs::create_hard_link(path("model.onnx"), path("hard"));
  fs::create_directory_symlink(".", path("folder"));
  for (const char *name : {"model.onnx", "link", "hard", "folder/model.onnx", "./model.onnx"})
    for (bool replaces : {true, false})
      EXPECT_EQ(refusal(name, {0666, replaces, true}), 5014) << name;
  EXPECT_EQ(read("model.onnx"), "model");
  EXPECT_EQ(refusal("other"), 0);
  auto problem = OutputFile().create(path("hard"), known);
  EXPECT_NE(problem->message.find("model.onnx"), std::string::npos) << problem->message;
}

TEST_F(OutputTest, AFileMayHaveTheInodeOfOneThatIsGone) {
  struct stat gone, next;
  for (int attempt = 0; attempt < 50; ++attempt) {
    ASSERT_EQ(stat(write("read", "1").c_str(), &gone), 0);
    known.add(path("read"));
    fs::remove(path("read"));
    usleep(20000); // clocks of file systems are coarse
    ASSERT_EQ(stat(write("next", "2").c_str(), &next), 0);
    EXPECT_EQ(refusal("next"), 0);
    if (next.st_ino == gone.st_ino)
      return;
    fs::remove(path("next"));
  }
  GTEST_SKIP() << "this file system gives every file another inode";
}

TEST_F(OutputTest, AnInterruptLeavesNothing) {
  for (bool there : {false, true}) {
    if (there)
      write("out", "old");
    const pid_t child = fork();
    if (child == 0) {
      OutputFile file;
      (void)file.create(path("out"), {});
      (void)file.write(bytesOf("half"));
      kill(getpid(), SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(entries(), there ? std::vector<std::string>{"out"} : std::vector<std::string>{});
  }
  EXPECT_EQ(read("out"), "old");
}

TEST_F(OutputTest, PiecesInAnyOrder) {
  OutputFile file;
  ASSERT_FALSE(file.create(path("out"), {}));
  EXPECT_FALSE(file.writeAt(6, bytesOf("there")));
  EXPECT_FALSE(file.writeAt(0, bytesOf("over")));
  EXPECT_FALSE(file.commit());
  EXPECT_EQ(read("out"), std::string("over\0\0there", 11));
  EXPECT_EQ(entries(), std::vector<std::string>{"out"});
}

TEST_F(OutputTest, ALinkIsFollowedOrReplaced) {
  for (bool follows : {true, false}) {
    write("target", "old");
    fs::remove(path("link"));
    fs::create_symlink("target", path("link"));
    OutputFile file;
    ASSERT_FALSE(file.create(path("link"), {}, {0666, follows, true}));
    EXPECT_FALSE(file.write(bytesOf("new")));
    EXPECT_FALSE(file.commit());
    EXPECT_EQ(fs::is_symlink(path("link")), follows);
    EXPECT_EQ(read("link"), "new");
    EXPECT_EQ(read("target"), follows ? "new" : "old");
  }
}

TEST_F(OutputTest, FoldersAndDevices) {
  fs::create_directory(path("taken"));
  EXPECT_EQ(refusal("taken"), 5013);
  EXPECT_EQ(refusal("missing/out"), 5011);
  OutputFile file;
  EXPECT_EQ(file.create("/dev/null", {}, {0666, false, false})->code, 5013);
  EXPECT_FALSE(file.create("/dev/null", {}));
  EXPECT_FALSE(file.write(bytesOf("gone")));
  EXPECT_FALSE(file.commit());
}

/// /proc has no nameless files: what a file system without them does.
TEST_F(OutputTest, WhereNothingCanBeMade) {
  OutputFile file;
  auto problem = file.create("/proc/self/out", {});
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->code, 5011);
}

TEST_F(OutputTest, IntoAnOpenFile) {
  FILE *open = std::fopen(path("open").c_str(), "w+");
  OutputFile file;
  ASSERT_FALSE(file.adopt(fileno(open), "the open file"));
  EXPECT_FALSE(file.writeAt(0, bytesOf("whole")));
  EXPECT_FALSE(file.commit());
  EXPECT_EQ(read("open"), "whole");
  std::fclose(open);
}
