#include "Support.h"

#include <filesystem>
#include <sys/stat.h>

using namespace tilewright::tools;
using FileTest = test::FolderTest;

static std::string_view textOf(const Bytes &bytes) {
  return {reinterpret_cast<const char *>(bytes.view.data()), bytes.size()};
}

TEST_F(FileTest, MapsFiles) {
  auto file = readFile(write("a", "content"));
  ASSERT_TRUE(file);
  EXPECT_EQ(textOf(*file), "content");
  auto empty = readFile(write("empty", ""));
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->size(), 0u);
}

TEST_F(FileTest, ReportsWhatCannotBeRead) {
  for (const std::string &name : {path("missing"), path("")}) {
    auto file = readFile(name);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.problem().exit, ExitCode::Io);
    EXPECT_NE(file.problem().message.find(name), std::string::npos);
  }
}

TEST_F(FileTest, AppearsOnlyWhenCommitted) {
  {
    auto file = OutputFile::create(path("out"));
    ASSERT_TRUE(file);
    EXPECT_FALSE(file->write("half"));
  }
  EXPECT_TRUE(entries().empty()) << "nothing is left of an abandoned file";
  auto file = OutputFile::create(path("out"));
  ASSERT_TRUE(file);
  EXPECT_FALSE(file->write("whole"));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  EXPECT_FALSE(file->commit());
  EXPECT_EQ(read("out"), "whole");
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(FileTest, ReplacesAFileAndKeepsItsMode) {
  std::string name = write("out", "old");
  chmod(name.c_str(), 0640);
  auto file = OutputFile::create(name);
  ASSERT_TRUE(file);
  EXPECT_FALSE(file->write("new"));
  EXPECT_EQ(read("out"), "old");
  EXPECT_FALSE(file->commit());
  EXPECT_EQ(read("out"), "new");
  struct stat info;
  ASSERT_EQ(stat(name.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

TEST_F(FileTest, WritesThroughALink) {
  write("target", "old");
  std::filesystem::create_symlink("target", path("link"));
  auto file = OutputFile::create(path("link"));
  ASSERT_TRUE(file);
  EXPECT_FALSE(file->write("new"));
  EXPECT_FALSE(file->commit());
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
  EXPECT_EQ(read("target"), "new");
}

TEST_F(FileTest, ReportsWhatCannotBeWritten) {
  auto missing = OutputFile::create(path("no/such/folder/out"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.problem().exit, ExitCode::Io);
  auto folder = OutputFile::create(path(""));
  EXPECT_FALSE(folder);
  auto full = OutputFile::create("/dev/full");
  ASSERT_TRUE(full);
  auto problem = full->write("x");
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->exit, ExitCode::Io);
}
