// What small integer tensors are, as expressions over symbols. Exporters compute shapes with tensors (Shape,
// Gather, Concat, Reshape): this is what makes those chains disappear.
#include "ir/GraphBuilder.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright {
namespace {

constexpr int64_t maxElements = 64; ///< larger tensors are data, not shapes
constexpr int maxDepth = 64;
constexpr size_t maxNodes = 256; ///< of an expression: what is longer is cheaper to compute when it runs

class SymbolicEvaluator {
public:
  explicit SymbolicEvaluator(SymbolTable &symbols) : symbols(symbols) {}

  std::optional<Dims> value(Value v, int depth = 0) {
    auto type = llvm::dyn_cast<RankedTensorType>(v.getType());
    if (!type || !type.hasStaticShape() || type.getNumElements() > maxElements ||
        !llvm::isa<IntegerType>(type.getElementType()) || depth > maxDepth)
      return std::nullopt;
    if (auto it = memo.find(v); it != memo.end())
      return it->second;
    std::optional<Dims> result;
    if (Operation *op = v.getDefiningOp())
      result = compute(op, depth + 1);
    memo[v] = result;
    return result;
  }

private:
  std::optional<Dims> compute(Operation *op, int depth) {
    return llvm::TypeSwitch<Operation *, std::optional<Dims>>(op)
        .Case<ConstantOp>([&](auto c) { return constant(c); })
        .Case<DimsOp>([&](auto d) { return Dims(d.getExprs().getResults()); })
        .Case<IotaOp>([&](auto i) { return iota(i); })
        .Case<ReshapeOp>([&](auto r) { return value(r.getOperand(), depth); })
        .Case<CastOp>([&](auto c) { return cast(c, depth); })
        .Case<UnaryOp>([&](auto u) { return unary(u, depth); })
        .Case<BinaryOp>([&](auto b) { return binary(b, depth); })
        .Case<CompareOp>([&](auto c) { return compare(c, depth); })
        .Case<SelectOp>([&](auto s) { return select(s, depth); })
        .Case<BroadcastOp, SliceOp, GatherOp, ConcatOp>([&](auto m) { return moved(m, depth); })
        .Case<ReduceOp>([&](auto r) { return reduce(r, depth); })
        .Default([](Operation *) { return std::nullopt; });
  }

  AffineExpr number(int64_t n) { return constantDim(symbols.context(), n); }

  std::optional<Dims> constant(ConstantOp op) {
    auto dense = llvm::dyn_cast<DenseElementsAttr>(op.getValue());
    if (!dense)
      return std::nullopt;
    bool isUnsigned = !llvm::cast<IntegerType>(op.getType().getElementType()).isSigned();
    Dims result;
    for (const llvm::APInt &n : dense.getValues<llvm::APInt>())
      result.push_back(number(isUnsigned ? int64_t(n.getZExtValue()) : n.getSExtValue()));
    return result;
  }

  std::optional<Dims> iota(IotaOp op) {
    if (op.getType().getRank() != 1)
      return std::nullopt;
    Dims result;
    for (int64_t i = 0; i < op.getType().getNumElements(); ++i)
      result.push_back(number(i));
    return result;
  }

  std::optional<Dims> cast(CastOp op, int depth) {
    auto from = llvm::cast<RankedTensorType>(op.getOperand().getType()).getElementType();
    auto to = llvm::cast<RankedTensorType>(op.getType()).getElementType();
    auto x = value(op.getOperand(), depth);
    if (!x || !llvm::isa<IntegerType>(from))
      return std::nullopt;
    if (to.isInteger(1)) {
      for (AffineExpr &e : *x) {
        auto known = truth(e);
        if (!known)
          return std::nullopt;
        e = number(*known);
      }
      return x;
    }
    if (to.getIntOrFloatBitWidth() >= 32) // dimensions fit
      return x;
    return std::nullopt;
  }

  std::optional<bool> truth(AffineExpr e) {
    if (auto n = constantOf(e))
      return *n != 0;
    if (symbols.lowerBound(e) > 0 || symbols.upperBound(e) < 0)
      return true;
    return std::nullopt;
  }

  std::optional<Dims> unary(UnaryOp op, int depth) {
    if (op.getKind() != UnaryKind::neg)
      return std::nullopt;
    auto x = value(op.getOperand(), depth);
    if (x)
      for (AffineExpr &e : *x)
        if (e = -e; isOversized(e))
          return std::nullopt;
    return x;
  }

  std::optional<AffineExpr> combine(BinaryKind kind, AffineExpr a, AffineExpr b) {
    auto positive = [&](AffineExpr e) { return symbols.lowerBound(e) > 0; };
    bool natural = symbols.lowerBound(a) >= 0 && positive(b);
    switch (kind) {
    case BinaryKind::add:
      return a + b;
    case BinaryKind::sub:
      return a - b;
    case BinaryKind::mul:
      return a * b;
    case BinaryKind::div:
      if (auto exact = divideExactly(a, b); exact && positive(b))
        return exact;
      return natural ? std::optional(canonical(a.floorDiv(b))) : foldConstants(kind, a, b);
    case BinaryKind::rem:
    case BinaryKind::mod:
      return natural ? std::optional(canonical(a % b)) : foldConstants(kind, a, b);
    case BinaryKind::min:
      return symbols.minimum(a, b);
    case BinaryKind::max:
      return symbols.maximum(a, b);
    default:
      return foldConstants(kind, a, b);
    }
  }

  std::optional<AffineExpr> foldConstants(BinaryKind kind, AffineExpr a, AffineExpr b) {
    auto x = constantOf(a), y = constantOf(b);
    if (!x || !y)
      return std::nullopt;
    switch (kind) {
    case BinaryKind::div:
      if (*y == 0 || *y == -1)
        return *y ? std::optional(number(int64_t(-uint64_t(*x)))) : std::nullopt;
      return number(*x / *y);
    case BinaryKind::rem:
      if (*y == 0 || *y == -1)
        return *y ? std::optional(number(0)) : std::nullopt;
      return number(*x % *y);
    case BinaryKind::iand:
      return number(*x & *y);
    case BinaryKind::ior:
      return number(*x | *y);
    default:
      return std::nullopt;
    }
  }

  std::optional<Dims> binary(BinaryOp op, int depth) {
    auto x = value(op.getLhs(), depth), y = value(op.getRhs(), depth);
    if (!x || !y)
      return std::nullopt;
    Dims result;
    for (auto [a, b] : llvm::zip(*x, *y)) {
      auto e = combine(op.getKind(), a, b);
      if (!e || isOversized(*e) || symbols.isLongerThan(*e, maxNodes))
        return std::nullopt;
      result.push_back(*e);
    }
    return result;
  }

  std::optional<bool> decide(CompareKind kind, AffineExpr a, AffineExpr b) {
    AffineExpr difference = a - b;
    int64_t lo = symbols.lowerBound(difference), hi = symbols.upperBound(difference);
    switch (kind) {
    case CompareKind::eq:
      return lo == 0 && hi == 0 ? std::optional(true)
             : lo > 0 || hi < 0 ? std::optional(false)
                                : std::nullopt;
    case CompareKind::ne:
      return lo == 0 && hi == 0 ? std::optional(false)
             : lo > 0 || hi < 0 ? std::optional(true)
                                : std::nullopt;
    case CompareKind::lt:
      return hi < 0 ? std::optional(true) : lo >= 0 ? std::optional(false) : std::nullopt;
    case CompareKind::le:
      return hi <= 0 ? std::optional(true) : lo > 0 ? std::optional(false) : std::nullopt;
    case CompareKind::gt:
      return lo > 0 ? std::optional(true) : hi <= 0 ? std::optional(false) : std::nullopt;
    default:
      return lo >= 0 ? std::optional(true) : hi < 0 ? std::optional(false) : std::nullopt;
    }
  }

  std::optional<Dims> compare(CompareOp op, int depth) {
    auto x = value(op.getLhs(), depth), y = value(op.getRhs(), depth);
    if (!x || !y)
      return std::nullopt;
    Dims result;
    for (auto [a, b] : llvm::zip(*x, *y)) {
      auto known = decide(op.getKind(), a, b);
      if (!known)
        return std::nullopt;
      result.push_back(number(*known));
    }
    return result;
  }

  std::optional<Dims> select(SelectOp op, int depth) {
    auto condition = value(op.getCondition(), depth), x = value(op.getOnTrue(), depth),
         y = value(op.getOnFalse(), depth);
    if (!condition || !x || !y)
      return std::nullopt;
    Dims result;
    for (auto [c, a, b] : llvm::zip(*condition, *x, *y)) {
      auto known = constantOf(c);
      if (!known)
        return std::nullopt;
      result.push_back(*known ? a : b);
    }
    return result;
  }

  std::optional<Dims> moved(BroadcastOp op, int depth) {
    auto x = value(op.getOperand(), depth);
    if (!x ||
        (x->size() != 1 && llvm::cast<RankedTensorType>(op.getType()).getNumElements() != int64_t(x->size())))
      return std::nullopt;
    if (x->size() != 1)
      return x;
    return Dims(llvm::cast<RankedTensorType>(op.getType()).getNumElements(), (*x)[0]);
  }

  std::optional<Dims> moved(SliceOp op, int depth) {
    auto x = value(op.getOperand(), depth);
    if (!x || llvm::cast<RankedTensorType>(op.getType()).getRank() != 1)
      return std::nullopt;
    auto start = constantOf(op.getStarts().getResult(0));
    if (!start)
      return std::nullopt;
    Dims result;
    int64_t count = llvm::cast<RankedTensorType>(op.getType()).getNumElements();
    for (int64_t i = 0; i < count; ++i)
      result.push_back((*x)[*start + i * op.getSteps()[0]]);
    return result;
  }

  std::optional<Dims> moved(GatherOp op, int depth) {
    auto x = value(op.getOperand(), depth), indices = value(op.getIndices(), depth);
    if (!x || !indices || llvm::cast<RankedTensorType>(op.getOperand().getType()).getRank() != 1)
      return std::nullopt;
    Dims result;
    for (AffineExpr e : *indices) {
      auto index = constantOf(e);
      int64_t size = x->size();
      if (!index || *index < -size || *index >= size)
        return std::nullopt;
      result.push_back((*x)[*index < 0 ? *index + size : *index]);
    }
    return result;
  }

  std::optional<Dims> moved(ConcatOp op, int depth) {
    if (llvm::cast<RankedTensorType>(op.getType()).getRank() != 1)
      return std::nullopt;
    Dims result;
    for (Value operand : op.getOperands()) {
      auto x = value(operand, depth);
      if (!x)
        return std::nullopt;
      result.append(*x);
    }
    return result;
  }

  std::optional<Dims> reduce(ReduceOp op, int depth) {
    auto x = value(op.getOperand(), depth);
    if (!x || x->empty() || llvm::cast<RankedTensorType>(op.getType()).getRank() != 0)
      return std::nullopt;
    static constexpr BinaryKind kinds[] = {BinaryKind::add, BinaryKind::mul, BinaryKind::max,
                                           BinaryKind::min};
    AffineExpr total = (*x)[0];
    for (AffineExpr e : llvm::drop_begin(*x)) {
      auto next = combine(kinds[unsigned(op.getKind())], total, e);
      if (!next || isOversized(*next) || symbols.isLongerThan(*next, maxNodes))
        return std::nullopt;
      total = *next;
    }
    return Dims{total};
  }

  SymbolTable &symbols;
  llvm::DenseMap<Value, std::optional<Dims>> memo;
};

} // namespace

std::optional<Dims> symbolicValue(Value value, SymbolTable &symbols) {
  return SymbolicEvaluator(symbols).value(value);
}

} // namespace tilewright
