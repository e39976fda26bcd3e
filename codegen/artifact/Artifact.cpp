//===- Artifact.cpp - writing the artifact and its weights ----------------===//
//
// The weights id, in the descriptor and in the trailer, ties code and weights together. It is a digest of the
// weights, known only when they have been streamed, so the code that holds it is written after them.
//===----------------------------------------------------------------------===//
#include "codegen/artifact/Artifact.h"

#include "codegen/artifact/Link.h"
#include "files/OutputFile.h"

#include "tilewright/artifact.h"
#include "tilewright/digest.hpp"

#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>

using llvm::ArrayRef;
using llvm::StringRef;

namespace tilewright::codegen {
namespace {

constexpr uint64_t pageBytes = 4096;
constexpr uint64_t slackBytes = 64; // readable behind the weights: vector loads may run over the end

llvm::Error asError(const files::MaybeOutputProblem &problem) {
  return problem ? makeError(problem->code, Fault::Io, problem->message, problem->hint)
                 : llvm::Error::success();
}

template <typename T> std::span<const std::byte> asBytes(const T &items) {
  return std::as_bytes(std::span(items.data(), items.size()));
}

void store(const Digest128 &digest, uint64_t (&words)[2]) { llvm::copy(digest.words, words); }

class FileSink : public WeightSink {
public:
  FileSink(files::OutputFile &file, uint64_t start, uint64_t size) : file(file), start(start), size(size) {}
  llvm::Error write(uint64_t offset, ArrayRef<uint8_t> bytes) override {
    if (offset > size || bytes.size() > size - offset)
      return misplaced(offset, bytes.size());
    // In pieces that are still in the cache when they are written.
    for (; !bytes.empty();
         bytes = bytes.drop_front(std::min(bytes.size(), pieceBytes)), offset += pieceBytes) {
      ArrayRef<uint8_t> piece = bytes.take_front(pieceBytes);
      tw_block block = {offset, piece.size(), {}};
      store(digestOf(piece.data(), piece.size()), block.digest);
      {
        std::lock_guard<std::mutex> lock(mutex);
        blocks.push_back(block);
      }
      if (auto error = asError(file.writeAt(start + offset, asBytes(piece))))
        return error;
    }
    return llvm::Error::success();
  }
  /// All that was written, in the order of the file. They follow from the weights and where they lie, not
  /// from who wrote when.
  llvm::Expected<std::vector<tw_block>> finish() {
    llvm::sort(blocks, [](const tw_block &a, const tw_block &b) { return a.offset < b.offset; });
    uint64_t end = 0;
    for (const tw_block &block : blocks) {
      if (block.offset < end)
        return misplaced(block.offset, block.bytes);
      end = block.offset + block.bytes;
    }
    return std::move(blocks);
  }

private:
  static constexpr size_t pieceBytes = 1 << 20;
  llvm::Error misplaced(uint64_t offset, uint64_t bytes) const {
    return makeError(9220, Fault::Internal,
                     std::to_string(bytes) + " bytes at " + std::to_string(offset) + " have no place among " +
                         std::to_string(size) + " bytes of weights",
                     "This is a bug in Tilewright; please report it");
  }
  files::OutputFile &file;
  uint64_t start, size;
  std::mutex mutex; ///< of `blocks`
  std::vector<tw_block> blocks;
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

/// Streams the weights to `start`. The trailer then knows them, and so their id.
llvm::Expected<std::vector<tw_block>> writeWeightsAt(files::OutputFile &file, uint64_t start,
                                                     uint64_t weightBytes, WeightWriter writeWeights,
                                                     tw_trailer &trailer) {
  FileSink sink(file, start, weightBytes);
  if (auto error = writeWeights(sink))
    return error;
  auto blocks = sink.finish();
  if (!blocks)
    return blocks.takeError();
  const Digest128 digest = digestOf(blocks->data(), blocks->size() * sizeof(tw_block));
  trailer.weight_bytes = weightBytes;
  memcpy(trailer.weights_id, digest.words, sizeof trailer.weights_id);
  return blocks;
}

/// Ends a file whose code and weights are written: the table of blocks and the trailer. `trailer` has what
/// the weights have given it.
llvm::Error seal(files::OutputFile &file, StringRef code, ArrayRef<tw_block> blocks, tw_trailer trailer) {
  trailer.magic = TW_TRAILER_MAGIC;
  trailer.code_bytes = code.size();
  store(digestOf(code.data(), code.size()), trailer.code_digest);
  trailer.weights_offset = llvm::alignTo(code.size(), pageBytes);
  trailer.blocks_offset =
      llvm::alignTo(trailer.weights_offset + trailer.weight_bytes + slackBytes, alignof(tw_block));
  trailer.block_count = blocks.size();
  store(digestOf(blocks.data(), blocks.size() * sizeof(tw_block)), trailer.blocks_digest);
  const uint64_t end = trailer.blocks_offset + blocks.size() * sizeof(tw_block);
  trailer.file_bytes = end + sizeof trailer;
  store(digestOf(&trailer, offsetof(tw_trailer, digest)), trailer.digest);
  if (auto error = asError(file.writeAt(trailer.blocks_offset, asBytes(blocks))))
    return error;
  return asError(file.writeAt(end, asBytes(ArrayRef(trailer))));
}

llvm::Expected<std::string> linkArtifact(ArrayRef<StringRef> objects, const ArtifactDescription &description,
                                         const TargetInfo &target) {
  auto descriptor = emitDescriptor(description, target);
  if (!descriptor)
    return descriptor.takeError();
  llvm::SmallVector<StringRef> all(objects);
  all.push_back(*descriptor);
  return linkSharedObject(all, *target.architecture);
}

uint64_t ownerOf(StringRef artifact) {
  const StringRef name = llvm::sys::path::filename(artifact);
  return digestOf(name.data(), name.size()).words[0];
}

/// Nobody named the weights file: what lies there may go only if it is an earlier one of this artifact.
llvm::Error mayReplace(const std::string &path, StringRef artifact) {
  std::error_code missing;
  if (!std::filesystem::exists(path, missing))
    return llvm::Error::success();
  tw_trailer trailer = {};
  std::ifstream file(path, std::ios::binary);
  file.seekg(-int64_t(sizeof trailer), std::ios::end);
  file.read(reinterpret_cast<char *>(&trailer), sizeof trailer);
  if (file && trailer.magic == TW_TRAILER_MAGIC && trailer.code_bytes == 0 &&
      trailer.owner == ownerOf(artifact))
    return llvm::Error::success();
  return makeError(5014, Fault::Io,
                   "the weights of '" + artifact.str() + "' would go to '" + path +
                       "', which is there and is something else",
                   "Give the artifact another name, or remove that file");
}

} // namespace

llvm::Error writeArtifact(const ArtifactPlace &place, ArrayRef<StringRef> objects,
                          const ArtifactDescription &description, const TargetInfo &target,
                          WeightWriter writeWeights) {
  // The places first: nobody should wait for the linker to hear of a folder that cannot be written.
  files::OutputFile artifact, side;
  const files::OutputOptions executable = {0777, /*replacesContent=*/false, /*devices=*/false};
  if (auto error = asError(place.descriptor >= 0 ? artifact.adopt(place.descriptor, place.path)
                                                 : artifact.create(place.path, place.read, executable)))
    return error;
  const bool apart = !description.weightsFile.empty();
  if (apart) {
    llvm::SmallString<256> sidePath(llvm::sys::path::parent_path(place.path));
    llvm::sys::path::append(sidePath, description.weightsFile);
    if (auto error = mayReplace(sidePath.str().str(), place.path))
      return error;
    if (auto error = asError(side.create(sidePath.str().str(), place.read, {0666, false, false})))
      return error;
  }
  auto code = linkArtifact(objects, description, target);
  if (!code)
    return code.takeError();
  auto idOffset = weightsIdOffset(*code);
  if (!idOffset)
    return idOffset.takeError();

  tw_trailer trailer = {};
  auto blocks = writeWeightsAt(apart ? side : artifact, apart ? 0 : llvm::alignTo(code->size(), pageBytes),
                               description.weightBytes, writeWeights, trailer);
  if (!blocks)
    return blocks.takeError();
  memcpy(code->data() + *idOffset, trailer.weights_id, sizeof trailer.weights_id);
  if (auto error = asError(artifact.writeAt(0, asBytes(*code))))
    return error;
  trailer.owner = apart ? ownerOf(place.path) : 0;
  if (auto error = seal(apart ? side : artifact, apart ? StringRef() : StringRef(*code), *blocks, trailer))
    return error;
  if (!apart)
    return asError(artifact.commit());
  trailer.weight_bytes = trailer.owner = 0;
  if (auto error = seal(artifact, *code, {}, trailer))
    return error;
  // The weights first. A crash in between leaves an artifact whose id differs: refused at load, never
  // mistaken.
  if (auto error = asError(side.commit()))
    return error;
  return asError(artifact.commit());
}

} // namespace tilewright::codegen
