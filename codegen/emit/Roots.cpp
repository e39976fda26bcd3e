// The registry: root family x algorithm -> root loop.
#include "codegen/emit/Roots.h"

namespace tilewright::codegen {
namespace {

using kernel::RootFamily;

struct Entry {
  RootFamily family;
  llvm::StringLiteral algorithm;
  RootEmitter emit;
};

constexpr Entry entries[] = {
    {RootFamily::product, algorithm::tiles, emitContract},
    {RootFamily::product, algorithm::loops, emitLoops},
    {RootFamily::row_chain, algorithm::tiles, emitContract},
    {RootFamily::row_chain, algorithm::loops, emitLoops},
    {RootFamily::convolution, algorithm::tiles, emitConv},
    {RootFamily::convolution, algorithm::lanes, emitConvLanes},
    {RootFamily::convolution, algorithm::loops, emitLoops},
    {RootFamily::serial, algorithm::sequence, emitSerial},
    {RootFamily::rows, algorithm::loops, emitLoops},
    {RootFamily::window, algorithm::loops, emitLoops},
    {RootFamily::loops, algorithm::loops, emitLoops},
    {RootFamily::loops, algorithm::transpose, emitTransposed},
};

} // namespace

RootEmitter rootEmitterOf(kernel::ScheduleAttr schedule) {
  for (const Entry &entry : entries)
    if (kernel::nameOf(entry.family) == schedule.getFamily() && entry.algorithm == schedule.getAlgorithm())
      return entry.emit;
  return nullptr;
}

} // namespace tilewright::codegen
