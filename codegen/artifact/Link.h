//===- Link.h - objects to a shared object, in process ----------*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_ARTIFACT_LINK_H
#define TILEWRIGHT_CODEGEN_ARTIFACT_LINK_H

#include "codegen/target/Architecture.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace tilewright::codegen {

/// The relocatable object with what LLVM's back end calls (memcpy, f16 and bf16 conversions, fmod, 128-bit
/// division), all hidden. linkSharedObject() adds it by itself; sections that nobody references are dropped.
llvm::StringRef builtinsObject(const Architecture &architecture);

/// Links relocatable objects of one architecture with the built-ins into a shared object that exports
/// `tilewright_model` alone, imports nothing and needs no library. The result depends on the objects and
/// their order only. Thread-safe: calls wait for each other, as the linker is not reentrant. Errors: TW9210
/// (undefined symbol, named), TW9211 (a symbol defined twice), TW9212 (anything else the linker says), TW5010
/// (no memory file).
llvm::Expected<std::string> linkSharedObject(llvm::ArrayRef<llvm::StringRef> objects,
                                             const Architecture &architecture);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_ARTIFACT_LINK_H
