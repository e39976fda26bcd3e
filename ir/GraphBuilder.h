/// GraphBuilder.h - build graph ops with shape inference; what importers and passes use to make IR.
///
/// Shapes are inferred here, once. Operands of element-wise ops are broadcast NumPy-style by inserting
/// graph.broadcast. Trivial ops (identity reshape, transpose, slice, cast) are not created. Invalid requests
/// are the caller's fault: check first (importers report TW2xxx); here they are asserts in debug builds.
#pragma once
#include "ir/Graph.h"
#include "ir/Symbols.h"
#include "mlir/IR/Builders.h"

namespace tilewright {

class GraphBuilder {
public:
  GraphBuilder(mlir::OpBuilder &builder, mlir::Location location, SymbolTable &symbols)
      : b(builder), loc(location), symbols(symbols) {}
  mlir::OpBuilder &b;
  mlir::Location loc;
  SymbolTable &symbols;

  // Leaves.
  mlir::Value constant(mlir::ElementsAttr value);
  /// A rank-0 constant: integers and floats of any element type from a double / int64.
  mlir::Value scalar(mlir::Type elementType, double value);
  mlir::Value scalarInt(mlir::Type elementType, int64_t value);
  mlir::Value intVector(llvm::ArrayRef<int64_t> values, unsigned width = 64);
  /// Values of symbolic expressions as si64 (rank 1), or rank 0.
  mlir::Value dims(llvm::ArrayRef<mlir::AffineExpr> exprs, bool scalar = false);
  mlir::Value iota(llvm::ArrayRef<mlir::AffineExpr> shape, mlir::Type elementType, int64_t axis);
  /// What the elements of a small integer tensor are, as expressions over symbols, if that can be told (see
  /// SymbolicValue.cpp).
  std::optional<Dims> symbolicValue(mlir::Value value);
  /// As symbolicValue; where it cannot be told, new symbols defined at run time from the tensor
  /// (graph.define). Needs a static element count.
  Dims valueOrDefine(mlir::Value value, llvm::StringRef name, int64_t lo = 0, int64_t hi = INT64_MAX);

  // Element-wise, operands broadcast to a common shape. Nothing when shapes cannot broadcast.
  std::optional<Dims> broadcastShape(llvm::ArrayRef<mlir::Value> values);
  mlir::Value broadcastTo(mlir::Value value, llvm::ArrayRef<mlir::AffineExpr> shape); ///< right-aligned
  mlir::Value broadcastInDims(mlir::Value value, llvm::ArrayRef<mlir::AffineExpr> shape,
                              llvm::ArrayRef<int64_t> dims);
  mlir::Value unary(graph::UnaryKind kind, mlir::Value x);
  mlir::Value binary(graph::BinaryKind kind, mlir::Value x, mlir::Value y);
  mlir::Value compare(graph::CompareKind kind, mlir::Value x, mlir::Value y);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y);
  mlir::Value cast(mlir::Value x, mlir::Type elementType, bool saturate = false);
  mlir::Value bitcast(mlir::Value x, mlir::Type elementType);
  // Shorthands.
  mlir::Value add(mlir::Value x, mlir::Value y) { return binary(graph::BinaryKind::add, x, y); }
  mlir::Value sub(mlir::Value x, mlir::Value y) { return binary(graph::BinaryKind::sub, x, y); }
  mlir::Value mul(mlir::Value x, mlir::Value y) { return binary(graph::BinaryKind::mul, x, y); }
  mlir::Value div(mlir::Value x, mlir::Value y) { return binary(graph::BinaryKind::div, x, y); }
  mlir::Value minimum(mlir::Value x, mlir::Value y) { return binary(graph::BinaryKind::min, x, y); }
  mlir::Value maximum(mlir::Value x, mlir::Value y) { return binary(graph::BinaryKind::max, x, y); }
  mlir::Value like(mlir::Value x, double value) { return scalar(elementType(x), value); }

  // Movement.
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<mlir::AffineExpr> shape);
  mlir::Value unsqueeze(mlir::Value x, llvm::ArrayRef<int64_t> axes); ///< axes of the result, any order
  mlir::Value squeeze(mlir::Value x, llvm::ArrayRef<int64_t> axes);
  mlir::Value transpose(mlir::Value x, llvm::ArrayRef<int64_t> perm);
  /// result[i] = x[starts + i * steps], `sizes` elements along each dimension.
  mlir::Value slice(mlir::Value x, llvm::ArrayRef<mlir::AffineExpr> starts, llvm::ArrayRef<int64_t> steps,
                    llvm::ArrayRef<mlir::AffineExpr> sizes);
  /// One dimension only: [start, start + size).
  mlir::Value sliceAxis(mlir::Value x, int64_t axis, mlir::AffineExpr start, mlir::AffineExpr size);
  mlir::Value concat(llvm::ArrayRef<mlir::Value> values, int64_t axis);
  mlir::Value pad(mlir::Value x, llvm::ArrayRef<mlir::AffineExpr> low, llvm::ArrayRef<mlir::AffineExpr> high,
                  graph::PadMode mode, mlir::Value value);
  mlir::Value gather(mlir::Value x, mlir::Value indices, int64_t axis);

  // Reductions and contractions.
  mlir::Value reduce(graph::ReduceKind kind, mlir::Value x, llvm::ArrayRef<int64_t> dims,
                     bool keepDims = false);
  /// sum / element count; of floats.
  mlir::Value mean(mlir::Value x, llvm::ArrayRef<int64_t> dims, bool keepDims = false);
  mlir::Value argReduce(mlir::Value x, int64_t axis, bool isMax, bool lastIndex, bool keepDims);
  mlir::Value scan(graph::ReduceKind kind, mlir::Value x, int64_t axis, bool exclusive, bool reverse);
  std::pair<mlir::Value, mlir::Value> sort(mlir::Value x, int64_t axis, bool descending,
                                           mlir::AffineExpr count);
  /// resultType null: floats as the operands, integers si32.
  mlir::Value contract(mlir::Value lhs, mlir::Value rhs, llvm::ArrayRef<int64_t> lhsBatch,
                       llvm::ArrayRef<int64_t> rhsBatch, llvm::ArrayRef<int64_t> lhsContract,
                       llvm::ArrayRef<int64_t> rhsContract, mlir::Type resultElement = {});
  /// NumPy matmul: batch broadcasting, vectors.
  mlir::Value matmul(mlir::Value lhs, mlir::Value rhs, mlir::Type resultElement = {});
  /// Output spatial size of one dimension of a window or convolution: floor((size + low + high -
  /// ((kernel-1)*dilation+1)) / stride) + 1, or ceil.
  mlir::AffineExpr windowSize(mlir::AffineExpr size, int64_t kernel, int64_t stride, int64_t dilation,
                              mlir::AffineExpr low, mlir::AffineExpr high, bool ceil = false);
  mlir::Value window(graph::WindowKind kind, mlir::Value x, llvm::ArrayRef<int64_t> kernel,
                     llvm::ArrayRef<int64_t> strides, llvm::ArrayRef<int64_t> dilations,
                     llvm::ArrayRef<mlir::AffineExpr> low, llvm::ArrayRef<mlir::AffineExpr> outSpatial);
  mlir::Value conv(mlir::Value x, mlir::Value w, llvm::ArrayRef<int64_t> strides,
                   llvm::ArrayRef<mlir::AffineExpr> low, llvm::ArrayRef<int64_t> lhsDilation,
                   llvm::ArrayRef<int64_t> rhsDilation, int64_t groups,
                   llvm::ArrayRef<mlir::AffineExpr> outSpatial, mlir::Type resultElement = {});

  static mlir::Type elementType(mlir::Value x) {
    return llvm::cast<mlir::RankedTensorType>(x.getType()).getElementType();
  }
  static int64_t rank(mlir::Value x) { return llvm::cast<mlir::RankedTensorType>(x.getType()).getRank(); }
  mlir::AffineExpr dim(int64_t value) { return constantDim(b.getContext(), value); }
  Dims dims(llvm::ArrayRef<int64_t> values);
};

/// What the elements of a small integer tensor (rank <= 1, at most 64 elements) are, as expressions over
/// symbols; from its defining ops: constants, graph.dims, integer arithmetic, casts, concat, slice, gather,
/// reshape, select. Nothing where it cannot be told.
std::optional<Dims> symbolicValue(mlir::Value value, SymbolTable &symbols);

} // namespace tilewright
