// Scoped value numbering: scalar arithmetic and row-invariant values land in the outermost loop they depend
// on, once.
#include "codegen/emit/Emitter.h"

#include <numeric>

using namespace mlir;
using llvm::SmallVector;

namespace tilewright::codegen {

void Builder::enterFunction() {
  scopes.clear();
  enter(b.getInsertionBlock(), nullptr, /*guarded=*/false);
}

void Builder::enter(Block *block, Operation *entry, bool guarded) {
  scopes.push_back({block, entry, guarded, {}});
}

void Builder::leave() { scopes.pop_back(); }

unsigned Builder::depthOf(Value value) const {
  if (!value)
    return 0;
  for (Block *block = value.getParentBlock(); block; block = block->getParentOp()->getBlock()) {
    for (size_t depth = scopes.size(); depth-- > 0;)
      if (scopes[depth].block == block)
        return depth;
    if (block == scopes.front().block || !block->getParentOp())
      break;
  }
  return 0;
}

unsigned Builder::guardDepth() const {
  for (size_t depth = scopes.size(); depth-- > 1;)
    if (scopes[depth].guarded)
      return depth;
  return 0;
}

Value Builder::placedAt(unsigned target, llvm::function_ref<Value()> emit) {
  if (target >= depth())
    return emit();
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(scopes[target + 1].entry);
  std::vector<Scope> deeper(std::make_move_iterator(scopes.begin() + target + 1),
                            std::make_move_iterator(scopes.end()));
  scopes.resize(target + 1);
  Value result = emit();
  std::move(deeper.begin(), deeper.end(), std::back_inserter(scopes));
  return result;
}

Value *Builder::lookup(const Key &key) {
  for (size_t depth = scopes.size(); depth-- > 0;)
    if (auto it = scopes[depth].memo.find(key); it != scopes[depth].memo.end())
      return &it->second;
  return nullptr;
}

void Builder::remember(unsigned depth, Key key, Value value) { scopes[depth].memo[std::move(key)] = value; }

//===- Arithmetic ------------------------------------------------------------------===//

Value Builder::constant(int64_t value) {
  Key key{reinterpret_cast<const void *>(&typeid(int64_t)), {reinterpret_cast<const void *>(value)}};
  auto &memo = scopes.front().memo;
  if (auto it = memo.find(key); it != memo.end())
    return it->second;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(scopes.front().block);
  return memo[key] = arith::ConstantOp::create(b, loc, b.getIntegerAttr(indexType, value));
}

std::optional<int64_t> Builder::constantOf(Value value) const {
  if (auto op = value.getDefiningOp<arith::ConstantOp>())
    if (auto integer = llvm::dyn_cast<IntegerAttr>(op.getValue()))
      return integer.getInt();
  return std::nullopt;
}

template <class Op> Value Builder::pure(Value x, Value y) {
  Key key{TypeID::get<Op>().getAsOpaquePointer(), {x.getAsOpaquePointer(), y.getAsOpaquePointer()}};
  if (Value *known = lookup(key))
    return *known;
  unsigned target = std::max(depthOf(x), depthOf(y));
  Value result = placedAt(target, [&] { return Value(Op::create(b, loc, x, y)); });
  remember(target, std::move(key), result);
  return result;
}

/// As the code would calculate it: around, where a model has sizes that no memory holds.
static int64_t wrapped(uint64_t value) { return static_cast<int64_t>(value); }

Value Builder::add(Value x, Value y) {
  auto p = constantOf(x), q = constantOf(y);
  if (p && q)
    return constant(wrapped(uint64_t(*p) + uint64_t(*q)));
  if (p)
    std::swap(x, y), std::swap(p, q);
  if (q && *q == 0)
    return x;
  if (q)
    if (auto inner = x.getDefiningOp<arith::AddIOp>())
      if (auto r = constantOf(inner.getRhs()))
        return add(inner.getLhs(), constant(wrapped(uint64_t(*q) + uint64_t(*r))));
  return pure<arith::AddIOp>(x, y);
}

Value Builder::sub(Value x, Value y) {
  auto q = constantOf(y);
  if (q)
    return add(x, constant(wrapped(-uint64_t(*q))));
  if (x == y)
    return constant(0);
  return pure<arith::SubIOp>(x, y);
}

Value Builder::mul(Value x, Value y) {
  auto p = constantOf(x), q = constantOf(y);
  if (p && q)
    return constant(wrapped(uint64_t(*p) * uint64_t(*q)));
  if (p)
    std::swap(x, y), std::swap(p, q);
  if (q && *q == 0)
    return y;
  if (q && *q == 1)
    return x;
  return pure<arith::MulIOp>(x, y);
}

Value Builder::divide(Value x, Value y) {
  auto p = constantOf(x), q = constantOf(y);
  if (p && q && *q > 0)
    return constant(*p / *q);
  if (q && *q == 1)
    return x;
  if (!q && divisionTraps) // a dimension of 0 elements must not trap where the division is hoisted to
    y = maximum(y, constant(1));
  return pure<arith::DivUIOp>(x, y);
}

Value Builder::remainder(Value x, Value y) {
  auto p = constantOf(x), q = constantOf(y);
  if (p && q && *q > 0)
    return constant(*p % *q);
  if (q && *q == 1)
    return constant(0);
  if (!q && divisionTraps)
    y = maximum(y, constant(1));
  return pure<arith::RemUIOp>(x, y);
}

Value Builder::minimum(Value x, Value y) {
  auto p = constantOf(x), q = constantOf(y);
  if (p && q)
    return constant(std::min(*p, *q));
  return x == y ? x : pure<arith::MinSIOp>(x, y);
}

Value Builder::maximum(Value x, Value y) {
  auto p = constantOf(x), q = constantOf(y);
  if (p && q)
    return constant(std::max(*p, *q));
  return x == y ? x : pure<arith::MaxSIOp>(x, y);
}

static Value truth(Builder &e, bool value) {
  OpBuilder::InsertionGuard guard(e.b);
  return arith::ConstantOp::create(e.b, e.loc, e.b.getBoolAttr(value));
}

static Value compare(Builder &e, arith::CmpIPredicate predicate, Value x, Value y, const void *tag) {
  Builder::Key key{tag, {x.getAsOpaquePointer(), y.getAsOpaquePointer()}};
  if (Value *known = e.lookup(key))
    return *known;
  unsigned target = std::max(e.depthOf(x), e.depthOf(y));
  Value result =
      e.placedAt(target, [&] { return Value(arith::CmpIOp::create(e.b, e.loc, predicate, x, y)); });
  e.remember(target, std::move(key), result);
  return result;
}

Value Builder::less(Value x, Value y) {
  static const char tag = 0;
  auto p = constantOf(x), q = constantOf(y);
  if ((p && q) || x == y)
    return truth(*this, p && q && *p < *q);
  return compare(*this, arith::CmpIPredicate::slt, x, y, &tag);
}

Value Builder::equal(Value x, Value y) {
  static const char tag = 0;
  auto p = constantOf(x), q = constantOf(y);
  if ((p && q) || x == y)
    return truth(*this, x == y || *p == *q);
  return compare(*this, arith::CmpIPredicate::eq, x, y, &tag);
}

Value Builder::select(Value condition, Value x, Value y) {
  if (auto known = constantOf(condition))
    return *known ? x : y;
  if (x == y)
    return x;
  Key key{TypeID::get<arith::SelectOp>().getAsOpaquePointer(),
          {condition.getAsOpaquePointer(), x.getAsOpaquePointer(), y.getAsOpaquePointer()}};
  if (Value *known = lookup(key))
    return *known;
  unsigned target = std::max({depthOf(condition), depthOf(x), depthOf(y)});
  Value result = placedAt(target, [&] { return Value(arith::SelectOp::create(b, loc, condition, x, y)); });
  remember(target, std::move(key), result);
  return result;
}

Value Builder::both(Value x, Value y) {
  if (auto known = constantOf(x))
    return *known ? y : x;
  if (auto known = constantOf(y))
    return *known ? x : y;
  return x == y ? x : pure<arith::AndIOp>(x, y);
}

Value Builder::address(Value pointer, Value index, int64_t bytes) {
  // Narrow indices are widened before they are scaled: elements may fit where bytes do not.
  const bool narrow = indexType.getWidth() < 64;
  Value offset = narrow ? index : mul(index, bytes);
  if (auto known = constantOf(offset); known && *known == 0)
    return pointer;
  Type unit = b.getIntegerType(narrow ? 8 * bytes : 8);
  Key key{TypeID::get<LLVM::GEPOp>().getAsOpaquePointer(),
          {pointer.getAsOpaquePointer(), offset.getAsOpaquePointer(), unit.getAsOpaquePointer()}};
  if (Value *known = lookup(key))
    return *known;
  unsigned target = std::max(depthOf(pointer), depthOf(offset));
  Value result = placedAt(target, [&]() -> Value {
    return LLVM::GEPOp::create(b, loc, pointer.getType(), unit, pointer, LLVM::GEPArg(offset));
  });
  remember(target, std::move(key), result);
  return result;
}

int64_t Builder::divisorOf(Value value) const {
  if (auto known = constantOf(value))
    return *known == 0 ? int64_t(1) << 32 : std::abs(*known);
  if (auto it = knownDivisors.find(value); it != knownDivisors.end())
    return it->second;
  if (auto argument = llvm::dyn_cast<BlockArgument>(value)) {
    auto loop = llvm::dyn_cast_or_null<scf::ForOp>(argument.getOwner()->getParentOp());
    if (!loop || loop.getInductionVar() != value)
      return 1;
    return std::gcd(divisorOf(loop.getLowerBound()), divisorOf(loop.getStep()));
  }
  if (auto sum = value.getDefiningOp<arith::AddIOp>())
    return std::gcd(divisorOf(sum.getLhs()), divisorOf(sum.getRhs()));
  if (auto difference = value.getDefiningOp<arith::SubIOp>())
    return std::gcd(divisorOf(difference.getLhs()), divisorOf(difference.getRhs()));
  if (isa_and_present<arith::MinSIOp, arith::MaxSIOp, arith::RemUIOp>(value.getDefiningOp()))
    return std::gcd(divisorOf(value.getDefiningOp()->getOperand(0)),
                    divisorOf(value.getDefiningOp()->getOperand(1)));
  if (auto product = value.getDefiningOp<arith::MulIOp>())
    return std::min<int64_t>(divisorOf(product.getLhs()), 1 << 20) *
           std::min<int64_t>(divisorOf(product.getRhs()), 1 << 20);
  return 1;
}

//===- Control ----------------------------------------------------------------------===//

SmallVector<Value> Builder::loop(Value lo, Value hi, int64_t step, ValueRange init,
                                 llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  return loop(lo, hi, constant(step), init, body);
}

SmallVector<Value> Builder::loop(Value lo, Value hi, Value step, ValueRange init,
                                 llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto op = scf::ForOp::create(b, loc, lo, hi, step, init);
  OpBuilder::InsertionGuard guard(b);
  if (init.empty())
    op.getBody()->getTerminator()->erase();
  b.setInsertionPointToEnd(op.getBody());
  enter(op.getBody(), op, /*guarded=*/false);
  SmallVector<Value> next = body(op.getInductionVar(), op.getRegionIterArgs());
  leave();
  scf::YieldOp::create(b, loc, next);
  return SmallVector<Value>(op.getResults());
}

void Builder::loop(Value lo, Value hi, int64_t step, llvm::function_ref<void(Value)> body) {
  loop(lo, hi, step, ValueRange{}, [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>{};
  });
}

SmallVector<Value> Builder::guarded(Value condition, TypeRange types,
                                    llvm::function_ref<SmallVector<Value>()> yes,
                                    llvm::function_ref<SmallVector<Value>()> no) {
  if (auto known = constantOf(condition))
    return *known ? yes() : no();
  auto op = scf::IfOp::create(b, loc, types, condition, /*addThenBlock=*/true, /*addElseBlock=*/true);
  auto fill = [&](Block *block, llvm::function_ref<SmallVector<Value>()> branch) {
    OpBuilder::InsertionGuard guard(b);
    if (!block->empty())
      block->clear();
    b.setInsertionPointToEnd(block);
    enter(block, op, /*guarded=*/true);
    SmallVector<Value> values = branch();
    leave();
    scf::YieldOp::create(b, loc, values);
  };
  fill(op.thenBlock(), yes);
  fill(op.elseBlock(), no);
  return SmallVector<Value>(op.getResults());
}

void Builder::guarded(Value condition, llvm::function_ref<void()> yes) {
  if (auto known = constantOf(condition)) {
    if (*known)
      yes();
    return;
  }
  auto op = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  op.thenBlock()->clear();
  b.setInsertionPointToEnd(op.thenBlock());
  enter(op.thenBlock(), op, /*guarded=*/true);
  yes();
  leave();
  scf::YieldOp::create(b, loc);
}

} // namespace tilewright::codegen
