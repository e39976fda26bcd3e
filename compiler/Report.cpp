// The JSON report: what the artifact holds, for `inspect` and for tools.
#include "compiler/Compilation.h"
#include "compiler/Schedules.h"
#include "ir/Layouts.h"
#include "ir/OpFacts.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::StringRef;
namespace json = llvm::json;

namespace tilewright::compiler {
namespace {

std::string typeText(Type element) {
  std::string text;
  llvm::raw_string_ostream(text) << element;
  return text;
}

json::Value dimValue(AffineExpr dim, ArrayRef<std::string> names) {
  if (auto value = constantOf(dim))
    return *value;
  return toText(dim, names);
}

json::Object tensorObject(StringRef name, Type type, ArrayRef<std::string> names) {
  json::Array shape;
  for (AffineExpr dim : dimsOf(type))
    shape.push_back(dimValue(dim, names));
  return json::Object{{"name", name},
                      {"type", typeText(llvm::cast<RankedTensorType>(type).getElementType())},
                      {"shape", std::move(shape)}};
}

/// Floating-point or integer operations of one op: 2 a multiply-add, 1 an element of an element-wise op or
/// reduction.
AffineExpr operationsOf(Operation *op) {
  AffineExpr count = elementCount(op->getResult(0).getType());
  if (auto contract = dyn_cast<ContractOp>(op)) {
    for (int64_t dim : contract.getLhsContract())
      count = count * dimsOf(contract.getLhs())[dim];
    return canonical(count * 2);
  }
  if (auto conv = dyn_cast<ConvOp>(op)) {
    Dims weights = dimsOf(conv.getRhs());
    weights.erase(weights.begin() + (conv.getChannelsLast() ? weights.size() - 1 : 0));
    return canonical(count * productOf(weights, op->getContext()) * 2);
  }
  if (isa<ReduceOp, ArgReduceOp, ScanOp, SortOp>(op))
    return elementCount(op->getOperand(0).getType());
  if (auto window = dyn_cast<WindowOp>(op)) {
    for (int64_t size : window.getKernel())
      count = count * size;
    return canonical(count);
  }
  bool moves =
      isa<BroadcastOp, ReshapeOp, TransposeOp, SliceOp, PadOp, ConstantOp, ConcatOp, DimsOp, IotaOp>(op);
  return moves ? getAffineConstantExpr(0, op->getContext()) : count;
}

AffineExpr bytesOf(Type type) {
  return elementCount(type) * byteWidth(llvm::cast<RankedTensorType>(type).getElementType());
}

json::Object kernelObject(kernel::FuncOp kernel, unsigned launches) {
  MLIRContext *context = kernel.getContext();
  AffineExpr operations = getAffineConstantExpr(0, context), bytes = operations;
  json::Array ops;
  Block &body = kernel.getBody().front();
  for (Operation &op : body) {
    if (isa<kernel::YieldOp>(op))
      continue;
    operations = operations + operationsOf(&op);
    ops.push_back(op.getName().stripDialect());
  }
  for (unsigned i = 0; i < body.getNumArguments(); ++i)
    bytes = bytes + bytesOf(kernel::storedType(kernel, i));
  for (Value result : body.getTerminator()->getOperands())
    bytes = bytes + bytesOf(result.getType());
  std::string schedule;
  if (auto attribute = kernel.getScheduleAttr())
    llvm::raw_string_ostream(schedule) << attribute;
  operations = canonical(operations), bytes = canonical(bytes);
  return json::Object{{"name", kernel.getSymName()},
                      {"root", kernel::nameOf(kernel::familyOf(kernel))},
                      {"hash", kernel.getHash().value_or("")},
                      {"ops", std::move(ops)},
                      {"launches", launches},
                      {"flops", dimValue(operations, {})},
                      {"bytes", dimValue(bytes, {})},
                      {"schedule", schedule}};
}

} // namespace

std::string kernelReport(ModuleOp module, program::FuncOp program, const SymbolTable &symbols,
                         const codegen::TargetInfo &target, uint64_t weightBytes) {
  auto names = symbols.names();
  auto main = module.lookupSymbol<func::FuncOp>("main");
  json::Array inputs, outputs, nodes, kernels;
  auto nameOf = [&](StringRef list, unsigned i) {
    return llvm::cast<StringAttr>(main->getAttrOfType<ArrayAttr>(list)[i]).getValue();
  };
  for (auto [i, argument] : llvm::enumerate(main.getArguments()))
    inputs.push_back(tensorObject(nameOf("graph.input_names", i), argument.getType(), names));
  for (auto [i, type] : llvm::enumerate(main.getFunctionType().getResults()))
    outputs.push_back(tensorObject(nameOf("graph.output_names", i), type, names));
  llvm::StringMap<unsigned> launches;
  for (program::LaunchOp launch : program::launchesOf(program)) {
    ++launches[launch.getKernel()];
    auto members = launch->getAttrOfType<ArrayAttr>("nodes");
    llvm::SetVector<StringRef> distinct;
    for (Attribute member : members)
      distinct.insert(llvm::cast<StringAttr>(member).getValue());
    for (StringRef member : distinct) {
      auto [op, node] = member.split(':');
      json::Array others;
      for (StringRef other : distinct)
        if (other != member)
          others.push_back(other.split(':').second);
      nodes.push_back(json::Object{{"node", node},
                                   {"op", op},
                                   {"kernel", launch.getKernel()},
                                   {"fused_with", std::move(others)},
                                   {"why_not_more", launch->getAttrOfType<StringAttr>("reason").getValue()}});
    }
  }
  json::Object schedules;
  for (auto kernel : module.getOps<kernel::FuncOp>()) {
    kernels.push_back(kernelObject(kernel, launches.lookup(kernel.getSymName())));
    if (auto schedule = kernel.getScheduleAttr())
      schedules[*kernel.getHash()] = toJson(schedule);
  }
  json::Object report{{"target", target.name},
                      {"inputs", std::move(inputs)},
                      {"outputs", std::move(outputs)},
                      {"nodes", std::move(nodes)},
                      {"kernels", std::move(kernels)},
                      {"schedules", std::move(schedules)},
                      {"memory", json::Object{{"weights_bytes", int64_t(weightBytes)},
                                              {"live_bytes", int64_t(leastRunMemory(program, symbols, 0))},
                                              {"buffers", int64_t(program::buffersOf(program).size())},
                                              {"phases", int64_t(program::countPhases(program))}}}};
  std::string text;
  llvm::raw_string_ostream(text) << json::Value(std::move(report));
  return text;
}

std::string Compilation::report() {
  SymbolTable symbols(*module);
  return kernelReport(*module, steps(), symbols, target, weightBytes);
}

} // namespace tilewright::compiler
