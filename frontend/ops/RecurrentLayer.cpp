/// RecurrentLayer.cpp - see Recurrent.h.
#include "frontend/ops/Recurrent.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::CompareKind;
using graph::UnaryKind;

//===- Activations ------------------------------------------------------------------===//

namespace {
/// The names the specification knows, which parameters they take, and their defaults.
struct ActivationRule {
  StringRef name;
  bool takesAlpha, takesBeta;
  float alpha, beta;
};
} // namespace

static const ActivationRule *ruleOf(StringRef name) {
  static const ActivationRule rules[] = {
      {"relu", false, false, 0, 0},         {"tanh", false, false, 0, 0},
      {"sigmoid", false, false, 0, 0},      {"affine", true, true, 1, 0},
      {"leakyrelu", true, false, 0.01f, 0}, {"thresholdedrelu", true, false, 1, 0},
      {"scaledtanh", true, true, 1, 1},     {"hardsigmoid", true, true, 0.2f, 0.5f},
      {"elu", true, false, 1, 0},           {"softsign", false, false, 0, 0},
      {"softplus", false, false, 0, 0},
  };
  const ActivationRule *found =
      llvm::find_if(rules, [&](const ActivationRule &rule) { return rule.name == name; });
  return found == std::end(rules) ? nullptr : found;
}

static Value applyActivation(NodeImporter &n, Value x, const RecurrentActivation &f) {
  Value zero = n.like(x, 0), one = n.like(x, 1);
  auto scaled = [&](Value value, float factor) { return n.mul(value, n.like(x, factor)); };
  auto shifted = [&](Value value) { return n.add(value, n.like(x, f.beta)); };
  auto positive = [&] { return n.compare(CompareKind::ge, x, zero); };
  if (f.name == "relu")
    return n.maximum(x, zero);
  if (f.name == "tanh")
    return n.unary(UnaryKind::tanh, x);
  if (f.name == "affine")
    return shifted(scaled(x, f.alpha));
  if (f.name == "leakyrelu")
    return n.select(positive(), x, scaled(x, f.alpha));
  if (f.name == "thresholdedrelu")
    return n.select(n.compare(CompareKind::ge, x, n.like(x, f.alpha)), x, zero);
  if (f.name == "scaledtanh")
    return scaled(n.unary(UnaryKind::tanh, scaled(x, f.beta)), f.alpha);
  if (f.name == "hardsigmoid")
    return n.minimum(n.maximum(shifted(scaled(x, f.alpha)), zero), one);
  if (f.name == "elu")
    return n.select(positive(), x, scaled(n.unary(UnaryKind::expm1, n.minimum(x, zero)), f.alpha));
  if (f.name == "softsign")
    return n.div(x, n.add(one, n.unary(UnaryKind::abs, x)));
  if (f.name == "softplus") // max(x, 0) + log(1 + exp(-|x|)) does not overflow
    return n.add(n.maximum(x, zero),
                 n.unary(UnaryKind::log1p,
                         n.unary(UnaryKind::exp, n.unary(UnaryKind::neg, n.unary(UnaryKind::abs, x)))));
  return n.unary(UnaryKind::sigmoid, x);
}

bool RecurrentLayer::readActivations(ArrayRef<StringRef> defaults) {
  const onnx::Attribute *names = n.attr("activations");
  size_t wanted = defaults.size() * directions;
  bool given = names && !names->strings.empty();
  if (given && names->strings.size() != wanted) {
    n.fail("TW1205", "activations has " + llvm::Twine(names->strings.size()) +
                         " entries; this direction needs " + llvm::Twine(wanted));
    return false;
  }
  SmallVector<float> alphas = n.floatsAttr("activation_alpha").value_or(SmallVector<float>());
  SmallVector<float> betas = n.floatsAttr("activation_beta").value_or(SmallVector<float>());
  size_t alpha = 0, beta = 0;
  for (size_t i = 0; i < wanted; ++i) {
    std::string name =
        StringRef(given ? names->strings[i] : std::string_view(defaults[i % defaults.size()])).lower();
    const ActivationRule *rule = ruleOf(name);
    if (!rule) {
      n.unsupported("TW1203",
                    "the activation function '" + name + "' is not one that the specification lists");
      return false;
    }
    // Parameters are consumed in order by the functions that take them.
    RecurrentActivation f{name, rule->alpha, rule->beta};
    if (rule->takesAlpha && alpha < alphas.size())
      f.alpha = alphas[alpha++];
    if (rule->takesBeta && beta < betas.size())
      f.beta = betas[beta++];
    activations.push_back(f);
  }
  return true;
}

Value RecurrentLayer::activate(Value value, size_t direction, size_t function) const {
  if (clip)
    value = clamp(n, value, -*clip, *clip);
  return applyActivation(n, value, activations[direction * (activations.size() / directions) + function]);
}

//===- Reading ------------------------------------------------------------------------===//

bool RecurrentLayer::checkOperand(size_t index, ArrayRef<AffineExpr> shape, llvm::StringRef what) const {
  if (!n.has(index))
    return true;
  Value value = n.operand(index);
  if (!requireRank(n, value, shape.size(), shape.size(), what))
    return false;
  for (auto [have, want] : llvm::zip_equal(dimsOf(value), shape))
    if (!n.requireEqual(have, want, "the sizes of " + what))
      return false;
  if (index != 4)
    return requireSameElements(n, {x, value});
  if (!isInteger(value))
    n.fail("TW2003", "sequence_lens must be of integers");
  return isInteger(value);
}

bool RecurrentLayer::checkWeights(AffineExpr hiddenSize) {
  hidden = hiddenSize;
  if (n.attr("hidden_size") &&
      !n.requireEqual(n.dim(n.intAttr("hidden_size", 0)), hidden, "hidden_size and the weights"))
    return false;
  AffineExpr count = n.dim(directions);
  Dims state = batchFirst ? Dims{batch, count, hidden} : Dims{count, batch, hidden};
  return checkOperand(3, {count, canonical(hidden * (2 * gates))}, "B") &&
         checkOperand(4, {batch}, "sequence_lens") && checkOperand(5, state, "initial_h") &&
         checkOperand(6, state, "initial_c") && checkOperand(7, {count, canonical(hidden * 3)}, "P");
}

bool RecurrentLayer::read(int64_t gateCount, ArrayRef<StringRef> defaults, AffineExpr hiddenSize) {
  gates = gateCount;
  std::string direction = StringRef(n.stringAttr("direction", "forward")).lower();
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
    n.fail("TW1205", "direction is '" + direction + "'; it must be forward, reverse or bidirectional");
    return false;
  }
  directions = direction == "bidirectional" ? 2 : 1;
  firstIsReverse = direction == "reverse";
  batchFirst = n.intAttr("layout", 0) != 0;
  if (n.attr("clip"))
    clip = n.floatAttr("clip", 0);
  x = n.operand(0);
  if (!requireFloat(n, x) || !requireRank(n, x, 3, 3, "X"))
    return false;
  if (batchFirst)
    x = n.transpose(x, {1, 0, 2});
  Dims shape = dimsOf(x);
  steps = shape[0], batch = shape[1];
  if (!checkWeights(hiddenSize) || !readActivations(defaults))
    return false;
  if (n.has(4) && n.requireWithin(n.operand(4), n.dim(0), steps, "the sequence lengths"))
    lengths = n.cast(withSize(n, n.operand(4), 0, batch), signedType(n, 64));
  return !n.hasFailed();
}

//===- Parts --------------------------------------------------------------------------===//

Value RecurrentLayer::part(size_t operand, int64_t direction) const {
  if (!n.has(operand))
    return {};
  return n.squeeze(n.sliceAxis(n.operand(operand), 0, n.dim(direction), n.dim(1)), {0});
}

Value RecurrentLayer::gate(Value value, int64_t gate, int64_t count) const {
  return n.sliceAxis(value, GraphBuilder::rank(value) - 1, product(hidden, n.dim(gate)),
                     product(hidden, n.dim(count)));
}

Value RecurrentLayer::initialState(size_t operand, int64_t direction) const {
  Dims shape = {batch, hidden};
  if (!n.has(operand))
    return filled(n, shape, GraphBuilder::elementType(x), 0);
  int64_t axis = batchFirst ? 1 : 0;
  return n.reshape(n.sliceAxis(n.operand(operand), axis, n.dim(direction), n.dim(1)), shape);
}

Value projectInput(NodeImporter &n, Value x, Value weights, Value bias) {
  AffineExpr inputs = dimsOf(weights)[1];
  x = constantOf(inputs) ? withSize(n, x, 2, inputs) : x; // what is known, so that weights can be packed
  Value product = n.contract(x, weights, {}, {}, {2}, {1});
  return bias ? n.add(product, bias) : product;
}

//===- The loop over time -------------------------------------------------------------===//

LoopValues RecurrentLayer::run(int64_t direction, Value projected, ArrayRef<Value> initial, Step step) const {
  bool reverse = firstIsReverse || direction == 1;
  auto body = [&](Value index, ArrayRef<Value> state) {
    Value time = reverse ? n.sub(dimValue(n, difference(steps, n.dim(1)), signedType(n, 64)), index) : index;
    SmallVector<Value> next = step(n.gather(projected, time, 0), state);
    Value output = next[0];
    if (lengths) { // past its length a sequence keeps its state and puts out zeros; read in reverse it has
                   // not begun yet
      Value active = n.unsqueeze(n.compare(CompareKind::gt, lengths, time), {1});
      for (auto [value, before] : llvm::zip_equal(next, state))
        value = n.select(active, value, before);
      output = n.select(active, output, n.like(output, 0));
    }
    LoopValues values{next, {}};
    if (n.wants(0))
      values.stacked.push_back(output);
    return values;
  };
  LoopValues result = countedLoop(n, steps, initial, body);
  if (reverse)
    for (Value &stacked : result.stacked)
      stacked = flip(n, stacked, 0);
  return result;
}

void RecurrentLayer::finish(ArrayRef<LoopValues> perDirection) const {
  SmallVector<Value> outputs;
  for (const LoopValues &values : perDirection)
    for (Value stacked : values.stacked)
      outputs.push_back(n.unsqueeze(stacked, {1}));
  if (n.wants(0)) {
    Value y = n.concat(outputs, 1); // [T, directions, B, hidden]
    n.result(0, batchFirst ? n.transpose(y, {2, 0, 1, 3}) : y);
  }
  for (size_t state = 0; state < perDirection[0].carried.size(); ++state) {
    if (!n.wants(state + 1))
      continue;
    SmallVector<Value> parts;
    for (const LoopValues &values : perDirection)
      parts.push_back(n.unsqueeze(values.carried[state], {0}));
    Value last = n.concat(parts, 0);
    n.result(state + 1, batchFirst ? n.transpose(last, {1, 0, 2}) : last);
  }
}

} // namespace tilewright::frontend
