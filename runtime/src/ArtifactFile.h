/// ArtifactFile.h - an artifact as a file: is it one, is it whole, and where do its weights lie.
///
/// dlopen trusts what it maps: a damaged file kills the process or computes nonsense, a foreign one runs its
/// constructors. So the headers and then every byte of code are read and checked first, with plain reads.
#ifndef TILEWRIGHT_RUNTIME_ARTIFACTFILE_H
#define TILEWRIGHT_RUNTIME_ARTIFACTFILE_H

#include "Error.h"
#include "tilewright/artifact.h"

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

/// Check that `file` is a shared object for this machine that defines the descriptor symbol. Says what is
/// wrong with a file that is something else or is cut off; whether it is whole, readTrailer() knows.
tw_status checkObject(const InputFile &file, const char *path, tw_error *error);

/// Whether `file` ends as artifacts and side weights do.
bool hasTrailer(const InputFile &file);

/// The trailer of `file`, checked: of the whole file, its ranges in order and inside, and every byte outside
/// the shared object, the weights and their blocks zero. Without one the file is refused with `code`.
tw_status readTrailer(const InputFile &file, const char *path, int code, tw_trailer &trailer,
                      tw_error *error);

/// Compare the shared object with its digest.
tw_status checkCode(const InputFile &file, const char *path, const tw_trailer &trailer, tw_error *error);

/// Constants mapped read-only, with readableSlack readable bytes behind them.
class WeightMap {
public:
  WeightMap() = default;
  WeightMap(const WeightMap &) = delete;
  WeightMap &operator=(const WeightMap &) = delete;
  ~WeightMap();

  /// Map the weights of `file`, which must have `bytes` of them with this id.
  tw_status map(const InputFile &file, const char *path, const tw_trailer &trailer, uint64_t bytes,
                const uint8_t (&id)[16], tw_error *error);
  /// Compare the mapped weights with their digests: reads all of them.
  tw_status check(const InputFile &file, const char *path, const tw_trailer &trailer, tw_error *error) const;
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
