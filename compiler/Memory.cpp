// What a run needs at least, from the program's plan: for --max-memory and the report.
#include "compiler/Compilation.h"

using namespace mlir;

namespace tilewright::compiler {

uint64_t leastRunMemory(const codegen::ProgramPlan &plan, const SymbolTable &symbols, uint64_t weightBytes) {
  std::vector<__int128> change(plan.phases + 2, 0); // live bytes rise at a birth and fall after a death
  for (const codegen::PlannedBuffer &buffer : plan.buffers) {
    if (buffer.kind != codegen::PlannedBuffer::Arena && buffer.kind != codegen::PlannedBuffer::Output)
      continue;
    int64_t bytes = std::max<int64_t>(0, symbols.lowerBound(buffer.bytes));
    change[std::min(buffer.birth, plan.phases)] += bytes;
    change[std::min(buffer.death, plan.phases) + 1] -= bytes;
  }
  __int128 live = 0, most = 0;
  for (__int128 step : change) {
    live += step;
    most = std::max(most, live);
  }
  most += weightBytes;
  return most > UINT64_MAX ? UINT64_MAX : uint64_t(most);
}

} // namespace tilewright::compiler
