#include "codegen/schedule/NarrowLayout.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using llvm::StringRef;

namespace tilewright::codegen {

static constexpr llvm::StringLiteral attributeName = "kernel.narrow_weight";

void NarrowLayout::setOn(kernel::FuncOp kernel) const {
  const std::pair<StringRef, int64_t> fields[] = {{"bits", bits},  {"block", block},   {"columns", columns},
                                                  {"zero", zero},  {"panels", panels}, {"scales", scales},
                                                  {"zeros", zeros}};
  NamedAttrList list;
  for (auto [name, value] : fields)
    list.set(name, mlir::Builder(kernel.getContext()).getI64IntegerAttr(value));
  kernel->setAttr(attributeName, list.getDictionary(kernel.getContext()));
}

std::optional<NarrowLayout> NarrowLayout::of(kernel::FuncOp kernel) {
  auto list = kernel ? kernel->getAttrOfType<DictionaryAttr>(attributeName) : DictionaryAttr();
  if (!list)
    return std::nullopt;
  auto field = [&](StringRef name) { return list.getAs<IntegerAttr>(name).getInt(); };
  return NarrowLayout{field("bits"),   field("block"),  field("columns"), field("zero"),
                      field("panels"), field("scales"), field("zeros")};
}

} // namespace tilewright::codegen
