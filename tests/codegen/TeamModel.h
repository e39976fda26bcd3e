/// TeamModel.h - a team of threads that walks program IR, one step of one thread at a time, in an order drawn
/// by chance. Buffers lie where the runtime would put them; whatever is in no live buffer is filled with
/// noise at each phase. It knows nothing of how programs are made or proved.
#pragma once
#include "ir/Program.h"
#include "ir/interpreter/Interpreter.h"
#include <random>

namespace tilewright::codegen {

class TeamModel {
public:
  /// `kernels` has the kernel.funcs that the program launches.
  TeamModel(program::FuncOp func, mlir::ModuleOp kernels, unsigned threads, unsigned seed);
  /// The outputs' bytes; nothing where the run cannot go on, and then `problem` says why.
  std::optional<std::vector<std::string>> run(llvm::ArrayRef<interpreter::Tensor> inputs);
  std::string problem;

private:
  struct Place {
    mlir::Block *block;
    mlir::Block::iterator next;
  };
  struct Thread {
    llvm::SmallVector<Place> stack;
    llvm::DenseMap<mlir::Value, int64_t> numbers;
    std::function<void()> pending; ///< the second half of a step
    std::optional<uint32_t> waits; ///< for this phase to begin
    bool isDone = false;
  };

  void layOut();
  void meet();
  void poison(uint32_t phase);
  void noise(std::string &bytes, size_t first, size_t end);
  void advance(Thread &thread, unsigned number);
  void perform(Thread &thread, unsigned number, mlir::Operation *op);
  void launch(Thread &thread, unsigned number, program::LaunchOp op);
  void copy(Thread &thread, unsigned number, program::CopyOp op);
  void grow(Thread &thread, program::GrowOp op);
  void define(program::DefineOp op);
  void store(Thread &thread, program::StoreOp op);
  void enter(Thread &thread, program::LoopOp op, int64_t iteration, bool holds);
  void yield(Thread &thread, program::YieldOp op);

  struct Memory {
    std::string *bytes;
    size_t offset, size;
  };
  std::optional<Memory> memoryOf(mlir::Value value, uint64_t need);
  std::optional<interpreter::Tensor> read(mlir::Value value);
  int64_t readNumber(mlir::Value value);
  void write(mlir::Value value, uint64_t at, llvm::StringRef bytes);
  int64_t valueOf(mlir::AffineExpr expr);
  uint64_t bytesOf(mlir::Value value) { return uint64_t(valueOf(program::bytesOf(value))); }
  void fail(const llvm::Twine &why) { problem = problem.empty() ? why.str() : problem; }

  program::FuncOp func;
  mlir::ModuleOp kernels;
  interpreter::Evaluator evaluator;
  interpreter::ConstantEvaluator constants;
  SymbolTable table;
  std::mt19937 random;
  std::vector<Thread> team;
  std::vector<program::BufferOp> buffers;
  std::string arena;
  llvm::DenseMap<mlir::Operation *, uint64_t> offsets;  ///< of arena buffers
  llvm::DenseMap<mlir::Operation *, std::string> owned; ///< by memory: what lies outside the arena
  llvm::SmallVector<int64_t> symbols;
};

} // namespace tilewright::codegen
