// Shape inference and construction of graph ops.
#include "ir/GraphBuilder.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright {
namespace {

SmallVector<int64_t> iotaVector(int64_t count) { return llvm::to_vector(llvm::seq<int64_t>(0, count)); }

/// Storage type of dense attributes: signless integers of the element's width.
Type storageType(Type elementType) {
  if (auto integer = llvm::dyn_cast<IntegerType>(elementType))
    return IntegerType::get(elementType.getContext(), integer.getWidth());
  return elementType;
}

} // namespace

//===- Leaves --------------------------------------------------------------------===//

Value GraphBuilder::constant(ElementsAttr value) {
  return ConstantOp::create(b, loc, llvm::cast<RankedTensorType>(value.getType()), value);
}

static Value splat(OpBuilder &b, Location loc, Type elementType, Attribute element) {
  auto storage = RankedTensorType::get({}, storageType(elementType));
  return ConstantOp::create(b, loc, RankedTensorType::get({}, elementType),
                            DenseElementsAttr::get(storage, element));
}

Value GraphBuilder::scalar(Type elementType, double value) {
  if (!llvm::isa<FloatType>(elementType))
    return scalarInt(elementType, int64_t(value));
  auto type = llvm::cast<FloatType>(elementType);
  llvm::APFloat number(value);
  bool lossy;
  number.convert(type.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &lossy);
  return splat(b, loc, elementType, FloatAttr::get(type, number));
}

Value GraphBuilder::scalarInt(Type elementType, int64_t value) {
  if (llvm::isa<FloatType>(elementType))
    return scalar(elementType, double(value));
  Type storage = storageType(elementType);
  unsigned width = storage.getIntOrFloatBitWidth();
  return splat(b, loc, elementType,
               IntegerAttr::get(storage, llvm::APInt(width, uint64_t(value), false, true)));
}

Value GraphBuilder::intVector(ArrayRef<int64_t> values, unsigned width) {
  auto element = IntegerType::get(b.getContext(), width, IntegerType::Signed);
  SmallVector<llvm::APInt> numbers;
  for (int64_t value : values)
    numbers.emplace_back(width, uint64_t(value), true, true);
  SmallVector<int64_t, 1> shape{int64_t(values.size())};
  return ConstantOp::create(
      b, loc, RankedTensorType::get(shape, element),
      DenseElementsAttr::get(RankedTensorType::get(shape, storageType(element)), numbers));
}

Value GraphBuilder::dims(ArrayRef<AffineExpr> exprs, bool scalar) {
  SmallVector<int64_t> values;
  Dims reduced;
  for (AffineExpr expr : exprs) {
    reduced.push_back(canonical(expr));
    if (auto value = constantOf(reduced.back()))
      values.push_back(*value);
  }
  auto element = IntegerType::get(b.getContext(), 64, IntegerType::Signed);
  if (values.size() == exprs.size())
    return scalar ? scalarInt(element, values[0]) : intVector(values);
  SmallVector<int64_t> shape;
  if (!scalar)
    shape.push_back(exprs.size());
  return DimsOp::create(b, loc, RankedTensorType::get(shape, element), mapOf(reduced, b.getContext()));
}

Dims GraphBuilder::dims(ArrayRef<int64_t> values) {
  Dims result;
  for (int64_t value : values)
    result.push_back(dim(value));
  return result;
}

Value GraphBuilder::iota(ArrayRef<AffineExpr> shape, Type elementType, int64_t axis) {
  return IotaOp::create(b, loc, tensorType(shape, elementType), axis);
}

std::optional<Dims> GraphBuilder::symbolicValue(Value value) {
  return tilewright::symbolicValue(value, symbols);
}

Dims GraphBuilder::valueOrDefine(Value value, llvm::StringRef name, int64_t lo, int64_t hi) {
  if (auto known = symbolicValue(value))
    return *known;
  int64_t count = llvm::cast<RankedTensorType>(value.getType()).getNumElements();
  Dims result;
  SmallVector<int64_t> indices;
  for (int64_t i = 0; i < count; ++i) {
    result.push_back(symbols.defined(name, lo, hi));
    indices.push_back(llvm::cast<AffineSymbolExpr>(result.back()).getPosition());
  }
  DefineOp::create(b, loc, value, indices);
  return result;
}

//===- Element-wise ----------------------------------------------------------------===//

std::optional<Dims> GraphBuilder::broadcastShape(ArrayRef<Value> values) {
  int64_t resultRank = 0;
  for (Value value : values)
    resultRank = std::max(resultRank, rank(value));
  Dims shape(resultRank, dim(1));
  for (Value value : values) {
    Dims dims = dimsOf(value);
    for (size_t i = 0; i < dims.size(); ++i) {
      AffineExpr &out = shape[resultRank - dims.size() + i];
      auto have = constantOf(out), got = constantOf(dims[i]);
      if (have && got && *have != *got && *have != 1 && *got != 1)
        return std::nullopt;
      out = symbols.broadcast(out, dims[i]);
    }
  }
  return shape;
}

Value GraphBuilder::broadcastInDims(Value value, ArrayRef<AffineExpr> shape, ArrayRef<int64_t> dims) {
  auto type = tensorType(shape, elementType(value));
  if (type == value.getType())
    return value;
  return BroadcastOp::create(b, loc, type, value, dims);
}

Value GraphBuilder::broadcastTo(Value value, ArrayRef<AffineExpr> shape) {
  int64_t offset = int64_t(shape.size()) - rank(value);
  assert(offset >= 0 && "cannot broadcast to a lower rank");
  SmallVector<int64_t> dims;
  for (int64_t i = 0; i < rank(value); ++i)
    dims.push_back(offset + i);
  return broadcastInDims(value, shape, dims);
}

Value GraphBuilder::unary(UnaryKind kind, Value x) {
  bool predicate = kind == UnaryKind::isnan || kind == UnaryKind::isinf;
  Type type = predicate ? withElementType(x.getType(), b.getI1Type()) : x.getType();
  return UnaryOp::create(b, loc, type, kind, x);
}

Value GraphBuilder::binary(BinaryKind kind, Value x, Value y) {
  auto shape = broadcastShape({x, y});
  assert(shape && "shapes do not broadcast");
  x = broadcastTo(x, *shape), y = broadcastTo(y, *shape);
  return BinaryOp::create(b, loc, x.getType(), kind, x, y);
}

Value GraphBuilder::compare(CompareKind kind, Value x, Value y) {
  auto shape = broadcastShape({x, y});
  assert(shape && "shapes do not broadcast");
  x = broadcastTo(x, *shape), y = broadcastTo(y, *shape);
  return CompareOp::create(b, loc, withElementType(x.getType(), b.getI1Type()), kind, x, y);
}

Value GraphBuilder::select(Value condition, Value x, Value y) {
  auto shape = broadcastShape({condition, x, y});
  assert(shape && "shapes do not broadcast");
  condition = broadcastTo(condition, *shape), x = broadcastTo(x, *shape), y = broadcastTo(y, *shape);
  return SelectOp::create(b, loc, x.getType(), condition, x, y);
}

Value GraphBuilder::cast(Value x, Type element, bool saturate) {
  if (elementType(x) == element)
    return x;
  return CastOp::create(b, loc, withElementType(x.getType(), element), x, saturate);
}

Value GraphBuilder::bitcast(Value x, Type element) {
  if (elementType(x) == element)
    return x;
  return BitcastOp::create(b, loc, withElementType(x.getType(), element), x);
}

//===- Movement --------------------------------------------------------------------===//

Value GraphBuilder::reshape(Value x, ArrayRef<AffineExpr> shape) {
  auto type = tensorType(shape, elementType(x));
  if (type == x.getType())
    return x;
  if (auto inner = x.getDefiningOp<ReshapeOp>())
    return reshape(inner.getOperand(), shape);
  return ReshapeOp::create(b, loc, type, x);
}

Value GraphBuilder::unsqueeze(Value x, ArrayRef<int64_t> axes) {
  Dims from = dimsOf(x), to;
  size_t next = 0, total = from.size() + axes.size();
  for (size_t i = 0; i < total; ++i)
    to.push_back(llvm::is_contained(axes, int64_t(i)) ? dim(1) : from[next++]);
  return reshape(x, to);
}

Value GraphBuilder::squeeze(Value x, ArrayRef<int64_t> axes) {
  Dims to;
  for (auto [i, size] : llvm::enumerate(dimsOf(x)))
    if (!llvm::is_contained(axes, int64_t(i)))
      to.push_back(size);
  return reshape(x, to);
}

Value GraphBuilder::transpose(Value x, ArrayRef<int64_t> perm) {
  if (perm == ArrayRef<int64_t>(iotaVector(perm.size())))
    return x;
  Dims from = dimsOf(x), to;
  for (int64_t dim : perm)
    to.push_back(from[dim]);
  return TransposeOp::create(b, loc, tensorType(to, elementType(x)), x, perm);
}

Value GraphBuilder::slice(Value x, ArrayRef<AffineExpr> starts, ArrayRef<int64_t> steps,
                          ArrayRef<AffineExpr> sizes) {
  auto type = tensorType(sizes, elementType(x));
  bool forward = llvm::all_of(steps, [](int64_t step) { return step == 1; });
  if (type == x.getType() && forward) // as many elements as there are: all of them
    return x;
  Dims reduced;
  for (AffineExpr start : starts)
    reduced.push_back(canonical(start));
  return SliceOp::create(b, loc, type, x, mapOf(reduced, b.getContext()), steps);
}

Value GraphBuilder::sliceAxis(Value x, int64_t axis, AffineExpr start, AffineExpr size) {
  Dims starts(rank(x), dim(0)), sizes = dimsOf(x);
  starts[axis] = start;
  sizes[axis] = size;
  return slice(x, starts, SmallVector<int64_t>(rank(x), 1), sizes);
}

Value GraphBuilder::concat(ArrayRef<Value> values, int64_t axis) {
  if (values.size() == 1)
    return values[0];
  // Of very many: by groups, so that each kernel has a bounded number of pieces, and groups that look the
  // same share their code.
  constexpr size_t mostPieces = 64;
  if (values.size() > mostPieces) {
    SmallVector<Value> groups;
    for (; !values.empty(); values = values.drop_front(std::min(values.size(), mostPieces)))
      groups.push_back(concat(values.take_front(mostPieces), axis));
    return concat(groups, axis);
  }
  Dims shape = dimsOf(values[0]), along;
  for (Value value : values)
    along.push_back(dimsOf(value)[axis]);
  shape[axis] = symbols.total(along);
  return ConcatOp::create(b, loc, tensorType(shape, elementType(values[0])), values, axis);
}

Value GraphBuilder::pad(Value x, ArrayRef<AffineExpr> low, ArrayRef<AffineExpr> high, PadMode mode,
                        Value value) {
  Dims shape = dimsOf(x);
  for (size_t i = 0; i < shape.size(); ++i)
    shape[i] = shape[i] + low[i] + high[i];
  auto type = tensorType(shape, elementType(x));
  if (type == x.getType())
    return x;
  return PadOp::create(b, loc, type, x, value, mapOf(low, b.getContext()), mode);
}

Value GraphBuilder::gather(Value x, Value indices, int64_t axis) {
  Dims from = dimsOf(x), inner = dimsOf(indices), shape(from.begin(), from.begin() + axis);
  shape.append(inner.begin(), inner.end());
  shape.append(from.begin() + axis + 1, from.end());
  return GatherOp::create(b, loc, tensorType(shape, elementType(x)), x, indices, axis);
}

//===- Reductions --------------------------------------------------------------------===//

Value GraphBuilder::reduce(ReduceKind kind, Value x, ArrayRef<int64_t> axes, bool keepDims) {
  SmallVector<int64_t> sorted(axes);
  llvm::sort(sorted);
  Dims kept, all = dimsOf(x);
  for (auto [i, size] : llvm::enumerate(dimsOf(x)))
    if (llvm::is_contained(sorted, int64_t(i)))
      all[i] = dim(1);
    else
      kept.push_back(size);
  Value result =
      sorted.empty() ? x : Value(ReduceOp::create(b, loc, tensorType(kept, elementType(x)), kind, x, sorted));
  return keepDims ? reshape(result, all) : result;
}

Value GraphBuilder::mean(Value x, ArrayRef<int64_t> axes, bool keepDims) {
  AffineExpr count = dim(1);
  Dims from = dimsOf(x);
  for (int64_t axis : axes)
    count = count * from[axis];
  Value sum = reduce(ReduceKind::sum, x, axes, keepDims);
  Value divisor = cast(dims(ArrayRef<AffineExpr>{canonical(count)}, /*scalar=*/true), elementType(x));
  if (auto known = constantOf(canonical(count)))
    divisor = scalar(elementType(x), double(*known));
  return div(sum, divisor);
}

Value GraphBuilder::argReduce(Value x, int64_t axis, bool isMax, bool lastIndex, bool keepDims) {
  Dims kept = dimsOf(x), all = kept;
  kept.erase(kept.begin() + axis);
  all[axis] = dim(1);
  auto index = IntegerType::get(b.getContext(), 64, IntegerType::Signed);
  Value result = ArgReduceOp::create(b, loc, tensorType(kept, index), x, axis, isMax, lastIndex);
  return keepDims ? reshape(result, all) : result;
}

Value GraphBuilder::scan(ReduceKind kind, Value x, int64_t axis, bool exclusive, bool reverse) {
  return ScanOp::create(b, loc, x.getType(), kind, x, axis, exclusive, reverse);
}

std::pair<Value, Value> GraphBuilder::sort(Value x, int64_t axis, bool descending, AffineExpr count) {
  Dims shape = dimsOf(x);
  shape[axis] = count;
  auto values = tensorType(shape, elementType(x));
  auto index = IntegerType::get(b.getContext(), 64, IntegerType::Signed);
  auto op = SortOp::create(b, loc, values, withElementType(values, index), x, axis, descending);
  return {op.getValues(), op.getIndices()};
}

//===- Contractions --------------------------------------------------------------------===//

static Type contractionElement(OpBuilder &b, Value lhs, Type requested) {
  Type element = GraphBuilder::elementType(lhs);
  if (requested)
    return requested;
  return llvm::isa<FloatType>(element) ? element
                                       : Type(IntegerType::get(b.getContext(), 32, IntegerType::Signed));
}

Value GraphBuilder::contract(Value lhs, Value rhs, ArrayRef<int64_t> lhsBatch, ArrayRef<int64_t> rhsBatch,
                             ArrayRef<int64_t> lhsContract, ArrayRef<int64_t> rhsContract,
                             Type resultElement) {
  Dims left = dimsOf(lhs), right = dimsOf(rhs), shape;
  for (int64_t dim : lhsBatch)
    shape.push_back(left[dim]);
  for (auto [i, size] : llvm::enumerate(left))
    if (!llvm::is_contained(lhsBatch, int64_t(i)) && !llvm::is_contained(lhsContract, int64_t(i)))
      shape.push_back(size);
  for (auto [i, size] : llvm::enumerate(right))
    if (!llvm::is_contained(rhsBatch, int64_t(i)) && !llvm::is_contained(rhsContract, int64_t(i)))
      shape.push_back(size);
  auto type = tensorType(shape, contractionElement(b, lhs, resultElement));
  return ContractOp::create(b, loc, type, lhs, rhs, lhsBatch, rhsBatch, lhsContract, rhsContract);
}

Value GraphBuilder::matmul(Value lhs, Value rhs, Type resultElement) {
  bool leftVector = rank(lhs) == 1, rightVector = rank(rhs) == 1;
  if (rightVector) { // no free dimension on the right
    return contract(lhs, rhs, {}, {}, {rank(lhs) - 1}, {0}, resultElement);
  }
  if (leftVector)
    lhs = unsqueeze(lhs, {0});
  int64_t left = rank(lhs), right = rank(rhs);
  Value result;
  if (right == 2) { // one matrix on the right: all of the left's dimensions are rows
    result = contract(lhs, rhs, {}, {}, {left - 1}, {0}, resultElement);
  } else {
    int64_t batch = std::max(left, right) - 2;
    Dims leftDims = dimsOf(lhs), rightDims = dimsOf(rhs), shape;
    for (int64_t i = 0; i < batch; ++i) {
      int64_t l = i - (batch - (left - 2)), r = i - (batch - (right - 2));
      shape.push_back(l < 0   ? rightDims[r]
                      : r < 0 ? leftDims[l]
                              : symbols.broadcast(leftDims[l], rightDims[r]));
    }
    Dims leftShape(shape), rightShape(shape);
    leftShape.append(leftDims.end() - 2, leftDims.end());
    rightShape.append(rightDims.end() - 2, rightDims.end());
    lhs = broadcastTo(lhs, leftShape), rhs = broadcastTo(rhs, rightShape);
    auto batchDims = iotaVector(batch);
    result = contract(lhs, rhs, batchDims, batchDims, {batch + 1}, {batch}, resultElement);
  }
  return leftVector ? squeeze(result, {rank(result) - 2}) : result;
}

AffineExpr GraphBuilder::windowSize(AffineExpr size, int64_t kernel, int64_t stride, int64_t dilation,
                                    AffineExpr low, AffineExpr high, bool ceil) {
  AffineExpr span = size + low + high - ((dim(kernel) - 1) * dilation + 1);
  return canonical((ceil ? (span + (stride - 1)).floorDiv(stride) : span.floorDiv(stride)) + 1);
}

Value GraphBuilder::window(WindowKind kind, Value x, ArrayRef<int64_t> kernel, ArrayRef<int64_t> strides,
                           ArrayRef<int64_t> dilations, ArrayRef<AffineExpr> low,
                           ArrayRef<AffineExpr> outSpatial) {
  Dims from = dimsOf(x), shape{from[0], from[1]};
  shape.append(outSpatial.begin(), outSpatial.end());
  Type element = kind == WindowKind::wargmax ? Type(IntegerType::get(b.getContext(), 64, IntegerType::Signed))
                                             : elementType(x);
  return WindowOp::create(b, loc, tensorType(shape, element), kind, x, kernel, strides, dilations,
                          mapOf(low, b.getContext()), /*channelsLast=*/false);
}

Value GraphBuilder::conv(Value x, Value w, ArrayRef<int64_t> strides, ArrayRef<AffineExpr> low,
                         ArrayRef<int64_t> lhsDilation, ArrayRef<int64_t> rhsDilation, int64_t groups,
                         ArrayRef<AffineExpr> outSpatial, Type resultElement) {
  Dims shape{dimsOf(x)[0], dimsOf(w)[0]};
  shape.append(outSpatial.begin(), outSpatial.end());
  auto type = tensorType(shape, contractionElement(b, x, resultElement));
  return ConvOp::create(b, loc, type, x, w, strides, mapOf(low, b.getContext()), lhsDilation, rhsDilation,
                        groups, /*channelsLast=*/false);
}

} // namespace tilewright
