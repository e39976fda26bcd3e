//===- MutationTest.cpp - thousands of damaged models, none may crash -----===//
//
// Seeded, so a failure repeats. What counts is run under the address and undefined-behaviour sanitizers (the
// asan preset).
//===----------------------------------------------------------------------===//

#include "tests/frontend/reader/ReaderTest.h"
#include "tests/frontend/reader/UseEverything.h"

#include <random>

namespace tilewright::onnx {
namespace {

/// A small model that has every message and every tensor encoding.
std::string richModel() {
  GraphWriter branch("branch"), inFunction("inner");
  branch.node("Softmax", {"x"}, {"s"}, {attributeInt("axis", 0)}).output("s");
  inFunction.node("Softmax", {"a"}, {"s"}, {attributeReference("axis", "k", Attribute::Kind::Int)})
      .output("s");
  GraphWriter graph("rich");
  graph.input("x", ElementType::Float32, {"N", 3})
      .inputOfType("q", optionalType(sequenceType(tensorType(ElementType::Int64, {2}))))
      .inputOfType("m", mapType(ElementType::String, tensorType(ElementType::Float32)))
      .initializer(tensor<float>("raw", {2, 2}, {1, 2, 3, 4}))
      .initializer(tensorFloatData("floats", ElementType::Float32, {2}, {1, 2}))
      .initializer(tensorInt32Data("nibbles", ElementType::Int4, {3}, {0x21, 0x03}))
      .initializer(tensorInt32Data("sixes", ElementType::Float6E2M3, {3}, {1, 2, 3}))
      .initializer(tensorInt64Data("longs", {2}, {-1, 1}))
      .initializer(tensorStrings("strings", {2}, {"a", "bc"}))
      .initializer(tensorExternal("far", ElementType::UInt8, {2}, {{"location", "w.bin"}, {"offset", "1"}}))
      .sparseInitializer(
          sparseTensor(tensor<int8_t>("sparse", {2}, {5, 6}), tensor<int64_t>("", {2}, {0, 5}), {2, 3}))
      .node("F", {"x"}, {"f"}, {attributeInt("k", 1)}, "local")
      .node("If", {"f"}, {"y"},
            {attributeGraph("then_branch", branch), attributeGraph("else_branch", branch)})
      .node("Op", {"y", "", "raw"}, {"z"},
            {attributeInts("ints", {1, -1}), attributeFloats("floats", {1}),
             attributeStrings("strings", {"a"}),
             attributeTensor("tensor", tensor<bool>("", {2}, {true, false})),
             attributeType("type", tensorType(ElementType::Float32, {1}))})
      .output("z", ElementType::Float32, {"N"});
  FunctionWriter function("local", "F", {"a"}, {"b"});
  function.opset(17).attributeName("k").node("If", {"a"}, {"b"}, {attributeGraph("then_branch", inFunction)});
  return ModelWriter(graph).opset(17).opset(1, "local").metadata("k", "v").function(function).bytes();
}

/// One to eight random edits: flip, set, insert, remove, copy, cut.
std::string mutate(std::string bytes, std::mt19937 &random) {
  auto below = [&](size_t bound) { return bound ? random() % bound : 0; };
  for (size_t edits = 1 + below(8); edits > 0 && !bytes.empty(); --edits) {
    size_t at = below(bytes.size()), length = 1 + below(8);
    static constexpr char interesting[] = {'\x00', '\x01', '\x7f', '\x80', '\xff', '\x0a', '\x3a'};
    switch (below(6)) {
    case 0:
      bytes[at] = char(bytes[at] ^ 1 << below(8));
      break;
    case 1:
      bytes[at] = interesting[below(sizeof(interesting))];
      break;
    case 2:
      bytes.insert(at, length, interesting[below(sizeof(interesting))]);
      break;
    case 3:
      bytes.erase(at, length);
      break;
    case 4:
      bytes.insert(below(bytes.size()), bytes.substr(at, 8 * length));
      break;
    case 5:
      if (below(4) == 0)
        bytes.resize(at);
      break;
    }
  }
  return bytes;
}

/// Read from a heap block of exactly its size, so that the sanitizer sees the first byte past it.
bool survives(const std::string &mutant) {
  std::vector<std::byte> exact(asBytes(mutant).begin(), asBytes(mutant).end());
  ReadLimits limits;
  limits.maxStructureBytes = 64 << 20;
  auto model = readModel(exact, limits);
  if (!model)
    return !model.error().text().empty();
  Everything().use(**model);
  return true;
}

TEST(Mutation, TheOriginalIsSound) {
  Held model = mustRead(richModel());
  EXPECT_TRUE(checkModel(*model).empty());
}

TEST(Mutation, DamagedModelsAreReadOrRefused) {
  std::string original = richModel();
  std::mt19937 random(20240229);
  size_t refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string mutant = mutate(original, random);
    ASSERT_TRUE(survives(mutant)) << "mutant " << i;
    refused += !readModel(asBytes(mutant));
  }
  EXPECT_GT(refused, 1000u) << "the mutations must do damage";
  EXPECT_LT(refused, 19900u) << "and some must get through";
}

TEST(Mutation, EveryPrefixAndEveryFlippedByte) {
  std::string original = richModel();
  for (size_t i = 0; i < original.size(); ++i) {
    ASSERT_TRUE(survives(original.substr(0, i))) << "prefix " << i;
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = original;
      flipped[i] = char(flipped[i] ^ 1 << bit);
      ASSERT_TRUE(survives(flipped)) << "byte " << i << " bit " << bit;
    }
  }
}

} // namespace
} // namespace tilewright::onnx
