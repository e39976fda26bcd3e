#include "files/OutputFile.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace tilewright::files {

namespace {

/// Temporary names, where a signal handler can read them: a slot is taken by an exchange, filled, and then
/// shown.
struct Slot {
  std::atomic<bool> taken{false}, shown{false};
  char name[PATH_MAX];
};
Slot slots[8];

int remember(const std::string &name) {
  for (int index = 0; index < int(std::size(slots)); ++index)
    if (name.size() < PATH_MAX && !slots[index].taken.exchange(true)) {
      memcpy(slots[index].name, name.c_str(), name.size() + 1);
      slots[index].shown = true;
      return index;
    }
  return -1;
}

void forget(int slot) {
  if (slot < 0)
    return;
  slots[slot].shown = false;
  slots[slot].taken = false;
}

mode_t masked(mode_t mode) {
  const mode_t mask = umask(0);
  umask(mask);
  return mode & ~mask;
}

std::string folderOf(const std::string &path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

/// Where a chain of links ends.
std::string resolved(const std::string &path) {
  char *real = realpath(path.c_str(), nullptr);
  std::string result = real ? real : path;
  free(real);
  return result;
}

constexpr const char *checkFolder = "Check that the folder exists and is writable";

} // namespace

void removeTemporaries() {
  for (Slot &slot : slots)
    if (slot.shown)
      unlink(slot.name);
}

OutputFile &OutputFile::operator=(OutputFile &&other) noexcept {
  std::swap(state, other.state);
  std::swap(path, other.path);
  std::swap(temporary, other.temporary);
  std::swap(descriptor, other.descriptor);
  std::swap(slot, other.slot);
  return *this;
}

MaybeOutputProblem OutputFile::problem(int code, const std::string &what, const char *hint) const {
  const int error = errno;
  return OutputProblem{code, what + " '" + path + "': " + strerror(error), hint};
}

MaybeOutputProblem OutputFile::cannotWrite() const {
  return problem(5012, "cannot write", "Free some space, or write to another disk");
}

MaybeOutputProblem OutputFile::create(const std::string &target, const ReadFiles &read,
                                      const OutputOptions &options) {
  abandon();
  path = target;
  if (auto source = read.find(path))
    return OutputProblem{5014,
                         "writing '" + path + "' would destroy '" + *source +
                             "', which is read from: they are the same file",
                         "Give the output another name"};
  struct stat facts;
  const bool exists = stat(path.c_str(), &facts) == 0;
  if (exists && !S_ISREG(facts.st_mode)) {
    if (!options.devices || S_ISDIR(facts.st_mode))
      return OutputProblem{5013, "'" + path + "' is a folder or device, and what is written is a file",
                           "Give the name of a file"};
    descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor < 0)
      return problem(5011, "cannot open", checkFolder);
    state = State::Direct;
    return std::nullopt;
  }
  if (exists && options.replacesContent)
    path = resolved(path);
  const mode_t mode = exists && options.replacesContent ? facts.st_mode & 07777 : masked(options.mode);
  if (access("/proc/self/fd", X_OK) == 0) // else it could never get a name
    descriptor = open(folderOf(path).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0)
    return createNamed(mode);
  state = State::Nameless;
  (void)fchmod(descriptor, mode);
  return std::nullopt;
}

MaybeOutputProblem OutputFile::createNamed(mode_t mode) {
  temporary = path + ".tmpXXXXXX";
  descriptor = mkostemp(temporary.data(), O_CLOEXEC);
  if (descriptor < 0)
    return problem(5011, "cannot create a file beside", checkFolder);
  slot = remember(temporary);
  state = State::Temporary;
  (void)fchmod(descriptor, mode);
  return std::nullopt;
}

MaybeOutputProblem OutputFile::adopt(int number, const std::string &name) {
  abandon();
  path = name;
  descriptor = dup(number);
  if (descriptor < 0)
    return problem(5011, "cannot open", "Allow more open files");
  state = State::Direct;
  return std::nullopt;
}

MaybeOutputProblem OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), std::min<size_t>(bytes.size(), 1u << 30));
    if (count < 0 && errno != EINTR)
      return cannotWrite();
    bytes = bytes.subspan(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  }
  return std::nullopt;
}

MaybeOutputProblem OutputFile::writeAt(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = pwrite(descriptor, bytes.data(), std::min<size_t>(bytes.size(), 1u << 30),
                                 static_cast<off_t>(offset));
    if (count < 0 && errno != EINTR)
      return cannotWrite();
    const auto done = static_cast<size_t>(std::max<ssize_t>(count, 0));
    bytes = bytes.subspan(done);
    offset += done;
  }
  return std::nullopt;
}

bool OutputFile::link(const std::string &name) const {
  const std::string nameless = "/proc/self/fd/" + std::to_string(descriptor);
  return linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

/// A nameless file cannot take the place of another one: then it gets a temporary name first.
bool OutputFile::nameIt() {
  if (state == State::Nameless) {
    if (link(path))
      return true;
    if (errno != EEXIST)
      return false;
    for (unsigned attempt = 0;; ++attempt) {
      temporary = path + ".tmp" + std::to_string(getpid()) + "-" + std::to_string(attempt);
      slot = remember(temporary);
      if (link(temporary))
        break;
      const int error = errno;
      forget(std::exchange(slot, -1));
      temporary.clear();
      errno = error;
      if (error != EEXIST || attempt == 1000)
        return false;
    }
    state = State::Temporary;
  }
  if (rename(temporary.c_str(), path.c_str()) != 0)
    return false;
  temporary.clear();
  return true;
}

MaybeOutputProblem OutputFile::commit() {
  // Some file systems report a full disk only when a file is closed: those of networks, which know no
  // nameless files.
  if (state == State::Nameless || state == State::Temporary) {
    if (state == State::Temporary && close(std::exchange(descriptor, -1)) != 0)
      return cannotWrite();
    if (!nameIt())
      return problem(5013, "cannot rename the finished file to",
                     "Check that no folder has this name and that the old file may be replaced");
  }
  state = State::Closed;
  forget(std::exchange(slot, -1));
  if (descriptor >= 0 && close(std::exchange(descriptor, -1)) != 0)
    return cannotWrite();
  return std::nullopt;
}

void OutputFile::abandon() {
  if (descriptor >= 0)
    close(std::exchange(descriptor, -1));
  if (!temporary.empty())
    unlink(temporary.c_str());
  temporary.clear();
  forget(std::exchange(slot, -1));
  state = State::Closed;
}

} // namespace tilewright::files
