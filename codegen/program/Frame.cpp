#include "codegen/program/Frame.h"
#include "tilewright/artifact.h"

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace tilewright::codegen {

Frame::Frame(const ProgramInputs &in, const SymbolTable &symbols, ModuleOp module)
    : in(in), symbols(symbols), module(module), b(module.getContext()),
      loc(UnknownLoc::get(module.getContext())), s(b, loc, symbols) {
  for (program::BufferOp buffer : program::buffersOf(programOf(in.program)))
    numbers.try_emplace(buffer, numbers.size());
}

func::FuncOp Frame::function(llvm::StringRef name, ArrayRef<Type> inputs, ArrayRef<Type> results) {
  b.setInsertionPointToEnd(module.getBody());
  current = func::FuncOp::create(b, loc, name, b.getFunctionType(inputs, results));
  s.forget(0);
  s.remember = true;
  b.setInsertionPointToEnd(current.addEntryBlock());
  return current;
}

void Frame::enter() {
  frame = current.getArgument(0);
  thread = current.getArgument(1);
  threads = arith::ExtSIOp::create(b, loc, b.getI64Type(), current.getArgument(2));
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
  scratch = withinExtent(scratch, numbers.size());
}

void Frame::when(Value condition, llvm::function_ref<void()> body) {
  Block *inside = newBlock(), *after = newBlock();
  cf::CondBranchOp::create(b, loc, condition, inside, after);
  b.setInsertionPointToEnd(inside);
  size_t before = s.remembered();
  body();
  s.forget(before);
  branch(after);
  b.setInsertionPointToEnd(after);
}

void Frame::onThreadZero(llvm::function_ref<void()> body) {
  when(s.compare(arith::CmpIPredicate::eq, thread, s.i32(0)), body);
}

Value Frame::callHost(size_t field, Type result, ArrayRef<Value> operands) {
  Value target = s.load(s.pointer(), s.offset(host, int64_t(field)));
  SmallVector<Type> types(llvm::map_range(operands, [](Value v) { return v.getType(); }));
  auto type =
      LLVM::LLVMFunctionType::get(result ? result : Type(LLVM::LLVMVoidType::get(b.getContext())), types);
  SmallVector<Value> all{target};
  all.append(operands.begin(), operands.end());
  auto call = LLVM::CallOp::create(b, loc, type, all);
  return result ? call.getResult() : Value();
}

void Frame::fail(int code, unsigned site, Value a, Value other) {
  callHost(offsetof(tw_host_table, fail), {}, {frame, s.i32(code), s.i32(int32_t(site)), a, other});
}

Value Frame::addressOf(Value value) {
  Value root = program::rootOf(value);
  auto constant = root.getDefiningOp<program::ConstantOp>();
  if (!constant)
    return addressOfBuffer(numberOf(root));
  Value address = s.offset(weights, int64_t(*constant.getOffset()));
  if (!in.checksBounds)
    return address;
  RankedTensorType type = program::tensorOf(root);
  return s.bounded(address, s.i64(type.getNumElements() * graph::byteWidth(type.getElementType())));
}

Value Frame::addressOfBuffer(unsigned number) {
  return withinExtent(s.load(s.pointer(), s.offset(buffers, int64_t(number) * 8)), number);
}

Value Frame::withinExtent(Value pointer, size_t index) {
  if (!in.checksBounds)
    return pointer;
  return s.bounded(pointer, s.load(b.getI64Type(), s.offset(extents, int64_t(index) * 8)));
}

Value Frame::checked(llvm::function_ref<Value()> size) {
  s.overflow = arith::ConstantOp::create(b, loc, b.getBoolAttr(false));
  bool remembers = std::exchange(s.remember, false);
  Value bytes = size(), bad = std::exchange(s.overflow, Value());
  s.remember = remembers;
  return s.select(bad, s.i64(-1), bytes);
}

std::pair<Value, Value> Frame::share(Value extent) {
  Value begin = arith::DivSIOp::create(b, loc, s.mul(extent, thread64), threads);
  Value end = arith::DivSIOp::create(b, loc, s.mul(extent, s.add(thread64, s.i64(1))), threads);
  return {begin, end};
}

} // namespace tilewright::codegen
