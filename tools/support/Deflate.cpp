#include "Deflate.h"

#include <algorithm>
#include <zlib.h>

namespace tilewright::tools {

const bool canInflate = true;

/// zlib counts in 32 bits: both sides are fed in pieces.
bool inflateInto(std::span<const std::byte> packed, std::span<std::byte> target) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return false;
  int state = Z_OK;
  size_t consumed = 0, produced = 0;
  std::byte overflow; // room for one byte too many, so that a longer stream is noticed
  while (state == Z_OK) {
    auto input = std::min<size_t>(packed.size() - consumed, 1u << 30);
    auto room = std::min<size_t>(target.size() - produced, 1u << 30);
    stream.next_in = reinterpret_cast<Bytef *>(const_cast<std::byte *>(packed.data() + consumed));
    stream.avail_in = static_cast<uInt>(input);
    stream.next_out = reinterpret_cast<Bytef *>(room ? target.data() + produced : &overflow);
    stream.avail_out = static_cast<uInt>(room ? room : 1);
    state = inflate(&stream, Z_NO_FLUSH);
    consumed += input - stream.avail_in;
    size_t written = (room ? room : 1) - stream.avail_out;
    if (!room && written)
      break;
    produced += written;
  }
  inflateEnd(&stream);
  return state == Z_STREAM_END && produced == target.size();
}

std::optional<size_t> inflateStart(std::span<const std::byte> packed, std::span<std::byte> target) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return std::nullopt;
  // Nothing grows when it is compressed by more than a few bytes in 16 KB.
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<std::byte *>(packed.data()));
  stream.avail_in = static_cast<uInt>(std::min<size_t>(packed.size(), 2 * target.size() + 1024));
  stream.next_out = reinterpret_cast<Bytef *>(target.data());
  stream.avail_out = static_cast<uInt>(target.size());
  const int state = inflate(&stream, Z_SYNC_FLUSH);
  inflateEnd(&stream);
  const bool sound = state == Z_OK || state == Z_STREAM_END || state == Z_BUF_ERROR;
  return sound ? std::optional(target.size() - stream.avail_out) : std::nullopt;
}

uint32_t checksum(uint32_t sum, std::span<const std::byte> bytes) {
  if (bytes.empty()) // zlib takes a null pointer for a wish to start anew
    return sum;
  return static_cast<uint32_t>(crc32_z(sum, reinterpret_cast<const Bytef *>(bytes.data()), bytes.size()));
}

} // namespace tilewright::tools
