/// What was checked is what is compiled: files are opened once, whatever becomes of their names.
#include "ir/interpreter/Interpreter.h"
#include "tests/frontend/Support.h"
#include "tests/support/OnnxWriter.h"
#include "tests/support/TemporaryFolder.h"
#include <fstream>
#include <gtest/gtest.h>

using namespace tilewright;
using namespace tilewright::onnxwriter;
namespace fs = std::filesystem;

namespace {

constexpr int64_t count = 1024;

void writeFloats(const std::string &path, float value) {
  std::ofstream file(path, std::ios::binary);
  for (int64_t i = 0; i < count; ++i)
    file.write(reinterpret_cast<const char *>(&value), sizeof value);
}

/// The first element of the module's only weight, as the artifact will have it.
float weightOf(mlir::ModuleOp module) {
  float value = -1;
  module.walk([&](graph::WeightOp op) {
    auto tensor = interpreter::ConstantEvaluator().weight(op);
    value = tensor ? *reinterpret_cast<const float *>(tensor->data()) : -2;
    llvm::consumeError(tensor.takeError());
  });
  return value;
}

TEST(WeightFiles, AnotherFileUnderTheNameIsNotRead) {
  tests::TemporaryFolder folder;
  writeFloats(folder.file("data"), 1);
  writeFloats(folder.file("foreign"), 9);
  std::ofstream(folder.file("model.onnx"), std::ios::binary)
      << ModelWriter(
             GraphWriter("g")
                 .input("x", ElementType::Float32, {count})
                 .initializer(tensorExternal("w", ElementType::Float32, {count}, {{"location", "data"}}))
                 .node("Add", {"x", "w"}, {"y"})
                 .output("y"))
             .opset(17)
             .bytes();
  auto context = tests::makeImportContext();
  tests::Imported imported = tests::importFile(folder.file("model.onnx"), *context);
  ASSERT_TRUE(imported.ok()) << imported.problems;
  fs::remove(folder.file("data"));
  fs::create_symlink("foreign", folder.file("data"));
  EXPECT_EQ(weightOf(*imported.result.module), 1);
}

TEST(WeightFiles, AnotherModelUnderTheNameIsNotRead) {
  tests::TemporaryFolder folder;
  auto write = [&](float value) {
    std::ofstream(folder.file("new"), std::ios::binary)
        << ModelWriter(GraphWriter("g")
                           .input("x", ElementType::Float32, {count})
                           .initializer(tensor<float>("w", {count}, std::vector<float>(count, value)))
                           .node("Add", {"x", "w"}, {"y"})
                           .output("y"))
               .opset(17)
               .bytes();
    fs::rename(folder.file("new"), folder.file("model.onnx"));
  };
  write(1);
  auto context = tests::makeImportContext();
  tests::Imported imported = tests::importFile(folder.file("model.onnx"), *context);
  ASSERT_TRUE(imported.ok()) << imported.problems;
  write(9);
  EXPECT_EQ(weightOf(*imported.result.module), 1);
}

} // namespace
