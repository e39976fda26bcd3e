/// filetype - say what kind of file each file is, by a neural network compiled with Tilewright.
///
///     filetype --model magika.so --labels config.min.json [--types content_types_kb.min.json] FILE...
///
/// The model is magika's content-type detector; its configuration files come with it. The embedding of the
/// network is Detector below: load, create a session, bind two tensors once, run.

#include "Config.h"
#include "Features.h"
#include "tilewright.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

namespace {

constexpr int exitUsage = 2, exitInvalid = 4, exitIo = 5;

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

struct Answer {
  size_t label;
  double probability;
};

/// The compiled network with the memory of its input and output.
class Detector {
public:
  Detector(tilewright::Session session, const Config &config)
      : session(std::move(session)), tokens(config.beginSize + config.endSize), scores(config.labels.size()),
        inputs{tilewright::Tensor::view(tokens, {1, static_cast<int64_t>(tokens.size())})},
        outputs{tilewright::Tensor::view(scores, {1, static_cast<int64_t>(scores.size())})} {}

  std::span<int32_t> input() { return tokens; }

  tilewright::Result<Answer> detect() {
    if (auto done = session.run(inputs, outputs); !done)
      return done.error();
    const auto best = std::max_element(scores.begin(), scores.end());
    return Answer{static_cast<size_t>(best - scores.begin()), *best};
  }

private:
  tilewright::Session session;
  std::vector<int32_t> tokens;
  std::vector<float> scores;
  std::array<tilewright::Tensor, 1> inputs, outputs;
};

struct Arguments {
  std::string model, labels, types;
  std::vector<std::string> files;
};

void printUsage(FILE *to) {
  std::fputs("usage: filetype --model MODEL.so --labels config.min.json [--types content_types_kb.min.json] "
             "FILE...\n"
             "Prints the content type of each file, its probability, and the time the network took.\n"
             "--types adds descriptions, and turns unsure answers (marked '?') into txt or unknown.\n",
             to);
}

/// Nothing when the command line is wrong: that has then been said.
std::optional<Arguments> parseArguments(int count, char **values) {
  Arguments arguments;
  bool onlyFiles = false;
  for (int index = 1; index < count; ++index) {
    const std::string argument = values[index];
    std::string *option = argument == "--model"    ? &arguments.model
                          : argument == "--labels" ? &arguments.labels
                          : argument == "--types"  ? &arguments.types
                                                   : nullptr;
    if (onlyFiles || argument == "-" || argument.empty() || argument[0] != '-') {
      arguments.files.push_back(argument);
    } else if (argument == "--") {
      onlyFiles = true;
    } else if (option && index + 1 < count) {
      *option = values[++index];
    } else {
      std::fprintf(stderr, "filetype: %s '%s'\n", option ? "a value is missing after" : "unknown option",
                   values[index]);
      return std::nullopt;
    }
  }
  if (!arguments.model.empty() && !arguments.labels.empty() && !arguments.files.empty())
    return arguments;
  printUsage(stderr);
  return std::nullopt;
}

std::optional<std::string> readText(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream content;
  content << stream.rdbuf();
  if (stream)
    return content.str();
  std::fprintf(stderr, "filetype: cannot read '%s'\n", path.c_str());
  return std::nullopt;
}

/// One table: the widths are chosen before the first row.
class Table {
public:
  explicit Table(const std::vector<std::string> &files) {
    for (const std::string &file : files)
      fileWidth = std::max(fileWidth, static_cast<int>(std::min<size_t>(file.size(), 60)));
  }

  void header() const {
    std::printf("%-*s  %-18s  %11s  %10s  %s\n", fileWidth, "file", "type", "probability", "latency",
                "description");
  }
  void row(const std::string &file, const Verdict &verdict, double probability, double milliseconds,
           const std::string &description) const {
    std::printf("%-*s  %-18s  %10.1f%%  %7.3f ms  %s\n", fileWidth, file.c_str(),
                (verdict.label + (verdict.sure ? "" : "?")).c_str(), 100 * probability, milliseconds,
                description.c_str());
  }
  /// A row without the network's part in it.
  void row(const std::string &file, const std::string &label, const std::string &why) const {
    std::printf("%-*s  %-18s  %11s  %10s  %s\n", fileWidth, file.c_str(), label.c_str(), "-", "-",
                why.c_str());
  }

private:
  int fileWidth = 4;
};

/// 0, or the exit code of what went wrong; that has then been said.
int classify(const std::string &file, const Config &config, const Knowledge *knowledge, Detector &detector,
             const Table &table) {
  Blocks blocks;
  std::string problem;
  if (!readBlocks(file, config.blockSize, blocks, problem)) {
    table.row(file, "-", problem);
    return exitIo;
  }
  if (const auto label = extractFeatures(config, blocks, detector.input())) {
    table.row(file, *label, *label == "empty" ? "" : "too little content to ask the network");
    return 0;
  }
  const auto begin = Clock::now();
  auto answer = detector.detect();
  const double milliseconds = millisecondsSince(begin);
  if (!answer) {
    std::fprintf(stderr, "filetype: %s: %s\n", file.c_str(), answer.error().text().c_str());
    return answer.error().status;
  }
  const Verdict verdict = judge(config, knowledge, answer->label, answer->probability);
  std::string description;
  if (knowledge)
    if (const auto found = knowledge->descriptions.find(verdict.label);
        found != knowledge->descriptions.end())
      description = found->second;
  table.row(file, verdict, answer->probability, milliseconds, description);
  return 0;
}

int report(const tilewright::Error &error) {
  std::fprintf(stderr, "filetype: %s\n", error.text().c_str());
  return error.status;
}

int run(const Arguments &arguments, const Config &config, const Knowledge *knowledge) {
  const auto begin = Clock::now();
  auto model = tilewright::Model::load(arguments.model);
  if (!model)
    return report(model.error());
  auto session = model->createSession({.threads = 1});
  if (!session)
    return report(session.error());
  std::printf("%s: %.1f KiB of code, %.1f KiB of weights, loaded in %.2f ms\n\n", arguments.model.c_str(),
              double(model->codeBytes()) / 1024, double(model->weightBytes()) / 1024,
              millisecondsSince(begin));

  Detector detector(std::move(*session), config);
  std::fill(detector.input().begin(), detector.input().end(), config.paddingToken);
  // Once without a file: a wrong model is refused before the table starts, and no file pays for the first
  // touch of memory.
  if (auto warmUp = detector.detect(); !warmUp)
    return report(warmUp.error());
  const Table table(arguments.files);
  table.header();
  int worst = 0;
  for (const std::string &file : arguments.files)
    worst = std::max(worst, classify(file, config, knowledge, detector, table));
  return worst;
}

} // namespace

int main(int count, char **values) {
  if (count == 2 && std::strcmp(values[1], "--help") == 0) {
    printUsage(stdout);
    return 0;
  }
  const std::optional<Arguments> arguments = parseArguments(count, values);
  if (!arguments)
    return exitUsage;
  const std::optional<std::string> labels = readText(arguments->labels);
  if (!labels)
    return exitIo;
  std::string problem;
  const std::optional<Config> config = Config::parse(*labels, problem);
  if (!config) {
    std::fprintf(stderr, "filetype: '%s' is no configuration of the model: %s\n", arguments->labels.c_str(),
                 problem.c_str());
    return exitInvalid;
  }
  std::optional<Knowledge> knowledge;
  if (!arguments->types.empty()) {
    const std::optional<std::string> types = readText(arguments->types);
    if (!types)
      return exitIo;
    knowledge = Knowledge::parse(*types);
    if (!knowledge) {
      std::fprintf(stderr, "filetype: '%s' is not the list of content types\n", arguments->types.c_str());
      return exitInvalid;
    }
  }
  return run(*arguments, *config, knowledge ? &*knowledge : nullptr);
}
