//===- Support.cpp - from loop-IR text to a loaded artifact ---------------===//
#include "Support.h"
#include "codegen/lower/Lowering.h"

#include "mlir/Parser/Parser.h"
#include "llvm/Object/ELFObjectFile.h"

#include <dlfcn.h>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace tilewright::codegen::testing {

std::string readFile(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream contents;
  contents << stream.rdbuf();
  return contents.str();
}

void writeFile(const std::string &path, const std::string &contents) {
  std::ofstream(path, std::ios::binary) << contents;
}

mlir::MLIRContext &sharedContext() {
  static mlir::MLIRContext &context = *[] {
    mlir::DialectRegistry registry;
    registerCodegenDialects(registry);
    auto *context = new mlir::MLIRContext(registry);
    loadCodegenDialects(*context);
    return context;
  }();
  return context;
}

llvm::Expected<ObjectCode> compileText(const std::string &text, const TargetInfo &target,
                                       CompileOptions options) {
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &sharedContext());
  if (!module)
    return makeError(9201, Fault::Internal, "the test's loop IR does not parse");
  options.verify = true;
  return compileModule(*module, target, options);
}

ErrorText errorOf(llvm::Error error) {
  if (!error) {
    ADD_FAILURE() << "expected an error";
    return {};
  }
  const CodegenError taken = takeCodegenError(std::move(error));
  std::string text;
  llvm::raw_string_ostream stream(text);
  taken.log(stream);
  return {taken.code, text};
}

std::string problemOf(llvm::Error error) { return error ? llvm::toString(std::move(error)) : ""; }

const char *const emptyFunctions = R"(
  func.func @tilewright_derive(%symbols: !llvm.ptr) { return }
  func.func @tilewright_sizes(%symbols: !llvm.ptr, %bytes: !llvm.ptr) { return }
  func.func @tilewright_output_dims(%symbols: !llvm.ptr, %dims: !llvm.ptr) { return }
)";

LoadedArtifact::LoadedArtifact(const std::string &path) {
  handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    ADD_FAILURE() << dlerror();
  else
    model = static_cast<const tw_descriptor *>(dlsym(handle, TW_DESCRIPTOR_SYMBOL));
}

LoadedArtifact::~LoadedArtifact() {
  if (handle)
    dlclose(handle);
}

LoadedProgram::LoadedProgram(const std::string &text, const std::string &targetName) {
  const TargetInfo target = llvm::cantFail(resolveTarget(targetName));
  auto object = compileText(text + emptyFunctions, target);
  if (!object) {
    ADD_FAILURE() << llvm::toString(object.takeError());
    return;
  }
  auto noWeights = [](WeightSink &) { return llvm::Error::success(); };
  const std::string path = folder.file("model.so");
  if (auto error = writeArtifact(path, {object->bytes}, {}, target, noWeights)) {
    ADD_FAILURE() << llvm::toString(std::move(error));
    return;
  }
  EXPECT_TRUE(dynamicSymbols(readFile(path), /*undefined=*/true).empty());
  artifact = std::make_unique<LoadedArtifact>(path);
}

void LoadedProgram::run(std::vector<void *> arguments, int32_t thread, int32_t threads) {
  ASSERT_TRUE(artifact && artifact->descriptor());
  artifact->descriptor()->program(reinterpret_cast<tw_frame *>(arguments.data()), thread, threads);
}

std::vector<std::string> dynamicSymbols(const std::string &sharedObject, bool undefined) {
  std::vector<std::string> names;
  auto object = llvm::cantFail(
      llvm::object::ELF64LEObjectFile::create(llvm::MemoryBufferRef(sharedObject, "artifact")));
  for (const llvm::object::ELFSymbolRef symbol : object.getDynamicSymbolIterators()) {
    const bool isUndefined = llvm::cantFail(symbol.getFlags()) & llvm::object::SymbolRef::SF_Undefined;
    const llvm::StringRef name = llvm::cantFail(symbol.getName());
    if (!name.empty() && isUndefined == undefined)
      names.push_back(name.str());
  }
  return names;
}

std::vector<std::string> runnableTargets() {
  std::vector<std::string> names = {"cpu", "cpu:haswell"};
  if (hostCanRun(llvm::cantFail(resolveTarget("cpu:skylake-avx512"))))
    names.push_back("cpu:skylake-avx512");
  return names;
}

} // namespace tilewright::codegen::testing
