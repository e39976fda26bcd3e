/// Cpu.h - the few facts and instructions of the processor the runtime needs.
#ifndef TILEWRIGHT_RUNTIME_CPU_H
#define TILEWRIGHT_RUNTIME_CPU_H

#include "Error.h"

#include <cstdint>
#include <ctime>
#include <elf.h>
#if defined(__x86_64__)
#include <immintrin.h>
#include <x86intrin.h>
#endif

namespace tilewright::runtime {

/// What the ELF header of an artifact for this architecture says, and a target that all processors of it run.
#if defined(__x86_64__)
constexpr uint16_t ownMachine = EM_X86_64;
constexpr const char *baselineTarget = "cpu:haswell for any since 2013";
#elif defined(__aarch64__)
constexpr uint16_t ownMachine = EM_AARCH64;
constexpr const char *baselineTarget = "aarch64-linux-gnu for any";
#else
constexpr uint16_t ownMachine = EM_NONE;
constexpr const char *baselineTarget = "one for any";
#endif

/// TW_CPU_* bits of what both the processor and the operating system (saved register state) offer.
uint64_t detectCpuFeatures();

/// The names of the features in `features`, such as "AVX512-VNNI, AMX-BF16"; unknown bits are named by
/// number.
void describeCpuFeatures(uint64_t features, Text &text);

/// Ask the operating system for what must be asked for: the tile registers of AMX. False when it refuses.
bool requestCpuFeatures(uint64_t features);

/// Processors the calling thread may run on, at least 1.
int availableProcessors();

/// Tell the processor that this is a spin loop.
inline void pauseSpin() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

/// A cheap clock for bounding spins: 2 to 4 ticks per nanosecond on today's x86, 1 elsewhere.
inline uint64_t readTicks() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
#endif
}

inline uint64_t readNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

/// While it lives, the calling thread computes as generated code expects, which is as IEEE 754 says:
/// subnormal numbers are numbers, round to nearest, no traps. The former mode, sticky flags included, comes
/// back at the end.
class FloatMode {
public:
#if defined(__x86_64__)
  FloatMode() : former(_mm_getcsr()) { _mm_setcsr(masked); }
  ~FloatMode() { _mm_setcsr(former); }

private:
  static constexpr unsigned masked = 0x1f80;
  unsigned former;
#elif defined(__aarch64__)
  FloatMode() {
    asm volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(control), "=r"(status));
    asm volatile("msr fpcr, %0" : : "r"(uint64_t(0)));
  }
  ~FloatMode() { asm volatile("msr fpcr, %0\n\tmsr fpsr, %1" : : "r"(control), "r"(status)); }

private:
  uint64_t control, status;
#else
  FloatMode() {}
  ~FloatMode() {}
#endif
public:
  FloatMode(const FloatMode &) = delete;
  FloatMode &operator=(const FloatMode &) = delete;
};

} // namespace tilewright::runtime
#endif
