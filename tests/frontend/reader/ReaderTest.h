//===- ReaderTest.h - what the reader's tests share -------------*- C++ -*-===//
#ifndef TILEWRIGHT_TESTS_FRONTEND_READER_READERTEST_H
#define TILEWRIGHT_TESTS_FRONTEND_READER_READERTEST_H

#include "frontend/reader/OnnxModel.h"
#include "tests/support/OnnxWriter.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tilewright::onnx {

using namespace tilewright::onnxwriter;

inline std::span<const std::byte> asBytes(const std::string &text) {
  return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
}

/// A model and the bytes that its views point into.
struct Held {
  std::string bytes;
  std::unique_ptr<Model> model;
  Model *operator->() { return model.get(); }
  Model &operator*() { return *model; }
};

/// Read what must be readable.
inline Held mustRead(std::string bytes) {
  Held held{std::move(bytes), nullptr};
  held.bytes.shrink_to_fit();
  auto result = readModel(asBytes(held.bytes));
  EXPECT_TRUE(result) << result.error().text();
  held.model = result ? std::move(*result) : std::make_unique<Model>();
  return held;
}
inline Held mustRead(const ModelWriter &writer) { return mustRead(writer.bytes()); }

/// Read what must be refused; the error.
inline Error mustRefuse(const std::string &bytes, const ReadLimits &limits = {}) {
  auto result = readModel(asBytes(bytes), limits);
  EXPECT_FALSE(result);
  return result ? Error{} : result.error();
}
inline Error mustRefuse(const ModelWriter &writer, const ReadLimits &limits = {}) {
  return mustRefuse(writer.bytes(), limits);
}

/// x -> Relu -> y, with more initializers.
inline ModelWriter modelWith(const std::vector<std::string> &initializers) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"N"}).node("Relu", {"x"}, {"y"}).output("y");
  for (const std::string &tensor : initializers)
    graph.initializer(tensor);
  return ModelWriter(graph);
}

/// A folder that goes away with the test.
class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string pattern = testing::TempDir() + "/reader-XXXXXX";
    folder = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(folder); }
  std::string operator/(const std::string &name) const { return folder + "/" + name; }
  void write(const std::string &name, const std::string &content) const {
    std::FILE *file = std::fopen((folder + "/" + name).c_str(), "wb");
    ASSERT_NE(file, nullptr);
    ASSERT_EQ(std::fwrite(content.data(), 1, content.size(), file), content.size());
    ASSERT_EQ(std::fclose(file), 0);
  }

private:
  std::string folder;
};

} // namespace tilewright::onnx

#endif // TILEWRIGHT_TESTS_FRONTEND_READER_READERTEST_H
