#include "Compiler.h"

#include <dlfcn.h>
#include <filesystem>
#include <fmt/format.h>

namespace tilewright::tools {

static constexpr const char *libraryName = "libtilewright-compiler.so";

/// Prefer the library this executable was built with over whatever the system has.
static std::string libraryPath() {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path beside =
      fs::read_symlink("/proc/self/exe", error).parent_path().parent_path() / "lib" / libraryName;
  return !error && fs::exists(beside, error) ? beside.string() : libraryName;
}

static Diagnostic cannotOpen(const std::string &path) {
  const char *reason = dlerror();
  Diagnostic problem = ioProblem("TW5105", fmt::format("cannot open the compiler library '{}': {}", path,
                                                       reason ? reason : "unknown reason"));
  problem.hint = "compiled artifacts run without it; to compile, install the compiler or build the target "
                 "tilewright-compiler";
  return problem;
}

template <typename Function> static bool lookUp(void *library, const char *name, Function &function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

std::atomic<decltype(&twc_remove_temporaries)> Compiler::removeTemporaries{nullptr};
std::atomic<bool> Compiler::loading{false};

Result<const Compiler *> Compiler::open() {
  static Compiler compiler;
  if (compiler.compile)
    return &compiler;
  std::string path = libraryPath();
  decltype(&twc_remove_temporaries) remove = nullptr;
  loading = true;
  void *library = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  loading = false;
  if (!library || !lookUp(library, "twc_check", compiler.check) ||
      !lookUp(library, "twc_inspect", compiler.inspect) ||
      !lookUp(library, "twc_remove_temporaries", remove) ||
      !lookUp(library, "twc_version", compiler.version) || !lookUp(library, "twc_compile", compiler.compile))
    return cannotOpen(path);
  removeTemporaries = remove;
  return &compiler;
}

static std::string orEmpty(const char *text) { return text ? text : ""; }

/// Targets that do not exist, and stages that a target does not have, are mistakes on the command line.
static ExitCode exitCodeOf(const twc_diagnostic &diagnostic) {
  const std::string code = orEmpty(diagnostic.code);
  return code == "TW3001" || code == "TW3003" ? ExitCode::Usage : tools::exitCodeOf(diagnostic.status);
}

CompilerCall::CompilerCall(const CommonOptions &common, bool quiet)
    : progress(std::filesystem::path(common.model).filename().string()), quiet(quiet) {
  for (const DimensionRange &dim : common.dims)
    dims.push_back({dim.name.c_str(), dim.low, dim.high});
  settings.struct_size = sizeof settings;
  settings.threads = common.threads;
  settings.target = common.target.c_str();
  settings.precision = common.precision.c_str();
  settings.max_memory = common.maxMemory;
  settings.max_seconds = common.maxSeconds;
  settings.dims = dims.data();
  settings.dim_count = static_cast<uint32_t>(dims.size());
  settings.flags = common.noFolding ? TWC_NO_FOLDING : 0;
  settings.schedules = common.schedules.empty() ? nullptr : common.schedules.c_str();
  settings.user = this;
  settings.diagnostic = onDiagnostic;
  settings.text = onText;
  settings.progress = quiet ? nullptr : onProgress;
}

void CompilerCall::onDiagnostic(void *user, const twc_diagnostic *diagnostic) {
  auto &call = *static_cast<CompilerCall *>(user);
  Diagnostic problem{exitCodeOf(*diagnostic),    orEmpty(diagnostic->code), orEmpty(diagnostic->message),
                     orEmpty(diagnostic->hint),  orEmpty(diagnostic->node), orEmpty(diagnostic->op),
                     orEmpty(diagnostic->tensor)};
  call.progress.clear();
  if (!call.quiet)
    report(problem);
  auto &list = problem.exit == ExitCode::Ok ? call.warned : call.collected;
  list.push_back(std::move(problem));
}

void CompilerCall::onProgress(void *user, const char *stage, uint32_t done, uint32_t total) {
  static_cast<CompilerCall *>(user)->progress.update(orEmpty(stage), done, total);
}

void CompilerCall::onText(void *user, const char *bytes, size_t count) {
  static_cast<CompilerCall *>(user)->output.append(bytes, count);
}

ExitCode CompilerCall::finish(tw_status status) {
  progress.clear();
  if (status == TW_OK)
    return ExitCode::Ok;
  if (collected.empty()) {
    collected.push_back({tools::exitCodeOf(status), "TW9001", "the compiler failed without saying why",
                         "please report this with the model", "", "", ""});
    if (!quiet)
      report(collected.back());
  }
  return collected.front().exit == ExitCode::Usage ? ExitCode::Usage : tools::exitCodeOf(status);
}

} // namespace tilewright::tools
