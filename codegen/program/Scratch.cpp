// Scratch of kernels that need an amount which only the program knows: one growable buffer, with a part for
// each thread.
#include "codegen/program/Sizes.h"

using namespace mlir;

namespace tilewright::codegen {

bool hasOwnScratch(program::LaunchOp launch, const KernelBinding &kernel, const SymbolTable &symbols) {
  AffineMap map = launch.getSymbols();
  return llvm::any_of(symbolsIn(kernel.scratchBytes), [&](unsigned local) {
    return llvm::any_of(symbolsIn(map.getResult(local)),
                        [&](unsigned index) { return symbols[index].atRunTime; });
  });
}

namespace {

/// A phase that has no number yet.
constexpr uint32_t unnumbered = UINT32_MAX;

/// Behind the last declaration.
program::BufferOp declareScratch(program::FuncOp func) {
  Block &block = func.getBody().front();
  auto first = llvm::find_if(block, [](Operation &op) { return isa<program::Step>(op); });
  OpBuilder b(&block, first);
  auto type = RankedTensorType::get({0}, b.getIntegerType(8, /*isSigned=*/false));
  const uint32_t last = program::countPhases(func) - 1;
  return program::BufferOp::create(b, UnknownLoc::get(b.getContext()),
                                   program::BufferType::get(b.getContext()), program::BufferKind::growable,
                                   IntegerAttr(), 0, last, Value(), 0, type);
}

/// Thread 0 grows the scratch when nobody uses it any more, together with what else it grows for the launch.
void growFor(program::LaunchOp launch, program::BufferOp scratch, AffineMap bytes) {
  OpBuilder b(launch);
  auto phase = dyn_cast_or_null<program::PhaseOp>(launch->getPrevNode());
  const bool grows = phase && isa_and_present<program::GrowOp>(phase->getPrevNode());
  if (grows)
    b.setInsertionPoint(phase);
  else if (!phase)
    program::PhaseOp::create(b, launch.getLoc(), unnumbered);
  program::GrowOp::create(b, launch.getLoc(), scratch.getResult(), bytes, Value(), false,
                          /*perThread=*/true, false);
  if (!grows)
    program::PhaseOp::create(b, launch.getLoc(), unnumbered);
}

/// A buffer lives on where it lived: in all phases that one of its phases has become.
void renumber(program::FuncOp func) {
  std::vector<uint32_t> renamed{0}; // the first phase that each has become
  uint32_t number = 0;
  func.walk<WalkOrder::PreOrder>([&](program::PhaseOp phase) {
    ++number;
    if (phase.getNumber() != unnumbered)
      renamed.push_back(number);
    phase.setNumber(number);
  });
  renamed.push_back(number + 1);
  for (program::BufferOp buffer : program::buffersOf(func)) {
    buffer.setBirth(renamed[buffer.getBirth()]);
    buffer.setDeath(renamed[buffer.getDeath() + 1] - 1);
  }
}

} // namespace

void addScratch(ModuleOp program, const llvm::StringMap<KernelBinding> &kernels) {
  program::FuncOp func = programOf(program);
  SymbolTable symbols(program);
  program::BufferOp scratch;
  for (program::LaunchOp launch : program::launchesOf(func)) {
    const KernelBinding &kernel = kernels.find(launch.getKernel())->second;
    if (launch.getScratch() || !hasOwnScratch(launch, kernel, symbols))
      continue;
    if (!scratch)
      scratch = declareScratch(func);
    AffineExpr bytes = kernel.scratchBytes.replaceSymbols(launch.getSymbols().getResults());
    const AffineMap map = mapOf(ArrayRef<AffineExpr>{bytes}, func.getContext());
    growFor(launch, scratch, map);
    launch.getScratchMutable().assign(scratch.getResult());
    launch.setScratchBytes(map);
  }
  if (scratch)
    renumber(func);
}

} // namespace tilewright::codegen
