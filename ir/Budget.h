/// Budget.h - what one compilation may take: time, memory and work, so that a small model cannot eat the
/// machine.
///
/// Whoever does something whose cost the model decides asks at natural points: for each node that is
/// imported, each slice of rewrites, each constant that is computed, each kernel. Who is refused gives up
/// with an error of its own or none: the first reason is kept here, and the compiler reports that one.
/// Thread-safe.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace tilewright {

/// What to do about a budget that is used up.
inline constexpr char budgetHint[] = "raise --max-time or --max-memory, or make the model smaller";

class Budget {
public:
  /// `bytes` of memory beyond what the process has now, and `seconds` from now: of the clock, and of the
  /// processors as well, so that a busy machine refuses nothing.
  Budget(uint64_t bytes, double seconds);
  /// Whether anything is used up. Cheap enough for every node: the clock is read each time, memory now and
  /// then.
  bool exhausted();
  /// As exhausted(), and whether `bytes` more would be too many.
  bool admits(uint64_t bytes);
  /// What was used up first, as a sentence; empty while nothing is.
  std::string reason() const;
  /// Bytes in all, and seconds in all.
  uint64_t bytes() const { return mostBytes; }
  double seconds() const { return mostSeconds; }

private:
  bool refuse(std::string why);
  uint64_t mostBytes;
  double mostSeconds;
  std::chrono::steady_clock::time_point start;
  double processorAtStart;
  uint64_t bytesAtStart;
  std::atomic<uint64_t> asked = 0;
  std::atomic<bool> refused = false;
  mutable std::mutex mutex;
  std::string why;
};

} // namespace tilewright
