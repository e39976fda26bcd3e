// Independent pieces of a compilation on all threads.
#include "compiler/Compilation.h"
#include <atomic>
#include <csignal>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

namespace tilewright::compiler {

unsigned Compilation::threadCount() const {
  return options.threads ? options.threads : std::max(1u, std::thread::hardware_concurrency());
}

namespace {

/// Room for the program's signal handlers on a thread whose stack has overflowed.
class SignalStack {
public:
  SignalStack() : room(std::make_unique<char[]>(bytes)) {
    stack_t stack{};
    stack.ss_sp = room.get();
    stack.ss_size = bytes;
    sigaltstack(&stack, &former);
  }
  SignalStack(const SignalStack &) = delete;
  ~SignalStack() { sigaltstack(&former, nullptr); }

private:
  static constexpr size_t bytes = 65536;
  std::unique_ptr<char[]> room;
  stack_t former{};
};

} // namespace

llvm::Error Compilation::inParallel(llvm::StringRef stage, size_t count,
                                    llvm::function_ref<llvm::Error(size_t, unsigned)> piece) {
  std::atomic<size_t> next = 0;
  std::mutex mutex; // of what follows
  size_t done = 0, failed = count;
  llvm::Error error = llvm::Error::success();
  std::exception_ptr thrown;
  auto finish = [&](size_t i, llvm::Error outcome) {
    std::lock_guard<std::mutex> lock(mutex);
    ++done;
    if (!outcome) {
      if (options.progress)
        options.progress(stage, done, count);
      return;
    }
    next = count;
    if (i < failed)
      std::swap(error, outcome);
    failed = std::min(failed, i);
    llvm::consumeError(std::move(outcome));
  };
  auto worker = [&](unsigned thread) {
    try {
      std::optional<SignalStack> own;
      if (thread)
        own.emplace();
      for (size_t i; (i = next++) < count;)
        finish(i, budget->exhausted()
                      ? codegen::makeError(3502, codegen::Fault::Unsupported, budget->reason(), budgetHint)
                      : piece(i, thread));
    } catch (...) { // want of memory; on a thread of its own it would end the process
      std::lock_guard<std::mutex> lock(mutex);
      next = count;
      thrown = std::current_exception();
    }
  };
  context.enterMultiThreadedExecution();
  std::vector<std::thread> team;
  const size_t wanted = std::min<size_t>(threadCount(), count);
  team.reserve(wanted);
  try {
    for (unsigned thread = 1; thread < wanted; ++thread)
      team.emplace_back(worker, thread);
  } catch (const std::system_error &) { // no more threads can be had: those that run do the work
  }
  worker(0);
  for (std::thread &thread : team)
    thread.join();
  context.exitMultiThreadedExecution();
  if (thrown) {
    llvm::consumeError(std::move(error));
    std::rethrow_exception(thrown);
  }
  return error;
}

} // namespace tilewright::compiler
