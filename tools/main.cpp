/// The driver: `tilewright check|compile|run|bench|test|inspect`.
#include "CommandLine.h"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fmt/format.h>
#include <new>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

using namespace tilewright::tools;

/// False while a command runs: whatever ends the process then is our own bug.
static bool finished = false;

/// Only async-signal-safe calls.
static void endWithBug() {
  static constexpr char words[] = "error TW9004: this is a bug in tilewright: it ended unexpectedly; please "
                                  "report it with the model and the command line\n";
  ssize_t ignored = write(STDERR_FILENO, words, sizeof words - 1);
  static_cast<void>(ignored);
  _exit(static_cast<int>(ExitCode::Internal));
}

/// Crashes of this process or of the compiler in it, and libraries that call exit(), end with our exit code.
/// Sanitizers keep their own handlers: their reports say more.
static void installCrashHandlers() {
  std::atexit([] {
    if (!finished)
      endWithBug();
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
  action.sa_handler = [](int) { endWithBug(); };
  action.sa_flags = SA_ONSTACK;
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
    sigaction(signal, &action, nullptr);
}

int main(int count, char **arguments) {
  installCrashHandlers();
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
  code = finishStdout(code);
  finished = true;
  return static_cast<int>(code);
}
