/// Fused.cpp - operators of the domain com.microsoft that exported and optimised models use: products,
/// activations, normalisations. Attention: FusedAttention.cpp. Quantised: FusedQuantized.cpp, which
/// Quantization.cpp's arithmetic serves.
#include "frontend/ops/AttentionCore.h"

using namespace mlir;
namespace tilewright::frontend {
using graph::BinaryKind;
using graph::CompareKind;
using graph::ReduceKind;
using graph::UnaryKind;

llvm::ArrayRef<OpEntry> fusedAttentionOps(); // FusedAttention.cpp
llvm::ArrayRef<OpEntry> fusedQuantizedOps(); // FusedQuantized.cpp
Value convolution(NodeImporter &n);          // Convolution.cpp
Value gemm(NodeImporter &n);                 // Contraction.cpp

//===- Products -------------------------------------------------------------------------===//

/// The last two dimensions exchanged, or the first and the last batch dimension moved as the attribute says.
static Value orientedMatrix(NodeImporter &n, Value x, bool transpose, bool transposeBatch) {
  int64_t rank = GraphBuilder::rank(x);
  SmallVector<int64_t> perm = upTo(rank);
  if (rank < 2)
    return x;
  if (transposeBatch) { // the rows lead: [M, batch..., K] stands for [batch..., M, K]
    perm.erase(perm.begin());
    perm.insert(perm.end() - 1, 0);
  }
  if (transpose)
    std::swap(perm[rank - 1], perm[rank - 2]);
  return n.transpose(x, perm);
}

static void importFusedMatMul(NodeImporter &n) {
  if (!require(n, 2) || !requireSameElements(n, {n.operand(0), n.operand(1)}))
    return;
  Value a = orientedMatrix(n, n.operand(0), n.intAttr("transA", 0) != 0, n.intAttr("transBatchA", 0) != 0);
  Value b = orientedMatrix(n, n.operand(1), n.intAttr("transB", 0) != 0, n.intAttr("transBatchB", 0) != 0);
  Value product = checkedMatmul(n, a, b);
  float alpha = n.floatAttr("alpha", 1);
  if (product)
    n.result(0, alpha == 1 ? product : n.mul(product, n.like(product, alpha)));
}

/// The parameters of a fused node's activation: FusedConv has a list, FusedGemm an attribute for each.
static SmallVector<float> activationParameters(NodeImporter &n) {
  SmallVector<float> parameters = n.floatsAttr("activation_params").value_or(SmallVector<float>());
  for (llvm::StringRef name : {"activation_alpha", "activation_beta", "activation_gamma"})
    if (n.attr(name))
      parameters.push_back(n.floatAttr(name, 0));
  return parameters;
}

/// The activation that a fused node names, with its parameters.
static Value namedActivation(NodeImporter &n, Value x) {
  std::string name = n.stringAttr("activation", "");
  SmallVector<float> parameters = activationParameters(n);
  auto parameter = [&](size_t index, float fallback) {
    return n.like(x, index < parameters.size() ? parameters[index] : fallback);
  };
  if (name.empty())
    return x;
  if (name == "Relu")
    return n.maximum(x, n.like(x, 0));
  if (name == "Tanh")
    return n.unary(UnaryKind::tanh, x);
  if (name == "Sigmoid")
    return n.unary(UnaryKind::sigmoid, x);
  if (name == "LeakyRelu")
    return n.select(n.compare(CompareKind::ge, x, n.like(x, 0)), x, n.mul(x, parameter(0, 0.01f)));
  if (name == "Clip")
    return n.minimum(n.maximum(x, parameter(0, std::numeric_limits<float>::lowest())),
                     parameter(1, std::numeric_limits<float>::max()));
  if (name == "HardSigmoid") {
    Value line = n.add(n.mul(x, parameter(0, 0.2f)), parameter(1, 0.5f));
    return n.minimum(n.maximum(line, n.like(x, 0)), n.like(x, 1));
  }
  n.unsupported("TW1203", "the fused activation '" + name + "' is not supported");
  return {};
}

static void importFusedConv(NodeImporter &n) {
  Value y = convolution(n);
  if (y && n.has(3)) {
    if (!requireSameElements(n, {y, n.operand(3)}) || !requireShape(n, n.operand(3), dimsOf(y), "Z"))
      return;
    y = n.add(y, n.operand(3));
  }
  n.result(0, y ? namedActivation(n, y) : Value());
}

static void importFusedGemm(NodeImporter &n) {
  if (Value y = gemm(n))
    n.result(0, namedActivation(n, y));
}

/// Unsigned integers of `bits` bits packed into bytes from the lowest bit on, along the last dimension: as
/// ONNX packs tensors of such integers, so a stored one is read as that.
static Value unpacked(NodeImporter &n, Value bytes, ArrayRef<int64_t> shape, int64_t bits) {
  SmallVector<int64_t> wide(shape);
  wide.back() = shape.back() * 8 / bits;
  if (bits == 8)
    return n.reshape(bytes, n.dims(wide));
  if (auto stored = bytes.getDefiningOp<graph::WeightOp>()) {
    auto type = RankedTensorType::get(
        wide, IntegerType::get(n.b.getContext(), unsigned(bits), IntegerType::Unsigned));
    return graph::WeightOp::create(n.b, n.loc, type, stored.getFileAttr(), stored.getOffsetAttr(),
                                   stored.getLengthAttr());
  }
  bytes = n.reshape(bytes, n.dims(shape));
  int64_t rank = GraphBuilder::rank(bytes), count = 8 / bits;
  Type element = GraphBuilder::elementType(bytes);
  SmallVector<Value> parts;
  for (int64_t i = 0; i < count; ++i) {
    Value shifted = i ? n.binary(BinaryKind::shr, bytes, n.scalarInt(element, i * bits)) : bytes;
    parts.push_back(
        n.unsqueeze(n.binary(BinaryKind::iand, shifted, n.scalarInt(element, (1 << bits) - 1)), {rank}));
  }
  return n.reshape(n.concat(parts, rank), n.dims(wide));
}

namespace {
/// The weight of MatMulNBits: `columns` rows of `blocks` blocks.
struct BlockedWeight {
  NodeImporter &n;
  int64_t depth, columns, bits, blockSize;

  int64_t blocks() const { return (depth + blockSize - 1) / blockSize; }
  Value zeroPoints(Type element) const;
  Value build(Type element) const;
};
} // namespace

Value BlockedWeight::zeroPoints(Type element) const {
  if (!n.has(3))
    return n.scalar(element, 1 << (bits - 1));
  Value points = n.operand(3);
  if (isInteger(points)) {
    int64_t bytes = (blocks() * bits + 7) / 8;
    points = n.sliceAxis(unpacked(n, points, {columns, bytes}, bits), 1, n.dim(0), n.dim(blocks()));
  }
  return n.cast(n.reshape(points, n.dims({columns, blocks(), 1})), element);
}

/// [columns, depth] in floating point.
Value BlockedWeight::build(Type element) const {
  Value integers = unpacked(n, n.operand(1), {columns, blocks(), blockSize * bits / 8}, bits);
  Value values = n.sub(n.cast(integers, element), zeroPoints(element));
  Value scales = n.cast(n.reshape(n.operand(2), n.dims({columns, blocks(), 1})), element);
  Value rows = n.reshape(n.mul(values, scales), n.dims({columns, blocks() * blockSize}));
  return n.sliceAxis(rows, 1, n.dim(0), n.dim(depth));
}

static void importMatMulNBits(NodeImporter &n) {
  if (!require(n, 3) || !requireFloat(n, n.operand(0)) || !requireRank(n, n.operand(0), 1, INT64_MAX))
    return;
  BlockedWeight w{n, n.intAttr("K", 0), n.intAttr("N", 0), n.intAttr("bits", 4), n.intAttr("block_size", 0)};
  if (w.depth < 1 || w.columns < 1 || w.blockSize < 8 || (w.bits != 2 && w.bits != 4 && w.bits != 8))
    return n.fail("TW1205", "K, N and block_size must be positive, bits 2, 4 or 8");
  if (n.has(4))
    return n.unsupported("TW1203", "a group index (g_idx) is not supported");
  Value x = n.operand(0);
  int64_t last = GraphBuilder::rank(x) - 1;
  int64_t bytes = w.columns * w.blocks() * (w.blockSize * w.bits / 8);
  if (!n.requireEqual(dimsOf(x)[last], n.dim(w.depth), "the input and K") ||
      !n.requireEqual(elementCount(n.operand(1).getType()), n.dim(bytes), "the packed weight's bytes") ||
      !n.requireEqual(elementCount(n.operand(2).getType()), n.dim(w.columns * w.blocks()), "the scales"))
    return;
  Value product = n.contract(withSize(n, x, last, n.dim(w.depth)), w.build(GraphBuilder::elementType(x)), {},
                             {}, {last}, {1});
  if (n.has(5))
    product = requireSameElements(n, {product, n.operand(5)}) &&
                      requireShape(n, n.operand(5), dimsOf(product).back(), "the bias")
                  ? n.add(product, n.operand(5))
                  : Value();
  n.result(0, product);
}

//===- Activations ----------------------------------------------------------------------===//

/// The first operand plus an optional second one.
static Value biased(NodeImporter &n) {
  if (!require(n, 1) || !requireFloat(n, n.operand(0)))
    return {};
  Value x = n.operand(0);
  if (!n.has(1))
    return x;
  if (!requireSameElements(n, {x, n.operand(1)}) ||
      !requireShape(n, n.operand(1), dimsOf(x).back(), "the bias"))
    return {};
  return n.add(x, n.operand(1));
}

static void importGelu(NodeImporter &n) {
  if (Value x = biased(n))
    n.result(0, geluErf(n, x));
}

static void importFastGelu(NodeImporter &n) {
  if (Value x = biased(n))
    n.result(0, geluTanh(n, x));
}

static void importQuickGelu(NodeImporter &n) {
  if (require(n, 1) && requireFloat(n, n.operand(0)))
    n.result(0, sigmoidLinear(n, n.operand(0), n.floatAttr("alpha", 1.702f)));
}

//===- Normalisation --------------------------------------------------------------------===//

/// Statistics of the last dimension and the normalised value, scaled and shifted. beta may be null.
static Value normalizedRows(NodeImporter &n, Value x, Value gamma, Value beta, float epsilon, bool centered) {
  Type element = GraphBuilder::elementType(x);
  Value wide = n.cast(x, accumulationType(element));
  int64_t last = GraphBuilder::rank(x) - 1;
  Value numerator = wide, spread;
  if (centered) {
    Moments m = moments(n, wide, {last});
    numerator = m.centered, spread = m.variance;
  } else {
    spread = n.mean(n.mul(wide, wide), {last}, /*keepDims=*/true);
  }
  Value y = n.div(numerator, n.unary(UnaryKind::sqrt, n.add(spread, n.like(spread, epsilon))));
  y = n.mul(n.cast(y, element), gamma);
  return beta ? n.add(y, beta) : y;
}

/// Operand `index`, checked to be a vector of x's last dimension; null when absent or wrong.
static Value rowVector(NodeImporter &n, Value x, size_t index) {
  if (!n.has(index))
    return {};
  Value vector = n.operand(index);
  bool fits = requireRank(n, vector, 1, 1, "operand " + std::to_string(index)) &&
              requireSameElements(n, {x, vector}) &&
              n.requireEqual(dimsOf(vector)[0], dimsOf(x).back(),
                             "the last dimension and operand " + llvm::Twine(index));
  return fits ? withSize(n, vector, 0, dimsOf(x).back()) : Value();
}

/// What skips is of the input's shape, but may be one for all batches.
static bool requireSkip(NodeImporter &n, Value x, Value skip) {
  if (!requireSameElements(n, {x, skip}) || !requireRank(n, skip, 2, GraphBuilder::rank(x), "the skip"))
    return false;
  Dims have = dimsOf(skip), want = dimsOf(x);
  bool batches = have.size() < 3 || n.requireRepeatable(have[0], want[0], "the batches of the skip");
  return batches && n.requireEqual(have.rbegin()[1], want.rbegin()[1], "the lengths of input and skip") &&
         n.requireEqual(have.back(), want.back(), "the hidden sizes of input and skip");
}

static void skipNormalization(NodeImporter &n, bool centered) {
  if (!require(n, 3) || !requireFloat(n, n.operand(0)) || !requireRank(n, n.operand(0), 2, 3) ||
      !requireSkip(n, n.operand(0), n.operand(1)))
    return;
  Value sum = n.add(n.operand(0), n.operand(1));
  size_t biasIndex = centered ? 4 : 3;
  Value bias = rowVector(n, sum, biasIndex), gamma = rowVector(n, sum, 2),
        beta = centered ? rowVector(n, sum, 3) : Value();
  if (n.hasFailed())
    return;
  if (bias)
    sum = n.add(sum, bias);
  if (n.wants(1) || n.wants(2))
    return n.unsupported("TW1203", "saved statistics are not supported", "export the model for inference");
  n.result(0,
           normalizedRows(n, sum, gamma, beta, n.floatAttr("epsilon", centered ? 1e-12f : 1e-5f), centered));
  n.result(3, sum);
}

static void importSkipLayerNormalization(NodeImporter &n) { skipNormalization(n, true); }
static void importSkipSimplifiedLayerNormalization(NodeImporter &n) { skipNormalization(n, false); }

/// Rows of the tables at words, positions and segments, summed: [B, S, size]. Null when something does not
/// fit.
static Value embeddingSum(NodeImporter &n, Value ids) {
  Dims shape = dimsOf(ids);
  Value positions =
      n.has(8) ? indices(n, n.operand(8)) : n.unsqueeze(n.iota({shape[1]}, signedType(n, 64), 0), {0});
  Value segments = n.has(1) && n.has(4) ? indices(n, n.operand(1)) : Value(), sum;
  for (auto [table, rows] : {std::pair(2, ids), std::pair(3, positions), std::pair(4, segments)}) {
    if (n.hasFailed())
      return {};
    if (!rows)
      continue;
    Value weights = n.operand(table);
    if (!requireRank(n, weights, 2, 2, "an embedding table") ||
        !requireFitsInto(n, rows, shape, "the rows to take"))
      return {};
    if (sum && (!requireSameElements(n, {sum, weights}) ||
                !n.requireEqual(dimsOf(weights)[1], dimsOf(sum)[2], "the embeddings' sizes")))
      return {};
    Value taken = n.gather(weights, rows, 0);
    sum = sum ? n.add(sum, taken) : taken;
  }
  return sum;
}

/// Embeddings summed and normalised; the mask's sums are the sequences' lengths.
static void importEmbedLayerNormalization(NodeImporter &n) {
  for (size_t index : {0, 2, 3, 5, 6})
    if (!n.has(index))
      return n.fail("TW1206", "operand " + llvm::Twine(index) + " is missing");
  Value ids = indices(n, n.operand(0));
  if (!ids || !requireRank(n, ids, 2, 2, "the ids"))
    return;
  Value sum = embeddingSum(n, ids);
  if (!sum || !requireFloat(n, sum))
    return;
  Value gamma = rowVector(n, sum, 5), beta = rowVector(n, sum, 6);
  if (n.hasFailed() || (n.has(7) && !requireRank(n, n.operand(7), 2, 2, "the mask")))
    return;
  n.result(0, normalizedRows(n, sum, gamma, beta, n.floatAttr("epsilon", 1e-12f), /*centered=*/true));
  Type narrow = signedType(n, 32);
  n.result(1, n.has(7) ? n.reduce(ReduceKind::sum, n.cast(n.operand(7), narrow), {1})
                       : filled(n, {dimsOf(ids)[0]}, narrow, 0));
  n.result(2, sum);
}

static std::vector<OpEntry> allRows() {
  static const StringRef domain = "com.microsoft";
  std::vector<OpEntry> rows = {
      {"FusedMatMul", importFusedMatMul, domain},
      {"FusedConv", importFusedConv, domain},
      {"FusedGemm", importFusedGemm, domain},
      {"MatMulNBits", importMatMulNBits, domain},
      {"Gelu", importGelu, domain},
      {"BiasGelu", importGelu, domain},
      {"FastGelu", importFastGelu, domain},
      {"QuickGelu", importQuickGelu, domain},
      {"SkipLayerNormalization", importSkipLayerNormalization, domain},
      {"SkipSimplifiedLayerNormalization", importSkipSimplifiedLayerNormalization, domain},
      {"EmbedLayerNormalization", importEmbedLayerNormalization, domain},
  };
  for (auto more : {fusedAttentionOps(), fusedQuantizedOps()})
    rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

llvm::ArrayRef<OpEntry> fusedOps() {
  static const std::vector<OpEntry> rows = allRows();
  return rows;
}

} // namespace tilewright::frontend
