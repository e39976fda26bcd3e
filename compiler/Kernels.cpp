// All kernels of a compilation, on all its threads.
#include "compiler/Compilation.h"

using namespace mlir;
using llvm::StringRef;

namespace tilewright::compiler {

KernelOptions Compilation::kernelOptions() const {
  KernelOptions how{target};
  how.strict = options.precision == "strict";
  how.verify = options.verify;
  return how;
}

bool Compilation::compileKernels() {
  std::vector<kernel::FuncOp> work(module->getOps<kernel::FuncOp>().begin(),
                                   module->getOps<kernel::FuncOp>().end());
  std::vector<std::optional<CompiledKernel>> results(work.size());
  auto compile = [&](size_t i, unsigned) -> llvm::Error {
    KernelOptions how = kernelOptions();
    how.cache = cache.get();
    auto compiled = compileKernel(work[i], how);
    if (!compiled)
      return compiled.takeError();
    results[i] = std::move(*compiled);
    return llvm::Error::success();
  };
  if (llvm::Error error = inParallel("kernels", work.size(), compile))
    return fail(std::move(error));
  for (auto [kernel, compiled] : llvm::zip(work, results)) {
    bindings[kernel.getSymName()] = compiled->binding;
    kernels[kernel.getSymName()] = std::move(*compiled);
  }
  return true;
}

void Compilation::emitKernelTexts(StringRef) {
  for (auto kernel : module->getOps<kernel::FuncOp>()) {
    std::string text;
    KernelOptions how = kernelOptions();
    how.text = &text;
    how.stage = options.emit;
    auto compiled = compileKernel(kernel, how);
    if (!compiled) {
      fail(compiled.takeError());
      return;
    }
    options.text(((options.emit == "asm"    ? "# "
                   : options.emit == "llvm" ? "; "
                                            : "// ") +
                  kernel.getSymName() + "\n")
                     .str() +
                 text + "\n");
  }
}

} // namespace tilewright::compiler
