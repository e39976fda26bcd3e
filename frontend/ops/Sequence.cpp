/// Sequence.cpp - sequences and optional values whose make-up is known when the model is compiled: lists of
/// tensors that exist only while it is imported.
///
/// A sequence is the result of an unrealized cast from its tensors to a tuple, an empty optional one from
/// nothing to none. They go by name through graphs and functions like any value; the importer lets them into
/// these operators and loops only, and removes the casts at the end. What a loop has appended is one tensor,
/// the last operand of a cast that is marked: its elements lie along the first dimension.
#include "frontend/ops/Sequence.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
namespace tilewright::frontend {

using Elements = SmallVector<Value>;

/// Null, with a diagnostic, where sequences grow beyond all measure.
static Value sequenceOf(NodeImporter &n, ArrayRef<Value> elements) {
  if (!n.holdSequence(elements.size()))
    return {};
  SmallVector<Type> types(llvm::map_range(elements, [](Value v) { return v.getType(); }));
  return UnrealizedConversionCastOp::create(n.b, n.loc, TypeRange(TupleType::get(n.b.getContext(), types)),
                                            elements)
      .getResult(0);
}

//===- Sequences and loops ----------------------------------------------------------------===//

static constexpr llvm::StringLiteral stackMark = "stack", growingMark = "growing";

bool isSequence(Value value) { return isa<TupleType>(value.getType()); }

static bool isMarked(Value sequence, StringRef mark) { return sequence.getDefiningOp()->hasAttr(mark); }

static Value markedSequence(NodeImporter &n, ArrayRef<Value> operands, StringRef mark) {
  auto cast =
      UnrealizedConversionCastOp::create(n.b, n.loc, TypeRange(TupleType::get(n.b.getContext())), operands);
  cast->setAttr(mark, n.b.getUnitAttr());
  return cast.getResult(0);
}

Value growingSequence(NodeImporter &n) { return markedSequence(n, {}, growingMark); }

std::optional<Elements> appendedTo(NodeImporter &n, Value growing, Value sequence) {
  Elements elements;
  while (sequence != growing && isMarked(sequence, growingMark) &&
         sequence.getDefiningOp()->getNumOperands() == 2) {
    elements.push_back(sequence.getDefiningOp()->getOperand(1));
    sequence = sequence.getDefiningOp()->getOperand(0);
  }
  std::reverse(elements.begin(), elements.end());
  if (sequence == growing)
    return elements;
  n.unsupported("TW1202", "its body does more with a carried sequence than append to it",
                "stack what an iteration makes as an output of the loop");
  return std::nullopt;
}

Value extendedSequence(NodeImporter &n, Value first, Value stack) {
  if (isMarked(first, stackMark) || isMarked(first, growingMark)) {
    n.unsupported("TW1202", "a sequence that two loops append to is not supported");
    return {};
  }
  Elements operands(first.getDefiningOp()->getOperands());
  operands.push_back(stack);
  return markedSequence(n, operands, stackMark);
}

/// The elements of a stack, if their number is known.
static std::optional<Elements> unstacked(NodeImporter &n, Value stack) {
  std::optional<int64_t> count = constantOf(dimsOf(stack)[0]);
  if (!count || !n.holdSequence(*count))
    return std::nullopt;
  Elements elements;
  for (int64_t index = 0; index < *count; ++index)
    elements.push_back(n.squeeze(n.sliceAxis(stack, 0, n.dim(index), n.dim(1)), {0}));
  return elements;
}

/// Operand `index`, which must be a sequence; null, with a diagnostic, where it is none.
static Value sequenceOperand(NodeImporter &n, size_t index) {
  if (!require(n, index + 1))
    return {};
  if (isSequence(n.operand(index)))
    return n.operand(index);
  n.fail("TW2003", "operand " + llvm::Twine(index) + " must be a sequence");
  return {};
}

/// The tensors of operand `index`; nothing, with a diagnostic, where it is no sequence, or one of unknown
/// length.
static std::optional<Elements> elementsOf(NodeImporter &n, size_t index) {
  Value value = sequenceOperand(n, index);
  if (!value)
    return std::nullopt;
  Elements elements(value.getDefiningOp()->getOperands());
  std::optional<Elements> more = Elements();
  if (isMarked(value, stackMark))
    more = unstacked(n, elements.pop_back_val());
  if (more && !isMarked(value, growingMark)) {
    elements.append(*more);
    return elements;
  }
  n.unsupported("TW1202", "how many elements the sequence has is known only when the program runs",
                "it can be joined, counted, and appended to where it grows");
  return std::nullopt;
}

//===- Operators --------------------------------------------------------------------------===//

static bool requireTensor(NodeImporter &n, size_t index) {
  if (!require(n, index + 1))
    return false;
  if (isa<RankedTensorType>(n.operand(index).getType()))
    return true;
  n.fail("TW2003", "operand " + llvm::Twine(index) + " must be a tensor");
  return false;
}

/// The position up to `last` that operand `index` gives in a sequence of `size`, from the end where negative;
/// `fallback` without the operand.
static std::optional<int64_t> position(NodeImporter &n, size_t index, int64_t size, int64_t last,
                                       int64_t fallback) {
  if (!n.has(index))
    return fallback;
  if (!requireTensor(n, index))
    return std::nullopt;
  auto given = intsFrom(n, index, "");
  if (!given)
    return std::nullopt;
  if (given->size() == 1 && given->front() >= -size && given->front() <= last)
    return given->front() < 0 ? given->front() + size : given->front();
  n.fail("TW2005", "the position is not one of a sequence of " + llvm::Twine(size));
  return std::nullopt;
}

static void importConstruct(NodeImporter &n) {
  Elements elements;
  for (size_t index = 0; index < n.operandCount(); ++index) {
    if (!requireTensor(n, index))
      return;
    elements.push_back(n.operand(index));
  }
  if (!elements.empty() && requireSameElements(n, elements))
    n.result(0, sequenceOf(n, elements));
  else if (elements.empty())
    n.fail("TW1206", "a sequence is made from at least one tensor");
}

static void importEmpty(NodeImporter &n) { n.result(0, sequenceOf(n, {})); }

static void importInsert(NodeImporter &n) {
  if (require(n, 2) && isSequence(n.operand(0)) && isMarked(n.operand(0), growingMark) && !n.has(2)) {
    if (requireTensor(n, 1))
      n.result(0, markedSequence(n, {n.operand(0), n.operand(1)}, growingMark));
    return;
  }
  auto elements = elementsOf(n, 0);
  if (!elements || !requireTensor(n, 1))
    return;
  Elements same(*elements);
  same.push_back(n.operand(1));
  auto at = position(n, 2, elements->size(), /*last=*/elements->size(), elements->size());
  if (!at || !requireSameElements(n, same))
    return;
  elements->insert(elements->begin() + *at, n.operand(1));
  n.result(0, sequenceOf(n, *elements));
}

static void importErase(NodeImporter &n) {
  auto elements = elementsOf(n, 0);
  if (!elements)
    return;
  if (elements->empty())
    return n.fail("TW2005", "nothing can be erased from an empty sequence");
  if (auto at = position(n, 1, elements->size(), elements->size() - 1, elements->size() - 1)) {
    elements->erase(elements->begin() + *at);
    n.result(0, sequenceOf(n, *elements));
  }
}

static void importAt(NodeImporter &n) {
  if (Value value = sequenceOperand(n, 0); value && isMarked(value, stackMark)) {
    Elements parts(value.getDefiningOp()->getOperands());
    for (Value &element : MutableArrayRef(parts).drop_back())
      element = n.unsqueeze(element, {0});
    Value at = require(n, 2) && requireTensor(n, 1) ? indices(n, n.operand(1)) : Value();
    if (!at || !requireRank(n, at, 0, 0, "the position") || !requireSameElements(n, parts))
      return;
    if (Value all = parts.size() == 1 ? parts.front() : joined(n, parts, 0))
      n.result(0, n.gather(all, at, 0));
    return;
  }
  auto elements = elementsOf(n, 0);
  if (!elements || !require(n, 2))
    return;
  if (auto at = position(n, 1, elements->size(), elements->size() - 1, 0))
    n.result(0, (*elements)[*at]);
}

static void importLength(NodeImporter &n) {
  if (Value value = sequenceOperand(n, 0); value && isMarked(value, stackMark)) {
    auto operands = value.getDefiningOp()->getOperands();
    AffineExpr count = dimsOf(operands.back())[0] + n.dim(int64_t(operands.size()) - 1);
    return n.result(0, dimValue(n, canonical(count), si64(n)));
  }
  if (auto elements = elementsOf(n, 0))
    n.result(0, n.scalar(si64(n), double(elements->size())));
}

/// The elements of a stack [count, element...] behind each other along `axis`, or along a new dimension
/// there.
static Value joinedStack(NodeImporter &n, Value stack, int64_t axis, bool newAxis) {
  SmallVector<int64_t> perm;
  for (int64_t dim = 1; dim < n.rank(stack); ++dim)
    perm.push_back(dim);
  perm.insert(perm.begin() + axis, 0);
  Value turned = n.transpose(stack, perm);
  if (newAxis)
    return turned;
  Dims shape = dimsOf(turned);
  shape[axis] = canonical(shape[axis] * shape[axis + 1]);
  shape.erase(shape.begin() + axis + 1);
  return n.reshape(turned, shape);
}

/// ConcatFromSequence of what a loop has appended to.
static void importStackConcat(NodeImporter &n, Value sequence) {
  Elements parts(sequence.getDefiningOp()->getOperands());
  const bool stacked = n.intAttr("new_axis", 0) != 0;
  const int64_t rank = n.rank(parts.back()) - 1;
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", 0), rank + stacked);
  if (!axis || !requireSameElements(n, parts))
    return;
  Value stack = joinedStack(n, parts.pop_back_val(), *axis, stacked);
  for (Value &element : parts) {
    if (!requireRank(n, element, rank, rank, "an element"))
      return;
    if (stacked)
      element = n.unsqueeze(element, {*axis});
  }
  parts.push_back(stack);
  n.result(0, parts.size() == 1 ? stack : joined(n, parts, *axis));
}

static void importConcat(NodeImporter &n) {
  if (Value value = sequenceOperand(n, 0); value && isMarked(value, stackMark))
    return importStackConcat(n, value);
  auto elements = elementsOf(n, 0);
  if (!elements)
    return;
  if (elements->empty())
    return n.unsupported("TW1203", "joining an empty sequence is not supported");
  const bool stacked = n.intAttr("new_axis", 0) != 0;
  const int64_t rank = n.rank(elements->front());
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", 0), rank + stacked);
  if (!axis)
    return;
  for (Value &element : *elements) {
    if (!requireRank(n, element, rank, rank, "an element"))
      return;
    if (stacked)
      element = n.unsqueeze(element, {*axis});
  }
  n.result(0, joined(n, *elements, *axis));
}

/// The sizes of the parts of SplitToSequence; nothing, with a diagnostic, where their number is not known.
static std::optional<Dims> partsOf(NodeImporter &n, AffineExpr size) {
  std::optional<int64_t> known = constantOf(size);
  int64_t part = 1;
  if (n.has(1)) {
    if (!requireTensor(n, 1))
      return std::nullopt;
    if (n.rank(n.operand(1)) == 1)
      return shapeOperand(n, n.operand(1), "split");
    auto given = intsFrom(n, 1, "");
    if (!given)
      return std::nullopt;
    if (given->size() != 1 || given->front() < 1) {
      n.fail("TW2005", "split must be one positive size");
      return std::nullopt;
    }
    part = given->front();
  }
  if (!known) {
    n.unsupported("TW1202", "the number of parts must be known when the model is compiled",
                  fixDimensions(n, {size}));
    return std::nullopt;
  }
  if (!n.holdSequence(llvm::divideCeil(*known, part)))
    return std::nullopt;
  Dims parts;
  for (int64_t rest = *known; rest > 0; rest -= part)
    parts.push_back(n.dim(std::min(part, rest)));
  return parts;
}

static void importSplit(NodeImporter &n) {
  if (!requireTensor(n, 0))
    return;
  Value x = n.operand(0);
  std::optional<int64_t> axis = n.axis(n.intAttr("axis", 0), n.rank(x));
  if (!axis)
    return;
  std::optional<Dims> sizes = partsOf(n, dimsOf(x)[*axis]);
  auto elements = sizes ? cutUp(n, x, *axis, *sizes) : std::nullopt;
  if (!elements)
    return;
  if (!n.has(1) && n.intAttr("keepdims", 1) == 0)
    for (Value &element : *elements)
      element = n.squeeze(element, {*axis});
  n.result(0, sequenceOf(n, *elements));
}

//===- Optional values --------------------------------------------------------------------===//

static void importOptional(NodeImporter &n) {
  if (n.has(0))
    return n.result(0, n.operand(0));
  auto none = UnrealizedConversionCastOp::create(n.b, n.loc, TypeRange(n.b.getNoneType()), ValueRange());
  n.result(0, none.getResult(0));
}

static bool isEmpty(NodeImporter &n) { return !n.has(0) || isa<NoneType>(n.operand(0).getType()); }

static void importHasElement(NodeImporter &n) { n.result(0, n.scalar(n.b.getI1Type(), isEmpty(n) ? 0 : 1)); }

static void importGetElement(NodeImporter &n) {
  if (isEmpty(n))
    return n.fail("TW2005", "the optional value has no element");
  n.result(0, n.operand(0));
}

static void importMap(NodeImporter &n) { n.unsupported("TW1202", "SequenceMap is not supported"); }

llvm::ArrayRef<OpEntry> sequenceOps() {
  static const OpEntry table[] = {
      {"ConcatFromSequence", importConcat},
      {"Optional", importOptional},
      {"OptionalGetElement", importGetElement},
      {"OptionalHasElement", importHasElement},
      {"SequenceAt", importAt},
      {"SequenceConstruct", importConstruct},
      {"SequenceEmpty", importEmpty},
      {"SequenceErase", importErase},
      {"SequenceInsert", importInsert},
      {"SequenceLength", importLength},
      {"SequenceMap", importMap},
      {"SplitToSequence", importSplit},
  };
  return table;
}

bool takesSequences(llvm::StringRef domain, llvm::StringRef op) {
  return domain.empty() && (op == "Identity" || op == "Loop" ||
                            llvm::any_of(sequenceOps(), [&](const OpEntry &row) { return row.name == op; }));
}

} // namespace tilewright::frontend
