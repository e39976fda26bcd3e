//===- Error.h - errors of code generation ----------------------*- C++ -*-===//
//
// Everything in codegen/ that can fail returns llvm::Error or llvm::Expected and carries one CodegenError: a
// stable code, whose fault it is, what is wrong and what to do. Nothing throws, nothing aborts.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_TARGET_ERROR_H
#define TILEWRIGHT_CODEGEN_TARGET_ERROR_H

#include "llvm/Support/Error.h"

#include <string>

namespace tilewright::codegen {

/// Whose fault it is. The values are the driver's exit codes.
enum class Fault {
  Unsupported = 3, ///< legitimate, but not something this build or this machine can do
  Invalid = 4,     ///< the user asked for something that does not exist or does not make sense
  Io = 5,          ///< a file or a folder
  Internal = 70    ///< our own bug (TW9xxx)
};

/// The one error class of code generation.
class CodegenError : public llvm::ErrorInfo<CodegenError> {
public:
  static char ID;
  CodegenError(int code, Fault fault, std::string message, std::string hint, std::string place = "")
      : code(code), fault(fault), message(std::move(message)), hint(std::move(hint)),
        place(std::move(place)) {}

  int code = 0; ///< 5003 for "TW5003"
  Fault fault = Fault::Internal;
  std::string message; ///< one line: what is wrong
  std::string hint;    ///< what to do next, or empty
  std::string place;   ///< "op:node" of the ONNX node, or empty

  /// "TW5003"
  std::string codeText() const { return "TW" + std::to_string(code); }
  /// "TW5003: message. Hint."
  void log(llvm::raw_ostream &stream) const override;
  std::error_code convertToErrorCode() const override { return llvm::inconvertibleErrorCode(); }
};

llvm::Error makeError(int code, Fault fault, std::string message, std::string hint = "",
                      std::string place = "");

/// Takes an error apart for a diagnostic. An error of another class becomes a TW9200. `error` must be a
/// failure.
CodegenError takeCodegenError(llvm::Error error);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_TARGET_ERROR_H
