#include "RedZones.h"

#include <algorithm>

namespace tilewright::runtime {

namespace {
constexpr uint8_t pattern = 0xa7;
} // namespace

void RedZones::add(const Zone &zone) {
  if (count == zones.size())
    return;
  zones[count++] = zone;
  memset(zone.begin, pattern, zone.bytes);
}

void RedZones::forget(uint32_t buffer) {
  Zone *end = zones.begin() + count;
  end = std::remove_if(zones.begin(), end, [&](const Zone &zone) { return zone.buffer == buffer; });
  count = static_cast<size_t>(end - zones.begin());
}

bool RedZones::findDamage(int64_t &offset, int64_t &buffer) const {
  for (size_t index = 0; index < count; ++index) {
    const Zone &zone = zones[index];
    const uint8_t *end = zone.begin + zone.bytes;
    const uint8_t *changed = std::find_if(static_cast<const uint8_t *>(zone.begin), end,
                                          [](uint8_t byte) { return byte != pattern; });
    if (changed == end)
      continue;
    offset = zone.before ? changed - end : changed - zone.begin;
    buffer = zone.buffer;
    return true;
  }
  return false;
}

} // namespace tilewright::runtime
