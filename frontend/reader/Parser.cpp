//===- Parser.cpp - ONNX messages into plain structs ----------------------===//
//
// One function per ONNX message, in the order of onnx.proto. The first problem ends the parse: after it
// nothing in the file can be trusted. The depth limit bounds the stack, the structure limit bounds memory (a
// two-byte field can ask for a struct of hundreds of bytes).
//===----------------------------------------------------------------------===//

#include "frontend/reader/ParserFields.h"

#include <algorithm>

namespace tilewright::onnx {

namespace {

std::string_view normalisedDomain(std::string_view domain) { return domain == "ai.onnx" ? "" : domain; }

} // namespace

bool Parser::fail(int code, std::string message, std::string hint, std::string_view tensor) {
  if (!problem)
    problem = Error{
        .code = code, .message = std::move(message), .hint = std::move(hint), .tensor = std::string(tensor)};
  return false;
}

bool Parser::failWire(const char *messageType, const char *why, const std::byte *position) {
  return fail(1005,
              std::string("the file is damaged: in a ") + messageType + " near byte " +
                  std::to_string(position - file.data()) + ", " + why,
              "It is cut off, corrupted, or not an ONNX model; fetch or export it again.");
}

bool Parser::charge(uint64_t bytes) {
  structureBytes += bytes;
  if (structureBytes <= limits.maxStructureBytes)
    return true;
  return fail(1007,
              "the model's structure takes more than " + std::to_string(limits.maxStructureBytes >> 20) +
                  " MiB in memory",
              "Real models are far smaller; store weights as raw or external data, not as attributes.");
}

bool Parser::appendText(const WireField &field, std::vector<std::string_view> &list) {
  std::string_view *text = append(list);
  return text && readText(field, *text);
}

/// Append the values of a repeated int64 field, packed or not.
bool Parser::appendInts(const WireField &field, std::vector<int64_t> &list) {
  if (field.type == WireType::Varint)
    return charge(8) && (list.push_back(int64_t(field.scalar)), true);
  if (field.type != WireType::Delimited || !charge(8 * field.bytes.size()))
    return false;
  WireReader reader(field.bytes);
  for (uint64_t value; !reader.atEnd();) {
    if (!reader.varint(value))
      return failWire("packed list", reader.error(), reader.position());
    list.push_back(int64_t(value));
  }
  return true;
}

bool Parser::appendFloats(const WireField &field, std::vector<float> &list) {
  if (field.type == WireType::Fixed32)
    return charge(4) && (list.push_back(std::bit_cast<float>(uint32_t(field.scalar))), true);
  if (field.type != WireType::Delimited || !charge(field.bytes.size()))
    return false;
  if (field.bytes.size() % 4)
    return failWire("packed list", "its length is not a multiple of four", field.bytes.data());
  size_t old = list.size();
  list.resize(old + field.bytes.size() / 4);
  if (!field.bytes.empty())
    std::memcpy(list.data() + old, field.bytes.data(), field.bytes.size());
  return true;
}

bool Parser::parseAttribute(Bytes message, Attribute &attribute) {
  uint64_t kind = 0, seen = 0;
  bool whole = eachField(message, "AttributeProto", [&](const WireField &field) {
    int64_t number = 0;
    switch (field.number) {
    case 1:
      return readText(field, attribute.name);
    case 21:
      return readText(field, attribute.refAttrName);
    case 20:
      kind = field.scalar;
      return readInt(field, number);
    default:
      return parseAttributeValue(field, attribute, seen);
    }
  });
  return whole && finishAttribute(attribute, kind, seen);
}

/// Parse one of the value fields and set the bit of its kind in `seen`.
bool Parser::parseAttributeValue(const WireField &field, Attribute &attribute, uint64_t &seen) {
  using Kind = Attribute::Kind;
  auto mark = [&](Kind kind) { seen |= uint64_t(1) << unsigned(kind); };
  switch (field.number) {
  case 2:
    mark(Kind::Float);
    attribute.f = std::bit_cast<float>(uint32_t(field.scalar));
    return field.type == WireType::Fixed32;
  case 3:
    mark(Kind::Int);
    return readInt(field, attribute.i);
  case 4:
    mark(Kind::String);
    return readText(field, attribute.s);
  case 7:
    mark(Kind::Floats);
    return appendFloats(field, attribute.floats);
  case 8:
    mark(Kind::Ints);
    return appendInts(field, attribute.ints);
  case 9:
    mark(Kind::Strings);
    return appendText(field, attribute.strings);
  default:
    return parseAttributeMessage(field, attribute, seen);
  }
}

bool Parser::parseAttributeMessage(const WireField &field, Attribute &attribute, uint64_t &seen) {
  using Kind = Attribute::Kind;
  auto mark = [&](Kind kind) { seen |= uint64_t(1) << unsigned(kind); };
  switch (field.number) {
  case 5:
    mark(Kind::Tensor);
    return appendMessage(field, attribute.tensors, &Parser::parseTensor);
  case 6:
    mark(Kind::Graph);
    return appendMessage(field, attribute.graphs, &Parser::parseGraph);
  case 10:
    mark(Kind::Tensors);
    return appendMessage(field, attribute.tensors, &Parser::parseTensor);
  case 11:
    mark(Kind::Graphs);
    return appendMessage(field, attribute.graphs, &Parser::parseGraph);
  case 14:
    mark(Kind::TypeProto);
    return appendMessage(field, attribute.types, &Parser::parseType);
  case 15:
    mark(Kind::TypeProtos);
    return appendMessage(field, attribute.types, &Parser::parseType);
  case 22:
    mark(Kind::SparseTensor);
    return appendMessage(field, attribute.sparseTensors, &Parser::parseSparseTensor);
  case 23:
    mark(Kind::SparseTensors);
    return appendMessage(field, attribute.sparseTensors, &Parser::parseSparseTensor);
  default:
    return true;
  }
}

/// Settle the kind: the declared one, which must agree with the values present, else the one value that is
/// present (files of IR version 1 declare none). A reference has no value of its own.
bool Parser::finishAttribute(Attribute &attribute, uint64_t kind, uint64_t seen) {
  using Kind = Attribute::Kind;
  auto invalid = [&](const std::string &why) {
    return fail(1016, "attribute '" + std::string(attribute.name) + "' " + why,
                "The exporter wrote an invalid attribute; run onnx.checker on the model.");
  };
  if (attribute.name.empty())
    return invalid("has no name");
  if (kind > unsigned(Kind::TypeProtos))
    return invalid("has the unknown type " + std::to_string(kind));
  if (!attribute.refAttrName.empty()) {
    attribute.kind = Kind(kind);
    return seen == 0 || invalid("has both a value and a reference");
  }
  if (kind == 0) {
    if (std::popcount(seen) != 1)
      return invalid(seen ? "has several values and no type" : "has neither type nor value");
    kind = unsigned(std::countr_zero(seen));
  }
  if (seen & ~(uint64_t(1) << kind))
    return invalid("has a value that is not of its type " + std::string(attributeKindName(Kind(kind))));
  attribute.kind = Kind(kind);
  auto single = [&](Kind which, size_t count) { return attribute.kind != which || count == 1; };
  if (!single(Kind::Tensor, attribute.tensors.size()) || !single(Kind::Graph, attribute.graphs.size()) ||
      !single(Kind::TypeProto, attribute.types.size()) ||
      !single(Kind::SparseTensor, attribute.sparseTensors.size()))
    return invalid("must have exactly one value of type " + std::string(attributeKindName(attribute.kind)));
  return true;
}

bool Parser::parseValueInfo(Bytes message, ValueInfo &value) {
  return eachField(message, "ValueInfoProto", [&](const WireField &field) {
    switch (field.number) {
    case 1:
      return readText(field, value.name);
    case 2:
      value.type = {};
      return field.type == WireType::Delimited && parseType(field.bytes, value.type);
    default:
      return true;
    }
  });
}

bool Parser::parseNode(Bytes message, Node &node) {
  bool whole = eachField(message, "NodeProto", [&](const WireField &field) {
    switch (field.number) {
    case 1:
      return appendText(field, node.inputs);
    case 2:
      return appendText(field, node.outputs);
    case 3:
      return readText(field, node.name);
    case 4:
      return readText(field, node.opType);
    case 5:
      return appendMessage(field, node.attributes, &Parser::parseAttribute);
    case 7:
      return readText(field, node.domain);
    case 8:
      return readText(field, node.overload);
    default:
      return true;
    }
  });
  node.domain = normalisedDomain(node.domain);
  // The innermost node names the place.
  if (problem && problem->op.empty() && problem->node.empty()) {
    problem->node = std::string(node.name);
    problem->op = std::string(node.opType);
  }
  return whole;
}

bool Parser::parseGraph(Bytes message, Graph &graph) {
  return eachNestedField(message, "GraphProto", [&](const WireField &field) {
    switch (field.number) {
    case 1:
      return appendMessage(field, graph.nodes, &Parser::parseNode);
    case 2:
      return readText(field, graph.name);
    case 5:
      return appendMessage(field, graph.initializers, &Parser::parseTensor);
    case 11:
      return appendMessage(field, graph.inputs, &Parser::parseValueInfo);
    case 12:
      return appendMessage(field, graph.outputs, &Parser::parseValueInfo);
    case 13:
      return appendMessage(field, graph.valueInfos, &Parser::parseValueInfo);
    case 15:
      return appendMessage(field, graph.sparseInitializers, &Parser::parseSparseTensor);
    default:
      return true;
    }
  });
}

bool Parser::parseDimension(Bytes message, Dimension &dimension) {
  return eachField(message, "TensorShapeProto.Dimension", [&](const WireField &field) {
    switch (field.number) {
    case 1:
      dimension.kind = int64_t(field.scalar) < 0 ? Dimension::Kind::Unknown : Dimension::Kind::Value;
      dimension.name = {};
      if (!readInt(field, dimension.value))
        return false;
      dimension.value = std::max<int64_t>(dimension.value, 0);
      return true;
    case 2:
      dimension.kind = field.bytes.empty() ? Dimension::Kind::Unknown : Dimension::Kind::Name;
      dimension.value = 0;
      return readText(field, dimension.name);
    default:
      return true;
    }
  });
}

/// The members of TypeProto.Tensor and TypeProto.SparseTensor, which are alike.
bool Parser::parseTensorType(Bytes message, TypeInfo &type) {
  return eachField(message, "TypeProto.Tensor", [&](const WireField &field) {
    int64_t number = 0;
    switch (field.number) {
    case 1:
      type.elementType = ElementType(int32_t(field.scalar));
      return readInt(field, number);
    case 2:
      type.hasShape = true;
      type.shape.clear();
      return field.type == WireType::Delimited &&
             eachField(field.bytes, "TensorShapeProto", [&](const WireField &dimension) {
               return dimension.number != 1 || appendMessage(dimension, type.shape, &Parser::parseDimension);
             });
    default:
      return true;
    }
  });
}

/// The members of TypeProto.Sequence and TypeProto.Optional (element type in field 1) and TypeProto.Map (key
/// 1, value type 2).
bool Parser::parseContainerType(Bytes message, TypeInfo &type) {
  bool isMap = type.kind == TypeInfo::Kind::Map;
  return eachField(message, "TypeProto", [&](const WireField &field) {
    int64_t number = 0;
    if (isMap && field.number == 1) {
      type.elementType = ElementType(int32_t(field.scalar));
      return readInt(field, number);
    }
    if (field.number != (isMap ? 2u : 1u))
      return true;
    type.nested.clear();
    return appendMessage(field, type.nested, &Parser::parseType);
  });
}

bool Parser::parseType(Bytes message, TypeInfo &type) {
  using Kind = TypeInfo::Kind;
  return eachNestedField(message, "TypeProto", [&](const WireField &field) {
    auto begin = [&](Kind kind) {
      type = {};
      type.kind = kind;
      return field.type == WireType::Delimited;
    };
    switch (field.number) {
    case 1:
      return begin(Kind::Tensor) && parseTensorType(field.bytes, type);
    case 8:
      return begin(Kind::SparseTensor) && parseTensorType(field.bytes, type);
    case 4:
      return begin(Kind::Sequence) && parseContainerType(field.bytes, type);
    case 9:
      return begin(Kind::Optional) && parseContainerType(field.bytes, type);
    case 5:
      return begin(Kind::Map) && parseContainerType(field.bytes, type);
    case 7:
      return begin(Kind::Opaque);
    default:
      return true;
    }
  });
}

bool Parser::parseEntry(Bytes message, MetadataEntry &entry) {
  return eachField(message, "StringStringEntryProto", [&](const WireField &field) {
    switch (field.number) {
    case 1:
      return readText(field, entry.key);
    case 2:
      return readText(field, entry.value);
    default:
      return true;
    }
  });
}

bool Parser::parseOpset(Bytes message, OpsetImport &opset) {
  bool whole = eachField(message, "OperatorSetIdProto", [&](const WireField &field) {
    switch (field.number) {
    case 1:
      return readText(field, opset.domain);
    case 2:
      return readInt(field, opset.version);
    default:
      return true;
    }
  });
  opset.domain = normalisedDomain(opset.domain);
  return whole;
}

/// Each domain once: "" and "ai.onnx" may both be there if they agree.
bool Parser::mergeOpsets(std::vector<OpsetImport> &opsets) {
  if (opsets.size() > 1000)
    return fail(1019, "more than a thousand domains are imported", "The model is wrong or hostile.");
  std::vector<OpsetImport> merged;
  for (const OpsetImport &opset : opsets) {
    auto same = [&](const OpsetImport &other) { return other.domain == opset.domain; };
    auto known = std::find_if(merged.begin(), merged.end(), same);
    if (known == merged.end())
      merged.push_back(opset);
    else if (known->version != opset.version)
      return fail(1019,
                  "the domain '" + std::string(opset.domain) + "' is imported at versions " +
                      std::to_string(known->version) + " and " + std::to_string(opset.version),
                  "Keep one opset import per domain.");
  }
  opsets = std::move(merged);
  return true;
}

bool Parser::parseFunction(Bytes message, Function &function) {
  auto appendName = [&](const WireField &field, std::vector<ValueInfo> &list) {
    ValueInfo *value = append(list);
    return value && readText(field, value->name);
  };
  bool whole = eachNestedField(message, "FunctionProto", [&](const WireField &field) {
    switch (field.number) {
    case 1:
      return readText(field, function.name);
    case 4:
      return appendName(field, function.body.inputs);
    case 5:
      return appendName(field, function.body.outputs);
    case 6:
      return appendText(field, function.attributeNames);
    case 7:
      return appendMessage(field, function.body.nodes, &Parser::parseNode);
    case 9:
      return appendMessage(field, function.opsets, &Parser::parseOpset);
    case 10:
      return readText(field, function.domain);
    case 11:
      return appendMessage(field, function.attributeDefaults, &Parser::parseAttribute);
    case 12:
      return appendMessage(field, function.body.valueInfos, &Parser::parseValueInfo);
    case 13:
      return readText(field, function.overload);
    default:
      return true;
    }
  });
  function.domain = normalisedDomain(function.domain);
  function.body.name = function.name;
  return whole && mergeOpsets(function.opsets);
}

bool Parser::parseModel(Bytes message, Model &model) {
  unsigned graphs = 0;
  bool whole = eachField(message, "ModelProto", [&](const WireField &field) {
    switch (field.number) {
    case 1:
      return readInt(field, model.irVersion);
    case 2:
      return readText(field, model.producerName);
    case 3:
      return readText(field, model.producerVersion);
    case 4:
      return readText(field, model.domain);
    case 5:
      return readInt(field, model.modelVersion);
    case 7:
      return field.type == WireType::Delimited && ++graphs == 1 ? parseGraph(field.bytes, model.graph)
                                                                : graphs > 1;
    case 8:
      return appendMessage(field, model.opsets, &Parser::parseOpset);
    case 14:
      return appendMessage(field, model.metadata, &Parser::parseEntry);
    case 25:
      return appendMessage(field, model.functions, &Parser::parseFunction);
    default:
      return true;
    }
  });
  if (!whole)
    return false;
  if (graphs != 1)
    return fail(1008, graphs ? "the file holds more than one graph" : "the file holds no graph",
                "It is not an ONNX model, or several files were joined; export it again.");
  return mergeOpsets(model.opsets);
}

} // namespace tilewright::onnx
