/// Ptx.h - from functions of threads to PTX, in this process: LLVM's NVPTX back end, no CUDA toolkit, no
/// device library.
#pragma once
#include "codegen/gpu/Kernel.h"
#include "mlir/IR/BuiltinOps.h"

namespace tilewright::codegen::gpu {

/// Stages that can be looked at on the way.
struct PtxText {
  std::string ptx;  ///< the module: launch records as comments, then code
  std::string llvm; ///< after optimisation; filled if wanted
};

/// `module` holds the functions of `kernels` and is consumed. Not thread-safe for modules of one context,
/// unless it was made for threads. Errors: TW9201, TW9202 (our own bugs).
llvm::Expected<PtxText> compileToPtx(mlir::ModuleOp module, llvm::ArrayRef<Kernel> kernels,
                                     const TargetInfo &target, bool wantLlvm = false);

} // namespace tilewright::codegen::gpu
