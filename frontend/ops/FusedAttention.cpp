/// FusedAttention.cpp - attention operators of the domain com.microsoft: Attention, MultiHeadAttention,
/// GroupQueryAttention and RotaryEmbedding with the operands that exporters use. Layouts packed for GPU
/// kernels are refused.
#include "frontend/ops/AttentionCore.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::BinaryKind;
using graph::CompareKind;

//===- What they share --------------------------------------------------------------------===//

/// A mask of keys: lengths [B], or ones and zeros [B, T] or [B, S, T]. Hidden keys get mask_filter_value
/// added.
static bool addKeyMask(NodeImporter &n, AttentionMask &mask, Value given, const Heads &heads) {
  AffineExpr batch = dimsOf(heads.q)[0], keys = dimsOf(heads.k)[2];
  if (!isInteger(given) || !requireRank(n, given, 1, 3, "the key mask"))
    return n.hasFailed() ? false : (n.fail("TW2003", "the key mask must be of integers"), false);
  Dims shape = dimsOf(given);
  Value visible;
  if (shape.size() == 1) {
    std::optional<int64_t> entries = constantOf(shape[0]), batches = constantOf(batch);
    if (entries && batches && *entries != *batches)
      return n.unsupported("TW1203", "key masks of start and end positions are not supported"), false;
    visible = lengthCondition(n, withSize(n, given, 0, batch), keys);
  } else {
    if (!n.requireEqual(shape.back(), keys, "the key mask and the keys"))
      return false;
    given = withSize(n, given, shape.size() - 1, keys);
    visible = n.compare(CompareKind::gt, given, n.like(given, 0));
    visible = n.unsqueeze(visible, shape.size() == 2 ? SmallVector<int64_t>{1, 2} : SmallVector<int64_t>{1});
    if (!requireFitsInto(n, visible, {batch, n.dim(1), dimsOf(heads.q)[2], keys}, "the key mask"))
      return false;
  }
  Type element = accumulationType(GraphBuilder::elementType(heads.q));
  mask.add(n, n.select(visible, n.scalar(element, 0),
                       n.scalar(element, n.floatAttr("mask_filter_value", -10000))));
  return true;
}

static bool addAttentionBias(NodeImporter &n, AttentionMask &mask, size_t index, const Heads &heads) {
  if (!n.has(index))
    return true;
  Value bias = n.operand(index);
  Dims query = dimsOf(heads.q);
  if (!requireFloat(n, bias) ||
      !requireFitsInto(n, bias, {query[0], query[1], query[2], dimsOf(heads.k)[2]}, "the attention bias"))
    return false;
  mask.add(n, n.cast(bias, accumulationType(GraphBuilder::elementType(bias))));
  return true;
}

/// [B, heads, P, size] before [B, heads, S, size].
static Value appended(NodeImporter &n, Value past, Value present) {
  if (!requireRank(n, past, 4, 4, "the past") || !requireSameElements(n, {past, present}))
    return {};
  for (int64_t dim : {0, 1, 3}) {
    if (!n.requireEqual(dimsOf(past)[dim], dimsOf(present)[dim], "the sizes of the past and the present"))
      return {};
    past = withSize(n, past, dim, dimsOf(present)[dim]);
  }
  return n.concat({past, present}, 2);
}

/// Scores, mask, softmax and sum: [B, S, heads * size].
static Value attend(NodeImporter &n, const Heads &heads, const AttentionMask &mask) {
  Value scale = attentionScale(n, heads.q, n.floatAttr("scale", 0));
  Value scores = softCapped(n, attentionScores(n, heads, scale), n.floatAttr("softcap", 0));
  return mergeHeads(n, weightedSum(n, heads, mask.softmax(n, mask.apply(n, scores))));
}

/// Query i sees keys up to i + (keys - queries).
static void addCausal(NodeImporter &n, AttentionMask &mask, const Heads &heads) {
  AffineExpr queries = dimsOf(heads.q)[2], keys = dimsOf(heads.k)[2];
  Value offset = dimValue(n, keys - queries, signedType(n, 64));
  mask.require(n, windowCondition(n, queries, keys, offset, -1, 0));
}

//===- MultiHeadAttention -----------------------------------------------------------------===//

/// Operand `index` plus its share of the packed bias (which begins at `start`), in heads.
static Value biasedHeads(NodeImporter &n, size_t index, int64_t heads, AffineExpr &start) {
  Value x = n.operand(index);
  if (!requireRank(n, x, 3, 4, "query, key and value"))
    return {};
  if (GraphBuilder::rank(x) == 4) // in heads already: from another attention's cache, without bias
    return x;
  AffineExpr width = dimsOf(x)[2];
  if (n.has(3)) {
    if (!requireRank(n, n.operand(3), 1, 1, "the bias") || !requireSameElements(n, {x, n.operand(3)}))
      return {};
    x = n.add(x, n.sliceAxis(n.operand(3), 0, canonical(start), width));
  }
  start = start + width;
  return splitHeads(n, x, heads);
}

static void importMultiHeadAttention(NodeImporter &n) {
  if (!require(n, 1))
    return;
  if (!n.has(1) || !n.has(2) || GraphBuilder::rank(n.operand(0)) != 3 ||
      GraphBuilder::rank(n.operand(1)) == 5)
    return n.unsupported("TW1203", "query, key and value packed into one operand are not supported",
                         "export the model for CPU");
  int64_t count = n.intAttr("num_heads", 0);
  AffineExpr start = n.dim(0);
  Value q = biasedHeads(n, 0, count, start), k = q ? biasedHeads(n, 1, count, start) : Value();
  Value v = k ? biasedHeads(n, 2, count, start) : Value();
  if (!v || (n.has(3) && !n.requireEqual(dimsOf(n.operand(3))[0], start, "the bias and the hidden sizes")))
    return;
  if (n.has(6) && n.has(7)) {
    k = appended(n, n.operand(6), k);
    v = k ? appended(n, n.operand(7), v) : Value();
    if (!v)
      return;
  }
  n.result(1, k);
  n.result(2, v);
  std::optional<Heads> heads = requireHeads(n, q, k, v);
  AttentionMask mask;
  if (!heads || (n.has(4) && !addKeyMask(n, mask, n.operand(4), *heads)) ||
      !addAttentionBias(n, mask, 5, *heads))
    return;
  if (n.intAttr("unidirectional", 0))
    addCausal(n, mask, *heads);
  n.result(0, attend(n, *heads, mask));
}

//===- Attention ----------------------------------------------------------------------------===//

/// Query, key and value from one product of the input with the packed weights.
static std::optional<Heads> projectedHeads(NodeImporter &n, int64_t count) {
  Value x = n.operand(0), w = n.operand(1);
  if (!requireRank(n, x, 3, 3, "the input") || !requireRank(n, w, 2, 2, "the weights") ||
      !requireSameElements(n, {x, w}))
    return std::nullopt;
  Value packed = checkedMatmul(n, x, w);
  if (packed && n.has(2))
    packed = requireSameElements(n, {packed, n.operand(2)}) &&
                     requireShape(n, n.operand(2), dimsOf(packed).back(), "the bias")
                 ? n.add(packed, n.operand(2))
                 : Value();
  if (!packed)
    return std::nullopt;
  AffineExpr columns = dimsOf(w)[1];
  Dims widths(3, canonical(columns.floorDiv(3)));
  if (auto given = n.intsAttr("qkv_hidden_sizes"))
    widths = n.dims(*given);
  if (widths.size() != 3 ||
      !n.requireEqual(columns, canonical(widths[0] + widths[1] + widths[2]), "the weights' columns"))
    return n.fail("TW1205", "the weights must have columns for query, key and value"), std::nullopt;
  Value parts[3];
  AffineExpr start = n.dim(0);
  for (size_t i = 0; i < 3; ++i) {
    parts[i] = splitHeads(n, n.sliceAxis(packed, 2, start, widths[i]), count);
    start = canonical(start + widths[i]);
    if (!parts[i])
      return std::nullopt;
  }
  return Heads{parts[0], parts[1], parts[2], n.dim(1)};
}

static void importFusedAttention(NodeImporter &n) {
  if (!require(n, 2))
    return;
  std::optional<Heads> heads = projectedHeads(n, n.intAttr("num_heads", 0));
  if (!heads)
    return;
  if (n.intAttr("do_rotary", 0) || n.intAttr("past_present_share_buffer", 0))
    return n.unsupported("TW1203", "do_rotary and past_present_share_buffer are not supported");
  if (n.has(4)) { // [2, B, heads, P, size]
    if (!requireRank(n, n.operand(4), 5, 5, "the past"))
      return;
    auto half = [&](int64_t index) {
      return n.squeeze(n.sliceAxis(n.operand(4), 0, n.dim(index), n.dim(1)), {0});
    };
    heads->k = appended(n, half(0), heads->k);
    heads->v = heads->k ? appended(n, half(1), heads->v) : Value();
    if (!heads->v)
      return;
  }
  if (n.wants(1))
    n.result(1, n.concat({n.unsqueeze(heads->k, {0}), n.unsqueeze(heads->v, {0})}, 0));
  heads = requireHeads(n, heads->q, heads->k, heads->v);
  AttentionMask mask;
  if (!heads || (n.has(3) && !addKeyMask(n, mask, n.operand(3), *heads)) ||
      !addAttentionBias(n, mask, 5, *heads))
    return;
  if (n.intAttr("unidirectional", 0))
    addCausal(n, mask, *heads);
  n.result(0, attend(n, *heads, mask));
}

//===- RotaryEmbedding ----------------------------------------------------------------------===//

/// Rows of a cache at positions [B or 1, S]: [B or 1, S, 1, half].
static Value rowsAt(NodeImporter &n, Value cache, Value positions) {
  return n.unsqueeze(n.gather(cache, positions, 0), {2});
}

/// [B, S, heads * size] in heads of this size.
static Value wholeHeads(NodeImporter &n, Value x, AffineExpr size) {
  auto heads = evenParts(n, dimsOf(x)[2], size, "the hidden size and whole heads");
  return heads ? splitHeads(n, x, *heads) : Value();
}

static void importFusedRotaryEmbedding(NodeImporter &n) {
  if (!require(n, 4) || !requireRank(n, n.operand(0), 3, 4) ||
      !requireRank(n, n.operand(2), 2, 2, "the cosine cache") ||
      !requireRank(n, n.operand(3), 2, 2, "the sine cache") ||
      !requireRank(n, n.operand(1), 0, 2, "the positions"))
    return;
  Value x = n.operand(0), positions = indices(n, n.operand(1));
  if (!positions || !requireShape(n, n.operand(3), dimsOf(n.operand(2)), "the sine cache") ||
      !requireSameElements(n, {x, n.operand(2), n.operand(3)}))
    return;
  AffineExpr size = canonical(dimsOf(n.operand(2))[1] * 2);
  int64_t heads = n.intAttr("num_heads", 0);
  bool packed = GraphBuilder::rank(x) == 3;
  if (packed && heads)
    x = splitHeads(n, x, heads);
  else if (packed) // heads are what is turned as a whole
    x = wholeHeads(n, x, size);
  if (!x)
    return;
  x = n.transpose(x, {0, 2, 1, 3});        // [B, S, heads, size]
  if (GraphBuilder::rank(positions) < 2) { // the first position of all sequences
    Value first = n.cast(n.reshape(positions, {}), signedType(n, 64));
    positions = n.unsqueeze(n.add(n.iota({dimsOf(x)[1]}, signedType(n, 64), 0), first), {0});
  }
  Value cosines = rowsAt(n, n.operand(2), positions), sines = rowsAt(n, n.operand(3), positions);
  if (!requireRotation(n, x, cosines, sines, size))
    return;
  float scale = n.floatAttr("scale", 1);
  Value y = rotate(n, x, cosines, sines, size, n.intAttr("interleaved", 0) != 0);
  if (scale != 1)
    y = n.mul(y, n.like(y, scale));
  y = n.transpose(y, {0, 2, 1, 3});
  n.result(0, packed ? mergeHeads(n, y) : y);
}

//===- GroupQueryAttention ------------------------------------------------------------------===//

namespace {
/// A cache of keys or values that each sequence of the batch has filled to its own length.
struct GroupQuery {
  NodeImporter &n;
  Value before;        ///< how many keys each sequence had, [B] of si64
  AffineExpr capacity; ///< length of the present cache

  bool readLengths(AffineExpr queries);
  Value updated(Value past, Value fresh) const;
  Value rotated(Value x) const;
};
} // namespace

/// seqlens_k holds the last valid index of each sequence. Where all keys are new, nothing came before.
bool GroupQuery::readLengths(AffineExpr queries) {
  Type index = signedType(n, 64);
  if (!isInteger(n.operand(5)) || !isInteger(n.operand(6)))
    return n.fail("TW2003", "seqlens_k and total_sequence_length must be integers"), false;
  if (n.has(3) &&
      (!requireRank(n, n.operand(3), 4, 4, "the past") || !requireRank(n, n.operand(4), 4, 4, "the past")))
    return false;
  Dims batch = {dimsOf(n.operand(0))[0]};
  Value after = n.add(n.cast(n.reshape(n.operand(5), batch), index), n.scalarInt(index, 1));
  Value length = singleElement(n, n.operand(6), "total_sequence_length");
  if (!length)
    return false;
  AffineExpr total = n.valueOrDefine(length, "total_sequence_length", 0)[0];
  Value isPrompt = n.compare(CompareKind::eq, dimValue(n, total, index), dimValue(n, queries, index));
  before = n.select(isPrompt, n.scalarInt(index, 0), n.sub(after, dimValue(n, queries, index)));
  if (n.has(3) &&
      !n.requireEqual(dimsOf(n.operand(4))[2], dimsOf(n.operand(3))[2], "the lengths of the pasts"))
    return false;
  capacity = n.has(3) ? n.symbols.maximum(dimsOf(n.operand(3))[2], total) : total;
  return n.requireWithin(n.operand(5), n.dim(0), canonical(capacity - 1), "seqlens_k");
}

/// The cache [B, shared, capacity, size]: each sequence's past, then its new entries.
Value GroupQuery::updated(Value past, Value fresh) const {
  Type index = signedType(n, 64);
  Dims shape = dimsOf(fresh), to = {shape[0], shape[1], capacity, shape[3]};
  AffineExpr length = n.dim(0);
  if (past) {
    length = dimsOf(past)[2];
    fresh = appended(n, past, fresh);
    if (!fresh)
      return {};
  }
  Value at = n.iota({n.dim(1), capacity}, index, 1), start = n.unsqueeze(before, {1});
  Value moved = n.add(n.sub(at, start), dimValue(n, length, index));
  Value last = dimValue(n, length + shape[2] - 1, index);
  Value source = n.select(n.compare(CompareKind::lt, at, start), at, n.minimum(moved, last));
  Value cache = gatherElements(n, fresh, n.broadcastInDims(source, to, {0, 2}), 2);
  Value end = n.add(start, dimValue(n, shape[2], index));
  Value filledSoFar = n.compare(CompareKind::lt, at, end); // behind it lie zeros
  return n.select(n.unsqueeze(filledSoFar, {1, 3}), cache, n.like(cache, 0));
}

/// x [B, heads, S, size] turned by each sequence's positions.
Value GroupQuery::rotated(Value x) const {
  if (!n.intAttr("do_rotary", 0))
    return x;
  if (!n.has(7) || !n.has(8))
    return n.fail("TW1206", "do_rotary needs cosine and sine caches"), Value();
  Type index = signedType(n, 64);
  Value positions = n.has(9) ? indices(n, n.operand(9))
                             : n.add(n.unsqueeze(before, {1}), n.iota({n.dim(1), dimsOf(x)[2]}, index, 1));
  if (!positions || !requireRank(n, positions, 2, 2, "the positions") ||
      !requireRank(n, n.operand(7), 2, 2, "the cosine cache") ||
      !requireShape(n, n.operand(8), dimsOf(n.operand(7)), "the sine cache"))
    return {};
  AffineExpr size = canonical(dimsOf(n.operand(7))[1] * 2);
  x = n.transpose(x, {0, 2, 1, 3});
  Value cosines = rowsAt(n, n.operand(7), positions), sines = rowsAt(n, n.operand(8), positions);
  if (!requireRotation(n, x, cosines, sines, size))
    return {};
  Value turned = rotate(n, x, cosines, sines, size, n.intAttr("rotary_interleaved", 0) != 0);
  return n.transpose(turned, {0, 2, 1, 3});
}

/// Queries, keys and values in heads; the query may hold all three.
static std::optional<Heads> groupQueryHeads(NodeImporter &n, int64_t heads, int64_t shared) {
  Value q = n.operand(0), k = n.operand(1), v = n.operand(2);
  if (!k != !v || n.has(3) != n.has(4))
    return n.fail("TW1206", "key and value, and their pasts, must be given together"), std::nullopt;
  if (!k) {
    if (!requireRank(n, q, 3, 3, "the query"))
      return std::nullopt;
    if (heads < 1 || shared < 1 || heads > 65536 || shared > 65536)
      return n.fail("TW1205", "num_heads and kv_num_heads must be positive"), std::nullopt;
    AffineExpr width = dimsOf(q)[2], size = canonical(width.floorDiv(heads + 2 * shared));
    if (!n.requireEqual(width, canonical(size * (heads + 2 * shared)), "the packed query and whole heads"))
      return std::nullopt;
    auto part = [&](int64_t start, int64_t count) {
      return n.sliceAxis(n.operand(0), 2, canonical(size * start), canonical(size * count));
    };
    q = part(0, heads), k = part(heads, shared), v = part(heads + shared, shared);
  }
  q = splitHeads(n, q, heads);
  k = q ? splitHeads(n, k, shared) : Value();
  v = k ? splitHeads(n, v, shared) : Value();
  for (Value part : {k, v})
    if (n.hasFailed() ||
        !n.requireEqual(dimsOf(part)[2], dimsOf(q)[2], "the lengths of query, key and value"))
      return std::nullopt;
  return v ? std::optional(Heads{q, k, v, n.dim(1)}) : std::nullopt;
}

static void importGroupQueryAttention(NodeImporter &n) {
  for (size_t index : {0, 5, 6})
    if (!n.has(index))
      return n.fail("TW1206", "operand " + llvm::Twine(index) + " is missing");
  if (n.intAttr("smooth_softmax", 0) || n.has(11))
    return n.unsupported("TW1203", "attention sinks are not supported");
  int64_t heads = n.intAttr("num_heads", 0), shared = n.intAttr("kv_num_heads", 0);
  std::optional<Heads> parts = groupQueryHeads(n, heads, shared);
  if (!parts)
    return;
  GroupQuery query{n, {}, {}};
  if (!query.readLengths(dimsOf(parts->q)[2]))
    return;
  Value q = query.rotated(parts->q), k = q ? query.rotated(parts->k) : Value();
  k = k ? query.updated(n.operand(3), k) : Value();
  Value v = k ? query.updated(n.operand(4), parts->v) : Value();
  if (!v)
    return;
  n.result(1, k);
  n.result(2, v);
  std::optional<Heads> all = requireHeads(n, q, k, v);
  AttentionMask mask;
  if (!all || !addAttentionBias(n, mask, 10, *all))
    return;
  int64_t window = n.intAttr("local_window_size", -1);
  Value offset = n.unsqueeze(query.before, {1, 2, 3});
  mask.require(n, windowCondition(n, dimsOf(q)[2], query.capacity, offset, window > 0 ? window - 1 : -1, 0));
  n.result(0, attend(n, *all, mask));
}

llvm::ArrayRef<OpEntry> fusedAttentionOps() {
  static const OpEntry rows[] = {
      {"Attention", importFusedAttention, "com.microsoft"},
      {"MultiHeadAttention", importMultiHeadAttention, "com.microsoft"},
      {"GroupQueryAttention", importGroupQueryAttention, "com.microsoft"},
      {"RotaryEmbedding", importFusedRotaryEmbedding, "com.microsoft"},
  };
  return rows;
}

} // namespace tilewright::frontend
