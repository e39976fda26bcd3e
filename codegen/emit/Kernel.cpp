// One kernel.func to one function of loop IR: the parameters, and the root loop of its schedule.
#include "codegen/emit/Ops.h"
#include "codegen/emit/Roots.h"
#include "codegen/emit/Subnormals.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

unsigned symbolCount(kernel::FuncOp kernel) {
  unsigned count = 0;
  auto note = [&](Type type) {
    if (llvm::isa<RankedTensorType>(type))
      for (unsigned symbol : symbolsIn(type))
        count = std::max(count, symbol + 1);
  };
  Block &body = kernel.getBody().front();
  llvm::for_each(body.getArgumentTypes(), note);
  for (Operation &op : body) {
    llvm::for_each(op.getResultTypes(), note);
    for (NamedAttribute attribute : op.getAttrs())
      if (auto map = llvm::dyn_cast<AffineMapAttr>(attribute.getValue()))
        count = std::max(count, map.getValue().getNumSymbols());
  }
  return count;
}

} // namespace

FailureOr<EmittedKernel> emitKernel(kernel::FuncOp kernel, ModuleOp module, const TargetInfo &target,
                                    Precision precision) {
  if (!kernel.getScheduleAttr())
    return kernel.emitError("has no schedule");
  MLIRContext *context = kernel.getContext();
  OpBuilder b(context);
  Location loc = kernel.getLoc();
  Block &body = kernel.getBody().front();
  auto yield = cast<kernel::YieldOp>(body.getTerminator());
  auto pointer = LLVM::LLVMPointerType::get(context);
  unsigned symbols = symbolCount(kernel), results = yield.getNumOperands(),
           arguments = body.getNumArguments();
  SmallVector<Type> types(results + arguments, pointer);
  types.append(symbols + 2, b.getI64Type());
  types.append({pointer, pointer, b.getI64Type()});
  b.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(b, loc, kernel.getSymName(), b.getFunctionType(types, {}));
  for (unsigned i = 0; i < results; ++i) // operands may be one buffer twice: only results are exclusive
    function.setArgAttr(i, "llvm.noalias", b.getUnitAttr());
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToEnd(entry);
  auto argument = [&](unsigned i) { return Value(entry->getArgument(i)); };
  KernelContext knowledge(kernel, target, precision);
  knowledge.scratchBytes = constantDim(context, 0);
  for (unsigned i = 0; i < results; ++i)
    knowledge.results.push_back(argument(i));
  for (unsigned i = 0; i < arguments; ++i)
    knowledge.pointers[body.getArgument(i)] = argument(results + i);
  unsigned next = results + arguments;
  for (unsigned i = 0; i < symbols; ++i)
    knowledge.symbols.push_back(argument(next++));
  knowledge.begin = argument(next++);
  knowledge.end = argument(next++);
  knowledge.scratch = argument(next++);
  knowledge.frame = argument(next++);
  knowledge.firstSite = argument(next++);
  ValueEmitter e(b, loc, knowledge);
  e.enterFunction();
  EmittedKernel result;
  const bool flush = flushesSubnormals(kernel, target);
  if (flush)
    emitFlushMode(e, true);
  const RootEmitter emit = rootEmitterOf(kernel.getScheduleAttr());
  if (!emit || failed(emit(e, kernel::rootOf(kernel), result)))
    return failure();
  if (flush)
    emitFlushMode(e, false);
  func::ReturnOp::create(b, loc);
  result.scratchBytes = knowledge.scratchBytes;
  result.oversized = knowledge.oversized || isOversized(result.scratchBytes) || isOversized(result.extent);
  result.sites = knowledge.sites;
  return result;
}

} // namespace tilewright::codegen
