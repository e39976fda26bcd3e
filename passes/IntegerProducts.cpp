// Products of dequantised operands become products of the integers themselves.
//
//   sum (a - za) sa (b - zb) sb = sa sb (sum a b - za sum b - zb sum a + k za zb)
//
// The sums are exact in 32 bits: |a - za| and |b - zb| are at most 255, so up to 32768 terms fit, and what
// is added on the way may wrap. Sums of constants are constants. What moves dequantised values moves the
// integers instead, so that they meet the product, and quantising what was just dequantised is nothing.
//
// Why this ends: each rewrite lowers the products and convolutions of floats, or else the ops that move or
// quantise floats which were dequantised.
#include "mlir/IR/PatternMatch.h"
#include "passes/Dequantized.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::passes {
namespace {

constexpr int64_t mostTerms = 32768;

RankedTensorType tensorOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()); }
Type s32(MLIRContext *context) { return IntegerType::get(context, 32, IntegerType::Signed); }

/// An operand of a product: integers, and per tensor or per entry of one dimension a zero point (si32, null
/// for none) and a scale (f32).
struct Operand {
  Value q;
  Parameter zero, scale;
};

/// Whether a product of both may be one of integers. Panels of a right operand that only a run knows are
/// floats, or wide integers, which are slower.
bool haveIntegers(Value left, Value right) {
  auto weight = dequantized(right);
  return weight && isConstantExpression(weight->q) && dequantized(left);
}

/// Along which dimensions an operand's parameters vary; -1: none.
struct Varies {
  int64_t zero = -1, scale = -1;
};
/// Nothing where `value` is none of at least `fewestBits` bits. Makes no ops: patterns may not, before they
/// succeed.
std::optional<Varies> operandVaries(Value value, unsigned fewestBits = 8) {
  auto d = dequantized(value);
  if (!d || d->element().getIntOrFloatBitWidth() < fewestBits || (d->zero && !areWholeNumbers(d->zero)))
    return std::nullopt;
  auto scale = variesAlong(d->scale), zero = d->zero ? variesAlong(d->zero) : -1;
  return scale && zero ? std::optional(Varies{*zero, *scale}) : std::nullopt;
}

Operand operandOf(GraphBuilder &g, Value value) {
  Dequantized d = *dequantized(value);
  if (auto type = llvm::cast<IntegerType>(d.element()); type.getWidth() < 8)
    d.q = g.cast(d.q, IntegerType::get(g.b.getContext(), 8, type.getSignedness()));
  Operand operand{d.q, {}, parameterOf(g, d.scale)};
  if (d.zero) {
    operand.zero = parameterOf(g, d.zero);
    operand.zero.value = wholeNumbers(g, operand.zero.value);
  }
  return operand;
}

/// u8 constants become s8 by flipping the top bit, their zero point moves by 128: kernels multiply u8 by s8.
Operand signedConstant(GraphBuilder &g, Operand operand) {
  if (!GraphBuilder::elementType(operand.q).isUnsignedInteger(8) || !isConstantExpression(operand.q))
    return operand;
  Value flipped =
      g.binary(BinaryKind::ixor, operand.q, g.scalarInt(GraphBuilder::elementType(operand.q), 128));
  Value offset = g.scalarInt(s32(g.b.getContext()), operand.zero ? 128 : -128);
  operand.q = g.bitcast(flipped, IntegerType::get(g.b.getContext(), 8, IntegerType::Signed));
  operand.zero =
      operand.zero ? Parameter{g.sub(operand.zero.value, offset), operand.zero.dim} : Parameter{offset, -1};
  return operand;
}

/// Which dimension of the result each dimension of an operand becomes; -1 for contracted ones.
SmallVector<int64_t> resultDims(int64_t rank, ArrayRef<int64_t> batch, ArrayRef<int64_t> contracted,
                                int64_t firstFree) {
  SmallVector<int64_t> dims(rank, -1);
  for (auto [i, d] : llvm::enumerate(batch))
    dims[d] = i;
  for (int64_t d = 0; d < rank; ++d)
    if (!llvm::is_contained(batch, d) && !llvm::is_contained(contracted, d))
      dims[d] = firstFree++;
  return dims;
}

/// `x`, whose dimensions are those of the result listed in `dims`, in its shape.
Value inResult(GraphBuilder &g, Value x, SmallVector<int64_t> dims, ArrayRef<AffineExpr> shape) {
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, dims.size()));
  llvm::sort(order, [&](int64_t a, int64_t b) { return dims[a] < dims[b]; });
  llvm::sort(dims);
  return g.broadcastInDims(g.transpose(x, order), shape, dims);
}

/// A product of integers with the corrections that zero points need, term by term.
class Product {
public:
  Product(GraphBuilder &g, Value sums) : g(g), sums(sums), shape(dimsOf(sums)) {}
  /// Along `dim` of the result (-1: a scalar).
  Value repeated(Value x, int64_t dim) const {
    return inResult(g, x, dim < 0 ? SmallVector<int64_t>() : SmallVector<int64_t>{dim}, shape);
  }
  ArrayRef<AffineExpr> dims() const { return shape; }
  void subtract(Value term) { sums = g.sub(sums, term); }
  void add(Value term) { sums = g.add(sums, term); }
  Value scaled(Value left, Value right, int64_t leftDim, int64_t rightDim) const {
    Value x = g.cast(sums, Float32Type::get(g.b.getContext()));
    if (leftDim < 0) // one factor: constants, or small
      return g.mul(x, repeated(g.mul(left, right), rightDim));
    if (rightDim < 0)
      return g.mul(x, repeated(g.mul(left, right), leftDim));
    return g.mul(g.mul(x, repeated(left, leftDim)), repeated(right, rightDim));
  }

private:
  GraphBuilder &g;
  Value sums;
  Dims shape;
};

/// zero * the sum of the integers `q` over their contracted dimensions, in the result's shape: `dims` says
/// where q's dimensions go, `zero` lies along `zeroDim` of the result.
Value correction(GraphBuilder &g, Value q, ArrayRef<int64_t> contracted, ArrayRef<int64_t> dims, Value zero,
                 int64_t zeroDim, const Product &product) {
  SmallVector<int64_t> sorted(contracted), kept;
  llvm::sort(sorted);
  for (int64_t d : dims)
    if (d >= 0)
      kept.push_back(d);
  Value sums = g.reduce(ReduceKind::sum, g.cast(q, s32(g.b.getContext())), sorted);
  if (zeroDim < 0) // before it is repeated: of constants, a constant
    return inResult(g, g.mul(sums, zero), kept, product.dims());
  return g.mul(inResult(g, sums, kept, product.dims()), product.repeated(zero, zeroDim));
}

struct ContractIntegers : OpRewritePattern<ContractOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ContractOp op, PatternRewriter &rewriter) const override {
    if (!haveIntegers(op.getLhs(), op.getRhs()))
      return failure();
    AffineExpr terms = getAffineConstantExpr(1, op.getContext());
    for (int64_t d : op.getLhsContract())
      terms = canonical(terms * dimsOf(op.getLhs())[d]);
    if (auto count = constantOf(terms); !count || *count > mostTerms)
      return failure();
    const auto leftVaries = operandVaries(op.getLhs()), rightVaries = operandVaries(op.getRhs());
    if (!leftVaries || !rightVaries)
      return failure();
    const int64_t batches = op.getLhsBatch().size();
    const auto leftDims =
        resultDims(GraphBuilder::rank(op.getLhs()), op.getLhsBatch(), op.getLhsContract(), batches);
    const int64_t rows = batches + llvm::count_if(leftDims, [&](int64_t d) { return d >= batches; });
    const auto rightDims =
        resultDims(GraphBuilder::rank(op.getRhs()), op.getRhsBatch(), op.getRhsContract(), rows);
    for (auto [varies, dims] : {std::pair(*leftVaries, &leftDims), {*rightVaries, &rightDims}})
      for (int64_t d : {varies.zero, varies.scale})
        if (d >= 0 && (*dims)[d] < 0) // along what is summed
          return failure();
    SymbolTable symbols(op->getParentOfType<ModuleOp>());
    GraphBuilder g(rewriter, op.getLoc(), symbols);
    const Operand left = operandOf(g, op.getLhs()), right = signedConstant(g, operandOf(g, op.getRhs()));
    auto along = [](const Parameter &p, ArrayRef<int64_t> dims) { return p.dim < 0 ? -1 : dims[p.dim]; };
    Product product(g, g.contract(left.q, right.q, op.getLhsBatch(), op.getRhsBatch(), op.getLhsContract(),
                                  op.getRhsContract(), s32(op.getContext())));
    const int64_t leftZero = along(left.zero, leftDims), rightZero = along(right.zero, rightDims);
    if (left.zero)
      product.subtract(
          correction(g, right.q, op.getRhsContract(), rightDims, left.zero.value, leftZero, product));
    if (right.zero)
      product.subtract(
          correction(g, left.q, op.getLhsContract(), leftDims, right.zero.value, rightZero, product));
    if (left.zero && right.zero) {
      Value both =
          g.mul(product.repeated(left.zero.value, leftZero), product.repeated(right.zero.value, rightZero));
      product.add(g.mul(both, g.scalarInt(s32(op.getContext()), *constantOf(terms))));
    }
    rewriter.replaceOp(op, product.scaled(left.scale.value, right.scale.value, along(left.scale, leftDims),
                                          along(right.scale, rightDims)));
    return success();
  }
};

/// What is not less than `size`: (e floordiv c) * c is at most e.
AffineExpr withoutFloors(AffineExpr size) {
  auto binary = llvm::dyn_cast<AffineBinaryOpExpr>(size);
  if (!binary)
    return size;
  if (binary.getKind() == AffineExprKind::Add)
    return withoutFloors(binary.getLHS()) + withoutFloors(binary.getRHS());
  auto quotient = llvm::dyn_cast<AffineBinaryOpExpr>(binary.getLHS());
  const bool undone = binary.getKind() == AffineExprKind::Mul && quotient &&
                      quotient.getKind() == AffineExprKind::FloorDiv &&
                      quotient.getRHS() == binary.getRHS() && constantOf(binary.getRHS()).value_or(0) > 0;
  return undone ? quotient.getLHS() : size;
}

/// Weights may have a scale and a zero point for each output channel, and fewer bits: there is no other
/// kernel for these, as there is for products.
struct ConvIntegers : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    if (op.getChannelsLast() || !haveIntegers(op.getLhs(), op.getRhs()))
      return failure();
    auto weights = tensorOf(op.getRhs());
    if (weights.getNumElements() > mostTerms * weights.getDimSize(0))
      return failure();
    const auto xVaries = operandVaries(op.getLhs()), wVaries = operandVaries(op.getRhs(), /*fewestBits=*/2);
    const auto padding = paddingOf(op);
    if (!xVaries || !wVaries || xVaries->scale >= 0 || xVaries->zero >= 0 || wVaries->scale > 0 ||
        wVaries->zero > 0 || (dequantized(op.getLhs())->zero && !padding))
      return failure();
    SymbolTable symbols(op->getParentOfType<ModuleOp>());
    GraphBuilder g(rewriter, op.getLoc(), symbols);
    Operand x = operandOf(g, op.getLhs()), w = signedConstant(g, operandOf(g, op.getRhs()));
    Dims low(op.getLow().getResults());
    if (x.zero) {
      x.q = padded(g, x.q, x.zero.value, *padding);
      low.assign(low.size(), g.dim(0));
    }
    auto convolved = [&](Value with) {
      Dims sizes(ArrayRef<AffineExpr>(dimsOf(op.getResult())).drop_front(2));
      return g.conv(x.q, with, op.getStrides(), low, op.getLhsDilation(), op.getRhsDilation(), op.getGroups(),
                    sizes, s32(op.getContext()));
    };
    Product product(g, convolved(w.q));
    if (x.zero) {
      auto inner = llvm::to_vector(llvm::seq<int64_t>(1, weights.getRank()));
      Value total = g.reduce(ReduceKind::sum, g.cast(w.q, s32(op.getContext())), inner);
      product.subtract(product.repeated(g.mul(total, x.zero.value), 1));
    }
    if (w.zero && !isZero(w.zero.value)) {
      Value point = product.repeated(w.zero.value, w.zero.dim < 0 ? -1 : 1);
      product.subtract(g.mul(sumsOfWindows(g, op, convolved), point));
      const int64_t taps = weights.getNumElements() / weights.getDimSize(0);
      if (x.zero)
        product.add(g.mul(point, g.mul(x.zero.value, g.scalarInt(s32(op.getContext()), taps))));
    }
    rewriter.replaceOp(op, product.scaled(x.scale.value, w.scale.value, -1, w.scale.dim < 0 ? -1 : 1));
    return success();
  }

private:
  /// Sums over the window of each group of channels, in the result's shape: the convolution with ones.
  static Value sumsOfWindows(GraphBuilder &g, ConvOp op, llvm::function_ref<Value(Value)> convolved) {
    Dims ones = dimsOf(op.getRhs()), shape = dimsOf(op.getResult());
    const int64_t groups = op.getGroups();
    AffineExpr each = g.dim(*constantOf(ones[0]) / groups);
    ones[0] = g.dim(groups);
    Value one = g.scalarInt(IntegerType::get(g.b.getContext(), 8, IntegerType::Signed), 1);
    Value sums = convolved(g.broadcastInDims(one, ones, {})); // [N, groups, spatial...]
    Dims wide(shape);
    wide[1] = g.dim(groups);
    wide.insert(wide.begin() + 2, each);
    SmallVector<int64_t> dims{0, 1};
    for (size_t d = 2; d < shape.size(); ++d)
      dims.push_back(d + 1);
    return g.reshape(g.broadcastInDims(sums, wide, dims), shape);
  }

  static bool isZero(Value zero) {
    if (auto minus = zero.getDefiningOp<BinaryOp>(); minus && minus.getKind() == BinaryKind::sub)
      return isNumber(minus.getLhs(), 128) && isNumber(minus.getRhs(), 128); // what signedConstant() wrote
    return isNumber(zero, 0);
  }
  static bool isNumber(Value x, int64_t number) {
    while (isa_and_present<CastOp, ReshapeOp, BroadcastOp>(x.getDefiningOp()))
      x = x.getDefiningOp()->getOperand(0);
    auto constant = x.getDefiningOp<ConstantOp>();
    auto all = constant ? llvm::dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
    if (!all || !all.isSplat())
      return false;
    if (llvm::isa<FloatType>(all.getElementType()))
      return all.getSplatValue<llvm::APFloat>().convertToDouble() == double(number);
    auto integer = llvm::cast<IntegerType>(GraphBuilder::elementType(x));
    llvm::APInt value = all.getSplatValue<llvm::APInt>();
    return (integer.isUnsigned() ? int64_t(value.getZExtValue()) : value.getSExtValue()) == number;
  }

  /// What the convolution pads in front and behind, at most; nothing where that is not known.
  struct Padding {
    SmallVector<int64_t> low, high;
  };
  static std::optional<Padding> paddingOf(ConvOp op) {
    Dims from = dimsOf(op.getLhs()), kernel = dimsOf(op.getRhs()), to = dimsOf(op.getResult());
    Padding padding;
    for (size_t i = 0; i < op.getStrides().size(); ++i) {
      AffineExpr low = op.getLow().getResult(i), span = (to[i + 2] - 1) * op.getStrides()[i] +
                                                        (kernel[i + 2] - 1) * op.getRhsDilation()[i] + 1;
      const auto first = constantOf(low),
                 last = constantOf(canonical(withoutFloors(canonical(span - from[i + 2] - low))));
      if (op.getLhsDilation()[i] != 1 || !first || *first < 0 || !last)
        return std::nullopt;
      padding.low.push_back(*first);
      padding.high.push_back(std::max<int64_t>(*last, 0));
    }
    return padding;
  }

  /// Outside of x lies its zero point.
  static Value padded(GraphBuilder &g, Value x, Value zero, const Padding &padding) {
    Dims low(2, g.dim(0)), high(2, g.dim(0));
    llvm::append_range(low, g.dims(padding.low));
    llvm::append_range(high, g.dims(padding.high));
    const bool none = llvm::all_of(padding.low, [](int64_t n) { return n == 0; }) &&
                      llvm::all_of(padding.high, [](int64_t n) { return n == 0; });
    return none ? x : g.pad(x, low, high, PadMode::constant, g.cast(zero, GraphBuilder::elementType(x)));
  }
};

/// Values with one scale and zero point are moved, and their largest found, as integers.
struct MoveIntegers : RewritePattern {
  explicit MoveIntegers(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    auto window = dyn_cast<WindowOp>(op);
    if (!isa<ReshapeOp, TransposeOp, SliceOp>(op) && !(window && window.getKind() == WindowKind::wmax))
      return failure();
    auto d = dequantized(op->getOperand(0));
    if (!d || isConstantExpression(d->q))
      return failure();
    if (variesAlong(d->scale) != -1 || (d->zero && variesAlong(d->zero) != -1))
      return failure();
    if (window && (!isPositive(d->scale) || !neverEmpty(window)))
      return failure();
    SymbolTable symbols(op->getParentOfType<ModuleOp>());
    GraphBuilder g(rewriter, op->getLoc(), symbols);
    const Parameter scale = parameterOf(g, d->scale), zero = d->zero ? parameterOf(g, d->zero) : Parameter();
    Operation *moved = rewriter.clone(*op);
    moved->setOperand(0, d->q);
    Value result = moved->getResult(0);
    result.setType(tensorType(dimsOf(op->getResult(0)), d->element()));
    rewriter.replaceOp(op, dequantize(g, result, zero, scale));
    return success();
  }

private:
  static bool isPositive(Value scale) {
    while (isa_and_present<ReshapeOp, BroadcastOp>(scale.getDefiningOp()))
      scale = scale.getDefiningOp()->getOperand(0);
    auto constant = scale.getDefiningOp<ConstantOp>();
    auto all = constant ? llvm::dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
    return all && all.isSplat() && all.getElementType().isF32() && all.getSplatValue<float>() > 0 &&
           std::isfinite(all.getSplatValue<float>());
  }
  /// A window without taps gives the lowest number of its type, which is another one for integers.
  static bool neverEmpty(WindowOp op) {
    const size_t first = op.getChannelsLast() ? 1 : 2;
    Dims from = dimsOf(op.getOperand()), to = dimsOf(op.getResult());
    for (size_t i = 0; i < op.getKernel().size(); ++i) {
      const auto low = constantOf(op.getLow().getResult(i));
      // The first tap of the last window lies in the operand, the last tap of the first one, too.
      const auto slack = constantOf(canonical(
          from[first + i] - 1 - ((to[first + i] - 1) * op.getStrides()[i] - op.getLow().getResult(i))));
      if (!low || !slack || *slack < 0 || *low > (op.getKernel()[i] - 1) * op.getDilations()[i])
        return false;
    }
    return true;
  }
};

/// Quantising what was dequantised with the same scale and zero point gives the integers back: the quotient
/// of (q - zero) * scale and scale is off by less than a quarter.
struct QuantizeDequantized : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    Value x = op.getOperand();
    for (BinaryKind kind : {BinaryKind::min, BinaryKind::max}) {
      auto clamp = x.getDefiningOp<BinaryOp>();
      if (!clamp || clamp.getKind() != kind)
        return failure();
      x = clamp.getLhs();
    }
    Value zero;
    if (auto plus = x.getDefiningOp<BinaryOp>(); plus && plus.getKind() == BinaryKind::add) {
      x = plus.getLhs();
      zero = plus.getRhs();
    }
    auto round = x.getDefiningOp<UnaryOp>();
    auto quotient = round && round.getKind() == UnaryKind::round
                        ? round.getOperand().getDefiningOp<BinaryOp>()
                        : BinaryOp();
    if (!quotient || quotient.getKind() != BinaryKind::div)
      return failure();
    auto d = dequantized(quotient.getLhs());
    if (!d || d->q.getType() != op.getType() || !same(d->scale, quotient.getRhs()) || !same(d->zero, zero))
      return failure();
    rewriter.replaceOp(op, d->q);
    return success();
  }

private:
  static bool same(Value a, Value b) {
    if (!a || !b || a == b)
      return a == b;
    auto x = a.getDefiningOp<BroadcastOp>(), y = b.getDefiningOp<BroadcastOp>();
    return x && y && x.getType() == y.getType() && x.getDims() == y.getDims() &&
           sameConstant(x.getOperand(), y.getOperand());
  }
  static bool sameConstant(Value a, Value b) {
    auto x = a.getDefiningOp<ConstantOp>(), y = b.getDefiningOp<ConstantOp>();
    return a == b || (x && y && x.getType() == y.getType() && x.getValue() == y.getValue());
  }
};

} // namespace

LogicalResult integerProducts(ModuleOp module, Budget *budget) {
  RewritePatternSet patterns(module.getContext());
  patterns.add<ContractIntegers, ConvIntegers, MoveIntegers, QuantizeDequantized>(module.getContext());
  return rewriteToEnd(module, std::move(patterns), "integer-products", budget);
}

} // namespace tilewright::passes
