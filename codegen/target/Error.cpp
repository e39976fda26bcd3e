//===- Error.cpp - errors of code generation ------------------------------===//
#include "codegen/target/Error.h"

#include "llvm/Support/raw_ostream.h"

namespace tilewright::codegen {

char CodegenError::ID = 0;

void CodegenError::log(llvm::raw_ostream &stream) const {
  stream << codeText() << ": " << message;
  if (!hint.empty())
    stream << ". " << hint;
}

llvm::Error makeError(int code, Fault fault, std::string message, std::string hint, std::string place) {
  return llvm::make_error<CodegenError>(code, fault, std::move(message), std::move(hint), std::move(place));
}

CodegenError takeCodegenError(llvm::Error error) {
  CodegenError result(9200, Fault::Internal, "", "This is a bug in Tilewright; please report it");
  llvm::handleAllErrors(
      std::move(error), [&](const CodegenError &ours) { result = ours; },
      [&](const llvm::ErrorInfoBase &other) { result.message = other.message(); });
  return result;
}

} // namespace tilewright::codegen
