/// NarrowLayout.h - how a product's weight of 2, 4 or 8 bits lies in memory.
#pragma once
#include "ir/Graph.h"
#include "llvm/Support/MathExtras.h"
#include <optional>

namespace tilewright::codegen {

/// How a kernel's weight is stored; an attribute of the kernel.
struct NarrowLayout {
  int64_t bits = 0;
  int64_t block = 0;                            ///< of the summed index
  int64_t columns = 0;                          ///< of a panel
  int64_t zero = 0;                             ///< where there are no zero points: the one of all
  int64_t panels = -1, scales = -1, zeros = -1; ///< arguments: [panel][step][column * 4] bytes,
                                                ///< [panel][block][column] of floats and of bytes; -1: none

  int64_t group() const { return 32 / bits; } ///< of the summed index in one step
  int64_t stepsPerBlock() const { return int64_t(llvm::divideCeil(block, group())); }
  void setOn(kernel::FuncOp kernel) const;
  static std::optional<NarrowLayout> of(kernel::FuncOp kernel);
};

} // namespace tilewright::codegen
