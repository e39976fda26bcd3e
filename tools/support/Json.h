/// Json.h - reading JSON that may hold anything, without exceptions.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace tilewright::tools {

/// Keeps keys in the order they were written.
using Json = nlohmann::ordered_json;

/// Nothing when `text` is no JSON.
std::optional<Json> parseJson(std::string_view text);

/// Member `key` of an object; a null value when there is none, or `object` is none.
const Json &member(const Json &object, std::string_view key);

/// A value as plain text: strings without quotes, null as "", everything else as JSON.
std::string plainText(const Json &value);

/// A number as a person reads it, ready for a unit to follow: "1.5 G", "12 k", "7 "; in powers of 1024 "1.5
/// Gi". Other values as plainText(). `step` is 1000 or 1024.
std::string scaledText(const Json &value, double step = 1000);
std::string scaledText(double value, double step = 1000);

/// JSON text; bytes that are not UTF-8 become U+FFFD.
std::string jsonText(const Json &value, int indent = -1);

} // namespace tilewright::tools
