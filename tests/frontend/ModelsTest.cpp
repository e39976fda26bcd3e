// Whole models import and verify: those below the folders of TILEWRIGHT_MODELS (separated by ':'); skipped
// without it.
#include "tests/frontend/Support.h"
#include <filesystem>
#include <gtest/gtest.h>

using namespace tilewright;

TEST(Models, ImportAndVerify) {
  const char *folders = std::getenv("TILEWRIGHT_MODELS");
  if (!folders)
    GTEST_SKIP() << "TILEWRIGHT_MODELS is not set";
  llvm::SmallVector<llvm::StringRef> list;
  llvm::StringRef(folders).split(list, ':');
  size_t count = 0;
  for (llvm::StringRef folder : list)
    for (const auto &entry : std::filesystem::recursive_directory_iterator(folder.str())) {
      if (entry.path().extension() != ".onnx")
        continue;
      auto context = tests::makeImportContext();
      auto imported = tests::importFile(entry.path(), *context);
      EXPECT_TRUE(imported.ok()) << entry.path() << "\n" << imported.problems;
      ++count;
    }
  EXPECT_GT(count, 0u) << "no .onnx files below " << folders;
}
