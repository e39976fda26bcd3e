/// AttentionCore.h - the pieces that all attention operators are made of. Heads are shared by groups of query
/// heads without copies.
#pragma once
#include "frontend/ops/Composites.h"

namespace tilewright::frontend {

/// [B, S, heads * size] to [B, heads, S, size]. Null, with a diagnostic, when heads do not divide the last
/// dimension.
mlir::Value splitHeads(NodeImporter &n, mlir::Value x, mlir::AffineExpr heads);
mlir::Value splitHeads(NodeImporter &n, mlir::Value x, int64_t heads);
/// [B, heads, S, size] to [B, S, heads * size].
mlir::Value mergeHeads(NodeImporter &n, mlir::Value x);

/// q [B, Hq, S, D], k [B, Hk, T, D], v [B, Hk, T, Dv]; Hq is a multiple of Hk. Checks, and writes equal sizes
/// equally (TW2004, TW2005).
struct Heads {
  mlir::Value q, k, v;
  mlir::AffineExpr group; ///< query heads that share one key head
};
std::optional<Heads> requireHeads(NodeImporter &n, mlir::Value q, mlir::Value k, mlir::Value v);
/// q k^T * scale: [B, Hq, S, T].
mlir::Value attentionScores(NodeImporter &n, const Heads &heads, mlir::Value scale);
/// weights [B, Hq, S, T] times v: [B, Hq, S, Dv].
mlir::Value weightedSum(NodeImporter &n, const Heads &heads, mlir::Value weights);
/// The scale in f64, rank 0: as given, or for 0 one over the root of q's head size.
mlir::Value attentionScale(NodeImporter &n, mlir::Value q, double given);
/// cap * tanh(x / cap); x when cap is 0.
mlir::Value softCapped(NodeImporter &n, mlir::Value x, double cap);

/// Which keys a query sees, gathered from several sources. All broadcast to [B, Hq, S, T].
struct AttentionMask {
  mlir::Value allowed;         ///< i1, or null: all
  mlir::Value bias;            ///< added to the scores, or null
  bool mayHideAllKeys = false; ///< some query might see no key: its weights are 0 then

  void require(NodeImporter &n, mlir::Value condition);
  void add(NodeImporter &n, mlir::Value moreBias);
  mlir::Value apply(NodeImporter &n, mlir::Value scores) const;
  /// softmax of the masked scores; zeros for queries that see no key.
  mlir::Value softmax(NodeImporter &n, mlir::Value masked) const;
};
/// Keys j with j <= i + offset + right and j >= i + offset - left, each bound where it is not negative.
/// offset: si64, rank 0 or [B, 1, 1, 1].
mlir::Value windowCondition(NodeImporter &n, mlir::AffineExpr queries, mlir::AffineExpr keys,
                            mlir::Value offset, int64_t left, int64_t right);
/// Keys before `lengths` [B]: [B, 1, 1, T].
mlir::Value lengthCondition(NodeImporter &n, mlir::Value lengths, mlir::AffineExpr keys);

/// cosines and sines are [B or 1, S, 1, rotated / 2] and of x's type, for x [B, S, heads, size].
bool requireRotation(NodeImporter &n, mlir::Value x, mlir::Value cosines, mlir::Value sines,
                     mlir::AffineExpr rotated);
/// x [.., S, heads, size] turned by angles whose cosines and sines are [.., S, 1, rotated / 2]; the rest of
/// `size` passes through.
mlir::Value rotate(NodeImporter &n, mlir::Value x, mlir::Value cosines, mlir::Value sines,
                   mlir::AffineExpr rotated, bool interleaved);

} // namespace tilewright::frontend
