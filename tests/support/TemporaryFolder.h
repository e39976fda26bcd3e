/// TemporaryFolder.h - a folder of a test's own, removed with its contents.
#pragma once
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace tilewright::tests {

class TemporaryFolder {
public:
  TemporaryFolder() {
    folder = (std::filesystem::temp_directory_path() / "tilewright-test-XXXXXX").string();
    if (!mkdtemp(folder.data()))
      folder.clear(); // whatever is written into it then fails with its name
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!folder.empty())
      std::filesystem::remove_all(folder, ignored);
  }
  TemporaryFolder(const TemporaryFolder &) = delete;
  const std::string &path() const { return folder; }
  std::string file(const std::string &name) const { return folder + "/" + name; }
  /// The names in it, sorted.
  std::vector<std::string> list() const {
    std::vector<std::string> names;
    for (const auto &entry : std::filesystem::directory_iterator(folder))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

private:
  std::string folder;
};

} // namespace tilewright::tests
