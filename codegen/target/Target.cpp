//===- Target.cpp - the table of CPUs and the detection of this one -------===//
//
// To add a CPU, add a row. A row states what LLVM may use beyond its baseline only through the
// extensions, each of which has a bit in tilewright/artifact.h: that is what lets the runtime refuse an
// artifact instead of trapping.
//===----------------------------------------------------------------------===//
#include "codegen/target/Target.h"

#include "codegen/target/Cuda.h"

#include "tilewright/artifact.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"

#include <unistd.h>

using llvm::StringRef;

namespace tilewright::codegen {
namespace {

enum Extension : unsigned { Vnni = 1, AvxVnni = 2, Bf16 = 4, Fp16 = 8 };

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

/// What each extension is called by LLVM and by the artifact.
struct ExtensionNames {
  Extension extension;
  const char *feature;
  uint64_t artifactBit;
};
constexpr ExtensionNames extensionNames[] = {
    {Vnni, "avx512vnni", TW_CPU_AVX512_VNNI},
    {AvxVnni, "avxvnni", TW_CPU_AVX_VNNI},
    {Bf16, "avx512bf16", TW_CPU_AVX512_BF16},
    {Fp16, "avx512fp16", TW_CPU_AVX512_FP16},
};

const Row *findRow(StringRef name) {
  const Row *row = llvm::find_if(rows, [&](const Row &row) { return name == row.name; });
  return row == std::end(rows) ? nullptr : row;
}

TargetInfo makeTarget(const Row &row, unsigned extensions) {
  TargetInfo target;
  target.name = target.tuneCpu = row.name;
  const bool avx512 = row.vectorBits == 512;
  target.cpu = avx512 ? "x86-64-v4" : "x86-64-v3";
  target.vectorBits = row.vectorBits;
  target.vectorRegisters = avx512 ? 32 : 16;
  target.fmaPorts = row.fmaPorts;
  target.l1Bytes = row.l1Kilobytes << 10;
  target.l2Bytes = row.l2Kilobytes << 10;
  target.hasVnni = extensions & Vnni;
  target.hasAvxVnni = extensions & AvxVnni;
  target.requiredCpuFeatures = TW_CPU_AVX2 | (avx512 ? TW_CPU_AVX512 : 0);
  for (const ExtensionNames &names : extensionNames) {
    if (!(extensions & names.extension))
      continue;
    target.requiredCpuFeatures |= names.artifactBit;
    target.features += (target.features.empty() ? "+" : ",+") + std::string(names.feature);
  }
  return target;
}

using HasFeature = llvm::function_ref<bool(StringRef)>;

bool hasAll(HasFeature hasFeature, std::initializer_list<const char *> features) {
  return llvm::all_of(features, [&](const char *feature) { return hasFeature(feature); });
}

bool hasBaseline(HasFeature hasFeature) {
  return hasAll(hasFeature, {"avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe"});
}

bool hasAvx512(HasFeature hasFeature) {
  return hasAll(hasFeature, {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"});
}

/// A cache size as the system reports it, or `otherwise` where it reports none (some virtual machines).
uint64_t cacheSize(int name, uint64_t otherwise) {
  const long size = sysconf(name);
  return size > 0 ? static_cast<uint64_t>(size) : otherwise;
}

llvm::Expected<TargetInfo> hostTarget() {
  const llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  auto target = targetForProcessor(llvm::sys::getHostCPUName(),
                                   [&](StringRef feature) { return features.lookup(feature); });
  if (!target)
    return target;
  target->l1Bytes = cacheSize(_SC_LEVEL1_DCACHE_SIZE, target->l1Bytes);
  target->l2Bytes = cacheSize(_SC_LEVEL2_CACHE_SIZE, target->l2Bytes);
  target->cacheLine = cacheSize(_SC_LEVEL1_DCACHE_LINESIZE, target->cacheLine);
  return target;
}

llvm::Error unknownTarget(StringRef spec) {
  // The nearest name, when no more than a third of it is wrong.
  StringRef name = spec;
  const bool cpu = name.consume_front("cpu:"), cuda = !cpu && (name.consume_front("cuda:") || spec == "cuda");
  std::string nearest, all;
  unsigned best = std::max<size_t>(1, name.size() / 3) + 1;
  auto consider = [&](const char *kind, const std::vector<std::string> &names) {
    for (const std::string &candidate : names) {
      const unsigned distance = name.edit_distance_insensitive(candidate, true, best);
      if (distance < best) {
        best = distance;
        nearest = kind + candidate;
      }
      all += (all.empty() ? kind : std::string(", ") + kind) + candidate;
    }
  };
  if (!cuda)
    consider("cpu:", targetNames());
  if (!cpu)
    consider("cuda:", cudaNames());
  std::string hint = nearest.empty() ? "" : "Did you mean '" + nearest + "'? ";
  hint += "There are: " + std::string(cuda ? "" : "cpu (this machine), ") + all;
  return makeError(3001, Fault::Invalid, "unknown target '" + spec.str() + "'", std::move(hint));
}

} // namespace

llvm::Expected<TargetInfo> targetForProcessor(StringRef cpuName, HasFeature hasFeature) {
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
  unsigned extensions = 0;
  for (const ExtensionNames &names : extensionNames) {
    const bool needsAvx512 = names.extension & (Vnni | Bf16 | Fp16);
    if (hasFeature(names.feature) && (avx512 || !needsAvx512))
      extensions |= names.extension;
  }
  return makeTarget(*row, extensions);
}

llvm::Expected<TargetInfo> resolveTarget(StringRef spec) {
  if (StringRef plain = spec; plain.consume_back("+checked")) {
    auto target = resolveTarget(plain);
    if (!target || target->isGpu)
      return target ? unknownTarget(spec) : target.takeError();
    target->checksBounds = true;
    target->name += "+checked"; // and so its code has cache keys of its own
    return target;
  }
  if (spec == "cpu")
    return hostTarget();
  StringRef name = spec;
  if (name.consume_front("cuda:"))
    if (std::optional<TargetInfo> target = findCudaTarget(name))
      return *target;
  if (name.consume_front("cpu:"))
    if (const Row *row = findRow(name))
      return makeTarget(*row, row->extensions);
  return unknownTarget(spec);
}

std::vector<std::string> targetNames() {
  std::vector<std::string> names;
  for (const Row &row : rows)
    names.push_back(row.name);
  return names;
}

bool hostCanRun(const TargetInfo &target) {
  static const uint64_t hostFeatures = [] {
    llvm::Expected<TargetInfo> host = hostTarget();
    if (host)
      return host->requiredCpuFeatures;
    llvm::consumeError(host.takeError());
    return uint64_t(0);
  }();
  return !target.isGpu && (target.requiredCpuFeatures & ~hostFeatures) == 0;
}

std::string canonicalText(const TargetInfo &target) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "name=" << target.name << "\nisGpu=" << target.isGpu << "\nshuffles=" << target.hasShuffles
         << "\ncpu=" << target.cpu << "\nfeatures=" << target.features << "\ntuneCpu=" << target.tuneCpu
         << "\nvectorBits=" << target.vectorBits << "\nvectorRegisters=" << target.vectorRegisters
         << "\nfmaPorts=" << target.fmaPorts << "\nl1Bytes=" << target.l1Bytes
         << "\nl2Bytes=" << target.l2Bytes << "\ncacheLine=" << target.cacheLine
         << "\nvnni=" << target.hasVnni << "\navxVnni=" << target.hasAvxVnni
         << "\nrequiredCpuFeatures=" << target.requiredCpuFeatures << '\n';
  return text;
}

} // namespace tilewright::codegen
