// Memory of growable buffers, one after the other.
#include "codegen/program/Convert.h"

using namespace mlir;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

/// Memory that grows at run time and takes in one buffer after the other; `root` was the first.
struct Slot {
  program::BufferOp root;
  uint32_t death;
  AffineExpr bytes; ///< of the latest
};

/// A slot that is free by then, best one whose last buffer had the same size. Among the latest few, so that
/// the search stays linear in the number of buffers.
Slot *freeSlot(SmallVectorImpl<Slot> &slots, program::BufferOp buffer, AffineExpr bytes) {
  constexpr size_t candidates = 256;
  Slot *best = nullptr;
  for (Slot &slot : llvm::reverse(llvm::MutableArrayRef(slots).take_back(candidates))) {
    if (slot.death >= buffer.getBirth())
      continue;
    if (slot.bytes == bytes)
      return &slot;
    best = best ? best : &slot;
  }
  return best;
}

} // namespace

void shareGrowables(program::FuncOp func) {
  SmallVector<program::BufferOp> order; // by birth: they are declared in this order
  for (auto buffer : func.getBody().front().getOps<program::BufferOp>())
    if (buffer.getKind() == program::BufferKind::growable)
      order.push_back(buffer);
  SmallVector<Slot> slots;
  for (program::BufferOp buffer : order) {
    AffineExpr bytes = program::bytesOf(buffer.getResult());
    if (Slot *slot = freeSlot(slots, buffer, bytes)) {
      buffer.getAliasMutable().assign(slot->root.getResult());
      slot->death = buffer.getDeath(), slot->bytes = bytes;
    } else {
      slots.push_back({buffer, buffer.getDeath(), bytes});
    }
  }
}

} // namespace tilewright::codegen
