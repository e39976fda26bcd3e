/// tilewright inspect: what became of a model. Renders the compiler's report, which an artifact carries with
/// it.
#include "Commands.h"
#include "Compiler.h"
#include "Inputs.h"
#include "Model.h"
#include "support/EditDistance.h"
#include "support/ForeignArtifact.h"
#include "support/Json.h"
#include "support/Table.h"

#include <algorithm>
#include <fmt/format.h>

namespace tilewright::tools {

namespace {

struct Report {
  Json json;
  ExitCode exit = ExitCode::Ok; ///< not Ok: the problem has been printed
};

} // namespace

static Report failed(const Diagnostic &problem) { return {{}, report(problem)}; }

static Report parsed(const std::string &text, const std::string &model) {
  auto json = parseJson(text);
  if (!json || !json->is_object())
    return failed({ExitCode::Internal, "TW9003", fmt::format("the report of '{}' is not readable", model),
                   "please report this", "", "", ""});
  return {std::move(*json), ExitCode::Ok};
}

/// The sizes that `dims`, and 1 where they say nothing, give the dynamic dimensions of the inputs.
static Json sizesOf(const tw_model *model, const std::vector<Tensor> &inputs) {
  Json sizes = Json::object();
  auto infos = inputsOf(model);
  for (size_t i = 0; i < infos.size(); ++i)
    for (int32_t axis = 0; axis < infos[i]->rank; ++axis)
      if (infos[i]->dims[axis].value < 0 && infos[i]->dims[axis].text)
        sizes[infos[i]->dims[axis].text] = inputs[i].shape[axis];
  return sizes;
}

/// What the runtime assigns for intermediate results at these sizes; nothing where it refuses them.
static void addArena(tw_model *model, const std::vector<DimensionRange> &dims, Json &memory) {
  auto session = createSession(model, 1);
  auto inputs = gatherInputs(model, {}, dims);
  if (!session || !inputs)
    return;
  TensorViews views(*inputs);
  tw_error error{};
  if (tw_session_reserve(session->get(), views.data(), views.size(), &error) != TW_OK)
    return;
  memory["arena_bytes"] = tw_session_arena_bytes(session->get());
  memory["arena_sizes"] = sizesOf(model, *inputs);
}

/// Of an artifact for another processor: what its file says.
static Report reportOfForeign(const std::string &path) {
  auto read = readForeignReport(path);
  if (!read)
    return failed(read.problem());
  Report report = parsed(read->report, path);
  report.json["code_bytes"] = read->codeBytes;
  report.json["weight_bytes"] = read->weightBytes;
  return report;
}

static Report reportOfArtifact(const CommonOptions &options) {
  const std::string &path = options.model;
  auto foreign = foreignArchitecture(path);
  if (!foreign)
    return failed(foreign.problem());
  if (!foreign->empty())
    return reportOfForeign(path);
  auto model = loadArtifact(path, options.verify ? TW_LOAD_CHECK_WEIGHTS : 0);
  if (!model)
    return failed(model.problem());
  const char *text = tw_model_report(model->get());
  Report report = parsed(text ? text : "", path);
  if (report.exit == ExitCode::Ok) {
    report.json["code_bytes"] = tw_model_code_bytes(model->get());
    report.json["weight_bytes"] = tw_model_weight_bytes(model->get());
    addArena(model->get(), options.dims, report.json["memory"]);
  }
  return report;
}

static Report reportOfModel(const CommonOptions &options) {
  auto compiler = Compiler::open();
  if (!compiler)
    return failed(compiler.problem());
  CompilerCall call(options, /*quiet=*/false);
  ExitCode code = call.finish((*compiler)->inspect(options.model.c_str(), &call.options()));
  return code == ExitCode::Ok ? parsed(call.text(), options.model) : Report{{}, code};
}

static std::string joined(const Json &list, const char *separator) {
  std::vector<std::string> texts;
  if (list.is_array())
    for (const Json &item : list)
      texts.push_back(plainText(item));
  return fmt::format("{}", fmt::join(texts, separator));
}

static std::string valuesText(const char *title, const Json &values) {
  Table table{{"name", "type", "shape"}, {}, {}};
  for (const Json &value : values)
    table.rows.push_back({plainText(member(value, "name")), plainText(member(value, "type")),
                          fmt::format("[{}]", joined(member(value, "shape"), ","))});
  return fmt::format("{}\n{}", title, table.text());
}

/// Long lists and expressions are cut: --json has them whole.
static std::string shortened(std::string text, size_t limit) {
  if (text.size() > limit)
    text = text.substr(0, limit - 3) + "...";
  return text;
}

static std::string kernelsText(const Json &kernels) {
  Table table{{"kernel", "root", "launches", "FLOPs", "bytes", "schedule", "operators"}, {2, 3, 4}, {}};
  for (const Json &kernel : kernels)
    table.rows.push_back({plainText(member(kernel, "name")), plainText(member(kernel, "root")),
                          plainText(member(kernel, "launches")),
                          shortened(scaledText(member(kernel, "flops")), 32),
                          shortened(scaledText(member(kernel, "bytes")), 32),
                          shortened(plainText(member(kernel, "schedule")), 48),
                          shortened(joined(member(kernel, "ops"), " "), 60)});
  return fmt::format("kernels ({})\n{}", table.rows.size(), table.text());
}

/// " with batch 1, width 320", or "" where nothing is dynamic.
static std::string sizesText(const Json &sizes) {
  std::string text;
  if (sizes.is_object())
    for (const auto &[name, size] : sizes.items())
      text += fmt::format("{} {} {}", text.empty() ? " with" : ",", name, plainText(size));
  return text;
}

static std::string memoryText(const Json &report) {
  const Json &memory = member(report, "memory");
  auto bytes = [](const Json &value) { return scaledText(value, 1024) + (value.is_number() ? "B" : ""); };
  std::string text = fmt::format("memory\n  weights  {}\n", bytes(member(memory, "weights_bytes")));
  const Json &least = member(memory, "live_bytes");
  if (member(memory, "arena_bytes").is_null())
    text += fmt::format("  results  {} in {} buffers\n",
                        least.is_number() && least > 0 ? "at least " + bytes(least) + " at once,"
                                                       : "as the sizes of inputs ask (--dim),",
                        plainText(member(memory, "buffers")));
  else
    text += fmt::format("  arena    {} for {} buffers{}\n", bytes(member(memory, "arena_bytes")),
                        plainText(member(memory, "buffers")), sizesText(member(memory, "arena_sizes")));
  if (!member(report, "code_bytes").is_null())
    text += fmt::format("  code     {}\n", bytes(member(report, "code_bytes")));
  return text;
}

static std::string renderReport(const Json &report) {
  return fmt::format("target {}, {} nodes\n\n{}\n{}\n{}\n{}", plainText(member(report, "target")),
                     member(report, "nodes").size(), valuesText("inputs", member(report, "inputs")),
                     valuesText("outputs", member(report, "outputs")), kernelsText(member(report, "kernels")),
                     memoryText(report));
}

/// The node of this name; null when there is none.
static const Json *findNode(const Json &nodes, const std::string &name) {
  for (const Json &node : nodes)
    if (plainText(member(node, "node")) == name)
      return &node;
  return nullptr;
}

static Json kernelNamed(const Json &report, const std::string &name) {
  for (const Json &kernel : member(report, "kernels"))
    if (!name.empty() && plainText(member(kernel, "name")) == name)
      return kernel;
  return {};
}

static std::string renderNode(const Json &node, const Json &kernel) {
  std::string text = fmt::format("node     {}\nop       {}\n", plainText(member(node, "node")),
                                 plainText(member(node, "op")));
  auto line = [&](const char *label, const std::string &value) {
    if (!value.empty())
      text += fmt::format("{:<8} {}\n", label, value);
  };
  line("kernel", plainText(member(node, "kernel")));
  line("fused", joined(member(node, "fused_with"), ", "));
  line("not more", plainText(member(node, "why_not_more")));
  line("schedule", plainText(member(kernel, "schedule")));
  line("FLOPs", scaledText(member(kernel, "flops")));
  line("bytes", scaledText(member(kernel, "bytes")));
  return text;
}

static ExitCode explain(const Json &report, const InspectOptions &options) {
  const Json &nodes = member(report, "nodes");
  const Json *node = findNode(nodes, options.node);
  if (!node) {
    std::vector<std::string> names;
    for (const Json &candidate : nodes)
      names.push_back(plainText(member(candidate, "node")));
    return tools::report(usageProblem("TW5006", fmt::format("the model has no node '{}'", options.node),
                                      didYouMean(options.node, names)));
  }
  Json kernel = kernelNamed(report, plainText(member(*node, "kernel")));
  if (options.json)
    fmt::print("{}\n", jsonText({{"node", *node}, {"kernel", kernel}}, 2));
  else
    fmt::print("{}", renderNode(*node, kernel));
  return ExitCode::Ok;
}

ExitCode inspectCommand(const InspectOptions &options) {
  auto artifact = isArtifact(options.common.model);
  if (!artifact)
    return report(artifact.problem());
  Report found = *artifact ? reportOfArtifact(options.common) : reportOfModel(options.common);
  if (found.exit != ExitCode::Ok)
    return found.exit;
  if (!options.node.empty())
    return explain(found.json, options);
  if (options.json)
    fmt::print("{}\n", jsonText(found.json, 2));
  else
    fmt::print("{}", renderReport(found.json));
  return ExitCode::Ok;
}

} // namespace tilewright::tools
