//===- OnnxWriter.h - ONNX models for tests, in C++ -------------*- C++ -*-===//
//
// Builds serialized ONNX messages with protozero, independently of our reader. Free functions make the small
// messages (tensors, attributes, types, nodes) as strings of bytes; GraphWriter and ModelWriter collect them:
//
//   GraphWriter graph("mlp");
//   graph.input("x", ElementType::Float32, {"N", 4})
//       .initializer(tensor<float>("w", {4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}))
//       .node("MatMul", {"x", "w"}, {"h"})
//       .node("Softmax", {"h"}, {"y"}, {attributeInt("axis", -1)})
//       .output("y", ElementType::Float32, {"N", 2});
//   std::string model = ModelWriter(graph).opset(17).bytes();
//
// Nothing is checked: tests write invalid models with it too. Field numbers are those of onnx.proto.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_TESTS_SUPPORT_ONNXWRITER_H
#define TILEWRIGHT_TESTS_SUPPORT_ONNXWRITER_H

#include "frontend/reader/OnnxModel.h"

#include <cstdio>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace tilewright::onnxwriter {

using onnx::ElementType;

/// A dimension of a declared shape: a size, a symbolic name, or "" for unknown.
struct Dim {
  std::variant<int64_t, std::string> value;
  Dim(int64_t size) : value(size) {}
  Dim(int size) : value(int64_t(size)) {}
  Dim(const char *name) : value(std::string(name)) {}
};
using Shape = std::vector<Dim>;
using Names = std::vector<std::string>;
using Messages = std::vector<std::string>;

/// One message: `fill` adds the fields to a protozero writer.
template <typename Fill> std::string message(Fill fill) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  fill(writer);
  return bytes;
}

/// The element type that holds a C++ type.
template <typename T> constexpr ElementType elementTypeOf() {
  if constexpr (std::is_same_v<T, bool>)
    return ElementType::Bool;
  else if constexpr (std::is_same_v<T, float>)
    return ElementType::Float32;
  else if constexpr (std::is_same_v<T, double>)
    return ElementType::Float64;
  else if constexpr (std::is_signed_v<T>)
    return sizeof(T) == 1   ? ElementType::Int8
           : sizeof(T) == 2 ? ElementType::Int16
           : sizeof(T) == 4 ? ElementType::Int32
                            : ElementType::Int64;
  else
    return sizeof(T) == 1   ? ElementType::UInt8
           : sizeof(T) == 2 ? ElementType::UInt16
           : sizeof(T) == 4 ? ElementType::UInt32
                            : ElementType::UInt64;
}

//===--- Tensors (TensorProto) --------------------------------------------===//

/// Name, shape and type; tests append a data field of their choice.
inline std::string tensorHeader(const std::string &name, ElementType type, const std::vector<int64_t> &dims) {
  return message([&](auto &w) {
    w.add_packed_int64(1, dims.begin(), dims.end());
    w.add_int32(2, int32_t(type));
    w.add_string(8, name);
  });
}

/// Stored as raw_data, which must be little-endian and packed as ONNX says.
inline std::string tensorRaw(const std::string &name, ElementType type, const std::vector<int64_t> &dims,
                             const std::string &raw) {
  return tensorHeader(name, type, dims) + message([&](auto &w) { w.add_bytes(9, raw); });
}

/// Stored as raw_data, from values of a C++ type.
template <typename T>
std::string tensor(const std::string &name, const std::vector<int64_t> &dims, const std::vector<T> &values) {
  std::string raw;
  for (T value : values)
    raw.append(reinterpret_cast<const char *>(&value), sizeof(T));
  return tensorRaw(name, elementTypeOf<T>(), dims, raw);
}

/// Stored as int32_data: 8- to 32-bit integers, bool, and the bits of the small float types.
inline std::string tensorInt32Data(const std::string &name, ElementType type,
                                   const std::vector<int64_t> &dims, const std::vector<int32_t> &values) {
  return tensorHeader(name, type, dims) +
         message([&](auto &w) { w.add_packed_int32(5, values.begin(), values.end()); });
}
inline std::string tensorFloatData(const std::string &name, ElementType type,
                                   const std::vector<int64_t> &dims, const std::vector<float> &values) {
  return tensorHeader(name, type, dims) +
         message([&](auto &w) { w.add_packed_float(4, values.begin(), values.end()); });
}
inline std::string tensorDoubleData(const std::string &name, ElementType type,
                                    const std::vector<int64_t> &dims, const std::vector<double> &values) {
  return tensorHeader(name, type, dims) +
         message([&](auto &w) { w.add_packed_double(10, values.begin(), values.end()); });
}
inline std::string tensorInt64Data(const std::string &name, const std::vector<int64_t> &dims,
                                   const std::vector<int64_t> &values) {
  return tensorHeader(name, ElementType::Int64, dims) +
         message([&](auto &w) { w.add_packed_int64(7, values.begin(), values.end()); });
}
inline std::string tensorUInt64Data(const std::string &name, ElementType type,
                                    const std::vector<int64_t> &dims, const std::vector<uint64_t> &values) {
  return tensorHeader(name, type, dims) +
         message([&](auto &w) { w.add_packed_uint64(11, values.begin(), values.end()); });
}
inline std::string tensorStrings(const std::string &name, const std::vector<int64_t> &dims,
                                 const Names &values) {
  return tensorHeader(name, ElementType::String, dims) + message([&](auto &w) {
           for (const std::string &value : values)
             w.add_bytes(6, value);
         });
}

/// A StringStringEntryProto.
inline std::string entry(const std::string &key, const std::string &value) {
  return message([&](auto &w) {
    w.add_string(1, key);
    w.add_string(2, value);
  });
}

/// Stored in another file. `keys` are external_data entries: {"location", "weights.bin"}, {"offset", "4096"},
/// ...
inline std::string tensorExternal(const std::string &name, ElementType type, const std::vector<int64_t> &dims,
                                  const std::vector<std::pair<std::string, std::string>> &keys) {
  return tensorHeader(name, type, dims) + message([&](auto &w) {
           for (const auto &[key, value] : keys)
             w.add_message(13, entry(key, value));
           w.add_enum(14, 1);
         });
}

/// A SparseTensorProto from two tensor messages.
inline std::string sparseTensor(const std::string &values, const std::string &indices,
                                const std::vector<int64_t> &dims) {
  return message([&](auto &w) {
    w.add_message(1, values);
    w.add_message(2, indices);
    w.add_packed_int64(3, dims.begin(), dims.end());
  });
}

//===--- Types (TypeProto) and values (ValueInfoProto) --------------------===//

inline std::string shapeProto(const Shape &shape) {
  return message([&](auto &w) {
    for (const Dim &dim : shape)
      w.add_message(1, message([&](auto &d) {
                      if (auto *size = std::get_if<int64_t>(&dim.value))
                        d.add_int64(1, *size);
                      else if (!std::get<std::string>(dim.value).empty())
                        d.add_string(2, std::get<std::string>(dim.value));
                    }));
  });
}

/// A tensor type of known rank.
inline std::string tensorType(ElementType type, const Shape &shape) {
  return message([&](auto &w) {
    w.add_message(1, message([&](auto &t) {
                    t.add_int32(1, int32_t(type));
                    t.add_message(2, shapeProto(shape));
                  }));
  });
}
/// A tensor type of unknown rank.
inline std::string tensorType(ElementType type) {
  return message(
      [&](auto &w) { w.add_message(1, message([&](auto &t) { t.add_int32(1, int32_t(type)); })); });
}
inline std::string sequenceType(const std::string &element) {
  return message([&](auto &w) { w.add_message(4, message([&](auto &t) { t.add_message(1, element); })); });
}
inline std::string optionalType(const std::string &element) {
  return message([&](auto &w) { w.add_message(9, message([&](auto &t) { t.add_message(1, element); })); });
}
inline std::string mapType(ElementType key, const std::string &value) {
  return message([&](auto &w) {
    w.add_message(5, message([&](auto &t) {
                    t.add_int32(1, int32_t(key));
                    t.add_message(2, value);
                  }));
  });
}

inline std::string valueInfo(const std::string &name, const std::string &type) {
  return message([&](auto &w) {
    w.add_string(1, name);
    if (!type.empty())
      w.add_message(2, type);
  });
}

//===--- Attributes (AttributeProto) --------------------------------------===//

/// `fill` adds the value field; `kind` is AttributeProto.AttributeType (0 leaves it out, as IR version 1
/// did).
template <typename Fill>
std::string attribute(const std::string &name, onnx::Attribute::Kind kind, Fill fill) {
  return message([&](auto &w) {
    w.add_string(1, name);
    fill(w);
    if (kind != onnx::Attribute::Kind::Undefined)
      w.add_enum(20, int32_t(kind));
  });
}
inline std::string attributeFloat(const std::string &name, float value) {
  return attribute(name, onnx::Attribute::Kind::Float, [&](auto &w) { w.add_float(2, value); });
}
inline std::string attributeInt(const std::string &name, int64_t value) {
  return attribute(name, onnx::Attribute::Kind::Int, [&](auto &w) { w.add_int64(3, value); });
}
inline std::string attributeString(const std::string &name, const std::string &value) {
  return attribute(name, onnx::Attribute::Kind::String, [&](auto &w) { w.add_bytes(4, value); });
}
inline std::string attributeTensor(const std::string &name, const std::string &tensor) {
  return attribute(name, onnx::Attribute::Kind::Tensor, [&](auto &w) { w.add_message(5, tensor); });
}
inline std::string attributeGraph(const std::string &name, const std::string &graph) {
  return attribute(name, onnx::Attribute::Kind::Graph, [&](auto &w) { w.add_message(6, graph); });
}
/// Not packed, as ONNX (proto2) writes it.
inline std::string attributeFloats(const std::string &name, const std::vector<float> &values) {
  return attribute(name, onnx::Attribute::Kind::Floats, [&](auto &w) {
    for (float value : values)
      w.add_float(7, value);
  });
}
/// Not packed, as ONNX (proto2) writes it.
inline std::string attributeInts(const std::string &name, const std::vector<int64_t> &values) {
  return attribute(name, onnx::Attribute::Kind::Ints, [&](auto &w) {
    for (int64_t value : values)
      w.add_int64(8, value);
  });
}
inline std::string attributeStrings(const std::string &name, const Names &values) {
  return attribute(name, onnx::Attribute::Kind::Strings, [&](auto &w) {
    for (const std::string &value : values)
      w.add_bytes(9, value);
  });
}
inline std::string attributeSparseTensor(const std::string &name, const std::string &sparse) {
  return attribute(name, onnx::Attribute::Kind::SparseTensor, [&](auto &w) { w.add_message(22, sparse); });
}
inline std::string attributeType(const std::string &name, const std::string &type) {
  return attribute(name, onnx::Attribute::Kind::TypeProto, [&](auto &w) { w.add_message(14, type); });
}
/// In a function body: the value is the caller's attribute `reference`.
inline std::string attributeReference(const std::string &name, const std::string &reference,
                                      onnx::Attribute::Kind kind) {
  return attribute(name, kind, [&](auto &w) { w.add_string(21, reference); });
}

//===--- Nodes, graphs, functions, models ---------------------------------===//

/// A NodeProto. Its name is the first output's, prefixed by "node_".
inline std::string node(const std::string &op, const Names &inputs, const Names &outputs,
                        const Messages &attributes = {}, const std::string &domain = {}) {
  return message([&](auto &w) {
    for (const std::string &input : inputs)
      w.add_string(1, input);
    for (const std::string &output : outputs)
      w.add_string(2, output);
    if (!outputs.empty())
      w.add_string(3, "node_" + outputs.front());
    w.add_string(4, op);
    for (const std::string &attribute : attributes)
      w.add_message(5, attribute);
    if (!domain.empty())
      w.add_string(7, domain);
  });
}

/// Collects a GraphProto; every call returns the writer itself.
class GraphWriter {
public:
  explicit GraphWriter(const std::string &name = "graph") { add(2, name); }

  GraphWriter &input(const std::string &name, ElementType type, const Shape &shape) {
    return add(11, valueInfo(name, tensorType(type, shape)));
  }
  GraphWriter &inputOfType(const std::string &name, const std::string &type) {
    return add(11, valueInfo(name, type));
  }
  GraphWriter &output(const std::string &name, ElementType type, const Shape &shape) {
    return add(12, valueInfo(name, tensorType(type, shape)));
  }
  GraphWriter &outputOfType(const std::string &name, const std::string &type) {
    return add(12, valueInfo(name, type));
  }
  /// An output whose type is left out.
  GraphWriter &output(const std::string &name) { return add(12, valueInfo(name, {})); }
  GraphWriter &value(const std::string &name, ElementType type, const Shape &shape) {
    return add(13, valueInfo(name, tensorType(type, shape)));
  }
  GraphWriter &initializer(const std::string &tensor) { return add(5, tensor); }
  GraphWriter &sparseInitializer(const std::string &sparse) { return add(15, sparse); }
  GraphWriter &node(const std::string &op, const Names &inputs, const Names &outputs,
                    const Messages &attributes = {}, const std::string &domain = {}) {
    return add(1, onnxwriter::node(op, inputs, outputs, attributes, domain));
  }
  /// Any field, for what has no function of its own.
  GraphWriter &add(uint32_t field, const std::string &bytes) {
    content += message([&](auto &w) { w.add_message(field, bytes); });
    return *this;
  }

  const std::string &bytes() const { return content; }
  operator const std::string &() const { return content; }

private:
  std::string content;
};

/// An OperatorSetIdProto.
inline std::string opsetImport(const std::string &domain, int64_t version) {
  return message([&](auto &w) {
    if (!domain.empty())
      w.add_string(1, domain);
    w.add_int64(2, version);
  });
}

/// Collects a FunctionProto.
class FunctionWriter {
public:
  FunctionWriter(const std::string &domain, const std::string &name, const Names &inputs,
                 const Names &outputs) {
    add(1, name).add(10, domain);
    for (const std::string &input : inputs)
      add(4, input);
    for (const std::string &output : outputs)
      add(5, output);
  }
  FunctionWriter &opset(int64_t version, const std::string &domain = {}) {
    return add(9, opsetImport(domain, version));
  }
  FunctionWriter &attributeName(const std::string &name) { return add(6, name); }
  FunctionWriter &attributeDefault(const std::string &attribute) { return add(11, attribute); }
  FunctionWriter &node(const std::string &op, const Names &inputs, const Names &outputs,
                       const Messages &attributes = {}, const std::string &domain = {}) {
    return add(7, onnxwriter::node(op, inputs, outputs, attributes, domain));
  }
  FunctionWriter &add(uint32_t field, const std::string &bytes) {
    content += message([&](auto &w) { w.add_message(field, bytes); });
    return *this;
  }
  const std::string &bytes() const { return content; }

private:
  std::string content;
};

/// Collects a ModelProto. A model without any call of opset() imports opset 17.
class ModelWriter {
public:
  explicit ModelWriter(const std::string &graph) {
    content = message([&](auto &w) {
      w.add_int64(1, 9);
      w.add_string(2, "tilewright tests");
      w.add_message(7, graph);
    });
  }
  ModelWriter &opset(int64_t version, const std::string &domain = {}) {
    hasOpset = true;
    return add(8, opsetImport(domain, version));
  }
  ModelWriter &withoutOpset() {
    hasOpset = true;
    return *this;
  }
  ModelWriter &function(const FunctionWriter &function) { return add(25, function.bytes()); }
  ModelWriter &metadata(const std::string &key, const std::string &value) {
    return add(14, entry(key, value));
  }
  ModelWriter &add(uint32_t field, const std::string &bytes) {
    content += message([&](auto &w) { w.add_message(field, bytes); });
    return *this;
  }

  std::string bytes() const {
    return hasOpset ? content : content + message([](auto &w) { w.add_message(8, opsetImport({}, 17)); });
  }
  /// False when the file cannot be written.
  bool save(const std::string &path) const {
    std::FILE *file = std::fopen(path.c_str(), "wb");
    if (!file)
      return false;
    std::string all = bytes();
    bool whole = std::fwrite(all.data(), 1, all.size(), file) == all.size();
    return std::fclose(file) == 0 && whole;
  }

private:
  std::string content;
  bool hasOpset = false;
};

} // namespace tilewright::onnxwriter

#endif // TILEWRIGHT_TESTS_SUPPORT_ONNXWRITER_H
