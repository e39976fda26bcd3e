//===- Artifact.cpp - writing the artifact and its weights ----------------===//
//
// The weights id, in the descriptor and in the trailer, ties code and weights together. It is a hash of the
// weights, known only when they have been streamed, so it is stored into the finished files at the end.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Artifact.h"

#include "codegen/cpu/Link.h"

#include "tilewright/artifact.h"

#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/xxhash.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using llvm::ArrayRef;
using llvm::StringRef;

namespace tilewright::codegen {
namespace {

constexpr uint64_t pageBytes = 4096;
constexpr uint64_t slackBytes = 64; // readable behind the weights: vector loads may run over the end
using WeightsId = std::array<uint8_t, 16>;

llvm::Error ioError(int code, const std::string &what, int error, const char *hint) {
  return makeError(code, Fault::Io, what + ": " + strerror(error), hint);
}

ArrayRef<uint8_t> bytesOf(StringRef text) { return {text.bytes_begin(), text.size()}; }

/// A file under a temporary name in the folder of its final one. Removed again unless commit() came.
class StagedFile {
public:
  static llvm::Expected<std::unique_ptr<StagedFile>> create(const std::string &path) {
    auto file = std::unique_ptr<StagedFile>(new StagedFile(path));
    // mkostemp makes the file private; what comes out should have the permissions of any other output.
    struct stat existing;
    if (stat(path.c_str(), &existing) == 0 &&
        !S_ISREG(existing.st_mode)) // a rename would put a file in its place
      return ioError(5013, "'" + path + "' is a folder or device, and artifacts are files", EEXIST,
                     "Give the name of a file");
    const mode_t mask = umask(0);
    umask(mask);
    file->descriptor = mkostemp(file->temporary.data(), O_CLOEXEC);
    if (file->descriptor < 0)
      return ioError(5011, "cannot create a file beside '" + path + "'", errno,
                     "Check that the folder exists and is writable");
    (void)fchmod(file->descriptor, 0777 & ~mask);
    return file;
  }
  StagedFile(const StagedFile &) = delete;
  ~StagedFile() {
    if (descriptor < 0)
      return;
    close(descriptor);
    unlink(temporary.c_str());
  }

  /// Thread-safe. The file grows; what was never written is zero.
  llvm::Error writeAt(uint64_t offset, ArrayRef<uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t written =
          pwrite(descriptor, bytes.data(), std::min<size_t>(bytes.size(), 1u << 30), offset);
      if (written < 0 && errno != EINTR)
        return writeFailure();
      const size_t done = std::max<ssize_t>(written, 0);
      bytes = bytes.drop_front(done);
      offset += done;
    }
    return llvm::Error::success();
  }
  /// Some file systems report a full disk only here.
  llvm::Error commit() {
    const int closed = close(std::exchange(descriptor, -1));
    const int error = errno;
    if (closed != 0) {
      unlink(temporary.c_str());
      errno = error;
      return writeFailure();
    }
    if (rename(temporary.c_str(), path.c_str()) == 0)
      return llvm::Error::success();
    const int renameError = errno;
    unlink(temporary.c_str());
    return ioError(5013, "cannot rename the finished file to '" + path + "'", renameError,
                   "Check that no folder has this name and that the old file may be replaced");
  }

private:
  explicit StagedFile(const std::string &path) : path(path), temporary(path + ".tmpXXXXXX") {}
  llvm::Error writeFailure() const {
    return ioError(5012, "cannot write '" + path + "'", errno, "Free some space, or write to another disk");
  }
  std::string path, temporary;
  int descriptor = -1;
};

class FileSink : public WeightSink {
public:
  FileSink(StagedFile &file, uint64_t start, uint64_t size) : file(file), start(start), size(size) {}
  llvm::Error write(uint64_t offset, ArrayRef<uint8_t> bytes) override {
    if (offset > size || bytes.size() > size - offset)
      return misplaced(offset, bytes.size());
    // In pieces that are still in the cache when they are written.
    for (; !bytes.empty();
         bytes = bytes.drop_front(std::min(bytes.size(), pieceBytes)), offset += pieceBytes) {
      ArrayRef<uint8_t> piece = bytes.take_front(pieceBytes);
      const auto hash = llvm::xxh3_128bits(piece);
      {
        std::lock_guard<std::mutex> lock(mutex);
        parts.push_back({offset, piece.size(), hash.low64, hash.high64});
      }
      if (auto error = file.writeAt(start + offset, piece))
        return error;
    }
    return llvm::Error::success();
  }
  /// The start of SHA-256 over the XXH3 of every piece.
  llvm::Expected<WeightsId> id() {
    llvm::sort(parts);
    llvm::SHA256 hash;
    uint64_t end = 0;
    for (const Part &part : parts) {
      if (part[0] < end)
        return misplaced(part[0], part[1]);
      end = part[0] + part[1];
      hash.update(ArrayRef(reinterpret_cast<const uint8_t *>(part.data()), sizeof part));
    }
    const auto digest = hash.final();
    WeightsId id;
    std::copy_n(digest.begin(), id.size(), id.begin());
    return id;
  }

private:
  using Part = std::array<uint64_t, 4>; ///< offset, bytes, hash
  static constexpr size_t pieceBytes = 1 << 20;
  llvm::Error misplaced(uint64_t offset, uint64_t bytes) const {
    return makeError(9220, Fault::Internal,
                     std::to_string(bytes) + " bytes at " + std::to_string(offset) + " have no place among " +
                         std::to_string(size) + " bytes of weights",
                     "This is a bug in Tilewright; please report it");
  }
  StagedFile &file;
  uint64_t start, size;
  std::mutex mutex; ///< of `parts`
  std::vector<Part> parts;
};

/// Where the weights id lies in the file of a shared object.
llvm::Expected<uint64_t> weightsIdOffset(StringRef sharedObject) {
  auto file = llvm::object::ELFFile<llvm::object::ELF64LE>::create(sharedObject);
  if (!file)
    return file.takeError();
  auto object = llvm::object::ELF64LEObjectFile::create(llvm::MemoryBufferRef(sharedObject, "artifact"));
  if (!object)
    return object.takeError();
  for (const llvm::object::ELFSymbolRef symbol : object->getDynamicSymbolIterators()) {
    auto name = symbol.getName();
    if (!name || *name != TW_DESCRIPTOR_SYMBOL) {
      llvm::consumeError(name.takeError());
      continue;
    }
    auto address = symbol.getAddress();
    if (!address)
      return address.takeError();
    auto data = file->toMappedAddr(*address + offsetof(tw_descriptor, weights_id));
    if (!data)
      return data.takeError();
    return *data - sharedObject.bytes_begin();
  }
  return makeError(9212, Fault::Internal, "the linked artifact does not export " TW_DESCRIPTOR_SYMBOL,
                   "This is a bug in Tilewright; please report it");
}

/// Weights, slack and trailer, from `start` on.
llvm::Expected<WeightsId> appendWeights(StagedFile &file, uint64_t start, uint64_t weightBytes,
                                        WeightWriter writeWeights) {
  FileSink sink(file, start, weightBytes);
  if (auto error = writeWeights(sink))
    return error;
  auto id = sink.id();
  if (!id)
    return id.takeError();
  tw_trailer trailer = {TW_TRAILER_MAGIC, start, {}};
  llvm::copy(*id, trailer.weights_id);
  const uint64_t end = llvm::alignTo(start + weightBytes + slackBytes, sizeof trailer);
  if (auto error = file.writeAt(end, ArrayRef(reinterpret_cast<const uint8_t *>(&trailer), sizeof trailer)))
    return error;
  return *id;
}

llvm::Expected<std::string> linkArtifact(ArrayRef<StringRef> objects, const ArtifactDescription &description,
                                         const TargetInfo &target) {
  auto descriptor = emitDescriptor(description, target);
  if (!descriptor)
    return descriptor.takeError();
  llvm::SmallVector<StringRef> all(objects);
  all.push_back(*descriptor);
  return linkSharedObject(all);
}

} // namespace

llvm::Error writeArtifact(const std::string &path, ArrayRef<StringRef> objects,
                          const ArtifactDescription &description, const TargetInfo &target,
                          WeightWriter writeWeights) {
  // The place first: nobody should wait for the linker to hear of a folder that cannot be written.
  auto artifact = StagedFile::create(path);
  if (!artifact)
    return artifact.takeError();
  auto code = linkArtifact(objects, description, target);
  if (!code)
    return code.takeError();
  auto idOffset = weightsIdOffset(*code);
  if (!idOffset)
    return idOffset.takeError();
  if (auto error = (*artifact)->writeAt(0, bytesOf(*code)))
    return error;

  std::unique_ptr<StagedFile> side;
  if (!description.weightsFile.empty()) {
    llvm::SmallString<256> sidePath(llvm::sys::path::parent_path(path));
    llvm::sys::path::append(sidePath, description.weightsFile);
    auto file = StagedFile::create(sidePath.str().str());
    if (!file)
      return file.takeError();
    side = std::move(*file);
  }
  auto id = appendWeights(side ? *side : **artifact, side ? 0 : llvm::alignTo(code->size(), pageBytes),
                          description.weightBytes, writeWeights);
  if (!id)
    return id.takeError();
  if (auto error = (*artifact)->writeAt(*idOffset, *id))
    return error;
  // The weights first. A crash in between leaves an artifact whose id differs: refused at load, never
  // mistaken.
  if (side)
    if (auto error = side->commit())
      return error;
  return (*artifact)->commit();
}

} // namespace tilewright::codegen
