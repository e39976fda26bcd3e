#include "Features.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

constexpr std::string_view whiteSpace = " \t\n\r\v\f";

bool readAt(int file, uint64_t offset, size_t bytes, std::string &content) {
  content.resize(bytes);
  size_t done = 0;
  while (done < bytes) {
    const ssize_t got = pread(file, content.data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return false;
    done += static_cast<size_t>(got);
  }
  return true;
}

bool readEnds(int file, size_t blockSize, Blocks &blocks, std::string &problem) {
  struct stat facts;
  if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    problem = S_ISDIR(facts.st_mode) ? "is a directory" : "is not a regular file";
    return false;
  }
  blocks.fileSize = static_cast<uint64_t>(facts.st_size);
  const size_t bytes = static_cast<size_t>(std::min<uint64_t>(blocks.fileSize, blockSize));
  errno = 0;
  if (readAt(file, 0, bytes, blocks.begin) && readAt(file, blocks.fileSize - bytes, bytes, blocks.end))
    return true;
  problem = errno ? strerror(errno) : "became shorter while it was read";
  return false;
}

std::string_view stripBegin(std::string_view text) {
  const size_t start = text.find_first_not_of(whiteSpace);
  return start == std::string_view::npos ? std::string_view() : text.substr(start);
}

std::string_view stripEnd(std::string_view text) {
  return text.substr(0, text.find_last_not_of(whiteSpace) + 1); // npos + 1 is 0
}

int32_t tokenOf(char byte) { return static_cast<unsigned char>(byte); }

} // namespace

bool readBlocks(const std::string &path, size_t blockSize, Blocks &blocks, std::string &problem) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    problem = strerror(errno);
    return false;
  }
  const bool read = readEnds(file, blockSize, blocks, problem);
  close(file);
  return read;
}

bool isUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                          : lead >= 0xe0 && lead < 0xf0 ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    if (length == 0 || at + length > text.size())
      return false;
    for (size_t index = 1; index < length; ++index)
      if ((static_cast<unsigned char>(text[at + index]) & 0xc0) != 0x80)
        return false;
    const auto second = length > 1 ? static_cast<unsigned char>(text[at + 1]) : 0;
    const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
    const bool surrogateOrBeyond = (lead == 0xed && second > 0x9f) || (lead == 0xf4 && second > 0x8f);
    if (overlong || surrogateOrBeyond)
      return false;
    at += length;
  }
  return true;
}

std::optional<std::string> extractFeatures(const Config &config, const Blocks &blocks,
                                           std::span<int32_t> tokens) {
  auto guess = [&] { return isUtf8(blocks.begin) ? "txt" : "unknown"; };
  if (blocks.fileSize == 0)
    return "empty";
  if (blocks.fileSize < config.smallestFile)
    return guess();
  const std::string_view begin = stripBegin(blocks.begin).substr(0, config.beginSize);
  if (begin.size() < config.smallestFile)
    return guess();
  std::string_view end = stripEnd(blocks.end);
  end.remove_prefix(end.size() - std::min(end.size(), config.endSize));
  std::fill(tokens.begin(), tokens.end(), config.paddingToken);
  std::transform(begin.begin(), begin.end(), tokens.begin(), tokenOf);
  std::transform(end.begin(), end.end(), tokens.end() - static_cast<std::ptrdiff_t>(end.size()), tokenOf);
  return std::nullopt;
}
