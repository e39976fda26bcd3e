#include "files/ReadFiles.h"

#include <algorithm>
#include <fcntl.h>

namespace tilewright::files {

namespace {

/// When the file at `path` was made, in nanoseconds; 0 where nobody knows, or where `facts` are another's.
int64_t birthOf(const std::string &path, const struct stat &facts) {
  struct statx more;
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_BTIME | STATX_INO, &more) != 0 ||
      !(more.stx_mask & STATX_BTIME) || more.stx_ino != facts.st_ino)
    return 0;
  return more.stx_btime.tv_sec * INT64_C(1000000000) + more.stx_btime.tv_nsec;
}

} // namespace

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
  const int64_t birth = birthOf(path, facts);
  std::lock_guard lock(mutex);
  entries.push_back({facts.st_dev, facts.st_ino, birth, path});
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
  const int64_t birth = birthOf(path, facts);
  std::lock_guard lock(mutex);
  auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry &entry) {
    const bool isLater = birth && entry.birth && birth != entry.birth;
    return entry.device == facts.st_dev && entry.inode == facts.st_ino && !isLater;
  });
  return found == entries.end() ? std::nullopt : std::optional(found->path);
}

} // namespace tilewright::files
