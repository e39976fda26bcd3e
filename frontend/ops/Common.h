/// Common.h - checks and small compositions that several families share. Checks report a diagnostic and
/// return false.
#pragma once
#include "frontend/Importer.h"
#include "ir/Graph.h"

namespace tilewright::frontend {

bool isFloat(mlir::Type elementType);
inline bool isFloat(mlir::Value value) { return isFloat(GraphBuilder::elementType(value)); }
bool isBool(mlir::Type elementType);
inline bool isBool(mlir::Value value) { return isBool(GraphBuilder::elementType(value)); }
/// Integer of 8 bits or more, not bool.
bool isInteger(mlir::Type elementType);
inline bool isInteger(mlir::Value value) { return isInteger(GraphBuilder::elementType(value)); }
/// "float", "int64", "bool", ... as ONNX writes it.
std::string typeName(mlir::Type elementType);
/// "[N, 3, H+1]"
std::string shapeText(NodeImporter &n, mlir::Value value);
/// "give dimension 'N' one value (--dim N=...)", for the input dimensions in the expressions.
std::string fixDimensions(NodeImporter &n, llvm::ArrayRef<mlir::AffineExpr> exprs);
mlir::Type si64(NodeImporter &n);

/// The first `count` operands are there (TW1206). Every import function starts with this: operands may be
/// missing in bad models.
bool require(NodeImporter &n, size_t count);
/// low <= rank <= high (TW2004).
bool requireRank(NodeImporter &n, mlir::Value value, int64_t low, int64_t high,
                 llvm::StringRef what = "operand");
/// All of one element type (TW2003).
bool requireSameElements(NodeImporter &n, llvm::ArrayRef<mlir::Value> values);
/// TW2003 unless floating.
bool requireFloat(NodeImporter &n, mlir::Value value);
/// TW2003 unless bool.
bool requireBool(NodeImporter &n, mlir::Value value);
/// `value` is of this shape (TW2004, TW2005).
bool requireShape(NodeImporter &n, mlir::Value value, llvm::ArrayRef<mlir::AffineExpr> shape,
                  llvm::StringRef what);
/// The shapes broadcast NumPy-style (TW2002).
bool requireBroadcast(NodeImporter &n, llvm::ArrayRef<mlir::Value> values);
/// TW2003 unless si32 or si64; narrower integers are widened.
mlir::Value indices(NodeImporter &n, mlir::Value value);

/// axes made non-negative, sorted, unique (TW2001).
std::optional<llvm::SmallVector<int64_t>> normalizedAxes(NodeImporter &n, llvm::ArrayRef<int64_t> axes,
                                                         int64_t rank);
/// The integers of operand `index` if the node has it (they must be constants: TW2006), else those of
/// attribute `name`, else nothing.
std::optional<llvm::SmallVector<int64_t>> intsFrom(NodeImporter &n, size_t index, llvm::StringRef name);
/// The elements of an integer vector as sizes: known ones are checked to be >= 0, others are defined at run
/// time.
std::optional<Dims> shapeOperand(NodeImporter &n, mlir::Value value, llvm::StringRef what);
/// The same, of a vector that must have `count` elements.
std::optional<Dims> shapeOperand(NodeImporter &n, mlir::Value value, int64_t count, llvm::StringRef what);
/// The only element of a tensor, as rank 0; null, with a diagnostic, where there is another number of them.
mlir::Value singleElement(NodeImporter &n, mlir::Value value, llvm::StringRef what);
/// A vector, whose type then says that it has `count` elements; null, with a diagnostic, where it has not.
mlir::Value vectorOf(NodeImporter &n, mlir::Value vector, int64_t count, llvm::StringRef what);
/// `size` in `parts` equal parts, at least one: how large each is (TW1205 where it is known not to come out
/// even). What cannot be decided the program checks; `what` says of what the sizes are.
std::optional<mlir::AffineExpr> evenParts(NodeImporter &n, mlir::AffineExpr size, mlir::AffineExpr parts,
                                          const llvm::Twine &what);
std::optional<mlir::AffineExpr> evenParts(NodeImporter &n, mlir::AffineExpr size, int64_t parts,
                                          const llvm::Twine &what);
/// 0, 1, ..., count - 1
llvm::SmallVector<int64_t> upTo(int64_t count);
/// [begin, end) of a shape.
llvm::SmallVector<mlir::AffineExpr> piece(llvm::ArrayRef<mlir::AffineExpr> shape, size_t begin, size_t end);

} // namespace tilewright::frontend
