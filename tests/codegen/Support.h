//===- Support.h - from loop-IR text to a loaded artifact -------*- C++ -*-===//
#ifndef TILEWRIGHT_TESTS_CODEGEN_SUPPORT_H
#define TILEWRIGHT_TESTS_CODEGEN_SUPPORT_H

#include "codegen/artifact/Artifact.h"
#include "codegen/machine/Compile.h"

#include "tests/support/TemporaryFolder.h"
#include "tilewright/artifact.h"

#include <memory>
#include <string>
#include <vector>

namespace tilewright::codegen::testing {

using tests::TemporaryFolder;

std::string readFile(const std::string &path);
void writeFile(const std::string &path, const std::string &contents);

/// The context that all tests share.
mlir::MLIRContext &sharedContext();

/// Compiles loop-IR text, with the verifiers on.
llvm::Expected<ObjectCode> compileText(const std::string &text, const TargetInfo &target,
                                       CompileOptions options = {});

/// "TW3001", and the whole text, of an error. Fails the test when there is none.
struct ErrorText {
  int code = 0;
  std::string text;
};
ErrorText errorOf(llvm::Error error);

/// The text of an error, or "" for success.
std::string problemOf(llvm::Error error);

/// Loop IR of `tilewright_sizes` and `tilewright_output_dims` that do nothing, for tests of other things.
extern const char *const emptyFunctions;

/// An artifact opened with plain dlopen.
class LoadedArtifact {
public:
  explicit LoadedArtifact(const std::string &path);
  ~LoadedArtifact();
  const tw_descriptor *descriptor() const { return model; }

private:
  void *handle = nullptr;
  const tw_descriptor *model = nullptr;
};

/// Loop IR whose `tilewright_program` takes an array of pointers where a real one takes a frame.
class LoadedProgram {
public:
  /// `text` defines @tilewright_program(!llvm.ptr, i32, i32).
  LoadedProgram(const std::string &text, const std::string &target);
  void run(std::vector<void *> arguments, int32_t thread = 0, int32_t threads = 1);

private:
  TemporaryFolder folder;
  std::unique_ptr<LoadedArtifact> artifact;
};

/// Names of the dynamic symbols of a shared object that it defines, or that it lacks.
std::vector<std::string> dynamicSymbols(const std::string &sharedObject, bool undefined);

/// Names of targets to test code on: this machine, and every narrower one that it can run.
std::vector<std::string> runnableTargets();

} // namespace tilewright::codegen::testing

#endif // TILEWRIGHT_TESTS_CODEGEN_SUPPORT_H
