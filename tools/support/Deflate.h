/// Deflate.h - compressed bytes of zip files, and their checksum. Two versions: Deflate.cpp by zlib, and
/// Stored.cpp, for programs that are built where there is no zlib, which reads what is stored as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tilewright::tools {

/// Whether the functions that inflate can do it.
extern const bool canInflate;

/// True when `packed` inflates to exactly the bytes of `target`.
bool inflateInto(std::span<const std::byte> packed, std::span<std::byte> target);

/// How many bytes of `target` the start of `packed` fills; nothing when it is damaged.
std::optional<size_t> inflateStart(std::span<const std::byte> packed, std::span<std::byte> target);

/// CRC-32 of what `sum` is of, continued.
uint32_t checksum(uint32_t sum, std::span<const std::byte> bytes);

} // namespace tilewright::tools
