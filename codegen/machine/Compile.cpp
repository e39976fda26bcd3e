//===- Compile.cpp - loop IR to an object ---------------------------------===//
#include "codegen/machine/Compile.h"

#include "codegen/lower/Lowering.h"
#include "codegen/lower/MiddleEnd.h"
#include "codegen/machine/Backend.h"
#include "codegen/machine/BoundsChecks.h"
#include "codegen/machine/SingleLanes.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/Threading.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace mlir;
using llvm::StringRef;

namespace tilewright::codegen {
namespace {

/// Keeps this thread's first MLIR error; notes and other threads' diagnostics pass by.
class FirstError {
public:
  explicit FirstError(MLIRContext &context)
      : handler(&context, [this, thread = llvm::get_threadid()](Diagnostic &diagnostic) {
          if (llvm::get_threadid() != thread || diagnostic.getSeverity() != DiagnosticSeverity::Error)
            return failure();
          if (text.empty())
            text = diagnostic.str();
          return success();
        }) {}
  const std::string &message() const { return text; }

private:
  std::string text;
  ScopedDiagnosticHandler handler;
};

llvm::Error internalError(int code, const char *what, StringRef why) {
  return makeError(code, Fault::Internal, what + why.str(), "This is a bug in Tilewright; please report it");
}

std::string printModule(const llvm::Module &module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, nullptr);
  return text;
}

/// What the steps share: one LLVM context per module, so that threads do not meet in it.
struct Compilation {
  Compilation(const TargetInfo &target, const CompileOptions &options) : target(target), options(options) {}
  const TargetInfo &target;
  const CompileOptions &options;
  llvm::LLVMContext context;
  LlvmErrors errors{context};
  std::unique_ptr<llvm::TargetMachine> machine = createTargetMachine(target);
  std::unique_ptr<llvm::Module> llvmModule;
  ObjectCode result;

  llvm::Error lower(ModuleOp module);
  llvm::Error optimize();
  llvm::Error emit();
};

llvm::Error Compilation::lower(ModuleOp module) {
  FirstError mlirError(*module.getContext());
  double start = threadMilliseconds();
  if (options.verify && failed(verify(module)))
    return internalError(9201, "invalid loop IR: ", mlirError.message());
  if (failed(lowerToLLVM(module)) || (options.verify && failed(verify(module))))
    return internalError(9201, "not loop IR: ", mlirError.message());
  const double lowered = threadMilliseconds();
  context.setDiscardValueNames(!options.wantLlvm);
  llvmModule =
      translateModuleToLLVMIR(module, context, "tilewright", /*disableVerification=*/!options.verify);
  if (!llvmModule)
    return internalError(9201, "cannot be translated to LLVM IR: ", mlirError.message());
  if (target.checksBounds)
    if (llvm::Error error = insertBoundsChecks(*llvmModule))
      return error;
  prepareModule(*llvmModule, *machine, target);
  result.times.mlir = lowered - start;
  result.times.translate = threadMilliseconds() - lowered;
  return llvm::Error::success();
}

llvm::Error Compilation::optimize() {
  std::string problem;
  llvm::raw_string_ostream stream(problem);
  if (options.verify && llvm::verifyModule(*llvmModule, &stream))
    return internalError(9202, "LLVM refuses the module: ", problem);
  const double start = threadMilliseconds();
  optimizeModule(*llvmModule, *machine);
  storeSingleLanesPlainly(*llvmModule);
  result.times.optimize = threadMilliseconds() - start;
  if (errors.first())
    return internalError(9202, "LLVM refuses the module: ", *errors.first());
  if (options.wantLlvm)
    result.llvm = printModule(*llvmModule);
  return llvm::Error::success();
}

llvm::Error Compilation::emit() {
  if (options.wantAsm) {
    // The back end changes the module, so the text is made from a copy when the object is wanted too.
    std::unique_ptr<llvm::Module> copy = options.wantObject ? llvm::CloneModule(*llvmModule) : nullptr;
    auto assembly = emitMachineCode(copy ? *copy : *llvmModule, *machine, /*assembly=*/true);
    if (!assembly)
      return assembly.takeError();
    result.assembly = std::move(*assembly);
  }
  if (!options.wantObject)
    return llvm::Error::success();
  const double start = threadMilliseconds();
  auto object = emitMachineCode(*llvmModule, *machine);
  if (!object)
    return object.takeError();
  result.bytes = std::move(*object);
  result.times.codegen = threadMilliseconds() - start;
  return llvm::Error::success();
}

} // namespace

llvm::Expected<ObjectCode> compileModule(ModuleOp module, const TargetInfo &target,
                                         const CompileOptions &options) {
  Compilation compilation(target, options);
  if (auto error = compilation.lower(module))
    return error;
  if (auto error = compilation.optimize())
    return error;
  if (auto error = compilation.emit())
    return error;
  return std::move(compilation.result);
}

} // namespace tilewright::codegen
