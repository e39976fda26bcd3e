/// EditDistance.h - "did you mean".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tilewright::tools {

/// Damerau-Levenshtein distance (optimal string alignment): insertions, deletions, replacements and swaps of
/// neighbours, letters compared without case.
size_t editDistance(std::string_view left, std::string_view right);

/// The candidate nearest to `name`, when it is near enough to be what was meant (a third of its length, at
/// least one edit), or has `name` as its beginning or last path component.
std::optional<std::string> closest(std::string_view name, const std::vector<std::string> &candidates);

/// "did you mean 'closest'?"; when nothing is close, the first few candidates: "there are: a, b, c"; or "".
std::string didYouMean(std::string_view name, const std::vector<std::string> &candidates);

} // namespace tilewright::tools
