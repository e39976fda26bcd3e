//===- OnnxModel.cpp - lookups, and the ways into the reader --------------===//

#include "frontend/reader/OnnxModel.h"

#include "frontend/reader/MappedFile.h"
#include "frontend/reader/Parser.h"

#include <algorithm>

namespace tilewright::onnx {

namespace {

struct ElementFacts {
  std::string_view name;
  unsigned bits;
};

/// By TensorProto.DataType.
constexpr ElementFacts elementTable[] = {
    {"undefined", 0},      {"float", 32},    {"uint8", 8},        {"int8", 8},           {"uint16", 16},
    {"int16", 16},         {"int32", 32},    {"int64", 64},       {"string", 0},         {"bool", 8},
    {"float16", 16},       {"double", 64},   {"uint32", 32},      {"uint64", 64},        {"complex64", 64},
    {"complex128", 128},   {"bfloat16", 16}, {"float8e4m3fn", 8}, {"float8e4m3fnuz", 8}, {"float8e5m2", 8},
    {"float8e5m2fnuz", 8}, {"uint4", 4},     {"int4", 4},         {"float4e2m1", 4},     {"float8e8m0", 8},
    {"uint2", 2},          {"int2", 2},      {"float6e2m3", 6},   {"float6e3m2", 6},
};

const ElementFacts &factsOf(ElementType type) {
  auto number = uint32_t(type);
  return elementTable[number < std::size(elementTable) ? number : 0];
}

/// A name from a hostile file, fit for one line on a terminal.
std::string printable(const std::string &text) {
  std::string clean;
  for (char c : text.substr(0, 200))
    clean += (unsigned char)c < 0x20 || c == 0x7f ? '?' : c;
  return text.size() > 200 ? clean + "..." : clean;
}

/// The folder that external data of the model at `path` must lie below.
std::string folderOf(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

/// Files that people hand over by mistake, by their first bytes.
std::optional<Error> recogniseOther(Bytes bytes) {
  struct Known {
    std::string_view start;
    const char *what, *hint;
  };
  static constexpr Known others[] = {
      {"version https://git-lfs", "a Git LFS pointer, not the model itself",
       "Run 'git lfs pull' to fetch the model."},
      {"<!DOCTYPE", "an HTML page", "The download failed; fetch the file itself, not its page."},
      {"<html", "an HTML page", "The download failed; fetch the file itself, not its page."},
      {"PK\x03\x04", "a zip archive (or a PyTorch checkpoint)", "Unpack it, or export the model to ONNX."},
      {"\x7f"
       "ELF",
       "a program or library", "A compiled model can be run as it is."},
      {"\x1f\x8b", "gzip-compressed", "Decompress it first."},
  };
  for (const Known &known : others)
    if (asText(bytes).starts_with(known.start))
      return Error{.code = 1004, .message = std::string("the file is ") + known.what, .hint = known.hint};
  if (bytes.empty())
    return Error{.code = 1003, .message = "the file is empty", .hint = "Fetch or export the model again."};
  return std::nullopt;
}

/// Fill functionIndex; functions must differ in domain, name or overload.
std::optional<Error> indexFunctions(Model &model) {
  for (const Function &function : model.functions) {
    std::array<std::string_view, 3> key = {function.domain, function.name, function.overload};
    if (function.name.empty() || !model.functionIndex.emplace(key, &function).second)
      return Error{.code = 1026,
                   .message = function.name.empty() ? "a model-local function has no name"
                                                    : "the model-local function '" +
                                                          std::string(function.name) + "' is defined twice",
                   .hint = "Export the model again; domain, name and overload together must be unique."};
  }
  return std::nullopt;
}

Result<std::unique_ptr<Model>> parse(std::unique_ptr<Model> model, Bytes bytes, const ReadLimits &limits) {
  if (std::optional<Error> error = recogniseOther(bytes))
    return *error;
  Parser parser(bytes, model->files.get(), limits);
  if (!parser.parseModel(bytes, *model))
    return parser.error();
  if (std::optional<Error> error = indexFunctions(*model))
    return *error;
  return model;
}

} // namespace

unsigned elementBits(ElementType type) { return factsOf(type).bits; }

std::string_view elementTypeName(ElementType type) { return factsOf(type).name; }

std::optional<uint64_t> packedBytes(ElementType type, uint64_t count) {
  uint64_t bits;
  if (elementBits(type) == 0 || __builtin_mul_overflow(count, elementBits(type), &bits))
    return std::nullopt;
  return bits / 8 + (bits % 8 != 0);
}

std::string_view attributeKindName(Attribute::Kind kind) {
  static constexpr std::string_view names[] = {
      "UNDEFINED", "FLOAT",   "INT",    "STRING",        "TENSOR",         "GRAPH",      "FLOATS",     "INTS",
      "STRINGS",   "TENSORS", "GRAPHS", "SPARSE_TENSOR", "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS"};
  return names[unsigned(kind)];
}

std::string Error::text() const {
  std::string place;
  auto add = [&](const std::string &part) { place += (place.empty() ? " (" : ", ") + part; };
  if (!node.empty())
    add("node '" + printable(node) + "'");
  if (!op.empty())
    add("op " + printable(op));
  if (!tensor.empty())
    add("tensor '" + printable(tensor) + "'");
  std::string text = codeText() + ": " + printable(message) + place + (place.empty() ? "" : ")");
  return hint.empty() ? text : text + ". " + hint;
}

const Graph &Attribute::graph() const { return graphs.front(); }

const Attribute *Node::attribute(std::string_view attributeName) const {
  auto found = std::find_if(attributes.begin(), attributes.end(),
                            [&](const Attribute &attribute) { return attribute.name == attributeName; });
  return found == attributes.end() ? nullptr : &*found;
}

const Tensor *Graph::initializer(std::string_view tensorName) const {
  auto found = std::find_if(initializers.begin(), initializers.end(),
                            [&](const Tensor &tensor) { return tensor.name == tensorName; });
  return found == initializers.end() ? nullptr : &*found;
}

Model::Model() = default;
Model::~Model() = default;
ValueFile::ValueFile() = default;
ValueFile::~ValueFile() = default;

tilewright::files::ReadFiles Model::readFiles() const {
  tilewright::files::ReadFiles read;
  if (file)
    read.add(file->facts(), path);
  if (files)
    files->note(read);
  return read;
}

std::optional<int64_t> Model::opsetOf(const Node &node, const Function *within) const {
  auto lookUp = [&](const std::vector<OpsetImport> &imports) -> std::optional<int64_t> {
    for (const OpsetImport &import : imports)
      if (import.domain == node.domain)
        return import.version;
    return std::nullopt;
  };
  std::optional<int64_t> version = within ? lookUp(within->opsets) : std::nullopt;
  return version ? version : lookUp(opsets);
}

const Function *Model::functionOf(const Node &node) const {
  auto found = functionIndex.find({node.domain, node.opType, node.overload});
  return found == functionIndex.end() ? nullptr : found->second;
}

Result<std::unique_ptr<Model>> readModel(const std::string &path, const ReadLimits &limits) {
  auto file = MappedFile::open(path);
  if (!file)
    return file.error();
  auto model = std::make_unique<Model>();
  model->path = path;
  model->file = std::move(*file);
  model->files = std::make_unique<ExternalFiles>(folderOf(path));
  // Parsing jumps from weight to weight: read-ahead would fetch what nobody reads yet. Measured from a cold
  // disk with GPT-2 (650 MB): 5 to 13 ms instead of 300. Reading the weights afterwards wants read-ahead
  // again.
  const MappedFile &mapped = *model->file;
  mapped.expectJumps(true);
  auto result = parse(std::move(model), mapped.bytes(), limits);
  if (result)
    mapped.expectJumps(false);
  return result;
}

Result<std::unique_ptr<Model>> readModel(std::span<const std::byte> bytes, const ReadLimits &limits,
                                         const std::string &externalFolder) {
  auto model = std::make_unique<Model>();
  model->files = std::make_unique<ExternalFiles>(externalFolder);
  return parse(std::move(model), bytes, limits);
}

Result<std::unique_ptr<ValueFile>> readValue(const std::string &path, const TypeInfo &type,
                                             const ReadLimits &limits) {
  auto file = MappedFile::open(path);
  if (!file)
    return file.error();
  auto value = std::make_unique<ValueFile>();
  value->file = std::move(*file);
  value->kind = type.kind;
  Bytes bytes = value->file->bytes();
  Parser parser(bytes, nullptr, limits);
  bool whole = false;
  switch (type.kind) {
  case TypeInfo::Kind::Tensor:
    whole = parser.parseTensor(bytes, value->tensors.emplace_back());
    break;
  case TypeInfo::Kind::Sequence:
    whole = parser.parseSequence(bytes, value->tensors);
    break;
  case TypeInfo::Kind::Optional:
    whole = parser.parseOptional(bytes, *value);
    break;
  default:
    return Error{.code = 1012,
                 .status = Status::Unsupported,
                 .message = "'" + path + "' is declared neither tensor, sequence nor optional",
                 .hint = "Other values cannot be read from files."};
  }
  if (!whole)
    return parser.error();
  return value;
}

} // namespace tilewright::onnx
