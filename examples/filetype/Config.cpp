#include "Config.h"

#include "Json.h"

#include <cmath>

namespace {

/// Reads the members of one object; remembers the first that is missing or not as expected.
class Reader {
public:
  explicit Reader(const Json &object) : object(object) {}

  double number(const char *name) {
    const Json *value = expect(name, Json::Kind::number);
    return value ? value->number : 0;
  }

  size_t size(const char *name) {
    const double value = number(name);
    if (value >= 0 && value <= 1 << 20 && value == std::floor(value))
      return static_cast<size_t>(value);
    blame(name);
    return 0;
  }

  std::vector<std::string> strings(const char *name) {
    std::vector<std::string> result;
    if (const Json *value = expect(name, Json::Kind::array))
      for (const Json &item : value->items) {
        if (item.kind != Json::Kind::string)
          blame(name);
        result.push_back(item.string);
      }
    return result;
  }

  const std::vector<JsonMember> &members(const char *name) {
    static const std::vector<JsonMember> nothing;
    const Json *value = expect(name, Json::Kind::object);
    return value ? value->members : nothing;
  }

  const std::string &problem() const { return fault; }
  void blame(const char *name) {
    if (fault.empty())
      fault = std::string("'") + name + "' is missing or not as expected";
  }

private:
  const Json *expect(const char *name, Json::Kind kind) {
    const Json *value = object.find(name);
    if (value && value->kind == kind)
      return value;
    blame(name);
    return nullptr;
  }

  const Json &object;
  std::string fault;
};

} // namespace

std::optional<Config> Config::parse(std::string_view text, std::string &problem) {
  const std::optional<Json> root = Json::parse(text);
  if (!root) {
    problem = "it is not JSON";
    return std::nullopt;
  }
  Reader reader(*root);
  Config config;
  config.beginSize = reader.size("beg_size");
  config.endSize = reader.size("end_size");
  config.blockSize = reader.size("block_size");
  config.smallestFile = reader.size("min_file_size_for_dl");
  config.paddingToken = static_cast<int>(reader.size("padding_token"));
  config.usualThreshold = reader.number("medium_confidence_threshold");
  config.labels = reader.strings("target_labels_space");
  for (const auto &[label, threshold] : reader.members("thresholds"))
    config.thresholds[label] = threshold.number;
  for (const auto &[label, shown] : reader.members("overwrite_map"))
    config.overwrites[label] = shown.string;
  // The model never looks at the middle of a file; one that did would need other features.
  if (reader.size("mid_size") != 0)
    reader.blame("mid_size");
  if (config.beginSize >= config.blockSize || config.endSize >= config.blockSize)
    reader.blame("block_size");
  if (config.smallestFile < 1 || config.smallestFile > config.beginSize)
    reader.blame("min_file_size_for_dl");
  problem = reader.problem();
  if (!problem.empty())
    return std::nullopt;
  return config;
}

std::optional<Knowledge> Knowledge::parse(std::string_view text) {
  const std::optional<Json> root = Json::parse(text);
  if (!root || root->kind != Json::Kind::object)
    return std::nullopt;
  Knowledge knowledge;
  for (const auto &[label, facts] : root->members) {
    const Json *isText = facts.find("is_text"), *description = facts.find("description");
    if (isText && isText->boolean)
      knowledge.texts.insert(label);
    knowledge.descriptions[label] = description ? description->string : "";
  }
  return knowledge;
}

Verdict judge(const Config &config, const Knowledge *knowledge, size_t label, double probability) {
  const std::string &guess = config.labels[label];
  const auto overwrite = config.overwrites.find(guess);
  const std::string &shown = overwrite == config.overwrites.end() ? guess : overwrite->second;
  const auto threshold = config.thresholds.find(guess);
  if (probability >= (threshold == config.thresholds.end() ? config.usualThreshold : threshold->second))
    return {shown, true};
  if (!knowledge)
    return {shown, false};
  return {knowledge->texts.contains(shown) ? "txt" : "unknown", true};
}
