//===- KernelCache.h - compile each kernel once -----------------*- C++ -*-===//
//
// Two layers. In memory: kernels with equal keys are compiled once in a process, also when threads ask at the
// same moment. On disk: objects outlive the process. The folder is private (0700, ours), an entry is checked
// against its own SHA-256 before it is used, and is written under a temporary name and renamed, so processes
// and threads share a folder freely. The disk layer never fails a compilation: whatever is wrong with it
// means compiling again.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_CACHE_KERNELCACHE_H
#define TILEWRIGHT_CODEGEN_CACHE_KERNELCACHE_H

#include "codegen/target/Target.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <array>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace tilewright::codegen {

/// SHA-256 of all that determines a kernel's object.
using CacheKey = std::array<uint8_t, 32>;

/// `kernelText`: the kernel in a canonical form, without names and weights. `precision`: the precision
/// policy. The target's table and compilerBuildId() are mixed in.
CacheKey kernelCacheKey(llvm::StringRef kernelText, const TargetInfo &target, llvm::StringRef precision);

/// Identifies this build of the compiler and its LLVM: their linker build-ids, or, for a file without one,
/// its size and time. Computed once.
const std::string &compilerBuildId();

struct CacheOptions {
  /// The folder; "": no disk layer; unset: $TILEWRIGHT_CACHE_DIR (empty: none), $XDG_CACHE_HOME/tilewright,
  /// ~/.cache/tilewright.
  std::optional<std::string> directory;
  uint64_t limitBytes = uint64_t(1) << 30; ///< the entries last used longest ago go first
};

struct CacheStatistics {
  uint64_t memoryHits = 0, diskHits = 0, compiled = 0;
};

/// Thread-safe.
class KernelCache {
public:
  using Object = std::shared_ptr<const std::string>;

  /// Never fails: with an unusable folder there is no disk layer, and warning() says why.
  explicit KernelCache(const CacheOptions &options = {});
  KernelCache(const KernelCache &) = delete;

  /// The object of `key`: from memory, from disk, or from `compile`, which is called without a lock held and
  /// at most once per key at a time. An error of `compile` goes to its caller; waiting threads then try
  /// themselves.
  llvm::Expected<Object> get(const CacheKey &key, llvm::function_ref<llvm::Expected<std::string>()> compile);

  /// Why the folder is not used, or "". One line for the user.
  const std::string &warning() const { return warningText; }
  /// The folder in use, or "".
  const std::string &directory() const { return folder; }
  CacheStatistics statistics() const;
  /// Deletes the entries used longest ago until the folder is below its limit, and temporary files that
  /// nobody finished. get() does this now and then.
  void evict();

private:
  struct Slot {
    Object object;
    bool busy = true;
  };
  std::string entryPath(const CacheKey &key) const;
  Object readEntry(const CacheKey &key) const;
  void writeEntry(const CacheKey &key, const std::string &object);
  Object finish(const CacheKey &key, Object object);
  void countWritten(uint64_t bytes);

  std::string folder, warningText;
  uint64_t limit;
  mutable std::mutex mutex;
  std::condition_variable slotFree;
  std::map<CacheKey, Slot> slots;
  CacheStatistics counters;
  uint64_t writtenSinceEviction = 0;
};

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_CACHE_KERNELCACHE_H
