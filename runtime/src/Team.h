/// Team.h - the threads of a session: parked between runs, meeting at barriers during one.
#ifndef TILEWRIGHT_RUNTIME_TEAM_H
#define TILEWRIGHT_RUNTIME_TEAM_H

#include "Array.h"
#include "Error.h"

#include <atomic>
#include <pthread.h>

namespace tilewright::runtime {

/// Where each thread of a team was last seen running. Two that share a processor must not spin for each
/// other.
class Whereabouts {
public:
  [[nodiscard]] bool prepare(int32_t threads) { return slots.allocate(static_cast<size_t>(threads)); }
  void note(int32_t thread);
  /// Whether another thread was last seen on the processor that runs `thread` now.
  bool sharesProcessor(int32_t thread) const;

private:
  struct alignas(64) Slot {
    int32_t processorPlusOne; ///< 0: not seen yet
  };
  Array<Slot> slots;
};

/// How long a thread may spin before it sleeps.
struct Patience {
  uint64_t ticks;
  const Whereabouts &whereabouts;
  int32_t thread;
};

/// A number that one thread changes and others wait for: first spinning, then asleep on a futex.
class alignas(64) Signal {
public:
  uint32_t read() const { return value.load(std::memory_order_acquire); }
  /// Return the value once it is no longer `old`. What the publisher wrote before is visible then.
  uint32_t awaitChange(uint32_t old, const Patience &patience);
  void publish(uint32_t next);

private:
  uint32_t spin(uint32_t old, const Patience &patience) const;

  std::atomic<uint32_t> value{0};
  std::atomic<uint32_t> sleepers{0};
};

/// A fixed number of threads, the caller of run() being number 0. Created workers block all
/// signals but those that a thread causes itself.
class Team {
public:
  using Body = void (*)(void *context, int32_t thread);

  Team() = default;
  Team(const Team &) = delete;
  Team &operator=(const Team &) = delete;
  ~Team() { stop(); }

  /// Start `threads` - 1 workers. On failure those already started are stopped again.
  tw_status start(int32_t threads, Body body, void *context, tw_error *error);
  void stop();
  /// Whether this is a child of the process that has the workers: fork() takes along the caller alone.
  bool isLost() const;

  /// Call body(context, k) on every thread k at once; return when all have returned. Never allocates.
  void run();

  /// Called by every thread of the running team. The last to arrive asks `decide(context)`; all get its
  /// answer, so that either every thread goes on or none does. What any thread wrote before is visible to all
  /// after.
  template <typename Decide> bool meet(int32_t thread, Decide decide) {
    if (threads == 1)
      return decide();
    whereabouts.note(thread);
    // The epoch cannot move before this thread has arrived. Its lowest bit carries the answer.
    const uint32_t epoch = barrierEpoch.read();
    if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(threads)) {
      const bool answer = decide();
      arrived.store(0, std::memory_order_relaxed); // Nobody arrives again before the epoch is published.
      barrierEpoch.publish((epoch & ~1u) + 2 + (answer ? 1 : 0));
      return answer;
    }
    return barrierEpoch.awaitChange(epoch, {spinTicks, whereabouts, thread}) & 1;
  }

  int32_t size() const { return threads; }

private:
  struct Worker {
    Team *team;
    int32_t index;
    pthread_t handle;
  };

  static void *workerMain(void *worker);
  void work(int32_t index);

  Body body = nullptr;
  void *context = nullptr;
  int32_t threads = 1;
  int32_t processors = 1;
  uint32_t home = 0;      ///< the process that has the workers
  uint64_t spinTicks = 0; ///< for the run in progress
  bool stopping = false;
  Array<Worker> workers;
  Whereabouts whereabouts;
  size_t started = 0;

  Signal startSignal, doneSignal, barrierEpoch;
  alignas(64) std::atomic<uint32_t> arrived{0};
  alignas(64) std::atomic<uint32_t> running{0}; ///< workers still inside body
};

} // namespace tilewright::runtime
#endif
