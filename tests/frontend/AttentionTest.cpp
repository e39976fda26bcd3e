// Attention against its definition: grouped heads, caches, masks; rotary embeddings; fused relatives.
#include "tests/frontend/Operators.h"

using namespace tilewright;
using namespace tilewright::onnxwriter;
using testing::HasSubstr;
using tests::Numbers;

namespace {

struct Attention : tests::Operators {};

TEST_F(Attention, GroupedHeadsSeeTheCacheAndThePast) {
  constexpr int heads = 4, shared = 2, queries = 2, past = 3, size = 4, keys = queries + past;
  Numbers q = random(heads * queries * size), k = random(shared * queries * size),
          v = random(shared * queries * size);
  Numbers pk = random(shared * past * size), pv = random(shared * past * size), want;
  auto at = [&](const Numbers &before, const Numbers &now, int head, int key, int d) {
    return key < past ? before[(head * past + key) * size + d]
                      : now[(head * queries + key - past) * size + d];
  };
  for (int h = 0; h < heads; ++h)
    for (int i = 0; i < queries; ++i) {
      Numbers weights;
      double sum = 0;
      for (int j = 0; j <= i + past; ++j) {
        double score = 0;
        for (int d = 0; d < size; ++d)
          score += q[(h * queries + i) * size + d] * at(pk, k, h / 2, j, d);
        weights.push_back(std::exp(score / 2)); // 1 / sqrt(size)
        sum += weights.back();
      }
      for (int d = 0; d < size; ++d) {
        double value = 0;
        for (size_t j = 0; j < weights.size(); ++j)
          value += weights[j] / sum * at(pv, v, h / 2, j, d);
        want.push_back(value);
      }
    }
  GraphWriter graph;
  graph.input("q", ElementType::Float32, {"B", heads, "S", size});
  for (const char *name : {"k", "v"})
    graph.input(name, ElementType::Float32, {"B", shared, "S", size});
  for (const char *name : {"pk", "pv"})
    graph.input(name, ElementType::Float32, {"B", shared, "P", size});
  graph.node("Attention", {"q", "k", "v", "", "pk", "pv"}, {"y", "nk", "nv"}, {attributeInt("is_causal", 1)});
  graph.output("y").output("nk").output("nv");
  auto results = run(graph,
                     {floats({1, heads, queries, size}, q), floats({1, shared, queries, size}, k),
                      floats({1, shared, queries, size}, v), floats({1, shared, past, size}, pk),
                      floats({1, shared, past, size}, pv)},
                     23);
  ASSERT_EQ(results.size(), 3u);
  tests::expectNear(results[0], {1, heads, queries, size}, want);
  EXPECT_EQ(llvm::ArrayRef<int64_t>(results[1].shape), llvm::ArrayRef<int64_t>({1, shared, keys, size}));
  EXPECT_EQ(count<graph::ContractOp>(), 2);
  EXPECT_EQ(count<graph::GatherOp>(), 0) << "key heads are shared without copies";
}

TEST_F(Attention, QueriesThatSeeNothingGetZeros) {
  GraphWriter graph;
  for (const char *name : {"q", "k", "v"})
    graph.input(name, ElementType::Float32, {1, 1, 2, 1});
  graph.input("m", ElementType::Bool, {2, 2});
  graph.node("Attention", {"q", "k", "v", "m"}, {"y"}).output("y");
  auto x = floats({1, 1, 2, 1}, {1, 2});
  auto mask = interpreter::Tensor::fromInts(mlir::IntegerType::get(context.get(), 1), {2, 2}, {0, 0, 0, 1});
  auto results = run(graph, {x, x, x, mask}, 23);
  ASSERT_EQ(results.size(), 1u);
  tests::expectNear(results[0], {1, 1, 2, 1}, {0, 2});
}

TEST_F(Attention, RefusesHeadsThatDoNotDivide) {
  GraphWriter graph;
  for (const char *name : {"q", "k", "v"})
    graph.input(name, ElementType::Float32, {1, 2, 10});
  graph.node("Attention", {"q", "k", "v"}, {"y"},
             {attributeInt("q_num_heads", 3), attributeInt("kv_num_heads", 1)});
  graph.output("y");
  EXPECT_THAT(import(graph, 23), HasSubstr("TW1205"));
}

TEST_F(Attention, RotationsTurnPairs) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"B", 1, "S", 4}).input("p", ElementType::Int64, {"B", "S"});
  graph.initializer(tensor<float>("cos", {2, 1}, {1, 0})).initializer(tensor<float>("sin", {2, 1}, {0, 1}));
  graph.node("RotaryEmbedding", {"x", "cos", "sin", "p"}, {"y"}, {attributeInt("rotary_embedding_dim", 2)});
  graph.output("y");
  auto results = run(graph, {floats({1, 1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}), ints({1, 2}, {1, 0})}, 23);
  ASSERT_EQ(results.size(), 1u);
  tests::expectNear(results[0], {1, 1, 2, 4}, {-2, 1, 3, 4, 5, 6, 7, 8}); // a quarter turn, and none
}

TEST_F(Attention, LinearAttentionForgetsAndCorrects) {
  // One head of size 1: S = e^g S; S += beta k (v - S k); y = scale q S.
  GraphWriter graph;
  for (const char *name : {"q", "k", "v", "g", "b"})
    graph.input(name, ElementType::Float32, {"B", "T", 1});
  graph.node("LinearAttention", {"q", "k", "v", "", "g", "b"}, {"y", "s"},
             {attributeInt("q_num_heads", 1), attributeInt("kv_num_heads", 1), attributeFloat("scale", 2)});
  graph.output("y").output("s");
  auto column = [&](double first, double second) { return floats({1, 2, 1}, {first, second}); };
  auto results =
      run(graph, {column(1, 3), column(2, 1), column(5, 4), column(0, std::log(0.5)), column(0.5, 1)}, 27);
  ASSERT_EQ(results.size(), 2u);
  double first = 0.5 * 2 * 5, second = first / 2;
  second += 1 * (4 - second);
  tests::expectNear(results[0], {1, 2, 1}, {2 * first, 2 * 3 * second});
  tests::expectNear(results[1], {1, 1, 1, 1}, {second});
}

TEST_F(Attention, PackedWeightsUnfold) {
  // Rows of 16 four-bit values in one block: value i is i, zero point 8, scale 2.
  std::vector<uint8_t> packed;
  for (int i = 0; i < 16; i += 2)
    packed.push_back(i | (i + 1) << 4);
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"M", 16}).initializer(tensor<uint8_t>("w", {1, 1, 8}, packed));
  graph.initializer(tensor<float>("s", {1}, {2}));
  graph.node(
      "MatMulNBits", {"x", "w", "s"}, {"y"},
      {attributeInt("K", 16), attributeInt("N", 1), attributeInt("bits", 4), attributeInt("block_size", 16)},
      "com.microsoft");
  graph.output("y");
  Numbers x(32, 0);
  x[3] = 1;       // picks value 3
  x[16 + 15] = 1; // picks value 15
  auto results = run(graph, {floats({2, 16}, x)});
  ASSERT_EQ(results.size(), 1u);
  tests::expectNear(results[0], {2, 1}, {(3 - 8) * 2, (15 - 8) * 2});
}

TEST_F(Attention, SkipNormalizationKeepsTheSum) {
  GraphWriter graph;
  graph.input("x", ElementType::Float32, {"B", "S", 2}).input("skip", ElementType::Float32, {"B", "S", 2});
  graph.initializer(tensor<float>("gamma", {2}, {1, 3})).initializer(tensor<float>("beta", {2}, {0, 1}));
  graph.node("SkipLayerNormalization", {"x", "skip", "gamma", "beta"}, {"y", "", "", "sum"}, {},
             "com.microsoft");
  graph.output("y").output("sum");
  auto results = run(graph, {floats({1, 1, 2}, {1, 5}), floats({1, 1, 2}, {2, 2})});
  ASSERT_EQ(results.size(), 2u);
  tests::expectNear(results[0], {1, 1, 2}, {-1, 4});
  tests::expectNear(results[1], {1, 1, 2}, {3, 7});
}

} // namespace
