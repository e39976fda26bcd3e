/// Control.cpp - running functions: symbols, control flow, kernel launches.
#include "ir/Constraints.h"
#include "ir/interpreter/Evaluation.h"

using namespace mlir;

namespace tilewright::interpreter {

//===- Symbols -------------------------------------------------------------------------===//

static bool isBound(AffineExpr expr, llvm::ArrayRef<int64_t> symbols) {
  return llvm::all_of(symbolsIn(expr), [&](unsigned symbol) {
    return symbol < symbols.size() && isBoundValue(symbols[symbol]);
  });
}

/// Solve `expr` = size for its only unbound symbol, when it is linear in it. False: nothing could be learnt.
static bool bindFrom(AffineExpr expr, int64_t size, llvm::SmallVectorImpl<int64_t> &symbols) {
  llvm::SmallVector<unsigned> unbound;
  for (unsigned symbol : symbolsIn(expr))
    if (symbol >= symbols.size() || !isBoundValue(symbols[symbol]))
      unbound.push_back(symbol);
  if (unbound.size() != 1)
    return false;
  unsigned symbol = unbound.front();
  if (symbol >= symbols.size())
    symbols.resize(symbol + 1, unboundSymbol);
  auto at = [&](int64_t value) {
    symbols[symbol] = value;
    return tilewright::evaluate(expr, symbols);
  };
  auto offset = at(0), next = at(1);
  int64_t slope, rest;
  if (offset && next && !llvm::SubOverflow(*next, *offset, slope) &&
      !llvm::SubOverflow(size, *offset, rest) && slope != 0 && (slope != -1 || rest != INT64_MIN) &&
      rest % slope == 0 && at(rest / slope) == size)
    return true; // the symbol has its value now; checkDims has the last word on the expression
  symbols[symbol] = unboundSymbol;
  return false;
}

static llvm::Error checkDims(llvm::ArrayRef<Dims> dims, llvm::ArrayRef<Tensor> tensors, Location location,
                             llvm::ArrayRef<int64_t> symbols) {
  for (auto [index, tensor] : llvm::enumerate(tensors))
    for (auto [dim, expr] : llvm::enumerate(dims[index])) {
      if (!isBound(expr, symbols))
        return llvm::make_error<Failure>(Failure::Unsupported, location,
                                         "the size of dimension " + llvm::Twine(dim) + " of input " +
                                             llvm::Twine(index) + " does not determine its symbols");
      auto expected = tilewright::evaluate(expr, symbols);
      if (!expected)
        return llvm::make_error<Failure>(Failure::Memory, location, "a size does not fit in 63 bits");
      if (*expected != tensor.shape[dim])
        return llvm::make_error<Failure>(Failure::ShapeMismatch, location,
                                         "dimension " + llvm::Twine(dim) + " of input " + llvm::Twine(index) +
                                             " has size " + llvm::Twine(tensor.shape[dim]) + " where " +
                                             llvm::Twine(*expected) + " is needed");
    }
  return llvm::Error::success();
}

llvm::Error bindSymbols(TypeRange types, llvm::ArrayRef<Tensor> tensors, Location location,
                        llvm::SmallVectorImpl<int64_t> &symbols) {
  if (types.size() != tensors.size())
    return llvm::make_error<Failure>(Failure::ShapeMismatch, location,
                                     llvm::Twine(tensors.size()) + " inputs are given where " +
                                         llvm::Twine(types.size()) + " are needed");
  llvm::SmallVector<Dims> dims;
  for (auto [index, type] : llvm::enumerate(types)) {
    dims.push_back(dimsOf(type));
    if (cast<RankedTensorType>(type).getElementType() != tensors[index].elementType ||
        dims.back().size() != tensors[index].shape.size()) {
      std::string needed;
      llvm::raw_string_ostream(needed) << type;
      return llvm::make_error<Failure>(Failure::ShapeMismatch, location,
                                       "input " + llvm::Twine(index) + " is " + tensors[index].describe() +
                                           " where " + needed + " is needed");
    }
  }
  for (bool learnt = true; learnt;) {
    learnt = false;
    for (auto [index, tensor] : llvm::enumerate(tensors))
      for (auto [dim, expr] : llvm::enumerate(dims[index]))
        learnt |= bindFrom(expr, tensor.shape[dim], symbols);
  }
  return checkDims(dims, tensors, location, symbols);
}

/// Values of derived symbols whose arguments have values. Those of broadcasts that cannot be stay without
/// one: only an op that needs it fails (it may lie in a branch that is not taken).
static void derive(const SymbolTable &table, llvm::MutableArrayRef<int64_t> symbols) {
  for (unsigned index = 0; index < table.size(); ++index) {
    const Symbol &symbol = table[index];
    if (symbol.origin != Symbol::Derived)
      continue;
    symbols[index] = unboundSymbol;
    if (!isBound(symbol.a, symbols) || !isBound(symbol.b, symbols))
      continue;
    auto a = tilewright::evaluate(symbol.a, symbols), b = tilewright::evaluate(symbol.b, symbols);
    if (!a || !b)
      continue;
    if (symbol.rule == Symbol::Min)
      symbols[index] = std::min(*a, *b);
    else if (symbol.rule == Symbol::Max)
      symbols[index] = std::max(*a, *b);
    else if (symbol.rule == Symbol::Sum)
      symbols[index] = llvm::AddOverflow(*a, *b, symbols[index]) ? INT64_MAX : symbols[index];
    else
      symbols[index] = *a == *b || *b == 1 ? *a : *a == 1 ? *b : mismatchedSymbol;
  }
}

//===- Frames --------------------------------------------------------------------------===//

/// One activation of a program or a kernel.
struct Evaluator::Frame {
  Frame(llvm::SmallVector<int64_t> symbols, const SymbolTable *table)
      : symbols(std::move(symbols)), table(table) {}
  llvm::SmallVector<int64_t> symbols;
  const SymbolTable *table; ///< null in kernels, whose symbols are all given
  llvm::DenseMap<Value, Tensor> values;
  /// What is not needed after an op of its own block, for each block that was run: memory of activations is
  /// returned early.
  llvm::DenseMap<Block *, llvm::DenseMap<Operation *, llvm::SmallVector<Value>>> lastUses;

  llvm::SmallVector<Tensor> operandsOf(Operation *op) {
    llvm::SmallVector<Tensor> tensors;
    for (Value operand : op->getOperands())
      tensors.push_back(values.lookup(operand));
    return tensors;
  }
  llvm::Error setSymbol(unsigned index, int64_t value, Location location) {
    if (index >= symbols.size())
      symbols.resize(index + 1, unboundSymbol);
    // No size is that small: what is calculated, such as the largest of no indices, must not mean something
    // else.
    symbols[index] = isBoundValue(value) ? value : mismatchedSymbol + 1;
    if (!table)
      return llvm::Error::success();
    const Symbol &symbol = (*table)[index];
    if (value < symbol.lo || value > symbol.hi)
      return llvm::make_error<Failure>(Failure::SymbolRange, location,
                                       "the size " + symbol.name + " is " + llvm::Twine(value) +
                                           ", outside [" + llvm::Twine(symbol.lo) + ", " +
                                           llvm::Twine(symbol.hi) + "]");
    return llvm::Error::success();
  }
  void deriveSymbols() {
    if (table)
      derive(*table, symbols);
  }
  const llvm::DenseMap<Operation *, llvm::SmallVector<Value>> &lastUsesIn(Block &block);
};

const llvm::DenseMap<Operation *, llvm::SmallVector<Value>> &Evaluator::Frame::lastUsesIn(Block &block) {
  auto [entry, isNew] = lastUses.try_emplace(&block);
  if (!isNew)
    return entry->second;
  auto note = [&](Value value, Operation *last) {
    for (Operation *user : value.getUsers())
      if (Operation *ancestor = block.findAncestorOpInBlock(*user); !last || last->isBeforeInBlock(ancestor))
        last = ancestor;
    if (last)
      entry->second[last].push_back(value);
  };
  for (BlockArgument argument : block.getArguments())
    note(argument, nullptr);
  for (Operation &op : block)
    for (Value result : op.getResults())
      note(result, &op);
  return entry->second;
}

//===- Functions -----------------------------------------------------------------------===//

Evaluator::Evaluator(ModuleOp module) : module(module), table(module) {}

llvm::Expected<llvm::SmallVector<Tensor>> Evaluator::run(func::FuncOp function,
                                                         llvm::ArrayRef<Tensor> inputs) {
  Frame frame(llvm::SmallVector<int64_t>(table.size(), unboundSymbol), &table);
  if (llvm::Error error = bindSymbols(function.getArgumentTypes(), inputs, function.getLoc(), frame.symbols))
    return std::move(error);
  frame.symbols.resize(std::max<size_t>(frame.symbols.size(), table.size()), unboundSymbol);
  for (unsigned index = 0; index < table.size(); ++index)
    if (table[index].origin == Symbol::Input && isBoundValue(frame.symbols[index]))
      if (llvm::Error error = frame.setSymbol(index, frame.symbols[index], function.getLoc()))
        return std::move(error);
  frame.deriveSymbols();
  auto outputs = runBlock(frame, function.getBody().front(), inputs);
  programSymbols = frame.symbols;
  return outputs;
}

llvm::Expected<llvm::SmallVector<Tensor>>
Evaluator::run(kernel::FuncOp function, llvm::ArrayRef<Tensor> inputs, llvm::ArrayRef<int64_t> symbols) {
  Frame frame(llvm::SmallVector<int64_t>(symbols), nullptr);
  Block &body = function.getBody().front();
  if (llvm::Error error = bindSymbols(body.getArgumentTypes(), inputs, function.getLoc(), frame.symbols))
    return error;
  return runBlock(frame, body, inputs);
}

llvm::Expected<llvm::SmallVector<Tensor>> Evaluator::runBlock(Frame &frame, Block &block,
                                                              llvm::ArrayRef<Tensor> arguments) {
  for (auto [argument, tensor] : llvm::zip_equal(block.getArguments(), arguments))
    frame.values[argument] = tensor;
  frame.lastUsesIn(block);
  for (Operation &op : block.without_terminator()) {
    if (llvm::Error error = runOp(frame, &op))
      return std::move(error);
    for (Value dead : frame.lastUses[&block].lookup(&op))
      frame.values.erase(dead);
  }
  return frame.operandsOf(block.getTerminator());
}

llvm::Error Evaluator::runOp(Frame &frame, Operation *op) {
  llvm::SmallVector<Tensor> operands = frame.operandsOf(op);
  if (llvm::Error error = requireConstraints(frame, op))
    return error;
  if (isa<graph::RequireOp>(op))
    return llvm::Error::success();
  if (auto defineOp = dyn_cast<graph::DefineOp>(op))
    return define(frame, defineOp);
  auto results = [&]() -> llvm::Expected<llvm::SmallVector<Tensor>> {
    if (auto ifOp = dyn_cast<graph::IfOp>(op))
      return runIf(frame, ifOp);
    if (auto loopOp = dyn_cast<graph::LoopOp>(op))
      return runLoop(frame, loopOp);
    if (auto launchOp = dyn_cast<kernel::LaunchOp>(op))
      return runLaunch(frame, launchOp);
    if (auto weightOp = dyn_cast<graph::WeightOp>(op)) {
      auto tensor = constants.weight(weightOp);
      return tensor ? llvm::Expected<llvm::SmallVector<Tensor>>(llvm::SmallVector<Tensor>{*tensor})
                    : tensor.takeError();
    }
    auto some = evaluate(op, operands, frame.symbols);
    return some ? llvm::Expected<llvm::SmallVector<Tensor>>(llvm::SmallVector<Tensor>(*some))
                : some.takeError();
  }();
  if (!results)
    return results.takeError();
  if (llvm::Error error = Evaluation(op, operands, frame.symbols).requireResultShapes(*results))
    return error;
  if (observer && frame.table)
    observer(op, operands, *results);
  for (auto [value, tensor] : llvm::zip_equal(op->getResults(), *results))
    frame.values[value] = tensor;
  return llvm::Error::success();
}

llvm::Error Evaluator::define(Frame &frame, graph::DefineOp op) {
  Tensor values = frame.values.lookup(op.getValues());
  if (values.rank() > 1 || values.size() != int64_t(op.getSymbols().size()))
    return llvm::make_error<Failure>(Failure::ShapeMismatch, op.getLoc(),
                                     values.describe() + " cannot define " +
                                         llvm::Twine(op.getSymbols().size()) + " symbols");
  for (auto [index, symbol] : llvm::enumerate(op.getSymbols()))
    if (llvm::Error error = frame.setSymbol(unsigned(symbol), values.integer(int64_t(index)), op.getLoc()))
      return error;
  frame.deriveSymbols();
  return llvm::Error::success();
}

/// What nobody could decide before sizes were known. Those of kernels follow from the program's.
llvm::Error Evaluator::requireConstraints(Frame &frame, Operation *op) {
  if (!frame.table)
    return llvm::Error::success();
  llvm::SmallVector<Relation> relations;
  constraintsOf(op, [&](Relation relation) {
    if (decide(relation, nullptr) != Verdict::Proved)
      relations.push_back(std::move(relation));
  });
  Evaluation e(op, {}, frame.symbols);
  for (Relation &relation : relations) {
    for (AffineExpr *expr : {&relation.have, &relation.want, &relation.when})
      if (*expr) {
        auto number = e.value(*expr);
        if (!number)
          return number.takeError();
        *expr = getAffineConstantExpr(*number, op->getContext());
      }
    if (decide(relation, nullptr) != Verdict::Proved)
      return e.fail(relation.kind == graph::RelationKind::reshape ? Failure::Reshape : Failure::ShapeMismatch,
                    disproof(relation, {}));
  }
  return llvm::Error::success();
}

llvm::Expected<llvm::SmallVector<Tensor>> Evaluator::runLaunch(Frame &frame, kernel::LaunchOp op) {
  auto function = mlir::SymbolTable::lookupNearestSymbolFrom<kernel::FuncOp>(op, op.getKernelAttr());
  Evaluation e(op, {}, frame.symbols);
  if (!function)
    return e.fail(Failure::Unsupported, "there is no kernel @" + op.getKernel());
  auto symbols = e.values(op.getSymbols());
  if (!symbols)
    return symbols.takeError();
  return run(function, frame.operandsOf(op), *symbols);
}

//===- Control flow -----------------------------------------------------------------------===//

/// A condition or trip count: one element of any shape.
static llvm::Expected<int64_t> scalarValue(const Evaluation &e, const Tensor &tensor) {
  if (tensor.size() != 1)
    return e.fail(Failure::ShapeMismatch, tensor.describe() + " is used where one element is needed");
  return tensor.integer(0);
}

llvm::Expected<llvm::SmallVector<Tensor>> Evaluator::runIf(Frame &frame, graph::IfOp op) {
  auto condition = scalarValue(Evaluation(op, {}, frame.symbols), frame.values.lookup(op.getCondition()));
  if (!condition)
    return condition.takeError();
  Region &region = *condition ? op.getThenRegion() : op.getElseRegion();
  auto results = runBlock(frame, region.front(), {});
  if (!results)
    return results;
  auto values = Evaluation(op, {}, frame.symbols).values(*condition ? op.getThenDims() : op.getElseDims());
  if (!values)
    return values.takeError();
  for (auto [symbol, value] : llvm::zip_equal(op.getSymbols(), *values))
    if (llvm::Error error = frame.setSymbol(unsigned(symbol), value, op.getLoc()))
      return std::move(error);
  frame.deriveSymbols();
  return results;
}

/// Slices of one stacked output, in order, as one tensor.
static Outcome stack(const Evaluation &e, unsigned result, llvm::ArrayRef<Tensor> slices) {
  auto stacked = e.makeResult(result);
  if (!stacked)
    return stacked;
  if (stacked->shape[0] != int64_t(slices.size()))
    return e.fail(Failure::ShapeMismatch, "the loop ran " + llvm::Twine(slices.size()) +
                                              " times where its outputs have " +
                                              llvm::Twine(stacked->shape[0]) + " slices");
  std::byte *target = stacked->mutableData();
  for (const Tensor &slice : slices) {
    if (llvm::Error error =
            e.requireShape("a slice", slice.shape, llvm::ArrayRef(stacked->shape).drop_front()))
      return std::move(error);
    std::memcpy(target, slice.data(), slice.bytes());
    target += slice.bytes();
  }
  return stacked;
}

/// Give the sizes that change in a loop their next values.
llvm::Error Evaluator::setLoopSizes(Frame &frame, graph::LoopOp op, std::optional<AffineMap> dims) {
  if (!dims)
    return llvm::Error::success();
  auto values = Evaluation(op, {}, frame.symbols).values(*dims);
  if (!values)
    return values.takeError();
  for (auto [symbol, value] : llvm::zip_equal(op.symbolsThatChange(), *values))
    if (llvm::Error error = frame.setSymbol(unsigned(symbol), value, op.getLoc()))
      return error;
  frame.deriveSymbols();
  return llvm::Error::success();
}

llvm::Expected<llvm::SmallVector<Tensor>> Evaluator::runLoop(Frame &frame, graph::LoopOp op) {
  Evaluation start(op, {}, frame.symbols);
  auto limit = scalarValue(start, frame.values.lookup(op.getTripCount()));
  if (!limit)
    return limit.takeError();
  auto going = scalarValue(start, frame.values.lookup(op.getCondition()));
  if (!going)
    return going.takeError();
  llvm::SmallVector<Tensor> carried;
  for (Value initial : op.getInitial())
    carried.push_back(frame.values.lookup(initial));
  size_t carriedCount = carried.size();
  llvm::SmallVector<llvm::SmallVector<Tensor>> slices(op.getNumResults() - carriedCount);
  if (llvm::Error error = setLoopSizes(frame, op, op.getInitialDims()))
    return std::move(error);
  int64_t iteration = 0;
  Block &body = op.getBody().front();
  Type counterType = cast<RankedTensorType>(body.getArgument(0).getType()).getElementType();
  for (; *going && (*limit < 0 || iteration < *limit); ++iteration) {
    llvm::SmallVector<Tensor> arguments{Tensor::fromInts(counterType, {}, {iteration})};
    arguments.append(carried);
    auto yielded = runBlock(frame, body, arguments);
    if (!yielded)
      return yielded;
    going = scalarValue(Evaluation(op, {}, frame.symbols), yielded->front());
    if (!going)
      return going.takeError();
    carried.assign(yielded->begin() + 1, yielded->begin() + 1 + carriedCount);
    for (auto [index, list] : llvm::enumerate(slices))
      list.push_back((*yielded)[1 + carriedCount + index]);
    if (llvm::Error error = setLoopSizes(frame, op, op.getNextDims()))
      return std::move(error);
  }
  return finishLoop(frame, op, iteration, std::move(carried), slices);
}

llvm::Expected<llvm::SmallVector<Tensor>>
Evaluator::finishLoop(Frame &frame, graph::LoopOp op, int64_t iterations, llvm::SmallVector<Tensor> results,
                      llvm::ArrayRef<llvm::SmallVector<Tensor>> slices) {
  if (int64_t symbol = op.getIterations(); symbol >= 0) {
    if (llvm::Error error = frame.setSymbol(unsigned(symbol), iterations, op.getLoc()))
      return error;
    frame.deriveSymbols();
  }
  Evaluation e(op, {}, frame.symbols);
  for (const auto &list : slices) {
    auto stacked = stack(e, unsigned(results.size()), list);
    if (!stacked)
      return stacked.takeError();
    results.push_back(std::move(*stacked));
  }
  return results;
}

} // namespace tilewright::interpreter
