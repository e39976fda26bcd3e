//===- PackConstants.cpp - weights in the order in which kernels read them ----------------===//
//
// Every right operand is seen as [batch, taps, k, n] (batch: batch dimensions, or groups of a convolution).
// Packing is pad, reshape, transpose; the kernel's body gets the inverse. Both are written once, for the two
// directions.
//===----------------------------------------------------------------------===//
#include "passes/PackConstants.h"

#include "codegen/emit/Contract.h"
#include "codegen/emit/Conv.h"
#include "ir/ConstantRecipes.h"
#include "ir/GraphBuilder.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::passes {
namespace {

/// How the right operand of a root lies in memory, and what it should be packed to.
struct RightOperand {
  OpOperand *use = nullptr;                  ///< of the root
  SmallVector<int64_t> order;                ///< its dimensions in the order batch..., k..., n...
  int64_t batch = 1, taps = 1, k = 1, n = 1; ///< k within a tap
  int64_t group = 1;                         ///< k of one step, stored together
  int64_t columns = 0;                       ///< panel width
  bool panels = true;                        ///< else [k][n padded to a multiple of columns]
  SmallVector<NamedAttribute> schedule;

  int64_t elements() const { return batch * taps * k * n; }
};

/// The movement ops between a kernel's argument and `value`, outermost last; nothing when there is other
/// work.
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

Dims sizes(GraphBuilder &g, std::initializer_list<int64_t> values) {
  return g.dims(ArrayRef<int64_t>(values));
}

class Packer {
public:
  Packer(kernel::FuncOp kernel, kernel::LaunchOp launch, const codegen::TargetInfo &target)
      : kernel(kernel), launch(launch), target(target), context(kernel.getContext()),
        symbols(launch->getParentOfType<ModuleOp>()) {}
  /// Whether the kernel has a constant right operand that can be packed; `weight` is it, in the program.
  bool plan();
  void pack();

  Value weight;
  int64_t work = 0; ///< rows that are multiplied with it, an estimate where only a run tells
  int64_t columns() const { return right.columns; }
  int64_t bytes() const { return right.elements() * byteWidth(GraphBuilder::elementType(weight)); }
  /// Two of one weight that agree in this, too, may share one packing.
  SmallVector<int64_t> layout() const;
  /// Panels of this width, whatever is best for this kernel alone.
  void settle(int64_t columns);

private:
  bool describe(Operation *root);
  bool describe(ContractOp op);
  bool describe(ConvOp op);
  Value pack(GraphBuilder &g, Value weight);
  Value unpack(GraphBuilder &g, Value packed, RankedTensorType type);
  SmallVector<int64_t> orderedSizes(RankedTensorType type) const;
  void note(StringRef name, int64_t value) {
    right.schedule.emplace_back(StringAttr::get(context, name),
                                IntegerAttr::get(IntegerType::get(context, 64), value));
  }

  kernel::FuncOp kernel;
  kernel::LaunchOp launch;
  const codegen::TargetInfo &target;
  MLIRContext *context;
  SymbolTable symbols;
  RightOperand right;
  Operation *root = nullptr;
  BlockArgument argument;
  SmallVector<Operation *> chain; ///< from the argument to the root
};

/// Sizes that only a run tells count as 512.
static int64_t estimate(ArrayRef<AffineExpr> sizes) {
  double product = 1;
  for (AffineExpr size : sizes)
    product *= double(constantOf(size).value_or(512));
  return int64_t(std::min(product, 1e18));
}

bool Packer::describe(Operation *op) {
  right = {};
  if (auto contract = dyn_cast_or_null<ContractOp>(op))
    return describe(contract);
  auto conv = dyn_cast_or_null<ConvOp>(op);
  return conv && describe(conv);
}

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
  Type accumulator = codegen::accumulatorType(GraphBuilder::elementType(op.getResult()));
  const codegen::DotKind kind = codegen::dotKindFor(
      GraphBuilder::elementType(op.getLhs()), GraphBuilder::elementType(op.getRhs()), accumulator, target);
  right.group = codegen::groupOf(kind);
  codegen::ProductShape shape = dims.shape(accumulator, kind);
  shape.packedRight = true;
  shape.columns = codegen::scheduleInteger(kernel.getScheduleAttr(), "nr");
  work = estimate({dims.m});
  const codegen::ProductSchedule schedule =
      codegen::overridden(codegen::chooseProduct(shape, target), kernel.getScheduleAttr());
  right.columns = schedule.columns;
  note("mr", schedule.rows);
  note("nr", schedule.columns);
  note("group", right.group);
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
  right.taps = weights.taps;
  right.k = weights.depth;
  right.group = weights.group;
  right.n = weights.columns;
  right.columns = weights.panelColumns;
  right.panels = !weights.lanewise;
  work = estimate(dimsOf(op.getResult())) / std::max<int64_t>(1, right.batch * right.n);
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

/// [batch, taps, k, n] of a convolution's weights is [taps, k, batch, n] in memory: the output channels of a
/// group lie together, groups beside each other.
static bool batchInside(Operation *root) { return isa<ConvOp>(root); }

/// [batch, taps, k, n], k and n padded, to panels.
Value Packer::pack(GraphBuilder &g, Value weight) {
  const int64_t batch = right.batch, taps = right.taps, k = right.k, n = right.n, columns = right.columns,
                group = right.group;
  const int64_t paddedN = llvm::alignTo(n, columns), paddedK = llvm::alignTo(k, group),
                panels = paddedN / columns;
  Value x = g.transpose(weight, right.order);
  if (batchInside(right.use->getOwner()))
    x = g.transpose(g.reshape(x, sizes(g, {taps, k, batch, n})), {2, 0, 1, 3});
  else
    x = g.reshape(x, sizes(g, {batch, taps, k, n}));
  if (paddedN != n || paddedK != k)
    x = g.pad(x, sizes(g, {0, 0, 0, 0}), sizes(g, {0, 0, paddedK - k, paddedN - n}), PadMode::constant,
              g.like(x, 0));
  if (!right.panels)
    return g.reshape(x, sizes(g, {taps * k, paddedN}));
  const int64_t steps = taps * paddedK / group;
  x = g.transpose(g.reshape(x, sizes(g, {batch, steps, group, panels, columns})), {0, 3, 1, 4, 2});
  return g.reshape(x, sizes(g, {batch * panels, steps, columns * group}));
}

Value Packer::unpack(GraphBuilder &g, Value packed, RankedTensorType type) {
  const int64_t batch = right.batch, taps = right.taps, k = right.k, n = right.n, columns = right.columns,
                group = right.group;
  const int64_t paddedN = llvm::alignTo(n, columns), paddedK = llvm::alignTo(k, group),
                panels = paddedN / columns;
  Value x = packed;
  if (right.panels)
    x = g.transpose(g.reshape(x, sizes(g, {batch, panels, taps * paddedK / group, columns, group})),
                    {0, 2, 4, 1, 3});
  x = g.reshape(x, sizes(g, {batch, taps, paddedK, paddedN}));
  x = g.sliceAxis(g.sliceAxis(x, 2, g.dim(0), g.dim(k)), 3, g.dim(0), g.dim(n));
  if (batchInside(right.use->getOwner()))
    x = g.transpose(x, {1, 2, 0, 3});
  x = g.reshape(x, g.dims(llvm::ArrayRef<int64_t>(orderedSizes(type))));
  SmallVector<int64_t> inverse(right.order.size());
  for (auto [i, d] : llvm::enumerate(right.order))
    inverse[d] = i;
  return g.transpose(x, inverse);
}

bool Packer::plan() {
  root = codegen::rootOf(kernel);
  if (auto conv = dyn_cast_or_null<ConvOp>(root); conv && codegen::convToContract(conv))
    root = codegen::rootOf(kernel);
  if (!describe(root))
    return false;
  Value logical = right.use->get();
  auto movements = movementsFromArgument(logical);
  if (!movements)
    return false;
  chain = std::move(*movements);
  argument = llvm::cast<BlockArgument>(chain.empty() ? logical : chain.front()->getOperand(0));
  Value operand = launch.getOperand(argument.getArgNumber());
  if (!isConstantExpression(operand))
    return false;
  OpBuilder outside(launch);
  IRMapping mapping;
  mapping.map(argument, operand);
  for (Operation *op : chain)
    outside.clone(*op, mapping);
  weight = mapping.lookup(logical);
  return true;
}

SmallVector<int64_t> Packer::layout() const {
  SmallVector<int64_t> all{right.batch, right.taps,   right.k,          right.n,
                           right.group, right.panels, isa<ConvOp>(root)};
  llvm::append_range(all, right.order);
  return all;
}

void Packer::settle(int64_t columns) {
  if (columns == right.columns)
    return;
  NamedAttrList schedule(kernel.getScheduleAttr());
  schedule.set("nr", IntegerAttr::get(IntegerType::get(context, 64), columns));
  kernel.setScheduleAttr(schedule.getDictionary(context));
  describe(root);
}

void Packer::pack() {
  OpBuilder outside(launch);
  GraphBuilder packing(outside, launch.getLoc(), symbols);
  Value packed = pack(packing, weight);
  auto logicalType = llvm::cast<RankedTensorType>(right.use->get().getType());
  argument.setType(packed.getType());
  OpBuilder inside(root);
  GraphBuilder unpacking(inside, root->getLoc(), symbols);
  right.use->set(unpack(unpacking, argument, logicalType));
  for (Operation *op : llvm::reverse(chain))
    op->erase();
  launch->setOperand(argument.getArgNumber(), packed);
  note("panel_argument", argument.getArgNumber());
  NamedAttrList schedule(kernel.getScheduleAttr());
  for (NamedAttribute attribute : right.schedule)
    schedule.set(attribute.getName(), attribute.getValue());
  kernel.setScheduleAttr(schedule.getDictionary(context));
}

/// Below this, a packing of its own for each kernel costs nothing worth saving.
constexpr int64_t smallWeight = 64 << 10;

/// A weight that several kernels multiply is packed once, as the one that multiplies most rows likes it best.
void shareLayouts(llvm::MutableArrayRef<std::unique_ptr<Packer>> packers) {
  ConstantRecipes recipes;
  std::map<std::pair<void *, SmallVector<int64_t>>, SmallVector<Packer *>> shared;
  for (auto &packer : packers)
    if (packer->bytes() > smallWeight)
      shared[{recipes.representative(packer->weight).getAsOpaquePointer(), packer->layout()}].push_back(
          packer.get());
  for (auto &[weight, users] : shared) {
    Packer *first = *llvm::max_element(users, [](Packer *a, Packer *b) { return a->work < b->work; });
    for (Packer *user : users)
      user->settle(first->columns());
  }
}

} // namespace

void packConstants(ModuleOp module, const codegen::TargetInfo &target) {
  if (target.isGpu) // panels are for vector registers
    return;
  llvm::StringMap<kernel::FuncOp> kernels;
  for (auto kernel : module.getOps<kernel::FuncOp>())
    kernels[kernel.getSymName()] = kernel;
  SmallVector<std::unique_ptr<Packer>> packers;
  module.walk([&](kernel::LaunchOp launch) {
    auto packer = std::make_unique<Packer>(kernels.lookup(launch.getKernel()), launch, target);
    if (packer->plan())
      packers.push_back(std::move(packer));
  });
  shareLayouts(packers);
  for (auto &packer : packers)
    packer->pack();
}

} // namespace tilewright::passes
