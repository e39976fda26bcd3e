/// Support.h - programs compiled through every stage, loaded by the runtime and compared with the reference
/// interpreter.
#pragma once
#include "compiler/Compilation.h"
#include "ir/interpreter/Interpreter.h"
#include "tests/support/TemporaryFolder.h"
#include "tilewright.h"

namespace tilewright::tests {

using interpreter::Tensor;

/// What a run gave: outputs, or why there are none.
struct RunResult {
  llvm::SmallVector<Tensor> outputs;
  tw_status status = TW_OK;
  std::string problem;
  std::string op; ///< the ONNX operator that a failure names
};

/// One compilation and the artifact that it leaves. Build or import graph IR in `compilation`, keep a copy
/// for the interpreter, then compile().
class CompiledProgram {
  TemporaryFolder folder;
  std::string problems;

public:
  /// Nothing is read from the kernel cache or written to it; IR is verified between passes.
  explicit CompiledProgram(llvm::StringRef target, bool fold = true);
  ~CompiledProgram();
  CompiledProgram(const CompiledProgram &) = delete;

  compiler::Compilation compilation;
  /// Graph IR without names for @main's inputs and outputs. What is wrong, or "".
  std::string compile(mlir::OwningOpRef<mlir::ModuleOp> graph);
  std::string compileModel(const std::string &onnxBytes);
  uint64_t artifactBytes() const;
  /// Graph IR before the passes.
  mlir::ModuleOp original() { return *reference; }
  /// By a team of `threads`. Inputs, and outputs in a second run that must give the same, lie between guard
  /// pages: at the end of a page for one thread, at the start for two.
  RunResult run(llvm::ArrayRef<Tensor> inputs, int threads);
  /// By the interpreter, on the IR before the passes.
  RunResult interpret(llvm::ArrayRef<Tensor> inputs);

private:
  compiler::Options optionsFor(llvm::StringRef target, bool fold);
  std::string finish();
  mlir::OwningOpRef<mlir::ModuleOp> reference;
  tw_model *model = nullptr;
  tw_session *sessions[2] = {}; ///< of one and of two threads
};

/// How far compiled code may be from the interpreter.
enum class Agreement { Exact, Rounding };
/// Where they differ by more, or "".
std::string compareTensors(const Tensor &got, const Tensor &want, Agreement agreement);

/// Of a run that ended well on inputs that need not fit: how the interpreter differs, or "". What it keeps in
/// between may be too large for it (TW2906); else it must run, too.
std::string differenceFromInterpreter(CompiledProgram &program, llvm::ArrayRef<Tensor> inputs,
                                      llvm::ArrayRef<Tensor> outputs, Agreement agreement);

/// Compile once, run on each set of inputs with one thread and with two, compare. A set that the interpreter
/// refuses must be refused by the artifact too. What is wrong, or "".
std::string checkAgainstInterpreter(CompiledProgram &program,
                                    llvm::ArrayRef<llvm::SmallVector<Tensor>> inputSets, Agreement agreement);

/// Targets to test code on: the narrow and the wide vectors that this machine runs, and the machine itself
/// where it is neither.
std::vector<std::string> testedTargets();
/// The same with bounds checks in their code.
std::vector<std::string> checkedTargets();
bool isChecked(llvm::StringRef target);
/// Letters, digits and underscores of both.
std::string testName(llvm::StringRef target, llvm::StringRef what);

} // namespace tilewright::tests
