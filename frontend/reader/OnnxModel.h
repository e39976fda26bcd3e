//===- OnnxModel.h - an ONNX file as plain structs over a mapping -*- C++ -*-===//
//
// readModel() maps the file and reads its protobuf wire format in place. Every std::string_view and std::span
// below points into that mapping (or into the external data files the Model keeps open), so the Model must
// outlive whatever was read from it. Nothing large is copied: raw_data stays where it lies, typed data
// (float_data, ...) is decoded on demand.
//
// What a Model that was read without error guarantees:
//   - the wire format is whole, nesting is at most ReadLimits::maxDepth deep;
//   - every Tensor has a known element type, dimensions >= 0, an element count that fits 63 bits, and, where
//   the bytes are raw or external
//     with a declared length, exactly as many bytes as its shape needs;
//   - domains are normalised: "ai.onnx" reads as "".
// What it does not guarantee, checkModel() does: names defined once and before use, operators within the
// supported opsets.
//
// Threads: a Model may be read from any number of threads at once (external files open under a lock). Only
// checkModel() changes it. A file that another process shortens while it is mapped ends this process with
// SIGBUS, as for every mapped file.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_FRONTEND_READER_ONNXMODEL_H
#define TILEWRIGHT_FRONTEND_READER_ONNXMODEL_H

#include "files/ReadFiles.h"
#include "frontend/reader/Result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tilewright::onnx {

class ExternalFiles;
class MappedFile;

/// TensorProto.DataType: the numbers are ONNX's.
enum class ElementType : int32_t {
  Undefined = 0,
  Float32 = 1,
  UInt8 = 2,
  Int8 = 3,
  UInt16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Float64 = 11,
  UInt32 = 12,
  UInt64 = 13,
  Complex64 = 14,
  Complex128 = 15,
  BFloat16 = 16,
  Float8E4M3FN = 17,
  Float8E4M3FNUZ = 18,
  Float8E5M2 = 19,
  Float8E5M2FNUZ = 20,
  UInt4 = 21,
  Int4 = 22,
  Float4E2M1 = 23,
  Float8E8M0 = 24,
  UInt2 = 25,
  Int2 = 26,
  Float6E2M3 = 27,
  Float6E3M2 = 28,
};

/// Width of one element in bits as ONNX packs it; 0 for Undefined, String and unknown numbers.
unsigned elementBits(ElementType type);
/// ONNX's spelling in lower case: "float", "int64", "bfloat16", "uint4"; "undefined" for unknown numbers.
std::string_view elementTypeName(ElementType type);
/// Bytes that `count` densely packed elements take: ceil(count * bits / 8). Nothing when that overflows or
/// the type has no fixed width.
std::optional<uint64_t> packedBytes(ElementType type, uint64_t count);

/// Bounds on what a file may make us do. The defaults admit every real model we know of.
struct ReadLimits {
  unsigned maxDepth = 64; ///< nesting of subgraphs, and of sequence/optional/map types
  uint64_t maxStructureBytes =
      4ull << 30; ///< memory for the decoded structure (nodes, names, attribute lists; never weights)
  uint64_t maxCalledNodes =
      1ull << 18; ///< nodes after all calls of model-local functions are inlined (checkModel)
};

/// A constant: shape, type, and where its bytes are. Nothing is decoded before it is asked for.
struct Tensor {
  enum class Storage : uint8_t {
    Raw,   ///< `bytes`: little-endian elements in the model file (any alignment)
    Typed, ///< float_data, int32_data, string_data, ...: `bytes` is the whole TensorProto, decoded by read()
           ///< / readStrings()
    External, ///< another file, opened on first use
  };
  std::string_view name;
  ElementType elementType = ElementType::Undefined;
  Storage storage = Storage::Typed;
  std::vector<int64_t> dims;
  uint64_t elementCount = 0; ///< product of dims; 1 for a scalar

  std::span<const std::byte> bytes;
  std::string_view location;   ///< External: path below the model's folder, as written in the model
  uint64_t externalOffset = 0; ///< External: bytes from the start of that file
  ExternalFiles *files = nullptr;

  /// Bytes of the dense little-endian form (sub-byte types packed as in raw_data). 0 for strings.
  uint64_t byteSize() const;

  /// The dense form without copying it: for Raw and External storage a view into the mapped file, at any
  /// alignment; for Typed nothing. Fails when external data is missing, forbidden, or too short. Lives as
  /// long as the Model.
  Result<std::optional<std::span<const std::byte>>> view() const;

  /// The dense form: little-endian elements, row-major; bool one byte each (0 or 1); types below 8 bits
  /// packed from the least significant bit as in raw_data, padding bits zero. The same bytes whichever way
  /// the model stored them. Refuses more than `limit` bytes, and strings.
  Result<std::vector<std::byte>> read(uint64_t limit = uint64_t(1) << 40) const;

  /// The elements of a string tensor, as views.
  Result<std::vector<std::string_view>> readStrings() const;

  /// The dense form converted to int64, for small integer constants (shapes, axes, steps): accepts int and
  /// uint of 8 to 64 bits, and bool.
  Result<std::vector<int64_t>> readInts(uint64_t maxCount = 1 << 20) const;
};

/// COO: `values` of shape [N], `indices` int64 of shape [N] (linear) or [N, rank], sorted and unique.
struct SparseTensor {
  Tensor values; ///< its name is the name of the sparse tensor
  Tensor indices;
  std::vector<int64_t> dims;
  uint64_t elementCount = 0;

  /// The dense form, as Tensor::read gives it, zeros filled in. Checks that every index is in range. Refuses
  /// types below 8 bits and strings.
  Result<std::vector<std::byte>> read(uint64_t limit = uint64_t(1) << 32) const;
};

/// One dimension of a declared shape.
struct Dimension {
  enum class Kind : uint8_t { Unknown, Value, Name };
  Kind kind = Kind::Unknown; ///< negative values (an old exporters' habit) read as Unknown
  int64_t value = 0;         ///< Kind::Value: >= 0
  std::string_view name;     ///< Kind::Name: the symbolic name, not empty
};

/// A declared type. For intermediates and outputs a hint, never a fact.
struct TypeInfo {
  enum class Kind : uint8_t { Unknown, Tensor, SparseTensor, Sequence, Optional, Map, Opaque };
  Kind kind = Kind::Unknown;
  bool hasShape = false; ///< false: the rank is unknown too
  ElementType elementType =
      ElementType::Undefined; ///< Tensor, SparseTensor: the elements (may be Undefined); Map: the keys
  std::vector<Dimension> shape;
  std::vector<TypeInfo>
      nested; ///< Sequence, Optional: the element type; Map: the value type. At most one, none when left out
};

struct ValueInfo {
  std::string_view name;
  TypeInfo type;
};

struct Graph;

/// An attribute. `kind` says which member holds it; a kind that the file leaves out is inferred from the
/// member that is present.
struct Attribute {
  enum class Kind : uint8_t {
    Undefined = 0, ///< only when refAttrName is set and the file gives no type
    Float = 1,
    Int = 2,
    String = 3,
    Tensor = 4,
    Graph = 5,
    Floats = 6,
    Ints = 7,
    Strings = 8,
    Tensors = 9,
    Graphs = 10,
    SparseTensor = 11,
    SparseTensors = 12,
    TypeProto = 13,
    TypeProtos = 14,
  };
  std::string_view name;
  std::string_view
      refAttrName; ///< not empty only in function bodies: the value is the caller's attribute of this name
  Kind kind = Kind::Undefined;
  float f = 0;
  int64_t i = 0;
  std::string_view s;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string_view> strings;
  // The singular kinds hold exactly one element here.
  std::vector<Tensor> tensors;
  std::vector<Graph> graphs;
  std::vector<TypeInfo> types;
  std::vector<SparseTensor> sparseTensors;

  const Tensor &tensor() const { return tensors.front(); }                   ///< Kind::Tensor
  const Graph &graph() const;                                                ///< Kind::Graph
  const TypeInfo &type() const { return types.front(); }                     ///< Kind::TypeProto
  const SparseTensor &sparseTensor() const { return sparseTensors.front(); } ///< Kind::SparseTensor
};
/// "INT", "FLOATS", "TENSOR": ONNX's spelling.
std::string_view attributeKindName(Attribute::Kind kind);

struct Node {
  std::string_view name; ///< may be empty or shared by several nodes
  std::string_view opType;
  std::string_view domain;               ///< "" for ONNX's own operators
  std::string_view overload;             ///< selects one of several model-local functions; usually empty
  std::vector<std::string_view> inputs;  ///< "" for an optional input left out
  std::vector<std::string_view> outputs; ///< "" for an optional output left out
  std::vector<Attribute> attributes;

  /// The attribute of that name, or null.
  const Attribute *attribute(std::string_view attributeName) const;
};

struct Graph {
  std::string_view name;
  std::vector<Node> nodes; ///< in file order; in a valid execution order after checkModel()
  std::vector<Tensor> initializers;
  std::vector<SparseTensor> sparseInitializers;
  std::vector<ValueInfo> inputs; ///< initializers of the same name are their default values
  std::vector<ValueInfo> outputs;
  std::vector<ValueInfo> valueInfos; ///< hints for intermediates

  /// The initializer of that name, or null. Linear; importers keep a map of their own.
  const Tensor *initializer(std::string_view tensorName) const;
};

struct OpsetImport {
  std::string_view domain; ///< normalised
  int64_t version = 0;
};

/// A model-local function. `body` has its inputs and outputs by name only, its nodes, and type hints; never
/// initializers. Functions cannot see values outside their body.
struct Function {
  std::string_view name, domain, overload;
  std::vector<std::string_view>
      attributeNames; ///< attributes without a default; the caller may leave them out
  std::vector<Attribute> attributeDefaults;
  std::vector<OpsetImport>
      opsets; ///< what the body's nodes refer to; domains missing here are looked up in the model's
  Graph body;
};

struct MetadataEntry {
  std::string_view key, value;
};

/// The oldest and newest opset of the default domain that checkModel() admits.
constexpr int64_t oldestOpset = 1, newestOpset = 28;

struct Model {
  Model();
  ~Model();
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;

  std::string path; ///< as given to readModel; for messages
  int64_t irVersion = 0;
  std::string_view producerName, producerVersion, domain;
  int64_t modelVersion = 0;
  std::vector<OpsetImport> opsets; ///< normalised, each domain once
  Graph graph;
  std::vector<Function> functions;
  std::vector<MetadataEntry> metadata;

  /// The opset version that gives `node` its meaning: as imported by `within` (the function whose body it is
  /// in, at any depth of subgraphs), else by the model. Nothing when neither imports the node's domain.
  std::optional<int64_t> opsetOf(const Node &node, const Function *within = nullptr) const;

  /// The model-local function that `node` calls, or null: the same domain, name and overload.
  const Function *functionOf(const Node &node) const;

  /// Functions by domain, name and overload; built by readModel. Each occurs once.
  std::map<std::array<std::string_view, 3>, const Function *> functionIndex;
  std::shared_ptr<const MappedFile> file; ///< keeps the views alive; null when read from memory
  std::unique_ptr<ExternalFiles> files;   ///< external data, mapped on first use

  /// The model's file and all that its tensors refer to.
  tilewright::files::ReadFiles readFiles() const;
};

/// Map and read the model at `path`, which must be a regular file (or a link to one). External data is looked
/// for below its folder when it is used, never here. Errors: TW1001 to TW1019. Time is linear in the
/// structure, independent of the weights.
Result<std::unique_ptr<Model>> readModel(const std::string &path, const ReadLimits &limits = {});

/// The same from memory, which must stay alive as long as the Model. External data is refused unless
/// `externalFolder` is given.
Result<std::unique_ptr<Model>> readModel(std::span<const std::byte> bytes, const ReadLimits &limits = {},
                                         const std::string &externalFolder = {});

/// Check every graph, subgraph and function body, and put nodes into execution order where the file did not
/// (stable: a sorted graph is not touched). Returns all problems found, empty when the model is sound:
///   every value is defined exactly once per graph (an initializer may share the name of a graph input),
///   every name that is used is defined in the graph or one around it, no cycles among nodes or function
///   calls, graph outputs exist, operators have names, every domain is imported, opsets of the default domain
///   are within oldestOpset..newestOpset, calls expand to at most maxCalledNodes nodes.
/// Inner graphs may reuse outer names (the inner definition wins), as exporters do.
std::vector<Error> checkModel(Model &model, const ReadLimits &limits = {});

/// A tensor, or a sequence or optional of them, as ONNX's test data files (input_0.pb) hold them.
struct ValueFile {
  ValueFile();
  ~ValueFile();
  TypeInfo::Kind kind = TypeInfo::Kind::Tensor; ///< Tensor, Sequence or Optional
  bool present = true;                          ///< Optional: whether it holds something
  std::vector<Tensor> tensors;                  ///< the elements; one for Tensor
  std::unique_ptr<MappedFile> file;
};

/// Read a serialized TensorProto, SequenceProto (of tensors) or OptionalProto (of a tensor or of a sequence
/// of tensors): the wire format does not say which it is, so the caller does. External data is refused.
Result<std::unique_ptr<ValueFile>> readValue(const std::string &path, const TypeInfo &type,
                                             const ReadLimits &limits = {});

} // namespace tilewright::onnx

#endif // TILEWRIGHT_FRONTEND_READER_ONNXMODEL_H
