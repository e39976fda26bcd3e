//===- WireReader.h - protobuf wire format, read in place -------*- C++ -*-===//
//
// A cursor over the fields of one message. It throws nothing, trusts nothing, and counts in 64 bits:
// protozero and protobuf hold lengths in 32 bits, which a model file above 4 GB overflows. Groups (wire types
// 3 and 4) do not occur in ONNX and are refused.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_FRONTEND_READER_WIREREADER_H
#define TILEWRIGHT_FRONTEND_READER_WIREREADER_H

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace tilewright::onnx {

static_assert(std::endian::native == std::endian::little, "elements are used as they lie in the file");

using Bytes = std::span<const std::byte>;

inline std::string_view asText(Bytes bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

enum class WireType : uint8_t { Varint = 0, Fixed64 = 1, Delimited = 2, Fixed32 = 5 };

/// One field as it stands in the message: a number for the scalar wire types, bytes for the delimited one.
struct WireField {
  uint32_t number = 0;
  WireType type = WireType::Varint;
  uint64_t scalar = 0;
  Bytes bytes;
};

class WireReader {
public:
  explicit WireReader(Bytes message) : cursor(message.data()), end(message.data() + message.size()) {}

  /// Read the next field. False at the end of the message, and after an error.
  bool next(WireField &field) {
    if (cursor == end || reason)
      return false;
    uint64_t tag;
    if (!varint(tag))
      return false;
    field.number = uint32_t(tag >> 3);
    field.type = WireType(tag & 7);
    field.bytes = {};
    if (field.number == 0 || tag >> 32)
      return fail("a field number is out of range");
    return payload(field);
  }

  /// Read a bare varint, as in packed fields.
  bool varint(uint64_t &value) {
    value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (cursor == end)
        return fail("it ends in the middle of a number");
      auto byte = uint64_t(*cursor++);
      value |= shift < 64 ? (byte & 0x7f) << shift : 0;
      if (byte < 0x80)
        return true;
    }
    return fail("a number takes more than ten bytes");
  }

  bool atEnd() const { return cursor == end; }
  /// What is wrong, or null.
  const char *error() const { return reason; }
  /// Where reading stands: after the last field, or at the error.
  const std::byte *position() const { return cursor; }

private:
  bool fail(const char *why) {
    reason = why;
    return false;
  }

  bool payload(WireField &field) {
    switch (field.type) {
    case WireType::Varint:
      return varint(field.scalar);
    case WireType::Fixed64:
      return fixed(field.scalar, 8);
    case WireType::Fixed32:
      return fixed(field.scalar, 4);
    case WireType::Delimited:
      if (!varint(field.scalar))
        return false;
      if (field.scalar > uint64_t(end - cursor))
        return fail("a length points past its end");
      field.bytes = {cursor, size_t(field.scalar)};
      cursor += field.scalar;
      return true;
    }
    return fail("a field has an unknown wire type");
  }

  bool fixed(uint64_t &value, size_t size) {
    if (size_t(end - cursor) < size)
      return fail("it ends in the middle of a number");
    value = 0;
    std::memcpy(&value, cursor, size);
    cursor += size;
    return true;
  }

  const std::byte *cursor;
  const std::byte *end;
  const char *reason = nullptr;
};

} // namespace tilewright::onnx

#endif // TILEWRIGHT_FRONTEND_READER_WIREREADER_H
