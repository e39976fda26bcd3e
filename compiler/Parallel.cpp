// Independent pieces of a compilation on all threads.
#include "compiler/Compilation.h"
#include <atomic>
#include <mutex>
#include <thread>

namespace tilewright::compiler {

unsigned Compilation::threadCount() const {
  return options.threads ? options.threads : std::max(1u, std::thread::hardware_concurrency());
}

llvm::Error Compilation::inParallel(llvm::StringRef stage, size_t count,
                                    llvm::function_ref<llvm::Error(size_t, unsigned)> piece) {
  std::atomic<size_t> next = 0;
  std::mutex mutex; // of what follows
  size_t done = 0, failed = count;
  llvm::Error error = llvm::Error::success();
  auto worker = [&](unsigned thread) {
    for (size_t i; (i = next++) < count;) {
      llvm::Error outcome = piece(i, thread);
      std::lock_guard<std::mutex> lock(mutex);
      ++done;
      if (!outcome) {
        if (options.progress)
          options.progress(stage, done, count);
        continue;
      }
      next = count;
      if (i < failed)
        std::swap(error, outcome);
      failed = std::min(failed, i);
      llvm::consumeError(std::move(outcome));
    }
  };
  context.enterMultiThreadedExecution();
  std::vector<std::thread> team;
  for (unsigned thread = 1; thread < std::min<size_t>(threadCount(), count); ++thread)
    team.emplace_back(worker, thread);
  worker(0);
  for (std::thread &thread : team)
    thread.join();
  context.exitMultiThreadedExecution();
  return error;
}

} // namespace tilewright::compiler
