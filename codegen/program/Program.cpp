// The program: launches with each thread's share, barriers between phases, control flow that every thread
// decides alike from memory.
#include "codegen/program/Program.h"
#include "codegen/program/Scalars.h"
#include "codegen/program/Sizes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "tilewright/artifact.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

constexpr unsigned launchesPerFunction = 64;

class ProgramEmitter {
public:
  ProgramEmitter(const ProgramInputs &in, ModuleOp module)
      : in(in), module(module), b(module.getContext()), loc(UnknownLoc::get(module.getContext())),
        s(b, loc, in.symbols) {}

  void run() {
    SmallVector<std::string> parts;
    Block &body = in.main.getBody().front();
    SmallVector<Operation *> pending;
    unsigned weight = 0;
    auto flush = [&] {
      if (pending.empty())
        return;
      std::string name = "tilewright_part" + std::to_string(parts.size());
      emitPart(name, pending, parts.empty());
      parts.push_back(name);
      pending.clear();
      weight = 0;
    };
    for (Operation &op : body) {
      if (!isa<kernel::LaunchOp, DefineOp, IfOp, LoopOp>(op))
        continue;
      pending.push_back(&op);
      op.walk([&](Operation *) { ++weight; });
      if (weight >= launchesPerFunction)
        flush();
    }
    flush();
    emitEntry(parts);
    emitSizes(in, module);
  }

private:
  //===- Functions ------------------------------------------------------------------===//

  func::FuncOp function(llvm::StringRef name, ArrayRef<Type> inputs, ArrayRef<Type> results) {
    b.setInsertionPointToEnd(module.getBody());
    auto op = func::FuncOp::create(b, loc, name, b.getFunctionType(inputs, results));
    current = op;
    s.forget(0);
    s.remember = true;
    b.setInsertionPointToEnd(op.addEntryBlock());
    return op;
  }

  /// int32 part(frame, thread, threads): non-zero when the run failed.
  void emitPart(llvm::StringRef name, ArrayRef<Operation *> ops, bool first) {
    auto op = function(name, {s.pointer(), b.getI32Type(), b.getI32Type()}, {b.getI32Type()});
    frame = op.getArgument(0);
    thread = op.getArgument(1);
    Value count = arith::ExtSIOp::create(b, loc, b.getI64Type(), op.getArgument(2));
    threads = count;
    thread64 = arith::ExtSIOp::create(b, loc, b.getI64Type(), thread);
    s.symbolArray = s.load(s.pointer(), s.offset(frame, offsetof(tw_frame, symbols)));
    buffers = s.load(s.pointer(), s.offset(frame, offsetof(tw_frame, buffers)));
    weights = s.load(s.pointer(), s.offset(frame, offsetof(tw_frame, weights)));
    host = s.load(s.pointer(), s.offset(frame, offsetof(tw_frame, host)));
    Value allScratch = s.load(s.pointer(), s.offset(frame, offsetof(tw_frame, scratch)));
    if (in.checksBounds) {
      extents = s.load(s.pointer(), s.offset(frame, offsetof(tw_frame, extents)));
      allScratch = s.bounded(allScratch, s.mul(threads, s.i64(8)));
    }
    scratch = s.load(s.pointer(), s.offset(allScratch, s.mul(thread64, s.i64(8))));
    scratch = withinExtent(scratch, in.plan.buffers.size());
    failed = op.addBlock();
    if (first)
      openChecks(in.main.getBody().front(), mainChecks());
    for (Operation *each : ops)
      emit(each);
    func::ReturnOp::create(b, loc, ValueRange{s.i32(0)});
    if (failed->hasNoPredecessors()) { // no barrier here; unreachable blocks are not lowered
      failed->erase();
      return;
    }
    b.setInsertionPointToEnd(failed);
    func::ReturnOp::create(b, loc, ValueRange{s.i32(1)});
  }

  /// Those that no branch or loop body has noted.
  SmallVector<unsigned> mainChecks() {
    llvm::DenseSet<int64_t> nested;
    in.main.walk([&](Operation *op) {
      if (auto noted = op->getAttrOfType<ArrayAttr>(checksAttribute))
        for (Attribute list : noted)
          nested.insert_range(llvm::cast<DenseI64ArrayAttr>(list).asArrayRef());
    });
    SmallVector<unsigned> numbers;
    for (unsigned number = 0; number < in.checks.size(); ++number)
      if (!nested.contains(number))
        numbers.push_back(number);
    return numbers;
  }

  void emitEntry(ArrayRef<std::string> parts) {
    auto op = function("tilewright_program", {s.pointer(), b.getI32Type(), b.getI32Type()}, {});
    Block *end = op.addBlock();
    for (const std::string &part : parts) {
      Value status =
          func::CallOp::create(b, loc, part, TypeRange{b.getI32Type()}, op.getArguments()).getResult(0);
      Value bad = s.compare(arith::CmpIPredicate::ne, status, s.i32(0));
      Block *next = op.addBlock();
      cf::CondBranchOp::create(b, loc, bad, end, next);
      b.setInsertionPointToEnd(next);
    }
    cf::BranchOp::create(b, loc, end);
    b.setInsertionPointToEnd(end);
    func::ReturnOp::create(b, loc);
  }

  /// What `size` computes; -1 where that does not fit in 64 bits.
  Value checked(llvm::function_ref<Value()> size) {
    s.overflow = arith::ConstantOp::create(b, loc, b.getBoolAttr(false));
    bool remembers = std::exchange(s.remember, false);
    Value bytes = size(), bad = std::exchange(s.overflow, Value());
    s.remember = remembers;
    return s.select(bad, s.i64(-1), bytes);
  }

  //===- Pieces -----------------------------------------------------------------------===//

  Value callHost(size_t field, Type result, ArrayRef<Value> operands) {
    Value target = s.load(s.pointer(), s.offset(host, int64_t(field)));
    SmallVector<Type> types(llvm::map_range(operands, [](Value v) { return v.getType(); }));
    auto type =
        LLVM::LLVMFunctionType::get(result ? result : Type(LLVM::LLVMVoidType::get(b.getContext())), types);
    SmallVector<Value> all{target};
    all.append(operands.begin(), operands.end());
    auto call = LLVM::CallOp::create(b, loc, type, all);
    return result ? call.getResult() : Value();
  }

  Block *continueIn() { return current.addBlock(); }

  void barrier() {
    Value status = callHost(offsetof(tw_host_table, barrier), b.getI32Type(), {frame, thread});
    Block *next = continueIn();
    cf::CondBranchOp::create(b, loc, s.compare(arith::CmpIPredicate::ne, status, s.i32(0)), failed, next);
    b.setInsertionPointToEnd(next);
  }

  /// Only one thread does what `body` emits.
  void onThreadZero(llvm::function_ref<void()> body) {
    when(s.compare(arith::CmpIPredicate::eq, thread, s.i32(0)), body);
  }

  void when(Value condition, llvm::function_ref<void()> body) {
    Block *inside = continueIn(), *after = continueIn();
    cf::CondBranchOp::create(b, loc, condition, inside, after);
    b.setInsertionPointToEnd(inside);
    size_t before = s.remembered();
    body();
    s.forget(before);
    cf::BranchOp::create(b, loc, after);
    b.setInsertionPointToEnd(after);
  }

  Value addressOf(Value value) { return addressOf(in.plan.placeOf(value)); }
  Value addressOf(Place place) {
    if (!place.constant)
      return bufferAddress(place.index);
    Value address = s.offset(weights, int64_t(in.constantOffsets[place.index]));
    return in.checksBounds ? s.bounded(address, s.i64(constantBytes(in.plan.constants[place.index])))
                           : address;
  }
  Value bufferAddress(unsigned buffer) {
    return withinExtent(s.load(s.pointer(), s.offset(buffers, int64_t(buffer) * 8)), buffer);
  }
  static int64_t constantBytes(Value constant) {
    auto type = llvm::cast<RankedTensorType>(constant.getType());
    return type.getNumElements() * byteWidth(type.getElementType());
  }
  /// The pointer to what tw_frame::extents has at `index`.
  Value withinExtent(Value pointer, size_t index) {
    if (!in.checksBounds)
      return pointer;
    return s.bounded(pointer, s.load(b.getI64Type(), s.offset(extents, int64_t(index) * 8)));
  }

  bool isGrowable(unsigned buffer) {
    auto kind = in.plan.buffers[buffer].kind;
    return kind == PlannedBuffer::Growable || kind == PlannedBuffer::GrowableOutput;
  }

  void grow(unsigned buffer, Value bytes, bool keep = false) {
    callHost(offsetof(tw_host_table, grow), b.getI32Type(), {frame, s.i32(buffer), bytes, s.i32(keep)});
  }

  /// begin and end of this thread's share of [0, extent).
  std::pair<Value, Value> share(Value extent) {
    Value begin = arith::DivSIOp::create(b, loc, s.mul(extent, thread64), threads);
    Value end = arith::DivSIOp::create(b, loc, s.mul(extent, s.add(thread64, s.i64(1))), threads);
    return {begin, end};
  }

  //===- Checks of shapes ---------------------------------------------------------------===//

  /// The symbols that have their values once this op has run.
  static SmallVector<int64_t> definedBy(Operation &op) {
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

  /// At the beginning of a block: make its checks, but leave those that need symbols which the block defines
  /// until it has (see `settle`).
  template <typename Numbers> void openChecks(Block &block, const Numbers &numbers) {
    llvm::SmallDenseSet<unsigned> defined;
    for (Operation &op : block)
      for (int64_t symbol : definedBy(op))
        defined.insert(unsigned(symbol));
    bool any = false;
    for (auto number : numbers) {
      const ShapeCheck &check = in.checks[number];
      llvm::SmallDenseSet<unsigned> awaited;
      auto await = [&](unsigned index) {
        if (defined.contains(index))
          awaited.insert(index);
      };
      for (AffineExpr expr : {check.have, check.want, check.when})
        if (expr)
          in.symbols.walk(expr, await);
      for (unsigned symbol : awaited)
        waiting[symbol].push_back(unsigned(number));
      if ((missing[unsigned(number)] = awaited.size()) == 0) {
        require(check);
        any = true;
      }
    }
    if (any)
      barrier();
  }

  /// The op has run: make the checks that waited for the symbols it defines.
  void settle(Operation &op) {
    bool any = false;
    for (int64_t symbol : definedBy(op))
      for (unsigned number : waiting.lookup(unsigned(symbol)))
        if (--missing[number] == 0) {
          require(in.checks[number]);
          any = true;
        }
    if (any)
      barrier();
  }

  /// Sizes that do not fit in 64 bits fit nothing.
  void require(const ShapeCheck &check) {
    Value asked;
    s.overflow = arith::ConstantOp::create(b, loc, b.getBoolAttr(false));
    if (check.when)
      asked = s.compare(arith::CmpIPredicate::ne, s.value(check.when), s.i64(0));
    Value have = s.value(check.have), want = s.value(check.want);
    Value overflows = std::exchange(s.overflow, Value());
    Value bad = arith::OrIOp::create(b, loc, overflows, violated(check.kind, have, want));
    if (asked)
      bad = arith::AndIOp::create(b, loc, bad, asked);
    when(bad, [&] {
      callHost(offsetof(tw_host_table, fail), {},
               {frame, s.i32(failureOf(check.kind)), s.i32(check.site), have, want});
    });
  }

  Value violated(RelationKind kind, Value have, Value want) {
    if (kind == RelationKind::at_most)
      return s.compare(arith::CmpIPredicate::sgt, have, want);
    if (kind == RelationKind::at_least)
      return s.compare(arith::CmpIPredicate::slt, have, want);
    Value bad = s.compare(arith::CmpIPredicate::ne, have, want);
    auto unlessOne = [&](Value side) {
      bad = arith::AndIOp::create(b, loc, bad, s.compare(arith::CmpIPredicate::ne, side, s.i64(1)));
    };
    if (kind == RelationKind::repeat || kind == RelationKind::either)
      unlessOne(have);
    if (kind == RelationKind::either)
      unlessOne(want);
    return bad;
  }

  static int failureOf(RelationKind kind) {
    return kind == RelationKind::reshape    ? TW_FAIL_RESHAPE
           : kind == RelationKind::at_most  ? TW_FAIL_AT_MOST
           : kind == RelationKind::at_least ? TW_FAIL_AT_LEAST
                                            : TW_FAIL_SHAPE;
  }

  //===- Operations ---------------------------------------------------------------------===//

  void emit(Operation *op) {
    if (auto launch = dyn_cast<kernel::LaunchOp>(op))
      return emitLaunch(launch);
    if (auto define = dyn_cast<DefineOp>(op))
      emitDefine(define);
    if (auto conditional = dyn_cast<IfOp>(op))
      emitIf(conditional);
    if (auto loop = dyn_cast<LoopOp>(op))
      emitLoop(loop);
    settle(*op);
  }

  /// A branch or loop body.
  void emitRegion(Region &region) {
    if (auto noted = region.getParentOp()->getAttrOfType<ArrayAttr>(checksAttribute))
      openChecks(region.front(), llvm::cast<DenseI64ArrayAttr>(noted[region.getRegionNumber()]).asArrayRef());
    for (Operation &op : region.front())
      emit(&op);
  }

  /// Room for results and scratch whose sizes the program defines.
  void growFor(kernel::LaunchOp launch, Value scratchBytes) {
    SmallVector<Value> growing;
    for (Value result : launch.getResults())
      if (isGrowable(in.plan.placeOf(result).index))
        growing.push_back(result);
    if (growing.empty() && !scratchBytes)
      return;
    onThreadZero([&] {
      for (Value result : growing)
        grow(in.plan.placeOf(result).index, checked([&] { return sizeOf(result); }));
      if (scratchBytes) {
        Value all = checked([&] { return s.mul(scratchBytes, threads); });
        Value bad = s.compare(arith::CmpIPredicate::slt, scratchBytes, s.i64(0));
        grow(*in.plan.scratchBuffer, s.select(bad, scratchBytes, all));
      }
    });
    barrier();
  }

  void emitLaunch(kernel::LaunchOp launch) {
    const KernelBinding &kernel = in.kernels.find(launch.getKernel())->second;
    if (in.plan.barrierBefore.contains(launch))
      barrier();
    Value scratchBytes; // of each thread; null: what the frame has is enough
    if (hasOwnScratch(launch, kernel, in.symbols)) {
      if (!in.plan.barrierBefore.contains(launch))
        barrier();                 // the launches before may still use theirs
      scratchBytes = checked([&] { // threads share no page
        Value bytes = s.add(s.value(kernel.scratchBytes, launch.getSymbols()), s.i64(64 + 4095));
        return s.mul(arith::ShRUIOp::create(b, loc, bytes, s.i64(12)), s.i64(4096));
      });
    }
    growFor(launch, scratchBytes);
    unsigned number = in.plan.launchNumbers.lookup(launch);
    Value profiled = s.load(b.getI32Type(), s.offset(frame, offsetof(tw_frame, profile)));
    when(s.compare(arith::CmpIPredicate::ne, profiled, s.i32(0)),
         [&] { callHost(offsetof(tw_host_table, mark), {}, {frame, thread, s.i32(number)}); });
    SmallVector<Value> operands, locals;
    for (Value result : launch.getResults())
      operands.push_back(addressOf(result));
    for (Value operand : launch.getOperands())
      operands.push_back(addressOf(operand));
    for (AffineExpr symbol : launch.getSymbols().getResults())
      locals.push_back(s.value(symbol));
    auto [begin, end] = share(s.value(kernel.extent, locals, /*isLocal=*/true));
    operands.append(locals.begin(), locals.begin() + std::min<size_t>(locals.size(), kernel.symbolCount));
    Value own = scratch;
    if (scratchBytes)
      own = s.offset(bufferAddress(*in.plan.scratchBuffer), s.mul(scratchBytes, thread64));
    if (scratchBytes && in.checksBounds)
      own = s.bounded(own, scratchBytes);
    operands.append({begin, end, own, frame, s.i64(in.firstSites[number])});
    declare(kernel.function, operands);
    func::CallOp::create(b, loc, kernel.function, TypeRange{}, operands);
  }

  void declare(llvm::StringRef name, ArrayRef<Value> operands) {
    if (!declared.insert(name).second)
      return;
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    func::FuncOp::create(b, loc, name, b.getFunctionType(ValueRange(operands).getTypes(), {})).setPrivate();
  }

  /// Thread 0 stores symbol values; everybody reads them after the barrier.
  void emitDefine(DefineOp define) {
    barrier();
    onThreadZero([&] {
      Value source = addressOf(define.getValues());
      auto element = llvm::cast<IntegerType>(
          llvm::cast<RankedTensorType>(define.getValues().getType()).getElementType());
      unsigned bytes = byteWidth(element);
      for (auto [i, symbol] : llvm::enumerate(define.getSymbols())) {
        Value number = s.load(b.getIntegerType(bytes * 8), s.offset(source, int64_t(i) * bytes));
        if (bytes < 8)
          number = element.isUnsigned() ? Value(arith::ExtUIOp::create(b, loc, b.getI64Type(), number))
                                        : Value(arith::ExtSIOp::create(b, loc, b.getI64Type(), number));
        const Symbol &info = in.symbols[symbol];
        Value below = s.compare(arith::CmpIPredicate::slt, number, s.i64(info.lo)),
              above = s.compare(arith::CmpIPredicate::sgt, number, s.i64(info.hi));
        Value bad = arith::OrIOp::create(b, loc, below, above);
        when(bad, [&] {
          callHost(offsetof(tw_host_table, fail), {},
                   {frame,
                    s.i32(define->hasAttr(DefineOp::branchAttribute) ? TW_FAIL_BRANCH
                          : info.lo == info.hi                       ? TW_FAIL_ASSUMPTION
                                                                     : TW_FAIL_SIZE),
                    s.i32(in.controlSites.lookup(define)), number, s.i64(info.hi)});
        });
        s.store(s.select(bad, s.i64(info.lo), number), s.offset(s.symbolArray, symbol * 8));
      }
    });
    barrier();
  }

  /// target <- source, `bytes` of them, each thread its share of cache lines.
  void copy(Value target, Value source, Value bytes) {
    Value lines = arith::DivSIOp::create(b, loc, s.add(bytes, s.i64(63)), s.i64(64));
    auto [first, last] = share(lines);
    Value begin = s.mul(first, s.i64(64)),
          end = arith::MinSIOp::create(b, loc, s.mul(last, s.i64(64)), bytes);
    Value length = arith::MaxSIOp::create(b, loc, s.sub(end, begin), s.i64(0));
    LLVM::MemcpyOp::create(b, loc, s.offset(target, begin), s.offset(source, begin), length, false);
  }

  void copyTo(unsigned buffer, Value from) { copy(bufferAddress(buffer), addressOf(from), sizeOf(from)); }

  void emitIf(IfOp op) {
    barrier();
    Value flag = s.load(b.getI8Type(), addressOf(op.getCondition()));
    Value taken =
        s.compare(arith::CmpIPredicate::ne, flag, arith::ConstantOp::create(b, loc, b.getI8IntegerAttr(0)));
    Block *yes = continueIn(), *no = continueIn(), *after = continueIn();
    cf::CondBranchOp::create(b, loc, taken, yes, no);
    auto branch = [&](Block *entry, Region &region, AffineMap dims) {
      b.setInsertionPointToEnd(entry);
      size_t before = s.remembered();
      emitRegion(region);
      barrier();
      onThreadZero([&] {
        for (auto [symbol, dim] : llvm::zip(op.getSymbols(), dims.getResults()))
          s.store(s.value(dim), s.offset(s.symbolArray, symbol * 8));
        for (auto [result, from] : llvm::zip(op.getResults(), region.front().getTerminator()->getOperands()))
          if (unsigned buffer = in.plan.placeOf(result).index; isGrowable(buffer))
            grow(buffer, checked([&, &from = from] { return sizeOf(from); }));
      });
      barrier();
      for (auto [result, from] : llvm::zip(op.getResults(), region.front().getTerminator()->getOperands()))
        copyTo(in.plan.placeOf(result).index, from);
      barrier();
      s.forget(before);
      cf::BranchOp::create(b, loc, after);
    };
    branch(yes, op.getThenRegion(), op.getThenDims());
    branch(no, op.getElseRegion(), op.getElseDims());
    b.setInsertionPointToEnd(after);
  }

  void emitLoop(LoopOp op) {
    Block &body = op.getBody().front();
    Operation *yield = body.getTerminator();
    size_t carried = op.getInitial().size();
    barrier();
    Value trips = s.load(b.getI64Type(), addressOf(op.getTripCount()));
    Value unlimited = s.compare(arith::CmpIPredicate::slt, trips, s.i64(0));
    trips = s.select(unlimited, s.i64(INT64_MAX), trips);
    onThreadZero([&] { prepareLoop(op, trips); });
    barrier();
    for (size_t i = 0; i < carried; ++i)
      copyTo(in.plan.placeOf(op.getResult(i)).index, op.getInitial()[i]);
    Value start = s.load(b.getI8Type(), addressOf(op.getCondition()));
    barrier();
    Block *head = current.addBlock(), *inside = current.addBlock(), *after = current.addBlock();
    head->addArgument(b.getI64Type(), loc);
    head->addArgument(b.getI8Type(), loc);
    cf::BranchOp::create(b, loc, head, ValueRange{s.i64(0), start});
    b.setInsertionPointToEnd(head);
    Value i = head->getArgument(0);
    Value holds = s.compare(arith::CmpIPredicate::ne, head->getArgument(1),
                            arith::ConstantOp::create(b, loc, b.getI8IntegerAttr(0)));
    Value more = arith::AndIOp::create(b, loc, holds, s.compare(arith::CmpIPredicate::slt, i, trips));
    cf::CondBranchOp::create(b, loc, more, inside, after);
    b.setInsertionPointToEnd(inside);
    size_t before = s.remembered();
    unsigned counter = in.plan.counters.lookup(op);
    onThreadZero([&] {
      s.store(i, bufferAddress(counter));
      for (size_t k = carried; k < op.getNumResults(); ++k)
        if (growsAtHead(op, k))
          growStack(op, k, s.add(i, s.i64(1)));
    });
    barrier();
    emitRegion(op.getBody());
    barrier();
    Value next = s.load(b.getI8Type(), addressOf(yield->getOperand(0)));
    finishIteration(op, i);
    s.forget(before);
    cf::BranchOp::create(b, loc, head, ValueRange{s.add(i, s.i64(1)), next});
    b.setInsertionPointToEnd(after);
    if (int64_t symbol = int64_t(op.getIterations()); symbol >= 0) {
      onThreadZero([&] { s.store(i, s.offset(s.symbolArray, symbol * 8)); });
      barrier();
    }
  }

  /// The values of `dims`, all of them before the first is stored.
  SmallVector<Value> valuesOf(std::optional<AffineMap> dims) {
    SmallVector<Value> values;
    if (dims)
      for (AffineExpr dim : dims->getResults())
        values.push_back(s.value(dim));
    return values;
  }

  void storeSymbols(ArrayRef<int64_t> symbols, ArrayRef<Value> values) {
    for (auto [symbol, value] : llvm::zip_equal(symbols, values))
      s.store(value, s.offset(s.symbolArray, symbol * 8));
  }

  /// Thread 0, before the first iteration: the sizes that change, and room for what is carried; for stacked
  /// outputs only where it is known how often the loop will run.
  void prepareLoop(LoopOp op, Value trips) {
    storeSymbols(op.symbolsThatChange(), valuesOf(op.getInitialDims()));
    bool counts = isConstantExpression(op.getBody().front().getTerminator()->getOperand(0));
    for (auto [i, result] : llvm::enumerate(op.getResults())) {
      unsigned buffer = in.plan.placeOf(result).index;
      if (!isGrowable(buffer))
        continue;
      if (i < op.getInitial().size())
        grow(buffer, checked([&, &result = result] { return sizeOf(result); }));
      else if (counts && growsAtHead(op, i))
        growStack(op, i, trips);
      else
        grow(buffer, s.i64(0));
    }
  }

  static Value sliceOf(LoopOp op, size_t result) {
    return op.getBody().front().getTerminator()->getOperand(result + 1);
  }

  /// Whether a stacked output grows, and the size of its next slice is known before the body runs.
  bool growsAtHead(LoopOp op, size_t result) {
    if (!isGrowable(in.plan.placeOf(op.getResult(result)).index))
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
      in.symbols.walk(dim, [&](unsigned index) { known &= !inner.contains(index); });
    return known;
  }

  /// Thread 0: room for so many slices of a stacked output, of which those so far are kept.
  void growStack(LoopOp op, size_t result, Value slices) {
    grow(in.plan.placeOf(op.getResult(result)).index,
         checked([&] { return s.mul(slices, sizeOf(sliceOf(op, result))); }), /*keep=*/true);
  }

  /// What the body has left goes where the next iteration, or what follows the loop, finds it.
  void finishIteration(LoopOp op, Value i) {
    size_t carried = op.getInitial().size();
    auto buffer = [&](size_t result) { return in.plan.placeOf(op.getResult(result)).index; };
    SmallVector<size_t> growing;
    for (size_t k = 0; k < op.getNumResults(); ++k)
      if (isGrowable(buffer(k)) && !(k >= carried && growsAtHead(op, k)))
        growing.push_back(k);
    bool changes = !op.symbolsThatChange().empty();
    if (!growing.empty()) {
      onThreadZero([&] {
        for (auto [symbol, dim] : llvm::zip(op.symbolsThatChange(), valuesOf(op.getNextDims())))
          if (op.isSliceSize(symbol))
            requireSameSlices(op, symbol, dim, i);
        for (size_t k : growing)
          if (k >= carried)
            growStack(op, k, s.add(i, s.i64(1)));
          else if (changes)
            grow(buffer(k), checked([&] { return sizeOf(sliceOf(op, k)); }));
      });
      barrier();
    }
    for (size_t k = carried; k < op.getNumResults(); ++k) {
      Value slice = sliceOf(op, k), bytes = sizeOf(slice);
      copy(s.offset(bufferAddress(buffer(k)), s.mul(i, bytes)), addressOf(slice), bytes);
    }
    for (size_t k = 0; k < carried; ++k)
      copyTo(buffer(k), sliceOf(op, k));
    barrier();
    if (changes) {
      onThreadZero([&] { storeSymbols(op.symbolsThatChange(), valuesOf(op.getNextDims())); });
      barrier();
    }
  }

  /// Slices of all iterations have one shape.
  void requireSameSlices(LoopOp op, int64_t symbol, Value size, Value i) {
    Value before = s.load(b.getI64Type(), s.offset(s.symbolArray, symbol * 8));
    Value bad = arith::AndIOp::create(b, loc, s.compare(arith::CmpIPredicate::ne, size, before),
                                      s.compare(arith::CmpIPredicate::ne, i, s.i64(0)));
    when(bad, [&] {
      callHost(offsetof(tw_host_table, fail), {},
               {frame, s.i32(TW_FAIL_SHAPE), s.i32(in.controlSites.lookup(op)), size, before});
    });
  }

  /// In bytes.
  Value sizeOf(Value value) {
    auto element = llvm::cast<RankedTensorType>(value.getType()).getElementType();
    return s.value(canonical(elementCount(value.getType()) * byteWidth(element)));
  }

  ProgramInputs in;
  ModuleOp module;
  OpBuilder b;
  Location loc;
  Scalars s;
  func::FuncOp current;
  Block *failed = nullptr;
  Value frame, thread, thread64, threads, buffers, weights, host, scratch, extents;
  llvm::StringSet<> declared;
  llvm::DenseMap<unsigned, SmallVector<unsigned>>
      waiting;                                ///< checks, by symbols that are still to be defined
  llvm::DenseMap<unsigned, unsigned> missing; ///< how many of them, by check
};

} // namespace

void emitProgram(const ProgramInputs &inputs, ModuleOp module) { ProgramEmitter(inputs, module).run(); }

} // namespace tilewright::codegen
