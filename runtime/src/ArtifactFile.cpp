#include "ArtifactFile.h"

#include "Cpu.h"

#include "Array.h"
#include "Region.h"
#include "tilewright/digest.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tilewright::runtime {

InputFile::~InputFile() {
  if (file >= 0)
    close(file);
}

tw_status InputFile::open(const char *path, const char *what, int code, tw_error *error) {
  // O_NONBLOCK: a pipe must be refused, not waited for.
  file = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat facts;
  if (file < 0 || fstat(file, &facts) != 0)
    return reportError(error, TW_IO, code, "cannot open %s '%s': %s", what, path, strerror(errno));
  if (!S_ISREG(facts.st_mode))
    return reportError(error, TW_IO, 4002, "%s '%s' is %s, not a file", what, path,
                       S_ISDIR(facts.st_mode) ? "a directory" : "a device or pipe");
  bytes = static_cast<uint64_t>(facts.st_size);
  return TW_OK;
}

bool InputFile::read(uint64_t offset, void *destination, uint64_t wanted) const {
  if (offset > bytes || wanted > bytes - offset)
    return false;
  auto *target = static_cast<uint8_t *>(destination);
  while (wanted) {
    const ssize_t got = pread(file, target, wanted, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return false;
    target += got;
    offset += static_cast<uint64_t>(got);
    wanted -= static_cast<uint64_t>(got);
  }
  return true;
}

namespace {

const char *architectureName(uint16_t machine) {
#define TILEWRIGHT_NAME(number, name)                                                                        \
  if (machine == number)                                                                                     \
    return name;
  TW_ARCHITECTURES(TILEWRIGHT_NAME)
#undef TILEWRIGHT_NAME
  return "unknown";
}

/// The reader of one object's headers. Every number in them is hostile until compared with the file's size.
class ElfReader {
public:
  ElfReader(const InputFile &file, const char *path, tw_error *error)
      : file(file), path(path), error(error) {}

  tw_status check() {
    if (tw_status status = checkHeader())
      return status;
    if (tw_status status = checkSegments())
      return status;
    return hasDescriptorSymbol() ? TW_OK : foreign("it is a shared object, but no model is in it");
  }

private:
  tw_status foreign(const char *why) {
    return reportError(error, TW_INVALID, 4003, "'%s' is not a Tilewright artifact: %s", path, why);
  }

  tw_status truncated() {
    return reportError(
        error, TW_INVALID, 4004,
        "artifact '%s' is truncated or damaged: its headers point outside the file of %llu bytes; "
        "compile or copy it again",
        path, static_cast<unsigned long long>(file.size()));
  }

  tw_status checkHeader() {
    if (!file.read(0, header.e_ident, sizeof header.e_ident) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
      return foreign("it is no shared object");
    if (!file.read(0, &header, sizeof header))
      return truncated();
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_type != ET_DYN)
      return foreign("it is not a 64-bit shared object");
    if (header.e_machine != ownMachine)
      return reportError(
          error, TW_UNSUPPORTED, 4003,
          "artifact '%s' is for processors of architecture %s (ELF machine %u), this program for %s: compile "
          "the model for it",
          path, architectureName(header.e_machine), header.e_machine, architectureName(ownMachine));
    return TW_OK;
  }

  tw_status checkSegments() {
    segmentCount = header.e_phnum;
    if (segmentCount == 0 || segmentCount > maxSegments || header.e_phentsize != sizeof(Elf64_Phdr) ||
        !file.read(header.e_phoff, segments, segmentCount * sizeof(Elf64_Phdr)))
      return truncated();
    for (uint32_t index = 0; index < segmentCount; ++index) {
      const Elf64_Phdr &segment = segments[index];
      if (segment.p_offset > file.size() || segment.p_filesz > file.size() - segment.p_offset)
        return truncated();
      if (segment.p_type == PT_LOAD && segment.p_filesz > segment.p_memsz)
        return truncated();
    }
    const uint64_t sectionBytes = uint64_t(header.e_shnum) * header.e_shentsize;
    if (header.e_shoff > file.size() || sectionBytes > file.size() - header.e_shoff)
      return truncated();
    return TW_OK;
  }

  /// Where the byte at virtual address `address` lies in the file; UINT64_MAX when nowhere.
  uint64_t fileOffset(uint64_t address) const {
    for (uint32_t index = 0; index < segmentCount; ++index) {
      const Elf64_Phdr &segment = segments[index];
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
          address - segment.p_vaddr < segment.p_filesz)
        return segment.p_offset + (address - segment.p_vaddr);
    }
    return UINT64_MAX;
  }

  bool hasDescriptorSymbol() const {
    uint64_t strings = 0, stringBytes = 0;
    for (uint32_t index = 0; index < segmentCount; ++index) {
      if (segments[index].p_type != PT_DYNAMIC)
        continue;
      const uint64_t entries = std::min<uint64_t>(segments[index].p_filesz / sizeof(Elf64_Dyn), 1024);
      for (uint64_t entry = 0; entry < entries; ++entry) {
        Elf64_Dyn item;
        if (!file.read(segments[index].p_offset + entry * sizeof item, &item, sizeof item) ||
            item.d_tag == DT_NULL)
          break;
        if (item.d_tag == DT_STRTAB)
          strings = item.d_un.d_ptr;
        else if (item.d_tag == DT_STRSZ)
          stringBytes = item.d_un.d_val;
      }
    }
    return stringBytes && containsName(fileOffset(strings), stringBytes);
  }

  /// Whether the string table holds the descriptor's name as a whole string. In pieces that overlap by the
  /// name's length: nothing is allocated.
  bool containsName(uint64_t offset, uint64_t bytes) const {
    constexpr char wanted[] = "\0" TW_DESCRIPTOR_SYMBOL; // both zeros belong to it
    char piece[4096];
    for (uint64_t done = 0; done < bytes && bytes <= file.size();) {
      const uint64_t count = std::min<uint64_t>(bytes - done, sizeof piece);
      if (!file.read(offset + done, piece, count))
        return false;
      if (memmem(piece, count, wanted, sizeof wanted))
        return true;
      done += count < sizeof piece ? count : count - sizeof wanted + 1;
    }
    return false;
  }

  static constexpr uint32_t maxSegments = 64;
  const InputFile &file;
  const char *path;
  tw_error *error;
  Elf64_Ehdr header = {};
  Elf64_Phdr segments[maxSegments] = {};
  uint32_t segmentCount = 0;
};

tw_status damaged(const char *path, int code, const char *why, tw_error *error) {
  return reportError(error, TW_INVALID, code, "'%s' is damaged: %s; compile or copy it again", path, why);
}

/// Whether [begin, end) of the file is zero.
bool isZero(const InputFile &file, uint64_t begin, uint64_t end) {
  uint8_t piece[512];
  while (begin < end) {
    const uint64_t count = std::min<uint64_t>(end - begin, sizeof piece);
    if (!file.read(begin, piece, count) ||
        !std::all_of(piece, piece + count, [](uint8_t byte) { return byte == 0; }))
      return false;
    begin += count;
  }
  return true;
}

/// The digest of [begin, begin + bytes) of the file. False when it cannot be read, or no memory can be had.
bool digestOfRange(const InputFile &file, uint64_t begin, uint64_t bytes, Digest128 &digest) {
  constexpr uint64_t pieceBytes = uint64_t(256) << 10; // stays in the cache
  static_assert(pieceBytes % Digest::grain == 0);
  Array<uint8_t> piece;
  if (!piece.allocate(std::min(bytes, pieceBytes)))
    return false;
  Digest running;
  while (bytes) {
    const uint64_t count = std::min(bytes, pieceBytes);
    if (!file.read(begin, piece.data(), count))
      return false;
    running.add(piece.data(), count);
    begin += count;
    bytes -= count;
  }
  digest = running.finish();
  return true;
}

bool matches(const Digest128 &digest, const uint64_t (&expected)[2]) {
  return digest.words[0] == expected[0] && digest.words[1] == expected[1];
}

tw_status checkRange(const InputFile &file, const char *path, uint64_t begin, uint64_t bytes,
                     const uint64_t (&expected)[2], const char *what, tw_error *error) {
  Digest128 digest;
  if (!digestOfRange(file, begin, bytes, digest))
    return reportError(error, TW_IO, 4015, "cannot read '%s', or not enough memory to check it", path);
  if (matches(digest, expected))
    return TW_OK;
  return reportError(error, TW_INVALID, 4016,
                     "'%s' is damaged: %s and the digest of it disagree; compile or copy it again", path,
                     what);
}

/// What must hold of every trailer, whoever wrote it: nothing overlaps, nothing reaches beyond the file.
bool rangesFit(const tw_trailer &trailer, uint64_t fileBytes) {
  const uint64_t end = fileBytes - sizeof trailer;
  return trailer.file_bytes == fileBytes && trailer.code_bytes <= trailer.weights_offset &&
         trailer.weights_offset <= end && trailer.weight_bytes <= end - trailer.weights_offset &&
         trailer.weights_offset % 4096 == 0 && trailer.weights_offset - trailer.code_bytes < 4096 &&
         trailer.blocks_offset <= end && trailer.blocks_offset % alignof(tw_block) == 0 &&
         trailer.weights_offset + trailer.weight_bytes <= trailer.blocks_offset &&
         trailer.blocks_offset - trailer.weights_offset - trailer.weight_bytes < 4096 &&
         trailer.block_count == (end - trailer.blocks_offset) / sizeof(tw_block) &&
         (end - trailer.blocks_offset) % sizeof(tw_block) == 0;
}

} // namespace

tw_status checkObject(const InputFile &file, const char *path, tw_error *error) {
  return ElfReader(file, path, error).check();
}

bool hasTrailer(const InputFile &file) {
  const uint64_t size = file.size();
  uint64_t magic = 0;
  return size >= sizeof(tw_trailer) && file.read(size - sizeof(tw_trailer), &magic, sizeof magic) &&
         magic == TW_TRAILER_MAGIC;
}

tw_status readTrailer(const InputFile &file, const char *path, int code, tw_trailer &trailer,
                      tw_error *error) {
  const uint64_t size = file.size();
  if (!hasTrailer(file) || !file.read(size - sizeof trailer, &trailer, sizeof trailer))
    return reportError(error, TW_INVALID, code,
                       "'%s' is truncated, or was compiled by another version of Tilewright: its %llu bytes "
                       "do not end with a trailer; compile or copy it again",
                       path, static_cast<unsigned long long>(size));
  if (!matches(digestOf(&trailer, offsetof(tw_trailer, digest)), trailer.digest))
    return damaged(path, 4016, "its trailer and the digest of it disagree", error);
  if (!rangesFit(trailer, size))
    return damaged(path, 4016, "it has not the size that its trailer says", error);
  if (!isZero(file, trailer.code_bytes, trailer.weights_offset) ||
      !isZero(file, trailer.weights_offset + trailer.weight_bytes, trailer.blocks_offset))
    return damaged(path, 4016, "bytes that should be zero are not", error);
  return checkRange(file, path, trailer.blocks_offset, trailer.block_count * sizeof(tw_block),
                    trailer.blocks_digest, "the table of its weights' digests", error);
}

tw_status checkCode(const InputFile &file, const char *path, const tw_trailer &trailer, tw_error *error) {
  return checkRange(file, path, 0, trailer.code_bytes, trailer.code_digest, "its code", error);
}

WeightMap::~WeightMap() {
  if (base)
    munmap(base, mapped);
}

const uint8_t *WeightMap::data() const {
  alignas(64) static const uint8_t none[64 + readableSlack] = {};
  return base ? base : none;
}

tw_status WeightMap::map(const InputFile &file, const char *path, const tw_trailer &trailer, uint64_t bytes,
                         const uint8_t (&id)[16], tw_error *error) {
  if (trailer.weight_bytes != bytes)
    return reportError(error, TW_INVALID, 4010,
                       "'%s' has %llu bytes of weights where %llu are needed; compile or copy it again", path,
                       static_cast<unsigned long long>(trailer.weight_bytes),
                       static_cast<unsigned long long>(bytes));
  if (memcmp(trailer.weights_id, id, sizeof trailer.weights_id) != 0)
    return reportError(
        error, TW_INVALID, 4012,
        "the weights in '%s' belong to another compilation of the model; keep the artifact and the weights "
        "file of one compilation together",
        path);
  return mapRange(file, path, trailer.weights_offset, bytes, error);
}

tw_status WeightMap::check(const InputFile &file, const char *path, const tw_trailer &trailer,
                           tw_error *error) const {
  Array<tw_block> blocks;
  if (!blocks.allocate(trailer.block_count) ||
      !file.read(trailer.blocks_offset, blocks.data(), trailer.block_count * sizeof(tw_block)))
    return reportError(error, TW_IO, 4015, "cannot read '%s', or not enough memory to check it", path);
  uint64_t end = 0;
  auto zeroUntil = [&](uint64_t next) {
    return std::all_of(base + end, base + next, [](uint8_t byte) { return byte == 0; });
  };
  for (const tw_block &block : blocks) {
    if (block.offset < end || block.offset > trailer.weight_bytes ||
        block.bytes > trailer.weight_bytes - block.offset || !zeroUntil(block.offset) ||
        !matches(digestOf(base + block.offset, block.bytes), block.digest))
      return damaged(path, 4017, "its weights and the digests of them disagree", error);
    end = block.offset + block.bytes;
  }
  return zeroUntil(trailer.weight_bytes)
             ? TW_OK
             : damaged(path, 4017, "its weights and the digests of them disagree", error);
}

tw_status WeightMap::mapRange(const InputFile &file, const char *path, uint64_t offset, uint64_t bytes,
                              tw_error *error) {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  // Pages wholly behind the end of a file fault when touched. The whole range is reserved as zero pages
  // first, and the file laid over as many pages as it reaches: the slack is readable wherever the weights
  // end.
  const uint64_t whole = alignUp(bytes + readableSlack, page);
  void *reserved = mmap(nullptr, whole, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved != MAP_FAILED) {
    base = static_cast<uint8_t *>(reserved);
    mapped = whole;
    const uint64_t covered = std::min(whole, alignUp(file.size() - offset, page));
    if (mmap(base, covered, PROT_READ, MAP_PRIVATE | MAP_FIXED, file.descriptor(),
             static_cast<off_t>(offset)) != MAP_FAILED)
      return TW_OK;
  }
  return reportError(error, TW_IO, 4013, "cannot map %llu bytes of weights from '%s': %s",
                     static_cast<unsigned long long>(bytes), path, strerror(errno));
}

} // namespace tilewright::runtime
