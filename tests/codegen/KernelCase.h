//===- KernelCase.h - one kernel, built, compiled, run and checked ----------*- C++ -*-===//
#ifndef TILEWRIGHT_TESTS_CODEGEN_KERNELCASE_H
#define TILEWRIGHT_TESTS_CODEGEN_KERNELCASE_H

#include "codegen/emit/Emitter.h"
#include "ir/GraphBuilder.h"
#include "ir/interpreter/Interpreter.h"

#include <memory>
#include <string>
#include <vector>

namespace llvm::orc {
class LLJIT;
}

namespace tilewright::codegen::testing {

/// A program of one launch. Build the kernel's body with `g` on what argument() and weight() return, call
/// yield(), then compile() and run(). Symbols s0, s1, ... are those of the kernel and of the program.
class KernelCase {
public:
  /// Memory on cache lines, as in arenas.
  template <class T> struct LineAllocator {
    using value_type = T;
    T *allocate(size_t count) {
      return static_cast<T *>(::operator new(count * sizeof(T), std::align_val_t(64)));
    }
    void deallocate(T *memory, size_t) { ::operator delete(memory, std::align_val_t(64)); }
    bool operator==(const LineAllocator &) const { return true; }
  };
  using Buffer = std::vector<std::byte, LineAllocator<std::byte>>;

  explicit KernelCase(int64_t symbolCount = 0);
  ~KernelCase();

  mlir::AffineExpr symbol(unsigned index);
  mlir::Value argument(llvm::ArrayRef<mlir::AffineExpr> shape, mlir::Type element);
  mlir::Value argument(llvm::ArrayRef<int64_t> shape, mlir::Type element);
  mlir::Value argument(llvm::ArrayRef<int64_t> shape) { return argument(shape, f32()); }
  /// An argument that is a constant of random elements.
  mlir::Value weight(llvm::ArrayRef<int64_t> shape, mlir::Type element);
  mlir::Value weight(llvm::ArrayRef<int64_t> shape) { return weight(shape, f32()); }
  void yield(mlir::ValueRange values);

  /// Schedules (weights are constants that may be packed, unless told not to), packs, emits and compiles.
  void compile(const TargetInfo &target, bool pack = true);
  /// The same up to loop IR: its text.
  std::string loops(const TargetInfo &target);
  /// Numbers in place of those of the default schedule.
  std::vector<std::pair<std::string, int64_t>> wanted;
  /// The schedule to take, whatever the default one is; null: that one, with what is `wanted`.
  kernel::ScheduleAttr schedule;
  /// What compile() does before it chooses: which arguments are constants.
  void markConstants();
  /// Runs on random inputs as `threads` threads would, one after the other, and compares with the interpreter
  /// on the body before packing: at most `tolerance` times the sum of absolute products, or exact for
  /// integers.
  void check(llvm::ArrayRef<int64_t> symbols = {}, int64_t threads = 3, double tolerance = 1e-6);
  /// Inputs and outputs for run(): made once for given symbols.
  void prepare(llvm::ArrayRef<int64_t> symbols = {});
  void run(int64_t threads = 1);
  /// Outputs against the interpreter on the prepared inputs, as check() does; nothing may be written behind
  /// them.
  void compare(double tolerance);
  const std::vector<Buffer> &outputs() const { return outputBuffers; }

  mlir::Type f32() { return builder.getF32Type(); }
  mlir::Type integer(unsigned width, bool isSigned) {
    return mlir::IntegerType::get(builder.getContext(), width,
                                  isSigned ? mlir::IntegerType::Signed : mlir::IntegerType::Unsigned);
  }
  double compileMilliseconds() const { return milliseconds; }
  std::string assembly; ///< filled when wantAssembly
  bool wantAssembly = false;
  kernel::FuncOp kernel;
  kernel::LaunchOp launch;

protected:
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::OpBuilder builder;
  std::unique_ptr<SymbolTable> table;
  mlir::func::FuncOp program;

public:
  std::unique_ptr<GraphBuilder> g; ///< inside the kernel

protected:
  void makeLaunch();
  kernel::FuncOp unpacked(); ///< the kernel before packing
  void scheduleAndPack(const TargetInfo &target, bool pack);
  interpreter::Tensor randomTensor(mlir::Type element, llvm::ArrayRef<int64_t> shape);
  std::vector<mlir::Value> constants;          ///< by argument: the program's constant, or null
  std::vector<mlir::Value> logicalOperands;    ///< of the launch, before packing
  mlir::OwningOpRef<mlir::ModuleOp> reference; ///< the kernel before packing
  std::vector<interpreter::Tensor> inputs;
  std::vector<Buffer> inputBuffers, outputBuffers;
  Buffer scratch;
  std::vector<int64_t> symbolValues;
  EmittedKernel emitted;
  std::unique_ptr<llvm::orc::LLJIT> jit;
  void *entry = nullptr;
  double milliseconds = 0;
  uint64_t seed = 1;
};

} // namespace tilewright::codegen::testing

#endif // TILEWRIGHT_TESTS_CODEGEN_KERNELCASE_H
