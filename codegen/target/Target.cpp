//===- Target.cpp - targets by name, and the one of this machine ----------===//
#include "codegen/target/Target.h"

#include "codegen/target/Architecture.h"
#include "codegen/target/Cuda.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

#include <unistd.h>

using llvm::StringRef;

namespace tilewright::codegen {
namespace {

constexpr const Architecture *allArchitectures[] = {&x86, &aarch64};
constexpr StringRef system = "-linux-gnu";

/// That of this process; null where none is made for it.
const Architecture *hostArchitecture() {
  const llvm::Triple process(llvm::sys::getProcessTriple());
  for (const Architecture *architecture : allArchitectures)
    if (process.getArch() == llvm::Triple(architecture->triple).getArch())
      return architecture;
  return nullptr;
}

/// A cache size as the system reports it, or `otherwise` where it reports none (some virtual machines).
uint64_t cacheSize(int name, uint64_t otherwise) {
  const long size = sysconf(name);
  return size > 0 ? static_cast<uint64_t>(size) : otherwise;
}

llvm::Expected<TargetInfo> hostTarget() {
  const Architecture *architecture = hostArchitecture();
  if (!architecture)
    return makeError(3002, Fault::Unsupported, "there is no code for this machine's kind of processor",
                     "Name another with --target");
  const llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  auto target = architecture->forProcessor(llvm::sys::getHostCPUName(),
                                           [&](StringRef feature) { return features.lookup(feature); });
  if (!target)
    return target;
  target->l1Bytes = cacheSize(_SC_LEVEL1_DCACHE_SIZE, target->l1Bytes);
  target->l2Bytes = cacheSize(_SC_LEVEL2_CACHE_SIZE, target->l2Bytes);
  target->cacheLine = cacheSize(_SC_LEVEL1_DCACHE_LINESIZE, target->cacheLine);
  return target;
}

/// What a target of the architecture is called before its CPU: "cpu" of this machine's.
std::string prefixOf(const Architecture &architecture) {
  return &architecture == hostArchitecture() ? "cpu" : architecture.name + system.str();
}

/// All that may be asked for but "cpu" and "+checked", in the order of the tables.
std::vector<std::string> allSpecs(bool cpus, bool gpus) {
  std::vector<std::string> specs;
  for (const Architecture *architecture : allArchitectures)
    for (const std::string &name : cpus ? architecture->names() : std::vector<std::string>())
      specs.push_back(prefixOf(*architecture) + ":" + name);
  for (const std::string &name : gpus ? cudaNames() : std::vector<std::string>())
    specs.push_back("cuda:" + name);
  return specs;
}

llvm::Error unknownTarget(StringRef spec) {
  // The nearest name, when no more than a third of it is wrong.
  auto [kind, name] = spec.contains(':') ? spec.split(':') : std::pair<StringRef, StringRef>("", spec);
  const bool cuda = kind == "cuda" || spec == "cuda", cpu = !kind.empty() && !cuda;
  std::string nearest, all;
  unsigned best = std::max<size_t>(1, name.size() / 3) + 1;
  for (const std::string &candidate : allSpecs(!cuda, !cpu)) {
    const unsigned distance =
        name.edit_distance_insensitive(StringRef(candidate).split(':').second, true, best);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
    all += (all.empty() ? "" : ", ") + candidate;
  }
  std::string hint = nearest.empty() ? "" : "Did you mean '" + nearest + "'? ";
  hint += "There are: " + std::string(cuda ? "" : "cpu (this machine), ") + all;
  return makeError(3001, Fault::Invalid, "unknown target '" + spec.str() + "'", std::move(hint));
}

/// The row of a CPU: "cpu:NAME", "ARCHITECTURE-linux-gnu" or "ARCHITECTURE-linux-gnu:NAME".
std::optional<TargetInfo> findCpu(StringRef spec) {
  auto [kind, name] = spec.split(':');
  const bool named = spec.contains(':');
  if (kind == "cpu")
    return named && hostArchitecture() ? hostArchitecture()->find(name) : std::nullopt;
  if (!kind.consume_back(system))
    return std::nullopt;
  for (const Architecture *architecture : allArchitectures)
    if (kind == architecture->name)
      return architecture->find(named ? name : StringRef(architecture->names().front()));
  return std::nullopt;
}

void print(llvm::raw_ostream &stream, const IntegerProduct &product) {
  stream << "\nintegerProduct=" << product.group << ',' << product.leftSigned << ',' << product.rightSigned
         << ',' << product.accumulates << ',' << product.intrinsic;
}

} // namespace

llvm::ArrayRef<const Architecture *> architectures() { return allArchitectures; }

void addExtensions(TargetInfo &target, unsigned extensions, llvm::ArrayRef<Extension> known) {
  for (const Extension &extension : known) {
    if (!(extensions & extension.bit))
      continue;
    target.requiredCpuFeatures |= extension.artifactBit;
    target.features += (target.features.empty() ? "+" : ",+") + std::string(extension.feature);
  }
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
  if (std::optional<TargetInfo> target = findCpu(spec))
    return *target;
  if (StringRef name = spec; name.consume_front("cuda:"))
    if (std::optional<TargetInfo> target = findCudaTarget(name))
      return *target;
  return unknownTarget(spec);
}

std::vector<std::string> targetNames() {
  return hostArchitecture() ? hostArchitecture()->names() : std::vector<std::string>();
}

bool hostCanRun(const TargetInfo &target) {
  static const uint64_t hostFeatures = [] {
    llvm::Expected<TargetInfo> host = hostTarget();
    if (host)
      return host->requiredCpuFeatures;
    llvm::consumeError(host.takeError());
    return uint64_t(0);
  }();
  return target.architecture && target.architecture == hostArchitecture() &&
         (target.requiredCpuFeatures & ~hostFeatures) == 0;
}

std::string canonicalText(const TargetInfo &target) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "name=" << target.name
         << "\narchitecture=" << (target.architecture ? target.architecture->name : "gpu")
         << "\nshuffles=" << target.hasShuffles << "\ncpu=" << target.cpu << "\nfeatures=" << target.features
         << "\ntuneCpu=" << target.tuneCpu << "\nvectorBits=" << target.vectorBits
         << "\nvectorRegisters=" << target.vectorRegisters << "\nfmaPorts=" << target.fmaPorts
         << "\nl1Bytes=" << target.l1Bytes << "\nl2Bytes=" << target.l2Bytes
         << "\ncacheLine=" << target.cacheLine
         << "\ntail=" << (target.tail == Tail::Masked ? "masked" : "laneByLane")
         << "\nlookup16=" << (target.lookup16 ? target.lookup16 : "")
         << "\nfloatSteps=" << target.hasFloatSteps << "\ngathersWords=" << target.gathersWords
         << "\nflushesSubnormals=" << target.flushesSubnormals
         << "\nrequiredCpuFeatures=" << target.requiredCpuFeatures << "\ntileRows=";
  for (unsigned rows : target.tileRows)
    stream << rows << ',';
  for (const IntegerProduct &product : target.integerProducts)
    print(stream, product);
  stream << '\n';
  return text;
}

} // namespace tilewright::codegen
