// What a run needs at least, from the program's buffers: for --max-memory and the report.
#include "compiler/Compilation.h"

using namespace mlir;

namespace tilewright::compiler {

uint64_t leastRunMemory(program::FuncOp program, const SymbolTable &symbols, uint64_t weightBytes) {
  std::vector<__int128> change(program::countPhases(program) + 1,
                               0); // live bytes rise at a birth and fall after a death
  for (program::BufferOp buffer : program::buffersOf(program)) {
    if (buffer.getKind() != program::BufferKind::arena && buffer.getKind() != program::BufferKind::output)
      continue;
    int64_t bytes = std::max<int64_t>(0, symbols.lowerBound(program::bytesOf(buffer.getResult())));
    change[buffer.getBirth()] += bytes;
    change[buffer.getDeath() + 1] -= bytes;
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
