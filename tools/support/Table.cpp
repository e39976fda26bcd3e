#include "Table.h"

#include <algorithm>

namespace tilewright::tools {

/// Characters, not bytes, of UTF-8 text.
static size_t displayWidth(const std::string &text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string Table::text(const std::string &indent) const {
  std::vector<size_t> widths(heading.size());
  auto measure = [&](const std::vector<std::string> &row) {
    for (size_t i = 0; i < widths.size() && i < row.size(); ++i)
      widths[i] = std::max(widths[i], displayWidth(row[i]));
  };
  measure(heading);
  std::for_each(rows.begin(), rows.end(), measure);

  std::string result;
  auto print = [&](const std::vector<std::string> &row) {
    std::string line = indent;
    for (size_t i = 0; i < widths.size(); ++i) {
      std::string cell = i < row.size() ? row[i] : "";
      std::string padding(widths[i] - displayWidth(cell), ' ');
      bool toTheRight = std::find(right.begin(), right.end(), i) != right.end();
      line += (i ? "  " : "") + (toTheRight ? padding + cell : cell + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    result += line + '\n';
  };
  print(heading);
  std::for_each(rows.begin(), rows.end(), print);
  return result;
}

} // namespace tilewright::tools
