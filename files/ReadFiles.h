/// ReadFiles.h - the files that something was read from, so that nothing is written over them.
///
/// A file is told by device and inode: no link, hard link or other spelling of its path hides it. A file that
/// is made later may get the inode of one that is gone; its time of birth tells them apart.
#ifndef TILEWRIGHT_FILES_READFILES_H
#define TILEWRIGHT_FILES_READFILES_H

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace tilewright::files {

/// Thread-safe.
class ReadFiles {
public:
  ReadFiles() = default;
  ReadFiles(const ReadFiles &other);
  ReadFiles &operator=(const ReadFiles &other);

  /// `path` is for messages.
  void add(const struct stat &facts, const std::string &path);
  /// Does nothing when there is no such file.
  void add(const std::string &path);
  /// The path under which the file at `path` was read, if it was.
  std::optional<std::string> find(const std::string &path) const;

private:
  struct Entry {
    dev_t device;
    ino_t inode;
    int64_t birth;
    std::string path;
  };
  mutable std::mutex mutex;
  std::vector<Entry> entries;
};

} // namespace tilewright::files

#endif // TILEWRIGHT_FILES_READFILES_H
