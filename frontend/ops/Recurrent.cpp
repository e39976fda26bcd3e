/// Recurrent.cpp - RNN, GRU and LSTM: the input's product with the weights is one contraction before a
/// graph.loop over time.
#include "frontend/ops/Recurrent.h"

using namespace mlir;
namespace tilewright::frontend {

/// Checks W [directions, gates * hidden, inputs] and R [directions, gates * hidden, hidden], and gives
/// hidden.
static std::optional<AffineExpr> hiddenSize(NodeImporter &n, int64_t gates) {
  if (!require(n, 3) || !requireSameElements(n, {n.operand(0), n.operand(1), n.operand(2)}) ||
      !requireRank(n, n.operand(0), 3, 3, "X") || !requireRank(n, n.operand(1), 3, 3, "W") ||
      !requireRank(n, n.operand(2), 3, 3, "R"))
    return std::nullopt;
  Dims w = dimsOf(n.operand(1)), r = dimsOf(n.operand(2));
  int64_t directions = n.stringAttr("direction", "forward") == "bidirectional" ? 2 : 1;
  AffineExpr rows = canonical(r[2] * gates), count = n.dim(directions);
  if (!n.requireEqual(w[1], rows, "the rows of W and R") ||
      !n.requireEqual(r[1], rows, "the rows and columns of R") ||
      !n.requireEqual(w[0], count, "the directions and W") ||
      !n.requireEqual(r[0], count, "the directions and R") ||
      !n.requireEqual(dimsOf(n.operand(0))[2], w[2], "the inputs of X and W"))
    return std::nullopt;
  return r[2];
}

/// state [B, hidden] times recurrence weights [rows, hidden].
static Value recur(NodeImporter &n, Value state, Value weights) {
  return n.contract(state, weights, {}, {}, {1}, {1});
}

std::pair<Value, Value> biases(const RecurrentLayer &layer, int64_t direction) {
  Value both = layer.part(3, direction);
  if (!both)
    return {};
  return {layer.gate(both, 0, layer.gates), layer.gate(both, layer.gates, layer.gates)};
}

//===- RNN ----------------------------------------------------------------------------===//

static void importRnn(NodeImporter &n) {
  RecurrentLayer layer{n};
  std::optional<AffineExpr> hidden = hiddenSize(n, 1);
  if (!hidden || !layer.read(1, {"tanh"}, *hidden))
    return;
  SmallVector<LoopValues> results;
  for (int64_t d = 0; d < layer.directions; ++d) {
    auto [inputBias, stateBias] = biases(layer, d);
    Value bias = inputBias ? n.add(inputBias, stateBias) : Value();
    Value projected = projectInput(n, layer.x, layer.part(1, d), bias), weights = layer.part(2, d);
    auto step = [&](Value xt, ArrayRef<Value> state) -> SmallVector<Value> {
      return {layer.activate(n.add(xt, recur(n, state[0], weights)), d, 0)};
    };
    results.push_back(layer.run(d, projected, {layer.initialState(5, d)}, step));
  }
  layer.finish(results);
}

//===- GRU ----------------------------------------------------------------------------===//

namespace {
/// One direction of a GRU. Gates in order: update (z), reset (r), hidden (h).
struct GruCell {
  const RecurrentLayer &layer;
  size_t direction;
  Value weights;    ///< [3 * hidden, hidden]
  Value hiddenBias; ///< of the recurrence into h, applied before the reset; null where it is part of the
                    ///< projection
  bool linearBeforeReset;

  SmallVector<Value> operator()(Value xt, ArrayRef<Value> state) const;
};
} // namespace

SmallVector<Value> GruCell::operator()(Value xt, ArrayRef<Value> state) const {
  NodeImporter &n = layer.n;
  Value h = state[0], product, candidate;
  auto rows = [&](int64_t first, int64_t count) {
    return n.sliceAxis(weights, 0, AffineExpr(layer.hidden) * first, AffineExpr(layer.hidden) * count);
  };
  product = recur(n, h, linearBeforeReset ? weights : rows(0, 2));
  Value update = layer.activate(n.add(layer.gate(xt, 0), layer.gate(product, 0)), direction, 0);
  Value reset = layer.activate(n.add(layer.gate(xt, 1), layer.gate(product, 1)), direction, 0);
  if (linearBeforeReset) {
    Value own = layer.gate(product, 2);
    candidate = n.mul(reset, hiddenBias ? n.add(own, hiddenBias) : own);
  } else {
    candidate = recur(n, n.mul(reset, h), rows(2, 1));
  }
  candidate = layer.activate(n.add(layer.gate(xt, 2), candidate), direction, 1);
  Value kept = n.mul(update, h);
  return {n.add(n.mul(n.sub(n.like(update, 1), update), candidate), kept)};
}

static void importGru(NodeImporter &n) {
  RecurrentLayer layer{n};
  std::optional<AffineExpr> hidden = hiddenSize(n, 3);
  if (!hidden || !layer.read(3, {"sigmoid", "tanh"}, *hidden))
    return;
  bool linearBeforeReset = n.intAttr("linear_before_reset", 0) != 0;
  SmallVector<LoopValues> results;
  for (int64_t d = 0; d < layer.directions; ++d) {
    auto [inputBias, stateBias] = biases(layer, d);
    Value bias = inputBias, hiddenBias;
    if (bias && linearBeforeReset) { // the recurrence's bias of h is added inside the reset
      hiddenBias = layer.gate(stateBias, 2);
      bias = n.concat(
          {n.add(layer.gate(inputBias, 0, 2), layer.gate(stateBias, 0, 2)), layer.gate(inputBias, 2)}, 0);
    } else if (bias) {
      bias = n.add(inputBias, stateBias);
    }
    Value projected = projectInput(n, layer.x, layer.part(1, d), bias);
    GruCell cell{layer, size_t(d), layer.part(2, d), hiddenBias, linearBeforeReset};
    results.push_back(layer.run(d, projected, {layer.initialState(5, d)}, cell));
  }
  layer.finish(results);
}

//===- LSTM ---------------------------------------------------------------------------===//

namespace {
/// One direction of an LSTM. Gates in order: input (i), output (o), forget (f), cell (c). State: hidden,
/// cell.
struct LstmCell {
  const RecurrentLayer &layer;
  size_t direction;
  const LstmProducts &products;
  Value peepholes; ///< [3 * hidden] in order i, o, f; or null
  bool inputForget;

  SmallVector<Value> operator()(Value xt, ArrayRef<Value> state) const;
  Value peeped(Value gate, int64_t index, Value cell) const;
};
} // namespace

Value LstmCell::peeped(Value gate, int64_t index, Value cell) const {
  NodeImporter &n = layer.n;
  return peepholes ? n.add(gate, n.mul(layer.gate(peepholes, index), cell)) : gate;
}

SmallVector<Value> LstmCell::operator()(Value xt, ArrayRef<Value> state) const {
  NodeImporter &n = layer.n;
  Value cell = state[1], gates = n.add(xt, products.recur(direction, state[0]));
  Value input = layer.activate(peeped(layer.gate(gates, 0), 0, cell), direction, 0);
  Value forget = inputForget ? n.sub(n.like(input, 1), input)
                             : layer.activate(peeped(layer.gate(gates, 2), 2, cell), direction, 0);
  Value candidate = layer.activate(layer.gate(gates, 3), direction, 1);
  Value next = n.add(n.mul(forget, cell), n.mul(input, candidate));
  Value output = layer.activate(peeped(layer.gate(gates, 1), 1, next), direction, 0);
  // The clip bounds the inputs of gates; the cell's own output is not one.
  RecurrentLayer unclipped = layer;
  unclipped.clip.reset();
  return {n.mul(output, unclipped.activate(next, direction, 2)), next};
}

void runLstm(const RecurrentLayer &layer, const LstmProducts &products) {
  bool inputForget = layer.n.intAttr("input_forget", 0) != 0;
  SmallVector<LoopValues> results;
  for (int64_t d = 0; d < layer.directions; ++d) {
    Value projected = products.project(d);
    if (!projected)
      return;
    LstmCell cell{layer, size_t(d), products, layer.part(7, d), inputForget};
    results.push_back(layer.run(d, projected, {layer.initialState(5, d), layer.initialState(6, d)}, cell));
  }
  layer.finish(results);
}

static void importLstm(NodeImporter &n) {
  RecurrentLayer layer{n};
  std::optional<AffineExpr> hidden = hiddenSize(n, 4);
  if (!hidden || !layer.read(4, {"sigmoid", "tanh", "tanh"}, *hidden))
    return;
  auto project = [&](int64_t d) {
    auto [inputBias, stateBias] = biases(layer, d);
    return projectInput(n, layer.x, layer.part(1, d), inputBias ? n.add(inputBias, stateBias) : Value());
  };
  SmallVector<Value> weights;
  for (int64_t d = 0; d < layer.directions; ++d)
    weights.push_back(layer.part(2, d));
  runLstm(layer, {project, [&](int64_t d, Value state) { return recur(n, state, weights[d]); }});
}

llvm::ArrayRef<OpEntry> recurrentOps() {
  static const OpEntry rows[] = {
      {"RNN", importRnn},
      {"GRU", importGru},
      {"LSTM", importLstm},
  };
  return rows;
}

} // namespace tilewright::frontend
