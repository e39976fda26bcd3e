/// Training.cpp - losses, and the update steps of optimisers.
#include "frontend/ops/Composites.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::BinaryKind;
using graph::CompareKind;
using graph::ReduceKind;
using graph::UnaryKind;

//===- Losses ---------------------------------------------------------------------------===//

namespace {
/// log-probabilities [N, C, d...] with the class wanted at each [N, d...].
struct ClassLoss {
  NodeImporter &n;
  Value logProbabilities, target;
  Value weights; ///< [C], or null
  Value ignored; ///< i1 [N, d...], or null

  bool read(size_t targetOperand);
  Value sampleWeights() const;
  Value reduced() const;
};
} // namespace

bool ClassLoss::read(size_t targetOperand) {
  target = indices(n, n.operand(targetOperand));
  int64_t rank = GraphBuilder::rank(logProbabilities);
  if (!target || !requireRank(n, target, rank - 1, rank - 1, "the target"))
    return false;
  Dims shape = dimsOf(logProbabilities);
  AffineExpr classes = shape[1];
  shape.erase(shape.begin() + 1);
  for (auto [have, want] : llvm::zip_equal(dimsOf(target), shape))
    if (!n.requireEqual(have, want, "the target and the input"))
      return false;
  target = n.reshape(target, shape);
  if (n.has(2)) {
    weights = n.operand(2);
    if (!requireRank(n, weights, 1, 1, "the weights") ||
        !requireSameElements(n, {logProbabilities, weights}) ||
        !n.requireEqual(dimsOf(weights)[0], classes, "the weights and the classes"))
      return false;
  }
  if (n.attr("ignore_index")) {
    Value skipped = n.like(target, 0);
    ignored = n.compare(CompareKind::eq, target,
                        n.scalarInt(GraphBuilder::elementType(target), n.intAttr("ignore_index", 0)));
    target = n.select(ignored, skipped, target); // an ignored class may be none at all
  }
  return true;
}

/// What each sample counts, or null when all count 1.
Value ClassLoss::sampleWeights() const {
  if (!weights && !ignored)
    return {};
  Value one = n.like(logProbabilities, 1);
  Value own = weights ? n.gather(weights, target, 0) : one;
  return ignored ? n.select(ignored, n.like(own, 0), own) : own;
}

Value ClassLoss::reduced() const {
  Value loss = gatherElements(n, logProbabilities, n.unsqueeze(target, {1}), 1);
  loss = n.unary(UnaryKind::neg, n.squeeze(loss, {1}));
  Value weight = sampleWeights();
  if (weight)
    loss = ignored ? n.select(ignored, n.like(loss, 0), n.mul(loss, weight)) : n.mul(loss, weight);
  std::string reduction = n.stringAttr("reduction", "mean");
  SmallVector<int64_t> all = upTo(GraphBuilder::rank(loss));
  if (reduction == "none")
    return loss;
  if (reduction == "sum")
    return n.reduce(ReduceKind::sum, loss, all);
  if (reduction != "mean")
    return n.fail("TW1205", "reduction is '" + reduction + "'; it must be none, sum or mean"), Value();
  if (!weight)
    return n.mean(loss, all);
  return n.div(n.reduce(ReduceKind::sum, loss, all),
               n.reduce(ReduceKind::sum, n.broadcastTo(weight, dimsOf(loss)), all));
}

static bool requireScores(NodeImporter &n) {
  return require(n, 2) && requireFloat(n, n.operand(0)) &&
         requireRank(n, n.operand(0), 2, INT64_MAX, "the input");
}

static void importNegativeLogLikelihoodLoss(NodeImporter &n) {
  if (!requireScores(n))
    return;
  ClassLoss loss{n, n.operand(0), {}, {}, {}};
  if (loss.read(1))
    n.result(0, loss.reduced());
}

static void importSoftmaxCrossEntropyLoss(NodeImporter &n) {
  if (!requireScores(n))
    return;
  ClassLoss loss{n, logSoftmax(n, n.operand(0), 1), {}, {}, {}};
  if (!loss.read(1))
    return;
  n.result(0, loss.reduced());
  n.result(1, loss.logProbabilities);
}

//===- Optimisers -----------------------------------------------------------------------===//

namespace {
/// The operands of an optimiser: rate, count of updates, then groups of as many tensors as are optimised.
struct Optimizer {
  NodeImporter &n;
  Value rate, updates;
  size_t count = 0, groups;

  bool read();
  Value at(size_t group, size_t index) const { return n.operand(2 + group * count + index); }
  Value regularized(size_t index) const;
  /// The rate or the number of updates in the type of a tensor.
  Value as(Value scalar, Value tensor) const { return n.cast(scalar, GraphBuilder::elementType(tensor)); }
};
} // namespace

bool Optimizer::read() {
  if (!require(n, std::max<size_t>(2 + groups, n.operandCount())))
    return false;
  count = (n.operandCount() - 2) / groups;
  if (count * groups != n.operandCount() - 2 || n.resultCount() > count * (groups - 1)) {
    n.fail("TW1206", "the tensors must come in " + llvm::Twine(groups) + " groups of one size");
    return false;
  }
  for (size_t index = 0; index < count; ++index)
    for (size_t group = 0; group < groups; ++group)
      if (!requireFloat(n, at(group, index)) || !requireSameElements(n, {at(0, index), at(group, index)}) ||
          !requireBroadcast(n, {at(0, index), at(group, index)}))
        return false;
  rate = singleElement(n, n.operand(0), "the learning rate");
  updates = rate ? singleElement(n, n.operand(1), "the update count") : Value();
  return updates != Value();
}

/// The gradient of the loss plus half of norm_coefficient times the squared norm.
Value Optimizer::regularized(size_t index) const {
  Value x = at(0, index);
  return n.add(n.mul(x, n.like(x, n.floatAttr("norm_coefficient", 0))), at(1, index));
}

static void importAdagrad(NodeImporter &n) {
  Optimizer o{n, {}, {}, 0, 3};
  if (!o.read())
    return;
  for (size_t i = 0; i < o.count; ++i) {
    Value x = o.at(0, i), gradient = o.regularized(i);
    Value decay = n.add(n.mul(o.as(o.updates, x), n.like(x, n.floatAttr("decay_factor", 0))), n.like(x, 1));
    Value rate = n.div(o.as(o.rate, x), decay);
    Value squares = n.add(o.at(2, i), n.mul(gradient, gradient));
    Value adaptive = n.add(n.unary(UnaryKind::sqrt, squares), n.like(x, n.floatAttr("epsilon", 1e-6f)));
    n.result(i, n.sub(x, n.div(n.mul(rate, gradient), adaptive)));
    n.result(o.count + i, squares);
  }
}

static void importAdam(NodeImporter &n) {
  Optimizer o{n, {}, {}, 0, 4};
  if (!o.read())
    return;
  double alpha = n.floatAttr("alpha", 0.9f), beta = n.floatAttr("beta", 0.999f);
  for (size_t i = 0; i < o.count; ++i) {
    Value x = o.at(0, i), gradient = o.regularized(i), one = n.like(x, 1);
    auto mixed = [&](Value old, Value now, double keep) {
      return n.add(n.mul(old, n.like(x, keep)), n.mul(now, n.like(x, 1 - keep)));
    };
    auto remaining = [&](double factor) { // 1 - factor^updates
      return n.sub(one, n.binary(BinaryKind::pow, n.like(x, factor), o.as(o.updates, x)));
    };
    Value average = mixed(o.at(2, i), gradient, alpha),
          squares = mixed(o.at(3, i), n.mul(gradient, gradient), beta);
    Value adaptive = n.add(n.unary(UnaryKind::sqrt, squares), n.like(x, n.floatAttr("epsilon", 1e-6f)));
    Value rate = o.as(o.rate, x);
    Value corrected = n.div(n.mul(rate, n.unary(UnaryKind::sqrt, remaining(beta))), remaining(alpha));
    rate = n.select(n.compare(CompareKind::gt, o.updates, n.like(o.updates, 0)), corrected, rate);
    Value next = n.sub(x, n.div(n.mul(rate, average), adaptive));
    n.result(i, n.mul(next, n.like(x, 1 - double(n.floatAttr("norm_coefficient_post", 0)))));
    n.result(o.count + i, average);
    n.result(2 * o.count + i, squares);
  }
}

static void importMomentum(NodeImporter &n) {
  Optimizer o{n, {}, {}, 0, 3};
  std::string mode = n.stringAttr("mode", "standard");
  if (!o.read())
    return;
  if (mode != "standard" && mode != "nesterov")
    return n.fail("TW1205", "mode is '" + mode + "'; it must be standard or nesterov");
  for (size_t i = 0; i < o.count; ++i) {
    Value x = o.at(0, i), gradient = o.regularized(i), alpha = n.like(x, n.floatAttr("alpha", 0));
    Value later = n.compare(CompareKind::gt, o.updates, n.like(o.updates, 0));
    Value beta = n.select(later, n.like(x, n.floatAttr("beta", 0)), n.like(x, 1));
    Value momentum = n.add(n.mul(alpha, o.at(2, i)), n.mul(beta, gradient));
    Value direction = mode == "nesterov" ? n.add(gradient, n.mul(alpha, momentum)) : momentum;
    n.result(i, n.sub(x, n.mul(o.as(o.rate, x), direction)));
    n.result(o.count + i, momentum);
  }
}

llvm::ArrayRef<OpEntry> trainingOps() {
  static const OpEntry rows[] = {
      {"NegativeLogLikelihoodLoss", importNegativeLogLikelihoodLoss},
      {"SoftmaxCrossEntropyLoss", importSoftmaxCrossEntropyLoss},
      {"Adagrad", importAdagrad, "ai.onnx.preview.training"},
      {"Adam", importAdam, "ai.onnx.preview.training"},
      {"Momentum", importMomentum, "ai.onnx.preview.training"},
  };
  return rows;
}

} // namespace tilewright::frontend
