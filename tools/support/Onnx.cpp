#include "Onnx.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

// Wrong wire types in a hostile file are data, not bugs: protozero bounds every access without its
// assertions.
#define protozero_assert(condition) static_cast<void>(0)
#include <protozero/pbf_reader.hpp>

namespace tilewright::tools {

namespace {

/// The fields of a TensorProto, numbers widened to 64 bits.
struct TensorFields {
  std::vector<int64_t> dims;
  int32_t dtype = 0;
  bool external = false, hasRaw = false;
  protozero::data_view raw;
  std::vector<uint64_t> integers; ///< int32_data, int64_data or uint64_data
  std::vector<float> floats;
  std::vector<double> doubles;
  std::vector<std::string> strings;
};

} // namespace

static Diagnostic damaged(const std::string &what, const std::string &why) {
  return invalidProblem("TW5401", fmt::format("'{}' is not a readable ONNX file: {}", what, why));
}

/// Repeated numbers come packed, or one at a time from old writers.
template <typename T, typename Packed, typename Single>
static void readRepeated(protozero::pbf_reader &message, std::vector<T> &values, Packed packed,
                         Single single) {
  if (message.wire_type() == protozero::pbf_wire_type::length_delimited) {
    for (auto value : (message.*packed)())
      values.push_back(static_cast<T>(value));
  } else {
    values.push_back(static_cast<T>((message.*single)()));
  }
}

static void readTensorField(protozero::pbf_reader &message, TensorFields &fields) {
  using Reader = protozero::pbf_reader;
  switch (message.tag()) {
  case 1:
    return readRepeated(message, fields.dims, &Reader::get_packed_int64, &Reader::get_int64);
  case 2:
    fields.dtype = message.get_int32();
    return;
  case 4:
    return readRepeated(message, fields.floats, &Reader::get_packed_float, &Reader::get_float);
  case 5:
    return readRepeated(message, fields.integers, &Reader::get_packed_int32, &Reader::get_int32);
  case 6:
    fields.strings.push_back(message.get_string());
    return;
  case 7:
    return readRepeated(message, fields.integers, &Reader::get_packed_int64, &Reader::get_int64);
  case 9:
    fields.raw = message.get_view();
    fields.hasRaw = true;
    return;
  case 10:
    return readRepeated(message, fields.doubles, &Reader::get_packed_double, &Reader::get_double);
  case 11:
    return readRepeated(message, fields.integers, &Reader::get_packed_uint64, &Reader::get_uint64);
  case 14:
    fields.external = message.get_enum() != 0;
    return;
  default:
    message.skip();
  }
}

/// Bits that one element takes in raw_data and int32_data.
static size_t storedBits(tw_dtype dtype) {
  switch (dtype) {
  case TW_U4:
  case TW_I4:
  case TW_F4E2M1:
    return 4;
  case TW_U2:
  case TW_I2:
    return 2;
  default:
    return 8 * tw_dtype_bytes(dtype);
  }
}

/// Unpack elements of two or four bits, lowest bits first, to one per byte; int4 and int2 are sign-extended.
static void unpackBits(tw_dtype dtype, const std::byte *packed, std::byte *target, size_t count) {
  size_t bits = storedBits(dtype), perByte = 8 / bits;
  bool isSigned = dtype == TW_I4 || dtype == TW_I2;
  for (size_t i = 0; i < count; ++i) {
    auto value =
        std::to_integer<uint32_t>(packed[i / perByte]) >> (bits * (i % perByte)) & ((1u << bits) - 1);
    if (isSigned && value >> (bits - 1))
      value |= 0xffu << bits;
    target[i] = static_cast<std::byte>(value);
  }
}

/// The stored bytes of all elements: raw_data as it is, or the typed field narrowed to the element type.
static std::vector<std::byte> storedBytes(const TensorFields &fields, tw_dtype dtype) {
  std::vector<std::byte> bytes;
  auto append = [&](const auto &values, size_t width) {
    bytes.resize(values.size() * width);
    for (size_t i = 0; i < values.size(); ++i)
      std::memcpy(bytes.data() + i * width, &values[i], width);
  };
  if (fields.hasRaw) {
    auto view = std::as_bytes(std::span(fields.raw.data(), fields.raw.size()));
    bytes.assign(view.begin(), view.end());
  } else if (dtype == TW_F32 || dtype == TW_C64) {
    append(fields.floats, 4);
  } else if (dtype == TW_F64 || dtype == TW_C128) {
    append(fields.doubles, 8);
  } else {
    // The low bytes of a widened integer are the element: this machine is little-endian.
    append(fields.integers, std::max<size_t>(1, storedBits(dtype) / 8));
  }
  return bytes;
}

static Result<Tensor> assemble(const TensorFields &fields, const std::string &what) {
  auto dtype = static_cast<tw_dtype>(fields.dtype);
  Tensor tensor{dtype, fields.dims, {}, {}};
  if (fields.dtype <= TW_UNDEFINED || fields.dtype > TW_I2)
    return damaged(what, fmt::format("element type {} is not known", fields.dtype));
  auto count = checkedElementCount(fields.dims, std::max<size_t>(1, tw_dtype_bytes(dtype)));
  if (!count || fields.dims.size() > TW_MAX_RANK)
    return damaged(what, "its shape is impossible");
  if (fields.external)
    return damaged(what, "its data lies in another file");
  if (dtype == TW_STRING) {
    if (fields.strings.size() != *count)
      return damaged(what, fmt::format("{} strings where {} are needed", fields.strings.size(), *count));
    tensor.strings = fields.strings;
    return tensor;
  }
  auto stored = storedBytes(fields, dtype);
  size_t bits = storedBits(dtype),
         needed = bits < 8 ? (*count + 8 / bits - 1) / (8 / bits) : *count * (bits / 8);
  if (stored.size() != needed)
    return damaged(what, fmt::format("{} bytes of elements where {} are needed", stored.size(), needed));
  auto buffer = allocate(*count * tw_dtype_bytes(dtype));
  if (!buffer)
    return buffer.problem();
  if (bits < 8)
    unpackBits(dtype, stored.data(), buffer->data, *count);
  else if (!stored.empty())
    std::memcpy(buffer->data, stored.data(), stored.size());
  tensor.bytes = buffer->bytes;
  return tensor;
}

static protozero::pbf_reader readerOf(std::span<const std::byte> bytes) {
  return protozero::pbf_reader(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

Result<Tensor> readTensorProto(std::span<const std::byte> bytes, const std::string &what) {
  TensorFields fields;
  try {
    for (auto message = readerOf(bytes); message.next();)
      readTensorField(message, fields);
  } catch (const protozero::exception &e) {
    return damaged(what, e.what());
  }
  return assemble(fields, what);
}

/// The kind of a TypeProto: which member of its oneof is set.
static std::string kindOf(protozero::pbf_reader type) {
  std::string kind = "unknown";
  while (type.next()) {
    switch (type.tag()) {
    case 1:
      kind = "tensor";
      break;
    case 4:
      kind = "sequence";
      break;
    case 5:
      kind = "map";
      break;
    case 8:
      kind = "sparse tensor";
      break;
    case 9:
      kind = "optional";
      break;
    }
    type.skip();
  }
  return kind;
}

static ValueDeclaration readValueInfo(protozero::pbf_reader info) {
  ValueDeclaration declaration{"", "unknown"};
  while (info.next()) {
    if (info.tag() == 1)
      declaration.name = info.get_string();
    else if (info.tag() == 2)
      declaration.kind = kindOf(info.get_message());
    else
      info.skip();
  }
  return declaration;
}

/// Field `tag` of a message, a string; "" when it is missing.
static std::string stringField(protozero::pbf_reader message, uint32_t tag) {
  std::string text;
  while (message.next(tag))
    text = message.get_string();
  return text;
}

static void readGraph(protozero::pbf_reader graph, ModelSignature &signature) {
  constexpr uint32_t initialiser = 5, input = 11, output = 12, sparseInitialiser = 15;
  while (graph.next()) {
    switch (graph.tag()) {
    case initialiser:
      signature.initialisers.push_back(stringField(graph.get_message(), 8));
      break;
    case sparseInitialiser:
      for (auto sparse = graph.get_message(); sparse.next(1);)
        signature.initialisers.push_back(stringField(sparse.get_message(), 8));
      break;
    case input:
      signature.inputs.push_back(readValueInfo(graph.get_message()));
      break;
    case output:
      signature.outputs.push_back(readValueInfo(graph.get_message()));
      break;
    default:
      graph.skip();
    }
  }
}

bool ModelSignature::isInitialiser(const std::string &name) const {
  return std::find(initialisers.begin(), initialisers.end(), name) != initialisers.end();
}

Result<ModelSignature> readModelSignature(std::span<const std::byte> bytes, const std::string &what) {
  ModelSignature signature;
  try {
    for (auto model = readerOf(bytes); model.next();) {
      if (model.tag() == 7)
        readGraph(model.get_message(), signature);
      else
        model.skip();
    }
  } catch (const protozero::exception &e) {
    return damaged(what, e.what());
  }
  return signature;
}

} // namespace tilewright::tools
