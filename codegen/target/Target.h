//===- Target.h - what a processor is: a table of facts ---------*- C++ -*-===//
//
// A target is data. Schedules read register counts and cache sizes from it, emitters the vector width and the
// special instructions, LLVM the processor and feature strings. Two targets with equal
// canonicalText() produce equal code, and compiled kernels are cached under that text.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_TARGET_TARGET_H
#define TILEWRIGHT_CODEGEN_TARGET_TARGET_H

#include "codegen/target/Error.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tilewright::codegen {

/// Facts about one x86-64 CPU, or one NVIDIA GPU. A plain value; copy it freely.
struct TargetInfo {
  std::string name; ///< "skylake-avx512", "sm_80"
  /// LLVM's instruction set baseline, "x86-64-v3" or "x86-64-v4". Never the processor's own name: that would
  /// allow instructions which the artifact's feature check at load does not cover. Of a GPU, its
  /// architecture: "sm_80".
  std::string cpu;
  std::string features;     ///< LLVM feature string on top of `cpu`: "+avx512vnni"
  std::string tuneCpu;      ///< whose scheduling model LLVM follows: "cascadelake"
  bool isGpu = false;       ///< lanes are then what one thread does at once
  bool hasShuffles = false; ///< of a GPU: threads of a warp exchange registers (sm_30)

  unsigned vectorBits =
      256; ///< width of the native vector: 256 or 512; 128, a thread's widest access, of a GPU
  unsigned vectorRegisters = 16; ///< architectural vector registers: 16 or 32; a thread's registers of a GPU
  unsigned fmaPorts = 2;         ///< fused multiply-adds of vectorBits issued per cycle
  uint64_t l1Bytes = 32 << 10;   ///< first-level data cache of one core
  uint64_t l2Bytes = 256 << 10;  ///< second-level cache of one core
  unsigned cacheLine = 64;       ///< bytes

  bool hasVnni = false;    ///< AVX512_VNNI: vpdpbusd on 128 to 512 bits (EVEX)
  bool hasAvxVnni = false; ///< AVX_VNNI: vpdpbusd on 128 and 256 bits (VEX)

  uint64_t requiredCpuFeatures = 0; ///< bits TW_CPU_* of tilewright/artifact.h

  /// A variant for tests: generated code compares every access with the bounds of its buffer
  /// (codegen/machine/BoundsChecks.h), and the runtime keeps red zones around the buffers.
  bool checksBounds = false;

  /// Elements of `elementBits` bits in a native vector.
  unsigned lanes(unsigned elementBits) const { return vectorBits / elementBits; }
  bool hasAvx512() const { return vectorBits == 512; }
};

/// In loop IR for targets with checksBounds: what takes a pointer and a number of bytes and returns the
/// pointer, which may reach these bytes only.
constexpr llvm::StringLiteral boundedFunction = "tilewright_bounded";

/// Finds the target that `spec` names: "cpu" for this machine, "cpu:NAME" with one of targetNames(), or
/// "cuda:NAME" with one of cudaNames() (Cuda.h). "+checked" behind a CPU's sets checksBounds.
/// Errors: TW3001 (no such target; says which is near, and lists all), TW3002 (this machine has no AVX2).
llvm::Expected<TargetInfo> resolveTarget(llvm::StringRef spec);

/// The names that may follow "cpu:".
std::vector<std::string> targetNames();

/// Picks the table row for a processor that LLVM calls `cpuName` with the features for which `hasFeature` is
/// true (LLVM names). A processor without a row gets the widest row that its features allow, and no row keeps
/// a feature that is missing, as under a hypervisor that masks it. Cache sizes are the row's. The
/// machine-independent half of "cpu".
llvm::Expected<TargetInfo> targetForProcessor(llvm::StringRef cpuName,
                                              llvm::function_ref<bool(llvm::StringRef)> hasFeature);

/// Whether this machine can run code for `target`.
bool hostCanRun(const TargetInfo &target);

/// The whole table as text, one `key=value` per line in a fixed order: for cache keys and dumps.
std::string canonicalText(const TargetInfo &target);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_TARGET_TARGET_H
