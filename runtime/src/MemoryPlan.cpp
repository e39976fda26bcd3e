#include "MemoryPlan.h"

#include "Region.h"

#include <algorithm>
#include <cstring>

namespace tilewright::runtime {

namespace {
/// Above this many buffers greedy by size would take longer than a launch.
constexpr size_t largestGreedy = 1024;
/// Buffers start on cache lines.
constexpr uint64_t lineBytes = 64;
} // namespace

bool MemoryPlanner::prepare(const Interval *intervals, size_t intervalCount) {
  count = intervalCount;
  if (!byBirth.allocate(count) || !byDeath.allocate(count) || !bySize.allocate(count) ||
      !placed.allocate(count) || !candidate.allocate(count) || !freeBlocks.allocate(2 * count + 1))
    return false;
  for (size_t index = 0; index < count; ++index)
    byBirth[index] = byDeath[index] = static_cast<uint32_t>(index);
  std::sort(byBirth.begin(), byBirth.end(), [&](uint32_t a, uint32_t b) {
    return intervals[a].birth != intervals[b].birth ? intervals[a].birth < intervals[b].birth : a < b;
  });
  std::sort(byDeath.begin(), byDeath.end(), [&](uint32_t a, uint32_t b) {
    return intervals[a].death != intervals[b].death ? intervals[a].death < intervals[b].death : a < b;
  });
  return true;
}

bool MemoryPlanner::plan(const Interval *intervals, uint64_t *offsets, uint64_t &peak) {
  for (size_t index = 0; index < count; ++index)
    if (intervals[index].bytes > largestMemory)
      return false;
  uint64_t lowerBound = 0;
  const bool fits = planByBirth(intervals, offsets, peak, lowerBound);
  if (fits && (peak == lowerBound || count > largestGreedy))
    return true;
  uint64_t greedyPeak = 0;
  if (count <= largestGreedy && planBySize(intervals, candidate.data(), greedyPeak) &&
      (!fits || greedyPeak < peak)) {
    memcpy(offsets, candidate.data(), count * sizeof *offsets);
    peak = greedyPeak;
    return true;
  }
  return fits;
}

bool MemoryPlanner::planByBirth(const Interval *intervals, uint64_t *offsets, uint64_t &peak,
                                uint64_t &lowerBound) {
  uint64_t top = 0, live = 0;
  size_t died = 0;
  freeCount = 0;
  lowerBound = 0;
  for (uint32_t index : byBirth) {
    const Interval &interval = intervals[index];
    // Whoever died before this birth was also born before it, so it has an offset by now.
    for (; intervals[byDeath[died]].death < interval.birth; ++died) {
      const uint32_t dead = byDeath[died];
      const uint64_t bytes = alignUp(intervals[dead].bytes, lineBytes);
      live -= bytes;
      if (bytes)
        insertFree({offsets[dead], bytes});
    }
    const uint64_t bytes = alignUp(interval.bytes, lineBytes);
    offsets[index] = bytes ? takeBestFit(bytes, interval.align, top) : 0;
    if (top > largestMemory)
      return false;
    live += bytes;
    lowerBound = std::max(lowerBound, live);
  }
  peak = top;
  return true;
}

uint64_t MemoryPlanner::takeBestFit(uint64_t bytes, uint64_t align, uint64_t &top) {
  size_t best = freeCount;
  for (size_t index = 0; index < freeCount; ++index) {
    const Block &block = freeBlocks[index];
    const uint64_t end = alignUp(block.offset, align) + bytes;
    if (end <= block.offset + block.bytes && (best == freeCount || block.bytes < freeBlocks[best].bytes))
      best = index;
  }
  if (best == freeCount) {
    // Nothing fits: extend the arena, starting in the free block that touches its top, if there is one.
    const bool touches =
        freeCount && freeBlocks[freeCount - 1].offset + freeBlocks[freeCount - 1].bytes == top;
    const uint64_t start = touches ? freeBlocks[freeCount - 1].offset : top;
    if (touches)
      --freeCount;
    const uint64_t offset = alignUp(start, align);
    if (offset > start)
      insertFree({start, offset - start});
    top = offset + bytes;
    return offset;
  }
  const Block block = freeBlocks[best];
  const uint64_t offset = alignUp(block.offset, align), end = block.offset + block.bytes;
  removeFree(best);
  if (offset > block.offset)
    insertFree({block.offset, offset - block.offset});
  if (end > offset + bytes)
    insertFree({offset + bytes, end - offset - bytes});
  return offset;
}

void MemoryPlanner::insertFree(Block block) {
  Block *position = std::lower_bound(freeBlocks.begin(), freeBlocks.begin() + freeCount, block.offset,
                                     [](const Block &a, uint64_t offset) { return a.offset < offset; });
  size_t index = static_cast<size_t>(position - freeBlocks.begin());
  if (index > 0 && freeBlocks[index - 1].offset + freeBlocks[index - 1].bytes == block.offset) {
    block = {freeBlocks[index - 1].offset, freeBlocks[index - 1].bytes + block.bytes};
    removeFree(--index);
  }
  if (index < freeCount && block.offset + block.bytes == freeBlocks[index].offset) {
    block.bytes += freeBlocks[index].bytes;
    removeFree(index);
  }
  memmove(&freeBlocks[index + 1], &freeBlocks[index], (freeCount - index) * sizeof(Block));
  freeBlocks[index] = block;
  ++freeCount;
}

void MemoryPlanner::removeFree(size_t index) {
  memmove(&freeBlocks[index], &freeBlocks[index + 1], (freeCount - index - 1) * sizeof(Block));
  --freeCount;
}

uint64_t MemoryPlanner::findSmallestGap(const Interval *intervals, const uint64_t *offsets,
                                        size_t placedCount, const Interval &interval) const {
  const uint64_t bytes = alignUp(interval.bytes, lineBytes);
  uint64_t cursor = 0, best = UINT64_MAX, bestGap = UINT64_MAX;
  for (size_t step = 0; step < placedCount; ++step) {
    const Interval &other = intervals[placed[step]];
    if (other.death < interval.birth || interval.death < other.birth)
      continue;
    const uint64_t start = offsets[placed[step]], offset = alignUp(cursor, interval.align);
    if (offset + bytes <= start && start - cursor < bestGap) {
      best = offset;
      bestGap = start - cursor;
    }
    cursor = std::max(cursor, start + alignUp(other.bytes, lineBytes));
  }
  return best != UINT64_MAX ? best : alignUp(cursor, interval.align);
}

bool MemoryPlanner::planBySize(const Interval *intervals, uint64_t *offsets, uint64_t &peak) {
  memcpy(bySize.data(), byBirth.data(), count * sizeof(uint32_t));
  std::sort(bySize.begin(), bySize.end(), [&](uint32_t a, uint32_t b) {
    return intervals[a].bytes != intervals[b].bytes ? intervals[a].bytes > intervals[b].bytes : a < b;
  });
  peak = 0;
  size_t placedCount = 0; // `placed` is sorted by offset.
  for (uint32_t index : bySize) {
    const Interval &interval = intervals[index];
    offsets[index] = 0;
    if (!interval.bytes)
      continue;
    offsets[index] = findSmallestGap(intervals, offsets, placedCount, interval);
    peak = std::max(peak, offsets[index] + alignUp(interval.bytes, lineBytes));
    if (peak > largestMemory)
      return false;
    size_t position = placedCount++;
    for (; position > 0 && offsets[placed[position - 1]] > offsets[index]; --position)
      placed[position] = placed[position - 1];
    placed[position] = index;
  }
  return true;
}

} // namespace tilewright::runtime
