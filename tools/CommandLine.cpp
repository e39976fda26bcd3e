#include "CommandLine.h"

#include "Compiler.h"
#include "support/EditDistance.h"
#include "support/File.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <functional>

namespace tilewright::tools {

static std::optional<int64_t> parseCount(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0 ? std::optional(value)
                                                                                : std::nullopt;
}

Result<DimensionRange> parseDimension(const std::string &text) {
  Diagnostic problem = usageProblem("TW5005", fmt::format("--dim '{}' is not understood", text),
                                    "write --dim NAME=N or --dim NAME=LO..HI");
  // The name of a dimension may hold '=' itself.
  size_t split = text.rfind('=');
  if (split == std::string::npos || split == 0)
    return problem;
  std::string value = text.substr(split + 1);
  size_t dots = value.find("..");
  auto low = parseCount(value.substr(0, dots));
  auto high = dots == std::string::npos ? low : parseCount(value.substr(dots + 2));
  if (!low || !high || *low > *high)
    return problem;
  return DimensionRange{text.substr(0, split), *low, *high};
}

Result<uint64_t> parseBytes(const std::string &text) {
  Diagnostic problem =
      usageProblem("TW5004", fmt::format("'{}' is not a number of bytes", text), "write 512M or 2G");
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string suffix(end, static_cast<size_t>(text.data() + text.size() - end));
  static const std::vector<std::string> units = {"", "k", "m", "g", "t"};
  for (char &c : suffix)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (suffix.ends_with("ib"))
    suffix.resize(suffix.size() - 2);
  else if (suffix.ends_with("b"))
    suffix.resize(suffix.size() - 1);
  auto unit = std::find(units.begin(), units.end(), suffix);
  if (error != std::errc() || unit == units.end() || !(value >= 0))
    return problem;
  double bytes = std::ldexp(value, 10 * static_cast<int>(unit - units.begin()));
  return bytes < 0x1p63 ? Result<uint64_t>(static_cast<uint64_t>(bytes)) : Result<uint64_t>(problem);
}

namespace {

/// A value given on the command line that our own parsers refused.
struct RefusedValue {
  Diagnostic problem;
};

/// The options of all subcommands, and the parser that fills them in.
class CommandLine {
public:
  CommandLine();
  ExitCode run(int count, const char *const *arguments);

private:
  CLI::App *add(const std::string &name, const std::string &description, const std::string &examples,
                std::function<ExitCode()> action);
  void addModel(CLI::App *app, CommonOptions &common, const char *description);
  void addCommon(CLI::App *app, CommonOptions &common, bool artifacts = false, bool runs = false);
  void addInputs(CLI::App *app, InputOptions &inputs);
  void addCheck();
  void addCompile();
  void addRun();
  void addBench();
  void addTest();
  void addInspect();
  MaybeProblem findMisprint(int count, const char *const *arguments) const;

  CLI::App app{"Tilewright compiles ONNX models into native code and runs them.", "tilewright"};
  std::function<ExitCode()> action;
  CheckOptions check;
  CompileOptions compile;
  RunOptions runOptions;
  BenchOptions bench;
  TestOptions test;
  InspectOptions inspect;
  bool version = false;
};

} // namespace

/// A check that a value is one of `choices`.
static std::function<std::string(const std::string &)> oneOf(std::vector<std::string> choices) {
  return [choices = std::move(choices)](const std::string &value) {
    bool known = std::find(choices.begin(), choices.end(), value) != choices.end();
    return known ? std::string() : fmt::format("'{}' is not known; {}", value, didYouMean(value, choices));
  };
}

static constexpr const char *eitherModel = "an ONNX model, or an artifact made by 'tilewright compile'";

static const char *exitCodeHelp = "Exit codes: 0 ok, 1 results differ, 2 usage, 3 unsupported, 4 invalid "
                                  "model or input, 5 input/output error, 70 our own bug.\n"
                                  "Environment: NO_COLOR, TILEWRIGHT_CACHE_DIR (kernel cache), TMPDIR.";

CommandLine::CommandLine() {
  app.footer(exitCodeHelp);
  app.add_flag("--version", version, "print the versions of the runtime and the compiler");
  app.require_subcommand(0, 1);
  addCheck();
  addCompile();
  addRun();
  addBench();
  addTest();
  addInspect();
}

CLI::App *CommandLine::add(const std::string &name, const std::string &description,
                           const std::string &examples, std::function<ExitCode()> command) {
  CLI::App *sub = app.add_subcommand(name, description);
  sub->footer("Examples:\n" + examples);
  sub->callback([this, command] { action = command; });
  return sub;
}

/// Ranges are passed by what is no number.
static const CLI::Validator aNumber(
    [](const std::string &text) {
      return std::isnan(std::strtod(text.c_str(), nullptr)) ? text + " is not a number" : std::string();
    },
    "");

void CommandLine::addModel(CLI::App *sub, CommonOptions &common, const char *description) {
  sub->add_option("MODEL", common.model, description)->required()->type_name("");
}

void CommandLine::addCommon(CLI::App *sub, CommonOptions &common, bool artifacts, bool runs) {
  sub->add_option("--target", common.target,
                  "cpu (this machine), cpu:haswell, cpu:skylake-avx512, ...; another architecture's "
                  "ARCHITECTURE-linux-gnu[:CPU]; "
                  "cuda:sm_80, ... (PTX only) [cpu]")
      ->type_name("TARGET");
  sub->add_option("--threads", common.threads, "threads to compile and to run with; 0: all cores [0]")
      ->check(CLI::Range(0, 1024))
      ->type_name("N");
  sub->add_option("--precision", common.precision,
                  "how much rounding may differ from the reference [default]")
      ->check(oneOf({"default", "strict"}))
      ->type_name("POLICY");
  if (runs)
    sub->add_option("--runner", common.runner,
                    "the command that executes the artifact: tilewright-runner, by a shell; where it is for "
                    "another processor than this program, QEMU with the one beside it is the default")
        ->type_name("CMD");
  if (artifacts)
    sub->add_flag("--verify", common.verify,
                  "compare an artifact's weights with their digests also above 64 MB");
  auto parse = [&common](const std::vector<std::string> &texts) {
    for (const std::string &text : texts) {
      auto dim = parseDimension(text);
      if (!dim)
        throw RefusedValue{dim.problem()};
      common.dims.push_back(*dim);
    }
  };
  auto parseMemory = [&common](const std::string &text) {
    auto bytes = parseBytes(text);
    if (!bytes)
      throw RefusedValue{bytes.problem()};
    common.maxMemory = *bytes;
  };
  sub->add_option_function<std::string>(
         "--max-memory", parseMemory,
         "refuse a model whose runs need more memory than this (suffixes K, M, G); "
         "compiling may take as much beyond the weights, and 2G at least")
      ->type_name("BYTES");
  sub->add_option("--max-time", common.maxSeconds,
                  "refuse a model that takes longer to compile than this [60, and more for large models]")
      ->check(CLI::PositiveNumber)
      ->check(aNumber)
      ->type_name("SECONDS");
  sub->add_option_function<std::vector<std::string>>(
         "--dim", parse, "NAME=N fixes a dynamic dimension, NAME=LO..HI bounds it; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false)
      ->type_name("NAME=N|LO..HI");
  auto readSchedules = [&common](const std::string &path) {
    auto bytes = readFile(path);
    if (!bytes)
      throw RefusedValue{bytes.problem()};
    common.schedules = std::string(reinterpret_cast<const char *>(bytes->view.data()), bytes->view.size());
    if (common.schedules.empty())
      throw RefusedValue{usageProblem("TW5009", fmt::format("'{}' is empty", path), "it should hold JSON")};
  };
  sub->add_option_function<std::string>(
         "--schedules", readSchedules,
         "how single kernels are computed, by their hash: JSON as 'inspect --json' prints it (\"schedules\")")
      ->type_name("FILE.json");
  sub->add_flag("--no-folding", common.noFolding,
                "let kernels compute what the compiler could: shows which of them is wrong");
}

void CommandLine::addInputs(CLI::App *sub, InputOptions &inputs) {
  sub->add_option("--inputs", inputs.npz, "all inputs, as arrays of a .npz file")->type_name("IN.npz");
  sub->add_option("--input", inputs.files, "one input, as a .npy file; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false)
      ->type_name("NAME=FILE.npy");
  sub->add_option("--seed", inputs.seed, "for random inputs, which are used when none are given [0]")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
}

void CommandLine::addCheck() {
  CLI::App *sub =
      add("check", "Report every unsupported or invalid node of a model at once; compile nothing.",
          "  tilewright check model.onnx\n  tilewright check model.onnx --json",
          [this] { return checkCommand(check); });
  addModel(sub, check.common, "the ONNX model");
  addCommon(sub, check.common);
  sub->add_flag("--json", check.json, "print the problems as JSON");
}

void CommandLine::addCompile() {
  CLI::App *sub = add("compile", "Compile a model into an artifact: one shared object with code and weights.",
                      "  tilewright compile model.onnx -o model.so\n"
                      "  tilewright compile model.onnx -o model.so --target cpu:haswell --dim batch=1..32\n"
                      "  tilewright compile model.onnx --emit=loops | less\n"
                      "  tilewright compile model.onnx --target cuda:sm_80 --emit=ptx -o model.ptx",
                      [this] { return compileCommand(compile); });
  addModel(sub, compile.common, "the ONNX model");
  addCommon(sub, compile.common);
  sub->add_option("-o,--output", compile.output,
                  "the artifact; with --emit, the text (stdout when not given)")
      ->type_name("OUT");
  sub->add_option(
         "--emit", compile.emit,
         "print this stage instead of making an artifact: graph, tensor, program, loops, llvm, asm or ptx")
      ->check(oneOf({"graph", "tensor", "program", "loops", "llvm", "asm", "ptx"}))
      ->type_name("STAGE");
  sub->add_option("--weights", compile.weights,
                  "where the weights go: embed (in the artifact) or side (a file beside it) [embed]")
      ->check(oneOf({"embed", "side"}))
      ->type_name("WHERE");
}

void CommandLine::addRun() {
  CLI::App *sub = add("run", "Run a model once.",
                      "  tilewright run model.so --inputs in.npz --outputs out.npz\n"
                      "  tilewright run model.onnx --input image=cat.npy --input scale=scale.npy\n"
                      "  tilewright run model.onnx --seed 7 --dim batch=4",
                      [this] { return runCommand(runOptions); });
  addModel(sub, runOptions.common, eitherModel);
  addCommon(sub, runOptions.common, true, true);
  addInputs(sub, runOptions.inputs);
  sub->add_option("--outputs", runOptions.outputs,
                  "write the outputs as a .npz file, instead of printing a summary")
      ->type_name("OUT.npz");
  sub->add_flag("--json", runOptions.json, "print the summary as JSON");
}

void CommandLine::addBench() {
  CLI::App *sub = add("bench", "Time runs of a model; print one JSON object.",
                      "  tilewright bench model.so --threads 1\n"
                      "  tilewright bench model.onnx --inputs in.npz --seconds 5 --profile",
                      [this] { return benchCommand(bench); });
  addModel(sub, bench.common, eitherModel);
  addCommon(sub, bench.common, true, true);
  addInputs(sub, bench.inputs);
  sub->add_option("--seconds", bench.seconds,
                  "how long to measure, after warming up; at least three runs [1]")
      ->check(CLI::Range(0.0, 86400.0))
      ->check(aNumber)
      ->type_name("S");
  sub->add_flag("--profile", bench.profile,
                "print a table by kernel to stderr (with --json also into the object)");
  sub->add_flag("--json", bench.json, "the output is JSON in any case; this adds the profile to it");
}

void CommandLine::addTest() {
  CLI::App *sub = add(
      "test", "Run ONNX-style test cases: folders with model.onnx and test_data_set_N/, found recursively.",
      "  tilewright test conformance/node\n"
      "  tilewright test conformance --json --timeout 20 > report.json",
      [this] { return testCommand(test); });
  sub->add_option("DIR", test.folders, "folders to search")->required()->type_name("");
  addCommon(sub, test.common, false, true);
  sub->add_option("--artifact", test.artifact, "the model of the only case, compiled already")
      ->type_name("FILE");
  sub->add_option("--timeout", test.timeout, "seconds for one case [60]")
      ->check(CLI::Range(0.01, 86400.0))
      ->check(aNumber)
      ->type_name("S");
  sub->add_option("--jobs", test.jobs, "cases at once; 0: one per core [0]")
      ->check(CLI::Range(0, 1024))
      ->type_name("N");
  sub->add_flag("--json", test.json, "print the results as JSON");
  sub->add_flag("--verbose", test.verbose, "list unsupported cases, too");
}

void CommandLine::addInspect() {
  CLI::App *sub = add("inspect", "Show inputs, outputs, kernels and the memory plan of a model.",
                      "  tilewright inspect model.so\n"
                      "  tilewright inspect model.onnx --explain /layer1/conv1",
                      [this] { return inspectCommand(inspect); });
  addModel(sub, inspect.common, eitherModel);
  addCommon(sub, inspect.common, true);
  sub->add_option("--explain", inspect.node,
                  "where this node went, what it was fused with, and why not with more")
      ->type_name("NODE");
  sub->add_flag("--json", inspect.json, "print the report as JSON");
}

/// Unknown subcommands and flags, before CLI11 words them in its own way.
MaybeProblem CommandLine::findMisprint(int count, const char *const *arguments) const {
  const CLI::App *sub = nullptr;
  for (int i = 1; i < count; ++i) {
    std::string word = arguments[i];
    if (word == "--")
      return std::nullopt;
    bool flag = word.starts_with("--");
    if (!sub && !word.starts_with("-")) {
      std::vector<std::string> names;
      for (const CLI::App *candidate : app.get_subcommands([](const CLI::App *) { return true; })) {
        names.push_back(candidate->get_name());
        if (names.back() == word)
          sub = candidate;
      }
      if (!sub)
        return usageProblem("TW5002", fmt::format("there is no subcommand '{}'", word),
                            didYouMean(word, names));
    } else if (flag) {
      word = word.substr(0, word.find('='));
      std::vector<std::string> names;
      for (const CLI::Option *option : (sub ? *sub : app).get_options())
        for (const std::string &name : option->get_lnames())
          names.push_back("--" + name);
      if (std::find(names.begin(), names.end(), word) == names.end())
        return usageProblem("TW5002",
                            fmt::format("{} has no option '{}'", sub ? sub->get_name() : "tilewright", word),
                            didYouMean(word, names));
    }
  }
  return std::nullopt;
}

static ExitCode printVersion() {
  fmt::print("tilewright {}\n", tw_version());
  if (auto compiler = Compiler::open())
    fmt::print("compiler: {}\n", (*compiler)->version());
  return ExitCode::Ok;
}

ExitCode CommandLine::run(int count, const char *const *arguments) {
  if (auto problem = findMisprint(count, arguments))
    return report(*problem);
  try {
    app.parse(count, arguments);
  } catch (const CLI::Success &help) {
    app.exit(help);
    return ExitCode::Ok;
  } catch (const CLI::ParseError &error) {
    return report(
        usageProblem("TW5001", error.what(), "see 'tilewright --help' or 'tilewright SUBCOMMAND --help'"));
  } catch (const RefusedValue &refused) {
    return report(refused.problem);
  }
  if (version)
    return printVersion();
  if (!action) {
    fmt::print(stderr, "{}", app.help());
    return ExitCode::Usage;
  }
  return action();
}

ExitCode runCommandLine(int count, const char *const *arguments) {
  return CommandLine().run(count, arguments);
}

} // namespace tilewright::tools
