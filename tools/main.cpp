/// The driver: `tilewright check|compile|run|bench|test|inspect`.
#include "CommandLine.h"

#include <csignal>
#include <cstring>
#include <exception>
#include <fmt/format.h>
#include <new>
#include <unistd.h>

using namespace tilewright::tools;

/// A crash of this process or of the compiler in it is our own bug, and says so. Only async-signal-safe
/// calls.
static void onCrash(int) {
  static constexpr char words[] = "error TW9004: tilewright crashed; this is a bug in tilewright\n"
                                  "  hint:   please report it with the model and the command line\n";
  ssize_t ignored = write(STDERR_FILENO, words, sizeof words - 1);
  static_cast<void>(ignored);
  _exit(static_cast<int>(ExitCode::Internal));
}

static void installCrashHandler() {
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
  // A stack that overflowed cannot run a handler: it gets a stack of its own.
  static char handlerStack[32768];
  stack_t stack{};
  stack.ss_sp = handlerStack;
  stack.ss_size = sizeof handlerStack;
  sigaltstack(&stack, nullptr);
  struct sigaction action{};
  action.sa_handler = onCrash;
  action.sa_flags = SA_ONSTACK;
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
    sigaction(signal, &action, nullptr);
#endif
}

int main(int count, char **arguments) {
  installCrashHandler();
  std::signal(SIGPIPE, SIG_IGN); // a reader that went away shows as a failed write
  ExitCode code;
  try {
    code = runCommandLine(count, arguments);
  } catch (const std::bad_alloc &) {
    code = report(ioProblem("TW5103", "out of memory"));
  } catch (const std::exception &error) {
    code = report({ExitCode::Internal, "TW9005", fmt::format("unexpected: {}", error.what()),
                   "please report this", "", "", ""});
  }
  return static_cast<int>(finishStdout(code));
}
