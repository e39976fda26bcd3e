/// Diagnostics.h - what went wrong, how it travels, and how the user sees it.
///
/// Nothing in the tools throws: a function that can fail returns Result<T> or MaybeProblem.
/// Thread-compatible.
#pragma once

#include "tilewright.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace tilewright::tools {

/// Exit codes of the driver: a contract with scripts. Codes 3 and above equal tw_status.
enum class ExitCode : int {
  Ok = 0,
  Differs = 1,
  Usage = 2,
  Unsupported = 3,
  Invalid = 4,
  Io = 5,
  Internal = 70
};

ExitCode exitCodeOf(tw_status status);

/// One problem, as printed: `error CODE: message` (`warning` where `exit` is Ok), then the node, operator,
/// tensor and hint that are not empty.
struct Diagnostic {
  ExitCode exit = ExitCode::Internal;
  std::string code;
  std::string message;
  std::string hint;
  std::string node, op, tensor;
};

using MaybeProblem = std::optional<Diagnostic>;

Diagnostic usageProblem(std::string code, std::string message, std::string hint = "");
Diagnostic invalidProblem(std::string code, std::string message, std::string hint = "");
/// An I/O problem; `error` is an errno value, spelt out behind the message (0: none).
Diagnostic ioProblem(std::string code, std::string message, int error = 0);
Diagnostic fromRuntime(const tw_error &error);

/// A value, or the problem that prevented it.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : content(std::move(value)) {}
  Result(Diagnostic problem) : content(std::move(problem)) {}
  explicit operator bool() const { return std::holds_alternative<T>(content); }
  T &operator*() { return std::get<T>(content); }
  T *operator->() { return &std::get<T>(content); }
  const Diagnostic &problem() const { return std::get<Diagnostic>(content); }

private:
  std::variant<T, Diagnostic> content;
};

/// Whether colour belongs on `stream`: a terminal that is not dumb, and NO_COLOR is unset or empty.
bool wantsColour(int fileDescriptor);

/// The text of a diagnostic, with its trailing newline.
std::string formatDiagnostic(const Diagnostic &diagnostic, bool colour);

/// Print to stderr. Returns the exit code that the diagnostic stands for.
ExitCode report(const Diagnostic &diagnostic);

/// Flush stdout and say so when it could not be written; else `code`.
ExitCode finishStdout(ExitCode code);

/// A progress bar on stderr, drawn only on a terminal and only once the work has taken `delay` seconds. One
/// thread at a time.
class ProgressBar {
public:
  explicit ProgressBar(std::string title, double delay = 0.4);
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar &) = delete;
  ProgressBar &operator=(const ProgressBar &) = delete;
  void update(const std::string &stage, uint32_t done, uint32_t total);
  /// Remove the bar, so that other lines can be printed.
  void clear();

private:
  std::string title;
  double startSeconds, delaySeconds, lastSeconds = 0;
  bool terminal, drawn = false;
};

/// Seconds of a monotonic clock.
double monotonicSeconds();

} // namespace tilewright::tools
