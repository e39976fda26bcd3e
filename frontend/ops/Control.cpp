/// Control.cpp - If, Loop and Scan as regions; subgraphs see the values around them.
#include "frontend/ops/Sequence.h"

using namespace mlir;
namespace tilewright::frontend {

static const onnx::Graph *graphAttr(NodeImporter &n, llvm::StringRef name) {
  const onnx::Attribute *attribute = n.attr(name);
  if (attribute && attribute->kind == onnx::Attribute::Kind::Graph)
    return &attribute->graph();
  n.fail("TW1205", "attribute '" + name + "' must be a graph");
  return nullptr;
}

/// A condition: one bool.
static Value scalarCondition(NodeImporter &n, Value value) {
  if (!requireBool(n, value))
    return {};
  return singleElement(n, value, "the condition");
}

//===- If --------------------------------------------------------------------------------===//

static void inlineBranch(NodeImporter &n, const onnx::Graph &branch) {
  std::optional<SmallVector<Value>> values = n.subgraph(branch, {});
  if (!values)
    return;
  if (values->size() != n.resultCount())
    return n.fail("TW1211", "a branch has " + llvm::Twine(values->size()) + " outputs instead of " +
                                llvm::Twine(n.resultCount()));
  for (auto [index, value] : llvm::enumerate(*values))
    n.result(index, value);
}

static void importIf(NodeImporter &n) {
  if (!require(n, 1))
    return;
  Value condition = scalarCondition(n, n.operand(0));
  const onnx::Graph *onTrue = graphAttr(n, "then_branch"), *onFalse = graphAttr(n, "else_branch");
  if (!condition || !onTrue || !onFalse)
    return;
  if (auto known = n.constantInts(condition)) // decided now: the other branch need not even be supported
    return inlineBranch(n, known->front() ? *onTrue : *onFalse);
  n.branches(condition, *onTrue, *onFalse);
}

//===- Loop ------------------------------------------------------------------------------------===//

/// Whether the expression depends on symbols that the program defines and that are younger than `before`:
/// they are made inside.
static bool madeInside(NodeImporter &n, AffineExpr expr, unsigned before) {
  bool inside = false;
  n.symbols.walk(
      expr, [&](unsigned index) { inside |= index >= before && n.symbols[index].origin == Symbol::Defined; });
  return inside;
}

/// Whether the symbol is one of `symbols`, or follows from one.
static bool dependsOn(NodeImporter &n, unsigned index, ArrayRef<int64_t> symbols) {
  bool depends = false;
  n.symbols.walk(getAffineSymbolExpr(index, n.b.getContext()),
                 [&](unsigned each) { depends |= llvm::is_contained(symbols, int64_t(each)); });
  return depends;
}

namespace {
struct LoopInputs {
  Value tripCount, condition; ///< rank 0
  SmallVector<Value> initial;
  SmallVector<unsigned> places;                      ///< of `initial` among what is carried
  SmallVector<std::pair<unsigned, Value>> sequences; ///< what else is carried, with its place
  bool conditional = false;                          ///< the body's condition counts

  unsigned carriedCount() const { return initial.size() + sequences.size(); }
};
} // namespace

static std::optional<LoopInputs> loopInputs(NodeImporter &n) {
  LoopInputs inputs;
  for (size_t index = 0; index < n.operandCount(); ++index) {
    Value value = n.operand(index);
    if (value && !isa<RankedTensorType>(value.getType()) && (index < 2 || !isSequence(value))) {
      n.unsupported("TW1202", "operand " + llvm::Twine(index) +
                                  " is a sequence or an empty optional value, and "
                                  "only a tensor is supported here");
      return std::nullopt;
    }
  }
  inputs.conditional = n.has(1);
  inputs.condition = n.has(1) ? scalarCondition(n, n.operand(1)) : n.scalarInt(n.b.getI1Type(), 1);
  inputs.tripCount = n.scalarInt(si64(n), -1); // no limit
  if (n.has(0)) {
    if (!isInteger(n.operand(0))) {
      n.fail("TW2004", "the trip count must be an integer");
      return std::nullopt;
    }
    Value count = singleElement(n, n.cast(n.operand(0), si64(n)), "the trip count");
    if (!count)
      return std::nullopt;
    inputs.tripCount = n.maximum(count, n.like(count, 0));
  }
  for (size_t index = 2; index < n.operandCount(); ++index) {
    if (!n.has(index)) {
      n.fail("TW1206", "operand " + llvm::Twine(index) + " is missing");
      return std::nullopt;
    }
    if (isSequence(n.operand(index))) {
      inputs.sequences.push_back({unsigned(index - 2), n.operand(index)});
      continue;
    }
    inputs.initial.push_back(n.operand(index));
    inputs.places.push_back(index - 2);
  }
  return inputs.condition ? std::optional(inputs) : std::nullopt;
}

namespace {
/// The body as it was imported for carried values of certain types.
struct LoopBody {
  SmallVector<Type> types;    ///< of the carried values, at the beginning of an iteration
  SmallVector<int64_t> fresh; ///< symbols in `types` for sizes that change
  unsigned before = 0;        ///< symbols younger than this are made inside
  Value condition;            ///< for the next iteration
  SmallVector<Value> carried, slices;
  SmallVector<int64_t> appended; ///< to each sequence, by an iteration; what it is is the last slices
};

/// Sizes that change from one iteration to the next: symbols, and what they are at first and after each.
struct ChangingSizes {
  SmallVector<int64_t> symbols;
  Dims initial, next;
};
} // namespace

/// Sequences stay sequences, and tensors tensors.
static bool requireKinds(NodeImporter &n, const LoopInputs &inputs, ArrayRef<Value> values) {
  for (auto [index, value] : llvm::enumerate(values)) {
    bool sequence = llvm::any_of(inputs.sequences, [&](const auto &each) { return each.first + 1 == index; });
    if (sequence == isSequence(value) && (sequence || isa<RankedTensorType>(value.getType())))
      continue;
    n.unsupported("TW1202", "output " + llvm::Twine(index) + " of its body is " + (sequence ? "no " : "a ") +
                                "sequence or an optional value");
    return false;
  }
  return true;
}

/// What an iteration appends to sequences is a slice for each.
static bool sliceAppended(NodeImporter &n, const LoopInputs &inputs, ArrayRef<Value> arguments,
                          ArrayRef<Value> values, LoopBody &loop) {
  loop.appended.clear();
  for (auto [place, sequence] : inputs.sequences) {
    auto elements = appendedTo(n, arguments[2 + place], values[1 + place]);
    if (!elements || (elements->size() > 1 && !requireSameElements(n, *elements)))
      return false;
    loop.appended.push_back(int64_t(elements->size()));
    if (elements->empty())
      continue;
    for (Value &element : *elements)
      element = n.unsqueeze(element, {0});
    Value slice = elements->size() == 1 ? elements->front() : joined(n, *elements, 0);
    if (!slice)
      return false;
    loop.slices.push_back(slice);
  }
  return true;
}

/// Fill the loop's body, but for its yield.
static bool importBody(NodeImporter &n, const onnx::Graph &graph, const LoopInputs &inputs, LoopBody &loop,
                       Block &block) {
  OpBuilder::InsertionGuard guard(n.b);
  loop.before = n.symbols.size();
  block.addArgument(RankedTensorType::get({}, si64(n)), n.loc);
  for (Type type : loop.types)
    block.addArgument(type, n.loc);
  n.b.setInsertionPointToEnd(&block);
  Value always = n.scalarInt(n.b.getI1Type(), 1);
  SmallVector<Value> arguments(2 + inputs.carriedCount());
  arguments[0] = block.getArgument(0), arguments[1] = always;
  for (auto [place, argument] : llvm::zip_equal(inputs.places, block.getArguments().drop_front()))
    arguments[2 + place] = argument;
  for (auto [place, sequence] : inputs.sequences)
    arguments[2 + place] = growingSequence(n);
  std::optional<SmallVector<Value>> values = n.subgraph(graph, arguments);
  if (!values)
    return false;
  if (values->size() != n.resultCount() + 1 || n.resultCount() < inputs.carriedCount()) {
    n.fail("TW1211", "the body's outputs do not match the loop's");
    return false;
  }
  loop.condition = inputs.conditional ? scalarCondition(n, values->front()) : always;
  if (!requireKinds(n, inputs, ArrayRef(*values)))
    return false;
  loop.carried = SmallVector<Value>(
      llvm::map_range(inputs.places, [&](unsigned place) { return (*values)[1 + place]; }));
  loop.slices.assign(values->begin() + 1 + inputs.carriedCount(), values->end());
  if (!sliceAppended(n, inputs, arguments, *values, loop))
    return false;
  for (auto [index, value] : llvm::enumerate(loop.carried)) {
    auto type = cast<RankedTensorType>(loop.types[index]);
    if (n.elementType(value) != type.getElementType())
      n.fail("TW2003", "carried value " + llvm::Twine(index) + " changes its element type from " +
                           typeName(type.getElementType()) + " to " + typeName(n.elementType(value)));
    else if (n.rank(value) != type.getRank())
      n.unsupported("TW1203",
                    "carried value " + llvm::Twine(index) + " changes its rank from " +
                        llvm::Twine(type.getRank()) + " to " + llvm::Twine(n.rank(value)),
                    "carry a tensor of the larger rank");
  }
  return !n.hasFailed();
}

/// Whether the body declares that this dimension of a carried value is what it is now.
static bool declaresSize(const onnx::Graph &graph, size_t carried, size_t axis, AffineExpr now) {
  if (carried + 2 >= graph.inputs.size())
    return false;
  const onnx::TypeInfo &type = graph.inputs[carried + 2].type;
  return type.hasShape && axis < type.shape.size() && type.shape[axis].kind == onnx::Dimension::Kind::Value &&
         constantOf(now) == type.shape[axis].value;
}

static bool isFresh(const LoopBody &loop, AffineExpr expr) {
  auto symbol = llvm::dyn_cast<AffineSymbolExpr>(expr);
  return symbol && llvm::is_contained(loop.fresh, int64_t(symbol.getPosition()));
}

/// A symbol for each size that an iteration may change, one for those that change alike. False: there were
/// none, and `loop` holds for every iteration.
static bool loosenChanged(NodeImporter &n, const onnx::Graph &graph, ArrayRef<unsigned> places,
                          LoopBody &loop) {
  llvm::DenseMap<AffineExpr, AffineExpr> nextOf; // of the symbols
  llvm::DenseMap<std::pair<AffineExpr, AffineExpr>, AffineExpr> made;
  bool changed = false;
  for (auto [index, type] : llvm::enumerate(loop.types)) {
    Dims now = dimsOf(type), next = dimsOf(loop.carried[index]);
    for (auto [axis, size] : llvm::enumerate(now)) {
      bool keeps = provablyEqual(size, next[axis]);
      if (isFresh(loop, size))
        keeps = provablyEqual(nextOf.try_emplace(size, next[axis]).first->second, next[axis]);
      AffineExpr growth = canonical(next[axis] - size);
      bool differs = n.symbols.lowerBound(growth) > 0 || n.symbols.upperBound(growth) < 0;
      if (keeps || (!isFresh(loop, size) && !differs && declaresSize(graph, places[index], axis, size)))
        continue;
      AffineExpr &symbol = made[{size, next[axis]}];
      if (!symbol) {
        symbol = n.symbols.defined("carried");
        loop.fresh.push_back(cast<AffineSymbolExpr>(symbol).getPosition());
      }
      size = symbol, changed = true;
    }
    type = tensorType(now, cast<RankedTensorType>(type).getElementType());
  }
  return changed;
}

/// Nothing but the rank of the carried values, where the body does not declare more. False: that is all that
/// there was.
static bool loosenAll(NodeImporter &n, const onnx::Graph &graph, ArrayRef<unsigned> places, LoopBody &loop) {
  bool changed = false;
  for (auto [index, type] : llvm::enumerate(loop.types)) {
    Dims now = dimsOf(type);
    for (auto [axis, size] : llvm::enumerate(now)) {
      if (isFresh(loop, size) || declaresSize(graph, places[index], axis, size))
        continue;
      size = n.symbols.defined("carried");
      loop.fresh.push_back(cast<AffineSymbolExpr>(size).getPosition());
      changed = true;
    }
    type = tensorType(now, cast<RankedTensorType>(type).getElementType());
  }
  return changed;
}

/// Import the body until its carried values' types hold for every iteration. With the initial values' sizes
/// it may be wrong: then what it says about that is forgotten.
static bool settleBody(NodeImporter &n, const onnx::Graph &graph, const LoopInputs &inputs, LoopBody &loop,
                       graph::LoopOp draft) {
  SmallVector<Diagnostic> first;
  for (size_t mark = n.problemCount();; n.forgetBody(draft.getBody())) {
    bool imported = importBody(n, graph, inputs, loop, draft.getBody().emplaceBlock());
    if (imported && !loosenChanged(n, graph, inputs.places, loop))
      return true;
    if (imported)
      continue;
    SmallVector<Diagnostic> problems = n.takeProblems(mark);
    bool shapes = first.empty() && llvm::all_of(problems, isAboutShapes);
    if (first.empty())
      first = std::move(problems);
    if (!shapes || !loosenAll(n, graph, inputs.places, loop)) {
      n.giveBack(std::move(first));
      return false;
    }
  }
}

/// What the symbols in the body's types are, for the loop op; carried values get exactly those types.
static ChangingSizes changingSizes(NodeImporter &n, const LoopInputs &inputs, LoopBody &loop) {
  ChangingSizes sizes;
  for (auto [index, type] : llvm::enumerate(loop.types))
    for (auto [axis, size] : llvm::enumerate(dimsOf(type))) {
      if (!isFresh(loop, size)) {
        loop.carried[index] = withSize(n, loop.carried[index], axis, size);
        continue;
      }
      int64_t symbol = cast<AffineSymbolExpr>(size).getPosition();
      if (llvm::is_contained(sizes.symbols, symbol))
        continue;
      sizes.symbols.push_back(symbol);
      sizes.initial.push_back(dimsOf(inputs.initial[index])[axis]);
      sizes.next.push_back(dimsOf(loop.carried[index])[axis]);
    }
  return sizes;
}

/// Whether the slice's sizes follow from sizes that change from one iteration to the next.
static bool changesSize(NodeImporter &n, const LoopBody &loop, Value slice) {
  return llvm::any_of(symbolsIn(slice.getType()),
                      [&](unsigned symbol) { return dependsOn(n, symbol, loop.fresh); });
}

/// The shape of a slice as those outside may say it: a symbol for each size that is made inside.
static Dims sliceShape(NodeImporter &n, const LoopBody &loop, Value slice, ChangingSizes &sizes,
                       size_t firstOfSlices) {
  Dims shape = dimsOf(slice);
  for (AffineExpr &size : shape) {
    bool inner = madeInside(n, size, loop.before) || llvm::any_of(symbolsIn(size), [&](unsigned symbol) {
                   return dependsOn(n, symbol, loop.fresh);
                 });
    if (!inner)
      continue;
    auto *known = std::find(sizes.next.begin() + firstOfSlices, sizes.next.end(), size);
    if (known == sizes.next.end()) {
      AffineExpr symbol = n.symbols.defined("slice");
      sizes.symbols.push_back(cast<AffineSymbolExpr>(symbol).getPosition());
      sizes.initial.push_back(n.dim(0));
      sizes.next.push_back(size);
      known = sizes.next.end() - 1;
    }
    size = getAffineSymbolExpr(sizes.symbols[known - sizes.next.begin()], n.b.getContext());
  }
  return shape;
}

/// The number of iterations as a leading dimension: a constant, else a symbol that the loop defines
/// (`iterations`).
static AffineExpr stackedSize(NodeImporter &n, const LoopInputs &inputs, int64_t &iterations) {
  auto count = n.constantInts(inputs.tripCount);
  if (!inputs.conditional && count && count->front() >= 0)
    return n.dim(count->front());
  AffineExpr size =
      n.symbols.defined("iterations", 0, count && count->front() >= 0 ? count->front() : INT64_MAX);
  iterations = cast<AffineSymbolExpr>(size).getPosition();
  return size;
}

/// No limit, and a condition that no iteration can change: such a loop ends with the machine's memory at
/// best.
static bool neverEnds(NodeImporter &n, const LoopInputs &inputs, const LoopBody &body) {
  auto isOneOf = [&](Value value, ArrayRef<int64_t> wanted) {
    auto known = n.constantInts(value);
    return known && known->size() == 1 && llvm::is_contained(wanted, known->front());
  };
  return isOneOf(inputs.tripCount, {-1, INT64_MAX}) && isOneOf(inputs.condition, {1}) &&
         isOneOf(body.condition, {1});
}

/// The loop op's results are carried tensors, stacked outputs, and stacks of what was appended to sequences.
static void giveResults(NodeImporter &n, const LoopInputs &inputs, const LoopBody &body,
                        ArrayRef<Value> results) {
  size_t tensors = inputs.initial.size(), outputs = n.resultCount() - inputs.carriedCount();
  for (auto [index, place] : llvm::enumerate(inputs.places))
    n.result(place, results[index]);
  for (size_t index = 0; index < outputs; ++index)
    n.result(inputs.carriedCount() + index, results[tensors + index]);
  ArrayRef<Value> stacks = results.drop_front(tensors + outputs);
  for (auto [sequence, appended] : llvm::zip_equal(inputs.sequences, body.appended)) {
    Value value = sequence.second;
    if (appended) {
      Dims shape = dimsOf(stacks.front()); // [iterations, appended, element...]
      shape[1] = canonical(shape[0] * shape[1]);
      value = extendedSequence(n, value, n.reshape(stacks.front(), ArrayRef(shape).drop_front()));
      stacks = stacks.drop_front();
    }
    if (value)
      n.result(sequence.first, value);
  }
}

static void importLoop(NodeImporter &n) {
  const onnx::Graph *graph = graphAttr(n, "body");
  std::optional<LoopInputs> inputs = graph ? loopInputs(n) : std::nullopt;
  if (!inputs)
    return;
  LoopBody body;
  for (Value value : inputs->initial)
    body.types.push_back(value.getType());
  // As for If: filled below an op without results.
  auto draft = graph::LoopOp::create(n.b, n.loc, TypeRange(), inputs->tripCount, inputs->condition,
                                     inputs->initial, -1);
  if (!settleBody(n, *graph, *inputs, body, draft))
    return;
  if (neverEnds(n, *inputs, body))
    return n.fail("TW1211", "the loop never ends: it has no trip count, and its condition is always true",
                  "give it a trip count, or a condition that an iteration can make false");
  OpBuilder::InsertPoint outside = n.b.saveInsertionPoint();
  n.b.setInsertionPointToEnd(&draft.getBody().front());
  ChangingSizes sizes = changingSizes(n, *inputs, body);
  SmallVector<Value> yielded{body.condition};
  yielded.append(body.carried);
  yielded.append(body.slices);
  graph::YieldOp::create(n.b, n.loc, yielded);
  n.b.restoreInsertionPoint(outside);

  int64_t iterations = -1;
  SmallVector<Type> types(body.types);
  AffineExpr size = body.slices.empty() ? n.dim(0) : stackedSize(n, *inputs, iterations);
  size_t firstOfSlices = sizes.symbols.size(),
         appended = llvm::count_if(body.appended, [](auto k) { return k > 0; });
  for (auto [index, slice] : llvm::enumerate(body.slices)) {
    if (index + appended >= body.slices.size() && changesSize(n, body, slice))
      return n.unsupported("TW1202", "it appends tensors of different sizes to a sequence",
                           "pad them to one size");
    Dims shape = sliceShape(n, body, slice, sizes, firstOfSlices);
    shape.insert(shape.begin(), size);
    types.push_back(tensorType(shape, n.elementType(slice)));
  }
  auto mapAttr = [&](ArrayRef<AffineExpr> dims) { return AffineMapAttr::get(mapOf(dims, n.b.getContext())); };
  auto loop = graph::LoopOp::create(n.b, n.loc, types, inputs->tripCount, inputs->condition, inputs->initial,
                                    iterations, n.b.getDenseI64ArrayAttr(sizes.symbols),
                                    mapAttr(sizes.initial), mapAttr(sizes.next));
  loop.getBody().takeBody(draft.getBody());
  draft.erase();
  std::optional<Dims> trips = inputs->conditional ? std::nullopt : n.symbolicValue(inputs->tripCount);
  SmallVector<Value> results(loop.getResults());
  if (trips && n.symbols.lowerBound((*trips)[0]) >= 0)
    for (Value &stacked : MutableArrayRef(results).drop_front(inputs->initial.size()))
      stacked = withSize(n, stacked, 0, (*trips)[0]);
  giveResults(n, *inputs, body, results);
}

//===- Scan ----------------------------------------------------------------------------------------===//

namespace {
/// What a Scan's attributes and operands say; opset 8 has a batch (which must be 1 here) and a first operand
/// for sequence lengths.
struct ScanInputs {
  SmallVector<Value> states, sequences;
  SmallVector<int64_t> inputAxes, inputReversed, outputAxes, outputReversed;
  AffineExpr length;
};
} // namespace

/// An attribute of one entry for each of `count` values, else zeros.
static SmallVector<int64_t> perValue(NodeImporter &n, llvm::StringRef name, size_t count) {
  SmallVector<int64_t> values = n.intsAttr(name).value_or(SmallVector<int64_t>(count, 0));
  if (values.size() != count)
    n.fail("TW1205",
           name + " has " + llvm::Twine(values.size()) + " entries for " + llvm::Twine(count) + " values");
  values.resize(count);
  return values;
}

static Value withoutBatch(NodeImporter &n, Value value) {
  if (n.rank(value) >= 1 && constantOf(dimsOf(value)[0]) == 1)
    return n.squeeze(value, {0});
  n.unsupported("TW1203", "Scan of opset 8 with a batch other than 1 is not supported");
  return value;
}

static bool scanOperands(NodeImporter &n, ScanInputs &s) {
  bool batched = n.opset < 9;
  if (batched && n.has(0)) {
    n.unsupported("TW1203", "Scan of opset 8 with sequence lengths is not supported");
    return false;
  }
  int64_t sequences = n.intAttr("num_scan_inputs", 0), first = batched ? 1 : 0,
          operands = int64_t(n.operandCount()) - first;
  if (sequences < 1 || sequences > operands) {
    n.fail("TW1205",
           "num_scan_inputs is " + llvm::Twine(sequences) + " for " + llvm::Twine(operands) + " operands");
    return false;
  }
  for (int64_t index = 0; index < operands; ++index) {
    Value value = n.operand(index + first);
    if (!value) {
      n.fail("TW1206", "operand " + llvm::Twine(index + first) + " is missing");
      return false;
    }
    value = batched ? withoutBatch(n, value) : value;
    (index < operands - sequences ? s.states : s.sequences).push_back(value);
  }
  return !n.hasFailed();
}

static bool scanAxes(NodeImporter &n, ScanInputs &s) {
  size_t outputs = n.resultCount() - std::min(n.resultCount(), s.states.size());
  s.inputAxes = perValue(n, n.opset < 9 ? "" : "scan_input_axes", s.sequences.size());
  s.inputReversed = perValue(n, n.opset < 9 ? "directions" : "scan_input_directions", s.sequences.size());
  s.outputAxes = perValue(n, "scan_output_axes", outputs);
  s.outputReversed = perValue(n, "scan_output_directions", outputs);
  for (auto [value, axis] : llvm::zip_equal(s.sequences, s.inputAxes)) {
    std::optional<int64_t> normalized = n.axis(axis, n.rank(value));
    if (!normalized)
      return false;
    axis = *normalized;
    AffineExpr size = dimsOf(value)[axis];
    if (s.length && !n.requireEqual(s.length, size, "lengths of the scanned operands"))
      return false;
    if (!s.length || constantOf(size))
      s.length = size;
  }
  return !n.hasFailed();
}

/// The next value of a carried one, of exactly its type.
static Value nextCarried(NodeImporter &n, Value next, Type type, size_t index) {
  if (n.elementType(next) != cast<RankedTensorType>(type).getElementType() ||
      n.rank(next) != cast<RankedTensorType>(type).getRank()) {
    n.fail("TW2003", "carried value " + llvm::Twine(index) + " changes its element type or rank");
    return {};
  }
  for (auto [axis, size] : llvm::enumerate(dimsOf(type))) {
    AffineExpr have = dimsOf(next)[axis], growth = canonical(have - size);
    if (n.symbols.lowerBound(growth) > 0 || n.symbols.upperBound(growth) < 0) {
      n.unsupported("TW1203",
                    "carried value " + llvm::Twine(index) + " changes its shape: dimension " +
                        llvm::Twine(axis) + " is " + toText(size, n.symbols.names()) + " before and " +
                        toText(have, n.symbols.names()) + " after an iteration",
                    "use a scan output, or a tensor of full size that is written in place");
      return {};
    }
    next = withSize(n, next, axis, size);
  }
  return next;
}

/// One step: the slices at `index`, the body, and what it leaves.
static LoopValues scanStep(NodeImporter &n, const onnx::Graph &graph, const ScanInputs &s, Value index,
                           ArrayRef<Value> states) {
  LoopValues failed{SmallVector<Value>(states), {}};
  SmallVector<Value> arguments(states);
  for (auto [value, axis, reversed] : llvm::zip_equal(s.sequences, s.inputAxes, s.inputReversed)) {
    Value at = reversed ? n.sub(dimValue(n, difference(s.length, n.dim(1)), si64(n)), index) : index;
    arguments.push_back(n.gather(value, at, axis));
  }
  unsigned before = n.symbols.size();
  std::optional<SmallVector<Value>> values = n.subgraph(graph, arguments);
  if (!values)
    return failed;
  if (values->size() != n.resultCount() || values->size() < states.size()) {
    n.fail("TW1211", "the body's outputs do not match the scan's");
    return failed;
  }
  LoopValues next;
  for (auto [position, value] : llvm::enumerate(*values)) {
    if (position >= states.size()) {
      next.stacked.push_back(value);
      if (llvm::any_of(dimsOf(value), [&](AffineExpr dim) { return madeInside(n, dim, before); }))
        n.unsupported("TW1203",
                      "the slices of output " + llvm::Twine(position) + " may differ in shape between steps");
      continue;
    }
    next.carried.push_back(nextCarried(n, value, states[position].getType(), position));
  }
  return n.hasFailed() ? failed : next;
}

static void importScan(NodeImporter &n) {
  const onnx::Graph *graph = graphAttr(n, "body");
  ScanInputs s;
  if (!graph || !scanOperands(n, s) || !scanAxes(n, s))
    return;
  LoopValues values = countedLoop(n, s.length, s.states, [&](Value index, ArrayRef<Value> states) {
    return scanStep(n, *graph, s, index, states);
  });
  if (n.hasFailed())
    return;
  auto give = [&](size_t index, Value value) {
    n.result(index, n.opset < 9 ? n.unsqueeze(value, {0}) : value);
  };
  for (auto [index, value] : llvm::enumerate(values.carried))
    give(index, value);
  for (auto [index, stacked] : llvm::enumerate(values.stacked)) {
    std::optional<int64_t> axis = n.axis(s.outputAxes[index], n.rank(stacked));
    if (!axis)
      return;
    Value value = s.outputReversed[index] ? flip(n, stacked, 0) : stacked;
    SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(1, n.rank(value)));
    perm.insert(perm.begin() + *axis, 0);
    give(values.carried.size() + index, n.transpose(value, perm));
  }
}

llvm::ArrayRef<OpEntry> controlOps() {
  static const OpEntry table[] = {
      {"If", importIf},
      {"Loop", importLoop},
      {"Scan", importScan},
  };
  return table;
}

} // namespace tilewright::frontend
