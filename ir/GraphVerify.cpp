// Verifiers: the numbered constraints of GraphOps.td.
#include "ir/Constraints.h"

using namespace mlir;
using namespace tilewright;
using llvm::ArrayRef;

namespace tilewright::graph {
namespace {

RankedTensorType tensorOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()); }
Type elementOf(Value value) { return tensorOf(value).getElementType(); }
int64_t rankOf(Value value) { return tensorOf(value).getRank(); }

bool sameShape(Value a, Value b) { return dimsOf(a) == dimsOf(b); }

/// What sizes must be to each other, as far as constants decide it (ir/Constraints.h).
LogicalResult requireConstraints(Operation *op) {
  std::string problem;
  constraintsOf(op, [&](const Relation &relation) {
    if (problem.empty() && decide(relation, nullptr) == Verdict::Disproved)
      problem = disproof(relation, {});
  });
  return problem.empty() ? success() : LogicalResult(op->emitOpError(problem));
}

LogicalResult requireSameShape(Operation *op, Value a, Value b) {
  if (sameShape(a, b))
    return success();
  return op->emitOpError("operands and result need one shape: ") << a.getType() << " and " << b.getType();
}

LogicalResult requireSameType(Operation *op, Value a, Value b) {
  if (a.getType() == b.getType())
    return success();
  return op->emitOpError("C1: types differ: ") << a.getType() << " and " << b.getType();
}

LogicalResult requireAxis(Operation *op, int64_t axis, int64_t rank) {
  if (axis >= 0 && axis < rank)
    return success();
  return op->emitOpError("axis ") << axis << " is outside a rank of " << rank;
}

LogicalResult requireCount(Operation *op, llvm::StringRef what, size_t got, size_t want) {
  if (got == want)
    return success();
  return op->emitOpError(what) << " has " << got << " entries instead of " << want;
}

LogicalResult requireIncreasing(Operation *op, ArrayRef<int64_t> dims, int64_t rank) {
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] < 0 || dims[i] >= rank || (i && dims[i] <= dims[i - 1]))
      return op->emitOpError("dimensions must be strictly increasing and below ") << rank;
  return success();
}

bool isIndexTensor(Value value) {
  return elementOf(value).isSignedInteger(32) || elementOf(value).isSignedInteger(64);
}

} // namespace

LogicalResult ConstantOp::verify() {
  if (getValue().getShapedType().getShape() != tensorOf(getResult()).getShape())
    return emitOpError("C1: shape of the value is not the result's");
  return success();
}

LogicalResult WeightOp::verify() {
  auto type = tensorOf(getResult());
  if (!type.hasStaticShape())
    return emitOpError("C1: a weight has a static shape");
  int64_t bits = type.getNumElements() *
                 (type.getElementType().isInteger(1) ? 8 : type.getElementType().getIntOrFloatBitWidth());
  if (int64_t(getLength()) != (int64_t)llvm::divideCeil(bits, 8))
    return emitOpError("C2: length ") << getLength() << " is not the size of " << type;
  return success();
}

LogicalResult DimsOp::verify() {
  auto type = tensorOf(getResult());
  if (type.getRank() > 1 || !isIndexTensor(getResult()) ||
      type.getNumElements() != int64_t(getExprs().getNumResults()))
    return emitOpError(
        "C1: result must be a scalar or vector of si64 or si32 with one element an expression");
  return success();
}

LogicalResult IotaOp::verify() { return requireAxis(*this, getAxis(), rankOf(getResult())); }

LogicalResult DefineOp::verify() {
  auto type = tensorOf(getValues());
  if (type.getRank() > 1 || !type.hasStaticShape() || type.getNumElements() != int64_t(getSymbols().size()))
    return emitOpError("C1: needs one element for each symbol");
  return success();
}

LogicalResult RequireOp::verify() {
  size_t count = getSizes().getNumResults();
  if (count != 2 && count != 3)
    return emitOpError("C1: needs two sizes, and possibly when they matter");
  return success(); // a relation that never holds fails where it runs
}

LogicalResult UnaryOp::verify() {
  bool predicate = getKind() == UnaryKind::isnan || getKind() == UnaryKind::isinf;
  if (predicate)
    return requireSameShape(*this, getOperand(), getResult());
  return requireSameType(*this, getOperand(), getResult());
}

LogicalResult BinaryOp::verify() {
  if (failed(requireSameType(*this, getLhs(), getRhs())))
    return failure();
  return requireSameType(*this, getLhs(), getResult());
}

LogicalResult CompareOp::verify() {
  if (failed(requireSameType(*this, getLhs(), getRhs())) ||
      failed(requireSameShape(*this, getLhs(), getResult())))
    return failure();
  if (!elementOf(getResult()).isInteger(1))
    return emitOpError("C1: result must be i1");
  return success();
}

LogicalResult SelectOp::verify() {
  if (!elementOf(getCondition()).isInteger(1))
    return emitOpError("C1: condition must be i1");
  if (failed(requireSameType(*this, getOnTrue(), getResult())) ||
      failed(requireSameType(*this, getOnFalse(), getResult())))
    return failure();
  return requireSameShape(*this, getCondition(), getResult());
}

LogicalResult CastOp::verify() { return requireSameShape(*this, getOperand(), getResult()); }

LogicalResult BitcastOp::verify() {
  if (elementOf(getOperand()).getIntOrFloatBitWidth() != elementOf(getResult()).getIntOrFloatBitWidth())
    return emitOpError("C1: element types differ in width");
  return requireSameShape(*this, getOperand(), getResult());
}

LogicalResult BroadcastOp::verify() {
  if (failed(requireCount(*this, "dims", getDims().size(), rankOf(getOperand()))) ||
      failed(requireIncreasing(*this, getDims(), rankOf(getResult()))))
    return failure();
  Dims from = dimsOf(getOperand()), to = dimsOf(getResult());
  if (getExact() && from.size() != to.size())
    return emitOpError("C3: an exact broadcast keeps the rank");
  for (auto [i, dim] : llvm::enumerate(getDims()))
    if (constantOf(from[i]) && constantOf(to[dim]) && constantOf(from[i]) != 1 && from[i] != to[dim])
      return emitOpError("C2: cannot repeat ") << getOperand().getType() << " to " << getResult().getType();
  return success();
}

LogicalResult ReshapeOp::verify() {
  auto from = constantOf(elementCount(getOperand().getType())),
       to = constantOf(elementCount(getResult().getType()));
  if (from && to && *from != *to)
    return emitOpError("C1: ") << *from << " elements cannot be reshaped into " << *to;
  return success();
}

LogicalResult TransposeOp::verify() {
  if (failed(requireCount(*this, "perm", getPerm().size(), rankOf(getOperand()))))
    return failure();
  Dims from = dimsOf(getOperand()), to = dimsOf(getResult());
  llvm::SmallVector<bool> seen(from.size());
  for (auto [i, dim] : llvm::enumerate(getPerm())) {
    if (dim < 0 || dim >= int64_t(from.size()) || seen[dim])
      return emitOpError("perm is not a permutation");
    seen[dim] = true;
    if (from[dim] != to[i])
      return emitOpError("result shape does not follow the permutation");
  }
  return success();
}

LogicalResult SliceOp::verify() {
  size_t rank = rankOf(getOperand());
  if (failed(requireCount(*this, "starts", getStarts().getNumResults(), rank)) ||
      failed(requireCount(*this, "steps", getSteps().size(), rank)) ||
      failed(requireCount(*this, "result shape", rankOf(getResult()), rank)))
    return failure();
  Dims sizes = dimsOf(getResult()), from = dimsOf(getOperand());
  for (size_t i = 0; i < rank; ++i) {
    if (getSteps()[i] == 0)
      return emitOpError("C1: a step is 0");
    auto start = constantOf(getStarts().getResult(i)), count = constantOf(sizes[i]),
         size = constantOf(from[i]);
    if (start && count && size && *count > 0) {
      int64_t last = *start + (*count - 1) * getSteps()[i];
      if (*start < 0 || *start >= *size || last < 0 || last >= *size)
        return emitOpError("C2: dimension ") << i << " is read outside its " << *size << " elements";
    }
  }
  return success();
}

LogicalResult ConcatOp::verify() {
  if (getOperands().empty())
    return emitOpError("needs an operand");
  if (failed(requireAxis(*this, getAxis(), rankOf(getResult()))))
    return failure();
  Dims to = dimsOf(getResult());
  for (Value operand : getOperands()) {
    Dims from = dimsOf(operand);
    if (from.size() != to.size() || elementOf(operand) != elementOf(getResult()))
      return emitOpError("operands differ in rank or element type");
  }
  return requireConstraints(*this);
}

LogicalResult PadOp::verify() {
  if (rankOf(getValue()) != 0 || elementOf(getValue()) != elementOf(getOperand()))
    return emitOpError("the fill value must be a scalar of the operand's element type");
  if (failed(requireCount(*this, "low", getLow().getNumResults(), rankOf(getOperand()))))
    return failure();
  if (failed(requireCount(*this, "result shape", rankOf(getResult()), rankOf(getOperand()))))
    return failure();
  return requireConstraints(*this);
}

LogicalResult GatherOp::verify() {
  if (!isIndexTensor(getIndices()))
    return emitOpError("indices must be si32 or si64");
  if (failed(requireAxis(*this, getAxis(), rankOf(getOperand()))))
    return failure();
  return requireCount(*this, "result shape", rankOf(getResult()),
                      rankOf(getOperand()) - 1 + rankOf(getIndices()));
}

LogicalResult GatherElementsOp::verify() {
  if (!isIndexTensor(getIndices()))
    return emitOpError("indices must be si32 or si64");
  if (failed(requireAxis(*this, getAxis(), rankOf(getOperand()))))
    return failure();
  if (rankOf(getIndices()) != rankOf(getOperand()))
    return emitOpError("indices and operand differ in rank");
  if (failed(requireSameShape(*this, getIndices(), getResult())))
    return failure();
  return requireConstraints(*this);
}

LogicalResult GatherNDOp::verify() {
  if (!isIndexTensor(getIndices()) || rankOf(getIndices()) < 1)
    return emitOpError("indices must be si32 or si64, of rank 1 at least");
  if (int64_t(getBatchDims()) >= std::min(rankOf(getOperand()), rankOf(getIndices())))
    return emitOpError("more batch dimensions than an operand has");
  return requireConstraints(*this);
}

LogicalResult ScatterElementsOp::verify() {
  if (!isIndexTensor(getIndices()))
    return emitOpError("indices must be si32 or si64");
  if (failed(requireAxis(*this, getAxis(), rankOf(getOperand()))) ||
      failed(requireSameShape(*this, getIndices(), getUpdates())))
    return failure();
  if (rankOf(getIndices()) != rankOf(getOperand()))
    return emitOpError("indices and operand differ in rank");
  if (failed(requireSameType(*this, getOperand(), getResult())))
    return failure();
  return requireConstraints(*this);
}

LogicalResult ScatterNDOp::verify() {
  if (!isIndexTensor(getIndices()) || rankOf(getIndices()) < 1)
    return emitOpError("indices must be si32 or si64, of rank 1 at least");
  if (failed(requireSameType(*this, getOperand(), getResult())))
    return failure();
  return requireConstraints(*this);
}

LogicalResult CompactOp::verify() {
  if (!elementOf(getMask()).isInteger(1) || rankOf(getResult()) != 2 ||
      !elementOf(getResult()).isSignedInteger(64))
    return emitOpError("C1: mask must be i1 and the result [count, rank] of si64");
  return success();
}

LogicalResult ReduceOp::verify() {
  if (failed(requireIncreasing(*this, getDims(), rankOf(getOperand()))))
    return failure();
  if (elementOf(getOperand()) != elementOf(getResult()))
    return emitOpError("element type changes");
  return requireCount(*this, "result shape", rankOf(getResult()), rankOf(getOperand()) - getDims().size());
}

LogicalResult ArgReduceOp::verify() {
  if (!elementOf(getResult()).isSignedInteger(64))
    return emitOpError("result must be si64");
  if (failed(requireAxis(*this, getAxis(), rankOf(getOperand()))))
    return failure();
  return requireConstraints(*this);
}

LogicalResult ScanOp::verify() {
  if (failed(requireAxis(*this, getAxis(), rankOf(getOperand()))))
    return failure();
  if (getKind() != ReduceKind::sum && getKind() != ReduceKind::prod)
    return emitOpError("only sums and products run");
  return requireSameType(*this, getOperand(), getResult());
}

LogicalResult SortOp::verify() {
  if (!elementOf(getIndices()).isSignedInteger(64))
    return emitOpError("indices must be si64");
  if (failed(requireAxis(*this, getAxis(), rankOf(getOperand()))))
    return failure();
  if (rankOf(getValues()) != rankOf(getOperand()) || rankOf(getIndices()) != rankOf(getOperand()))
    return emitOpError("results differ from the operand in rank");
  return requireConstraints(*this);
}

LogicalResult WindowOp::verify() {
  size_t spatial = rankOf(getOperand()) - 2;
  if (rankOf(getOperand()) < 3 || rankOf(getResult()) != rankOf(getOperand()))
    return emitOpError("needs a batch, a channel and spatial dimensions");
  if (failed(requireCount(*this, "C1: kernel", getKernel().size(), spatial)) ||
      failed(requireCount(*this, "C1: strides", getStrides().size(), spatial)) ||
      failed(requireCount(*this, "C1: dilations", getDilations().size(), spatial)) ||
      failed(requireCount(*this, "C1: low", getLow().getNumResults(), spatial)))
    return failure();
  return requireConstraints(*this);
}

LogicalResult ContractOp::verify() {
  if (getLhsBatch().size() != getRhsBatch().size() || getLhsContract().size() != getRhsContract().size())
    return emitOpError("C1: unpaired dimensions");
  Dims lhs = dimsOf(getLhs()), rhs = dimsOf(getRhs());
  auto paired = [&](ArrayRef<int64_t> left, ArrayRef<int64_t> right) {
    for (auto [a, b] : llvm::zip(left, right)) {
      bool inside = a >= 0 && b >= 0 && a < int64_t(lhs.size()) && b < int64_t(rhs.size());
      if (!inside || (constantOf(lhs[a]) && constantOf(rhs[b]) && lhs[a] != rhs[b]))
        return false;
    }
    return true;
  };
  if (!paired(getLhsBatch(), getRhsBatch()) || !paired(getLhsContract(), getRhsContract()))
    return emitOpError("C1: paired dimensions differ: ")
           << getLhs().getType() << " and " << getRhs().getType();
  return requireCount(*this, "result shape", rankOf(getResult()),
                      lhs.size() + rhs.size() - getLhsBatch().size() - 2 * getLhsContract().size());
}

LogicalResult ConvOp::verify() {
  size_t spatial = rankOf(getLhs()) - 2;
  if (rankOf(getLhs()) < 3 || rankOf(getRhs()) != rankOf(getLhs()) || rankOf(getResult()) != rankOf(getLhs()))
    return emitOpError("operands and result have one rank, at least 3");
  if (failed(requireCount(*this, "C3: strides", getStrides().size(), spatial)) ||
      failed(requireCount(*this, "C3: low", getLow().getNumResults(), spatial)) ||
      failed(requireCount(*this, "C3: lhsDilation", getLhsDilation().size(), spatial)) ||
      failed(requireCount(*this, "C3: rhsDilation", getRhsDilation().size(), spatial)))
    return failure();
  bool last = getChannelsLast();
  auto channels = constantOf(dimsOf(getLhs())[last ? spatial + 1 : 1]),
       perGroup = constantOf(dimsOf(getRhs())[last ? spatial : 1]);
  auto outputs = constantOf(dimsOf(getRhs())[last ? spatial + 1 : 0]);
  if (getGroups() < 1 || (channels && perGroup && *channels != *perGroup * int64_t(getGroups())) ||
      (outputs && *outputs % getGroups()))
    return emitOpError("C1: channels do not fit the groups");
  return requireConstraints(*this);
}

LogicalResult IfOp::verify() {
  for (Region *region : {&getThenRegion(), &getElseRegion()}) {
    auto yield = dyn_cast<YieldOp>(region->front().getTerminator());
    if (!yield || yield.getNumOperands() != getNumResults())
      return emitOpError("C1: a branch does not yield the results");
  }
  return success();
}

LogicalResult LoopOp::verify() {
  Block &body = getBody().front();
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  size_t carried = getInitial().size();
  if (!yield || body.getNumArguments() != carried + 1 || yield.getNumOperands() != getNumResults() + 1)
    return emitOpError("the body's arguments or yields do not match");
  size_t changing = symbolsThatChange().size();
  if (changing != (getInitialDims() ? getInitialDims()->getNumResults() : 0) ||
      changing != (getNextDims() ? getNextDims()->getNumResults() : 0))
    return emitOpError("symbols, initialDims and nextDims do not match");
  auto replaced = [&](Type type, std::optional<AffineMap> by) {
    Dims values;
    for (auto [index, symbol] : llvm::enumerate(symbolsThatChange())) {
      values.resize(std::max<size_t>(values.size(), symbol + 1));
      values[symbol] = by->getResult(index);
    }
    return values.empty() ? type : substitute(type, values);
  };
  for (size_t i = 0; i < carried; ++i) {
    Type type = body.getArgument(i + 1).getType();
    if (getInitial()[i].getType() != replaced(type, getInitialDims()) ||
        yield.getOperand(i + 1).getType() != replaced(type, getNextDims()))
      return emitOpError("C1: carried value ") << i << " changes its type: " << getInitial()[i].getType()
                                               << ", " << yield.getOperand(i + 1).getType();
  }
  return success();
}

bool LoopOp::isSliceSize(int64_t symbol) {
  return llvm::any_of(llvm::drop_begin(getResultTypes(), getInitial().size()), [&](Type type) {
    return llvm::is_contained(symbolsIn(type), unsigned(symbol)) && int64_t(getIterations()) != symbol;
  });
}

} // namespace tilewright::graph
