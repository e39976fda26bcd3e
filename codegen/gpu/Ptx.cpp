// The NVPTX back end is registered when the first PTX is made, so that compiling for CPUs does not pay for
// it.
#include "codegen/gpu/Ptx.h"
#include "codegen/lower/Lowering.h"
#include "codegen/lower/MiddleEnd.h"
#include "codegen/target/Cuda.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

extern "C" {
void LLVMInitializeNVPTXTargetInfo();
void LLVMInitializeNVPTXTarget();
void LLVMInitializeNVPTXTargetMC();
void LLVMInitializeNVPTXAsmPrinter();
}

using namespace mlir;

namespace tilewright::codegen::gpu {
namespace {

std::unique_ptr<llvm::TargetMachine> createPtxMachine(const TargetInfo &target) {
  static const llvm::Target *nvptx = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    std::string ignored;
    return llvm::TargetRegistry::lookupTarget(llvm::Triple(cudaTriple), ignored);
  }();
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard; // as written: see lower/Lowering.h
  return std::unique_ptr<llvm::TargetMachine>(
      nvptx->createTargetMachine(llvm::Triple(cudaTriple), target.cpu, target.features, options, std::nullopt,
                                 std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

void markEntry(llvm::Function &function, const Launch &launch, const TargetInfo &target) {
  function.setCallingConv(llvm::CallingConv::PTX_Kernel);
  function.addFnAttr("target-cpu", target.cpu);
  function.addFnAttr("target-features", target.features);
  function.addFnAttr("no-builtins");
  function.addFnAttr(llvm::Attribute::NoUnwind);
  // Of a known size, the assembler may count on it; else it leaves registers for the largest.
  function.addFnAttr(launch.rowParts ? "nvvm.maxntid" : "nvvm.reqntid", std::to_string(launch.threads));
}

llvm::Error internalError(int code, const std::string &message) {
  return makeError(code, Fault::Internal, message, "This is a bug in Tilewright; please report it");
}

llvm::json::Array texts(llvm::ArrayRef<AffineExpr> exprs) {
  llvm::json::Array array;
  for (AffineExpr expr : exprs)
    array.push_back(toText(expr, {}));
  return array;
}

} // namespace

std::string toJson(const Kernel &kernel) {
  using llvm::json::Object;
  llvm::json::Array parameters;
  for (const Parameter &parameter : kernel.parameters)
    parameters.push_back(parameter.kind == Parameter::Result ? Object{{"result", parameter.index}}
                         : parameter.kind == Parameter::Argument
                             ? Object{{"argument", parameter.index}}
                             : Object{{"size", toText(parameter.size, {})}});
  Object record{{"entry", kernel.entry},
                {"kernel", kernel.kernel},
                {"parameters", std::move(parameters)},
                {"blocks", toText(kernel.launch.blocks, {})},
                {"shared_bytes", kernel.launch.sharedBytes}};
  if (kernel.launch.rowParts)
    record["threads"] = Object{{"parts", toText(kernel.launch.rowParts, {})},
                               {"multiple", 32},
                               {"least", 32},
                               {"most", kernel.launch.threads}};
  else
    record["threads"] = kernel.launch.threads;
  if (!kernel.narrow.empty())
    record["if_elements_below"] = Object{{"limit", narrowElements}, {"elements", texts(kernel.narrow)}};
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(record));
  return text;
}

llvm::Expected<PtxText> compileToPtx(ModuleOp module, llvm::ArrayRef<Kernel> kernels,
                                     const TargetInfo &target, bool wantLlvm) {
  std::string complaint;
  ScopedDiagnosticHandler collect(module.getContext(), [&](Diagnostic &diagnostic) {
    if (complaint.empty())
      complaint = diagnostic.str();
    return success();
  });
  llvm::LLVMContext context;
  LlvmErrors errors(context);
  if (failed(lowerToLLVM(module)))
    return internalError(9201, "not loop IR: " + complaint);
  context.setDiscardValueNames(!wantLlvm);
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "tilewright");
  if (!code)
    return internalError(9201, "cannot be translated to LLVM IR: " + complaint);
  auto machine = createPtxMachine(target);
  code->setTargetTriple(machine->getTargetTriple());
  code->setDataLayout(machine->createDataLayout());
  PtxText result;
  for (const Kernel &kernel : kernels) {
    markEntry(*code->getFunction(kernel.entry), kernel.launch, target);
    result.ptx += "// tilewright: " + toJson(kernel) + "\n";
  }
  optimizeModule(*code, *machine);
  if (wantLlvm)
    llvm::raw_string_ostream(result.llvm) << *code;
  auto text = emitMachineCode(*code, *machine, /*assembly=*/true);
  if (!text)
    return text.takeError();
  if (errors.first())
    return internalError(9202, "LLVM refuses the module: " + *errors.first());
  result.ptx += *text;
  return result;
}

} // namespace tilewright::codegen::gpu
