#include "codegen/schedule/Products.h"
#include "ir/OpFacts.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

Type elementOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()).getElementType(); }

bool isByte(Type type) {
  auto integer = llvm::dyn_cast<IntegerType>(type);
  return integer && integer.getWidth() == 8;
}

bool hasTiles(Type accumulator) {
  return accumulator.isF32() || accumulator.isF64() || accumulator.isInteger(32) || accumulator.isInteger(64);
}

} // namespace

Type computeTypeOf(Type element) {
  if (llvm::isa<Float64Type>(element))
    return element;
  if (llvm::isa<FloatType>(element))
    return Float32Type::get(element.getContext());
  const unsigned width = llvm::cast<IntegerType>(element).getWidth();
  return IntegerType::get(element.getContext(), width == 1 ? 1 : std::max(8u, width));
}

//===- How products are summed --------------------------------------------------------------===//

const IntegerProduct *integerProductFor(DotKind kind, Type right, const TargetInfo &target) {
  auto reads = [&](const IntegerProduct &product) { // pairs are widened first
    return product.group == groupOf(kind) &&
           (kind == DotKind::Pairs || product.rightSigned == right.isSignedInteger());
  };
  auto found = llvm::find_if(target.integerProducts, reads);
  return found == target.integerProducts.end() ? nullptr : &*found;
}

DotKind dotKindFor(Type left, Type right, Type accumulator, const TargetInfo &target) {
  if (!isByte(left) || !isByte(right) || !accumulator.isInteger(32))
    return DotKind::Plain;
  for (DotKind kind : {DotKind::Quads, DotKind::Pairs})
    if (integerProductFor(kind, right, target))
      return kind;
  return DotKind::Plain;
}

bool canSum(DotKind kind, Operation *product, const TargetInfo &target) {
  if (kind == DotKind::Plain)
    return true;
  Type left = elementOf(product->getOperand(0)), right = elementOf(product->getOperand(1));
  if (!isByte(left) || !isByte(right) || !accumulatorType(elementOf(product->getResult(0))).isInteger(32) ||
      !integerProductFor(kind, right, target))
    return false;
  auto conv = dyn_cast<ConvOp>(product);
  if (!conv)
    return true;
  const ConvGeometry g(conv); // a step must not straddle groups
  return !g.lanewise(target) && (g.groups == 1 || g.groupChannels % groupOf(kind) == 0);
}

/// Whether the instruction reads this left operand as it is.
static bool readsAsItIs(DotKind kind, Value left, Value right, const TargetInfo &target) {
  const Type element = elementOf(left);
  if (kind == DotKind::Plain)
    return element.isF32() || element.isF64();
  const IntegerProduct *product = integerProductFor(kind, elementOf(right), target);
  return kind == DotKind::Quads && product && isByte(element) &&
         product->leftSigned == element.isSignedInteger();
}

//===- Contractions -------------------------------------------------------------------------===//

bool ProductOperand::contractedFastest() const {
  const int64_t rank = llvm::cast<RankedTensorType>(value.getType()).getRank();
  return llvm::is_contained(contracted.dims, rank - 1);
}

ContractDims::ContractDims(ContractOp op) {
  SmallVector<std::pair<int64_t, int64_t>> pairs;
  for (auto [l, r] : llvm::zip(op.getLhsContract(), op.getRhsContract()))
    pairs.push_back({l, r});
  llvm::sort(pairs); // in the left operand's order: there it is read as it lies
  SmallVector<int64_t> leftContract, rightContract;
  for (auto [l, r] : pairs) {
    leftContract.push_back(l);
    rightContract.push_back(r);
  }
  auto free = [](Value value, ArrayRef<int64_t> batch, ArrayRef<int64_t> contract) {
    SmallVector<int64_t> dims;
    for (int64_t d = 0, rank = llvm::cast<RankedTensorType>(value.getType()).getRank(); d < rank; ++d)
      if (!llvm::is_contained(batch, d) && !llvm::is_contained(contract, d))
        dims.push_back(d);
    return dims;
  };
  left = {op.getLhs(), DimGroup(op.getLhs(), op.getLhsBatch()),
          DimGroup(op.getLhs(), free(op.getLhs(), op.getLhsBatch(), leftContract)),
          DimGroup(op.getLhs(), leftContract)};
  right = {op.getRhs(), DimGroup(op.getRhs(), op.getRhsBatch()),
           DimGroup(op.getRhs(), free(op.getRhs(), op.getRhsBatch(), rightContract)),
           DimGroup(op.getRhs(), rightContract)};
  const int64_t batches = left.batch.dims.size(), rows = left.free.dims.size(),
                columns = right.free.dims.size();
  auto positions = [&](int64_t from, int64_t count) {
    return llvm::to_vector(llvm::seq(from, from + count));
  };
  Value result = op.getResult();
  resultBatch = DimGroup(result, positions(0, batches));
  resultRows = DimGroup(result, positions(batches, rows));
  resultColumns = DimGroup(result, positions(batches + rows, columns));
  MLIRContext *context = op.getContext();
  batch = left.batch.total(context);
  m = left.free.total(context);
  n = right.free.total(context);
  k = left.contracted.total(context);
}

std::optional<std::pair<AffineExpr, AffineExpr>> ContractDims::leftStrides() const {
  auto view = viewOf(left.value);
  if (!view)
    return std::nullopt;
  auto row = strideOf(*view, left.free), depth = strideOf(*view, left.contracted);
  if (!row || !depth)
    return std::nullopt;
  return std::pair(*row, *depth);
}

bool ContractDims::canReadLeft(DotKind kind, const TargetInfo &target) const {
  const auto strides = leftStrides();
  if (!strides || !readsAsItIs(kind, left.value, right.value, target))
    return false;
  const auto size = constantOf(k); // steps read four bytes
  return kind == DotKind::Plain || (constantOf(strides->second) == 1 && size && *size % 4 == 0);
}

bool ContractDims::leftRowsCollide() const {
  const auto strides = leftStrides();
  if (!strides)
    return false;
  auto known = constantOf(constantOf(strides->second) == 1 ? strides->first : strides->second);
  return known && *known * byteWidth(elementOf(left.value)) % 4096 == 0; // one set of the cache
}

bool ContractDims::leftRowsTouch(DotKind kind) const {
  const auto strides = leftStrides();
  if (!strides)
    return false;
  auto row = constantOf(strides->first), depth = constantOf(strides->second), size = constantOf(k);
  if (!row || !depth || !size)
    return false;
  int64_t whole = 0; // a row with what rounds its last step up
  return !llvm::MulOverflow(*depth, int64_t(llvm::alignTo(*size, groupOf(kind))), whole) && *row == whole;
}

//===- Convolutions -------------------------------------------------------------------------===//

ConvGeometry::ConvGeometry(ConvOp op) : op(op) {
  const Dims lhs = dimsOf(op.getLhs()), result = dimsOf(op.getResult());
  auto weights = llvm::cast<RankedTensorType>(op.getRhs().getType());
  rank = int64_t(lhs.size()) - 2;
  images = lhs.front();
  for (int64_t d = 0; d < rank; ++d) {
    in.push_back(lhs[d + 1]);
    out.push_back(result[d + 1]);
    low.push_back(op.getLow().getResult(d));
    taps.push_back(weights.getDimSize(d));
  }
  strides.assign(op.getStrides().begin(), op.getStrides().end());
  lhsDilation.assign(op.getLhsDilation().begin(), op.getLhsDilation().end());
  rhsDilation.assign(op.getRhsDilation().begin(), op.getRhsDilation().end());
  groups = op.getGroups();
  groupChannels = weights.getDimSize(rank);
  groupOutputs = weights.getDimSize(rank + 1) / groups;
}

int64_t ConvGeometry::tapCount() const {
  int64_t count = 1;
  for (int64_t size : taps)
    count *= size;
  return count;
}

bool ConvGeometry::lanewise(const TargetInfo &target) const {
  Type type = accumulatorType(elementOf(ConvOp(op).getResult())), weights = elementOf(ConvOp(op).getRhs());
  const int64_t lanes = target.lanes(type.getIntOrFloatBitWidth());
  return depthwise() || (groups > 1 && groupChannels == groupOutputs && llvm::isa<FloatType>(type) &&
                         llvm::isa<FloatType>(weights) && groupOutputs < lanes && lanes % groupOutputs == 0);
}

bool ConvGeometry::alwaysInside(int64_t d) const {
  auto size = constantOf(in[d]), count = constantOf(out[d]), before = constantOf(low[d]);
  if (taps[d] == 1 && strides[d] == 1 && before == std::optional<int64_t>(0) && provablyEqual(in[d], out[d]))
    return true;
  return size && count && before && *before <= 0 &&
         (*count - 1) * strides[d] + (taps[d] - 1) * rhsDilation[d] - *before < *size;
}

bool ConvGeometry::canReadInPlace(DotKind kind, const TargetInfo &target) const {
  Value operand = ConvOp(op).getLhs();
  const auto view = viewOf(operand);
  return view && readsAsItIs(kind, operand, ConvOp(op).getRhs(), target) &&
         (kind == DotKind::Plain || (groupChannels % 4 == 0 && constantOf(in.back()) &&
                                     constantOf(out.back()) && constantOf(low.back()))) &&
         constantOf(view->strides.back()) == 1 &&
         llvm::all_of(lhsDilation, [](int64_t dilation) { return dilation == 1; });
}

//===- What follows a root ------------------------------------------------------------------===//

/// The ops from `root` (excluded) to the one that makes `value`; false when there is no such path or an op on
/// it does not map an element to an element.
static bool findPath(Operation *root, Value value, llvm::SmallPtrSetImpl<Operation *> &seen,
                     SmallVectorImpl<Operation *> &path) {
  Operation *op = value.getDefiningOp();
  if (op == root)
    return true;
  if (!op || !seen.insert(op).second || !(isElementwise(op) || isa<ReshapeOp, TransposeOp>(op)))
    return false;
  for (Value operand : op->getOperands())
    if (findPath(root, operand, seen, path)) {
      path.push_back(op);
      return true;
    }
  return false;
}

std::optional<SmallVector<Operation *>> epiloguePath(Operation *root, Value yielded) {
  SmallVector<Operation *> path;
  llvm::SmallPtrSet<Operation *, 16> seen;
  return findPath(root, yielded, seen, path) ? std::optional(path) : std::nullopt;
}

bool isFollowedByEpilogue(Operation *root) {
  Operation *yield = root->getBlock()->getTerminator();
  return root->getNumResults() == 1 && yield->getNumOperands() > 0 &&
         llvm::all_of(yield->getOperands(), [&](Value value) { return epiloguePath(root, value); });
}

int64_t epilogueInstructions(Operation *root) {
  int64_t count = 0;
  for (Operation *op = root->getNextNode(); op; op = op->getNextNode())
    count += instructionsOf(op);
  return count;
}

bool canTile(ContractOp op) {
  return isFollowedByEpilogue(op) && hasTiles(accumulatorType(elementOf(op.getResult())));
}

bool canTile(ConvOp op) {
  auto weights = llvm::cast<RankedTensorType>(op.getRhs().getType());
  return op.getChannelsLast() && isFollowedByEpilogue(op) && weights.hasStaticShape() &&
         weights.getNumElements() > 0 && weights.getRank() >= 3 &&
         hasTiles(accumulatorType(elementOf(op.getResult())));
}

std::optional<ConstantRight> constantRightOf(kernel::FuncOp kernel) {
  Operation *root = kernel::rootOf(kernel);
  if (!isa_and_present<ContractOp, ConvOp>(root))
    return std::nullopt;
  ConstantRight right;
  right.use = &root->getOpOperand(1);
  Value value = right.use->get();
  auto type = llvm::cast<RankedTensorType>(value.getType());
  if (!type.hasStaticShape() || type.getNumElements() == 0)
    return std::nullopt;
  while (!llvm::isa<BlockArgument>(value)) {
    Operation *op = value.getDefiningOp();
    if (!isa<ReshapeOp, TransposeOp, SliceOp>(op) || !op->hasOneUse())
      return std::nullopt;
    right.movements.push_back(op);
    value = op->getOperand(0);
  }
  right.argument = llvm::cast<BlockArgument>(value);
  if (!value.hasOneUse() || !kernel.isConstant(right.argument.getArgNumber()))
    return std::nullopt;
  std::reverse(right.movements.begin(), right.movements.end());
  return right;
}

ContractOp scoresOf(ContractOp values) {
  for (Operation *op = values->getPrevNode(); op; op = op->getPrevNode())
    if (auto contract = dyn_cast<ContractOp>(op))
      return contract;
  return {};
}

} // namespace tilewright::codegen
