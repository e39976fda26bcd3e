/// Attention.cpp - ONNX's Attention, RotaryEmbedding, LinearAttention and FlexAttention.
#include "frontend/ops/AttentionCore.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::BinaryKind;
using graph::CompareKind;
using graph::PadMode;
using graph::UnaryKind;

//===- Attention ------------------------------------------------------------------------===//

namespace {
/// One Attention node while it is imported.
struct AttentionNode {
  NodeImporter &n;
  Heads heads;
  Value past; ///< past_key, or null
  AffineExpr queries, keys;
  AttentionMask mask;

  bool readHeads();
  bool readMask();
  /// nonpad_kv_seqlen, one entry a batch.
  Value lengths() const { return withSize(n, n.operand(6), 0, dimsOf(heads.q)[0]); }
  Value causalOffset() const;
  void restrictPositions();
  void finish();
};
} // namespace

/// Packed operands are split into heads; the past comes before the keys and values.
bool AttentionNode::readHeads() {
  Value q = n.operand(0), k = n.operand(1), v = n.operand(2);
  if (GraphBuilder::rank(q) == 3) {
    q = splitHeads(n, q, n.intAttr("q_num_heads", 0));
    k = q ? splitHeads(n, k, n.intAttr("kv_num_heads", 0)) : Value();
    v = k ? splitHeads(n, v, n.intAttr("kv_num_heads", 0)) : Value();
  }
  if (!v)
    return false;
  if (n.has(4) != n.has(5))
    return n.fail("TW1206", "past_key and past_value must be given together"), false;
  past = n.operand(4);
  if (past) {
    Value parts[] = {k, v};
    for (size_t i = 0; i < 2; ++i) {
      Value before = n.operand(4 + i);
      if (!requireRank(n, before, 4, 4, "the past") || !requireRank(n, parts[i], 4, 4, "key and value") ||
          !requireSameElements(n, {before, parts[i]}))
        return false;
      for (int64_t dim : {0, 1, 3}) {
        if (!n.requireEqual(dimsOf(before)[dim], dimsOf(parts[i])[dim],
                            "the sizes of the past and the present"))
          return false;
        before = withSize(n, before, dim, dimsOf(parts[i])[dim]);
      }
      parts[i] = n.concat({before, parts[i]}, 2);
    }
    k = parts[0], v = parts[1];
  }
  n.result(1, k);
  n.result(2, v);
  std::optional<Heads> checked = requireHeads(n, q, k, v);
  if (!checked)
    return false;
  heads = *checked;
  queries = dimsOf(heads.q)[2], keys = dimsOf(heads.k)[2];
  return true;
}

/// attn_mask: a condition, or a bias; keys that it does not reach are hidden.
bool AttentionNode::readMask() {
  if (!n.has(3))
    return true;
  Value given = n.operand(3);
  if (!requireRank(n, given, 1, 4, "attn_mask"))
    return false;
  if (!isBool(given))
    given = n.cast(given, GraphBuilder::elementType(heads.q));
  Dims shape = dimsOf(given), none(shape.size(), n.dim(0)), missing = none;
  missing.back() = canonical(keys - shape.back());
  if (!n.requireAtMost(shape.back(), keys, "the lengths of attn_mask and of the keys"))
    return false;
  Value fill = isBool(given) ? n.like(given, 0) : n.like(given, -std::numeric_limits<double>::infinity());
  if (constantOf(missing.back()) != 0)
    given = n.pad(given, none, missing, PadMode::constant, fill);
  given = withSize(n, given, shape.size() - 1, keys);
  Dims query = dimsOf(heads.q);
  if (!requireFitsInto(n, given, {query[0], query[1], queries, keys}, "attn_mask"))
    return false;
  mask.mayHideAllKeys = true;
  isBool(given) ? mask.require(n, given) : mask.add(n, given);
  return true;
}

/// The absolute position of the first query: the past's length, or what lengths leave before the queries.
Value AttentionNode::causalOffset() const {
  Type index = signedType(n, 64);
  if (past)
    return dimValue(n, dimsOf(past)[2], index);
  if (n.has(6))
    return n.unsqueeze(n.sub(n.cast(lengths(), index), dimValue(n, queries, index)), {1, 2, 3});
  return n.scalarInt(index, 0);
}

void AttentionNode::restrictPositions() {
  int64_t left = n.intAttr("left_window_size", -1), right = n.intAttr("right_window_size", -1);
  if (n.intAttr("is_causal", 0))
    right = 0;
  if (left >= 0 || right >= 0)
    mask.require(n, windowCondition(n, queries, keys, causalOffset(), left, right));
  mask.mayHideAllKeys |= left >= 0 || n.has(6);
  if (n.has(6))
    mask.require(n, lengthCondition(n, lengths(), keys));
}

/// The attribute, which may be 0 as well; else what the head size gives.
static Value scaleOf(NodeImporter &n, Value q) {
  return n.attr("scale") ? n.scalar(Float64Type::get(n.b.getContext()), n.floatAttr("scale", 1))
                         : attentionScale(n, q, 0);
}

void AttentionNode::finish() {
  Value scale = scaleOf(n, heads.q);
  Type element = GraphBuilder::elementType(heads.q);
  Type precision = n.attr("softmax_precision") ? n.elementTypeOf(n.intAttr("softmax_precision", 1)) : element;
  int64_t mode = n.intAttr("qk_matmul_output_mode", 0);
  if (!precision)
    return;
  Value raw = attentionScores(n, heads, scale), capped = softCapped(n, raw, n.floatAttr("softcap", 0));
  Value masked = mask.apply(n, capped);
  Value weights = n.cast(mask.softmax(n, n.cast(masked, precision)), element);
  Value y = weightedSum(n, heads, weights);
  n.result(0, GraphBuilder::rank(n.operand(0)) == 3 ? mergeHeads(n, y) : y);
  Value stages[] = {raw, capped, masked, weights};
  if (mode < 0 || mode > 3)
    return n.fail("TW1205", "qk_matmul_output_mode is " + llvm::Twine(mode) + "; it must be 0 to 3");
  if (n.wants(3))
    n.result(3, stages[mode]);
}

static void importAttention(NodeImporter &n) {
  if (!require(n, 3))
    return;
  AttentionNode attention{n, {}, {}, {}, {}, {}};
  if (!attention.readHeads() || !attention.readMask())
    return;
  if (n.has(6)) {
    if (!requireRank(n, n.operand(6), 1, 1, "nonpad_kv_seqlen") ||
        !n.requireEqual(dimsOf(n.operand(6))[0], dimsOf(attention.heads.q)[0],
                        "nonpad_kv_seqlen and the batches"))
      return;
    if (!isInteger(n.operand(6)))
      return n.fail("TW2003", "nonpad_kv_seqlen must be of integers");
    if (!n.requireWithin(n.operand(6), n.dim(0), attention.keys, "nonpad_kv_seqlen"))
      return;
  }
  attention.restrictPositions();
  attention.finish();
}

static void importFlexAttention(NodeImporter &n) {
  if (!require(n, 3))
    return;
  std::optional<Heads> heads = requireHeads(n, n.operand(0), n.operand(1), n.operand(2));
  if (!heads)
    return;
  Value scale = scaleOf(n, heads->q);
  Type element = GraphBuilder::elementType(heads->q);
  Type precision = n.attr("softmax_precision") ? n.elementTypeOf(n.intAttr("softmax_precision", 1))
                                               : accumulationType(element);
  if (!precision)
    return;
  auto modified = [&](llvm::StringRef name, Value x) {
    const onnx::Attribute *attribute = n.attr(name);
    if (!attribute || attribute->graphs.empty())
      return x;
    std::optional<SmallVector<Value>> results = n.subgraph(attribute->graph(), {x});
    if (!results || results->size() != 1)
      return n.fail("TW1205", name + " must have one output"), Value();
    if (GraphBuilder::rank((*results)[0]) != 4 ||
        GraphBuilder::elementType((*results)[0]) != GraphBuilder::elementType(x))
      return n.fail("TW2005", name + " must keep its input's shape and type"), Value();
    return n.reshape((*results)[0], dimsOf(x));
  };
  Value scores = modified("score_mod", n.cast(attentionScores(n, *heads, scale), precision));
  Value weights = scores ? modified("prob_mod", softmax(n, scores, 3)) : Value();
  if (weights)
    n.result(0, n.cast(weightedSum(n, *heads, weights), GraphBuilder::elementType(n.operand(2))));
}

//===- RotaryEmbedding ----------------------------------------------------------------------===//

/// The cache's rows at the positions, or the cache itself, as [B, S, 1, half].
static Value rotaryTable(NodeImporter &n, Value cache, Value positions) {
  if (positions) {
    if (!requireRank(n, positions, 2, 2, "the positions") ||
        !requireRank(n, cache, 2, 2, "the cosine and sine caches"))
      return {};
    cache = n.gather(cache, positions, 0);
  }
  return requireRank(n, cache, 3, 3, "the cosine and sine caches") ? n.unsqueeze(cache, {2}) : Value();
}

static void importRotaryEmbedding(NodeImporter &n) {
  if (!require(n, 3) || !requireRank(n, n.operand(0), 3, 4))
    return;
  Value x = n.operand(0), positions = n.has(3) ? indices(n, n.operand(3)) : Value();
  bool packed = GraphBuilder::rank(x) == 3;
  if (packed)
    x = splitHeads(n, x, n.intAttr("num_heads", 0));
  if (!x || n.hasFailed())
    return;
  x = n.transpose(x, {0, 2, 1, 3}); // [B, S, heads, size]
  int64_t given = n.intAttr("rotary_embedding_dim", 0);
  AffineExpr rotated = given ? n.dim(given) : dimsOf(x)[3];
  Value cosines = rotaryTable(n, n.operand(1), positions),
        sines = cosines ? rotaryTable(n, n.operand(2), positions) : Value();
  if (!sines || !requireRotation(n, x, cosines, sines, rotated))
    return;
  Value y =
      n.transpose(rotate(n, x, cosines, sines, rotated, n.intAttr("interleaved", 0) != 0), {0, 2, 1, 3});
  n.result(0, packed ? mergeHeads(n, y) : y);
}

//===- LinearAttention ----------------------------------------------------------------------===//

namespace {
/// The recurrence of linear attention. Operands are [T, B, heads, ...] in f32; the state is [B, Hk, d_k,
/// d_v].
struct LinearRecurrence {
  NodeImporter &n;
  Value query, key, value, decay, beta;
  int64_t group;
  Value scale; ///< f32

  LoopValues step(Value time, Value state) const;
};
} // namespace

LoopValues LinearRecurrence::step(Value time, Value state) const {
  auto at = [&](Value x) { return n.gather(x, time, 0); };
  Value k = at(key), v = at(value), q = at(query);
  if (decay)
    state = n.mul(state, n.unsqueeze(n.unary(UnaryKind::exp, at(decay)), {3}));
  if (beta) {
    Value retrieved = n.contract(state, k, {0, 1}, {0, 1}, {2}, {2});
    v = n.mul(at(beta), n.sub(v, retrieved));
  }
  state = n.add(state, n.mul(n.unsqueeze(k, {3}), n.unsqueeze(v, {2})));
  Dims shape = dimsOf(q), kept = dimsOf(state);
  q = n.reshape(n.mul(q, scale), {shape[0], kept[1], n.dim(group), shape[2]});
  Value read = n.contract(q, state, {0, 1}, {0, 1}, {3}, {2}); // [B, Hk, group, d_v]
  return {{state}, {n.reshape(read, {shape[0], shape[1], kept[3]})}};
}

/// [B, T, heads * size] to [T, B, heads, size] in f32; B and T are the query's.
static Value overTime(NodeImporter &n, Value x, int64_t heads) {
  Value split = splitHeads(n, x, heads);
  if (!split)
    return {};
  Dims query = dimsOf(n.operand(0));
  for (int64_t dim : {0, 1})
    if (!n.requireEqual(dimsOf(x)[dim], query[dim], "the batches and lengths"))
      return {};
  split = withSize(n, withSize(n, split, 0, query[0]), 2, query[1]);
  return n.cast(n.transpose(split, {2, 0, 1, 3}), Float32Type::get(n.b.getContext()));
}

/// Operands that the update rule needs, and no others (TW1206, TW1205).
static bool readGates(NodeImporter &n, LinearRecurrence &r, int64_t heads) {
  std::string rule = n.stringAttr("update_rule", "gated_delta");
  bool gated = rule == "gated" || rule == "gated_delta", delta = rule == "delta" || rule == "gated_delta";
  if (!gated && !delta && rule != "linear")
    return n.fail("TW1205", "update_rule is '" + rule + "'; it must be linear, gated, delta or gated_delta"),
           false;
  if (gated != n.has(4) || delta != n.has(5))
    return n.fail("TW1206", "update_rule " + rule + " and the operands decay and beta do not fit together"),
           false;
  if (gated) {
    if (!(r.decay = overTime(n, n.operand(4), heads)))
      return false;
    AffineExpr size = dimsOf(r.decay)[3]; // one decay a head, or one a key dimension
    if (!n.requireRepeatable(size, dimsOf(r.key)[3], "the decays and the key's size"))
      return false;
  }
  if (!delta)
    return true;
  if (!requireRank(n, n.operand(5), 3, 3, "beta"))
    return false;
  Dims shape = dimsOf(n.operand(5)); // one for all heads, or one a head
  if (!n.requireRepeatable(shape[2], n.dim(heads), "beta and the heads"))
    return false;
  shape[2] = n.dim(heads);
  r.beta = overTime(n, n.broadcastTo(n.operand(5), shape), heads);
  return bool(r.beta);
}

static void importLinearAttention(NodeImporter &n) {
  if (!require(n, 3))
    return;
  int64_t heads = n.intAttr("q_num_heads", 0), shared = n.intAttr("kv_num_heads", 0);
  if (heads < 1 || shared < 1 || heads % shared)
    return n.fail("TW1205", "q_num_heads must be a positive multiple of kv_num_heads");
  LinearRecurrence r{n, overTime(n, n.operand(0), heads), {}, {}, {}, {}, heads / shared, {}};
  r.key = r.query ? overTime(n, n.operand(1), shared) : Value();
  r.value = r.key ? overTime(n, n.operand(2), shared) : Value();
  if (!r.value || !n.requireEqual(dimsOf(r.query)[3], dimsOf(r.key)[3], "the head sizes of query and key") ||
      !readGates(n, r, shared))
    return;
  Dims key = dimsOf(r.key), state = {key[1], key[2], key[3], dimsOf(r.value)[3]};
  Type wide = GraphBuilder::elementType(r.key);
  r.scale = n.cast(attentionScale(n, r.query, n.floatAttr("scale", 0)), wide);
  Value initial = filled(n, state, wide, 0);
  Type stateType = GraphBuilder::elementType(n.operand(n.has(3) ? 3 : 0));
  if (n.has(3)) {
    if (!requireRank(n, n.operand(3), 4, 4, "the past state") || !requireFloat(n, n.operand(3)))
      return;
    for (auto [have, want] : llvm::zip_equal(dimsOf(n.operand(3)), state))
      if (!n.requireEqual(have, want, "the sizes of the past state"))
        return;
    initial = n.reshape(n.cast(n.operand(3), wide), state);
  }
  LoopValues result =
      countedLoop(n, key[0], {initial}, [&](Value t, ArrayRef<Value> s) { return r.step(t, s[0]); });
  Value y = n.transpose(result.stacked[0], {1, 0, 2, 3}); // [B, T, Hq, d_v]
  Dims shape = dimsOf(y);
  y = n.reshape(y, {shape[0], shape[1], canonical(shape[2] * shape[3])});
  n.result(0, n.cast(y, GraphBuilder::elementType(n.operand(0))));
  n.result(1, n.cast(result.carried[0], stateType));
}

llvm::ArrayRef<OpEntry> attentionOps() {
  static const OpEntry rows[] = {
      {"Attention", importAttention},
      {"FlexAttention", importFlexAttention, "ai.onnx.preview"},
      {"RotaryEmbedding", importRotaryEmbedding},
      {"LinearAttention", importLinearAttention},
  };
  return rows;
}

} // namespace tilewright::frontend
