/// Contraction.cpp - matrix products and determinants, and the table of the family (Einsum.cpp,
/// Convolution.cpp).
#include "frontend/ops/Composites.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::CompareKind;
using graph::ReduceKind;
using graph::UnaryKind;

void importEinsum(NodeImporter &n);              // Einsum.cpp
void importConv(NodeImporter &n);                // Convolution.cpp
void importConvTranspose(NodeImporter &n);       // Convolution.cpp
void importDeformConv(NodeImporter &n);          // Convolution.cpp
void importCausalConvWithState(NodeImporter &n); // Convolution.cpp

static void importMatMul(NodeImporter &n) {
  if (!require(n, 2) || !requireSameElements(n, {n.operand(0), n.operand(1)}))
    return;
  if (Value product = checkedMatmul(n, n.operand(0), n.operand(1)))
    n.result(0, product);
}

/// x * factor; integers take whole factors only.
static Value scaled(NodeImporter &n, Value x, float factor, llvm::StringRef name) {
  if (factor == 1)
    return x;
  if (!isFloat(x) && factor != std::trunc(factor)) {
    n.unsupported("TW1203", name + " is " + std::to_string(factor) + " for integer operands",
                  "use floating-point operands");
    return {};
  }
  return n.mul(x, n.like(x, factor));
}

/// alpha * A * B + beta * C of the node's operands, or null.
Value gemm(NodeImporter &n) {
  if (!require(n, 2) || !requireSameElements(n, {n.operand(0), n.operand(1)}))
    return {};
  Value a = n.operand(0), b = n.operand(1);
  if (!requireRank(n, a, 2, 2, "A") || !requireRank(n, b, 2, 2, "B"))
    return {};
  int64_t left = n.intAttr("transA", 0) ? 0 : 1, right = n.intAttr("transB", 0) ? 1 : 0;
  if (!n.requireEqual(dimsOf(a)[left], dimsOf(b)[right], "the sizes to contract"))
    return {};
  a = withSize(n, a, left, dimsOf(b)[right]);
  Value y = scaled(n, contractSameType(n, a, b, {}, {}, {left}, {right}), n.floatAttr("alpha", 1), "alpha");
  float beta = n.floatAttr("beta", 1);
  if (y && n.has(2) && beta != 0) {
    Value c = n.operand(2);
    if (!requireSameElements(n, {a, c}) || !requireFitsInto(n, c, dimsOf(y), "C"))
      return {};
    c = scaled(n, c, beta, "beta");
    y = c ? n.add(y, c) : Value();
  }
  return y;
}

static void importGemm(NodeImporter &n) { n.result(0, gemm(n)); }

//===- Det ------------------------------------------------------------------------===//

/// Element [.., row, column] of [batch, m, m], as [batch].
static Value entry(NodeImporter &n, Value x, int64_t row, int64_t column) {
  AffineExpr batch = dimsOf(x)[0];
  Value one = n.slice(x, {n.dim(0), n.dim(row), n.dim(column)}, {1, 1, 1}, {batch, n.dim(1), n.dim(1)});
  return n.reshape(one, {batch});
}

static Value smallDeterminant(NodeImporter &n, Value x, int64_t size) {
  auto at = [&](int64_t row, int64_t column) { return entry(n, x, row, column); };
  auto minor = [&](int64_t a, int64_t b) { // of rows size-2, size-1
    return n.sub(n.mul(at(size - 2, a), at(size - 1, b)), n.mul(at(size - 2, b), at(size - 1, a)));
  };
  if (size == 1)
    return at(0, 0);
  if (size == 2)
    return minor(0, 1);
  Value sum = n.sub(n.mul(at(0, 0), minor(1, 2)), n.mul(at(0, 1), minor(0, 2)));
  return n.add(sum, n.mul(at(0, 2), minor(0, 1)));
}

/// One step of Gaussian elimination with partial pivoting: state is the matrix [batch, m, m] and the product
/// so far [batch].
static LoopValues eliminate(NodeImporter &n, Value step, ArrayRef<Value> state) {
  Value x = state[0], product = state[1];
  Dims shape = dimsOf(x), column = {shape[0], shape[1]};
  Type element = GraphBuilder::elementType(x);
  Value rows = n.iota(column, signedType(n, 64), 1);
  Value below = n.compare(CompareKind::ge, rows, step);
  Value size = n.select(below, n.unary(UnaryKind::abs, n.gather(x, step, 2)), n.scalar(element, -1));
  Value pivotRow = n.argReduce(size, 1, /*isMax=*/true, /*lastIndex=*/false, /*keepDims=*/true);
  Value order = n.select(n.compare(CompareKind::eq, rows, step), pivotRow,
                         n.select(n.compare(CompareKind::eq, rows, pivotRow), step, rows));
  x = gatherElements(n, x, n.broadcastInDims(order, shape, {0, 1}), 1);
  Value row = n.gather(x, step, 1), pivot = n.gather(row, step, 1);
  Value sign = n.select(n.compare(CompareKind::eq, n.squeeze(pivotRow, {1}), step), n.scalar(element, 1),
                        n.scalar(element, -1));
  Value zero = n.scalar(element, 0), top = n.unsqueeze(pivot, {1});
  Value ratio =
      n.div(n.gather(x, step, 2), n.select(n.compare(CompareKind::eq, top, zero), n.scalar(element, 1), top));
  Value factor = n.select(n.compare(CompareKind::gt, rows, step), ratio, zero);
  x = n.sub(x, n.mul(n.unsqueeze(factor, {2}), n.unsqueeze(row, {1})));
  return {{x, n.mul(product, n.mul(sign, pivot))}, {}};
}

static void importDet(NodeImporter &n) {
  if (!require(n, 1) || !requireFloat(n, n.operand(0)) || !requireRank(n, n.operand(0), 2, INT64_MAX))
    return;
  Value x = n.operand(0);
  Dims shape = dimsOf(x), batch(shape.begin(), shape.end() - 2);
  if (!n.requireEqual(shape[shape.size() - 2], shape.back(), "the rows and the columns"))
    return;
  AffineExpr size = shape.back(), count = productOf(batch, n.b.getContext());
  x = n.reshape(x, {count, size, size});
  std::optional<int64_t> known = constantOf(size);
  Value result;
  if (known && *known >= 1 && *known <= 3) {
    result = smallDeterminant(n, x, *known);
  } else {
    Value one = filled(n, {count}, GraphBuilder::elementType(x), 1);
    auto step = [&](Value index, ArrayRef<Value> state) { return eliminate(n, index, state); };
    result = countedLoop(n, size, {x, one}, step).carried[1];
  }
  n.result(0, n.reshape(result, batch));
}

llvm::ArrayRef<OpEntry> contractionOps() {
  static const OpEntry rows[] = {
      {"MatMul", importMatMul},
      {"Gemm", importGemm},
      {"Einsum", importEinsum},
      {"Conv", importConv},
      {"ConvTranspose", importConvTranspose},
      {"DeformConv", importDeformConv},
      {"CausalConvWithState", importCausalConvWithState},
      {"Det", importDet},
  };
  return rows;
}

} // namespace tilewright::frontend
