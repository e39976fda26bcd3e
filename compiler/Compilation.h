/// Compilation.h - one model from ONNX to artifact: what happens between the C interface and the rooms.
#pragma once
#include "codegen/artifact/Artifact.h"
#include "codegen/cache/KernelCache.h"
#include "codegen/program/Program.h"
#include "codegen/target/Target.h"
#include "compiler/CompileKernel.h"
#include "frontend/Importer.h"
#include "mlir/IR/MLIRContext.h"
#include "passes/Passes.h"
#include "llvm/Support/ThreadPool.h"

namespace tilewright::compiler {

struct Options {
  std::string target = "cpu", precision = "default", emit, outPath;
  std::string resultPath; ///< what the caller is going to write
  int outDescriptor = -1; ///< see ArtifactPlace
  bool sideWeights = false;
  bool verify = TILEWRIGHT_VERIFY_PASSES; ///< the IR after every pass and every lowering
  bool fold = true;      ///< false: kernels compute constants, so that they can be compared with the folder
  bool compiles = false; ///< to an artifact or to text, not only to look at the model
  unsigned threads = 0;
  uint64_t maxMemory = 0; ///< of a run, bytes; 0: no limit
  double maxSeconds = 0;  ///< 0: the default
  std::vector<frontend::DimRange> dims;
  std::string schedules; ///< JSON (Schedules.h); empty: the default ones
  std::optional<std::string> cacheDir;
  std::function<void(const frontend::Diagnostic &)> diagnostic;
  std::function<void(llvm::StringRef stage, unsigned done, unsigned total)> progress;
  std::function<void(llvm::StringRef)> text;
};

/// What MLIR would spread over threads of its own runs where it is asked for: nothing here is worth a thread,
/// and one that cannot be had would end the process. Our own threads (inParallel) share the context.
class CallersThread : public llvm::ThreadPoolInterface {
  void asyncEnqueue(llvm::unique_function<void()> task, llvm::ThreadPoolTaskGroup *) override { task(); }

public:
  void wait() override {}
  void wait(llvm::ThreadPoolTaskGroup &) override {}
  unsigned getMaxConcurrency() const override { return 1; }
};

class Compilation {
public:
  explicit Compilation(Options options);
  /// Each returns false after reporting at least one diagnostic.
  bool import(const std::string &modelPath);
  /// Instead of import(): graph IR made in mlirContext(), whose @main has `graph.input_names` and
  /// `graph.output_names`.
  bool adopt(mlir::OwningOpRef<mlir::ModuleOp> graph);
  bool lower(bool graphOnly = false); ///< runs the pipeline
  bool compileKernels();              ///< on all threads, through the cache
  bool writeArtifact();
  bool emitText();      ///< --emit
  std::string report(); ///< JSON, after lower()
  mlir::MLIRContext &mlirContext() { return context; }
  mlir::ModuleOp graph() { return *module; } ///< as the last step left it

private:
  using Binding = codegen::KernelBinding;
  bool resolveTarget();
  void warnOfUnusedSchedules(const passes::ScheduleOverrides &schedules);
  bool sparesInputs(); ///< whether no output is a file that the model is read from
  /// What the compilation may take, from the options and from what was read.
  void setBudget();
  bool fail(llvm::Error error);
  bool fail(frontend::Diagnostic::Kind kind, llvm::StringRef code, const llvm::Twine &message,
            llvm::StringRef hint = "", llvm::StringRef place = "");
  KernelOptions kernelOptions() const;
  unsigned threadCount() const;
  /// piece(index, thread) for every index below `count`, on threadCount() threads, with progress. The error
  /// of the first index that failed; after one, no new piece starts.
  llvm::Error inParallel(llvm::StringRef stage, size_t count,
                         llvm::function_ref<llvm::Error(size_t, unsigned)> piece);
  void planConstants();
  codegen::ArtifactDescription describe();
  codegen::SiteDescription siteOf(llvm::StringRef location) const;
  bool convert(); ///< to program IR
  program::FuncOp steps() { return codegen::programOf(*program); }
  void describeBuffers(codegen::ArtifactDescription &description);
  llvm::Error verifyProgram();
  llvm::Error completeProgram(); ///< by what compiled kernels ask of it
  void assignSites();
  bool emitProgramText();
  llvm::Error writeWeights(codegen::WeightSink &sink);
  llvm::Expected<std::string> compileProgram(std::string *text, llvm::StringRef stage);
  void emitKernelTexts(llvm::StringRef stage);
  bool fitsTarget(); ///< whether the target has what --emit asks for
  bool emitGpuText();
  void refuse(kernel::FuncOp kernel, llvm::ArrayRef<mlir::Operation *> ops);

  Options options;
  CallersThread callersThread;
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  std::unique_ptr<Budget> budget;
  std::unique_ptr<onnx::Model> model; ///< the module's weights are read from its file
  mlir::OwningOpRef<mlir::ModuleOp> module;
  codegen::TargetInfo target;
  mlir::func::FuncOp main;
  mlir::OwningOpRef<mlir::ModuleOp> program; ///< see codegen::convertToProgram
  llvm::StringMap<CompiledKernel> kernels;   ///< by kernel.func name
  llvm::StringMap<Binding> bindings;
  llvm::StringMap<std::string> suspects; ///< see frontend::ImportResult
  std::vector<codegen::SiteDescription> sites;
  uint64_t weightBytes = 0;
  std::vector<codegen::ShapeCheck> checks; ///< what shape inference could not prove
  std::unique_ptr<codegen::KernelCache> cache;
};

/// tw_dtype of an element type.
int32_t dtypeOf(mlir::Type elementType);
/// Bytes that a run holds at once at least: weights, and the largest sum of values alive in one phase, for
/// the smallest dimensions the symbols allow.
uint64_t leastRunMemory(program::FuncOp program, const SymbolTable &symbols, uint64_t weightBytes);
/// What an inspect shows: of each kernel FLOPs and bytes as expressions and the schedule; of memory the
/// weights and what is alive at once for the smallest sizes.
std::string kernelReport(mlir::ModuleOp module, program::FuncOp program, const SymbolTable &symbols,
                         const codegen::TargetInfo &target, uint64_t weightBytes);

} // namespace tilewright::compiler
