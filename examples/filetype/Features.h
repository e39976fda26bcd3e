/// Features.h - from the bytes of a file to the tokens of the model.
#ifndef TILEWRIGHT_EXAMPLES_FEATURES_H
#define TILEWRIGHT_EXAMPLES_FEATURES_H

#include "Config.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

/// The two ends of a file, at most a block each; of a smaller file both are all of it.
struct Blocks {
  std::string begin, end;
  uint64_t fileSize = 0;
};

/// False when the file cannot be read; `problem` says why.
bool readBlocks(const std::string &path, size_t blockSize, Blocks &blocks, std::string &problem);

/// The type of a file too small or too empty for the model: "empty", "txt" or "unknown"; nothing when the
/// model should be asked, whose input of beginSize + endSize tokens is then in `tokens`: the first bytes
/// after leading white space, padded behind, and the last before trailing white space, padded in front.
std::optional<std::string> extractFeatures(const Config &config, const Blocks &blocks,
                                           std::span<int32_t> tokens);

/// Well-formed UTF-8, without surrogates or overlong forms.
bool isUtf8(std::string_view text);

#endif
