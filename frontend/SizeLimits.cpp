/// SizeLimits.cpp - sizes that no memory has, and relations between sizes that cannot hold, node by node.
#include "frontend/GraphImporter.h"

using namespace mlir;

namespace tilewright::frontend {

bool bytesFit(Type type) {
  constexpr int64_t mostBytes = int64_t(1) << 47;
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return true;
  int64_t known = graph::byteWidth(tensor.getElementType());
  AffineExpr bytes = constantDim(type.getContext(), known);
  for (AffineExpr size : dimsOf(tensor)) {
    bytes = bytes * size;
    if (auto value = constantOf(size); value && llvm::MulOverflow(known, std::max<int64_t>(*value, 1), known))
      return false;
  }
  return known <= mostBytes && !isOversized(bytes);
}

std::string shapeText(Type type, const SymbolTable &symbols) {
  std::string text;
  for (AffineExpr size : dimsOf(type))
    text += (text.empty() ? "[" : ", ") + toText(size, symbols.names());
  constexpr size_t longest = 200;
  return (text.size() > longest ? text.substr(0, longest) + "..." : text) + "]";
}

bool GraphImporter::sizesFit(NodeImporter &n, Block &block, Operation *last) {
  for (Operation &op : llvm::make_range(last ? std::next(last->getIterator()) : block.begin(), block.end())) {
    Operation *unfit = nullptr;
    op.walk([&](Operation *inner) {
      bool fits = llvm::all_of(inner->getResultTypes(), bytesFit);
      for (NamedAttribute attribute : inner->getAttrs())
        if (auto map = dyn_cast<AffineMapAttr>(attribute.getValue()))
          fits = fits && llvm::none_of(map.getValue().getResults(), isOversized);
      unfit = fits ? nullptr : inner;
      return fits ? WalkResult::advance() : WalkResult::interrupt();
    });
    if (!unfit)
      continue;
    std::string shape = unfit->getNumResults() && isa<RankedTensorType>(unfit->getResult(0).getType())
                            ? shapeText(unfit->getResult(0).getType(), symbols)
                            : "";
    n.fail(
        "TW2008",
        "it needs a tensor that is larger than any memory, or sizes too long to write down: " + shape,
        "sizes must fit in 63 bits and follow from others in few thousand steps, and tensors of known size "
        "fit in 2^47 bytes");
    return false;
  }
  return true;
}

/// An op that can work for no sizes comes from a node that fits nothing.
void GraphImporter::refuseImpossible(NodeImporter &n, Block::iterator first, Block::iterator last) {
  auto refuse = [&](const Relation &relation) {
    if (!n.failed && decide(relation, &symbols) == Verdict::Disproved)
      n.fail("TW2005", disproof(relation, symbols.names()));
  };
  for (Operation &op : llvm::make_range(first, last)) {
    constraintsOf(&op, refuse);
    constraintsOfSizes(&op, refuse);
  }
}

} // namespace tilewright::frontend
