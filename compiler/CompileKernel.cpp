#include "compiler/CompileKernel.h"
#include "codegen/emit/Emitter.h"
#include "codegen/machine/Compile.h"
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

/// What launching the emitted kernel needs, without its code.
CompiledKernel describe(kernel::FuncOp kernel, const codegen::EmittedKernel &emitted, func::FuncOp code) {
  CompiledKernel compiled;
  compiled.binding.resultCount = kernel.getBody().front().getTerminator()->getNumOperands();
  compiled.binding.symbolCount = symbolParameters(code);
  compiled.binding.extent = emitted.extent;
  compiled.binding.scratchBytes = emitted.scratchBytes;
  for (Location site : emitted.sites) {
    unsigned position = 0;
    if (auto named = llvm::dyn_cast<NameLoc>(site))
      named.getName().strref().getAsInteger(10, position);
    compiled.siteOps.push_back(position);
  }
  return compiled;
}

/// Emits, optimises and assembles; the bytes that the cache stores.
llvm::Expected<std::string> compileFresh(kernel::FuncOp kernel, StringRef function,
                                         const KernelOptions &how) {
  OwningOpRef<ModuleOp> loops = ModuleOp::create(UnknownLoc::get(kernel.getContext()));
  auto emitted = codegen::emitKernel(kernel, *loops, how.target,
                                     how.strict ? codegen::Precision::Strict : codegen::Precision::Default);
  if (failed(emitted))
    return codegen::makeError(9301, codegen::Fault::Internal,
                              ("kernel " + kernel.getSymName() + " cannot be emitted").str());
  if (emitted->oversized)
    return codegen::makeError(3503, codegen::Fault::Unsupported,
                              ("kernel " + kernel.getSymName() + " needs a size beyond 2^63").str(),
                              "give the dimensions bounds (--dim NAME=LO..HI)");
  auto code = *loops->getOps<func::FuncOp>().begin();
  code.setSymName(function);
  CompiledKernel compiled = describe(kernel, *emitted, code);
  codegen::CompileOptions options;
  options.verify = how.verify;
  options.wantAsm = how.text && how.stage == "asm";
  options.wantLlvm = how.text && how.stage == "llvm";
  if (how.text && how.stage == "loops") {
    llvm::raw_string_ostream(*how.text) << *loops;
    return pack(compiled);
  }
  auto object = codegen::compileModule(*loops, how.target, options);
  if (!object)
    return object.takeError();
  if (how.text)
    *how.text = options.wantAsm ? object->assembly : object->llvm;
  compiled.object = std::move(object->bytes);
  return pack(compiled);
}

} // namespace

llvm::Expected<CompiledKernel> compileKernel(kernel::FuncOp kernel, const KernelOptions &how) {
  auto key =
      codegen::kernelCacheKey(passes::kernelText(kernel), how.target, how.strict ? "strict" : "default");
  const std::string function = "kernel_" + llvm::toHex(ArrayRef<uint8_t>(key.data(), 10), /*LowerCase=*/true);
  std::optional<CompiledKernel> result;
  if (how.cache && !how.text) {
    auto cached = how.cache->get(key, [&] { return compileFresh(kernel, function, how); });
    if (!cached)
      return cached.takeError();
    result = unpack(**cached, kernel.getContext());
  }
  if (!result) { // also where something is wrong with the cache
    auto fresh = compileFresh(kernel, function, how);
    if (!fresh)
      return fresh.takeError();
    result = unpack(*fresh, kernel.getContext());
  }
  if (!result)
    return codegen::makeError(9302, codegen::Fault::Internal, "a kernel cache entry cannot be read");
  result->binding.function = function;
  return std::move(*result);
}

} // namespace tilewright::compiler
