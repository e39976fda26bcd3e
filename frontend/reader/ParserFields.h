//===- ParserFields.h - walking the fields of a message ---------*- C++ -*-===//
//
// The templates of Parser, for the files that implement it.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_FRONTEND_READER_PARSERFIELDS_H
#define TILEWRIGHT_FRONTEND_READER_PARSERFIELDS_H

#include "frontend/reader/Parser.h"

namespace tilewright::onnx {

/// Call `handle` with each field of the message; stop when it returns false.
template <typename Handler> bool Parser::eachField(Bytes message, const char *messageType, Handler handle) {
  WireReader reader(message);
  WireField field;
  while (reader.next(field))
    if (!handle(field))
      return problem ? false : failWire(messageType, "a field has the wrong wire type", reader.position());
  return !reader.error() || failWire(messageType, reader.error(), reader.position());
}

/// The same, one level deeper.
template <typename Handler>
bool Parser::eachNestedField(Bytes message, const char *messageType, Handler handle) {
  if (depth >= limits.maxDepth)
    return fail(1006, "graphs or types are nested more than " + std::to_string(limits.maxDepth) + " deep",
                "No operator needs that; the model is wrong or hostile.");
  ++depth;
  bool whole = eachField(message, messageType, handle);
  --depth;
  return whole;
}

// The accessors below return false on a wrong wire type without setting `problem`; eachField turns that into
// an error.

inline bool readText(const WireField &field, std::string_view &out) {
  out = asText(field.bytes);
  return field.type == WireType::Delimited;
}

inline bool readInt(const WireField &field, int64_t &out) {
  out = int64_t(field.scalar);
  return field.type == WireType::Varint;
}

template <typename T> T *Parser::append(std::vector<T> &list) {
  return charge(sizeof(T)) ? &list.emplace_back() : nullptr;
}

/// Append a message: a new element, filled by `parse`.
template <typename T>
bool Parser::appendMessage(const WireField &field, std::vector<T> &list, bool (Parser::*parse)(Bytes, T &)) {
  if (field.type != WireType::Delimited)
    return false;
  T *element = append(list);
  return element && (this->*parse)(field.bytes, *element);
}

} // namespace tilewright::onnx

#endif // TILEWRIGHT_FRONTEND_READER_PARSERFIELDS_H
