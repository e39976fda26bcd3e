/// Fused.cpp - operators of the domain com.microsoft that exported and optimised models use.
#include "frontend/ops/Composites.h"

using namespace mlir;
namespace tilewright::frontend {

llvm::ArrayRef<OpEntry> fusedOps() { return {}; }

} // namespace tilewright::frontend
