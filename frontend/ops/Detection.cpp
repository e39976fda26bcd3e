/// Detection.cpp - NonMaxSuppression as a loop over boxes by descending score, for all batches and classes at
/// once.
#include "frontend/ops/Composites.h"
#include "frontend/ops/Indexing.h"

using namespace mlir;
namespace tilewright::frontend {

using graph::BinaryKind;
using graph::CompareKind;
using graph::ReduceKind;

namespace {

/// Corners of boxes, each [..., count].
struct Corners {
  Value top, left, bottom, right;
};

struct Suppression {
  Corners boxes;    ///< [batch, classes, count], by descending score
  Value areas;      ///< the same shape
  Value candidates; ///< i1, the same shape: above the score threshold
  Value threshold;  ///< of the intersection over the union, rank 0
  Value most;       ///< boxes to keep for a class, si64, rank 0
};

} // namespace

static Value both(NodeImporter &n, Value a, Value b) { return n.binary(BinaryKind::iand, a, b); }

/// Column k of boxes [batch, count, 4].
static Value column(NodeImporter &n, Value boxes, int64_t k) {
  return n.squeeze(n.sliceAxis(boxes, 2, n.dim(k), n.dim(1)), {2});
}

static Corners cornersOf(NodeImporter &n, Value boxes, bool centred) {
  Value a = column(n, boxes, 0), b = column(n, boxes, 1), c = column(n, boxes, 2), d = column(n, boxes, 3);
  if (centred) { // x, y, width, height
    Value width = n.mul(c, n.like(c, 0.5)), height = n.mul(d, n.like(d, 0.5));
    return {n.sub(b, height), n.sub(a, width), n.add(b, height), n.add(a, width)};
  }
  return {n.minimum(a, c), n.minimum(b, d), n.maximum(a, c), n.maximum(b, d)};
}

/// Values [batch, count] in the order of `order` [batch, classes, count].
static Value ordered(NodeImporter &n, Value value, Value order) {
  return gatherElements(n, n.broadcastTo(n.unsqueeze(value, {1}), dimsOf(order)), order, 2);
}

/// Entry `index` of the last dimension, kept as size 1.
static Value entry(NodeImporter &n, Value x, Value index) { return n.unsqueeze(n.gather(x, index, 2), {2}); }

/// Whether box `index` overlaps each box by more than the threshold.
static Value overlaps(NodeImporter &n, const Suppression &s, Value index) {
  const Corners &b = s.boxes;
  auto extent = [&](Value low, Value high) {
    Value span = n.sub(n.minimum(high, entry(n, high, index)), n.maximum(low, entry(n, low, index)));
    return n.maximum(span, n.like(span, 0));
  };
  Value shared = n.mul(extent(b.top, b.bottom), extent(b.left, b.right));
  Value united = n.sub(n.add(s.areas, entry(n, s.areas, index)), shared);
  Value some = n.compare(CompareKind::gt, shared, n.like(shared, 0));
  return both(n, some, n.compare(CompareKind::gt, n.div(shared, united), s.threshold));
}

/// [batch, classes, count] i1: the boxes to keep.
static Value kept(NodeImporter &n, const Suppression &s) {
  Dims shape = dimsOf(s.candidates);
  Value none = filled(n, shape, n.b.getI1Type(), 0),
        zero = filled(n, {shape[0], shape[1], n.dim(1)}, si64(n), 0);
  LoopValues last =
      countedLoop(n, shape[2], {none, s.candidates, zero}, [&](Value index, ArrayRef<Value> carried) {
        Value keep = carried[0], open = carried[1], count = carried[2];
        Value chosen = both(n, entry(n, open, index), n.compare(CompareKind::lt, count, s.most));
        Value here = n.compare(CompareKind::eq, n.iota(shape, si64(n), 2), index);
        Value closed = both(n, overlaps(n, s, index), chosen);
        return LoopValues{{n.binary(BinaryKind::ior, keep, both(n, here, chosen)),
                           both(n, open, n.unary(graph::UnaryKind::bitnot, closed)),
                           n.add(count, n.cast(chosen, si64(n)))},
                          {}};
      });
  return last.carried[0];
}

/// The scalar operand `index`, cast, or a default.
static Value scalarOperand(NodeImporter &n, size_t index, Type type, double fallback) {
  if (!n.has(index))
    return n.scalar(type, fallback);
  Value value = singleElement(n, n.cast(n.operand(index), type), "operand " + std::to_string(index));
  return value ? value : n.scalar(type, fallback);
}

static void importNonMaxSuppression(NodeImporter &n) {
  if (!require(n, 2) || !requireRank(n, n.operand(0), 3, 3, "boxes") ||
      !requireRank(n, n.operand(1), 3, 3, "scores") || !requireFloat(n, n.operand(0)) ||
      !requireSameElements(n, {n.operand(0), n.operand(1)}))
    return;
  Value boxes = n.operand(0), scores = n.operand(1);
  Dims shape = dimsOf(scores), from = dimsOf(boxes);
  if (!n.requireEqual(from[0], shape[0], "batches of boxes and scores") ||
      !n.requireEqual(from[1], shape[2], "numbers of boxes and scores") ||
      !n.requireEqual(from[2], n.dim(4), "coordinates and 4"))
    return;
  boxes = withSize(n, withSize(n, withSize(n, boxes, 0, shape[0]), 1, shape[2]), 2, n.dim(4));
  Type type = n.elementType(boxes);
  Suppression s;
  auto [sorted, order] = n.sort(scores, 2, /*descending=*/true, shape[2]);
  Corners c = cornersOf(n, boxes, n.intAttr("center_point_box", 0));
  s.boxes = {ordered(n, c.top, order), ordered(n, c.left, order), ordered(n, c.bottom, order),
             ordered(n, c.right, order)};
  s.areas = n.mul(n.sub(s.boxes.bottom, s.boxes.top), n.sub(s.boxes.right, s.boxes.left));
  s.candidates = n.has(4) ? n.compare(CompareKind::gt, sorted, scalarOperand(n, 4, type, 0))
                          : filled(n, shape, n.b.getI1Type(), 1);
  s.threshold = scalarOperand(n, 3, type, 0);
  s.most = scalarOperand(n, 2, si64(n), 0);
  Value positions = n.hasFailed() ? Value() : truePositions(n, kept(n, s));
  if (!positions)
    return;
  AffineExpr count = dimsOf(positions)[0];
  Value box = graph::GatherNDOp::create(n.b, n.loc, tensorType(ArrayRef<AffineExpr>{count}, si64(n)), order,
                                        positions, 0);
  n.result(0, n.concat({n.sliceAxis(positions, 1, n.dim(0), n.dim(2)), n.unsqueeze(box, {1})}, 1));
}

llvm::ArrayRef<OpEntry> detectionOps() {
  static const OpEntry table[] = {
      {"NonMaxSuppression", importNonMaxSuppression},
  };
  return table;
}

} // namespace tilewright::frontend
