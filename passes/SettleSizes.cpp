// A size that a node requires is a constant from there on: weights say how many columns an input has,
// whatever the model calls them.
#include "ir/Constraints.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace tilewright::graph;

namespace tilewright::passes {
namespace {

class SizeSettler {
public:
  SizeSettler(func::FuncOp main, const SymbolTable &symbols)
      : main(main), symbols(symbols), learnt(symbols.size()) {
    for (unsigned index = 0; index < symbols.size(); ++index)
      values.push_back(getAffineSymbolExpr(index, symbols.context()));
  }

  void run() {
    for (RequireOp op : main.getBody().front().getOps<RequireOp>())
      learn(op);
    if (any && isPossible())
      replaceEverywhere();
  }

private:
  void learn(RequireOp op) {
    ArrayRef<AffineExpr> sizes = op.getSizes().getResults();
    if (op.getKind() != RelationKind::equal || sizes.size() != 2)
      return;
    for (auto [size, other] : {std::pair(sizes[0], sizes[1]), {sizes[1], sizes[0]}}) {
      auto symbol = dyn_cast<AffineSymbolExpr>(size);
      std::optional<int64_t> value = constantOf(other);
      if (!symbol || !value || symbols[symbol.getPosition()].origin != Symbol::Input)
        continue;
      values[symbol.getPosition()] = constantDim(symbols.context(), *value);
      learnt[symbol.getPosition()] = any = true;
    }
  }

  bool isSettled(AffineExpr size) const {
    return llvm::any_of(symbolsIn(size),
                        [&](unsigned index) { return index < learnt.size() && learnt[index]; });
  }
  AffineExpr settled(AffineExpr size) const {
    return isSettled(size) ? canonical(size.replaceDimsAndSymbols({}, values)) : size;
  }
  /// Most have no such size, and are not to be built anew.
  bool concerns(ArrayRef<AffineExpr> sizes) const {
    return llvm::any_of(sizes, [&](AffineExpr size) { return isSettled(size); });
  }
  Dims settled(ArrayRef<AffineExpr> sizes) const {
    return Dims(llvm::map_range(sizes, [&](AffineExpr size) { return settled(size); }));
  }

  /// False where a model cannot run, or has a branch that cannot: then everything is left as it is, for the
  /// checks to fail at run time.
  bool isPossible() {
    bool possible = true;
    auto holds = [&](Relation relation) {
      for (AffineExpr *size : {&relation.have, &relation.want, &relation.when})
        *size = *size ? settled(*size) : *size;
      possible &= decide(relation, &symbols) != Verdict::Disproved;
    };
    main.walk([&](Operation *op) {
      constraintsOf(op, holds);
      constraintsOfSizes(op, holds);
      return possible ? WalkResult::advance() : WalkResult::interrupt();
    });
    return possible;
  }

  void replaceEverywhere() {
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](AffineMapAttr attribute) -> Attribute {
      ArrayRef<AffineExpr> sizes = attribute.getValue().getResults();
      return concerns(sizes) ? AffineMapAttr::get(mapOf(settled(sizes), attribute.getContext())) : attribute;
    });
    replacer.addReplacement([&](RankedTensorType type) {
      Dims sizes = dimsOf(type);
      Type result = concerns(sizes) ? tensorType(settled(sizes), type.getElementType()) : type;
      return std::pair<Type, WalkResult>(result, WalkResult::skip());
    });
    Block &body = main.getBody().front();
    SmallVector<Type> given(body.getArgumentTypes());
    replacer.recursivelyReplaceElementsIn(main, /*replaceAttrs=*/true, /*replaceLocs=*/false,
                                          /*replaceTypes=*/true);
    OpBuilder b = OpBuilder::atBlockBegin(&body);
    for (auto [argument, type] : llvm::zip_equal(body.getArguments(), given))
      if (argument.getType() != type) { // callers still give an input of any size
        auto view = ReshapeOp::create(b, argument.getLoc(), argument.getType(), argument);
        argument.replaceAllUsesExcept(view, view);
        argument.setType(type);
      }
    main.setType(FunctionType::get(main.getContext(), given, body.getTerminator()->getOperandTypes()));
  }

  func::FuncOp main;
  const SymbolTable &symbols;
  std::vector<bool> learnt;       ///< by symbol
  SmallVector<AffineExpr> values; ///< the symbol itself where nothing was learnt
  bool any = false;
};

} // namespace

void settleSizes(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main)
    return;
  SymbolTable symbols(module);
  SizeSettler(main, symbols).run();
  main.walk([](RequireOp op) { op.erase(); });
}

} // namespace tilewright::passes
