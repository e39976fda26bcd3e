/// Commands.h - the subcommands of the driver: their options, filled in by CommandLine.cpp, and the functions
/// that do the work.
///
/// Each function prints its results to stdout and its problems to stderr, and returns the driver's exit code.
#pragma once

#include "support/Diagnostics.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tilewright::tools {

/// `--dim NAME=N` or `--dim NAME=LO..HI`
struct DimensionRange {
  std::string name;
  int64_t low = 0, high = 0;
};

/// What every subcommand that compiles or runs understands.
struct CommonOptions {
  std::string model;
  std::string target = "cpu";
  std::string precision = "default";
  int32_t threads = 0; ///< 0: all cores
  std::vector<DimensionRange> dims;
  bool noFolding = false;
  bool verify = false;    ///< compare an artifact's weights with their digests, whatever their size
  uint64_t maxMemory = 0; ///< bytes; 0: the compiler's default
  std::string schedules;  ///< JSON, as read from a file; empty: the default ones
  double maxSeconds = 0;  ///< to compile; 0: the compiler's default
  std::string runner;     ///< a command that executes artifacts; empty: this process, where it can (Runner.h)
};

struct CheckOptions {
  CommonOptions common;
  bool json = false;
};

struct CompileOptions {
  CommonOptions common;
  std::string output;
  std::string emit; ///< empty: an artifact
  std::string weights = "embed";
};

/// Where the inputs of a run come from; random when nothing is given.
struct InputOptions {
  std::string npz;
  std::vector<std::string> files; ///< NAME=FILE.npy
  uint64_t seed = 0;
};

struct RunOptions {
  CommonOptions common;
  InputOptions inputs;
  std::string outputs; ///< .npz to write; empty: print a summary
  bool json = false;
};

struct BenchOptions {
  CommonOptions common;
  InputOptions inputs;
  double seconds = 1;
  bool profile = false;
  bool json = false;
};

struct TestOptions {
  CommonOptions common; ///< `model` is not used
  std::vector<std::string> folders;
  std::string artifact; ///< of the only case, compiled already; empty: compile them
  double timeout = 60;  ///< seconds for one case
  unsigned jobs = 0;    ///< cases at once; 0: one per core
  bool json = false;
  bool verbose = false; ///< list unsupported cases too
};

struct InspectOptions {
  CommonOptions common;
  std::string node; ///< --explain
  bool json = false;
};

ExitCode checkCommand(const CheckOptions &options);
ExitCode compileCommand(const CompileOptions &options);
ExitCode runCommand(const RunOptions &options);
ExitCode benchCommand(const BenchOptions &options);
ExitCode testCommand(const TestOptions &options);
ExitCode inspectCommand(const InspectOptions &options);

} // namespace tilewright::tools
