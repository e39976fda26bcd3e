// Symbolic dimensions. Expressions are normalised through a polynomial whose variables are symbols and opaque
// floordiv / mod terms. All arithmetic on their numbers is checked here, in Polynomial.
#include "ir/Symbols.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <map>
#include <utility>

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright {

int compareExprs(AffineExpr a, AffineExpr b) {
  if (a == b)
    return 0;
  if (a.getKind() != b.getKind())
    return a.getKind() < b.getKind() ? -1 : 1;
  if (auto x = llvm::dyn_cast<AffineSymbolExpr>(a)) {
    unsigned p = x.getPosition(), q = llvm::cast<AffineSymbolExpr>(b).getPosition();
    return p < q ? -1 : p > q;
  }
  if (auto x = llvm::dyn_cast<AffineConstantExpr>(a)) {
    int64_t p = x.getValue(), q = llvm::cast<AffineConstantExpr>(b).getValue();
    return p < q ? -1 : p > q;
  }
  auto x = llvm::cast<AffineBinaryOpExpr>(a), y = llvm::cast<AffineBinaryOpExpr>(b);
  if (int order = compareExprs(x.getLHS(), y.getLHS()))
    return order;
  return compareExprs(x.getRHS(), y.getRHS());
}

namespace {

constexpr size_t mostNodes = 3 << 14;    ///< of an expression: its depth is that of recursions
constexpr size_t mostProducts = 1 << 16; ///< of terms, in one multiplication

using Monomial = SmallVector<AffineExpr, 4>; ///< sorted atoms; empty: the constant term

struct MonomialLess {
  bool operator()(const Monomial &a, const Monomial &b) const {
    if (a.size() != b.size())
      return a.size() > b.size(); // constants last
    for (auto [x, y] : llvm::zip(a, b))
      if (int order = compareExprs(x, y))
        return order < 0;
    return false;
  }
};

struct Polynomial {
  std::map<Monomial, int64_t, MonomialLess> terms;
  bool oversized = false; ///< the terms mean nothing

  void add(const Monomial &monomial, int64_t coefficient) {
    auto [it, fresh] = terms.try_emplace(monomial, 0);
    oversized |= llvm::AddOverflow(it->second, coefficient, it->second);
    if (it->second == 0)
      terms.erase(it);
  }
  void add(const Polynomial &other) {
    oversized |= other.oversized;
    for (auto &[monomial, coefficient] : other.terms)
      add(monomial, coefficient);
  }
  std::optional<int64_t> constant() const {
    if (oversized)
      return std::nullopt;
    if (terms.empty())
      return 0;
    if (terms.size() == 1 && terms.begin()->first.empty())
      return terms.begin()->second;
    return std::nullopt;
  }
};

Polynomial oversizedPolynomial() {
  Polynomial result;
  result.oversized = true;
  return result;
}

Polynomial multiply(const Polynomial &a, const Polynomial &b) {
  if (a.oversized || b.oversized || a.terms.size() * b.terms.size() > mostProducts)
    return oversizedPolynomial();
  Polynomial result;
  for (auto &[m, c] : a.terms)
    for (auto &[n, d] : b.terms) {
      Monomial product(m);
      product.append(n.begin(), n.end());
      llvm::sort(product, [](AffineExpr x, AffineExpr y) { return compareExprs(x, y) < 0; });
      int64_t coefficient;
      if (product.size() > mostNodes || llvm::MulOverflow(c, d, coefficient))
        return oversizedPolynomial();
      result.add(product, coefficient);
    }
  return result;
}

/// AffineExpr's own operators: only here, where nothing is left to be merged.
AffineExpr joined(AffineExprKind kind, AffineExpr a, AffineExpr b) {
  return getAffineBinaryOpExpr(kind, a, b);
}

AffineExpr toExpr(const Polynomial &polynomial, MLIRContext *context) {
  size_t nodes = 0;
  for (auto &[monomial, coefficient] : polynomial.terms)
    nodes += 2 + 2 * monomial.size();
  if (polynomial.oversized || nodes > 2 * mostNodes)
    return oversized(context);
  AffineExpr sum;
  for (auto &[monomial, coefficient] : polynomial.terms) {
    AffineExpr product;
    for (AffineExpr atom : monomial)
      product = product ? joined(AffineExprKind::Mul, product, atom) : atom;
    AffineExpr number = getAffineConstantExpr(coefficient, context),
               term = product ? joined(AffineExprKind::Mul, product, number) : number;
    sum = sum ? joined(AffineExprKind::Add, sum, term) : term;
  }
  if (sum && isLongerThan(sum, mostNodes))
    return oversized(context);
  return sum ? sum : getAffineConstantExpr(0, context);
}

/// a / b term by term, when b is a single term that divides every term of a.
std::optional<Polynomial> divideByMonomial(const Polynomial &a, const Polynomial &b) {
  if (b.terms.size() != 1)
    return std::nullopt;
  auto &[divisor, divisorCoefficient] = *b.terms.begin();
  Polynomial quotient;
  for (auto &[monomial, coefficient] : a.terms) {
    if ((coefficient == INT64_MIN && divisorCoefficient == -1) || coefficient % divisorCoefficient != 0)
      return std::nullopt;
    Monomial rest(monomial);
    for (AffineExpr atom : divisor) {
      auto it = llvm::find(rest, atom);
      if (it == rest.end())
        return std::nullopt;
      rest.erase(it);
    }
    quotient.add(rest, coefficient / divisorCoefficient);
  }
  return quotient;
}

/// Exact division of polynomials: long division by the leading term, kept when nothing remains.
std::optional<Polynomial> dividePolynomials(Polynomial a, const Polynomial &b) {
  if (b.terms.empty() || a.oversized || b.oversized)
    return std::nullopt;
  if (auto quotient = divideByMonomial(a, b))
    return quotient;
  Polynomial quotient, lead;
  lead.add(b.terms.begin()->first, b.terms.begin()->second);
  for (int step = 0; step < 16 && !a.terms.empty(); ++step) {
    Polynomial top;
    top.add(a.terms.begin()->first, a.terms.begin()->second);
    auto part = divideByMonomial(top, lead);
    if (!part)
      return std::nullopt;
    quotient.add(*part);
    Polynomial minus;
    minus.add({}, -1);
    a.add(multiply(minus, multiply(*part, b)));
  }
  return a.terms.empty() && !a.oversized ? std::optional(quotient) : std::nullopt;
}

Polynomial toPolynomial(AffineExpr expr);

Polynomial atom(AffineExpr expr) {
  Polynomial result;
  result.add({expr}, 1);
  return result;
}

Polynomial floorDivide(const Polynomial &num, const Polynomial &den, MLIRContext *context) {
  if (num.oversized || den.oversized)
    return oversizedPolynomial();
  if (auto exact = dividePolynomials(num, den))
    return *exact;
  auto divisor = den.constant();
  if (!divisor || *divisor <= 0)
    return atom(toExpr(num, context).floorDiv(toExpr(den, context)));
  Polynomial whole, rest;
  for (auto &[monomial, coefficient] : num.terms) {
    int64_t quotient = llvm::divideFloorSigned(coefficient, *divisor);
    int64_t remainder = coefficient - quotient * *divisor;
    whole.add(monomial, quotient);
    if (remainder)
      rest.add(monomial, remainder);
  }
  if (auto value = rest.constant()) {
    whole.add({}, llvm::divideFloorSigned(*value, *divisor));
    return whole;
  }
  whole.add(atom(toExpr(rest, context).floorDiv(*divisor)));
  return whole;
}

Polynomial modulo(const Polynomial &num, const Polynomial &den, MLIRContext *context) {
  if (num.oversized || den.oversized)
    return oversizedPolynomial();
  if (dividePolynomials(num, den))
    return {};
  auto divisor = den.constant();
  if (!divisor || *divisor <= 0)
    return atom(toExpr(num, context) % toExpr(den, context));
  Polynomial rest;
  for (auto &[monomial, coefficient] : num.terms)
    if (int64_t remainder = llvm::mod(coefficient, *divisor))
      rest.add(monomial, remainder);
  if (auto value = rest.constant()) {
    Polynomial result;
    result.add({}, llvm::mod(*value, *divisor));
    return result;
  }
  return atom(toExpr(rest, context) % *divisor);
}

Polynomial toPolynomial(AffineExpr expr) {
  MLIRContext *context = expr.getContext();
  if (auto constant = llvm::dyn_cast<AffineConstantExpr>(expr)) {
    Polynomial result;
    if (constant.getValue())
      result.add({}, constant.getValue());
    return result;
  }
  if (isOversized(expr))
    return oversizedPolynomial();
  if (expr.getKind() == AffineExprKind::Add) { // long sums lean to the left: no recursion along them
    Polynomial total;
    for (; expr.getKind() == AffineExprKind::Add; expr = llvm::cast<AffineBinaryOpExpr>(expr).getLHS())
      total.add(toPolynomial(llvm::cast<AffineBinaryOpExpr>(expr).getRHS()));
    total.add(toPolynomial(expr));
    return total;
  }
  auto binary = llvm::dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return atom(expr);
  Polynomial lhs = toPolynomial(binary.getLHS()), rhs = toPolynomial(binary.getRHS());
  switch (expr.getKind()) {
  case AffineExprKind::Mul:
    return multiply(lhs, rhs);
  case AffineExprKind::FloorDiv:
    return floorDivide(lhs, rhs, context);
  case AffineExprKind::CeilDiv: { // (a + b - 1) floordiv b
    lhs.add(rhs);
    lhs.add({}, -1);
    return floorDivide(lhs, rhs, context);
  }
  default:
    return modulo(lhs, rhs, context);
  }
}

} // namespace

/// Over a dimension, which sizes otherwise never have.
AffineExpr oversized(MLIRContext *context) { return getAffineDimExpr(0, context); }
bool isOversized(AffineExpr expr) { return expr.getKind() == AffineExprKind::DimId; }

bool isLongerThan(AffineExpr expr, size_t nodes) {
  SmallVector<AffineExpr> pending{expr};
  for (size_t seen = 0; !pending.empty();) {
    if (++seen > nodes)
      return true;
    if (auto binary = llvm::dyn_cast<AffineBinaryOpExpr>(pending.pop_back_val()))
      pending.append({binary.getLHS(), binary.getRHS()});
  }
  return false;
}

AffineExpr canonical(AffineExpr expr) {
  if (llvm::isa<AffineConstantExpr, AffineSymbolExpr, AffineDimExpr>(expr))
    return expr;
  if (isLongerThan(expr, 4 * mostNodes)) // operations on what fits: they double it and a little more
    return oversized(expr.getContext());
  return toExpr(toPolynomial(expr), expr.getContext());
}

AffineExpr sum(AffineExpr a, AffineExpr b) { return sum({a, b}, a.getContext()); }

AffineExpr sum(ArrayRef<AffineExpr> terms, MLIRContext *context) {
  Polynomial total;
  for (AffineExpr term : terms)
    total.add(toPolynomial(term));
  return toExpr(total, context);
}

AffineExpr difference(AffineExpr a, AffineExpr b) {
  if (a == b && !isOversized(a))
    return getAffineConstantExpr(0, a.getContext());
  return sum(a, product(b, getAffineConstantExpr(-1, a.getContext())));
}

AffineExpr product(AffineExpr a, AffineExpr b) {
  return toExpr(multiply(toPolynomial(a), toPolynomial(b)), a.getContext());
}

AffineExpr constantDim(MLIRContext *context, int64_t value) { return getAffineConstantExpr(value, context); }

std::optional<int64_t> constantOf(AffineExpr expr) {
  if (auto constant = llvm::dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  return std::nullopt;
}

bool provablyEqual(AffineExpr a, AffineExpr b) { return a == b || canonical(a) == canonical(b); }

std::optional<AffineExpr> divideExactly(AffineExpr a, AffineExpr b) {
  auto quotient = dividePolynomials(toPolynomial(a), toPolynomial(b));
  if (!quotient)
    return std::nullopt;
  return toExpr(*quotient, a.getContext());
}

AffineExpr productOf(ArrayRef<AffineExpr> dims, MLIRContext *context) {
  AffineExpr result = getAffineConstantExpr(1, context);
  for (AffineExpr dim : dims)
    result = product(result, dim);
  return result;
}

Dims dimsOf(Type type) {
  auto tensor = llvm::cast<RankedTensorType>(type);
  Dims dims;
  if (auto map = llvm::dyn_cast_or_null<AffineMapAttr>(tensor.getEncoding())) {
    dims.append(map.getValue().getResults().begin(), map.getValue().getResults().end());
    return dims;
  }
  for (int64_t size : tensor.getShape())
    dims.push_back(getAffineConstantExpr(size, type.getContext()));
  return dims;
}

Dims dimsOf(Value value) { return dimsOf(value.getType()); }

AffineMap mapOf(ArrayRef<AffineExpr> exprs, MLIRContext *context) {
  unsigned count = 0;
  for (AffineExpr expr : exprs)
    for (unsigned symbol : symbolsIn(expr))
      count = std::max(count, symbol + 1);
  return AffineMap::get(llvm::any_of(exprs, isOversized), count, exprs, context);
}

AffineMap mapOf(ArrayRef<int64_t> values, MLIRContext *context) {
  Dims exprs;
  for (int64_t value : values)
    exprs.push_back(getAffineConstantExpr(value, context));
  return mapOf(exprs, context);
}

RankedTensorType tensorType(ArrayRef<AffineExpr> dims, Type elementType) {
  SmallVector<int64_t> shape;
  Dims exprs;
  bool dynamic = false;
  for (AffineExpr dim : dims) {
    AffineExpr expr = canonical(dim);
    auto value = constantOf(expr);
    exprs.push_back(expr);
    shape.push_back(value ? *value : ShapedType::kDynamic);
    dynamic |= !value;
  }
  if (!dynamic)
    return RankedTensorType::get(shape, elementType);
  return RankedTensorType::get(shape, elementType,
                               AffineMapAttr::get(mapOf(exprs, elementType.getContext())));
}

RankedTensorType withElementType(Type type, Type elementType) {
  auto tensor = llvm::cast<RankedTensorType>(type);
  return RankedTensorType::get(tensor.getShape(), elementType, tensor.getEncoding());
}

AffineExpr elementCount(Type type) { return productOf(dimsOf(type), type.getContext()); }

Type substitute(Type type, ArrayRef<AffineExpr> replacements) {
  auto tensor = llvm::dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.hasStaticShape())
    return type;
  SmallVector<AffineExpr> full;
  auto map = llvm::cast<AffineMapAttr>(tensor.getEncoding()).getValue();
  for (unsigned i = 0; i < map.getNumSymbols(); ++i)
    full.push_back(i < replacements.size() && replacements[i] ? replacements[i]
                                                              : getAffineSymbolExpr(i, type.getContext()));
  Dims dims;
  for (AffineExpr dim : dimsOf(type))
    dims.push_back(dim.replaceDimsAndSymbols({}, full));
  return tensorType(dims, tensor.getElementType());
}

SmallVector<unsigned> symbolsIn(AffineExpr expr) {
  SmallVector<unsigned> result;
  expr.walk([&](AffineExpr sub) {
    if (auto symbol = llvm::dyn_cast<AffineSymbolExpr>(sub))
      result.push_back(symbol.getPosition());
  });
  llvm::sort(result);
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

SmallVector<unsigned> symbolsIn(Type type) {
  SmallVector<unsigned> result;
  for (AffineExpr dim : dimsOf(type))
    llvm::append_range(result, symbolsIn(dim));
  llvm::sort(result);
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

static std::optional<int64_t> evaluateBinary(AffineExprKind kind, int64_t a, int64_t b) {
  int64_t result;
  switch (kind) {
  case AffineExprKind::Add:
    return llvm::AddOverflow(a, b, result) ? std::nullopt : std::optional(result);
  case AffineExprKind::Mul:
    return llvm::MulOverflow(a, b, result) ? std::nullopt : std::optional(result);
  default:
    break;
  }
  if (b == 0)
    return 0;
  if (b == -1) // the least number has no counterpart
    return kind == AffineExprKind::Mod                ? std::optional<int64_t>(0)
           : llvm::SubOverflow<int64_t>(0, a, result) ? std::nullopt
                                                      : std::optional(result);
  if (kind == AffineExprKind::FloorDiv)
    return llvm::divideFloorSigned(a, b);
  if (kind == AffineExprKind::CeilDiv)
    return llvm::divideCeilSigned(a, b);
  int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

std::optional<int64_t> evaluate(AffineExpr expr, ArrayRef<int64_t> symbols) {
  if (auto constant = llvm::dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  if (auto symbol = llvm::dyn_cast<AffineSymbolExpr>(expr))
    return symbol.getPosition() < symbols.size() ? symbols[symbol.getPosition()] : 0;
  if (isOversized(expr))
    return std::nullopt;
  auto binary = llvm::cast<AffineBinaryOpExpr>(expr);
  auto a = evaluate(binary.getLHS(), symbols), b = evaluate(binary.getRHS(), symbols);
  return a && b ? evaluateBinary(expr.getKind(), *a, *b) : std::nullopt;
}

static void appendText(std::string &text, AffineExpr expr, ArrayRef<std::string> names) {
  if (auto constant = llvm::dyn_cast<AffineConstantExpr>(expr)) {
    text += std::to_string(constant.getValue());
    return;
  }
  if (auto symbol = llvm::dyn_cast<AffineSymbolExpr>(expr)) {
    unsigned position = symbol.getPosition();
    text += position < names.size() ? names[position] : "s" + std::to_string(position);
    return;
  }
  if (isOversized(expr)) {
    text += "(beyond 2^63)";
    return;
  }
  auto binary = llvm::cast<AffineBinaryOpExpr>(expr);
  auto operand = [&](AffineExpr side) {
    bool wrapped = side.getKind() == AffineExprKind::Add && expr.getKind() != AffineExprKind::Add;
    text += wrapped ? "(" : "";
    appendText(text, side, names);
    text += wrapped ? ")" : "";
  };
  operand(binary.getLHS());
  size_t behind = text.size();
  text += expr.getKind() == AffineExprKind::Add        ? "+"
          : expr.getKind() == AffineExprKind::Mul      ? "*"
          : expr.getKind() == AffineExprKind::FloorDiv ? "/"
          : expr.getKind() == AffineExprKind::Mod      ? "%"
                                                       : "/^";
  operand(binary.getRHS());
  if (text[behind] == '+' && text[behind + 1] == '-')
    text.erase(behind, 1);
}

std::string toText(AffineExpr expr, ArrayRef<std::string> names) {
  std::string text;
  appendText(text, expr, names);
  return text;
}

} // namespace tilewright
