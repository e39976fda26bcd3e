#include "File.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tilewright::tools {

namespace {

/// A file descriptor that closes itself.
class Descriptor {
public:
  explicit Descriptor(int number) : number(number) {}
  ~Descriptor() {
    if (number >= 0)
      close(number);
  }
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  int get() const { return number; }

private:
  int number;
};

} // namespace

static Diagnostic cannotRead(const std::string &path, int error) {
  return ioProblem("TW5101", fmt::format("cannot read '{}'", path), error);
}

Result<Buffer> allocate(size_t count) {
  auto *memory = static_cast<std::byte *>(std::malloc(std::max<size_t>(count, 1)));
  if (!memory)
    return ioProblem("TW5103", fmt::format("cannot allocate {} bytes", count), ENOMEM);
  Buffer buffer;
  buffer.data = memory;
  buffer.bytes = {{memory, count}, std::shared_ptr<const void>(memory, [](void *p) { std::free(p); })};
  return buffer;
}

/// Pipes and files of /proc: the size is not known beforehand.
static Result<Bytes> readStream(int descriptor, const std::string &path) {
  auto content = std::make_shared<std::string>();
  char chunk[65536];
  for (;;) {
    ssize_t count = read(descriptor, chunk, sizeof chunk);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return cannotRead(path, errno);
    if (count == 0)
      break;
    content->append(chunk, static_cast<size_t>(count));
  }
  return Bytes{std::as_bytes(std::span(*content)), content};
}

Result<Bytes> readFile(const std::string &path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (file.get() < 0 || fstat(file.get(), &info) != 0)
    return cannotRead(path, errno);
  if (S_ISDIR(info.st_mode))
    return cannotRead(path, EISDIR);
  if (!S_ISREG(info.st_mode) || info.st_size == 0)
    return readStream(file.get(), path);
  auto size = static_cast<size_t>(info.st_size);
  void *memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (memory == MAP_FAILED)
    return cannotRead(path, errno);
  std::shared_ptr<const void> storage(memory, [size](const void *p) { munmap(const_cast<void *>(p), size); });
  return Bytes{{static_cast<const std::byte *>(memory), size}, std::move(storage)};
}

Result<std::string> readPrefix(const std::string &path, size_t count) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0)
    return cannotRead(path, errno);
  std::string prefix(count, '\0');
  ssize_t got = read(file.get(), prefix.data(), count);
  if (got < 0)
    return cannotRead(path, errno);
  prefix.resize(static_cast<size_t>(got));
  return prefix;
}

static mode_t creationMode() {
  mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

Result<OutputFile> OutputFile::create(const std::string &path) {
  OutputFile file;
  file.path = path;
  struct stat info;
  bool exists = stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode))
    return file.failure(EISDIR);
  if (exists && !S_ISREG(info.st_mode)) {
    file.descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    return file.descriptor < 0 ? Result<OutputFile>(file.failure(errno))
                               : Result<OutputFile>(std::move(file));
  }
  // A link keeps pointing to the file: its target is replaced.
  std::error_code ignored;
  if (exists && std::filesystem::is_symlink(path, ignored))
    file.path = std::filesystem::canonical(path, ignored).string();
  file.temporary = file.path + ".XXXXXX";
  file.descriptor = mkostemp(file.temporary.data(), O_CLOEXEC);
  if (file.descriptor < 0) {
    file.temporary.clear();
    return file.failure(errno);
  }
  fchmod(file.descriptor, exists ? info.st_mode & 07777 : creationMode());
  return file;
}

OutputFile::OutputFile(OutputFile &&other) noexcept
    : path(std::move(other.path)), temporary(std::exchange(other.temporary, {})),
      descriptor(std::exchange(other.descriptor, -1)) {}

OutputFile::~OutputFile() {
  if (descriptor >= 0)
    close(descriptor);
  if (!temporary.empty())
    unlink(temporary.c_str());
}

Diagnostic OutputFile::failure(int error) const {
  return ioProblem("TW5102", fmt::format("cannot write '{}'", path), error);
}

MaybeProblem OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return failure(errno);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return std::nullopt;
}

MaybeProblem OutputFile::write(std::string_view text) { return write(std::as_bytes(std::span(text))); }

MaybeProblem OutputFile::commit() {
  // Some file systems report a full disk only when the file is closed.
  if (close(std::exchange(descriptor, -1)) != 0)
    return failure(errno);
  if (!temporary.empty() && rename(temporary.c_str(), path.c_str()) != 0)
    return failure(errno);
  temporary.clear();
  return std::nullopt;
}

Result<TemporaryFolder> TemporaryFolder::create() {
  const char *root = std::getenv("TMPDIR");
  std::string folder = std::string(root && *root ? root : "/tmp") + "/tilewright-XXXXXX";
  if (!mkdtemp(folder.data()))
    return ioProblem("TW5104", fmt::format("cannot make a temporary folder '{}'", folder), errno);
  return TemporaryFolder(folder);
}

void TemporaryFolder::remove() {
  std::error_code ignored;
  if (!folder.empty())
    std::filesystem::remove_all(folder, ignored);
  folder.clear();
}

} // namespace tilewright::tools
