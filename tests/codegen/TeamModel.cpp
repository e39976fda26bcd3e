#include "TeamModel.h"
#include "MemoryPlan.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tilewright::codegen {

TeamModel::TeamModel(program::FuncOp func, ModuleOp kernels, unsigned threads, unsigned seed)
    : func(func), kernels(kernels), evaluator(kernels), table(func->getParentOfType<ModuleOp>()),
      random(seed), team(threads), buffers(program::buffersOf(func)) {}

//===- Memory --------------------------------------------------------------------------===//

void TeamModel::noise(std::string &bytes, size_t first, size_t end) {
  for (size_t i = first; i < end; ++i)
    bytes[i] = char(random());
}

void TeamModel::layOut() {
  std::vector<runtime::Interval> intervals;
  std::vector<Operation *> order;
  for (program::BufferOp buffer : buffers) {
    const bool grows = program::isGrowable(buffer);
    if (buffer.getKind() == program::BufferKind::arena) {
      intervals.push_back({bytesOf(buffer.getResult()), buffer.getBirth(), buffer.getDeath(), 64});
      order.push_back(buffer);
    } else {
      owned[buffer].resize(grows ? 0 : bytesOf(buffer.getResult()));
    }
  }
  std::vector<uint64_t> places(intervals.size() + 1);
  uint64_t peak = 0;
  runtime::MemoryPlanner planner;
  if (!planner.prepare(intervals.data(), intervals.size()) ||
      !planner.plan(intervals.data(), places.data(), peak))
    return fail("no room");
  arena.resize(peak);
  for (auto [i, buffer] : llvm::enumerate(order))
    offsets[buffer] = places[i];
  noise(arena, 0, arena.size());
  for (auto &entry : owned)
    noise(entry.second, 0, entry.second.size());
}

/// Nothing keeps what nobody owns.
void TeamModel::poison(uint32_t phase) {
  std::vector<bool> lives(arena.size());
  llvm::DenseSet<Operation *> used;
  for (program::BufferOp buffer : buffers) {
    if (phase < buffer.getBirth() || phase > buffer.getDeath())
      continue;
    if (auto it = offsets.find(buffer); it != offsets.end())
      std::fill_n(lives.begin() + long(it->second), bytesOf(buffer.getResult()), true);
    used.insert(program::memoryOf(buffer));
  }
  for (size_t i = 0; i < arena.size(); ++i)
    if (!lives[i])
      arena[i] = char(random());
  for (auto &[memory, bytes] : owned)
    if (program::isGrowable(cast<program::BufferOp>(memory)) && !used.contains(memory))
      noise(bytes, 0, bytes.size());
}

std::optional<TeamModel::Memory> TeamModel::memoryOf(Value value, uint64_t need) {
  program::BufferOp buffer = program::bufferOf(value);
  auto it = offsets.find(buffer);
  std::string &bytes = it != offsets.end() ? arena : owned[program::memoryOf(buffer)];
  const uint64_t offset = it != offsets.end() ? it->second : 0;
  if (need > bytes.size() || offset > bytes.size() - need) {
    fail("an access outside of memory");
    return std::nullopt;
  }
  return Memory{&bytes, offset, need};
}

std::optional<interpreter::Tensor> TeamModel::read(Value value) {
  RankedTensorType type = program::tensorOf(value);
  interpreter::Shape shape;
  for (AffineExpr dim : dimsOf(type))
    shape.push_back(valueOf(dim));
  if (!problem.empty())
    return std::nullopt;
  if (auto constant = program::rootOf(value).getDefiningOp<program::ConstantOp>()) {
    auto tensor = constants.evaluate(constant.getValue());
    return llvm::cantFail(std::move(tensor)).reshaped(shape);
  }
  auto memory = memoryOf(value, bytesOf(value));
  if (!memory)
    return std::nullopt;
  interpreter::Tensor tensor(type.getElementType(), shape);
  std::memcpy(tensor.mutableData(), memory->bytes->data() + memory->offset, memory->size);
  return tensor;
}

int64_t TeamModel::readNumber(Value value) {
  auto tensor = read(value);
  return tensor ? tensor->integer(0) : 0;
}

void TeamModel::write(Value value, uint64_t at, llvm::StringRef bytes) {
  if (auto memory = memoryOf(value, at + bytes.size()))
    std::memcpy(memory->bytes->data() + memory->offset + at, bytes.data(), bytes.size());
}

int64_t TeamModel::valueOf(AffineExpr expr) {
  auto value = evaluate(expr, symbols);
  if (!value || *value < 0 || *value > 1 << 20)
    fail("a size that cannot be");
  return problem.empty() ? *value : 0;
}

//===- Steps -----------------------------------------------------------------------------===//

static std::pair<uint64_t, uint64_t> shareOf(uint64_t extent, unsigned number, size_t threads) {
  return {extent * number / threads, extent * (number + 1) / threads};
}

/// Reads now, and writes its share later.
void TeamModel::launch(Thread &thread, unsigned number, program::LaunchOp op) {
  std::vector<interpreter::Tensor> inputs;
  llvm::SmallVector<int64_t> locals;
  for (AffineExpr symbol : op.getSymbols().getResults())
    locals.push_back(valueOf(symbol));
  for (Value source : op.getSources())
    if (auto tensor = read(source))
      inputs.push_back(*tensor);
  if (!problem.empty())
    return;
  auto results = evaluator.run(kernels.lookupSymbol<kernel::FuncOp>(op.getKernel()), inputs, locals);
  if (!results)
    return fail(llvm::toString(results.takeError()));
  thread.pending = [this, op, number, results = std::move(*results)]() mutable {
    for (auto [target, result] : llvm::zip(op.getTargets(), results)) {
      const uint64_t size = result.bytes() / uint64_t(std::max<int64_t>(1, result.size()));
      auto [first, end] = shareOf(uint64_t(result.size()), number, team.size());
      write(target, first * size,
            {reinterpret_cast<const char *>(result.data()) + first * size, (end - first) * size});
    }
  };
}

void TeamModel::copy(Thread &thread, unsigned number, program::CopyOp op) {
  auto source = read(op.getSource());
  if (!source)
    return;
  const uint64_t bytes = source->bytes(), at = op.getAt() ? uint64_t(thread.numbers[op.getAt()]) * bytes : 0;
  thread.pending = [this, op, at, number, bytes, source = *source]() mutable {
    auto [first, end] = shareOf(bytes, number, team.size());
    write(op.getTarget(), at + first, {reinterpret_cast<const char *>(source.data()) + first, end - first});
  };
}

void TeamModel::grow(Thread &thread, program::GrowOp op) {
  uint64_t bytes = uint64_t(valueOf(op.getBytes().getResult(0)));
  if (op.getTimes())
    bytes *= uint64_t(thread.numbers[op.getTimes()] + (op.getPlusOne() ? 1 : 0));
  if (op.getPerThread())
    bytes *= team.size();
  if (!problem.empty() || bytes > 1 << 20)
    return fail("it grows too much");
  std::string &memory = owned[program::memoryOf(program::bufferOf(op.getBuffer()))];
  const size_t kept = op.getKeep() ? memory.size() : 0;
  memory.resize(std::max<size_t>(memory.size(), bytes));
  noise(memory, kept, memory.size());
}

void TeamModel::define(program::DefineOp op) {
  auto values = read(op.getValues());
  for (size_t i = 0; values && i < op.getSymbols().size(); ++i) {
    const unsigned symbol = unsigned(op.getSymbols()[i]);
    const int64_t value = values->integer(int64_t(i));
    if (value < table[symbol].lo || value > table[symbol].hi)
      return fail("a symbol outside its range");
    symbols[symbol] = value;
  }
}

void TeamModel::store(Thread &thread, program::StoreOp op) {
  llvm::SmallVector<int64_t> values;
  if (op.getNumber())
    values.push_back(thread.numbers[op.getNumber()]);
  else
    for (AffineExpr value : op.getValues()->getResults())
      values.push_back(valueOf(value));
  for (auto [symbol, value] : llvm::zip(op.getSymbols(), values))
    symbols[size_t(symbol)] = value;
}

void TeamModel::enter(Thread &thread, program::LoopOp op, int64_t iteration, bool holds) {
  Block &body = op.getBody().front();
  thread.numbers[body.getArgument(0)] = thread.numbers[op.getIterations()] = iteration;
  if (holds && iteration < thread.numbers[op.getCount()])
    thread.stack.push_back({&body, body.begin()});
}

void TeamModel::yield(Thread &thread, program::YieldOp op) {
  auto loop = cast<program::LoopOp>(op->getParentOp());
  thread.stack.pop_back();
  enter(thread, loop, thread.numbers[loop.getIterations()] + 1, thread.numbers[op.getCondition()]);
}

void TeamModel::perform(Thread &thread, unsigned number, Operation *op) {
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](program::PhaseOp phase) { thread.waits = phase.getNumber(); })
      .Case([&](program::LaunchOp work) { launch(thread, number, work); })
      .Case([&](program::CopyOp move) { copy(thread, number, move); })
      .Case([&](program::ReadOp load) {
        int64_t value = readNumber(load.getBuffer());
        thread.numbers[load.getResult()] = value < 0 ? INT64_MAX : value;
      })
      .Case([&](program::IfOp branch) {
        Region &taken =
            thread.numbers[branch.getCondition()] ? branch.getThenRegion() : branch.getElseRegion();
        thread.stack.push_back({&taken.front(), taken.front().begin()});
      })
      .Case([&](program::LoopOp loop) { enter(thread, loop, 0, thread.numbers[loop.getCondition()]); })
      .Case([&](program::YieldOp end) { yield(thread, end); })
      .Case([&](program::GrowOp step) { grow(thread, step); })
      .Case([&](program::DefineOp step) { define(step); })
      .Case([&](program::StoreOp step) { store(thread, step); })
      .Case([&](program::WriteOp step) {
        const int64_t value = thread.numbers[step.getNumber()];
        write(step.getBuffer(), 0, {reinterpret_cast<const char *>(&value), sizeof value});
      })
      .Case([&](program::ReturnOp) { thread.isDone = true; })
      .Default([&](Operation *other) { fail("an unknown step: " + other->getName().getStringRef()); });
}

void TeamModel::advance(Thread &thread, unsigned number) {
  if (thread.pending)
    return std::exchange(thread.pending, nullptr)();
  Place &place = thread.stack.back();
  if (place.next == place.block->end()) {
    thread.stack.pop_back();
    return;
  }
  Operation *op = &*place.next++;
  auto step = dyn_cast<program::Step>(op);
  if ((step && step.isByThreadZero() && number != 0) || (!step && !isa<program::YieldOp>(op)))
    return;
  perform(thread, number, op);
}

//===- Runs ------------------------------------------------------------------------------===//

void TeamModel::meet() {
  const std::optional<uint32_t> phase = team.front().waits;
  for (Thread &thread : team)
    if (thread.waits != phase || thread.isDone != team.front().isDone)
      return fail("threads meet at different places");
    else
      thread.waits.reset();
  if (phase)
    poison(*phase);
}

std::optional<std::vector<std::string>> TeamModel::run(llvm::ArrayRef<interpreter::Tensor> inputs) {
  symbols.assign(table.size(), 0);
  layOut();
  Block &body = func.getBody().front();
  for (program::BufferOp buffer : buffers)
    if (buffer.getKind() == program::BufferKind::input) {
      const interpreter::Tensor &input = inputs[*buffer.getIo()];
      owned[buffer].assign(reinterpret_cast<const char *>(input.data()), input.bytes());
    }
  for (Thread &thread : team)
    thread.stack.push_back({&body, body.begin()});
  auto canRun = [](const Thread &thread) { return !thread.waits && !thread.isDone; };
  for (unsigned steps = 0; problem.empty(); ++steps) {
    if (steps > 200000)
      fail("no end");
    std::vector<unsigned> able;
    for (unsigned number = 0; number < team.size(); ++number)
      if (canRun(team[number]))
        able.push_back(number);
    if (!able.empty()) { // some of its steps in a row: races need a thread that is far behind
      const unsigned number = able[random() % able.size()];
      for (unsigned some = unsigned(random() % 12); problem.empty() && some && canRun(team[number]); --some)
        advance(team[number], number);
      continue;
    }
    if (llvm::all_of(team, [](const Thread &thread) { return thread.isDone; }))
      break;
    meet();
  }
  if (!problem.empty())
    return std::nullopt;
  std::vector<std::string> outputs;
  for (Value output : cast<program::ReturnOp>(body.back()).getOutputs())
    if (auto tensor = read(output))
      outputs.emplace_back(reinterpret_cast<const char *>(tensor->data()), tensor->bytes());
  return outputs;
}

} // namespace tilewright::codegen
