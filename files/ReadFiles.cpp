#include "files/ReadFiles.h"

#include <algorithm>

namespace tilewright::files {

ReadFiles::ReadFiles(const ReadFiles &other) {
  std::lock_guard lock(other.mutex);
  entries = other.entries;
}

ReadFiles &ReadFiles::operator=(const ReadFiles &other) {
  if (this == &other)
    return *this;
  std::scoped_lock lock(mutex, other.mutex);
  entries = other.entries;
  return *this;
}

void ReadFiles::add(const struct stat &facts, const std::string &path) {
  std::lock_guard lock(mutex);
  entries.push_back({facts.st_dev, facts.st_ino, path});
}

void ReadFiles::add(const std::string &path) {
  struct stat facts;
  if (stat(path.c_str(), &facts) == 0)
    add(facts, path);
}

std::optional<std::string> ReadFiles::find(const std::string &path) const {
  struct stat facts;
  if (stat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode))
    return std::nullopt;
  std::lock_guard lock(mutex);
  auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry &entry) {
    return entry.device == facts.st_dev && entry.inode == facts.st_ino;
  });
  return found == entries.end() ? std::nullopt : std::optional(found->path);
}

} // namespace tilewright::files
