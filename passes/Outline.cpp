// From fusion groups to kernel.func and kernel.launch. A kernel numbers its symbols in the order they occur,
// and its ops' locations are positions: kernels that do the same have the same text, whatever model they come
// from.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Fusion.h"
#include "passes/Passes.h"
#include "llvm/ADT/StringMap.h"
#include <map>

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;
using llvm::StringRef;

namespace tilewright::passes {
namespace {

/// "op:node" of an ONNX node, as the importer's locations say it.
std::string nodeName(Location loc) {
  if (auto named = llvm::dyn_cast<NameLoc>(loc))
    return named.getName().str();
  if (auto fused = llvm::dyn_cast<FusedLoc>(loc))
    for (Location part : fused.getLocations())
      if (auto name = nodeName(part); !name.empty())
        return name;
  return "";
}

/// Expressions of more parts are one symbol to a kernel, so that a sum of thousands does not make thousands
/// of parameters.
constexpr size_t longestExpression = 64;

/// Gives each symbol of a kernel a small number.
class SymbolNumbering {
public:
  explicit SymbolNumbering(MLIRContext *context) : context(context) {}
  AffineExpr local(AffineExpr expr) {
    if (isLongerThan(expr, longestExpression))
      return numbered(expr);
    llvm::DenseMap<AffineExpr, AffineExpr> replacements;
    for (unsigned symbol : symbolsIn(expr)) {
      AffineExpr outer = getAffineSymbolExpr(symbol, context);
      replacements[outer] = numbered(outer);
    }
    return canonical(expr.replace(replacements));
  }
  Type local(Type type) {
    auto tensor = llvm::dyn_cast<RankedTensorType>(type);
    if (!tensor || tensor.hasStaticShape())
      return type;
    Dims dims;
    for (AffineExpr dim : dimsOf(type))
      dims.push_back(local(dim));
    return tensorType(dims, tensor.getElementType());
  }
  AffineMap map() { return mapOf(order, context); }

private:
  AffineExpr numbered(AffineExpr outer) {
    auto [it, fresh] = numbers.try_emplace(outer, numbers.size());
    if (fresh)
      order.push_back(outer);
    return getAffineSymbolExpr(it->second, context);
  }
  MLIRContext *context;
  llvm::DenseMap<AffineExpr, unsigned> numbers;
  Dims order;
};

class Outliner {
public:
  Outliner(ModuleOp module, const codegen::TargetInfo &target, bool fold)
      : module(module), target(target), fold(fold), b(module.getContext()) {}

  LogicalResult run() {
    SmallVector<Block *> blocks;
    module.walk([&](func::FuncOp function) {
      function.walk([&](Operation *op) {
        for (Region &region : op->getRegions())
          for (Block &block : region)
            blocks.push_back(&block);
      });
    });
    for (Block *block : blocks)
      outlineBlock(*block);
    for (Block *block : blocks)
      eraseDead(*block);
    return success();
  }

private:
  void outlineBlock(Block &block) {
    storeOutputs(block);
    FusionPlanner planner(block, target, fold);
    auto groups = planner.plan();
    for (auto &group : groups)
      outline(block, *group, planner);
  }

  /// What a block yields is written by a kernel of its own: a fresh value for each output, also for inputs,
  /// constants, views and repeated ones.
  void storeOutputs(Block &block) {
    Operation *end = block.getTerminator();
    llvm::SmallPtrSet<Operation *, 8> seen;
    for (OpOperand &operand : end->getOpOperands()) {
      Operation *op = operand.get().getDefiningOp();
      bool condition =
          isa<YieldOp>(end) && isa<LoopOp>(block.getParentOp()) && operand.getOperandNumber() == 0;
      bool plain = op && op->getBlock() == &block &&
                   !isa<ReshapeOp, ConstantOp, WeightOp, IfOp, LoopOp>(op) &&
                   !isConstantExpression(operand.get()) && op->getNumResults() == 1 &&
                   llvm::count(end->getOperands(), operand.get()) == 1;
      if (plain && seen.insert(op).second)
        continue;
      if (condition && op && isConstantExpression(operand.get()))
        continue; // a loop that only counts
      b.setInsertionPoint(end);
      // An identity that the planner cannot look through: a cast to the same type.
      operand.set(CastOp::create(b, operand.get().getLoc(), operand.get().getType(), operand.get(),
                                 /*saturate=*/false));
    }
  }

  bool isExternal(Value value, FusionGroup &group) {
    Operation *op = value.getDefiningOp();
    if (!op || !group.ops.contains(op))
      return true;
    return op != group.root && isa<ReshapeOp>(op) && isExternal(op->getOperand(0), group);
  }

  static bool isSplatConstant(Value value) {
    auto constant = value.getDefiningOp<ConstantOp>();
    auto dense = constant ? llvm::dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
    return dense && dense.isSplat();
  }

  void outline(Block &block, FusionGroup &group, FusionPlanner &planner) {
    SmallVector<Operation *> members; // in program order, without views of what lies outside
    llvm::SmallPtrSet<Operation *, 16> needed{group.root};
    SmallVector<Operation *> pending{group.root};
    llvm::SetVector<Value> operands;
    llvm::SetVector<Value> splats;
    while (!pending.empty()) {
      Operation *op = pending.pop_back_val();
      members.push_back(op);
      for (Value operand : op->getOperands()) {
        if (!isExternal(operand, group)) {
          if (needed.insert(operand.getDefiningOp()).second)
            pending.push_back(operand.getDefiningOp());
        }
      }
    }
    llvm::sort(members, [](Operation *x, Operation *y) { return x->isBeforeInBlock(y); });
    for (Operation *op : members)
      for (Value operand : op->getOperands())
        if (isExternal(operand, group))
          (isSplatConstant(operand) ? splats : operands).insert(operand);

    MLIRContext *context = module.getContext();
    SymbolNumbering numbering(context);
    b.setInsertionPointToStart(module.getBody());
    auto kernel = kernel::FuncOp::create(b, group.root->getLoc(), b.getStringAttr("kernel"), nullptr, nullptr,
                                         nullptr, nullptr);
    Block *body = b.createBlock(&kernel.getBody());
    IRMapping mapping;
    for (Value operand : operands)
      mapping.map(operand, body->addArgument(numbering.local(operand.getType()), UnknownLoc::get(context)));
    b.setInsertionPointToEnd(body);
    auto copy = [&](Operation *op, unsigned position) {
      Operation *clone = b.clone(*op, mapping);
      clone->setLoc(NameLoc::get(b.getStringAttr(std::to_string(position))));
      for (OpResult result : clone->getResults())
        result.setType(numbering.local(result.getType()));
      for (NamedAttribute attribute : op->getAttrs())
        if (auto map = llvm::dyn_cast<AffineMapAttr>(attribute.getValue())) {
          Dims exprs;
          for (AffineExpr expr : map.getValue().getResults())
            exprs.push_back(numbering.local(expr));
          clone->setAttr(attribute.getName(), AffineMapAttr::get(mapOf(exprs, context)));
        }
    };
    for (Value splat : splats)
      copy(splat.getDefiningOp(), 0);
    SmallVector<Attribute> nodes;
    for (auto [position, op] : llvm::enumerate(members)) {
      copy(op, position);
      nodes.push_back(b.getStringAttr(nodeName(op->getLoc())));
    }
    SmallVector<Value> yields;
    for (Value result : group.root->getResults())
      yields.push_back(mapping.lookup(result));
    kernel::YieldOp::create(b, kernel.getLoc(), yields);
    StringRef symbol = name(kernel, group);

    b.setInsertionPoint(group.root);
    auto launch = kernel::LaunchOp::create(b, group.root->getLoc(), group.root->getResultTypes(), symbol,
                                           operands.getArrayRef(), numbering.map());
    launch->setAttr("nodes", b.getArrayAttr(nodes));
    launch->setAttr("reason", b.getStringAttr(planner.reasonOf(group.root)));
    group.root->replaceAllUsesWith(launch.getResults());
  }

  /// Named after its contraction or its root, and a number.
  StringRef name(kernel::FuncOp kernel, FusionGroup &group) {
    Operation *named = group.hero ? group.hero : group.root;
    StringRef what = named->getName().stripDialect();
    if (auto unary = dyn_cast<UnaryOp>(named))
      what = stringifyUnaryKind(unary.getKind());
    if (auto binary = dyn_cast<BinaryOp>(named))
      what = stringifyBinaryKind(binary.getKind());
    kernel.setSymName((what + "_" + llvm::Twine(count++)).str());
    return kernel.getSymName();
  }

  void eraseDead(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (op.use_empty() && !isa<DefineOp, IfOp, LoopOp>(op) && !op.hasTrait<OpTrait::IsTerminator>() &&
          !isa<kernel::LaunchOp>(op))
        op.erase();
  }

  ModuleOp module;
  const codegen::TargetInfo &target;
  bool fold; ///< see FusionPlanner
  OpBuilder b;
  unsigned count = 0;
};

} // namespace

LogicalResult fuse(ModuleOp module, const codegen::TargetInfo &target, bool fold) {
  return Outliner(module, target, fold).run();
}

std::string kernelText(kernel::FuncOp kernel) {
  std::string name = kernel.getSymName().str(), text;
  kernel.setSymName("kernel");
  llvm::raw_string_ostream stream(text);
  kernel.print(stream, OpPrintingFlags().useLocalScope());
  kernel.setSymName(name);
  return text;
}

void mergeEqualKernels(ModuleOp module) {
  std::map<std::string, kernel::FuncOp> byText;
  llvm::StringMap<std::string> renamed;
  for (auto kernel : llvm::make_early_inc_range(module.getOps<kernel::FuncOp>())) {
    auto [it, fresh] = byText.try_emplace(kernelText(kernel), kernel);
    if (fresh)
      continue;
    renamed[kernel.getSymName()] = it->second.getSymName().str();
    kernel.erase();
  }
  module.walk([&](kernel::LaunchOp launch) {
    if (auto it = renamed.find(launch.getKernel()); it != renamed.end())
      launch.setKernel(it->second);
  });
}

} // namespace tilewright::passes
