//===- X86.cpp - the table of x86-64 CPUs ---------------------------------===//
//
// To add a CPU, add a row. A row states what LLVM may use beyond its baseline only through the
// extensions, each of which has a bit in tilewright/artifact.h: that is what lets the runtime refuse an
// artifact instead of trapping.
//===----------------------------------------------------------------------===//
#include "codegen/target/Architecture.h"

#include "tilewright/artifact.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/TargetSelect.h"

extern "C" {
void LLVMInitializeX86TargetInfo();
void LLVMInitializeX86Target();
void LLVMInitializeX86TargetMC();
void LLVMInitializeX86AsmPrinter();
void LLVMInitializeX86AsmParser();
}

using llvm::StringRef;

namespace tilewright::codegen {
namespace {

enum : unsigned { Vnni = 1, AvxVnni = 2, Bf16 = 4, Fp16 = 8 };

struct Row {
  const char *name;
  unsigned vectorBits, fmaPorts;
  uint64_t l1Kilobytes, l2Kilobytes;
  unsigned extensions;
};

constexpr unsigned sapphireRapids = Vnni | AvxVnni | Bf16 | Fp16;

/// Cache sizes are those of common server or desktop models. "cpu" replaces them by what this machine
/// reports.
constexpr Row rows[] = {
    // name           bits fma  L1    L2   extensions
    {"x86-64-v3", 256, 2, 32, 256, 0},
    {"haswell", 256, 2, 32, 256, 0},
    {"broadwell", 256, 2, 32, 256, 0},
    {"skylake", 256, 2, 32, 256, 0},
    {"alderlake", 256, 2, 48, 1280, AvxVnni},
    {"raptorlake", 256, 2, 48, 2048, AvxVnni},
    {"znver1", 256, 1, 32, 512, 0},
    {"znver2", 256, 2, 32, 512, 0},
    {"znver3", 256, 2, 32, 512, 0},
    {"x86-64-v4", 512, 2, 32, 1024, 0},
    {"skylake-avx512", 512, 2, 32, 1024, 0},
    {"cascadelake", 512, 2, 32, 1024, Vnni},
    {"cooperlake", 512, 2, 32, 1024, Vnni | Bf16},
    {"icelake-client", 512, 1, 48, 512, Vnni},
    {"tigerlake", 512, 1, 48, 1280, Vnni},
    {"rocketlake", 512, 1, 48, 512, Vnni},
    {"icelake-server", 512, 2, 48, 1280, Vnni},
    {"sapphirerapids", 512, 2, 48, 2048, sapphireRapids},
    {"emeraldrapids", 512, 2, 48, 2048, sapphireRapids},
    {"graniterapids", 512, 2, 48, 2048, sapphireRapids},
    {"znver4", 512, 1, 32, 1024, Vnni | Bf16},
    {"znver5", 512, 2, 48, 1024, Vnni | Bf16 | AvxVnni},
};

constexpr Extension extensions[] = {
    {Vnni, "avx512vnni", TW_X86_AVX512_VNNI},
    {AvxVnni, "avxvnni", TW_X86_AVX_VNNI},
    {Bf16, "avx512bf16", TW_X86_AVX512_BF16},
    {Fp16, "avx512fp16", TW_X86_AVX512_FP16},
};

constexpr IntegerProduct bytes512 = {4, false, true, true, "llvm.x86.avx512.vpdpbusd.512"},
                         bytes256 = {4, false, true, true, "llvm.x86.avx512.vpdpbusd.256"},
                         pairs512 = {2, true, true, false, "llvm.x86.avx512.pmaddw.d.512"},
                         pairs256 = {2, true, true, false, "llvm.x86.avx2.pmadd.wd"};

const Row *findRow(StringRef name) {
  const Row *row = llvm::find_if(rows, [&](const Row &row) { return name == row.name; });
  return row == std::end(rows) ? nullptr : row;
}

TargetInfo makeTarget(const Row &row, unsigned has) {
  TargetInfo target;
  target.name = target.tuneCpu = row.name;
  target.architecture = &x86;
  const bool avx512 = row.vectorBits == 512;
  target.cpu = avx512 ? "x86-64-v4" : "x86-64-v3";
  target.vectorBits = row.vectorBits;
  target.vectorRegisters = avx512 ? 32 : 16;
  if (avx512) // 9 x 3 and 7 x 4 fit, and collapse
    target.tileRows = {24, 14, 8, 6};
  target.fmaPorts = row.fmaPorts;
  target.l1Bytes = row.l1Kilobytes << 10;
  target.l2Bytes = row.l2Kilobytes << 10;
  if (has & (avx512 ? Vnni : AvxVnni))
    target.integerProducts.push_back(avx512 ? bytes512 : bytes256);
  target.integerProducts.push_back(avx512 ? pairs512 : pairs256);
  target.hasFloatSteps = target.gathersWords = avx512;
  target.lookup16 = avx512 ? "llvm.x86.avx512.permvar.sf.512" : nullptr;
  target.flushesSubnormals = true;
  target.requiredCpuFeatures = TW_CPU_X86_64 | TW_X86_AVX2 | (avx512 ? TW_X86_AVX512 : 0);
  addExtensions(target, has, extensions);
  return target;
}

bool hasAll(HasFeature hasFeature, std::initializer_list<const char *> features) {
  return llvm::all_of(features, [&](const char *feature) { return hasFeature(feature); });
}

bool hasBaseline(HasFeature hasFeature) {
  return hasAll(hasFeature, {"avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe"});
}

bool hasAvx512(HasFeature hasFeature) {
  return hasAll(hasFeature, {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"});
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
  if (!hasBaseline(hasFeature))
    return makeError(3002, Fault::Unsupported,
                     "this machine's processor (" + cpuName.str() + ") lacks AVX2, FMA, F16C or BMI2",
                     "Tilewright needs x86-64-v3 (Intel Haswell, AMD Zen or later); to compile for another "
                     "machine name it: "
                     "--target cpu:haswell");
  const bool avx512 = hasAvx512(hasFeature);
  const Row *row = findRow(cpuName);
  if (!row || (row->vectorBits == 512) != avx512)
    row = findRow(avx512 ? "x86-64-v4" : "x86-64-v3");
  unsigned has = 0;
  for (const Extension &extension : extensions) {
    const bool needsAvx512 = extension.bit & (Vnni | Bf16 | Fp16);
    if (hasFeature(extension.feature) && (avx512 || !needsAvx512))
      has |= extension.bit;
  }
  return makeTarget(*row, has);
}

void registerBackEnd() {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeX86AsmParser();
}

} // namespace

const Architecture x86 = {"x86_64",    "x86_64-unknown-linux-gnu", "elf_x86_64", registerBackEnd, names, find,
                          forProcessor};

} // namespace tilewright::codegen
