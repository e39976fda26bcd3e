// The index-map walk: memory access, lanes, and the dispatch from graph ops to their emission.
#include "codegen/emit/Bounded.h"
#include "codegen/emit/Ops.h"
#include "tilewright/artifact.h"
#include <numeric>

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {

ValueEmitter::ValueEmitter(OpBuilder &builder, Location location, KernelContext &kernel)
    : Builder(builder, location), kernel(kernel) {
  lanes.width = nativeLanes();
}

Type ValueEmitter::computeType(Type element) { return computeTypeOf(element); }

int64_t ValueEmitter::nativeLanes() const { return nativeLanesOf(kernel.kernel, kernel.target); }

Type withElement(Type like, Type element) {
  if (auto vector = llvm::dyn_cast<VectorType>(like))
    return VectorType::get(vector.getShape(), element);
  return element;
}

//===- Dimensions and indices -----------------------------------------------------------===//

/// Quotient rounded down, and remainder of it, of numbers of either sign: sizes computed from sizes may be
/// negative before a check refuses them, and what the program computes for them must be computed here.
static std::pair<Value, Value> floorDivide(Builder &e, Value x, Value y) {
  if (auto known = e.constantOf(x); known && *known >= 0)
    return {e.divide(x, y), e.remainder(x, y)};
  Value negative = e.less(x, e.constant(0)), minusOne = e.constant(-1);
  Value magnitude = e.select(negative, e.sub(minusOne, x), x); // ~x: floor(x / y) is ~(~x / y)
  Value quotient = e.divide(magnitude, y), rest = e.remainder(magnitude, y);
  return {e.select(negative, e.sub(minusOne, quotient), quotient),
          e.select(negative, e.sub(e.sub(y, e.constant(1)), rest), rest)};
}

Value ValueEmitter::dim(AffineExpr expr) {
  if (auto value = tilewright::constantOf(expr))
    return constant(*value);
  if (isOversized(expr)) {
    kernel.oversized = true;
    return constant(0);
  }
  if (auto symbol = llvm::dyn_cast<AffineSymbolExpr>(expr))
    return kernel.symbols[symbol.getPosition()];
  auto binary = llvm::cast<AffineBinaryOpExpr>(expr);
  Value x = dim(binary.getLHS()), y = dim(binary.getRHS());
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return add(x, y);
  case AffineExprKind::Mul:
    return mul(x, y);
  case AffineExprKind::Mod:
    return floorDivide(*this, x, y).second;
  case AffineExprKind::CeilDiv:
    return floorDivide(*this, add(x, sub(y, constant(1))), y).first;
  default:
    return floorDivide(*this, x, y).first;
  }
}

SmallVector<Value> ValueEmitter::dims(Value v) {
  SmallVector<Value> result;
  for (AffineExpr expr : dimsOf(v))
    result.push_back(dim(expr));
  return result;
}

/// 0, stride, 2 * stride, ...
static Value laneNumbers(ValueEmitter &e, VectorType type, int64_t stride) {
  SmallVector<llvm::APInt> steps;
  for (int64_t lane = 0; lane < type.getDimSize(0); ++lane)
    steps.emplace_back(e.indexType.getWidth(), uint64_t(lane * stride), /*isSigned=*/true);
  return arith::ConstantOp::create(e.b, e.loc, DenseElementsAttr::get(type, steps));
}

Type ValueEmitter::signedIndexType() {
  return IntegerType::get(b.getContext(), indexType.getWidth(), IntegerType::Signed);
}

Value ValueEmitter::lanesOf(const Index &index) {
  if (index.lanes)
    return index.lanes;
  auto type = VectorType::get({lanes.width}, indexType);
  Value base = vector::BroadcastOp::create(b, loc, type, index.base);
  if (index.stride == 0)
    return base;
  return arith::AddIOp::create(b, loc, base, laneNumbers(*this, type, index.stride));
}

Index ValueEmitter::add(const Index &x, const Index &y) {
  if (!x.lanes && !y.lanes)
    return {Builder::add(x.base, y.base), x.stride + y.stride, {}};
  return {constant(0), 0, arith::AddIOp::create(b, loc, lanesOf(x), lanesOf(y))};
}

Index ValueEmitter::mul(const Index &x, Value factor) {
  auto known = constantOf(factor);
  if (!x.lanes && (x.stride == 0 || known))
    return {Builder::mul(x.base, factor), known ? x.stride * *known : 0, {}};
  if (known && *known == 1)
    return x;
  return {constant(0), 0, arith::MulIOp::create(b, loc, lanesOf(x), lanesOf(uniform(factor)))};
}

static bool sameIndex(const Index &x, const Index &y) {
  return x.base == y.base && x.stride == y.stride && x.lanes == y.lanes;
}

/// The offset that `dims` and `indices` begin with the parts of.
const ValueEmitter::Offset *ValueEmitter::knownOffset(ArrayRef<Value> dims, ArrayRef<Index> indices) const {
  for (const Offset &offset : llvm::reverse(offsets))
    if (offset.dims.size() <= dims.size() && llvm::equal(offset.dims, dims.take_front(offset.dims.size())) &&
        llvm::equal(offset.indices, indices.take_front(offset.dims.size()), sameIndex))
      return &offset;
  return nullptr;
}

Index ValueEmitter::linearize(ArrayRef<Value> dims, ArrayRef<Index> indices) {
  Index offset = uniform(constant(0));
  for (size_t i = 0; i < dims.size();) {
    const Offset *known = knownOffset(dims.drop_front(i), indices.drop_front(i));
    if (!known) {
      offset = add(mul(offset, dims[i]), indices[i]);
      ++i;
      continue;
    }
    for (Value size : known->dims)
      offset = mul(offset, size);
    offset = add(offset, known->flat);
    i += known->dims.size();
  }
  return offset;
}

Indices ValueEmitter::delinearize(ArrayRef<Value> dims, const Index &offset) {
  Indices result = takeApart(dims, offset);
  if (keepOffsets && dims.size() > 1)
    offsets.push_back({SmallVector<Value, 6>(dims), result, offset});
  return result;
}

Indices ValueEmitter::takeApart(ArrayRef<Value> dims, const Index &offset) {
  Indices result(dims.size(), uniform(constant(0)));
  Index rest = offset;
  for (size_t i = dims.size(); i-- > 0;) {
    auto size = constantOf(dims[i]);
    if (size && *size == 1)
      continue;
    bool outermost = true; // nothing but ones further out: no remainder to take
    for (size_t k = 0; k < i; ++k)
      outermost &= constantOf(dims[k]) == std::optional<int64_t>(1);
    if (outermost) {
      result[i] = rest;
      break;
    }
    if (rest.uniform()) {
      result[i] = uniform(remainder(rest.base, dims[i]));
      rest = uniform(divide(rest.base, dims[i]));
      continue;
    }
    // Aligned lanes that cannot leave the dimension keep their stride.
    if (!rest.lanes && rest.stride == 1 && size && *size % lanes.width == 0 &&
        divisorOf(rest.base) % lanes.width == 0) {
      result[i] = lane(remainder(rest.base, dims[i]));
      rest = uniform(divide(rest.base, dims[i]));
      continue;
    }
    Value divisor = lanesOf(uniform(size ? dims[i] : maximum(dims[i], constant(1)))), all = lanesOf(rest);
    result[i] = {constant(0), 0, arith::RemUIOp::create(b, loc, all, divisor)};
    rest = {constant(0), 0, arith::DivUIOp::create(b, loc, all, divisor)};
  }
  return result;
}

Value ValueEmitter::spread(Value value) { return spread(value, lanes.width); }

Value ValueEmitter::spread(Value value, int64_t width) {
  if (llvm::isa<VectorType>(value.getType()))
    return value;
  unsigned target = depthOf(value);
  Key key{reinterpret_cast<const void *>(&typeid(VectorType)),
          {value.getAsOpaquePointer(), reinterpret_cast<const void *>(width)}};
  if (Value *known = lookup(key))
    return *known;
  Value result = placedAt(target, [&] {
    return Value(vector::BroadcastOp::create(b, loc, VectorType::get({width}, value.getType()), value));
  });
  remember(target, std::move(key), result);
  return result;
}

//===- Memory -----------------------------------------------------------------------------===//

namespace {

/// All lanes, when no mask is set.
Value fullMask(ValueEmitter &e) {
  auto type = VectorType::get({e.lanes.width}, e.b.getI1Type());
  return arith::ConstantOp::create(e.b, e.loc, DenseElementsAttr::get(type, true));
}

Value lanePointers(ValueEmitter &e, Value pointer, const Index &offset, int64_t bytes) {
  auto pointers = VectorType::get({e.lanes.width}, pointer.getType());
  Value lanes = e.lanesOf(offset);
  const bool narrow = e.indexType.getWidth() < 64; // see Builder::address
  if (bytes != 1 && !narrow)
    lanes = arith::MulIOp::create(e.b, e.loc, lanes, e.lanesOf(e.uniform(e.constant(bytes))));
  Type unit = e.b.getIntegerType(narrow ? 8 * bytes : 8);
  return LLVM::GEPOp::create(e.b, e.loc, pointers, unit, pointer, LLVM::GEPArg(lanes));
}

/// The elements `bits` wide that lie `shift` bits up in words of four bytes.
Value halvesOf(ValueEmitter &e, Value words, Value shift, Type stored) {
  auto bits = VectorType::get({e.lanes.width}, e.b.getIntegerType(stored.getIntOrFloatBitWidth()));
  Value shifted = arith::ShRUIOp::create(e.b, e.loc, words, shift);
  Value narrow = arith::TruncIOp::create(e.b, e.loc, bits, shifted);
  return arith::BitcastOp::create(e.b, e.loc, VectorType::get({e.lanes.width}, stored), narrow);
}

/// Every other element of two bytes, from `offset` on: one load of words, which start one element earlier
/// where there is one, so that nothing is read behind the last. The tensor has at least two elements a lane.
Value loadHalves(ValueEmitter &e, Type stored, Value pointer, const Index &offset) {
  auto words = VectorType::get({e.lanes.width}, e.b.getI32Type());
  Value before = arith::ExtUIOp::create(e.b, e.loc, e.b.getI64Type(), e.less(e.constant(0), offset.base));
  Value from = e.address(pointer, e.sub(offset.base, before), 2), loaded;
  if (e.lanes.mask) {
    Value zero = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(words));
    loaded = LLVM::MaskedLoadOp::create(e.b, e.loc, words, from, e.lanes.mask, zero, 2);
  } else {
    loaded = LLVM::LoadOp::create(e.b, e.loc, words, from, 2);
  }
  Value shift = arith::TruncIOp::create(e.b, e.loc, e.b.getI32Type(), e.mul(before, 16));
  return halvesOf(e, loaded, e.spread(shift), stored);
}

/// Elements of one or two bytes at irregular offsets, which no processor gathers: words of four bytes that
/// hold them. The word of an element near the end starts before it, so nothing behind the tensor is read.
Value gatherNarrow(ValueEmitter &e, Type stored, Value pointer, const Index &offset, int64_t elements,
                   Value mask) {
  const int64_t bytes = stored.getIntOrFloatBitWidth() / 8, perWord = 4 / bytes;
  Value lanes = e.lanesOf(offset), last = e.lanesOf(e.uniform(e.constant(elements - perWord)));
  Value first = arith::MinSIOp::create(e.b, e.loc, lanes, last);
  auto words = VectorType::get({e.lanes.width}, e.b.getI32Type());
  Value zero = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(words));
  Value gathered =
      LLVM::masked_gather::create(e.b, e.loc, words, lanePointers(e, pointer, {offset.base, 0, first}, bytes),
                                  mask, ValueRange{zero}, unsigned(bytes));
  Value behind = arith::TruncIOp::create(e.b, e.loc, words, arith::SubIOp::create(e.b, e.loc, lanes, first));
  Value shift = arith::MulIOp::create(e.b, e.loc, behind, splatInteger(e, words, 8 * bytes));
  return halvesOf(e, gathered, shift, stored);
}

/// Lanes that do not lie next to each other.
Value loadApart(ValueEmitter &e, RankedTensorType type, Type stored, Value pointer, const Index &offset) {
  const TargetInfo &target = e.kernel.target;
  const int64_t bytes = byteWidth(type.getElementType()),
                elements = type.hasStaticShape() ? type.getNumElements() : 0;
  if (bytes == 2 && !offset.lanes && offset.stride == 2 && elements >= 2 * e.lanes.width && !target.isGpu)
    return loadHalves(e, stored, pointer, offset);
  Value mask = e.lanes.mask ? e.lanes.mask : fullMask(e);
  if (bytes <= 2 && elements * bytes >= 4 && target.gathersWords)
    return gatherNarrow(e, stored, pointer, offset, elements, mask);
  auto vector = VectorType::get({e.lanes.width}, stored);
  Value zero = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(vector));
  return LLVM::masked_gather::create(e.b, e.loc, vector, lanePointers(e, pointer, offset, bytes), mask,
                                     ValueRange{zero}, unsigned(bytes));
}

} // namespace

/// What may be assumed of the address of an access at `offset`.
int64_t ValueEmitter::alignmentOf(const Index &offset, int64_t bytes) const {
  if (!kernel.bufferAlignment)
    return bytes;
  const int64_t known = std::min(divisorOf(offset.base), kernel.bufferAlignment) * bytes;
  return std::min({known & -known, kernel.bufferAlignment, int64_t(llvm::PowerOf2Ceil(lanes.width * bytes))});
}

Value ValueEmitter::load(RankedTensorType type, Value pointer, ArrayRef<Index> indices) {
  Type element = type.getElementType(), stored = storageType(element);
  int64_t bytes = byteWidth(element);
  SmallVector<Value> sizes;
  for (AffineExpr expr : dimsOf(type))
    sizes.push_back(dim(expr));
  Index offset = linearize(sizes, indices);
  if (offset.uniform())
    return fromStorage(
        *this, LLVM::LoadOp::create(b, loc, stored, address(pointer, offset.base, bytes), bytes), element);
  auto vector = VectorType::get({lanes.width}, stored);
  Value loaded;
  if (!offset.lanes && offset.stride == 1) {
    Value from = address(pointer, offset.base, bytes);
    if (lanes.mask) {
      Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(vector));
      loaded = LLVM::MaskedLoadOp::create(b, loc, vector, from, lanes.mask, zero, unsigned(bytes));
    } else {
      loaded = LLVM::LoadOp::create(b, loc, vector, from, alignmentOf(offset, bytes));
    }
  } else {
    loaded = loadApart(*this, type, stored, pointer, offset);
  }
  return fromStorage(*this, loaded, element);
}

void ValueEmitter::store(RankedTensorType type, Value pointer, ArrayRef<Index> indices, Value value) {
  Type element = type.getElementType();
  int64_t bytes = byteWidth(element);
  SmallVector<Value> sizes;
  for (AffineExpr expr : dimsOf(type))
    sizes.push_back(dim(expr));
  Index offset = linearize(sizes, indices);
  Value stored = toStorage(*this, value, element);
  if (offset.uniform()) {
    if (llvm::isa<VectorType>(stored.getType()))
      stored = vector::ExtractOp::create(b, loc, stored, 0);
    LLVM::StoreOp::create(b, loc, stored, address(pointer, offset.base, bytes), bytes);
    return;
  }
  stored = spread(stored);
  if (offset.lanes || offset.stride != 1) {
    Value mask = lanes.mask ? lanes.mask : fullMask(*this);
    LLVM::masked_scatter::create(b, loc, stored, lanePointers(*this, pointer, offset, bytes), mask,
                                 unsigned(bytes));
    return;
  }
  Value to = address(pointer, offset.base, bytes);
  if (lanes.mask)
    LLVM::MaskedStoreOp::create(b, loc, stored, to, lanes.mask, unsigned(bytes));
  else
    LLVM::StoreOp::create(b, loc, stored, to, alignmentOf(offset, bytes));
}

Value ValueEmitter::reserveScratch(AffineExpr bytes) {
  AffineExpr at = kernel.scratchBytes;
  AffineExpr whole = (bytes + 127).floorDiv(64) * 64; // 64 bytes of slack behind each piece
  Value result = placedAt(0, [&]() -> Value {
    Value piece = address(kernel.scratch, dim(at), 1);
    return kernel.target.checksBounds ? boundedPointer(b, loc, piece, dim(canonical(whole))) : piece;
  });
  kernel.scratchBytes = canonical(at + whole);
  return result;
}

//===- Lanes ------------------------------------------------------------------------------===//

Value ValueEmitter::laneMask(Value base, Value limit, int64_t width) {
  auto type = VectorType::get({width}, indexType);
  Value ids = laneNumbers(*this, type, 1);
  Value left = vector::BroadcastOp::create(b, loc, type, sub(limit, base));
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, ids, left);
}

Value ValueEmitter::wholePart(Value lo, Value hi, int64_t width) {
  Value span = maximum(sub(hi, lo), constant(0));
  Value full = Builder::add(lo, sub(span, remainder(span, constant(width))));
  if (!constantOf(full))
    knownDivisors[full] = std::gcd(divisorOf(lo), width);
  return full;
}

void ValueEmitter::laneLoop(Value lo, Value hi, int64_t width, llvm::function_ref<void(Value)> body) {
  Lanes saved = lanes;
  lanes = {width, {}};
  Value full = wholePart(lo, hi, width);
  loop(lo, full, width, body);
  if (kernel.target.tail == Tail::LaneByLane) {
    lanes.width = 1;
    loop(full, hi, 1, body);
    lanes = saved;
    return;
  }
  guarded(less(full, hi), [&] {
    lanes.mask = laneMask(full, hi, width);
    body(full);
  });
  lanes = saved;
}

//===- Failures ---------------------------------------------------------------------------===//

void ValueEmitter::fail(Operation *op, int code, Value a, Value b64) {
  if (!kernel.frame) {
    kernel.hostOps.insert(op);
    return;
  }
  unsigned site = kernel.sites.size();
  for (auto [i, known] : llvm::enumerate(kernel.sites))
    if (known == op->getLoc())
      site = i;
  if (site == kernel.sites.size())
    kernel.sites.push_back(op->getLoc());
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto i32 = b.getI32Type();
  Value host = LLVM::LoadOp::create(b, loc, pointer, kernel.frame);
  Value slot = LLVM::GEPOp::create(b, loc, pointer, b.getI8Type(), host,
                                   LLVM::GEPArg(int32_t(offsetof(tw_host_table, fail))));
  Value function = LLVM::LoadOp::create(b, loc, pointer, slot);
  Value first = arith::TruncIOp::create(b, loc, i32, kernel.firstSite);
  Value where =
      arith::AddIOp::create(b, loc, first, arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(site)));
  Value what = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(code));
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                          {pointer, i32, i32, b.getI64Type(), b.getI64Type()});
  LLVM::CallOp::create(b, loc, type, ValueRange{function, kernel.frame, what, where, a, b64});
}

//===- The walk ----------------------------------------------------------------------------===//

Builder::Key ValueEmitter::keyOf(const void *tag, Value v, ArrayRef<Index> indices) {
  Key key{tag, {v.getAsOpaquePointer()}};
  bool uniform = true;
  for (const Index &index : indices) {
    uniform &= index.uniform();
    key.operands.push_back(index.lanes ? index.lanes.getAsOpaquePointer() : index.base.getAsOpaquePointer());
    key.operands.push_back(reinterpret_cast<const void *>(index.stride));
  }
  if (!uniform) {
    key.operands.push_back(lanes.mask.getAsOpaquePointer());
    key.operands.push_back(reinterpret_cast<const void *>(lanes.width));
  }
  return key;
}

static const char valueTag = 0, rowTag = 0;

void ValueEmitter::define(Value v, ArrayRef<Index> given, Value value) {
  Indices indices(given);
  for (auto [i, size] : llvm::enumerate(llvm::cast<RankedTensorType>(v.getType()).getShape()))
    if (size == 1)
      indices[i] = uniform(constant(0));
  floorDepth = depth();
  remember(depth(), keyOf(&valueTag, v, indices), value);
}

void ValueEmitter::provide(Value v, Source source) {
  floorDepth = depth();
  sources[v] = std::move(source);
}

Value ValueEmitter::at(Value v, ArrayRef<Index> given) {
  Indices indices(given);
  auto type = llvm::cast<RankedTensorType>(v.getType());
  assert(int64_t(indices.size()) == type.getRank() && "one index a dimension");
  bool uniform = true;
  unsigned target = 0;
  for (auto [i, index] : llvm::enumerate(indices)) {
    if (type.getDimSize(i) == 1)
      index = this->uniform(constant(0));
    uniform &= index.uniform();
    target = std::max({target, depthOf(index.base), index.lanes ? depthOf(index.lanes) : 0});
  }
  Key key = keyOf(&valueTag, v, indices);
  if (Value *known = lookup(key))
    return *known;
  target = std::max(target, guardDepth());
  if (!uniform && lanes.mask)
    target = std::max(target, depthOf(lanes.mask));
  target = std::max(target, std::min(floorDepth, depth()));
  Lanes saved = lanes;
  if (uniform)
    lanes.mask = {};
  Value result = placedAt(target, [&] { return rounded(compute(v, indices), v); });
  lanes = saved;
  remember(std::min(target, depth()), std::move(key), result);
  return result;
}

/// Whether the result is a number of the operands' type, whatever that is: nothing is to be rounded.
static bool keepsPrecision(Operation *op) {
  if (auto unary = dyn_cast<UnaryOp>(op))
    return llvm::is_contained({UnaryKind::neg, UnaryKind::abs, UnaryKind::sign, UnaryKind::floor,
                               UnaryKind::ceil, UnaryKind::round, UnaryKind::trunc},
                              unary.getKind());
  if (auto binary = dyn_cast<BinaryOp>(op))
    return binary.getKind() == BinaryKind::min || binary.getKind() == BinaryKind::max;
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return reduce.getKind() == ReduceKind::rmax || reduce.getKind() == ReduceKind::rmin;
  auto window = dyn_cast<WindowOp>(op);
  return window && window.getKind() == WindowKind::wmax;
}

/// Types narrower than f32 round after every op that computes, as the graph dialect says: fusion changes no
/// result.
Value ValueEmitter::rounded(Value value, Value v) {
  Type element = llvm::cast<RankedTensorType>(v.getType()).getElementType();
  bool narrow = llvm::isa<FloatType>(element) && !element.isF32() && !element.isF64();
  if (!narrow ||
      !isa_and_present<UnaryOp, BinaryOp, ReduceOp, WindowOp, ContractOp, ConvOp>(v.getDefiningOp()))
    return value;
  return roundTrip(*this, value, element, keepsPrecision(v.getDefiningOp()));
}

Value ValueEmitter::compute(Value v, ArrayRef<Index> indices) {
  if (Value pointer = kernel.pointers.lookup(v))
    return load(llvm::cast<RankedTensorType>(v.getType()), pointer, indices);
  if (Value kept = keptRow(v, indices))
    return kept;
  if (auto source = sources.find(v); source != sources.end())
    return source->second(indices);
  Operation *op = v.getDefiningOp();
  auto element = [](Value x) { return llvm::cast<RankedTensorType>(x.getType()).getElementType(); };
  auto operand = [&](unsigned i) { return at(op->getOperand(i), indices); };
  auto same = [&](Value &x, Value &y) { // both scalars, or both lanes
    if (llvm::isa<VectorType>(x.getType()) != llvm::isa<VectorType>(y.getType()))
      x = spread(x), y = spread(y);
  };
  if (auto u = dyn_cast<UnaryOp>(op)) {
    Value x = operand(0);
    computing = op;
    return emitUnary(*this, u.getKind(), x, element(u.getOperand()));
  }
  if (auto c = dyn_cast<CastOp>(op))
    return emitCast(*this, operand(0), element(c.getOperand()), element(v), c.getSaturate());
  if (auto c = dyn_cast<BitcastOp>(op))
    return emitBitcast(*this, operand(0), element(c.getOperand()), element(v));
  if (isa<BinaryOp, CompareOp>(op)) {
    // What is repeated along the row comes first: a reduction in it may keep a row that the other one reads.
    const bool secondFirst = op->getOperand(1).getDefiningOp<BroadcastOp>();
    Value x = operand(secondFirst), y = operand(!secondFirst);
    if (secondFirst)
      std::swap(x, y);
    auto binary = dyn_cast<BinaryOp>(op);
    if (binary && binary.getKind() == BinaryKind::div)
      if (Value quotient = emitQuotient(*this, binary, x, y))
        return quotient;
    same(x, y);
    computing = op;
    if (binary)
      return emitBinary(*this, binary.getKind(), x, y, element(v));
    return emitCompare(*this, cast<CompareOp>(op).getKind(), x, y, element(op->getOperand(0)));
  }
  if (isa<SelectOp>(op)) {
    Value condition = operand(0), x = operand(1), y = operand(2);
    same(x, y);
    if (llvm::isa<VectorType>(condition.getType()))
      x = spread(x), y = spread(y);
    return arith::SelectOp::create(b, loc, condition, x, y);
  }
  if (isa<ReduceOp, ArgReduceOp, WindowOp>(op))
    return emitReduction(*this, op, indices);
  if (isa<ContractOp, ConvOp>(op))
    return emitProduct(*this, op, indices);
  return emitMovement(*this, op, indices);
}

void ValueEmitter::keepRow(Value v, ArrayRef<Index> indices, ArrayRef<int64_t> dims, Value pointer) {
  Key key{&rowTag, {v.getAsOpaquePointer()}};
  for (auto [i, index] : llvm::enumerate(indices))
    if (!llvm::is_contained(dims, int64_t(i)))
      key.operands.push_back(index.base.getAsOpaquePointer());
  rowDims[v] = SmallVector<int64_t>(dims);
  remember(depth(), std::move(key), pointer);
}

Value ValueEmitter::keptRow(Value v, ArrayRef<Index> indices) {
  auto it = rowDims.find(v);
  if (it == rowDims.end())
    return {};
  Key key{&rowTag, {v.getAsOpaquePointer()}};
  Indices inner;
  Dims sizes, all = dimsOf(v);
  for (auto [i, index] : llvm::enumerate(indices)) {
    if (llvm::is_contained(it->second, int64_t(i))) {
      inner.push_back(index);
      sizes.push_back(all[i]);
    } else {
      if (!index.uniform())
        return {};
      key.operands.push_back(index.base.getAsOpaquePointer());
    }
  }
  Value *pointer = lookup(key);
  if (!pointer)
    return {};
  return load(tensorType(sizes, computeType(llvm::cast<RankedTensorType>(v.getType()).getElementType())),
              *pointer, inner);
}

/// The ops on a way from `from` to `to`, last first. False when there is none.
static bool findPath(Value from, Value to, llvm::SmallPtrSetImpl<Operation *> &seen,
                     SmallVectorImpl<Operation *> &path) {
  if (from == to)
    return true;
  Operation *op = to.getDefiningOp();
  if (!op || !seen.insert(op).second)
    return false;
  for (Value operand : op->getOperands())
    if (findPath(from, operand, seen, path)) {
      path.push_back(op);
      return true;
    }
  return false;
}

Indices ValueEmitter::forward(Value from, ArrayRef<Index> given, Value to) {
  Indices indices(given);
  SmallVector<Operation *> path;
  llvm::SmallPtrSet<Operation *, 16> seen;
  [[maybe_unused]] bool found = findPath(from, to, seen, path);
  assert(found && "the yielded value does not follow from the root");
  for (Operation *op : path) {
    if (auto transpose = dyn_cast<TransposeOp>(op)) {
      Indices moved;
      for (int64_t dim : transpose.getPerm())
        moved.push_back(indices[dim]);
      indices = moved;
    } else if (auto reshape = dyn_cast<ReshapeOp>(op)) {
      indices = delinearize(dims(reshape.getResult()), linearize(dims(reshape.getOperand()), indices));
    }
  }
  return indices;
}

} // namespace tilewright::codegen
