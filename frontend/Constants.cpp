/// Constants.cpp - ONNX tensors as graph.constant (small, in the IR) or graph.weight (large, left where it
/// lies).
#include "frontend/GraphImporter.h"
#include "frontend/reader/MappedFile.h"
#include "ir/Graph.h"
#include "ir/WeightFiles.h"
#include "ir/interpreter/Work.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/Path.h"

using namespace mlir;
namespace tilewright::frontend {

/// Constants of more bytes stay in their file.
constexpr uint64_t largestEmbedded = 1024;
/// Sparse tensors are made dense, in memory: a few bytes of the model may not become gigabytes.
constexpr uint64_t largestSparse = 128 << 20;

static Type floatType(MLIRContext *c, onnx::ElementType type) {
  using Element = onnx::ElementType;
  switch (type) {
  case Element::Float32:
    return Float32Type::get(c);
  case Element::Float64:
    return Float64Type::get(c);
  case Element::Float16:
    return Float16Type::get(c);
  case Element::BFloat16:
    return BFloat16Type::get(c);
  case Element::Float8E4M3FN:
    return Float8E4M3FNType::get(c);
  case Element::Float8E4M3FNUZ:
    return Float8E4M3FNUZType::get(c);
  case Element::Float8E5M2:
    return Float8E5M2Type::get(c);
  case Element::Float8E5M2FNUZ:
    return Float8E5M2FNUZType::get(c);
  case Element::Float8E8M0:
    return Float8E8M0FNUType::get(c);
  case Element::Float4E2M1:
    return Float4E2M1FNType::get(c);
  case Element::Float6E2M3:
    return Float6E2M3FNType::get(c);
  case Element::Float6E3M2:
    return Float6E3M2FNType::get(c);
  default:
    return {};
  }
}

Type GraphImporter::elementType(onnx::ElementType type) const {
  using Element = onnx::ElementType;
  static constexpr Element signedTypes[] = {Element::Int2,  Element::Int4,  Element::Int8,
                                            Element::Int16, Element::Int32, Element::Int64};
  static constexpr Element unsignedTypes[] = {Element::UInt2,  Element::UInt4,  Element::UInt8,
                                              Element::UInt16, Element::UInt32, Element::UInt64};
  if (type == Element::Bool)
    return IntegerType::get(&context, 1);
  if (llvm::is_contained(signedTypes, type))
    return IntegerType::get(&context, onnx::elementBits(type), IntegerType::Signed);
  if (llvm::is_contained(unsignedTypes, type))
    return IntegerType::get(&context, onnx::elementBits(type), IntegerType::Unsigned);
  return floatType(&context, type);
}

static Type storageType(Type type) {
  auto integer = dyn_cast<IntegerType>(type);
  return integer ? IntegerType::get(type.getContext(), integer.getWidth()) : type;
}

/// ONNX packs elements of less than 8 bits from the least significant bit on; attributes give each a byte.
static std::vector<char> unpack(ArrayRef<char> packed, unsigned bits, uint64_t count) {
  std::vector<char> bytes(count);
  for (uint64_t index = 0; index < count; ++index) {
    uint64_t bit = index * bits;
    unsigned value = static_cast<unsigned char>(packed[bit / 8]) >> (bit % 8);
    if (bit % 8 + bits > 8)
      value |= static_cast<unsigned char>(packed[bit / 8 + 1]) << (8 - bit % 8);
    bytes[index] = static_cast<char>(value & ((1u << bits) - 1));
  }
  return bytes;
}

static DenseElementsAttr denseAttribute(RankedTensorType type, unsigned bits, ArrayRef<char> bytes) {
  uint64_t count = type.getNumElements();
  RankedTensorType storage = type.clone(storageType(type.getElementType()));
  if (type.getElementType().isInteger(1)) {
    SmallVector<bool> values(llvm::map_range(bytes, [](char byte) { return byte != 0; }));
    return DenseElementsAttr::get(storage, values);
  }
  if (bits >= 8)
    return DenseElementsAttr::getFromRawBuffer(storage, bytes);
  std::vector<char> unpacked = unpack(bytes, bits, count);
  if (isa<IntegerType>(type.getElementType())) {
    SmallVector<APInt> values;
    for (char byte : unpacked)
      values.emplace_back(bits, static_cast<unsigned char>(byte));
    return DenseElementsAttr::get(storage, values);
  }
  const llvm::fltSemantics &semantics = cast<FloatType>(type.getElementType()).getFloatSemantics();
  SmallVector<APFloat> values;
  for (char byte : unpacked)
    values.emplace_back(semantics, APInt(bits, static_cast<unsigned char>(byte)));
  return DenseElementsAttr::get(storage, values);
}

Value GraphImporter::embedded(RankedTensorType type, onnx::ElementType elementType, ArrayRef<char> bytes,
                              Location location) {
  return graph::ConstantOp::create(builder, location, type,
                                   denseAttribute(type, onnx::elementBits(elementType), bytes));
}

/// From now on the file's bytes are the ones that the reader has mapped and checked.
static void provideWeights(MLIRContext *context, StringRef path,
                           onnx::Result<std::shared_ptr<const onnx::MappedFile>> file) {
  if (!file)
    return; // said already, when the tensor was looked at
  auto bytes = (*file)->bytes();
  graph::WeightFiles::of(context).provide(
      path, {llvm::ArrayRef(reinterpret_cast<const char *>(bytes.data()), bytes.size()), *file});
}

Value GraphImporter::weight(const onnx::Tensor &tensor, RankedTensorType type, Location location) {
  llvm::SmallString<256> path(modelFile);
  uint64_t offset = tensor.externalOffset;
  if (tensor.storage == onnx::Tensor::Storage::External) {
    path = modelFolder;
    llvm::sys::path::append(path, StringRef(tensor.location));
    provideWeights(&context, path, tensor.files->map(tensor.location));
  } else {
    provideWeights(&context, path, model.file);
    offset = tensor.bytes.data() - reinterpret_cast<const std::byte *>(model.file->bytes().data());
  }
  Value value = graph::WeightOp::create(builder, location, type, builder.getStringAttr(path),
                                        builder.getI64IntegerAttr(offset),
                                        builder.getI64IntegerAttr(tensor.byteSize()));
  weights[value] = tensor;
  return value;
}

Value GraphImporter::constant(const onnx::Tensor &tensor, Location location, std::string_view node,
                              std::string_view op) {
  std::string name(tensor.name);
  Type element = elementType(tensor.elementType);
  if (!element) {
    report({Diagnostic::Unsupported, "TW1202",
            ("the constant '" + llvm::Twine(name) + "' has elements of type " +
             StringRef(onnx::elementTypeName(tensor.elementType)) + ", which is not supported")
                .str(),
            "", std::string(node), std::string(op), name});
    return {};
  }
  auto type = RankedTensorType::get(tensor.dims, element);
  bool inFile = tensor.storage == onnx::Tensor::Storage::External ||
                (tensor.storage == onnx::Tensor::Storage::Raw && !modelFile.empty());
  if (tensor.byteSize() > largestEmbedded && inFile &&
      (tensor.storage == onnx::Tensor::Storage::Raw || !modelFolder.empty())) {
    if (auto view = tensor.view())
      return weight(tensor, type, location);
    else
      report(diagnosticOf(view.error()));
    return {};
  }
  auto bytes = tensor.read();
  if (!bytes) {
    report(diagnosticOf(bytes.error()));
    return {};
  }
  return embedded(type, tensor.elementType, {reinterpret_cast<const char *>(bytes->data()), bytes->size()},
                  location);
}

Value GraphImporter::sparse(const onnx::SparseTensor &tensor, Location location) {
  std::string name(tensor.values.name);
  Type element = elementType(tensor.values.elementType);
  if (!element) {
    report({Diagnostic::Unsupported, "TW1202",
            "the sparse tensor '" + name + "' has elements of a type that is not supported", "", "", "",
            name});
    return {};
  }
  auto bytes = tensor.read(largestSparse);
  if (bytes)
    return embedded(RankedTensorType::get(tensor.dims, element), tensor.values.elementType,
                    {reinterpret_cast<const char *>(bytes->data()), bytes->size()}, location);
  report(diagnosticOf(bytes.error()));
  return {};
}

/// Whether the value follows from few ops on constants, so that evaluating it here costs little.
static bool isSmallRecipe(Value value) {
  constexpr size_t mostOps = 128;
  constexpr int64_t mostElements = 1 << 16;
  constexpr double mostWork = 1 << 22;
  double work = 0;
  llvm::SmallDenseSet<Operation *> seen;
  SmallVector<Value> pending{value};
  while (!pending.empty()) {
    Value next = pending.pop_back_val();
    Operation *op = next.getDefiningOp();
    auto type = cast<RankedTensorType>(next.getType());
    if (!op || op->getNumRegions() || !isMemoryEffectFree(op) || !type.hasStaticShape() ||
        type.getNumElements() > mostElements || isa<graph::DimsOp>(op))
      return false;
    if (seen.insert(op).second) {
      llvm::append_range(pending, op->getOperands());
      work += interpreter::workOf(op);
    }
    if (seen.size() > mostOps || work > mostWork)
      return false;
  }
  return true;
}

std::optional<interpreter::Tensor> GraphImporter::evaluate(Value value) {
  if (!isSmallRecipe(value))
    return std::nullopt;
  llvm::Expected<interpreter::Tensor> tensor = evaluator.evaluate(value);
  evaluator.clear(); // values may be erased before the next question
  if (tensor)
    return *tensor;
  llvm::consumeError(tensor.takeError()); // fails again, with its place, when the program runs
  return std::nullopt;
}

void GraphImporter::requireComputable(NodeImporter &n) {
  StringRef op = n.node.opType;
  if (!op.starts_with("Gather") && !op.starts_with("Scatter"))
    return;
  for (Value value : n.results) {
    if (!value || n.failed || !isa<RankedTensorType>(value.getType()) || !isSmallRecipe(value))
      continue;
    llvm::Expected<interpreter::Tensor> tensor = evaluator.evaluate(value);
    evaluator.clear();
    if (tensor)
      continue;
    std::string message;
    llvm::handleAllErrors(
        tensor.takeError(),
        [&](const interpreter::Failure &failure) {
          if (failure.kind == interpreter::Failure::Index)
            message = failure.message;
        },
        [](const llvm::ErrorInfoBase &) {});
    if (!message.empty())
      n.fail("TW2005", message);
  }
}

const onnx::Tensor *GraphImporter::tensorOf(Value value) const {
  auto found = weights.find(value);
  return found == weights.end() ? nullptr : &found->second;
}

} // namespace tilewright::frontend
