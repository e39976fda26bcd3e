#include "EditDistance.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace tilewright::tools {

static bool sameLetter(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

size_t editDistance(std::string_view left, std::string_view right) {
  // Three rows of the table are enough: the swap looks two rows back.
  std::vector<size_t> before(right.size() + 1), previous(right.size() + 1), current(right.size() + 1);
  for (size_t j = 0; j <= right.size(); ++j)
    previous[j] = j;
  for (size_t i = 1; i <= left.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= right.size(); ++j) {
      size_t replaced = previous[j - 1] + !sameLetter(left[i - 1], right[j - 1]);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && sameLetter(left[i - 1], right[j - 2]) && sameLetter(left[i - 2], right[j - 1]))
        current[j] = std::min(current[j], before[j - 2] + 1);
    }
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[right.size()];
}

static bool isPartOf(std::string_view name, std::string_view candidate) {
  if (name.size() < 3)
    return false;
  return candidate.starts_with(name) || (candidate.ends_with(name) && candidate.size() > name.size() &&
                                         candidate[candidate.size() - name.size() - 1] == '/');
}

std::optional<std::string> closest(std::string_view name, const std::vector<std::string> &candidates) {
  // Long names cost quadratic time and are never typed by hand.
  constexpr size_t longest = 256;
  size_t best = SIZE_MAX;
  const std::string *found = nullptr;
  for (const std::string &candidate : candidates) {
    if (name.size() > longest || candidate.size() > longest)
      continue;
    size_t distance = editDistance(name, candidate);
    size_t allowed = std::max<size_t>(1, std::max(name.size(), candidate.size()) / 3);
    if (isPartOf(name, candidate))
      distance = std::min(distance, allowed);
    if (distance <= allowed && distance < best && distance < candidate.size()) {
      best = distance;
      found = &candidate;
    }
  }
  return found ? std::optional(*found) : std::nullopt;
}

std::string didYouMean(std::string_view name, const std::vector<std::string> &candidates) {
  if (auto found = closest(name, candidates))
    return fmt::format("did you mean '{}'?", *found);
  if (candidates.empty())
    return "";
  constexpr size_t shown = 8;
  std::string list = "there are: ";
  for (size_t i = 0; i < std::min(shown, candidates.size()); ++i)
    list += (i ? ", '" : "'") + candidates[i] + "'";
  if (candidates.size() > shown)
    list += fmt::format(" and {} more", candidates.size() - shown);
  return list;
}

} // namespace tilewright::tools
