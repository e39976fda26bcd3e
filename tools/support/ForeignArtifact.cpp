#include "ForeignArtifact.h"

#include "tilewright/artifact.h"
#include "tilewright/digest.hpp"

#include <cstring>
#include <elf.h>
#include <fmt/format.h>
#include <vector>

namespace tilewright::tools {

namespace {

/// Tables of a shared object. Every number in it may be wrong.
class SharedObject {
public:
  explicit SharedObject(std::span<const std::byte> bytes) : bytes(bytes) {}

  /// The entries of the first section of this type; empty where there is none.
  template <typename Entry> std::vector<Entry> section(uint32_t type) const;
  /// The address of the descriptor.
  std::optional<uint64_t> descriptorAddress() const;
  /// What the pointer at `address` points to when the object is loaded at 0.
  std::optional<uint64_t> pointerAt(uint64_t address) const;
  /// Where the byte at an address lies in the file.
  std::optional<uint64_t> offsetOf(uint64_t address) const;
  template <typename T> std::optional<T> at(uint64_t offset) const;
  /// The text at an address, which ends with a zero.
  std::optional<std::string> textAt(uint64_t address) const;

private:
  std::span<const std::byte> bytes;
};

} // namespace

template <typename T> std::optional<T> SharedObject::at(uint64_t offset) const {
  T value;
  if (offset > bytes.size() || bytes.size() - offset < sizeof value)
    return std::nullopt;
  memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

template <typename Entry> std::vector<Entry> SharedObject::section(uint32_t type) const {
  std::vector<Entry> entries;
  auto header = at<Elf64_Ehdr>(0);
  for (uint64_t i = 0; header && i < header->e_shnum; ++i) {
    auto found = at<Elf64_Shdr>(header->e_shoff + i * sizeof(Elf64_Shdr));
    if (!found || found->sh_type != type)
      continue;
    for (uint64_t k = 0; k < found->sh_size / sizeof(Entry); ++k)
      if (auto entry = at<Entry>(found->sh_offset + k * sizeof(Entry)))
        entries.push_back(*entry);
      else
        return {};
    break;
  }
  return entries;
}

/// The one symbol that an artifact exports.
std::optional<uint64_t> SharedObject::descriptorAddress() const {
  for (const Elf64_Sym &symbol : section<Elf64_Sym>(SHT_DYNSYM))
    if (symbol.st_shndx != SHN_UNDEF && ELF64_ST_BIND(symbol.st_info) == STB_GLOBAL)
      return symbol.st_value;
  return std::nullopt;
}

/// Every architecture's relocations of an object that imports nothing add the load address.
std::optional<uint64_t> SharedObject::pointerAt(uint64_t address) const {
  for (const Elf64_Rela &relocation : section<Elf64_Rela>(SHT_RELA))
    if (relocation.r_offset == address)
      return static_cast<uint64_t>(relocation.r_addend);
  return std::nullopt;
}

std::optional<uint64_t> SharedObject::offsetOf(uint64_t address) const {
  auto header = at<Elf64_Ehdr>(0);
  for (uint64_t i = 0; header && i < header->e_phnum; ++i) {
    auto segment = at<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr));
    if (segment && segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
        address - segment->p_vaddr < segment->p_filesz)
      return segment->p_offset + (address - segment->p_vaddr);
  }
  return std::nullopt;
}

std::optional<std::string> SharedObject::textAt(uint64_t address) const {
  auto offset = offsetOf(address);
  if (!offset || *offset >= bytes.size())
    return std::nullopt;
  const char *begin = reinterpret_cast<const char *>(bytes.data()) + *offset;
  const size_t length = strnlen(begin, bytes.size() - *offset);
  return length < bytes.size() - *offset ? std::optional(std::string(begin, length)) : std::nullopt;
}

Result<std::string> foreignArchitecture(const std::string &path) {
  auto prefix = readPrefix(path, sizeof(Elf64_Ehdr));
  auto self = readPrefix("/proc/self/exe", sizeof(Elf64_Ehdr));
  if (!prefix || !self)
    return (prefix ? self : prefix).problem();
  if (prefix->size() < sizeof(Elf64_Ehdr) || self->size() < sizeof(Elf64_Ehdr))
    return std::string();
  Elf64_Ehdr header, own;
  memcpy(&header, prefix->data(), sizeof header);
  memcpy(&own, self->data(), sizeof own);
  if (header.e_machine == own.e_machine)
    return std::string();
#define TILEWRIGHT_NAME(number, name)                                                                        \
  if (header.e_machine == number)                                                                            \
    return std::string(name);
  TW_ARCHITECTURES(TILEWRIGHT_NAME)
#undef TILEWRIGHT_NAME
  return std::string();
}

/// The code of a whole artifact; nothing where a byte of it differs from what was written.
static std::optional<std::span<const std::byte>> codeOf(std::span<const std::byte> file) {
  tw_trailer trailer;
  if (file.size() < sizeof trailer)
    return std::nullopt;
  memcpy(&trailer, file.data() + file.size() - sizeof trailer, sizeof trailer);
  if (trailer.magic != TW_TRAILER_MAGIC || trailer.file_bytes != file.size() ||
      trailer.code_bytes > file.size())
    return std::nullopt;
  const Digest128 digest = digestOf(file.data(), trailer.code_bytes);
  const bool whole = memcmp(digest.words, trailer.code_digest, sizeof trailer.code_digest) == 0;
  return whole ? std::optional(file.first(trailer.code_bytes)) : std::nullopt;
}

Result<ForeignReport> readForeignReport(const std::string &path) {
  auto file = readFile(path);
  if (!file)
    return file.problem();
  auto code = codeOf(file->view);
  const SharedObject object(code ? *code : std::span<const std::byte>());
  auto descriptor = object.descriptorAddress();
  auto offset = descriptor ? object.offsetOf(*descriptor) : std::nullopt;
  auto magic = offset ? object.at<uint32_t>(*offset) : std::nullopt;
  auto weights = offset ? object.at<uint64_t>(*offset + offsetof(tw_descriptor, weight_bytes)) : std::nullopt;
  auto report = descriptor ? object.pointerAt(*descriptor + offsetof(tw_descriptor, report)) : std::nullopt;
  auto text = report ? object.textAt(*report) : std::nullopt;
  if (!text || !weights || magic != TW_DESCRIPTOR_MAGIC)
    return invalidProblem("TW5112", fmt::format("'{}' is no whole artifact", path),
                          "compile or copy it again");
  return ForeignReport{std::move(*text), code->size(), *weights};
}

} // namespace tilewright::tools
