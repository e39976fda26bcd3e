#include "Json.h"

#include <charconv>

namespace {

class Parser {
public:
  explicit Parser(std::string_view text) : rest(text) {}

  bool parseDocument(Json &value) {
    if (!parseValue(value, 0))
      return false;
    skipSpace();
    return rest.empty();
  }

private:
  static constexpr int deepest = 64;

  void skipSpace() {
    const size_t start = rest.find_first_not_of(" \t\r\n");
    rest.remove_prefix(start == std::string_view::npos ? rest.size() : start);
  }

  bool take(std::string_view expected) {
    if (!rest.starts_with(expected))
      return false;
    rest.remove_prefix(expected.size());
    return true;
  }

  bool takeAfterSpace(std::string_view expected) {
    skipSpace();
    return take(expected);
  }

  bool parseValue(Json &value, int depth) {
    skipSpace();
    if (rest.empty() || depth > deepest)
      return false;
    switch (rest.front()) {
    case '{':
      return parseObject(value, depth);
    case '[':
      return parseArray(value, depth);
    case '"':
      value.kind = Json::Kind::string;
      return parseString(value.string);
    case 't':
    case 'f':
      value.kind = Json::Kind::boolean;
      value.boolean = rest.front() == 't';
      return take(value.boolean ? "true" : "false");
    case 'n':
      return take("null");
    default:
      return parseNumber(value);
    }
  }

  bool parseObject(Json &value, int depth) {
    value.kind = Json::Kind::object;
    take("{");
    if (takeAfterSpace("}"))
      return true;
    do {
      auto &[name, member] = value.members.emplace_back();
      skipSpace();
      if (!parseString(name) || !takeAfterSpace(":") || !parseValue(member, depth + 1))
        return false;
    } while (takeAfterSpace(","));
    return takeAfterSpace("}");
  }

  bool parseArray(Json &value, int depth) {
    value.kind = Json::Kind::array;
    take("[");
    if (takeAfterSpace("]"))
      return true;
    do
      if (!parseValue(value.items.emplace_back(), depth + 1))
        return false;
    while (takeAfterSpace(","));
    return takeAfterSpace("]");
  }

  bool parseNumber(Json &value) {
    value.kind = Json::Kind::number;
    const auto [end, failure] = std::from_chars(rest.data(), rest.data() + rest.size(), value.number);
    if (failure != std::errc())
      return false;
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    return true;
  }

  bool parseString(std::string &text) {
    if (!take("\""))
      return false;
    while (!rest.empty() && rest.front() != '"') {
      if (take("\\")) {
        if (!parseEscape(text))
          return false;
      } else {
        text += rest.front();
        rest.remove_prefix(1);
      }
    }
    return take("\"");
  }

  bool parseEscape(std::string &text) {
    static constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    if (rest.empty())
      return false;
    const char letter = rest.front();
    rest.remove_prefix(1);
    if (letter == 'u')
      return parseUnicode(text);
    const size_t index = letters.find(letter);
    if (index == std::string_view::npos)
      return false;
    text += meanings[index];
    return true;
  }

  bool parseHex(unsigned &unit) {
    if (rest.size() < 4)
      return false;
    const auto [end, failure] = std::from_chars(rest.data(), rest.data() + 4, unit, 16);
    rest.remove_prefix(4);
    return failure == std::errc() && end == rest.data();
  }

  bool parseUnicode(std::string &text) {
    unsigned code = 0, low = 0;
    if (!parseHex(code))
      return false;
    if (code >= 0xd800 && code < 0xdc00) { // The first half of a surrogate pair.
      if (!take("\\u") || !parseHex(low) || low < 0xdc00 || low >= 0xe000)
        return false;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    appendUtf8(text, code);
    return true;
  }

  static void appendUtf8(std::string &text, unsigned code) {
    if (code < 0x80) {
      text += static_cast<char>(code);
      return;
    }
    const int following = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    const unsigned lead[] = {0, 0xc0, 0xe0, 0xf0};
    text += static_cast<char>(lead[following] | code >> (6 * following));
    for (int index = following - 1; index >= 0; --index)
      text += static_cast<char>(0x80 | (code >> (6 * index) & 0x3f));
  }

  std::string_view rest;
};

} // namespace

const Json *Json::find(std::string_view name) const {
  for (const auto &[key, value] : members)
    if (key == name)
      return &value;
  return nullptr;
}

std::optional<Json> Json::parse(std::string_view text) {
  Json value;
  if (!Parser(text).parseDocument(value))
    return std::nullopt;
  return value;
}
