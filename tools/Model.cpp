#include "Model.h"

#include "Compiler.h"
#include "support/File.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tilewright::tools {

Result<bool> isArtifact(const std::string &path) {
  auto prefix = readPrefix(path, 4);
  if (!prefix)
    return prefix.problem();
  return *prefix == "\x7f"
                    "ELF";
}

Result<ModelHandle> loadArtifact(const std::string &path, uint32_t flags) {
  tw_model *model = nullptr;
  tw_error error{};
  tw_load_options options{sizeof options, flags, nullptr};
  if (tw_model_load(path.c_str(), &options, &model, &error) != TW_OK)
    return fromRuntime(error);
  readFiles().add(path);
  if (const char *weights = tw_model_weights_path(model))
    readFiles().add(weights);
  return ModelHandle(model);
}

static ExitCode compileHere(const CommonOptions &options, const PrivateFile &artifact,
                            const std::string &result) {
  auto compiler = Compiler::open();
  if (!compiler)
    return report(compiler.problem());
  CompilerCall call(options, /*quiet=*/false);
  call.options().out_descriptor = artifact.descriptor();
  call.options().result_path = result.c_str();
  return call.finish((*compiler)->compile(options.model.c_str(), "the compiled model", &call.options()));
}

static ExitCode crashed(const std::string &model, const std::string &how) {
  return report({ExitCode::Internal, "TW9002", fmt::format("the compiler {} on '{}'", how, model),
                 "please report this with the model", "", "", ""});
}

static bool isOneOf(int exit, std::initializer_list<ExitCode> codes) {
  return std::any_of(codes.begin(), codes.end(),
                     [&](ExitCode code) { return static_cast<int>(code) == exit; });
}

/// The compiler's process died of a signal. Nobody but the system and its users send these three: too much
/// memory, too much time, or somebody wished it.
static ExitCode died(const std::string &model, int signal) {
  const std::string how = fmt::format("died of signal {}", strsignal(signal));
  if (signal == SIGKILL || signal == SIGXCPU || signal == SIGTERM)
    return report(ioProblem("TW5107", fmt::format("the compiler {} on '{}': it was ended from outside, "
                                                  "perhaps for want of memory or time",
                                                  how, model)));
  return crashed(model, how);
}

static ExitCode compileInChild(const CommonOptions &options, const PrivateFile &artifact,
                               const std::string &result) {
  std::signal(SIGCHLD, SIG_DFL); // else a parent that ignores it would keep it from us, too
  std::fflush(nullptr);
  const pid_t parent = getpid(), child = fork();
  if (child < 0)
    return report(ioProblem("TW5106", "cannot start a process to compile in", errno));
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) // it died before
      _exit(static_cast<int>(ExitCode::Io));
    ExitCode code = compileHere(options, artifact, result);
    std::fflush(nullptr);
    _exit(static_cast<int>(code));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status))
    return died(options.model, WTERMSIG(status));
  int exit = WEXITSTATUS(status);
  // Nothing we wrote ends with another code: a library or a sanitizer did.
  if (!isOneOf(exit, {ExitCode::Ok, ExitCode::Usage, ExitCode::Unsupported, ExitCode::Invalid, ExitCode::Io,
                      ExitCode::Internal}))
    return crashed(options.model, fmt::format("ended with exit code {}", exit));
  return static_cast<ExitCode>(exit);
}

static MadeArtifact notMade(ExitCode exit) { return {"", std::nullopt, 0, exit}; }

MadeArtifact makeArtifact(const CommonOptions &options, const std::string &result) {
  auto artifact = isArtifact(options.model);
  if (!artifact)
    return notMade(report(artifact.problem()));
  if (*artifact)
    return {options.model, std::nullopt, 0, ExitCode::Ok};
  auto file = PrivateFile::create();
  if (!file)
    return notMade(report(file.problem()));
  double start = monotonicSeconds();
  ExitCode code = compileInChild(options, *file, result);
  if (code != ExitCode::Ok)
    return notMade(code);
  std::string path = file->path();
  return {path, std::move(*file), monotonicSeconds() - start, ExitCode::Ok};
}

LoadOutcome loadModel(const MadeArtifact &artifact, const CommonOptions &options) {
  double start = monotonicSeconds();
  const uint32_t flags = artifact.file ? TW_LOAD_TRUST_WEIGHTS : options.verify ? TW_LOAD_CHECK_WEIGHTS : 0;
  auto model = loadArtifact(artifact.path, flags);
  if (!model)
    return {{}, report(model.problem())};
  return {{std::move(*model), artifact.compileSeconds, monotonicSeconds() - start}, ExitCode::Ok};
}

Result<SessionHandle> createSession(tw_model *model, int32_t threads) {
  tw_session_options options{sizeof(tw_session_options), threads, 0};
  tw_session *session = nullptr;
  tw_error error{};
  if (tw_session_create(model, &options, &session, &error) != TW_OK)
    return fromRuntime(error);
  return SessionHandle(session);
}

std::vector<const tw_tensor_info *> inputsOf(const tw_model *model) {
  std::vector<const tw_tensor_info *> inputs;
  for (uint32_t i = 0; i < tw_model_input_count(model); ++i)
    inputs.push_back(tw_model_input(model, i));
  return inputs;
}

std::vector<const tw_tensor_info *> outputsOf(const tw_model *model) {
  std::vector<const tw_tensor_info *> outputs;
  for (uint32_t i = 0; i < tw_model_output_count(model); ++i)
    outputs.push_back(tw_model_output(model, i));
  return outputs;
}

std::string typeText(const tw_tensor_info &info) {
  std::string dims;
  for (int32_t i = 0; i < info.rank; ++i) {
    const tw_dim &dim = info.dims[i];
    dims += i ? "," : "";
    dims += dim.value >= 0 ? std::to_string(dim.value) : dim.text ? dim.text : "?";
  }
  return fmt::format("{}[{}]", tw_dtype_name(info.dtype), info.rank < 0 ? "..." : dims);
}

} // namespace tilewright::tools
