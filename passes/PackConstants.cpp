//===- PackConstants.cpp - weights in the order in which kernels read them ----------------===//
//
// Every right operand is seen as [batch, k, n] (batch: batch dimensions, or groups of a convolution). Packing is
// pad n, reshape, transpose; the kernel's body gets the inverse. Both are written once, for the two directions.
//===----------------------------------------------------------------------===//
#include "passes/PackConstants.h"

#include "codegen/emit/Contract.h"
#include "codegen/emit/Conv.h"
#include "ir/GraphBuilder.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::passes {
namespace {

/// How the right operand of a root lies in memory, and what it should be packed to.
struct RightOperand {
  OpOperand *use = nullptr;    ///< of the root
  SmallVector<int64_t> order;  ///< its dimensions in the order batch..., k..., n...
  int64_t batch = 1, k = 1, n = 1;
  int64_t columns = 0;         ///< panel width
  bool panels = true;          ///< else [k][n padded to a multiple of columns]
  SmallVector<NamedAttribute> schedule;
};

/// The movement ops between a kernel's argument and `value`, outermost last; nothing when there is other work.
std::optional<SmallVector<Operation *>> movementsFromArgument(Value value) {
  SmallVector<Operation *> chain;
  while (!llvm::isa<BlockArgument>(value)) {
    Operation *op = value.getDefiningOp();
    if (!isa<ReshapeOp, TransposeOp, SliceOp>(op) || !op->hasOneUse())
      return std::nullopt;
    chain.push_back(op);
    value = op->getOperand(0);
  }
  if (!value.hasOneUse())
    return std::nullopt;
  std::reverse(chain.begin(), chain.end());
  return chain;
}

Dims sizes(GraphBuilder &g, std::initializer_list<int64_t> values) { return g.dims(ArrayRef<int64_t>(values)); }

class Packer {
public:
  Packer(kernel::FuncOp kernel, kernel::LaunchOp launch, const codegen::TargetInfo &target)
      : kernel(kernel), launch(launch), target(target), context(kernel.getContext()),
        symbols(launch->getParentOfType<ModuleOp>()) {}
  void run();

private:
  bool describe(ContractOp op);
  bool describe(ConvOp op);
  Value pack(GraphBuilder &g, Value weight);
  Value unpack(GraphBuilder &g, Value packed, RankedTensorType type);
  SmallVector<int64_t> orderedSizes(RankedTensorType type) const;
  int64_t paddedColumns() const { return llvm::alignTo(right.n, right.columns); }
  void note(StringRef name, int64_t value) {
    right.schedule.emplace_back(StringAttr::get(context, name), IntegerAttr::get(IntegerType::get(context, 64), value));
  }

  kernel::FuncOp kernel;
  kernel::LaunchOp launch;
  const codegen::TargetInfo &target;
  MLIRContext *context;
  SymbolTable symbols;
  RightOperand right;
};

bool Packer::describe(ContractOp op) {
  auto type = llvm::cast<RankedTensorType>(op.getRhs().getType());
  if (!type.hasStaticShape() || type.getNumElements() == 0 || !codegen::canEmitContract(op))
    return false;
  const codegen::ContractDims dims(op);
  right.use = &op.getRhsMutable();
  for (const codegen::DimGroup *group : {&dims.right.batch, &dims.right.contracted, &dims.right.free})
    llvm::append_range(right.order, group->dims);
  right.batch = *constantOf(dims.batch);
  right.k = *constantOf(dims.k);
  right.n = *constantOf(dims.n);
  codegen::ProductShape shape = dims.shape(context, codegen::accumulatorType(GraphBuilder::elementType(op.getResult())));
  shape.packedRight = true;
  const codegen::ProductSchedule schedule = codegen::overridden(codegen::chooseProduct(shape, target), kernel.getScheduleAttr());
  right.columns = schedule.columns;
  note("mr", schedule.rows);
  note("nr", schedule.columns);
  note("kc", schedule.depthBlock);
  note("row_tiles", schedule.tilesPerBlock);
  note("panels", schedule.panelsPerBlock);
  note("rows_outer", schedule.rowsOuter);
  note("staged", schedule.staged);
  return true;
}

bool Packer::describe(ConvOp op) {
  auto type = llvm::cast<RankedTensorType>(op.getRhs().getType());
  if (!type.hasStaticShape() || type.getNumElements() == 0 || !codegen::canEmitConv(op, /*packed=*/true))
    return false;
  const codegen::ConvWeights weights = codegen::convWeights(op, target);
  right.use = &op.getRhsMutable();
  for (int64_t d = 0; d < type.getRank(); ++d)
    right.order.push_back(d);
  right.batch = weights.groups;
  right.k = weights.depth;
  right.n = weights.columns;
  right.columns = weights.panelColumns;
  right.panels = !weights.depthwise;
  for (auto [name, value] : weights.schedule)
    note(name, value);
  return true;
}

SmallVector<int64_t> Packer::orderedSizes(RankedTensorType type) const {
  SmallVector<int64_t> sizes;
  for (int64_t d : right.order)
    sizes.push_back(type.getDimSize(d));
  return sizes;
}

/// [batch, k, n] of a convolution's weights is [k, batch, n] in memory: the output channels of a group lie
/// together, groups beside each other.
static bool batchInside(Operation *root) { return isa<ConvOp>(root); }

Value Packer::pack(GraphBuilder &g, Value weight) {
  const int64_t batch = right.batch, k = right.k, n = right.n, padded = paddedColumns();
  Value x = g.transpose(weight, right.order);
  if (batchInside(right.use->getOwner()))
    x = g.transpose(g.reshape(x, sizes(g, {k, batch, n})), {1, 0, 2});
  else
    x = g.reshape(x, sizes(g, {batch, k, n}));
  if (padded != n)
    x = g.pad(x, sizes(g, {0, 0, 0}), sizes(g, {0, 0, padded - n}), PadMode::constant, g.like(x, 0));
  if (!right.panels)
    return g.reshape(x, sizes(g, {k, padded}));
  x = g.transpose(g.reshape(x, sizes(g, {batch, k, padded / right.columns, right.columns})), {0, 2, 1, 3});
  return g.reshape(x, sizes(g, {batch * (padded / right.columns), k, right.columns}));
}

Value Packer::unpack(GraphBuilder &g, Value packed, RankedTensorType type) {
  const int64_t batch = right.batch, k = right.k, n = right.n, padded = paddedColumns();
  Value x = packed;
  if (right.panels)
    x = g.transpose(g.reshape(x, sizes(g, {batch, padded / right.columns, k, right.columns})), {0, 2, 1, 3});
  x = g.reshape(x, sizes(g, {batch, k, padded}));
  if (padded != n)
    x = g.sliceAxis(x, 2, g.dim(0), g.dim(n));
  if (batchInside(right.use->getOwner()))
    x = g.transpose(x, {1, 0, 2});
  x = g.reshape(x, g.dims(llvm::ArrayRef<int64_t>(orderedSizes(type))));
  SmallVector<int64_t> inverse(right.order.size());
  for (auto [i, d] : llvm::enumerate(right.order))
    inverse[d] = i;
  return g.transpose(x, inverse);
}

void Packer::run() {
  Operation *root = codegen::rootOf(kernel);
  if (auto conv = dyn_cast_or_null<ConvOp>(root); conv && codegen::convToContract(conv))
    root = codegen::rootOf(kernel);
  const bool described = isa_and_present<ContractOp>(root)   ? describe(cast<ContractOp>(root))
                         : isa_and_present<ConvOp>(root) ? describe(cast<ConvOp>(root))
                                                         : false;
  if (!described)
    return;
  Value logical = right.use->get();
  auto chain = movementsFromArgument(logical);
  if (!chain)
    return;
  auto argument = llvm::cast<BlockArgument>(chain->empty() ? logical : chain->front()->getOperand(0));
  OpOperand &operand = launch->getOpOperand(argument.getArgNumber());
  if (!isConstantExpression(operand.get()))
    return;
  OpBuilder outside(launch);
  IRMapping mapping;
  mapping.map(argument, operand.get());
  for (Operation *op : *chain)
    outside.clone(*op, mapping);
  GraphBuilder packing(outside, launch.getLoc(), symbols);
  Value packed = pack(packing, mapping.lookup(logical));

  auto logicalType = llvm::cast<RankedTensorType>(logical.getType());
  argument.setType(packed.getType());
  OpBuilder inside(root);
  GraphBuilder unpacking(inside, root->getLoc(), symbols);
  right.use->set(unpack(unpacking, argument, logicalType));
  for (Operation *op : llvm::reverse(*chain))
    op->erase();
  operand.set(packed);
  note("panel_argument", argument.getArgNumber());
  NamedAttrList schedule(kernel.getScheduleAttr());
  for (NamedAttribute attribute : right.schedule)
    schedule.set(attribute.getName(), attribute.getValue());
  kernel.setScheduleAttr(schedule.getDictionary(context));
}

} // namespace

void packConstants(kernel::FuncOp kernel, kernel::LaunchOp launch, const codegen::TargetInfo &target) {
  Packer(kernel, launch, target).run();
}

} // namespace tilewright::passes
