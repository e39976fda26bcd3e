//===- ConvGeometry.cpp - convolutions: sizes and schedules ---------------===//
#include "codegen/emit/Conv.h"
#include "codegen/emit/Epilogue.h"
#include "codegen/emit/MicroKernel.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

Type elementOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()).getElementType(); }

bool all(ArrayRef<int64_t> values, int64_t value) {
  return llvm::all_of(values, [=](int64_t v) { return v == value; });
}

} // namespace

ConvGeometry::ConvGeometry(ConvOp op) : op(op) {
  const Dims lhs = dimsOf(op.getLhs()), result = dimsOf(op.getResult());
  auto weights = llvm::cast<RankedTensorType>(op.getRhs().getType());
  rank = int64_t(lhs.size()) - 2;
  images = lhs.front();
  for (int64_t d = 0; d < rank; ++d) {
    in.push_back(lhs[d + 1]);
    out.push_back(result[d + 1]);
    low.push_back(op.getLow().getResult(d));
    taps.push_back(weights.getDimSize(d));
  }
  strides.assign(op.getStrides().begin(), op.getStrides().end());
  lhsDilation.assign(op.getLhsDilation().begin(), op.getLhsDilation().end());
  rhsDilation.assign(op.getRhsDilation().begin(), op.getRhsDilation().end());
  groups = op.getGroups();
  groupChannels = weights.getDimSize(rank);
  groupOutputs = weights.getDimSize(rank + 1) / groups;
}

int64_t ConvGeometry::tapCount() const {
  int64_t count = 1;
  for (int64_t size : taps)
    count *= size;
  return count;
}

bool ConvGeometry::lanewise(const TargetInfo &target) const {
  Type type = accumulatorType(elementOf(ConvOp(op).getResult())), weights = elementOf(ConvOp(op).getRhs());
  const int64_t lanes = target.lanes(type.getIntOrFloatBitWidth());
  return depthwise() || (groups > 1 && groupChannels == groupOutputs && llvm::isa<FloatType>(type) &&
                         llvm::isa<FloatType>(weights) && groupOutputs < lanes && lanes % groupOutputs == 0);
}

bool ConvGeometry::isProduct() const {
  return groups == 1 && all(taps, 1) && all(strides, 1) && all(lhsDilation, 1) &&
         llvm::all_of(low, [](AffineExpr expr) { return constantOf(expr) == std::optional<int64_t>(0); }) &&
         llvm::all_of(llvm::zip(in, out),
                      [](auto sizes) { return provablyEqual(std::get<0>(sizes), std::get<1>(sizes)); });
}

bool ConvGeometry::alwaysInside(int64_t d) const {
  auto size = constantOf(in[d]), count = constantOf(out[d]), before = constantOf(low[d]);
  if (taps[d] == 1 && strides[d] == 1 && before == std::optional<int64_t>(0) && provablyEqual(in[d], out[d]))
    return true;
  return size && count && before && *before <= 0 &&
         (*count - 1) * strides[d] + (taps[d] - 1) * rhsDilation[d] - *before < *size;
}

//===- Schedules ----------------------------------------------------------------------===//

namespace {

/// Whether the operand's pixels can be read where they lie: channels together, as the sums' type; the tiles
/// along x known, or made at run time.
bool readableInPlace(const ConvGeometry &geometry, DotKind kind) {
  ConvOp op = geometry.op;
  Type element = elementOf(op.getLhs());
  auto view = viewOf(op.getLhs());
  const bool quads =
      kind == DotKind::Quads && element.isUnsignedInteger(8) && geometry.groupChannels % 4 == 0;
  return view && (quads || (kind == DotKind::Plain && (element.isF32() || element.isF64()))) &&
         constantOf(view->strides.back()) == std::optional<int64_t>(1) && all(geometry.lhsDilation, 1) &&
         (kind == DotKind::Plain || (constantOf(geometry.in.back()) && constantOf(geometry.out.back()) &&
                                     constantOf(geometry.low.back())));
}

int64_t product(ArrayRef<AffineExpr> sizes, int64_t unknown) {
  int64_t result = 1;
  for (AffineExpr size : sizes)
    result *= constantOf(size).value_or(unknown);
  return result;
}

/// `columns`: the panels' width, where it is settled.
ConvSchedule chooseConv(const ConvGeometry &g, DotKind kind, const TargetInfo &target,
                        std::optional<int64_t> columns) {
  Type accumulator = accumulatorType(elementOf(ConvOp(g.op).getResult()));
  const int64_t bits = accumulator.getIntOrFloatBitWidth(), bytes = bits / 8;
  ConvSchedule s;
  if (g.lanewise(target)) {
    // Sums that hide the latency of FMAs, and registers to spread the channels of groups with.
    const int64_t spare = g.depthwise() ? 0 : 2, pixels = (target.vectorRegisters >= 32 ? 8 : 6) - spare;
    const int64_t lastRows = g.rank > 1 ? constantOf(g.out[g.rank - 2]).value_or(32) : 1;
    s.rows = splitEvenly(constantOf(g.out.back()).value_or(pixels), pixels).largest;
    s.columns = target.lanes(bits);
    s.staged = !readableInPlace(g, kind);
    s.rowsPerItem = s.staged ? std::min<int64_t>(8, std::max<int64_t>(1, lastRows)) : 1;
    return s;
  }
  const RegisterTile tile = chooseTile(constantOf(g.out.back()), g.groupOutputs, bits, target, columns);
  s.rows = tile.rows;
  s.columns = tile.columns;
  // Short runs of k cost more in pointers than copying rows does; borders of few channels more in code.
  s.staged = !readableInPlace(g, kind) || (g.groupChannels < 8 && g.lastTaps() > 1);
  const int64_t depth = g.tapCount() * llvm::divideCeil(g.groupChannels, groupOf(kind)),
                panel = depth * s.columns * bytes;
  const int64_t panels = llvm::divideCeil(g.groupOutputs, s.columns) * g.groups;
  const int64_t width = constantOf(g.out.back()).value_or(56), half = target.l2Bytes / 2;
  const int64_t rows = std::max<int64_t>(1, product(ArrayRef(g.out).drop_back(), 32));
  const int64_t images = constantOf(g.images).value_or(1);
  s.rowsOuter = s.staged || panel * panels <= half;
  const int64_t rowWork = std::max<int64_t>(1, width * depth * s.columns);
  const int64_t lastRows = g.rank > 1 ? constantOf(g.out[g.rank - 2]).value_or(32) : 1;
  const int64_t wanted = std::max<int64_t>(1, images * rows * panels / 128);
  s.rowsPerItem =
      std::clamp<int64_t>(std::max<int64_t>((1 << 16) / rowWork, wanted), 1, std::max<int64_t>(1, lastRows));
  if (s.staged && lastRows > 1) // rows that neighbours share are copied for each item
    s.rowsPerItem = std::min<int64_t>(lastRows, std::max<int64_t>(s.rowsPerItem, 4));
  if (panel > half) {
    s.channelBlock =
        std::max<int64_t>(16, (target.l1Bytes / 2 / (g.lastTaps() * s.columns * bytes)) / 16 * 16);
    s.rowsPerItem = lastRows;
  }
  return s;
}

} // namespace

ConvSchedule convSchedule(ConvOp op, DotKind kind, const TargetInfo &target) {
  auto function = op->getParentOfType<kernel::FuncOp>();
  DictionaryAttr attribute = function ? function.getScheduleAttr() : DictionaryAttr();
  ConvSchedule s = chooseConv(ConvGeometry(op), kind, target, scheduleInteger(attribute, "nr"));
  s.rows = scheduleInteger(attribute, "mr").value_or(s.rows);
  s.columns = scheduleInteger(attribute, "nr").value_or(s.columns);
  s.channelBlock = scheduleInteger(attribute, "kc").value_or(s.channelBlock);
  s.rowsPerItem = scheduleInteger(attribute, "rows").value_or(s.rowsPerItem);
  s.rowsOuter = scheduleInteger(attribute, "rows_outer").value_or(s.rowsOuter);
  s.staged = scheduleInteger(attribute, "staged").value_or(s.staged);
  return s;
}

ConvWeights convWeights(ConvOp op, const TargetInfo &target) {
  const ConvGeometry g(op);
  DotKind kind = dotKindFor(elementOf(op.getLhs()), elementOf(op.getRhs()),
                            accumulatorType(elementOf(op.getResult())), target);
  if (g.lanewise(target) ||
      (g.groups > 1 && g.groupChannels % groupOf(kind) != 0)) // a step must not straddle groups
    kind = DotKind::Plain;
  const ConvSchedule s = convSchedule(op, kind, target);
  ConvWeights weights;
  weights.group = groupOf(kind);
  weights.lanewise = g.lanewise(target);
  if (weights.lanewise) {
    weights.taps = g.tapCount();
    weights.depth = g.groupChannels;
    weights.columns = g.groups * g.groupOutputs;
    weights.panelColumns = s.columns;
    weights.schedule = {{"mr", s.rows}, {"rows", s.rowsPerItem}, {"staged", s.staged}};
    return weights;
  }
  weights.groups = g.groups;
  weights.taps = g.tapCount();
  weights.depth = g.groupChannels;
  weights.columns = g.groupOutputs;
  weights.panelColumns = s.columns;
  weights.schedule = {{"mr", s.rows},           {"nr", s.columns},       {"kc", s.channelBlock},
                      {"group", weights.group}, {"rows", s.rowsPerItem}, {"rows_outer", s.rowsOuter},
                      {"staged", s.staged}};
  return weights;
}

bool canEmitConv(ConvOp op, bool packed) {
  auto weights = llvm::cast<RankedTensorType>(op.getRhs().getType());
  Type type = accumulatorType(elementOf(op.getResult()));
  if (!op.getChannelsLast() || !Epilogue::supports(op) || !weights.hasStaticShape() ||
      weights.getNumElements() == 0 || weights.getRank() < 3 ||
      !(type.isF32() || type.isF64() || type.isInteger(32) || type.isInteger(64)))
    return false;
  const ConvGeometry g(op);
  if (g.depthwise()) // read as they lie
    return g.groupOutputs == 1 && (packed || llvm::isa<BlockArgument>(op.getRhs()));
  return packed || g.groups == 1;
}

bool convToContract(ConvOp op) {
  if (!canEmitConv(op, /*packed=*/false))
    return false;
  const ConvGeometry g(op);
  if (!g.isProduct())
    return false;
  OpBuilder b(op);
  auto matrix = tensorType(ArrayRef<AffineExpr>(dimsOf(op.getRhs())).take_back(2), elementOf(op.getRhs()));
  Value weights = ReshapeOp::create(b, op.getLoc(), matrix, op.getRhs());
  auto none = b.getDenseI64ArrayAttr({});
  auto contract = ContractOp::create(b, op.getLoc(), op.getType(), op.getLhs(), weights, none, none,
                                     b.getDenseI64ArrayAttr({g.rank + 1}), b.getDenseI64ArrayAttr({0}));
  op.getResult().replaceAllUsesWith(contract.getResult());
  op.erase();
  return true;
}

} // namespace tilewright::codegen
