#include "Diagnostics.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <unistd.h>

namespace tilewright::tools {

ExitCode exitCodeOf(tw_status status) {
  switch (status) {
  case TW_OK:
    return ExitCode::Ok;
  case TW_UNSUPPORTED:
    return ExitCode::Unsupported;
  case TW_INVALID:
    return ExitCode::Invalid;
  case TW_IO:
    return ExitCode::Io;
  case TW_CANCELLED:
  case TW_INTERNAL:
    break;
  }
  return ExitCode::Internal;
}

Diagnostic usageProblem(std::string code, std::string message, std::string hint) {
  return {ExitCode::Usage, std::move(code), std::move(message), std::move(hint), "", "", ""};
}

Diagnostic invalidProblem(std::string code, std::string message, std::string hint) {
  return {ExitCode::Invalid, std::move(code), std::move(message), std::move(hint), "", "", ""};
}

Diagnostic ioProblem(std::string code, std::string message, int error) {
  if (error)
    message += fmt::format(": {}", std::strerror(error));
  return {ExitCode::Io, std::move(code), std::move(message), "", "", "", ""};
}

Diagnostic fromRuntime(const tw_error &error) {
  return {exitCodeOf(error.status), error.code, error.message, "", error.node, error.op, error.tensor};
}

bool wantsColour(int fileDescriptor) {
  const char *noColor = std::getenv("NO_COLOR");
  const char *term = std::getenv("TERM");
  return isatty(fileDescriptor) && !(noColor && *noColor) && !(term && std::strcmp(term, "dumb") == 0);
}

/// Neither control characters of hostile names nor names of megabytes must reach the terminal.
static std::string printable(const std::string &text) {
  constexpr size_t longest = 2000;
  std::string clean = text.size() <= longest ? text : text.substr(0, longest) + "...";
  for (char &c : clean)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      c = c == '\n' || c == '\t' ? ' ' : '?';
  return clean;
}

std::string formatDiagnostic(const Diagnostic &diagnostic, bool colour) {
  const bool warns = diagnostic.exit == ExitCode::Ok;
  const char *tint = !colour ? "" : warns ? "\033[1;33m" : "\033[1;31m";
  const char *bold = colour ? "\033[1m" : "";
  const char *off = colour ? "\033[0m" : "";
  std::string text = fmt::format("{}{} {}:{} {}{}{}\n", tint, warns ? "warning" : "error", diagnostic.code,
                                 off, bold, printable(diagnostic.message), off);
  auto line = [&](const char *label, const std::string &value) {
    if (!value.empty())
      text += fmt::format("  {:<7} {}\n", label, printable(value));
  };
  line("node:", diagnostic.node);
  line("op:", diagnostic.op);
  line("tensor:", diagnostic.tensor);
  line("hint:", diagnostic.hint);
  return text;
}

ExitCode report(const Diagnostic &diagnostic) {
  // What was printed before goes first, even where both streams end in one file.
  std::fflush(stdout);
  std::fputs(formatDiagnostic(diagnostic, wantsColour(STDERR_FILENO)).c_str(), stderr);
  return diagnostic.exit;
}

ExitCode finishStdout(ExitCode code) {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout))
    return code;
  return report(ioProblem("TW5102", "cannot write to the standard output", errno));
}

double monotonicSeconds() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

ProgressBar::ProgressBar(std::string title, double delay)
    : title(printable(title)), startSeconds(monotonicSeconds()), delaySeconds(delay),
      terminal(isatty(STDERR_FILENO)) {}

void ProgressBar::update(const std::string &stage, uint32_t done, uint32_t total) {
  double now = monotonicSeconds();
  if (!terminal || now - startSeconds < delaySeconds || now - lastSeconds < 0.05)
    return;
  constexpr uint32_t width = 30;
  uint32_t filled = total ? static_cast<uint32_t>(uint64_t{width} * std::min(done, total) / total) : 0;
  fmt::print(stderr, "\r\033[K{} [{:=<{}}{:{}}] {} {}/{}", title, "", filled, "", width - filled,
             printable(stage), done, total);
  std::fflush(stderr);
  lastSeconds = now;
  drawn = true;
}

void ProgressBar::clear() {
  if (drawn)
    std::fputs("\r\033[K", stderr);
  drawn = false;
}

} // namespace tilewright::tools
