// The proof that a program is sound: which accesses may run at once, and what has been written by then.
//
// Between two phases all threads run freely; thread 0 does its own steps in order; every other device does
// its launches and copies in order, from where thread 0 hands them over until it waits for them. So what may
// run at once with a step is what has been accessed since the last phase on some path to it, and what a
// device has not been waited for. The walk carries these accesses along (a window), each kind once for each
// piece of memory. A loop's body is walked once, and then what is open at its end is carried into its
// beginning again.
//
// Arena buffers may share memory when their lives do not meet. Where accesses stay within lives (C3, C4) and
// those that run at once belong to lives that meet (C7), sharing cannot be noticed: between a buffer's write
// and its read the run only passes phases of its life, and whatever is accessed there lives then, too.
#include "ir/Program.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using llvm::SmallVector;

namespace tilewright::program {
namespace {

/// Who accesses: all threads, thread 0, or device d, as d + 1.
using Agent = unsigned;
constexpr Agent team = 0, threadZero = 1;

/// Whether `second`, which comes after `first` in the text, starts when `first` has ended.
bool inOrder(Agent first, Agent second) {
  return (first == second && first != team) || (first == threadZero && second > threadZero);
}

/// Accesses that have not ended for everybody.
class Window {
public:
  struct Open {
    Agent agent;
    bool writes;
    Operation *step;
  };

  bool isEmpty() const { return open.empty(); }

  /// The access that may run at once with this one and must not; null: none.
  const Open *conflict(unsigned place, Agent agent, bool writes) const {
    auto it = open.find(place);
    if (it != open.end())
      for (const Open &other : it->second)
        if ((writes || other.writes) && !inOrder(other.agent, agent))
          return &other;
    return nullptr;
  }

  void add(unsigned place, const Open &access) {
    for (Open &other : open[place])
      if (other.agent == access.agent) {
        other.writes |= access.writes;
        return;
      }
    open[place].push_back(access);
  }

  /// C7: the arena buffer that may be accessed at once with `buffer`, and may lie in the same memory.
  BufferOp stranger(BufferOp buffer, Agent agent) const {
    for (const Span &span : spans) {
      if (span.device != buffer.getDevice() || inOrder(span.agent, agent))
        continue;
      if (BufferOp(span.latest).getBirth() > buffer.getDeath())
        return span.latest;
      if (BufferOp(span.soonest).getDeath() < buffer.getBirth())
        return span.soonest;
    }
    return {};
  }

  void addArena(BufferOp buffer, Agent agent) { addSpan({agent, buffer.getDevice(), buffer, buffer}); }

  /// All threads have met.
  void meet() {
    for (auto &entry : open)
      llvm::erase_if(entry.second, [](const Open &access) { return access.agent <= threadZero; });
    open.remove_if([](const auto &entry) { return entry.second.empty(); });
    llvm::erase_if(spans, [](const Span &span) { return span.agent <= threadZero; });
  }

  /// Thread 0 knows that the device has ended its work.
  void wait(Agent device) {
    Window before = std::move(*this);
    *this = Window();
    for (auto &[place, accesses] : before.open)
      for (Open access : accesses) {
        access.agent = access.agent == device ? threadZero : access.agent;
        add(place, access);
      }
    for (Span span : before.spans) {
      span.agent = span.agent == device ? threadZero : span.agent;
      addSpan(span);
    }
  }

  /// What is open on either path.
  void merge(const Window &other) {
    for (const auto &[place, accesses] : other.open)
      for (const Open &access : accesses)
        add(place, access);
    for (const Span &span : other.spans)
      addSpan(span);
  }

private:
  /// Of the lives of arena buffers that one agent accesses: the latest birth and the soonest death.
  struct Span {
    Agent agent;
    uint32_t device;
    BufferOp latest, soonest;
  };

  void addSpan(Span added) {
    for (Span &span : spans)
      if (span.agent == added.agent && span.device == added.device) {
        if (added.latest.getBirth() > span.latest.getBirth())
          span.latest = added.latest;
        if (added.soonest.getDeath() < span.soonest.getDeath())
          span.soonest = added.soonest;
        return;
      }
    spans.push_back(added);
  }

  llvm::MapVector<unsigned, SmallVector<Open, 2>> open; ///< by place: a memory, or a symbol
  SmallVector<Span, 2> spans;
};

/// What is known of the contents of buffers and symbols on all paths to a step, and in which loop it was
/// written last.
class Contents {
public:
  enum State : uint8_t { Nothing, Room, Whole };
  struct Entry {
    State state = Nothing;
    unsigned depth = 0; ///< loops around the last write
  };
  using Changes = llvm::MapVector<unsigned, Entry>;

  explicit Contents(size_t size) : entries(size) {}
  const Entry &operator[](unsigned key) const { return entries[key]; }
  void set(unsigned key, Entry entry) {
    log.push_back({key, entries[key]});
    entries[key] = entry;
  }
  size_t mark() const { return log.size(); }
  /// What has changed since `mark`, which is then undone.
  Changes takeBack(size_t mark) {
    Changes changes;
    for (size_t i = mark; i < log.size(); ++i)
      changes[log[i].first] = entries[log[i].first];
    for (; log.size() > mark; log.pop_back())
      entries[log.back().first] = log.back().second;
    return changes;
  }
  /// One of the two has happened.
  void setEither(const Changes &a, const Changes &b) {
    auto meet = [&](const Changes &these, const Changes &those) {
      for (auto &[key, entry] : these) {
        const Entry other = those.contains(key) ? those.find(key)->second : entries[key];
        set(key, {std::min(entry.state, other.state), std::min(entry.depth, other.depth)});
      }
    };
    Changes rest;
    for (auto &[key, entry] : b)
      if (!a.contains(key))
        rest[key] = entry;
    meet(a, b);
    meet(rest, {});
  }

private:
  std::vector<Entry> entries;
  std::vector<std::pair<unsigned, Entry>> log;
};

class Order {
public:
  explicit Order(FuncOp func)
      : func(func), symbols(func->getParentOfType<ModuleOp>()), buffers(buffersOf(func)),
        contents(buffers.size() + symbols.size()) {}

  LogicalResult verify() {
    for (auto [index, buffer] : llvm::enumerate(buffers)) {
      numbers[buffer] = unsigned(index);
      if (buffer.getKind() == BufferKind::input)
        contents.set(unsigned(index), {Contents::Whole, 0});
    }
    Window window;
    return failed(verifyAliases()) ? failure() : run(func.getBody().front(), window);
  }

private:
  /// C8: one memory, one buffer at a time.
  LogicalResult verifyAliases() {
    llvm::MapVector<Operation *, SmallVector<BufferOp>> shared;
    for (BufferOp buffer : buffers)
      if (BufferOp memory = memoryOf(buffer); memory != buffer) {
        if (shared[memory].empty())
          shared[memory].push_back(memory);
        shared[memory].push_back(buffer);
      }
    for (auto &[memory, users] : shared) {
      llvm::sort(users, [&](BufferOp a, BufferOp b) {
        return std::pair(a.getBirth(), numbers.lookup(a)) < std::pair(b.getBirth(), numbers.lookup(b));
      });
      for (size_t i = 1; i < users.size(); ++i)
        if (users[i - 1].getDeath() >= users[i].getBirth())
          return users[i].emitOpError("C8: takes over memory in which ")
                 << nameOf(users[i - 1]) << " still lives";
    }
    return success();
  }

  std::string nameOf(BufferOp buffer) { return "buffer " + std::to_string(numbers.lookup(buffer)); }

  //===- The walk --------------------------------------------------------------------===//

  LogicalResult run(Block &block, Window &window) {
    for (Operation &op : block) {
      LogicalResult result = success();
      if (auto conditional = dyn_cast<IfOp>(op))
        result = runIf(conditional, window);
      else if (auto loop = dyn_cast<LoopOp>(op))
        result = runLoop(loop, window);
      else if (auto step = dyn_cast<Step>(op))
        result = runStep(step, window);
      if (failed(result))
        return failure();
    }
    return success();
  }

  LogicalResult runIf(IfOp op, Window &window) {
    Window other = window;
    const size_t before = contents.mark();
    if (failed(run(op.getThenRegion().front(), window)))
      return failure();
    const Contents::Changes changes = contents.takeBack(before);
    if (failed(run(op.getElseRegion().front(), other)))
      return failure();
    contents.setEither(changes, contents.takeBack(before));
    window.merge(other);
    return success();
  }

  LogicalResult runLoop(LoopOp op, Window &window) {
    const uint32_t start = now;
    const size_t before = contents.mark();
    Window inside = window;
    loops.emplace_back();
    if (failed(run(op.getBody().front(), inside)))
      return failure();
    Window again = inside;
    if (failed(carry(op.getBody().front(), again)))
      return failure();
    for (BufferOp buffer : loops.back())
      if (buffer.getDeath() < now)
        return op.emitOpError("C4: iterations need ")
               << nameOf(buffer) << ", which dies in phase " << buffer.getDeath() << " before the loop ends";
    loops.pop_back();
    for (auto &[key, entry] : contents.takeBack(before))
      if (entry.state < contents[key].state)
        return op.emitOpError("C5: an iteration loses what ") << nameOf(buffers[key]) << " held";
    window.merge(inside);
    return endStacks(op, start);
  }

  /// All their slices are there.
  LogicalResult endStacks(LoopOp op, uint32_t start) {
    for (Value stack : op.getStacks()) {
      BufferOp buffer = bufferOf(stack);
      if (!buffer || buffer.getBirth() > start || buffer.getDeath() < now)
        return op.emitOpError("C4: a stack does not live as long as its loop");
      contents.set(numbers.lookup(buffer), {Contents::Whole, unsigned(loops.size())});
    }
    return success();
  }

  LogicalResult runStep(Step step, Window &window) {
    if (auto phase = dyn_cast<PhaseOp>(step.getOperation()); phase && phase.getNumber() != now + 1)
      return step->emitOpError("C2: phase ") << now + 1 << " begins here";
    now += isa<PhaseOp>(step.getOperation());
    const Agent agent = agentOf(step);
    synchronise(step, window);
    LogicalResult result = success();
    step.visitAccesses([&](const Access &access) {
      if (succeeded(result))
        result = access.kind == Access::ReadSizes ? readSizes(step, access.size, agent, window)
                 : access.buffer                  ? useBuffer(step, access, agent, window)
                                                  : writeSymbol(step, access.symbol, agent, window);
    });
    return result;
  }

  static Agent agentOf(Step step) {
    if (isa<WaitOp>(step.getOperation()))
      return threadZero;
    return step.deviceOfStep() ? step.deviceOfStep() + 1 : step.isByThreadZero() ? threadZero : team;
  }

  /// The program's end is a meeting, too.
  static void synchronise(Step step, Window &window) {
    if (isa<PhaseOp, ReturnOp>(step.getOperation()))
      window.meet();
    if (auto wait = dyn_cast<WaitOp>(step.getOperation()))
      window.wait(wait.getDevice() + 1);
  }

  /// What is open at the end of a loop's body meets the beginning of the next iteration.
  LogicalResult carry(Block &block, Window &carried) {
    for (Operation &op : block) {
      if (carried.isEmpty())
        return success();
      if (isa<IfOp, LoopOp>(op)) {
        Window after = isa<LoopOp>(op) ? carried : Window();
        for (Region &region : op.getRegions()) {
          Window inside = carried;
          if (failed(carry(region.front(), inside)))
            return failure();
          after.merge(inside);
        }
        carried = std::move(after);
      } else if (auto step = dyn_cast<Step>(op)) {
        synchronise(step, carried);
        if (failed(meetCarried(step, carried)))
          return failure();
      }
    }
    return success();
  }

  LogicalResult meetCarried(Step step, const Window &carried) {
    LogicalResult result = success();
    const Agent agent = agentOf(step);
    step.visitAccesses([&](const Access &access) {
      if (failed(result))
        return;
      if (access.kind == Access::ReadSizes) {
        for (unsigned symbol : definedIn(access.size))
          result = failed(result) ? result : exclude(step, placeOf(symbol), agent, false, carried);
      } else if (!access.buffer) {
        result = exclude(step, placeOf(access.symbol), agent, true, carried);
      } else if (BufferOp buffer = bufferOf(access.buffer)) {
        result = exclude(step, numbers.lookup(memoryOf(buffer)), agent, access.writes(), carried);
        result = failed(result) ? result : excludeStrangers(step, buffer, agent, carried);
      }
    });
    return result;
  }

  //===- Accesses ----------------------------------------------------------------------===//

  unsigned placeOf(unsigned symbol) const { return unsigned(buffers.size()) + symbol; }

  std::string nameOfPlace(unsigned place) {
    return place < buffers.size() ? nameOf(buffers[place])
                                  : "symbol " + symbols[place - unsigned(buffers.size())].name;
  }

  /// C6.
  LogicalResult exclude(Step step, unsigned place, Agent agent, bool writes, const Window &window) {
    const Window::Open *other = window.conflict(place, agent, writes);
    if (!other)
      return success();
    auto error = step->emitOpError("C6: ")
                 << (writes ? "writes " : "reads ") << nameOfPlace(place)
                 << " at the same time as another step " << (other->writes ? "writes it" : "reads it");
    error.attachNote(other->step->getLoc()) << "the other step";
    return error;
  }

  /// C7.
  LogicalResult excludeStrangers(Step step, BufferOp buffer, Agent agent, const Window &window) {
    if (buffer.getKind() != BufferKind::arena)
      return success();
    if (BufferOp other = window.stranger(buffer, agent))
      return step->emitOpError("C7: accesses ") << nameOf(buffer) << " at the same time as another step "
                                                << nameOf(other) << ", and they may share memory";
    return success();
  }

  LogicalResult useBuffer(Step step, const Access &access, Agent agent, Window &window) {
    BufferOp buffer = bufferOf(access.buffer);
    if (!buffer)
      return success();
    const unsigned place = numbers.lookup(memoryOf(buffer));
    if (now < buffer.getBirth() || now > buffer.getDeath())
      return step->emitOpError("C3: accesses ")
             << nameOf(buffer) << " in phase " << now << ", it lives from phase " << buffer.getBirth()
             << " to phase " << buffer.getDeath();
    if (failed(exclude(step, place, agent, access.writes(), window)) ||
        failed(excludeStrangers(step, buffer, agent, window)))
      return failure();
    window.add(place, {agent, access.writes(), step});
    if (buffer.getKind() == BufferKind::arena)
      window.addArena(buffer, agent);
    return updateContents(step, access, buffer);
  }

  LogicalResult updateContents(Step step, const Access &access, BufferOp buffer) {
    const unsigned key = numbers.lookup(buffer), depth = unsigned(loops.size());
    if (access.kind == Access::Grow || (access.kind == Access::GrowKept && !contents[key].state)) {
      contents.set(key, {Contents::Room, depth});
      return success();
    }
    const auto least = access.kind == Access::Read || access.kind == Access::GrowKept ? Contents::Whole
                       : isGrowable(buffer)                                           ? Contents::Room
                                                                                      : Contents::Nothing;
    if (access.kind != Access::GrowKept && contents[key].state < least)
      return step->emitOpError("C5: ")
             << (access.writes() ? "writes " : "reads ") << nameOf(buffer)
             << (access.writes() ? ", which has no room yet" : ", which may not be written yet");
    if (least != Contents::Nothing && contents[key].depth < depth)
      loops[contents[key].depth].insert(buffer);
    if (access.kind == Access::Write)
      contents.set(key, {Contents::Whole, depth});
    return success();
  }

  LogicalResult readSizes(Step step, AffineExpr size, Agent agent, Window &window) {
    for (unsigned symbol : symbolsIn(size))
      if (symbol >= symbols.size())
        return step->emitOpError("C16: there is no symbol ") << symbol;
    for (unsigned symbol : definedIn(size)) {
      if (failed(exclude(step, placeOf(symbol), agent, false, window)))
        return failure();
      if (contents[placeOf(symbol)].state != Contents::Whole)
        return step->emitOpError("C5: needs symbol ") << symbols[symbol].name << ", which may have no value";
      window.add(placeOf(symbol), {agent, false, step});
    }
    return success();
  }

  LogicalResult writeSymbol(Step step, unsigned symbol, Agent agent, Window &window) {
    if (symbol >= symbols.size() || symbols[symbol].origin != Symbol::Defined)
      return step->emitOpError("C16: symbol ") << symbol << " is not one that a program defines";
    if (failed(exclude(step, placeOf(symbol), agent, true, window)))
      return failure();
    window.add(placeOf(symbol), {agent, true, step});
    contents.set(placeOf(symbol), {Contents::Whole, unsigned(loops.size())});
    return success();
  }

  /// The symbols that the program defines among those on which the expression depends.
  const SmallVector<unsigned> &definedIn(AffineExpr expr) {
    auto [it, isNew] = dependences.try_emplace(expr);
    if (isNew && llvm::any_of(symbolsIn(expr), [&](unsigned index) { return symbols[index].atRunTime; })) {
      SmallVector<unsigned> found;
      symbols.walk(expr, [&](unsigned index) {
        if (symbols[index].origin == Symbol::Defined)
          found.push_back(index);
      });
      it->second = std::move(found);
    }
    return it->second;
  }

  FuncOp func;
  SymbolTable symbols;
  std::vector<BufferOp> buffers;
  llvm::DenseMap<Operation *, unsigned> numbers;
  Contents contents;
  uint32_t now = 0;
  std::vector<llvm::SetVector<BufferOp>> loops; ///< what iterations of each need from before it
  llvm::DenseMap<AffineExpr, SmallVector<unsigned>> dependences;
};

} // namespace

LogicalResult verifyOrder(FuncOp func) { return Order(func).verify(); }

} // namespace tilewright::program
