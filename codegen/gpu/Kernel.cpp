// The two shapes of a kernel: a thread for every few elements, and a team for every row. Which one, and how
// many threads, its schedule says.
#include "codegen/gpu/Kernel.h"
#include "codegen/emit/Ops.h"
#include "codegen/gpu/ThreadEmitter.h"
#include "codegen/schedule/Threads.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen::gpu {
namespace {

/// Elements of the widest type that a thread reads or writes many of, in one access.
int64_t mostLanes(kernel::FuncOp kernel, int64_t accessBytes) {
  Block &body = kernel.getBody().front();
  int64_t widest = 1;
  auto note = [&](Value v) {
    if (tilewright::constantOf(elementCount(v.getType())) != 1)
      widest =
          std::max<int64_t>(widest, byteWidth(llvm::cast<RankedTensorType>(v.getType()).getElementType()));
  };
  llvm::for_each(body.getArguments(), note);
  llvm::for_each(body.getTerminator()->getOperands(), note);
  return std::max<int64_t>(1, accessBytes / widest);
}

/// Everything that is known while one entry is emitted.
class Emission {
public:
  Emission(kernel::FuncOp kernel, ModuleOp module, const TargetInfo &target, Precision precision,
           llvm::StringRef entry, bool wide);
  std::optional<Kernel> run(SmallVectorImpl<Operation *> &refused);

private:
  void emitElements();
  void emitTeams();
  using Root = void (Emission::*)();
  static Root rootOf(kernel::ScheduleAttr schedule);
  void storeAll(ArrayRef<Index> indices, Value exists);
  std::optional<int64_t> teamThreads(const WholeRows &rows, int64_t lanes, int64_t most);

  kernel::FuncOp kernel;
  kernel::YieldOp yield;
  MLIRContext *context;
  OpBuilder b;
  func::FuncOp function;
  KernelContext knowledge;
  std::optional<ThreadEmitter> emitter;
  Kernel result;
};

Emission::Emission(kernel::FuncOp kernel, ModuleOp module, const TargetInfo &target, Precision precision,
                   llvm::StringRef entry, bool wide)
    : kernel(kernel), yield(cast<kernel::YieldOp>(kernel.getBody().front().getTerminator())),
      context(kernel.getContext()), b(context), knowledge(kernel, target, precision) {
  Block &body = kernel.getBody().front();
  auto pointer = LLVM::LLVMPointerType::get(context);
  const unsigned results = yield.getNumOperands(), count = results + body.getNumArguments();
  b.setInsertionPointToEnd(module.getBody());
  function = func::FuncOp::create(b, kernel.getLoc(), entry,
                                  b.getFunctionType(SmallVector<Type>(count, pointer), {}));
  Block *block = function.addEntryBlock();
  for (unsigned i = 0; i < count; ++i) {
    function.setArgAttr(i, "llvm.noalias", b.getUnitAttr()); // arguments are only read
    function.setArgAttr(i, "llvm.align", b.getI64IntegerAttr(bufferAlignment));
    if (i < results) {
      knowledge.results.push_back(block->getArgument(i));
      result.parameters.push_back({Parameter::Result, i, {}});
      continue;
    }
    function.setArgAttr(i, "llvm.readonly", b.getUnitAttr());
    knowledge.pointers[body.getArgument(i - results)] = block->getArgument(i);
    result.parameters.push_back({Parameter::Argument, i - results, {}});
  }
  knowledge.bufferAlignment = bufferAlignment;
  knowledge.scratchBytes = constantDim(context, 0);
  result.entry = entry.str();
  result.kernel = kernel.getSymName().str();
  b.setInsertionPointToEnd(block);
  emitter.emplace(b, kernel.getLoc(), knowledge, function, wide);
}

std::optional<Kernel> Emission::run(SmallVectorImpl<Operation *> &refused) {
  emitter->enterFunction();
  (this->*rootOf(knowledge.schedule()))();
  func::ReturnOp::create(b, kernel.getLoc());
  if (!knowledge.hostOps.empty() || knowledge.oversized) {
    refused.append(knowledge.hostOps.begin(), knowledge.hostOps.end());
    if (knowledge.oversized)
      refused.push_back(yield);
    function.erase();
    return std::nullopt;
  }
  for (AffineExpr size : emitter->sizes)
    result.parameters.push_back({Parameter::Size, 0, size});
  function.setFunctionType(b.getFunctionType(function.getBody().front().getArgumentTypes(), {}));
  if (function.getArgAttrsAttr() && function.getArgAttrsAttr().size() < function.getNumArguments()) {
    SmallVector<Attribute> attributes(function.getArgAttrsAttr().getValue());
    attributes.resize(function.getNumArguments(), b.getDictionaryAttr({}));
    function.setArgAttrsAttr(b.getArrayAttr(attributes));
  }
  result.launch.sharedBytes = emitter->sharedBytes;
  return std::move(result);
}

/// The registry: root family x algorithm -> what a thread does.
Emission::Root Emission::rootOf(kernel::ScheduleAttr schedule) {
  using kernel::RootFamily;
  static const std::tuple<RootFamily, llvm::StringLiteral, Root> roots[] = {
      {RootFamily::loops, algorithm::elements, &Emission::emitElements},
      {RootFamily::window, algorithm::elements, &Emission::emitElements},
      {RootFamily::rows, algorithm::elements, &Emission::emitElements},
      {RootFamily::rows, algorithm::teams, &Emission::emitTeams},
  };
  for (auto &[family, algorithm, root] : roots)
    if (kernel::nameOf(family) == schedule.getFamily() && algorithm == schedule.getAlgorithm())
      return root;
  llvm_unreachable("a schedule of an algorithm that GPUs lack");
}

/// All values first, so that loads do not wait for stores; then the stores, where `exists` (null: always).
void Emission::storeAll(ArrayRef<Index> indices, Value exists) {
  ThreadEmitter &e = *emitter;
  SmallVector<Value> values;
  for (Value v : yield.getOperands())
    values.push_back(e.at(v, indices));
  auto store = [&] {
    for (auto [i, value] : llvm::enumerate(values))
      e.store(llvm::cast<RankedTensorType>(yield.getOperand(i).getType()), knowledge.results[i], indices,
              value);
  };
  if (exists)
    e.guarded(exists, store);
  else
    store();
}

/// A thread computes one access' worth of elements that follow each other.
void Emission::emitElements() {
  ThreadEmitter &e = *emitter;
  Value shapeOf = yield.getOperand(0);
  AffineExpr total = elementCount(shapeOf.getType());
  // Loops inside, or lanes that take different ways: more threads with less each.
  const bool alone = holds<ReduceOp, ArgReduceOp, WindowOp, ConcatOp, PadOp>(kernel);
  const ThreadSchedule schedule(knowledge.schedule());
  const int64_t lanes = alone ? 1 : accessLanes(total, mostLanes(kernel, schedule.accessBytes)),
                blockThreads = schedule.threads;
  result.launch.threads = blockThreads;
  result.launch.blocks = canonical((total + (lanes * blockThreads - 1)).floorDiv(lanes * blockThreads));
  Value block = e.mul(e.special("ctaid.x"), blockThreads);
  Value first = e.mul(e.add(block, e.special("tid.x")), lanes);
  SmallVector<Value> sizes = e.dims(shapeOf);
  e.guarded(e.less(first, e.dim(total)), [&] {
    e.lanes = {lanes, {}};
    storeAll(e.delinearize(sizes, e.lane(first)), {});
  });
}

/// How many threads share a row; nothing: a block of a size that is chosen at launch.
std::optional<int64_t> Emission::teamThreads(const WholeRows &rows, int64_t lanes, int64_t most) {
  auto length = tilewright::constantOf(rows.length);
  if (!length)
    return std::nullopt;
  const int64_t pieces = std::max<int64_t>(1, *length / lanes);
  if (pieces <= 8 * warpThreads)
    return std::min<int64_t>(warpThreads, llvm::PowerOf2Ceil(pieces));
  return std::clamp<int64_t>(llvm::PowerOf2Ceil(llvm::divideCeil(pieces, 4)), 2 * warpThreads, most);
}

void Emission::emitTeams() {
  ThreadEmitter &e = *emitter;
  const WholeRows rows = *wholeRowsOf(kernel, knowledge.target);
  const TeamSchedule schedule(knowledge.schedule());
  const int64_t lanes = accessLanes(rows.length, mostLanes(kernel, schedule.accessBytes));
  const std::optional<int64_t> threads = teamThreads(rows, lanes, schedule.rowThreads);
  Team team(e, threads, lanes, schedule);
  e.team = &team;
  int64_t teams = 1; // of a block
  result.launch.threads = threads ? *threads : schedule.rowThreads;
  if (threads && *threads <= warpThreads) {
    teams = schedule.threads / *threads;
    result.launch.threads = schedule.threads;
  }
  if (!threads)
    result.launch.rowParts = canonical((AffineExpr(rows.length) + (4 * lanes - 1)).floorDiv(4 * lanes));
  result.launch.blocks = canonical((AffineExpr(rows.rows) + (teams - 1)).floorDiv(teams));
  Value row = e.add(e.mul(e.special("ctaid.x"), teams), team.number()), rowExists;
  if (teams > 1 && !(tilewright::constantOf(rows.rows) && *tilewright::constantOf(rows.rows) % teams == 0)) {
    Value count = e.dim(rows.rows); // teams without a row take part in shuffles
    rowExists = e.less(row, count);
    row = e.minimum(row, e.sub(count, e.constant(1)));
  }
  SmallVector<Value> sizes = e.dims(yield.getOperand(0));
  Indices outer = e.delinearize(ArrayRef(sizes).take_front(rows.outer), e.uniform(row));
  auto both = [&](Value x, Value y) { return x && y ? e.both(x, y) : x ? x : y; };
  if (rows.single)
    return storeAll(outer, both(rowExists, e.equal(team.member(), e.constant(0))));
  ArrayRef<Value> innerSizes = ArrayRef(sizes).drop_front(rows.outer);
  Value inner = e.constant(1);
  for (Value size : innerSizes)
    inner = e.mul(inner, size);
  e.lanes = {team.lanesFor(inner), {}};
  team.each(inner, [&](const Index &at, Value inside) {
    Indices indices(outer);
    indices.append(e.delinearize(innerSizes, at));
    storeAll(indices, both(rowExists, inside));
  });
}

/// Whether 32-bit indices are enough for all sizes, for none, or for the sizes in the list.
std::vector<AffineExpr> indexConditions(kernel::FuncOp kernel, bool &never) {
  llvm::SetVector<AffineExpr> unknown;
  never = holds<ArgReduceOp>(kernel);
  auto note = [&](Value v) {
    AffineExpr count = elementCount(v.getType());
    auto known = tilewright::constantOf(count);
    if (!known)
      unknown.insert(count);
    else
      never |= *known >= narrowElements;
  };
  for (Value argument : kernel.getBody().front().getArguments())
    note(argument);
  for (Operation &op : kernel.getBody().front()) {
    llvm::for_each(op.getResults(), note);
    if (auto window = dyn_cast<WindowOp>(op)) // positions are 64-bit values
      never |= window.getKind() == WindowKind::wargmax;
  }
  return {unknown.begin(), unknown.end()};
}

/// The name as PTX allows it.
std::string identifier(llvm::StringRef name) {
  std::string text;
  for (char c : name)
    text += llvm::isAlnum(c) || c == '_' ? c : '_';
  return text.empty() || llvm::isDigit(text[0]) ? "k" + text : text;
}

} // namespace

std::vector<Kernel> emitKernel(kernel::FuncOp kernel, ModuleOp module, const TargetInfo &target,
                               Precision precision, SmallVectorImpl<Operation *> &refused) {
  const size_t before = refused.size();
  for (Operation &op : kernel.getBody().front())
    if (!hasThreadCode(&op))
      refused.push_back(&op);
  if (refused.size() != before)
    return {};
  assert(kernel.getScheduleAttr() && "what threads can compute has a schedule");
  bool never = false;
  const std::vector<AffineExpr> conditions = indexConditions(kernel, never);
  std::vector<Kernel> kernels;
  auto emit = [&](const std::string &entry, bool wide) {
    if (auto done = Emission(kernel, module, target, precision, entry, wide).run(refused))
      kernels.push_back(std::move(*done));
  };
  const std::string entry = identifier(kernel.getSymName());
  if (!never) {
    emit(entry, /*wide=*/false);
    if (refused.size() != before)
      return {};
    kernels.back().narrow = conditions;
  }
  if (never || !conditions.empty())
    emit(never ? entry : entry + "_wide", /*wide=*/true);
  return kernels;
}

} // namespace tilewright::codegen::gpu
