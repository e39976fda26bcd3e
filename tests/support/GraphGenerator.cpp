#include "tests/support/GraphGenerator.h"
#include "tests/support/CaseBuilder.h"
#include <cmath>
#include <limits>
#include <numeric>

using namespace mlir;
using tilewright::interpreter::Shape;
using tilewright::interpreter::Tensor;

namespace tilewright::tests {

//===- Choices -------------------------------------------------------------------------===//

llvm::SmallVector<int64_t> CaseBuilder::permutation(int64_t rank) {
  auto perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  for (int64_t i = rank - 1; i > 0; --i)
    std::swap(perm[i], perm[below(i + 1)]);
  return perm;
}

int64_t CaseBuilder::size(bool mayBeEmpty) {
  if (mayBeEmpty && chance(3))
    return 0;
  if (chance(15))
    return 1;
  return chance(12) ? pick<int64_t>({48, 64, 65, 100, 129})
                    : pick<int64_t>({2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 31, 32, 33});
}

AffineExpr CaseBuilder::dimension(int64_t value) {
  if (!dynamic || chance(40))
    return p.g.dim(value);
  return p.symbols.input("d" + std::to_string(p.symbols.size()), value == 0 ? 0 : 1, 4096);
}

Sized CaseBuilder::sized(llvm::ArrayRef<int64_t> shape) {
  Sized result;
  for (int64_t value : shape) {
    result.dims.push_back(dimension(value));
    result.shape.push_back(value);
  }
  return result;
}

Sized CaseBuilder::anyShape(int64_t minRank, int64_t maxRank, bool mayBeEmpty) {
  constexpr int64_t limit = 30000; // elements: cases stay quick
  Shape shape;
  for (int64_t i = between(minRank, maxRank); i > 0; --i) {
    int64_t value = size(mayBeEmpty);
    shape.push_back(interpreter::elementCount(shape) * value > limit ? 2 : value);
  }
  return sized(shape);
}

Sized CaseBuilder::permuted(const Sized &from, llvm::ArrayRef<int64_t> perm) {
  Sized result;
  for (int64_t dim : perm) {
    result.dims.push_back(from.dims[dim]);
    result.shape.push_back(from.shape[dim]);
  }
  return result;
}

Sized CaseBuilder::without(const Sized &from, int64_t axis) {
  Sized result = from;
  result.dims.erase(result.dims.begin() + axis);
  result.shape.erase(result.shape.begin() + axis);
  return result;
}

//===- Values --------------------------------------------------------------------------===//

double CaseBuilder::draw(const Range &range, bool isFloatType) {
  if (!isFloatType)
    return double(between(int64_t(std::ceil(range.low)), int64_t(std::floor(range.high))));
  if (range.specials && chance(10))
    return pick({std::numeric_limits<double>::quiet_NaN(), HUGE_VAL, -HUGE_VAL, 0.0, -0.0});
  return range.low + (range.high - range.low) * double(below(1 << 20)) / (1 << 20);
}

Value CaseBuilder::input(Tensor tensor, llvm::ArrayRef<AffineExpr> dims) {
  Value value = p.input(dims, tensor.elementType);
  inputs.push_back(std::move(tensor));
  shown.insert(dims.begin(), dims.end());
  return value;
}

Value CaseBuilder::input(const Sized &like, Type type, Range range) {
  Tensor tensor(type, like.shape);
  if (interpreter::isUnsigned(type) && range.low < 0)
    range.low = 0;
  if (type.isInteger(1))
    range = {0, 1};
  for (int64_t i = 0; i < tensor.size(); ++i)
    tensor.setNumber(i, draw(range, interpreter::isFloat(type)));
  return input(std::move(tensor), like.dims);
}

/// An input of another shape that becomes `like`: transposed, broadcast or cut out of.
Value CaseBuilder::behindMovement(const Sized &like, Type type, Range range) {
  if (chance(40)) {
    auto perm = permutation(like.rank());
    llvm::SmallVector<int64_t> inverse(perm.size());
    for (auto [to, from] : llvm::enumerate(perm))
      inverse[from] = int64_t(to);
    return p.g.transpose(input(permuted(like, inverse), type, range), perm);
  }
  // Inputs have symbols or constants as dimensions, and an input must show what each symbol is.
  Sized source = like;
  int64_t axis = below(like.rank()), before = below(3);
  if (chance(50) && (constantOf(like.dims[axis]) || shown.contains(like.dims[axis]))) {
    source.dims[axis] = p.g.dim(1);
    source.shape[axis] = 1;
    return p.g.broadcastTo(input(source, type, range), like.dims);
  }
  if (!constantOf(like.dims[axis]))
    return input(like, type, range);
  source.shape[axis] += before + below(3);
  source.dims[axis] = p.g.dim(source.shape[axis]);
  return p.g.sliceAxis(input(source, type, range), axis, p.g.dim(before), like.dims[axis]);
}

/// Element-wise ops whose float results need no rounding.
Value CaseBuilder::exactSteps(Value value) {
  Type type = GraphBuilder::elementType(value);
  bool isSigned = interpreter::isFloat(type) || type.isSignedInteger();
  switch (below(3)) {
  case 0:
    return isSigned ? p.g.unary(graph::UnaryKind::neg, p.g.unary(graph::UnaryKind::neg, value)) : value;
  case 1:
    return p.g.select(p.g.compare(graph::CompareKind::ge, value, p.g.scalar(type, 1)), value, value);
  default:
    return type.isInteger(1) ? value : p.g.maximum(value, value);
  }
}

Value CaseBuilder::operand(const Sized &like, Type type, Range range) {
  Value value = like.rank() > 0 && chance(35) ? behindMovement(like, type, range) : input(like, type, range);
  return chance(25) && type.getIntOrFloatBitWidth() != 8 && !type.isInteger(1) ? exactSteps(value) : value;
}

Value CaseBuilder::indices(const Sized &like, int64_t count) {
  Type type = p.type(pick({"si64", "si64", "si32"}));
  return input(like, type, {double(-count), double(count - 1)});
}

Value CaseBuilder::rounded(Value value) {
  exact &= !interpreter::isFloat(GraphBuilder::elementType(value));
  return value;
}

Value CaseBuilder::epilogue(Value value) {
  Type type = GraphBuilder::elementType(value);
  int64_t rank = GraphBuilder::rank(value);
  if (chance(50) || type.isInteger(1) || type.getIntOrFloatBitWidth() == 8)
    return value;
  switch (below(5)) {
  case 0:
    return rounded(p.g.add(p.g.mul(value, p.g.scalar(type, 3)), p.g.scalar(type, 1)));
  case 1:
    return p.g.maximum(value, p.g.scalar(type, 0));
  case 2:
    return interpreter::isFloat(type) ? rounded(p.g.unary(graph::UnaryKind::tanh, value)) : value;
  case 3:
    return rank > 0 ? rounded(p.g.reduce(graph::ReduceKind::sum, value, {below(rank)})) : value;
  default:
    return p.g.transpose(value, permutation(rank));
  }
}

//===- Cases ---------------------------------------------------------------------------===//

static std::vector<CaseFamily> allFamilies() {
  std::vector<CaseFamily> all;
  for (auto families : {elementwiseCases(), movementCases(), reductionCases(), controlCases()})
    all.insert(all.end(), families.begin(), families.end());
  return all;
}

llvm::ArrayRef<llvm::StringRef> generatedOps() {
  static const std::vector<llvm::StringRef> names = [] {
    std::vector<llvm::StringRef> list;
    for (const CaseFamily &family : allFamilies())
      list.push_back(family.op);
    return list;
  }();
  return names;
}

std::vector<GeneratedCase> generateCases(MLIRContext &context, llvm::StringRef op, uint64_t seed,
                                         unsigned count) {
  std::vector<GeneratedCase> cases;
  for (const CaseFamily &family : allFamilies()) {
    if (family.op != op)
      continue;
    for (unsigned i = 0; i < count; ++i) {
      CaseBuilder builder(context, seed * 1000003 + i);
      builder.turn = seed + i;
      auto results = family.build(builder);
      if (!builder.p.finish(results))
        llvm::report_fatal_error(llvm::Twine("the generator made an invalid module: ") + op);
      cases.push_back({op.str() + ", seed " + std::to_string(seed) + ", case " + std::to_string(i),
                       std::move(builder.p.module), std::move(builder.inputs), builder.exact});
    }
  }
  return cases;
}

} // namespace tilewright::tests
