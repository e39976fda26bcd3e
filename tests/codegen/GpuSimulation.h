//===- GpuSimulation.h - the threads of a grid, on this machine --------------*- C++ -*-===//
//
// The functions that become PTX are compiled for the host instead, with the few NVPTX intrinsics that they
// use replaced. Each thread of a block is a fiber; shuffles and barriers switch to the next until all
// threads that take part have come.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_TESTS_CODEGEN_GPUSIMULATION_H
#define TILEWRIGHT_TESTS_CODEGEN_GPUSIMULATION_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <vector>

namespace llvm::orc {
class LLJIT;
}

namespace tilewright::codegen::testing {

class GpuSimulation {
public:
  /// Consumes loop IR of threads.
  explicit GpuSimulation(mlir::ModuleOp module);
  ~GpuSimulation();

  /// Runs a grid, one block after the other. Returns false when the threads of a block wait for each other
  /// for ever.
  bool launch(const std::string &entry, int64_t blocks, unsigned threads,
              const std::vector<uint64_t> &parameters);

private:
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

} // namespace tilewright::codegen::testing

#endif // TILEWRIGHT_TESTS_CODEGEN_GPUSIMULATION_H
