// Hash-consing of constant expressions.
#include "ir/ConstantRecipes.h"

using namespace mlir;

namespace tilewright {

ConstantRecipes::Key ConstantRecipes::keyOf(OpResult value) const {
  Operation *op = value.getOwner();
  Key key{op->getName().getAsOpaquePointer(), op->getAttrDictionary().getAsOpaquePointer(),
          reinterpret_cast<const void *>(uintptr_t(value.getResultNumber()))};
  for (Type type : op->getResultTypes())
    key.push_back(type.getAsOpaquePointer());
  for (Value operand : op->getOperands())
    key.push_back(known.lookup(operand).getAsOpaquePointer());
  return key;
}

Value ConstantRecipes::representative(Value value) {
  llvm::SmallVector<Value> pending{value};
  while (!pending.empty()) {
    Value next = pending.back();
    if (known.contains(next)) {
      pending.pop_back();
      continue;
    }
    auto result = llvm::cast<OpResult>(next);
    const size_t before = pending.size();
    for (Value operand : result.getOwner()->getOperands())
      if (!known.contains(operand))
        pending.push_back(operand);
    if (pending.size() > before)
      continue;
    known[next] = byKey.try_emplace(keyOf(result), next).first->second;
    pending.pop_back();
  }
  return known.lookup(value);
}

} // namespace tilewright
