/// Runner.h - artifacts that this process cannot execute, because they are for another processor: a command
/// does it, which understands the driver's `run`, `bench` and `test --artifact`: tilewright-runner, most
/// often under an emulator.
#pragma once

#include "Model.h"

#include <optional>
#include <string>
#include <vector>

namespace tilewright::tools {

class Runner {
public:
  /// What executes the artifact at `path`: `command`, where one is given; nothing, where this process can;
  /// else QEMU's emulator of its architecture with the runner that was built for it beside this program.
  /// Error TW5110: there is no such emulator, or no such runner.
  static Result<std::optional<Runner>> find(const std::string &path, const std::string &command);

  /// SUBCOMMAND ARTIFACT, and what of `options` concerns a run.
  std::vector<std::string> arguments(const std::string &subcommand, const MadeArtifact &artifact,
                                     const CommonOptions &options) const;

  /// Runs the command with these arguments and waits. Its stdout is ours, or goes to `printed`. Returns its
  /// exit code; one that no program of ours gives, and a death by a signal, are reported (TW5111).
  ExitCode execute(const std::vector<std::string> &arguments, std::string *printed = nullptr) const;

  /// As execute(), and nothing is reported: the problem is returned.
  Result<ExitCode> tryExecute(const std::vector<std::string> &arguments, std::string *printed) const;

  /// TW5111: what it printed is no answer.
  Diagnostic noAnswer(const std::string &printed) const;

private:
  explicit Runner(std::string command) : command(std::move(command)) {}
  std::string command; ///< for the shell
};

/// --inputs, --input and --seed as they were given.
void addInputArguments(const InputOptions &inputs, std::vector<std::string> &arguments);

} // namespace tilewright::tools
