/// File.h - reading whole files through mappings, and writing files so that a reader never sees half of one.
#pragma once

#include "Diagnostics.h"
#include "files/OutputFile.h"

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

/// Map a regular file; read a pipe into memory. Devices are refused: some never end.
Result<Bytes> readFile(const std::string &path);

/// The first `count` bytes of a regular file, fewer when it is shorter.
Result<std::string> readPrefix(const std::string &path, size_t count);

/// What this process has read from: nothing is written over it. readFile() and readPrefix() add to it.
files::ReadFiles &readFiles();

/// A file being written; see files::OutputFile.
class OutputFile {
public:
  static Result<OutputFile> create(const std::string &path);
  MaybeProblem write(std::span<const std::byte> bytes);
  MaybeProblem write(std::string_view text);
  MaybeProblem commit();

private:
  files::OutputFile file;
};

/// A private file without a name, on the disk of TMPDIR or /tmp, else in memory: whatever ends the process,
/// nothing is left.
class PrivateFile {
public:
  static Result<PrivateFile> create();
  PrivateFile(PrivateFile &&other) noexcept : number(std::exchange(other.number, -1)) {}
  PrivateFile &operator=(PrivateFile &&other) noexcept {
    std::swap(number, other.number);
    return *this;
  }
  ~PrivateFile();
  int descriptor() const { return number; }
  /// Leads to the file in this process and in those that it forks, as long as it is open.
  std::string path() const;

private:
  explicit PrivateFile(int number) : number(number) {}
  int number;
};

} // namespace tilewright::tools
