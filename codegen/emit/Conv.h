//===- Conv.h - convolutions: what packing needs to know --------*- C++ -*-===//
#ifndef TILEWRIGHT_CODEGEN_EMIT_CONV_H
#define TILEWRIGHT_CODEGEN_EMIT_CONV_H

#include "codegen/emit/Schedules.h"
#include "ir/Graph.h"

namespace tilewright::codegen {

/// The weights of a channels-last convolution as `groups` matrices of depth (kernel taps x channels of a group)
/// rows and `columns` (output channels of a group) columns.
struct ConvWeights {
  int64_t groups = 1, depth = 0, columns = 0;
  int64_t panelColumns = 0; ///< nr; for depthwise ones the lanes that channels are padded to
  bool depthwise = false;   ///< one channel a group: [tap][output channel]
  llvm::SmallVector<std::pair<llvm::StringRef, int64_t>> schedule; ///< what the emitter must obey
};
ConvWeights convWeights(graph::ConvOp op, const TargetInfo &target);

/// Whether emitConv() takes this root; else it is loops.
bool canEmitConv(graph::ConvOp op);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_EMIT_CONV_H
