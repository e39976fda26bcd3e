#include "Cpu.h"

#include "tilewright/artifact.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace tilewright::runtime {

namespace {

struct FeatureName {
  uint64_t feature;
  const char *name;
};

constexpr FeatureName featureNames[] = {
#if defined(__aarch64__)
    {TW_AARCH64_DOTPROD, "dot product (SDOT, UDOT)"},
#else
    {TW_X86_AVX2, "AVX2 (with FMA, F16C, BMI2)"},
    {TW_X86_AVX512, "AVX-512 (F, BW, CD, DQ, VL)"},
    {TW_X86_AVX512_VNNI, "AVX512-VNNI"},
    {TW_X86_AVX512_BF16, "AVX512-BF16"},
    {TW_X86_AVX512_FP16, "AVX512-FP16"},
    {TW_X86_AVX_VNNI, "AVX-VNNI"},
    {TW_X86_AMX_INT8, "AMX-INT8"},
    {TW_X86_AMX_BF16, "AMX-BF16"},
#endif
};

#if defined(__x86_64__)
struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// All zero for leaves this processor does not have.
Registers queryCpu(unsigned leaf, unsigned subleaf) {
  Registers registers;
  __get_cpuid_count(leaf, subleaf, &registers.eax, &registers.ebx, &registers.ecx, &registers.edx);
  return registers;
}

bool has(unsigned word, unsigned mask) { return (word & mask) == mask; }

/// Which register files the operating system saves on a context switch (XCR0); 0 without XSAVE.
uint64_t savedState(const Registers &basic) {
  constexpr unsigned osxsave = 1u << 27;
  if (!has(basic.ecx, osxsave))
    return 0;
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

uint64_t detectX86() {
  const Registers basic = queryCpu(1, 0), extended = queryCpu(7, 0), extended1 = queryCpu(7, 1);
  const Registers amd = queryCpu(0x80000001, 0);
  const uint64_t state = savedState(basic);
  constexpr uint64_t vectorState = 0x6, maskState = 0xe0, tileState = 0x60000;
  constexpr unsigned fmaAvxF16cMovbe = 1u << 12 | 1u << 28 | 1u << 29 | 1u << 22;
  constexpr unsigned avx2Bmi = 1u << 5 | 1u << 3 | 1u << 8, lzcnt = 1u << 5;
  constexpr unsigned avx512 = 1u << 16 | 1u << 30 | 1u << 28 | 1u << 17 | 1u << 31;

  uint64_t features = 0;
  auto offer = [&](bool offered, uint64_t feature) { features |= offered ? feature : 0; };
  if ((state & vectorState) != vectorState)
    return 0;
  offer(has(basic.ecx, fmaAvxF16cMovbe) && has(extended.ebx, avx2Bmi) && has(amd.ecx, lzcnt), TW_X86_AVX2);
  offer(has(extended1.eax, 1u << 4), TW_X86_AVX_VNNI);
  if ((state & maskState) == maskState && has(extended.ebx, avx512)) {
    features |= TW_X86_AVX512;
    offer(has(extended.ecx, 1u << 11), TW_X86_AVX512_VNNI);
    offer(has(extended1.eax, 1u << 5), TW_X86_AVX512_BF16);
    offer(has(extended.edx, 1u << 23), TW_X86_AVX512_FP16);
  }
  constexpr unsigned amxTile = 1u << 24;
  if ((state & tileState) == tileState && has(extended.edx, amxTile)) {
    offer(has(extended.edx, 1u << 25), TW_X86_AMX_INT8);
    offer(has(extended.edx, 1u << 22), TW_X86_AMX_BF16);
  }
  return features;
}
#endif

} // namespace

uint64_t detectCpuFeatures() {
#if defined(__x86_64__)
  return detectX86();
#elif defined(__aarch64__)
  constexpr unsigned long dotProduct = 1ul << 20; // HWCAP_ASIMDDP
  return TW_CPU_AARCH64 | (getauxval(AT_HWCAP) & dotProduct ? uint64_t(TW_AARCH64_DOTPROD) : 0);
#else
  return 0;
#endif
}

void describeCpuFeatures(uint64_t features, Text &text) {
  const char *separator = "";
  for (const FeatureName &known : featureNames) {
    if (features & known.feature) {
      text.append("%s%s", separator, known.name);
      separator = ", ";
    }
    features &= ~known.feature;
  }
  for (int bit = 0; bit < 64; ++bit)
    if (features >> bit & 1) {
      text.append("%sfeature %d (unknown to this runtime)", separator, bit);
      separator = ", ";
    }
}

bool requestCpuFeatures(uint64_t features) {
#if defined(__x86_64__)
  constexpr int requestPermission = 0x1023, tileData = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  if (features & (TW_X86_AMX_INT8 | TW_X86_AMX_BF16))
    return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
#endif
  return true;
}

int availableProcessors() {
  // Machines with more than 1024 processors need a larger set; the kernel says so with EINVAL.
  for (int capacity = 1024; capacity <= 1 << 16; capacity *= 4) {
    cpu_set_t *set = CPU_ALLOC(capacity);
    if (!set)
      break;
    const size_t bytes = CPU_ALLOC_SIZE(capacity);
    const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0)
      return count;
  }
  return 1;
}

} // namespace tilewright::runtime
