//===- MappedFile.h - read-only mappings, and external data -----*- C++ -*-===//
#ifndef TILEWRIGHT_FRONTEND_READER_MAPPEDFILE_H
#define TILEWRIGHT_FRONTEND_READER_MAPPEDFILE_H

#include "frontend/reader/Result.h"
#include "frontend/reader/WireReader.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>

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

  /// Whether the next accesses jump over most of the file (no read-ahead) or run through it. Only a hint.
  void expectJumps(bool jumps) const;

private:
  MappedFile() = default;
  Bytes content;
};

/// The external data files of one model: opened below one folder, never through links except from a model
/// cache's snapshots to its blobs, mapped on first use and kept. Thread-safe.
class ExternalFiles {
public:
  /// With an empty `folder` every request is refused (a model that was read from memory).
  explicit ExternalFiles(std::string folder) : folder(std::move(folder)) {}

  /// `length` bytes at `offset` of the file at `location` (a relative path). TW1013 when the path is
  /// forbidden, TW1014 when the file cannot be used, TW1015 when it is too short.
  Result<Bytes> read(std::string_view location, uint64_t offset, uint64_t length);

private:
  Result<Bytes> map(std::string_view location);

  std::string folder;
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<MappedFile>, std::less<>> mapped;
};

} // namespace tilewright::onnx

#endif // TILEWRIGHT_FRONTEND_READER_MAPPEDFILE_H
