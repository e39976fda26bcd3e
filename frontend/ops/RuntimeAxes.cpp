/// RuntimeAxes.cpp - see RuntimeAxes.h.
#include "frontend/ops/RuntimeAxes.h"

using namespace mlir;
namespace tilewright::frontend {

using graph::BinaryKind;
using graph::CompareKind;
using graph::ReduceKind;

int64_t lengthOf(Value vector) { return *constantOf(dimsOf(vector)[0]); }

Value elementAt(NodeImporter &n, Value vector, int64_t index) {
  return n.reshape(n.sliceAxis(vector, 0, n.dim(index), n.dim(1)), {});
}

Value axesVector(NodeImporter &n, Value axes, int64_t rank) {
  auto type = cast<RankedTensorType>(axes.getType());
  if (!isInteger(axes) || type.getRank() > 1) {
    n.fail("TW2003", "axes must be a vector of integers");
    return {};
  }
  Value vector = n.reshape(n.cast(axes, si64(n)), {elementCount(type)});
  if (!n.requireWithin(vector, n.dim(-rank), n.dim(rank - 1), "the axes"))
    return {};
  Value negative = n.compare(CompareKind::lt, vector, n.like(vector, 0));
  return n.select(negative, n.add(vector, n.scalarInt(si64(n), rank)), vector);
}

bool requireKnownNumber(NodeImporter &n, Value axes) {
  if (!axes || constantOf(dimsOf(axes)[0]))
    return bool(axes);
  n.unsupported("TW2007", "the rank depends on the number of axes, which must be known when the model is "
                          "compiled");
  return false;
}

Value axesMask(NodeImporter &n, Value axes, int64_t rank) {
  Dims shape{n.dim(rank), dimsOf(axes)[0]};
  Value hits = n.compare(CompareKind::eq, n.iota(shape, si64(n), 0), n.unsqueeze(axes, {0}));
  return n.reduce(ReduceKind::sum, hits, {1}); // of bools: or
}

bool requireDistinct(NodeImporter &n, Value mask, int64_t count) {
  std::optional<Dims> marked = n.elements(n.reduce(ReduceKind::sum, n.cast(mask, si64(n)), {0}), "axes");
  return marked && n.requireEqual((*marked)[0], n.dim(count), "the number of different axes and of axes");
}

Value unmarked(NodeImporter &n, Value sizes, Value mask, int64_t count) {
  if (!requireDistinct(n, mask, count))
    return {};
  Value order = n.sort(n.cast(mask, si64(n)), 0, /*descending=*/false, n.dim(lengthOf(mask) - count)).second;
  return n.gather(sizes, order, 0);
}

Value writtenAt(NodeImporter &n, Value base, Value indices, Value values) {
  values = withSize(n, values, 0, dimsOf(indices)[0]); // whose number need not be known by both
  return graph::ScatterElementsOp::create(n.b, n.loc, base.getType(), base, indices, values, 0,
                                          graph::ScatterKind::assign);
}

std::optional<Value> reducedWhere(NodeImporter &n, Value x, Value mask,
                                  llvm::function_ref<Value(Value, int64_t)> reduce) {
  // Along each dimension the reduced slice and the operand lie one behind the other; the program takes
  // either. So also a dimension of size 0 gives what a reduction of nothing is.
  Value one = n.scalarInt(si64(n), 1), zero = n.scalarInt(si64(n), 0);
  Dims from = dimsOf(x);
  int64_t most = 1;
  for (AffineExpr size : from)
    most = std::max(most, n.symbols.upperBound(size));
  std::optional<Dims> starts = n.elements(n.select(mask, zero, one), "start", 0, 1);
  std::optional<Dims> sizes = n.elements(n.select(mask, one, n.dims(from)), "reduced", 0, most);
  if (!starts || !sizes)
    return std::nullopt;
  for (int64_t axis = 0; axis < int64_t(from.size()); ++axis)
    x = n.sliceAxis(n.concat({reduce(x, axis), x}, axis), axis, (*starts)[axis], (*sizes)[axis]);
  return x;
}

} // namespace tilewright::frontend
