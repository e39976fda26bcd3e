/// AttentionCore.cpp - see AttentionCore.h.
#include "frontend/ops/AttentionCore.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::BinaryKind;
using graph::CompareKind;
using graph::ReduceKind;
using graph::UnaryKind;

static double minusInfinity() { return -std::numeric_limits<double>::infinity(); }

//===- Heads ------------------------------------------------------------------------===//

Value splitHeads(NodeImporter &n, Value x, AffineExpr heads) {
  if (!requireRank(n, x, 3, 3, "a packed operand"))
    return {};
  Dims shape = dimsOf(x);
  std::optional<AffineExpr> size = evenParts(n, shape[2], heads, "the hidden size and whole heads");
  return size ? n.transpose(n.reshape(x, {shape[0], shape[1], heads, *size}), {0, 2, 1, 3}) : Value();
}

Value splitHeads(NodeImporter &n, Value x, int64_t heads) {
  if (heads > 0)
    return splitHeads(n, x, n.dim(heads));
  n.fail("TW1205", "the number of heads is " + llvm::Twine(heads) + "; it must be positive");
  return {};
}

Value mergeHeads(NodeImporter &n, Value x) {
  Dims shape = dimsOf(x);
  return n.reshape(n.transpose(x, {0, 2, 1, 3}), {shape[0], shape[2], canonical(shape[1] * shape[3])});
}

std::optional<Heads> requireHeads(NodeImporter &n, Value q, Value k, Value v) {
  for (Value value : {q, k, v})
    if (!requireRank(n, value, 4, 4, "query, key and value") || !requireFloat(n, value))
      return std::nullopt;
  if (!requireSameElements(n, {q, k}))
    return std::nullopt;
  Dims query = dimsOf(q), key = dimsOf(k), value = dimsOf(v);
  if (!n.requireEqual(query[0], key[0], "the batches of query and key") ||
      !n.requireEqual(query[0], value[0], "the batches of query and value") ||
      !n.requireEqual(query[3], key[3], "the head sizes of query and key") ||
      !n.requireEqual(key[1], value[1], "the heads of key and value") ||
      !n.requireEqual(key[2], value[2], "the lengths of key and value"))
    return std::nullopt;
  k = withSize(n, withSize(n, k, 0, query[0]), 3, query[3]);
  v = withSize(n, withSize(n, withSize(n, v, 0, query[0]), 1, key[1]), 2, key[2]);
  if (provablyEqual(query[1], key[1]))
    return Heads{q, k, v, n.dim(1)};
  std::optional<int64_t> heads = constantOf(query[1]), shared = constantOf(key[1]);
  bool fits = heads != 0 && shared != 0 && !(heads && shared && *heads % *shared);
  if (fits)
    if (auto group = evenParts(n, query[1], key[1], "the heads of the query and of the key"))
      return Heads{q, k, v, *group};
  n.fail("TW2005", "the heads of the query must be a multiple of the key's: " + shapeText(n, q) + ", " +
                       shapeText(n, k));
  return std::nullopt;
}

/// [B, Hq, rows, columns] as [B, Hk, group, rows, columns].
static Value grouped(NodeImporter &n, Value x, const Heads &heads) {
  Dims shape = dimsOf(x);
  return n.reshape(x, {shape[0], dimsOf(heads.k)[1], heads.group, shape[2], shape[3]});
}

Value attentionScores(NodeImporter &n, const Heads &heads, Value scale) {
  Value q = heads.q, k = heads.k;
  Type element = GraphBuilder::elementType(q);
  if (element.isF32() || element.isF64()) {
    q = n.mul(q, n.cast(scale, element));
  } else { // half on each side keeps narrow floats from overflowing
    Value root = n.cast(n.unary(UnaryKind::sqrt, scale), element);
    q = n.mul(q, root);
    k = n.mul(k, root);
  }
  if (constantOf(heads.group) == 1)
    return n.contract(q, k, {0, 1}, {0, 1}, {3}, {3});
  Dims query = dimsOf(q);
  Value scores = n.contract(grouped(n, q, heads), k, {0, 1}, {0, 1}, {4}, {3});
  return n.reshape(scores, {query[0], query[1], query[2], dimsOf(k)[2]});
}

Value weightedSum(NodeImporter &n, const Heads &heads, Value weights) {
  Value v = n.cast(heads.v, GraphBuilder::elementType(weights));
  if (constantOf(heads.group) == 1)
    return n.contract(weights, v, {0, 1}, {0, 1}, {3}, {2});
  Dims shape = dimsOf(weights);
  Value sum = n.contract(grouped(n, weights, heads), v, {0, 1}, {0, 1}, {4}, {2});
  return n.reshape(sum, {shape[0], shape[1], shape[2], dimsOf(v)[3]});
}

Value attentionScale(NodeImporter &n, Value q, double given) {
  Type wide = Float64Type::get(n.b.getContext());
  std::optional<int64_t> size = constantOf(dimsOf(q).back());
  if (given != 0 || size)
    return n.scalar(wide, given != 0 ? given : 1 / std::sqrt(double(*size)));
  return n.div(n.scalar(wide, 1), n.unary(UnaryKind::sqrt, dimValue(n, dimsOf(q).back(), wide)));
}

Value softCapped(NodeImporter &n, Value x, double cap) {
  if (cap == 0)
    return x;
  return n.mul(n.unary(UnaryKind::tanh, n.div(x, n.like(x, cap))), n.like(x, cap));
}

//===- Masks ------------------------------------------------------------------------===//

void AttentionMask::require(NodeImporter &n, Value condition) {
  allowed = allowed ? n.binary(BinaryKind::iand, allowed, condition) : condition;
}

void AttentionMask::add(NodeImporter &n, Value moreBias) { bias = bias ? n.add(bias, moreBias) : moreBias; }

Value AttentionMask::apply(NodeImporter &n, Value scores) const {
  if (bias)
    scores = n.add(scores, n.cast(bias, GraphBuilder::elementType(scores)));
  return allowed ? n.select(allowed, scores, n.like(scores, minusInfinity())) : scores;
}

Value AttentionMask::softmax(NodeImporter &n, Value masked) const {
  int64_t keys = GraphBuilder::rank(masked) - 1;
  Value weights = frontend::softmax(n, masked, keys);
  if (!mayHideAllKeys || (!allowed && !bias))
    return weights;
  // Decided by the mask and not by the scores: these may hold infinities of their own.
  Value hidden;
  if (bias) {
    Value added = allowed ? n.select(allowed, bias, n.like(bias, minusInfinity())) : bias;
    Value largest = n.reduce(ReduceKind::rmax, added, {GraphBuilder::rank(added) - 1}, /*keepDims=*/true);
    hidden = n.compare(CompareKind::eq, largest, n.like(largest, minusInfinity()));
  } else {
    Value any = n.reduce(ReduceKind::rmax, allowed, {GraphBuilder::rank(allowed) - 1}, /*keepDims=*/true);
    hidden = n.unary(UnaryKind::bitnot, any);
  }
  return n.select(hidden, n.like(weights, 0), weights);
}

Value windowCondition(NodeImporter &n, AffineExpr queries, AffineExpr keys, Value offset, int64_t left,
                      int64_t right) {
  Type index = signedType(n, 64);
  constexpr int64_t everything = int64_t(1) << 48;
  left = std::min(left, everything), right = std::min(right, everything);
  Value query = n.iota({queries, n.dim(1)}, index, 0), key = n.iota({n.dim(1), keys}, index, 1);
  Value position = n.add(query, offset), result;
  if (right >= 0)
    result = n.compare(CompareKind::le, key, right ? n.add(position, n.scalarInt(index, right)) : position);
  if (left >= 0) {
    Value above =
        n.compare(CompareKind::ge, key, left ? n.sub(position, n.scalarInt(index, left)) : position);
    result = result ? n.binary(BinaryKind::iand, result, above) : above;
  }
  return result;
}

Value lengthCondition(NodeImporter &n, Value lengths, AffineExpr keys) {
  Type index = signedType(n, 64);
  Value limit = n.unsqueeze(n.cast(lengths, index), {1, 2, 3});
  return n.compare(CompareKind::lt, n.iota({keys}, index, 0), limit);
}

//===- Rotary embedding -----------------------------------------------------------------===//

/// Half of it, rounded down where it turns out to be odd.
static AffineExpr halfOf(AffineExpr rotated) { return canonical(rotated.floorDiv(2)); }

bool requireRotation(NodeImporter &n, Value x, Value cosines, Value sines, AffineExpr rotated) {
  Dims shape = dimsOf(x);
  std::optional<int64_t> size = constantOf(shape[3]), known = constantOf(rotated);
  if (known && (*known <= 0 || *known % 2 || (size && *known > *size))) {
    n.fail("TW1205",
           "the rotated size is " + llvm::Twine(*known) + "; it must be even and at most the head size");
    return false;
  }
  if (!n.requireEqual(rotated, canonical(halfOf(rotated) * 2), "the rotated size and pairs") ||
      !n.requireAtMost(rotated, shape[3], "the rotated size and the head size"))
    return false;
  for (Value table : {cosines, sines}) {
    Dims have = dimsOf(table);
    if (!requireSameElements(n, {x, table}) ||
        !n.requireRepeatable(have[0], shape[0], "the positions' batches and the input's") ||
        !n.requireEqual(have[1], shape[1], "the positions and the sequence") ||
        !n.requireEqual(have[3], halfOf(rotated), "the caches and the rotated size"))
      return false;
  }
  return true;
}

Value rotate(NodeImporter &n, Value x, Value cosines, Value sines, AffineExpr rotated, bool interleaved) {
  Dims shape = dimsOf(x), starts(shape.size(), n.dim(0)), half = shape;
  int64_t last = shape.size() - 1;
  half[last] = halfOf(rotated);
  SmallVector<int64_t> steps(shape.size(), 1);
  steps[last] = interleaved ? 2 : 1;
  Value first = n.slice(x, starts, steps, half);
  starts[last] = interleaved ? n.dim(1) : halfOf(rotated);
  Value second = n.slice(x, starts, steps, half);
  Value real = n.sub(n.mul(cosines, first), n.mul(sines, second));
  Value imaginary = n.add(n.mul(sines, first), n.mul(cosines, second));
  Value turned;
  if (interleaved) {
    Dims joined = shape;
    joined[last] = rotated;
    turned = n.reshape(
        n.concat({n.unsqueeze(real, {last + 1}), n.unsqueeze(imaginary, {last + 1})}, last + 1), joined);
  } else {
    turned = n.concat({real, imaginary}, last);
  }
  AffineExpr rest = canonical(shape[last] - rotated);
  if (constantOf(rest) == 0)
    return turned;
  return n.concat({turned, n.sliceAxis(x, last, rotated, rest)}, last);
}

} // namespace tilewright::frontend
