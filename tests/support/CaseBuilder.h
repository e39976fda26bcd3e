/// CaseBuilder.h - (internal to GraphGenerator) one case in the making: random choices, inputs with data,
/// chains around the op.
#pragma once
#include "tests/support/GraphGenerator.h"
#include "tests/support/GraphProgram.h"
#include <random>

namespace tilewright::tests {

/// Sizes of a value, as expressions and for this case's inputs.
struct Sized {
  Dims dims;
  interpreter::Shape shape;
  int64_t rank() const { return int64_t(shape.size()); }
};

/// What random elements are drawn from. `specials` adds NaN, infinities and zeros of both signs to floats.
struct Range {
  double low = -4, high = 4;
  bool specials = false;
};

class CaseBuilder {
public:
  CaseBuilder(mlir::MLIRContext &context, uint64_t seed) : p(context), random(seed), dynamic(chance(40)) {}

  GraphProgram p;
  llvm::SmallVector<interpreter::Tensor> inputs;
  bool exact = true;
  uint64_t turn = 0; ///< counts up from case to case: kinds that are taken in turn all occur

  // Choices.
  int64_t below(int64_t count) { return int64_t(random() % uint64_t(count)); }
  int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
  bool chance(int percent) { return below(100) < percent; }
  template <typename T> T pick(std::initializer_list<T> list) {
    return list.begin()[below(int64_t(list.size()))];
  }
  llvm::SmallVector<int64_t> permutation(int64_t rank);
  mlir::Type anyFloat() { return p.type(pick({"f32", "f32", "f32", "f16", "bf16", "f64"})); }
  mlir::Type anyInteger() {
    return p.type(pick({"si8", "ui8", "si16", "ui16", "si32", "ui32", "si64", "ui64"}));
  }
  mlir::Type anyNumber() { return chance(65) ? anyFloat() : anyInteger(); }
  /// For ops that only move: also bool and 8-bit floats.
  mlir::Type anyType() { return chance(85) ? anyNumber() : p.type(pick({"i1", "f8E4M3FN", "f8E5M2"})); }

  // Shapes.
  /// 0 seldom, 1 often, else odd, even or large.
  int64_t size(bool mayBeEmpty = true);
  Sized sized(llvm::ArrayRef<int64_t> shape);
  Sized anyShape(int64_t minRank, int64_t maxRank, bool mayBeEmpty = true);
  /// An expression for `value`: in dynamic cases often a new symbol.
  mlir::AffineExpr dimension(int64_t value);
  static Sized permuted(const Sized &from, llvm::ArrayRef<int64_t> perm);
  static Sized without(const Sized &from, int64_t axis);

  // Values.
  mlir::Value input(const Sized &like, mlir::Type type, Range range = {});
  mlir::Value input(interpreter::Tensor tensor, llvm::ArrayRef<mlir::AffineExpr> dims);
  /// An input, or one behind a transpose, broadcast, slice, or ops that are exact (neg, abs, max).
  mlir::Value operand(const Sized &like, mlir::Type type, Range range = {});
  /// Indices for an axis of `size` elements, some negative. `size` must not be 0 unless there are none.
  mlir::Value indices(const Sized &like, int64_t size);
  /// Shape of a value of this case, for chains behind the op.
  mlir::Value epilogue(mlir::Value value);
  /// The value is the result of inexact float arithmetic.
  mlir::Value rounded(mlir::Value value);

private:
  double draw(const Range &range, bool isFloatType);
  mlir::Value behindMovement(const Sized &like, mlir::Type type, Range range);
  mlir::Value exactSteps(mlir::Value value);
  std::mt19937_64 random;
  bool dynamic;
  llvm::DenseSet<mlir::AffineExpr> shown; ///< dimensions of the inputs so far
};

/// Build the op's case; the results of @main.
using CaseFunction = llvm::SmallVector<mlir::Value> (*)(CaseBuilder &);
struct CaseFamily {
  llvm::StringRef op;
  CaseFunction build;
};
llvm::ArrayRef<CaseFamily> elementwiseCases(); ///< leaves and element-wise ops
llvm::ArrayRef<CaseFamily> movementCases();    ///< movement, gather, scatter, compact
llvm::ArrayRef<CaseFamily> reductionCases();   ///< reductions, contractions
llvm::ArrayRef<CaseFamily> controlCases();     ///< if, loop

} // namespace tilewright::tests
