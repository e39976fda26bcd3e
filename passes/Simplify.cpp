// Graph-level cleaning, run to a fixed point by MLIR's greedy driver.
//
// Why this ends. Each rewrite lowers the first of these that it changes: (1) the spatial dimensions of all
// convolutions, and the pads in front of them; (2) the divisions; (3) the ops that compute (element-wise ones
// and casts) or could be folded; (4) the sum of the ranks of what is transposed; (5) the broadcasts, and then
// (6) the sum over broadcasts and reshapes of the ops of either kind above them up to the first of another.
// Nothing puts back what an earlier number counts.
#include "ir/GraphBuilder.h"
#include "ir/interpreter/Interpreter.h"
#include "ir/interpreter/Work.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/CSE.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::passes {
namespace {

RankedTensorType tensorOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()); }

/// The number that all elements of a constant have; looks through broadcasts and reshapes.
std::optional<double> splatValue(Value value) {
  while (isa_and_present<BroadcastOp, ReshapeOp>(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  auto constant = value.getDefiningOp<ConstantOp>();
  auto dense = constant ? llvm::dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
  if (!dense || !dense.isSplat() || dense.getNumElements() == 0)
    return std::nullopt;
  if (llvm::isa<FloatType>(dense.getElementType())) {
    llvm::APFloat number = dense.getSplatValue<llvm::APFloat>();
    bool lossy;
    number.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &lossy);
    return number.convertToDouble();
  }
  llvm::APInt number = dense.getSplatValue<llvm::APInt>();
  if (number.getBitWidth() > 53 && number.getSignificantBits() > 53)
    return std::nullopt;
  bool isSigned = llvm::cast<IntegerType>(tensorOf(constant.getResult()).getElementType()).isSigned();
  return isSigned ? double(number.getSExtValue()) : double(number.getZExtValue());
}

/// Elements that folding one op may take; what needs more is left to the recipes of constants or the run.
constexpr double mostWork = 1 << 20;

/// A pure op over constants becomes a constant when that is small. Splats are folded at any size through
/// their scalar.
struct FoldConstants : RewritePattern {
  FoldConstants(MLIRContext *context, uint64_t limit)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context), limit(limit) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (isa<ConstantOp, WeightOp>(op) || !isa_and_present<GraphDialect>(op->getDialect()) || !isPure(op) ||
        op->getNumRegions() || op->getNumResults() == 0 || (op->getNumOperands() == 0 && !isa<IotaOp>(op)))
      return failure();
    for (Value result : op->getResults())
      if (!tensorOf(result).hasStaticShape() ||
          tensorOf(result).getNumElements() * byteWidth(tensorOf(result).getElementType()) > int64_t(limit))
        return failure();
    for (Value operand : op->getOperands())
      if (!operand.getDefiningOp<ConstantOp>())
        return failure();
    if (interpreter::workOf(op) > mostWork)
      return failure();
    interpreter::ConstantEvaluator constants;
    auto folded = interpreter::fold(op, limit, constants);
    if (failed(folded))
      return failure();
    SmallVector<Value> values;
    for (auto [result, attribute] : llvm::zip(op->getResults(), *folded))
      values.push_back(ConstantOp::create(rewriter, op->getLoc(), tensorOf(result), attribute));
    rewriter.replaceOp(op, values);
    return success();
  }
  uint64_t limit;
};

struct MergeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    if (op.getOperand().getType() == op.getType()) {
      rewriter.replaceOp(op, op.getOperand());
      return success();
    }
    auto inner = op.getOperand().getDefiningOp<ReshapeOp>();
    if (!inner)
      return failure();
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), inner.getOperand());
    return success();
  }
};

/// A reshape that joins dimensions which lie behind each other in what is transposed: they are joined first,
/// which is a view, and fewer are transposed.
struct JoinBeforeTranspose : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto transpose = op.getOperand().getDefiningOp<TransposeOp>();
    if (!transpose || !transpose->hasOneUse() || isConstantExpression(transpose.getResult()))
      return failure();
    Dims from = dimsOf(op.getOperand()), to = dimsOf(op.getResult());
    ArrayRef<int64_t> perm = transpose.getPerm();
    SmallVector<std::pair<int64_t, AffineExpr>>
        groups; // the first dimension in front of the transpose, and the size
    size_t next = 0;
    for (AffineExpr size : to) {
      if (next == from.size())
        return failure();
      const size_t first = next++;
      AffineExpr product = from[first];
      while (product != size && next < from.size() && perm[next] == perm[next - 1] + 1)
        product = canonical(product * from[next++]);
      if (product != size)
        return failure();
      groups.push_back({perm[first], size});
    }
    if (next != from.size() || groups.size() == from.size())
      return failure();
    SmallVector<std::pair<int64_t, AffineExpr>> before(groups);
    llvm::sort(before, [](auto &x, auto &y) { return x.first < y.first; });
    Dims joined;
    for (auto &[first, size] : before)
      joined.push_back(size);
    SmallVector<int64_t> order;
    for (auto &group : groups)
      order.push_back(llvm::find_if(before, [&](auto &other) { return other.first == group.first; }) -
                      before.begin());
    Value view = ReshapeOp::create(rewriter, op.getLoc(),
                                   tensorType(joined, tensorOf(op.getOperand()).getElementType()),
                                   transpose.getOperand());
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), view, order);
    return success();
  }
};

struct MergeTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    if (auto inner = op.getOperand().getDefiningOp<TransposeOp>()) {
      SmallVector<int64_t> perm;
      for (int64_t dim : op.getPerm())
        perm.push_back(inner.getPerm()[dim]);
      if (llvm::is_sorted(perm))
        rewriter.replaceOp(op, inner.getOperand());
      else
        rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), inner.getOperand(), perm);
      return success();
    }
    // Moving only dimensions of size 1 is a reshape: a view.
    SmallVector<int64_t> order;
    for (int64_t dim : op.getPerm())
      if (tensorOf(op.getOperand()).getDimSize(dim) != 1)
        order.push_back(dim);
    if (!llvm::is_sorted(order))
      return failure();
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), op.getOperand());
    return success();
  }
};

/// broadcast(broadcast x), and broadcasts that only add dimensions of size 1.
struct MergeBroadcasts : OpRewritePattern<BroadcastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BroadcastOp op, PatternRewriter &rewriter) const override {
    if (op.getOperand().getType() == op.getType()) {
      rewriter.replaceOp(op, op.getOperand());
      return success();
    }
    if (auto inner = op.getOperand().getDefiningOp<BroadcastOp>()) {
      SmallVector<int64_t> dims;
      for (int64_t dim : inner.getDims())
        dims.push_back(op.getDims()[dim]);
      rewriter.replaceOpWithNewOp<BroadcastOp>(op, op.getType(), inner.getOperand(), dims,
                                               op.getExact() && inner.getExact());
      return success();
    }
    // A reshape that only inserts or removes ones is part of the broadcast.
    if (auto view = op.getOperand().getDefiningOp<ReshapeOp>())
      if (auto dims = throughOnes(view, op.getDims())) {
        rewriter.replaceOpWithNewOp<BroadcastOp>(op, op.getType(), view.getOperand(), *dims);
        return success();
      }
    if (elementCount(op.getOperand().getType()) == elementCount(op.getType()) &&
        tensorOf(op.getResult()).hasStaticShape()) {
      rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), op.getOperand());
      return success();
    }
    return failure();
  }

  /// Where the dimensions of the view's operand go; each must meet a dimension of the view of the same size.
  static std::optional<SmallVector<int64_t>> throughOnes(ReshapeOp view, ArrayRef<int64_t> dims) {
    Dims from = dimsOf(view.getOperand()), to = dimsOf(view.getResult());
    SmallVector<int64_t> result;
    size_t next = 0;
    for (AffineExpr size : from) {
      while (next < to.size() && to[next] != size && constantOf(to[next]) == 1)
        ++next;
      if (next == to.size() || to[next] != size)
        return std::nullopt;
      result.push_back(dims[next++]);
    }
    while (next < to.size() && constantOf(to[next]) == 1)
      ++next;
    return next == to.size() ? std::optional(result) : std::nullopt;
  }
};

struct DropCasts : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    if (op.getOperand().getType() != op.getType())
      return failure();
    rewriter.replaceOp(op, op.getOperand());
    return success();
  }
};

/// x + 0, x * 1, x / 1, x - 0 and the like; exact for every x but the sign of a zero in x + 0 and NaN
/// payloads.
struct NeutralElements : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BinaryOp op, PatternRewriter &rewriter) const override {
    auto left = splatValue(op.getLhs()), right = splatValue(op.getRhs());
    auto keep = [&](Value v) {
      rewriter.replaceOp(op, v);
      return success();
    };
    switch (op.getKind()) {
    case BinaryKind::add:
      if (right == 0.0)
        return keep(op.getLhs());
      return left == 0.0 ? keep(op.getRhs()) : failure();
    case BinaryKind::sub:
      return right == 0.0 ? keep(op.getLhs()) : failure();
    case BinaryKind::mul:
      if (right == 1.0)
        return keep(op.getLhs());
      return left == 1.0 ? keep(op.getRhs()) : failure();
    case BinaryKind::div:
    case BinaryKind::pow:
      return right == 1.0 ? keep(op.getLhs()) : failure();
    default:
      return failure();
    }
  }
};

/// x / c is x * (1 / c) when 1 / c is exact (a power of two): the quotient is the same, and division is dear.
struct ExactReciprocals : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BinaryOp op, PatternRewriter &rewriter) const override {
    auto divisor = splatValue(op.getRhs());
    Type element = tensorOf(op.getResult()).getElementType();
    if (op.getKind() != BinaryKind::div || !element.isF32() || !divisor)
      return failure();
    int exponent;
    if (std::abs(std::frexp(*divisor, &exponent)) != 0.5 || std::abs(exponent) > 100)
      return failure();
    Value factor =
        ConstantOp::create(rewriter, op.getLoc(), RankedTensorType::get({}, element),
                           DenseElementsAttr::get(RankedTensorType::get({}, element),
                                                  rewriter.getF32FloatAttr(float(1.0 / *divisor))));
    Value repeated =
        tensorOf(op.getResult()).getRank() == 0
            ? factor
            : Value(BroadcastOp::create(rewriter, op.getLoc(), op.getType(), factor, ArrayRef<int64_t>()));
    rewriter.replaceOpWithNewOp<BinaryOp>(op, op.getType(), BinaryKind::mul, op.getLhs(), repeated);
    return success();
  }
};

/// A zero pad in front of a convolution is the convolution's own padding.
struct PadIntoConv : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    auto pad = op.getLhs().getDefiningOp<PadOp>();
    if (!pad || pad.getMode() != PadMode::constant || splatValue(pad.getValue()) != 0.0)
      return failure();
    size_t spatial = op.getStrides().size(), first = op.getChannelsLast() ? 1 : 2;
    Dims before = dimsOf(pad.getOperand()), after = dimsOf(pad.getResult()), low;
    for (size_t i = 0; i < before.size(); ++i)
      if ((i < first || i >= first + spatial) && before[i] != after[i])
        return failure();
    for (size_t i = 0; i < spatial; ++i) {
      if (op.getLhsDilation()[i] != 1)
        return failure();
      low.push_back(canonical(op.getLow().getResult(i) + pad.getLow().getResult(first + i)));
    }
    rewriter.modifyOpInPlace(op, [&] {
      op.getLhsMutable().assign(pad.getOperand());
      op.setLowAttr(AffineMapAttr::get(mapOf(low, op.getContext())));
    });
    return success();
  }
};

/// A transposed convolution whose windows do not overlap (kernel = spreading, no padding) is a product and a
/// permutation: [N, H, W, C] x [C, kh, kw, O] -> [N, H, W, kh, kw, O] -> [N, H, kh, W, kw, O].
struct ConvToContract : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    size_t spatial = op.getStrides().size();
    if (!op.getChannelsLast() || op.getGroups() != 1 ||
        llvm::all_of(op.getLhsDilation(), [](int64_t d) { return d == 1; }))
      return failure();
    Dims x = dimsOf(op.getLhs()), w = dimsOf(op.getRhs()), out = dimsOf(op.getResult());
    for (size_t i = 0; i < spatial; ++i) {
      auto taps = constantOf(w[i]);
      bool fits = taps && *taps == op.getLhsDilation()[i] && op.getStrides()[i] == 1 &&
                  op.getRhsDilation()[i] == 1 && constantOf(op.getLow().getResult(i)) == *taps - 1 &&
                  provablyEqual(out[i + 1], x[i + 1] * *taps);
      if (!fits)
        return failure();
    }
    ModuleOp module = op->getParentOfType<ModuleOp>();
    SymbolTable symbols(module);
    GraphBuilder g(rewriter, op.getLoc(), symbols);
    // Tap t of output k * taps + r is taps - 1 - r: reversed. Rows of the product: input channels.
    Dims starts(w.size(), g.dim(0));
    SmallVector<int64_t> steps(w.size(), 1);
    for (size_t i = 0; i < spatial; ++i) {
      starts[i] = w[i] - 1;
      steps[i] = -1;
    }
    Value weights = g.slice(op.getRhs(), starts, steps, w);
    Value product = g.contract(op.getLhs(), weights, {}, {}, {int64_t(spatial) + 1}, {int64_t(spatial)},
                               tensorOf(op.getResult()).getElementType());
    SmallVector<int64_t> perm{0}; // [N, spatial..., taps..., O] -> [N, (spatial, tap)..., O]
    for (size_t i = 0; i < spatial; ++i)
      perm.append({int64_t(1 + i), int64_t(1 + spatial + i)});
    perm.push_back(1 + 2 * spatial);
    rewriter.replaceOp(op, g.reshape(g.transpose(product, perm), out));
    return success();
  }
};

/// A spatial dimension of size 1 under a kernel of size 1 is no dimension: register tiles run along the
/// innermost one that is left.
struct DropUnitSpatial : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    size_t spatial = op.getStrides().size();
    if (!op.getChannelsLast() || spatial < 2)
      return failure();
    Dims x = dimsOf(op.getLhs()), w = dimsOf(op.getRhs()), out = dimsOf(op.getResult()),
         low(op.getLow().getResults());
    for (size_t i = 0; i < spatial; ++i) {
      if (constantOf(x[i + 1]) != 1 || constantOf(w[i]) != 1 || constantOf(out[i + 1]) != 1 ||
          constantOf(low[i]) != 0)
        continue;
      auto without = [&](auto list, size_t at) {
        list.erase(list.begin() + at);
        return list;
      };
      auto attribute = [&](ArrayRef<int64_t> list) { return without(SmallVector<int64_t>(list), i); };
      SymbolTable symbols(op->getParentOfType<ModuleOp>());
      GraphBuilder g(rewriter, op.getLoc(), symbols);
      Value narrow = ConvOp::create(
          rewriter, op.getLoc(), tensorType(without(out, i + 1), tensorOf(op.getResult()).getElementType()),
          g.reshape(op.getLhs(), without(x, i + 1)), g.reshape(op.getRhs(), without(w, i)),
          attribute(op.getStrides()), mapOf(without(low, i), op.getContext()), attribute(op.getLhsDilation()),
          attribute(op.getRhsDilation()), op.getGroups(),
          /*channelsLast=*/true);
      rewriter.replaceOp(op, g.reshape(narrow, out));
      return success();
    }
    return failure();
  }
};

/// Reads of an if or loop that is never entered, and other dead control flow, are left to the program; dead
/// pure ops go.
void eraseDead(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        eraseDead(inner);
    if (op.use_empty() && isPure(&op) && !op.hasTrait<OpTrait::IsTerminator>())
      op.erase();
  }
}

} // namespace

LogicalResult simplify(ModuleOp module, Budget *budget, uint64_t foldLimit) {
  MLIRContext *context = module.getContext();
  RewritePatternSet patterns(context);
  patterns.add<FoldConstants>(context, foldLimit);
  patterns.add<MergeReshapes, JoinBeforeTranspose, MergeTransposes, MergeBroadcasts, DropCasts,
               NeutralElements, ExactReciprocals, PadIntoConv, ConvToContract, DropUnitSpatial>(context);
  FrozenRewritePatternSet frozen(std::move(patterns));
  for (auto function : module.getOps<func::FuncOp>()) {
    if (failed(rewriteToEnd(function, frozen, "simplify", budget)))
      return failure();
    DominanceInfo dominance(function);
    IRRewriter rewriter(context);
    eliminateCommonSubExpressions(rewriter, dominance, function);
    eraseDead(function.getBody().front());
  }
  return success();
}

} // namespace tilewright::passes
