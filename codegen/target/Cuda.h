//===- Cuda.h - the table row of an NVIDIA GPU ------------------*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_TARGET_CUDA_H
#define TILEWRIGHT_CODEGEN_TARGET_CUDA_H

#include "codegen/target/Target.h"

#include <optional>

namespace tilewright::codegen {

constexpr const char *cudaTriple = "nvptx64-nvidia-cuda";

/// The names that may follow "cuda:", oldest first: every architecture of LLVM's NVPTX target.
std::vector<std::string> cudaNames();

/// The facts about "sm_80" and the like, or nothing where there is no such architecture.
std::optional<TargetInfo> findCudaTarget(llvm::StringRef architecture);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_TARGET_CUDA_H
