/// Cases of reductions, contractions and control flow.
#include "tests/support/CaseBuilder.h"

using namespace mlir;
using tilewright::graph::ReduceKind;
using tilewright::graph::WindowKind;
using tilewright::interpreter::Shape;

namespace tilewright::tests {
namespace {

using Values = llvm::SmallVector<Value>;

//===- Reductions ----------------------------------------------------------------------===//

Values reduceCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 4);
  llvm::SmallVector<int64_t> dims;
  for (int64_t dim = 0; dim < like.rank(); ++dim)
    if (c.chance(50))
      dims.push_back(dim);
  if (dims.empty())
    dims.push_back(like.rank() - 1);
  ReduceKind kind = *graph::symbolizeReduceKind(uint32_t(c.below(4)));
  bool extreme = kind == ReduceKind::rmax || kind == ReduceKind::rmin;
  Type type = c.chance(8) ? c.p.type("i1") : c.anyNumber();
  Range range = kind == ReduceKind::prod ? Range{0.75, 1.25} : Range{-4, 4, extreme};
  if (!interpreter::isFloat(type))
    range = {-100, 100};
  Value result = c.p.g.reduce(kind, c.operand(like, type, range), dims, c.chance(30));
  return {c.epilogue(extreme ? result : c.rounded(result))};
}

Values argReduceCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 4, false);
  Value x = c.operand(like, c.anyNumber(), {-3, 3, true});
  return {c.p.g.argReduce(x, c.below(like.rank()), c.chance(50), c.chance(50), c.chance(50))};
}

Values scanCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 4);
  ReduceKind kind = c.chance(75) ? ReduceKind::sum : ReduceKind::prod;
  Type type = c.anyNumber();
  Range range = kind == ReduceKind::prod && interpreter::isFloat(type) ? Range{0.75, 1.25} : Range{-20, 20};
  Value result =
      c.p.g.scan(kind, c.operand(like, type, range), c.below(like.rank()), c.chance(50), c.chance(50));
  return {c.epilogue(c.rounded(result))};
}

Values sortCase(CaseBuilder &c) {
  Sized like = c.anyShape(1, 3);
  int64_t axis = c.below(like.rank());
  AffineExpr count = like.dims[axis];
  if (constantOf(count) && c.chance(50))
    count = c.p.g.dim(c.below(like.shape[axis] + 1));
  auto [values, indices] =
      c.p.g.sort(c.operand(like, c.anyNumber(), {-5, 5, true}), axis, c.chance(50), count);
  return {values, indices};
}

/// Parameters of windows and convolutions over spatial dimensions, all of which fit.
struct Taps {
  llvm::SmallVector<int64_t> kernel, strides, dilations, spread;
  Dims low, out;
};

Taps anyTaps(CaseBuilder &c, const Sized &spatial, bool spreads) {
  Taps taps;
  for (int64_t dim = 0; dim < spatial.rank(); ++dim) {
    int64_t spread = spreads && c.chance(20) ? 2 : 1, kernel = c.pick<int64_t>({1, 2, 3, 3, 5}),
            dilation = c.chance(25) ? 2 : 1;
    AffineExpr size = canonical((AffineExpr(spatial.dims[dim]) - 1) * spread + 1);
    int64_t reach = (kernel - 1) * dilation; // enough padding for one window at least
    int64_t before = c.below(reach + 1), stride = c.pick<int64_t>({1, 1, 2, 3});
    taps.kernel.push_back(kernel);
    taps.strides.push_back(stride);
    taps.dilations.push_back(dilation);
    taps.spread.push_back(spread);
    taps.low.push_back(c.p.g.dim(before));
    taps.out.push_back(
        c.p.g.windowSize(size, kernel, stride, dilation, c.p.g.dim(before), c.p.g.dim(reach - before)));
  }
  return taps;
}

/// [N, C, spatial...], none empty, with small spatial sizes.
Sized images(CaseBuilder &c, int64_t channels) {
  Shape shape{c.between(1, 3), channels};
  for (int64_t rank = c.pick<int64_t>({1, 2, 2, 2, 3}); rank > 0; --rank)
    shape.push_back(c.pick<int64_t>({1, 4, 5, 7, 9, 14}));
  Sized result = c.sized(shape);
  result.dims[1] = c.p.g.dim(channels);
  return result;
}

Sized spatialOf(const Sized &like) {
  return {Dims(llvm::ArrayRef(like.dims).drop_front(2)), Shape(llvm::ArrayRef(like.shape).drop_front(2))};
}

Values windowCase(CaseBuilder &c) {
  Sized like = images(c, c.pick<int64_t>({1, 3, 8, 17}));
  WindowKind kind = *graph::symbolizeWindowKind(uint32_t(c.below(3)));
  Taps taps = anyTaps(c, spatialOf(like), false);
  Type type = c.chance(80) ? c.anyFloat() : c.anyInteger();
  Value x = c.operand(like, type, {-4, 4, kind == WindowKind::wmax});
  Value result = c.p.g.window(kind, x, taps.kernel, taps.strides, taps.dilations, taps.low, taps.out);
  return {c.epilogue(kind == WindowKind::wsum ? c.rounded(result) : result)};
}

//===- Contractions --------------------------------------------------------------------===//

/// Element types of the two sides: one float type, or 8-bit integers of either signedness.
std::pair<Type, Type> contractionTypes(CaseBuilder &c) {
  if (c.chance(75)) {
    Type type = c.anyFloat();
    return {type, type};
  }
  return {c.p.type(c.pick({"si8", "ui8"})), c.p.type(c.pick({"si8", "ui8"}))};
}

Values contractCase(CaseBuilder &c) {
  auto [left, right] = contractionTypes(c);
  Sized batch = c.chance(40) ? c.sized({c.between(1, 4)}) : Sized(), inner = c.anyShape(1, 1);
  Sized rows = c.anyShape(0, 2), columns = c.anyShape(0, 1);
  Sized lhs = batch, rhs = batch;
  for (const Sized *part : {&rows, &inner}) {
    lhs.dims.append(part->dims);
    lhs.shape.append(part->shape);
  }
  for (const Sized *part : {&inner, &columns}) {
    rhs.dims.append(part->dims);
    rhs.shape.append(part->shape);
  }
  // The dimensions of each side in any order.
  auto leftOrder = c.permutation(lhs.rank()), rightOrder = c.permutation(rhs.rank());
  auto positionOf = [](llvm::ArrayRef<int64_t> order, int64_t dim) {
    return int64_t(llvm::find(order, dim) - order.begin());
  };
  Value x = c.operand(CaseBuilder::permuted(lhs, leftOrder), left, {-1, 1}),
        y = c.operand(CaseBuilder::permuted(rhs, rightOrder), right, {-1, 1});
  llvm::SmallVector<int64_t> leftBatch, rightBatch;
  if (batch.rank()) {
    leftBatch.push_back(positionOf(leftOrder, 0));
    rightBatch.push_back(positionOf(rightOrder, 0));
  }
  int64_t leftInner = positionOf(leftOrder, lhs.rank() - 1),
          rightInner = positionOf(rightOrder, batch.rank());
  return {c.epilogue(c.rounded(c.p.g.contract(x, y, leftBatch, rightBatch, {leftInner}, {rightInner})))};
}

Values convCase(CaseBuilder &c) {
  auto [left, right] = contractionTypes(c);
  int64_t groups = c.pick<int64_t>({1, 1, 1, 2, 4}), depth = c.pick<int64_t>({1, 3, 8, 16}),
          outputs = groups * c.pick<int64_t>({1, 4, 5, 16});
  Sized like = images(c, groups * depth);
  Taps taps = anyTaps(c, spatialOf(like), true);
  Shape filter{outputs, depth};
  filter.append(taps.kernel.begin(), taps.kernel.end());
  Value x = c.operand(like, left, {-1, 1}), w = c.input({c.p.g.dims(filter), filter}, right, {-1, 1});
  Value y = c.p.g.conv(x, w, taps.strides, taps.low, taps.spread, taps.dilations, groups, taps.out);
  return {c.epilogue(c.rounded(y))};
}

//===- Control flow ---------------------------------------------------------------------===//

Values ifCase(CaseBuilder &c) {
  GraphProgram &p = c.p;
  Sized like = c.anyShape(1, 3);
  Value condition = c.input({Dims(), Shape()}, p.type("i1"));
  Value x = c.input(like, c.anyNumber()), y = c.input(like, GraphBuilder::elementType(x));
  auto none = mapOf(llvm::ArrayRef<int64_t>(), &p.context);
  auto op = graph::IfOp::create(p.builder, p.g.loc, TypeRange{x.getType()}, condition,
                                llvm::ArrayRef<int64_t>(), none, none);
  p.builder.createBlock(&op.getThenRegion());
  graph::YieldOp::create(p.builder, p.g.loc, c.rounded(p.g.add(x, y)));
  p.builder.createBlock(&op.getElseRegion());
  graph::YieldOp::create(p.builder, p.g.loc, c.chance(50) ? y : p.g.maximum(x, y));
  p.builder.setInsertionPointAfter(op);
  return {c.epilogue(op.getResult(0))};
}

/// carried = carried + x while the count lasts and the sum of the counter stays small; sometimes with all
/// values stacked.
Values loopCase(CaseBuilder &c) {
  GraphProgram &p = c.p;
  Sized like = c.anyShape(0, 2);
  Type si64 = p.type("si64"), type = c.anyNumber();
  Value trips = c.input(interpreter::Tensor::fromInts(si64, {}, {c.between(0, 6)}), {});
  Value x = c.input(like, type), start = c.input(like, type);
  bool stacked = c.chance(60);
  llvm::SmallVector<Type> results{start.getType()};
  int64_t symbol = -1;
  if (stacked) {
    AffineExpr iterations = p.symbols.defined("iterations", 0, 1000);
    symbol = int64_t(cast<AffineSymbolExpr>(iterations).getPosition());
    Dims dims{iterations};
    dims.append(like.dims);
    results.push_back(tensorType(dims, type));
  }
  auto op = graph::LoopOp::create(p.builder, p.g.loc, results, trips, p.g.scalarInt(p.type("i1"), 1),
                                  ValueRange{start}, symbol);
  Block *body =
      p.builder.createBlock(&op.getBody(), {}, {tensorType({}, si64), start.getType()}, {p.g.loc, p.g.loc});
  Value next = c.rounded(p.g.add(body->getArgument(1), x));
  Value go = p.g.compare(graph::CompareKind::lt, body->getArgument(0), p.g.scalarInt(si64, c.between(2, 8)));
  Values yielded{go, next};
  if (stacked)
    yielded.push_back(body->getArgument(1));
  graph::YieldOp::create(p.builder, p.g.loc, yielded);
  p.builder.setInsertionPointAfter(op);
  return Values(op.getResults());
}

} // namespace

llvm::ArrayRef<CaseFamily> reductionCases() {
  static const CaseFamily cases[] = {
      {"reduce", reduceCase}, {"arg_reduce", argReduceCase}, {"scan", scanCase}, {"sort", sortCase},
      {"window", windowCase}, {"contract", contractCase},    {"conv", convCase}};
  return cases;
}

llvm::ArrayRef<CaseFamily> controlCases() {
  static const CaseFamily cases[] = {{"if", ifCase}, {"loop", loopCase}};
  return cases;
}

} // namespace tilewright::tests
