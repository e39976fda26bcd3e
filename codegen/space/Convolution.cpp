// Convolutions: implicit matrix products over pixels of a row in register tiles; or lanes along channels,
// each summed by itself (depthwise, and groups that are smaller than a vector).
#include "codegen/space/Tiles.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

/// Bytes of work of an item that are worth handing out.
constexpr int64_t itemWork = 1 << 16;
/// Blocks of rows that are assumed where only a run tells.
constexpr int64_t unknownBlocks = 8;

Type elementOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()).getElementType(); }

struct Convolution {
  Convolution(kernel::FuncOp kernel, const TargetInfo &target)
      : op(cast<ConvOp>(kernel::rootOf(kernel))), g(op),
        accumulator(accumulatorType(elementOf(op.getResult()))), bits(accumulator.getIntOrFloatBitWidth()),
        packed(constantRightOf(kernel).has_value()), lanewise(g.lanewise(target)) {
    const DotKind best = dotKindFor(elementOf(op.getLhs()), elementOf(op.getRhs()), accumulator, target);
    kind = packed && canSum(best, op, target) ? best : DotKind::Plain;
  }
  ConvOp op;
  ConvGeometry g;
  Type accumulator;
  unsigned bits;
  bool packed, lanewise;
  DotKind kind;

  int64_t lastRows() const {
    return g.rank > 1 ? std::max<int64_t>(1, constantOf(g.out[g.rank - 2]).value_or(32)) : 1;
  }
  bool widthKnown() const { return constantOf(g.out.back()).has_value(); }
};

/// Rows of an item along the last row dimension; unknown ones have some.
Domain itemRowsOf(const Convolution &c) {
  const bool known = c.g.rank < 2 || constantOf(c.g.out[c.g.rank - 2]);
  return {1, known ? c.lastRows() : 256};
}

Algorithm tilesOf(const Convolution &c, const TargetInfo &target, const Wish &wish) {
  const ConvGeometry &g = c.g;
  const int64_t bytes = c.bits / 8;
  const RegisterTile tile =
      chooseTile(constantOf(g.out.back()), g.groupOutputs, c.bits, target, wish.columns);
  const bool inPlace = g.canReadInPlace(c.kind, target) || g.canReadInPlace(DotKind::Plain, target);
  // Short runs of k cost more in pointers than copying rows does; borders of few channels more in code.
  const bool staged = !g.canReadInPlace(c.kind, target) || (g.groupChannels < 8 && g.lastTaps() > 1);
  const int64_t depth = g.tapCount() * llvm::divideCeil(g.groupChannels, groupOf(c.kind)),
                panel = depth * tile.columns * bytes;
  const int64_t panels = llvm::divideCeil(g.groupOutputs, tile.columns) * g.groups;
  const int64_t width = constantOf(g.out.back()).value_or(56), half = target.l2Bytes / 2;
  const int64_t rows = std::max<int64_t>(1, roughly(ArrayRef(g.out).drop_back(), 32));
  const int64_t images = constantOf(g.images).value_or(1);
  const int64_t rowWork = std::max<int64_t>(1, width * depth * tile.columns);
  const int64_t wanted = std::max<int64_t>(1, images * rows * panels / 128);
  int64_t itemRows = std::clamp<int64_t>(std::max<int64_t>(itemWork / rowWork, wanted), 1, c.lastRows()),
          channelBlock = 0;
  if (staged && c.lastRows() > 1) // rows that neighbours share are copied for each item
    itemRows = std::min<int64_t>(c.lastRows(), std::max<int64_t>(itemRows, 4));
  if (panel > half) {
    channelBlock =
        std::max<int64_t>(16, (target.l1Bytes / 2 / (g.lastTaps() * tile.columns * bytes)) / 16 * 16);
    itemRows = c.lastRows();
  }
  Algorithm tiles{algorithm::tiles, {}};
  addTileParameters(tiles, tile, c.bits, c.widthKnown(), c.op, target);
  tiles.parameters.append({{"channel_block", {16, 1 << 16, 16, /*orZero=*/true}, channelBlock},
                           {"item_rows", itemRowsOf(c), itemRows},
                           {"rows_outer", Domain::flag(), staged || panel * panels <= half},
                           {"staged", inPlace ? Domain::flag() : Domain::only(1), staged},
                           {"packed",
                            !c.packed       ? Domain::only(0)
                            : g.groups == 1 ? Domain::flag()
                                            : Domain::only(1),
                            c.packed},
                           {"group", Domain::powers(1, groupOf(c.kind)), groupOf(c.kind)}});
  return tiles;
}

/// Parts of the channels: only where there are too few rows for many threads; a part stays long enough to
/// stream.
int64_t channelPartsOf(const Convolution &c, int64_t itemRows, bool staged, int64_t vectors) {
  if (staged)
    return 1;
  double blocks = double(constantOf(c.g.images).value_or(0));
  for (auto [d, size] : llvm::enumerate(ArrayRef(c.g.out).drop_back())) {
    const auto known = constantOf(size);
    const bool last = int64_t(d) == c.g.rank - 2;
    blocks *= known ? double(last ? llvm::divideCeil(*known, itemRows) : *known) : 0;
  }
  const int64_t items = blocks > 0 ? int64_t(std::min(blocks, 1e9)) : unknownBlocks;
  return std::clamp<int64_t>(llvm::divideCeil(64, std::max<int64_t>(items, 1)), 1,
                             llvm::divideCeil(vectors, 4));
}

Algorithm lanesOf(const Convolution &c, const TargetInfo &target) {
  const ConvGeometry &g = c.g;
  // Sums that hide the latency of FMAs, and registers to spread the channels of groups with.
  const int64_t spare = g.depthwise() ? 0 : 2, pixels = (target.vectorRegisters >= 32 ? 8 : 6) - spare;
  const int64_t lanes = target.lanes(c.bits), vectors = llvm::divideCeil(g.channels(), lanes);
  const bool inPlace = g.canReadInPlace(DotKind::Plain, target);
  const int64_t itemRows = inPlace ? 1 : std::min<int64_t>(8, c.lastRows());
  const RegisterTile tile{splitEvenly(constantOf(g.out.back()).value_or(pixels), pixels).largest, lanes};
  Algorithm algorithm{algorithm::lanes, {}};
  addTileParameters(algorithm, tile, c.bits, c.widthKnown() || inPlace, c.op, target);
  llvm::erase_if(algorithm.parameters, [](const Parameter &one) {
    return one.name == "sums" || one.name == "prefetch" || one.name == "straight_depth" ||
           one.name == "columns";
  });
  algorithm.parameters.append(
      {{"columns", Domain::only(lanes), lanes},
       {"item_rows", itemRowsOf(c), itemRows},
       {"channel_parts", {1, vectors}, channelPartsOf(c, itemRows, !inPlace, vectors)},
       {"staged", inPlace ? Domain::flag() : Domain::only(1), !inPlace},
       {"packed",
        !c.packed                                                          ? Domain::only(0)
        : g.depthwise() && llvm::isa<BlockArgument>(ConvOp(c.op).getRhs()) ? Domain::flag()
                                                                           : Domain::only(1),
        c.packed}});
  return algorithm;
}

/// Which tiled algorithm there is: lanes need one input for each output of a group, and weights that lie in
/// memory; tiles need weights that are packed, or one group.
SmallVector<Algorithm> convolutionSpace(kernel::FuncOp kernel, const TargetInfo &target, const Wish &wish) {
  SmallVector<Algorithm> space;
  const Convolution c(kernel, target);
  if (canTile(c.op)) {
    const bool depthwise = c.g.depthwise();
    const bool readable = c.packed || (depthwise && llvm::isa<BlockArgument>(ConvOp(c.op).getRhs()));
    if (c.lanewise && readable && (!depthwise || c.g.groupOutputs == 1))
      space.push_back(lanesOf(c, target));
    if (!depthwise && (c.packed || c.g.groups == 1))
      space.push_back(tilesOf(c, target, wish));
  }
  space.push_back(loopsOf(kernel, target));
  return space;
}

std::string convolutionObstacle(kernel::FuncOp kernel, kernel::ScheduleAttr schedule,
                                const TargetInfo &target) {
  const Convolution c(kernel, target);
  if (schedule.getAlgorithm() == StringRef(algorithm::lanes)) {
    const ConvLaneSchedule s(schedule);
    if (s.staged && s.channelParts > 1)
      return "staged rows hold all channels: 'channel_parts' must be 1";
    if (s.epilogueInRegisters && s.staged && !c.widthKnown())
      return "the width is known at run time only: 'epilogue_in_registers' must be 0 where 'staged' is 1";
    return registerObstacle(s.rows + (c.g.depthwise() ? 0 : 2), s.columns, c.bits, target);
  }
  if (schedule.getAlgorithm() != StringRef(algorithm::tiles))
    return "";
  const ConvTileSchedule s(schedule);
  if (std::string obstacle = registerObstacle(s.rows, s.columns, c.bits, target); !obstacle.empty())
    return obstacle;
  if (!canSum(s.kind, c.op, target))
    return "the target has no instruction that sums " + std::to_string(schedule["group"]) +
           " products of these types";
  if (groupOf(s.kind) > 1 && !s.packed)
    return "products are summed in groups only where 'packed' is 1";
  if (!s.staged && !c.g.canReadInPlace(s.kind, target))
    return "the operand cannot be read where it lies: 'staged' must be 1";
  return "";
}

double estimateConvolution(kernel::FuncOp kernel, kernel::ScheduleAttr schedule, const TargetInfo &target) {
  const Convolution c(kernel, target);
  if (schedule.getAlgorithm() == StringRef(algorithm::loops))
    return estimateLoops(kernel, schedule, target);
  const TileSchedule s(schedule);
  const int64_t lanes = target.lanes(c.bits), width = constantOf(c.g.out.back()).value_or(56),
                rows = roughly(ArrayRef(c.g.out).drop_back(), 32) * roughly({c.g.images}, 1);
  const double pixels = double(rows) * std::ceil(double(width) / s.rows) * s.rows;
  if (schedule.getAlgorithm() == StringRef(algorithm::lanes))
    return pixels * c.g.tapCount() * c.g.groupChannels * llvm::divideCeil(c.g.channels(), lanes) /
           target.fmaPorts * (schedule["staged"] ? 1.5 : 1);
  const ConvTileSchedule t(schedule);
  const double steps = double(c.g.tapCount()) * llvm::divideCeil(c.g.groupChannels, groupOf(t.kind)),
               panels = double(c.g.groups) * std::ceil(double(c.g.groupOutputs) / t.columns);
  double cycles = pixels / t.rows * panels * steps * cyclesPerStep(t.rows, t.columns / lanes, target);
  if (t.staged)
    cycles += pixels * c.g.tapCount() * c.g.groupChannels / lanes * (t.rowsOuter ? 1 : panels);
  if (t.channelBlock)
    cycles += pixels * panels * std::ceil(steps / t.channelBlock) * 2;
  return cycles + 50 * panels * rows / t.itemRows;
}

} // namespace

const Family convolutionFamily{kernel::RootFamily::convolution, convolutionSpace, convolutionObstacle,
                               estimateConvolution};

} // namespace tilewright::codegen
