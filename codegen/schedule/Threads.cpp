#include "codegen/schedule/Threads.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;

namespace tilewright::codegen {

bool hasThreadCode(Operation *op) {
  return isa<ConstantOp, DimsOp, IotaOp, UnaryOp, BinaryOp, CompareOp, SelectOp, CastOp, BitcastOp,
             BroadcastOp, ReshapeOp, TransposeOp, SliceOp, ConcatOp, PadOp, ReduceOp, ArgReduceOp, WindowOp,
             kernel::YieldOp>(op);
}

namespace {

/// The rows of `reduce`, when it takes whole rows of what the kernel yields.
std::optional<WholeRows> rowsOf(ReduceOp reduce, ArrayRef<AffineExpr> yielded) {
  Dims all = dimsOf(reduce.getOperand()), kept, taken;
  for (auto [i, dim] : llvm::enumerate(all)) {
    if (tilewright::constantOf(dim) == 1)
      continue;
    const bool isTaken = llvm::is_contained(reduce.getDims(), int64_t(i));
    if (!isTaken && !taken.empty())
      return std::nullopt;
    (isTaken ? taken : kept).push_back(dim);
  }
  MLIRContext *context = reduce.getContext();
  for (size_t outer = 0; outer <= yielded.size(); ++outer) {
    if (withoutOnes(yielded.take_front(outer)) != kept)
      continue;
    const bool single = withoutOnes(yielded.drop_front(outer)).empty();
    return WholeRows{single ? yielded.size() : outer, productOf(kept, context), productOf(taken, context),
                     single};
  }
  return std::nullopt;
}

} // namespace

std::optional<WholeRows> wholeRowsOf(kernel::FuncOp kernel, const TargetInfo &target) {
  if (!target.hasShuffles)
    return std::nullopt;
  // What chooses its element while it runs could keep some threads of a team from a reduction.
  if (holds<ConcatOp, PadOp, WindowOp, ArgReduceOp>(kernel))
    return std::nullopt;
  auto yielded = kernel.getBody().front().getTerminator()->getOperands();
  Dims dims = dimsOf(yielded[0]);
  if (!llvm::all_of(yielded, [&](Value v) { return dimsOf(v) == dims; }))
    return std::nullopt;
  for (ReduceOp reduce : kernel.getBody().front().getOps<ReduceOp>())
    if (auto rows = rowsOf(reduce, dims))
      return rows;
  return std::nullopt;
}

} // namespace tilewright::codegen
