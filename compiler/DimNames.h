/// DimNames.h - one name that a model's inputs give to several dimensions.
///
/// Exporters give unlike dimensions one name: the lengths of two sequences, the sides of an image and of its
/// mask. Only what an operator needs to be equal must be.
#pragma once
#include "frontend/Importer.h"

namespace tilewright::compiler {

/// ImportOptions::renamedDims for a model: dimensions of one name that no operator brings together get names
/// of their own. Empty where every name holds, and where the model cannot be imported without relying on its
/// names.
///
/// The model is imported with a symbol for every dimension; the checks that it would need say which of them
/// meet. Costs one import, for models that use a name in more than one place.
llvm::StringMap<std::string> separateDims(const onnx::Model &model, mlir::MLIRContext &context,
                                          const frontend::ImportOptions &options);

} // namespace tilewright::compiler
