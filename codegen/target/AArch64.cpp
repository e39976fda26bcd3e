//===- AArch64.cpp - the table of AArch64 CPUs ----------------------------===//
//
// NEON on 128 bits, which every one of them has; SVE is not used. As for x86, what LLVM may use beyond the
// baseline is an extension with a bit in tilewright/artifact.h.
//===----------------------------------------------------------------------===//
#include "codegen/target/Architecture.h"

#include "tilewright/artifact.h"

#include "llvm/ADT/STLExtras.h"

extern "C" {
void LLVMInitializeAArch64TargetInfo();
void LLVMInitializeAArch64Target();
void LLVMInitializeAArch64TargetMC();
void LLVMInitializeAArch64AsmPrinter();
void LLVMInitializeAArch64AsmParser();
}

using llvm::StringRef;

namespace tilewright::codegen {
namespace {

enum : unsigned { DotProduct = 1 };

struct Row {
  const char *name;
  unsigned fmaPorts;
  uint64_t l1Kilobytes, l2Kilobytes;
  unsigned extensions;
};

/// Cache sizes are those of common servers and boards. "cpu" replaces them by what this machine reports.
constexpr Row rows[] = {
    // name      fma  L1    L2   extensions
    {"generic", 2, 32, 512, 0},
    {"cortex-a53", 1, 32, 512, 0},
    {"cortex-a55", 1, 32, 256, DotProduct},
    {"cortex-a72", 2, 32, 1024, 0},
    {"cortex-a76", 2, 64, 512, DotProduct},
    {"cortex-a78", 2, 64, 512, DotProduct},
    {"cortex-x1", 4, 64, 1024, DotProduct},
    {"neoverse-n1", 2, 64, 1024, DotProduct},
    {"neoverse-n2", 2, 64, 1024, DotProduct},
    {"neoverse-v1", 4, 64, 1024, DotProduct},
    {"neoverse-v2", 4, 64, 2048, DotProduct},
    {"ampere1", 2, 64, 2048, DotProduct},
    {"apple-m1", 4, 128, 3072, DotProduct},
};

constexpr Extension extensions[] = {{DotProduct, "dotprod", TW_AARCH64_DOTPROD}};

constexpr IntegerProduct signedBytes = {4, true, true, true, "llvm.aarch64.neon.sdot.v4i32.v16i8"},
                         unsignedBytes = {4, false, false, true, "llvm.aarch64.neon.udot.v4i32.v16i8"};

const Row *findRow(StringRef name) {
  const Row *row = llvm::find_if(rows, [&](const Row &row) { return name == row.name; });
  return row == std::end(rows) ? nullptr : row;
}

TargetInfo makeTarget(const Row &row, unsigned has) {
  TargetInfo target;
  target.name = target.tuneCpu = row.name;
  target.architecture = &aarch64;
  target.cpu = "generic";
  target.vectorBits = 128;
  target.vectorRegisters = 32;
  target.tileRows = {24, 14, 8, 6};
  target.fmaPorts = row.fmaPorts;
  target.l1Bytes = row.l1Kilobytes << 10;
  target.l2Bytes = row.l2Kilobytes << 10;
  target.tail = Tail::LaneByLane;
  if (has & DotProduct)
    target.integerProducts = {signedBytes, unsignedBytes};
  target.requiredCpuFeatures = TW_CPU_AARCH64;
  addExtensions(target, has, extensions);
  return target;
}

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const Row &row : rows)
    names.push_back(row.name);
  return names;
}

std::optional<TargetInfo> find(StringRef name) {
  const Row *row = findRow(name);
  return row ? std::optional(makeTarget(*row, row->extensions)) : std::nullopt;
}

llvm::Expected<TargetInfo> forProcessor(StringRef cpuName, HasFeature hasFeature) {
  const Row *row = findRow(cpuName);
  unsigned has = 0;
  for (const Extension &extension : extensions)
    has |= hasFeature(extension.feature) ? extension.bit : 0;
  return makeTarget(row ? *row : rows[0], has);
}

void registerBackEnd() {
  LLVMInitializeAArch64TargetInfo();
  LLVMInitializeAArch64Target();
  LLVMInitializeAArch64TargetMC();
  LLVMInitializeAArch64AsmPrinter();
  LLVMInitializeAArch64AsmParser();
}

} // namespace

const Architecture aarch64 = {
    "aarch64", "aarch64-unknown-linux-gnu", "aarch64linux", registerBackEnd, names, find, forProcessor};

} // namespace tilewright::codegen
