/// CompileKernel.h - one kernel to machine code, by itself: for compilations, tests and searches.
#pragma once
#include "codegen/cache/KernelCache.h"
#include "codegen/program/Program.h"
#include "codegen/target/Target.h"
#include "ir/Graph.h"

namespace tilewright::compiler {

/// A kernel's code and what launching it needs; also what the kernel cache stores.
struct CompiledKernel {
  std::string object;
  codegen::KernelBinding binding;
  std::vector<unsigned> siteOps; ///< positions of the ops that may fail, one a failure site
};

struct KernelOptions {
  explicit KernelOptions(const codegen::TargetInfo &target) : target(target) {}
  const codegen::TargetInfo &target;
  bool strict = false;                   ///< every op rounds once
  bool verify = false;                   ///< the IR after every lowering
  codegen::KernelCache *cache = nullptr; ///< null: none is asked, and nothing is kept
  std::string *text = nullptr; ///< takes the text of `stage`, "loops", "llvm" or "asm"; no cache is asked
  llvm::StringRef stage;
};

/// Compiles a kernel as its schedule and layouts say (passes::schedule, passes::packConstants). Thread-safe
/// for different kernels of one context. Errors: TW3503 (a size beyond 2^63), and TW93xx and those of the
/// back end, which are our own bugs.
llvm::Expected<CompiledKernel> compileKernel(kernel::FuncOp kernel, const KernelOptions &how);

} // namespace tilewright::compiler
