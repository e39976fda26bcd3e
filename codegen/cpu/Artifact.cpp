//===- Artifact.cpp - writing the artifact and its weights ----------------===//
//
// The weights id, in the descriptor and in the trailer, ties code and weights together. It is a hash of the
// weights, known only when they have been streamed, so it is stored into the finished files at the end.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Artifact.h"

#include "codegen/cpu/Link.h"

#include "tilewright/artifact.h"

#include "llvm/ADT/ScopeExit.h"
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

  llvm::Error write(ArrayRef<uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor, bytes.data(), std::min<size_t>(bytes.size(), 1u << 30));
      if (written < 0 && errno != EINTR)
        return writeFailure();
      const size_t done = std::max<ssize_t>(written, 0);
      bytes = bytes.drop_front(done);
      size += done;
    }
    return llvm::Error::success();
  }
  llvm::Error overwrite(uint64_t offset, ArrayRef<uint8_t> bytes) {
    if (pwrite(descriptor, bytes.data(), bytes.size(), offset) != static_cast<ssize_t>(bytes.size()))
      return writeFailure();
    return llvm::Error::success();
  }
  llvm::Error writeZeros(uint64_t count) {
    static const uint8_t zeros[pageBytes] = {};
    for (; count; count -= std::min(count, pageBytes))
      if (auto error = write(ArrayRef(zeros, std::min(count, pageBytes))))
        return error;
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
  uint64_t bytesWritten() const { return size; }

private:
  explicit StagedFile(const std::string &path) : path(path), temporary(path + ".tmpXXXXXX") {}
  llvm::Error writeFailure() const {
    return ioError(5012, "cannot write '" + path + "'", errno, "Free some space, or write to another disk");
  }
  std::string path, temporary;
  int descriptor = -1;
  uint64_t size = 0;
};

/// Hashes a stream in blocks of fixed size, so that the result does not depend on how it was cut into writes:
/// the start of SHA-256 over the XXH3 of each megabyte.
class StreamHash {
public:
  void update(ArrayRef<uint8_t> bytes) {
    while (!bytes.empty()) {
      if (block.empty() && bytes.size() >= blockBytes) {
        close(bytes.take_front(blockBytes));
        bytes = bytes.drop_front(blockBytes);
        continue;
      }
      ArrayRef<uint8_t> piece = bytes.take_front(blockBytes - block.size());
      block.insert(block.end(), piece.begin(), piece.end());
      bytes = bytes.drop_front(piece.size());
      if (block.size() == blockBytes)
        closeBlock();
    }
  }
  WeightsId finish() {
    closeBlock();
    const auto digest = hash.final();
    WeightsId id;
    std::copy_n(digest.begin(), id.size(), id.begin());
    return id;
  }

private:
  static constexpr size_t blockBytes = 1 << 20;
  void close(ArrayRef<uint8_t> bytes) {
    const auto blockHash = llvm::xxh3_128bits(bytes);
    const uint64_t words[2] = {blockHash.low64, blockHash.high64};
    hash.update(ArrayRef(reinterpret_cast<const uint8_t *>(words), sizeof words));
  }
  void closeBlock() {
    close(block);
    block.clear();
  }
  std::vector<uint8_t> block;
  llvm::SHA256 hash;
};

llvm::Error sourceError(const std::string &path, const std::string &why) {
  return makeError(5014, Fault::Io, "cannot read weights from '" + path + "': " + why,
                   "The file must stay as it is while the model is compiled");
}

class FileSink : public WeightSink {
public:
  explicit FileSink(StagedFile &file) : file(file), start(file.bytesWritten()) {}
  llvm::Error write(ArrayRef<uint8_t> bytes) override {
    hash.update(bytes);
    return file.write(bytes);
  }
  llvm::Error writeZeros(uint64_t count) override {
    static const uint8_t zeros[pageBytes] = {};
    for (; count; count -= std::min(count, pageBytes))
      if (auto error = write(ArrayRef(zeros, std::min(count, pageBytes))))
        return error;
    return llvm::Error::success();
  }
  llvm::Error copyFile(const std::string &path, uint64_t offset, uint64_t length) override;
  uint64_t position() const override { return file.bytesWritten() - start; }
  WeightsId id() { return hash.finish(); }

private:
  StagedFile &file;
  uint64_t start;
  StreamHash hash;
};

/// Reads rather than maps: a file that another process shortens meanwhile is an error, not a SIGBUS.
llvm::Error FileSink::copyFile(const std::string &path, uint64_t offset, uint64_t length) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return sourceError(path, strerror(errno));
  llvm::scope_exit closer([&] { close(descriptor); });
  std::vector<uint8_t> buffer(std::min<uint64_t>(length, 1 << 20));
  while (length) {
    const ssize_t count = pread(descriptor, buffer.data(), std::min<uint64_t>(length, buffer.size()), offset);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return sourceError(path, strerror(errno));
    if (count == 0)
      return sourceError(path, "it is too short");
    if (auto error = write(ArrayRef(buffer.data(), count)))
      return error;
    offset += count;
    length -= count;
  }
  return llvm::Error::success();
}

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

/// Weights, slack and trailer, at the end of `file`.
llvm::Expected<WeightsId> appendWeights(StagedFile &file, uint64_t weightBytes, WeightWriter writeWeights) {
  if (auto error = file.writeZeros(llvm::offsetToAlignment(file.bytesWritten(), llvm::Align(pageBytes))))
    return error;
  tw_trailer trailer = {TW_TRAILER_MAGIC, file.bytesWritten(), {}};
  FileSink sink(file);
  if (auto error = writeWeights(sink))
    return error;
  if (sink.position() != weightBytes)
    return makeError(9220, Fault::Internal,
                     "the plan has " + std::to_string(weightBytes) + " bytes of weights, but " +
                         std::to_string(sink.position()) + " were written",
                     "This is a bug in Tilewright; please report it");
  const WeightsId id = sink.id();
  llvm::copy(id, trailer.weights_id);
  const uint64_t end = llvm::alignTo(file.bytesWritten() + slackBytes, sizeof trailer);
  if (auto error = file.writeZeros(end - file.bytesWritten()))
    return error;
  if (auto error = file.write(ArrayRef(reinterpret_cast<const uint8_t *>(&trailer), sizeof trailer)))
    return error;
  return id;
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

llvm::Error WeightSink::alignTo(uint64_t alignment) {
  return writeZeros(llvm::alignTo(position(), alignment) - position());
}

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
  if (auto error = (*artifact)->write(bytesOf(*code)))
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
  auto id = appendWeights(side ? *side : **artifact, description.weightBytes, writeWeights);
  if (!id)
    return id.takeError();
  if (auto error = (*artifact)->overwrite(*idOffset, *id))
    return error;
  // The weights first. A crash in between leaves an artifact whose id differs: refused at load, never
  // mistaken.
  if (side)
    if (auto error = side->commit())
      return error;
  return (*artifact)->commit();
}

} // namespace tilewright::codegen
