/// Tensor.h - the interpreter's values: dense row-major tensors with shared, immutable storage.
///
/// Elements are stored as in Tilewright's buffers: little-endian, bool and sub-byte types in one byte each
/// (si4 sign-extended, ui4 zero-extended, f4 in the low bits). Copying a Tensor shares its storage; several
/// threads may read one.
#pragma once
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/Error.h"
#include <cstddef>
#include <cstring>
#include <memory>

namespace tilewright::interpreter {

using Shape = llvm::SmallVector<int64_t, 6>;

/// Product of the dimensions; 1 for rank 0.
int64_t elementCount(llvm::ArrayRef<int64_t> shape);
/// Row-major strides, in elements.
Shape rowMajorStrides(llvm::ArrayRef<int64_t> shape);
/// Bytes of one element as stored here.
unsigned storedBytes(mlir::Type elementType);
/// Bytes of `count` elements in ONNX packing (4-bit types: two a byte, low half first; 2-bit types: four;
/// bool: a byte).
int64_t packedBytes(mlir::Type elementType, int64_t count);
bool isFloat(mlir::Type elementType);
/// True for ui8 ... ui64 and i1.
bool isUnsigned(mlir::Type elementType);

struct Tensor {
  mlir::Type elementType;
  Shape shape;

  Tensor() = default;
  /// Zeros. data() is null when there is no memory for them.
  Tensor(mlir::Type elementType, llvm::ArrayRef<int64_t> shape);
  /// A view of bytes that `owner` keeps alive; they must be elementCount(shape) * storedBytes(elementType)
  /// and never change.
  Tensor(mlir::Type elementType, llvm::ArrayRef<int64_t> shape, const std::byte *bytes,
         std::shared_ptr<const void> owner);
  /// Convenience for tests and tools: values are rounded or wrapped to the element type.
  static Tensor fromDoubles(mlir::Type elementType, llvm::ArrayRef<int64_t> shape,
                            llvm::ArrayRef<double> values);
  static Tensor fromInts(mlir::Type elementType, llvm::ArrayRef<int64_t> shape,
                         llvm::ArrayRef<int64_t> values);
  /// Of any element type and either signedness; splats are expanded. `elementType` says the type of the
  /// tensor (si32 for an attribute of i32); null: the attribute's.
  static llvm::Expected<Tensor> fromAttribute(mlir::ElementsAttr attribute, mlir::Type elementType = {});
  /// `bytes` in ONNX packing, unpacked (copied) where the type is below a byte, else viewed.
  static Tensor fromPacked(mlir::Type elementType, llvm::ArrayRef<int64_t> shape, const std::byte *bytes,
                           std::shared_ptr<const void> owner);

  int64_t size() const { return elementCount(shape); }
  int64_t rank() const { return static_cast<int64_t>(shape.size()); }
  size_t bytes() const { return static_cast<size_t>(size()) * storedBytes(elementType); }
  const std::byte *data() const { return storage; }
  /// To fill a tensor that was just made by Tensor(elementType, shape) and not yet copied.
  std::byte *mutableData() { return const_cast<std::byte *>(storage); }
  /// Element `index` as it is stored; T has its size. (Storage need not be aligned: weights lie anywhere in a
  /// file.)
  template <typename T> T read(int64_t index) const {
    T value;
    std::memcpy(&value, storage + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
    return value;
  }

  /// Element `index` in row-major order. Integers above 2^53 lose bits in `number`; `integer` is exact (ui64:
  /// its bit pattern; floats: truncated toward zero, clamped).
  double number(int64_t index) const;
  int64_t integer(int64_t index) const;
  /// Write to a tensor that was just made. Floats round to nearest even; integers wrap (truncating
  /// fractions).
  void setNumber(int64_t index, double value);
  void setInteger(int64_t index, int64_t value);
  llvm::SmallVector<double> numbers() const;
  llvm::SmallVector<int64_t> integers() const;

  /// The same storage under another shape of equal element count.
  Tensor reshaped(llvm::ArrayRef<int64_t> newShape) const;
  /// Elements [first, first + elementCount(newShape)), sharing storage.
  Tensor section(int64_t first, llvm::ArrayRef<int64_t> newShape) const;
  /// The same storage as another element type of equal storage.
  Tensor retyped(mlir::Type newElementType) const;
  /// As attribute of type tensor<shape x T>, T signless for integers.
  mlir::DenseElementsAttr toAttribute() const;
  /// "f32[2, 3]"
  std::string describe() const;

private:
  const std::byte *storage = nullptr;
  std::shared_ptr<const void> owner;
};

/// Equal types, shapes and bits (all NaNs of a type are equal).
bool identical(const Tensor &a, const Tensor &b);

} // namespace tilewright::interpreter
