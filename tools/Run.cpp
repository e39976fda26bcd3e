/// tilewright run: a model on given or random inputs, once.
#include "Commands.h"
#include "Inputs.h"
#include "Model.h"
#include "Runner.h"
#include "support/Json.h"
#include "support/Npy.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace tilewright::tools {

namespace {

/// Figures of one tensor; NaNs are counted and left out of the rest.
struct Statistics {
  size_t numbers = 0, nans = 0;
  double minimum = INFINITY, maximum = -INFINITY, sum = 0;
  double mean() const { return sum / static_cast<double>(numbers); }
};

} // namespace

static Statistics statisticsOf(const Tensor &tensor) {
  Statistics statistics;
  if (tensor.dtype == TW_STRING || isComplex(tensor.dtype))
    return statistics;
  for (size_t i = 0, count = tensor.elementCount(); i < count; ++i) {
    double value = elementAsDouble(tensor.dtype, tensor.bytes.view.data(), i);
    if (std::isnan(value)) {
      ++statistics.nans;
      continue;
    }
    ++statistics.numbers;
    statistics.minimum = std::min(statistics.minimum, value);
    statistics.maximum = std::max(statistics.maximum, value);
    statistics.sum += value;
  }
  return statistics;
}

static std::vector<std::string> firstValues(const Tensor &tensor) {
  std::vector<std::string> values;
  for (size_t i = 0; i < std::min<size_t>(6, tensor.elementCount()); ++i)
    values.push_back(elementText(tensor, i));
  return values;
}

static std::string summaryLine(const NamedTensor &output) {
  const auto &[name, tensor] = output;
  Statistics statistics = statisticsOf(tensor);
  std::string line = fmt::format("{}: {}", name, typeText(tensor.dtype, tensor.shape));
  if (statistics.numbers)
    line += fmt::format("  min {:.6g}  max {:.6g}  mean {:.6g}", statistics.minimum, statistics.maximum,
                        statistics.mean());
  if (statistics.nans)
    line += fmt::format("  NaNs {}", statistics.nans);
  line +=
      fmt::format("\n  {}{}\n", fmt::join(firstValues(tensor), " "), tensor.elementCount() > 6 ? " ..." : "");
  return line;
}

static Json summaryJson(const NamedTensor &output) {
  const auto &[name, tensor] = output;
  Statistics statistics = statisticsOf(tensor);
  Json json = {{"name", name}, {"type", tw_dtype_name(tensor.dtype)}, {"shape", tensor.shape}};
  if (statistics.numbers) {
    json["min"] = statistics.minimum;
    json["max"] = statistics.maximum;
    json["mean"] = statistics.mean();
  }
  json["nans"] = statistics.nans;
  json["values"] = firstValues(tensor);
  return json;
}

static void printSummary(const std::vector<NamedTensor> &outputs, bool asJson) {
  Json list = Json::array();
  for (const NamedTensor &output : outputs) {
    if (asJson)
      list.push_back(summaryJson(output));
    else
      fmt::print("{}", summaryLine(output));
  }
  if (asJson)
    fmt::print("{}\n", jsonText({{"outputs", std::move(list)}}, 2));
}

static ExitCode runElsewhere(const Runner &runner, const MadeArtifact &made, const RunOptions &options) {
  std::vector<std::string> arguments = runner.arguments("run", made, options.common);
  addInputArguments(options.inputs, arguments);
  if (!options.outputs.empty())
    arguments.insert(arguments.end(), {"--outputs", options.outputs});
  if (options.json)
    arguments.push_back("--json");
  return runner.execute(arguments);
}

ExitCode runCommand(const RunOptions &options) {
  MadeArtifact made = makeArtifact(options.common, options.outputs);
  if (made.exit != ExitCode::Ok)
    return made.exit;
  auto runner = Runner::find(made.path, options.common.runner);
  if (!runner)
    return report(runner.problem());
  if (*runner)
    return runElsewhere(**runner, made, options);
  LoadOutcome outcome = loadModel(made, options.common);
  if (outcome.exit != ExitCode::Ok)
    return outcome.exit;
  tw_model *model = outcome.loaded.model.get();
  auto inputs = gatherInputs(model, options.inputs, options.common.dims);
  if (!inputs)
    return report(inputs.problem());
  auto session = createSession(model, options.common.threads);
  if (!session)
    return report(session.problem());
  // Before the run: nobody should wait for it to hear of a file that cannot be written.
  auto file = options.outputs.empty() ? std::nullopt : std::optional(OutputFile::create(options.outputs));
  if (file && !*file)
    return report(file->problem());
  auto outputs = runOnce(session->get(), TensorViews(*inputs), outputsOf(model));
  if (!outputs)
    return report(outputs.problem());
  if (!file) {
    printSummary(*outputs, options.json);
    return ExitCode::Ok;
  }
  if (auto problem = writeNpz(**file, *outputs))
    return report(*problem);
  return ExitCode::Ok;
}

} // namespace tilewright::tools
