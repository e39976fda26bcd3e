// Kernels to objects: emitted, optimised and assembled in parallel, each once, through the cache.
#include "codegen/emit/Emitter.h"
#include "codegen/machine/Compile.h"
#include "compiler/Compilation.h"
#include "mlir/AsmParser/AsmParser.h"
#include "passes/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using llvm::StringRef;

namespace tilewright::compiler {
namespace {

std::string exprText(AffineExpr expr) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  mapOf(ArrayRef<AffineExpr>{expr}, expr.getContext()).print(stream);
  return text;
}

/// The cache stores one line of JSON (what launching needs), a newline, and the object.
std::string pack(const CompiledKernel &kernel) {
  llvm::json::Object meta{{"results", kernel.binding.resultCount},
                          {"symbols", kernel.binding.symbolCount},
                          {"extent", exprText(kernel.binding.extent)},
                          {"scratch", exprText(kernel.binding.scratchBytes)},
                          {"sites", llvm::json::Array()}};
  for (unsigned site : kernel.siteOps)
    meta.getArray("sites")->push_back(site);
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(meta)) << "\n";
  return text + kernel.object;
}

std::optional<CompiledKernel> unpack(StringRef bytes, MLIRContext *context) {
  auto [line, object] = bytes.split('\n');
  auto parsed = llvm::json::parse(line);
  if (!parsed) {
    llvm::consumeError(parsed.takeError());
    return std::nullopt;
  }
  auto *meta = parsed->getAsObject();
  auto expr = [&](StringRef key) -> AffineExpr {
    auto text = meta->getString(key);
    auto attribute = text ? llvm::dyn_cast_or_null<AffineMapAttr>(
                                parseAttribute(("affine_map<" + *text + ">").str(), context))
                          : AffineMapAttr();
    return attribute ? attribute.getValue().getResult(0) : AffineExpr();
  };
  if (!meta || !meta->getInteger("results") || !meta->getInteger("symbols") || !meta->getArray("sites"))
    return std::nullopt;
  CompiledKernel kernel;
  kernel.binding.resultCount = *meta->getInteger("results");
  kernel.binding.symbolCount = *meta->getInteger("symbols");
  kernel.binding.extent = expr("extent");
  kernel.binding.scratchBytes = expr("scratch");
  if (!kernel.binding.extent || !kernel.binding.scratchBytes)
    return std::nullopt;
  for (auto &site : *meta->getArray("sites"))
    kernel.siteOps.push_back(unsigned(site.getAsInteger().value_or(0)));
  kernel.object = object.str();
  return kernel;
}

unsigned symbolParameters(func::FuncOp function) { // results + arguments are pointers, then symbols, begin,
                                                   // end, scratch, frame, site
  unsigned integers = 0;
  for (Type type : function.getArgumentTypes())
    integers += type.isInteger(64);
  return integers - 3;
}

} // namespace

llvm::Expected<CompiledKernel> Compilation::compileKernel(kernel::FuncOp kernel, bool wantText,
                                                          std::string *text) {
  auto key = codegen::kernelCacheKey(passes::kernelText(kernel), target, options.precision);
  std::string function = "kernel_" + llvm::toHex(ArrayRef<uint8_t>(key.data(), 10), /*LowerCase=*/true);
  auto compile = [&]() -> llvm::Expected<std::string> {
    OwningOpRef<ModuleOp> loops = ModuleOp::create(UnknownLoc::get(&context));
    auto emitted = codegen::emitKernel(kernel, *loops, target,
                                       options.precision == "strict" ? codegen::Precision::Strict
                                                                     : codegen::Precision::Default);
    if (failed(emitted))
      return codegen::makeError(9301, codegen::Fault::Internal,
                                ("kernel " + kernel.getSymName() + " cannot be emitted").str());
    if (emitted->oversized)
      return codegen::makeError(3503, codegen::Fault::Unsupported,
                                ("kernel " + kernel.getSymName() + " needs a size beyond 2^63").str(),
                                "give the dimensions bounds (--dim NAME=LO..HI)");
    auto code = *loops->getOps<func::FuncOp>().begin();
    code.setSymName(function);
    CompiledKernel compiled;
    compiled.binding.resultCount = kernel.getBody().front().getTerminator()->getNumOperands();
    compiled.binding.symbolCount = symbolParameters(code);
    compiled.binding.extent = emitted->extent;
    compiled.binding.scratchBytes = emitted->scratchBytes;
    for (Location site : emitted->sites) {
      unsigned position = 0;
      if (auto named = llvm::dyn_cast<NameLoc>(site))
        named.getName().strref().getAsInteger(10, position);
      compiled.siteOps.push_back(position);
    }
    codegen::CompileOptions how;
    how.verify = options.verify;
    how.wantAsm = wantText && options.emit == "asm";
    how.wantLlvm = wantText && options.emit == "llvm";
    if (wantText && options.emit == "loops") {
      llvm::raw_string_ostream(*text) << *loops;
      return pack(compiled);
    }
    auto object = codegen::compileModule(*loops, target, how);
    if (!object)
      return object.takeError();
    if (wantText)
      *text = how.wantAsm ? object->assembly : object->llvm;
    compiled.object = std::move(object->bytes);
    return pack(compiled);
  };
  std::shared_ptr<const std::string> bytes;
  if (wantText) {
    auto fresh = compile();
    if (!fresh)
      return fresh.takeError();
    bytes = std::make_shared<const std::string>(std::move(*fresh));
  } else {
    auto object = cache->get(key, compile);
    if (!object)
      return object.takeError();
    bytes = *object;
  }
  auto result = unpack(*bytes, &context);
  if (!result) { // whatever is wrong with the cache means compiling again
    auto fresh = compile();
    if (!fresh)
      return fresh.takeError();
    result = unpack(*fresh, &context);
  }
  if (!result)
    return codegen::makeError(9302, codegen::Fault::Internal, "a kernel cache entry cannot be read");
  result->binding.function = function;
  return std::move(*result);
}

bool Compilation::compileKernels() {
  std::vector<kernel::FuncOp> work(module->getOps<kernel::FuncOp>().begin(),
                                   module->getOps<kernel::FuncOp>().end());
  std::vector<std::optional<CompiledKernel>> results(work.size());
  auto compile = [&](size_t i, unsigned) -> llvm::Error {
    auto compiled = compileKernel(work[i], false, nullptr);
    if (!compiled)
      return compiled.takeError();
    results[i] = std::move(*compiled);
    return llvm::Error::success();
  };
  if (llvm::Error error = inParallel("kernels", work.size(), compile))
    return fail(std::move(error));
  for (auto [kernel, compiled] : llvm::zip(work, results)) {
    bindings[kernel.getSymName()] = compiled->binding;
    kernels[kernel.getSymName()] = std::move(*compiled);
  }
  return true;
}

void Compilation::emitKernelTexts(StringRef) {
  for (auto kernel : module->getOps<kernel::FuncOp>()) {
    std::string text;
    auto compiled = compileKernel(kernel, true, &text);
    if (!compiled) {
      fail(compiled.takeError());
      return;
    }
    options.text(((options.emit == "asm"    ? "# "
                   : options.emit == "llvm" ? "; "
                                            : "// ") +
                  kernel.getSymName() + "\n")
                     .str() +
                 text + "\n");
  }
}

} // namespace tilewright::compiler
