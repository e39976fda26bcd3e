// Constant right operands in the order in which their kernels read them, as schedules say.
//
// Every right operand is seen as [batch, taps, k, n] (batch: batch dimensions, or groups of a convolution); k
// and n are padded; panels are [panel][step][column][k of a step].
#include "codegen/space/Space.h"
#include "ir/Layouts.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;
using llvm::StringRef;

namespace tilewright::passes {
namespace {

/// How the right operand of a root lies in memory, and what it should be packed to.
struct Panels {
  SmallVector<int64_t> order;                ///< its dimensions in the order batch..., k..., n...
  int64_t batch = 1, taps = 1, k = 1, n = 1; ///< k within a tap
  int64_t group = 1;                         ///< k of one step, stored together
  int64_t columns = 0;                       ///< panel width
  bool panels = true;                        ///< else [k][n padded to a multiple of columns]
  bool batchInside = false;                  ///< [taps, k, batch, n] in memory
};

Panels panelsOf(ContractOp op, const codegen::ProductSchedule &schedule) {
  const codegen::ContractDims dims(op);
  Panels p;
  for (const codegen::DimGroup *group : {&dims.right.batch, &dims.right.contracted, &dims.right.free})
    llvm::append_range(p.order, group->dims);
  p.batch = *constantOf(dims.batch);
  p.k = *constantOf(dims.k);
  p.n = *constantOf(dims.n);
  p.group = groupOf(schedule.kind);
  p.columns = schedule.columns;
  return p;
}

Panels panelsOf(ConvOp op, kernel::ScheduleAttr schedule) {
  const codegen::ConvGeometry g(op);
  Panels p;
  p.order = llvm::to_vector(llvm::seq<int64_t>(0, g.rank + 2));
  p.batchInside = true; // output channels of a group lie together, groups beside each other
  p.taps = g.tapCount();
  p.k = g.groupChannels;
  p.columns = schedule["columns"];
  p.panels = schedule.getAlgorithm() == StringRef(codegen::algorithm::tiles);
  p.batch = p.panels ? g.groups : 1;
  p.n = p.panels ? g.groupOutputs : g.channels();
  p.group = schedule.find("group").value_or(1);
  return p;
}

kernel::LayoutAttr layoutOf(const Panels &p, RankedTensorType type) {
  const int64_t paddedN = llvm::alignTo(p.n, p.columns), paddedK = llvm::alignTo(p.k, p.group),
                panels = paddedN / p.columns, steps = p.taps * paddedK / p.group;
  kernel::LayoutRecipe recipe(type);
  recipe.transpose(p.order);
  if (p.batchInside)
    recipe.reshape({p.taps, p.k, p.batch, p.n}).transpose({2, 0, 1, 3});
  else
    recipe.reshape({p.batch, p.taps, p.k, p.n});
  recipe.pad({0, 0, paddedK - p.k, paddedN - p.n});
  if (!p.panels)
    return recipe.reshape({p.taps * p.k, paddedN}).get();
  return recipe.reshape({p.batch, steps, p.group, panels, p.columns})
      .transpose({0, 3, 1, 4, 2})
      .reshape({p.batch * panels, steps, p.columns * p.group})
      .get();
}

void pack(kernel::FuncOp kernel, kernel::LaunchOp launch, tilewright::SymbolTable &symbols) {
  auto schedule = kernel.getScheduleAttr();
  if (!schedule || schedule.find("packed").value_or(0) == 0)
    return;
  auto right = *codegen::constantRightOf(kernel);
  Operation *root = right.use->getOwner();
  auto type = llvm::cast<RankedTensorType>(right.use->get().getType());
  const Panels panels = isa<ContractOp>(root)
                            ? panelsOf(cast<ContractOp>(root), codegen::ProductSchedule(schedule))
                            : panelsOf(cast<ConvOp>(root), schedule);
  const unsigned argument = right.argument.getArgNumber();
  // What the body began with is done to the program's constant instead.
  OpBuilder outside(launch);
  IRMapping mapping;
  mapping.map(right.argument, launch.getOperand(argument));
  for (Operation *op : right.movements)
    outside.clone(*op, mapping);
  Value weight = mapping.lookup(right.use->get());
  right.use->set(right.argument);
  right.argument.setType(type);
  for (Operation *op : llvm::reverse(right.movements))
    op->erase();
  kernel.setLayout(argument, layoutOf(panels, type));
  GraphBuilder g(outside, launch.getLoc(), symbols);
  launch.setOperand(argument, kernel::applyLayout(g, weight, kernel.layoutOf(argument)));
}

} // namespace

void packConstants(ModuleOp module) {
  llvm::StringMap<kernel::FuncOp> kernels;
  for (auto kernel : module.getOps<kernel::FuncOp>())
    kernels[kernel.getSymName()] = kernel;
  tilewright::SymbolTable symbols(module);
  module.walk([&](kernel::LaunchOp launch) { pack(kernels.lookup(launch.getKernel()), launch, symbols); });
}

} // namespace tilewright::passes
