/// Generator.cpp - operators that make values: constants, shapes, ranges, one-hot and identity matrices.
#include "frontend/ops/Composites.h"
#include <cmath>

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

/// Number of elements of an integer range of known step, from ends that are symbolic: known ones are counted
/// without overflow.
static std::optional<AffineExpr> symbolicCount(NodeImporter &n, ArrayRef<Value> parts) {
  if (isFloat(parts[0]))
    return std::nullopt;
  auto start = n.symbolicValue(parts[0]), limit = n.symbolicValue(parts[1]), step = n.symbolicValue(parts[2]);
  if (!start || !limit || !step)
    return std::nullopt;
  std::optional<int64_t> delta = constantOf((*step)[0]);
  if (!delta || *delta == 0 || *delta == INT64_MIN || (constantOf((*start)[0]) && constantOf((*limit)[0])))
    return std::nullopt;
  AffineExpr span = *delta > 0 ? (*limit)[0] - (*start)[0] : (*start)[0] - (*limit)[0];
  int64_t size = std::abs(*delta);
  return n.symbols.maximum((span + (size - 1)).floorDiv(size), n.dim(0));
}

/// Elements of an integer range, in 64 bits without a sign: no distance overflows. A step of zero divides.
static Value integerCount(NodeImporter &n, Value start, Value limit, Value step) {
  Type natural = IntegerType::get(n.b.getContext(), 64, IntegerType::Unsigned);
  auto wide = [&](Value x) { return n.cast(x, si64(n)); };
  start = wide(start), limit = wide(limit), step = wide(step);
  Value down = n.compare(CompareKind::lt, step, n.like(step, 0));
  Value from = n.select(down, limit, start), to = n.select(down, start, limit);
  Value span = n.cast(n.sub(to, from), natural), one = n.like(span, 1);
  Value stride = n.cast(n.select(down, n.unary(UnaryKind::neg, step), step), natural);
  Value some = n.add(n.div(n.sub(span, one), stride), one);
  return n.select(n.compare(CompareKind::gt, to, from), n.cast(some, si64(n)), n.like(step, 0));
}

/// ceil((limit - start) / step): the difference in the range's own type, the quotient in double. No size for
/// a step of zero.
static Value floatCount(NodeImporter &n, Value start, Value limit, Value step) {
  Type wide = n.b.getF64Type();
  Value by = n.cast(step, wide);
  Value count = n.unary(UnaryKind::ceil, n.div(n.cast(n.sub(limit, start), wide), by));
  count = n.minimum(n.maximum(count, n.like(count, 0)), n.like(count, std::ldexp(1.0, 60)));
  return n.cast(n.select(n.compare(CompareKind::eq, by, n.like(by, 0)), n.like(by, -1), count), si64(n));
}

static std::optional<AffineExpr> runtimeCount(NodeImporter &n, ArrayRef<Value> parts) {
  std::optional<Dims> size =
      n.elements((isFloat(parts[0]) ? floatCount : integerCount)(n, parts[0], parts[1], parts[2]), "range");
  if (!size)
    return std::nullopt;
  if (constantOf((*size)[0]).value_or(0) >= 0)
    return (*size)[0];
  n.fail("TW1205", "the step of a range is 0, or it has too many elements");
  return std::nullopt;
}

static void importRange(NodeImporter &n) {
  if (!require(n, 3) || !requireSameElements(n, {n.operand(0), n.operand(1), n.operand(2)}))
    return;
  SmallVector<Value, 3> parts; // start, limit, delta
  for (size_t index = 0; index < 3; ++index)
    parts.push_back(singleElement(n, n.operand(index), "operand " + std::to_string(index)));
  if (n.hasFailed())
    return;
  std::optional<AffineExpr> count = symbolicCount(n, parts);
  if (!count)
    count = runtimeCount(n, parts);
  if (!count)
    return;
  Type type = n.elementType(n.operand(0));
  // Halves cannot count far: positions in f32.
  Type wide = accumulationType(type);
  Value positions = n.iota(ArrayRef<AffineExpr>{*count}, wide, 0);
  n.result(0, n.cast(n.add(n.mul(positions, n.cast(parts[2], wide)), n.cast(parts[0], wide)), type));
}

//===- One-hot, identity ---------------------------------------------------------------------===//

static void importOneHot(NodeImporter &n) {
  if (!require(n, 3) || !requireRank(n, n.operand(2), 1, 1, "values") ||
      !n.requireEqual(dimsOf(n.operand(2))[0], n.dim(2), "off and on value, and their number"))
    return;
  Value index = n.cast(n.operand(0), si64(n)), depthValue = singleElement(n, n.operand(1), "depth");
  if (!depthValue)
    return;
  depthValue = n.cast(depthValue, si64(n));
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
  constexpr int64_t beyond = int64_t(1) << 48; // any matrix, and far from overflow
  Value row = n.iota(shape, si64(n), 0), column = n.iota(shape, si64(n), 1);
  Value offset = n.scalarInt(si64(n), std::clamp(n.intAttr("k", 0), -beyond, beyond));
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
