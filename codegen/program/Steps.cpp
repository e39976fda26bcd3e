// Steps one to one. What a step needs, it says: nothing here decides when or where anything happens.
#include "codegen/program/Steps.h"
#include "tilewright/artifact.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;
using tilewright::graph::RelationKind;

namespace tilewright::codegen {

LogicalResult StepEmitter::emit(Block::iterator first, Block::iterator end) {
  auto isByThreadZero = [](Operation &op) {
    auto step = dyn_cast<program::Step>(op);
    return step && step.isByThreadZero();
  };
  LogicalResult result = success();
  auto emitOne = [&](Operation &op) { result = failed(result) ? result : emitStep(&op); };
  while (first != end) {
    if (!isByThreadZero(*first)) {
      emitOne(*first++);
      continue;
    }
    onThreadZero([&] {
      for (; first != end && isByThreadZero(*first); ++first)
        emitOne(*first);
    });
  }
  return result;
}

LogicalResult StepEmitter::emitStep(Operation *op) {
  if (auto step = dyn_cast<program::Step>(op); step && step.deviceOfStep())
    return op->emitOpError("the CPU's program does no steps of device ") << step.deviceOfStep();
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<program::PhaseOp, program::LaunchOp, program::CopyOp, program::ReadOp, program::CheckOp,
            program::IfOp, program::LoopOp, program::GrowOp, program::DefineOp, program::StoreOp,
            program::WriteOp, program::YieldOp>([&](auto each) { return emitStep(each); })
      .Default([](Operation *other) { return other->emitOpError("is no step of the CPU's program"); });
}

//===- The team ------------------------------------------------------------------------===//

LogicalResult StepEmitter::emitStep(program::PhaseOp) {
  Value status = callHost(offsetof(tw_host_table, barrier), b.getI32Type(), {frame, thread});
  Block *next = newBlock();
  cf::CondBranchOp::create(b, loc, s.compare(arith::CmpIPredicate::ne, status, s.i32(0)), leave, next);
  b.setInsertionPointToEnd(next);
  return success();
}

/// Where a run is profiled.
void StepEmitter::mark(unsigned launch) {
  Value profiled = s.load(b.getI32Type(), s.offset(frame, offsetof(tw_frame, profile)));
  when(s.compare(arith::CmpIPredicate::ne, profiled, s.i32(0)),
       [&] { callHost(offsetof(tw_host_table, mark), {}, {frame, thread, s.i32(int32_t(launch))}); });
}

/// For one thread: threads share no page.
Value StepEmitter::scratchBytes(AffineMap bytes) {
  return checked([&] {
    Value pages = s.add(s.value(bytes.getResult(0)), s.i64(64 + 4095));
    return s.mul(arith::ShRUIOp::create(b, loc, pages, s.i64(12)), s.i64(4096));
  });
}

Value StepEmitter::scratchFor(program::LaunchOp op) {
  if (!op.getScratch())
    return scratch;
  Value bytes = scratchBytes(*op.getScratchBytes());
  Value own = s.offset(addressOf(op.getScratch()), s.mul(bytes, thread64));
  return in.checksBounds ? s.bounded(own, bytes) : own;
}

LogicalResult StepEmitter::emitStep(program::LaunchOp op) {
  auto found = in.kernels.find(op.getKernel());
  if (found == in.kernels.end())
    return op.emitOpError("has no compiled kernel");
  const KernelBinding &kernel = found->second;
  mark(launches++);
  SmallVector<Value> operands, locals;
  for (Value target : op.getTargets())
    operands.push_back(addressOf(target));
  for (Value source : op.getSources())
    operands.push_back(addressOf(source));
  for (AffineExpr symbol : op.getSymbols().getResults())
    locals.push_back(s.value(symbol));
  auto [begin, end] = share(s.value(kernel.extent, locals, /*isLocal=*/true));
  operands.append(locals.begin(), locals.begin() + std::min<size_t>(locals.size(), kernel.symbolCount));
  operands.append({begin, end, scratchFor(op), frame, s.i64(op.getSite().value_or(0))});
  declare(kernel.function, operands);
  func::CallOp::create(b, loc, kernel.function, TypeRange{}, operands);
  return success();
}

void StepEmitter::declare(llvm::StringRef name, ArrayRef<Value> operands) {
  if (!declared.insert(name).second)
    return;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(module.getBody());
  func::FuncOp::create(b, loc, name, b.getFunctionType(ValueRange(operands).getTypes(), {})).setPrivate();
}

/// Each thread copies its share of cache lines.
LogicalResult StepEmitter::emitStep(program::CopyOp op) {
  Value bytes = sizeOf(op.getSource()), target = addressOf(op.getTarget()),
        source = addressOf(op.getSource());
  if (op.getAt())
    target = s.offset(target, s.mul(number(op.getAt()), bytes));
  Value lines = arith::DivSIOp::create(b, loc, s.add(bytes, s.i64(63)), s.i64(64));
  auto [first, last] = share(lines);
  Value begin = s.mul(first, s.i64(64)), end = arith::MinSIOp::create(b, loc, s.mul(last, s.i64(64)), bytes);
  Value length = arith::MaxSIOp::create(b, loc, s.sub(end, begin), s.i64(0));
  LLVM::MemcpyOp::create(b, loc, s.offset(target, begin), s.offset(source, begin), length, false);
  return success();
}

LogicalResult StepEmitter::emitStep(program::ReadOp op) {
  const bool condition = op.getResult().getType().isInteger(1);
  Value number = s.load(condition ? b.getI8Type() : b.getI64Type(), addressOf(op.getBuffer()));
  if (!condition) {
    Value unlimited = s.compare(arith::CmpIPredicate::slt, number, s.i64(0));
    number = s.select(unlimited, s.i64(INT64_MAX), number);
  }
  scalars[op.getResult()] = number;
  return success();
}

static int failureOf(RelationKind kind) {
  return kind == RelationKind::reshape    ? TW_FAIL_RESHAPE
         : kind == RelationKind::at_most  ? TW_FAIL_AT_MOST
         : kind == RelationKind::at_least ? TW_FAIL_AT_LEAST
                                          : TW_FAIL_SHAPE;
}

/// Sizes that do not fit in 64 bits fit nothing.
LogicalResult StepEmitter::emitStep(program::CheckOp op) {
  ArrayRef<AffineExpr> sizes = op.getSizes().getResults();
  Value asked;
  s.overflow = arith::ConstantOp::create(b, loc, b.getBoolAttr(false));
  if (sizes.size() == 3)
    asked = s.compare(arith::CmpIPredicate::ne, s.value(sizes[2]), s.i64(0));
  Value have = s.value(sizes[0]), want = s.value(sizes[1]);
  Value overflows = std::exchange(s.overflow, Value());
  Value bad = arith::OrIOp::create(b, loc, overflows, violated(op.getKind(), have, want));
  if (asked)
    bad = arith::AndIOp::create(b, loc, bad, asked);
  if (op.getLater())
    bad = arith::AndIOp::create(b, loc, bad,
                                s.compare(arith::CmpIPredicate::ne, number(op.getLater()), s.i64(0)));
  when(bad, [&] { fail(failureOf(op.getKind()), op.getSite().value_or(0), have, want); });
  return success();
}

Value StepEmitter::violated(RelationKind kind, Value have, Value want) {
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

//===- Control flow --------------------------------------------------------------------===//

static Value isTrue(Scalars &s, Value flag) {
  Value zero = arith::ConstantOp::create(s.b, s.loc, s.b.getI8IntegerAttr(0));
  return s.compare(arith::CmpIPredicate::ne, flag, zero);
}

LogicalResult StepEmitter::emitStep(program::IfOp op) {
  Block *yes = newBlock(), *no = newBlock(), *after = newBlock();
  cf::CondBranchOp::create(b, loc, isTrue(s, number(op.getCondition())), yes, no);
  auto emitBranch = [&](Block *entry, Region &region) {
    b.setInsertionPointToEnd(entry);
    size_t before = s.remembered();
    LogicalResult result = emit(region);
    s.forget(before);
    branch(after);
    return result;
  };
  LogicalResult first = emitBranch(yes, op.getThenRegion()), second = emitBranch(no, op.getElseRegion());
  b.setInsertionPointToEnd(after);
  return success(succeeded(first) && succeeded(second));
}

LogicalResult StepEmitter::emitStep(program::LoopOp op) {
  Block *head = newBlock(), *inside = newBlock(), *after = newBlock();
  head->addArgument(b.getI64Type(), loc);
  head->addArgument(b.getI8Type(), loc);
  branch(head, {s.i64(0), number(op.getCondition())});
  b.setInsertionPointToEnd(head);
  Value i = head->getArgument(0), holds = isTrue(s, head->getArgument(1));
  Value more =
      arith::AndIOp::create(b, loc, holds, s.compare(arith::CmpIPredicate::slt, i, number(op.getCount())));
  cf::CondBranchOp::create(b, loc, more, inside, after);
  b.setInsertionPointToEnd(inside);
  size_t before = s.remembered();
  Block &body = op.getBody().front();
  scalars[body.getArgument(0)] = scalars[op.getIterations()] = i;
  LogicalResult result = emit(op.getBody());
  s.forget(before);
  branch(head, {s.add(i, s.i64(1)), number(cast<program::YieldOp>(body.back()).getCondition())});
  b.setInsertionPointToEnd(after);
  return result;
}

//===- Thread 0 ------------------------------------------------------------------------===//

LogicalResult StepEmitter::emitStep(program::GrowOp op) {
  Value bytes;
  if (op.getPerThread()) {
    Value each = scratchBytes(op.getBytes());
    Value all = checked([&] { return s.mul(each, threads); });
    bytes = s.select(s.compare(arith::CmpIPredicate::slt, each, s.i64(0)), each, all);
  } else {
    Value times = op.getTimes() ? number(op.getTimes()) : Value();
    if (op.getPlusOne())
      times = s.add(times, s.i64(1));
    bytes = checked([&] {
      Value once = s.value(op.getBytes().getResult(0));
      return times ? s.mul(times, once) : once;
    });
  }
  callHost(offsetof(tw_host_table, grow), b.getI32Type(),
           {frame, s.i32(int32_t(numberOf(op.getBuffer()))), bytes, s.i32(op.getKeep())});
  return success();
}

LogicalResult StepEmitter::emitStep(program::DefineOp op) {
  Value source = addressOf(op.getValues());
  for (size_t i = 0; i < op.getSymbols().size(); ++i)
    define(op, source, i);
  return success();
}

/// A value outside the symbol's range fails the run, which goes on with one inside until the next phase.
void StepEmitter::define(program::DefineOp op, Value source, size_t index) {
  auto element = llvm::cast<IntegerType>(program::tensorOf(op.getValues()).getElementType());
  const int64_t bytes = graph::byteWidth(element), symbol = op.getSymbols()[index];
  Value number = s.load(b.getIntegerType(unsigned(bytes) * 8), s.offset(source, int64_t(index) * bytes));
  if (bytes < 8)
    number = element.isUnsigned() ? Value(arith::ExtUIOp::create(b, loc, b.getI64Type(), number))
                                  : Value(arith::ExtSIOp::create(b, loc, b.getI64Type(), number));
  const Symbol &info = symbols[unsigned(symbol)];
  Value below = s.compare(arith::CmpIPredicate::slt, number, s.i64(info.lo)),
        above = s.compare(arith::CmpIPredicate::sgt, number, s.i64(info.hi));
  Value bad = arith::OrIOp::create(b, loc, below, above);
  const int code = op.getBranch() ? TW_FAIL_BRANCH : info.lo == info.hi ? TW_FAIL_ASSUMPTION : TW_FAIL_SIZE;
  when(bad, [&] { fail(code, op.getSite().value_or(0), number, s.i64(info.hi)); });
  s.store(s.select(bad, s.i64(info.lo), number), addressOfSymbol(symbol));
}

LogicalResult StepEmitter::emitStep(program::StoreOp op) {
  SmallVector<Value> values;
  if (op.getNumber())
    values.push_back(number(op.getNumber()));
  else
    for (AffineExpr value : op.getValues()->getResults())
      values.push_back(s.value(value));
  for (auto [symbol, value] : llvm::zip_equal(op.getSymbols(), values))
    s.store(value, addressOfSymbol(symbol));
  return success();
}

LogicalResult StepEmitter::emitStep(program::WriteOp op) {
  s.store(number(op.getNumber()), addressOf(op.getBuffer()));
  return success();
}

} // namespace tilewright::codegen
