#include "Zip.h"

#include "Deflate.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace tilewright::tools {

namespace {
constexpr uint32_t localMagic = 0x04034b50, entryMagic = 0x02014b50, endMagic = 0x06054b50;
constexpr uint32_t end64Magic = 0x06064b50, locator64Magic = 0x07064b50;
constexpr size_t localSize = 30, entrySize = 46, endSize = 22, end64Size = 56, locator64Size = 20;
constexpr uint32_t full32 = 0xffffffffu;
constexpr uint16_t encrypted = 1, utf8Names = 0x800;
} // namespace

template <typename T> static T at(std::span<const std::byte> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

Diagnostic ZipReader::damaged(const std::string &why) const {
  return invalidProblem("TW5201", fmt::format("'{}' is not a readable .npz file: {}", what, why));
}

Result<ZipReader> ZipReader::open(Bytes file, std::string what) {
  ZipReader reader;
  reader.file = std::move(file);
  reader.what = std::move(what);
  if (auto problem = reader.readDirectory())
    return *problem;
  return reader;
}

/// The end record lies within the last 64 KiB: only a comment follows it.
static std::optional<size_t> findEnd(std::span<const std::byte> bytes) {
  if (bytes.size() < endSize)
    return std::nullopt;
  size_t last = bytes.size() - endSize, first = last > 0xffff ? last - 0xffff : 0;
  for (size_t offset = last + 1; offset-- > first;)
    if (at<uint32_t>(bytes, offset) == endMagic &&
        at<uint16_t>(bytes, offset + 20) <= bytes.size() - offset - endSize)
      return offset;
  return std::nullopt;
}

MaybeProblem ZipReader::readDirectory() {
  auto bytes = file.view;
  auto end = findEnd(bytes);
  if (!end)
    return damaged(bytes.size() < 4 || at<uint32_t>(bytes, 0) != localMagic ? "it is no zip archive"
                                                                            : "it is truncated");
  uint64_t count = at<uint16_t>(bytes, *end + 10), size = at<uint32_t>(bytes, *end + 12);
  uint64_t start = at<uint32_t>(bytes, *end + 16), limit = *end;
  if (*end >= locator64Size && at<uint32_t>(bytes, *end - locator64Size) == locator64Magic) {
    uint64_t record = at<uint64_t>(bytes, *end - locator64Size + 8);
    if (record > bytes.size() || bytes.size() - record < end64Size ||
        at<uint32_t>(bytes, record) != end64Magic)
      return damaged("its zip64 directory is missing");
    count = at<uint64_t>(bytes, record + 32);
    size = at<uint64_t>(bytes, record + 40);
    start = at<uint64_t>(bytes, record + 48);
    limit = record;
  }
  if (start > limit || size > limit - start || count > size / entrySize)
    return damaged("its directory lies outside the file");
  size_t offset = start;
  directory.reserve(count);
  for (uint64_t i = 0; i < count; ++i)
    if (auto problem = readEntry(offset, start + size))
      return problem;
  return std::nullopt;
}

/// Replace the 32-bit fields that are full by their 64-bit values in the extra field. False when one is
/// missing.
static bool applyZip64(ZipReader::Entry &entry, std::span<const std::byte> extra) {
  uint64_t *fields[3] = {&entry.bytes, &entry.packedBytes, &entry.headerOffset};
  bool needed = std::any_of(fields, fields + 3, [](uint64_t *field) { return *field == full32; });
  while (needed && extra.size() >= 4) {
    size_t id = at<uint16_t>(extra, 0), size = at<uint16_t>(extra, 2);
    if (size > extra.size() - 4)
      return false;
    auto body = extra.subspan(4, size);
    extra = extra.subspan(4 + size);
    if (id != 1)
      continue;
    for (uint64_t *field : fields) {
      if (*field != full32)
        continue;
      if (body.size() < 8)
        return false;
      *field = at<uint64_t>(body, 0);
      body = body.subspan(8);
    }
    return true;
  }
  return !needed;
}

MaybeProblem ZipReader::readEntry(size_t &offset, size_t end) {
  auto bytes = file.view;
  if (end - offset < entrySize || at<uint32_t>(bytes, offset) != entryMagic)
    return damaged("its directory is cut short");
  Entry entry;
  entry.flags = at<uint16_t>(bytes, offset + 8);
  entry.method = at<uint16_t>(bytes, offset + 10);
  entry.crc = at<uint32_t>(bytes, offset + 16);
  entry.packedBytes = at<uint32_t>(bytes, offset + 20);
  entry.bytes = at<uint32_t>(bytes, offset + 24);
  size_t name = at<uint16_t>(bytes, offset + 28), extra = at<uint16_t>(bytes, offset + 30);
  size_t comment = at<uint16_t>(bytes, offset + 32);
  entry.headerOffset = at<uint32_t>(bytes, offset + 42);
  if (name + extra + comment > end - offset - entrySize)
    return damaged("its directory is cut short");
  entry.name.assign(reinterpret_cast<const char *>(bytes.data()) + offset + entrySize, name);
  if (!applyZip64(entry, bytes.subspan(offset + entrySize + name, extra)))
    return damaged(fmt::format("entry '{}' lacks its zip64 sizes", entry.name));
  offset += entrySize + name + extra + comment;
  directory.push_back(std::move(entry));
  return std::nullopt;
}

/// The bytes of an entry as they lie in the file.
Result<Bytes> ZipReader::packedContent(const Entry &entry) const {
  auto bytes = file.view;
  if (entry.headerOffset > bytes.size() || bytes.size() - entry.headerOffset < localSize ||
      at<uint32_t>(bytes, entry.headerOffset) != localMagic)
    return damaged(fmt::format("entry '{}' has no header", entry.name));
  uint64_t skip =
      localSize + at<uint16_t>(bytes, entry.headerOffset + 26) + at<uint16_t>(bytes, entry.headerOffset + 28);
  uint64_t room = bytes.size() - entry.headerOffset;
  if (skip > room || entry.packedBytes > room - skip)
    return damaged(fmt::format("entry '{}' is truncated", entry.name));
  return file.piece(entry.headerOffset + skip, entry.packedBytes);
}

MaybeProblem ZipReader::checkMethod(const Entry &entry) const {
  if (entry.flags & encrypted)
    return damaged(fmt::format("entry '{}' is encrypted", entry.name));
  if (entry.method != 0 && entry.method != 8)
    return damaged(
        fmt::format("entry '{}' is compressed by method {}; only deflate is read", entry.name, entry.method));
  if (entry.method == 8 && !canInflate)
    return damaged(fmt::format("entry '{}' is compressed, which this program cannot read: store it as it is "
                               "(numpy.savez)",
                               entry.name));
  return std::nullopt;
}

Result<Bytes> ZipReader::readStart(const Entry &entry, size_t count) const {
  if (auto problem = checkMethod(entry))
    return *problem;
  auto packed = packedContent(entry);
  if (!packed)
    return packed;
  count = std::min<uint64_t>(count, entry.bytes);
  if (entry.method == 0)
    return packed->piece(0, std::min(count, packed->size()));
  auto buffer = allocate(count);
  if (!buffer)
    return buffer.problem();
  auto produced = inflateStart(packed->view, {buffer->data, count});
  if (!produced)
    return damaged(fmt::format("entry '{}' does not decompress", entry.name));
  return buffer->bytes.piece(0, *produced);
}

Result<Bytes> ZipReader::read(const Entry &entry) const {
  if (auto problem = checkMethod(entry))
    return *problem;
  auto packed = packedContent(entry);
  if (!packed)
    return packed;
  Bytes content = *packed;
  if (entry.method == 8) {
    // Deflate cannot do better than 1032:1; a larger claim is a trap for the allocation below.
    if (entry.bytes / 1040 > entry.packedBytes)
      return damaged(fmt::format("entry '{}' claims an impossible size", entry.name));
    auto buffer = allocate(entry.bytes);
    if (!buffer)
      return buffer.problem();
    if (!inflateInto(packed->view, {buffer->data, entry.bytes}))
      return damaged(fmt::format("entry '{}' does not decompress", entry.name));
    content = buffer->bytes;
  } else if (entry.bytes != entry.packedBytes) {
    return damaged(fmt::format("entry '{}' has two sizes", entry.name));
  }
  if (checksum(0, content.view) != entry.crc)
    return damaged(fmt::format("the checksum of entry '{}' is wrong", entry.name));
  return content;
}

namespace {

/// Little-endian fields appended to a string.
struct Fields {
  std::string text;
  Fields &u16(uint64_t value) { return raw(value, 2); }
  Fields &u32(uint64_t value) { return raw(value, 4); }
  Fields &u64(uint64_t value) { return raw(value, 8); }
  Fields &raw(uint64_t value, size_t bytes) {
    text.append(reinterpret_cast<const char *>(&value), bytes);
    return *this;
  }
};

} // namespace

/// What an entry's two headers have in common: from the version needed to the length of the name.
static Fields commonFields(const std::string &name, uint32_t crc, uint64_t size, uint64_t offset) {
  bool ascii =
      std::all_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  uint64_t version = size >= full32 || offset >= full32 ? 45 : 20, size32 = std::min<uint64_t>(size, full32);
  constexpr uint64_t noDate = 1 << 5 | 1; // 1980-01-01, as NumPy writes: equal results make equal files
  Fields fields;
  fields.u16(version).u16(ascii ? 0 : utf8Names).u16(0).u16(0).u16(noDate).u32(crc).u32(size32).u32(size32);
  fields.u16(name.size());
  return fields;
}

MaybeProblem ZipWriter::add(const std::string &name, const std::vector<std::span<const std::byte>> &parts) {
  uint64_t size = 0;
  uint32_t crc = 0;
  for (auto part : parts) {
    size += part.size();
    crc = checksum(crc, part);
  }
  Fields common = commonFields(name, crc, size, offset), local, extra, entry;
  bool largeSize = size >= full32, largeOffset = offset >= full32;
  local.u32(localMagic).text += common.text;
  local.u16(largeSize ? 20 : 0).text += name;
  if (largeSize)
    local.u16(1).u16(16).u64(size).u64(size);
  if (largeSize || largeOffset)
    extra.u16(1).u16((largeSize ? 16 : 0) + (largeOffset ? 8 : 0));
  if (largeSize)
    extra.u64(size).u64(size);
  if (largeOffset)
    extra.u64(offset);
  entry.u32(entryMagic).u16(45).text += common.text;
  entry.u16(extra.text.size()).u16(0).u16(0).u16(0).u32(0).u32(largeOffset ? full32 : offset);
  directory += entry.text + name + extra.text;

  if (auto problem = output.write(local.text))
    return problem;
  for (auto part : parts)
    if (auto problem = output.write(part))
      return problem;
  offset += local.text.size() + size;
  ++count;
  return std::nullopt;
}

MaybeProblem ZipWriter::finish() {
  bool large = count >= 0xffff || offset >= full32 || directory.size() >= full32;
  Fields end;
  if (large) {
    end.u32(end64Magic).u64(end64Size - 12).u16(45).u16(45).u32(0).u32(0).u64(count).u64(count);
    end.u64(directory.size()).u64(offset);
    end.u32(locator64Magic).u32(0).u64(offset + directory.size()).u32(1);
  }
  uint64_t count16 = large ? 0xffff : count;
  end.u32(endMagic).u16(0).u16(0).u16(count16).u16(count16).u32(large ? full32 : directory.size());
  end.u32(large ? full32 : offset).u16(0);
  if (auto problem = output.write(directory))
    return problem;
  return output.write(end.text);
}

} // namespace tilewright::tools
