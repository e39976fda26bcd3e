// What ops rely on and shape inference could not prove, block by block.
#include "codegen/program/Convert.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

class CheckCollector {
public:
  explicit CheckCollector(const SymbolTable &symbols)
      : symbols(symbols), zero(constantDim(symbols.context(), 0)) {}

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
      auto need = [&](const Relation &relation) { require(relation); };
      constraintsOf(&op, need);
      constraintsOfSizes(&op, need);
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
  /// Kind, sizes and when they matter.
  using Key = std::pair<unsigned, std::pair<AffineExpr, std::pair<AffineExpr, AffineExpr>>>;

  /// False where this block or one around it makes the check already: the first node to need it is named.
  bool isNews(const Relation &r) {
    Key key{unsigned(r.kind), {r.have, {r.want, r.when ? r.when : zero}}};
    if (!known.insert(key).second)
      return false;
    added->push_back(key);
    return true;
  }

  void require(Relation relation) {
    relation.have = canonical(relation.have), relation.want = canonical(relation.want);
    if (relation.have == relation.want || !isNews(relation) || decide(relation, &symbols) == Verdict::Proved)
      return;
    current->push_back(int64_t(checks.size()));
    checks.push_back({std::move(relation), node, unsigned(checks.size()) + 1});
  }

  /// Derived symbols of rule broadcast hold only where one side is 1 or both are equal.
  void requireBroadcast(unsigned index) {
    const Symbol &symbol = symbols[index];
    if (symbol.rule == Symbol::None)
      return;
    AffineExpr self = getAffineSymbolExpr(index, symbols.context());
    if (!isNews({RelationKind::either, self, self, ""})) // and what it is derived from
      return;
    for (AffineExpr side : {symbol.a, symbol.b})
      for (unsigned inner : symbolsIn(side))
        requireBroadcast(inner);
    if (symbol.rule == Symbol::Broadcast)
      require({RelationKind::either, symbol.a, symbol.b, "the sizes to broadcast"});
  }

  const SymbolTable &symbols;
  AffineExpr zero;
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
