#include "tests/support/GraphProgram.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;

namespace tilewright::tests {

std::unique_ptr<MLIRContext> makeContext() {
  auto context = std::make_unique<MLIRContext>(MLIRContext::Threading::DISABLED);
  context->loadDialect<func::FuncDialect, graph::GraphDialect, kernel::KernelDialect>();
  return context;
}

Type elementType(MLIRContext &context, llvm::StringRef text) { return parseType(text, &context); }

static func::FuncOp makeMain(ModuleOp module) {
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  auto function = func::FuncOp::create(builder, module.getLoc(), "main", builder.getFunctionType({}, {}));
  function.addEntryBlock();
  return function;
}

GraphProgram::GraphProgram(MLIRContext &context)
    : context(context), module(ModuleOp::create(UnknownLoc::get(&context))), symbols(*module),
      function(makeMain(*module)), builder(OpBuilder::atBlockEnd(&function.getBody().front())),
      g(builder, UnknownLoc::get(&context), symbols) {}

Value GraphProgram::input(llvm::ArrayRef<AffineExpr> dims, Type elementType) {
  return function.getBody().front().addArgument(tensorType(dims, elementType), function.getLoc());
}

bool GraphProgram::finish(ValueRange outputs) {
  func::ReturnOp::create(builder, function.getLoc(), outputs);
  symbols.save();
  Block &body = function.getBody().front();
  function.setFunctionType(builder.getFunctionType(body.getArgumentTypes(), outputs.getTypes()));
  return succeeded(verify(*module));
}

} // namespace tilewright::tests
