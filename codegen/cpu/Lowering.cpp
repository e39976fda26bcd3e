//===- Lowering.cpp - loop IR to machine code -----------------------------===//
//
// All dialects are converted in one pass over the module, where a pipeline of conversion passes would walk,
// rewrite and verify it a dozen times; README.md has the measurement.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Lowering.h"

#include "codegen/cpu/Backend.h"
#include "codegen/cpu/BoundsChecks.h"
#include "codegen/cpu/SingleLanes.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/Threading.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace mlir;

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

/// `private` functions with a body are internal to the object; MLIR's conversion would export them.
void localizePrivateFunctions(ModuleOp module) {
  auto internal = LLVM::LinkageAttr::get(module.getContext(), LLVM::Linkage::Internal);
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPrivate() && !function.isDeclaration())
      function->setAttr("llvm.linkage", internal);
}

void populatePatterns(LLVMTypeConverter &converter, RewritePatternSet &patterns) {
  populateSCFToControlFlowConversionPatterns(patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  populateFuncToLLVMConversionPatterns(converter, patterns);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  index::populateIndexToLLVMConversionPatterns(converter, patterns);
  ub::populateUBToLLVMConversionPatterns(converter, patterns);
  populateMathToLLVMConversionPatterns(converter, patterns, /*approximateLog1p=*/false);
  populateVectorToLLVMConversionPatterns(converter, patterns);
  vector::populateVectorInsertExtractStridedSliceTransforms(patterns);
  vector::populateVectorMaskOpLoweringPatterns(patterns);
  vector::populateVectorStepLoweringPatterns(patterns);
  // 64-bit comparisons: a count above 2^31 must not wrap.
  vector::populateVectorMaskMaterializationPatterns(patterns, /*force32BitVectorIndices=*/false);
}

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

void registerCodegenDialects(DialectRegistry &registry) {
  registry.insert<func::FuncDialect, scf::SCFDialect, cf::ControlFlowDialect, arith::ArithDialect,
                  math::MathDialect, vector::VectorDialect, index::IndexDialect, ub::UBDialect,
                  LLVM::LLVMDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

void loadCodegenDialects(MLIRContext &context) {
  context.loadDialect<func::FuncDialect, scf::SCFDialect, cf::ControlFlowDialect, arith::ArithDialect,
                      math::MathDialect, vector::VectorDialect, index::IndexDialect, ub::UBDialect,
                      LLVM::LLVMDialect>();
}

LogicalResult lowerToLLVM(ModuleOp module) {
  MLIRContext *context = module.getContext();
  localizePrivateFunctions(module);
  LowerToLLVMOptions options(context);
  options.useBarePtrCallConv = true; // no memrefs here; saves a symbol lookup per call
  LLVMTypeConverter converter(context, options);
  RewritePatternSet patterns(context);
  populatePatterns(converter, patterns);
  ConversionTarget target(*context);
  target.addLegalDialect<LLVM::LLVMDialect>();
  target.addLegalOp<ModuleOp, UnrealizedConversionCastOp>();
  if (failed(applyFullConversion(module, target, std::move(patterns))))
    return failure();
  SmallVector<UnrealizedConversionCastOp> casts, left;
  module.walk([&](UnrealizedConversionCastOp cast) { casts.push_back(cast); });
  reconcileUnrealizedCasts(casts, &left);
  for (UnrealizedConversionCastOp cast : left)
    return cast.emitError("a value has a type that loop IR does not know");
  return success();
}

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
