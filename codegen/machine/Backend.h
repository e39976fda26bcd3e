//===- Backend.h - LLVM's back end for a processor ---------------*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_MACHINE_BACKEND_H
#define TILEWRIGHT_CODEGEN_MACHINE_BACKEND_H

#include "codegen/target/Target.h"

#include <memory>

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace tilewright::codegen {

/// Gives `module` the target's triple, data layout and function attributes, and hides its symbols.
void prepareModule(llvm::Module &module, llvm::TargetMachine &machine, const TargetInfo &target);

/// The machine that compileModule() generates for. One per thread and module: not thread-safe.
std::unique_ptr<llvm::TargetMachine> createTargetMachine(const TargetInfo &target);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_MACHINE_BACKEND_H
