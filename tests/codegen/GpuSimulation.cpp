//===- GpuSimulation.cpp - the threads of a grid, on this machine ---------===//
#include "GpuSimulation.h"

#include "codegen/artifact/Link.h"
#include "codegen/lower/Lowering.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/ExecutionEngine/Orc/ThreadSafeModule.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/TargetSelect.h"

#include <cmath>
#include <gtest/gtest.h>
#include <ucontext.h>

namespace tilewright::codegen::testing {
namespace {

constexpr unsigned warpThreads = 32;
constexpr size_t stackBytes = 64 << 10;

/// The block that runs now.
struct Block {
  struct Thread {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(stackBytes);
    uint64_t meetings[2] = {0, 0}; ///< how many shuffles, and barriers, it has come to
    uint32_t sent[2] = {0, 0};     ///< to the last shuffles, by turns
    bool done = false;
  };
  std::vector<Thread> threads;
  ucontext_t scheduler;
  unsigned current = 0;
  int64_t number = 0;
  bool moved = false; ///< some thread went on since the scheduler looked
  void (*function)(const uint64_t *) = nullptr;
  const uint64_t *parameters = nullptr;
};
Block *block = nullptr;

/// Waits until threads [first, last) have come to as many meetings of this kind as this one.
void meet(unsigned kind, unsigned first, unsigned last) {
  Block::Thread &self = block->threads[block->current];
  const uint64_t number = ++self.meetings[kind];
  block->moved = true;
  auto waits = [&] {
    for (unsigned t = first; t < last; ++t)
      if (block->threads[t].meetings[kind] < number)
        return true;
    return false;
  };
  while (waits())
    swapcontext(&self.context, &block->scheduler);
  block->moved = true;
}

uint32_t threadId() { return block->current; }
uint32_t blockId() { return uint32_t(block->number); }
uint32_t blockSize() { return uint32_t(block->threads.size()); }

uint32_t exchange(uint32_t, uint32_t value, uint32_t mask, uint32_t) {
  const unsigned self = block->current, first = self / warpThreads * warpThreads;
  const uint64_t turn = block->threads[self].meetings[0] % 2;
  block->threads[self].sent[turn] = value;
  meet(0, first, std::min(first + warpThreads, blockSize()));
  return block->threads[self ^ mask].sent[turn];
}

float exchangeFloat(uint32_t members, float value, uint32_t mask, uint32_t clamp) {
  return llvm::bit_cast<float>(exchange(members, llvm::bit_cast<uint32_t>(value), mask, clamp));
}

void barrier(uint32_t) { meet(1, 0, blockSize()); }
float exp2Approximate(float x) { return std::exp2(x); }
float rsqrtApproximate(float x) { return 1 / std::sqrt(x); }

const std::pair<const char *, void *> replacements[] = {
    {"llvm.nvvm.read.ptx.sreg.tid.x", reinterpret_cast<void *>(threadId)},
    {"llvm.nvvm.read.ptx.sreg.ctaid.x", reinterpret_cast<void *>(blockId)},
    {"llvm.nvvm.read.ptx.sreg.ntid.x", reinterpret_cast<void *>(blockSize)},
    {"llvm.nvvm.shfl.sync.bfly.i32", reinterpret_cast<void *>(exchange)},
    {"llvm.nvvm.shfl.sync.bfly.f32", reinterpret_cast<void *>(exchangeFloat)},
    {"llvm.nvvm.barrier.cta.sync.aligned.all", reinterpret_cast<void *>(barrier)},
    {"llvm.nvvm.ex2.approx.f32", reinterpret_cast<void *>(exp2Approximate)},
    {"llvm.nvvm.rsqrt.approx.f", reinterpret_cast<void *>(rsqrtApproximate)},
};

std::string hostName(llvm::StringRef intrinsic) { return "simulated." + intrinsic.str(); }

void replaceIntrinsics(llvm::Module &module) {
  for (auto &[name, address] : replacements) {
    llvm::Function *intrinsic = module.getFunction(name);
    if (!intrinsic)
      continue;
    auto *host = llvm::Function::Create(intrinsic->getFunctionType(), llvm::Function::ExternalLinkage,
                                        hostName(name), module);
    intrinsic->replaceAllUsesWith(host);
    intrinsic->eraseFromParent();
  }
}

/// Calls the entry with all parameters, as 64-bit integers: more than it has do no harm.
template <size_t... I>
void callEntry(void (*function)(const uint64_t *), const uint64_t *p, std::index_sequence<I...>) {
  reinterpret_cast<void (*)(decltype(uint64_t(I))...)>(function)(p[I]...);
}
constexpr size_t mostParameters = 16;

void enterThread() {
  callEntry(block->function, block->parameters, std::make_index_sequence<mostParameters>());
  block->threads[block->current].done = block->moved = true;
  swapcontext(&block->threads[block->current].context, &block->scheduler);
}

bool runBlock(Block &now) {
  block = &now;
  for (Block::Thread &thread : now.threads) {
    getcontext(&thread.context);
    thread.context.uc_stack = {thread.stack.data(), 0, thread.stack.size()};
    thread.context.uc_link = nullptr;
    makecontext(&thread.context, enterThread, 0);
    thread.done = false;
    thread.meetings[0] = thread.meetings[1] = 0;
  }
  do {
    now.moved = false;
    for (now.current = 0; now.current < now.threads.size(); ++now.current)
      if (!now.threads[now.current].done)
        swapcontext(&now.scheduler, &now.threads[now.current].context);
  } while (now.moved);
  return llvm::all_of(now.threads, [](const Block::Thread &thread) { return thread.done; });
}

} // namespace

GpuSimulation::GpuSimulation(mlir::ModuleOp module) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  auto context = std::make_unique<llvm::LLVMContext>();
  if (mlir::failed(lowerToLLVM(module))) {
    ADD_FAILURE() << "not loop IR";
    return;
  }
  auto code = mlir::translateModuleToLLVMIR(module, *context, "simulated");
  replaceIntrinsics(*code);
  jit = llvm::cantFail(llvm::orc::LLJITBuilder().create());
  llvm::orc::SymbolMap symbols;
  for (auto &[name, address] : replacements)
    symbols[jit->mangleAndIntern(hostName(name))] = {llvm::orc::ExecutorAddr::fromPtr(address),
                                                     llvm::JITSymbolFlags::Exported};
  llvm::cantFail(jit->getMainJITDylib().define(llvm::orc::absoluteSymbols(std::move(symbols))));
  code->setDataLayout(jit->getDataLayout());
  llvm::cantFail(jit->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(builtinsObject(x86))));
  llvm::cantFail(jit->addIRModule(llvm::orc::ThreadSafeModule(std::move(code), std::move(context))));
}

GpuSimulation::~GpuSimulation() = default;

bool GpuSimulation::launch(const std::string &entry, int64_t blocks, unsigned threads,
                           const std::vector<uint64_t> &parameters) {
  if (!jit || parameters.size() > mostParameters)
    return false;
  std::vector<uint64_t> padded(parameters);
  padded.resize(mostParameters);
  Block grid;
  grid.threads.resize(threads);
  grid.function = llvm::cantFail(jit->lookup(entry)).toPtr<void (*)(const uint64_t *)>();
  grid.parameters = padded.data();
  for (grid.number = 0; grid.number < blocks; ++grid.number)
    if (!runBlock(grid))
      return false;
  return true;
}

} // namespace tilewright::codegen::testing
