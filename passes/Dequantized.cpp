// See Dequantized.h.
#include "passes/Dequantized.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::passes {
namespace {

RankedTensorType tensorOf(Value v) { return llvm::cast<RankedTensorType>(v.getType()); }

bool isNarrow(Type element) {
  auto integer = llvm::dyn_cast<IntegerType>(element);
  return integer && integer.getWidth() > 1 && integer.getWidth() <= 8;
}

/// The operand that all elements of a product share with others, and the other one.
std::optional<std::pair<Value, Value>> narrowAndRepeated(BinaryOp op) {
  auto fromNarrow = [](Value x) {
    if (auto minus = x.getDefiningOp<BinaryOp>(); minus && minus.getKind() == BinaryKind::sub)
      x = minus.getLhs();
    auto cast = x.getDefiningOp<CastOp>();
    return cast && isNarrow(GraphBuilder::elementType(cast.getOperand()));
  };
  if (fromNarrow(op.getLhs()))
    return std::pair(op.getLhs(), op.getRhs());
  if (fromNarrow(op.getRhs()))
    return std::pair(op.getRhs(), op.getLhs());
  return std::nullopt;
}

} // namespace

std::optional<int64_t> variesAlong(Value repeated) {
  if (constantOf(elementCount(repeated.getType())) == 1)
    return -1;
  auto repeat = repeated.getDefiningOp<BroadcastOp>();
  Value source = repeat && !repeat.getExact() ? repeat.getOperand() : repeated;
  if (!tensorOf(source).hasStaticShape())
    return std::nullopt;
  int64_t along = -1;
  for (auto [d, extent] : llvm::enumerate(tensorOf(source).getShape())) {
    if (extent == 1)
      continue;
    if (along >= 0)
      return std::nullopt;
    along = source == repeated ? int64_t(d) : repeat.getDims()[d];
  }
  return along;
}

Parameter parameterOf(GraphBuilder &g, Value repeated) {
  const int64_t along = *variesAlong(repeated);
  auto repeat = repeated.getDefiningOp<BroadcastOp>();
  Value source = repeat && !repeat.getExact() ? repeat.getOperand() : repeated;
  if (along < 0)
    return {g.reshape(source, {}), -1};
  return {g.reshape(source, {g.dim(tensorOf(source).getNumElements())}), along};
}

std::optional<Dequantized> dequantized(Value value) {
  auto product = value.getDefiningOp<BinaryOp>();
  if (!product || product.getKind() != BinaryKind::mul || !GraphBuilder::elementType(value).isF32())
    return std::nullopt;
  auto parts = narrowAndRepeated(product);
  if (!parts)
    return std::nullopt;
  Dequantized result;
  result.scale = parts->second;
  Value difference = parts->first;
  if (auto minus = difference.getDefiningOp<BinaryOp>()) {
    result.zero = minus.getRhs();
    difference = minus.getLhs();
  }
  result.q = difference.getDefiningOp<CastOp>().getOperand();
  return result;
}

bool areWholeNumbers(Value floats) {
  while (isa_and_present<ReshapeOp, BroadcastOp>(floats.getDefiningOp()))
    floats = floats.getDefiningOp()->getOperand(0);
  if (auto cast = floats.getDefiningOp<CastOp>())
    return isNarrow(GraphBuilder::elementType(cast.getOperand()));
  auto constant = floats.getDefiningOp<ConstantOp>();
  auto elements = constant ? llvm::dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
  return elements && elements.getElementType().isF32() &&
         llvm::all_of(elements.getValues<float>(),
                      [](float x) { return std::abs(x) < 32768 && x == std::trunc(x); });
}

Value wholeNumbers(GraphBuilder &g, Value floats) {
  return g.cast(floats, IntegerType::get(g.b.getContext(), 32, IntegerType::Signed));
}

Value dequantize(GraphBuilder &g, Value q, const Parameter &zero, const Parameter &scale) {
  Dims shape = dimsOf(q);
  auto repeated = [&](const Parameter &p) {
    SmallVector<int64_t> dims;
    if (p.dim >= 0)
      dims.push_back(p.dim);
    return g.broadcastInDims(p.value, shape, dims);
  };
  Value x = g.cast(q, Float32Type::get(g.b.getContext()));
  if (zero)
    x = g.sub(x, repeated(zero));
  return g.mul(x, repeated(scale));
}

} // namespace tilewright::passes
