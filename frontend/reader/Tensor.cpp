//===- Tensor.cpp - the dense form of tensors, however they are stored ----===//
//
// Raw and external bytes are already dense. Typed data is one field of the TensorProto, packed or not,
// possibly in several pieces: it is found again by scanning the message, so nothing has to be remembered per
// element.
//===----------------------------------------------------------------------===//

#include "frontend/reader/MappedFile.h"
#include "frontend/reader/OnnxModel.h"
#include "frontend/reader/WireReader.h"

#include <algorithm>

namespace tilewright::onnx {

namespace {

constexpr uint32_t floatData = 4, int32Data = 5, stringData = 6, int64Data = 7, doubleData = 10,
                   uint64Data = 11;

/// Where ONNX keeps typed elements of one type, and how.
struct TypedLayout {
  uint32_t field;
  WireType wire;
  unsigned entryBits;     ///< bits of each entry that go into the dense form
  uint64_t entriesNeeded; ///< entries that the tensor must have
};

TypedLayout layoutOf(const Tensor &tensor) {
  uint64_t count = tensor.elementCount;
  switch (tensor.elementType) {
  case ElementType::Float32:
    return {floatData, WireType::Fixed32, 32, count};
  case ElementType::Complex64:
    return {floatData, WireType::Fixed32, 32, 2 * count};
  case ElementType::Float64:
    return {doubleData, WireType::Fixed64, 64, count};
  case ElementType::Complex128:
    return {doubleData, WireType::Fixed64, 64, 2 * count};
  case ElementType::Int64:
    return {int64Data, WireType::Varint, 64, count};
  case ElementType::UInt32:
    return {uint64Data, WireType::Varint, 32, count};
  case ElementType::UInt64:
    return {uint64Data, WireType::Varint, 64, count};
  case ElementType::UInt4:
  case ElementType::Int4:
  case ElementType::Float4E2M1:
  case ElementType::UInt2:
  case ElementType::Int2: // entries hold a byte of elements, packed as in raw_data
    return {int32Data, WireType::Varint, 8, tensor.byteSize()};
  default: // 8 to 32 bits, and the 6-bit floats: one element per entry
    return {int32Data, WireType::Varint, elementBits(tensor.elementType), count};
  }
}

Error tensorError(const Tensor &tensor, int code, std::string message, std::string hint) {
  return {.code = code,
          .message = std::move(message),
          .hint = std::move(hint),
          .tensor = std::string(tensor.name)};
}

Error sizeError(const Tensor &tensor, const TypedLayout &layout, uint64_t found) {
  return tensorError(tensor, 1011,
                     "the tensor of type " + std::string(elementTypeName(tensor.elementType)) + " needs " +
                         std::to_string(layout.entriesNeeded) + " entries of typed data, but has " +
                         (found > layout.entriesNeeded ? "more" : std::to_string(found)),
                     "The model is damaged or was edited wrongly; export it again.");
}

/// Packs entries of `bits` bits one after another from the least significant bit.
class BitPacker {
public:
  BitPacker(std::vector<std::byte> &out, unsigned bits) : out(out), bits(bits) {}

  void put(uint64_t value) {
    for (unsigned done = 0; done < bits;) {
      unsigned shift = position % 8, room = std::min(8 - shift, bits - done);
      uint64_t piece = (value >> done) & ((1u << room) - 1);
      out[position / 8] |= std::byte(piece << shift);
      done += room;
      position += room;
    }
  }

private:
  std::vector<std::byte> &out;
  unsigned bits;
  uint64_t position = 0;
};

/// Writes the entries of one tensor into its dense form.
class DenseWriter {
public:
  DenseWriter(const Tensor &tensor, const TypedLayout &layout)
      : layout(layout), dense(tensor.byteSize()), packer(dense, layout.entryBits),
        isBool(tensor.elementType == ElementType::Bool) {}

  /// False when there are more entries than the tensor has room for.
  bool put(uint64_t value) {
    if (++count > layout.entriesNeeded)
      return false;
    if (layout.entryBits % 8) {
      packer.put(value);
      return true;
    }
    value = isBool ? value != 0 : value;
    std::memcpy(dense.data() + (count - 1) * (layout.entryBits / 8), &value, layout.entryBits / 8);
    return true;
  }

  bool putFixed(Bytes packed) {
    uint64_t size = layout.entryBits / 8, more = packed.size() / size;
    if (packed.size() % size || more > layout.entriesNeeded - count)
      return false;
    if (more)
      std::memcpy(dense.data() + count * size, packed.data(), packed.size());
    count += more;
    return true;
  }

  bool putVarints(Bytes packed) {
    WireReader reader(packed);
    for (uint64_t value; !reader.atEnd();)
      if (!reader.varint(value) || !put(value))
        return false;
    return true;
  }

  bool putField(const WireField &field) {
    if (field.type == layout.wire)
      return put(field.scalar);
    if (field.type != WireType::Delimited)
      return false;
    return layout.wire == WireType::Varint ? putVarints(field.bytes) : putFixed(field.bytes);
  }

  uint64_t entries() const { return count; }
  std::vector<std::byte> take() { return std::move(dense); }

private:
  const TypedLayout &layout;
  std::vector<std::byte> dense;
  BitPacker packer;
  bool isBool; ///< any entry but 0 is true, also those whose low byte is 0
  uint64_t count = 0;
};

/// Bits that no element of a packed tensor uses, in its last byte.
std::byte paddingMask(const Tensor &tensor) {
  unsigned used = unsigned((tensor.elementCount % 8) * elementBits(tensor.elementType) % 8);
  return used ? std::byte(0xff << used) : std::byte(0);
}

/// Whether stored bytes are the dense form already: every bool 0 or 1, padding bits zero.
bool isDense(const Tensor &tensor, Bytes stored) {
  if (tensor.elementType == ElementType::Bool)
    return std::all_of(stored.begin(), stored.end(), [](std::byte b) { return b <= std::byte(1); });
  return stored.empty() || (stored.back() & paddingMask(tensor)) == std::byte(0);
}

std::vector<std::byte> madeDense(const Tensor &tensor, std::vector<std::byte> bytes) {
  if (tensor.elementType == ElementType::Bool)
    for (std::byte &b : bytes)
      b = std::byte(b != std::byte(0));
  else if (!bytes.empty())
    bytes.back() &= ~paddingMask(tensor);
  return bytes;
}

Result<std::vector<std::byte>> decodeTyped(const Tensor &tensor) {
  TypedLayout layout = layoutOf(tensor);
  // Before memory is asked for: the message must be able to hold that many entries.
  uint64_t entrySize = layout.wire == WireType::Varint ? 1 : layout.entryBits / 8;
  if (layout.entriesNeeded > tensor.bytes.size() / entrySize)
    return sizeError(tensor, layout, 0);
  DenseWriter writer(tensor, layout);
  WireReader reader(tensor.bytes);
  for (WireField field; reader.next(field);)
    if (field.number == layout.field && !writer.putField(field))
      return sizeError(tensor, layout, std::max(writer.entries(), layout.entriesNeeded + 1));
  if (writer.entries() != layout.entriesNeeded)
    return sizeError(tensor, layout, writer.entries());
  return madeDense(tensor, writer.take());
}

/// The bytes of a Raw or External tensor as they lie in the file.
Result<Bytes> storedBytes(const Tensor &tensor) {
  if (tensor.storage == Tensor::Storage::Raw)
    return tensor.bytes;
  if (!tensor.files)
    return tensorError(tensor, 1013, "the tensor refers to external data, which is not allowed here",
                       "Save the value with its data inside.");
  Result<Bytes> bytes = tensor.files->read(tensor.location, tensor.externalOffset, tensor.byteSize());
  if (bytes)
    return bytes;
  Error error = bytes.error();
  error.tensor = std::string(tensor.name);
  return error;
}

template <typename T> std::vector<int64_t> widen(const std::vector<std::byte> &bytes) {
  std::vector<int64_t> values(bytes.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = int64_t(value);
  }
  return values;
}

} // namespace

uint64_t Tensor::byteSize() const { return packedBytes(elementType, elementCount).value_or(0); }

Result<std::optional<std::span<const std::byte>>> Tensor::view() const {
  if (storage == Storage::Typed)
    return std::optional<Bytes>();
  Result<Bytes> stored = storedBytes(*this);
  if (!stored)
    return stored.error();
  return isDense(*this, *stored) ? std::optional<Bytes>(*stored) : std::nullopt;
}

Result<std::vector<std::byte>> Tensor::read(uint64_t limit) const {
  if (elementType == ElementType::String)
    return tensorError(*this, 1018, "a tensor of strings stands where numbers are needed",
                       "Check the element type that the operator wants.");
  if (byteSize() > limit)
    return tensorError(*this, 1018,
                       "the tensor has " + std::to_string(byteSize()) + " bytes, more than the " +
                           std::to_string(limit) + " that are sensible here",
                       "Check the tensor that this operator gets.");
  if (storage == Storage::Typed)
    return decodeTyped(*this);
  Result<Bytes> stored = storedBytes(*this);
  if (!stored)
    return stored.error();
  return madeDense(*this, {stored->begin(), stored->end()});
}

Result<std::vector<std::string_view>> Tensor::readStrings() const {
  if (elementType != ElementType::String)
    return tensorError(*this, 1018,
                       "a tensor of " + std::string(elementTypeName(elementType)) +
                           " stands where strings are needed",
                       "Check the element type that the operator wants.");
  std::vector<std::string_view> strings;
  WireReader reader(bytes);
  for (WireField field; reader.next(field);)
    if (field.number == stringData && field.type == WireType::Delimited)
      strings.push_back(asText(field.bytes));
  if (strings.size() != elementCount)
    return sizeError(*this, {stringData, WireType::Delimited, 0, elementCount}, strings.size());
  return strings;
}

Result<std::vector<int64_t>> Tensor::readInts(uint64_t maxCount) const {
  if (elementCount > maxCount)
    return read(0).error();
  Result<std::vector<std::byte>> dense = read();
  if (!dense)
    return dense.error();
  switch (elementType) {
  case ElementType::Int64:
  case ElementType::UInt64:
    return widen<int64_t>(*dense);
  case ElementType::Int32:
    return widen<int32_t>(*dense);
  case ElementType::UInt32:
    return widen<uint32_t>(*dense);
  case ElementType::Int16:
    return widen<int16_t>(*dense);
  case ElementType::UInt16:
    return widen<uint16_t>(*dense);
  case ElementType::Int8:
    return widen<int8_t>(*dense);
  case ElementType::UInt8:
  case ElementType::Bool:
    return widen<uint8_t>(*dense);
  default:
    return tensorError(*this, 1018,
                       "a tensor of " + std::string(elementTypeName(elementType)) +
                           " stands where integers are needed",
                       "Check the element type that the operator wants.");
  }
}

Result<std::vector<std::byte>> SparseTensor::read(uint64_t limit) const {
  unsigned bits = elementBits(values.elementType);
  if (bits == 0 || bits % 8 || elementCount > limit / (bits / 8))
    return Error{.code = 1018,
                 .status = Status::Unsupported,
                 .message = "the sparse tensor of type " + std::string(elementTypeName(values.elementType)) +
                            " with " + std::to_string(elementCount) +
                            " elements is too large to be made dense",
                 .hint = "Store it as a dense tensor.",
                 .tensor = std::string(values.name)};
  Result<std::vector<std::byte>> elements = values.read(limit);
  if (!elements)
    return elements.error();
  Result<std::vector<int64_t>> positions = indices.readInts(UINT64_MAX);
  if (!positions)
    return positions.error();
  size_t width = bits / 8, perIndex = indices.dims.size() == 1 ? 1 : dims.size();
  std::vector<std::byte> dense(elementCount * width);
  for (size_t n = 0; n < values.elementCount; ++n) {
    uint64_t offset = 0;
    for (size_t d = 0; d < perIndex; ++d) {
      int64_t index = (*positions)[n * perIndex + d];
      uint64_t extent = perIndex == 1 && indices.dims.size() == 1 ? elementCount : uint64_t(dims[d]);
      if (index < 0 || uint64_t(index) >= extent)
        return tensorError(values, 1017,
                           "the sparse tensor has the index " + std::to_string(index) + ", out of range",
                           "The model is damaged; export it again.");
      offset = offset * extent + uint64_t(index);
    }
    std::memcpy(dense.data() + offset * width, elements->data() + n * width, width);
  }
  return dense;
}

} // namespace tilewright::onnx
