#include "Deflate.h"

#include <array>

namespace tilewright::tools {

const bool canInflate = false;

bool inflateInto(std::span<const std::byte>, std::span<std::byte>) { return false; }

std::optional<size_t> inflateStart(std::span<const std::byte>, std::span<std::byte>) { return std::nullopt; }

/// What each value of a byte does to the sum: division by the reversed polynomial.
static constexpr std::array<uint32_t, 256> byteSums = [] {
  std::array<uint32_t, 256> sums{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit)
      sum = sum & 1 ? sum >> 1 ^ 0xedb88320u : sum >> 1;
    sums[byte] = sum;
  }
  return sums;
}();

uint32_t checksum(uint32_t sum, std::span<const std::byte> bytes) {
  sum = ~sum;
  for (std::byte byte : bytes)
    sum = byteSums[(sum ^ static_cast<uint32_t>(byte)) & 0xff] ^ sum >> 8;
  return ~sum;
}

} // namespace tilewright::tools
