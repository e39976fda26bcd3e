//===- Target.h - what a processor is: a table of facts ---------*- C++ -*-===//
//
// A target is data. Schedules read register counts and cache sizes from it, emitters the vector width and the
// special instructions, LLVM the processor and feature strings. Two targets with equal
// canonicalText() produce equal code, and compiled kernels are cached under that text.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_TARGET_TARGET_H
#define TILEWRIGHT_CODEGEN_TARGET_TARGET_H

#include "codegen/target/Error.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace tilewright::codegen {

/// An instruction that sums products of neighbouring narrow integers in lanes of 32 bits.
struct IntegerProduct {
  unsigned group;               ///< neighbours that are summed: 4 of 8 bits, or 2 of 16 bits
  bool leftSigned, rightSigned; ///< how it reads its operands
  bool accumulates;             ///< takes the sum as its first operand, and adds to it
  const char *intrinsic;        ///< what LLVM calls it, of native vectors
};

/// How the rest of a loop over lanes is computed, where its length is no multiple of them.
enum class Tail {
  Masked,    ///< all lanes once more, those behind the end masked
  LaneByLane ///< one lane at a time: masks would be branches
};

struct Architecture;

/// Facts about one CPU, or one NVIDIA GPU. A plain value; copy it freely.
struct TargetInfo {
  std::string name;                           ///< "skylake-avx512", "sm_80"
  const Architecture *architecture = nullptr; ///< of a CPU
  /// LLVM's instruction set baseline, such as "x86-64-v3". Never the processor's own name: that would
  /// allow instructions which the artifact's feature check at load does not cover. Of a GPU, its
  /// architecture: "sm_80".
  std::string cpu;
  std::string features;     ///< LLVM feature string on top of `cpu`: "+avx512vnni"
  std::string tuneCpu;      ///< whose scheduling model LLVM follows: "cascadelake"
  bool isGpu = false;       ///< lanes are then what one thread does at once
  bool hasShuffles = false; ///< of a GPU: threads of a warp exchange registers (sm_30)

  unsigned vectorBits = 128;     ///< width of the native vector; of a GPU, a thread's widest access
  unsigned vectorRegisters = 16; ///< architectural vector registers; a thread's registers of a GPU
  /// Rows of a product's register tile that is 1, 2, 3 or 4 vectors wide. They leave room for the vectors of
  /// a panel, one broadcast and the register that LLVM needs to spare.
  std::array<unsigned, 4> tileRows = {12, 6, 4, 2};
  unsigned fmaPorts = 2;        ///< fused multiply-adds of vectorBits issued per cycle
  uint64_t l1Bytes = 32 << 10;  ///< first-level data cache of one core
  uint64_t l2Bytes = 256 << 10; ///< second-level cache of one core
  unsigned cacheLine = 64;      ///< bytes

  Tail tail = Tail::Masked;
  /// Of these, a product takes the first that reads its right operand as it is.
  llvm::SmallVector<IntegerProduct, 2> integerProducts;
  /// The instruction that picks, for each lane of 16, one of 16 floats by an index in another vector, as LLVM
  /// calls it; null: there is none.
  const char *lookup16 = nullptr;
  /// Instructions for native vectors of f32 that scale by powers of two and take floats apart, with every
  /// special case (codegen/emit/X86.cpp).
  bool hasFloatSteps = false;
  /// Elements of one or two bytes are gathered faster as words that hold them than one by one.
  bool gathersWords = false;
  /// Products of subnormal numbers trap to microcode, and a mode of the processor flushes them.
  bool flushesSubnormals = false;

  uint64_t requiredCpuFeatures = 0; ///< tw_descriptor::cpu_features of tilewright/artifact.h

  /// A variant for tests: generated code compares every access with the bounds of its buffer
  /// (codegen/machine/BoundsChecks.h), and the runtime keeps red zones around the buffers.
  bool checksBounds = false;

  /// Elements of `elementBits` bits in a native vector.
  unsigned lanes(unsigned elementBits) const { return vectorBits / elementBits; }
};

/// In loop IR for targets with checksBounds: what takes a pointer and a number of bytes and returns the
/// pointer, which may reach these bytes only.
constexpr llvm::StringLiteral boundedFunction = "tilewright_bounded";

/// Finds the target that `spec` names: "cpu" for this machine, "cpu:NAME" for a row of this machine's
/// architecture, "ARCHITECTURE-linux-gnu" or "ARCHITECTURE-linux-gnu:NAME" for one of any (Architecture.h),
/// or "cuda:NAME" with one of cudaNames() (Cuda.h). "+checked" behind a CPU's sets checksBounds. Errors:
/// TW3001 (no such target; says which is near, and lists all), TW3002 (this machine's processor lacks what
/// code needs at least).
llvm::Expected<TargetInfo> resolveTarget(llvm::StringRef spec);

/// The names that may follow "cpu:".
std::vector<std::string> targetNames();

/// Whether this machine can run code for `target`.
bool hostCanRun(const TargetInfo &target);

/// The whole table as text, one `key=value` per line in a fixed order: for cache keys and dumps.
std::string canonicalText(const TargetInfo &target);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_TARGET_TARGET_H
