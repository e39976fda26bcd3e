/// Array.h - memory that may fail to come: the runtime has no exceptions and does not link a C++ standard
/// library.
#ifndef TILEWRIGHT_RUNTIME_ARRAY_H
#define TILEWRIGHT_RUNTIME_ARRAY_H

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace tilewright::runtime {

/// Null when memory cannot be had. `alignment` is a power of two.
inline void *allocateZeroed(size_t bytes, size_t alignment) {
  if (alignment <= alignof(std::max_align_t))
    return std::calloc(1, bytes);
  void *memory = nullptr;
  if (posix_memalign(&memory, alignment, bytes) != 0)
    return nullptr;
  return std::memset(memory, 0, bytes);
}

/// A zero-initialised array of plain values whose size is set once. Element access is unchecked.
template <typename T> class Array {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

public:
  Array() = default;
  Array(const Array &) = delete;
  Array &operator=(const Array &) = delete;
  ~Array() { std::free(values); }

  /// False when memory cannot be had; the array is then empty.
  [[nodiscard]] bool allocate(size_t wanted) {
    std::free(values);
    values = nullptr;
    size_t bytes;
    if (!__builtin_mul_overflow(wanted ? wanted : 1, sizeof(T), &bytes))
      values = static_cast<T *>(allocateZeroed(bytes, alignof(T)));
    count = values ? wanted : 0;
    return values != nullptr;
  }

  T &operator[](size_t index) { return values[index]; }
  const T &operator[](size_t index) const { return values[index]; }
  T *data() { return values; }
  const T *data() const { return values; }
  size_t size() const { return count; }
  T *begin() { return values; }
  T *end() { return values + count; }
  const T *begin() const { return values; }
  const T *end() const { return values + count; }

private:
  T *values = nullptr;
  size_t count = 0;
};

/// A new object on the heap, or null.
template <typename T, typename... Arguments> T *create(Arguments &&...arguments) {
  constexpr size_t alignment = alignof(T) < alignof(void *) ? alignof(void *) : alignof(T);
  void *memory = nullptr;
  if (posix_memalign(&memory, alignment, sizeof(T)) != 0)
    return nullptr;
  return new (memory) T(std::forward<Arguments>(arguments)...);
}

/// Undo create(); null is allowed.
template <typename T> void destroy(T *object) {
  if (!object)
    return;
  object->~T();
  std::free(object);
}

/// `value` rounded up to a multiple of `alignment`, a power of two.
constexpr uint64_t alignUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

} // namespace tilewright::runtime
#endif
