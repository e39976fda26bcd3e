#include "tests/compiler/Functions.h"
#include <cmath>

using namespace mlir;
using tilewright::graph::BinaryKind;
using tilewright::graph::UnaryKind;

namespace tilewright::tests {

//===- The functions ------------------------------------------------------------------------===//

namespace {
constexpr double infinity = HUGE_VAL, halfPi = M_PI_2;

template <class T> T sigmoid(T x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
template <class T> T sign(T x) { return std::isnan(x) ? x : T(x > 0) - T(x < 0); }
double logGamma(double x) {
  int sign;
  return lgamma_r(x, &sign);
}
long double logGamma(long double x) {
  int sign;
  return lgammal_r(x, &sign);
}

Function unary(UnaryKind kind, double (*reference)(double), long double (*wide)(long double), double bound,
               double wideBound, Monotone monotone = {}, double least = -infinity, double most = infinity) {
  return {graph::stringifyUnaryKind(kind).str(),
          [kind](GraphBuilder &g, Value x) { return g.unary(kind, x); },
          reference,
          wide,
          bound,
          wideBound,
          monotone,
          least,
          most};
}

template <int numerator, int denominator> double powerOf(double x) {
  return std::pow(x, double(numerator) / denominator);
}
template <int numerator, int denominator> long double widePowerOf(long double x) {
  return std::pow(x, (long double)numerator / denominator);
}
template <int numerator, int denominator = 1> Function power(double bound, double wideBound) {
  constexpr double exponent = double(numerator) / denominator;
  return {"x^" + std::to_string(exponent),
          [=](GraphBuilder &g, Value x) {
            return g.binary(BinaryKind::pow, x, g.broadcastTo(g.like(x, exponent), dimsOf(x)));
          },
          powerOf<numerator, denominator>,
          widePowerOf<numerator, denominator>,
          bound,
          wideBound};
}

// A function for both types of reference.
#define BOTH(expression)                                                                                     \
  [](double x) -> double { return expression; }, [](long double x) -> long double { return expression; }
} // namespace

const std::vector<Function> &allFunctions() {
  constexpr Monotone rises{1, -infinity, infinity};
  // Bounds of f32: what is one rounded operation, 0.5; what goes through the host's f64, a little more.
  constexpr double rounded = 0.5, host = 0.501;
  static const std::vector<Function> functions = {
      unary(UnaryKind::neg, BOTH(-x), rounded, rounded, {-1, -infinity, infinity}),
      unary(UnaryKind::abs, BOTH(std::fabs(x)), rounded, rounded, {1, 0, infinity}, 0),
      unary(UnaryKind::sign, BOTH(sign(x)), rounded, rounded, rises, -1, 1),
      unary(UnaryKind::floor, BOTH(std::floor(x)), rounded, rounded, rises),
      unary(UnaryKind::ceil, BOTH(std::ceil(x)), rounded, rounded, rises),
      unary(UnaryKind::round, BOTH(std::nearbyint(x)), rounded, rounded, rises),
      unary(UnaryKind::trunc, BOTH(std::trunc(x)), rounded, rounded, rises),
      unary(UnaryKind::sqrt, BOTH(std::sqrt(x)), rounded, rounded, {1, 0, infinity}, 0),
      unary(UnaryKind::rsqrt, BOTH(1 / std::sqrt(x)), 1.5, 1.5, {-1, 0, infinity}),
      unary(UnaryKind::reciprocal, BOTH(1 / x), rounded, rounded, {-1, 0, infinity}),
      unary(UnaryKind::exp, BOTH(std::exp(x)), 1.1, 1, rises, 0),
      unary(UnaryKind::expm1, BOTH(std::expm1(x)), 1.7, 1, rises, -1),
      unary(UnaryKind::log, BOTH(std::log(x)), 1, 1, {1, 0, infinity}),
      unary(UnaryKind::log1p, BOTH(std::log1p(x)), 1.5, 1, {1, -1, infinity}),
      unary(UnaryKind::tanh, BOTH(std::tanh(x)), 2.6, 3, rises, -1, 1),
      unary(UnaryKind::erf, BOTH(std::erf(x)), 3.6, 1, rises, -1, 1),
      unary(UnaryKind::sigmoid, BOTH(sigmoid(x)), 2.5, 2, rises, 0, 1),
      unary(UnaryKind::sin, BOTH(std::sin(x)), 1.6, 1, {1, -halfPi, halfPi}, -1, 1),
      unary(UnaryKind::cos, BOTH(std::cos(x)), 1.6, 1, {-1, 0, 2 * halfPi}, -1, 1),
      unary(UnaryKind::tan, BOTH(std::tan(x)), host, 1, {1, -1.57, 1.57}),
      unary(UnaryKind::asin, BOTH(std::asin(x)), host, 1, {1, -1, 1}, -1.5708, 1.5708),
      unary(UnaryKind::acos, BOTH(std::acos(x)), host, 1, {-1, -1, 1}, 0, 3.15),
      unary(UnaryKind::atan, BOTH(std::atan(x)), host, 1, rises, -1.5708, 1.5708),
      unary(UnaryKind::sinh, BOTH(std::sinh(x)), host, 3, rises),
      unary(UnaryKind::cosh, BOTH(std::cosh(x)), host, 3, {1, 0, infinity}, 1),
      unary(UnaryKind::asinh, BOTH(std::asinh(x)), host, 3, rises),
      unary(UnaryKind::acosh, BOTH(std::acosh(x)), host, 3, {1, 1, infinity}, 0),
      unary(UnaryKind::atanh, BOTH(std::atanh(x)), host, 3, {1, -1, 1}),
      unary(UnaryKind::lgamma, BOTH(logGamma(x)), host, 6, {1, 2, infinity}),
      power<0>(rounded, rounded),
      power<1>(rounded, rounded),
      power<2>(rounded, rounded),
      power<3>(1.5, 1.5),
      power<4>(2, 2),
      power<-1>(rounded, rounded),
      power<-2>(2, 2),
      power<1, 2>(rounded, rounded),
      power<-1, 2>(1.5, 1.5),
      power<5, 2>(host, 1),
      power<-3>(host, 1),
  };
  return functions;
}

static std::string hexadecimal(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.17g (%a)", value, value);
  return text;
}

//===- Arguments ----------------------------------------------------------------------------===//

namespace {
int64_t largestCode(Type type) { // infinity's
  return type.isF16() ? 0x7c00 : type.isBF16() ? 0x7f80 : type.isF32() ? 0x7f800000 : 0x7ff0000000000000;
}

/// Codes count from the lowest value up: negative ones are those of negative numbers.
void setOrdered(Tensor &tensor, int64_t index, int64_t order) {
  const unsigned bytes = interpreter::storedBytes(tensor.elementType);
  uint64_t code = order < 0 ? uint64_t(-order) | uint64_t(1) << (8 * bytes - 1) : uint64_t(order);
  std::memcpy(tensor.mutableData() + index * bytes, &code, bytes);
}

int64_t orderOf(const Tensor &tensor, int64_t index) {
  const unsigned bytes = interpreter::storedBytes(tensor.elementType);
  uint64_t code = 0, sign = uint64_t(1) << (8 * bytes - 1);
  std::memcpy(&code, tensor.data() + index * bytes, bytes);
  return code & sign ? -int64_t(code ^ sign) : int64_t(code);
}

constexpr uint64_t chunk = 1 << 16, neighbours = 64;
} // namespace

Sweep::Sweep(Type type) : type(type), end(2 * uint64_t(largestCode(type)) + 1) {
  const char *wanted = std::getenv("TILEWRIGHT_SWEEP_BITS");
  const unsigned bits = type.isF32() && wanted ? std::atoi(wanted) : 18;
  const unsigned width = type.getIntOrFloatBitWidth();
  gap = uint64_t(1) << (width > bits && width > 16 ? width - bits : 0);
}

Tensor Sweep::next() {
  llvm::SmallVector<int64_t, 0> orders;
  while (orders.size() < chunk && !atEnd()) {
    orders.push_back(int64_t(position - uint64_t(largestCode(type))));
    position += orders.size() % neighbours ? 1 : (gap - 1) * neighbours + 1;
  }
  Tensor result(type, {int64_t(orders.size())});
  for (auto [index, order] : llvm::enumerate(orders))
    setOrdered(result, int64_t(index), order);
  return result;
}

Tensor specialValues(Type type) {
  std::vector<double> values = {0,     1,      2,     0.5,   3,     1.5,   10,     100,   1e4,    1e-4,
                                1e-7,  0.25,   0.7,   4,     9,     20,    40,     87.4,  88.73,  89,
                                103.9, 104,    105,   709.7, 745.2, 1e9,   1e16,   1e18,  1e30,   3e38,
                                1e100, 1e300,  1e-30, 1e-40, 1e-44, 1e-60, 1e-310, M_PI,  halfPi, 0x1p44,
                                1e15,  6.2e-5, 3e-20, 9e-20, 5.5,   7,     2.5,    1e-20, 65504,  infinity};
  const int64_t most = largestCode(type), step = int64_t(1) << (type.isF64()   ? 52
                                                                : type.isF32() ? 23
                                                                : type.isF16() ? 10
                                                                               : 7);
  std::vector<int64_t> codes = {1, 2, step - 1, step, most - 1};
  const int64_t size = int64_t(2 * (values.size() + codes.size()) + 1);
  Tensor result(type, {size});
  int64_t i = 0;
  for (double value : values)
    for (double signedValue : {value, -value})
      result.setNumber(i++, signedValue);
  for (int64_t code : codes)
    for (int64_t order : {code, -code})
      setOrdered(result, i++, order);
  result.setNumber(i, NAN);
  return result;
}

Tensor part(const Tensor &tensor, int64_t count) { return tensor.section(0, {count}); }

std::pair<Tensor, Tensor> allPairs(const Tensor &values) {
  const int64_t size = values.size(), bytes = interpreter::storedBytes(values.elementType);
  Tensor lhs(values.elementType, {size * size}), rhs(values.elementType, {size * size});
  for (int64_t i = 0; i < size * size; ++i) {
    std::memcpy(lhs.mutableData() + i * bytes, values.data() + i / size * bytes, bytes);
    std::memcpy(rhs.mutableData() + i * bytes, values.data() + i % size * bytes, bytes);
  }
  return {lhs, rhs};
}

std::string differenceBeyond(int64_t steps, const Tensor &got, const Tensor &want) {
  for (int64_t i = 0; i < want.size(); ++i) {
    const double a = got.number(i), b = want.number(i);
    const bool same = std::isnan(b) ? std::isnan(a)
                                    : std::signbit(a) == std::signbit(b) &&
                                          std::abs(orderOf(got, i) - orderOf(want, i)) <= steps;
    if (!same)
      return "element " + std::to_string(i) + " is " + hexadecimal(a) + " instead of " + hexadecimal(b);
  }
  return "";
}

//===- Results ------------------------------------------------------------------------------===//

Checker::Checker(const Function &function, Type type)
    : function(function), elementType(type), formerX(NAN), formerResult(NAN) {
  digits = type.isF16() ? 11 : type.isBF16() ? 8 : type.isF32() ? 24 : 53;
  leastExponent = type.isF16() ? -24 : type.isBF16() ? -133 : type.isF32() ? -149 : -1074;
  mostExponent = type.isF16() ? 16 : type.isF64() ? 1024 : 128;
  // Narrow types round what f32 gives: its own error is a fraction of their half unit.
  allowed = type.isF64()   ? function.wideBound
            : type.isF32() ? function.bound
                           : 0.5 + function.bound * std::ldexp(1.0, digits - 24);
}

long double Checker::trueValue(double x) const {
  return elementType.isF64() ? function.wideReference(x) : function.reference(x);
}

/// In units in the last place. Infinity stands for the power of two that is the first to be too large.
double Checker::errorOf(double result, long double truth) const {
  if (std::isnan(truth) || std::isnan(result))
    return std::isnan(truth) && std::isnan(result) ? 0 : infinity;
  if (std::isinf(truth))
    return result == double(truth) ? 0 : infinity;
  const long double beyond = std::ldexp(1.0L, mostExponent);
  auto finite = [&](long double v) { return std::min(std::max(v, -beyond), beyond); };
  int exponent;
  std::frexp(std::min(std::fabs(truth), std::ldexp(1.0L, mostExponent - 1)), &exponent);
  const long double unit = std::ldexp(1.0L, std::max(exponent - digits, leastExponent));
  return double(std::fabs(finite(result) - finite(truth)) / unit);
}

void Checker::add(double x, double result, const char *what) {
  if (report.size() < 1000)
    report += function.name + "(" + hexadecimal(x) + ") is " + hexadecimal(result) + " instead of " +
              hexadecimal(double(trueValue(x))) + ": " + what + "\n";
}

void Checker::checkOrder(double x, double result) {
  const Monotone &m = function.monotone;
  if (m.direction && formerX >= m.from && x <= m.to && m.direction * (result - formerResult) < 0) {
    ++unordered;
    add(x, result, ("not monotone after " + hexadecimal(formerResult)).c_str());
  }
  formerX = x;
  formerResult = result;
}

void Checker::check(const Tensor &inputs, const Tensor &results) {
  const llvm::SmallVector<double> xs = inputs.numbers(), ys = results.numbers();
  for (auto [x, y] : llvm::zip(xs, ys)) {
    const double error = errorOf(y, trueValue(x));
    if (error > worst) {
      worst = error;
      worstAt = x;
    }
    if (!(error <= allowed))
      add(x, y, "beyond the bound");
    if (y < function.least || y > function.most)
      add(x, y, "outside the range");
    checkOrder(x, y);
  }
  count += int64_t(xs.size());
}

std::string Checker::summary() const {
  return function.name + ": " + std::to_string(count) + " values, at most " + std::to_string(worst) +
         " units in the last place (at " + hexadecimal(worstAt) + "), " + std::to_string(unordered) +
         " out of order";
}

std::string Checker::differenceFromRounded(const Tensor &inputs, const Tensor &results) const {
  Tensor expected(elementType, inputs.shape);
  for (int64_t i = 0; i < inputs.size(); ++i) {
    // References are of double; where f64's is of long double, the interpreter's may be a unit off.
    const double truth =
        elementType.isF64() ? function.reference(inputs.number(i)) : double(trueValue(inputs.number(i)));
    expected.setNumber(i, truth);
    if (results.number(i) != expected.number(i) && !(std::isnan(truth) && std::isnan(results.number(i))))
      return function.name + "(" + hexadecimal(inputs.number(i)) + ") is " + hexadecimal(results.number(i)) +
             " instead of " + hexadecimal(expected.number(i));
  }
  return "";
}

std::string Checker::differenceWhereExact(const Tensor &inputs, const Tensor &results) const {
  for (int64_t i = 0; i < inputs.size(); ++i) {
    const double x = inputs.number(i), result = results.number(i);
    const long double truth = trueValue(x);
    Tensor rounded(elementType, {1});
    rounded.setNumber(0, double(truth));
    const bool isWrong =
        std::isnan(truth)
            ? !std::isnan(result)
            : rounded.number(0) == truth && (result != truth || std::signbit(result) != std::signbit(truth));
    if (isWrong)
      return function.name + "(" + hexadecimal(x) + ") is " + hexadecimal(result) + " instead of " +
             hexadecimal(double(truth));
  }
  return "";
}

} // namespace tilewright::tests
