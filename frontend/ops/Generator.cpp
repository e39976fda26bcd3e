/// Generator.cpp - operators that make values: constants, shapes, ranges, one-hot and identity matrices.
#include "frontend/ops/Composites.h"

using namespace mlir;
namespace tilewright::frontend {

using graph::BinaryKind;
using graph::CompareKind;
using graph::UnaryKind;

//===- Constants -----------------------------------------------------------------------===//

static Value floatVector(NodeImporter &n, ArrayRef<float> values) {
  auto type = RankedTensorType::get({int64_t(values.size())}, n.b.getF32Type());
  return n.constant(DenseElementsAttr::get(type, values));
}

static void importConstant(NodeImporter &n) {
  using Kind = onnx::Attribute::Kind;
  if (n.node.attributes.size() != 1)
    return n.fail("TW1205", "a Constant has exactly one attribute, its value");
  const onnx::Attribute &value = n.node.attributes.front();
  switch (value.kind) {
  case Kind::Tensor:
    return n.result(0, n.tensorAttr(value.tensor()));
  case Kind::SparseTensor:
    return n.result(0, n.sparseAttr(value.sparseTensor()));
  case Kind::Float:
    return n.result(0, n.scalar(n.b.getF32Type(), value.f));
  case Kind::Int:
    return n.result(0, n.scalarInt(si64(n), value.i));
  case Kind::Floats:
    return n.result(0, floatVector(n, value.floats));
  case Kind::Ints:
    return n.result(0, n.intVector(value.ints));
  case Kind::String:
  case Kind::Strings:
    return n.unsupported("TW1202", "string constants are not supported");
  default:
    n.fail("TW1205", "a Constant cannot hold an attribute of kind " +
                         llvm::StringRef(onnx::attributeKindName(value.kind)));
  }
}

static void importConstantOfShape(NodeImporter &n) {
  if (!require(n, 1))
    return;
  const onnx::Attribute *attribute = n.attr("value");
  if (attribute &&
      (attribute->kind != onnx::Attribute::Kind::Tensor || attribute->tensor().elementCount != 1))
    return n.fail("TW1205", "value must be a tensor of one element");
  Value value = attribute ? n.tensorAttr(attribute->tensor()) : n.scalar(n.b.getF32Type(), 0);
  std::optional<Dims> shape = shapeOperand(n, n.operand(0), "shape");
  if (value && shape)
    n.result(0, n.broadcastTo(n.reshape(value, {}), *shape));
}

//===- Shapes ----------------------------------------------------------------------------===//

static void importShape(NodeImporter &n) {
  if (!require(n, 1))
    return;
  Dims shape = dimsOf(n.operand(0));
  int64_t rank = shape.size(), start = n.intAttr("start", 0), end = n.intAttr("end", rank);
  start = std::clamp<int64_t>(start < 0 ? start + rank : start, 0, rank);
  end = std::clamp<int64_t>(end < 0 ? end + rank : end, start, rank);
  n.result(0, n.dims(piece(shape, start, end)));
}

static void importSize(NodeImporter &n) {
  if (require(n, 1))
    n.result(0, n.dims(ArrayRef<AffineExpr>{elementCount(n.operand(0).getType())}, /*scalar=*/true));
}

//===- Ranges ------------------------------------------------------------------------------===//

/// Number of elements of an integer range of known step, from symbolic ends.
static std::optional<AffineExpr> symbolicCount(NodeImporter &n) {
  if (isFloat(n.operand(0)))
    return std::nullopt;
  auto start = n.symbolicValue(n.operand(0)), limit = n.symbolicValue(n.operand(1)),
       step = n.symbolicValue(n.operand(2));
  if (!start || !limit || !step)
    return std::nullopt;
  std::optional<int64_t> delta = constantOf((*step)[0]);
  if (!delta || *delta == 0 || *delta == INT64_MIN)
    return std::nullopt;
  AffineExpr span = *delta > 0 ? (*limit)[0] - (*start)[0] : (*start)[0] - (*limit)[0];
  int64_t size = std::abs(*delta);
  return n.symbols.maximum((span + (size - 1)).floorDiv(size), n.dim(0));
}

static std::optional<AffineExpr> constantCount(NodeImporter &n) {
  auto start = n.constantFloats(n.operand(0)), limit = n.constantFloats(n.operand(1)),
       step = n.constantFloats(n.operand(2));
  if (!start || !limit || !step || step->front() == 0)
    return std::nullopt;
  double count = std::ceil((limit->front() - start->front()) / step->front());
  if (!(count < 1e15))
    return std::nullopt;
  return n.dim(std::max<int64_t>(0, static_cast<int64_t>(count)));
}

/// The same at run time: ceil((limit - start) / step) in double, which is exact for what fits in memory.
static std::optional<AffineExpr> runtimeCount(NodeImporter &n) {
  Type wide = n.b.getF64Type();
  Value span = n.sub(n.cast(n.operand(1), wide), n.cast(n.operand(0), wide));
  Value count = n.unary(UnaryKind::ceil, n.div(span, n.cast(n.operand(2), wide)));
  std::optional<Dims> size = n.elements(n.cast(n.maximum(count, n.like(count, 0)), si64(n)), "range");
  return size ? std::optional((*size)[0]) : std::nullopt;
}

static void importRange(NodeImporter &n) {
  if (!require(n, 3) || !requireSameElements(n, {n.operand(0), n.operand(1), n.operand(2)}))
    return;
  for (size_t index = 0; index < 3; ++index)
    if (elementCount(n.operand(index).getType()) != n.dim(1))
      return n.fail("TW2004", "start, limit and delta must be scalars");
  std::optional<AffineExpr> count = symbolicCount(n);
  if (!count)
    count = constantCount(n);
  if (!count)
    count = runtimeCount(n);
  if (!count)
    return;
  Type type = n.elementType(n.operand(0));
  Value start = n.reshape(n.operand(0), {}), step = n.reshape(n.operand(2), {});
  // Halves cannot count far: positions in f32.
  Type wide = accumulationType(type);
  Value positions = n.iota(ArrayRef<AffineExpr>{*count}, wide, 0);
  n.result(0, n.cast(n.add(n.mul(positions, n.cast(step, wide)), n.cast(start, wide)), type));
}

//===- One-hot, identity ---------------------------------------------------------------------===//

static void importOneHot(NodeImporter &n) {
  if (!require(n, 3) || !requireRank(n, n.operand(2), 1, 1, "values") ||
      !requireSameSize(n, dimsOf(n.operand(2))[0], n.dim(2), "off and on value, and their number"))
    return;
  if (elementCount(n.operand(1).getType()) != n.dim(1))
    return n.fail("TW2004", "depth must be a scalar");
  Value index = n.cast(n.operand(0), si64(n));
  Value depthValue = n.cast(n.reshape(n.operand(1), {}), si64(n));
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", -1), n.rank(index) + 1);
  std::optional<Dims> depth = n.elements(depthValue, "depth");
  if (!axis || !depth)
    return;
  Dims shape = dimsOf(index);
  shape.insert(shape.begin() + *axis, (*depth)[0]);
  index = n.select(n.compare(CompareKind::lt, index, n.like(index, 0)), n.add(index, depthValue), index);
  Value hit = n.compare(CompareKind::eq, n.unsqueeze(index, {*axis}), n.iota(shape, si64(n), *axis));
  Value values = withSize(n, n.operand(2), 0, n.dim(2));
  auto pick = [&](int64_t which) { return n.reshape(n.sliceAxis(values, 0, n.dim(which), n.dim(1)), {}); };
  n.result(0, n.select(hit, pick(1), pick(0)));
}

static void importEyeLike(NodeImporter &n) {
  if (!require(n, 1) || !requireRank(n, n.operand(0), 2, 2))
    return;
  Type type = n.attr("dtype") ? n.elementTypeOf(n.intAttr("dtype", 1)) : n.elementType(n.operand(0));
  if (!type)
    return;
  Dims shape = dimsOf(n.operand(0));
  Value row = n.iota(shape, si64(n), 0), column = n.iota(shape, si64(n), 1);
  Value offset = n.scalarInt(si64(n), n.intAttr("k", 0));
  n.result(0, n.cast(n.compare(CompareKind::eq, n.add(row, offset), column), type));
}

static void importRandom(NodeImporter &n) {
  n.unsupported("TW1201", "random numbers are not supported", "pass them to the model as an input");
}

llvm::ArrayRef<OpEntry> generatorOps() {
  static const OpEntry table[] = {
      {"Bernoulli", importRandom},
      {"Constant", importConstant},
      {"ConstantOfShape", importConstantOfShape},
      {"EyeLike", importEyeLike},
      {"Multinomial", importRandom},
      {"OneHot", importOneHot},
      {"RandomNormal", importRandom},
      {"RandomNormalLike", importRandom},
      {"RandomUniform", importRandom},
      {"RandomUniformLike", importRandom},
      {"Range", importRange},
      {"Shape", importShape},
      {"Size", importSize},
  };
  return table;
}

} // namespace tilewright::frontend
