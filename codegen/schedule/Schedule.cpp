#include "codegen/schedule/Schedule.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::SmallVector;

namespace tilewright::codegen {

using kernel::ScheduleAttr;

TileSchedule::TileSchedule(ScheduleAttr s)
    : rows(s["rows"]), columns(s["columns"]), sums(s.find("sums").value_or(1)),
      prefetch(s.find("prefetch").value_or(0)), straightDepth(s.find("straight_depth").value_or(0)),
      epilogueInRegisters(s["epilogue_in_registers"]) {}

ProductSchedule::ProductSchedule(ScheduleAttr s)
    : TileSchedule(s), depthBlock(s.find("depth_block").value_or(0)), tilesPerBlock(s["row_tiles"]),
      panelsPerBlock(s.find("panels").value_or(0)), rowsOuter(s.find("rows_outer").value_or(0)),
      staged(s.find("staged").value_or(1)), packed(s.find("packed").value_or(0)),
      kind(dotKindOf(s.find("group").value_or(1))), fetch(Fetch(s.find("fetch").value_or(0))),
      narrowChunk(s.find("narrow_chunk").value_or(0)), narrowRows(s.find("narrow_rows").value_or(0)) {}

ProductSchedule scoreSchedule(ScheduleAttr s) {
  ProductSchedule inner(s);
  inner.staged = s["score_rows_staged"];
  inner.fetch = Fetch(s["score_fetch"]);
  return inner;
}

ConvTileSchedule::ConvTileSchedule(ScheduleAttr s)
    : TileSchedule(s), channelBlock(s["channel_block"]), itemRows(s["item_rows"]), rowsOuter(s["rows_outer"]),
      staged(s["staged"]), packed(s["packed"]), kind(dotKindOf(s["group"])) {}

ConvLaneSchedule::ConvLaneSchedule(ScheduleAttr s)
    : TileSchedule(s), itemRows(s["item_rows"]), channelParts(s["channel_parts"]), staged(s["staged"]),
      packed(s["packed"]) {}

LoopSchedule::LoopSchedule(ScheduleAttr s)
    : vectors(s["vectors"]), rowBlock(s["row_block"]), rowsTogether(s["rows_together"]),
      lanesReduce(s["lanes_reduce"]) {}

TransposeSchedule::TransposeSchedule(ScheduleAttr s) : rowBlock(s["row_block"]) {}

ReduceSchedule::ReduceSchedule(ScheduleAttr s)
    : accumulators(s.find("accumulators").value_or(1)), keptRows(s.find("kept_rows").value_or(0)) {}

WindowSchedule::WindowSchedule(ScheduleAttr s) : boundedTaps(s.find("bounded_taps").value_or(0)) {}

SerialSchedule::SerialSchedule(ScheduleAttr s) : held(s.find("held").value_or(0)) {}

EvenSplit splitEvenly(int64_t total, int64_t limit) {
  const int64_t parts = std::max<int64_t>(1, llvm::divideCeil(total, limit));
  return {parts, int64_t(llvm::divideCeil(total, parts))};
}

static int64_t innermost(Value v) {
  Dims dims = dimsOf(v);
  for (int64_t i = dims.size(); i-- > 0;)
    if (tilewright::constantOf(dims[i]) != 1)
      return i;
  return -1;
}

std::optional<TransposedSources> transposedSources(Value value) {
  TransposedSources result;
  result.inner = innermost(value);
  if (result.inner < 0 || getElementTypeOrSelf(value).isInteger(1))
    return std::nullopt;
  Dims dims = dimsOf(value);
  SmallVector<Value> pending{value};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!pending.empty()) {
    Operation *op = pending.pop_back_val().getDefiningOp();
    if (!op || !seen.insert(op).second || isa<ConstantOp>(op))
      continue;
    if (auto transpose = dyn_cast<TransposeOp>(op)) {
      const int64_t inner = innermost(transpose.getOperand());
      const int64_t across =
          inner < 0 ? -1 : llvm::find(transpose.getPerm(), inner) - transpose.getPerm().begin();
      if (across < 0 || across == result.inner || (result.across >= 0 && result.across != across) ||
          getElementTypeOrSelf(op->getResult(0)).isInteger(1))
        continue;
      result.across = across;
      result.sources.push_back(transpose);
    } else if (isElementwise(op)) {
      llvm::append_range(pending, op->getOperands());
    }
  }
  return result.sources.empty() ? std::nullopt : std::optional(result);
}

SmallVector<Value> piecesOf(Value yielded) {
  auto concat = yielded.getDefiningOp<ConcatOp>();
  if (concat && concat.getAxis() + 1 == dimsOf(yielded).size())
    return llvm::to_vector(concat.getOperands());
  return {yielded};
}

int64_t nativeLanesOf(kernel::FuncOp kernel, const TargetInfo &target) {
  unsigned widest = 32;
  auto note = [&](Value v) {
    if (auto type = llvm::dyn_cast<RankedTensorType>(v.getType()))
      if (llvm::isa<Float64Type>(type.getElementType()))
        widest = 64;
  };
  for (Operation &op : kernel.getBody().front()) {
    llvm::for_each(op.getOperands(), note);
    llvm::for_each(op.getResults(), note);
  }
  return target.lanes(widest);
}

} // namespace tilewright::codegen
