/// Config.h - what magika's configuration files say about its model.
#ifndef TILEWRIGHT_EXAMPLES_CONFIG_H
#define TILEWRIGHT_EXAMPLES_CONFIG_H

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// config.min.json, which lies beside model.onnx.
struct Config {
  size_t beginSize = 0;      ///< tokens from the beginning of a file
  size_t endSize = 0;        ///< tokens from its end
  size_t blockSize = 0;      ///< bytes read on either side
  size_t smallestFile = 0;   ///< fewer bytes than this say too little for the model
  int paddingToken = 0;      ///< stands where there is no byte
  double usualThreshold = 0; ///< of confidence
  std::vector<std::string> labels;
  std::map<std::string, double> thresholds;      ///< of labels that need another confidence
  std::map<std::string, std::string> overwrites; ///< labels of the model that are shown under another name

  /// Nothing when `text` is not such a file; `problem` says why.
  static std::optional<Config> parse(std::string_view text, std::string &problem);
};

/// content_types_kb.min.json: facts about content types. `texts` names those that are text, `descriptions`
/// all.
struct Knowledge {
  std::set<std::string, std::less<>> texts;
  std::map<std::string, std::string, std::less<>> descriptions;

  static std::optional<Knowledge> parse(std::string_view text);
};

/// What the answer of the model means to the user.
struct Verdict {
  std::string label;
  bool sure = true; ///< false: the model's best guess, below the threshold of confidence
};

/// Apply overwrites and thresholds to the most probable label. With knowledge, an unsure answer becomes "txt"
/// or "unknown".
Verdict judge(const Config &config, const Knowledge *knowledge, size_t label, double probability);

#endif
