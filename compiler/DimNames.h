/// DimNames.h - one name that a model's inputs give to several dimensions.
///
/// Exporters give unlike dimensions one name: the lengths of two sequences, the sides of an image and of its
/// mask. Only what an operator needs to be equal must be.
#pragma once
#include "frontend/Importer.h"

namespace tilewright::compiler {

struct SeparateDims {
  llvm::StringMap<std::string> renamed;       ///< ImportOptions::renamedDims
  std::vector<frontend::Diagnostic> warnings; ///< one for each name that stands for several sizes
};

/// Dimensions of one name that no operator brings together get names of their own. Nothing where every name
/// holds, and where the model cannot be imported without relying on its names.
///
/// The model is imported with a symbol for every dimension; the checks that it would need say which of them
/// meet. Costs one import, for models that use a name in more than one place.
SeparateDims separateDims(const onnx::Model &model, mlir::MLIRContext &context,
                          const frontend::ImportOptions &options);

} // namespace tilewright::compiler
