// Kernels whose elements depend on each other: scan, sort, scatter, compact. Rows run in parallel.
#include "codegen/space/Space.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

/// Of the values that a sort keeps: with few, the first ones are held in order and a row is read once, which
/// for 4 of 442 takes a tenth of the time.
constexpr int64_t mostHeld = 16, mostHeldAtAll = 256;

Domain heldOf(SortOp sort, int64_t &preferred) {
  const auto kept = constantOf(dimsOf(sort.getValues())[sort.getAxis()]);
  if (!kept || *kept < 1 || *kept > mostHeldAtAll)
    return Domain::only(0);
  preferred = *kept <= mostHeld ? *kept : 0;
  return {*kept, *kept, 1, /*orZero=*/true};
}

SmallVector<Algorithm> serialSpace(kernel::FuncOp kernel, const TargetInfo &, const Wish &) {
  Algorithm sequence{algorithm::sequence, {}};
  if (auto sort = dyn_cast<SortOp>(kernel::rootOf(kernel))) {
    Parameter held{"held", {}, 0};
    held.domain = heldOf(sort, held.preferred);
    sequence.parameters.push_back(held);
  }
  addWalkParameters(kernel, sequence);
  return {std::move(sequence)};
}

std::string serialObstacle(kernel::FuncOp, kernel::ScheduleAttr, const TargetInfo &) { return ""; }

double estimateSerial(kernel::FuncOp kernel, kernel::ScheduleAttr schedule, const TargetInfo &) {
  Operation *root = kernel::rootOf(kernel);
  const double elements = double(roughly(dimsOf(root->getOperand(0)), 256));
  if (!isa<SortOp>(root))
    return 4 * elements;
  const int64_t held = schedule["held"];
  return held ? elements * (4 + double(held) / 4) : elements * 40;
}

} // namespace

const Family serialFamily{kernel::RootFamily::serial, serialSpace, serialObstacle, estimateSerial};

} // namespace tilewright::codegen
