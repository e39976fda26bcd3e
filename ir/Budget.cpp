// Time by the steady clock, memory by the kernel's count of the process's anonymous pages.
#include "ir/Budget.h"
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <unistd.h>

namespace tilewright {
namespace {

constexpr uint64_t askedBetween = 32; ///< questions for each look at memory, which takes microseconds

/// Pages of the process that no file backs: mapped weights do not count. 0 where the kernel does not say.
uint64_t anonymousBytes() {
  FILE *file = std::fopen("/proc/self/statm", "re");
  if (!file)
    return 0;
  unsigned long long total = 0, resident = 0, shared = 0;
  int fields = std::fscanf(file, "%llu %llu %llu", &total, &resident, &shared);
  std::fclose(file);
  return fields == 3 && resident > shared ? (resident - shared) * uint64_t(sysconf(_SC_PAGESIZE)) : 0;
}

double processorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

std::string megabytes(uint64_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MB"; }

} // namespace

Budget::Budget(uint64_t bytes, double seconds)
    : mostBytes(bytes), mostSeconds(seconds), start(std::chrono::steady_clock::now()),
      processorAtStart(processorSeconds()), bytesAtStart(anonymousBytes()) {}

bool Budget::refuse(std::string sentence) {
  std::lock_guard<std::mutex> lock(mutex);
  if (!refused.exchange(true))
    why = std::move(sentence);
  return true;
}

std::string Budget::reason() const {
  std::lock_guard<std::mutex> lock(mutex);
  return why;
}

bool Budget::exhausted() {
  if (refused)
    return true;
  std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  if (std::min(taken.count(), processorSeconds() - processorAtStart) > mostSeconds) {
    char text[64];
    std::snprintf(text, sizeof text, "compiling takes more than %.3g seconds", mostSeconds);
    return refuse(text);
  }
  return asked++ % askedBetween == 0 && !admits(0);
}

bool Budget::admits(uint64_t bytes) {
  if (refused)
    return false;
  uint64_t now = anonymousBytes(), grown = now > bytesAtStart ? now - bytesAtStart : 0;
  if (bytes <= mostBytes && grown <= mostBytes - bytes)
    return true;
  refuse("compiling takes more than " + megabytes(mostBytes) + " of memory");
  return false;
}

} // namespace tilewright
