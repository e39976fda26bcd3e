/// Emitter.h - from a kernel (graph ops in a kernel.func) to loops: the index-map walk shared by every root
/// loop and every target.
///
/// Loops are emitted directly from kernel + schedule. A root loop asks "your value at these indices, for
/// these lanes" (`ValueEmitter::at`) and each op answers by asking its operands at mapped indices:
/// element-wise, broadcast, reshape, transpose, slice, pad, concat, gather inline; a reduce emits its loop.
/// Everything is placed at the outermost loop whose induction variables it depends on and is emitted once
/// there (value numbering with scopes), so row-invariant work, such as a row's maximum in softmax, leaves the
/// inner loop by construction.
///
/// Loop IR: scf + arith + vector + llvm pointers and loads. Integers are signless, sizes and offsets i64.
/// Float types narrower than f32 compute in f32 and round when stored. bool is i1 in registers and one byte
/// in memory.
#pragma once
#include "codegen/schedule/Schedule.h"
#include "codegen/target/Target.h"
#include "ir/Graph.h"
#include "ir/Symbols.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"
#include <functional>

namespace tilewright::codegen {

/// One index of a tensor as W lanes see it: lane l reads base + l * stride, or lanes[l] when `lanes` is set
/// (irregular).
struct Index {
  mlir::Value base;   ///< Builder::indexType
  int64_t stride = 0; ///< per lane; 0: all lanes read the same element
  mlir::Value lanes;  ///< vector<W x indexType>, or null
  bool uniform() const { return stride == 0 && !lanes; }
};
using Indices = llvm::SmallVector<Index, 6>;

/// Emits scalar integer arithmetic, folded and value-numbered, at the outermost scope where its operands
/// exist. Scopes are the function body, loop bodies and guarded (scf.if) bodies.
class Builder {
public:
  Builder(mlir::OpBuilder &builder, mlir::Location location)
      : b(builder), loc(location), indexType(builder.getI64Type()) {}
  mlir::OpBuilder &b;
  mlir::Location loc;
  /// What indices and sizes are computed in: i64, or i32 where no tensor of the kernel reaches 2^30 elements.
  mlir::IntegerType indexType;
  bool divisionTraps = true; ///< division by zero does harm although nothing uses its result

  mlir::Value constant(int64_t value);
  std::optional<int64_t> constantOf(mlir::Value value) const;
  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value divide(mlir::Value x, mlir::Value y);    ///< operands >= 0, y > 0
  mlir::Value remainder(mlir::Value x, mlir::Value y); ///< operands >= 0, y > 0
  mlir::Value minimum(mlir::Value x, mlir::Value y);
  mlir::Value maximum(mlir::Value x, mlir::Value y);
  mlir::Value less(mlir::Value x, mlir::Value y); ///< signed, i1
  mlir::Value equal(mlir::Value x, mlir::Value y);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y);
  mlir::Value both(mlir::Value x, mlir::Value y); ///< logical and of i1
  mlir::Value add(mlir::Value x, int64_t y) { return add(x, constant(y)); }
  mlir::Value mul(mlir::Value x, int64_t y) { return mul(x, constant(y)); }
  /// A number that provably divides the value (1 when nothing is known), from constants, sums, products and
  /// loop steps.
  int64_t divisorOf(mlir::Value value) const;
  /// x / y rounded up; x >= 0, y > 0.
  mlir::Value ceilDivide(mlir::Value x, int64_t y) { return divide(add(x, y - 1), constant(y)); }

  /// pointer + index * bytes
  mlir::Value address(mlir::Value pointer, mlir::Value index, int64_t bytes);

  /// for (i = lo; i < hi; i += step) body(i, carried) -> next carried. The body is a scope.
  llvm::SmallVector<mlir::Value>
  loop(mlir::Value lo, mlir::Value hi, int64_t step, mlir::ValueRange init,
       llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::ValueRange)> body);
  llvm::SmallVector<mlir::Value>
  loop(mlir::Value lo, mlir::Value hi, mlir::Value step, mlir::ValueRange init,
       llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::ValueRange)> body);
  void loop(mlir::Value lo, mlir::Value hi, int64_t step, llvm::function_ref<void(mlir::Value)> body);
  /// if (condition) yes() else no(); both return values of equal types. The bodies are guarded scopes: loads
  /// inside are not hoisted out.
  llvm::SmallVector<mlir::Value> guarded(mlir::Value condition, mlir::TypeRange types,
                                         llvm::function_ref<llvm::SmallVector<mlir::Value>()> yes,
                                         llvm::function_ref<llvm::SmallVector<mlir::Value>()> no);
  void guarded(mlir::Value condition, llvm::function_ref<void()> yes);

  /// The depth of the scope a value is defined in (0: function body, arguments and constants).
  unsigned depthOf(mlir::Value value) const;
  unsigned depth() const { return scopes.size() - 1; }
  /// The innermost guarded scope's depth: what may trap must not move above it.
  unsigned guardDepth() const;
  /// Run `emit` with the insertion point at the end of the scope at `depth` (before the loop that leads
  /// deeper).
  mlir::Value placedAt(unsigned depth, llvm::function_ref<mlir::Value()> emit);
  /// Start the function body's scope; call once, with the insertion point in the (empty) entry block.
  void enterFunction();

  /// A memo that lives as long as the scope it was made in.
  struct Key {
    const void *what;
    llvm::SmallVector<const void *, 8> operands;
    bool operator<(const Key &other) const {
      return std::tie(what, operands) < std::tie(other.what, other.operands);
    }
  };
  mlir::Value *lookup(const Key &key);
  void remember(unsigned depth, Key key, mlir::Value value);

private:
  struct Scope {
    mlir::Block *block;
    mlir::Operation *entry = nullptr; ///< the op (in the parent scope's block) whose region this scope is
    bool guarded = false;
    std::map<Key, mlir::Value> memo;
  };
  void enter(mlir::Block *block, mlir::Operation *entry, bool guarded);
  void leave();
  template <class Op> mlir::Value pure(mlir::Value x, mlir::Value y);
  std::vector<Scope> scopes;

protected:
  llvm::DenseMap<mlir::Value, int64_t> knownDivisors; ///< what divisorOf cannot see
};

/// How far a kernel may depart from its ops as they are written.
enum class Precision {
  Default, ///< steps may be those of `Approximation`
  Strict,  ///< every op rounds once
};

/// What one kernel's emission knows: the function's parameters and the facts it was emitted under.
struct KernelContext {
  KernelContext(kernel::FuncOp kernel, const TargetInfo &target, Precision precision)
      : kernel(kernel), target(target), precision(precision), reduce(kernel.getScheduleAttr()),
        window(kernel.getScheduleAttr()) {}
  kernel::ScheduleAttr schedule() const { return kernel::FuncOp(kernel).getScheduleAttr(); }
  kernel::FuncOp kernel; ///< has a schedule, which root loops read as one of the structs of Schedule.h
  const TargetInfo &target;
  Precision precision;
  ReduceSchedule reduce;
  WindowSchedule window;
  llvm::DenseMap<mlir::Value, mlir::Value> pointers; ///< kernel argument -> !llvm.ptr
  llvm::SmallVector<mlir::Value> results;            ///< !llvm.ptr of each yielded value
  llvm::SmallVector<mlir::Value> symbols;            ///< i64 value of each kernel symbol
  mlir::Value begin, end;                            ///< this thread's share of the kernel's extent
  mlir::Value scratch;           ///< !llvm.ptr, private to the thread, 64-byte aligned; null: there is none
  mlir::Value frame;             ///< !llvm.ptr to tw_frame; null: no host to call, see hostOps
  int64_t bufferAlignment = 0;   ///< bytes that every tensor is known to be aligned to; 0: to its elements
  mlir::Value firstSite;         ///< i64, where this launch's failure sites start
  mlir::AffineExpr scratchBytes; ///< grows as emitters reserve scratch (kernel symbols)
  llvm::SmallVector<mlir::Location> sites; ///< where each run-time failure site comes from
  bool oversized = false; ///< a size that the code needs does not fit in 63 bits: the code is wrong
  llvm::SetVector<mlir::Operation *>
      hostOps; ///< ops that needed a host where there is none: the code is wrong
};

/// Bits and lanes.
struct Lanes {
  int64_t width = 1;
  mlir::Value mask; ///< vector<W x i1>: lanes that exist; null: all
};

class ValueEmitter;

/// Threads that compute a row together, where a target has such teams. A reduction that all of them ask for
/// is split over them.
class RowTeam {
public:
  virtual ~RowTeam() = default;
  /// Whether all threads of the team come to this point with these indices.
  virtual bool shares(llvm::ArrayRef<Index> indices) const = 0;
  /// Lanes of one access along a row of `size` elements.
  virtual int64_t lanesFor(mlir::Value size) const = 0;
  /// What a piece of a row is folded with: where it starts, and an i1 that is false where the piece lies
  /// outside (its elements may be read all the same), or null.
  using Piece = llvm::function_ref<mlir::Value(const Index &at, mlir::Value inside, mlir::Value carried)>;
  /// Folds this thread's pieces of a row of `size` elements; `lanesFor(size)` lanes are set.
  virtual mlir::Value fold(mlir::Value size, mlir::Value init, Piece piece) = 0;
  /// Combines one scalar of each thread; every thread gets the same result.
  virtual mlir::Value combine(mlir::Value mine, mlir::Value neutral,
                              llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> step) = 0;
};

/// Steps for which targets have instructions that round less well: `--precision=strict` does without.
enum class Approximation {
  exp2, ///< 2^x for |x| <= 1, 2 ulp
  rsqrt ///< 1 / sqrt(x), 2 ulp
};

class ValueEmitter : public Builder {
public:
  ValueEmitter(mlir::OpBuilder &builder, mlir::Location location, KernelContext &kernel);
  virtual ~ValueEmitter() = default;
  KernelContext &kernel;
  Lanes lanes;
  RowTeam *team = nullptr;              ///< null: a thread reduces alone
  mlir::Operation *computing = nullptr; ///< the element-wise op that is being emitted

  /// The value of `v` (of the kernel's body) at `indices`: a scalar where all lanes agree, else vector<W x
  /// compute type>.
  mlir::Value at(mlir::Value v, llvm::ArrayRef<Index> indices);
  /// Make `v` answer `value` at these indices in the current scope: how a root hands its accumulators to the
  /// epilogue.
  void define(mlir::Value v, llvm::ArrayRef<Index> indices, mlir::Value value);

  /// From here on `source` answers for `v`, for scalars and lanes alike.
  using Source = std::function<mlir::Value(llvm::ArrayRef<Index>)>;
  void provide(mlir::Value v, Source source);

  /// From the indices of a root's result to those of the value that the kernel yields, forwards through
  /// element-wise ops, reshapes and transposes.
  Indices forward(mlir::Value from, llvm::ArrayRef<Index> indices, mlir::Value to);

  /// Scalar or lanes -> lanes.
  mlir::Value spread(mlir::Value value);
  mlir::Value spread(mlir::Value value, int64_t width);
  /// The value of a dimension expression, hoisted to the function body.
  virtual mlir::Value dim(mlir::AffineExpr expr);
  llvm::SmallVector<mlir::Value> dims(mlir::Value v);

  /// Load from / store to a dense row-major tensor of `type` at `pointer`, converting between storage and
  /// compute type. Masked by `lanes.mask`.
  mlir::Value load(mlir::RankedTensorType type, mlir::Value pointer, llvm::ArrayRef<Index> indices);
  void store(mlir::RankedTensorType type, mlir::Value pointer, llvm::ArrayRef<Index> indices,
             mlir::Value value);
  /// The row-major offset.
  Index linearize(llvm::ArrayRef<mlir::Value> dims, llvm::ArrayRef<Index> indices);
  Indices delinearize(llvm::ArrayRef<mlir::Value> dims, const Index &offset);

  /// Arithmetic on indices with lanes.
  Index uniform(mlir::Value base) { return {base, 0, {}}; }
  Index lane(mlir::Value base, int64_t stride = 1) { return {base, stride, {}}; }
  Index add(const Index &x, const Index &y);
  Index mul(const Index &x, mlir::Value factor);
  mlir::Value lanesOf(const Index &index); ///< vector<W x indexType>
  using Builder::add;
  using Builder::mul;

  /// Reserve thread-private scratch; returns its address. `bytes` over kernel symbols.
  mlir::Value reserveScratch(mlir::AffineExpr bytes);
  /// Report a run-time failure of `op` (TW_FAIL_*) with numbers a and b (i64).
  void fail(mlir::Operation *op, int code, mlir::Value a, mlir::Value b);

  /// The mask of lanes l with base + l < limit.
  mlir::Value laneMask(mlir::Value base, mlir::Value limit, int64_t width);
  /// The end of the whole blocks of `width` that fit between lo and hi.
  mlir::Value wholePart(mlir::Value lo, mlir::Value hi, int64_t width);
  /// for (i = lo; i < hi; i += width) in lanes: full blocks, then the tail as the target likes it. The body
  /// sees `lanes` set.
  void laneLoop(mlir::Value lo, mlir::Value hi, int64_t width,
                llvm::function_ref<void(mlir::Value base)> body);

  static mlir::Type computeType(mlir::Type elementType);
  /// The graph's name of indexType: signed.
  mlir::Type signedIndexType();
  /// An f32 step done by the target's instruction, or null.
  virtual mlir::Value approximate(Approximation, mlir::Value) { return {}; }
  /// Remember offsets that `delinearize` takes apart, so that `linearize` gives them back as they were:
  /// tensors of the iteration's own shape are then read along the flat offset whatever their dimensions are.
  bool keepOffsets = false;
  /// Lanes of a native register for the widest type that the kernel computes in.
  int64_t nativeLanes() const;

  /// Keep `v`, whose dimensions `rowDims` vary within a row, in scratch at `pointer` while the current scope
  /// lives: later uses load it.
  void keepRow(mlir::Value v, llvm::ArrayRef<Index> indices, llvm::ArrayRef<int64_t> rowDims,
               mlir::Value pointer);

private:
  mlir::Value compute(mlir::Value v, llvm::ArrayRef<Index> indices);
  mlir::Value rounded(mlir::Value value, mlir::Value v);
  mlir::Value keptRow(mlir::Value v, llvm::ArrayRef<Index> indices);
  Key keyOf(const void *tag, mlir::Value v, llvm::ArrayRef<Index> indices);
  llvm::DenseMap<mlir::Value, Source> sources;
  int64_t alignmentOf(const Index &offset, int64_t bytes) const;
  struct Offset {
    llvm::SmallVector<mlir::Value, 6> dims;
    Indices indices;
    Index flat;
  };
  llvm::SmallVector<Offset, 0> offsets;
  Indices takeApart(llvm::ArrayRef<mlir::Value> dims, const Index &offset);
  const Offset *knownOffset(llvm::ArrayRef<mlir::Value> dims, llvm::ArrayRef<Index> indices) const;
  unsigned floorDepth = 0; ///< values are placed no further out than what a root defined last
  llvm::DenseMap<mlir::Value, llvm::SmallVector<int64_t>>
      rowDims; ///< which dimensions of a kept value vary within its row
};

/// A kernel turned into a function of loop IR, and what launching it needs.
struct EmittedKernel {
  mlir::AffineExpr extent;       ///< how many work items the program splits over threads (kernel symbols)
  mlir::AffineExpr scratchBytes; ///< per thread (kernel symbols)
  llvm::SmallVector<mlir::Location> sites;
  bool oversized = false; ///< it needs a size that does not fit in 63 bits: the code is wrong
};

/// Emit `kernel` into `module` as
///   func @NAME(ptr results..., ptr arguments..., i64 symbols..., i64 begin, i64 end, ptr scratch, ptr frame,
///   i64 firstSite)
/// computing work items [begin, end) of its extent.
llvm::FailureOr<EmittedKernel> emitKernel(kernel::FuncOp kernel, mlir::ModuleOp module,
                                          const TargetInfo &target, Precision precision = Precision::Default);

} // namespace tilewright::codegen
