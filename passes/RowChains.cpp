// Finds softmax(q * k) * v and its like without naming them: two contractions and, between them, ops that
// take rows to rows.
#include "passes/RowChains.h"
#include "ir/Symbols.h"
#include "passes/Fusion.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::passes {
namespace {

constexpr int64_t fewRows = 8; ///< with fewer, packing the operands of both products costs more than it saves
constexpr int64_t widest =
    1024; ///< of a row of either product's other operand: every thread packs both whole
constexpr size_t longestChain = 32;

int64_t rankOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()).getRank(); }
bool isFloat(Value v) { return llvm::isa<FloatType>(getElementTypeOrSelf(v)); }

/// One batch of plain matrices: [batch..., rows, columns], in this order.
bool isMatrices(ContractOp op) {
  const int64_t batches = op.getLhsBatch().size();
  return rankOf(op.getResult()) == batches + 2 && op.getLhsContract().size() == 1;
}

class Finder {
public:
  explicit Finder(ContractOp values) : values(values) {}

  std::optional<RowChain> find() {
    Value rows = values.getLhs();
    const int64_t rank = rankOf(rows);
    if (!isMatrices(values) || !isFloat(rows) || !isFloat(values.getResult()) ||
        values.getLhsContract()[0] != rank - 1 ||
        !llvm::equal(values.getLhsBatch(), llvm::seq<int64_t>(0, rank - 2)))
      return std::nullopt;
    chain.scores = scoresOf(rows, 0);
    if (!chain.scores || !isMatrices(chain.scores) || !isFloat(chain.scores.getLhs()))
      return std::nullopt;
    Dims shape = dimsOf(chain.scores.getResult());
    m = shape[shape.size() - 2];
    n = shape.back();
    if (auto known = constantOf(m); known && *known < fewRows)
      return std::nullopt;
    const AffineExpr depth = dimsOf(chain.scores.getLhs())[chain.scores.getLhsContract()[0]],
                     width = dimsOf(values.getResult()).back();
    if (constantOf(depth).value_or(0) > widest || constantOf(width).value_or(0) > widest)
      return std::nullopt;
    follow();
    if (!ok || !reduces || kinds.lookup(rows) != Kind::Full || kinds.count(values.getRhs()) || !isPrivate())
      return std::nullopt;
    return std::move(chain);
  }

private:
  enum class Kind { None, Full, Row }; ///< [batch..., m, n], or [batch..., m] with ones behind

  /// The nearest contraction from which `v` follows through ops that keep every element's place.
  ContractOp scoresOf(Value v, int depth) {
    Operation *op = v.getDefiningOp();
    if (!op || op->getBlock() != values->getBlock() || depth > 16)
      return {};
    if (auto contract = dyn_cast<ContractOp>(op))
      return contract;
    if (!isElementwise(op) && !isa<ReshapeOp>(op))
      return {};
    for (Value operand : op->getOperands())
      if (ContractOp found = scoresOf(operand, depth + 1))
        return found;
    return {};
  }

  /// Everything that follows from the scores, in program order, with what its rows are.
  void follow() {
    kinds[chain.scores.getResult()] = Kind::Full;
    for (Operation *op = chain.scores->getNextNode(); op && op != values; op = op->getNextNode()) {
      if (llvm::none_of(op->getOperands(), [&](Value operand) { return kinds.count(operand); }))
        continue;
      const Kind kind = kindOf(op);
      ok &= kind != Kind::None && chain.ops.size() < longestChain;
      if (!ok)
        return;
      kinds[op->getResult(0)] = kind;
      chain.ops.insert(op);
    }
  }

  Kind kindOf(Operation *op) {
    if (op->getNumResults() != 1 || op->getNumRegions())
      return Kind::None;
    Value first;
    for (Value operand : op->getOperands())
      if (kinds.count(operand)) {
        if (first && kinds[operand] != kinds[first])
          return Kind::None;
        first = operand;
      }
    const Kind kind = kinds[first];
    Value result = op->getResult(0);
    if (isElementwise(op))
      return kind;
    if (auto reduce = dyn_cast<ReduceOp>(op)) {
      reduces = true;
      return kind == Kind::Full && llvm::equal(reduce.getDims(), ArrayRef<int64_t>{rankOf(first) - 1})
                 ? Kind::Row
                 : Kind::None;
    }
    Dims from = dimsOf(first), to = dimsOf(result);
    if (isa<ReshapeOp>(op)) {
      if (kind == Kind::Full) // batches may be grouped otherwise
        return to.size() >= 2 && to.back() == n && to[to.size() - 2] == m ? Kind::Full : Kind::None;
      return withoutOnes(from) == withoutOnes(to) ? Kind::Row : Kind::None;
    }
    auto broadcast = dyn_cast<BroadcastOp>(op);
    if (!broadcast || kind != Kind::Row || to.back() != n)
      return Kind::None;
    from.resize(to.size(), constantDim(op->getContext(), 1)); // [batch..., m] or [batch..., m, 1]
    const bool inOrder = llvm::equal(broadcast.getDims(), llvm::seq<int64_t>(0, rankOf(first)));
    return inOrder && constantOf(from.back()) == 1 && ArrayRef(from).drop_back() == ArrayRef(to).drop_back()
               ? Kind::Full
               : Kind::None;
  }

  bool isPrivate() {
    auto inside = [&](Operation *user) { return user == values || chain.ops.contains(user); };
    return llvm::all_of(chain.scores->getUsers(), inside) &&
           llvm::all_of(chain.ops, [&](Operation *op) { return llvm::all_of(op->getUsers(), inside); });
  }

  ContractOp values;
  RowChain chain;
  AffineExpr m, n;
  llvm::DenseMap<Value, Kind> kinds;
  bool ok = true, reduces = false;
};

} // namespace

std::optional<RowChain> findRowChain(ContractOp values) { return Finder(values).find(); }

} // namespace tilewright::passes
