#include "tests/compiler/Support.h"
#include "tests/support/GuardedMemory.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>
#include <fstream>

using namespace mlir;

namespace tilewright::tests {

compiler::Options CompiledProgram::optionsFor(llvm::StringRef target, bool fold) {
  compiler::Options options;
  options.target = target.str();
  options.outPath = folder.file("program.so");
  options.cacheDir = "";
  options.threads = 1;
  options.verify = true;
  options.fold = fold;
  options.diagnostic = [this](const frontend::Diagnostic &d) {
    problems += d.code + ": " + d.message + "\n";
  };
  return options;
}

CompiledProgram::CompiledProgram(llvm::StringRef target, bool fold) : compilation(optionsFor(target, fold)) {}

CompiledProgram::~CompiledProgram() {
  for (tw_session *session : sessions)
    tw_session_free(session);
  tw_model_free(model);
}

static ArrayAttr numberedNames(Builder builder, llvm::StringRef prefix, size_t count) {
  llvm::SmallVector<Attribute> names;
  for (size_t i = 0; i < count; ++i)
    names.push_back(builder.getStringAttr(prefix + llvm::Twine(i)));
  return builder.getArrayAttr(names);
}

std::string CompiledProgram::compile(OwningOpRef<ModuleOp> graph) {
  auto main = graph->lookupSymbol<func::FuncOp>("main");
  Builder builder(graph->getContext());
  main->setAttr("graph.input_names", numberedNames(builder, "x", main.getNumArguments()));
  main->setAttr("graph.output_names", numberedNames(builder, "y", main.getNumResults()));
  return compilation.adopt(std::move(graph)) ? finish() : problems;
}

std::string CompiledProgram::compileModel(const std::string &onnxBytes) {
  std::string path = folder.file("model.onnx");
  std::ofstream(path, std::ios::binary) << onnxBytes;
  return compilation.import(path) ? finish() : problems;
}

uint64_t CompiledProgram::artifactBytes() const {
  return std::filesystem::file_size(folder.file("program.so"));
}

std::string CompiledProgram::finish() {
  reference = compilation.graph().clone();
  if (!compilation.lower() || !compilation.compileKernels() || !compilation.writeArtifact())
    return problems.empty() ? "compilation stopped without a reason" : problems;
  tw_error error;
  if (tw_model_load(folder.file("program.so").c_str(), nullptr, &model, &error))
    return error.message;
  for (int i = 0; i < 2; ++i) {
    tw_session_options options{sizeof(options), i + 1, 0};
    if (tw_session_create(model, &options, &sessions[i], &error))
      return error.message;
  }
  return "";
}

RunResult CompiledProgram::run(llvm::ArrayRef<Tensor> inputs, int threads) {
  auto main = original().lookupSymbol<func::FuncOp>("main");
  std::vector<tw_tensor> arguments(inputs.size()), results(main.getNumResults());
  const auto where = threads == 1 ? GuardedMemory::AtPageEnd : GuardedMemory::AtPageStart;
  std::vector<GuardedMemory> memory;
  for (auto [argument, tensor] : llvm::zip(arguments, inputs)) {
    memory.emplace_back(tensor.bytes(), where);
    if (tensor.bytes())
      std::memcpy(memory.back().data(), tensor.data(), tensor.bytes());
    argument.data = memory.back().data();
    argument.dtype = tw_dtype(compiler::dtypeOf(tensor.elementType));
    argument.rank = int32_t(tensor.rank());
    llvm::copy(tensor.shape, argument.shape);
  }
  RunResult result;
  tw_error error;
  result.status = tw_session_run(sessions[threads - 1], arguments.data(), arguments.size(), results.data(),
                                 results.size(), &error);
  if (result.status) {
    result.problem = std::string(error.code) + ": " + error.message;
    result.op = error.op;
    return result;
  }
  for (auto [output, type] : llvm::zip(results, main.getResultTypes())) {
    Tensor copy(llvm::cast<RankedTensorType>(type).getElementType(),
                llvm::ArrayRef(output.shape, output.shape + output.rank));
    if (copy.bytes())
      std::memcpy(copy.mutableData(), output.data, copy.bytes());
    result.outputs.push_back(copy);
  }
  for (auto [output, tensor] : llvm::zip(results, result.outputs)) {
    memory.emplace_back(tensor.bytes(), where);
    output.data = memory.back().data();
  }
  result.status = tw_session_run(sessions[threads - 1], arguments.data(), arguments.size(), results.data(),
                                 results.size(), &error);
  if (result.status)
    result.problem = std::string("into the caller's memory: ") + error.message;
  for (auto [output, tensor] : llvm::zip(results, result.outputs))
    if (!result.status && tensor.bytes() && std::memcmp(output.data, tensor.data(), tensor.bytes()) != 0) {
      result.status = TW_INTERNAL;
      result.problem = "another result in the caller's memory";
    }
  return result;
}

RunResult CompiledProgram::interpret(llvm::ArrayRef<Tensor> inputs) {
  RunResult result;
  interpreter::Evaluator evaluator(original());
  auto outputs = evaluator.run(original().lookupSymbol<func::FuncOp>("main"), inputs);
  if (outputs) {
    result.outputs = std::move(*outputs);
  } else {
    result.status = TW_INVALID;
    result.problem = llvm::toString(outputs.takeError());
  }
  return result;
}

//===- Comparison ----------------------------------------------------------------------===//

/// Several units in the last place: chains of operations, and sums in another order.
static double toleranceOf(Type type) {
  if (type.isF64())
    return 1e-12;
  if (type.isF32())
    return 1e-5;
  return type.isF16() ? 4e-3 : type.isBF16() ? 3e-2 : 0.2;
}

std::string compareTensors(const Tensor &got, const Tensor &want, Agreement agreement) {
  if (got.shape != want.shape)
    return "is " + got.describe() + " instead of " + want.describe();
  if (identical(got, want))
    return "";
  bool exact = agreement == Agreement::Exact || !interpreter::isFloat(want.elementType);
  double largest = 0;
  for (int64_t i = 0; i < want.size(); ++i)
    if (std::isfinite(want.number(i)))
      largest = std::max(largest, std::abs(want.number(i)));
  double relative = exact ? 0 : toleranceOf(want.elementType);
  for (int64_t i = 0; i < want.size(); ++i) {
    double a = got.number(i), b = want.number(i);
    bool same = exact ? a == b && std::signbit(a) == std::signbit(b)
                      : a == b || std::abs(a - b) <= relative * (std::abs(b) + 0.1 * largest + 1e-3);
    if (!same && !(std::isnan(a) && std::isnan(b)))
      return "element " + std::to_string(i) + " of " + want.describe() + " is " + std::to_string(a) +
             " instead of " + std::to_string(b);
  }
  return exact ? "differs in bits" : "";
}

static std::string compareRuns(const RunResult &got, const RunResult &want, Agreement agreement) {
  if (want.status)
    return got.status ? "" : "runs, but the interpreter says " + want.problem;
  if (got.status)
    return "fails with " + got.problem;
  for (auto [index, pair] : llvm::enumerate(llvm::zip(got.outputs, want.outputs)))
    if (std::string difference = compareTensors(std::get<0>(pair), std::get<1>(pair), agreement);
        !difference.empty())
      return "output " + std::to_string(index) + ": " + difference;
  return "";
}

std::string differenceFromInterpreter(CompiledProgram &program, llvm::ArrayRef<Tensor> inputs,
                                      llvm::ArrayRef<Tensor> outputs, Agreement agreement) {
  RunResult want = program.interpret(inputs);
  if (want.status)
    return llvm::StringRef(want.problem).starts_with("TW2906")
               ? ""
               : "runs, but the interpreter says " + want.problem;
  for (auto [got, wanted] : llvm::zip(outputs, want.outputs))
    if (std::string difference = compareTensors(got, wanted, agreement); !difference.empty())
      return difference;
  return "";
}

std::string checkAgainstInterpreter(CompiledProgram &program,
                                    llvm::ArrayRef<llvm::SmallVector<Tensor>> inputSets,
                                    Agreement agreement) {
  for (auto [number, inputs] : llvm::enumerate(inputSets)) {
    std::string where = number ? "inputs " + std::to_string(number) + ": " : "";
    RunResult want = program.interpret(inputs), one = program.run(inputs, 1), two = program.run(inputs, 2);
    if (std::string difference = compareRuns(one, want, agreement); !difference.empty())
      return where + difference;
    if (one.status != two.status)
      return where + "two threads end differently: " + two.problem;
    for (auto [index, pair] : llvm::enumerate(llvm::zip(one.outputs, two.outputs)))
      if (std::string difference = compareTensors(std::get<1>(pair), std::get<0>(pair), Agreement::Exact);
          !difference.empty())
        return where + "with two threads output " + std::to_string(index) + ": " + difference;
  }
  return "";
}

std::vector<std::string> testedTargets() {
  std::vector<std::string> names{"cpu:haswell"};
  auto host = llvm::cantFail(codegen::resolveTarget("cpu")),
       wide = llvm::cantFail(codegen::resolveTarget("cpu:skylake-avx512"));
  if (codegen::hostCanRun(wide))
    names.push_back("cpu:skylake-avx512");
  auto same = [&](const std::string &name) {
    auto target = llvm::cantFail(codegen::resolveTarget(name));
    return target.cpu == host.cpu && target.features == host.features;
  };
  if (llvm::none_of(names, same))
    names.push_back("cpu");
  return names;
}

bool isChecked(llvm::StringRef target) { return target.ends_with("+checked"); }

std::vector<std::string> checkedTargets() {
  std::vector<std::string> names = testedTargets();
  for (std::string &name : names)
    name += "+checked";
  return names;
}

std::string testName(llvm::StringRef target, llvm::StringRef what) {
  std::string name = (target + "_" + what).str();
  for (char &c : name)
    c = llvm::isAlnum(c) ? c : '_';
  return name;
}

} // namespace tilewright::tests
