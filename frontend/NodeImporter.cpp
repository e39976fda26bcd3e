/// NodeImporter.cpp - checked access to one node's operands, attributes and subgraphs.
#include "frontend/GraphImporter.h"
#include "ir/Graph.h"

using namespace mlir;
namespace tilewright::frontend {

NodeImporter::NodeImporter(GraphImporter &graph, const onnx::Node &node, OpBuilder &builder,
                           Location location, SymbolTable &symbols, int opset)
    : GraphBuilder(builder, location, symbols), node(node), opset(opset), graph(graph),
      results(node.outputs.size()) {
  for (std::string_view name : node.inputs)
    operands.push_back(name.empty() ? Value() : graph.lookup(name).value_or(Value()));
  if (node.domain.empty() && opset < 7)
    alignSecondOperand();
}

/// Before opset 7 the second operand of a binary operator lines up with the dimensions of the first from
/// `axis` on; since then with the last ones. Ones behind it say the same.
void NodeImporter::alignSecondOperand() {
  if (operands.size() != 2 || !has(0) || !has(1) || !attr("axis") || intAttr("broadcast", 0) == 0)
    return;
  std::optional<int64_t> from = axis(intAttr("axis", 0), rank(operands[0]));
  int64_t behind = from ? rank(operands[0]) - *from - rank(operands[1]) : 0;
  Dims shape = dimsOf(operands[1]);
  if (behind < 0)
    return fail("TW2002", "the second operand does not fit behind axis " + llvm::Twine(*from));
  shape.append(behind, dim(1));
  operands[1] = reshape(operands[1], shape);
}

//===- Operands and results -------------------------------------------------------===//

bool NodeImporter::holdSequence(size_t elements) {
  constexpr size_t most = 1 << 16; // dozens of lists of a thousand
  graph.sequenceElements += std::min(elements, most + 1);
  if (graph.sequenceElements <= most)
    return true;
  unsupported("TW1202", "the model's sequences have more than " + llvm::Twine(most) + " elements together");
  return false;
}

size_t NodeImporter::operandCount() const { return operands.size(); }
bool NodeImporter::has(size_t index) const { return index < operands.size() && operands[index]; }
Value NodeImporter::operand(size_t index) { return index < operands.size() ? operands[index] : Value(); }
size_t NodeImporter::resultCount() const { return results.size(); }
bool NodeImporter::wants(size_t index) const {
  return index < results.size() && !node.outputs[index].empty();
}

void NodeImporter::result(size_t index, Value value) {
  if (index < results.size())
    results[index] = value;
}

//===- Attributes --------------------------------------------------------------------===//

const onnx::Attribute *NodeImporter::attr(llvm::StringRef name) {
  return node.attribute(std::string_view(name));
}

/// The attribute, when it is there and of `kind`. A missing kind in the file reads as Undefined only for
/// references.
static const onnx::Attribute *typedAttr(NodeImporter &n, llvm::StringRef name, onnx::Attribute::Kind kind) {
  const onnx::Attribute *attribute = n.attr(name);
  if (!attribute || attribute->kind == kind)
    return attribute;
  n.fail("TW1205", "attribute '" + name + "' is of kind " +
                       StringRef(onnx::attributeKindName(attribute->kind)) + " instead of " +
                       StringRef(onnx::attributeKindName(kind)));
  return nullptr;
}

int64_t NodeImporter::intAttr(llvm::StringRef name, int64_t fallback) {
  const onnx::Attribute *attribute = typedAttr(*this, name, onnx::Attribute::Kind::Int);
  return attribute ? attribute->i : fallback;
}

float NodeImporter::floatAttr(llvm::StringRef name, float fallback) {
  const onnx::Attribute *attribute = typedAttr(*this, name, onnx::Attribute::Kind::Float);
  return attribute ? attribute->f : fallback;
}

std::string NodeImporter::stringAttr(llvm::StringRef name, llvm::StringRef fallback) {
  const onnx::Attribute *attribute = typedAttr(*this, name, onnx::Attribute::Kind::String);
  return attribute ? std::string(attribute->s) : fallback.str();
}

std::optional<SmallVector<int64_t>> NodeImporter::intsAttr(llvm::StringRef name) {
  const onnx::Attribute *attribute = attr(name);
  // An empty list has no member to infer a kind from.
  if (!attribute || !typedAttr(*this, name, onnx::Attribute::Kind::Ints))
    return std::nullopt;
  return SmallVector<int64_t>(attribute->ints.begin(), attribute->ints.end());
}

std::optional<SmallVector<float>> NodeImporter::floatsAttr(llvm::StringRef name) {
  const onnx::Attribute *attribute = typedAttr(*this, name, onnx::Attribute::Kind::Floats);
  if (!attribute)
    return std::nullopt;
  return SmallVector<float>(attribute->floats.begin(), attribute->floats.end());
}

Value NodeImporter::tensorAttr(const onnx::Tensor &tensor) {
  Value value = graph.constant(tensor, loc, node.name, node.opType);
  failed |= !value;
  return value;
}

Value NodeImporter::sparseAttr(const onnx::SparseTensor &tensor) {
  Value value = graph.sparse(tensor, loc);
  failed |= !value;
  return value;
}

//===- Relations between sizes ----------------------------------------------------------===//

bool NodeImporter::holds(const Relation &relation) {
  Verdict verdict = decide(relation, &symbols);
  if (verdict == Verdict::Disproved)
    fail("TW2005", disproof(relation, symbols.names()));
  if (verdict != Verdict::Undecided)
    return verdict == Verdict::Proved;
  Dims sizes{canonical(relation.have), canonical(relation.want)};
  if (relation.when)
    sizes.push_back(canonical(relation.when));
  graph::RequireOp::create(b, loc, relation.kind, mapOf(sizes, b.getContext()), relation.what);
  return true;
}

bool NodeImporter::requireEqual(AffineExpr have, AffineExpr want, const llvm::Twine &what) {
  return holds({graph::RelationKind::equal, have, want, what.str()});
}

bool NodeImporter::requireRepeatable(AffineExpr have, AffineExpr want, const llvm::Twine &what) {
  return holds({graph::RelationKind::repeat, have, want, what.str()});
}

bool NodeImporter::requireAtMost(AffineExpr have, AffineExpr want, const llvm::Twine &what) {
  return holds({graph::RelationKind::at_most, have, want, what.str()});
}

bool NodeImporter::requireAtLeast(AffineExpr have, AffineExpr want, const llvm::Twine &what) {
  return holds({graph::RelationKind::at_least, have, want, what.str()});
}

bool NodeImporter::requireWithin(Value values, AffineExpr lo, AffineExpr hi, const llvm::Twine &what) {
  auto type = llvm::cast<RankedTensorType>(values.getType());
  Dims elements;
  if (auto known =
          type.hasStaticShape() && type.getNumElements() <= 64 ? symbolicValue(values) : std::nullopt)
    elements.append(known->begin(), known->end());
  else if (auto constants = constantInts(values))
    for (int64_t value : *constants)
      elements.push_back(dim(value));
  else {
    // Of no elements these are the ends of the type, which say nothing.
    Type wide = IntegerType::get(b.getContext(), 64, IntegerType::Signed);
    Value numbers = GraphBuilder::cast(values, wide);
    SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, rank(numbers)));
    Value least = reduce(graph::ReduceKind::rmin, numbers, all),
          most = maximum(reduce(graph::ReduceKind::rmax, numbers, all), scalarInt(wide, -INT64_MAX));
    Value ends = concat({reshape(least, {dim(1)}), reshape(most, {dim(1)})}, 0);
    elements = valueOrDefine(ends, "value", -INT64_MAX);
    return requireAtLeast(elements[0], lo, what) && requireAtMost(elements[1], hi, what);
  }
  return llvm::all_of(elements, [&](AffineExpr element) {
    return requireAtLeast(element, lo, what) && requireAtMost(element, hi, what);
  });
}

//===- Values known at compile time --------------------------------------------------===//

std::optional<int64_t> NodeImporter::axis(int64_t value, int64_t rank) {
  if (value >= -rank && value < rank)
    return value < 0 ? value + rank : value;
  fail("TW2001", "axis " + llvm::Twine(value) + " is outside a tensor of rank " + llvm::Twine(rank));
  return std::nullopt;
}

std::optional<SmallVector<int64_t>> NodeImporter::constantInts(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  auto integer = dyn_cast<IntegerType>(type.getElementType());
  if (!integer)
    return std::nullopt;
  if (type.hasStaticShape() && type.getNumElements() == 0)
    return SmallVector<int64_t>();
  if (auto constant = value.getDefiningOp<graph::ConstantOp>()) {
    SmallVector<int64_t> result;
    bool isUnsigned = integer.isUnsigned() || integer.getWidth() == 1;
    if (auto elements = dyn_cast<DenseElementsAttr>(constant.getValue()))
      for (const APInt &element : elements.getValues<APInt>())
        result.push_back(isUnsigned ? int64_t(element.getZExtValue()) : element.getSExtValue());
    return result;
  }
  if (const onnx::Tensor *tensor = graph.tensorOf(value))
    if (auto elements = tensor->readInts())
      return SmallVector<int64_t>(elements->begin(), elements->end());
  std::optional<Dims> symbolic = symbolicValue(value);
  if (!symbolic) {
    std::optional<interpreter::Tensor> tensor = graph.evaluate(value);
    return tensor ? std::optional(tensor->integers()) : std::nullopt;
  }
  SmallVector<int64_t> result;
  for (AffineExpr element : *symbolic) {
    std::optional<int64_t> known = constantOf(element);
    if (!known)
      return std::nullopt;
    result.push_back(*known);
  }
  return result;
}

std::optional<SmallVector<double>> NodeImporter::constantFloats(Value value) {
  auto floating = dyn_cast<FloatType>(elementType(value));
  if (!floating) {
    std::optional<SmallVector<int64_t>> integers = constantInts(value);
    return integers ? std::optional(SmallVector<double>(integers->begin(), integers->end())) : std::nullopt;
  }
  std::optional<interpreter::Tensor> tensor = graph.evaluate(value);
  return tensor ? std::optional(tensor->numbers()) : std::nullopt;
}

/// What the small integer tensor behind `value` is made of, as far down as its elements can be told apart.
static Value throughCopies(Value value) {
  for (int step = 0; step < 64; ++step) {
    if (auto reshape = value.getDefiningOp<graph::ReshapeOp>();
        reshape && cast<RankedTensorType>(reshape.getOperand().getType()).hasStaticShape())
      value = reshape.getOperand();
    else if (auto cast = value.getDefiningOp<graph::CastOp>();
             cast && isa<IntegerType>(GraphBuilder::elementType(cast.getOperand())) &&
             GraphBuilder::elementType(cast.getOperand()).getIntOrFloatBitWidth() >= 32 &&
             GraphBuilder::elementType(value).getIntOrFloatBitWidth() >= 32)
      value = cast.getOperand();
    else
      break;
  }
  return value;
}

std::optional<Dims> NodeImporter::elements(Value value, llvm::StringRef name, int64_t lo, int64_t hi) {
  auto type = cast<RankedTensorType>(value.getType());
  if (!isa<IntegerType>(type.getElementType()) || type.getRank() > 1) {
    fail("TW2004", name + " must be a scalar or vector of integers");
    return std::nullopt;
  }
  if (!type.hasStaticShape() || type.getNumElements() > 64) {
    unsupported("TW2007",
                name +
                    " must have a number of elements that is known when the model is compiled, 64 at most");
    return std::nullopt;
  }
  if (std::optional<Dims> known = symbolicValue(value))
    return known;
  if (std::optional<SmallVector<int64_t>> known = constantInts(value))
    return dims(*known);
  Value source = throughCopies(value);
  auto concat = source.getDefiningOp<graph::ConcatOp>();
  if (!concat || rank(source) != 1)
    return rank(source) <= 1 ? graph.defined(*this, source, name, lo, hi)
                             : graph.defined(*this, value, name, lo, hi);
  Dims result;
  for (Value operand : concat.getOperands()) {
    std::optional<Dims> part = elements(operand, name, lo, hi);
    if (!part)
      return std::nullopt;
    result.append(*part);
  }
  return result;
}

Type NodeImporter::elementTypeOf(int64_t onnxType) {
  auto type = static_cast<onnx::ElementType>(onnxType);
  Type element = onnxType >= 0 && onnxType < 256 ? graph.elementType(type) : Type();
  if (!element)
    unsupported("TW1202", "element type " + llvm::Twine(StringRef(onnx::elementTypeName(type))) + " (" +
                              llvm::Twine(onnxType) + ") is not supported");
  return element;
}

std::optional<SmallVector<Value>> NodeImporter::subgraph(const onnx::Graph &body, ArrayRef<Value> arguments) {
  std::optional<SmallVector<Value>> values = graph.subgraph(body, arguments, node);
  failed |= !values;
  return values;
}

bool isAboutShapes(const Diagnostic &problem) {
  return problem.kind == Diagnostic::Invalid && llvm::StringRef(problem.code).starts_with("TW2") &&
         problem.code != "TW2003";
}

size_t NodeImporter::problemCount() const { return graph.diagnostics.size(); }

SmallVector<Diagnostic> NodeImporter::takeProblems(size_t since) {
  failed = false;
  auto first = graph.diagnostics.begin() + since;
  SmallVector<Diagnostic> taken(std::make_move_iterator(first),
                                std::make_move_iterator(graph.diagnostics.end()));
  graph.diagnostics.erase(first, graph.diagnostics.end());
  return taken;
}

void NodeImporter::giveBack(SmallVector<Diagnostic> problems) {
  failed |= !problems.empty();
  for (Diagnostic &problem : problems)
    graph.report(std::move(problem));
}

void NodeImporter::forgetBody(Region &region) {
  graph.forget(region);
  for (Block &block : region)
    block.dropAllDefinedValueUses();
  region.dropAllReferences();
  region.getBlocks().clear();
}

void NodeImporter::branches(Value condition, const onnx::Graph &onTrue, const onnx::Graph &onFalse) {
  // Regions hang in an op without results while they are filled, so that what is around them can be seen.
  OpBuilder::InsertPoint outside = b.saveInsertionPoint();
  auto none = mapOf(ArrayRef<AffineExpr>(), b.getContext());
  auto draft = graph::IfOp::create(b, loc, TypeRange(), condition, ArrayRef<int64_t>(), none, none);
  GraphImporter::Side sides[2];
  for (int which : {0, 1}) {
    b.setInsertionPointToEnd(&draft->getRegion(which).emplaceBlock());
    size_t mark = problemCount();
    std::optional<SmallVector<Value>> values = subgraph(which == 0 ? onTrue : onFalse, {});
    if (values && values->size() != resultCount())
      fail("TW1211", "a branch has " + llvm::Twine(values->size()) + " outputs instead of " +
                         llvm::Twine(resultCount()));
    bool failedHere = !values || failed || problemCount() > mark;
    sides[which] = {values.value_or(SmallVector<Value>()), takeProblems(mark), failedHere};
  }
  b.restoreInsertionPoint(outside);
  auto values = graph.finishBranches(*this, draft, sides);
  failed |= !values;
  for (auto [index, value] : llvm::enumerate(values.value_or(SmallVector<Value>())))
    result(index, value);
}

bool NodeImporter::strict() const { return graph.options.strict; }

//===- Problems ------------------------------------------------------------------------===//

void NodeImporter::report(Diagnostic::Kind kind, llvm::StringRef code, const llvm::Twine &message,
                          llvm::StringRef hint) {
  // The first problem of a node is the one to mend; what follows is often its consequence.
  if (!failed)
    graph.report({kind, code.str(), message.str(), hint.str(),
                  std::string(node.name.empty() && !node.outputs.empty() ? node.outputs[0] : node.name),
                  std::string(node.opType), ""});
  failed = true;
}

void NodeImporter::fail(llvm::StringRef code, const llvm::Twine &message, llvm::StringRef hint) {
  report(Diagnostic::Invalid, code, message, hint);
}

void NodeImporter::unsupported(llvm::StringRef code, const llvm::Twine &message, llvm::StringRef hint) {
  report(Diagnostic::Unsupported, code, message, hint);
}

} // namespace tilewright::frontend
