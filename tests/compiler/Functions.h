/// Functions.h - what elementary functions should be, and how far compiled code may be from it.
#pragma once
#include "tests/compiler/Support.h"
#include "tests/support/GraphProgram.h"
#include <functional>
#include <string>

namespace tilewright::tests {

/// Where and how a function is monotone: 1 rises, -1 falls, 0 nowhere of interest.
struct Monotone {
  int direction = 0;
  double from = 0, to = 0;
};

struct Function {
  std::string name;
  std::function<mlir::Value(GraphBuilder &, mlir::Value)> build;
  double (*reference)(double);
  long double (*wideReference)(long double); ///< for f64
  double bound;                              ///< of f32, in units in the last place
  double wideBound;                          ///< of f64
  Monotone monotone = {};
  double least = -HUGE_VAL, most = HUGE_VAL; ///< its range
};

/// All kinds of graph.unary that are functions of floats, by their names, and powers with known exponents.
const std::vector<Function> &allFunctions();

/// Values of a float type in rising order: all where they are few, else short runs of neighbours with gaps
/// between.
class Sweep {
public:
  explicit Sweep(mlir::Type type);
  bool atEnd() const { return position >= end; }
  Tensor next();

private:
  mlir::Type type;
  uint64_t position = 0, end, gap; ///< 0 is the lowest value
};

/// Zeros, ones, limits, subnormal numbers, infinities, NaN, where results overflow or vanish, large
/// arguments.
Tensor specialValues(mlir::Type type);
Tensor part(const Tensor &tensor, int64_t count);
/// Every value with every other.
std::pair<Tensor, Tensor> allPairs(const Tensor &values);

/// Any element that is more than `steps` floats from the expected one, or another zero; or "".
std::string differenceBeyond(int64_t steps, const Tensor &got, const Tensor &want);

/// Compares results with the true values; remembers the worst.
class Checker {
public:
  Checker(const Function &function, mlir::Type type);
  mlir::Type type() const { return elementType; }

  void check(const Tensor &inputs, const Tensor &results);
  /// The first few, a line each; or "".
  std::string problems() const { return report; }
  std::string summary() const;

  /// Any result that is not the true value, rounded; or "".
  std::string differenceFromRounded(const Tensor &inputs, const Tensor &results) const;
  /// Any result, also by its sign, other than a true value that is a float; or "".
  std::string differenceWhereExact(const Tensor &inputs, const Tensor &results) const;

private:
  long double trueValue(double x) const;
  double errorOf(double result, long double truth) const;
  void checkOrder(double x, double result);
  void add(double x, double result, const char *what);

  const Function &function;
  mlir::Type elementType;
  int digits, leastExponent, mostExponent;
  double allowed, worst = 0, worstAt = 0, formerX, formerResult;
  int64_t count = 0, unordered = 0;
  std::string report;
};

} // namespace tilewright::tests
