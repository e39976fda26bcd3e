/// Activation.cpp - activation functions as compositions. Those of several steps compute halves in f32 and
/// round once.
#include "frontend/ops/Composites.h"

using namespace mlir;
namespace tilewright::frontend {

using graph::CompareKind;
using graph::UnaryKind;

using Activation = llvm::function_ref<Value(Value x)>;

/// The function of operand 0, computed in its accumulation type.
static void activate(NodeImporter &n, Activation function) {
  if (!require(n, 1) || !requireFloat(n, n.operand(0)))
    return;
  Value x = n.operand(0);
  n.result(0, n.cast(function(n.cast(x, accumulationType(n.elementType(x)))), n.elementType(x)));
}

static Value isNegative(NodeImporter &n, Value x) { return n.compare(CompareKind::lt, x, n.like(x, 0)); }
static Value isPositive(NodeImporter &n, Value x) { return n.compare(CompareKind::gt, x, n.like(x, 0)); }
static Value scaled(NodeImporter &n, Value x, double factor) { return n.mul(x, n.like(x, factor)); }
static Value shifted(NodeImporter &n, Value x, double offset) { return n.add(x, n.like(x, offset)); }

static void importRelu(NodeImporter &n) {
  if (require(n, 1) && !isBool(n.operand(0)))
    return n.result(0, n.maximum(n.operand(0), n.like(n.operand(0), 0)));
  n.fail("TW2003", "elements are bool; this operator needs numbers");
}

static void importLeakyRelu(NodeImporter &n) {
  float alpha = n.floatAttr("alpha", 0.01f);
  activate(n, [&](Value x) { return n.select(isNegative(n, x), scaled(n, x, alpha), x); });
}

static void importPRelu(NodeImporter &n) {
  if (!require(n, 2))
    return;
  Value x = n.operand(0), slope = n.operand(1);
  if (n.opset < 7 && n.rank(x) > 1 && n.rank(slope) == 1) // one for each channel; since then for each column
    slope = alongAxis(n, slope, 1, n.rank(x));
  if (!requireSameElements(n, {x, slope}) || !requireBroadcast(n, {x, slope}))
    return;
  if (n.rank(slope) > n.rank(x))
    return n.fail("TW2004", "slope has a higher rank than the operand");
  n.result(0, n.select(isNegative(n, x), n.mul(x, slope), x));
}

static void importElu(NodeImporter &n) {
  float alpha = n.floatAttr("alpha", 1);
  activate(n, [&](Value x) {
    return n.select(isNegative(n, x), scaled(n, n.unary(UnaryKind::expm1, x), alpha), x);
  });
}

static void importSelu(NodeImporter &n) {
  float alpha = n.floatAttr("alpha", 1.67326319217681884765625f),
        gamma = n.floatAttr("gamma", 1.05070102214813232421875f);
  activate(n, [&](Value x) {
    return scaled(n, n.select(isPositive(n, x), x, scaled(n, n.unary(UnaryKind::expm1, x), alpha)), gamma);
  });
}

static void importCelu(NodeImporter &n) {
  float alpha = n.floatAttr("alpha", 1);
  activate(n, [&](Value x) {
    Value negative = scaled(n, n.unary(UnaryKind::expm1, n.div(x, n.like(x, alpha))), alpha);
    return n.add(n.maximum(x, n.like(x, 0)), n.minimum(negative, n.like(x, 0)));
  });
}

static void importHardSigmoid(NodeImporter &n) {
  float alpha = n.floatAttr("alpha", 0.2f), beta = n.floatAttr("beta", 0.5f);
  activate(n, [&](Value x) { return clamp(n, shifted(n, scaled(n, x, alpha), beta), 0, 1); });
}

static void importHardSwish(NodeImporter &n) {
  activate(n, [&](Value x) { return n.mul(x, clamp(n, shifted(n, scaled(n, x, 1.0 / 6), 0.5), 0, 1)); });
}

/// max(x, 0) + log1p(exp(-|x|)): no overflow.
static Value softplus(NodeImporter &n, Value x) {
  Value small = n.unary(UnaryKind::exp, n.unary(UnaryKind::neg, n.unary(UnaryKind::abs, x)));
  return n.add(n.maximum(x, n.like(x, 0)), n.unary(UnaryKind::log1p, small));
}

static void importSoftplus(NodeImporter &n) {
  activate(n, [&](Value x) { return softplus(n, x); });
}

static void importMish(NodeImporter &n) {
  activate(n, [&](Value x) { return n.mul(x, n.unary(UnaryKind::tanh, softplus(n, x))); });
}

static void importSoftsign(NodeImporter &n) {
  activate(n, [&](Value x) { return n.div(x, shifted(n, n.unary(UnaryKind::abs, x), 1)); });
}

static void importThresholdedRelu(NodeImporter &n) {
  float alpha = n.floatAttr("alpha", 1);
  activate(
      n, [&](Value x) { return n.select(n.compare(CompareKind::gt, x, n.like(x, alpha)), x, n.like(x, 0)); });
}

static void importSwish(NodeImporter &n) {
  float alpha = n.floatAttr("alpha", 1);
  activate(n, [&](Value x) { return sigmoidLinear(n, x, alpha); });
}

static void importSwiGLU(NodeImporter &n) {
  float alpha = n.floatAttr("alpha", 1);
  if (!require(n, 2) || !requireSameElements(n, {n.operand(0), n.operand(1)}) ||
      !requireFloat(n, n.operand(0)) || !requireShape(n, n.operand(1), dimsOf(n.operand(0)), "B"))
    return;
  Type type = n.elementType(n.operand(0)), wide = accumulationType(type);
  Value gate = sigmoidLinear(n, n.cast(n.operand(0), wide), alpha);
  n.result(0, n.cast(n.mul(gate, n.cast(n.operand(1), wide)), type));
}

static void importGelu(NodeImporter &n) {
  std::string approximate = n.stringAttr("approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    return n.fail("TW1205", "approximate is '" + approximate + "'; it must be none or tanh");
  activate(n, [&](Value x) { return approximate == "tanh" ? geluTanh(n, x) : geluErf(n, x); });
}

static void importShrink(NodeImporter &n) {
  float bias = n.floatAttr("bias", 0), lambda = n.floatAttr("lambd", 0.5f);
  if (!require(n, 1))
    return;
  Value x = n.operand(0);
  Type type = n.elementType(x), wide = isFloat(x) ? accumulationType(type) : Type(n.b.getF32Type());
  Value value = n.cast(x, wide);
  Value above = n.compare(CompareKind::gt, value, n.like(value, lambda)),
        below = n.compare(CompareKind::lt, value, n.like(value, -lambda));
  Value shrunk = n.select(above, shifted(n, value, -bias), n.like(value, 0));
  n.result(0, n.cast(n.select(below, shifted(n, value, bias), shrunk), type));
}

llvm::ArrayRef<OpEntry> activationOps() {
  static const OpEntry table[] = {
      {"Celu", importCelu},           {"Elu", importElu},
      {"Gelu", importGelu},           {"HardSigmoid", importHardSigmoid},
      {"HardSwish", importHardSwish}, {"LeakyRelu", importLeakyRelu},
      {"Mish", importMish},           {"PRelu", importPRelu},
      {"Relu", importRelu},           {"Selu", importSelu},
      {"Shrink", importShrink},       {"Softplus", importSoftplus},
      {"Softsign", importSoftsign},   {"SwiGLU", importSwiGLU},
      {"Swish", importSwish},         {"ThresholdedRelu", importThresholdedRelu},
  };
  return table;
}

} // namespace tilewright::frontend
