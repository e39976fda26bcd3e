//===- KernelCache.cpp - compile each kernel once -------------------------===//
#include "codegen/cache/KernelCache.h"
#include "files/OutputFile.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/SHA256.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

using llvm::StringRef;

namespace tilewright::codegen {
namespace {

constexpr StringRef entrySuffix = ".object", temporaryMark = ".tmp";

/// Starts every entry. The payload follows.
struct EntryHeader {
  char magic[8] = {'T', 'W', 'K', 'E', 'R', 'N', '0', '1'};
  uint64_t length = 0;
  CacheKey key = {};
  std::array<uint8_t, 32> digest = {}; ///< SHA-256 of the payload
};

std::array<uint8_t, 32> digestOf(StringRef bytes) {
  return llvm::SHA256::hash(llvm::ArrayRef(bytes.bytes_begin(), bytes.size()));
}

/// Mixes a field into a hash so that neighbouring fields cannot run into each other.
void mix(llvm::SHA256 &hash, StringRef field) {
  const uint64_t size = field.size();
  hash.update(llvm::ArrayRef(reinterpret_cast<const uint8_t *>(&size), sizeof size));
  hash.update(field);
}

//===----------------------------------------------------------------------===//
// The identity of this build
//===----------------------------------------------------------------------===//

/// The loaded file that contains `address`, and its linker's build-id.
struct LoadedFile {
  const void *address;
  std::string path;
  std::string buildId;
};

void findBuildId(const dl_phdr_info &info, const ElfW(Phdr) & header, LoadedFile &file) {
  const char *note = reinterpret_cast<const char *>(info.dlpi_addr + header.p_vaddr);
  const char *end = note + header.p_memsz;
  while (note + sizeof(ElfW(Nhdr)) <= end) {
    const auto *entry = reinterpret_cast<const ElfW(Nhdr) *>(note);
    const char *name = note + sizeof *entry;
    const char *contents = name + ((entry->n_namesz + 3) & ~3u);
    if (entry->n_type == NT_GNU_BUILD_ID && entry->n_namesz == 4 && memcmp(name, "GNU", 4) == 0)
      file.buildId = llvm::toHex(StringRef(contents, entry->n_descsz));
    note = contents + ((entry->n_descsz + 3) & ~3u);
  }
}

int visitLoadedFile(dl_phdr_info *info, size_t, void *data) {
  auto &file = *static_cast<LoadedFile *>(data);
  const auto address = reinterpret_cast<ElfW(Addr)>(file.address);
  llvm::ArrayRef headers(info->dlpi_phdr, info->dlpi_phnum);
  const bool contains = llvm::any_of(headers, [&](const ElfW(Phdr) & header) {
    return header.p_type == PT_LOAD && address - (info->dlpi_addr + header.p_vaddr) < header.p_memsz;
  });
  if (!contains)
    return 0;
  file.path = info->dlpi_name && *info->dlpi_name ? info->dlpi_name : "/proc/self/exe";
  for (const ElfW(Phdr) &header : headers)
    if (header.p_type == PT_NOTE)
      findBuildId(*info, header, file);
  return 1;
}

/// The build-id of the file that contains `address`; for a file without one, its size and time of change.
std::string fileIdentity(const void *address) {
  LoadedFile file{address, "", ""};
  dl_iterate_phdr(visitLoadedFile, &file);
  if (!file.buildId.empty())
    return file.buildId;
  struct stat status = {};
  stat(file.path.c_str(), &status);
  return std::to_string(status.st_size) + "." + std::to_string(status.st_mtim.tv_sec) + "." +
         std::to_string(status.st_mtim.tv_nsec);
}

//===----------------------------------------------------------------------===//
// The folder
//===----------------------------------------------------------------------===//

std::string environment(const char *name) {
  const char *value = getenv(name);
  return value ? value : "";
}

std::string homeFolder() {
  if (std::string home = environment("HOME"); !home.empty())
    return home;
  char buffer[4096];
  passwd entry, *found = nullptr;
  if (getpwuid_r(getuid(), &entry, buffer, sizeof buffer, &found) == 0 && found && found->pw_dir)
    return found->pw_dir;
  return "";
}

/// The folder that `options` and the environment ask for; "" for none.
std::string chosenFolder(const CacheOptions &options) {
  if (options.directory)
    return *options.directory;
  if (const char *folder = getenv("TILEWRIGHT_CACHE_DIR"))
    return folder;
  // The XDG specification has relative paths ignored.
  if (std::string base = environment("XDG_CACHE_HOME"); StringRef(base).starts_with("/"))
    return base + "/tilewright";
  const std::string home = homeFolder();
  return home.empty() ? "" : home + "/.cache/tilewright";
}

/// Makes `folder` and its missing parents, private.
bool makeFolders(const std::string &folder) {
  for (size_t at = folder.find('/', 1);; at = folder.find('/', at + 1)) {
    if (mkdir(folder.substr(0, at).c_str(), 0700) != 0 && errno != EEXIST)
      return false;
    if (at == std::string::npos)
      return true;
  }
}

/// Why `folder` must not be used; "" if it may. Whoever can write into it could have us run their code.
std::string objection(const std::string &folder) {
  struct stat status;
  if (!makeFolders(folder) || lstat(folder.c_str(), &status) != 0)
    return strerror(errno);
  if (!S_ISDIR(status.st_mode))
    return "it is not a folder";
  if (status.st_uid != geteuid())
    return "it belongs to somebody else";
  if (status.st_mode & 0077)
    return "others may enter it (chmod 700 would allow its use)";
  if (access(folder.c_str(), R_OK | W_OK | X_OK) != 0)
    return strerror(errno);
  return "";
}

/// No object is larger.
constexpr off_t largestEntry = off_t(256) << 20;

/// Reads a regular file that is ours, of a sensible size; null if there is none.
std::shared_ptr<std::string> readOwnFile(const std::string &path) {
  // O_NONBLOCK: a pipe must not be waited for.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0)
    return nullptr;
  llvm::scope_exit closer([&] { close(descriptor); });
  struct stat status;
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
      status.st_size > largestEntry)
    return nullptr;
  auto contents = std::make_shared<std::string>(status.st_size, '\0');
  for (size_t done = 0; done < contents->size();) {
    const ssize_t count = read(descriptor, contents->data() + done, contents->size() - done);
    if (count <= 0)
      return nullptr;
    done += count;
  }
  futimens(descriptor, nullptr); // used now: eviction goes by this
  return contents;
}

struct FolderEntry {
  std::string path;
  uint64_t size;
  timespec time;
  bool operator<(const FolderEntry &other) const {
    return std::tie(time.tv_sec, time.tv_nsec) < std::tie(other.time.tv_sec, other.time.tv_nsec);
  }
};

/// Our entries in `folder`; temporary files that are an hour old are removed on the way.
std::vector<FolderEntry> listFolder(const std::string &folder) {
  std::vector<FolderEntry> entries;
  DIR *directory = opendir(folder.c_str());
  if (!directory)
    return entries;
  llvm::scope_exit closer([&] { closedir(directory); });
  while (const dirent *found = readdir(directory)) {
    const StringRef name = found->d_name;
    const std::string path = folder + "/" + found->d_name;
    struct stat status;
    if (lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
      continue;
    if (name.ends_with(entrySuffix))
      entries.push_back({path, static_cast<uint64_t>(status.st_size), status.st_mtim});
    else if (name.contains(temporaryMark) && status.st_mtim.tv_sec + 3600 < time(nullptr))
      unlink(path.c_str());
  }
  return entries;
}

} // namespace

const std::string &compilerBuildId() {
  static const std::string id = [] {
    void (llvm::SHA256::*llvmFunction)() = &llvm::SHA256::init; // lies in LLVM's library, wherever that is
    const void *address;
    memcpy(&address, &llvmFunction, sizeof address);
    return fileIdentity(reinterpret_cast<const void *>(&kernelCacheKey)) + "-" + fileIdentity(address) +
           "-" LLVM_VERSION_STRING;
  }();
  return id;
}

CacheKey kernelCacheKey(StringRef kernelText, const TargetInfo &target, StringRef precision) {
  llvm::SHA256 hash;
  mix(hash, kernelText);
  mix(hash, canonicalText(target));
  mix(hash, precision);
  mix(hash, compilerBuildId());
  return hash.final();
}

KernelCache::KernelCache(const CacheOptions &options)
    : folder(chosenFolder(options)), limit(options.limitBytes) {
  if (folder.empty())
    return;
  const std::string problem = objection(folder);
  if (problem.empty())
    return;
  warningText = "compiled kernels are not cached in '" + folder + "': " + problem;
  folder.clear();
}

std::string KernelCache::entryPath(const CacheKey &key) const {
  return folder + "/" + llvm::toHex(key, /*LowerCase=*/true) + entrySuffix.str();
}

/// The payload of an entry that is whole and belongs to `key`; else null.
static KernelCache::Object payloadOf(std::shared_ptr<std::string> contents, const CacheKey &key) {
  EntryHeader header, expected;
  if (!contents || contents->size() < sizeof header)
    return nullptr;
  memcpy(&header, contents->data(), sizeof header);
  const StringRef payload = StringRef(*contents).drop_front(sizeof header);
  if (memcmp(header.magic, expected.magic, sizeof header.magic) != 0 || header.key != key ||
      header.length != payload.size() || header.digest != digestOf(payload))
    return nullptr;
  contents->erase(0, sizeof header);
  return contents;
}

KernelCache::Object KernelCache::readEntry(const CacheKey &key) const {
  if (folder.empty())
    return nullptr;
  const std::string path = entryPath(key);
  if (Object payload = payloadOf(readOwnFile(path), key))
    return payload;
  struct stat status;
  if (lstat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode))
    unlink(path.c_str()); // whatever it is, it is not ours: a whole one takes its place
  return nullptr;
}

void KernelCache::writeEntry(const CacheKey &key, const std::string &object) {
  if (folder.empty() || object.size() > size_t(largestEntry) - sizeof(EntryHeader))
    return;
  EntryHeader header;
  header.length = object.size();
  header.key = key;
  header.digest = digestOf(object);
  files::OutputFile file;
  if (file.create(entryPath(key), {}, {0600, /*replacesContent=*/false, /*devices=*/false}) ||
      file.write(std::as_bytes(std::span(&header, 1))) || file.write(std::as_bytes(std::span(object))) ||
      file.commit())
    return;
  countWritten(sizeof header + object.size());
}

/// Eviction reads the whole folder, so it comes once per sixteenth of the limit written.
void KernelCache::countWritten(uint64_t bytes) {
  {
    std::lock_guard<std::mutex> lock(mutex);
    writtenSinceEviction += bytes;
    if (writtenSinceEviction < limit / 16)
      return;
    writtenSinceEviction = 0;
  }
  evict();
}

void KernelCache::evict() {
  if (folder.empty())
    return;
  std::vector<FolderEntry> entries = listFolder(folder);
  uint64_t total = 0;
  for (const FolderEntry &entry : entries)
    total += entry.size;
  llvm::sort(entries);
  for (const FolderEntry &entry : entries) {
    if (total <= limit)
      return;
    unlink(entry.path.c_str());
    total -= entry.size;
  }
}

/// Publishes the outcome of the one thread that worked on `key`; without an object the next one tries.
KernelCache::Object KernelCache::finish(const CacheKey &key, Object object) {
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (object)
      slots[key] = {object, /*busy=*/false};
    else
      slots.erase(key);
  }
  slotFree.notify_all();
  return object;
}

llvm::Expected<KernelCache::Object>
KernelCache::get(const CacheKey &key, llvm::function_ref<llvm::Expected<std::string>()> compile) {
  {
    std::unique_lock<std::mutex> lock(mutex);
    for (auto slot = slots.find(key); slot != slots.end(); slot = slots.find(key)) {
      if (!slot->second.busy) {
        ++counters.memoryHits;
        return slot->second.object;
      }
      slotFree.wait(lock);
    }
    slots[key] = {};
  }
  if (Object object = readEntry(key)) {
    std::unique_lock<std::mutex> lock(mutex);
    ++counters.diskHits;
    lock.unlock();
    return finish(key, std::move(object));
  }
  auto compiled = compile();
  if (!compiled) {
    finish(key, nullptr);
    return compiled.takeError();
  }
  auto object = std::make_shared<const std::string>(std::move(*compiled));
  {
    std::lock_guard<std::mutex> lock(mutex);
    ++counters.compiled;
  }
  finish(key, object);
  writeEntry(key, *object);
  return object;
}

CacheStatistics KernelCache::statistics() const {
  std::lock_guard<std::mutex> lock(mutex);
  return counters;
}

} // namespace tilewright::codegen
