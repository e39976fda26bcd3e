//===- Conv.h - convolutions: sizes, schedules and what packing needs to know -*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_CONV_H
#define TILEWRIGHT_CODEGEN_EMIT_CONV_H

#include "codegen/emit/MicroKernel.h"
#include "codegen/emit/Schedules.h"
#include "codegen/emit/Views.h"
#include "ir/Graph.h"

namespace tilewright::codegen {

/// A channels-last convolution. Spatial dimensions are listed outermost first; the last one is x, along which
/// register tiles run, the others are rows.
struct ConvGeometry {
  explicit ConvGeometry(graph::ConvOp op);

  graph::ConvOp op;
  int64_t rank;            ///< spatial dimensions
  mlir::AffineExpr images; ///< batch
  Dims in, out, low;       ///< spatial
  llvm::SmallVector<int64_t> taps, strides, lhsDilation, rhsDilation;
  int64_t groups, groupChannels, groupOutputs; ///< of the operand's and the result's channels

  int64_t lastTaps() const { return taps.back(); }
  int64_t tapCount() const;
  /// One input channel for each group: no channel is shared between outputs.
  bool depthwise() const { return groups > 1 && groupChannels == 1; }
  /// Depthwise, or of groups that are smaller than a vector and as wide as their outputs: lanes run along
  /// channels, and each takes its inputs from its own vector.
  bool lanewise(const TargetInfo &target) const;
  /// 1 x 1, stride 1, no border: a matrix product over pixels.
  bool isProduct() const;
  /// Whether every tap of every output along dimension d lies inside the operand.
  bool alwaysInside(int64_t d) const;
};

/// The weights as `groups` matrices of taps x depth (channels of a group) rows and `columns` (output channels
/// of a group) columns.
struct ConvWeights {
  int64_t groups = 1, taps = 1, depth = 0, columns = 0;
  int64_t group = 1;        ///< channels that one step takes, see DotKind
  int64_t panelColumns = 0; ///< nr; for lanewise ones the lanes that channels are padded to
  bool lanewise = false;    ///< [tap][channel of its group][output channel]
  llvm::SmallVector<std::pair<llvm::StringRef, int64_t>> schedule; ///< what the emitter must obey
};
ConvWeights convWeights(graph::ConvOp op, const TargetInfo &target);

struct ConvSchedule {
  int64_t rows = 0;    ///< mr: output pixels of a register tile, along x
  int64_t columns = 0; ///< nr
  int64_t channelBlock =
      0; ///< kc: steps of channels per pass over partial sums; 0: all, sums stay in registers
  int64_t rowsPerItem = 1; ///< output rows of a work item
  bool rowsOuter = false;  ///< work items that follow each other share their rows (else their panels)
  bool staged = false;     ///< rows of the operand are copied to scratch, with their border
};
ConvSchedule convSchedule(graph::ConvOp op, DotKind kind, const TargetInfo &target);

/// Whether emitConv() takes this root, with its weights `packed` as convWeights() says or as they lie.
bool canEmitConv(graph::ConvOp op, bool packed);

/// Rewrites a convolution that is a matrix product over pixels (see ConvGeometry::isProduct) into
/// graph.contract. Returns whether it did.
bool convToContract(graph::ConvOp op);

mlir::LogicalResult emitDepthwise(ValueEmitter &e, graph::ConvOp op, EmittedKernel &result);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_CONV_H
