// Convolutions that multiply each pixel by one matrix.
#include "ir/GraphBuilder.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace tilewright::graph;
using llvm::ArrayRef;

namespace tilewright::passes {
namespace {

bool all(ArrayRef<int64_t> values, int64_t value) {
  return llvm::all_of(values, [=](int64_t v) { return v == value; });
}

/// 1 x 1, stride 1, no border, one group: a matrix product over pixels.
bool isPointwise(ConvOp op) {
  auto weights = llvm::cast<RankedTensorType>(op.getRhs().getType());
  if (!op.getChannelsLast() || op.getGroups() != 1 || !weights.hasStaticShape() ||
      weights.getNumElements() == 0 || !all(weights.getShape().drop_back(2), 1) || !all(op.getStrides(), 1) ||
      !all(op.getLhsDilation(), 1))
    return false;
  const Dims in = dimsOf(op.getLhs()), out = dimsOf(op.getResult());
  for (size_t d = 1; d + 1 < in.size(); ++d)
    if (constantOf(op.getLow().getResult(d - 1)) != 0 || !provablyEqual(in[d], out[d]))
      return false;
  return true;
}

void toProduct(ConvOp op) {
  OpBuilder b(op);
  const int64_t rank = llvm::cast<RankedTensorType>(op.getType()).getRank();
  auto matrix = tensorType(ArrayRef<AffineExpr>(dimsOf(op.getRhs())).take_back(2),
                           llvm::cast<RankedTensorType>(op.getRhs().getType()).getElementType());
  Value weights = ReshapeOp::create(b, op.getLoc(), matrix, op.getRhs());
  auto none = b.getDenseI64ArrayAttr({});
  auto contract = ContractOp::create(b, op.getLoc(), op.getType(), op.getLhs(), weights, none, none,
                                     b.getDenseI64ArrayAttr({rank - 1}), b.getDenseI64ArrayAttr({0}));
  op.getResult().replaceAllUsesWith(contract.getResult());
  op.erase();
}

} // namespace

void pointwiseToProducts(ModuleOp module) {
  llvm::SmallVector<ConvOp> found;
  module.walk([&](ConvOp op) {
    if (isPointwise(op))
      found.push_back(op);
  });
  llvm::for_each(found, toProduct);
}

} // namespace tilewright::passes
