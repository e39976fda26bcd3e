/// Common.cpp - see Common.h.
#include "frontend/ops/Composites.h"
#include <set>

using namespace mlir;
namespace tilewright::frontend {

bool isFloat(Type elementType) { return isa<FloatType>(elementType); }
bool isBool(Type elementType) { return elementType.isInteger(1); }
bool isInteger(Type elementType) {
  return isa<IntegerType>(elementType) && elementType.getIntOrFloatBitWidth() >= 8;
}

std::string typeName(Type elementType) {
  if (isBool(elementType))
    return "bool";
  if (auto integer = dyn_cast<IntegerType>(elementType))
    return (integer.isUnsigned() ? "uint" : "int") + std::to_string(integer.getWidth());
  if (elementType.isF32())
    return "float";
  if (elementType.isF64())
    return "double";
  if (elementType.isF16())
    return "float16";
  if (elementType.isBF16())
    return "bfloat16";
  std::string text;
  llvm::raw_string_ostream(text) << elementType;
  return text;
}

std::string shapeText(NodeImporter &n, Value value) {
  std::string text = "[";
  auto names = n.symbols.names();
  for (AffineExpr dim : dimsOf(value))
    text += (text.size() > 1 ? ", " : "") + toText(dim, names);
  return text + "]";
}

std::string fixDimensions(NodeImporter &n, ArrayRef<AffineExpr> exprs) {
  std::set<std::string> names;
  for (AffineExpr expr : exprs)
    n.symbols.walk(expr, [&](unsigned index) {
      if (n.symbols[index].origin == Symbol::Input)
        names.insert(n.symbols[index].name);
    });
  if (names.empty())
    return "fix the dimensions of the inputs";
  std::string text = "give each of these dimensions one value:";
  for (const std::string &name : names)
    text += " --dim " + name + "=N";
  return text;
}

Type si64(NodeImporter &n) { return IntegerType::get(n.b.getContext(), 64, IntegerType::Signed); }

bool require(NodeImporter &n, size_t count) {
  for (size_t index = 0; index < count; ++index)
    if (!n.has(index)) {
      n.fail("TW1206", "operand " + llvm::Twine(index) + " is missing");
      return false;
    }
  return !n.hasFailed();
}

bool requireRank(NodeImporter &n, Value value, int64_t low, int64_t high, llvm::StringRef what) {
  int64_t rank = GraphBuilder::rank(value);
  if (rank >= low && rank <= high)
    return true;
  std::string wanted = low == high         ? std::to_string(low)
                       : high == INT64_MAX ? "at least " + std::to_string(low)
                                           : std::to_string(low) + " to " + std::to_string(high);
  n.fail("TW2004", what + " of shape " + shapeText(n, value) + " has rank " + llvm::Twine(rank) +
                       "; it must be " + wanted);
  return false;
}

bool requireSameElements(NodeImporter &n, ArrayRef<Value> values) {
  for (Value value : values)
    if (GraphBuilder::elementType(value) != GraphBuilder::elementType(values[0])) {
      n.fail("TW2003",
             "operands have different element types: " + typeName(GraphBuilder::elementType(values[0])) +
                 " and " + typeName(GraphBuilder::elementType(value)),
             "insert a Cast");
      return false;
    }
  return true;
}

bool requireFloat(NodeImporter &n, Value value) {
  if (isFloat(value))
    return true;
  n.fail("TW2003", "elements are " + typeName(GraphBuilder::elementType(value)) +
                       "; this operator needs floating-point ones");
  return false;
}

bool requireBool(NodeImporter &n, Value value) {
  if (isBool(value))
    return true;
  n.fail("TW2003",
         "elements are " + typeName(GraphBuilder::elementType(value)) + "; this operator needs bool");
  return false;
}

bool requireShape(NodeImporter &n, Value value, ArrayRef<AffineExpr> shape, llvm::StringRef what) {
  if (!requireRank(n, value, shape.size(), shape.size(), what))
    return false;
  return llvm::all_of(llvm::zip_equal(dimsOf(value), shape), [&](auto sizes) {
    return n.requireEqual(std::get<0>(sizes), std::get<1>(sizes), "the sizes of " + what);
  });
}

bool requireBroadcast(NodeImporter &n, ArrayRef<Value> values) {
  if (n.broadcastShape(values))
    return true;
  std::string shapes;
  for (Value value : values)
    shapes += (shapes.empty() ? "" : ", ") + shapeText(n, value);
  n.fail("TW2002", "shapes do not broadcast: " + shapes);
  return false;
}

Value indices(NodeImporter &n, Value value) {
  auto integer = dyn_cast<IntegerType>(GraphBuilder::elementType(value));
  if (!integer || integer.getWidth() == 1) {
    n.fail("TW2003", "indices are " + typeName(GraphBuilder::elementType(value)) + "; they must be integers");
    return {};
  }
  bool index = integer.isSigned() && (integer.getWidth() == 32 || integer.getWidth() == 64);
  return index ? value : n.cast(value, si64(n));
}

std::optional<SmallVector<int64_t>> normalizedAxes(NodeImporter &n, ArrayRef<int64_t> axes, int64_t rank) {
  SmallVector<int64_t> result;
  for (int64_t value : axes) {
    std::optional<int64_t> axis = n.axis(value, rank);
    if (!axis)
      return std::nullopt;
    result.push_back(*axis);
  }
  llvm::sort(result);
  result.erase(llvm::unique(result), result.end());
  return result;
}

std::optional<SmallVector<int64_t>> intsFrom(NodeImporter &n, size_t index, llvm::StringRef name) {
  if (!n.has(index))
    return name.empty() ? std::nullopt : n.intsAttr(name);
  std::optional<SmallVector<int64_t>> values = n.constantInts(n.operand(index));
  if (!values)
    n.unsupported("TW2006",
                  "operand " + llvm::Twine(index) + (name.empty() ? "" : " (" + name.str() + ")") +
                      " must be known when the model is compiled",
                  "make it an initialiser or a Constant");
  return values;
}

std::optional<Dims> shapeOperand(NodeImporter &n, Value value, llvm::StringRef what) {
  std::optional<Dims> sizes = n.elements(value, what);
  if (!sizes)
    return std::nullopt;
  for (AffineExpr size : *sizes)
    if (!n.requireAtLeast(size, n.dim(0), "a size in " + what))
      return std::nullopt;
  return sizes;
}

std::optional<AffineExpr> evenParts(NodeImporter &n, AffineExpr size, AffineExpr parts,
                                    const llvm::Twine &what) {
  std::optional<int64_t> whole = constantOf(size), count = constantOf(parts);
  if (count && (*count < 1 || (whole && *whole % *count))) {
    n.fail("TW1205", what + (whole ? ": " + llvm::Twine(*whole) : llvm::Twine(": what there is")) + " in " +
                         llvm::Twine(*count) + " equal parts");
    return std::nullopt;
  }
  if (std::optional<AffineExpr> exact = divideExactly(size, parts))
    return exact;
  AffineExpr part = canonical(size.floorDiv(parts));
  return n.requireEqual(product(part, parts), size, what) ? std::optional(part) : std::nullopt;
}

std::optional<AffineExpr> evenParts(NodeImporter &n, AffineExpr size, int64_t parts,
                                    const llvm::Twine &what) {
  return evenParts(n, size, n.dim(parts), what);
}

std::optional<Dims> shapeOperand(NodeImporter &n, Value value, int64_t count, llvm::StringRef what) {
  value = vectorOf(n, value, count, what);
  return value ? shapeOperand(n, value, what) : std::nullopt;
}

Value singleElement(NodeImporter &n, Value value, llvm::StringRef what) {
  if (std::optional<int64_t> count = constantOf(elementCount(value.getType())); count && *count != 1) {
    n.fail("TW2004", what + " of shape " + shapeText(n, value) + " must have one element");
    return {};
  }
  return n.reshape(value, {}); // which the program checks
}

Value vectorOf(NodeImporter &n, Value vector, int64_t count, llvm::StringRef what) {
  std::string wanted = std::to_string(count);
  if (!requireRank(n, vector, 1, 1, what) ||
      !n.requireEqual(dimsOf(vector)[0], n.dim(count), "the elements of " + what + " and " + wanted))
    return {};
  return withSize(n, vector, 0, n.dim(count));
}

SmallVector<int64_t> upTo(int64_t count) { return llvm::to_vector(llvm::seq<int64_t>(0, count)); }

SmallVector<AffineExpr> piece(ArrayRef<AffineExpr> shape, size_t begin, size_t end) {
  return SmallVector<AffineExpr>(shape.slice(begin, end - begin));
}

} // namespace tilewright::frontend
