/// Kernel.h - a kernel (graph ops in a kernel.func) as a function that one GPU thread runs, and how to launch
/// it.
///
/// The walk, the arithmetic and the elementary functions are those of codegen/emit; what is written here is
/// which elements a thread computes. Elements lie as in memory: a thread takes up to 16 bytes of them at
/// once. A row that is reduced belongs to a team of threads: part of a warp, a warp or a block.
#pragma once
#include "codegen/emit/Emitter.h"
#include "codegen/target/Target.h"
#include "ir/Graph.h"
#include "ir/Symbols.h"
#include <string>
#include <vector>

namespace tilewright::codegen::gpu {

/// Every tensor starts at a multiple of these bytes.
constexpr int64_t bufferAlignment = 256;
/// Indices have 32 bits where all tensors of a kernel have fewer elements than this.
constexpr int64_t narrowElements = int64_t(1) << 30;

/// The grid, along x only. Expressions are over the kernel's symbols.
struct Launch {
  mlir::AffineExpr blocks; ///< exactly so many; 0: there is nothing to compute
  unsigned threads = 256;  ///< of a block; where `rowParts` is set, at most
  mlir::AffineExpr
      rowParts; ///< null, or: a block has so many threads, rounded up to whole warps, at least one
  unsigned sharedBytes = 0; ///< static shared memory, declared in the code already
};

/// One parameter of the entry, 8 bytes each, in order.
struct Parameter {
  enum Kind { Result, Argument, Size } kind;
  unsigned index = 0;    ///< which result or argument: the address of its buffer
  mlir::AffineExpr size; ///< or a number, over the kernel's symbols
};

/// What launching one entry of a PTX module needs.
struct Kernel {
  std::string entry;  ///< name of the .entry
  std::string kernel; ///< name of the kernel.func
  Launch launch;
  std::vector<Parameter> parameters;
  /// Where not empty, the entry computes indices in 32 bits: it may only be launched when each of these is
  /// below narrowElements. Otherwise the entry of the same kernel with an empty list is.
  std::vector<mlir::AffineExpr> narrow;
};

/// Emits `kernel` into `module` as one function, or two where only the sizes of a run tell whether 32-bit
/// indices are enough. What stays unsupported is appended to `refused` (ops of the kernel's body), and then
/// nothing is emitted and the result is empty.
std::vector<Kernel> emitKernel(kernel::FuncOp kernel, mlir::ModuleOp module, const TargetInfo &target,
                               Precision precision, llvm::SmallVectorImpl<mlir::Operation *> &refused);

/// `kernel` as one line of JSON: entry, kernel, parameters, blocks, threads, shared bytes, and the condition
/// for 32-bit indices.
std::string toJson(const Kernel &kernel);

} // namespace tilewright::codegen::gpu
