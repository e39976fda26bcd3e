/// Evaluation.h - (internal) one op being run: its operands, symbol values and results; and the families'
/// entry points.
#pragma once
#include "ir/interpreter/Interpreter.h"

namespace tilewright::interpreter {

class Evaluation {
public:
  Evaluation(mlir::Operation *op, llvm::ArrayRef<Tensor> operands, llvm::ArrayRef<int64_t> symbols)
      : op(op), operands(operands), symbols(symbols) {}
  mlir::Operation *op;
  llvm::ArrayRef<Tensor> operands;
  llvm::ArrayRef<int64_t> symbols;

  const Tensor &operand(unsigned index) const { return operands[index]; }
  llvm::Error fail(Failure::Kind kind, const llvm::Twine &message) const;
  llvm::Expected<int64_t> value(mlir::AffineExpr expr) const;
  llvm::Expected<Shape> values(mlir::AffineMap map) const;
  mlir::Type resultElement(unsigned index = 0) const;
  llvm::Expected<Shape> resultShape(unsigned index = 0) const;
  /// Zeros of the result's type.
  llvm::Expected<Tensor> makeResult(unsigned index = 0) const;
  llvm::Expected<Tensor> make(mlir::Type elementType, llvm::ArrayRef<int64_t> shape) const;
  /// An error when `actual` is not `expected`; `what` names the tensor.
  llvm::Error requireShape(const llvm::Twine &what, llvm::ArrayRef<int64_t> actual,
                           llvm::ArrayRef<int64_t> expected) const;
  /// An error when results do not have the shapes that the op's types give them.
  llvm::Error requireResultShapes(llvm::ArrayRef<Tensor> results) const;
  /// An index made non-negative, or an error.
  llvm::Expected<int64_t> index(int64_t value, int64_t size) const;
};

/// A single result that may have failed.
using Outcome = llvm::Expected<Tensor>;

// Elementwise.cpp
Outcome run(graph::UnaryOp op, const Evaluation &e);
Outcome run(graph::BinaryOp op, const Evaluation &e);
Outcome run(graph::CompareOp op, const Evaluation &e);
Outcome run(graph::SelectOp op, const Evaluation &e);
Outcome run(graph::CastOp op, const Evaluation &e);
Outcome run(graph::BitcastOp op, const Evaluation &e);
// Movement.cpp
Outcome run(graph::BroadcastOp op, const Evaluation &e);
Outcome run(graph::ReshapeOp op, const Evaluation &e);
Outcome run(graph::TransposeOp op, const Evaluation &e);
Outcome run(graph::SliceOp op, const Evaluation &e);
Outcome run(graph::ConcatOp op, const Evaluation &e);
Outcome run(graph::PadOp op, const Evaluation &e);
// Indexing.cpp
Outcome run(graph::DimsOp op, const Evaluation &e);
Outcome run(graph::IotaOp op, const Evaluation &e);
Outcome run(graph::GatherOp op, const Evaluation &e);
Outcome run(graph::GatherElementsOp op, const Evaluation &e);
Outcome run(graph::GatherNDOp op, const Evaluation &e);
Outcome run(graph::ScatterElementsOp op, const Evaluation &e);
Outcome run(graph::ScatterNDOp op, const Evaluation &e);
Outcome run(graph::CompactOp op, const Evaluation &e);
// Reduction.cpp
Outcome run(graph::ReduceOp op, const Evaluation &e);
Outcome run(graph::ScanOp op, const Evaluation &e);
Outcome run(graph::WindowOp op, const Evaluation &e);
// Ordering.cpp
Outcome run(graph::ArgReduceOp op, const Evaluation &e);
llvm::Expected<Results> run(graph::SortOp op, const Evaluation &e);
// Contraction.cpp
Outcome run(graph::ContractOp op, const Evaluation &e);
Outcome run(graph::ConvOp op, const Evaluation &e);

/// Copy a box of elements of `elementBytes` (1, 2, 4 or 8) between strided places, which do not overlap.
/// Strides are in elements; the source's may be 0 or negative. Runs along contiguous dimensions, and in tiles
/// where source and target are contiguous along different ones.
struct StridedCopy {
  Shape shape, sourceStrides, targetStrides;
  unsigned elementBytes;
  void run(const std::byte *source, std::byte *target) const;
};
/// Dimension i of the result is dimension perm[i] of `tensor`. No memory: data() of the result is null.
Tensor transposed(const Tensor &tensor, llvm::ArrayRef<int64_t> perm);
/// `tensor` with dimension `axis` moved last.
Tensor withAxisLast(const Tensor &tensor, int64_t axis);
/// The inverse of withAxisLast.
Tensor withLastAt(const Tensor &tensor, int64_t axis);
/// Call `function(index)` for every index of a box in row-major order.
void forEachIndex(llvm::ArrayRef<int64_t> shape, llvm::function_ref<void(llvm::ArrayRef<int64_t>)> function);
/// The neutral element of max (lowest value) or min (highest); infinities for floats that have them.
double extremeNumber(mlir::Type type, bool lowest);
int64_t extremeInteger(mlir::Type type, bool lowest);
/// To compare ui64 bit patterns as signed integers; the identity for other types. Its own inverse.
int64_t orderKey(mlir::Type type, int64_t value);

} // namespace tilewright::interpreter
