// Kernels on GPUs: a thread for the elements of one access, or a team of threads for each row.
#include "codegen/schedule/Threads.h"
#include "codegen/space/Space.h"

using namespace mlir;
using llvm::SmallVector;

namespace tilewright::codegen {
namespace {

constexpr int64_t blockThreads = 256;   ///< where nothing asks for more or less
constexpr int64_t mostRowThreads = 512; ///< leaves each thread 128 registers
constexpr int64_t accessBytes = 16;
constexpr int64_t keptPieces = 8;
constexpr int64_t unrolledPieces = 4;

Algorithm withThreads(llvm::StringLiteral name, kernel::FuncOp kernel) {
  Algorithm algorithm{name,
                      {{"threads", Domain::powers(32, 1024), blockThreads},
                       {"access_bytes", Domain::powers(4, 16), accessBytes}}};
  addWalkParameters(kernel, algorithm);
  llvm::erase_if(algorithm.parameters, [](const Parameter &one) { return one.name == "kept_rows"; });
  return algorithm;
}

} // namespace

SmallVector<Algorithm> threadSpace(kernel::FuncOp kernel, const TargetInfo &target) {
  SmallVector<Algorithm> space;
  if (!llvm::all_of(kernel.getBody().front(), [](Operation &op) { return hasThreadCode(&op); }))
    return space;
  if (wholeRowsOf(kernel, target)) {
    space.push_back(withThreads(algorithm::teams, kernel));
    space.back().parameters.append({{"row_threads", Domain::powers(64, 1024), mostRowThreads},
                                    {"kept_pieces", {0, 32}, keptPieces},
                                    {"unrolled_pieces", {1, 8}, unrolledPieces}});
  }
  space.push_back(withThreads(algorithm::elements, kernel));
  return space;
}

double estimateThreads(kernel::FuncOp kernel) {
  double bytes = 0;
  auto note = [&](Value v) {
    auto type = llvm::cast<RankedTensorType>(v.getType());
    bytes += double(roughly(dimsOf(v), 256)) * graph::byteWidth(type.getElementType());
  };
  llvm::for_each(kernel.getBody().front().getArguments(), note);
  llvm::for_each(kernel.getBody().front().getTerminator()->getOperands(), note);
  return bytes;
}

} // namespace tilewright::codegen
