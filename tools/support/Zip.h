/// Zip.h - the part of the zip format that .npz files use: stored and deflated entries, zip64.
///
/// Our own, on zlib, because a general zip library brings a cryptographic one along: 2.5 ms at every start of
/// the driver.
#pragma once

#include "File.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tilewright::tools {

/// A zip file in memory. Every offset and size of the file is checked before it is used.
class ZipReader {
public:
  struct Entry {
    std::string name;
    uint16_t method = 0; ///< 0: stored, 8: deflated
    uint16_t flags = 0;
    uint32_t crc = 0;
    uint64_t packedBytes = 0, bytes = 0, headerOffset = 0;
  };
  /// `what` names the file in messages.
  static Result<ZipReader> open(Bytes file, std::string what);
  const std::vector<Entry> &entries() const { return directory; }
  /// The content of an entry: a view of the file when it is stored, fresh memory when it is compressed.
  Result<Bytes> read(const Entry &entry) const;
  /// The first bytes of its content, at most `count`, whatever its size. Its checksum is not looked at.
  Result<Bytes> readStart(const Entry &entry, size_t count) const;

private:
  MaybeProblem checkMethod(const Entry &entry) const;
  Diagnostic damaged(const std::string &why) const;
  Result<Bytes> packedContent(const Entry &entry) const;
  MaybeProblem readDirectory();
  MaybeProblem readEntry(size_t &offset, size_t end);
  Bytes file;
  std::string what;
  std::vector<Entry> directory;
};

/// Writes stored entries into `output`, which must outlive it.
class ZipWriter {
public:
  explicit ZipWriter(OutputFile &output) : output(output) {}
  /// One entry whose content is the concatenation of `parts`.
  MaybeProblem add(const std::string &name, const std::vector<std::span<const std::byte>> &parts);
  MaybeProblem finish();

private:
  OutputFile &output;
  std::string directory;
  uint64_t offset = 0, count = 0;
};

} // namespace tilewright::tools
