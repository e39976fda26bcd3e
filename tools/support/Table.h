/// Table.h - columns of text for people.
#pragma once

#include <string>
#include <vector>

namespace tilewright::tools {

/// Rows of cells under a heading, printed with aligned columns; columns listed in `right` are aligned to the
/// right.
struct Table {
  std::vector<std::string> heading;
  std::vector<size_t> right;
  std::vector<std::vector<std::string>> rows;

  /// Every line begins with `indent` and ends with a newline.
  std::string text(const std::string &indent = "  ") const;
};

} // namespace tilewright::tools
