// Phases and buffers. Launches follow each other without a barrier until one reads what the current phase
// writes.
#include "codegen/program/ProgramPlan.h"
#include "ir/ConstantRecipes.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::SmallVector;

namespace tilewright::codegen {

bool definedByProgram(AffineExpr expr, const SymbolTable &symbols) {
  return llvm::any_of(symbolsIn(expr), [&](unsigned index) { return symbols[index].atRunTime; });
}

/// Whether only the program knows the value's shape, even where it has no elements.
static bool shapedByProgram(Value value, const SymbolTable &symbols) {
  return llvm::any_of(dimsOf(value), [&](AffineExpr size) { return definedByProgram(size, symbols); });
}

Place ProgramPlan::placeOf(Value value) const {
  while (true) {
    if (auto it = places.find(value); it != places.end())
      return it->second;
    auto view = value.getDefiningOp<ReshapeOp>();
    assert(view && "a value without a place");
    value = view.getOperand();
  }
}

namespace {

class Planner {
public:
  Planner(func::FuncOp main, const SymbolTable &symbols) : main(main), symbols(symbols) {}

  ProgramPlan run() {
    for (auto [i, argument] : llvm::enumerate(main.getArguments())) {
      unsigned buffer = makeBuffer(argument);
      plan.buffers[buffer].kind = PlannedBuffer::Input;
      plan.buffers[buffer].io = i;
      bind(argument, buffer);
    }
    block(main.getBody().front());
    for (auto [i, value] : llvm::enumerate(main.getBody().front().getTerminator()->getOperands())) {
      PlannedBuffer &buffer = plan.buffers[plan.placeOf(value).index];
      buffer.kind =
          buffer.kind == PlannedBuffer::Growable ? PlannedBuffer::GrowableOutput : PlannedBuffer::Output;
      buffer.io = i;
      buffer.death = phase;
    }
    plan.phases = phase + 1;
    if (llvm::any_of(plan.launches, [&](kernel::LaunchOp launch) { return usesDefinedSymbols(launch); })) {
      plan.scratchBuffer = plan.buffers.size();
      plan.buffers.push_back(
          {PlannedBuffer::Growable, 0, 0, phase, constantDim(main.getContext(), 0), std::nullopt, Type()});
    }
    shareGrowables();
    return std::move(plan);
  }

private:
  /// Memory that grows at run time and takes in one buffer after the other; `root` was the first.
  struct Slot {
    unsigned root, death;
    AffineExpr bytes; ///< of the latest
  };

  /// Sizes of growable buffers are known too late to lay them out, but their lives are known now: one takes
  /// over the memory of another that is dead, best of one of the same size. Each has its first phase behind a
  /// barrier.
  void shareGrowables() {
    SmallVector<unsigned> order;
    for (auto [index, buffer] : llvm::enumerate(plan.buffers))
      if (buffer.kind == PlannedBuffer::Growable)
        order.push_back(index);
    llvm::sort(order, [&](unsigned a, unsigned b) {
      return std::pair(plan.buffers[a].birth, a) < std::pair(plan.buffers[b].birth, b);
    });
    SmallVector<Slot> slots;
    for (unsigned index : order) {
      PlannedBuffer &buffer = plan.buffers[index];
      Slot *slot = freeSlot(slots, buffer);
      if (slot) {
        buffer.alias = slot->root;
        slot->death = buffer.death, slot->bytes = buffer.bytes;
      } else {
        slots.push_back({index, buffer.death, buffer.bytes});
      }
    }
  }

  /// Among the latest few, so that the search stays linear in the number of buffers.
  static Slot *freeSlot(SmallVectorImpl<Slot> &slots, const PlannedBuffer &buffer) {
    constexpr size_t candidates = 256;
    Slot *best = nullptr;
    for (Slot &slot : llvm::reverse(llvm::MutableArrayRef(slots).take_back(candidates))) {
      if (slot.death >= buffer.birth)
        continue;
      if (slot.bytes == buffer.bytes)
        return &slot;
      best = best ? best : &slot;
    }
    return best;
  }

  bool usesDefinedSymbols(kernel::LaunchOp launch) {
    return llvm::any_of(launch.getSymbols().getResults(),
                        [&](AffineExpr expr) { return definedByProgram(expr, symbols); });
  }

  unsigned makeBuffer(Value value) {
    AffineExpr bytes = canonical(elementCount(value.getType()) *
                                 byteWidth(llvm::cast<RankedTensorType>(value.getType()).getElementType()));
    PlannedBuffer buffer;
    buffer.kind = shapedByProgram(value, symbols) ? PlannedBuffer::Growable : PlannedBuffer::Arena;
    buffer.birth = buffer.death = phase;
    buffer.bytes = bytes;
    buffer.type = value.getType();
    plan.buffers.push_back(buffer);
    return plan.buffers.size() - 1;
  }

  void bind(Value value, unsigned buffer) { plan.places[value] = {false, buffer}; }

  void barrier(Operation *before) {
    plan.barrierBefore.insert(before);
    ++phase;
    written.clear();
  }

  static bool isView(Value value) { return value.getDefiningOp<ReshapeOp>() != nullptr; }

  /// Marks a read; true when the current phase writes what is read.
  bool read(Value value) {
    while (isView(value) && !isConstantExpression(value))
      value = value.getDefiningOp()->getOperand(0);
    auto it = plan.places.find(value);
    if (it == plan.places.end()) {
      placeConstant(value);
      return false;
    }
    if (it->second.constant)
      return false;
    touch(it->second.index);
    return written.contains(it->second.index);
  }

  /// Equal recipes are stored once.
  void placeConstant(Value value) {
    Value first = recipes.representative(value);
    auto [it, fresh] = plan.places.try_emplace(first, Place{true, unsigned(plan.constants.size())});
    if (fresh)
      plan.constants.push_back(first);
    plan.places[value] = plan.places.lookup(first);
  }

  void touch(unsigned buffer) {
    plan.buffers[buffer].death = std::max(plan.buffers[buffer].death, phase);
    for (auto &loop : loops)
      loop.insert(buffer);
  }

  void launch(kernel::LaunchOp op) {
    bool waits = false;
    for (Value operand : op.getOperands())
      waits |= read(operand);
    bool grows = false;
    for (Value result : op.getResults())
      grows |= shapedByProgram(result, symbols);
    if (waits || grows) {
      barrier(op);
      for (Value operand : op.getOperands())
        read(operand);
    }
    for (Value result : op.getResults()) {
      unsigned buffer = makeBuffer(result);
      bind(result, buffer);
      touch(buffer);
      written.insert(buffer);
    }
    plan.launchNumbers[op] = plan.launches.size();
    plan.launches.push_back(op);
  }

  /// The yielded values are copied to the buffers of `targets`: after the phase that wrote them, before the
  /// next.
  void copies(Operation *terminator, ValueRange yielded, llvm::ArrayRef<unsigned> targets) {
    barrier(terminator);
    for (auto [value, target] : llvm::zip(yielded, targets)) {
      read(value);
      touch(target);
      written.insert(target);
    }
    ++phase; // the emitter ends every region with a barrier
    written.clear();
  }

  void conditional(IfOp op) {
    read(op.getCondition());
    barrier(op);
    SmallVector<unsigned> targets;
    for (Value result : op.getResults()) {
      targets.push_back(makeBuffer(result));
      bind(result, targets.back());
    }
    for (Region *region : {&op.getThenRegion(), &op.getElseRegion()}) {
      // Either branch comes right behind the phase in which every thread looks at the condition: until its
      // first barrier a late thread may still have to.
      read(op.getCondition());
      block(region->front());
      copies(region->front().getTerminator(), region->front().getTerminator()->getOperands(), targets);
    }
  }

  void loop(LoopOp op) {
    for (Value operand : op.getOperands())
      read(operand);
    barrier(op);
    for (Value operand : op.getOperands())
      read(operand);
    unsigned start = phase;
    Block &body = op.getBody().front();
    unsigned counter = makeBuffer(body.getArgument(0));
    plan.counters[op] = counter;
    bind(body.getArgument(0), counter);
    SmallVector<unsigned> targets;
    for (Value result : op.getResults()) {
      targets.push_back(makeBuffer(result));
      bind(result, targets.back());
    }
    size_t carried = op.getInitial().size();
    for (size_t i = 0; i < carried; ++i)
      bind(body.getArgument(i + 1), targets[i]);
    ++phase; // initial values are copied, then a barrier
    loops.emplace_back();
    block(body);
    read(body.getTerminator()->getOperand(0));
    copies(body.getTerminator(), body.getTerminator()->getOperands().drop_front(), targets);
    // Whatever the body touches that lived before it must live until the last iteration.
    for (unsigned buffer : loops.back())
      if (plan.buffers[buffer].birth <= start)
        plan.buffers[buffer].death = std::max(plan.buffers[buffer].death, phase);
    loops.pop_back();
    for (unsigned buffer : targets)
      touch(buffer);
    touch(counter);
  }

  void block(Block &block) {
    for (Operation &op : block) {
      if (auto work = dyn_cast<kernel::LaunchOp>(op)) {
        launch(work);
      } else if (auto define = dyn_cast<DefineOp>(op)) {
        read(define.getValues());
        barrier(define);
        read(define.getValues());
        ++phase;
      } else if (auto branch = dyn_cast<IfOp>(op)) {
        conditional(branch);
      } else if (auto repeat = dyn_cast<LoopOp>(op)) {
        loop(repeat);
      }
    }
  }

  func::FuncOp main;
  const SymbolTable &symbols;
  ProgramPlan plan;
  ConstantRecipes recipes;
  unsigned phase = 0;
  llvm::DenseSet<unsigned> written;
  SmallVector<llvm::DenseSet<unsigned>> loops; ///< what each enclosing loop's body touches
};

} // namespace

ProgramPlan planProgram(func::FuncOp main, const SymbolTable &symbols) {
  return Planner(main, symbols).run();
}

} // namespace tilewright::codegen
