// ONNX's own cases (folders with model.onnx and test_data_set_*), imported and run by the interpreter: the
// oracle of all other tests has one itself. TILEWRIGHT_CASES is the folder that holds them.
// TILEWRIGHT_CASES_FILTER picks those whose names hold a text; TILEWRIGHT_CASES_REPORT names a file for one
// line a case: "ok", "differs", "unsupported" or "failed", its name, and why. Only "differs" and "failed"
// fail the test: an unsupported operator is not a wrong one.
#include "ir/interpreter/Interpreter.h"
#include "tests/frontend/Support.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>

using namespace tilewright;
namespace fs = std::filesystem;

namespace {

struct Outcome {
  std::string kind, why;
};

/// The tensors input_0.pb, input_1.pb, ... of a data set, for declared values; nothing when one is no tensor
/// we know.
std::optional<llvm::SmallVector<interpreter::Tensor>> readTensors(const fs::path &folder,
                                                                  const std::string &prefix,
                                                                  const std::vector<onnx::ValueInfo> &values,
                                                                  llvm::ArrayRef<mlir::Type> types) {
  llvm::SmallVector<interpreter::Tensor> tensors;
  for (size_t index = 0; index < types.size(); ++index) {
    auto file = onnx::readValue(folder / (prefix + std::to_string(index) + ".pb"), values[index].type);
    if (!file || (*file)->tensors.size() != 1)
      return std::nullopt;
    auto tensor = tests::toTensor((*file)->tensors[0],
                                  llvm::cast<mlir::RankedTensorType>(types[index]).getElementType());
    if (!tensor)
      return std::nullopt;
    tensors.push_back(*tensor);
  }
  return tensors;
}

double tolerance(mlir::Type type) {
  unsigned bits = type.getIntOrFloatBitWidth();
  return bits >= 32 ? 1e-3 : bits == 16 ? (type.isBF16() ? 2e-2 : 5e-3) : 0.15;
}

std::string compare(const interpreter::Tensor &got, const interpreter::Tensor &want) {
  if (got.elementType != want.elementType || got.shape != want.shape)
    return "is " + got.describe() + " instead of " + want.describe();
  bool exact = llvm::isa<mlir::IntegerType>(got.elementType);
  double relative = exact ? 0 : tolerance(got.elementType);
  for (int64_t index = 0; index < got.size(); ++index) {
    double a = got.number(index), b = want.number(index);
    bool same = (std::isnan(a) && std::isnan(b)) || a == b ||
                std::abs(a - b) <= relative * std::abs(b) + (exact ? 0 : 1e-6);
    if (!same)
      return "element " + std::to_string(index) + " is " + std::to_string(a) + " instead of " +
             std::to_string(b);
  }
  return "";
}

Outcome runCase(const fs::path &folder) {
  auto context = tests::makeImportContext();
  auto imported = tests::importFile(folder / "model.onnx", *context);
  if (!imported.ok()) {
    bool unsupported = !imported.result.diagnostics.empty() &&
                       llvm::all_of(imported.result.diagnostics, [](const frontend::Diagnostic &d) {
                         return d.kind == frontend::Diagnostic::Unsupported;
                       });
    return {unsupported ? "unsupported" : "failed", imported.problems};
  }
  auto main = imported.main();
  for (const onnx::ValueInfo &output : imported.model->graph.outputs)
    if (output.type.kind != onnx::TypeInfo::Kind::Tensor)
      return {"unsupported", "an output is no tensor"};
  for (const auto &entry : fs::directory_iterator(folder)) {
    if (!entry.path().filename().string().starts_with("test_data_set_"))
      continue;
    std::vector<onnx::ValueInfo> declared = imported.model->graph.inputs;
    llvm::erase_if(declared,
                   [&](const onnx::ValueInfo &info) { return imported.model->graph.initializer(info.name); });
    auto inputs = readTensors(entry, "input_", declared, main.getArgumentTypes());
    auto wanted = readTensors(entry, "output_", imported.model->graph.outputs, main.getResultTypes());
    if (!inputs || !wanted)
      return {"failed", "cannot read the data"};
    auto got = interpreter::Evaluator(*imported.result.module).run(main, *inputs);
    if (!got)
      return {"failed", llvm::toString(got.takeError())};
    for (size_t index = 0; index < wanted->size(); ++index)
      if (std::string difference = compare((*got)[index], (*wanted)[index]); !difference.empty())
        return {"differs", "output " + std::to_string(index) + " " + difference};
  }
  return {"ok", ""};
}

} // namespace

TEST(Conformance, CasesRunInTheInterpreter) {
  const char *cases = std::getenv("TILEWRIGHT_CASES");
  ASSERT_TRUE(cases) << "TILEWRIGHT_CASES must name the folder of the cases";
  const char *report = std::getenv("TILEWRIGHT_CASES_REPORT"),
             *filter = std::getenv("TILEWRIGHT_CASES_FILTER");
  std::ofstream lines(report ? report : "/dev/null");
  std::map<std::string, int> totals;
  std::vector<fs::path> folders;
  for (const auto &entry : fs::directory_iterator(cases))
    if (fs::exists(entry.path() / "model.onnx") &&
        (!filter || entry.path().filename().string().find(filter) != std::string::npos))
      folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  for (const fs::path &folder : folders) {
    Outcome outcome = runCase(folder);
    ++totals[outcome.kind];
    std::replace(outcome.why.begin(), outcome.why.end(), '\n', ' ');
    lines << outcome.kind << " " << folder.filename().string() << " " << outcome.why << std::endl;
    EXPECT_TRUE(outcome.kind == "ok" || outcome.kind == "unsupported")
        << folder.filename() << " " << outcome.kind << ": " << outcome.why;
  }
  for (const auto &[kind, count] : totals)
    std::cout << count << " " << kind << "\n";
  EXPECT_GT(totals["ok"], 0) << "no case below " << cases << " runs";
}
