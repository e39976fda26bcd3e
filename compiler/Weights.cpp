// Constants of the program to bytes of the artifact: placed by the program, evaluated and written on all
// threads.
#include "compiler/Compilation.h"
#include "ir/interpreter/Interpreter.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tilewright::compiler {

static uint64_t storedBytes(Value constant) {
  auto type = llvm::cast<RankedTensorType>(constant.getType());
  return uint64_t(type.getNumElements()) * graph::byteWidth(type.getElementType());
}

/// Names the node whose op failed.
static llvm::Error notComputed(llvm::Error error) {
  std::string place, why;
  llvm::handleAllErrors(
      std::move(error),
      [&](const interpreter::Failure &failure) {
        if (auto name = llvm::dyn_cast<NameLoc>(failure.location))
          place = name.getName().str();
        llvm::raw_string_ostream stream(why);
        failure.log(stream);
      },
      [&](const llvm::ErrorInfoBase &other) { why = other.message(); });
  return codegen::makeError(3401, codegen::Fault::Invalid, "a constant cannot be computed: " + why, "",
                            std::move(place));
}

void Compilation::planConstants() {
  for (program::ConstantOp constant : program::constantsOf(steps())) {
    constant.setOffset(weightBytes);
    weightBytes = llvm::alignTo(weightBytes + storedBytes(constant.getValue()), 64);
  }
}

llvm::Error Compilation::writeWeights(codegen::WeightSink &sink) {
  /// What a thread remembers: recipes share little, so now and then it forgets, and holds no second copy of
  /// all weights.
  struct Memory {
    interpreter::ConstantEvaluator evaluator;
    uint64_t evaluated = 0;
  };
  constexpr uint64_t mostEvaluated = 32u << 20;
  std::vector<Memory> memories(threadCount());
  std::vector<program::ConstantOp> constants = program::constantsOf(steps());
  return inParallel("weights", constants.size(), [&](size_t index, unsigned thread) -> llvm::Error {
    Memory &memory = memories[thread];
    auto tensor = memory.evaluator.evaluate(constants[index].getValue());
    if (!tensor)
      return notComputed(tensor.takeError());
    auto bytes = reinterpret_cast<const uint8_t *>(tensor->data());
    if (llvm::Error error = sink.write(*constants[index].getOffset(), ArrayRef(bytes, tensor->bytes())))
      return error;
    memory.evaluated += tensor->bytes();
    if (memory.evaluated > mostEvaluated) {
      memory.evaluator.clear();
      memory.evaluated = 0;
    }
    return llvm::Error::success();
  });
}

} // namespace tilewright::compiler
