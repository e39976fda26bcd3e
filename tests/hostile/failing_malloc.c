/* Preloaded, this lets the FAIL_ALLOCATION-th allocation of a process fail, and all after it when FAIL_ALL is
 * set. The count starts with the process: a child of fork() goes on with its parent's. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);

static unsigned long count, failing;
static int all, ready;

static int refuse(void) {
  if (!__atomic_load_n(&ready, __ATOMIC_RELAXED)) {
    const char *number = getenv("FAIL_ALLOCATION");
    failing = number ? strtoul(number, NULL, 10) : 0;
    all = getenv("FAIL_ALL") != NULL;
    __atomic_store_n(&ready, 1, __ATOMIC_RELAXED);
  }
  unsigned long mine = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
  if (!failing || (all ? mine < failing : mine != failing))
    return 0;
  errno = ENOMEM;
  return 1;
}

void *malloc(size_t bytes) { return refuse() ? NULL : __libc_malloc(bytes); }
void *calloc(size_t many, size_t bytes) { return refuse() ? NULL : __libc_calloc(many, bytes); }
void *realloc(void *old, size_t bytes) { return refuse() ? NULL : __libc_realloc(old, bytes); }
void *memalign(size_t alignment, size_t bytes) { return refuse() ? NULL : __libc_memalign(alignment, bytes); }
void *aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void **result, size_t alignment, size_t bytes) {
  void *memory = memalign(alignment, bytes);
  if (!memory)
    return ENOMEM;
  *result = memory;
  return 0;
}
