/// Composites.cpp - see Composites.h.
#include "frontend/ops/Composites.h"
#include <numbers>

using namespace mlir;
namespace tilewright::frontend {
using graph::BinaryKind;
using graph::ReduceKind;
using graph::UnaryKind;

Type accumulationType(Type elementType) {
  if (!isa<FloatType>(elementType) || elementType.isF64())
    return elementType;
  return Float32Type::get(elementType.getContext());
}

Type interpolationType(GraphBuilder &g, Type elementType) {
  if (auto integer = dyn_cast<IntegerType>(elementType))
    return integer.getWidth() > 8 ? Type(g.b.getF64Type()) : Type(g.b.getF32Type());
  return accumulationType(elementType);
}

Value interpolated(GraphBuilder &g, Value x, Type elementType, bool rounds) {
  if (!isa<IntegerType>(elementType) || isa<IntegerType>(GraphBuilder::elementType(x)))
    return g.cast(x, elementType);
  if (rounds)
    return g.cast(g.unary(UnaryKind::round, x), elementType, /*saturate=*/true);
  // What is a whole number but for rounding on the way stays that number.
  const double little = 1.0 / 1024;
  Value below = g.compare(graph::CompareKind::lt, x, g.like(x, 0));
  x = g.add(x, g.select(below, g.like(x, -little), g.like(x, little)));
  return g.cast(x, elementType, /*saturate=*/true);
}

IntegerType signedType(GraphBuilder &g, unsigned width) {
  return IntegerType::get(g.b.getContext(), width, IntegerType::Signed);
}

Value dimValue(GraphBuilder &g, AffineExpr expr, Type elementType) {
  AffineExpr reduced = canonical(expr);
  if (std::optional<int64_t> known = constantOf(reduced))
    return g.scalarInt(elementType, *known);
  return g.cast(g.dims(ArrayRef<AffineExpr>{reduced}, /*scalar=*/true), elementType);
}

graph::DefineOp assume(GraphBuilder &g, Value value, int64_t expected) {
  auto symbol = cast<AffineSymbolExpr>(g.symbols.defined("assumed", expected, expected));
  return graph::DefineOp::create(g.b, g.loc, g.cast(value, signedType(g, 64)),
                                 ArrayRef<int64_t>{int64_t(symbol.getPosition())});
}

Value filled(GraphBuilder &g, ArrayRef<AffineExpr> shape, Type elementType, double value) {
  return g.broadcastTo(g.scalar(elementType, value), shape);
}

Value alongAxis(GraphBuilder &g, Value vector, int64_t axis, int64_t rank) {
  if (GraphBuilder::rank(vector) == 0)
    return vector;
  Dims shape(rank, g.dim(1));
  shape[axis] = dimsOf(vector)[0];
  return g.reshape(vector, shape);
}

Value withSize(GraphBuilder &g, Value x, int64_t axis, AffineExpr size) {
  Dims shape = dimsOf(x);
  if (provablyEqual(shape[axis], size))
    return x;
  shape[axis] = size;
  auto type = tensorType(shape, GraphBuilder::elementType(x));
  return graph::BroadcastOp::create(g.b, g.loc, type, x, llvm::to_vector(llvm::seq<int64_t>(0, shape.size())),
                                    /*exact=*/true);
}

bool requireFitsInto(NodeImporter &n, Value value, ArrayRef<AffineExpr> shape, llvm::StringRef what) {
  if (!requireRank(n, value, 0, shape.size(), what))
    return false;
  Dims own = dimsOf(value);
  for (size_t i = 0; i < own.size(); ++i)
    if (!n.requireRepeatable(own[i], shape[shape.size() - own.size() + i], "the sizes of " + what))
      return false;
  return true;
}

Value clamp(GraphBuilder &g, Value x, double low, double high) {
  return g.minimum(g.maximum(x, g.like(x, low)), g.like(x, high));
}

Value flip(GraphBuilder &g, Value x, int64_t axis) {
  Dims starts(GraphBuilder::rank(x), g.dim(0)), sizes = dimsOf(x);
  SmallVector<int64_t> steps(sizes.size(), 1);
  starts[axis] = sizes[axis] - 1;
  steps[axis] = -1;
  if (constantOf(sizes[axis]) == 1)
    return x;
  return g.slice(x, starts, steps, sizes);
}

Value gatherElements(GraphBuilder &g, Value x, Value indices, int64_t axis) {
  Type type = withElementType(indices.getType(), GraphBuilder::elementType(x));
  return graph::GatherElementsOp::create(g.b, g.loc, type, x, indices, axis);
}

//===- Activations ------------------------------------------------------------------===//

Value softmax(GraphBuilder &g, Value x, int64_t axis) {
  Type element = GraphBuilder::elementType(x);
  Value wide = g.cast(x, accumulationType(element));
  Value shifted = g.sub(wide, g.reduce(ReduceKind::rmax, wide, {axis}, /*keepDims=*/true));
  Value powers = g.unary(UnaryKind::exp, shifted);
  Value sum = g.reduce(ReduceKind::sum, powers, {axis}, /*keepDims=*/true);
  return g.cast(g.div(powers, sum), element);
}

Value logSoftmax(GraphBuilder &g, Value x, int64_t axis) {
  Type element = GraphBuilder::elementType(x);
  Value wide = g.cast(x, accumulationType(element));
  Value shifted = g.sub(wide, g.reduce(ReduceKind::rmax, wide, {axis}, /*keepDims=*/true));
  Value sum = g.reduce(ReduceKind::sum, g.unary(UnaryKind::exp, shifted), {axis}, /*keepDims=*/true);
  return g.cast(g.sub(shifted, g.unary(UnaryKind::log, sum)), element);
}

Value sigmoidLinear(GraphBuilder &g, Value x, double alpha) {
  Value scaled = alpha == 1 ? x : g.mul(x, g.like(x, alpha));
  return g.mul(x, g.unary(UnaryKind::sigmoid, scaled));
}

Value geluErf(GraphBuilder &g, Value x) {
  Value erf = g.unary(UnaryKind::erf, g.mul(x, g.like(x, 1 / std::numbers::sqrt2)));
  return g.mul(g.mul(x, g.like(x, 0.5)), g.add(erf, g.like(x, 1)));
}

Value geluTanh(GraphBuilder &g, Value x) {
  Value cube = g.mul(g.mul(x, x), x);
  Value inner = g.add(x, g.mul(cube, g.like(x, 0.044715)));
  Value tanh = g.unary(UnaryKind::tanh, g.mul(inner, g.like(x, std::sqrt(2 / std::numbers::pi))));
  return g.mul(g.mul(x, g.like(x, 0.5)), g.add(tanh, g.like(x, 1)));
}

Moments moments(GraphBuilder &g, Value x, ArrayRef<int64_t> dims) {
  Value mean = g.mean(x, dims, /*keepDims=*/true);
  Value centered = g.sub(x, mean);
  return {mean, centered, g.mean(g.mul(centered, centered), dims, /*keepDims=*/true)};
}

//===- Loops ------------------------------------------------------------------------===//

static Value truth(GraphBuilder &g) { return g.scalarInt(g.b.getI1Type(), 1); }

/// The body of a counted loop in a block that is not yet part of one.
static LoopValues buildBody(GraphBuilder &g, Block &body, ArrayRef<Value> initial,
                            llvm::function_ref<LoopValues(Value, ArrayRef<Value>)> step) {
  OpBuilder::InsertionGuard guard(g.b);
  g.b.setInsertionPointToEnd(&body);
  body.addArgument(tensorType({}, signedType(g, 64)), g.loc);
  for (Value value : initial)
    body.addArgument(value.getType(), g.loc);
  SmallVector<Value> carried(body.getArguments().drop_front());
  LoopValues values = step(body.getArgument(0), carried);
  SmallVector<Value> yields{values.goesOn ? values.goesOn : truth(g)};
  for (auto [value, first] : llvm::zip_equal(values.carried, initial))
    yields.push_back(g.reshape(value, dimsOf(first)));
  llvm::append_range(yields, values.stacked);
  graph::YieldOp::create(g.b, g.loc, yields);
  return values;
}

LoopValues countedLoop(GraphBuilder &g, AffineExpr count, ArrayRef<Value> initial,
                       llvm::function_ref<LoopValues(Value, ArrayRef<Value>)> step) {
  Value trips = dimValue(g, count, signedType(g, 64)), always = truth(g);
  auto body = std::make_unique<Block>();
  LoopValues last = buildBody(g, *body, initial, step);
  AffineExpr steps = canonical(count);
  int64_t iterations = -1;
  if (!last.stacked.empty() && !constantOf(steps)) {
    steps = g.symbols.defined("steps");
    iterations = cast<AffineSymbolExpr>(steps).getPosition();
  }
  SmallVector<Type> types(llvm::map_range(initial, [](Value value) { return value.getType(); }));
  for (Value slice : last.stacked) {
    Dims shape{steps};
    llvm::append_range(shape, dimsOf(slice));
    types.push_back(tensorType(shape, GraphBuilder::elementType(slice)));
  }
  auto loop = graph::LoopOp::create(g.b, g.loc, types, trips, always, initial, iterations);
  loop.getBody().push_back(body.release());
  LoopValues results;
  for (auto [index, value] : llvm::enumerate(loop.getResults()))
    if (index < initial.size())
      results.carried.push_back(value);
    else
      results.stacked.push_back(withSize(g, value, 0, count));
  return results;
}

//===- Contractions -----------------------------------------------------------------===//

Value contractSameType(GraphBuilder &g, Value lhs, Value rhs, ArrayRef<int64_t> lhsBatch,
                       ArrayRef<int64_t> rhsBatch, ArrayRef<int64_t> lhsContract,
                       ArrayRef<int64_t> rhsContract) {
  Type element = GraphBuilder::elementType(lhs);
  if (isFloat(element))
    return g.contract(lhs, rhs, lhsBatch, rhsBatch, lhsContract, rhsContract);
  Type wide = signedType(g, element.getIntOrFloatBitWidth() == 64 ? 64 : 32);
  return g.cast(g.contract(lhs, rhs, lhsBatch, rhsBatch, lhsContract, rhsContract, wide), element);
}

Value checkedMatmul(NodeImporter &n, Value lhs, Value rhs, Type resultElement) {
  if (!requireRank(n, lhs, 1, INT64_MAX, "the left operand") ||
      !requireRank(n, rhs, 1, INT64_MAX, "the right operand"))
    return {};
  int64_t left = GraphBuilder::rank(lhs), right = GraphBuilder::rank(rhs),
          inner = std::max<int64_t>(right - 2, 0);
  AffineExpr size = dimsOf(rhs)[inner];
  if (!n.requireEqual(dimsOf(lhs)[left - 1], size, "the sizes to contract"))
    return {};
  lhs = withSize(n, lhs, left - 1, size);
  Dims leftDims = dimsOf(lhs), rightDims = dimsOf(rhs);
  for (int64_t dim = 3; dim <= std::min(left, right); ++dim) {
    std::optional<int64_t> a = constantOf(leftDims[left - dim]), b = constantOf(rightDims[right - dim]);
    if (a && b && *a != *b && *a != 1 && *b != 1) {
      n.fail("TW2002", "batch dimensions do not broadcast: " + shapeText(n, lhs) + ", " + shapeText(n, rhs));
      return {};
    }
  }
  Type element = GraphBuilder::elementType(lhs);
  if (resultElement || isFloat(element))
    return n.matmul(lhs, rhs, resultElement);
  Type wide = signedType(n, element.getIntOrFloatBitWidth() == 64 ? 64 : 32);
  return n.cast(n.matmul(lhs, rhs, wide), element);
}

Value joined(NodeImporter &n, SmallVector<Value> values, int64_t axis) {
  if (!requireSameElements(n, values))
    return {};
  Dims first = dimsOf(values[0]);
  for (Value &value : values) {
    if (!requireRank(n, value, first.size(), first.size()))
      return {};
    Dims shape = dimsOf(value);
    for (size_t index = 0; index < shape.size(); ++index) {
      if (index == size_t(axis))
        continue;
      if (!n.requireEqual(shape[index], first[index],
                          "sizes of the operands along dimension " + llvm::Twine(index)))
        return {};
      if (!constantOf(first[index])) // what one operand knows holds for all
        first[index] = shape[index];
    }
  }
  for (Value &value : values)
    for (size_t index = 0; index < first.size(); ++index)
      if (index != size_t(axis))
        value = withSize(n, value, index, first[index]);
  return n.concat(values, axis);
}

std::optional<SmallVector<Value>> cutUp(NodeImporter &n, Value value, int64_t axis,
                                        ArrayRef<AffineExpr> sizes) {
  AffineExpr total = n.dim(0);
  for (AffineExpr size : sizes) {
    if (!n.requireAtLeast(size, n.dim(0), "the size of a part"))
      return std::nullopt;
    total = total + size;
  }
  if (!n.requireEqual(total, dimsOf(value)[axis], "the sum of the parts and the dimension"))
    return std::nullopt;
  SmallVector<Value> parts;
  AffineExpr start = n.dim(0);
  for (AffineExpr size : sizes) {
    parts.push_back(n.sliceAxis(value, axis, canonical(start), size));
    start = start + size;
  }
  return parts;
}

} // namespace tilewright::frontend
