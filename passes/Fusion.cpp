// Fusion: walk the ops from last to first; each joins the kernel of its consumers when that costs nothing
// twice, else its value is stored.
//
// The idea is XLA's and TVM's: an op whose value is needed once, or is cheap, is computed where it is used.
// What keeps it safe for speed:
//   - one contract or conv a kernel, at its root but for an epilogue that keeps or permutes the index; a
//   contraction brings along the contraction whose rows it multiplies (RowChains.h)
//   - a reduce joins its consumer only if it is computed once a row: it takes the innermost dimensions of
//   exactly the shape the kernel runs over
//   - nothing dear is computed again for every element of a larger result it is repeated over
#include "passes/Fusion.h"
#include "codegen/schedule/Marks.h"
#include "ir/interpreter/Work.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;
using llvm::StringRef;

namespace tilewright::passes {
namespace {

constexpr size_t maxOps = 48;           ///< beyond this, registers spill and compilation slows
constexpr double largestGrowth = 8;     ///< of constants computed from constants: 4-bit weights as f32
constexpr double smallTable = 64 << 10; ///< bytes: constants from nothing, such as masks
constexpr double largestTable =
    8 << 20; ///< bytes: the same, where they are dear, such as the factors of a DFT
constexpr double largestWork = 1 << 24; ///< elements computed for a constant, however small it is
constexpr double workPerByte = 64;      ///< the same, for each byte of it and its sources
constexpr int64_t tinyElements =
    4096; ///< cheap work on tensors up to this size is repeated rather than stored

/// Computes a weight from few bits: where it is multiplied, once for all rows.
bool isNarrowWeight(Operation *op) { return op && op->hasAttr(codegen::narrowWeight); }

/// Rounds floats to bytes: what is stored after it takes a quarter of what is stored before.
bool isQuantizing(Operation *op) {
  auto cast = dyn_cast<CastOp>(op);
  auto isNarrow = [](Type type) {
    return llvm::isa<IntegerType>(type) && !type.isInteger(1) && type.getIntOrFloatBitWidth() <= 8;
  };
  auto elementOf = [](Value value) { return llvm::cast<RankedTensorType>(value.getType()).getElementType(); };
  return cast && llvm::isa<FloatType>(elementOf(cast.getOperand())) && isNarrow(elementOf(cast.getResult()));
}

/// Whether the innermost dimension (without ones) of the operand is not the result's.
bool movesInnermost(TransposeOp transpose) {
  Dims from = dimsOf(transpose.getOperand());
  auto innermost = [&](auto order) {
    for (int64_t i = from.size(); i-- > 0;)
      if (constantOf(from[order(i)]) != 1)
        return order(i);
    return int64_t(-1);
  };
  return innermost([](int64_t i) { return i; }) !=
         innermost([&](int64_t i) { return transpose.getPerm()[i]; });
}

bool sameCount(Value a, ArrayRef<AffineExpr> dims) {
  return elementCount(a.getType()) == productOf(dims, a.getContext());
}

} // namespace

std::optional<int64_t> trailingReduction(ReduceOp reduce) {
  Dims dims = dimsOf(reduce.getOperand());
  int64_t taken = 0;
  bool keptSeen = false;
  for (size_t i = dims.size(); i-- > 0;) {
    if (constantOf(dims[i]) == 1)
      continue;
    bool isReduced = llvm::is_contained(reduce.getDims(), int64_t(i));
    if (isReduced && keptSeen)
      return std::nullopt;
    keptSeen |= !isReduced;
    taken += isReduced;
  }
  return taken;
}

static double bytesOf(Value value) {
  auto type = llvm::cast<RankedTensorType>(value.getType());
  return double(byteWidth(type.getElementType())) * type.getNumElements();
}

const FusionPlanner::Constness &FusionPlanner::constnessOf(Value value) const {
  // Operands before their users, without recursion: chains may be long.
  SmallVector<Value> pending{value};
  while (!pending.empty()) {
    Value next = pending.back();
    const size_t before = pending.size();
    if (!constants.contains(next) && mayBeConstant(next))
      for (Value operand : next.getDefiningOp()->getOperands())
        if (!constants.contains(operand))
          pending.push_back(operand);
    if (pending.size() != before)
      continue;
    pending.pop_back();
    if (!constants.contains(next))
      constants[next] = computeConstness(next);
  }
  return constants.find(value)->second;
}

/// But for its operands.
bool FusionPlanner::mayBeConstant(Value value) const {
  Operation *op = value.getDefiningOp();
  auto isStatic = [](Type t) { return llvm::cast<RankedTensorType>(t).hasStaticShape(); };
  return op && isa_and_present<GraphDialect>(op->getDialect()) && isPure(op) && !op->getNumRegions() &&
         llvm::all_of(op->getResultTypes(), isStatic);
}

/// Those of the operands are known.
FusionPlanner::Constness FusionPlanner::computeConstness(Value value) const {
  Constness c;
  Operation *op = value.getDefiningOp();
  c.isConstant = mayBeConstant(value);
  if (c.isConstant && isa<ConstantOp, WeightOp>(op)) {
    c.sourceBytes = bytesOf(value);
  } else if (c.isConstant && !isa<IotaOp>(op)) {
    c.isConstant = op->getNumOperands() > 0;
    c.dear = isDear(op);
    c.work = interpreter::workOf(op);
    for (Value operand : op->getOperands()) {
      const Constness &of = constants.find(operand)->second;
      c.isConstant &= of.isConstant;
      c.dear |= of.dear;
      c.sourceBytes += of.sourceBytes;
      c.work += of.work;
    }
  }
  return c;
}

/// Whether `value` is computed when the artifact is written, and stored in it. What only repeats or counts is
/// made where it is used, and so is what is cheap and much larger than the constants it comes from, or takes
/// far more work than it and they have bytes: a corner of a huge mask is made element by element.
bool FusionPlanner::isConstant(Value value) const {
  const Constness &c = constnessOf(value);
  if (!c.isConstant || isa<BroadcastOp, IotaOp>(value.getDefiningOp()) ||
      isNarrowWeight(value.getDefiningOp()) || (!fold && !isa<ConstantOp, WeightOp>(value.getDefiningOp())))
    return false;
  if (c.work > largestWork + workPerByte * (c.sourceBytes + bytesOf(value)))
    return false;
  return bytesOf(value) <= std::max(largestGrowth * c.sourceBytes, c.dear ? largestTable : smallTable);
}

/// Why the value of `op` must lie in memory whatever its consumers could do; "" when nothing forces it.
StringRef FusionPlanner::whyStored(Operation *op) const {
  if (op->use_empty())
    return "its value is not used by a kernel";
  if (op->getNumResults() > 1)
    return "it has several results";
  if (isSerial(op))
    return "its elements depend on each other";
  if (isa<ArgReduceOp>(op))
    return "it searches whole rows";
  if (auto window = dyn_cast<WindowOp>(op); window && window.getKind() == WindowKind::wargmax)
    return "it searches whole windows";
  if (isa<ConcatOp>(op))
    return "concatenations are written piece by piece";
  for (Operation *user : op->getUsers()) {
    if (user->getBlock() != &block)
      return "a branch or loop body uses it";
    if (isa<func::ReturnOp, YieldOp>(user))
      return "it is an output";
    if (isa<DefineOp, IfOp, LoopOp>(user) && !isa<ReshapeOp>(op))
      return "control flow reads it";
  }
  return "";
}

static bool isInChain(Operation *op, const FusionGroup &group) {
  return group.chain && (op == group.chain->scores || group.chain->ops.contains(op));
}

/// Read by the ops that compute rows: for every pass over them.
bool FusionPlanner::feedsChain(Operation *op, const FusionGroup &group) const {
  return group.chain &&
         llvm::any_of(op->getUsers(), [&](Operation *user) { return group.chain->ops.contains(user); });
}

bool FusionPlanner::feedsHero(Operation *op, FusionGroup &group) const {
  return llvm::any_of(op->getUsers(), [&](Operation *user) {
    return group.ops.contains(user) && (user == group.hero || group.prologue.contains(user) ||
                                        (group.chain && user == group.chain->scores));
  });
}

/// A contract or conv joins as the root of a kernel whose other ops become its epilogue.
StringRef FusionPlanner::heroObstacle(Operation *op, FusionGroup &group) const {
  if (group.hero)
    return "the consumer's kernel has a contraction already";
  if (group.rowRank)
    return "the consumer's kernel reduces rows";
  if (isSerial(group.root) || isa<ConcatOp, ArgReduceOp, ReduceOp, WindowOp>(group.root))
    return "the consumer is not an epilogue";
  if (!sameCount(op->getResult(0), group.iteration))
    return "the consumer has another number of elements";
  for (Operation *member : group.ops) // whatever lies between must keep, permute or regroup the index
    if (isa<WindowOp, ReduceOp>(member) || isGather(member))
      return "the consumer's kernel does more than an epilogue";
  SmallVector<Operation *> pending{op};
  llvm::SmallPtrSet<Operation *, 8> seen;
  while (!pending.empty()) {
    Operation *current = pending.pop_back_val();
    for (Operation *user : current->getUsers()) {
      if (!group.ops.contains(user) || !seen.insert(user).second)
        continue;
      bool moves = isa<ReshapeOp, TransposeOp>(user);
      if (!moves && !isElementwise(user))
        return "between them the index changes in a way an epilogue cannot follow";
      if (auto transpose = dyn_cast<TransposeOp>(user)) {
        if (movesInnermost(transpose))
          return "its rows would be stored element by element";
        auto run = constantOf(withoutOnes(dimsOf(transpose.getOperand())).back());
        if (run && *run % target.lanes(32) != 0)
          return "its rows would be cut into pieces shorter than a vector";
      }
      if (moves && !current->hasOneUse())
        return "its value is used both before and after it is permuted";
      pending.push_back(user);
    }
  }
  return "";
}

StringRef FusionPlanner::reduceObstacle(Operation *op, FusionGroup &group) const {
  auto reduce = cast<ReduceOp>(op);
  if (group.hero)
    return "the consumer's kernel has a contraction";
  if (isSerial(group.root) || isa<ConcatOp, ArgReduceOp, WindowOp>(group.root))
    return "the consumer does not run over rows";
  auto trailing = trailingReduction(reduce);
  if (sameCount(reduce.getResult(), group.iteration)) {
    bool plainPath = group.rowRank == 0;
    return plainPath ? "" : "the consumer's kernel reduces other rows";
  }
  if (!trailing)
    return "it does not reduce the innermost dimensions";
  if (withoutOnes(dimsOf(reduce.getOperand())) != withoutOnes(group.iteration))
    return "its rows are not the consumer's";
  if (group.rowRank && group.rowRank != *trailing)
    return "the consumer's kernel reduces rows of another shape";
  return "";
}

/// Computed from a row's reduction: once a row, however dear.
bool FusionPlanner::isRowScalar(Operation *op, FusionGroup &group, int depth) const {
  if (depth > 8)
    return false;
  for (Value operand : op->getOperands()) {
    Operation *producer = operand.getDefiningOp();
    if (!producer || producer->getBlock() != &block)
      continue;
    if (isa<ReduceOp>(producer) ? reduceObstacle(producer, group).empty()
                                : (isElementwise(producer) || isa<ReshapeOp, BroadcastOp>(producer)) &&
                                      isRowScalar(producer, group, depth + 1))
      return true;
  }
  return false;
}

/// Some window of the kernel reads `op`, maybe through movement.
bool FusionPlanner::feedsWindow(Operation *op, FusionGroup &group, int depth) const {
  return depth <= 16 && llvm::any_of(op->getUsers(), [&](Operation *user) {
           return group.ops.contains(user) &&
                  (isa<WindowOp>(user) || (isMovement(user) && feedsWindow(user, group, depth + 1)));
         });
}

/// Between `op` and the stored value lies a broadcast that repeats it.
bool FusionPlanner::isRepeated(Operation *op, FusionGroup &group, int depth) const {
  if (depth > 16)
    return true;
  return llvm::any_of(op->getUsers(), [&](Operation *user) {
    if (!group.ops.contains(user))
      return false;
    if (auto repeat = dyn_cast<BroadcastOp>(user);
        repeat && !repeat.getExact() &&
        elementCount(user->getResult(0).getType()) != elementCount(op->getResult(0).getType()))
      return true;
    return (isElementwise(user) || isMovement(user)) && isRepeated(user, group, depth + 1);
  });
}

StringRef FusionPlanner::whyNotFused(Operation *op, FusionGroup &group) const {
  if (isInChain(op, group))
    return "";
  if (group.ops.size() >= maxOps)
    return "the consumer's kernel is full";
  if (isProduct(op))
    return heroObstacle(op, group);
  if (isQuantizing(op) && (group.rowRank || group.ops.size() >= maxOps / 2))
    return group.rowRank ? "its bytes are read again for every pass over the rows"
                         : "the consumer's kernel is full";
  if (isa<ReduceOp>(op))
    return reduceObstacle(op, group);
  if (feedsHero(op, group)) {
    if (isa<ReshapeOp, TransposeOp, BroadcastOp>(op) || isNarrowWeight(op))
      return "";
    return "a contraction would compute it again for every tile";
  }
  if (isDear(op) && feedsChain(op, group))
    return "it would be computed again for every pass over the rows";
  if (isDear(op) && isRepeated(op, group) && !isRowScalar(op, group))
    return "it would be computed again for every repetition";
  if (!isMovement(op) && feedsWindow(op, group))
    return "it would be computed again for every tap of a window";
  if (isa<ConcatOp>(group.root) && isDear(op) && !op->hasOneUse())
    return "several pieces use it";
  if (isa<WindowOp>(op) && (group.rowRank || group.hero || isSerial(group.root)))
    return "it would be computed several times";
  return "";
}

void FusionPlanner::join(Operation *op, FusionGroup &group) {
  const bool inChain = isInChain(op, group);
  if (!inChain && feedsHero(op, group))
    group.prologue.insert(op);
  group.ops.insert(op);
  groupsOf[op].push_back(&group);
  if (inChain)
    return;
  if (isProduct(op)) {
    group.hero = op;
    if (auto contract = dyn_cast<ContractOp>(op);
        contract && !isConstant(contract.getRhs()) && !isNarrowWeight(contract.getRhs().getDefiningOp()))
      group.chain = findRowChain(contract);
    if (group.chain && isConstant(group.chain->scores.getRhs()))
      group.chain.reset();
  }
  if (auto reduce = dyn_cast<ReduceOp>(op))
    if (!sameCount(reduce.getResult(), group.iteration))
      group.rowRank = *trailingReduction(reduce);
}

void FusionPlanner::place(Operation *op) {
  StringRef reason = whyStored(op);
  llvm::SetVector<FusionGroup *> consumers;
  for (Operation *user : op->getUsers())
    for (FusionGroup *group : groupsOf.lookup(user))
      consumers.insert(group);
  if (isa<ReshapeOp>(op) && reason.empty() && llvm::any_of(op->getUsers(), [&](Operation *user) {
        return isa<DefineOp, IfOp, LoopOp>(user) || views.contains(user);
      }))
    views.insert(op); // a view that control flow reads: what it views is stored
  else if (llvm::any_of(op->getUsers(), [&](Operation *user) { return views.contains(user); }))
    reason = "control flow reads a view of it";
  if (reason.empty() && consumers.empty())
    return;
  if (reason.empty() && consumers.size() > 1) {
    auto type = llvm::cast<RankedTensorType>(op->getResult(0).getType());
    bool tiny =
        isElementwise(op) && !isDear(op) && type.hasStaticShape() && type.getNumElements() <= tinyElements;
    if (!isMovement(op) && !isNarrowWeight(op) && (!isa<CastOp>(op) || isQuantizing(op)) && !tiny)
      reason = "several kernels use it";
  }
  if (reason.empty())
    for (FusionGroup *group : consumers)
      if (reason.empty())
        reason = whyNotFused(op, *group);
  if (reason.empty()) {
    for (FusionGroup *group : consumers)
      join(op, *group);
    return;
  }
  reasons[op] = reason;
  groups.push_back(std::make_unique<FusionGroup>());
  FusionGroup &group = *groups.back();
  group.root = op;
  group.iteration = dimsOf(op->getResult(0));
  join(op, group);
}

std::vector<std::unique_ptr<FusionGroup>> FusionPlanner::plan() {
  for (Operation &op : llvm::reverse(block)) {
    bool control = isa<DefineOp, IfOp, LoopOp>(op) || op.hasTrait<OpTrait::IsTerminator>();
    bool isOutput =
        llvm::any_of(op.getUsers(), [](Operation *user) { return user->hasTrait<OpTrait::IsTerminator>(); });
    if (control || op.getNumResults() == 0 || (isConstant(op.getResult(0)) && !isOutput) ||
        !isa_and_present<GraphDialect>(op.getDialect()))
      continue;
    place(&op);
  }
  std::reverse(groups.begin(), groups.end());
  return std::move(groups);
}

} // namespace tilewright::passes
