#include "Team.h"

#include "Cpu.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tilewright::runtime {

namespace {

/// Between runs, 25 to 40 microseconds: longer than a wake-up through the kernel costs on metal, shorter than
/// anyone notices on an idle machine.
constexpr uint64_t idleTicks = 80000;
/// Within a run, 0.6 to 1 millisecond. On a virtual machine threads lag behind each other by tens of
/// microseconds, and a wake-up costs as much again and delays the phases after: who sleeps early turns one
/// delay into many.
constexpr uint64_t patientTicks = 2000000;
/// With more threads than processors the one waited for may be the one kept from running.
constexpr uint64_t hastyTicks = 2000;

/// Threads of all teams of this process that are inside a run.
std::atomic<int32_t> busyThreads{0};

/// How many forks lie between this process and the one that loaded the library.
std::atomic<uint32_t> forks{0};

/// False when no memory is left to register the handler.
bool watchForks() {
  static std::atomic<bool> watched{false};
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  if (watched.load(std::memory_order_acquire))
    return true;
  pthread_mutex_lock(&mutex);
  if (!watched.load(std::memory_order_relaxed))
    watched.store(pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); }) ==
                      0,
                  std::memory_order_release);
  pthread_mutex_unlock(&mutex);
  return watched.load(std::memory_order_acquire);
}

/// All signals but those that a thread brings upon itself: blocked, they would end the process without a
/// word, whatever handler it has.
sigset_t signalsOfTheProcess() {
  sigset_t set;
  sigfillset(&set);
  for (int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
    sigdelset(&set, own);
  return set;
}

void sleepWhile(const std::atomic<uint32_t> &word, uint32_t value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void wakeAll(const std::atomic<uint32_t> &word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

} // namespace

void Whereabouts::note(int32_t thread) {
  __atomic_store_n(&slots[static_cast<size_t>(thread)].processorPlusOne, sched_getcpu() + 1,
                   __ATOMIC_RELAXED);
}

bool Whereabouts::sharesProcessor(int32_t thread) const {
  const int32_t own = sched_getcpu() + 1;
  for (size_t other = 0; other < slots.size(); ++other)
    if (other != static_cast<size_t>(thread) &&
        __atomic_load_n(&slots[other].processorPlusOne, __ATOMIC_RELAXED) == own)
      return own > 0;
  return false;
}

uint32_t Signal::spin(uint32_t old, const Patience &patience) const {
  const uint64_t begin = readTicks();
  uint64_t nextLook = hastyTicks;
  for (;;) {
    const uint32_t current = value.load(std::memory_order_acquire);
    const uint64_t elapsed = readTicks() - begin;
    if (current != old || elapsed >= patience.ticks)
      return current;
    // On a busy machine the kernel packs threads together: whoever spins then keeps from running the one it
    // waits for.
    if (elapsed >= nextLook) {
      if (patience.whereabouts.sharesProcessor(patience.thread))
        return current;
      nextLook += hastyTicks;
    }
    pauseSpin();
  }
}

uint32_t Signal::awaitChange(uint32_t old, const Patience &patience) {
  uint32_t current = spin(old, patience);
  while (current == old) {
    // Sequentially consistent on both sides: either the publisher sees this sleeper, or the kernel sees the
    // new value.
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    if (value.load(std::memory_order_seq_cst) == old)
      sleepWhile(value, old);
    sleepers.fetch_sub(1, std::memory_order_relaxed);
    current = value.load(std::memory_order_acquire);
  }
  return current;
}

void Signal::publish(uint32_t next) {
  value.store(next, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst))
    wakeAll(value);
}

tw_status Team::start(int32_t count, Body function, void *argument, tw_error *error) {
  body = function;
  context = argument;
  threads = count;
  processors = availableProcessors();
  home = forks.load(std::memory_order_relaxed);
  if (!watchForks() || !workers.allocate(static_cast<size_t>(count - 1)) || !whereabouts.prepare(count))
    return reportError(error, TW_IO, 4102, "not enough memory for a session of %d threads", count);
  // Signals of the process are for the threads that expect them.
  const sigset_t others = signalsOfTheProcess();
  sigset_t former;
  pthread_sigmask(SIG_BLOCK, &others, &former);
  int failure = 0;
  for (started = 0; started < workers.size() && !failure; started += !failure) {
    Worker &worker = workers[started];
    worker = {this, static_cast<int32_t>(started) + 1, {}};
    failure = pthread_create(&worker.handle, nullptr, workerMain, &worker);
  }
  pthread_sigmask(SIG_SETMASK, &former, nullptr);
  if (!failure)
    return TW_OK;
  stop();
  return reportError(error, TW_IO, 4101, "cannot start thread %zu of %d: %s; ask for fewer threads",
                     started + 2, count, strerror(failure));
}

bool Team::isLost() const { return threads > 1 && home != forks.load(std::memory_order_relaxed); }

void Team::stop() {
  if (isLost())
    started = 0; // nobody is there to wait for
  if (started) {
    stopping = true;
    startSignal.publish(startSignal.read() + 1);
  }
  for (size_t index = 0; index < started; ++index)
    pthread_join(workers[index].handle, nullptr);
  started = 0;
}

void Team::run() {
  const FloatMode mode;
  if (threads == 1) {
    busyThreads.fetch_add(1, std::memory_order_relaxed);
    body(context, 0);
    busyThreads.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  const int32_t busy = busyThreads.fetch_add(threads, std::memory_order_relaxed) + threads;
  spinTicks = busy > processors ? hastyTicks : patientTicks;
  running.store(static_cast<uint32_t>(threads - 1), std::memory_order_relaxed);
  const uint32_t done = doneSignal.read();
  whereabouts.note(0);
  startSignal.publish(startSignal.read() + 1);
  body(context, 0);
  doneSignal.awaitChange(done, {spinTicks, whereabouts, 0});
  busyThreads.fetch_sub(threads, std::memory_order_relaxed);
}

void *Team::workerMain(void *argument) {
  auto *worker = static_cast<Worker *>(argument);
  worker->team->work(worker->index);
  return nullptr;
}

void Team::work(int32_t index) {
  char name[16];
  snprintf(name, sizeof name, "tilewright-%d", index % 1000);
  pthread_setname_np(pthread_self(), name);
  const FloatMode mode;
  uint64_t ticks = 0;
  for (uint32_t seen = 0;;) {
    seen = startSignal.awaitChange(seen, {ticks, whereabouts, index});
    if (stopping)
      return;
    whereabouts.note(index);
    // Read now: once this thread has left, the caller may set up the next run.
    ticks = std::min(spinTicks, idleTicks);
    body(context, index);
    if (running.fetch_sub(1, std::memory_order_acq_rel) == 1)
      doneSignal.publish(doneSignal.read() + 1);
  }
}

} // namespace tilewright::runtime
