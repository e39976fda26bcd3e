/// RedZones.h - checked artifacts (TW_ARTIFACT_CHECKED): what may be reached, and bytes between buffers that
/// nobody may write.
///
/// Generated code of a checked artifact compares its accesses with `extents`. The zones catch what it cannot
/// see: faults of LLVM, of built-in functions, of the runtime itself.
#ifndef TILEWRIGHT_RUNTIME_REDZONES_H
#define TILEWRIGHT_RUNTIME_REDZONES_H

#include "Array.h"

namespace tilewright::runtime {

/// Before and behind each buffer of the arena, and behind each other.
constexpr uint64_t redZoneBytes = 256;

class RedZones {
public:
  [[nodiscard]] bool prepare(size_t most) { return zones.allocate(most); }
  void clear() { count = 0; }
  /// Fill the bytes on one side of a buffer and watch them. `buffer` is for the message.
  void addBefore(uint8_t *begin, uint64_t bytes, uint32_t buffer) { add({begin, bytes, buffer, true}); }
  void addBehind(uint8_t *begin, uint64_t bytes, uint32_t buffer) { add({begin, bytes, buffer, false}); }
  void forget(uint32_t buffer);
  /// Whether a byte of a zone has changed: which one, counted from the buffer's edge, and whose.
  bool findDamage(int64_t &offset, int64_t &buffer) const;

private:
  struct Zone {
    uint8_t *begin;
    uint64_t bytes;
    uint32_t buffer;
    bool before;
  };
  void add(const Zone &zone);
  Array<Zone> zones;
  size_t count = 0;
};

} // namespace tilewright::runtime
#endif
