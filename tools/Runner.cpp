#include "Runner.h"

#include "support/ForeignArtifact.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tilewright::tools {

namespace fs = std::filesystem;

/// `text` as one word for the shell.
static std::string quoted(const std::string &text) {
  std::string result = "'";
  for (char c : text)
    result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

static bool isProgram(const fs::path &path) { return access(path.c_str(), X_OK) == 0; }

/// Where PATH has a program; empty: nowhere.
static std::string findInPath(const std::string &program) {
  const char *path = std::getenv("PATH");
  std::string folders = path ? path : "";
  for (size_t begin = 0; begin <= folders.size();) {
    const size_t end = std::min(folders.find(':', begin), folders.size());
    const fs::path candidate = fs::path(folders.substr(begin, end - begin)) / program;
    if (end > begin && isProgram(candidate))
      return candidate.string();
    begin = end + 1;
  }
  return "";
}

static Diagnostic lacking(const std::string &path, const std::string &architecture, const std::string &what,
                          const std::string &hint) {
  return {ExitCode::Unsupported,
          "TW5110",
          fmt::format("'{}' is for {} processors, and there is no {}", path, architecture, what),
          hint,
          "",
          "",
          ""};
}

Result<std::optional<Runner>> Runner::find(const std::string &path, const std::string &command) {
  if (!command.empty())
    return std::optional(Runner(command));
  auto architecture = foreignArchitecture(path);
  if (!architecture)
    return architecture.problem();
  if (architecture->empty())
    return std::optional<Runner>();
  const std::string emulator = findInPath("qemu-" + *architecture);
  if (emulator.empty())
    return lacking(path, *architecture, "qemu-" + *architecture + " here to run it",
                   "install qemu-user, or name a command with --runner that executes it");
  std::error_code ignored;
  const fs::path self = fs::read_symlink("/proc/self/exe", ignored);
  const fs::path runner = self.parent_path() / ("tilewright-runner-" + *architecture);
  if (!isProgram(runner))
    return lacking(path, *architecture, runner.filename().string() + " beside this program",
                   "it is built where its cross compiler is installed; or name a command with --runner");
  std::string words = quoted(emulator);
  // The C library of the architecture, where Debian's cross compiler keeps it.
  if (const std::string root = "/usr/" + *architecture + "-linux-gnu"; fs::is_directory(root, ignored))
    words += " -L " + quoted(root);
  return std::optional(Runner(words + " " + quoted(runner.string())));
}

std::vector<std::string> Runner::arguments(const std::string &subcommand, const MadeArtifact &artifact,
                                           const CommonOptions &options) const {
  // A file without a name is found by others through this process.
  const std::string path =
      artifact.file ? fmt::format("/proc/{}/fd/{}", getpid(), artifact.file->descriptor()) : artifact.path;
  std::vector<std::string> arguments = {subcommand, path, "--threads", std::to_string(options.threads)};
  for (const DimensionRange &dim : options.dims)
    arguments.insert(arguments.end(), {"--dim", fmt::format("{}={}..{}", dim.name, dim.low, dim.high)});
  if (options.verify)
    arguments.push_back("--verify");
  return arguments;
}

void addInputArguments(const InputOptions &inputs, std::vector<std::string> &arguments) {
  if (!inputs.npz.empty())
    arguments.insert(arguments.end(), {"--inputs", inputs.npz});
  for (const std::string &file : inputs.files)
    arguments.insert(arguments.end(), {"--input", file});
  arguments.insert(arguments.end(), {"--seed", std::to_string(inputs.seed)});
}

/// In the child: the shell takes the command apart and becomes it.
[[noreturn]] static void become(const std::string &command, const std::vector<std::string> &arguments,
                                pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) // it died before
    _exit(static_cast<int>(ExitCode::Io));
  const std::string script = "exec " + command + " \"$@\"";
  std::vector<char *> words;
  auto add = [&](const char *word) { words.push_back(const_cast<char *>(word)); };
  for (const char *word : {"sh", "-c", script.c_str(), "sh"})
    add(word);
  for (const std::string &argument : arguments)
    add(argument.c_str());
  words.push_back(nullptr);
  execv("/bin/sh", words.data());
  _exit(127);
}

static void readAll(int descriptor, std::string &text) {
  char piece[4096];
  for (ssize_t got; (got = read(descriptor, piece, sizeof piece)) != 0;)
    if (got > 0)
      text.append(piece, static_cast<size_t>(got));
    else if (errno != EINTR)
      return;
}

Result<ExitCode> Runner::tryExecute(const std::vector<std::string> &arguments, std::string *printed) const {
  int ends[2] = {-1, -1};
  if (printed && pipe2(ends, O_CLOEXEC) != 0)
    return ioProblem("TW5106", "cannot start the runner", errno);
  std::signal(SIGCHLD, SIG_DFL); // else a parent that ignores it would keep it from us, too
  std::fflush(nullptr);
  const pid_t parent = getpid(), child = fork();
  if (child == 0) {
    if (printed)
      dup2(ends[1], STDOUT_FILENO);
    become(command, arguments, parent);
  }
  if (printed) {
    close(ends[1]);
    if (child > 0)
      readAll(ends[0], *printed);
    close(ends[0]);
  }
  if (child < 0)
    return ioProblem("TW5106", "cannot start the runner", errno);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status))
    return Diagnostic{ExitCode::Internal,
                      "TW5111",
                      fmt::format("the runner died of signal {}: {}", strsignal(WTERMSIG(status)), command),
                      "where it is no emulator's fault, please report this with the model",
                      "",
                      "",
                      ""};
  const int exit = WEXITSTATUS(status);
  for (ExitCode code : {ExitCode::Ok, ExitCode::Differs, ExitCode::Usage, ExitCode::Unsupported,
                        ExitCode::Invalid, ExitCode::Io, ExitCode::Internal})
    if (static_cast<int>(code) == exit)
      return code;
  return Diagnostic{ExitCode::Io,
                    "TW5111",
                    fmt::format("the runner ended with status {}: {}", exit, command),
                    "it has to be a command that executes tilewright-runner with the arguments behind it",
                    "",
                    "",
                    ""};
}

ExitCode Runner::execute(const std::vector<std::string> &arguments, std::string *printed) const {
  auto code = tryExecute(arguments, printed);
  return code ? *code : report(code.problem());
}

Diagnostic Runner::noAnswer(const std::string &printed) const {
  return {ExitCode::Io,
          "TW5111",
          fmt::format("what the runner printed is no answer: '{}'", printed.substr(0, 80)),
          "it has to be a command that executes tilewright-runner with the arguments behind it",
          "",
          "",
          ""};
}

} // namespace tilewright::tools
