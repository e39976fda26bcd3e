/// Passes.h - the passes, each with what it needs and what it leaves. Pipeline.cpp runs them in order and
/// says why in that order.
#pragma once
#include "codegen/target/Target.h"
#include "ir/Budget.h"
#include "ir/Graph.h"
#include "ir/Symbols.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace tilewright::passes {

/// Bytes of a constant that simplify computes; larger ones are computed when the artifact is written.
constexpr uint64_t defaultFoldLimit = 1024;

/// settleSizes: sizes of inputs that every run requires to be one number are that number.
///   requires  graph ops in func @main; the checks of graph.require have been collected, and come first in a
///   run ensures   no graph.require; of inputs and what follows from them, no size is a symbol that had to be
///   a constant example   require equal (s1, 64); %y = broadcast %x {exact} : ?x? -> ?x64    ->   %y =
///   reshape %x limits    nothing is settled where that would disprove what any op relies on, also in
///   branches
void settleSizes(mlir::ModuleOp module);

/// simplify: fewer and smaller ops that mean the same.
///   requires  graph ops in func @main
///   ensures   constants of at most `foldLimit` bytes are folded (by the interpreter), no dead or duplicate
///   pure ops, no identity movement, adjacent
///             transposes, reshapes, broadcasts and casts merged, zero pads in front of a conv its own,
///             divisions by powers of two multiplications
///   example   %t = transpose(transpose %x [0,2,1]) [0,2,1]; add %t, 0   ->   %x
///   limits    floating point is not reassociated
mlir::LogicalResult simplify(mlir::ModuleOp module, Budget *budget = nullptr,
                             uint64_t foldLimit = defaultFoldLimit);

/// integerProducts: products and convolutions of dequantised operands multiply the integers.
///   requires  simplify, before channelsLast
///   ensures   no contract or conv of f32 has two operands (q - zero) * scale of 8 bits, the right one
///   constant, with one scale and
///             zero point, or one for each entry of a dimension that is not summed, where the sums are known
///             to fit in 32 bits
///   example   contract((cast a - za) * sa, cast b * sb)  ->  cast(contract(a, b) - za * sum b) * (sa * sb)
///   limits    changes rounding: left out where precision is strict
mlir::LogicalResult integerProducts(mlir::ModuleOp module, Budget *budget = nullptr);

/// foldScales: factors of output channels move into constant weights and biases, so that batch normalisation
/// is gone.
///   requires  simplify, before channelsLast
///   ensures   no f32 or f64 product with constant weights, nor its sum with a constant bias, is only used
///   multiplied by
///             a constant along its channels
///   example   (conv(x, w) + b) * s  ->  conv(x, w * s) + b * s
///   limits    changes rounding: left out where precision is strict, and for what reaches floor, a cast to
///             integers, a comparison or another step through element-wise ops and movement
mlir::LogicalResult foldScales(mlir::ModuleOp module, Budget *budget = nullptr);

/// channelsLast: convolutions and windows in [N, spatial..., C] form.
///   requires  simplify
///   ensures   every conv and window has channelsLast; the transposes this needs are sunk through
///   element-wise ops, pads, concats, slices and reduces
///             until they meet their inverses, a graph input or output, or an op that fixes the order
///   example   relu(conv x)  ->  transpose(relu(conv.last(transpose x)))
mlir::LogicalResult channelsLast(mlir::ModuleOp module, Budget *budget = nullptr);

/// pointwiseToProducts: convolutions of one tap that touch nothing but their pixel are matrix products, on
/// every target.
///   requires  channelsLast
///   ensures   no conv has one tap, one group, stride 1 and no border
///   example   conv(x: 1x7x7x64, w: 1x1x64x8)  ->  contract(x, reshape w) [3] [0]
///   limits    weights of static shape
void pointwiseToProducts(mlir::ModuleOp module);

/// markHiddenQuotients: marks divisions of floats whose last bit nobody can tell (codegen/schedule/Marks.h).
///   requires  nothing; last before fuse, as rewrites drop marks
///   ensures   every marked quotient ends, by way of element-wise ops that are no steps and of movement, in
///             sums over many elements only: no output, step, control flow or sort reads it
///   example   softmax(x) * v marks softmax's division; softmax as an output does not
void markHiddenQuotients(mlir::ModuleOp module);

/// fuse: from graph ops to kernels and launches (Fusion.cpp decides, Outline.cpp rewrites).
///   requires  graph ops in func @main
///   ensures   work is in kernel.func; @main and the bodies of if and loop hold constants (and recipes over
///   them), kernel.launch, graph.reshape (a view), graph.define, if, loop example   y = relu(add(conv(x, w),
///   b))  ->  kernel.launch @k(x, w, b), with conv, add and relu in @k limits    one contract or conv a
///   kernel; reduces join their consumer only along whole rows; at most 48 ops a kernel
/// With `fold` false, only what the model stores counts as constant.
mlir::LogicalResult fuse(mlir::ModuleOp module, const codegen::TargetInfo &target, bool fold = true);

/// What a caller wants of one kernel: numbers that are not given are the default ones of the algorithm.
struct ScheduleOverride {
  std::string family, algorithm; ///< empty: the kernel's own, and the default one
  std::vector<std::pair<std::string, int64_t>> parameters;
};
/// By the hash of the kernel.
using ScheduleOverrides = llvm::StringMap<ScheduleOverride>;

/// schedule: every kernel says how it is computed (codegen/space chooses).
///   requires  fuse; every kernel has one launch
///   ensures   each kernel.func has a legal `schedule`, `constants` and a `hash`; packed products that read
///   one weight
///             agree on the width of their panels
///   returns   "", or what is wrong with an override
///   example   kernel.func @contract_0  ->  ... {schedule = #kernel.schedule<product tiles, rows = 14, ...>}
std::string schedule(mlir::ModuleOp module, const codegen::TargetInfo &target,
                     const ScheduleOverrides &overrides = {});

/// Whether every kernel has a legal schedule; of a GPU, every kernel that its back end has code for.
mlir::LogicalResult verifySchedules(mlir::ModuleOp module, const codegen::TargetInfo &target);

/// packConstants: constant right operands lie in the order in which micro-kernels stream them.
///   requires  schedule; every kernel has one launch
///   ensures   what a schedule calls packed has a `#kernel.layout`, the launch gives it by that recipe, and
///   the body reads
///             the logical weight where its argument is, with no movement between
///   example   launch @k(%x, %w: tensor<768x100xf32>)  ->  launch @k(%x, %p: tensor<4x768x32xf32>), and @k
///   has
///             layouts = [unit, #kernel.layout<pad [0, 0, 0, 28], reshape [1, 768, 1, 4, 32], ...>]
void packConstants(mlir::ModuleOp module);

/// mergeEqualKernels: one kernel.func for all launches that do the same.
///   requires  fuse (and packConstants, which rewrites kernels one by one)
///   ensures   kernels differ in their text
void mergeEqualKernels(mlir::ModuleOp module);
/// A kernel's canonical text: without its name, with positions for locations. Equal text, equal code.
std::string kernelText(kernel::FuncOp kernel);

/// The whole way from an imported graph to kernels and a program, in order (Pipeline.cpp). `stopAfterGraph`
/// leaves graph ops (for --emit=graph).
struct PipelineOptions {
  const ScheduleOverrides *schedules = nullptr;
  std::string *scheduleProblem = nullptr; ///< what is wrong with them; the pipeline fails then
  bool stopAfterGraph = false;
  bool strict = false; ///< no pass may change rounding
  bool verify = true;  ///< after every pass
  bool fold = true;    ///< false: kernels compute constants, too
  Budget *budget = nullptr;
};
mlir::LogicalResult runPipeline(mlir::ModuleOp module, const codegen::TargetInfo &target,
                                const PipelineOptions &options);

} // namespace tilewright::passes
