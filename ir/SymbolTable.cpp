// The symbols of a module: made, derived from others, bounded, kept in the module.
#include "ir/Symbols.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <utility>

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright {

constexpr unsigned mostWeight = 1 << 12; ///< of a derived symbol

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
  symbol.atRunTime = symbol.origin == Symbol::Defined;
  for (AffineExpr side : {symbol.a, symbol.b})
    if (side)
      for (unsigned inner : symbolsIn(side))
        symbol.atRunTime |= symbols[inner].atRunTime;
  if (symbol.rule != Symbol::None && symbol.atRunTime)
    symbol.weight += weightOf(symbol.a) + weightOf(symbol.b);
  symbolNames.push_back(symbol.name);
  symbols.push_back(std::move(symbol));
}

unsigned SymbolTable::weightOf(AffineExpr expr) const {
  unsigned weight = 0;
  expr.walk([&](AffineExpr part) {
    auto symbol = llvm::dyn_cast<AffineSymbolExpr>(part);
    weight += symbol && symbol.getPosition() < symbols.size() ? symbols[symbol.getPosition()].weight : 1;
  });
  return weight;
}

bool SymbolTable::isLongerThan(AffineExpr expr, size_t nodes) const {
  all();
  return tilewright::isLongerThan(expr, nodes) || weightOf(expr) > nodes;
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
  if (weightOf(a) + weightOf(b) > mostWeight)
    return oversized(ctx);
  static constexpr const char *prefix[] = {"", "min", "max", "broadcast", "sum"};
  std::string name = std::string(prefix[rule]) + "#" + std::to_string(size());
  if (!tilewright::isLongerThan(a, longestName) && !tilewright::isLongerThan(b, longestName))
    if (std::string text =
            std::string(prefix[rule]) + "(" + toText(a, names()) + "," + toText(b, names()) + ")";
        text.size() <= longestName)
      name = text;
  return add({name, lo, hi, Symbol::Derived, rule, a, b});
}

AffineExpr SymbolTable::minimum(AffineExpr a, AffineExpr b) {
  a = canonical(a), b = canonical(b);
  if (isOversized(a) || isOversized(b))
    return oversized(ctx);
  if (constantOf(a) && constantOf(b)) // their difference need not fit
    return *constantOf(a) < *constantOf(b) ? a : b;
  AffineExpr difference = a - b;
  if (upperBound(difference) <= 0)
    return a;
  if (lowerBound(difference) >= 0)
    return b;
  return derived(Symbol::Min, a, b, std::min(lowerBound(a), lowerBound(b)),
                 std::min(upperBound(a), upperBound(b)));
}

AffineExpr SymbolTable::maximum(AffineExpr a, AffineExpr b) {
  a = canonical(a), b = canonical(b);
  if (isOversized(a) || isOversized(b))
    return oversized(ctx);
  if (constantOf(a) && constantOf(b)) // their difference need not fit
    return *constantOf(a) > *constantOf(b) ? a : b;
  AffineExpr difference = a - b;
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
  if (isOversized(a) || isOversized(b))
    return oversized(ctx);
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

AffineExpr SymbolTable::total(ArrayRef<AffineExpr> terms) {
  constexpr size_t mostNodes = 64; // 32 symbols
  AffineExpr whole = sum(terms, ctx);
  if (!tilewright::isLongerThan(whole, mostNodes) || isOversized(whole))
    return whole;
  if (llvm::any_of(symbolsIn(whole), [&](unsigned index) { return all()[index].atRunTime; }))
    return whole;
  auto last = llvm::dyn_cast<AffineBinaryOpExpr>(whole);
  if (!last || last.getKind() != AffineExprKind::Add)
    return whole;
  auto [lo, hi] = bounds(whole);
  return derived(Symbol::Sum, last.getLHS(), last.getRHS(), lo, hi);
}

AffineExpr SymbolTable::writtenOut(AffineExpr expr) const {
  llvm::DenseMap<AffineExpr, AffineExpr> terms;
  for (unsigned index : symbolsIn(expr))
    if (const Symbol &symbol = all()[index]; symbol.rule == Symbol::Sum)
      terms[getAffineSymbolExpr(index, ctx)] = sum(symbol.a, symbol.b);
  return terms.empty() ? expr : canonical(expr.replace(terms));
}

void SymbolTable::walk(AffineExpr expr, llvm::function_ref<void(unsigned)> visit) const {
  llvm::SmallDenseSet<unsigned> seen;
  SmallVector<unsigned> pending = symbolsIn(expr);
  while (!pending.empty()) {
    unsigned index = pending.pop_back_val();
    if (!seen.insert(index).second)
      continue;
    visit(index);
    if (const Symbol &symbol = all()[index]; symbol.rule != Symbol::None) {
      llvm::append_range(pending, symbolsIn(symbol.a));
      llvm::append_range(pending, symbolsIn(symbol.b));
    }
  }
}

namespace {

constexpr int64_t infinity = INT64_MAX;
using Interval = std::pair<int64_t, int64_t>;

int64_t saturated(__int128 value) {
  return value > infinity ? infinity : value < -infinity ? -infinity : int64_t(value);
}

/// An infinite bound stays infinite whatever is added.
Interval plus(Interval a, Interval b) {
  return {a.first == -infinity || b.first == -infinity ? -infinity : saturated(__int128(a.first) + b.first),
          a.second == infinity || b.second == infinity ? infinity : saturated(__int128(a.second) + b.second)};
}

Interval times(Interval a, Interval b) {
  __int128 corners[] = {__int128(a.first) * b.first, __int128(a.first) * b.second,
                        __int128(a.second) * b.first, __int128(a.second) * b.second};
  return {saturated(*std::min_element(corners, corners + 4)),
          saturated(*std::max_element(corners, corners + 4))};
}

Interval over(Interval a, Interval b) {
  if (b.first == b.second && b.first > 0)
    return {a.first == -infinity ? a.first : llvm::divideFloorSigned(a.first, b.first),
            a.second == infinity ? infinity : llvm::divideCeilSigned(a.second, b.first)};
  return a.first >= 0 && b.first >= 1 ? Interval{0, a.second} : Interval{-infinity, infinity};
}

} // namespace

std::pair<int64_t, int64_t> SymbolTable::bounds(AffineExpr expr) const {
  Interval added{0, 0};
  for (; expr.getKind() == AffineExprKind::Add; expr = llvm::cast<AffineBinaryOpExpr>(expr).getLHS())
    added = plus(added, bounds(llvm::cast<AffineBinaryOpExpr>(expr).getRHS()));
  if (auto value = constantOf(expr))
    return plus(added, {*value, *value});
  if (auto symbol = llvm::dyn_cast<AffineSymbolExpr>(expr)) {
    bool known = symbol.getPosition() < size();
    return plus(added, known ? Interval{symbols[symbol.getPosition()].lo, symbols[symbol.getPosition()].hi}
                             : Interval{0, infinity});
  }
  if (isOversized(expr))
    return {-infinity, infinity};
  auto binary = llvm::cast<AffineBinaryOpExpr>(expr);
  Interval a = bounds(binary.getLHS()), b = bounds(binary.getRHS());
  if (expr.getKind() == AffineExprKind::Mul)
    return plus(added, times(a, b));
  if (expr.getKind() != AffineExprKind::Mod)
    return plus(added, over(a, b));
  return plus(added, {0, b.second == infinity ? infinity : std::max<int64_t>(b.second - 1, 0)});
}

int64_t SymbolTable::lowerBound(AffineExpr expr) const { return bounds(canonical(expr)).first; }
int64_t SymbolTable::upperBound(AffineExpr expr) const { return bounds(canonical(expr)).second; }

} // namespace tilewright
