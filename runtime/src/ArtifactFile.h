/// ArtifactFile.h - an artifact as a file: is it one, is it whole, and where do its weights lie.
///
/// dlopen trusts what it maps: a shortened file kills the process, a foreign one runs its constructors. So
/// the ELF headers are read and checked first, with plain reads.
#ifndef TILEWRIGHT_RUNTIME_ARTIFACTFILE_H
#define TILEWRIGHT_RUNTIME_ARTIFACTFILE_H

#include "Error.h"

#include <cstdint>

namespace tilewright::runtime {

/// A regular file open for reading.
class InputFile {
public:
  InputFile() = default;
  InputFile(const InputFile &) = delete;
  InputFile &operator=(const InputFile &) = delete;
  ~InputFile();

  /// Missing and unreadable files are refused with `code`, directories and devices with 4002. `what` names
  /// the file's role in messages.
  tw_status open(const char *path, const char *what, int code, tw_error *error);
  /// Exactly `bytes` bytes at `offset`; false when the file ends before or cannot be read.
  bool read(uint64_t offset, void *destination, uint64_t bytes) const;
  int descriptor() const { return file; }
  uint64_t size() const { return bytes; }

private:
  int file = -1;
  uint64_t bytes = 0;
};

/// Check that `file` is a whole shared object for this machine that defines the descriptor symbol. `elfBytes`
/// becomes the end of what its headers describe: the appendix of weights lies behind.
tw_status checkArtifact(const InputFile &file, const char *path, uint64_t &elfBytes, tw_error *error);

/// Constants mapped read-only, with readableSlack readable bytes behind them.
class WeightMap {
public:
  WeightMap() = default;
  WeightMap(const WeightMap &) = delete;
  WeightMap &operator=(const WeightMap &) = delete;
  ~WeightMap();

  /// Find the weights by the trailer that ends `file`, check that `bytes` of them with this id lie there, at
  /// or behind `firstByte`, and map them.
  tw_status map(const InputFile &file, const char *path, uint64_t bytes, const uint8_t (&id)[16],
                uint64_t firstByte, tw_error *error);
  /// 64-byte aligned; never null.
  const uint8_t *data() const;

private:
  tw_status mapRange(const InputFile &file, const char *path, uint64_t offset, uint64_t bytes,
                     tw_error *error);

  uint8_t *base = nullptr;
  uint64_t mapped = 0;
};

} // namespace tilewright::runtime
#endif
