#include "tests/frontend/Support.h"
#include "ir/Graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
namespace tilewright::tests {

std::unique_ptr<MLIRContext> makeImportContext() {
  auto context = std::make_unique<MLIRContext>(MLIRContext::Threading::DISABLED);
  context->loadDialect<graph::GraphDialect, func::FuncDialect>();
  return context;
}

func::FuncOp Imported::main() const {
  return ModuleOp(result.module.get()).lookupSymbol<func::FuncOp>("main");
}

static Imported import(onnx::Result<std::unique_ptr<onnx::Model>> read, MLIRContext &context,
                       const frontend::ImportOptions &options) {
  Imported imported;
  auto add = [&](const std::string &line) {
    imported.problems += (imported.problems.empty() ? "" : "\n") + line;
  };
  if (!read) {
    add(read.error().text());
    return imported;
  }
  imported.model = std::move(*read);
  for (const onnx::Error &error : onnx::checkModel(*imported.model))
    add(error.text());
  if (!imported.problems.empty())
    return imported;
  imported.result = frontend::importModel(*imported.model, context, options);
  for (const frontend::Diagnostic &d : imported.result.diagnostics)
    add(d.code + ": " + d.op + " '" + d.node + "': " + d.message +
        (d.hint.empty() ? "" : " [" + d.hint + "]"));
  ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &d) { add("verifier: " + d.str()); });
  if (imported.result.module && failed(verify(*imported.result.module)) && imported.problems.empty())
    add("verifier failed");
  return imported;
}

Imported importFile(const std::string &path, MLIRContext &context, const frontend::ImportOptions &options) {
  return import(onnx::readModel(path), context, options);
}

Imported importBytes(const std::string &bytes, MLIRContext &context, const frontend::ImportOptions &options) {
  return import(onnx::readModel(std::as_bytes(std::span(bytes.data(), bytes.size()))), context, options);
}

std::optional<interpreter::Tensor> toTensor(const onnx::Tensor &tensor, Type elementType) {
  auto bytes = tensor.read();
  if (!bytes)
    return std::nullopt;
  auto owner = std::make_shared<std::vector<std::byte>>(std::move(*bytes));
  return interpreter::Tensor::fromPacked(elementType, tensor.dims, owner->data(), owner);
}

} // namespace tilewright::tests
