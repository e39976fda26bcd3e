//===- SingleLanes.cpp - around a fault of LLVM's instruction selection ---===//
#include "codegen/machine/SingleLanes.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"

namespace tilewright::codegen {

/// The lane of a constant mask that has exactly one.
static std::optional<unsigned> onlyLane(const llvm::Value *mask) {
  auto *lanes = llvm::dyn_cast<llvm::Constant>(mask);
  auto *type = llvm::dyn_cast<llvm::FixedVectorType>(mask->getType());
  std::optional<unsigned> only;
  for (unsigned i = 0; lanes && type && i < type->getNumElements(); ++i) {
    llvm::Constant *lane = lanes->getAggregateElement(i);
    if (!lane || lane->isNullValue())
      continue;
    if (only || !lane->isOneValue())
      return std::nullopt;
    only = i;
  }
  return only;
}

void storeSingleLanesPlainly(llvm::Module &module) {
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
      auto *call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
      if (!call || call->getIntrinsicID() != llvm::Intrinsic::masked_store)
        continue;
      auto lane = onlyLane(call->getArgOperand(call->arg_size() - 1));
      if (!lane)
        continue;
      llvm::IRBuilder<> builder(call);
      llvm::Value *element = builder.CreateExtractElement(call->getArgOperand(0), uint64_t(*lane));
      llvm::Value *address = call->getArgOperand(1);
      if (*lane)
        address = builder.CreateConstGEP1_64(element->getType(), address, *lane);
      builder.CreateAlignedStore(element, address, llvm::Align(1));
      call->eraseFromParent();
    }
}

} // namespace tilewright::codegen
