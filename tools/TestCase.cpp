#include "TestCase.h"

#include "Inputs.h"
#include "Model.h"
#include "Runner.h"
#include "support/Compare.h"
#include "support/Json.h"
#include "support/Onnx.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

namespace tilewright::tools {

namespace fs = std::filesystem;

static bool isCase(const fs::path &folder) {
  std::error_code ignored;
  return fs::is_regular_file(folder / "model.onnx", ignored);
}

Result<std::vector<std::string>> findCases(const std::vector<std::string> &roots) {
  std::vector<std::string> cases;
  for (const std::string &root : roots) {
    std::error_code error;
    fs::recursive_directory_iterator entries(root, error);
    if (error)
      return ioProblem("TW5101", fmt::format("cannot read the folder '{}': {}", root, error.message()));
    if (isCase(root))
      cases.push_back(root);
    for (; entries != fs::recursive_directory_iterator(); entries.increment(error)) {
      if (error)
        return ioProblem("TW5101", fmt::format("cannot read below '{}': {}", root, error.message()));
      std::error_code ignored;
      if (entries->is_directory(ignored) && isCase(entries->path()))
        cases.push_back(entries->path().string());
    }
  }
  std::sort(cases.begin(), cases.end());
  cases.erase(std::unique(cases.begin(), cases.end()), cases.end());
  return cases;
}

namespace {

/// Everything that running the data sets of a case needs.
struct CaseContext {
  ModelSignature signature;
  Tolerance tolerance;
  ModelHandle model;
  SessionHandle session;
};

} // namespace

const char *nameOf(CaseStatus status) {
  switch (status) {
  case CaseStatus::Passed:
    return "passed";
  case CaseStatus::Failed:
  case CaseStatus::Lacking:
    return "failed";
  case CaseStatus::Unsupported:
    return "unsupported";
  case CaseStatus::Crashed:
    return "crashed";
  }
  return "crashed";
}

CaseStatus statusNamed(const std::string &name) {
  for (CaseStatus status : {CaseStatus::Passed, CaseStatus::Failed, CaseStatus::Unsupported})
    if (name == nameOf(status))
      return status;
  return CaseStatus::Crashed;
}

static CaseResult failed(std::string message) { return {CaseStatus::Failed, std::move(message)}; }

static std::string oneLine(const Diagnostic &problem) {
  std::string text = fmt::format("{}: {}", problem.code, problem.message);
  if (!problem.op.empty())
    text += fmt::format(" ({}{}{})", problem.op, problem.node.empty() ? "" : " ", problem.node);
  return text;
}

static CaseResult fromProblem(const Diagnostic &problem) {
  CaseStatus status = problem.exit == ExitCode::Unsupported ? CaseStatus::Unsupported
                      : problem.exit == ExitCode::Internal  ? CaseStatus::Crashed
                      : problem.exit == ExitCode::Io        ? CaseStatus::Lacking
                                                            : CaseStatus::Failed;
  return {status, oneLine(problem)};
}

static CaseResult fromCompiler(ExitCode exit, const std::vector<Diagnostic> &diagnostics) {
  // The first diagnostic that explains the verdict; a model may have several unsupported nodes.
  auto found = std::find_if(diagnostics.begin(), diagnostics.end(),
                            [&](const Diagnostic &d) { return d.exit == exit; });
  Diagnostic problem = found != diagnostics.end() ? *found : diagnostics.front();
  problem.exit = exit;
  CaseResult result = fromProblem(problem);
  if (diagnostics.size() > 1)
    result.message += fmt::format(" and {} more", diagnostics.size() - 1);
  return result;
}

static Tolerance readTolerance(const fs::path &folder) {
  Tolerance tolerance;
  std::error_code ignored;
  if (!fs::exists(folder / "data.json", ignored))
    return tolerance;
  auto file = readFile((folder / "data.json").string());
  if (!file)
    return tolerance;
  auto json = parseJson({reinterpret_cast<const char *>(file->view.data()), file->size()});
  if (!json)
    return tolerance;
  if (member(*json, "rtol").is_number())
    tolerance.relative = member(*json, "rtol").get<double>();
  if (member(*json, "atol").is_number())
    tolerance.absolute = member(*json, "atol").get<double>();
  return tolerance;
}

/// Something other than a tensor among the model's inputs and outputs; nothing when all are tensors.
static std::optional<std::string> findOtherKind(const ModelSignature &signature) {
  for (const auto *list : {&signature.inputs, &signature.outputs})
    for (const ValueDeclaration &value : *list)
      if (value.kind != "tensor" && value.kind != "unknown")
        return fmt::format("TW5402: '{}' is a {}; only tensors are tested", value.name, value.kind);
  return std::nullopt;
}

/// PREFIX_0.pb, PREFIX_1.pb ... as far as they go.
static Result<std::vector<Tensor>> readTensors(const fs::path &folder, const std::string &prefix) {
  std::vector<Tensor> tensors;
  std::error_code ignored;
  for (;;) {
    fs::path path = folder / fmt::format("{}_{}.pb", prefix, tensors.size());
    if (!fs::exists(path, ignored))
      return tensors;
    auto file = readFile(path.string());
    if (!file)
      return file.problem();
    auto tensor = readTensorProto(file->view, path.filename().string());
    if (!tensor)
      return tensor.problem();
    tensors.push_back(std::move(*tensor));
  }
}

/// Which of the graph's inputs the files stand for, in order: those without an initialiser, unless there is a
/// file for every one.
static std::vector<std::string> fedInputs(const ModelSignature &signature, size_t files) {
  std::vector<std::string> all, free;
  for (const ValueDeclaration &input : signature.inputs) {
    all.push_back(input.name);
    if (!signature.isInitialiser(input.name))
      free.push_back(input.name);
  }
  return files == all.size() ? all : free;
}

/// The given tensors in the order of the compiled model's inputs.
static Result<std::vector<Tensor>> orderInputs(const CaseContext &context, std::vector<Tensor> given) {
  auto names = fedInputs(context.signature, given.size());
  std::vector<Tensor> ordered;
  for (const tw_tensor_info *info : inputsOf(context.model.get())) {
    auto found = std::find(names.begin(), names.end(), info->name);
    size_t index = static_cast<size_t>(found - names.begin());
    if (index >= given.size())
      return invalidProblem("TW5301", fmt::format("the data set has no value for input '{}'", info->name));
    ordered.push_back(given[index]);
  }
  return ordered;
}

static CaseResult compareOutputs(const std::vector<NamedTensor> &got, const std::vector<Tensor> &want,
                                 const CaseContext &context) {
  const auto &declared = context.signature.outputs;
  if (got.size() != declared.size())
    return failed(fmt::format("{} outputs where the model has {}", got.size(), declared.size()));
  if (want.size() != declared.size())
    return failed(fmt::format("{} output files where the model has {} outputs: nothing says what is right",
                              want.size(), declared.size()));
  for (size_t i = 0; i < got.size(); ++i) {
    if (got[i].name != declared[i].name)
      return failed(
          fmt::format("output {} is called '{}' instead of '{}'", i, got[i].name, declared[i].name));
    if (auto difference = findDifference(got[i].tensor, want[i], context.tolerance))
      return failed(fmt::format("output '{}': {}", got[i].name, *difference));
  }
  return {};
}

static CaseResult runDataSet(const CaseContext &context, const fs::path &folder) {
  auto given = readTensors(folder, "input");
  auto want = readTensors(folder, "output");
  if (!given || !want)
    return fromProblem((given ? want : given).problem());
  auto inputs = orderInputs(context, std::move(*given));
  if (!inputs)
    return fromProblem(inputs.problem());
  auto got = runOnce(context.session.get(), TensorViews(*inputs), outputsOf(context.model.get()));
  if (!got)
    return fromProblem(got.problem());
  return compareOutputs(*got, *want, context);
}

static std::vector<fs::path> dataSetsOf(const fs::path &folder) {
  std::vector<fs::path> sets;
  std::error_code ignored;
  for (const auto &entry : fs::directory_iterator(folder, ignored))
    if (entry.path().filename().string().starts_with("test_data_set_"))
      sets.push_back(entry.path());
  std::sort(sets.begin(), sets.end());
  return sets;
}

/// Compile the model. The result is a pass when `artifact` is there.
static CaseResult compileInto(MadeArtifact &artifact, const Compiler &compiler, const std::string &model,
                              const CommonOptions &common) {
  CompilerCall call(common, /*quiet=*/true);
  auto file = PrivateFile::create();
  if (!file)
    return fromProblem(file.problem());
  call.options().out_descriptor = file->descriptor();
  ExitCode exit = call.finish(compiler.compile(model.c_str(), "the compiled model", &call.options()));
  if (exit != ExitCode::Ok)
    return fromCompiler(exit, call.diagnostics());
  artifact.path = file->path();
  artifact.file = std::move(*file);
  return {};
}

/// What the case says of itself. The result is a pass when `context` knows it.
static CaseResult readCase(const std::string &folder, CaseContext &context) {
  std::string model = folder + "/model.onnx";
  auto file = readFile(model);
  if (!file)
    return fromProblem(file.problem());
  auto signature = readModelSignature(file->view, model);
  if (!signature)
    return fromProblem(signature.problem());
  if (auto other = findOtherKind(*signature))
    return {CaseStatus::Unsupported, *other};
  context.signature = std::move(*signature);
  context.tolerance = readTolerance(folder);
  return {};
}

static CaseResult runDataSets(const CaseContext &context, const std::string &folder) {
  auto sets = dataSetsOf(folder);
  if (sets.empty())
    return failed("the case has no test_data_set_0");
  for (const fs::path &set : sets) {
    CaseResult result = runDataSet(context, set);
    if (result.status == CaseStatus::Passed)
      continue;
    if (sets.size() > 1)
      result.message = fmt::format("{}: {}", set.filename().string(), result.message);
    return result;
  }
  return {};
}

CaseResult runCompiledCase(const std::string &artifact, const std::string &folder,
                           const CommonOptions &common) {
  CaseContext context;
  if (CaseResult result = readCase(folder, context); result.status != CaseStatus::Passed)
    return result;
  auto loaded = loadArtifact(artifact, TW_LOAD_TRUST_WEIGHTS);
  if (!loaded)
    return fromProblem(loaded.problem());
  context.model = std::move(*loaded);
  auto session = createSession(context.model.get(), common.threads);
  if (!session)
    return fromProblem(session.problem());
  context.session = std::move(*session);
  return runDataSets(context, folder);
}

/// The runner judges: it has the data, and numbers keep their types.
static CaseResult runElsewhere(const Runner &runner, const MadeArtifact &made, const std::string &folder,
                               const CommonOptions &common) {
  std::vector<std::string> arguments = runner.arguments("test", made, common);
  arguments.insert(arguments.begin() + 1, {folder, "--json", "--artifact"});
  std::string printed;
  auto exit = runner.tryExecute(arguments, &printed);
  if (!exit)
    return {CaseStatus::Crashed, oneLine(exit.problem())};
  auto answer = parseJson(printed);
  const Json &cases = answer ? member(*answer, "cases") : Json();
  if (!cases.is_array() || cases.size() != 1)
    return fromProblem(runner.noAnswer(printed));
  return {statusNamed(plainText(member(cases[0], "status"))), plainText(member(cases[0], "message"))};
}

CaseResult runCase(const Compiler &compiler, const std::string &folder, const CommonOptions &common) {
  CaseContext context;
  if (CaseResult result = readCase(folder, context); result.status != CaseStatus::Passed)
    return result;
  MadeArtifact made;
  if (CaseResult result = compileInto(made, compiler, folder + "/model.onnx", common);
      result.status != CaseStatus::Passed)
    return result;
  auto runner = Runner::find(made.path, common.runner);
  if (!runner)
    return fromProblem(runner.problem());
  return *runner ? runElsewhere(**runner, made, folder, common) : runCompiledCase(made.path, folder, common);
}

} // namespace tilewright::tools
