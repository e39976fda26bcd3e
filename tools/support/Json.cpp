#include "Json.h"

#include <cmath>
#include <fmt/format.h>

namespace tilewright::tools {

std::optional<Json> parseJson(std::string_view text) {
  Json value = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? std::nullopt : std::optional(std::move(value));
}

const Json &member(const Json &object, std::string_view key) {
  static const Json nothing;
  if (!object.is_object())
    return nothing;
  auto found = object.find(std::string(key));
  return found == object.end() ? nothing : *found;
}

std::string plainText(const Json &value) {
  if (value.is_null())
    return "";
  return value.is_string() ? value.get<std::string>() : jsonText(value);
}

std::string scaledText(double value, double step) {
  static constexpr const char *decimal[] = {"", "k", "M", "G", "T", "P"};
  static constexpr const char *binary[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};
  size_t prefix = 0;
  while (std::fabs(value) >= step && prefix < 5) {
    value /= step;
    ++prefix;
  }
  return fmt::format("{:.4g} {}", value, (step == 1024 ? binary : decimal)[prefix]);
}

std::string scaledText(const Json &value, double step) {
  return value.is_number() ? scaledText(value.get<double>(), step) : plainText(value);
}

std::string jsonText(const Json &value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

} // namespace tilewright::tools
