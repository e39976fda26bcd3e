#include "AllocationHooks.h"
#include "Support.h"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace {
std::atomic<uint64_t> allocations{0};
std::atomic<uint64_t> failing{0};

/// Count one; whether it is to fail.
bool refuse() {
  if (++allocations != failing)
    return false;
  errno = ENOMEM;
  return true;
}
} // namespace

uint64_t allocationCount() { return allocations.load(); }

void failAllocation(uint64_t number) { failing = number ? allocations + number : 0; }

#if !UNDER_SANITIZER
extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

void *malloc(size_t bytes) {
  if (refuse())
    return nullptr;
  return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
  if (refuse())
    return nullptr;
  return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes) {
  if (refuse())
    return nullptr;
  return __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
  if (refuse())
    return nullptr;
  return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **result, size_t alignment, size_t bytes) {
  if (refuse())
    return ENOMEM;
  *result = __libc_memalign(alignment, bytes);
  return *result ? 0 : ENOMEM;
}

void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
  if (refuse())
    return MAP_FAILED;
  return reinterpret_cast<void *>(syscall(SYS_mmap, address, bytes, protection, flags, file, offset));
}
}
#endif
