//===- MiddleEnd.h - what LLVM does to every target's code ------*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_LOWER_MIDDLEEND_H
#define TILEWRIGHT_CODEGEN_LOWER_MIDDLEEND_H

#include "llvm/Support/Error.h"

#include <memory>
#include <optional>
#include <string>

namespace llvm {
class LLVMContext;
class Module;
class TargetMachine;
} // namespace llvm

namespace tilewright::codegen {

/// Collects the errors that LLVM reports on `context` instead of letting it print them and exit. Lives as
/// long as the context is used.
class LlvmErrors {
public:
  explicit LlvmErrors(llvm::LLVMContext &context);
  /// The first error, or nothing.
  const std::optional<std::string> &first() const { return *message; }

private:
  std::shared_ptr<std::optional<std::string>> message;
};

/// The middle end, for loops that come as they should be: no vectorising, no unrolling.
void optimizeModule(llvm::Module &module, llvm::TargetMachine &machine);

/// The back end alone: a finished LLVM module to object bytes or, with `assembly`, to text. Changes the
/// module. Error TW9202: LLVM cannot generate code for it.
llvm::Expected<std::string> emitMachineCode(llvm::Module &module, llvm::TargetMachine &machine,
                                            bool assembly = false);

/// CPU time of this thread in milliseconds.
double threadMilliseconds();

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_LOWER_MIDDLEEND_H
