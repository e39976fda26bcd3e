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

Result<ModelHandle> loadArtifact(const std::string &path) {
  tw_model *model = nullptr;
  tw_error error{};
  if (tw_model_load(path.c_str(), nullptr, &model, &error) != TW_OK)
    return fromRuntime(error);
  return ModelHandle(model);
}

static bool isIgnored(int signal) {
  struct sigaction action;
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

namespace {

/// Holds back the signals that end a process, so that temporary files can be removed first.
class SignalGuard {
public:
  SignalGuard() {
    sigemptyset(&signals);
    std::signal(SIGCHLD, SIG_DFL); // else a parent that ignores it would keep it from us, too
    sigaddset(&signals, SIGCHLD);
    for (int signal : {SIGINT, SIGTERM, SIGHUP})
      if (!isIgnored(signal))
        sigaddset(&signals, signal);
    sigprocmask(SIG_BLOCK, &signals, &before);
  }
  ~SignalGuard() { release(); }
  void release() { sigprocmask(SIG_SETMASK, &before, nullptr); }
  /// Wait for `child`. Returns its wait status; or, after killing it, the signal that asked this process to
  /// end.
  struct Outcome {
    int status = 0, signal = 0;
  };
  Outcome wait(pid_t child);

private:
  sigset_t signals, before;
};

} // namespace

SignalGuard::Outcome SignalGuard::wait(pid_t child) {
  Outcome outcome;
  for (;;) {
    pid_t ended = waitpid(child, &outcome.status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR))
      return outcome;
    int signal = 0;
    if (sigwait(&signals, &signal) == 0 && signal != SIGCHLD) {
      kill(child, SIGKILL);
      waitpid(child, &outcome.status, 0);
      outcome.signal = signal;
      return outcome;
    }
  }
}

static ExitCode compileHere(const CommonOptions &options, const std::string &artifact) {
  auto compiler = Compiler::open();
  if (!compiler)
    return report(compiler.problem());
  CompilerCall call(options, /*quiet=*/false);
  return call.finish((*compiler)->compile(options.model.c_str(), artifact.c_str(), &call.options()));
}

static ExitCode crashed(const std::string &model, const std::string &how) {
  return report({ExitCode::Internal, "TW9002", fmt::format("the compiler {} on '{}'", how, model),
                 "please report this with the model", "", "", ""});
}

static bool isOneOf(int exit, std::initializer_list<ExitCode> codes) {
  return std::any_of(codes.begin(), codes.end(),
                     [&](ExitCode code) { return static_cast<int>(code) == exit; });
}

/// Compile in a child process. Does not return when this process is told to end.
static ExitCode compileInChild(const CommonOptions &options, TemporaryFolder &folder,
                               const std::string &artifact) {
  SignalGuard guard;
  std::fflush(nullptr);
  pid_t child = fork();
  if (child < 0)
    return report(ioProblem("TW5106", "cannot start a process to compile in", errno));
  if (child == 0) {
    // Only the parent hears the terminal's interrupt; it ends the child, then cleans up.
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    guard.release();
    ExitCode code = compileHere(options, artifact);
    std::fflush(nullptr);
    _exit(static_cast<int>(code));
  }
  auto outcome = guard.wait(child);
  if (outcome.signal) {
    folder.remove();
    guard.release();
    std::signal(outcome.signal, SIG_DFL);
    raise(outcome.signal);
  }
  if (WIFSIGNALED(outcome.status))
    return crashed(options.model, fmt::format("died of signal {}", strsignal(WTERMSIG(outcome.status))));
  int exit = WEXITSTATUS(outcome.status);
  // Nothing we wrote ends with another code: a library or a sanitizer did.
  if (!isOneOf(exit,
               {ExitCode::Ok, ExitCode::Unsupported, ExitCode::Invalid, ExitCode::Io, ExitCode::Internal}))
    return crashed(options.model, fmt::format("ended with exit code {}", exit));
  return static_cast<ExitCode>(exit);
}

static LoadOutcome failed(const Diagnostic &problem) { return {{}, report(problem)}; }

static LoadOutcome finishLoad(const std::string &artifact, double compileSeconds) {
  double start = monotonicSeconds();
  auto model = loadArtifact(artifact);
  if (!model)
    return failed(model.problem());
  return {{std::move(*model), compileSeconds, monotonicSeconds() - start}, ExitCode::Ok};
}

LoadOutcome loadModel(const CommonOptions &options) {
  auto artifact = isArtifact(options.model);
  if (!artifact)
    return failed(artifact.problem());
  if (*artifact)
    return finishLoad(options.model, 0);
  auto folder = TemporaryFolder::create();
  if (!folder)
    return failed(folder.problem());
  std::string path = folder->path() + "/model.so";
  double start = monotonicSeconds();
  ExitCode code = compileInChild(options, *folder, path);
  if (code != ExitCode::Ok)
    return {{}, code};
  return finishLoad(path, monotonicSeconds() - start);
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
