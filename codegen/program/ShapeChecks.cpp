// What ops rely on and shape inference could not prove, block by block.
#include "codegen/program/Program.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

class CheckCollector {
public:
  explicit CheckCollector(const SymbolTable &symbols) : symbols(symbols) {}

  /// The checks of this block that blocks around it do not make; those of blocks inside are noted on their
  /// ops.
  SmallVector<int64_t> collect(Block &block) {
    SmallVector<int64_t> numbers;
    std::vector<Key> learnt;
    auto enter = [&] { current = &numbers, added = &learnt; };
    enter();
    for (Operation &op : block) {
      auto name = llvm::dyn_cast<NameLoc>(op.getLoc());
      node = name ? name.getName().str() : "";
      for (Type type : op.getResultTypes())
        if (isa<RankedTensorType>(type))
          for (unsigned index : symbolsIn(type))
            requireBroadcast(index);
      requireEqualities(op);
      if (!isa<IfOp, LoopOp>(op))
        continue;
      SmallVector<Attribute> noted;
      for (Region &region : op.getRegions())
        noted.push_back(DenseI64ArrayAttr::get(op.getContext(), collect(region.front())));
      op.setAttr(checksAttribute, ArrayAttr::get(op.getContext(), noted));
      enter();
    }
    for (const Key &key : learnt)
      known.erase(key);
    return numbers;
  }

  std::vector<ShapeCheck> checks;

private:
  using Key = std::pair<unsigned, std::pair<AffineExpr, AffineExpr>>; ///< rule and sizes

  /// False where this block or one around it makes the check already: the first node to need it is named.
  bool isNews(ShapeCheck::Rule rule, AffineExpr have, AffineExpr want) {
    Key key{rule, {have, want}};
    if (!known.insert(key).second)
      return false;
    added->push_back(key);
    return true;
  }

  void require(AffineExpr have, AffineExpr want, ShapeCheck::Rule rule) {
    have = canonical(have), want = canonical(want);
    if (have == want || (constantOf(have) && constantOf(want)) || !isNews(rule, have, want))
      return;
    current->push_back(int64_t(checks.size()));
    checks.push_back({rule, have, want, node, 0});
  }

  /// Derived symbols of rule broadcast hold only where one side is 1 or both are equal.
  void requireBroadcast(unsigned index) {
    const Symbol &symbol = symbols[index];
    if (symbol.rule == Symbol::None)
      return;
    AffineExpr self = getAffineSymbolExpr(index, symbols.context());
    if (!isNews(ShapeCheck::Broadcast, self, self)) // and what it is derived from
      return;
    for (AffineExpr side : {symbol.a, symbol.b})
      for (unsigned inner : symbolsIn(side))
        requireBroadcast(inner);
    if (symbol.rule == Symbol::Broadcast)
      require(symbol.a, symbol.b, ShapeCheck::Broadcast);
  }

  /// Whether `want` is what `have` was broadcast to: the check of the derived symbol says it all.
  bool isBroadcastOf(AffineExpr want, AffineExpr have) {
    auto derived = llvm::dyn_cast<AffineSymbolExpr>(want);
    if (want == have || !derived)
      return want == have;
    const Symbol &symbol = symbols[derived.getPosition()];
    return symbol.rule == Symbol::Broadcast &&
           (isBroadcastOf(symbol.a, have) || isBroadcastOf(symbol.b, have));
  }

  void requireEqualities(Operation &op) {
    if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
      Dims from = dimsOf(broadcast.getOperand()), to = dimsOf(broadcast.getResult());
      for (auto [size, dim] : llvm::zip(from, broadcast.getDims()))
        if (broadcast.getExact())
          require(size, to[dim], ShapeCheck::Equal);
        else if (constantOf(size) != 1 && !isBroadcastOf(to[dim], size))
          require(size, to[dim], ShapeCheck::Repeat);
    }
    if (auto reshape = dyn_cast<ReshapeOp>(op))
      require(elementCount(reshape.getOperand().getType()), elementCount(reshape.getType()),
              ShapeCheck::Reshape);
    if (auto contract = dyn_cast<ContractOp>(op)) {
      Dims lhs = dimsOf(contract.getLhs()), rhs = dimsOf(contract.getRhs());
      for (auto [l, r] : llvm::zip(contract.getLhsContract(), contract.getRhsContract()))
        require(lhs[l], rhs[r], ShapeCheck::Equal);
      for (auto [l, r] : llvm::zip(contract.getLhsBatch(), contract.getRhsBatch()))
        require(lhs[l], rhs[r], ShapeCheck::Equal);
    }
    if (auto concat = dyn_cast<ConcatOp>(op))
      for (Value operand : concat.getOperands())
        for (auto [i, size] : llvm::enumerate(dimsOf(operand)))
          if (i != concat.getAxis())
            require(size, dimsOf(concat.getResult())[i], ShapeCheck::Equal);
  }

  const SymbolTable &symbols;
  llvm::DenseSet<Key> known;               ///< checks of this block and those around it
  SmallVector<int64_t> *current = nullptr; ///< numbers of the block's checks
  std::vector<Key> *added = nullptr;       ///< what the block added to `known`
  std::string node;
};

} // namespace

std::vector<ShapeCheck> collectShapeChecks(func::FuncOp main, const SymbolTable &symbols) {
  CheckCollector collector(symbols);
  collector.collect(main.getBody().front());
  return std::move(collector.checks);
}

} // namespace tilewright::codegen
