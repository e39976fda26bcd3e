// LSTM and GRU against a plain rendering of their equations, with sequences of different lengths.
#include "tests/frontend/Operators.h"

using namespace tilewright;
using namespace tilewright::onnxwriter;
using testing::HasSubstr;
using tests::Numbers;

namespace {

constexpr int steps = 4, batch = 2, inputs = 3, hidden = 2;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// rows x columns times a vector.
double dot(const Numbers &matrix, int row, int columns, const double *vector) {
  double sum = 0;
  for (int k = 0; k < columns; ++k)
    sum += matrix[row * columns + k] * vector[k];
  return sum;
}

struct Sequences {
  Numbers y, last, cell; ///< [steps, batch, hidden], [batch, hidden], [batch, hidden]
};

/// One direction; weights are [gates * hidden, ...]. `cell` turns the gates' sums into the next state.
template <typename Cell>
Sequences runPlainly(const Numbers &x, llvm::ArrayRef<int64_t> lengths, bool reverse, Cell cell) {
  Sequences result{Numbers(steps * batch * hidden, 0), Numbers(batch * hidden, 0),
                   Numbers(batch * hidden, 0)};
  for (int b = 0; b < batch; ++b) {
    Numbers h(hidden, 0), c(hidden, 0);
    for (int i = 0; i < lengths[b]; ++i) {
      int t = reverse ? int(lengths[b]) - 1 - i : i;
      cell(&x[(t * batch + b) * inputs], h, c);
      std::copy(h.begin(), h.end(), result.y.begin() + (t * batch + b) * hidden);
    }
    std::copy(h.begin(), h.end(), result.last.begin() + b * hidden);
    std::copy(c.begin(), c.end(), result.cell.begin() + b * hidden);
  }
  return result;
}

struct Recurrent : tests::Operators {
  Numbers x = random(steps * batch * inputs);
  llvm::SmallVector<int64_t> lengths = {4, 2};

  GraphWriter layer(const std::string &op, int64_t gates, int64_t directions, const Numbers &w,
                    const Numbers &r, const Numbers &bias, const Messages &attributes, const Names &results) {
    GraphWriter graph;
    graph.input("x", ElementType::Float32, {"T", "B", inputs}).input("lengths", ElementType::Int32, {"B"});
    graph.initializer(tensor<float>("w", {directions, gates * hidden, inputs}, tests::toFloats(w)));
    graph.initializer(tensor<float>("r", {directions, gates * hidden, hidden}, tests::toFloats(r)));
    graph.initializer(tensor<float>("b", {directions, 2 * gates * hidden}, tests::toFloats(bias)));
    graph.node(op, {"x", "w", "r", "b", "lengths"}, results, attributes);
    for (const std::string &name : results)
      graph.output(name);
    return graph;
  }
};

/// The part of a list that belongs to one of two directions.
Numbers half(const Numbers &values, int direction) {
  size_t size = values.size() / 2;
  return Numbers(values.begin() + direction * size, values.begin() + (direction + 1) * size);
}

TEST_F(Recurrent, LstmReadsEachSequenceInBothDirections) {
  Numbers w = random(2 * 4 * hidden * inputs), r = random(2 * 4 * hidden * hidden),
          bias = random(2 * 8 * hidden);
  Numbers y(steps * 2 * batch * hidden, 0), last, cells;
  for (int d = 0; d < 2; ++d) {
    Numbers dw = half(w, d), dr = half(r, d), db = half(bias, d);
    auto cell = [&](const double *xt, Numbers &h, Numbers &c) {
      Numbers before = h;
      for (int j = 0; j < hidden; ++j) {
        auto gate = [&](int g) {
          int row = g * hidden + j;
          return dot(dw, row, inputs, xt) + dot(dr, row, hidden, before.data()) + db[row] +
                 db[4 * hidden + row];
        };
        c[j] = sigmoid(gate(2)) * c[j] + sigmoid(gate(0)) * std::tanh(gate(3));
        h[j] = sigmoid(gate(1)) * std::tanh(c[j]);
      }
    };
    Sequences s = runPlainly(x, lengths, d == 1, cell);
    for (int t = 0; t < steps; ++t)
      std::copy_n(s.y.begin() + t * batch * hidden, batch * hidden, y.begin() + (t * 2 + d) * batch * hidden);
    last.append(s.last.begin(), s.last.end());
    cells.append(s.cell.begin(), s.cell.end());
  }
  auto results =
      run(layer("LSTM", 4, 2, w, r, bias,
                {attributeInt("hidden_size", hidden), attributeString("direction", "bidirectional")},
                {"y", "h", "c"}),
          {floats({steps, batch, inputs}, x), ints({batch}, lengths, 32)});
  ASSERT_EQ(results.size(), 3u);
  tests::expectNear(results[0], {steps, 2, batch, hidden}, y);
  tests::expectNear(results[1], {2, batch, hidden}, last);
  tests::expectNear(results[2], {2, batch, hidden}, cells);
}

TEST_F(Recurrent, TheInputIsProjectedBeforeTheLoop) {
  Numbers w = random(4 * hidden * inputs), r = random(4 * hidden * hidden), bias = random(8 * hidden);
  import(layer("LSTM", 4, 1, w, r, bias, {attributeInt("hidden_size", hidden)}, {"y"}));
  ASSERT_TRUE(imported.ok()) << imported.problems;
  int inside = 0;
  imported.main().walk([&](graph::LoopOp loop) { loop.walk([&](graph::ContractOp) { ++inside; }); });
  EXPECT_EQ(count<graph::LoopOp>(), 1);
  EXPECT_EQ(inside, 1);
  EXPECT_EQ(count<graph::ContractOp>(), 2);
}

TEST_F(Recurrent, GruResetsAfterItsProduct) {
  Numbers w = random(3 * hidden * inputs), r = random(3 * hidden * hidden), bias = random(6 * hidden);
  auto cell = [&](const double *xt, Numbers &h, Numbers &) {
    Numbers before = h;
    for (int j = 0; j < hidden; ++j) {
      auto fromInput = [&](int g) { return dot(w, g * hidden + j, inputs, xt) + bias[g * hidden + j]; };
      auto fromState = [&](int g) {
        return dot(r, g * hidden + j, hidden, before.data()) + bias[(3 + g) * hidden + j];
      };
      double update = sigmoid(fromInput(0) + fromState(0)), reset = sigmoid(fromInput(1) + fromState(1));
      h[j] = (1 - update) * std::tanh(fromInput(2) + reset * fromState(2)) + update * before[j];
    }
  };
  Sequences want = runPlainly(x, lengths, /*reverse=*/true, cell);
  auto results = run(layer("GRU", 3, 1, w, r, bias,
                           {attributeInt("hidden_size", hidden), attributeString("direction", "reverse"),
                            attributeInt("linear_before_reset", 1)},
                           {"y", "h"}),
                     {floats({steps, batch, inputs}, x), ints({batch}, lengths, 32)});
  ASSERT_EQ(results.size(), 2u);
  tests::expectNear(results[0], {steps, 1, batch, hidden}, want.y);
  tests::expectNear(results[1], {1, batch, hidden}, want.last);
}

TEST_F(Recurrent, RefusesWhatTheSpecificationDoesNotList) {
  Numbers w = random(hidden * inputs), r = random(hidden * hidden), bias = random(2 * hidden);
  EXPECT_THAT(import(layer("RNN", 1, 1, w, r, bias, {attributeStrings("activations", {"Swish"})}, {"y"})),
              HasSubstr("TW1203"));
  EXPECT_THAT(import(layer("RNN", 1, 1, w, r, bias, {attributeString("direction", "bidirectional")}, {"y"})),
              HasSubstr("TW2005"));
}

} // namespace
