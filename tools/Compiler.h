/// Compiler.h - the compiler library, opened only when something is compiled.
#pragma once

#include "Commands.h"
#include "tilewright_compiler.h"

#include <atomic>
#include <string>
#include <vector>

namespace tilewright::tools {

/// The entry points of libtilewright-compiler. The library stays loaded until the process ends.
class Compiler {
public:
  /// Look beside the executable (../lib), then where the system's loader looks.
  static Result<const Compiler *> open();

  decltype(&twc_compile) compile = nullptr;
  decltype(&twc_check) check = nullptr;
  decltype(&twc_inspect) inspect = nullptr;
  decltype(&twc_version) version = nullptr;

  /// twc_remove_temporaries once the library is open, else null. For signal handlers.
  static std::atomic<decltype(&twc_remove_temporaries)> removeTemporaries;
  /// While the library is being loaded. LLVM allocates then, and aborts where it gets nothing.
  static std::atomic<bool> loading;
};

/// One call of the compiler: the options it gets, and what came back. Must stay in place while the call runs.
class CompilerCall {
public:
  /// `quiet`: collect the diagnostics instead of printing them, and show no progress.
  CompilerCall(const CommonOptions &common, bool quiet);
  CompilerCall(const CompilerCall &) = delete;
  CompilerCall &operator=(const CompilerCall &) = delete;

  twc_options &options() { return settings; }
  /// Exit code of a call that returned `status`; says that something is wrong when the compiler failed
  /// without a diagnostic.
  ExitCode finish(tw_status status);
  const std::vector<Diagnostic> &diagnostics() const { return collected; }
  const std::vector<Diagnostic> &warnings() const { return warned; }
  const std::string &text() const { return output; }

private:
  static void onDiagnostic(void *user, const twc_diagnostic *diagnostic);
  static void onProgress(void *user, const char *stage, uint32_t done, uint32_t total);
  static void onText(void *user, const char *bytes, size_t count);

  twc_options settings{};
  std::vector<twc_dim> dims;
  std::vector<Diagnostic> collected, warned;
  std::string output;
  ProgressBar progress;
  bool quiet;
};

} // namespace tilewright::tools
