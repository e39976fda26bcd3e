#include "File.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
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

static Diagnostic cannotRead(const std::string &path, const char *why) {
  return ioProblem("TW5101", fmt::format("cannot read '{}': {}", path, why));
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

/// The size is not known beforehand.
static Result<Bytes> readStream(int descriptor, const std::string &path) {
  auto content = std::make_shared<std::string>();
  char chunk[65536];
  for (;;) {
    ssize_t count = read(descriptor, chunk, sizeof chunk);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return cannotRead(path, strerror(errno));
    if (count == 0)
      break;
    content->append(chunk, static_cast<size_t>(count));
  }
  return Bytes{std::as_bytes(std::span(*content)), content};
}

files::ReadFiles &readFiles() {
  static files::ReadFiles files;
  return files;
}

static Diagnostic notRegular(const std::string &path, mode_t mode) {
  return cannotRead(path, S_ISDIR(mode)    ? strerror(EISDIR)
                          : S_ISFIFO(mode) ? "it is a pipe"
                                           : "it is a device");
}

Result<Bytes> readFile(const std::string &path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (file.get() < 0 || fstat(file.get(), &info) != 0)
    return cannotRead(path, strerror(errno));
  if (S_ISDIR(info.st_mode) || S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode))
    return notRegular(path, info.st_mode);
  if (!S_ISREG(info.st_mode))
    return readStream(file.get(), path);
  readFiles().add(info, path);
  if (info.st_size == 0) // files of /proc say so, too
    return readStream(file.get(), path);
  auto size = static_cast<size_t>(info.st_size);
  void *memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (memory == MAP_FAILED)
    return cannotRead(path, strerror(errno));
  std::shared_ptr<const void> storage(memory, [size](const void *p) { munmap(const_cast<void *>(p), size); });
  return Bytes{{static_cast<const std::byte *>(memory), size}, std::move(storage)};
}

Result<std::string> readPrefix(const std::string &path, size_t count) {
  // O_NONBLOCK: a pipe must be refused, not waited for.
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info;
  if (file.get() < 0 || fstat(file.get(), &info) != 0)
    return cannotRead(path, strerror(errno));
  if (!S_ISREG(info.st_mode))
    return notRegular(path, info.st_mode);
  readFiles().add(info, path);
  std::string prefix(count, '\0');
  ssize_t got = read(file.get(), prefix.data(), count);
  if (got < 0)
    return cannotRead(path, strerror(errno));
  prefix.resize(static_cast<size_t>(got));
  return prefix;
}

static MaybeProblem asProblem(const files::MaybeOutputProblem &problem) {
  if (!problem)
    return std::nullopt;
  Diagnostic diagnostic = ioProblem(problem->code == 5014 ? "TW5014" : "TW5102", problem->message);
  diagnostic.hint = problem->hint;
  return diagnostic;
}

Result<OutputFile> OutputFile::create(const std::string &path) {
  OutputFile output;
  if (auto problem = asProblem(output.file.create(path, readFiles())))
    return *problem;
  return output;
}

MaybeProblem OutputFile::write(std::span<const std::byte> bytes) { return asProblem(file.write(bytes)); }

MaybeProblem OutputFile::write(std::string_view text) { return write(std::as_bytes(std::span(text))); }

MaybeProblem OutputFile::commit() { return asProblem(file.commit()); }

/// In memory where the file system knows no nameless files, or runs no code.
static int openNameless() {
  const char *root = std::getenv("TMPDIR");
  const int number = open(root && *root ? root : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  struct statvfs facts;
  if (number >= 0 && fstatvfs(number, &facts) == 0 && !(facts.f_flag & ST_NOEXEC))
    return number;
  if (number >= 0)
    close(number);
  return memfd_create("tilewright", MFD_CLOEXEC);
}

Result<PrivateFile> PrivateFile::create() {
  PrivateFile file(openNameless());
  if (file.number < 0)
    return ioProblem("TW5104", "cannot make a temporary file", errno);
  return file;
}

PrivateFile::~PrivateFile() {
  if (number >= 0)
    close(number);
}

std::string PrivateFile::path() const { return fmt::format("/proc/self/fd/{}", number); }

} // namespace tilewright::tools
