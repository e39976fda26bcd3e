/// The driver: `tilewright check|compile|run|bench|test|inspect`.
#include "CommandLine.h"
#include "Compiler.h"
#include "files/OutputFile.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <fmt/format.h>
#include <new>
#include <sys/mman.h>
#include <sys/resource.h>
#include <system_error>
#include <ucontext.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

using namespace tilewright::tools;

/// False while a command runs: whatever ends the process then is our own bug, or want of memory.
static bool finished = false;

/// Only async-signal-safe calls, here and in the functions that handlers call.
static void removeTemporaries() {
  tilewright::files::removeTemporaries();
  if (auto remove = Compiler::removeTemporaries.load())
    remove();
}

template <size_t size> [[noreturn]] static void endWith(ExitCode code, const char (&words)[size]) {
  removeTemporaries();
  ssize_t ignored = write(STDERR_FILENO, words, size - 1);
  static_cast<void>(ignored);
  _exit(static_cast<int>(code));
}

static void endForMemory() { endWith(ExitCode::Io, "error TW5103: out of memory\n"); }

/// A crash for want of memory is no bug: MLIR follows what malloc did not give, LLVM aborts, a stack cannot
/// grow. The thread's errno tells of the first two, unless LLVM aborts while it is being loaded.
static void endUnexpectedly() {
  if (errno == ENOMEM || Compiler::loading)
    endForMemory();
  constexpr size_t some = 1 << 20;
  void *memory = mmap(nullptr, some, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    endForMemory();
  munmap(memory, some);
  endWith(ExitCode::Internal,
          "error TW9004: this is a bug in tilewright: it ended unexpectedly; please report "
          "it with the model and the command line\n");
}

/// Whether an access near the stack pointer failed, and the stack may not grow to what is usual.
static bool isSmallStack(const siginfo_t *info, const void *context) {
  constexpr rlim_t usual = 1 << 20;
  const mcontext_t &state = static_cast<const ucontext_t *>(context)->uc_mcontext;
#if defined(__x86_64__)
  const auto pointer = static_cast<uintptr_t>(state.gregs[REG_RSP]);
#else
  const auto pointer = static_cast<uintptr_t>(state.sp);
#endif
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  struct rlimit limit{};
  return getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < usual && address < pointer + usual &&
         pointer < address + usual;
}

/// Crashes of this process, on whatever thread, or of the compiler in it, and libraries that call exit(), end
/// with our exit code. Sanitizers keep their own handlers: their reports say more.
[[gnu::constructor(101)]] static void installCrashHandlers() { // before anything allocates
  // At once: LLVM is built without exceptions, and one that passes through it leaves locks behind.
  std::set_new_handler(endForMemory);
  std::atexit([] {
    if (!finished)
      endUnexpectedly();
  });
  if (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
    return;
  // A stack that overflowed cannot run a handler: it gets a stack of its own.
  static char handlerStack[32768];
  stack_t stack{};
  stack.ss_sp = handlerStack;
  stack.ss_size = sizeof handlerStack;
  sigaltstack(&stack, nullptr);
  struct sigaction action{};
  action.sa_sigaction = [](int signal, siginfo_t *info, void *context) {
    if (signal == SIGBUS)
      endWith(ExitCode::Io, "error TW5108: a file was cut off while it was in use, or its disk fails\n");
    if (signal == SIGSEGV && isSmallStack(info, context))
      endWith(ExitCode::Io,
              "error TW5109: the stack is too small\n  hint:   allow a larger one (ulimit -s)\n");
    endUnexpectedly();
  };
  action.sa_flags = SA_ONSTACK | SA_SIGINFO;
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
    sigaction(signal, &action, nullptr);
}

/// What ends the process from outside leaves no temporary file.
static void installInterruptHandlers() {
  struct sigaction action{}, former{};
  action.sa_handler = [](int signal) {
    removeTemporaries();
    raise(signal); // by its default action, as it was reset
  };
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU})
    if (sigaction(signal, nullptr, &former) == 0 && former.sa_handler == SIG_DFL)
      sigaction(signal, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN); // a reader that went away shows as a failed write
  std::signal(SIGXFSZ, SIG_IGN); // and so does a file that may not grow
}

/// Files that are opened later must not get the numbers of the standard streams: what is printed would go
/// into them.
static void occupyStandardStreams() {
  for (int stream = 0; stream <= STDERR_FILENO; ++stream)
    if (fcntl(stream, F_GETFD) < 0)
      open("/dev/null", O_RDONLY);
}

int main(int count, char **arguments) {
  occupyStandardStreams();
  installInterruptHandlers();
  ExitCode code;
  try {
    code = runCommandLine(count, arguments);
  } catch (const std::system_error &error) { // of what is printed
    code = report({ExitCode::Io, "TW5102", fmt::format("the system refuses something: {}", error.what()),
                   "allow larger files, and more memory and threads", "", "", ""});
  } catch (const std::exception &error) {
    code = report({ExitCode::Internal, "TW9005", fmt::format("unexpected: {}", error.what()),
                   "please report this", "", "", ""});
  }
  code = finishStdout(code);
  finished = true;
  return static_cast<int>(code);
}
