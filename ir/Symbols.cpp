// Symbolic dimensions. Expressions are normalised through a polynomial whose variables are symbols and opaque
// floordiv / mod terms.
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
namespace {

/// A total order on expressions that does not depend on addresses, so that canonical forms are reproducible.
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

  void add(const Monomial &monomial, int64_t coefficient) {
    auto [it, fresh] = terms.try_emplace(monomial, 0);
    it->second = int64_t(uint64_t(it->second) + uint64_t(coefficient));
    if (it->second == 0)
      terms.erase(it);
  }
  void add(const Polynomial &other) {
    for (auto &[monomial, coefficient] : other.terms)
      add(monomial, coefficient);
  }
  std::optional<int64_t> constant() const {
    if (terms.empty())
      return 0;
    if (terms.size() == 1 && terms.begin()->first.empty())
      return terms.begin()->second;
    return std::nullopt;
  }
};

Polynomial multiply(const Polynomial &a, const Polynomial &b) {
  Polynomial result;
  for (auto &[m, c] : a.terms)
    for (auto &[n, d] : b.terms) {
      Monomial product(m);
      product.append(n.begin(), n.end());
      llvm::sort(product, [](AffineExpr x, AffineExpr y) { return compareExprs(x, y) < 0; });
      result.add(product, int64_t(uint64_t(c) * uint64_t(d)));
    }
  return result;
}

AffineExpr toExpr(const Polynomial &polynomial, MLIRContext *context) {
  AffineExpr sum;
  for (auto &[monomial, coefficient] : polynomial.terms) {
    AffineExpr product;
    for (AffineExpr atom : monomial)
      product = product ? product * atom : atom;
    AffineExpr term = product ? product * coefficient : getAffineConstantExpr(coefficient, context);
    sum = sum ? sum + term : term;
  }
  return sum ? sum : getAffineConstantExpr(0, context);
}

/// a / b term by term, when b is a single term that divides every term of a.
std::optional<Polynomial> divideByMonomial(const Polynomial &a, const Polynomial &b) {
  if (b.terms.size() != 1)
    return std::nullopt;
  auto &[divisor, divisorCoefficient] = *b.terms.begin();
  Polynomial quotient;
  for (auto &[monomial, coefficient] : a.terms) {
    if (coefficient % divisorCoefficient != 0)
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
  if (b.terms.empty())
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
  return a.terms.empty() ? std::optional(quotient) : std::nullopt;
}

Polynomial toPolynomial(AffineExpr expr);

Polynomial atom(AffineExpr expr) {
  Polynomial result;
  result.add({expr}, 1);
  return result;
}

Polynomial floorDivide(const Polynomial &num, const Polynomial &den, MLIRContext *context) {
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
  auto binary = llvm::dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return atom(expr);
  Polynomial lhs = toPolynomial(binary.getLHS()), rhs = toPolynomial(binary.getRHS());
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    lhs.add(rhs);
    return lhs;
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

AffineExpr canonical(AffineExpr expr) {
  if (llvm::isa<AffineConstantExpr, AffineSymbolExpr>(expr))
    return expr;
  return toExpr(toPolynomial(expr), expr.getContext());
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
  AffineExpr product = getAffineConstantExpr(1, context);
  for (AffineExpr dim : dims)
    product = product * dim;
  return canonical(product);
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
  return AffineMap::get(0, count, exprs, context);
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

int64_t evaluate(AffineExpr expr, ArrayRef<int64_t> symbols) {
  if (auto constant = llvm::dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  if (auto symbol = llvm::dyn_cast<AffineSymbolExpr>(expr))
    return symbol.getPosition() < symbols.size() ? symbols[symbol.getPosition()] : 0;
  auto binary = llvm::cast<AffineBinaryOpExpr>(expr);
  int64_t a = evaluate(binary.getLHS(), symbols), b = evaluate(binary.getRHS(), symbols);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return int64_t(uint64_t(a) + uint64_t(b));
  case AffineExprKind::Mul:
    return int64_t(uint64_t(a) * uint64_t(b));
  case AffineExprKind::FloorDiv:
    return b ? llvm::divideFloorSigned(a, b) : 0;
  case AffineExprKind::CeilDiv:
    return b ? llvm::divideCeilSigned(a, b) : 0;
  default:
    return b ? a - llvm::divideFloorSigned(a, b) * b : 0;
  }
}

std::string toText(AffineExpr expr, ArrayRef<std::string> names) {
  if (auto constant = llvm::dyn_cast<AffineConstantExpr>(expr))
    return std::to_string(constant.getValue());
  if (auto symbol = llvm::dyn_cast<AffineSymbolExpr>(expr)) {
    unsigned position = symbol.getPosition();
    return position < names.size() ? names[position] : "s" + std::to_string(position);
  }
  auto binary = llvm::cast<AffineBinaryOpExpr>(expr);
  auto operand = [&](AffineExpr side) {
    std::string text = toText(side, names);
    bool sum = side.getKind() == AffineExprKind::Add;
    return sum && expr.getKind() != AffineExprKind::Add ? "(" + text + ")" : text;
  };
  const char *sign = expr.getKind() == AffineExprKind::Add        ? "+"
                     : expr.getKind() == AffineExprKind::Mul      ? "*"
                     : expr.getKind() == AffineExprKind::FloorDiv ? "/"
                     : expr.getKind() == AffineExprKind::Mod      ? "%"
                                                                  : "/^";
  std::string rhs = operand(binary.getRHS());
  if (*sign == '+' && rhs[0] == '-')
    return operand(binary.getLHS()) + rhs;
  return operand(binary.getLHS()) + sign + rhs;
}

//===- SymbolTable -------------------------------------------------------------===//

/// Names are for people: one that would repeat half the program is cut.
constexpr size_t longestName = 96;

void SymbolTable::load() const {
  loaded = true;
  auto list = module->getAttrOfType<ArrayAttr>("graph.symbols");
  if (!list)
    return;
  for (Attribute entry : list) {
    auto dict = llvm::cast<DictionaryAttr>(entry);
    Symbol symbol;
    symbol.name = dict.getAs<StringAttr>("name").str();
    symbol.lo = dict.getAs<IntegerAttr>("lo").getInt();
    symbol.hi = dict.getAs<IntegerAttr>("hi").getInt();
    symbol.origin = Symbol::Origin(dict.getAs<IntegerAttr>("origin").getInt());
    if (auto rule = dict.getAs<IntegerAttr>("rule")) {
      symbol.rule = Symbol::Rule(rule.getInt());
      auto map = dict.getAs<AffineMapAttr>("of").getValue();
      symbol.a = map.getResult(0);
      symbol.b = map.getResult(1);
    }
    append(std::move(symbol));
  }
}

void SymbolTable::append(Symbol symbol) const {
  unsigned index = symbols.size();
  if (symbol.origin == Symbol::Input)
    inputs.try_emplace(symbol.name, index);
  if (symbol.rule != Symbol::None)
    derivedSymbols.try_emplace({symbol.rule, {symbol.a, symbol.b}}, index);
  symbolNames.push_back(symbol.name);
  symbols.push_back(std::move(symbol));
}

void SymbolTable::save() {
  if (!std::exchange(changed, false))
    return;
  Builder builder(module.getContext());
  SmallVector<Attribute> list;
  for (const Symbol &symbol : symbols) {
    NamedAttrList dict;
    dict.set("name", builder.getStringAttr(symbol.name));
    dict.set("lo", builder.getI64IntegerAttr(symbol.lo));
    dict.set("hi", builder.getI64IntegerAttr(symbol.hi));
    dict.set("origin", builder.getI64IntegerAttr(symbol.origin));
    if (symbol.rule != Symbol::None) {
      dict.set("rule", builder.getI64IntegerAttr(symbol.rule));
      dict.set("of",
               AffineMapAttr::get(mapOf(ArrayRef<AffineExpr>{symbol.a, symbol.b}, module.getContext())));
    }
    list.push_back(dict.getDictionary(module.getContext()));
  }
  module->setAttr("graph.symbols", builder.getArrayAttr(list));
}

AffineExpr SymbolTable::add(Symbol symbol) {
  all();
  append(std::move(symbol));
  changed = true;
  return getAffineSymbolExpr(symbols.size() - 1, module.getContext());
}

AffineExpr SymbolTable::input(llvm::StringRef name, int64_t lo, int64_t hi) {
  all();
  if (!name.empty() && name != "?")
    if (auto known = inputs.find(name); known != inputs.end())
      return getAffineSymbolExpr(known->second, module.getContext());
  return add({name.empty() ? "?" : name.str(), lo, hi, Symbol::Input, Symbol::None, {}, {}});
}

AffineExpr SymbolTable::defined(llvm::StringRef name, int64_t lo, int64_t hi) {
  std::string unique = name.str() + "#" + std::to_string(size());
  return add({unique, lo, hi, Symbol::Defined, Symbol::None, {}, {}});
}

AffineExpr SymbolTable::derived(Symbol::Rule rule, AffineExpr a, AffineExpr b, int64_t lo, int64_t hi) {
  if (compareExprs(a, b) > 0)
    std::swap(a, b);
  all();
  if (auto known = derivedSymbols.find({rule, {a, b}}); known != derivedSymbols.end())
    return getAffineSymbolExpr(known->second, module.getContext());
  static constexpr const char *prefix[] = {"", "min", "max", "broadcast"};
  std::string name = std::string(prefix[rule]) + "(" + toText(a, names()) + "," + toText(b, names()) + ")";
  if (name.size() > longestName)
    name = std::string(prefix[rule]) + "#" + std::to_string(size());
  return add({name, lo, hi, Symbol::Derived, rule, a, b});
}

AffineExpr SymbolTable::minimum(AffineExpr a, AffineExpr b) {
  a = canonical(a), b = canonical(b);
  AffineExpr difference = canonical(a - b);
  if (upperBound(difference) <= 0)
    return a;
  if (lowerBound(difference) >= 0)
    return b;
  return derived(Symbol::Min, a, b, std::min(lowerBound(a), lowerBound(b)),
                 std::min(upperBound(a), upperBound(b)));
}

AffineExpr SymbolTable::maximum(AffineExpr a, AffineExpr b) {
  a = canonical(a), b = canonical(b);
  AffineExpr difference = canonical(a - b);
  if (lowerBound(difference) >= 0)
    return a;
  if (upperBound(difference) <= 0)
    return b;
  return derived(Symbol::Max, a, b, std::max(lowerBound(a), lowerBound(b)),
                 std::max(upperBound(a), upperBound(b)));
}

/// Whether `size` broadcast with `other` is `size` whenever the two fit together: `other` is what `size` was
/// made of, or smaller but never 1 unless `size` is.
bool SymbolTable::absorbs(AffineExpr size, AffineExpr other) const {
  auto derivedOf = [&](AffineExpr expr) -> const Symbol * {
    auto symbol = llvm::dyn_cast<AffineSymbolExpr>(expr);
    return symbol && symbol.getPosition() < symbols.size() ? &symbols[symbol.getPosition()] : nullptr;
  };
  if (const Symbol *whole = derivedOf(size); whole && whole->rule == Symbol::Broadcast)
    if (whole->a == other || whole->b == other)
      return true;
  const Symbol *part = derivedOf(other);
  if (!part || part->rule != Symbol::Min || (part->a != size && part->b != size))
    return false;
  return lowerBound(part->a == size ? part->b : part->a) >= 2;
}

AffineExpr SymbolTable::broadcast(AffineExpr a, AffineExpr b) {
  a = canonical(a), b = canonical(b);
  if (a == b || constantOf(b) == 1)
    return a;
  if (constantOf(a) == 1)
    return b;
  // A constant other than 1 decides: the other side is it, or 1.
  if (constantOf(a))
    return a;
  if (constantOf(b))
    return b;
  if (absorbs(a, b))
    return a;
  if (absorbs(b, a))
    return b;
  return derived(Symbol::Broadcast, a, b, std::min(lowerBound(a), lowerBound(b)),
                 std::max(upperBound(a), upperBound(b)));
}

void SymbolTable::setRange(unsigned index, int64_t lo, int64_t hi) {
  all();
  symbols[index].lo = lo;
  symbols[index].hi = hi;
  changed = true;
}

std::pair<int64_t, int64_t> SymbolTable::bounds(AffineExpr expr) const {
  constexpr int64_t infinity = INT64_MAX;
  auto clamp = [](__int128 value) {
    return value > infinity ? infinity : value < -infinity ? -infinity : int64_t(value);
  };
  if (auto value = constantOf(expr))
    return {*value, *value};
  if (auto symbol = llvm::dyn_cast<AffineSymbolExpr>(expr)) {
    if (symbol.getPosition() >= size())
      return {0, infinity};
    return {symbols[symbol.getPosition()].lo, symbols[symbol.getPosition()].hi};
  }
  auto binary = llvm::cast<AffineBinaryOpExpr>(expr);
  auto [al, ah] = bounds(binary.getLHS());
  auto [bl, bh] = bounds(binary.getRHS());
  switch (expr.getKind()) {
  case AffineExprKind::Add: { // an infinite bound stays infinite whatever is added
    int64_t lo = al == -infinity || bl == -infinity ? -infinity : clamp(__int128(al) + bl);
    int64_t hi = ah == infinity || bh == infinity ? infinity : clamp(__int128(ah) + bh);
    return {lo, hi};
  }
  case AffineExprKind::Mul: {
    __int128 corners[] = {__int128(al) * bl, __int128(al) * bh, __int128(ah) * bl, __int128(ah) * bh};
    return {clamp(*std::min_element(corners, corners + 4)), clamp(*std::max_element(corners, corners + 4))};
  }
  case AffineExprKind::FloorDiv:
  case AffineExprKind::CeilDiv:
    if (bl == bh && bl > 0)
      return {al == -infinity ? al : llvm::divideFloorSigned(al, bl),
              ah == infinity ? ah : llvm::divideCeilSigned(ah, bl)};
    return al >= 0 && bl >= 1 ? std::pair<int64_t, int64_t>{0, ah}
                              : std::pair<int64_t, int64_t>{-infinity, infinity};
  default:
    return {0, bh == infinity ? infinity : std::max<int64_t>(bh - 1, 0)};
  }
}

int64_t SymbolTable::lowerBound(AffineExpr expr) const { return bounds(canonical(expr)).first; }
int64_t SymbolTable::upperBound(AffineExpr expr) const { return bounds(canonical(expr)).second; }

} // namespace tilewright
