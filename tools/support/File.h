/// File.h - reading whole files through mappings, and writing files so that a reader never sees half of one.
#pragma once

#include "Diagnostics.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace tilewright::tools {

/// Read-only memory and whatever keeps it alive: a file mapping, or a buffer.
struct Bytes {
  std::span<const std::byte> view;
  std::shared_ptr<const void> storage;

  size_t size() const { return view.size(); }
  /// The piece [offset, offset + count), which must lie inside.
  Bytes piece(size_t offset, size_t count) const { return {view.subspan(offset, count), storage}; }
};

/// `count` bytes of fresh memory; the pointer to write through, and the Bytes that owns it. Fails when memory
/// is out.
struct Buffer {
  std::byte *data = nullptr;
  Bytes bytes;
};
Result<Buffer> allocate(size_t count);

/// Map a regular file; read anything else (a pipe) into memory.
Result<Bytes> readFile(const std::string &path);

/// The first `count` bytes of a file, fewer when it is shorter.
Result<std::string> readPrefix(const std::string &path, size_t count);

/// A file being written. A regular file is written under a temporary name in the same folder and takes its
/// name in commit(); without commit() nothing is left. A device or a pipe is written directly.
class OutputFile {
public:
  static Result<OutputFile> create(const std::string &path);
  OutputFile(OutputFile &&other) noexcept;
  OutputFile &operator=(OutputFile &&) = delete;
  ~OutputFile();
  MaybeProblem write(std::span<const std::byte> bytes);
  MaybeProblem write(std::string_view text);
  MaybeProblem commit();

private:
  OutputFile() = default;
  Diagnostic failure(int error) const;
  std::string path, temporary;
  int descriptor = -1;
};

/// A private folder for temporary files, in TMPDIR or /tmp; removed with everything in it at the end of its
/// life.
class TemporaryFolder {
public:
  static Result<TemporaryFolder> create();
  TemporaryFolder(TemporaryFolder &&other) noexcept : folder(std::exchange(other.folder, {})) {}
  TemporaryFolder &operator=(TemporaryFolder &&) = delete;
  ~TemporaryFolder() { remove(); }
  const std::string &path() const { return folder; }
  void remove();

private:
  explicit TemporaryFolder(std::string folder) : folder(std::move(folder)) {}
  std::string folder;
};

} // namespace tilewright::tools
