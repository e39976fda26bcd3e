// Values to buffers, launches to phases. Every step goes through `step`, which notes what it accesses: no
// life can miss an access.
#include "codegen/program/Convert.h"
#include "ir/ConstantRecipes.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

using program::BufferKind;

/// The symbols that have their values once this op has run.
SmallVector<int64_t> definedBy(Operation &op) {
  if (auto define = dyn_cast<DefineOp>(op))
    return SmallVector<int64_t>(define.getSymbols());
  if (auto conditional = dyn_cast<IfOp>(op))
    return SmallVector<int64_t>(conditional.getSymbols());
  SmallVector<int64_t> symbols;
  if (auto loop = dyn_cast<LoopOp>(op)) {
    symbols.append(loop.symbolsThatChange().begin(), loop.symbolsThatChange().end());
    if (int64_t(loop.getIterations()) >= 0)
      symbols.push_back(int64_t(loop.getIterations()));
  }
  return symbols;
}

/// The place in the model ("op:node") to name when what the op fills cannot grow: its last node.
Location placeInModel(Operation *op) {
  if (auto nodes = op->getAttrOfType<ArrayAttr>("nodes"); nodes && !nodes.empty())
    return NameLoc::get(llvm::cast<StringAttr>(nodes.getValue().back()));
  return op->getLoc();
}

class Converter {
public:
  Converter(func::FuncOp main, const SymbolTable &symbols, ArrayRef<ShapeCheck> checks)
      : main(main), symbols(symbols), checks(checks), b(main.getContext()), declare(main.getContext()) {}

  OwningOpRef<ModuleOp> run() {
    OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(b.getContext()));
    if (Attribute table = main->getParentOfType<ModuleOp>()->getAttr("graph.symbols"))
      (*module)->setAttr("graph.symbols", table);
    b.setInsertionPointToEnd(module->getBody());
    func = program::FuncOp::create(b, main.getLoc(), main.getSymName());
    Block &block = main.getBody().front();
    b.setInsertionPointToEnd(&func.getBody().emplaceBlock());
    for (auto [i, argument] : llvm::enumerate(main.getArguments())) {
      Value buffer = makeBuffer(argument, main.getLoc());
      lives.back().kind = BufferKind::input, lives.back().io = int32_t(i);
      places[argument] = buffer;
    }
    openChecks(block, checksOfMain());
    convert(block);
    finish(block.getTerminator()->getOperands());
    return module;
  }

private:
  using Numbers = llvm::SmallDenseSet<unsigned>; ///< of buffers

  /// What becomes of a buffer's declaration in the end.
  struct Life {
    program::BufferOp op;
    BufferKind kind = BufferKind::arena;
    int32_t io = -1;
    unsigned birth = 0, death = 0;
  };

  //===- Declarations ----------------------------------------------------------------===//

  /// They stand before the first step.
  OpBuilder &declarations() {
    if (firstStep)
      declare.setInsertionPoint(firstStep);
    else
      declare.setInsertionPointToEnd(&func.getBody().front());
    return declare;
  }

  Type bufferType() { return program::BufferType::get(b.getContext()); }

  /// Whether only the program knows the tensor's shape, even where it has no elements.
  bool isShapedByProgram(Type type) const {
    return llvm::any_of(dimsOf(type), [&](AffineExpr size) {
      return llvm::any_of(symbolsIn(size), [&](unsigned index) { return symbols[index].atRunTime; });
    });
  }

  Value makeBuffer(Value value, Location where) {
    const BufferKind kind = isShapedByProgram(value.getType()) ? BufferKind::growable : BufferKind::arena;
    auto op = program::BufferOp::create(declarations(), where, bufferType(), kind, IntegerAttr(), 0, 0,
                                        Value(), 0, llvm::cast<RankedTensorType>(value.getType()));
    numbers[op] = unsigned(lives.size());
    lives.push_back({op, kind, -1, now, now});
    return op.getResult();
  }

  BufferKind kindOf(Value place) { return lives[numberOf(place)].kind; }
  unsigned numberOf(Value place) { return numbers.lookup(program::bufferOf(place)); }
  bool grows(Value place) { return kindOf(place) == BufferKind::growable; }

  /// Where a value is: a buffer, a constant, or a view of one.
  Value placeOf(Value value) {
    SmallVector<Value> views; // from the last to the first
    while (!places.contains(value)) {
      if (isConstantExpression(value)) {
        places[value] = constantOf(value);
        break;
      }
      views.push_back(value);
      value = value.getDefiningOp<ReshapeOp>().getOperand();
    }
    for (Value view : llvm::reverse(views)) {
      Value source = places.lookup(view.getDefiningOp()->getOperand(0));
      places[view] = program::ViewOp::create(declarations(), view.getLoc(), bufferType(), source,
                                             llvm::cast<RankedTensorType>(view.getType()));
    }
    return places.lookup(views.empty() ? value : views.front());
  }

  SmallVector<Value> placesOf(ValueRange values) {
    return llvm::to_vector(llvm::map_range(values, [&](Value value) { return placeOf(value); }));
  }

  /// Equal recipes are stored once.
  Value constantOf(Value value) {
    Value first = recipes.representative(value);
    Value &place = constants[first];
    if (!place)
      place = program::ConstantOp::create(declarations(), first.getLoc(), bufferType(), cloneRecipe(first),
                                          IntegerAttr(), uint32_t(0));
    return place;
  }

  /// Without recursion: recipes may be deep.
  Value cloneRecipe(Value recipe) {
    SmallVector<Value> pending{recipe};
    while (!pending.empty()) {
      Operation *op = pending.back().getDefiningOp();
      const size_t before = pending.size();
      for (Value operand : op->getOperands())
        if (!cloned.contains(operand))
          pending.push_back(operand);
      if (pending.size() > before)
        continue;
      if (!cloned.contains(pending.pop_back_val()))
        declarations().clone(*op, cloned);
    }
    return cloned.lookup(recipe);
  }

  //===- Steps -----------------------------------------------------------------------===//

  template <typename Op, typename... Arguments> Op step(Location loc, Arguments &&...arguments) {
    auto op = Op::create(b, loc, std::forward<Arguments>(arguments)...);
    if (!firstStep)
      firstStep = op;
    cast<program::Step>(op.getOperation()).visitAccesses([&](const program::Access &access) {
      auto buffer = access.buffer ? program::bufferOf(access.buffer) : program::BufferOp();
      if (!buffer)
        return;
      touch(numbers.lookup(buffer));
      if (access.writes())
        written.insert(numbers.lookup(buffer));
    });
    return op;
  }

  void touch(unsigned buffer) {
    lives[buffer].death = std::max(lives[buffer].death, now);
    for (Numbers &touched : loops)
      touched.insert(buffer);
  }

  /// Where the last one has just begun, there is nothing to wait for.
  void phase(Location loc) {
    if (isa_and_present<program::PhaseOp>(lastStep()))
      return;
    ++now;
    written.clear();
    step<program::PhaseOp>(loc, now);
  }

  /// A phase ends where thread 0 has had something to do.
  template <typename Body> void byThreadZero(Location loc, Body &&body) {
    Operation *before = lastStep();
    body();
    if (lastStep() != before)
      phase(loc);
  }
  Operation *lastStep() {
    return b.getInsertionPoint() == b.getBlock()->begin() ? nullptr : &*std::prev(b.getInsertionPoint());
  }

  AffineMap sizes(ArrayRef<AffineExpr> exprs) { return mapOf(exprs, b.getContext()); }

  static AffineExpr bytesOf(Value value) {
    return canonical(elementCount(value.getType()) *
                     byteWidth(llvm::cast<RankedTensorType>(value.getType()).getElementType()));
  }

  void grow(Location loc, Value place, AffineExpr bytes) {
    step<program::GrowOp>(loc, place, sizes(bytes), Value(), false, false, false);
  }
  /// Room for `count` slices (and one more), of which those so far are kept.
  void growStack(Location loc, Value place, Value slice, Value count, bool plusOne) {
    step<program::GrowOp>(loc, place, sizes(bytesOf(slice)), count, plusOne, false, true);
  }
  void copy(Location loc, Value from, Value target, Value at = {}) {
    step<program::CopyOp>(loc, placeOf(from), target, at, uint32_t(0));
  }

  //===- Checks of shapes --------------------------------------------------------------===//

  /// Those that no branch or loop body has noted.
  SmallVector<int64_t> checksOfMain() {
    llvm::DenseSet<int64_t> nested;
    main.walk([&](Operation *op) {
      if (auto noted = op->getAttrOfType<ArrayAttr>(checksAttribute))
        for (Attribute list : noted)
          nested.insert_range(llvm::cast<DenseI64ArrayAttr>(list).asArrayRef());
    });
    SmallVector<int64_t> mine;
    for (int64_t number = 0; number < int64_t(checks.size()); ++number)
      if (!nested.contains(number))
        mine.push_back(number);
    return mine;
  }

  void require(const ShapeCheck &check) {
    SmallVector<AffineExpr> exprs{check.have, check.want};
    if (check.when)
      exprs.push_back(check.when);
    step<program::CheckOp>(main.getLoc(), check.kind, sizes(exprs), Value(), b.getI32IntegerAttr(check.site));
  }

  /// At the beginning of a block: make its checks, but leave those that need symbols which the block defines
  /// until it has (see `settle`).
  void openChecks(Block &block, ArrayRef<int64_t> mine) {
    llvm::SmallDenseSet<unsigned> defined;
    for (Operation &op : block)
      for (int64_t symbol : definedBy(op))
        defined.insert(unsigned(symbol));
    bool any = false;
    for (int64_t number : mine) {
      const ShapeCheck &check = checks[number];
      llvm::SmallDenseSet<unsigned> awaited;
      for (AffineExpr expr : {check.have, check.want, check.when})
        if (expr)
          symbols.walk(expr, [&](unsigned index) {
            if (defined.contains(index))
              awaited.insert(index);
          });
      for (unsigned symbol : awaited)
        waiting[symbol].push_back(unsigned(number));
      if ((missing[unsigned(number)] = unsigned(awaited.size())) == 0) {
        require(check);
        any = true;
      }
    }
    if (any)
      phase(main.getLoc());
  }

  /// The op has run: make the checks that waited for the symbols it defines.
  void settle(Operation &op) {
    bool any = false;
    for (int64_t symbol : definedBy(op))
      for (unsigned number : waiting.lookup(unsigned(symbol)))
        if (--missing[number] == 0) {
          require(checks[number]);
          any = true;
        }
    if (any)
      phase(op.getLoc());
  }

  //===- Ops of @main --------------------------------------------------------------------===//

  void convert(Block &block) {
    for (Operation &op : block) {
      if (auto work = dyn_cast<kernel::LaunchOp>(op))
        launch(work);
      else if (auto define = dyn_cast<graph::DefineOp>(op))
        convertDefine(define);
      else if (auto conditional = dyn_cast<graph::IfOp>(op))
        convertIf(conditional);
      else if (auto repeat = dyn_cast<graph::LoopOp>(op))
        convertLoop(repeat);
      else
        assert((isa<ReshapeOp>(op) || op.hasTrait<OpTrait::IsTerminator>() || isPure(&op)) &&
               "an op of @main that is no step, no view and no constant");
      settle(op);
    }
  }

  void launch(kernel::LaunchOp op) {
    const SmallVector<Value> sources = placesOf(op.getOperands());
    const bool grow = llvm::any_of(op.getResultTypes(), [&](Type type) { return isShapedByProgram(type); });
    auto isWritten = [&](Value source) {
      auto buffer = program::bufferOf(source);
      return buffer && written.contains(numbers.lookup(buffer));
    };
    if (grow || llvm::any_of(sources, isWritten))
      phase(op.getLoc());
    SmallVector<Value> targets;
    for (Value result : op.getResults())
      targets.push_back(places[result] = makeBuffer(result, placeInModel(op)));
    byThreadZero(op.getLoc(), [&] {
      for (auto [target, result] : llvm::zip(targets, op.getResults()))
        if (grows(target))
          this->grow(op.getLoc(), target, bytesOf(result));
    });
    auto made = step<program::LaunchOp>(op.getLoc(), op.getKernel(), sources, targets, op.getSymbols(),
                                        Value(), AffineMapAttr(), IntegerAttr(), uint32_t(0));
    made->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  }

  void convertDefine(graph::DefineOp op) {
    phase(op.getLoc());
    step<program::DefineOp>(op.getLoc(), placeOf(op.getValues()), op.getSymbolsAttr(),
                            op->hasAttr(graph::DefineOp::branchAttribute) ? b.getUnitAttr() : UnitAttr(),
                            IntegerAttr());
    phase(op.getLoc());
  }

  SmallVector<Value> makeResults(Operation *op) {
    SmallVector<Value> targets;
    for (Value result : op->getResults())
      targets.push_back(places[result] = makeBuffer(result, placeInModel(op)));
    return targets;
  }

  void convertRegion(Region &region) {
    if (auto noted = region.getParentOp()->getAttrOfType<ArrayAttr>(checksAttribute))
      openChecks(region.front(), llvm::cast<DenseI64ArrayAttr>(noted[region.getRegionNumber()]).asArrayRef());
    convert(region.front());
  }

  void convertIf(graph::IfOp op) {
    phase(op.getLoc());
    Value condition = placeOf(op.getCondition());
    auto taken = step<program::ReadOp>(op.getLoc(), b.getI1Type(), condition);
    const SmallVector<Value> targets = makeResults(op);
    auto made = step<program::IfOp>(op.getLoc(), taken);
    OpBuilder::InsertionGuard guard(b);
    auto branch = [&](Region &from, Region &to, AffineMap dims) {
      b.setInsertionPointToEnd(&to.emplaceBlock());
      // Either branch begins in the phase in which every thread looks at the condition: until its first
      // barrier a late thread may still have to.
      if (auto buffer = program::bufferOf(condition))
        touch(numbers.lookup(buffer));
      convertRegion(from);
      leaveBranch(op, from.front().getTerminator()->getOperands(), targets, dims);
    };
    branch(op.getThenRegion(), made.getThenRegion(), op.getThenDims());
    branch(op.getElseRegion(), made.getElseRegion(), op.getElseDims());
  }

  /// What the branch yields goes to the results' buffers.
  void leaveBranch(graph::IfOp op, ValueRange yielded, ArrayRef<Value> targets, AffineMap dims) {
    Location loc = op.getLoc();
    phase(loc);
    byThreadZero(loc, [&] {
      if (!op.getSymbols().empty())
        step<program::StoreOp>(loc, op.getSymbolsAttr(), AffineMapAttr::get(dims), Value());
      for (auto [target, from] : llvm::zip(targets, yielded))
        if (grows(target))
          grow(loc, target, bytesOf(from));
    });
    for (auto [target, from] : llvm::zip(targets, yielded))
      copy(loc, from, target);
    phase(loc);
  }

  //===- Loops ---------------------------------------------------------------------------===//

  static Value sliceOf(graph::LoopOp op, size_t result) {
    return op.getBody().front().getTerminator()->getOperand(unsigned(result) + 1);
  }

  /// Whether the size of the next slice of a stacked output that grows is known before the body runs.
  bool growsAtHead(graph::LoopOp op, size_t result, Value target) {
    if (!grows(target))
      return false;
    llvm::SmallDenseSet<unsigned> inner;
    for (int64_t symbol : op.symbolsThatChange())
      inner.insert(unsigned(symbol));
    op.getBody().walk([&](Operation *each) {
      for (int64_t symbol : definedBy(*each))
        inner.insert(unsigned(symbol));
    });
    bool known = true;
    for (AffineExpr dim : dimsOf(sliceOf(op, result)))
      symbols.walk(dim, [&](unsigned index) { known &= !inner.contains(index); });
    return known;
  }

  struct Loop {
    graph::LoopOp op;
    SmallVector<Value> targets; ///< of carried values, then stacked outputs
    SmallVector<bool> atHead;   ///< see growsAtHead
    Value counter;
    size_t carried() { return op.getInitial().size(); }
    Location loc() { return op.getLoc(); }
  };

  void convertLoop(graph::LoopOp op) {
    phase(op.getLoc());
    auto count = step<program::ReadOp>(op.getLoc(), b.getI64Type(), placeOf(op.getTripCount()));
    Block &body = op.getBody().front();
    Loop loop{op, {}, {}, makeBuffer(body.getArgument(0), op.getLoc())};
    loop.targets = makeResults(op);
    for (size_t i = 0; i < loop.targets.size(); ++i)
      loop.atHead.push_back(i >= loop.carried() && growsAtHead(op, i, loop.targets[i]));
    places[body.getArgument(0)] = loop.counter;
    for (size_t i = 0; i < loop.carried(); ++i)
      places[body.getArgument(unsigned(i) + 1)] = loop.targets[i];
    byThreadZero(op.getLoc(), [&] { prepareLoop(loop, count); });
    for (size_t i = 0; i < loop.carried(); ++i)
      copy(op.getLoc(), op.getInitial()[i], loop.targets[i]);
    auto start = step<program::ReadOp>(op.getLoc(), b.getI1Type(), placeOf(op.getCondition()));
    phase(op.getLoc());
    auto made = step<program::LoopOp>(op.getLoc(), b.getI64Type(), count.getResult(), start.getResult(),
                                      ArrayRef(loop.targets).drop_front(loop.carried()));
    convertBody(loop, made);
    if (int64_t symbol = int64_t(op.getIterations()); symbol >= 0) {
      step<program::StoreOp>(op.getLoc(), b.getDenseI64ArrayAttr(symbol), AffineMapAttr(),
                             made.getIterations());
      phase(op.getLoc());
    }
  }

  void storeSymbols(Loop &loop, std::optional<AffineMap> dims) {
    if (!loop.op.symbolsThatChange().empty())
      step<program::StoreOp>(loop.loc(), loop.op.getSymbolsAttr(), AffineMapAttr::get(*dims), Value());
  }

  /// Thread 0, before the first iteration: the sizes that change, and room for what is carried; for stacked
  /// outputs only where it is known how often the loop will run.
  void prepareLoop(Loop &loop, Value count) {
    storeSymbols(loop, loop.op.getInitialDims());
    const bool counts = isConstantExpression(loop.op.getBody().front().getTerminator()->getOperand(0));
    for (auto [i, target] : llvm::enumerate(loop.targets)) {
      if (!grows(target))
        continue;
      if (i < loop.carried())
        grow(loop.loc(), target, bytesOf(loop.op.getResult(unsigned(i))));
      else if (counts && loop.atHead[i])
        growStack(loop.loc(), target, sliceOf(loop.op, i), count, false);
      else
        grow(loop.loc(), target, getAffineConstantExpr(0, b.getContext()));
    }
  }

  void convertBody(Loop &loop, program::LoopOp made) {
    OpBuilder::InsertionGuard guard(b);
    Block &body = made.getBody().emplaceBlock();
    Value i = body.addArgument(b.getI64Type(), loop.loc());
    b.setInsertionPointToEnd(&body);
    const unsigned start = now;
    loops.emplace_back();
    step<program::WriteOp>(loop.loc(), i, loop.counter);
    for (auto [k, target] : llvm::enumerate(loop.targets))
      if (loop.atHead[k])
        growStack(loop.loc(), target, sliceOf(loop.op, k), i, true);
    phase(loop.loc());
    convertRegion(loop.op.getBody());
    phase(loop.loc());
    Value condition = loop.op.getBody().front().getTerminator()->getOperand(0);
    auto next = step<program::ReadOp>(loop.loc(), b.getI1Type(), placeOf(condition));
    finishIteration(loop, i);
    program::YieldOp::create(b, loop.loc(), next);
    // Whatever an iteration touches that lived before the loop must live until the last.
    for (unsigned buffer : loops.back())
      if (lives[buffer].birth <= start)
        lives[buffer].death = std::max(lives[buffer].death, now);
    loops.pop_back();
  }

  /// What the body has left goes where the next iteration, or what follows the loop, finds it.
  void finishIteration(Loop &loop, Value i) {
    const bool changes = !loop.op.symbolsThatChange().empty();
    byThreadZero(loop.loc(), [&] { growAtEnd(loop, i); });
    for (size_t k = loop.carried(); k < loop.targets.size(); ++k)
      copy(loop.loc(), sliceOf(loop.op, k), loop.targets[k], i);
    for (size_t k = 0; k < loop.carried(); ++k)
      copy(loop.loc(), sliceOf(loop.op, k), loop.targets[k]);
    phase(loop.loc());
    if (changes) {
      storeSymbols(loop, loop.op.getNextDims());
      phase(loop.loc());
    }
  }

  /// Room for what the iteration leaves, where its head could not tell how much.
  void growAtEnd(Loop &loop, Value i) {
    const bool changes = !loop.op.symbolsThatChange().empty();
    bool late = false;
    for (size_t k = 0; k < loop.targets.size(); ++k)
      late |= grows(loop.targets[k]) && !loop.atHead[k];
    if (late && changes)
      requireSameSlices(loop, i);
    for (size_t k = 0; k < loop.targets.size(); ++k) {
      if (!grows(loop.targets[k]) || loop.atHead[k])
        continue;
      if (k >= loop.carried())
        growStack(loop.loc(), loop.targets[k], sliceOf(loop.op, k), i, true);
      else if (changes)
        grow(loop.loc(), loop.targets[k], bytesOf(sliceOf(loop.op, k)));
    }
  }

  /// Slices of all iterations have one shape.
  void requireSameSlices(Loop &loop, Value i) {
    for (auto [symbol, size] :
         llvm::zip_equal(loop.op.symbolsThatChange(), loop.op.getNextDims()->getResults()))
      if (loop.op.isSliceSize(symbol))
        step<program::CheckOp>(loop.loc(), RelationKind::equal,
                               sizes({size, getAffineSymbolExpr(unsigned(symbol), b.getContext())}), i,
                               IntegerAttr());
  }

  //===- The end -------------------------------------------------------------------------===//

  void finish(ValueRange results) {
    const SmallVector<Value> outputs = placesOf(results);
    for (auto [i, output] : llvm::enumerate(outputs)) {
      Life &life = lives[numberOf(output)];
      life.kind = life.kind == BufferKind::growable ? BufferKind::growable_output : BufferKind::output;
      life.io = int32_t(i);
    }
    step<program::ReturnOp>(main.getLoc(), outputs);
    for (Life &life : lives) {
      life.op.setKind(life.kind);
      life.op.setBirth(life.birth), life.op.setDeath(life.death);
      if (life.io >= 0)
        life.op.setIo(life.io);
    }
    shareGrowables(func);
  }

  func::FuncOp main;
  const SymbolTable &symbols;
  ArrayRef<ShapeCheck> checks;
  OpBuilder b, declare;
  program::FuncOp func;
  Operation *firstStep = nullptr;
  llvm::DenseMap<Value, Value> places, constants; ///< of values of @main, of representatives
  llvm::DenseMap<Operation *, unsigned> numbers;  ///< of buffers
  std::vector<Life> lives;
  ConstantRecipes recipes;
  IRMapping cloned;
  unsigned now = 0;
  llvm::DenseSet<unsigned> written; ///< buffers that the current phase writes
  SmallVector<Numbers> loops;       ///< what each enclosing loop's body touches
  llvm::DenseMap<unsigned, SmallVector<unsigned>>
      waiting;                                ///< checks, by symbols that are still to be defined
  llvm::DenseMap<unsigned, unsigned> missing; ///< how many of them, by check
};

} // namespace

OwningOpRef<ModuleOp> convertToProgram(func::FuncOp main, const SymbolTable &symbols,
                                       ArrayRef<ShapeCheck> checks) {
  return Converter(main, symbols, checks).run();
}

program::FuncOp programOf(ModuleOp module) { return *module.getOps<program::FuncOp>().begin(); }

} // namespace tilewright::codegen
