/// Symbols.h - symbolic dimensions: affine (and semi-affine) expressions over the symbols of a module.
///
/// A dimension is an mlir::AffineExpr over symbols s0, s1, ... of the enclosing module (never dims), kept
/// canonical so that equal expressions are pointer-equal. Types carry them as encoding (see GraphDialect.td).
/// The module's table says what each symbol is: bound from an input's shape, derived from other symbols (min,
/// max, broadcast), or defined while the program runs.
#pragma once
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include <optional>
#include <string>

namespace tilewright {

using Dims = llvm::SmallVector<mlir::AffineExpr, 6>;

/// What stands for a size whose numbers do not fit in 63 bits, or whose expression is beyond all bounds (more
/// than 49,152 numbers, symbols and operations). Whatever is computed from it is it again, so that nobody
/// needs to ask on the way: the importer refuses nodes that lead to one. It has no value and no bounds.
mlir::AffineExpr oversized(mlir::MLIRContext *context);
bool isOversized(mlir::AffineExpr expr);
/// Whether an expression has more than `nodes` numbers, symbols and operations.
bool isLongerThan(mlir::AffineExpr expr, size_t nodes);
/// The only way to calculate with sizes (the operators below are these): canonical, and oversized where the
/// result does not fit. Lists are summed at once: one by one takes quadratic time.
mlir::AffineExpr sum(mlir::AffineExpr a, mlir::AffineExpr b);
mlir::AffineExpr sum(llvm::ArrayRef<mlir::AffineExpr> terms, mlir::MLIRContext *context);
mlir::AffineExpr difference(mlir::AffineExpr a, mlir::AffineExpr b);
mlir::AffineExpr product(mlir::AffineExpr a, mlir::AffineExpr b);

/// A total order on expressions that does not depend on addresses, so that canonical forms are reproducible.
int compareExprs(mlir::AffineExpr a, mlir::AffineExpr b);
/// Canonical form: a sum of products with sorted terms, common factors of floordiv and mod taken out.
/// Structural equality of canonical expressions is equality of polynomials (floordiv and mod terms are
/// compared as opaque atoms).
mlir::AffineExpr canonical(mlir::AffineExpr expr);
mlir::AffineExpr constantDim(mlir::MLIRContext *context, int64_t value);
std::optional<int64_t> constantOf(mlir::AffineExpr expr);
/// Provably equal (canonicalises both).
bool provablyEqual(mlir::AffineExpr a, mlir::AffineExpr b);
/// a / b when b provably divides a without remainder as polynomials; nothing otherwise.
std::optional<mlir::AffineExpr> divideExactly(mlir::AffineExpr a, mlir::AffineExpr b);
mlir::AffineExpr productOf(llvm::ArrayRef<mlir::AffineExpr> dims, mlir::MLIRContext *context);

/// The dimensions of a ranked tensor type, one expression each.
Dims dimsOf(mlir::Type type);
Dims dimsOf(mlir::Value value);
/// The tensor type with these dimensions: static where they are constants; an encoding is attached only when
/// some are not.
mlir::RankedTensorType tensorType(llvm::ArrayRef<mlir::AffineExpr> dims, mlir::Type elementType);
/// Same dimensions, other element type.
mlir::RankedTensorType withElementType(mlir::Type type, mlir::Type elementType);
mlir::AffineExpr elementCount(mlir::Type type);
/// ()[s0..sN] -> exprs, with N the highest symbol used plus one.
mlir::AffineMap mapOf(llvm::ArrayRef<mlir::AffineExpr> exprs, mlir::MLIRContext *context);
mlir::AffineMap mapOf(llvm::ArrayRef<int64_t> values, mlir::MLIRContext *context);
/// Replace symbol k by replacements[k] (missing or null: kept) in a type's dimensions.
mlir::Type substitute(mlir::Type type, llvm::ArrayRef<mlir::AffineExpr> replacements);
/// The symbols that occur, ascending.
llvm::SmallVector<unsigned> symbolsIn(mlir::AffineExpr expr);
llvm::SmallVector<unsigned> symbolsIn(mlir::Type type);
/// Value for given symbol values; nothing where the arithmetic leaves 64 bits.
std::optional<int64_t> evaluate(mlir::AffineExpr expr, llvm::ArrayRef<int64_t> symbols);
/// "batch*12+1", with the module's names.
std::string toText(mlir::AffineExpr expr, llvm::ArrayRef<std::string> names);

struct Symbol {
  enum Origin { Input, Derived, Defined };
  /// How a derived symbol follows from `a` and `b`. Broadcast: a when b is 1, b when a is 1, else both must
  /// be equal. Sum: a + b, named so that what is calculated from it stays short.
  enum Rule { None, Min, Max, Broadcast, Sum };
  std::string name;
  int64_t lo = 0, hi = INT64_MAX; ///< inclusive range
  Origin origin = Input;
  Rule rule = None;
  mlir::AffineExpr a, b;
  // What `a` and `b` make of it.
  bool atRunTime = false; ///< its value is known only while the program runs
  /// Symbols written out when everything it is derived from is; 1 where it is known before the run, and so
  /// calculated once.
  unsigned weight = 1;
};

/// The symbols of a module, kept in its attribute `graph.symbols`: read from it on first use, and written to
/// it by `save` and at the latest when the table dies, which must be before the module does. Of several
/// tables of one module only one may add symbols at a time. Not thread-safe.
class SymbolTable {
public:
  explicit SymbolTable(mlir::ModuleOp module) : module(module), ctx(module.getContext()) {}
  ~SymbolTable() { save(); }
  SymbolTable(const SymbolTable &) = delete;
  SymbolTable &operator=(const SymbolTable &) = delete;
  size_t size() const { return all().size(); }
  const Symbol &operator[](unsigned index) const { return all()[index]; }
  const std::vector<std::string> &names() const { return all(), symbolNames; }
  /// Write what has changed to the module.
  void save();
  /// The symbol of this name bound from inputs, made on first use. Empty or "?" names make a new one each
  /// time.
  mlir::AffineExpr input(llvm::StringRef name, int64_t lo = 0, int64_t hi = INT64_MAX);
  /// A new symbol that the program defines.
  mlir::AffineExpr defined(llvm::StringRef name, int64_t lo = 0, int64_t hi = INT64_MAX);
  /// min, max and broadcast of two dimensions: folded where bounds decide, else a derived symbol (one for
  /// equal arguments). Oversized where that would be derived from too much.
  mlir::AffineExpr minimum(mlir::AffineExpr a, mlir::AffineExpr b);
  mlir::AffineExpr maximum(mlir::AffineExpr a, mlir::AffineExpr b);
  mlir::AffineExpr broadcast(mlir::AffineExpr a, mlir::AffineExpr b);
  /// The sum; a derived symbol where it has very many terms, all of them known before the run.
  mlir::AffineExpr total(llvm::ArrayRef<mlir::AffineExpr> terms);
  /// The expression with the terms of such symbols in their place; those of which terms consist stay.
  mlir::AffineExpr writtenOut(mlir::AffineExpr expr) const;
  /// Visit each symbol that the expression depends on, directly or through rules, once.
  void walk(mlir::AffineExpr expr, llvm::function_ref<void(unsigned)> visit) const;
  /// Interval bounds from the symbols' ranges (saturating).
  int64_t lowerBound(mlir::AffineExpr expr) const;
  int64_t upperBound(mlir::AffineExpr expr) const;
  /// Whether an expression, with all that its symbols are derived from, has more than `nodes` parts.
  bool isLongerThan(mlir::AffineExpr expr, size_t nodes) const;
  mlir::MLIRContext *context() const { return ctx; }

private:
  bool absorbs(mlir::AffineExpr size, mlir::AffineExpr other) const;
  mlir::AffineExpr derived(Symbol::Rule rule, mlir::AffineExpr a, mlir::AffineExpr b, int64_t lo, int64_t hi);
  mlir::AffineExpr add(Symbol symbol);
  std::pair<int64_t, int64_t> bounds(mlir::AffineExpr expr) const;
  const std::vector<Symbol> &all() const {
    if (!loaded)
      load();
    return symbols;
  }
  void load() const;
  void append(Symbol symbol) const;
  unsigned weightOf(mlir::AffineExpr expr) const;
  mlir::ModuleOp module;
  mlir::MLIRContext *ctx;
  bool changed = false;
  // What `load` fills.
  mutable bool loaded = false;
  mutable std::vector<Symbol> symbols;
  mutable std::vector<std::string> symbolNames;
  mutable llvm::StringMap<unsigned> inputs; ///< symbols bound from inputs, by name
  mutable llvm::DenseMap<std::pair<unsigned, std::pair<mlir::AffineExpr, mlir::AffineExpr>>, unsigned>
      derivedSymbols; ///< by rule and arguments
};

} // namespace tilewright

/// Sizes are not added and multiplied unchecked: these are better matches than AffineExpr's own operators,
/// which wrap around. For a const AffineExpr both match equally well and the compiler complains: copy it.
namespace mlir {
inline AffineExpr operator+(AffineExpr &a, AffineExpr b) { return tilewright::sum(a, b); }
inline AffineExpr operator+(AffineExpr &&a, AffineExpr b) { return tilewright::sum(a, b); }
inline AffineExpr operator+(const AffineExpr &a, AffineExpr b) = delete;
inline AffineExpr operator-(AffineExpr &a, AffineExpr b) { return tilewright::difference(a, b); }
inline AffineExpr operator-(AffineExpr &&a, AffineExpr b) { return tilewright::difference(a, b); }
inline AffineExpr operator-(const AffineExpr &a, AffineExpr b) = delete;
inline AffineExpr operator*(AffineExpr &a, AffineExpr b) { return tilewright::product(a, b); }
inline AffineExpr operator*(AffineExpr &&a, AffineExpr b) { return tilewright::product(a, b); }
inline AffineExpr operator*(const AffineExpr &a, AffineExpr b) = delete;
inline AffineExpr operator+(AffineExpr &a, int64_t b) { return a + getAffineConstantExpr(b, a.getContext()); }
inline AffineExpr operator+(AffineExpr &&a, int64_t b) {
  return a + getAffineConstantExpr(b, a.getContext());
}
inline AffineExpr operator+(const AffineExpr &a, int64_t b) = delete;
inline AffineExpr operator-(AffineExpr &a, int64_t b) { return a - getAffineConstantExpr(b, a.getContext()); }
inline AffineExpr operator-(AffineExpr &&a, int64_t b) {
  return a - getAffineConstantExpr(b, a.getContext());
}
inline AffineExpr operator-(const AffineExpr &a, int64_t b) = delete;
inline AffineExpr operator*(AffineExpr &a, int64_t b) { return a * getAffineConstantExpr(b, a.getContext()); }
inline AffineExpr operator*(AffineExpr &&a, int64_t b) {
  return a * getAffineConstantExpr(b, a.getContext());
}
inline AffineExpr operator*(const AffineExpr &a, int64_t b) = delete;
inline AffineExpr operator-(AffineExpr &a) { return a * -1; }
inline AffineExpr operator-(AffineExpr &&a) { return a * -1; }
inline AffineExpr operator-(const AffineExpr &a) = delete;
} // namespace mlir
