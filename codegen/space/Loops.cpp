// Kernels that are loops over what they yield: element-wise work and movement, rows that are reduced,
// windows. Also what reductions and windows inside any kernel have to choose.
#include "codegen/schedule/Threads.h"
#include "codegen/space/Space.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

constexpr int64_t blockElements = 2048; ///< of a long row: one work item
constexpr int64_t shortRow = 512;       ///< rows up to this length are taken together
constexpr int64_t enoughItems = 16;     ///< for the threads to share
constexpr int64_t accumulators = 4;     ///< covers FMA latency on two ports with rows that lie in L1
constexpr unsigned expensive = 8;       ///< instructions from which on a value is kept for a second use
constexpr int64_t longWindow = 64;      ///< taps; lanes select their own, so bounds pay where there are many
constexpr int64_t shortestTile = 8;     ///< of a dimension worth cutting into transposed tiles
constexpr unsigned mostReduces = 16;    ///< whose rows can be kept

std::optional<int64_t> known(AffineExpr size) { return tilewright::constantOf(size); }

SmallVector<Value> yielded(kernel::FuncOp kernel) {
  return llvm::to_vector(kernel.getBody().front().getTerminator()->getOperands());
}

/// Dimensions of what is yielded up to the innermost one of more than one element.
Dims iterationOf(kernel::FuncOp kernel) {
  Dims dims = dimsOf(yielded(kernel).front());
  while (dims.size() > 1 && known(dims.back()) == 1)
    dims.pop_back();
  return dims;
}

/// A concatenation along the innermost dimension, written piece by piece.
bool storesPieces(kernel::FuncOp kernel) {
  const auto values = yielded(kernel);
  auto concat = values.front().getDefiningOp<ConcatOp>();
  const size_t rank = dimsOf(values.front()).size();
  return concat && values.size() == 1 && concat.getAxis() + 1 == rank && iterationOf(kernel).size() == rank;
}

/// Reductions that run with their lanes along a kept dimension read one vector of each row at a time: wider
/// lanes use more of each cache line.
bool reducesAcrossLanes(kernel::FuncOp kernel) {
  return llvm::any_of(kernel.getBody().front(), [](Operation &op) {
    auto reduce = dyn_cast<ReduceOp>(op);
    return reduce && !llvm::is_contained(reduce.getDims(), int64_t(dimsOf(reduce.getOperand()).size()) - 1);
  });
}

int64_t vectorsFor(kernel::FuncOp kernel, std::optional<int64_t> inner, int64_t lanes) {
  int64_t vectors = 1;
  if (inner && reducesAcrossLanes(kernel))
    while (vectors * lanes * 2 <= *inner && vectors < 4)
      vectors *= 2;
  return vectors;
}

/// Whether every result is what one row that lies together was reduced to, with something done to it: lanes
/// that read along the row beat lanes that gather from many rows, unless rows are very short.
bool reducesWholeRows(kernel::FuncOp kernel, ArrayRef<AffineExpr> results) {
  bool any = false;
  for (Operation &op : kernel.getBody().front()) {
    if (isa<TransposeOp, GatherOp, ContractOp, ConvOp, WindowOp>(op))
      return false;
    auto reduce = dyn_cast<ReduceOp>(op);
    if (!reduce)
      continue;
    Dims shape = dimsOf(reduce.getOperand()), row;
    size_t first = shape.size();
    for (; first > 0 && llvm::is_contained(reduce.getDims(), int64_t(first) - 1); --first)
      row.push_back(shape[first - 1]);
    auto length = known(productOf(row, kernel.getContext()));
    bool whole = withoutOnes(dimsOf(reduce.getResult())) == withoutOnes(results);
    const bool extreme = reduce.getKind() == ReduceKind::rmax || reduce.getKind() == ReduceKind::rmin;
    if (row.empty() || (length && *length < (extreme ? 64 : 16)) || !whole) // as measured
      return false;
    any = true;
  }
  return any;
}

/// Rows are indivisible where something is computed once a row.
bool computesPerRow(kernel::FuncOp kernel) { return holds<ReduceOp, ArgReduceOp>(kernel); }

/// Where rows are short, all along the next dimension are taken together.
bool takesRowsTogether(kernel::FuncOp kernel, ArrayRef<AffineExpr> dims, bool split) {
  const auto inner = known(dims.back());
  if (split || dims.size() < 3 || !inner || *inner > shortRow)
    return false;
  auto left = known(productOf(dims.drop_back(2), kernel.getContext()));
  return !left || *left >= enoughItems;
}

//===- Rows that are kept -------------------------------------------------------------------===//

/// A rough count of instructions to compute a value again from memory.
unsigned costOf(Value v, unsigned depth = 0) {
  Operation *op = v.getDefiningOp();
  if (!op || depth > 16)
    return 1;
  if (isa<ConstantOp, ReduceOp, DimsOp, IotaOp>(op))
    return 0;
  unsigned own = instructionsOf(op) + (isa<SliceOp, PadOp, ConcatOp>(op) ? 1 : 0);
  for (Value operand : op->getOperands())
    own += costOf(operand, depth + 1);
  return own;
}

SmallVector<ReduceOp> reducesOf(kernel::FuncOp kernel) {
  return llvm::to_vector(kernel.getBody().front().getOps<ReduceOp>());
}

int64_t keepable(kernel::FuncOp kernel) {
  int64_t mask = 0;
  for (auto [i, reduce] : llvm::enumerate(reducesOf(kernel)))
    if (i < mostReduces && !reduce.getOperand().hasOneUse() && !llvm::isa<BlockArgument>(reduce.getOperand()))
      mask |= int64_t(1) << i;
  return mask;
}

int64_t worthKeeping(kernel::FuncOp kernel) {
  int64_t mask = keepable(kernel);
  for (auto [i, reduce] : llvm::enumerate(reducesOf(kernel)))
    if (i < mostReduces && costOf(reduce.getOperand()) < expensive)
      mask &= ~(int64_t(1) << i);
  return mask;
}

//===- Transposed tiles -------------------------------------------------------------------===//

bool isLong(AffineExpr size) { return known(size).value_or(shortestTile) >= shortestTile; }

/// Only index arithmetic and element-wise work on values in memory.
bool movesOnly(kernel::FuncOp kernel) {
  return llvm::all_of(kernel.getBody().front(), [](Operation &op) {
    return isElementwise(&op) ||
           isa<ConstantOp, BroadcastOp, ReshapeOp, TransposeOp, SliceOp, ConcatOp, DimsOp, kernel::YieldOp>(
               op);
  });
}

bool areTilesLong(Value value) {
  const auto transposed = transposedSources(value);
  return transposed && isLong(dimsOf(value)[transposed->inner]) && isLong(dimsOf(value)[transposed->across]);
}

/// Whether all pieces lie the other way, along the same dimension.
bool canTranspose(kernel::FuncOp kernel) {
  const auto values = yielded(kernel);
  if (values.size() != 1 || !movesOnly(kernel))
    return false;
  const auto pieces = piecesOf(values.front());
  std::optional<TransposedSources> first;
  for (Value piece : pieces) {
    auto sources = transposedSources(piece);
    if (!sources || (first && (sources->across != first->across || sources->inner != first->inner)))
      return false;
    first = sources;
  }
  return pieces.size() == 1 || first->inner + 1 == int64_t(dimsOf(values.front()).size());
}

Algorithm transposeOf(kernel::FuncOp kernel, const TargetInfo &target) {
  const int64_t lanes = nativeLanesOf(kernel, target);
  return {algorithm::transpose, {{"row_block", {lanes, 1 << 16, lanes}, blockElements / lanes * lanes}}};
}

//===- The families -----------------------------------------------------------------------===//

SmallVector<Algorithm> loopsSpace(kernel::FuncOp kernel, const TargetInfo &target, const Wish &) {
  Algorithm loops = loopsOf(kernel, target);
  if (!canTranspose(kernel))
    return {std::move(loops)};
  SmallVector<Algorithm> space{transposeOf(kernel, target), std::move(loops)};
  if (!llvm::all_of(piecesOf(yielded(kernel).front()), areTilesLong))
    std::swap(space[0], space[1]);
  return space;
}

std::string loopsObstacle(kernel::FuncOp kernel, kernel::ScheduleAttr schedule, const TargetInfo &) {
  if (schedule.getAlgorithm() != StringRef(algorithm::loops))
    return "";
  const LoopSchedule s(schedule);
  if (s.rowsTogether && s.rowBlock)
    return "rows are taken together only where they are whole: 'row_block' must be 0";
  if (const int64_t kept = schedule.find("kept_rows").value_or(0); kept & ~keepable(kernel))
    return "'kept_rows' names a reduce whose operand is not computed, or is read once";
  return "";
}

} // namespace

void addWalkParameters(kernel::FuncOp kernel, Algorithm &algorithm) {
  if (holds<ReduceOp>(kernel)) {
    const int64_t mask = keepable(kernel);
    algorithm.parameters.append({{"accumulators", Domain::powers(2, 8), accumulators},
                                 {"kept_rows", {0, mask}, worthKeeping(kernel)}});
  }
  if (holds<WindowOp>(kernel))
    algorithm.parameters.push_back({"bounded_taps", {0, 1 << 20}, longWindow});
}

Algorithm loopsOf(kernel::FuncOp kernel, const TargetInfo &target) {
  Dims dims = iterationOf(kernel);
  const bool alongRows = !dims.empty() && reducesWholeRows(kernel, dims);
  if (alongRows) // each result is a row of one element, which all lanes share
    dims.push_back(constantDim(kernel.getContext(), 1));
  const auto inner = dims.empty() ? std::optional<int64_t>(1) : known(dims.back());
  const bool canSplit = !dims.empty() && !storesPieces(kernel) && !computesPerRow(kernel);
  const bool split = canSplit && (!inner || *inner > blockElements);
  const bool together = !dims.empty() && takesRowsTogether(kernel, dims, split);
  Algorithm loops{algorithm::loops, {}};
  loops.parameters.append(
      {{"vectors", Domain::powers(1, 4), vectorsFor(kernel, inner, nativeLanesOf(kernel, target))},
       {"row_block", canSplit ? Domain{64, 1 << 16, 64, true} : Domain::only(0), split ? blockElements : 0},
       {"rows_together", dims.size() >= 3 ? Domain::flag() : Domain::only(0), together},
       {"lanes_reduce", alongRows ? Domain::flag() : Domain::only(0), alongRows}});
  addWalkParameters(kernel, loops);
  return loops;
}

double estimateLoops(kernel::FuncOp kernel, kernel::ScheduleAttr schedule, const TargetInfo &target) {
  const int64_t lanes = nativeLanesOf(kernel, target);
  double cycles = 0;
  for (Operation &op : kernel.getBody().front()) {
    if (op.getNumResults() == 0)
      continue;
    double elements = double(roughly(dimsOf(op.getResult(0)), 256));
    if (isa<ReduceOp, ArgReduceOp>(op))
      elements = double(roughly(dimsOf(op.getOperand(0)), 256));
    if (auto contract = dyn_cast<ContractOp>(op))
      elements *= double(roughly({ContractDims(contract).k}, 512));
    if (auto conv = dyn_cast<ConvOp>(op); conv && conv.getChannelsLast())
      elements *= double(ConvGeometry(conv).tapCount() * ConvGeometry(conv).groupChannels);
    if (auto window = dyn_cast<WindowOp>(op))
      for (int64_t taps : window.getKernel())
        elements *= double(taps);
    cycles += elements / lanes * std::max(1u, instructionsOf(&op));
  }
  const int64_t block = schedule.find("row_block").value_or(0);
  const double items = block ? double(roughly(iterationOf(kernel), 256)) / double(block) : 0;
  return cycles + 20 * items;
}

const Family loopsFamily{kernel::RootFamily::loops, loopsSpace, loopsObstacle, estimateLoops};
const Family rowsFamily{kernel::RootFamily::rows, loopsSpace, loopsObstacle, estimateLoops};
const Family windowFamily{kernel::RootFamily::window, loopsSpace, loopsObstacle, estimateLoops};

} // namespace tilewright::codegen
