// Registration of the program dialect, and what each of its steps reads and writes.
#include "ir/Program.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "ir/ProgramDialect.cpp.inc"
#include "ir/ProgramEnums.cpp.inc"
#include "ir/ProgramInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/ProgramAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "ir/ProgramTypes.cpp.inc"
#define GET_OP_CLASSES
#include "ir/ProgramOps.cpp.inc"

using namespace mlir;

namespace tilewright::program {

void ProgramDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/ProgramAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "ir/ProgramTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ir/ProgramOps.cpp.inc"
      >();
}

//===- Buffers -------------------------------------------------------------------===//

Value rootOf(Value value) {
  while (auto view = value.getDefiningOp<ViewOp>())
    value = view.getSource();
  return value;
}

BufferOp bufferOf(Value value) { return rootOf(value).getDefiningOp<BufferOp>(); }

RankedTensorType tensorOf(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto view = dyn_cast<ViewOp>(op))
    return llvm::cast<RankedTensorType>(view.getTensor());
  if (auto buffer = dyn_cast<BufferOp>(op))
    return llvm::cast<RankedTensorType>(buffer.getTensor());
  return llvm::cast<RankedTensorType>(cast<ConstantOp>(op).getValue().getType());
}

AffineExpr bytesOf(Value value) {
  RankedTensorType type = tensorOf(value);
  return canonical(elementCount(type) * graph::byteWidth(type.getElementType()));
}

uint32_t deviceOf(Value value) {
  Operation *op = rootOf(value).getDefiningOp();
  auto buffer = dyn_cast<BufferOp>(op);
  return buffer ? buffer.getDevice() : cast<ConstantOp>(op).getDevice();
}

bool isGrowable(BufferOp buffer) {
  return buffer.getKind() == BufferKind::growable || buffer.getKind() == BufferKind::growable_output;
}

BufferOp memoryOf(BufferOp buffer) {
  while (buffer.getAlias())
    buffer = bufferOf(buffer.getAlias());
  return buffer;
}

template <typename Op> static std::vector<Op> declaredIn(FuncOp func) {
  auto range = func.getBody().front().getOps<Op>();
  return {range.begin(), range.end()};
}

std::vector<BufferOp> buffersOf(FuncOp func) { return declaredIn<BufferOp>(func); }
std::vector<ConstantOp> constantsOf(FuncOp func) { return declaredIn<ConstantOp>(func); }

std::vector<LaunchOp> launchesOf(FuncOp func) {
  std::vector<LaunchOp> launches;
  func.walk<WalkOrder::PreOrder>([&](LaunchOp launch) { launches.push_back(launch); });
  return launches;
}

uint32_t countPhases(FuncOp func) {
  uint32_t count = 1;
  func.walk([&](PhaseOp) { ++count; });
  return count;
}

//===- Accesses --------------------------------------------------------------------===//

using Visit = llvm::function_ref<void(const Access &)>;

static void visitBuffers(Access::Kind kind, ValueRange buffers, Visit visit) {
  for (Value buffer : buffers)
    visit({kind, buffer, {}, 0});
}

static void visitSizes(AffineMap sizes, Visit visit) {
  for (AffineExpr size : sizes.getResults())
    visit({Access::ReadSizes, {}, size, 0});
}

static void visitSymbols(llvm::ArrayRef<int64_t> symbols, Visit visit) {
  for (int64_t symbol : symbols)
    visit({Access::WriteSymbol, {}, {}, unsigned(symbol)});
}

uint32_t LaunchOp::deviceOfStep() { return getDevice(); }
uint32_t CopyOp::deviceOfStep() { return getDevice(); }
uint32_t WaitOp::deviceOfStep() { return getDevice(); }

void PhaseOp::visitAccesses(Visit) {}
void IfOp::visitAccesses(Visit) {}
void LoopOp::visitAccesses(Visit) {}
void WaitOp::visitAccesses(Visit) {}

void LaunchOp::visitAccesses(Visit visit) {
  visitSizes(getSymbols(), visit);
  if (auto bytes = getScratchBytes())
    visitSizes(*bytes, visit);
  visitBuffers(Access::Read, getSources(), visit);
  visitBuffers(Access::Write, getTargets(), visit);
  if (getScratch()) // a thread's part is another's where the next launch needs another amount
    visit({Access::Write, getScratch(), {}, 0});
}

void CopyOp::visitAccesses(Visit visit) {
  visit({Access::ReadSizes, {}, bytesOf(getSource()), 0});
  visit({Access::Read, getSource(), {}, 0});
  visit({getAt() ? Access::Append : Access::Write, getTarget(), {}, 0});
}

void ReadOp::visitAccesses(Visit visit) { visit({Access::Read, getBuffer(), {}, 0}); }

void CheckOp::visitAccesses(Visit visit) { visitSizes(getSizes(), visit); }

/// The caller reads outputs, and asks for their sizes, when all threads are back.
void ReturnOp::visitAccesses(Visit visit) {
  for (Value output : getOutputs())
    for (AffineExpr size : dimsOf(tensorOf(output)))
      visit({Access::ReadSizes, {}, size, 0});
  visitBuffers(Access::Read, getOutputs(), visit);
}

void GrowOp::visitAccesses(Visit visit) {
  visitSizes(getBytes(), visit);
  visit({getKeep() ? Access::GrowKept : Access::Grow, getBuffer(), {}, 0});
}

void DefineOp::visitAccesses(Visit visit) {
  visit({Access::Read, getValues(), {}, 0});
  visitSymbols(getSymbols(), visit);
}

void StoreOp::visitAccesses(Visit visit) {
  if (auto values = getValues())
    visitSizes(*values, visit);
  visitSymbols(getSymbols(), visit);
}

void WriteOp::visitAccesses(Visit visit) { visit({Access::Write, getBuffer(), {}, 0}); }

} // namespace tilewright::program
