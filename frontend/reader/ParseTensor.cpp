//===- ParseTensor.cpp - tensor messages, checked against their shapes ----===//
//
// What can be checked without touching the data is checked here; typed data is counted when it is decoded
// (Tensor.cpp).
//===----------------------------------------------------------------------===//

#include "frontend/reader/MappedFile.h"
#include "frontend/reader/ParserFields.h"

#include <charconv>

namespace tilewright::onnx {

namespace {

std::string shapeText(const std::vector<int64_t> &dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size() && i < 16; ++i)
    text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + (dims.size() > 16 ? ", ...]" : "]");
}

/// The product of `dims`; nothing when one is negative or the product of the others than zero overflows.
std::optional<uint64_t> countElements(const std::vector<int64_t> &dims) {
  int64_t product = 1;
  bool empty = false;
  for (int64_t dim : dims) {
    if (dim < 0)
      return std::nullopt;
    empty |= dim == 0;
    if (dim > 0 && __builtin_mul_overflow(product, dim, &product))
      return std::nullopt;
  }
  return empty ? 0 : uint64_t(product);
}

bool parseDecimal(std::string_view text, uint64_t &value) {
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc() && end == text.data() + text.size();
}

} // namespace

bool Parser::parseTensor(Bytes message, Tensor &tensor) {
  TensorParts parts;
  tensor.bytes = message;
  tensor.files = externalFiles;
  bool whole = eachField(message, "TensorProto", [&](const WireField &field) {
    int64_t number = 0;
    switch (field.number) {
    case 1:
      return appendInts(field, tensor.dims);
    case 2:
      tensor.elementType = ElementType(int32_t(field.scalar));
      return readInt(field, number);
    case 3:
      return fail(1012, "the tensor is stored in segments", "No exporter does this; store it whole.",
                  tensor.name);
    case 4:
    case 5:
    case 6:
    case 7:
    case 10:
    case 11:
      parts.typed |= field.type != WireType::Delimited || !field.bytes.empty() || field.number == 6;
      return true;
    case 8:
      return readText(field, tensor.name);
    case 9:
      parts.raw = field.bytes;
      return field.type == WireType::Delimited;
    case 13:
      return field.type == WireType::Delimited && parseExternalEntry(field.bytes, tensor, parts);
    case 14:
      parts.external = field.scalar == 1;
      return readInt(field, number);
    default:
      return true;
    }
  });
  return whole && finishTensor(tensor, parts);
}

/// One key and value of external_data. Unknown keys (checksum) are left alone.
bool Parser::parseExternalEntry(Bytes message, Tensor &tensor, TensorParts &parts) {
  MetadataEntry entry;
  if (!parseEntry(message, entry))
    return false;
  auto number = [&](uint64_t &value) {
    return parseDecimal(entry.value, value) || fail(1015,
                                                    "external data " + std::string(entry.key) + " '" +
                                                        std::string(entry.value) + "' is not a byte count",
                                                    "Save the model's external data again.", tensor.name);
  };
  if (entry.key == "location")
    tensor.location = entry.value;
  if (entry.key == "offset")
    return number(tensor.externalOffset);
  if (entry.key == "length")
    return number(parts.externalLength.emplace());
  return true;
}

/// Settle shape and storage, and check what can be checked without touching the data.
bool Parser::finishTensor(Tensor &tensor, const TensorParts &parts) {
  bool isString = tensor.elementType == ElementType::String;
  if (!isString && elementBits(tensor.elementType) == 0)
    return fail(1009,
                "the tensor has the unknown element type " + std::to_string(int32_t(tensor.elementType)),
                "The model is damaged, or newer than this version knows.", tensor.name);
  std::optional<uint64_t> count = countElements(tensor.dims);
  if (!count || (!isString && !packedBytes(tensor.elementType, *count)))
    return fail(1010, "the tensor's shape " + shapeText(tensor.dims) + " is negative or absurdly large",
                "The model is damaged; export it again.", tensor.name);
  tensor.elementCount = *count;
  uint64_t size = tensor.byteSize();
  if (parts.external)
    return finishExternal(tensor, parts, size);
  if (parts.raw.empty())
    return parts.typed || *count == 0 ||
           fail(1012, "the tensor of shape " + shapeText(tensor.dims) + " has no data",
                "The model was saved without its weights; save it with them.", tensor.name);
  if (isString)
    return fail(1012, "a string tensor is stored as raw data",
                "ONNX wants strings in string_data; export it again.", tensor.name);
  tensor.storage = Tensor::Storage::Raw;
  tensor.bytes = parts.raw;
  return parts.raw.size() == size || failSize(tensor, parts.raw.size(), size);
}

bool Parser::finishExternal(Tensor &tensor, const TensorParts &parts, uint64_t size) {
  tensor.storage = Tensor::Storage::External;
  tensor.bytes = {};
  if (tensor.elementType == ElementType::String)
    return fail(1012, "a string tensor is stored as external data",
                "ONNX wants strings in string_data; export it again.", tensor.name);
  if (externalFiles)
    externalFiles->mention(tensor.location);
  if (tensor.location.empty())
    return fail(1013, "the tensor's external data names no file", "Save the model's external data again.",
                tensor.name);
  return !parts.externalLength || *parts.externalLength == size ||
         failSize(tensor, *parts.externalLength, size);
}

bool Parser::failSize(const Tensor &tensor, uint64_t given, uint64_t wanted) {
  return fail(1011,
              "the tensor of shape " + shapeText(tensor.dims) + " and type " +
                  std::string(elementTypeName(tensor.elementType)) + " needs " + std::to_string(wanted) +
                  " bytes of data, but has " + std::to_string(given),
              "The model is damaged or was edited wrongly; export it again.", tensor.name);
}

bool Parser::parseSparseTensor(Bytes message, SparseTensor &sparse) {
  bool values = false, indices = false;
  bool whole = eachField(message, "SparseTensorProto", [&](const WireField &field) {
    switch (field.number) {
    case 1:
      values = true;
      sparse.values = {};
      return field.type == WireType::Delimited && parseTensor(field.bytes, sparse.values);
    case 2:
      indices = true;
      sparse.indices = {};
      return field.type == WireType::Delimited && parseTensor(field.bytes, sparse.indices);
    case 3:
      return appendInts(field, sparse.dims);
    default:
      return true;
    }
  });
  return whole && finishSparseTensor(sparse, values && indices);
}

bool Parser::finishSparseTensor(SparseTensor &sparse, bool complete) {
  auto invalid = [&](const std::string &why) {
    return fail(1017, "the sparse tensor " + why, "Run onnx.checker on the model.", sparse.values.name);
  };
  if (!complete)
    return invalid("lacks its values or its indices");
  std::optional<uint64_t> count = countElements(sparse.dims);
  if (!count ||
      (sparse.values.elementType != ElementType::String && !packedBytes(sparse.values.elementType, *count)))
    return invalid("has the shape " + shapeText(sparse.dims) + ", which is negative or absurdly large");
  sparse.elementCount = *count;
  const std::vector<int64_t> &indexDims = sparse.indices.dims;
  bool linear = indexDims.size() == 1;
  bool coordinates = indexDims.size() == 2 && indexDims[1] == int64_t(sparse.dims.size());
  if (sparse.values.dims.size() != 1 || sparse.indices.elementType != ElementType::Int64 ||
      !(linear || coordinates) || indexDims[0] != sparse.values.dims[0])
    return invalid("has values of shape " + shapeText(sparse.values.dims) + " and indices of shape " +
                   shapeText(indexDims) + "; it needs values [N] and int64 indices [N] or [N, rank]");
  return true;
}

bool Parser::parseSequence(Bytes message, std::vector<Tensor> &elements) {
  return eachField(message, "SequenceProto", [&](const WireField &field) {
    switch (field.number) {
    case 3:
      return appendMessage(field, elements, &Parser::parseTensor);
    case 4:
    case 5:
    case 6:
    case 7:
      return fail(1012, "the sequence holds other things than tensors",
                  "Only sequences of tensors can be read.");
    default:
      return true;
    }
  });
}

bool Parser::parseOptional(Bytes message, ValueFile &value) {
  value.present = false;
  return eachField(message, "OptionalProto", [&](const WireField &field) {
    switch (field.number) {
    case 3:
      value.present = true;
      return appendMessage(field, value.tensors, &Parser::parseTensor);
    case 5:
      value.present = true;
      return field.type == WireType::Delimited && parseSequence(field.bytes, value.tensors);
    case 4:
    case 6:
    case 7:
      return fail(1012, "the optional holds other things than tensors or sequences of tensors",
                  "Only these can be read.");
    default:
      return true;
    }
  });
}

} // namespace tilewright::onnx
