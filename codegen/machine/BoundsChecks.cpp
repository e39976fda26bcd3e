//===- BoundsChecks.cpp - no access of generated code goes unchecked ------===//
#include "codegen/machine/BoundsChecks.h"

#include "codegen/target/Error.h"
#include "codegen/target/Target.h"

#include "tilewright/artifact.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/MDBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace llvm;

namespace tilewright::codegen {
namespace {

/// What a pointer may reach: `bytes` bytes from `begin` (both i64).
struct Region {
  Value *begin = nullptr, *bytes = nullptr;
  /// The runtime's own structures: reached at constant offsets, which the compiler wrote.
  bool lent = false;
};

/// What an instruction does to memory at one pointer.
struct Access {
  Instruction *instruction = nullptr;
  Value *pointer = nullptr;
  bool writes = false;
  Type *element = nullptr; ///< what is read or written; of masked accesses, in each lane
  Value *mask = nullptr;   ///< null: all of it
  Value *count = nullptr;  ///< bytes, of copies
};

bool isEntryPoint(StringRef name) {
  return StringSwitch<bool>(name)
      .Cases({"tilewright_program", "tilewright_derive", "tilewright_sizes", "tilewright_output_dims"}, true)
      .Default(false);
}

Error refusal(const Instruction &instruction, StringRef why) {
  std::string text;
  raw_string_ostream(text) << "in " << instruction.getFunction()->getName() << ", " << why << ":"
                           << instruction;
  return makeError(9203, Fault::Internal, "an access cannot be checked: " + text,
                   "This is a bug in Tilewright; please report it");
}

//===- Functions --------------------------------------------------------------------------===//

/// Two parameters more for each pointer: the region it may reach.
FunctionType *extended(FunctionType *type) {
  SmallVector<Type *> parameters(type->params());
  for (Type *parameter : type->params())
    if (parameter->isPointerTy())
      parameters.append(2, Type::getInt64Ty(type->getContext()));
  return FunctionType::get(type->getReturnType(), parameters, false);
}

/// The function with regions for its pointers; calls still have to be given them.
Function *extend(Function &function) {
  Function *result =
      Function::Create(extended(function.getFunctionType()), function.getLinkage(), "", function.getParent());
  result->copyAttributesFrom(&function);
  result->takeName(&function);
  result->splice(result->begin(), &function);
  for (Argument &argument : function.args())
    argument.replaceAllUsesWith(result->getArg(argument.getArgNo()));
  return result;
}

/// All accesses of one function.
class FunctionChecks {
public:
  FunctionChecks(Function &function, const DenseMap<Function *, Function *> &extensions)
      : function(function), extensions(extensions), layout(function.getDataLayout()),
        i64(Type::getInt64Ty(function.getContext())) {}

  Error run() {
    if (Error error = collect())
      return error;
    for (const Access &access : accesses)
      if (Error error = insert(access))
        return error;
    for (CallInst *call : calls)
      if (Error error = passRegions(*call))
        return error;
    for (CallInst *call : bounded) {
      call->replaceAllUsesWith(call->getArgOperand(0));
      call->eraseFromParent();
    }
    return Error::success();
  }

private:
  Error collect();
  Error collectIntrinsic(IntrinsicInst &intrinsic);
  Expected<Region> regionOf(Value *pointer, Instruction &user);
  Expected<Region> makeRegion(Value *pointer, Instruction &user);
  Expected<Region> mergedRegion(PHINode &phi);
  Region parameterRegion(Argument &argument);
  Region lentRegion() const { return {ConstantInt::get(i64, 0), ConstantInt::get(i64, INT64_MAX), true}; }
  Error insert(const Access &access);
  Error insertUnless(Value *bad, Value *offset, const Region &region, const Access &access);
  std::pair<Value *, Value *> judge(IRBuilder<> &b, const Access &access, const Region &region);
  std::pair<Value *, Value *> judgeLanes(IRBuilder<> &b, const Access &access, const Region &region);
  void reportFailure(IRBuilder<> &b, Value *offset, Value *bytes, bool writes);
  Error passRegions(CallInst &call);
  Value *frame() const { return function.getArg(isKernel() ? own() - 2 : 0); }
  bool isKernel() const { return function.getName().starts_with("kernel_"); }
  /// Parameters before those for regions.
  unsigned own() const {
    unsigned all = function.arg_size(), count = 0;
    for (unsigned used = 0; used < all; ++count)
      used += function.getArg(count)->getType()->isPointerTy() ? 3 : 1;
    return isEntryPoint(function.getName()) ? all : count;
  }

  Function &function;
  const DenseMap<Function *, Function *> &extensions;
  const DataLayout &layout;
  Type *i64;
  SmallVector<Access, 0> accesses;
  SmallVector<CallInst *> calls, bounded;
  DenseMap<Value *, Region> regions;
};

Error FunctionChecks::collect() {
  for (Instruction &instruction : instructions(function)) {
    if (auto *load = dyn_cast<LoadInst>(&instruction)) {
      accesses.push_back({load, load->getPointerOperand(), false, load->getType(), nullptr, nullptr});
    } else if (auto *store = dyn_cast<StoreInst>(&instruction)) {
      Type *type = store->getValueOperand()->getType();
      accesses.push_back({store, store->getPointerOperand(), true, type, nullptr, nullptr});
    } else if (auto *intrinsic = dyn_cast<IntrinsicInst>(&instruction)) {
      if (Error error = collectIntrinsic(*intrinsic))
        return error;
    } else if (auto *call = dyn_cast<CallInst>(&instruction)) {
      Function *callee = call->getCalledFunction();
      if (callee && callee->getName() == boundedFunction)
        bounded.push_back(call);
      else if (callee)
        calls.push_back(call);
      // The rest are functions that the runtime lends: what they do is theirs.
    } else if (instruction.mayReadOrWriteMemory()) {
      return refusal(instruction, "an instruction of another kind touches memory");
    }
  }
  return Error::success();
}

/// Of instructions that set the processor's state from a constant, which the emitter made for them.
static bool reachesConstantsOnly(const IntrinsicInst &call) {
  return all_of(call.args(), [](const Use &operand) {
    auto *global = dyn_cast<GlobalVariable>(operand);
    return !operand->getType()->isPtrOrPtrVectorTy() || (global && global->isConstant());
  });
}

Error FunctionChecks::collectIntrinsic(IntrinsicInst &call) {
  auto operand = [&](unsigned i) { return call.getArgOperand(i); };
  auto elementOf = [](Value *vector) { return vector->getType()->getScalarType(); };
  switch (call.getIntrinsicID()) {
  case Intrinsic::masked_load:
  case Intrinsic::masked_gather:
    accesses.push_back({&call, operand(0), false, elementOf(&call), operand(1), nullptr});
    return Error::success();
  case Intrinsic::masked_store:
  case Intrinsic::masked_scatter:
    accesses.push_back({&call, operand(1), true, elementOf(operand(0)), operand(2), nullptr});
    return Error::success();
  case Intrinsic::memcpy:
  case Intrinsic::memmove:
    accesses.push_back({&call, operand(1), false, nullptr, nullptr, operand(2)});
    accesses.push_back({&call, operand(0), true, nullptr, nullptr, operand(2)});
    return Error::success();
  case Intrinsic::memset:
    accesses.push_back({&call, operand(0), true, nullptr, nullptr, operand(2)});
    return Error::success();
  case Intrinsic::prefetch: // reads nothing
  case Intrinsic::assume:
  case Intrinsic::lifetime_start:
  case Intrinsic::lifetime_end:
    return Error::success();
  default:
    return call.mayReadOrWriteMemory() && !reachesConstantsOnly(call)
               ? refusal(call, "an intrinsic of another kind touches memory")
               : Error::success();
  }
}

//===- Regions ----------------------------------------------------------------------------===//

Expected<Region> FunctionChecks::regionOf(Value *pointer, Instruction &user) {
  if (auto known = regions.find(pointer); known != regions.end())
    return known->second;
  Expected<Region> region = makeRegion(pointer, user);
  if (region)
    regions[pointer] = *region;
  return region;
}

Expected<Region> FunctionChecks::makeRegion(Value *pointer, Instruction &user) {
  if (auto *argument = dyn_cast<Argument>(pointer))
    return parameterRegion(*argument);
  if (auto *address = dyn_cast<GEPOperator>(pointer))
    return regionOf(address->getPointerOperand(), user);
  if (auto *phi = dyn_cast<PHINode>(pointer))
    return mergedRegion(*phi);
  if (auto *global = dyn_cast<GlobalVariable>(pointer))
    return Region{ConstantExpr::getPtrToInt(global, i64),
                  ConstantInt::get(i64, layout.getTypeAllocSize(global->getValueType())), false};
  auto *instruction = dyn_cast<Instruction>(pointer);
  if (!instruction)
    return refusal(user, "nothing is known of a pointer");
  IRBuilder<> b(instruction->getParent(), std::next(instruction->getIterator()));
  if (auto *call = dyn_cast<CallInst>(instruction); call && is_contained(bounded, call))
    return Region{b.CreatePtrToInt(call->getArgOperand(0), i64), call->getArgOperand(1), false};
  if (auto *local = dyn_cast<AllocaInst>(instruction))
    if (auto bytes = local->getAllocationSize(layout))
      return Region{b.CreatePtrToInt(local, i64), ConstantInt::get(i64, bytes->getFixedValue()), false};
  if (isa<LoadInst>(instruction))
    return lentRegion();
  if (auto *choice = dyn_cast<SelectInst>(instruction)) {
    auto yes = regionOf(choice->getTrueValue(), user), no = regionOf(choice->getFalseValue(), user);
    if (!yes || !no)
      return joinErrors(yes.takeError(), no.takeError());
    if (!yes->lent && !no->lent)
      return Region{b.CreateSelect(choice->getCondition(), yes->begin, no->begin),
                    b.CreateSelect(choice->getCondition(), yes->bytes, no->bytes), false};
  }
  return refusal(user, "nothing is known of a pointer");
}

Expected<Region> FunctionChecks::mergedRegion(PHINode &phi) {
  IRBuilder<> b(&phi);
  PHINode *begin = b.CreatePHI(i64, phi.getNumIncomingValues());
  PHINode *bytes = b.CreatePHI(i64, phi.getNumIncomingValues());
  Region merged{begin, bytes, false};
  regions[&phi] = merged; // before its operands: they may come from it
  for (auto [value, block] : zip(phi.incoming_values(), phi.blocks())) {
    auto region = regionOf(value, phi);
    if (!region)
      return region;
    if (region->lent)
      return refusal(phi, "a pointer that the runtime lends is carried");
    begin->addIncoming(region->begin, block);
    bytes->addIncoming(region->bytes, block);
  }
  return merged;
}

Region FunctionChecks::parameterRegion(Argument &argument) {
  if (isEntryPoint(function.getName()) || &argument == frame())
    return lentRegion();
  unsigned at = own();
  for (unsigned before = 0; before < argument.getArgNo(); ++before)
    at += function.getArg(before)->getType()->isPointerTy() ? 2 : 0;
  return {function.getArg(at), function.getArg(at + 1), false};
}

Error FunctionChecks::passRegions(CallInst &call) {
  Function *callee = extensions.lookup(call.getCalledFunction());
  if (!callee)
    return refusal(call, "a function is called that has no checks");
  SmallVector<Value *> operands(call.args());
  for (Value *operand : call.args()) {
    if (!operand->getType()->isPointerTy())
      continue;
    auto region = regionOf(operand, call);
    if (!region)
      return region.takeError();
    operands.append({region->begin, region->bytes});
  }
  IRBuilder<> b(&call);
  CallInst *whole = b.CreateCall(callee, operands);
  whole->setAttributes(call.getAttributes());
  whole->setCallingConv(call.getCallingConv());
  call.replaceAllUsesWith(whole);
  call.eraseFromParent();
  return Error::success();
}

//===- Checks -----------------------------------------------------------------------------===//

Error FunctionChecks::insert(const Access &access) {
  auto region = regionOf(access.pointer, *access.instruction);
  if (!region)
    return region.takeError();
  if (region->lent) {
    APInt offset(64, 0);
    Value *base = access.pointer->stripAndAccumulateConstantOffsets(layout, offset, true);
    return isa<LoadInst, Argument>(base) && !access.mask && !access.count
               ? Error::success()
               : refusal(*access.instruction, "what the runtime lends is reached at an offset that varies");
  }
  IRBuilder<> b(access.instruction);
  auto [bad, offset] = access.mask ? judgeLanes(b, access, *region) : judge(b, access, *region);
  return insertUnless(bad, offset, *region, access);
}

/// Whether the access leaves its region, and where it is in it.
std::pair<Value *, Value *> FunctionChecks::judge(IRBuilder<> &b, const Access &access,
                                                  const Region &region) {
  Value *bytes = access.count
                     ? access.count
                     : ConstantInt::get(i64, layout.getTypeStoreSize(access.element).getFixedValue());
  Value *offset = b.CreateSub(b.CreatePtrToInt(access.pointer, i64), region.begin);
  Value *bad = b.CreateOr(b.CreateICmpSLT(region.bytes, bytes),
                          b.CreateICmpUGT(offset, b.CreateSub(region.bytes, bytes)));
  if (access.count) // none touches nothing
    bad = b.CreateAnd(bad, b.CreateICmpNE(bytes, ConstantInt::get(i64, 0)));
  return {bad, offset};
}

/// The same of lanes: whether one that is active leaves the region, and where the furthest of those is.
std::pair<Value *, Value *> FunctionChecks::judgeLanes(IRBuilder<> &b, const Access &access,
                                                       const Region &region) {
  unsigned lanes = cast<FixedVectorType>(access.mask->getType())->getNumElements();
  auto bytes = int64_t(layout.getTypeStoreSize(access.element).getFixedValue());
  auto *wide = FixedVectorType::get(i64, lanes);
  Value *offsets = nullptr;
  if (access.pointer->getType()->isVectorTy()) {
    offsets = b.CreateSub(b.CreatePtrToInt(access.pointer, wide), b.CreateVectorSplat(lanes, region.begin));
  } else {
    SmallVector<Constant *> steps;
    for (unsigned lane = 0; lane < lanes; ++lane)
      steps.push_back(ConstantInt::get(i64, lane * bytes));
    Value *first = b.CreateSub(b.CreatePtrToInt(access.pointer, i64), region.begin);
    offsets = b.CreateAdd(b.CreateVectorSplat(lanes, first), ConstantVector::get(steps));
  }
  Value *most = b.CreateSub(region.bytes, ConstantInt::get(i64, bytes));
  Value *tooSmall = b.CreateICmpSLT(region.bytes, ConstantInt::get(i64, bytes));
  Value *outside = b.CreateOr(b.CreateICmpUGT(offsets, b.CreateVectorSplat(lanes, most)),
                              b.CreateVectorSplat(lanes, tooSmall));
  Value *bad = b.CreateAnd(outside, access.mask);
  Value *furthest = b.CreateIntMaxReduce(b.CreateSelect(bad, offsets, Constant::getNullValue(wide)));
  return {b.CreateOrReduce(bad), furthest};
}

/// Makes the access happen only where it is not bad.
Error FunctionChecks::insertUnless(Value *bad, Value *offset, const Region &region, const Access &access) {
  if (isEntryPoint(function.getName()))
    return refusal(*access.instruction, "an entry point has no frame");
  Instruction *instruction = access.instruction, *fails, *goes;
  MDNode *unlikely = MDBuilder(function.getContext()).createUnlikelyBranchWeights();
  SplitBlockAndInsertIfThenElse(bad, instruction, &fails, &goes, unlikely);
  instruction->moveBefore(goes->getIterator());
  IRBuilder<> b(fails);
  reportFailure(b, offset, region.bytes, access.writes);
  if (instruction->getType()->isVoidTy())
    return Error::success();
  BasicBlock *after = goes->getSuccessor(0);
  auto *result = PHINode::Create(instruction->getType(), 2, "", after->begin());
  instruction->replaceAllUsesWith(result);
  result->addIncoming(Constant::getNullValue(instruction->getType()), fails->getParent());
  result->addIncoming(instruction, instruction->getParent());
  return Error::success();
}

void FunctionChecks::reportFailure(IRBuilder<> &b, Value *offset, Value *bytes, bool writes) {
  Type *i32 = b.getInt32Ty();
  PointerType *pointer = b.getPtrTy();
  Value *site =
      isKernel() ? b.CreateSub(b.CreateTrunc(function.getArg(own() - 1), i32), b.getInt32(1)) : b.getInt32(0);
  Value *host = b.CreateLoad(pointer, frame());
  Value *fail =
      b.CreateLoad(pointer, b.CreateConstGEP1_64(b.getInt8Ty(), host, offsetof(tw_host_table, fail)));
  auto *type = FunctionType::get(b.getVoidTy(), {pointer, i32, i32, i64, i64}, false);
  b.CreateCall(type, fail, {frame(), b.getInt32(writes ? TW_FAIL_WRITE : TW_FAIL_READ), site, offset, bytes});
}

} // namespace

Error insertBoundsChecks(Module &module) {
  static_assert(offsetof(tw_frame, host) == 0);
  DenseMap<Function *, Function *> extensions;
  SmallVector<Function *> old;
  for (Function &function : make_early_inc_range(module))
    if (!function.isIntrinsic() && !isEntryPoint(function.getName()) && function.getName() != boundedFunction)
      old.push_back(&function);
  for (Function *function : old)
    extensions[function] = extend(*function);
  for (Function &function : module)
    if (!function.isDeclaration())
      if (Error error = FunctionChecks(function, extensions).run())
        return error;
  for (Function *function : old)
    function->eraseFromParent();
  if (Function *marker = module.getFunction(boundedFunction))
    marker->eraseFromParent();
  return Error::success();
}

} // namespace tilewright::codegen
