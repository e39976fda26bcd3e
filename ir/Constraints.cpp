// What each graph op rests on, by op; and what can be proved of it.
#include "ir/Constraints.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;

namespace tilewright {

//===- Decisions -------------------------------------------------------------------------===//

namespace {

/// Whether an expression is never negative: by interval bounds, and where these fail by taking minima and
/// maxima apart. `fuel` bounds the alternatives that are tried.
class SignProver {
public:
  SignProver(const SymbolTable &symbols, int fuel) : symbols(symbols), fuel(fuel) {}

  bool isNonNegative(AffineExpr expr) {
    expr = canonical(expr);
    if (symbols.lowerBound(expr) >= 0)
      return true;
    if (--fuel < 0 || isa<AffineConstantExpr>(expr))
      return false;
    for (unsigned index : symbolsIn(expr))
      if (const Symbol &symbol = symbols[index]; symbol.rule != Symbol::None)
        if (byParts(expr, index, symbol))
          return true;
    return false;
  }

private:
  /// A derived symbol is one of its two parts: of min and max it is known which of the two values of the
  /// expression results, where the symbol occurs as a term.
  bool byParts(AffineExpr expr, unsigned index, const Symbol &symbol) {
    AffineExpr self = getAffineSymbolExpr(index, expr.getContext());
    AffineExpr a = expr.replace(self, symbol.a), b = expr.replace(self, symbol.b);
    auto slope = constantOf(canonical(expr.replace(self, self + 1) - expr));
    bool largerOfBoth =
        slope && ((symbol.rule == Symbol::Max && *slope > 0) || (symbol.rule == Symbol::Min && *slope < 0));
    return largerOfBoth ? isNonNegative(a) || isNonNegative(b) : isNonNegative(a) && isNonNegative(b);
  }

  const SymbolTable &symbols;
  int fuel;
};

/// Enough for the ends of a slice that are clamped on both sides.
constexpr int proofFuel = 32;

bool isNeverNegative(AffineExpr expr, const SymbolTable *symbols) {
  if (auto known = constantOf(expr))
    return *known >= 0;
  return symbols && SignProver(*symbols, proofFuel).isNonNegative(expr);
}

bool isNegative(AffineExpr expr, const SymbolTable *symbols) {
  if (auto known = constantOf(expr))
    return *known < 0;
  return symbols && symbols->upperBound(expr) < 0;
}

/// Whether `want` is what `have` was broadcast to: the check of the derived symbol says it all.
bool isBroadcastOf(AffineExpr want, AffineExpr have, const SymbolTable *symbols) {
  if (want == have)
    return true;
  auto derived = llvm::dyn_cast<AffineSymbolExpr>(want);
  if (!derived || !symbols)
    return false;
  const Symbol &symbol = (*symbols)[derived.getPosition()];
  return symbol.rule == Symbol::Broadcast &&
         (isBroadcastOf(symbol.a, have, symbols) || isBroadcastOf(symbol.b, have, symbols));
}

/// As if `when` were not there.
Verdict decideAlways(RelationKind kind, AffineExpr have, AffineExpr want, const SymbolTable *symbols) {
  auto of = [](bool proved, bool disproved) {
    return proved ? Verdict::Proved : disproved ? Verdict::Disproved : Verdict::Undecided;
  };
  if (kind == RelationKind::at_least)
    return decideAlways(RelationKind::at_most, want, have, symbols);
  if (have == want)
    return Verdict::Proved;
  const bool different = constantOf(have) && constantOf(want);
  if (kind == RelationKind::at_most && different) { // their difference need not fit
    const bool fits = *constantOf(have) < *constantOf(want);
    return of(fits, !fits);
  }
  AffineExpr room = canonical(want - have);
  if (kind == RelationKind::at_most)
    return of(isNeverNegative(room, symbols), isNegative(room, symbols));
  if (kind == RelationKind::equal || kind == RelationKind::reshape)
    return of(false, different);
  if (constantOf(have) == 1 || isBroadcastOf(want, have, symbols))
    return Verdict::Proved;
  return kind == RelationKind::either ? of(constantOf(want) == 1, different) : of(false, different);
}

} // namespace

Verdict decide(const Relation &relation, const SymbolTable *symbols) {
  if (relation.have == relation.want)
    return Verdict::Proved;
  AffineExpr when = relation.when ? canonical(relation.when) : AffineExpr();
  if (when && constantOf(when) == 0)
    return Verdict::Proved;
  AffineExpr have = canonical(relation.have), want = canonical(relation.want);
  Verdict verdict = decideAlways(relation.kind, have, want, symbols);
  if (verdict == Verdict::Undecided && symbols) {
    AffineExpr longHave = symbols->writtenOut(have), longWant = symbols->writtenOut(want);
    if (longHave != have || longWant != want)
      verdict = decideAlways(relation.kind, longHave, longWant, symbols);
  }
  bool sure = !when || constantOf(when) || (symbols && symbols->lowerBound(when) > 0);
  return verdict == Verdict::Disproved && !sure ? Verdict::Undecided : verdict;
}

std::string disproof(const Relation &relation, llvm::ArrayRef<std::string> names) {
  std::string have = toText(canonical(relation.have), names), want = toText(canonical(relation.want), names);
  if (relation.kind == RelationKind::at_most)
    return relation.what + ": " + have + " where at most " + want + " fits";
  if (relation.kind == RelationKind::at_least)
    return relation.what + ": " + have + " where at least " + want + " is needed";
  return relation.what + " do not fit: " + have + " and " + want;
}

//===- Ops ---------------------------------------------------------------------------------===//

namespace {

using Report = llvm::function_ref<void(Relation)>;

AffineExpr number(Operation *op, int64_t value) { return constantDim(op->getContext(), value); }

void equal(Report report, AffineExpr have, AffineExpr want, std::string what) {
  report({RelationKind::equal, have, want, std::move(what), {}});
}

void atMost(Report report, AffineExpr have, AffineExpr want, std::string what, AffineExpr when = {}) {
  report({RelationKind::at_most, have, want, std::move(what), when});
}

void atLeast(Report report, AffineExpr have, AffineExpr want, std::string what, AffineExpr when = {}) {
  report({RelationKind::at_least, have, want, std::move(what), when});
}

void sameShape(Report report, Value have, Value want, llvm::StringRef what) {
  for (auto [a, b] : llvm::zip(dimsOf(have), dimsOf(want)))
    equal(report, a, b, what.str());
}

void of(BinaryOp op, Report report) {
  sameShape(report, op.getRhs(), op.getLhs(), "the sizes of the operands");
  sameShape(report, op.getResult(), op.getLhs(), "the sizes of operand and result");
}
void of(CompareOp op, Report report) {
  sameShape(report, op.getRhs(), op.getLhs(), "the sizes of the operands");
  sameShape(report, op.getResult(), op.getLhs(), "the sizes of operand and result");
}
void of(SelectOp op, Report report) {
  for (Value operand : op->getOperands())
    sameShape(report, operand, op.getResult(), "the sizes of operand and result");
}

void of(BroadcastOp op, Report report) {
  Dims from = dimsOf(op.getOperand()), to = dimsOf(op.getResult());
  for (auto [size, dim] : llvm::zip(from, op.getDims()))
    report({op.getExact() ? RelationKind::equal : RelationKind::repeat, size, to[dim], "a size", {}});
}

void of(ReshapeOp op, Report report) {
  report({RelationKind::reshape,
          elementCount(op.getOperand().getType()),
          elementCount(op.getType()),
          "elements",
          {}});
}

void of(SliceOp op, Report report) {
  constexpr int64_t largestSize = int64_t(1) << 47; // of anything that lies in memory
  Dims from = dimsOf(op.getOperand()), count = dimsOf(op.getResult());
  for (size_t i = 0; i < from.size(); ++i) {
    AffineExpr start = op.getStarts().getResult(i), last = start;
    const int64_t step = op.getSteps()[i];
    if (step > -largestSize && step < largestSize)
      last = start + (count[i] - 1) * step;
    else // no second element fits, and multiples of the step may not fit in 64 bits
      atMost(report, count[i], number(op, 1), "the elements of the slice");
    bool forward = step > 0; // along an empty dimension nothing is read
    atLeast(report, forward ? start : last, number(op, 0), "the first index of the slice", count[i]);
    atMost(report, canonical((forward ? last : start) + 1), from[i], "the end of the slice", count[i]);
  }
}

void of(ConcatOp op, Report report) {
  Dims to = dimsOf(op.getResult()), along;
  for (Value operand : op.getOperands())
    for (auto [i, size] : llvm::enumerate(dimsOf(operand)))
      if (i == op.getAxis())
        along.push_back(size);
      else
        equal(report, size, to[i], "the sizes of the parts along dimension " + std::to_string(i));
  equal(report, sum(along, op.getContext()), to[op.getAxis()], "the sum of the parts");
}

void of(PadOp op, Report report) {
  Dims from = dimsOf(op.getOperand()), to = dimsOf(op.getResult());
  for (size_t i = 0; i < from.size(); ++i) {
    AffineExpr low = op.getLow().getResult(i), high = canonical(to[i] - from[i] - low);
    for (AffineExpr pad : {low, high}) {
      atLeast(report, pad, number(op, 0), "a pad");
      if (op.getMode() == PadMode::reflect)
        atMost(report, pad, from[i] - 1, "a pad that reflects all but the border", pad);
    }
    if (op.getMode() != PadMode::constant)
      atLeast(report, from[i], number(op, 1), "the size of what is to be repeated", low + high);
  }
}

/// Along other dimensions than the axis indices lie within the operand, unless there are none.
void within(Report report, Value indices, Value operand, uint64_t axis) {
  Dims have = dimsOf(indices), want = dimsOf(operand);
  for (auto [i, sizes] : llvm::enumerate(llvm::zip(have, want)))
    if (auto [size, most] = sizes; i != axis && size != most)
      atMost(report, size, most, "the indices along dimension " + std::to_string(i),
             elementCount(indices.getType()));
}

void of(GatherElementsOp op, Report report) {
  within(report, op.getIndices(), op.getOperand(), op.getAxis());
  sameShape(report, op.getResult(), op.getIndices(), "the sizes of indices and result");
}

void of(ScatterElementsOp op, Report report) {
  sameShape(report, op.getUpdates(), op.getIndices(), "the sizes of updates and indices");
  within(report, op.getIndices(), op.getOperand(), op.getAxis());
}

void of(GatherNDOp op, Report report) {
  Dims from = dimsOf(op.getOperand()), at = dimsOf(op.getIndices());
  for (size_t i = 0; i < op.getBatchDims(); ++i)
    equal(report, at[i], from[i], "the batches of indices and data");
  if (auto tuple = constantOf(at.back()))
    atMost(report, at.back(), number(op, from.size() - op.getBatchDims()), "the coordinates of an index");
}

void of(ScatterNDOp op, Report report) {
  Dims to = dimsOf(op.getResult()), at = dimsOf(op.getIndices()), updates = dimsOf(op.getUpdates());
  size_t places = at.size() - 1;
  for (auto [i, size] : llvm::enumerate(updates))
    if (i < places)
      equal(report, size, at[i], "the sizes of updates and indices");
    else if (size_t rest = updates.size() - i; rest <= to.size())
      equal(report, size, to[to.size() - rest], "the sizes of updates and data");
}

void of(ArgReduceOp op, Report report) {
  atLeast(report, dimsOf(op.getOperand())[op.getAxis()], number(op, 1), "the size to take the extreme of");
}

void of(SortOp op, Report report) {
  for (auto [i, size] : llvm::enumerate(dimsOf(op.getValues())))
    if (i == op.getAxis())
      atMost(report, size, dimsOf(op.getOperand())[i], "the number of elements to keep");
    else
      equal(report, size, dimsOf(op.getOperand())[i], "the sizes of operand and result");
  sameShape(report, op.getIndices(), op.getValues(), "the sizes of values and positions");
}

void of(WindowOp op, Report report) {
  Dims from = dimsOf(op.getOperand()), to = dimsOf(op.getResult());
  equal(report, to[0], from[0], "the batches of operand and result");
  size_t channel = op.getChannelsLast() ? from.size() - 1 : 1;
  equal(report, to[channel], from[channel], "the channels of operand and result");
}

void of(ContractOp op, Report report) {
  Dims lhs = dimsOf(op.getLhs()), rhs = dimsOf(op.getRhs());
  for (auto [l, r] : llvm::zip(op.getLhsContract(), op.getRhsContract()))
    equal(report, lhs[l], rhs[r], "the sizes to contract");
  for (auto [l, r] : llvm::zip(op.getLhsBatch(), op.getRhsBatch()))
    equal(report, lhs[l], rhs[r], "the batches");
}

void of(ConvOp op, Report report) {
  Dims lhs = dimsOf(op.getLhs()), rhs = dimsOf(op.getRhs()), to = dimsOf(op.getResult());
  size_t last = lhs.size() - 1;
  bool isLast = op.getChannelsLast();
  int64_t groups = op.getGroups();
  AffineExpr channels = lhs[isLast ? last : 1], perGroup = rhs[isLast ? last - 1 : 1],
             outputs = rhs[isLast ? last : 0];
  equal(report, channels, canonical(perGroup * groups), "the channels of input and weight");
  if (groups > 1)
    equal(report, canonical(outputs.floorDiv(groups) * groups), outputs, "the output channels of all groups");
  equal(report, to[isLast ? last : 1], outputs, "the channels of weight and result");
  equal(report, to[0], lhs[0], "the batches of operand and result");
}

void of(RequireOp op, Report report) {
  auto sizes = op.getSizes().getResults();
  report({op.getKind(), sizes[0], sizes[1], op.getWhat().str(), sizes.size() > 2 ? sizes[2] : AffineExpr()});
}

using Answer = void (*)(Operation *, Report);
template <typename Op> void answer(Operation *op, Report report) { of(cast<Op>(op), report); }
/// No memory is reached by a size that is not the result's own: one operand of the result's shape, indices
/// that are checked where they are read, or types that the verifier compares.
void nothing(Operation *, Report) {}

const llvm::StringMap<Answer> &answers() {
  static const llvm::StringMap<Answer> table{
      {BinaryOp::getOperationName(), answer<BinaryOp>},
      {CompareOp::getOperationName(), answer<CompareOp>},
      {SelectOp::getOperationName(), answer<SelectOp>},
      {BroadcastOp::getOperationName(), answer<BroadcastOp>},
      {ReshapeOp::getOperationName(), answer<ReshapeOp>},
      {SliceOp::getOperationName(), answer<SliceOp>},
      {ConcatOp::getOperationName(), answer<ConcatOp>},
      {PadOp::getOperationName(), answer<PadOp>},
      {GatherElementsOp::getOperationName(), answer<GatherElementsOp>},
      {GatherNDOp::getOperationName(), answer<GatherNDOp>},
      {ScatterElementsOp::getOperationName(), answer<ScatterElementsOp>},
      {ScatterNDOp::getOperationName(), answer<ScatterNDOp>},
      {ArgReduceOp::getOperationName(), answer<ArgReduceOp>},
      {SortOp::getOperationName(), answer<SortOp>},
      {WindowOp::getOperationName(), answer<WindowOp>},
      {ContractOp::getOperationName(), answer<ContractOp>},
      {ConvOp::getOperationName(), answer<ConvOp>},
      {RequireOp::getOperationName(), answer<RequireOp>},
      {ConstantOp::getOperationName(), nothing},
      {WeightOp::getOperationName(), nothing},
      {DimsOp::getOperationName(), nothing},
      {IotaOp::getOperationName(), nothing},
      {DefineOp::getOperationName(), nothing}, // ranges of symbols are checked where they are defined
      {UnaryOp::getOperationName(), nothing},
      {CastOp::getOperationName(), nothing},
      {BitcastOp::getOperationName(), nothing},
      {TransposeOp::getOperationName(), nothing},
      {GatherOp::getOperationName(), nothing},
      {CompactOp::getOperationName(), nothing}, // the size is the count of what is written
      {ReduceOp::getOperationName(), nothing},  // of nothing: the neutral element
      {ScanOp::getOperationName(), nothing},
      {IfOp::getOperationName(), nothing},   // a branch's sizes define the result's
      {LoopOp::getOperationName(), nothing}, // carried types do not change
      {YieldOp::getOperationName(), nothing},
  };
  return table;
}

/// Divisors that are not constants are at least 1.
void divisors(Operation *op, AffineExpr root, Report report) {
  root.walk([&](AffineExpr expr) {
    auto binary = llvm::dyn_cast<AffineBinaryOpExpr>(expr);
    if (!binary || expr.getKind() == AffineExprKind::Add || expr.getKind() == AffineExprKind::Mul ||
        constantOf(binary.getRHS()))
      return;
    atLeast(report, binary.getRHS(), number(op, 1), "the size to divide by");
  });
}

} // namespace

void constraintsOf(Operation *op, Report report) {
  auto found = answers().find(op->getName().getStringRef());
  if (found != answers().end())
    found->second(op, report);
}

void constraintsOfSizes(Operation *op, Report report) {
  for (Value result : op->getResults())
    if (llvm::isa<RankedTensorType>(result.getType()))
      for (AffineExpr size : dimsOf(result)) {
        if (constantOf(size).value_or(-1) >= 0)
          continue;
        divisors(op, size, report);
        atLeast(report, size, number(op, 0), "a size of the result");
      }
  if (op->getNumRegions()) // expressions of an If are those of its branches, whose ops answer themselves
    return;
  for (NamedAttribute attribute : op->getAttrs())
    if (auto map = llvm::dyn_cast<AffineMapAttr>(attribute.getValue()))
      for (AffineExpr expr : map.getValue().getResults())
        divisors(op, expr, report);
}

bool hasConstraintAnswer(llvm::StringRef opName) { return answers().contains(opName); }

} // namespace tilewright
