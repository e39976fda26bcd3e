// The program: launches with each thread's share, barriers between phases, control flow that every thread
// decides alike from memory.
#include "codegen/program/Program.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
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

/// Scalar code in one function, and the model's symbols as values.
class Scalars {
public:
  Scalars(OpBuilder &b, Location loc, const SymbolTable &symbols) : b(b), loc(loc), symbols(symbols) {}
  OpBuilder &b;
  Location loc;
  const SymbolTable &symbols;
  Value symbolArray; ///< int64_t*

  Type pointer() { return LLVM::LLVMPointerType::get(b.getContext()); }
  Value i64(int64_t v) { return arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(v)); }
  Value i32(int32_t v) { return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(v)); }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulIOp::create(b, loc, x, y); }
  Value compare(arith::CmpIPredicate p, Value x, Value y) { return arith::CmpIOp::create(b, loc, p, x, y); }
  Value select(Value c, Value x, Value y) { return arith::SelectOp::create(b, loc, c, x, y); }
  Value offset(Value base, int64_t bytes) {
    if (bytes == 0)
      return base;
    return LLVM::GEPOp::create(b, loc, pointer(), b.getI8Type(), base, LLVM::GEPArg(i64(bytes)));
  }
  Value offset(Value base, Value bytes) {
    return LLVM::GEPOp::create(b, loc, pointer(), b.getI8Type(), base, LLVM::GEPArg(bytes));
  }
  Value load(Type type, Value address) { return LLVM::LoadOp::create(b, loc, type, address); }
  void store(Value value, Value address) { LLVM::StoreOp::create(b, loc, value, address); }

  Value symbol(unsigned index) {
    const Symbol &s = symbols[index];
    if (s.origin != Symbol::Derived)
      return load(b.getI64Type(), offset(symbolArray, int64_t(index) * 8));
    Value x = value(s.a), y = value(s.b);
    if (s.rule == Symbol::Min)
      return arith::MinSIOp::create(b, loc, x, y);
    if (s.rule == Symbol::Max)
      return arith::MaxSIOp::create(b, loc, x, y);
    return select(compare(arith::CmpIPredicate::eq, x, i64(1)), y, x); // broadcast
  }

  /// An expression over the module's symbols, or over `locals` when given (kernel symbols).
  Value value(AffineExpr expr, ArrayRef<Value> locals = {}, bool isLocal = false) {
    if (auto known = constantOf(expr))
      return i64(*known);
    if (auto s = llvm::dyn_cast<AffineSymbolExpr>(expr))
      return isLocal ? locals[s.getPosition()] : symbol(s.getPosition());
    auto binary = llvm::cast<AffineBinaryOpExpr>(expr);
    Value x = value(binary.getLHS(), locals, isLocal), y = value(binary.getRHS(), locals, isLocal);
    switch (expr.getKind()) {
    case AffineExprKind::Add:
      return add(x, y);
    case AffineExprKind::Mul:
      return mul(x, y);
    case AffineExprKind::FloorDiv:
      return floorDivide(x, y);
    case AffineExprKind::CeilDiv:
      return floorDivide(add(x, sub(y, i64(1))), y);
    default:
      return sub(x, mul(floorDivide(x, y), y));
    }
  }

private:
  /// Rounds down; 0 where the divisor is 0.
  Value floorDivide(Value x, Value y) {
    Value zero = i64(0), divisor = arith::MaxSIOp::create(b, loc, y, i64(1));
    Value quotient = arith::DivSIOp::create(b, loc, x, divisor),
          rest = arith::RemSIOp::create(b, loc, x, divisor);
    Value adjusted = sub(quotient, i64(1));
    return select(compare(arith::CmpIPredicate::slt, rest, zero), adjusted, quotient);
  }
};

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
    emitSizes();
    emitOutputDims();
  }

private:
  //===- Functions ------------------------------------------------------------------===//

  func::FuncOp function(llvm::StringRef name, ArrayRef<Type> inputs, ArrayRef<Type> results) {
    b.setInsertionPointToEnd(module.getBody());
    auto op = func::FuncOp::create(b, loc, name, b.getFunctionType(inputs, results));
    current = op;
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
    scratch = s.load(s.pointer(), s.offset(allScratch, s.mul(thread64, s.i64(8))));
    failed = op.addBlock();
    if (first)
      checkSymbols();
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

  void emitSizes() {
    auto op = function("tilewright_sizes", {s.pointer(), s.pointer()}, {});
    s.symbolArray = op.getArgument(0);
    for (auto [i, buffer] : llvm::enumerate(in.plan.buffers)) {
      bool growable = buffer.kind == PlannedBuffer::Growable || buffer.kind == PlannedBuffer::GrowableOutput;
      s.store(growable ? s.i64(0) : s.value(buffer.bytes), s.offset(op.getArgument(1), int64_t(i) * 8));
    }
    // Scratch: the most that any launch needs. Launches that use defined symbols are bounded by asking when
    // those are known: see grow.
    Value most = s.i64(0);
    llvm::DenseSet<std::pair<const void *, const void *>> seen;
    for (kernel::LaunchOp launch : in.plan.launches) {
      const KernelBinding &kernel = in.kernels.find(launch.getKernel())->second;
      if (tilewright::constantOf(kernel.scratchBytes) == 0)
        continue;
      AffineMap map = launch.getSymbols();
      if (!seen.insert({&kernel, map.getAsOpaquePointer()}).second)
        continue;
      most = arith::MaxSIOp::create(b, loc, most, kernelValue(kernel.scratchBytes, map));
    }
    s.store(most, s.offset(op.getArgument(1), int64_t(in.plan.buffers.size()) * 8));
    func::ReturnOp::create(b, loc);
  }

  void emitOutputDims() {
    auto op = function("tilewright_output_dims", {s.pointer(), s.pointer()}, {});
    s.symbolArray = op.getArgument(0);
    int64_t at = 0;
    for (Value output : in.main.getBody().front().getTerminator()->getOperands())
      for (AffineExpr dim : dimsOf(output))
        s.store(s.value(dim), s.offset(op.getArgument(1), 8 * at++));
    func::ReturnOp::create(b, loc);
  }

  //===- Pieces -----------------------------------------------------------------------===//

  Value kernelValue(AffineExpr expr, AffineMap symbols) {
    SmallVector<Value> locals;
    for (AffineExpr symbol : symbols.getResults())
      locals.push_back(s.value(symbol));
    return s.value(expr, locals, /*isLocal=*/true);
  }

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

  Block *continueIn() {
    Block *block = current.addBlock();
    return block;
  }

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
    body();
    cf::BranchOp::create(b, loc, after);
    b.setInsertionPointToEnd(after);
  }

  Value addressOf(Value value) { return addressOf(in.plan.placeOf(value)); }
  Value addressOf(Place place) {
    if (place.constant)
      return s.offset(weights, int64_t(in.constantOffsets[place.index]));
    return bufferAddress(place.index);
  }
  Value bufferAddress(unsigned buffer) { return s.load(s.pointer(), s.offset(buffers, int64_t(buffer) * 8)); }

  bool isGrowable(unsigned buffer) {
    auto kind = in.plan.buffers[buffer].kind;
    return kind == PlannedBuffer::Growable || kind == PlannedBuffer::GrowableOutput;
  }

  void grow(unsigned buffer, Value bytes) {
    callHost(offsetof(tw_host_table, grow), b.getI32Type(), {frame, s.i32(buffer), bytes});
  }

  /// begin and end of this thread's share of [0, extent).
  std::pair<Value, Value> share(Value extent) {
    Value begin = arith::DivSIOp::create(b, loc, s.mul(extent, thread64), threads);
    Value end = arith::DivSIOp::create(b, loc, s.mul(extent, s.add(thread64, s.i64(1))), threads);
    return {begin, end};
  }

  /// Derived symbols of rule broadcast hold only where one side is 1 or both are equal.
  void checkSymbols() {
    for (unsigned i = 0; i < in.symbols.size(); ++i) {
      const Symbol &symbol = in.symbols[i];
      if (symbol.rule != Symbol::Broadcast || definedByProgram(symbol.a, in.symbols) ||
          definedByProgram(symbol.b, in.symbols))
        continue;
      Value x = s.value(symbol.a), y = s.value(symbol.b), one = s.i64(1);
      auto differs = [&](Value p, Value q) { return s.compare(arith::CmpIPredicate::ne, p, q); };
      Value bad = arith::AndIOp::create(b, loc, differs(x, y),
                                        arith::AndIOp::create(b, loc, differs(x, one), differs(y, one)));
      when(bad, [&] {
        callHost(offsetof(tw_host_table, fail), {},
                 {frame, s.i32(TW_FAIL_SHAPE), s.i32(in.controlSite), x, y});
      });
    }
    for (const ShapeCheck &check : in.checks)
      if (!definedByProgram(check.have, in.symbols) && !definedByProgram(check.want, in.symbols))
        requireEqual(check);
    barrier();
  }

  void requireEqual(const ShapeCheck &check) {
    Value have = s.value(check.have), want = s.value(check.want);
    int code = check.reshape ? TW_FAIL_RESHAPE : TW_FAIL_SHAPE;
    Value bad = s.compare(arith::CmpIPredicate::ne, have, want);
    if (check.orOne)
      bad = arith::AndIOp::create(b, loc, bad, s.compare(arith::CmpIPredicate::ne, have, s.i64(1)));
    when(bad, [&] {
      callHost(offsetof(tw_host_table, fail), {}, {frame, s.i32(code), s.i32(check.site), have, want});
    });
  }

  /// Checks that wait for these symbols: the last of their symbols is defined here.
  bool checkAfter(ArrayRef<int64_t> defined) {
    bool any = false;
    auto names = [&](AffineExpr expr) {
      return llvm::any_of(symbolsIn(expr),
                          [&](unsigned symbol) { return llvm::is_contained(defined, int64_t(symbol)); });
    };
    auto later = [&](AffineExpr expr) {
      return llvm::any_of(symbolsIn(expr), [&](unsigned symbol) {
        return in.symbols[symbol].origin == Symbol::Defined && int64_t(symbol) > *llvm::max_element(defined);
      });
    };
    for (const ShapeCheck &check : in.checks)
      if ((names(check.have) || names(check.want)) && !later(check.have) && !later(check.want)) {
        requireEqual(check);
        any = true;
      }
    return any;
  }

  //===- Operations ---------------------------------------------------------------------===//

  void emit(Operation *op) {
    if (auto launch = dyn_cast<kernel::LaunchOp>(op))
      return emitLaunch(launch);
    if (auto define = dyn_cast<DefineOp>(op))
      return emitDefine(define);
    if (auto conditional = dyn_cast<IfOp>(op))
      return emitIf(conditional);
    if (auto loop = dyn_cast<LoopOp>(op))
      return emitLoop(loop);
  }

  void emitBlock(Block &block) {
    for (Operation &op : block)
      emit(&op);
  }

  void emitLaunch(kernel::LaunchOp launch) {
    const KernelBinding &kernel = in.kernels.find(launch.getKernel())->second;
    if (in.plan.barrierBefore.contains(launch))
      barrier();
    bool grows = false;
    for (Value result : launch.getResults())
      grows |= isGrowable(in.plan.placeOf(result).index);
    if (grows) {
      onThreadZero([&] {
        for (Value result : launch.getResults()) {
          unsigned buffer = in.plan.placeOf(result).index;
          if (isGrowable(buffer))
            grow(buffer, s.value(in.plan.buffers[buffer].bytes));
        }
      });
      barrier();
    }
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
    operands.append({begin, end, scratch, frame, s.i64(in.firstSites[number])});
    declare(kernel.function, operands);
    func::CallOp::create(b, loc, kernel.function, TypeRange{}, operands);
  }

  void declare(llvm::StringRef name, ArrayRef<Value> operands) {
    if (!declared.insert(name).second)
      return;
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    SmallVector<Type> types(llvm::map_range(operands, [](Value v) { return v.getType(); }));
    auto op = func::FuncOp::create(b, loc, name, b.getFunctionType(types, {}));
    op.setPrivate();
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
                   {frame, s.i32(info.lo == info.hi ? TW_FAIL_ASSUMPTION : TW_FAIL_SIZE),
                    s.i32(in.controlSite), number, s.i64(info.hi)});
        });
        s.store(s.select(bad, s.i64(info.lo), number), s.offset(s.symbolArray, symbol * 8));
      }
    });
    barrier();
    if (checkAfter(define.getSymbols()))
      barrier();
  }

  /// target <- source, `bytes` of them, each thread its share of cache lines.
  void copy(Value target, Value source, Value bytes) {
    Value lines = arith::DivSIOp::create(b, loc, s.add(bytes, s.i64(63)), s.i64(64));
    auto [first, last] = share(lines);
    Value begin = s.mul(first, s.i64(64)),
          end = arith::MinSIOp::create(b, loc, s.mul(last, s.i64(64)), bytes);
    Value length = arith::MaxSIOp::create(b, loc, s.sub(end, begin), s.i64(0));
    LLVM::MemcpyOp::create(b, loc, s.offset(target, begin), s.offset(source, begin), length,
                           /*isVolatile=*/false);
  }

  void copyTo(unsigned buffer, Value from) {
    AffineExpr bytes = elementCount(from.getType()) *
                       byteWidth(llvm::cast<RankedTensorType>(from.getType()).getElementType());
    copy(bufferAddress(buffer), addressOf(from), s.value(canonical(bytes)));
  }

  void emitIf(IfOp op) {
    barrier();
    Value flag = s.load(b.getI8Type(), addressOf(op.getCondition()));
    Value taken =
        s.compare(arith::CmpIPredicate::ne, flag, arith::ConstantOp::create(b, loc, b.getI8IntegerAttr(0)));
    Block *yes = continueIn(), *no = continueIn(), *after = continueIn();
    cf::CondBranchOp::create(b, loc, taken, yes, no);
    auto branch = [&](Block *entry, Region &region, AffineMap dims) {
      b.setInsertionPointToEnd(entry);
      emitBlock(region.front());
      barrier();
      onThreadZero([&] {
        for (auto [symbol, dim] : llvm::zip(op.getSymbols(), dims.getResults()))
          s.store(s.value(dim), s.offset(s.symbolArray, symbol * 8));
        for (auto [result, from] : llvm::zip(op.getResults(), region.front().getTerminator()->getOperands()))
          if (unsigned buffer = in.plan.placeOf(result).index; isGrowable(buffer))
            grow(buffer, s.value(canonical(
                             elementCount(from.getType()) *
                             byteWidth(llvm::cast<RankedTensorType>(from.getType()).getElementType()))));
      });
      barrier();
      for (auto [result, from] : llvm::zip(op.getResults(), region.front().getTerminator()->getOperands()))
        copyTo(in.plan.placeOf(result).index, from);
      barrier();
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
    onThreadZero([&] {
      for (auto [i, result] : llvm::enumerate(op.getResults())) {
        unsigned buffer = in.plan.placeOf(result).index;
        if (!isGrowable(buffer))
          continue;
        Value bytes = i < carried ? s.value(in.plan.buffers[buffer].bytes)
                                  : stackedBytes(yield->getOperand(i + 1), trips);
        grow(buffer, bytes);
      }
    });
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
    unsigned counter = in.plan.counters.lookup(op);
    onThreadZero([&] { s.store(i, bufferAddress(counter)); });
    barrier();
    emitBlock(body);
    barrier();
    Value next = s.load(b.getI8Type(), addressOf(yield->getOperand(0)));
    for (size_t k = carried; k < op.getNumResults(); ++k) {
      Value slice = yield->getOperand(k + 1), bytes = sliceBytes(slice);
      copy(s.offset(bufferAddress(in.plan.placeOf(op.getResult(k)).index), s.mul(i, bytes)), addressOf(slice),
           bytes);
    }
    for (size_t k = 0; k < carried; ++k)
      copyTo(in.plan.placeOf(op.getResult(k)).index, yield->getOperand(k + 1));
    barrier();
    cf::BranchOp::create(b, loc, head, ValueRange{s.add(i, s.i64(1)), next});
    b.setInsertionPointToEnd(after);
    if (int64_t symbol = int64_t(op.getIterations()); symbol >= 0) {
      onThreadZero([&] { s.store(i, s.offset(s.symbolArray, symbol * 8)); });
      barrier();
    }
  }

  Value sliceBytes(Value slice) {
    return s.value(canonical(elementCount(slice.getType()) *
                             byteWidth(llvm::cast<RankedTensorType>(slice.getType()).getElementType())));
  }

  /// Room for every iteration that the trip count allows; a loop that only its condition ends has no such
  /// bound.
  Value stackedBytes(Value slice, Value trips) {
    Value unbounded = s.compare(arith::CmpIPredicate::eq, trips, s.i64(INT64_MAX));
    when(unbounded, [&] {
      callHost(offsetof(tw_host_table, fail), {},
               {frame, s.i32(TW_FAIL_UNSUPPORTED), s.i32(in.controlSite), trips, s.i64(0)});
    });
    return s.mul(s.select(unbounded, s.i64(0), trips), sliceBytes(slice));
  }

  ProgramInputs in;
  ModuleOp module;
  OpBuilder b;
  Location loc;
  Scalars s;
  func::FuncOp current;
  Block *failed = nullptr;
  Value frame, thread, thread64, threads, buffers, weights, host, scratch;
  llvm::StringSet<> declared;
};

} // namespace

std::vector<ShapeCheck> collectShapeChecks(func::FuncOp main) {
  std::vector<ShapeCheck> checks;
  std::string node;
  llvm::DenseSet<std::pair<AffineExpr, AffineExpr>> known[2]; // by orOne: the first node to need it is named
  auto require = [&](AffineExpr have, AffineExpr want, bool reshape, bool orOne = false) {
    have = canonical(have), want = canonical(want);
    if (have != want && !(constantOf(have) && constantOf(want)) && known[orOne].insert({have, want}).second)
      checks.push_back({have, want, orOne, reshape, node, 0});
  };
  for (Operation &op : main.getBody().front()) {
    auto name = llvm::dyn_cast<NameLoc>(op.getLoc());
    node = name ? name.getName().str() : "";
    if (auto reshape = dyn_cast<ReshapeOp>(op))
      require(elementCount(reshape.getOperand().getType()), elementCount(reshape.getType()), true);
    if (auto contract = dyn_cast<ContractOp>(op)) {
      Dims lhs = dimsOf(contract.getLhs()), rhs = dimsOf(contract.getRhs());
      for (auto [l, r] : llvm::zip(contract.getLhsContract(), contract.getRhsContract()))
        require(lhs[l], rhs[r], false);
      for (auto [l, r] : llvm::zip(contract.getLhsBatch(), contract.getRhsBatch()))
        require(lhs[l], rhs[r], false);
    }
    if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
      Dims from = dimsOf(broadcast.getOperand()), to = dimsOf(broadcast.getResult());
      for (auto [size, dim] : llvm::zip(from, broadcast.getDims()))
        if (constantOf(size) != 1 || broadcast.getExact())
          require(size, to[dim], false, /*orOne=*/!broadcast.getExact());
    }
    if (auto concat = dyn_cast<ConcatOp>(op))
      for (Value operand : concat.getOperands())
        for (auto [i, size] : llvm::enumerate(dimsOf(operand)))
          if (i != concat.getAxis())
            require(size, dimsOf(concat.getResult())[i], false);
  }
  return checks;
}

void emitProgram(const ProgramInputs &inputs, ModuleOp module) { ProgramEmitter(inputs, module).run(); }

} // namespace tilewright::codegen
