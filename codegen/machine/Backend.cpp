//===- Backend.cpp - LLVM's back end for a processor ----------------------===//
#include "codegen/machine/Backend.h"

#include "codegen/target/Architecture.h"

#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"

#include <mutex>

namespace tilewright::codegen {
namespace {

/// Switches of LLVM that it has for the whole process only.
///
/// Loop strength reduction took more than half of the time of code generation, quadratic in the addresses of
/// unrolled tiles, and the code is as fast without it (5 % slower in depthwise convolutions, a little faster
/// in products): addresses are written as base plus offset already. Combining interleaved loads, which
/// AArch64's back end does, crashes in LLVM 22 on loads of some small kernels.
void switchPassesOff() {
  auto &options = llvm::cl::getRegisteredOptions();
  for (llvm::StringRef name : {"disable-lsr", "disable-interleaved-load-combine"})
    if (auto option = options.find(name); option != options.end())
      option->second->addOccurrence(1, name, "true");
}

const llvm::Target &backEndOf(const Architecture &architecture) {
  static std::mutex mutex; // LLVM's registry is not made for threads
  std::lock_guard<std::mutex> lock(mutex);
  std::string ignored;
  const llvm::Triple triple(architecture.triple);
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, ignored);
  if (!target || !target->hasTargetMachine() || !target->hasMCAsmBackend()) {
    architecture.registerBackEnd();
    static const bool once = (switchPassesOff(), true);
    (void)once;
    target = llvm::TargetRegistry::lookupTarget(triple, ignored);
  }
  return *target;
}

void setFunctionAttributes(llvm::Function &function, const TargetInfo &target) {
  const std::string width = std::to_string(target.vectorBits);
  function.addFnAttr("target-cpu", target.cpu);
  function.addFnAttr("tune-cpu", target.tuneCpu);
  function.addFnAttr("target-features", target.features);
  function.addFnAttr("prefer-vector-width", width);
  function.addFnAttr("min-legal-vector-width", width);
  function.addFnAttr("no-builtins"); // no loop becomes a memset, no call is taken for the C library's
  function.addFnAttr(llvm::Attribute::NoUnwind);
}

} // namespace

std::unique_ptr<llvm::TargetMachine> createTargetMachine(const TargetInfo &target) {
  const Architecture &architecture = *target.architecture;
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard; // as written: see Lowering.h
  options.FunctionSections = true;
  options.DataSections = true;
  return std::unique_ptr<llvm::TargetMachine>(
      backEndOf(architecture)
          .createTargetMachine(llvm::Triple(architecture.triple), target.cpu, target.features, options,
                               llvm::Reloc::PIC_, llvm::CodeModel::Small, llvm::CodeGenOptLevel::Aggressive,
                               /*JIT=*/false));
}

void prepareModule(llvm::Module &module, llvm::TargetMachine &machine, const TargetInfo &target) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  for (llvm::GlobalValue &value : module.global_values()) {
    auto *function = llvm::dyn_cast<llvm::Function>(&value);
    if (value.hasLocalLinkage() || (function && function->isIntrinsic()))
      continue;
    value.setVisibility(llvm::GlobalValue::HiddenVisibility);
    value.setDSOLocal(true);
  }
  for (llvm::Function &function : module)
    if (!function.isIntrinsic())
      setFunctionAttributes(function, target);
}

} // namespace tilewright::codegen
