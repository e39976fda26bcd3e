//===- KernelCacheTest.cpp - kernels are compiled once, and correctly -----===//
#include "codegen/cache/KernelCache.h"
#include "Support.h"

#include <atomic>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace tilewright::codegen;
using namespace tilewright::codegen::testing;

namespace {

CacheKey key(int number) {
  static const TargetInfo target = llvm::cantFail(resolveTarget("cpu:haswell"));
  return kernelCacheKey("kernel " + std::to_string(number), target, "default");
}

/// What a kernel compiles to in these tests: depends on the number, so that a mix-up shows.
std::string objectOf(int number, size_t size = 100) {
  std::string object;
  while (object.size() < size)
    object += "object " + std::to_string(number) + ",";
  return object;
}

struct Compiler {
  std::atomic<int> calls{0};
  std::string get(KernelCache &cache, int number, size_t size = 100) {
    auto result = cache.get(key(number), [&]() -> llvm::Expected<std::string> {
      ++calls;
      return objectOf(number, size);
    });
    return *llvm::cantFail(std::move(result));
  }
};

CacheOptions at(const std::string &folder, uint64_t limit = 1 << 30) {
  CacheOptions options;
  options.directory = folder;
  options.limitBytes = limit;
  return options;
}

TEST(KernelCache, KeyDependsOnEverything) {
  const TargetInfo target = llvm::cantFail(resolveTarget("cpu:haswell"));
  TargetInfo other = target;
  other.l2Bytes *= 2;
  const CacheKey base = kernelCacheKey("text", target, "default");
  EXPECT_EQ(base, kernelCacheKey("text", target, "default"));
  EXPECT_NE(base, kernelCacheKey("texts", target, "default"));
  EXPECT_NE(base, kernelCacheKey("text", other, "default"));
  EXPECT_NE(base, kernelCacheKey("text", target, "strict"));
  EXPECT_NE(compilerBuildId(), "");
  EXPECT_EQ(compilerBuildId().find("0.0.0"), std::string::npos); // no file was without identity
}

TEST(KernelCache, MemoryThenDisk) {
  TemporaryFolder folder;
  Compiler compiler;
  {
    KernelCache cache(at(folder.file("a/b")));
    EXPECT_EQ(cache.warning(), "");
    EXPECT_EQ(compiler.get(cache, 1), objectOf(1));
    EXPECT_EQ(compiler.get(cache, 1), objectOf(1));
    EXPECT_EQ(compiler.get(cache, 2), objectOf(2));
    EXPECT_EQ(cache.statistics().memoryHits, 1u);
  }
  EXPECT_EQ(compiler.calls, 2);
  struct stat status;
  ASSERT_EQ(stat(folder.file("a/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  KernelCache cache(at(folder.file("a/b")));
  EXPECT_EQ(compiler.get(cache, 1), objectOf(1));
  EXPECT_EQ(compiler.get(cache, 2), objectOf(2));
  EXPECT_EQ(compiler.calls, 2);
  EXPECT_EQ(cache.statistics().diskHits, 2u);
}

TEST(KernelCache, FolderFromTheEnvironment) {
  TemporaryFolder folder;
  setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  unsetenv("TILEWRIGHT_CACHE_DIR");
  EXPECT_EQ(KernelCache().directory(), folder.file("tilewright"));
  setenv("TILEWRIGHT_CACHE_DIR", folder.file("own").c_str(), 1);
  EXPECT_EQ(KernelCache().directory(), folder.file("own"));
  setenv("TILEWRIGHT_CACHE_DIR", "", 1);
  EXPECT_EQ(KernelCache().directory(), "");
  EXPECT_EQ(KernelCache().warning(), "");
  unsetenv("TILEWRIGHT_CACHE_DIR");
  unsetenv("XDG_CACHE_HOME");
}

TEST(KernelCache, ConcurrentRequestsCompileOnce) {
  TemporaryFolder folder;
  KernelCache cache(at(folder.path()));
  std::atomic<int> calls{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&] {
      auto object = llvm::cantFail(cache.get(key(7), [&]() -> llvm::Expected<std::string> {
        ++calls;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        return objectOf(7);
      }));
      wrong += *object != objectOf(7);
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(wrong, 0);
}

TEST(KernelCache, FailureIsNotRemembered) {
  KernelCache cache(at(""));
  std::atomic<int> calls{0}, failures{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      auto object = cache.get(key(1), [&]() -> llvm::Expected<std::string> {
        ++calls;
        return makeError(9202, Fault::Internal, "refused");
      });
      failures += errorOf(object.takeError()).code == 9202;
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(calls, 4); // every thread tried, and heard of its own failure
  EXPECT_EQ(failures, 4);
  Compiler compiler;
  EXPECT_EQ(compiler.get(cache, 1), objectOf(1));
}

TEST(KernelCache, ProcessesShareAFolder) {
  TemporaryFolder folder;
  std::vector<pid_t> children;
  for (int child = 0; child < 4; ++child) {
    const pid_t process = fork();
    if (process == 0) {
      bool right = true;
      for (int round = 0; round < 3; ++round) {
        KernelCache cache(at(folder.path(), 20000)); // small enough that they evict each other's entries
        Compiler compiler;
        for (int number = 0; number < 40; ++number)
          right &= compiler.get(cache, number, 1000) == objectOf(number, 1000);
      }
      _exit(right ? 0 : 1);
    }
    children.push_back(process);
  }
  for (pid_t process : children) {
    int status = -1;
    waitpid(process, &status, 0);
    EXPECT_EQ(status, 0);
  }
}

TEST(KernelCache, DamagedEntriesAreCompiledAgain) {
  TemporaryFolder folder;
  Compiler compiler;
  {
    KernelCache cache(at(folder.path()));
    compiler.get(cache, 1);
    compiler.get(cache, 2);
  }
  const std::vector<std::string> names = folder.list();
  ASSERT_EQ(names.size(), 2u);
  const std::string whole = readFile(folder.file(names[0])), other = readFile(folder.file(names[1]));
  std::string flipped = whole;
  flipped[whole.size() - 3] ^= 1;
  // A flipped bit, a torn write, an empty file, foreign bytes, another kernel's entry under this name.
  for (const std::string &damaged :
       {flipped, whole.substr(0, whole.size() / 2), std::string(), std::string(300, 'x'), other}) {
    writeFile(folder.file(names[0]), damaged);
    KernelCache cache(at(folder.path()));
    const int before = compiler.calls;
    EXPECT_EQ(compiler.get(cache, 1), objectOf(1));
    EXPECT_EQ(compiler.get(cache, 2), objectOf(2));
    EXPECT_EQ(compiler.calls, before + 1);
    EXPECT_EQ(readFile(folder.file(names[0])), whole); // and mended
  }
}

TEST(KernelCache, UnusableFoldersAreRefusedWithAReason) {
  TemporaryFolder folder;
  Compiler compiler;
  auto warningFor = [&](const std::string &path) {
    KernelCache cache(at(path));
    EXPECT_EQ(cache.directory(), "");
    EXPECT_EQ(compiler.get(cache, 1), objectOf(1)); // works without
    return cache.warning();
  };
  mkdir(folder.file("open").c_str(), 0700);
  chmod(folder.file("open").c_str(), 0755);
  EXPECT_NE(warningFor(folder.file("open")).find("others may enter"), std::string::npos);
  writeFile(folder.file("plain"), "");
  EXPECT_NE(warningFor(folder.file("plain")).find("not a folder"), std::string::npos);
  EXPECT_NE(warningFor(folder.file("plain") + "/inside").find("Not a directory"), std::string::npos);
  symlink(folder.path().c_str(), folder.file("link").c_str());
  EXPECT_NE(warningFor(folder.file("link")).find("not a folder"), std::string::npos);
  EXPECT_NE(warningFor("/proc/tilewright"), "");
  if (geteuid() == 0) { // Only root can give a folder away.
    mkdir(folder.file("foreign").c_str(), 0700);
    ASSERT_EQ(chown(folder.file("foreign").c_str(), 1234, 1234), 0);
    EXPECT_NE(warningFor(folder.file("foreign")).find("somebody else"), std::string::npos);
  }
}

TEST(KernelCache, FolderThatVanishesOrFillsUpDoesNoHarm) {
  TemporaryFolder folder;
  Compiler compiler;
  {
    KernelCache cache(at(folder.file("gone")));
    std::filesystem::remove_all(folder.file("gone"));
    EXPECT_EQ(compiler.get(cache, 1), objectOf(1));
  }
  // A limit on file size stands in for a full disk: the write fails half-way. In a child, as limits stay.
  const pid_t process = fork();
  if (process == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit small = {200, 200};
    setrlimit(RLIMIT_FSIZE, &small);
    KernelCache cache(at(folder.file("full")));
    const bool right = compiler.get(cache, 3, 5000) == objectOf(3, 5000);
    _exit(right && std::filesystem::is_empty(folder.file("full")) ? 0 : 1);
  }
  int status = -1;
  waitpid(process, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(KernelCache, OldestEntriesGoWhenTheLimitIsReached) {
  TemporaryFolder folder;
  Compiler compiler;
  KernelCache cache(at(folder.path(), 10000));
  // Ages are set by hand, oldest first.
  std::vector<std::string> order;
  for (int number = 0; number < 6; ++number) {
    compiler.get(cache, number, 1000);
    for (const std::string &name : folder.list())
      if (llvm::find(order, name) == order.end())
        order.push_back(name);
    const timespec times[2] = {{1000 + number, 0}, {1000 + number, 0}};
    utimensat(AT_FDCWD, folder.file(order.back()).c_str(), times, 0);
  }
  ASSERT_EQ(order.size(), 6u);
  KernelCache again(at(folder.path(), 3500));
  compiler.get(again, 0); // reading makes the oldest the newest
  again.evict();
  std::vector<std::string> expected = {order[0], order[4], order[5]};
  llvm::sort(expected);
  EXPECT_EQ(folder.list(), expected);
}

TEST(KernelCache, FolderStaysNearItsLimit) {
  TemporaryFolder folder;
  Compiler compiler;
  KernelCache cache(at(folder.path(), 50000));
  writeFile(folder.file("x.object.tmpabc"), "left by a crash");
  const timespec old[2] = {{1000, 0}, {1000, 0}};
  utimensat(AT_FDCWD, folder.file("x.object.tmpabc").c_str(), old, 0);
  for (int number = 0; number < 200; ++number)
    compiler.get(cache, number, 1000);
  uint64_t total = 0;
  for (const std::string &name : folder.list()) {
    EXPECT_NE(name, "x.object.tmpabc");
    total += std::filesystem::file_size(folder.file(name));
  }
  EXPECT_LT(total, 55000u);
  EXPECT_GT(total, 30000u);
}

} // namespace
