//===- Spread.cpp - linear indices over groups of dimensions --------------===//
#include "codegen/emit/Spread.h"

using namespace mlir;
using llvm::SmallVector;

namespace tilewright::codegen {

void spreadOver(ValueEmitter &e, const DimGroup &group, const Index &linear, Indices &indices) {
  SmallVector<size_t> wide; // dimensions of more than one element
  for (auto [i, size] : llvm::enumerate(group.sizes)) {
    indices[group.dims[i]] = e.uniform(e.constant(0));
    if (tilewright::constantOf(size) != 1)
      wide.push_back(i);
  }
  if (wide.empty())
    return;
  if (wide.size() == 1) {
    indices[group.dims[wide.front()]] = linear;
    return;
  }
  Index rest = linear;
  auto fastest = tilewright::constantOf(group.sizes[wide.back()]);
  if (!linear.lanes && linear.stride == 1 && fastest && *fastest % e.lanes.width == 0 &&
      e.divisorOf(linear.base) % e.lanes.width == 0) {
    Value size = e.constant(*fastest);
    indices[group.dims[wide.pop_back_val()]] = e.lane(e.remainder(linear.base, size));
    rest = e.uniform(e.divide(linear.base, size));
  }
  SmallVector<Value> sizes;
  for (size_t i : wide)
    sizes.push_back(e.dim(group.sizes[i]));
  const Indices parts = e.delinearize(sizes, rest);
  for (auto [i, part] : llvm::zip(wide, parts))
    indices[group.dims[i]] = part;
}

} // namespace tilewright::codegen
