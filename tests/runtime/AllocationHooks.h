/// AllocationHooks.h - counts of what this executable allocates.
#ifndef TILEWRIGHT_TESTS_ALLOCATIONHOOKS_H
#define TILEWRIGHT_TESTS_ALLOCATIONHOOKS_H

#include <cstdint>

/// malloc, calloc, realloc, aligned allocations (operator new comes to malloc) and mmap, by any thread, since
/// the start. Not counted under sanitizers, which have their own.
uint64_t allocationCount();

#endif
