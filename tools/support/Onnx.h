/// Onnx.h - the little of ONNX that the test runner reads itself: tensors of test data, and the names and
/// kinds of a model's inputs and outputs. Everything else about models is the compiler's business.
#pragma once

#include "Tensor.h"

namespace tilewright::tools {

/// Decode a serialised TensorProto. Every element type, from raw_data or from the typed fields; packed
/// sub-byte elements are unpacked. External data is refused: test data is self-contained.
Result<Tensor> readTensorProto(std::span<const std::byte> bytes, const std::string &what);

/// One input or output as a model declares it.
struct ValueDeclaration {
  std::string name;
  std::string kind; ///< "tensor", "sparse tensor", "sequence", "optional", "map" or "unknown"
};

struct ModelSignature {
  std::vector<ValueDeclaration> inputs; ///< as listed by the graph, initialisers included
  std::vector<ValueDeclaration> outputs;
  std::vector<std::string> initialisers;

  bool isInitialiser(const std::string &name) const;
};

Result<ModelSignature> readModelSignature(std::span<const std::byte> bytes, const std::string &what);

} // namespace tilewright::tools
