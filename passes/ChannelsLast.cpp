// Channels last: convolutions and windows read one pixel's channels side by side, the layout of the fast
// kernels. Each is rewritten between a transpose in front and one behind; the transposes then sink through
// what does not care about the order until they cancel.
//
// Why this ends. Each rewrite lowers, in this order: (1) the convolutions and windows that are not in the new
// order; (2) the sum over the ops, broadcasts aside, of the turns that each has left, `mostTurns` less those
// it took: every sinking lowers it by one for the op that it sinks through, and only this makes broadcasts;
// (3) the same sum over the broadcasts; (4) the transposes. In three dimensions the layout is its own
// inverse, so the form of a transpose cannot tell whether it has been here before: that is why turns are
// counted.
#include "ir/GraphBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::passes {
namespace {

SmallVector<int64_t> toLast(size_t rank) { // [N, C, spatial...] -> [N, spatial..., C]
  SmallVector<int64_t> perm{0};
  for (size_t i = 2; i < rank; ++i)
    perm.push_back(i);
  perm.push_back(1);
  return perm;
}

SmallVector<int64_t> inverse(ArrayRef<int64_t> perm) {
  SmallVector<int64_t> result(perm.size());
  for (auto [i, dim] : llvm::enumerate(perm))
    result[dim] = i;
  return result;
}

Value transposed(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> perm) {
  Dims from = dimsOf(x), to;
  for (int64_t dim : perm)
    to.push_back(from[dim]);
  return TransposeOp::create(
      b, loc, tensorType(to, llvm::cast<RankedTensorType>(x.getType()).getElementType()), x, perm);
}

RankedTensorType tensorOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()); }

Type permuted(Type type, ArrayRef<int64_t> perm) {
  Dims from = dimsOf(type), to;
  for (int64_t dim : perm)
    to.push_back(from[dim]);
  return tensorType(to, llvm::cast<RankedTensorType>(type).getElementType());
}

/// How often the dimensions of one op may be permuted: once for the convolution in front and once for a
/// layout that the model itself changes, and one to spare.
constexpr int64_t mostTurns = 3;
constexpr llvm::StringLiteral turnsAttribute = "channels_last.turns";

int64_t turnsOf(Operation *op) {
  auto turns = op->getAttrOfType<IntegerAttr>(turnsAttribute);
  return turns ? turns.getInt() : 0;
}

bool mayTurn(Operation *op) { return turnsOf(op) < mostTurns; }

/// `moved` stands for `op` with its dimensions permuted: it has one turn less.
template <class Op> Op turned(Op moved, Operation *op) {
  Builder b(op->getContext());
  moved->setAttr(turnsAttribute, b.getI64IntegerAttr(turnsOf(op) + 1));
  return moved;
}

struct ConvLast : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &b) const override {
    if (op.getChannelsLast())
      return failure();
    size_t rank = dimsOf(op.getLhs()).size();
    auto perm = toLast(rank);
    SmallVector<int64_t> weights; // [O, I, spatial...] -> [spatial..., I, O]
    for (size_t i = 2; i < rank; ++i)
      weights.push_back(i);
    weights.append({1, 0});
    Value x = transposed(b, op.getLoc(), op.getLhs(), perm),
          w = transposed(b, op.getLoc(), op.getRhs(), weights);
    auto last =
        ConvOp::create(b, op.getLoc(), permuted(op.getType(), perm), x, w, op.getStrides(), op.getLow(),
                       op.getLhsDilation(), op.getRhsDilation(), op.getGroups(), /*channelsLast=*/true);
    b.replaceOp(op, transposed(b, op.getLoc(), last, inverse(perm)));
    return success();
  }
};

struct WindowLast : OpRewritePattern<WindowOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(WindowOp op, PatternRewriter &b) const override {
    if (op.getChannelsLast())
      return failure();
    auto perm = toLast(dimsOf(op.getOperand()).size());
    Value x = transposed(b, op.getLoc(), op.getOperand(), perm);
    auto last = WindowOp::create(b, op.getLoc(), permuted(op.getType(), perm), op.getKind(), x,
                                 op.getKernel(), op.getStrides(), op.getDilations(), op.getLow(),
                                 /*channelsLast=*/true);
    b.replaceOp(op, transposed(b, op.getLoc(), last, inverse(perm)));
    return success();
  }
};

/// From channels last to channels first: the only transposes that are moved.
bool isLayout(ArrayRef<int64_t> perm) {
  return perm.size() >= 3 && ArrayRef<int64_t>(inverse(toLast(perm.size()))) == perm;
}

/// The dimensions that a broadcast's operand goes to before the transpose by `perm`, and the order in which
/// the operand must have its dimensions for that: they stay in increasing order.
struct Repetition {
  SmallVector<int64_t> dims, order;
  Repetition(BroadcastOp repeat, ArrayRef<int64_t> perm) {
    SmallVector<std::pair<int64_t, int64_t>> moved; // result dimension i becomes dimension perm[i]
    for (auto [i, dim] : llvm::enumerate(repeat.getDims()))
      moved.push_back({perm[dim], int64_t(i)});
    llvm::sort(moved);
    for (auto [dim, i] : moved)
      dims.push_back(dim), order.push_back(i);
  }
};

/// A value that can be permuted for free: constants, the inverse transpose, and what repeats a value that
/// needs no transpose for it or only one of constants.
bool permutesFreely(Value v, ArrayRef<int64_t> perm) {
  if (auto t = v.getDefiningOp<TransposeOp>())
    return t.getPerm() == perm;
  if (auto repeat = v.getDefiningOp<BroadcastOp>())
    return mayTurn(repeat) &&
           (llvm::is_sorted(Repetition(repeat, perm).order) || isConstantExpression(repeat.getOperand()) ||
            tensorOf(repeat.getOperand()).getRank() < int64_t(perm.size()));
  return isConstantExpression(v);
}

/// `v` with its dimensions in the order before the transposes by `perm`.
Value beforeTranspose(PatternRewriter &b, Value v, ArrayRef<int64_t> perm) {
  if (auto t = v.getDefiningOp<TransposeOp>(); t && t.getPerm() == perm)
    return t.getOperand();
  auto back = inverse(perm);
  if (auto repeat = v.getDefiningOp<BroadcastOp>(); repeat && permutesFreely(v, perm)) {
    Repetition before(repeat, perm);
    Value operand = repeat.getOperand();
    if (!llvm::is_sorted(before.order))
      operand = transposed(b, v.getLoc(), operand, before.order);
    return turned(BroadcastOp::create(b, v.getLoc(), permuted(v.getType(), back), operand, before.dims,
                                      repeat.getExact()),
                  repeat);
  }
  return transposed(b, v.getLoc(), v, back);
}

/// op(transpose x, transpose y) -> transpose(op(x, y)) for element-wise ops, when every operand is a
/// transpose or free, and one of them is a transpose that nothing else needs (or all others are free).
struct SinkThroughElementwise : RewritePattern {
  SinkThroughElementwise(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &b) const override {
    if (!isElementwise(op) || !mayTurn(op))
      return failure();
    TransposeOp first;
    for (Value operand : op->getOperands())
      if (auto t = operand.getDefiningOp<TransposeOp>(); t && !isConstantExpression(operand))
        first = first ? first : t;
    if (!first)
      return failure();
    SmallVector<int64_t> perm(first.getPerm());
    if (!isLayout(perm) || isConstantExpression(op->getResult(0)))
      return failure();
    unsigned transposes = 0, others = 0;
    for (Value operand : op->getOperands()) {
      auto t = operand.getDefiningOp<TransposeOp>();
      if (t && t.getPerm() == ArrayRef(perm))
        ++transposes;
      else if (!permutesFreely(operand, perm))
        ++others;
    }
    // Foreign operands are transposed instead when fewer than the transposes this removes: the count goes
    // down, so this ends.
    if (others >= transposes && !(others == transposes && perm.size() > 3 && first->hasOneUse()))
      return failure();
    b.setInsertionPoint(op);
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(beforeTranspose(b, operand, perm));
    OperationState state(op->getLoc(), op->getName(), operands,
                         {permuted(op->getResult(0).getType(), inverse(perm))}, op->getAttrs());
    state.propertiesAttr = op->getPropertiesAsAttribute();
    Operation *moved = turned(b.create(state), op);
    b.replaceOp(op, transposed(b, op->getLoc(), moved->getResult(0), perm));
    return success();
  }
};

template <class Op> struct SinkThrough : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    auto t = op.getOperand().template getDefiningOp<TransposeOp>();
    if (!t || !mayTurn(op) || !isLayout(t.getPerm()) || isConstantExpression(op.getOperand()))
      return failure();
    return sink(op, t, b);
  }

  static AffineMap permutedMap(AffineMap map, ArrayRef<int64_t> perm) {
    Dims exprs(map.getNumResults());
    for (auto [i, dim] : llvm::enumerate(perm))
      exprs[dim] = map.getResult(i);
    return mapOf(exprs, map.getContext());
  }

  static LogicalResult sink(PadOp op, TransposeOp t, PatternRewriter &b) {
    auto moved =
        turned(PadOp::create(b, op.getLoc(), permuted(op.getType(), inverse(t.getPerm())), t.getOperand(),
                             op.getValue(), permutedMap(op.getLow(), t.getPerm()), op.getMode()),
               op);
    b.replaceOp(op, transposed(b, op.getLoc(), moved, t.getPerm()));
    return success();
  }

  static LogicalResult sink(SliceOp op, TransposeOp t, PatternRewriter &b) {
    SmallVector<int64_t> steps(op.getSteps().size());
    for (auto [i, dim] : llvm::enumerate(t.getPerm()))
      steps[dim] = op.getSteps()[i];
    auto moved = turned(SliceOp::create(b, op.getLoc(), permuted(op.getType(), inverse(t.getPerm())),
                                        t.getOperand(), permutedMap(op.getStarts(), t.getPerm()), steps),
                        op);
    b.replaceOp(op, transposed(b, op.getLoc(), moved, t.getPerm()));
    return success();
  }

  /// The kept dimensions come out in the order the transpose gives them.
  static LogicalResult sink(ReduceOp op, TransposeOp t, PatternRewriter &b) {
    SmallVector<int64_t> reduced, kept;
    for (int64_t dim : op.getDims())
      reduced.push_back(t.getPerm()[dim]);
    llvm::sort(reduced);
    for (auto [i, dim] : llvm::enumerate(t.getPerm()))
      if (!llvm::is_contained(op.getDims(), int64_t(i)))
        kept.push_back(dim);
    SmallVector<int64_t> sorted(kept);
    llvm::sort(sorted);
    SmallVector<int64_t> perm;
    for (int64_t dim : kept)
      perm.push_back(llvm::find(sorted, dim) - sorted.begin());
    auto moved = turned(ReduceOp::create(b, op.getLoc(), permuted(op.getType(), inverse(perm)), op.getKind(),
                                         t.getOperand(), reduced),
                        op);
    if (llvm::is_sorted(perm))
      b.replaceOp(op, moved.getResult());
    else
      b.replaceOp(op, transposed(b, op.getLoc(), moved, perm));
    return success();
  }

  /// Broadcasts that keep the rank: sizes that are checked when the model runs.
  static LogicalResult sink(BroadcastOp op, TransposeOp t, PatternRewriter &b) {
    if (op.getDims().size() != t.getPerm().size() || op.getDims().size() != dimsOf(op.getResult()).size())
      return failure();
    auto moved = turned(BroadcastOp::create(b, op.getLoc(), permuted(op.getType(), inverse(t.getPerm())),
                                            t.getOperand(), op.getDims(), op.getExact()),
                        op);
    b.replaceOp(op, transposed(b, op.getLoc(), moved, t.getPerm()));
    return success();
  }

  static LogicalResult sink(GatherOp op, TransposeOp t, PatternRewriter &b) {
    // Only one-dimensional (or scalar-free) index lists keep the rank: resizes by axis.
    if (llvm::cast<RankedTensorType>(op.getIndices().getType()).getRank() != 1)
      return failure();
    auto moved = turned(GatherOp::create(b, op.getLoc(), permuted(op.getType(), inverse(t.getPerm())),
                                         t.getOperand(), op.getIndices(), t.getPerm()[op.getAxis()]),
                        op);
    b.replaceOp(op, transposed(b, op.getLoc(), moved, t.getPerm()));
    return success();
  }
};

struct SinkThroughConcat : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op, PatternRewriter &b) const override {
    TransposeOp first;
    unsigned transposes = 0;
    for (Value operand : op.getOperands())
      if (auto t = operand.getDefiningOp<TransposeOp>(); t && isLayout(t.getPerm())) {
        first = first ? first : t;
        transposes += t.getPerm() == first.getPerm();
      }
    bool most = transposes * 2 > op.getOperands().size() ||
                (transposes * 2 == op.getOperands().size() && first.getPerm().size() > 3);
    if (!first || !most || !mayTurn(op))
      return failure();
    SmallVector<int64_t> perm(first.getPerm());
    SmallVector<Value> operands;
    for (Value operand : op.getOperands()) {
      auto t = operand.getDefiningOp<TransposeOp>();
      operands.push_back(t && t.getPerm() == ArrayRef(perm)
                             ? t.getOperand()
                             : transposed(b, op.getLoc(), operand, inverse(perm)));
    }
    auto moved = turned(
        ConcatOp::create(b, op.getLoc(), permuted(op.getType(), inverse(perm)), operands, perm[op.getAxis()]),
        op);
    b.replaceOp(op, transposed(b, op.getLoc(), moved, perm));
    return success();
  }
};

struct CancelTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &b) const override {
    auto inner = op.getOperand().getDefiningOp<TransposeOp>();
    if (!inner)
      return failure();
    SmallVector<int64_t> perm;
    for (int64_t dim : op.getPerm())
      perm.push_back(inner.getPerm()[dim]);
    if (llvm::is_sorted(perm))
      b.replaceOp(op, inner.getOperand());
    else
      b.replaceOpWithNewOp<TransposeOp>(op, op.getType(), inner.getOperand(), perm);
    return success();
  }
};

} // namespace

LogicalResult channelsLast(ModuleOp module, Budget *budget) {
  MLIRContext *context = module.getContext();
  bool any = false;
  module.walk([&](Operation *op) { any |= isa<ConvOp, WindowOp>(op); });
  if (!any)
    return success();
  RewritePatternSet patterns(context);
  patterns.add<ConvLast, WindowLast, SinkThroughElementwise, SinkThroughConcat, CancelTransposes,
               SinkThrough<PadOp>, SinkThrough<SliceOp>, SinkThrough<ReduceOp>, SinkThrough<GatherOp>,
               SinkThrough<BroadcastOp>>(context);
  if (failed(rewriteToEnd(module, std::move(patterns), "channels-last", budget)))
    return failure();
  module.walk([](Operation *op) { op->removeDiscardableAttr(turnsAttribute); });
  return success();
}

} // namespace tilewright::passes
