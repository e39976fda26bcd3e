/// Frame.h - what a function of the program has at hand: the run's frame, the thread, and where buffers are.
#pragma once
#include "codegen/program/Program.h"
#include "codegen/program/Scalars.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

namespace tilewright::codegen {

class Frame {
public:
  Frame(const ProgramInputs &in, const SymbolTable &symbols, mlir::ModuleOp module);

protected:
  /// Begins a function, and forgets the last one's values.
  mlir::func::FuncOp function(llvm::StringRef name, llvm::ArrayRef<mlir::Type> inputs,
                              llvm::ArrayRef<mlir::Type> results);
  /// In a function of (frame, thread, threads): loads what all steps use.
  void enter();

  mlir::Block *newBlock() { return current.addBlock(); }
  void branch(mlir::Block *to, mlir::ValueRange arguments = {}) {
    mlir::cf::BranchOp::create(b, loc, to, arguments);
  }
  void when(mlir::Value condition, llvm::function_ref<void()> body);
  /// Only one thread does what `body` emits.
  void onThreadZero(llvm::function_ref<void()> body);

  mlir::Value callHost(size_t field, mlir::Type result, llvm::ArrayRef<mlir::Value> operands);
  void fail(int code, unsigned site, mlir::Value a, mlir::Value b);

  mlir::Value addressOf(mlir::Value value); ///< of a buffer, a constant or a view
  mlir::Value addressOfBuffer(unsigned number);
  mlir::Value addressOfSymbol(int64_t symbol) { return s.offset(s.symbolArray, symbol * 8); }
  unsigned numberOf(mlir::Value value) { return numbers.lookup(program::bufferOf(value)); }

  /// What `size` computes; -1 where that does not fit in 64 bits.
  mlir::Value checked(llvm::function_ref<mlir::Value()> size);
  /// begin and end of this thread's share of [0, extent).
  std::pair<mlir::Value, mlir::Value> share(mlir::Value extent);
  mlir::Value sizeOf(mlir::Value value) { return s.value(program::bytesOf(value)); } ///< in bytes

  const ProgramInputs &in;
  const SymbolTable &symbols;
  mlir::ModuleOp module;
  mlir::OpBuilder b;
  mlir::Location loc;
  Scalars s;
  mlir::func::FuncOp current;
  mlir::Block *leave = nullptr; ///< where threads leave together
  mlir::Value frame, thread, thread64, threads, scratch;

private:
  /// The pointer to what tw_frame::extents has at `index`.
  mlir::Value withinExtent(mlir::Value pointer, size_t index);

  mlir::Value buffers, weights, host, extents;
  llvm::DenseMap<mlir::Operation *, unsigned> numbers; ///< of buffers
};

} // namespace tilewright::codegen
