/// Cases of movement ops and of those whose indices are data.
#include "tests/support/CaseBuilder.h"

using namespace mlir;
using tilewright::interpreter::Shape;
using tilewright::interpreter::Tensor;

namespace tilewright::tests {
namespace {

using Values = llvm::SmallVector<Value>;

Values broadcastCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 4);
  Sized source;
  llvm::SmallVector<int64_t> dims;
  for (int64_t dim = 0; dim < like.rank(); ++dim) {
    if (c.chance(30))
      continue;
    dims.push_back(dim);
    bool one = c.chance(40);
    source.shape.push_back(one ? 1 : like.shape[dim]);
    // A symbol of its own may be 1 or equal the result's dimension; which one it is shows when the program
    // runs.
    source.dims.push_back(one            ? c.dimension(1)
                          : c.chance(50) ? like.dims[dim]
                                         : c.dimension(like.shape[dim]));
  }
  Value x = c.operand(source, c.anyType());
  Value shape = c.input(like, c.p.type("f32")); // binds the result's symbols
  return {c.epilogue(c.p.g.broadcastInDims(x, like.dims, dims)), shape};
}

/// Merge two neighbouring dimensions, split a known one, or flatten all.
Values reshapeCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 4);
  Value x = c.operand(like, c.anyType());
  Dims shape = like.dims;
  int64_t dim = c.below(like.rank());
  if (c.chance(40) && like.rank() > 1) {
    dim = c.below(like.rank() - 1);
    shape[dim] = shape[dim] * shape[dim + 1];
    shape.erase(shape.begin() + dim + 1);
  } else if (constantOf(shape[dim]) && like.shape[dim] % 2 == 0) {
    shape[dim] = c.p.g.dim(2);
    shape.insert(shape.begin() + dim + 1, c.p.g.dim(like.shape[dim] / 2));
  } else {
    shape = {productOf(like.dims, &c.p.context)};
  }
  for (AffineExpr &expr : shape)
    expr = canonical(expr);
  return {c.epilogue(c.p.g.reshape(x, shape))};
}

Values transposeCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 5);
  return {c.epilogue(c.p.g.transpose(c.operand(like, c.anyType()), c.permutation(like.rank())))};
}

Values sliceCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 4);
  Dims starts, sizes;
  llvm::SmallVector<int64_t> steps;
  for (int64_t dim = 0; dim < like.rank(); ++dim) {
    int64_t size = like.shape[dim], cut = size > 1 ? c.below(std::min<int64_t>(size, 4)) : 0,
            step = c.pick<int64_t>({1, 1, -1, 2, 3, -2});
    if (!constantOf(like.dims[dim]) || size == 0)
      step = c.pick<int64_t>({1, -1});
    AffineExpr span = like.dims[dim] - cut;
    bool whole = step == 1 || step == -1;
    sizes.push_back(whole ? canonical(span) : c.p.g.dim((size - cut + std::abs(step) - 1) / std::abs(step)));
    starts.push_back(step > 0 ? c.p.g.dim(cut) : canonical(like.dims[dim] - 1));
    steps.push_back(step);
  }
  return {c.epilogue(c.p.g.slice(c.operand(like, c.anyType()), starts, steps, sizes))};
}

Values concatCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 4);
  int64_t axis = c.below(like.rank());
  Type type = c.anyType();
  Values parts;
  for (int64_t i = c.between(1, 4); i > 0; --i) {
    Sized part = like;
    part.shape[axis] = std::min<int64_t>(c.size(), 33);
    part.dims[axis] = c.dimension(part.shape[axis]);
    parts.push_back(c.operand(part, type));
  }
  return {c.epilogue(c.p.g.concat(parts, axis))};
}

Values padCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 4);
  graph::PadMode mode = *graph::symbolizePadMode(uint32_t(c.below(4)));
  Dims low, high;
  for (int64_t size : like.shape) {
    int64_t limit = mode == graph::PadMode::constant  ? 4
                    : mode == graph::PadMode::reflect ? size - 1
                    : size                            ? 4
                                                      : 0;
    auto amount = [&] {
      return c.p.g.dim(c.chance(50) || limit <= 0 ? 0 : c.below(std::min<int64_t>(limit, 4) + 1));
    };
    low.push_back(amount());
    high.push_back(amount());
  }
  Type type = c.anyType();
  Value x = c.operand(like, type);
  return {c.epilogue(c.p.g.pad(x, low, high, mode, c.p.g.scalar(type, 1)))};
}

Values gatherCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 3, false), picks = c.anyShape(0, 2);
  int64_t axis = c.below(like.rank());
  Value x = c.operand(like, c.anyType());
  return {c.epilogue(c.p.g.gather(x, c.indices(picks, like.shape[axis]), axis))};
}

/// `like` with another size along the axis: the shape of indices.
Sized alongAxis(CaseBuilder &c, const Sized &like, int64_t axis) {
  Sized result = like;
  result.shape[axis] = c.between(0, 9);
  result.dims[axis] = c.dimension(result.shape[axis]);
  return result;
}

Values gatherElementsCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 3, false);
  int64_t axis = c.below(like.rank());
  Value x = c.operand(like, c.anyType()), indices = c.indices(alongAxis(c, like, axis), like.shape[axis]);
  auto type = tensorType(dimsOf(indices), GraphBuilder::elementType(x));
  return {c.epilogue(graph::GatherElementsOp::create(c.p.builder, c.p.g.loc, type, x, indices, axis))};
}

/// Tuples that index the first `length` dimensions after `batch` of `like`: [batch..., outer..., length].
Value tuples(CaseBuilder &c, const Sized &like, int64_t batch, int64_t length, const Sized &outer) {
  Sized sizes;
  sizes.dims.append(like.dims.begin(), like.dims.begin() + batch);
  sizes.shape.append(like.shape.begin(), like.shape.begin() + batch);
  sizes.dims.append(outer.dims);
  sizes.shape.append(outer.shape);
  sizes.dims.push_back(c.p.g.dim(length));
  sizes.shape.push_back(length);
  Tensor tensor(c.p.type(c.pick({"si64", "si32"})), sizes.shape);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    int64_t size = like.shape[batch + i % length];
    tensor.setInteger(i, c.between(-size, size - 1));
  }
  return c.input(std::move(tensor), sizes.dims);
}

Values gatherNDCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 4, false), outer = c.anyShape(0, 1);
  int64_t batch = c.below(like.rank()), length = c.between(1, like.rank() - batch);
  Value x = c.operand(like, c.anyType()), indices = tuples(c, like, batch, length, outer);
  Dims shape(llvm::ArrayRef(dimsOf(indices)).drop_back());
  shape.append(like.dims.begin() + batch + length, like.dims.end());
  auto type = tensorType(shape, GraphBuilder::elementType(x));
  return {c.epilogue(graph::GatherNDOp::create(c.p.builder, c.p.g.loc, type, x, indices, batch))};
}

graph::ScatterKind anyScatter(CaseBuilder &c, Type type) {
  bool arithmetic = !type.isInteger(1) && type.getIntOrFloatBitWidth() > 8;
  auto kind = *graph::symbolizeScatterKind(arithmetic ? uint32_t(c.below(5)) : 0);
  if (kind == graph::ScatterKind::sadd || kind == graph::ScatterKind::smul)
    c.exact &= !interpreter::isFloat(type);
  return kind;
}

Values scatterElementsCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 3, false);
  int64_t axis = c.below(like.rank());
  Sized changes = alongAxis(c, like, axis);
  Type type = c.anyType();
  auto kind = anyScatter(c, type);
  Value x = c.operand(like, type), indices = c.indices(changes, like.shape[axis]),
        updates = c.operand(changes, type);
  return {c.epilogue(graph::ScatterElementsOp::create(c.p.builder, c.p.g.loc, x.getType(), x, indices,
                                                      updates, axis, kind))};
}

Values scatterNDCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 4, false), outer = c.anyShape(0, 2);
  int64_t length = c.between(1, like.rank());
  Type type = c.anyType();
  auto kind = anyScatter(c, type);
  Value x = c.operand(like, type), indices = tuples(c, like, 0, length, outer);
  Sized changes = outer;
  changes.dims.append(like.dims.begin() + length, like.dims.end());
  changes.shape.append(like.shape.begin() + length, like.shape.end());
  Value updates = c.input(changes, type);
  return {
      c.epilogue(graph::ScatterNDOp::create(c.p.builder, c.p.g.loc, x.getType(), x, indices, updates, kind))};
}

Values compactCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 3);
  Value mask = c.operand(like, c.p.type("i1"));
  Type si64 = c.p.type("si64");
  Value count = c.p.g.reduce(graph::ReduceKind::sum, c.p.g.cast(mask, si64),
                             llvm::to_vector(llvm::seq<int64_t>(0, like.rank())));
  Dims shape = c.p.g.valueOrDefine(count, "count", 0, 1 << 20);
  shape.push_back(c.p.g.dim(like.rank()));
  return {graph::CompactOp::create(c.p.builder, c.p.g.loc, tensorType(shape, si64), mask)};
}

} // namespace

llvm::ArrayRef<CaseFamily> movementCases() {
  static const CaseFamily cases[] = {{"broadcast", broadcastCase},  {"reshape", reshapeCase},
                                     {"transpose", transposeCase},  {"slice", sliceCase},
                                     {"concat", concatCase},        {"pad", padCase},
                                     {"gather", gatherCase},        {"gather_elements", gatherElementsCase},
                                     {"gather_nd", gatherNDCase},   {"scatter_elements", scatterElementsCase},
                                     {"scatter_nd", scatterNDCase}, {"compact", compactCase}};
  return cases;
}

} // namespace tilewright::tests
