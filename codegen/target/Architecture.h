//===- Architecture.h - instruction sets that CPUs have ---------*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_TARGET_ARCHITECTURE_H
#define TILEWRIGHT_CODEGEN_TARGET_ARCHITECTURE_H

#include "codegen/target/Target.h"

#include "llvm/ADT/ArrayRef.h"

#include <optional>

namespace tilewright::codegen {

/// Whether a processor has the feature that LLVM calls so.
using HasFeature = llvm::function_ref<bool(llvm::StringRef)>;

/// One instruction set and the table of its CPUs. Each has a file of its own in this folder.
struct Architecture {
  const char *name;      ///< as in triples, and as QEMU calls it: "x86_64"
  const char *triple;    ///< LLVM's
  const char *emulation; ///< what the linker calls its objects
  /// Makes LLVM's back end known to LLVM. Called when something is compiled for it, maybe several times.
  void (*registerBackEnd)();
  /// Names of the table's rows; the first is what "ARCHITECTURE-linux-gnu" alone means.
  std::vector<std::string> (*names)();
  std::optional<TargetInfo> (*find)(llvm::StringRef name);
  /// Picks the row for a processor that LLVM calls `cpuName` with the features for which `hasFeature` is
  /// true. A processor without a row gets the best row that its features allow, and no row keeps a feature
  /// that is missing, as under a hypervisor that masks it. Cache sizes are the row's. The machine-independent
  /// half of "cpu". Error TW3002.
  llvm::Expected<TargetInfo> (*forProcessor)(llvm::StringRef cpuName, HasFeature hasFeature);
};

extern const Architecture x86, aarch64;

llvm::ArrayRef<const Architecture *> architectures();

/// An optional instruction of an architecture: what it is called by LLVM and by the artifact.
struct Extension {
  unsigned bit; ///< in a row of the table
  const char *feature;
  uint64_t artifactBit;
};

/// Makes `extensions` usable, and required of the machine that loads the artifact.
void addExtensions(TargetInfo &target, unsigned extensions, llvm::ArrayRef<Extension> known);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_TARGET_ARCHITECTURE_H
