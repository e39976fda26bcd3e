/// Region.h - page-aligned anonymous memory that only grows.
#ifndef TILEWRIGHT_RUNTIME_REGION_H
#define TILEWRIGHT_RUNTIME_REGION_H

#include <cstdint>

namespace tilewright::runtime {

/// Readable bytes past the end of every buffer the runtime owns, and past the weights: vector loads may run
/// over.
constexpr uint64_t readableSlack = 64;

/// Above this no request is even tried: x86-64 user space ends at 2^47.
constexpr uint64_t largestMemory = uint64_t(1) << 46;

/// Zero-filled memory. Regions of 2 MiB and more are aligned to huge pages and ask for them.
class Region {
public:
  Region() = default;
  Region(const Region &) = delete;
  Region &operator=(const Region &) = delete;
  ~Region() { release(); }

  /// Make at least `bytes` usable, plus readableSlack. Contents are lost when the region moves. A region that
  /// has to grow again grows by at least a quarter, so that a dimension which creeps up does not remap each
  /// time; the surplus is only address space until it is touched. False when memory cannot be had; the region
  /// is then empty.
  [[nodiscard]] bool reserve(uint64_t bytes);
  /// As reserve, but contents move with the region, and stay where memory cannot be had; it then has no huge
  /// pages' alignment. Pages are moved, not copied.
  [[nodiscard]] bool extend(uint64_t bytes);
  void release();

  uint8_t *data() const { return base; }
  /// Usable bytes, slack not counted.
  uint64_t capacity() const { return usable; }
  /// Bytes of address space held.
  uint64_t mappedBytes() const { return mapped; }

private:
  bool map(uint64_t bytes);

  uint8_t *base = nullptr;
  uint64_t usable = 0;
  uint64_t mapped = 0;
};

} // namespace tilewright::runtime
#endif
