/// Support.h - for tests of the importers: read, check, import, verify.
#pragma once
#include "frontend/Importer.h"
#include "ir/interpreter/Tensor.h"

namespace tilewright::tests {

/// A context with the dialects of imported modules.
std::unique_ptr<mlir::MLIRContext> makeImportContext();

/// A model and what became of it. The model stays alive for the module's constants.
struct Imported {
  std::unique_ptr<onnx::Model> model;
  frontend::ImportResult result;
  std::string problems; ///< one line each, of the reader, the checker, the importer and the verifier
  bool ok() const { return problems.empty() && result.module; }
  mlir::func::FuncOp main() const;
};
Imported importFile(const std::string &path, mlir::MLIRContext &context,
                    const frontend::ImportOptions &options = {});
/// `bytes` must outlive the result.
Imported importBytes(const std::string &bytes, mlir::MLIRContext &context,
                     const frontend::ImportOptions &options = {});

/// A tensor of ONNX test data as one of the interpreter's.
std::optional<interpreter::Tensor> toTensor(const onnx::Tensor &tensor, mlir::Type elementType);

} // namespace tilewright::tests
