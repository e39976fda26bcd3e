// The program as functions: parts of a bounded number of launches, and one that calls them in order.
#include "codegen/program/Program.h"
#include "codegen/program/Sizes.h"
#include "codegen/program/Steps.h"

using namespace mlir;
using llvm::ArrayRef;

namespace tilewright::codegen {
namespace {

constexpr size_t launchesPerFunction = 64;

/// Whether a part may end behind these steps: no later step uses a number that they have read.
bool isSelfContained(Block::iterator first, Block::iterator end) {
  for (auto it = first; it != end; ++it)
    for (Operation *user : it->getUsers()) {
      Operation *step = it->getBlock()->findAncestorOpInBlock(*user);
      if (end != it->getBlock()->end() && !step->isBeforeInBlock(&*end))
        return false;
    }
  return true;
}

class ProgramEmitter : StepEmitter {
public:
  using StepEmitter::StepEmitter;

  LogicalResult run() {
    Block &body = programOf(in.program).getBody().front();
    auto first = llvm::find_if(body, [](Operation &op) { return isa<program::Step>(op); });
    const auto end = std::prev(body.end()); // program.return
    while (first != end) {
      auto last = endOfPart(first, end);
      if (failed(emitPart(first, last)))
        return failure();
      first = last;
    }
    emitEntry();
    return success();
  }

private:
  /// Behind a launch or phase, once there is enough work.
  static Block::iterator endOfPart(Block::iterator first, Block::iterator end) {
    size_t weight = 0;
    for (auto it = first; it != end; ++it) {
      if (isa<program::LaunchOp, program::DefineOp>(*it))
        ++weight;
      else if (it->getNumRegions())
        it->walk([&](Operation *) { ++weight; });
      auto next = std::next(it);
      if (weight >= launchesPerFunction && isa<program::LaunchOp, program::PhaseOp>(*it) &&
          isSelfContained(first, next))
        return next;
    }
    return end;
  }

  /// int32 part(frame, thread, threads): non-zero when the run failed.
  LogicalResult emitPart(Block::iterator first, Block::iterator end) {
    parts.push_back("tilewright_part" + std::to_string(parts.size()));
    auto op = function(parts.back(), {s.pointer(), b.getI32Type(), b.getI32Type()}, {b.getI32Type()});
    enter();
    leave = op.addBlock();
    LogicalResult result = emit(first, end);
    func::ReturnOp::create(b, loc, ValueRange{s.i32(0)});
    if (leave->hasNoPredecessors()) { // no phase ends here; unreachable blocks are not lowered
      leave->erase();
      return result;
    }
    b.setInsertionPointToEnd(leave);
    func::ReturnOp::create(b, loc, ValueRange{s.i32(1)});
    return result;
  }

  void emitEntry() {
    auto op = function("tilewright_program", {s.pointer(), b.getI32Type(), b.getI32Type()}, {});
    Block *end = op.addBlock();
    for (const std::string &part : parts) {
      Value status =
          func::CallOp::create(b, loc, part, TypeRange{b.getI32Type()}, op.getArguments()).getResult(0);
      Value bad = s.compare(arith::CmpIPredicate::ne, status, s.i32(0));
      Block *next = op.addBlock();
      cf::CondBranchOp::create(b, loc, bad, end, next);
      b.setInsertionPointToEnd(next);
    }
    branch(end);
    b.setInsertionPointToEnd(end);
    func::ReturnOp::create(b, loc);
  }

  std::vector<std::string> parts;
};

} // namespace

LogicalResult emitProgram(const ProgramInputs &inputs, ModuleOp module) {
  const SymbolTable symbols(inputs.program);
  if (failed(ProgramEmitter(inputs, symbols, module).run()))
    return failure();
  emitSizes(inputs, module);
  return success();
}

} // namespace tilewright::codegen
