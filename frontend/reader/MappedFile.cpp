//===- MappedFile.cpp - read-only mappings, and external data -------------===//

#include "frontend/reader/MappedFile.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tilewright::onnx {

namespace {

/// A file descriptor that closes itself.
struct Descriptor {
  int number = -1;
  explicit Descriptor(int number) : number(number) {}
  Descriptor(Descriptor &&other) noexcept : number(std::exchange(other.number, -1)) {}
  Descriptor &operator=(Descriptor &&other) noexcept {
    std::swap(number, other.number);
    return *this;
  }
  ~Descriptor() {
    if (number >= 0)
      ::close(number);
  }
};

Error ioError(int code, const std::string &message, const char *hint) {
  return {.code = code, .status = Status::Io, .message = message, .hint = hint};
}

Error forbidden(std::string_view location, const char *why) {
  return {.code = 1013,
          .message = "external data path '" + std::string(location) + "' " + why,
          .hint =
              "Put the data file into the model's folder, under a plain relative path. Only links of a model "
              "cache, from its 'snapshots' to its 'blobs', are followed."};
}

bool isLink(int folder, const char *name) {
  struct stat status;
  return ::fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
}

/// Model caches keep files by their content: CACHE/snapshots/REVISION/model.onnx_data is a link to a file of
/// CACHE/blobs. Opens what such a link in `folder`, a descriptor, names; a failed descriptor for all other
/// links, and where the blob is a link itself.
Descriptor openBlob(int folder, const std::string &link) {
  namespace fs = std::filesystem;
  std::error_code problem;
  const fs::path here = fs::read_symlink("/proc/self/fd/" + std::to_string(folder), problem);
  char text[PATH_MAX];
  const ssize_t length = ::readlinkat(folder, link.c_str(), text, sizeof text);
  if (problem || length <= 0 || size_t(length) == sizeof text)
    return Descriptor(-1);
  const fs::path target = (here / std::string_view(text, size_t(length))).lexically_normal();
  fs::path cache = here; // up to the folder that has `snapshots`
  while (cache.has_relative_path() && cache.filename() != "snapshots")
    cache = cache.parent_path();
  if (!cache.has_relative_path() || cache == here || target.parent_path() != cache.parent_path() / "blobs")
    return Descriptor(-1);
  Descriptor blobs(::open(target.parent_path().c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  return Descriptor(
      ::openat(blobs.number, target.filename().c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
}

/// Open `location` below `folder` one component at a time, so that no link anywhere on the way can lead out
/// of it; but the last may be a link to a blob.
Result<Descriptor> openBelow(const std::string &folder, std::string_view location) {
  if (location.empty() || location.front() == '/' || location.find('\0') != std::string_view::npos)
    return forbidden(location, "is not a relative path");
  Descriptor at(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (size_t begin = 0; begin <= location.size() && at.number >= 0;) {
    size_t end = std::min(location.find('/', begin), location.size());
    std::string component(location.substr(begin, end - begin));
    bool last = end == location.size();
    begin = end + 1;
    if (component == "..")
      return forbidden(location, "leaves the model's folder");
    if (!last && (component.empty() || component == "."))
      continue;
    // O_NONBLOCK: opening a FIFO must not wait for a writer.
    int flags = last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY;
    Descriptor next(::openat(at.number, component.c_str(), flags | O_NOFOLLOW | O_CLOEXEC));
    int problem = errno;
    if (next.number < 0 && isLink(at.number, component.c_str())) {
      next = last ? openBlob(at.number, component) : Descriptor(-1);
      if (next.number < 0)
        return forbidden(location, "goes through a symbolic link");
    }
    errno = problem;
    at = std::move(next);
  }
  if (at.number < 0)
    return ioError(1014,
                   "external data file '" + std::string(location) + "' in folder '" + folder +
                       "' cannot be opened: " + std::string(std::strerror(errno)),
                   "Copy the data file that belongs to the model next to it.");
  return at;
}

} // namespace

MappedFile::~MappedFile() {
  if (!content.empty())
    ::munmap(const_cast<std::byte *>(content.data()), content.size());
}

void MappedFile::expectJumps(bool jumps) const {
  if (!content.empty())
    ::madvise(const_cast<std::byte *>(content.data()), content.size(), jumps ? MADV_RANDOM : MADV_NORMAL);
}

Result<std::unique_ptr<MappedFile>> MappedFile::open(const std::string &path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0)
    return ioError(1001, "cannot open '" + path + "': " + std::strerror(errno),
                   "Check the path and that you may read it.");
  return adopt(descriptor, path);
}

Result<std::unique_ptr<MappedFile>> MappedFile::adopt(int number, const std::string &path) {
  Descriptor descriptor(number);
  struct stat status;
  if (::fstat(number, &status) != 0)
    return ioError(1001, "cannot read '" + path + "': " + std::strerror(errno),
                   "Check the file system it is on.");
  if (S_ISDIR(status.st_mode))
    return ioError(1002, "'" + path + "' is a directory", "Name the file inside it.");
  if (!S_ISREG(status.st_mode))
    return ioError(1002, "'" + path + "' is not a regular file",
                   "It is mapped, so save its content to a file first.");
  std::unique_ptr<MappedFile> file(new MappedFile);
  file->status = status;
  if (status.st_size == 0)
    return file;
  void *address = ::mmap(nullptr, size_t(status.st_size), PROT_READ, MAP_PRIVATE, number, 0);
  if (address == MAP_FAILED)
    return ioError(1001, "cannot map '" + path + "': " + std::strerror(errno),
                   "Check the limits on address space.");
  file->content = {static_cast<const std::byte *>(address), size_t(status.st_size)};
  return file;
}

Result<std::shared_ptr<const MappedFile>> ExternalFiles::map(std::string_view location) {
  if (folder.empty())
    return forbidden(location, "cannot be followed, because the model was not read from a file");
  std::lock_guard lock(mutex);
  auto found = mapped.find(location);
  if (found != mapped.end())
    return found->second;
  Result<Descriptor> descriptor = openBelow(folder, location);
  if (!descriptor)
    return descriptor.error();
  auto file = MappedFile::adopt(std::exchange(descriptor->number, -1), folder + "/" + std::string(location));
  if (!file) {
    Error error = file.error();
    error.code = 1014;
    return error;
  }
  return mapped.emplace(location, std::move(*file)).first->second;
}

void ExternalFiles::mention(std::string_view location) {
  std::lock_guard lock(mutex);
  if (mentioned.find(location) == mentioned.end())
    mentioned.emplace(location);
}

void ExternalFiles::note(files::ReadFiles &read) {
  std::lock_guard lock(mutex);
  for (const std::string &location : mentioned) {
    const std::string path = folder + "/" + location;
    struct stat facts;
    if (auto found = mapped.find(location); found != mapped.end())
      read.add(found->second->facts(), path);
    else if (Result<Descriptor> file = openBelow(folder, location);
             file && ::fstat(file->number, &facts) == 0)
      read.add(facts, path);
  }
}

Result<Bytes> ExternalFiles::read(std::string_view location, uint64_t offset, uint64_t length) {
  Result<std::shared_ptr<const MappedFile>> file = map(location);
  if (!file)
    return file.error();
  const Bytes whole = (*file)->bytes();
  if (offset > whole.size() || length > whole.size() - offset)
    return Error{.code = 1015,
                 .message = "external data file '" + std::string(location) + "' has " +
                            std::to_string(whole.size()) + " bytes, but " + std::to_string(length) +
                            " are wanted at offset " + std::to_string(offset),
                 .hint = "The data file is cut off or belongs to another model; fetch it again."};
  return whole.subspan(offset, length);
}

} // namespace tilewright::onnx
