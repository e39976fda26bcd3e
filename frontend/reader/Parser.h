//===- Parser.h - ONNX messages into plain structs --------------*- C++ -*-===//
#ifndef TILEWRIGHT_FRONTEND_READER_PARSER_H
#define TILEWRIGHT_FRONTEND_READER_PARSER_H

#include "frontend/reader/OnnxModel.h"
#include "frontend/reader/WireReader.h"

namespace tilewright::onnx {

/// One parse of one file. Every parse function returns false once `error()` is set.
class Parser {
public:
  /// `file` is the whole file, for byte offsets in messages. Tensors will open external data through
  /// `externalFiles`.
  Parser(Bytes file, ExternalFiles *externalFiles, const ReadLimits &limits)
      : file(file), externalFiles(externalFiles), limits(limits) {}

  bool parseModel(Bytes message, Model &model);
  bool parseTensor(Bytes message, Tensor &tensor);
  /// SequenceProto and OptionalProto with tensors inside.
  bool parseSequence(Bytes message, std::vector<Tensor> &elements);
  bool parseOptional(Bytes message, ValueFile &value);

  const Error &error() const { return *problem; }

private:
  /// What a TensorProto says about its data besides the Tensor itself.
  struct TensorParts {
    Bytes raw;
    bool typed = false, external = false;
    std::optional<uint64_t> externalLength;
  };

  bool fail(int code, std::string message, std::string hint, std::string_view tensor = {});
  bool failWire(const char *messageType, const char *why, const std::byte *position);
  bool failSize(const Tensor &tensor, uint64_t given, uint64_t wanted);
  bool charge(uint64_t bytes);

  template <typename Handler> bool eachField(Bytes message, const char *messageType, Handler handle);
  template <typename Handler> bool eachNestedField(Bytes message, const char *messageType, Handler handle);
  template <typename T> T *append(std::vector<T> &list);
  template <typename T>
  bool appendMessage(const WireField &field, std::vector<T> &list, bool (Parser::*parse)(Bytes, T &));
  bool appendText(const WireField &field, std::vector<std::string_view> &list);
  bool appendInts(const WireField &field, std::vector<int64_t> &list);
  bool appendFloats(const WireField &field, std::vector<float> &list);

  bool parseAttribute(Bytes message, Attribute &attribute);
  bool parseAttributeValue(const WireField &field, Attribute &attribute, uint64_t &seen);
  bool parseAttributeMessage(const WireField &field, Attribute &attribute, uint64_t &seen);
  bool finishAttribute(Attribute &attribute, uint64_t kind, uint64_t seen);
  bool parseValueInfo(Bytes message, ValueInfo &value);
  bool parseNode(Bytes message, Node &node);
  bool parseGraph(Bytes message, Graph &graph);
  bool parseExternalEntry(Bytes message, Tensor &tensor, TensorParts &parts);
  bool finishTensor(Tensor &tensor, const TensorParts &parts);
  bool finishExternal(Tensor &tensor, const TensorParts &parts, uint64_t size);
  bool parseSparseTensor(Bytes message, SparseTensor &sparse);
  bool finishSparseTensor(SparseTensor &sparse, bool complete);
  bool parseDimension(Bytes message, Dimension &dimension);
  bool parseTensorType(Bytes message, TypeInfo &type);
  bool parseContainerType(Bytes message, TypeInfo &type);
  bool parseType(Bytes message, TypeInfo &type);
  bool parseEntry(Bytes message, MetadataEntry &entry);
  bool parseOpset(Bytes message, OpsetImport &opset);
  bool mergeOpsets(std::vector<OpsetImport> &opsets);
  bool parseFunction(Bytes message, Function &function);

  Bytes file;
  ExternalFiles *externalFiles;
  ReadLimits limits;
  unsigned depth = 0;
  uint64_t structureBytes = 0;
  std::optional<Error> problem;
};

} // namespace tilewright::onnx

#endif // TILEWRIGHT_FRONTEND_READER_PARSER_H
