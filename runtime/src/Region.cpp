#include "Region.h"

#include "Array.h"

#include <sys/mman.h>

namespace tilewright::runtime {

namespace {
constexpr uint64_t pageBytes = 4096, hugePageBytes = uint64_t(2) << 20;
} // namespace

bool Region::reserve(uint64_t bytes) {
  if (base && bytes <= usable)
    return true;
  if (bytes > largestMemory)
    return false;
  const uint64_t generous = base ? usable + usable / 4 : 0;
  release(); // Before the new mapping: old and new never count together.
  return (generous > bytes && map(generous)) || map(bytes);
}

bool Region::extend(uint64_t bytes) {
  if (!base || bytes <= usable)
    return reserve(bytes);
  if (bytes > largestMemory)
    return false;
  const uint64_t wanted = alignUp(bytes + readableSlack, pageBytes);
  void *memory = mremap(base, mapped, wanted, MREMAP_MAYMOVE);
  if (memory == MAP_FAILED)
    return false;
  base = static_cast<uint8_t *>(memory);
  mapped = wanted;
  usable = wanted - readableSlack;
  return true;
}

bool Region::map(uint64_t bytes) {
  uint64_t wanted = alignUp(bytes + readableSlack, pageBytes);
  const bool huge = wanted >= hugePageBytes;
  const uint64_t surplus = huge ? hugePageBytes - pageBytes : 0;
  void *memory = mmap(nullptr, wanted + surplus, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return false;
  auto *start = static_cast<uint8_t *>(memory);
  if (huge) { // Keep only the part that starts on a huge page.
    const uint64_t address = reinterpret_cast<uintptr_t>(start);
    const uint64_t before = alignUp(address, hugePageBytes) - address;
    if (before)
      munmap(start, before);
    if (surplus > before)
      munmap(start + before + wanted, surplus - before);
    start += before;
    madvise(start, wanted, MADV_HUGEPAGE); // Advice: 4 KiB pages work as well.
  }
  base = start;
  mapped = wanted;
  usable = wanted - readableSlack;
  return true;
}

void Region::release() {
  if (base)
    munmap(base, mapped);
  base = nullptr;
  usable = mapped = 0;
}

} // namespace tilewright::runtime
