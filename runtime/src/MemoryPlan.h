/// MemoryPlan.h - where in the arena each buffer lies.
///
/// The problem is dynamic storage allocation: intervals in time, sizes known, offsets wanted so that buffers
/// alive together do not overlap and the highest end is small (NP-hard). Two heuristics run: best fit over a
/// free list in order of birth, always; and greedy by size (Pisarchyk and Lee, "Efficient Memory Management
/// for Deep Neural Net Inference", 2020) when the first missed the lower bound and the buffers are few enough
/// for its quadratic time. The better result is kept.
#ifndef TILEWRIGHT_RUNTIME_MEMORYPLAN_H
#define TILEWRIGHT_RUNTIME_MEMORYPLAN_H

#include "Array.h"

#include <cstdint>

namespace tilewright::runtime {

/// A buffer alive from launch `birth` to launch `death`, both included.
struct Interval {
  uint64_t bytes;
  uint32_t birth;
  uint32_t death;
  uint32_t align; ///< a power of two of at least 64
};

/// Working memory for planning a fixed number of intervals with fixed lifetimes; reused for each set of
/// sizes.
class MemoryPlanner {
public:
  /// Lifetimes are read here, sizes at each plan(). False when memory cannot be had.
  [[nodiscard]] bool prepare(const Interval *intervals, size_t count);

  /// Assign `offsets` for intervals of the lifetimes given to prepare(). `peak` becomes the bytes needed, at
  /// most `largestMemory`; false when they would be more.
  [[nodiscard]] bool plan(const Interval *intervals, uint64_t *offsets, uint64_t &peak);

private:
  struct Block {
    uint64_t offset, bytes;
  };

  bool planByBirth(const Interval *intervals, uint64_t *offsets, uint64_t &peak, uint64_t &lowerBound);
  bool planBySize(const Interval *intervals, uint64_t *offsets, uint64_t &peak);
  uint64_t findSmallestGap(const Interval *intervals, const uint64_t *offsets, size_t placedCount,
                           const Interval &interval) const;
  uint64_t takeBestFit(uint64_t bytes, uint64_t align, uint64_t &top);
  void insertFree(Block block);
  void removeFree(size_t index);

  size_t count = 0;
  Array<uint32_t> byBirth, byDeath, bySize, placed;
  Array<uint64_t> candidate;
  Array<Block> freeBlocks; ///< sorted by offset, never adjacent
  size_t freeCount = 0;
};

} // namespace tilewright::runtime
#endif
