// Scales into weights: what multiplies the output channels of a convolution or a product, as batch
// normalisation does, multiplies its constant weights and bias instead.
//
// Why this ends: each rewrite lowers the number of multiplications whose operands are not all constant.
#include "ir/Symbols.h"
#include "mlir/IR/PatternMatch.h"
#include "passes/Passes.h"
#include "passes/Reach.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::passes {
namespace {

RankedTensorType tensorOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()); }

/// The elements of a constant that is repeated along all dimensions but one: as many as there are channels,
/// or one. Nothing where it is not constant, or varies otherwise.
std::optional<int64_t> elementsAlong(Value value, int64_t channel) {
  auto repeat = value.getDefiningOp<BroadcastOp>();
  if (!repeat || repeat.getExact() || !isConstantExpression(repeat.getOperand()))
    return std::nullopt;
  int64_t size = 1;
  for (auto [extent, dim] : llvm::zip(tensorOf(repeat.getOperand()).getShape(), repeat.getDims()))
    if (extent != 1) {
      if (dim != channel)
        return std::nullopt;
      size = extent;
    }
  return size;
}

/// What elementsAlong() counts, as a vector or a scalar.
Value vectorOf(PatternRewriter &b, Value repeated, int64_t size) {
  Value source = repeated.getDefiningOp<BroadcastOp>().getOperand();
  auto type = RankedTensorType::get(size == 1 ? ArrayRef<int64_t>() : ArrayRef(size),
                                    tensorOf(source).getElementType());
  return source.getType() == type ? source : Value(ReshapeOp::create(b, repeated.getLoc(), type, source));
}

/// `x` times a vector over its dimension `dim`, or times a scalar.
Value scaled(PatternRewriter &b, Location loc, Value x, Value scale, int64_t dim) {
  SmallVector<int64_t> dims(tensorOf(scale).getRank(), dim);
  Value repeated =
      scale.getType() == x.getType() ? scale : Value(BroadcastOp::create(b, loc, x.getType(), scale, dims));
  return BinaryOp::create(b, loc, x.getType(), BinaryKind::mul, x, repeated);
}

/// The dimension of the weights that becomes dimension `channel` of the result; nothing where that is not one
/// dimension.
struct Channels {
  int64_t ofResult, ofWeights;
};
std::optional<Channels> channelsOf(Operation *op) {
  if (auto conv = dyn_cast_or_null<ConvOp>(op))
    return conv.getChannelsLast() ? std::optional<Channels>() : Channels{1, 0};
  auto contract = dyn_cast_or_null<ContractOp>(op);
  if (!contract || tensorOf(contract.getRhs()).getRank() != 2 || contract.getRhsContract().size() != 1)
    return std::nullopt;
  return Channels{tensorOf(contract.getResult()).getRank() - 1, 1 - contract.getRhsContract()[0]};
}

struct FoldScale : OpRewritePattern<BinaryOp> {
  FoldScale(MLIRContext *context, const ValueSet &decisive) : OpRewritePattern(context), decisive(decisive) {}
  LogicalResult matchAndRewrite(BinaryOp op, PatternRewriter &b) const override {
    Type element = tensorOf(op.getResult()).getElementType();
    if (op.getKind() != BinaryKind::mul || !(element.isF32() || element.isF64()) ||
        decisive.contains(op.getResult()))
      return failure();
    return success(succeeded(fold(op, op.getLhs(), op.getRhs(), b)) ||
                   succeeded(fold(op, op.getRhs(), op.getLhs(), b)));
  }

private:
  static LogicalResult fold(BinaryOp op, Value product, Value scale, PatternRewriter &b) {
    Operation *root = product.getDefiningOp();
    Value bias;
    if (auto sum = dyn_cast_or_null<BinaryOp>(root);
        sum && sum.getKind() == BinaryKind::add && sum->hasOneUse()) {
      const bool biasFirst = sum.getLhs().getDefiningOp<BroadcastOp>();
      bias = biasFirst ? sum.getLhs() : sum.getRhs();
      root = (biasFirst ? sum.getRhs() : sum.getLhs()).getDefiningOp();
    }
    auto channels = channelsOf(root);
    if (!channels || !root->hasOneUse() || !isConstantExpression(root->getOperand(1)))
      return failure();
    const auto factors = elementsAlong(scale, channels->ofResult),
               offsets = bias ? elementsAlong(bias, channels->ofResult) : std::optional<int64_t>(1);
    if (!factors || !offsets)
      return failure();
    Value factor = vectorOf(b, scale, *factors), offset = bias ? vectorOf(b, bias, *offsets) : Value();
    Location loc = op.getLoc();
    Operation *moved = b.clone(*root);
    moved->setOperand(1, scaled(b, loc, root->getOperand(1), factor, channels->ofWeights));
    moved->moveBefore(op);
    Value result = moved->getResult(0);
    if (bias) {
      if (tensorOf(offset).getRank() < tensorOf(factor).getRank())
        std::swap(offset, factor);
      Value both = scaled(b, loc, offset, factor, 0);
      SmallVector<int64_t> dims(tensorOf(both).getRank(), channels->ofResult);
      Value repeated = BroadcastOp::create(b, loc, result.getType(), both, dims);
      result = BinaryOp::create(b, loc, result.getType(), BinaryKind::add, result, repeated);
    }
    b.replaceOp(op, result);
    return success();
  }

  const ValueSet &decisive; ///< ops that are made here are not in it, and no products of their own
};

} // namespace

LogicalResult foldScales(ModuleOp module, Budget *budget) {
  RewritePatternSet patterns(module.getContext());
  const ValueSet decisive =
      valuesReaching(module, [](Operation *op) { return isStep(op, /*strictly=*/false); });
  patterns.add<FoldScale>(module.getContext(), decisive);
  return rewriteToEnd(module, std::move(patterns), "fold-scales", budget);
}

} // namespace tilewright::passes
