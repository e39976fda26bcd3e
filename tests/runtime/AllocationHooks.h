/// AllocationHooks.h - counts of what this executable allocates.
#ifndef TILEWRIGHT_TESTS_ALLOCATIONHOOKS_H
#define TILEWRIGHT_TESTS_ALLOCATIONHOOKS_H

#include <cstdint>

/// malloc, calloc, realloc, aligned allocations (operator new comes to malloc) and mmap, by any thread, since
/// the start. Not counted under sanitizers, which have their own.
uint64_t allocationCount();

/// The `number`-th allocation from now fails, as for want of memory; 0: none does. Its count goes on.
void failAllocation(uint64_t number);

#endif
