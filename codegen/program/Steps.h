/// Steps.h - each step of program IR as code.
#pragma once
#include "codegen/program/Frame.h"
#include "llvm/ADT/StringSet.h"

namespace tilewright::codegen {

class StepEmitter : protected Frame {
public:
  using Frame::Frame;

protected:
  /// The steps of a block, one after the other; those of thread 0 that follow each other share one branch.
  mlir::LogicalResult emit(mlir::Block::iterator first, mlir::Block::iterator end);
  mlir::LogicalResult emit(mlir::Region &region) {
    return emit(region.front().begin(), region.front().end());
  }
  using Frame::addressOf;

private:
  mlir::LogicalResult emitStep(mlir::Operation *op);
  mlir::LogicalResult emitStep(program::PhaseOp op);
  mlir::LogicalResult emitStep(program::LaunchOp op);
  mlir::LogicalResult emitStep(program::CopyOp op);
  mlir::LogicalResult emitStep(program::ReadOp op);
  mlir::LogicalResult emitStep(program::CheckOp op);
  mlir::LogicalResult emitStep(program::IfOp op);
  mlir::LogicalResult emitStep(program::LoopOp op);
  mlir::LogicalResult emitStep(program::GrowOp op);
  mlir::LogicalResult emitStep(program::DefineOp op);
  mlir::LogicalResult emitStep(program::StoreOp op);
  mlir::LogicalResult emitStep(program::WriteOp op);
  /// Its value decides where the block branches; emitted there.
  mlir::LogicalResult emitStep(program::YieldOp) { return mlir::success(); }

  void mark(unsigned launch);
  mlir::Value scratchFor(program::LaunchOp op);
  mlir::Value scratchBytes(mlir::AffineMap bytes);
  mlir::Value violated(graph::RelationKind kind, mlir::Value have, mlir::Value want);
  void define(program::DefineOp op, mlir::Value source, size_t index);
  void declare(llvm::StringRef name, llvm::ArrayRef<mlir::Value> operands);
  mlir::Value number(mlir::Value scalar) { return scalars.lookup(scalar); }

  llvm::DenseMap<mlir::Value, mlir::Value> scalars; ///< numbers and conditions of the program
  llvm::StringSet<> declared;
  unsigned launches = 0; ///< so far
};

} // namespace tilewright::codegen
