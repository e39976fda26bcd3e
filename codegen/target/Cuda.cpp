//===- Cuda.cpp - the table row of an NVIDIA GPU --------------------------===//
//
// What LLVM's NVPTX target calls a processor is a target here. LLVM knows it once its tables are
// registered, which happens only when somebody asks for a GPU.
//===----------------------------------------------------------------------===//
#include "codegen/target/Cuda.h"

#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"

extern "C" {
void LLVMInitializeNVPTXTargetInfo();
void LLVMInitializeNVPTXTargetMC();
}

using llvm::StringRef;

namespace tilewright::codegen {
namespace {

const llvm::MCSubtargetInfo *subtargets() {
  static const std::unique_ptr<llvm::MCSubtargetInfo> table = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTargetMC();
    std::string ignored;
    const llvm::Triple triple(cudaTriple);
    const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, ignored);
    return std::unique_ptr<llvm::MCSubtargetInfo>(target ? target->createMCSubtargetInfo(triple, "", "")
                                                         : nullptr);
  }();
  return table.get();
}

/// 80 of "sm_80" and of "sm_80a".
unsigned numberOf(StringRef architecture) {
  unsigned number = 0;
  architecture.drop_while([](char c) { return c < '0' || c > '9'; }).consumeInteger(10, number);
  return number;
}

} // namespace

std::vector<std::string> cudaNames() {
  std::vector<std::string> names;
  if (const llvm::MCSubtargetInfo *table = subtargets())
    for (const llvm::SubtargetSubTypeKV &entry : table->getAllProcessorDescriptions())
      if (StringRef(entry.Key).starts_with("sm_"))
        names.push_back(entry.Key);
  llvm::sort(names, [](const std::string &x, const std::string &y) {
    return std::pair(numberOf(x), StringRef(x)) < std::pair(numberOf(y), StringRef(y));
  });
  return names;
}

std::optional<TargetInfo> findCudaTarget(StringRef architecture) {
  if (!llvm::is_contained(cudaNames(), architecture))
    return std::nullopt;
  TargetInfo target;
  target.name = target.cpu = architecture.str();
  // Each architecture's PTX version is the oldest that has it, so that old drivers take the text; shuffles
  // of a whole warp came with PTX 6.0.
  target.hasShuffles = numberOf(architecture) >= 30;
  if (target.hasShuffles && numberOf(architecture) < 70)
    target.features = "+ptx60";
  target.isGpu = true;
  target.vectorBits = 128;
  target.vectorRegisters = 255;
  target.l1Bytes = 128 << 10;
  target.l2Bytes = 40 << 20;
  target.cacheLine = 128;
  return target;
}

} // namespace tilewright::codegen
