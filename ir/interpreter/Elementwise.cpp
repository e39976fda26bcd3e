/// Elementwise.cpp - one value in, one value out. Floats go through blocks of doubles, integers through
/// blocks of int64.
#include "ir/interpreter/Elements.h"
#include "ir/interpreter/Evaluation.h"
#include <algorithm>
#include <cmath>
#include <limits>

using namespace mlir;
using tilewright::graph::BinaryKind;
using tilewright::graph::CompareKind;
using tilewright::graph::UnaryKind;

namespace tilewright::interpreter {

//===- Blocks ----------------------------------------------------------------------===//

namespace {
/// Functions on whole blocks: the kind is dispatched once an op, not once an element.
using FloatMap = void (*)(double *, int64_t);
using FloatPair = void (*)(double *, const double *, int64_t);
using IntegerMap = void (*)(int64_t *, int64_t);
using IntegerPair = void (*)(int64_t *, const int64_t *, int64_t);

template <auto function, typename T> void mapBlock(T *values, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    values[i] = function(values[i]);
}
template <auto function, typename T> void pairBlock(T *lhs, const T *rhs, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    lhs[i] = function(lhs[i], rhs[i]);
}
template <auto function> constexpr FloatMap floatMap = mapBlock<function, double>;
template <auto function> constexpr IntegerMap integerMap = mapBlock<function, int64_t>;
template <auto function> constexpr FloatPair floatPair = pairBlock<function, double>;
template <auto function> constexpr IntegerPair integerPair = pairBlock<function, int64_t>;

void read(const Tensor &tensor, int64_t start, int64_t count, double *block) {
  readNumbers(tensor.elementType, tensor.data() + start * storedBytes(tensor.elementType), count, block);
}
void read(const Tensor &tensor, int64_t start, int64_t count, int64_t *block) {
  readIntegers(tensor.elementType, tensor.data() + start * storedBytes(tensor.elementType), count, block);
}
void write(Tensor &tensor, int64_t start, int64_t count, const double *block, bool saturate = false) {
  writeNumbers(tensor.elementType, block, count,
               tensor.mutableData() + start * storedBytes(tensor.elementType), saturate);
}
void write(Tensor &tensor, int64_t start, int64_t count, const int64_t *block) {
  writeIntegers(tensor.elementType, block, count,
                tensor.mutableData() + start * storedBytes(tensor.elementType));
}

template <typename Function> void forBlocks(int64_t count, Function function) {
  for (int64_t start = 0; start < count; start += blockSize)
    function(start, std::min(blockSize, count - start));
}

template <typename T> void applyMap(const Tensor &operand, Tensor &result, void (*map)(T *, int64_t)) {
  forBlocks(result.size(), [&](int64_t start, int64_t count) {
    T block[blockSize];
    read(operand, start, count, block);
    map(block, count);
    write(result, start, count, block);
  });
}

template <typename T>
void applyPair(const Tensor &lhs, const Tensor &rhs, Tensor &result, void (*map)(T *, const T *, int64_t)) {
  forBlocks(result.size(), [&](int64_t start, int64_t count) {
    T left[blockSize], right[blockSize];
    read(lhs, start, count, left);
    read(rhs, start, count, right);
    map(left, right, count);
    write(result, start, count, left);
  });
}
} // namespace

/// The result, once every operand is known to have its shape.
static Outcome sameShapeResult(const Evaluation &e) {
  auto result = e.makeResult();
  if (!result)
    return result;
  for (const Tensor &operand : e.operands)
    if (llvm::Error error = e.requireShape("an operand", operand.shape, result->shape))
      return std::move(error);
  return result;
}

//===- Unary -----------------------------------------------------------------------===//

static double signOf(double x) { return std::isnan(x) ? x : double(x > 0) - double(x < 0); }
static double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
static double logGamma(double x) {
  int sign;
  return lgamma_r(x, &sign);
}
static int64_t wrappingNegate(int64_t x) { return int64_t(-uint64_t(x)); }

static FloatMap floatFunction(UnaryKind kind) {
  switch (kind) {
  case UnaryKind::neg:
    return floatMap<[](double x) { return -x; }>;
  case UnaryKind::abs:
    return floatMap<[](double x) { return std::fabs(x); }>;
  case UnaryKind::sign:
    return floatMap<signOf>;
  case UnaryKind::sqrt:
    return floatMap<[](double x) { return std::sqrt(x); }>;
  case UnaryKind::rsqrt:
    return floatMap<[](double x) { return 1 / std::sqrt(x); }>;
  case UnaryKind::reciprocal:
    return floatMap<[](double x) { return 1 / x; }>;
  case UnaryKind::floor:
    return floatMap<[](double x) { return std::floor(x); }>;
  case UnaryKind::ceil:
    return floatMap<[](double x) { return std::ceil(x); }>;
  case UnaryKind::round:
    return floatMap<[](double x) { return std::nearbyint(x); }>;
  case UnaryKind::trunc:
    return floatMap<[](double x) { return std::trunc(x); }>;
  case UnaryKind::sigmoid:
    return floatMap<sigmoid>;
  case UnaryKind::lgamma:
    return floatMap<logGamma>;
  default:
    return nullptr;
  }
}

static FloatMap transcendental(UnaryKind kind) {
  switch (kind) {
  case UnaryKind::exp:
    return floatMap<[](double x) { return std::exp(x); }>;
  case UnaryKind::expm1:
    return floatMap<[](double x) { return std::expm1(x); }>;
  case UnaryKind::log:
    return floatMap<[](double x) { return std::log(x); }>;
  case UnaryKind::log1p:
    return floatMap<[](double x) { return std::log1p(x); }>;
  case UnaryKind::sin:
    return floatMap<[](double x) { return std::sin(x); }>;
  case UnaryKind::cos:
    return floatMap<[](double x) { return std::cos(x); }>;
  case UnaryKind::tan:
    return floatMap<[](double x) { return std::tan(x); }>;
  case UnaryKind::asin:
    return floatMap<[](double x) { return std::asin(x); }>;
  case UnaryKind::acos:
    return floatMap<[](double x) { return std::acos(x); }>;
  case UnaryKind::atan:
    return floatMap<[](double x) { return std::atan(x); }>;
  default:
    return nullptr;
  }
}

static FloatMap hyperbolic(UnaryKind kind) {
  switch (kind) {
  case UnaryKind::sinh:
    return floatMap<[](double x) { return std::sinh(x); }>;
  case UnaryKind::cosh:
    return floatMap<[](double x) { return std::cosh(x); }>;
  case UnaryKind::tanh:
    return floatMap<[](double x) { return std::tanh(x); }>;
  case UnaryKind::asinh:
    return floatMap<[](double x) { return std::asinh(x); }>;
  case UnaryKind::acosh:
    return floatMap<[](double x) { return std::acosh(x); }>;
  case UnaryKind::atanh:
    return floatMap<[](double x) { return std::atanh(x); }>;
  case UnaryKind::erf:
    return floatMap<[](double x) { return std::erf(x); }>;
  default:
    return nullptr;
  }
}

/// Integers know neg, abs, sign, bitnot; rounding leaves them as they are.
static IntegerMap integerFunction(UnaryKind kind, bool isUnsignedType) {
  switch (kind) {
  case UnaryKind::neg:
    return integerMap<wrappingNegate>;
  case UnaryKind::abs:
    return isUnsignedType ? integerMap<[](int64_t x) { return x; }>
                          : integerMap<[](int64_t x) { return x < 0 ? wrappingNegate(x) : x; }>;
  case UnaryKind::sign:
    return isUnsignedType ? integerMap<[](int64_t x) { return int64_t(x != 0); }>
                          : integerMap<[](int64_t x) { return int64_t(x > 0) - int64_t(x < 0); }>;
  case UnaryKind::bitnot:
    return integerMap<[](int64_t x) { return ~x; }>;
  case UnaryKind::floor:
  case UnaryKind::ceil:
  case UnaryKind::round:
  case UnaryKind::trunc:
    return integerMap<[](int64_t x) { return x; }>;
  default:
    return nullptr;
  }
}

static Tensor classify(const Tensor &operand, Tensor result, bool wantNaN) {
  forBlocks(result.size(), [&](int64_t start, int64_t count) {
    double block[blockSize];
    read(operand, start, count, block);
    for (int64_t i = 0; i < count; ++i)
      result.mutableData()[start + i] = std::byte(wantNaN ? std::isnan(block[i]) : std::isinf(block[i]));
  });
  return result;
}

Outcome run(graph::UnaryOp op, const Evaluation &e) {
  auto result = sameShapeResult(e);
  if (!result)
    return result;
  const Tensor &operand = e.operand(0);
  UnaryKind kind = op.getKind();
  if (kind == UnaryKind::isnan || kind == UnaryKind::isinf)
    return classify(operand, *result, kind == UnaryKind::isnan);
  if (isFloat(operand.elementType)) {
    FloatMap map = floatFunction(kind);
    map = map ? map : transcendental(kind);
    map = map ? map : hyperbolic(kind);
    if (!map)
      return e.fail(Failure::Unsupported, graph::stringifyUnaryKind(kind) + " is not defined for floats");
    applyMap(operand, *result, map);
    return result;
  }
  IntegerMap map = integerFunction(kind, isUnsigned(operand.elementType));
  if (!map)
    return e.fail(Failure::Unsupported, graph::stringifyUnaryKind(kind) + " is not defined for integers");
  applyMap(operand, *result, map);
  return result;
}

//===- Binary ----------------------------------------------------------------------===//

static double pythonMod(double x, double y) {
  double rest = std::fmod(x, y);
  if (rest != 0 && (rest < 0) != (y < 0))
    rest += y;
  return rest == 0 ? std::copysign(0.0, y) : rest;
}
static double propagatingMin(double x, double y) { return std::isnan(x) || x < y ? x : y; }
static double propagatingMax(double x, double y) { return std::isnan(x) || x > y ? x : y; }

static FloatPair floatFunction(BinaryKind kind) {
  switch (kind) {
  case BinaryKind::add:
    return floatPair<[](double x, double y) { return x + y; }>;
  case BinaryKind::sub:
    return floatPair<[](double x, double y) { return x - y; }>;
  case BinaryKind::mul:
    return floatPair<[](double x, double y) { return x * y; }>;
  case BinaryKind::div:
    return floatPair<[](double x, double y) { return x / y; }>;
  case BinaryKind::rem:
    return floatPair<[](double x, double y) { return std::fmod(x, y); }>;
  case BinaryKind::mod:
    return floatPair<pythonMod>;
  case BinaryKind::pow:
    return floatPair<[](double x, double y) { return std::pow(x, y); }>;
  case BinaryKind::min:
    return floatPair<propagatingMin>;
  case BinaryKind::max:
    return floatPair<propagatingMax>;
  case BinaryKind::atan2:
    return floatPair<[](double x, double y) { return std::atan2(x, y); }>;
  default:
    return nullptr;
  }
}

// Values arrive sign- or zero-extended, so 64-bit arithmetic is exact modulo the width, except where signs
// matter.
static int64_t signedDivide(int64_t x, int64_t y) { return y == -1 ? wrappingNegate(x) : x / y; }
static int64_t signedRemainder(int64_t x, int64_t y) { return y == -1 ? 0 : x % y; }
static int64_t signedMod(int64_t x, int64_t y) {
  int64_t rest = signedRemainder(x, y);
  return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}
static int64_t unsignedDivide(int64_t x, int64_t y) { return int64_t(uint64_t(x) / uint64_t(y)); }
static int64_t unsignedRemainder(int64_t x, int64_t y) { return int64_t(uint64_t(x) % uint64_t(y)); }
static int64_t wrappingPower(int64_t x, uint64_t exponent) {
  uint64_t result = 1, factor = uint64_t(x);
  for (; exponent; exponent >>= 1, factor *= factor)
    if (exponent & 1)
      result *= factor;
  return int64_t(result);
}
/// Negative exponents give 1 / x^n truncated, so 0 except for 1 and -1.
static int64_t signedPower(int64_t x, int64_t y) {
  if (y >= 0)
    return wrappingPower(x, uint64_t(y));
  return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
}

static IntegerPair commonFunction(BinaryKind kind) {
  switch (kind) {
  case BinaryKind::add:
    return integerPair<[](int64_t x, int64_t y) { return int64_t(uint64_t(x) + uint64_t(y)); }>;
  case BinaryKind::sub:
    return integerPair<[](int64_t x, int64_t y) { return int64_t(uint64_t(x) - uint64_t(y)); }>;
  case BinaryKind::mul:
    return integerPair<[](int64_t x, int64_t y) { return int64_t(uint64_t(x) * uint64_t(y)); }>;
  case BinaryKind::iand:
    return integerPair<[](int64_t x, int64_t y) { return x & y; }>;
  case BinaryKind::ior:
    return integerPair<[](int64_t x, int64_t y) { return x | y; }>;
  case BinaryKind::ixor:
    return integerPair<[](int64_t x, int64_t y) { return x ^ y; }>;
  default:
    return nullptr;
  }
}

static IntegerPair signedFunction(BinaryKind kind) {
  switch (kind) {
  case BinaryKind::div:
    return integerPair<signedDivide>;
  case BinaryKind::rem:
    return integerPair<signedRemainder>;
  case BinaryKind::mod:
    return integerPair<signedMod>;
  case BinaryKind::pow:
    return integerPair<signedPower>;
  case BinaryKind::min:
    return integerPair<[](int64_t x, int64_t y) { return std::min(x, y); }>;
  case BinaryKind::max:
    return integerPair<[](int64_t x, int64_t y) { return std::max(x, y); }>;
  default:
    return nullptr;
  }
}

static IntegerPair unsignedFunction(BinaryKind kind) {
  switch (kind) {
  case BinaryKind::div:
    return integerPair<unsignedDivide>;
  case BinaryKind::rem:
  case BinaryKind::mod:
    return integerPair<unsignedRemainder>;
  case BinaryKind::pow:
    return integerPair<[](int64_t x, int64_t y) { return wrappingPower(x, uint64_t(y)); }>;
  case BinaryKind::min:
    return integerPair<[](int64_t x, int64_t y) { return int64_t(std::min<uint64_t>(x, y)); }>;
  case BinaryKind::max:
    return integerPair<[](int64_t x, int64_t y) { return int64_t(std::max<uint64_t>(x, y)); }>;
  default:
    return nullptr;
  }
}

/// Shift amounts are unsigned; from the width on, everything is shifted out.
static Tensor shift(BinaryKind kind, const Tensor &lhs, const Tensor &rhs, Tensor result) {
  unsigned width = lhs.elementType.getIntOrFloatBitWidth();
  bool logical = isUnsigned(lhs.elementType);
  forBlocks(result.size(), [&](int64_t start, int64_t count) {
    int64_t left[blockSize], right[blockSize];
    read(lhs, start, count, left);
    read(rhs, start, count, right);
    for (int64_t i = 0; i < count; ++i) {
      bool out = uint64_t(right[i]) >= width;
      if (kind == BinaryKind::shl)
        left[i] = out ? 0 : int64_t(uint64_t(left[i]) << right[i]);
      else if (logical)
        left[i] = out ? 0 : int64_t(uint64_t(left[i]) >> right[i]);
      else
        left[i] = left[i] >> (out ? 63 : right[i]);
    }
    write(result, start, count, left);
  });
  return result;
}

static bool hasZero(const Tensor &tensor) {
  for (int64_t start = 0, count = tensor.size(); start < count; start += blockSize) {
    int64_t block[blockSize], run = std::min(blockSize, count - start);
    read(tensor, start, run, block);
    if (std::find(block, block + run, 0) != block + run)
      return true;
  }
  return false;
}

Outcome run(graph::BinaryOp op, const Evaluation &e) {
  auto result = sameShapeResult(e);
  if (!result)
    return result;
  Type type = e.operand(0).elementType;
  BinaryKind kind = op.getKind();
  if (isFloat(type)) {
    FloatPair map = floatFunction(kind);
    if (!map)
      return e.fail(Failure::Unsupported, graph::stringifyBinaryKind(kind) + " is not defined for floats");
    applyPair(e.operand(0), e.operand(1), *result, map);
    return result;
  }
  if (kind == BinaryKind::shl || kind == BinaryKind::shr)
    return shift(kind, e.operand(0), e.operand(1), *result);
  const bool divides = kind == BinaryKind::div || kind == BinaryKind::rem || kind == BinaryKind::mod;
  if (divides && hasZero(e.operand(1)))
    return e.fail(Failure::Division, "integer division by zero");
  IntegerPair map = commonFunction(kind);
  if (!map)
    map = isUnsigned(type) ? unsignedFunction(kind) : signedFunction(kind);
  if (!map)
    return e.fail(Failure::Unsupported, graph::stringifyBinaryKind(kind) + " is not defined for integers");
  applyPair(e.operand(0), e.operand(1), *result, map);
  return result;
}

//===- Compare, select ----------------------------------------------------------------===//

template <typename T> static bool holds(CompareKind kind, T x, T y) {
  switch (kind) {
  case CompareKind::eq:
    return x == y;
  case CompareKind::ne:
    return x != y;
  case CompareKind::lt:
    return x < y;
  case CompareKind::le:
    return x <= y;
  case CompareKind::gt:
    return x > y;
  case CompareKind::ge:
    return x >= y;
  }
  llvm_unreachable("all kinds are handled");
}

template <typename T>
static Tensor compareAll(CompareKind kind, const Tensor &lhs, const Tensor &rhs, Tensor result) {
  forBlocks(result.size(), [&](int64_t start, int64_t count) {
    T left[blockSize], right[blockSize];
    read(lhs, start, count, left);
    read(rhs, start, count, right);
    for (int64_t i = 0; i < count; ++i) {
      if constexpr (std::is_same_v<T, int64_t>) {
        left[i] = orderKey(lhs.elementType, left[i]);
        right[i] = orderKey(lhs.elementType, right[i]);
      }
      result.mutableData()[start + i] = std::byte(holds(kind, left[i], right[i]));
    }
  });
  return result;
}

Outcome run(graph::CompareOp op, const Evaluation &e) {
  auto result = sameShapeResult(e);
  if (!result)
    return result;
  if (isFloat(e.operand(0).elementType))
    return compareAll<double>(op.getKind(), e.operand(0), e.operand(1), *result);
  return compareAll<int64_t>(op.getKind(), e.operand(0), e.operand(1), *result);
}

Outcome run(graph::SelectOp op, const Evaluation &e) {
  auto result = sameShapeResult(e);
  if (!result)
    return result;
  unsigned step = storedBytes(result->elementType);
  for (int64_t i = 0, count = result->size(); i < count; ++i) {
    const Tensor &chosen = e.operand(std::to_integer<int>(e.operand(0).data()[i]) & 1 ? 1 : 2);
    std::memcpy(result->mutableData() + i * step, chosen.data() + i * step, step);
  }
  return result;
}

//===- Conversions ------------------------------------------------------------------===//

static void castFloats(const Tensor &operand, Tensor &result, bool saturate) {
  bool toBool = result.elementType.isInteger(1);
  forBlocks(result.size(), [&](int64_t start, int64_t count) {
    double block[blockSize];
    read(operand, start, count, block);
    if (toBool)
      for (int64_t i = 0; i < count; ++i)
        block[i] = block[i] != 0;
    write(result, start, count, block, saturate);
  });
}

static void castIntegers(const Tensor &operand, Tensor &result, bool saturate) {
  bool toBool = result.elementType.isInteger(1);
  bool toFloat = isFloat(result.elementType), sticky = !result.elementType.isF64();
  forBlocks(result.size(), [&](int64_t start, int64_t count) {
    int64_t block[blockSize];
    read(operand, start, count, block);
    if (toFloat) {
      double numbers[blockSize];
      integersToDoubles(operand.elementType, block, count, sticky, numbers);
      return write(result, start, count, numbers, saturate);
    }
    if (toBool)
      for (int64_t i = 0; i < count; ++i)
        block[i] = block[i] != 0;
    write(result, start, count, block);
  });
}

Outcome run(graph::CastOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0);
  if (operand.elementType == e.resultElement())
    return operand;
  auto result = sameShapeResult(e);
  if (!result)
    return result;
  if (isFloat(operand.elementType))
    castFloats(operand, *result, op.getSaturate());
  else
    castIntegers(operand, *result, op.getSaturate());
  return result;
}

Outcome run(graph::BitcastOp op, const Evaluation &e) {
  const Tensor &operand = e.operand(0);
  Type type = e.resultElement();
  if (type.getIntOrFloatBitWidth() >= 8)
    return operand.retyped(type);
  auto result = sameShapeResult(e); // below a byte the stored forms differ: si4 is sign-extended
  if (!result)
    return result;
  unsigned mask = (1u << type.getIntOrFloatBitWidth()) - 1;
  for (int64_t i = 0, count = result->size(); i < count; ++i) {
    int64_t low = std::to_integer<unsigned>(operand.data()[i]) & mask;
    if (isFloat(type))
      result->mutableData()[i] = std::byte(low);
    else
      result->setInteger(i, low);
  }
  return result;
}

} // namespace tilewright::interpreter
