// See NarrowWeights.h.
//
// The integers are stored without sign: q + 2^(bits-1) for signed ones, and zero points with them.
#include "passes/NarrowWeights.h"
#include "codegen/schedule/Marks.h"
#include "codegen/schedule/NarrowLayout.h"
#include "codegen/schedule/Products.h"
#include "ir/OpFacts.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Dequantized.h"
#include "passes/Digits.h"
#include <numeric>

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;
using tilewright::codegen::NarrowLayout;

namespace tilewright::passes {
namespace {

enum Source { depth, column };

/// Products that are added before they are scaled: what rounding does grows with their number. Longer blocks
/// are stored as several with the same scale.
constexpr int64_t longestBlock = 512;

RankedTensorType tensorOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()); }

/// A value by way of movement from a leaf.
struct Reached {
  Value leaf;
  Digits digits;
  SmallVector<Operation *> path; ///< from the value to the leaf
};

std::optional<Reached> reach(Value value, Digits digits) {
  Reached result{value, std::move(digits), {}};
  while (isa_and_present<ReshapeOp, TransposeOp, SliceOp, BroadcastOp>(result.leaf.getDefiningOp())) {
    Operation *op = result.leaf.getDefiningOp();
    if (!tensorOf(op->getOperand(0)).hasStaticShape())
      return std::nullopt;
    auto next = throughMovement(op, result.digits);
    if (!next)
      return std::nullopt;
    result.digits = std::move(*next);
    result.path.push_back(op);
    result.leaf = op->getOperand(0);
  }
  return result;
}

/// The right operand of a product as (q - zero) * scale.
struct NarrowWeight {
  ContractOp op;
  int64_t k, n;
  SmallVector<int64_t> order;     ///< dimensions of the operand: summed ones, then columns
  SmallVector<Operation *> chain; ///< what computes the operand
  Value q;
  SmallVector<Operation *> movement; ///< from the operand to q
  std::optional<Reached> zero;       ///< of integers or whole f32 numbers
  Reached scale;
  int64_t block; ///< of k, with one scale and zero point a column

  IntegerType element() const { return llvm::cast<IntegerType>(GraphBuilder::elementType(q)); }
  int64_t blocks() const { return llvm::divideCeil(k, block); }
};

/// The largest block that all digits of the summed index respect; every digit lies in a multiple of it.
int64_t blockOf(ArrayRef<Digit> digits, int64_t k) {
  int64_t block = 0;
  for (const Digit &digit : digits)
    if (digit.source == depth)
      block = std::gcd(block, digit.divisor);
  return block ? block : k;
}

/// Sorted by stride, digits of a source count on without a gap from `unit` to `size`, or are none.
bool countsUp(ArrayRef<Digit> digits, Source source, int64_t unit, int64_t size) {
  SmallVector<Digit> own;
  for (const Digit &digit : digits)
    if (digit.source == source)
      own.push_back(digit);
  if (own.empty())
    return true;
  llvm::sort(own, [](const Digit &a, const Digit &b) { return a.divisor < b.divisor; });
  for (const Digit &digit : own) {
    if (digit.divisor != unit)
      return false;
    unit *= digit.extent;
  }
  return unit >= size;
}

/// Digits fill the leaf: each stride is a multiple of the next.
bool fills(const Reached &reached) {
  int64_t outer = tensorOf(reached.leaf).getNumElements();
  for (const Digit &digit : reached.digits) {
    if (outer % digit.stride != 0 || outer / digit.stride < digit.extent)
      return false;
    outer = digit.stride;
  }
  return outer == 1;
}

/// The only number that a constant of floats has.
std::optional<double> splatOf(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  auto values = constant ? llvm::dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
  if (!values || !values.isSplat() || !llvm::isa<FloatType>(values.getElementType()))
    return std::nullopt;
  llvm::APFloat number = values.getSplatValue<llvm::APFloat>();
  bool lossy;
  number.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &lossy);
  return number.convertToDouble();
}

/// Whole numbers that fit beside the integers.
bool isZeroPoint(Value leaf) {
  auto fits = [](double x) { return x == std::trunc(x) && std::abs(x) <= 255; };
  Type element = GraphBuilder::elementType(leaf);
  if (auto integer = llvm::dyn_cast<IntegerType>(element))
    return integer.getWidth() > 1 && integer.getWidth() <= 8;
  if (auto one = splatOf(leaf))
    return fits(*one);
  auto constant = leaf.getDefiningOp<ConstantOp>();
  auto values = constant ? llvm::dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
  return values && element.isF32() && llvm::all_of(values.getValues<float>(), fits);
}

bool isHalf(Value value) {
  Type element = GraphBuilder::elementType(value);
  return element.isF16() || element.isBF16();
}

class Matcher {
public:
  /// In a kernel, `launch` says what its arguments are.
  Matcher(ContractOp op, kernel::LaunchOp launch) : launch(launch) { weight.op = op; }
  std::optional<NarrowWeight> match();

private:
  bool matchShape();
  bool matchProduct(Value product, const Digits &digits);
  bool matchDifference(Value difference, const Digits &digits);
  bool matchBlocks();
  std::optional<Reached> follow(Value value, const Digits &digits) {
    auto reached = reach(value, digits);
    if (reached)
      llvm::append_range(weight.chain, reached->path);
    return reached;
  }
  Value inProgram(Value leaf) {
    auto argument = llvm::dyn_cast<BlockArgument>(leaf);
    return argument && launch ? launch.getOperand(argument.getArgNumber()) : leaf;
  }
  kernel::LaunchOp launch;
  NarrowWeight weight;
};

bool Matcher::matchShape() {
  ContractOp op = weight.op;
  auto type = tensorOf(op.getRhs());
  if (!type.hasStaticShape() || type.getNumElements() == 0 || !op.getRhsBatch().empty() ||
      !(type.getElementType().isF32() || isHalf(op.getRhs())))
    return false;
  const codegen::ContractDims dims(op);
  llvm::append_range(weight.order, dims.right.contracted.dims);
  llvm::append_range(weight.order, dims.right.free.dims);
  weight.k = *constantOf(dims.k);
  weight.n = *constantOf(dims.n);
  return true;
}

std::optional<NarrowWeight> Matcher::match() {
  if (!matchShape())
    return std::nullopt;
  auto type = tensorOf(weight.op.getRhs());
  Digits digits;
  int64_t divisors[] = {weight.k, weight.n};
  SmallVector<int64_t> strides(type.getRank(), 1);
  for (int64_t d = type.getRank() - 1; d > 0; --d)
    strides[d - 1] = strides[d] * type.getDimSize(d);
  const size_t depths = weight.op.getRhsContract().size();
  for (auto [i, d] : llvm::enumerate(weight.order)) {
    const int source = i < depths ? depth : column;
    divisors[source] /= type.getDimSize(d);
    digits.push_back({source, divisors[source], type.getDimSize(d), strides[d]});
  }
  llvm::sort(digits, [](const Digit &a, const Digit &b) { return a.stride > b.stride; });
  auto product = follow(weight.op.getRhs(), digits);
  if (!product)
    return std::nullopt;
  weight.movement = product->path;
  if (!matchProduct(product->leaf, product->digits) || !matchBlocks())
    return std::nullopt;
  return std::move(weight);
}

bool Matcher::matchProduct(Value value, const Digits &digits) {
  auto product = value.getDefiningOp<BinaryOp>();
  if (!product || product.getKind() != BinaryKind::mul)
    return false;
  weight.chain.push_back(product);
  for (auto [difference, scale] :
       {std::pair(product.getLhs(), product.getRhs()), {product.getRhs(), product.getLhs()}}) {
    const NarrowWeight before = weight;
    auto reached = follow(scale, digits);
    if (auto cast = reached ? reached->leaf.getDefiningOp<CastOp>() : CastOp();
        cast && isHalf(cast.getOperand())) {
      weight.chain.push_back(cast);
      reached = follow(cast.getOperand(), reached->digits);
    }
    if (reached && matchDifference(difference, digits)) {
      weight.scale = std::move(*reached);
      return true;
    }
    weight = before;
  }
  return false;
}

bool Matcher::matchDifference(Value value, const Digits &given) {
  auto reached = follow(value, given);
  if (!reached)
    return false;
  llvm::append_range(weight.movement, reached->path);
  if (auto minus = reached->leaf.getDefiningOp<BinaryOp>(); minus && minus.getKind() == BinaryKind::sub) {
    weight.chain.push_back(minus);
    auto zero = follow(minus.getRhs(), reached->digits);
    if (auto cast = zero ? zero->leaf.getDefiningOp<CastOp>() : CastOp();
        cast && llvm::isa<IntegerType>(GraphBuilder::elementType(cast.getOperand()))) {
      weight.chain.push_back(cast);
      zero = follow(cast.getOperand(), zero->digits);
    }
    if (!zero || !isZeroPoint(inProgram(zero->leaf)))
      return false;
    weight.zero = std::move(*zero);
    reached = follow(minus.getLhs(), reached->digits);
    if (!reached)
      return false;
    llvm::append_range(weight.movement, reached->path);
  }
  auto cast = reached->leaf.getDefiningOp<CastOp>();
  if (!cast)
    return false;
  weight.chain.push_back(cast);
  auto q = follow(cast.getOperand(), reached->digits);
  auto integer = q ? llvm::dyn_cast<IntegerType>(GraphBuilder::elementType(q->leaf)) : IntegerType();
  if (!integer || !llvm::is_contained({2u, 4u, 8u}, integer.getWidth()))
    return false;
  llvm::append_range(weight.movement, q->path);
  weight.q = q->leaf;
  return true;
}

bool Matcher::matchBlocks() {
  weight.block = blockOf(weight.scale.digits, weight.k);
  if (weight.zero)
    weight.block = std::gcd(weight.block, blockOf(weight.zero->digits, weight.k));
  if (weight.block == weight.k)
    weight.block = std::min(weight.k, longestBlock);
  const int64_t group = 32 / weight.element().getWidth(), padded = llvm::alignTo(weight.block, group);
  if (weight.block < weight.k && padded - weight.block > weight.block / 8)
    return false;
  auto fits = [&](const Reached &of) { // without digits of the depth, there is one for all of it
    const bool known =
        llvm::none_of(of.digits, [](const Digit &digit) { return digit.source == Digit::unknown; });
    return known && isConstantExpression(inProgram(of.leaf)) && fills(of) &&
           countsUp(of.digits, depth, weight.block, weight.k) && countsUp(of.digits, column, 1, weight.n);
  };
  return isConstantExpression(inProgram(weight.q)) && fits(weight.scale) &&
         (!weight.zero || fits(*weight.zero));
}

//===- Packing ----------------------------------------------------------------------------===//

class Packer {
public:
  Packer(kernel::FuncOp kernel, kernel::LaunchOp launch, const NarrowWeight &weight,
         const codegen::TargetInfo &target);
  void pack();

private:
  Value outside(Value inside);
  Value parameter(const Reached &of);
  Value unsignedBytes(Value integers) const;
  Value panels();
  Value inColumns(Value blocksByColumns);
  Value zeroPoints();
  std::optional<int64_t> onlyZeroPoint();
  BlockArgument pass(Value operand);
  Value fromPanels(GraphBuilder &g, BlockArgument panels) const;
  Value fromColumns(GraphBuilder &g, Value packed) const;
  void rewriteBody(BlockArgument panels, BlockArgument scales, BlockArgument zeros);
  void dropUnused();

  int64_t padded() const { return llvm::alignTo(weight.n, layout.columns); }
  int64_t columnPanels() const { return padded() / layout.columns; }
  int64_t bytesPerStep() const { return 4; }
  int64_t perByte() const { return 8 / layout.bits; }

  kernel::FuncOp kernel;
  kernel::LaunchOp launch;
  NarrowWeight weight;
  NarrowLayout layout;
  SymbolTable symbols;
  OpBuilder before;
  GraphBuilder g; ///< in the program
  IRMapping outsideOf;
};

Dims sizes(GraphBuilder &g, ArrayRef<int64_t> values) { return g.dims(values); }

Packer::Packer(kernel::FuncOp kernel, kernel::LaunchOp launch, const NarrowWeight &weight,
               const codegen::TargetInfo &target)
    : kernel(kernel), launch(launch), weight(weight), symbols(launch->getParentOfType<ModuleOp>()),
      before(launch), g(before, launch.getLoc(), symbols) {
  layout.bits = weight.element().getWidth();
  layout.block = weight.block;
  layout.columns = 2 * target.lanes(32);
  for (BlockArgument argument : kernel.getBody().getArguments())
    outsideOf.map(argument, launch.getOperand(argument.getArgNumber()));
}

/// A constant of the kernel in the program.
Value Packer::outside(Value inside) {
  if (Value known = outsideOf.lookupOrNull(inside))
    return known;
  Operation *op = inside.getDefiningOp();
  for (Value operand : op->getOperands())
    outside(operand);
  before.clone(*op, outsideOf);
  return outsideOf.lookup(inside);
}

/// A scale or zero point for each block and column: [blocks, n].
Value Packer::parameter(const Reached &of) {
  SmallVector<int64_t> extents, cut;
  int64_t outer = tensorOf(of.leaf).getNumElements();
  for (const Digit &digit : of.digits) {
    extents.push_back(outer / digit.stride);
    cut.push_back(digit.extent);
    outer = digit.stride;
  }
  Value x = g.reshape(outside(of.leaf), sizes(g, extents));
  for (auto [i, extent] : llvm::enumerate(cut))
    x = g.sliceAxis(x, i, g.dim(0), g.dim(extent));
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, extents.size()));
  llvm::sort(order, [&](int64_t a, int64_t b) {
    const Digit &x = of.digits[a], &y = of.digits[b];
    return std::pair(x.source, -x.divisor) < std::pair(y.source, -y.divisor);
  });
  auto has = [&](Source source) {
    return llvm::any_of(of.digits, [&](const Digit &d) { return d.source == source; });
  };
  const int64_t blocks = has(depth) ? weight.blocks() : 1, columns = has(column) ? weight.n : 1;
  int64_t depths = 1, all = 1;
  for (const Digit &digit : of.digits)
    (digit.source == depth ? depths : all) *= digit.extent;
  x = g.reshape(g.transpose(x, order), sizes(g, {depths, all}));
  x = g.sliceAxis(g.sliceAxis(x, 0, g.dim(0), g.dim(blocks)), 1, g.dim(0), g.dim(columns));
  return g.broadcastInDims(x, sizes(g, {weight.blocks(), weight.n}), {0, 1});
}

/// Integers of few bits as bytes that count from the lowest one.
Value Packer::unsignedBytes(Value x) const {
  GraphBuilder &g = const_cast<GraphBuilder &>(this->g);
  auto type = llvm::cast<IntegerType>(GraphBuilder::elementType(x));
  MLIRContext *context = type.getContext();
  Type byte = IntegerType::get(context, 8, IntegerType::Unsigned);
  if (type.isUnsigned())
    return g.cast(x, byte);
  Type wide = IntegerType::get(context, 16, IntegerType::Signed);
  return g.cast(g.add(g.cast(x, wide), g.scalarInt(wide, int64_t(1) << (layout.bits - 1))), byte);
}

/// [panel][step of 32 bits][column][4 bytes].
Value Packer::panels() {
  Value x = outside(weight.q);
  for (Operation *op : llvm::reverse(weight.movement)) {
    Operation *moved = before.clone(*op);
    moved->setOperand(0, x);
    moved->getResult(0).setType(tensorType(dimsOf(op->getResult(0)), weight.element()));
    x = moved->getResult(0);
  }
  const int64_t k = weight.k, n = weight.n, blocks = weight.blocks(), block = layout.block,
                steps = layout.stepsPerBlock(), group = layout.group();
  x = g.reshape(g.transpose(unsignedBytes(x), weight.order), sizes(g, {k, n}));
  Value none = g.like(x, 0);
  auto padTo = [&](Value v, int64_t dim, int64_t from, int64_t to) {
    Dims low(GraphBuilder::rank(v), g.dim(0)), high = low;
    high[dim] = g.dim(to - from);
    return from == to ? v : g.pad(v, low, high, PadMode::constant, none);
  };
  x = g.reshape(padTo(x, 0, k, blocks * block), sizes(g, {blocks, block, n}));
  x = padTo(padTo(x, 1, block, steps * group), 2, n, padded());
  x = g.reshape(x, sizes(g, {blocks, steps, 4, perByte(), columnPanels(), layout.columns}));
  Value bytes;
  for (int64_t i = 0; i < perByte(); ++i) {
    Value part = g.sliceAxis(x, 3, g.dim(i), g.dim(1));
    part = i ? g.binary(BinaryKind::shl, part, g.like(part, double(i * layout.bits))) : part;
    bytes = bytes ? g.binary(BinaryKind::ior, bytes, part) : part;
  }
  bytes = g.reshape(bytes, sizes(g, {blocks, steps, 4, columnPanels(), layout.columns}));
  bytes = g.transpose(bytes, {3, 0, 1, 4, 2});
  return g.reshape(bytes, sizes(g, {columnPanels(), blocks * steps, layout.columns * 4}));
}

/// [blocks, n] as [panel][block][column].
Value Packer::inColumns(Value x) {
  if (padded() != weight.n)
    x = g.pad(x, sizes(g, {0, 0}), sizes(g, {0, padded() - weight.n}), PadMode::constant, g.like(x, 0));
  return g.transpose(g.reshape(x, sizes(g, {weight.blocks(), columnPanels(), layout.columns})), {1, 0, 2});
}

Value Packer::zeroPoints() {
  Value points = parameter(*weight.zero);
  if (llvm::isa<FloatType>(GraphBuilder::elementType(points))) {
    const int64_t offset = weight.element().isSigned() ? int64_t(1) << (layout.bits - 1) : 0;
    Type byte = IntegerType::get(before.getContext(), 8, IntegerType::Unsigned);
    return inColumns(g.cast(g.add(points, g.like(points, double(offset))), byte));
  }
  return inColumns(unsignedBytes(points));
}

/// The zero point of all weights, where there is one.
std::optional<int64_t> Packer::onlyZeroPoint() {
  Value leaf = outside(weight.zero->leaf);
  if (auto number = splatOf(leaf))
    return int64_t(*number);
  auto constant = leaf.getDefiningOp<ConstantOp>();
  auto values = constant ? llvm::dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
  if (!values || !values.isSplat() || llvm::isa<FloatType>(values.getElementType()))
    return std::nullopt;
  const llvm::APInt number = values.getSplatValue<llvm::APInt>();
  return weight.element().isSigned() ? number.getSExtValue() : int64_t(number.getZExtValue());
}

BlockArgument Packer::pass(Value operand) {
  launch.getOperandsMutable().append(operand);
  return kernel.getBody().addArgument(operand.getType(), UnknownLoc::get(kernel.getContext()));
}

/// [blocks, block, n] of bytes.
Value Packer::fromPanels(GraphBuilder &in, BlockArgument packed) const {
  const int64_t blocks = weight.blocks(), steps = layout.stepsPerBlock();
  Value x = in.reshape(packed, sizes(in, {columnPanels(), blocks, steps, layout.columns, 4, 1}));
  SmallVector<Value> parts;
  for (int64_t i = 0; i < perByte(); ++i) {
    Value part = i ? in.binary(BinaryKind::shr, x, in.like(x, double(i * layout.bits))) : x;
    parts.push_back(perByte() > 1 ? in.binary(BinaryKind::iand, part, in.like(x, (1 << layout.bits) - 1))
                                  : part);
  }
  x = parts.size() == 1 ? parts.front() : in.concat(parts, 5);
  x = in.transpose(x, {1, 2, 4, 5, 0, 3});
  x = in.reshape(x, sizes(in, {blocks, steps * layout.group(), padded()}));
  return in.sliceAxis(in.sliceAxis(x, 1, in.dim(0), in.dim(layout.block)), 2, in.dim(0), in.dim(weight.n));
}

/// [panel][block][column] as f32 of [blocks, block, n].
Value Packer::fromColumns(GraphBuilder &in, Value packed) const {
  Value x = in.reshape(in.transpose(packed, {1, 0, 2}), sizes(in, {weight.blocks(), padded()}));
  x = in.cast(in.sliceAxis(x, 1, in.dim(0), in.dim(weight.n)), in.b.getF32Type());
  return in.broadcastInDims(x, sizes(in, {weight.blocks(), layout.block, weight.n}), {0, 2});
}

void Packer::rewriteBody(BlockArgument panels, BlockArgument scales, BlockArgument zeros) {
  OpBuilder builder(weight.op);
  GraphBuilder in(builder, weight.op.getLoc(), symbols);
  Value x = in.cast(fromPanels(in, panels), builder.getF32Type());
  Value zero = zeros ? fromColumns(in, zeros) : layout.zero ? in.like(x, double(layout.zero)) : Value();
  x = in.mul(zero ? in.sub(x, zero) : x, fromColumns(in, scales));
  x = in.reshape(x, sizes(in, {weight.blocks() * layout.block, weight.n}));
  x = in.sliceAxis(x, 0, in.dim(0), in.dim(weight.k));
  auto type = tensorOf(weight.op.getRhs());
  x = in.cast(x, type.getElementType());
  SmallVector<int64_t> ordered, inverse(weight.order.size());
  for (auto [i, d] : llvm::enumerate(weight.order)) {
    ordered.push_back(type.getDimSize(d));
    inverse[d] = i;
  }
  weight.op.getRhsMutable().assign(in.transpose(in.reshape(x, sizes(in, ordered)), inverse));
}

/// What computed the weight before, and the arguments that only this read.
void Packer::dropUnused() {
  Block &body = kernel.getBody().front();
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
    if (op.use_empty() && !op.hasTrait<OpTrait::IsTerminator>())
      op.erase();
  for (unsigned i = body.getNumArguments(); i-- > 0;)
    if (body.getArgument(i).use_empty()) {
      body.eraseArgument(i);
      launch.getOperandsMutable().erase(i);
    }
}

void Packer::pack() {
  const bool isSigned = weight.element().isSigned();
  layout.zero = isSigned ? int64_t(1) << (layout.bits - 1) : 0;
  const auto only = weight.zero ? onlyZeroPoint() : 0;
  layout.zero += only.value_or(0);
  Value bytes = panels(), scale = inColumns(parameter(weight.scale)), zero = only ? Value() : zeroPoints();
  BlockArgument panelArgument = pass(bytes), scaleArgument = pass(scale),
                zeroArgument = zero ? pass(zero) : BlockArgument();
  rewriteBody(panelArgument, scaleArgument, zeroArgument);
  dropUnused();
  layout.panels = panelArgument.getArgNumber();
  layout.scales = scaleArgument.getArgNumber();
  layout.zeros = zeroArgument ? int64_t(zeroArgument.getArgNumber()) : -1;
  layout.setOn(kernel);
}

} // namespace

/// Constants of fewer elements are not worth computing again.
static constexpr int64_t fewElements = 4096;

/// What computes a constant (q - zero) * scale that only lookups and element-wise ops read: they take few of
/// its elements, or wait for memory.
static SmallVector<Operation *> dequantizedTable(BinaryOp product) {
  auto d = dequantized(product.getResult());
  if (!d || !isConstantExpression(product.getResult()) ||
      tensorOf(product.getResult()).getNumElements() < fewElements ||
      !llvm::all_of(product->getUsers(),
                    [](Operation *user) { return isa<GatherOp>(user) || isElementwise(user); }))
    return {};
  SmallVector<Operation *> chain;
  auto follow = [&](Value value) {
    while (isa_and_present<ReshapeOp, TransposeOp, SliceOp, BroadcastOp>(value.getDefiningOp())) {
      chain.push_back(value.getDefiningOp());
      value = value.getDefiningOp()->getOperand(0);
    }
    return value;
  };
  Value difference = product.getLhs() == d->scale ? product.getRhs() : product.getLhs();
  chain.push_back(product);
  follow(d->scale);
  if (auto minus = difference.getDefiningOp<BinaryOp>()) {
    chain.push_back(minus);
    if (auto cast = follow(minus.getRhs()).getDefiningOp<CastOp>())
      follow(chain.emplace_back(cast)->getOperand(0));
    difference = minus.getLhs();
  }
  chain.push_back(difference.getDefiningOp());
  follow(d->q);
  return chain;
}

void markNarrowWeights(ModuleOp module, const codegen::TargetInfo &target, bool strict) {
  auto mark = [&](ArrayRef<Operation *> chain) {
    for (Operation *part : chain)
      part->setAttr(codegen::narrowWeight, UnitAttr::get(module.getContext()));
  };
  if (target.isGpu)
    return;
  module.walk([&](ContractOp op) {
    if (isConstantExpression(op.getRhs()) && !(strict && isHalf(op.getRhs())))
      if (auto weight = Matcher(op, {}).match())
        mark(weight->chain);
  });
  module.walk([&](BinaryOp op) { mark(dequantizedTable(op)); });
}

void packNarrowWeights(ModuleOp module, const codegen::TargetInfo &target) {
  if (target.isGpu)
    return;
  llvm::StringMap<kernel::FuncOp> kernels;
  for (auto kernel : module.getOps<kernel::FuncOp>())
    kernels[kernel.getSymName()] = kernel;
  module.walk([&](kernel::LaunchOp launch) {
    kernel::FuncOp kernel = kernels.lookup(launch.getKernel());
    auto op = dyn_cast_or_null<ContractOp>(kernel::rootOf(kernel));
    if (!op || !codegen::canTile(op) || isa<BlockArgument>(op.getRhs()))
      return;
    if (auto weight = Matcher(op, launch).match())
      Packer(kernel, launch, *weight, target).pack();
  });
}

} // namespace tilewright::passes
