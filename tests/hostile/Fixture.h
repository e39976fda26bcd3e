/// Fixture.h - the real driver in a folder of the test's own.
#pragma once
#include "support/Npy.h"
#include "tests/support/OnnxWriter.h"
#include "tests/tools/Support.h"

namespace tilewright::hostile {

using onnx::ElementType;
using onnxwriter::GraphWriter;
using onnxwriter::ModelWriter;
using tools::Tensor;
using tools::test::driver;
using tools::test::Ran;
using Inputs = std::vector<tools::NamedTensor>;

class Hostile : public tools::test::FolderTest {
protected:
  std::string model(const GraphWriter &graph, int64_t opset = 17) {
    return write("model.onnx", ModelWriter(graph).opset(opset).bytes());
  }
  std::string given(const Inputs &inputs) {
    EXPECT_FALSE(tools::writeNpz(path("in.npz"), inputs));
    return " --inputs " + path("in.npz");
  }
  Ran run(const GraphWriter &graph, const Inputs &inputs, int64_t opset = 17) {
    std::string file = model(graph, opset);
    return driver("run " + file + given(inputs) + " --outputs " + path("out.npz"), "timeout 60 ");
  }
  Tensor output(const std::string &name) {
    auto npz = tools::NpzReader::open(path("out.npz"));
    EXPECT_TRUE(npz);
    return *npz->read(name);
  }
};

inline void expectError(const Ran &ran, int exit, std::initializer_list<const char *> words) {
  EXPECT_EQ(ran.exit, exit) << ran.err;
  for (const char *word : words)
    EXPECT_NE(ran.err.find(word), std::string::npos) << "no '" << word << "' in: " << ran.err;
  EXPECT_LT(ran.err.size(), 20000u) << "errors are bounded";
}

} // namespace tilewright::hostile
