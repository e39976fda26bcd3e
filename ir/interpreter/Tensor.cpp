/// Tensor.cpp - storage of tensors, and their ways in and out of attributes and ONNX packing.
#include "ir/interpreter/Tensor.h"
#include "ir/interpreter/Elements.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <cstdlib>

using namespace mlir;

namespace tilewright::interpreter {

int64_t elementCount(llvm::ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

Shape rowMajorStrides(llvm::ArrayRef<int64_t> shape) {
  Shape strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i])
    strides[i] = stride;
  return strides;
}

unsigned storedBytes(Type elementType) { return std::max(1u, elementType.getIntOrFloatBitWidth() / 8); }

int64_t packedBytes(Type elementType, int64_t count) {
  unsigned width = elementType.getIntOrFloatBitWidth();
  if (width == 4 || width == 2)
    return (count * width + 7) / 8;
  return count * storedBytes(elementType);
}

bool isFloat(Type elementType) { return isa<FloatType>(elementType); }
bool isUnsigned(Type elementType) { return elementType.isUnsignedInteger() || elementType.isInteger(1); }

Tensor::Tensor(Type elementType, llvm::ArrayRef<int64_t> shape) : elementType(elementType), shape(shape) {
  // calloc: large tensors get fresh zero pages, which are not touched twice.
  void *memory = std::calloc(std::max<size_t>(bytes(), 1), 1);
  owner = std::shared_ptr<const void>(memory, [](const void *p) { std::free(const_cast<void *>(p)); });
  storage = static_cast<const std::byte *>(memory);
}

Tensor::Tensor(Type elementType, llvm::ArrayRef<int64_t> shape, const std::byte *bytes,
               std::shared_ptr<const void> owner)
    : elementType(elementType), shape(shape), storage(bytes), owner(std::move(owner)) {
  static constexpr std::byte nothing{}; // null means "no memory", not "no elements"
  if (!storage && size() == 0)
    storage = &nothing;
}

Tensor Tensor::fromDoubles(Type elementType, llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<double> values) {
  Tensor result(elementType, shape);
  assert(int64_t(values.size()) == result.size());
  writeNumbers(elementType, values.data(), result.size(), result.mutableData());
  return result;
}

Tensor Tensor::fromInts(Type elementType, llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> values) {
  Tensor result(elementType, shape);
  assert(int64_t(values.size()) == result.size());
  for (auto [index, value] : llvm::enumerate(values))
    result.setInteger(int64_t(index), value);
  return result;
}

//===- Attributes ----------------------------------------------------------------===//

/// Bring sub-byte elements, of which only the low bits are certain, into the stored form.
static void normalise(Tensor &tensor) {
  unsigned width = tensor.elementType.getIntOrFloatBitWidth();
  if (width >= 8)
    return;
  std::byte *data = tensor.mutableData();
  for (int64_t i = 0, e = tensor.size(); i < e; ++i) {
    auto low = std::to_integer<unsigned>(data[i]) & ((1u << width) - 1);
    bool negative = tensor.elementType.isSignedInteger() && (low >> (width - 1));
    data[i] = std::byte(negative ? low | (0xFFu << width) : low);
  }
}

static Tensor fromRaw(Type elementType, llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<char> raw, bool splat) {
  Tensor result(elementType, shape);
  size_t step = storedBytes(elementType);
  if (result.bytes() == 0)
    return result;
  if (!splat)
    std::memcpy(result.mutableData(), raw.data(), result.bytes());
  else
    for (size_t at = 0; at < result.bytes(); at += step)
      std::memcpy(result.mutableData() + at, raw.data(), step);
  normalise(result);
  return result;
}

static Tensor fromBools(DenseElementsAttr attribute, Type elementType) {
  Tensor result(elementType, attribute.getType().getShape());
  for (auto [index, value] : llvm::enumerate(attribute.getValues<bool>()))
    result.setInteger(int64_t(index), value);
  return result;
}

llvm::Expected<Tensor> Tensor::fromAttribute(ElementsAttr attribute, Type elementType) {
  Type stored = attribute.getElementType();
  if (!elementType)
    elementType = stored;
  llvm::ArrayRef<int64_t> shape = attribute.getShapedType().getShape();
  if (!stored.isIntOrFloat() || stored.getIntOrFloatBitWidth() != elementType.getIntOrFloatBitWidth())
    return llvm::createStringError("the attribute's elements do not have the tensor's width");
  if (auto dense = dyn_cast<DenseElementsAttr>(attribute)) {
    if (stored.isInteger(1))
      return fromBools(dense, elementType);
    return fromRaw(elementType, shape, dense.getRawData(), dense.isSplat());
  }
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attribute))
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      if (blob->getData().size() == size_t(interpreter::elementCount(shape)) * storedBytes(elementType))
        return fromRaw(elementType, shape, blob->getData(), false);
  return llvm::createStringError("only dense attributes can be read");
}

DenseElementsAttr Tensor::toAttribute() const {
  Type signless = elementType;
  if (auto integer = dyn_cast<IntegerType>(elementType))
    signless = IntegerType::get(elementType.getContext(), integer.getWidth());
  auto type = RankedTensorType::get(shape, signless);
  if (signless.isInteger(1)) {
    llvm::SmallVector<bool> values(size());
    for (int64_t i = 0, e = size(); i < e; ++i)
      values[i] = integer(i) != 0;
    return DenseElementsAttr::get(type, values);
  }
  unsigned width = elementType.getIntOrFloatBitWidth();
  if (width >= 8)
    return DenseElementsAttr::getFromRawBuffer(type, {reinterpret_cast<const char *>(storage), bytes()});
  std::vector<char> low(size()); // attributes hold sub-byte elements zero-extended
  for (int64_t i = 0, e = size(); i < e; ++i)
    low[i] = char(std::to_integer<unsigned>(storage[i]) & ((1u << width) - 1));
  return DenseElementsAttr::getFromRawBuffer(type, low);
}

Tensor Tensor::fromPacked(Type elementType, llvm::ArrayRef<int64_t> shape, const std::byte *bytes,
                          std::shared_ptr<const void> owner) {
  unsigned width = elementType.getIntOrFloatBitWidth();
  if (width != 4 && width != 2)
    return Tensor(elementType, shape, bytes, std::move(owner));
  Tensor result(elementType, shape);
  int64_t perByte = 8 / width;
  for (int64_t i = 0, e = result.size(); i < e; ++i)
    result.mutableData()[i] = bytes[i / perByte] >> (width * unsigned(i % perByte));
  normalise(result);
  return result;
}

//===- Elements -------------------------------------------------------------------===//

double Tensor::number(int64_t index) const {
  double value;
  readNumbers(elementType, storage + index * storedBytes(elementType), 1, &value);
  return value;
}

int64_t Tensor::integer(int64_t index) const {
  if (isFloat(elementType))
    return truncateAndClamp(number(index),
                            IntegerType::get(elementType.getContext(), 64, IntegerType::Signed));
  int64_t value;
  readIntegers(elementType, storage + index * storedBytes(elementType), 1, &value);
  return value;
}

void Tensor::setNumber(int64_t index, double value) {
  writeNumbers(elementType, &value, 1, mutableData() + index * storedBytes(elementType));
}

void Tensor::setInteger(int64_t index, int64_t value) {
  if (isFloat(elementType))
    return setNumber(index, integerToDouble(value, false, !elementType.isF64()));
  writeIntegers(elementType, &value, 1, mutableData() + index * storedBytes(elementType));
}

llvm::SmallVector<double> Tensor::numbers() const {
  llvm::SmallVector<double> result(size());
  readNumbers(elementType, storage, size(), result.data());
  return result;
}

llvm::SmallVector<int64_t> Tensor::integers() const {
  llvm::SmallVector<int64_t> result(size());
  for (int64_t i = 0, e = size(); i < e; ++i)
    result[i] = integer(i);
  return result;
}

Tensor Tensor::reshaped(llvm::ArrayRef<int64_t> newShape) const {
  assert(interpreter::elementCount(newShape) == size());
  return Tensor(elementType, newShape, storage, owner);
}

Tensor Tensor::section(int64_t first, llvm::ArrayRef<int64_t> newShape) const {
  assert(first >= 0 && first + interpreter::elementCount(newShape) <= size());
  return Tensor(elementType, newShape, storage + first * storedBytes(elementType), owner);
}

Tensor Tensor::retyped(Type newElementType) const {
  assert(storedBytes(newElementType) == storedBytes(elementType));
  return Tensor(newElementType, shape, storage, owner);
}

std::string Tensor::describe() const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << elementType << '[';
  llvm::interleaveComma(shape, stream);
  stream << ']';
  return text;
}

bool identical(const Tensor &a, const Tensor &b) {
  if (a.elementType != b.elementType || a.shape != b.shape)
    return false;
  if (std::memcmp(a.data(), b.data(), a.bytes()) == 0)
    return true;
  unsigned step = storedBytes(a.elementType);
  for (int64_t i = 0, e = a.size(); i < e; ++i) {
    if (std::memcmp(a.data() + i * step, b.data() + i * step, step) == 0)
      continue;
    if (!isFloat(a.elementType) || !std::isnan(a.number(i)) || !std::isnan(b.number(i)))
      return false;
  }
  return true;
}

} // namespace tilewright::interpreter
