/// DeferredSqueeze.cpp - Squeeze without axes, of a dimension that may be 1 when the program runs.
///
/// The rank of such a result is only known at run time. The dimension stays in the program, and the value
/// remembers that it is dropped when it is 1. Element-wise operators pass that on as long as it makes no
/// difference to them; the runtime drops the dimension from the shapes of the model's outputs. For operators
/// that number dimensions from the front it must be 1, which the program checks.
#include "frontend/GraphImporter.h"
#include "frontend/ops/Composites.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace tilewright::frontend {

Value NodeImporter::squeezeAtRunTime(Value value, uint64_t dims) {
  if (!dims)
    return value;
  // An op of its own, so that a value that nothing squeezes is not taken for this one.
  Value marked = graph::ReshapeOp::create(b, loc, value.getType(), value);
  graph.squeezedDims[marked] = dims;
  return marked;
}

static bool isElementwise(const onnx::Node &node) {
  static const llvm::StringSet<> names = [] {
    llvm::StringSet<> result;
    for (auto family : {elementwiseOps, activationOps})
      for (const OpEntry &entry : family())
        result.insert(entry.name);
    result.erase("SwiGLU"); // halves a dimension
    return result;
  }();
  return node.domain.empty() && names.contains(node.opType);
}

/// Operators that take any rank and number dimensions from the front: they were exported for the rank that
/// is left when the sizes are 1.
static bool countsFromFront(const onnx::Node &node) {
  static const llvm::StringSet<> names = {"Concat", "Gather", "Slice", "Split"};
  return node.domain.empty() && names.contains(node.opType);
}

/// Whether an operator that counts from the front has its axis only while no dimension is dropped: then the
/// model means sizes other than 1, as for ONNX any other run is an error.
static bool needsAllDims(NodeImporter &n, Value squeezed, uint64_t dims) {
  int64_t rank = n.rank(squeezed), axis = n.intAttr("axis", 0);
  int64_t left = rank - llvm::popcount(dims);
  return (axis >= left || axis < -left) && axis < rank && axis >= -rank;
}

/// The value with all of its dimensions; the program fails where one to be dropped is 1.
static Value withAllDims(GraphBuilder &g, Value value, uint64_t dims) {
  for (auto [axis, size] : llvm::enumerate(dimsOf(value)))
    if (dims >> axis & 1) {
      Value number = g.dims(ArrayRef<AffineExpr>{size}, /*scalar=*/true);
      assume(g, g.compare(graph::CompareKind::ne, number, g.like(number, 1)), 1);
    }
  return value;
}

/// The value without the dimensions; the program fails where they are not 1.
static Value withoutDims(GraphBuilder &g, Value value, uint64_t dims) {
  Dims kept;
  for (auto [axis, size] : llvm::enumerate(dimsOf(value)))
    if (dims >> axis & 1)
      assume(g, g.dims(ArrayRef<AffineExpr>{size}, /*scalar=*/true), 1);
    else
      kept.push_back(size);
  return g.reshape(value, kept);
}

/// Operands beside the squeezed one must line up with the same dimensions whether or not some are dropped.
std::optional<uint64_t> GraphImporter::squeezedOperands(NodeImporter &n) {
  auto isSqueezed = [&](Value value) { return value && squeezedDims.contains(value); };
  auto *first = llvm::find_if(n.operands, isSqueezed);
  if (first == n.operands.end())
    return 0;
  uint64_t dims = squeezedDims.lookup(*first);
  int64_t behind = n.rank(*first) - 1 - llvm::Log2_64(dims);
  bool fits = isElementwise(n.node) && n.opset >= 7; // older ones can align operands elsewhere
  for (Value operand : n.operands) {
    if (!operand)
      continue;
    fits &= isSqueezed(operand) ? squeezedDims.lookup(operand) == dims && dimsOf(operand) == dimsOf(*first)
                                : n.rank(operand) <= behind;
  }
  if (fits)
    return dims;
  if (countsFromFront(n.node)) {
    bool all = needsAllDims(n, *first, dims);
    for (Value &operand : n.operands)
      if (isSqueezed(operand))
        operand = (all ? withAllDims : withoutDims)(n, operand, squeezedDims.lookup(operand));
    return 0;
  }
  n.unsupported("TW2007", unknownRank(n, *first),
                fixDimensions(n, dimsOf(*first)) + ", or export Squeeze with axes");
  return std::nullopt;
}

std::string GraphImporter::unknownRank(NodeImporter &n, Value squeezed) {
  Dims dims = dimsOf(squeezed);
  AffineExpr first = dims[llvm::countr_zero(squeezedDims.lookup(squeezed))];
  return "the rank of an operand depends on whether " + toText(first, n.symbols.names()) +
         " is 1, because a Squeeze before it has no axes";
}

void GraphImporter::keepSqueezed(NodeImporter &n, uint64_t dims) {
  for (Value result : n.results)
    if (result && dims)
      squeezedDims[result] = dims;
}

/// What the runtime drops from the shapes of the outputs; no attribute where it drops nothing.
void GraphImporter::markOutputs(func::FuncOp function, ArrayRef<Value> outputs) {
  SmallVector<int64_t> dims;
  for (Value output : outputs)
    dims.push_back(int64_t(squeezedDims.lookup(output)));
  if (llvm::any_of(dims, [](int64_t mask) { return mask != 0; }))
    function->setAttr("graph.squeezed_dims", builder.getDenseI64ArrayAttr(dims));
}

} // namespace tilewright::frontend
