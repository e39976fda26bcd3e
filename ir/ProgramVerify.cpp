// Verifiers of the program dialect: the constraints of README.md that one op can tell. What the order of the
// steps must obey is in ProgramOrder.cpp.
#include "ir/Program.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tilewright::program {

namespace {

bool hasOneElement(Value buffer) {
  RankedTensorType type = tensorOf(buffer);
  return type.hasStaticShape() && type.getNumElements() == 1;
}

LogicalResult check(BufferOp op) {
  const BufferKind kind = op.getKind();
  const bool outside =
      kind == BufferKind::input || kind == BufferKind::output || kind == BufferKind::growable_output;
  if (op.getIo().has_value() != outside)
    return op.emitOpError("C10: inputs and outputs have a number, no other buffers do");
  if (op.getBirth() > op.getDeath())
    return op.emitOpError("C10: it dies before it is born");
  if (!op.getAlias())
    return success();
  BufferOp other = op.getAlias().getDefiningOp<BufferOp>();
  if (!other || !isGrowable(op) || !isGrowable(other))
    return op.emitOpError("C8: a growable buffer takes over the memory of a growable buffer");
  if (other.getDevice() != op.getDevice())
    return op.emitOpError("C9: memory of device ") << other.getDevice() << " on device " << op.getDevice();
  return success();
}

LogicalResult check(ConstantOp op) {
  if (!graph::isConstantExpression(op.getValue()))
    return op.emitOpError("C13: the value is no constant expression");
  return success();
}

LogicalResult check(ViewOp op) {
  RankedTensorType from = tensorOf(op.getSource()), to = tensorOf(op.getResult());
  auto have = constantOf(elementCount(from)), want = constantOf(elementCount(to));
  if ((have && want && *have != *want) ||
      graph::byteWidth(from.getElementType()) != graph::byteWidth(to.getElementType()))
    return op.emitOpError("C13: ") << from << " has not the bytes of " << to;
  return success();
}

LogicalResult check(LaunchOp op) {
  if (op.getScratch() && (!op.getScratchBytes() || op.getScratchBytes()->getNumResults() != 1))
    return op.emitOpError("C14: scratch needs one size");
  llvm::SmallDenseSet<Value> written;
  for (Value target : op.getTargets())
    if (!written.insert(rootOf(target)).second)
      return op.emitOpError("C14: two results in one buffer");
  for (Value source : op.getSources())
    if (written.contains(rootOf(source)))
      return op.emitOpError("C14: it writes what it reads");
  return success();
}

LogicalResult check(ReadOp op) {
  Type element = tensorOf(op.getBuffer()).getElementType();
  const bool condition = op.getResult().getType().isInteger(1);
  if (!hasOneElement(op.getBuffer()) || !(condition ? element.isInteger(1) : element.isSignedInteger(64)))
    return op.emitOpError("C15: reads one i1 as i1, or one si64 as i64");
  return success();
}

LogicalResult check(WriteOp op) {
  if (!hasOneElement(op.getBuffer()) || !tensorOf(op.getBuffer()).getElementType().isSignedInteger(64))
    return op.emitOpError("C15: writes one si64");
  return success();
}

LogicalResult check(DefineOp op) {
  RankedTensorType type = tensorOf(op.getValues());
  if (!type.hasStaticShape() || type.getNumElements() != int64_t(op.getSymbols().size()) ||
      !type.getElementType().isInteger())
    return op.emitOpError("C16: needs one integer for each symbol");
  return success();
}

LogicalResult check(StoreOp op) {
  if (op.getValues().has_value() == bool(op.getNumber()))
    return op.emitOpError("C16: takes expressions, or one number");
  if ((op.getValues() ? op.getValues()->getNumResults() : 1) != op.getSymbols().size())
    return op.emitOpError("C16: needs one value for each symbol");
  return success();
}

LogicalResult check(CheckOp op) {
  if (op.getSizes().getNumResults() != 2 && op.getSizes().getNumResults() != 3)
    return op.emitOpError("C17: needs two sizes, and possibly when they matter");
  return success();
}

/// C18: slices lie side by side, each written once.
LogicalResult check(LoopOp op) {
  Block &block = op.getBody().front();
  if (block.getNumArguments() != 1 || !block.getArgument(0).getType().isInteger(64) ||
      !isa<YieldOp>(block.back()))
    return op.emitOpError("C18: the body takes an iteration's number and yields a condition");
  llvm::SmallDenseSet<Value> awaited;
  for (Value stack : op.getStacks())
    if (!awaited.insert(rootOf(stack)).second)
      return op.emitOpError("C18: a stack is listed twice");
  for (auto copy : block.getOps<CopyOp>())
    if (copy.getAt() && (copy.getAt() != block.getArgument(0) || !awaited.erase(rootOf(copy.getTarget()))))
      return copy.emitOpError("C18: adds to a stack of its loop, once, at the iteration's number");
  if (!awaited.empty())
    return op.emitOpError("C18: no slice is added to a stack");
  return success();
}

LogicalResult check(WaitOp op) {
  if (op.getDevice() == 0)
    return op.emitOpError("C19: the CPU's threads wait by phases");
  return success();
}

} // namespace

//===- The whole -----------------------------------------------------------------------===//

/// C1.
static LogicalResult verifyPlaces(Block &block) {
  bool begun = block.getParentOp()->getParentOfType<FuncOp>() != nullptr;
  for (Operation &op : block) {
    const bool isStep = isa<Step, YieldOp>(op);
    const bool declares = isa<BufferOp, ConstantOp, ViewOp>(op) ||
                          (isa_and_present<graph::GraphDialect>(op.getDialect()) && isPure(&op));
    if (!isStep && (begun || !declares))
      return op.emitOpError("C1: neither a declaration at the beginning nor a step");
    begun |= isStep;
    for (Region &region : op.getRegions())
      if (isStep && failed(verifyPlaces(region.front())))
        return failure();
  }
  return success();
}

/// C12.
static LogicalResult verifyOutputs(FuncOp func) {
  auto outputs = cast<ReturnOp>(func.getBody().front().back()).getOutputs();
  size_t count = 0;
  for (auto buffer : func.getBody().front().getOps<BufferOp>())
    if (buffer.getKind() == BufferKind::output || buffer.getKind() == BufferKind::growable_output) {
      ++count;
      const size_t io = *buffer.getIo();
      if (io >= outputs.size() || bufferOf(outputs[io]) != buffer)
        return buffer.emitOpError("C12: is not what the program returns as output ") << io;
    }
  if (count != outputs.size())
    return func.emitOpError("C12: an output lies in no output buffer of its own");
  return success();
}

/// The constraints that an op by itself must obey.
static LogicalResult checkOne(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<BufferOp, ConstantOp, ViewOp, LaunchOp, ReadOp, WriteOp, DefineOp, StoreOp, CheckOp, LoopOp,
            WaitOp>([](auto each) { return check(each); })
      .Default([](Operation *) { return success(); });
}

/// C14, of kernels that stand beside the program.
static LogicalResult verifyKernels(FuncOp func) {
  llvm::StringMap<kernel::FuncOp> kernels;
  for (auto kernel : func->getParentOfType<ModuleOp>().getOps<kernel::FuncOp>())
    kernels[kernel.getSymName()] = kernel;
  LogicalResult result = success();
  func.walk([&](LaunchOp launch) {
    kernel::FuncOp kernel = kernels.lookup(launch.getKernel());
    if (!kernel || failed(result))
      return;
    Block &body = kernel.getBody().front();
    const size_t takes = body.getNumArguments(), gives = body.getTerminator()->getNumOperands();
    if (takes != launch.getSources().size() || gives != launch.getTargets().size())
      result = launch.emitOpError("C14: the kernel takes ") << takes << " and gives " << gives;
  });
  return result;
}

/// C9, and C11.
static LogicalResult verifyAccesses(Step step) {
  LogicalResult result = success();
  const bool moves = isa<CopyOp>(step.getOperation());
  const uint32_t device = isa<WaitOp>(step.getOperation()) ? 0 : step.deviceOfStep();
  step.visitAccesses([&](const Access &access) {
    if (failed(result) || !access.buffer)
      return;
    BufferOp buffer = bufferOf(access.buffer);
    const uint32_t home = deviceOf(access.buffer);
    const bool returned = isa<ReturnOp>(step.getOperation());
    if (home != device && !(moves && home == 0) && !returned)
      result = step->emitOpError("C9: accesses memory of device ") << home << " on device " << device;
    else if (access.writes() && (!buffer || buffer.getKind() == BufferKind::input))
      result = step->emitOpError("C11: writes an input or a constant");
    else if ((access.kind == Access::Grow || access.kind == Access::GrowKept) && !isGrowable(buffer))
      result = step->emitOpError("C11: only growable buffers grow");
    else if (access.kind == Access::Append && !isa<LoopOp>(step->getParentOp()))
      result = step->emitOpError("C18: adds to a stack of its loop, once, at the iteration's number");
  });
  return result;
}

LogicalResult FuncOp::verifyRegions() {
  Block &block = getBody().front();
  if (block.empty() || !isa<ReturnOp>(block.back()))
    return emitOpError("C1: ends in program.return");
  if (!(*this)->getParentOfType<ModuleOp>() || block.getNumArguments())
    return emitOpError("C1: stands in a module, and has no arguments");
  // In this order: each relies on what those before have found.
  if (failed(verifyPlaces(block)))
    return failure();
  auto sound = [](Operation *op) {
    return failed(checkOne(op)) ? WalkResult::interrupt() : WalkResult::advance();
  };
  if (walk(sound).wasInterrupted() || failed(verifyKernels(*this)) || failed(verifyOutputs(*this)))
    return failure();
  auto checked = [](Step step) {
    return failed(verifyAccesses(step)) ? WalkResult::interrupt() : WalkResult::advance();
  };
  if (walk(checked).wasInterrupted())
    return failure();
  return verifyOrder(*this);
}

} // namespace tilewright::program
