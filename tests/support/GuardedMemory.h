/// GuardedMemory.h - bytes beside pages that nobody may touch: what leaves them ends the process.
#pragma once
#include <cstdint>
#include <cstring>
#include <sys/mman.h>

namespace tilewright::tests {

class GuardedMemory {
public:
  enum Where { AtPageEnd, AtPageStart };
  GuardedMemory(uint64_t bytes, Where where) {
    const uint64_t inside = (bytes + page - 1) / page * page;
    mapped = inside + 2 * page;
    void *memory = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      return;
    base = static_cast<uint8_t *>(memory);
    if (inside)
      mprotect(base + page, inside, PROT_READ | PROT_WRITE);
    start = base + page + (where == AtPageEnd ? inside - bytes : 0);
  }
  GuardedMemory(const GuardedMemory &) = delete;
  GuardedMemory(GuardedMemory &&other) : base(other.base), start(other.start), mapped(other.mapped) {
    other.base = nullptr;
  }
  ~GuardedMemory() {
    if (base)
      munmap(base, mapped);
  }
  uint8_t *data() const { return start; }

private:
  static constexpr uint64_t page = 4096;
  uint8_t *base = nullptr, *start = nullptr;
  uint64_t mapped = 0;
};

} // namespace tilewright::tests
