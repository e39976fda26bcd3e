//===- MappedFile.h - read-only mappings, and external data -----*- C++ -*-===//
#ifndef TILEWRIGHT_FRONTEND_READER_MAPPEDFILE_H
#define TILEWRIGHT_FRONTEND_READER_MAPPEDFILE_H

#include "files/ReadFiles.h"
#include "frontend/reader/Result.h"
#include "frontend/reader/WireReader.h"

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <sys/stat.h>

namespace tilewright::onnx {

/// A whole regular file, mapped read-only. Pages come in when touched.
class MappedFile {
public:
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  /// TW1001 when it cannot be opened, TW1002 when it is not a regular file. Symbolic links are followed.
  static Result<std::unique_ptr<MappedFile>> open(const std::string &path);
  /// Map the file behind `descriptor`, which this call closes. `path` is for messages.
  static Result<std::unique_ptr<MappedFile>> adopt(int descriptor, const std::string &path);

  Bytes bytes() const { return content; }
  /// What the descriptor said when the file was mapped.
  const struct stat &facts() const { return status; }

  /// Whether the next accesses jump over most of the file (no read-ahead) or run through it. Only a hint.
  void expectJumps(bool jumps) const;

private:
  MappedFile() = default;
  Bytes content;
  struct stat status = {};
};

/// The external data files of one model: opened below one folder, never through links except from a model
/// cache's snapshots to its blobs, mapped on first use and kept: what was checked is what is read, whatever
/// happens to the path. Thread-safe.
class ExternalFiles {
public:
  /// With an empty `folder` every request is refused (a model that was read from memory).
  explicit ExternalFiles(std::string folder) : folder(std::move(folder)) {}

  /// `length` bytes at `offset` of the file at `location` (a relative path). TW1013 when the path is
  /// forbidden, TW1014 when the file cannot be used, TW1015 when it is too short.
  Result<Bytes> read(std::string_view location, uint64_t offset, uint64_t length);
  /// The whole file.
  Result<std::shared_ptr<const MappedFile>> map(std::string_view location);

  /// A tensor of the model says that its data is there.
  void mention(std::string_view location);
  /// Note all files that the model refers to, also those that were never opened.
  void note(files::ReadFiles &read);

private:
  std::string folder;
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> mapped;
  std::set<std::string, std::less<>> mentioned;
};

} // namespace tilewright::onnx

#endif // TILEWRIGHT_FRONTEND_READER_MAPPEDFILE_H
