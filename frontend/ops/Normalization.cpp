/// Normalization.cpp - statistics in two passes (mean, then mean of squared differences), in f32 or wider.
#include "frontend/ops/Composites.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::CompareKind;
using graph::ReduceKind;
using graph::UnaryKind;

static Value plusEpsilon(NodeImporter &n, Value x) {
  return n.add(x, n.like(x, n.floatAttr("epsilon", 1e-5f)));
}

/// centered / sqrt(variance + epsilon)
static Value standardized(NodeImporter &n, const Moments &m) {
  return n.div(m.centered, n.unary(UnaryKind::sqrt, plusEpsilon(n, m.variance)));
}

/// The operand as a vector of one entry a channel, shaped to broadcast along `axis` and of `element` type.
static Value channelVector(NodeImporter &n, size_t index, AffineExpr channels, int64_t axis, int64_t rank,
                           Type element) {
  Value vector = n.operand(index);
  if (!requireRank(n, vector, 1, 1, "operand " + std::to_string(index)) || !requireFloat(n, vector) ||
      !n.requireEqual(dimsOf(vector)[0], channels, "the channels"))
    return {};
  return n.cast(alongAxis(n, withSize(n, vector, 0, channels), axis, rank), element);
}

//===- BatchNormalization ---------------------------------------------------------------===//

namespace {
struct BatchParameters {
  Value scale, bias, mean, variance; ///< shaped to broadcast with x, in its accumulation type
};
} // namespace

static std::optional<BatchParameters> batchParameters(NodeImporter &n, Value x) {
  int64_t rank = GraphBuilder::rank(x);
  Type element = GraphBuilder::elementType(x);
  Value parts[4];
  bool spatial = n.opset >= 9 || n.intAttr("spatial", 1) != 0;
  for (size_t i = 0; i < 4; ++i) {
    if (spatial && rank > 1) {
      parts[i] = channelVector(n, i + 1, dimsOf(x)[1], 1, rank, element);
    } else { // one entry an element of a sample
      parts[i] = n.cast(n.operand(i + 1), element);
      if (!requireBroadcast(n, {x, parts[i]}))
        return std::nullopt;
    }
    if (!parts[i])
      return std::nullopt;
  }
  return BatchParameters{parts[0], parts[1], parts[2], parts[3]};
}

/// Training: normalise with the batch's own statistics, and move the running ones towards them.
static void trainBatch(NodeImporter &n, Value x, const BatchParameters &p) {
  SmallVector<int64_t> others;
  for (int64_t i = 0; i < GraphBuilder::rank(x); ++i)
    if (i != 1)
      others.push_back(i);
  Moments m = moments(n, x, others);
  Type element = GraphBuilder::elementType(n.operand(0));
  n.result(0, n.cast(n.add(n.mul(standardized(n, m), p.scale), p.bias), element));
  double momentum = n.floatAttr("momentum", 0.9f);
  auto running = [&](size_t index, Value before, Value now) {
    Value mixed = n.add(n.mul(before, n.like(before, momentum)), n.mul(now, n.like(now, 1 - momentum)));
    n.result(index, n.cast(n.reshape(mixed, dimsOf(n.operand(index + 2))),
                           GraphBuilder::elementType(n.operand(index + 2))));
  };
  running(1, p.mean, m.mean);
  running(2, p.variance, m.variance);
}

static void importBatchNormalization(NodeImporter &n) {
  if (!require(n, 5) || !requireFloat(n, n.operand(0)) || !requireRank(n, n.operand(0), 1, INT64_MAX))
    return;
  Type element = GraphBuilder::elementType(n.operand(0));
  Value x = n.cast(n.operand(0), accumulationType(element));
  std::optional<BatchParameters> p = batchParameters(n, x);
  if (!p)
    return;
  if (n.intAttr("training_mode", 0))
    return trainBatch(n, x, *p);
  if (n.wants(1))
    return n.unsupported("TW1203", "training outputs need training_mode (opset 14)",
                         "export the model for inference");
  // One multiplication and one addition: factor and shift are constants in every trained model.
  Value factor = n.div(p->scale, n.unary(UnaryKind::sqrt, plusEpsilon(n, p->variance)));
  Value shift = n.sub(p->bias, n.mul(p->mean, factor));
  n.result(0, n.cast(n.add(n.mul(x, factor), shift), element));
}

//===- Instance, group, layer, RMS ------------------------------------------------------===//

static void importInstanceNormalization(NodeImporter &n) {
  if (!require(n, 3) || !requireFloat(n, n.operand(0)) || !requireRank(n, n.operand(0), 3, INT64_MAX))
    return;
  Type element = GraphBuilder::elementType(n.operand(0));
  Value x = n.cast(n.operand(0), accumulationType(element));
  int64_t rank = GraphBuilder::rank(x);
  Value scale = channelVector(n, 1, dimsOf(x)[1], 1, rank, GraphBuilder::elementType(x));
  Value bias = scale ? channelVector(n, 2, dimsOf(x)[1], 1, rank, GraphBuilder::elementType(x)) : Value();
  if (!bias)
    return;
  SmallVector<int64_t> spatial = llvm::to_vector(llvm::seq<int64_t>(2, rank));
  n.result(0, n.cast(n.add(n.mul(standardized(n, moments(n, x, spatial)), scale), bias), element));
}

/// The type of the first stage: stash_type where there is one.
static Type stageType(NodeImporter &n, Type element) {
  if (!n.attr("stash_type"))
    return accumulationType(element);
  Type stash = n.elementTypeOf(n.intAttr("stash_type", 1));
  if (stash && isFloat(stash))
    return accumulationType(stash);
  n.fail("TW1205", "stash_type must be a floating-point type");
  return {};
}

/// The channels of each group; the program checks that symbolic ones are a multiple of the groups, where it
/// reshapes.
static std::optional<AffineExpr> channelsPerGroup(NodeImporter &n, AffineExpr channels, int64_t groups) {
  std::optional<int64_t> known = constantOf(channels);
  if (groups > 0 && !(known && *known % groups))
    return canonical(channels.floorDiv(groups));
  n.fail("TW1205", "num_groups is " + llvm::Twine(groups) + "; it must be positive and divide the channels" +
                       (known ? ", of which there are " + std::to_string(*known) : ""));
  return std::nullopt;
}

static void importGroupNormalization(NodeImporter &n) {
  if (!require(n, 3) || !requireFloat(n, n.operand(0)) || !requireRank(n, n.operand(0), 2, INT64_MAX) ||
      !requireRank(n, n.operand(1), 1, 1, "scale"))
    return;
  Value input = n.operand(0);
  Type element = GraphBuilder::elementType(input), stage = stageType(n, element);
  int64_t groups = n.intAttr("num_groups", 0), rank = GraphBuilder::rank(input);
  // Up to opset 20 scale and bias have one entry a group.
  bool perChannel = n.opset >= 21;
  if (AffineExpr scales = dimsOf(n.operand(1))[0];
      perChannel && constantOf(scales) && !constantOf(dimsOf(input)[1]))
    input = withSize(n, input, 1, scales);
  Dims shape = dimsOf(input);
  std::optional<AffineExpr> perGroup = channelsPerGroup(n, shape[1], groups);
  if (!stage || !perGroup)
    return;
  Dims split = {shape[0], n.dim(groups), *perGroup};
  split.append(shape.begin() + 2, shape.end());
  AffineExpr count = perChannel ? shape[1] : n.dim(groups);
  Type affine = perChannel ? element : stage;
  Value scale = channelVector(n, 1, count, 1, perChannel ? rank : rank + 1, affine);
  Value bias = scale ? channelVector(n, 2, count, 1, perChannel ? rank : rank + 1, affine) : Value();
  if (!bias)
    return;
  Value x = n.reshape(n.cast(input, stage), split);
  Value y = standardized(n, moments(n, x, llvm::to_vector(llvm::seq<int64_t>(2, rank + 1))));
  if (perChannel)
    y = n.add(n.mul(n.cast(n.reshape(y, shape), element), scale), bias);
  else
    y = n.cast(n.reshape(n.add(n.mul(y, scale), bias), shape), element);
  n.result(0, y);
}

/// Operand `index` of a normalised shape: it must broadcast to x without changing x's shape.
static bool requireOneWay(NodeImporter &n, Value x, size_t index) {
  return requireFloat(n, n.operand(index)) &&
         requireFitsInto(n, n.operand(index), dimsOf(x), "operand " + std::to_string(index));
}

static std::optional<SmallVector<int64_t>> trailingAxes(NodeImporter &n, int64_t rank) {
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", -1), rank);
  if (!axis)
    return std::nullopt;
  return llvm::to_vector(llvm::seq<int64_t>(*axis, rank));
}

static void importLayerNormalization(NodeImporter &n) {
  if (!require(n, 2) || !requireFloat(n, n.operand(0)))
    return;
  Value x = n.operand(0);
  Type element = GraphBuilder::elementType(x), stage = stageType(n, element);
  std::optional<SmallVector<int64_t>> axes = trailingAxes(n, GraphBuilder::rank(x));
  if (!stage || !axes || !requireOneWay(n, x, 1) || (n.has(2) && !requireOneWay(n, x, 2)))
    return;
  Moments m = moments(n, n.cast(x, stage), *axes);
  Value deviation = n.unary(UnaryKind::sqrt, plusEpsilon(n, m.variance));
  Type output = GraphBuilder::elementType(n.operand(1));
  Value y = n.mul(n.cast(n.div(m.centered, deviation), output), n.operand(1));
  if (n.has(2))
    y = n.add(y, n.cast(n.operand(2), output));
  n.result(0, n.cast(y, element));
  Type saved = n.elementTypeOf(n.intAttr("stash_type", 1));
  if (!saved)
    return;
  if (n.wants(1))
    n.result(1, n.cast(m.mean, saved));
  if (n.wants(2))
    n.result(2, n.cast(n.div(n.like(deviation, 1), deviation), saved));
}

static void importRmsNormalization(NodeImporter &n) {
  if (!require(n, 2) || !requireFloat(n, n.operand(0)))
    return;
  Value x = n.operand(0);
  Type stage = stageType(n, GraphBuilder::elementType(x));
  std::optional<SmallVector<int64_t>> axes = trailingAxes(n, GraphBuilder::rank(x));
  if (!stage || !axes || !requireOneWay(n, x, 1))
    return;
  Value wide = n.cast(x, stage), square = n.mean(n.mul(wide, wide), *axes, /*keepDims=*/true);
  Value y = n.div(wide, n.unary(UnaryKind::sqrt, plusEpsilon(n, square)));
  n.result(0, n.mul(n.cast(y, GraphBuilder::elementType(n.operand(1))), n.operand(1)));
}

//===- LRN, Lp, mean and variance ---------------------------------------------------------===//

static void importLrn(NodeImporter &n) {
  if (!require(n, 1) || !requireFloat(n, n.operand(0)) || !requireRank(n, n.operand(0), 2, INT64_MAX))
    return;
  int64_t size = n.intAttr("size", 0);
  if (size < 1)
    return n.fail("TW1205", "size must be positive");
  Type element = GraphBuilder::elementType(n.operand(0));
  Value x = n.cast(n.operand(0), accumulationType(element));
  Dims shape = dimsOf(x);
  AffineExpr rest = productOf(ArrayRef<AffineExpr>(shape).drop_front(2), n.b.getContext());
  Value planes = n.reshape(n.mul(x, x), {shape[0], n.dim(1), shape[1], rest});
  Value sum = n.window(graph::WindowKind::wsum, planes, {size, 1}, {1, 1}, {1, 1},
                       {n.dim((size - 1) / 2), n.dim(0)}, {shape[1], rest});
  double alpha = n.floatAttr("alpha", 1e-4f), beta = n.floatAttr("beta", 0.75f),
         bias = n.floatAttr("bias", 1);
  Value base = n.add(n.mul(n.reshape(sum, shape), n.like(x, alpha / size)), n.like(x, bias));
  n.result(0, n.cast(n.div(x, n.binary(graph::BinaryKind::pow, base, n.like(base, beta))), element));
}

static void importLpNormalization(NodeImporter &n) {
  if (!require(n, 1) || !requireFloat(n, n.operand(0)))
    return;
  int64_t p = n.intAttr("p", 2);
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", -1), GraphBuilder::rank(n.operand(0)));
  if (!axis)
    return;
  if (p != 1 && p != 2)
    return n.fail("TW1205", "p is " + llvm::Twine(p) + "; it must be 1 or 2");
  Type element = GraphBuilder::elementType(n.operand(0));
  Value x = n.cast(n.operand(0), accumulationType(element));
  Value powers = p == 2 ? n.mul(x, x) : n.unary(UnaryKind::abs, x);
  Value norm = n.reduce(ReduceKind::sum, powers, {*axis}, /*keepDims=*/true);
  if (p == 2)
    norm = n.unary(UnaryKind::sqrt, norm);
  // A norm of 0 means that everything is 0, and stays so.
  Value divisor = n.select(n.compare(CompareKind::eq, norm, n.like(norm, 0)), n.like(norm, 1), norm);
  n.result(0, n.cast(n.div(x, divisor), element));
}

static void importMeanVarianceNormalization(NodeImporter &n) {
  if (!require(n, 1) || !requireFloat(n, n.operand(0)))
    return;
  int64_t rank = GraphBuilder::rank(n.operand(0));
  std::optional<SmallVector<int64_t>> given = n.intsAttr("axes");
  std::optional<SmallVector<int64_t>> axes =
      normalizedAxes(n, given.value_or(SmallVector<int64_t>{0, 2, 3}), rank);
  if (!axes)
    return;
  Type element = GraphBuilder::elementType(n.operand(0));
  Moments m = moments(n, n.cast(n.operand(0), accumulationType(element)), *axes);
  Value deviation = n.unary(UnaryKind::sqrt, m.variance);
  // The specification's function adds this much to keep constants finite.
  n.result(0, n.cast(n.div(m.centered, n.add(deviation, n.like(deviation, 1e-9))), element));
}

llvm::ArrayRef<OpEntry> normalizationOps() {
  static const OpEntry rows[] = {
      {"BatchNormalization", importBatchNormalization},
      {"InstanceNormalization", importInstanceNormalization},
      {"GroupNormalization", importGroupNormalization},
      {"LayerNormalization", importLayerNormalization},
      {"LayerNormalization", importLayerNormalization, "com.microsoft"},
      {"RMSNormalization", importRmsNormalization},
      {"SimplifiedLayerNormalization", importRmsNormalization},
      {"LRN", importLrn},
      {"LpNormalization", importLpNormalization},
      {"MeanVarianceNormalization", importMeanVarianceNormalization},
  };
  return rows;
}

} // namespace tilewright::frontend
