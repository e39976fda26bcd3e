/// Json.h - just enough JSON to read a model's configuration.
#ifndef TILEWRIGHT_EXAMPLES_JSON_H
#define TILEWRIGHT_EXAMPLES_JSON_H

#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct JsonMember;

struct Json {
  enum class Kind { null, boolean, number, string, array, object };

  Kind kind = Kind::null;
  bool boolean = false;
  double number = 0;
  std::string string;
  std::vector<Json> items;         ///< of an array
  std::vector<JsonMember> members; ///< of an object, in their order

  /// The member of this name, or null.
  const Json *find(std::string_view name) const;

  /// Nothing when `text` is not one well-formed value, nested at most 64 deep.
  static std::optional<Json> parse(std::string_view text);
};

struct JsonMember {
  std::string name;
  Json value;
};

#endif
