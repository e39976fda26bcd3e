//===- GraphOps.td - the ops of the graph dialect ------------------------------===//
#ifndef TILEWRIGHT_GRAPH_OPS
#define TILEWRIGHT_GRAPH_OPS

include "ir/GraphDialect.td"

class Graph_Op<string mnemonic, list<Trait> traits = []> : Op<Graph_Dialect, mnemonic, traits> {
  let hasVerifier = 1;
}
class Graph_PureOp<string mnemonic, list<Trait> traits = []> : Graph_Op<mnemonic, !listconcat([Pure], traits)>;

//===- Leaves ------------------------------------------------------------------===//
def Graph_ConstantOp : Graph_PureOp<"constant", [ConstantLike]> {
  let summary = "a small constant, held in the IR";
  let description = [{C1: the value's shape and element type are the result's (signless storage for integers of its width).
    Larger constants are `graph.weight`, or ops over it.}];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let hasFolder = 1;
}
def Graph_WeightOp : Graph_PureOp<"weight"> {
  let summary = "a large constant, read from a file when the artifact is written";
  let description = [{C1: static shape. C2: `length` is the byte size of the elements in ONNX packing (sub-byte types packed).
    `file` is an absolute path; `offset` counts from its start. Ops whose operands are all constants are constants too (a recipe)
    and are evaluated by the interpreter when the artifact is written.}];
  let arguments = (ins StrAttr:$file, I64Attr:$offset, I64Attr:$length);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$file `at` $offset `for` $length attr-dict `:` type($result)";
}
def Graph_DimsOp : Graph_PureOp<"dims"> {
  let summary = "the values of symbolic expressions, as a tensor";
  let description = "C1: result is rank 0 or 1, si64 or si32, with one element for each expression of `exprs` (row-major).";
  let arguments = (ins AffineMapAttr:$exprs);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$exprs attr-dict `:` type($result)";
}
def Graph_IotaOp : Graph_PureOp<"iota"> {
  let summary = "result[i0, i1, ...] = i_axis";
  let arguments = (ins I64Attr:$axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$axis attr-dict `:` type($result)";
}
def Graph_DefineOp : Graph_Op<"define"> {
  let summary = "give symbols their run-time values";
  let description = [{Symbol `symbols[k]` is the k-th element of the integer tensor `values` from here on. C1: `values` has rank <= 1
    and as many elements as `symbols`. A value outside the symbol's range is a run-time error. Types that name the symbol may only appear after.
    Kept in program order.}];
  let arguments = (ins Graph_Tensor:$values, DenseI64ArrayAttr:$symbols);
  let assemblyFormat = "$values $symbols attr-dict `:` type($values)";
  let extraClassDeclaration = [{
    /// Present where a value outside the range means that a branch is taken which cannot run.
    static constexpr llvm::StringLiteral branchAttribute = "graph.branch";
  }];
}

def Graph_RequireOp : Graph_Op<"require"> {
  let summary = "two sizes must fit, or the run fails";
  let description = [{`sizes` are have, want and possibly when; `what` says in words what they are. C1: two or three expressions.
    equal: the same. reshape: the same, as counts of elements. repeat: the same, or have is 1. either: the same, or one of them is 1. at_most: have <= want.
    at_least: have >= want. Nothing is asked where `when` is 0. Importers write one for each relation that cannot be decided when the model is compiled; it
    becomes a check of its block, and the first pass takes it out.}];
  let arguments = (ins Graph_RelationAttr:$kind, AffineMapAttr:$sizes, StrAttr:$what);
  let assemblyFormat = "$kind $sizes $what attr-dict";
}

//===- Element-wise: operands and result have one shape -------------------------===//
class Graph_Elementwise<string mnemonic, list<Trait> traits = []> : Graph_PureOp<mnemonic, traits>;
def Graph_UnaryOp : Graph_Elementwise<"unary"> {
  let description = [{C1: result type equals the operand's, except isnan and isinf (i1). Floats compute in at least f32 and round once.
    round is to nearest even. sign(NaN) is NaN. neg and abs wrap for integers.}];
  let arguments = (ins Graph_UnaryAttr:$kind, Graph_Tensor:$operand);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$kind $operand attr-dict `:` type($operand) `->` type($result)";
}
def Graph_BinaryOp : Graph_Elementwise<"binary", [AllTypesMatch<["lhs", "rhs", "result"]>]> {
  let description = [{C1: one type for operands and result. Integers wrap; div truncates toward zero; rem takes the dividend's sign
    (C's % and fmod), mod the divisor's (Python's %). min and max propagate NaN. shr is arithmetic for signed, logical for unsigned;
    shift amounts >= the width give 0 (or the sign). Integer division by zero is a run-time error; the lowest number
    by -1 wraps. Division of floats rounds correctly.}];
  let arguments = (ins Graph_BinaryAttr:$kind, Graph_Tensor:$lhs, Graph_Tensor:$rhs);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$kind $lhs `,` $rhs attr-dict `:` type($result)";
}
def Graph_CompareOp : Graph_Elementwise<"compare", [AllTypesMatch<["lhs", "rhs"]>]> {
  let description = "C1: operands have one type; result is i1 of their shape. Ordered comparisons with NaN are false, ne is true.";
  let arguments = (ins Graph_CompareAttr:$kind, Graph_Tensor:$lhs, Graph_Tensor:$rhs);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$kind $lhs `,` $rhs attr-dict `:` type($lhs) `->` type($result)";
}
def Graph_SelectOp : Graph_Elementwise<"select", [AllTypesMatch<["onTrue", "onFalse", "result"]>]> {
  let description = "C1: condition is i1; both values have the result's type.";
  let arguments = (ins Graph_Tensor:$condition, Graph_Tensor:$onTrue, Graph_Tensor:$onFalse);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$condition `,` $onTrue `,` $onFalse attr-dict `:` type($condition) `,` type($result)";
}
def Graph_CastOp : Graph_Elementwise<"cast"> {
  let description = [{Convert the element type. Float to integer truncates toward zero; NaN gives 0. Out of range, 8 and 16 bits wrap by way of
    si32 and ui32 by way of si64 (0 where that is out of range, too), si32 and si64 give their lowest number, and ui64 takes negative
    numbers by way of si64 and is its largest number from 2^64 on;
    integer to integer wraps; anything to bool is != 0; float to float rounds to nearest even. `saturate`: float8 results saturate instead of
    overflowing to inf/NaN, and float to integer clamps to the integer's range.}];
  let arguments = (ins Graph_Tensor:$operand, UnitAttr:$saturate);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand (`saturate` $saturate^)? attr-dict `:` type($operand) `->` type($result)";
}
def Graph_BitcastOp : Graph_Elementwise<"bitcast"> {
  let description = "C1: element types have the same width.";
  let arguments = (ins Graph_Tensor:$operand);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand) `->` type($result)";
}

//===- Movement -----------------------------------------------------------------===//
def Graph_BroadcastOp : Graph_PureOp<"broadcast"> {
  let summary = "repeat along dimensions";
  let description = [{Operand dimension i is result dimension dims[i]. C1: dims is strictly increasing. C2: each operand dimension equals the result's
    or is 1; a symbolic operand dimension that is not provably equal is checked at run time to be one or the other.
    C3: `exact` repeats nothing: ranks agree and sizes are equal, however they are written; checked at run time where it cannot be proved.}];
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$dims, UnitAttr:$exact);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand $dims attr-dict `:` type($operand) `->` type($result)";
}
def Graph_ReshapeOp : Graph_PureOp<"reshape"> {
  let description = "C1: element counts are equal (checked at run time where it cannot be proved).";
  let arguments = (ins Graph_Tensor:$operand);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand) `->` type($result)";
}
def Graph_TransposeOp : Graph_PureOp<"transpose"> {
  let description = "result dimension i is operand dimension perm[i].";
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$perm);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand $perm attr-dict `:` type($operand) `->` type($result)";
}
def Graph_SliceOp : Graph_PureOp<"slice"> {
  let summary = "result[i] = operand[starts + i * steps]";
  let description = [{`starts` has one expression a dimension; C1: steps are not 0 (negative ones walk backwards); C2: all indices are in range (by construction).}];
  let arguments = (ins Graph_Tensor:$operand, AffineMapAttr:$starts, DenseI64ArrayAttr:$steps);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand custom<InlineMap>($starts) $steps attr-dict `:` type($operand) `->` type($result)";
}
def Graph_ConcatOp : Graph_PureOp<"concat"> {
  let arguments = (ins Variadic<Graph_Tensor>:$operands, I64Attr:$axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operands `axis` $axis attr-dict `:` type($operands) `->` type($result)";
}
def Graph_PadOp : Graph_PureOp<"pad"> {
  let summary = "extend at both ends";
  let description = [{`low` has one expression a dimension, >= 0; the result's dimensions give the rest. `value` (rank 0) fills in mode constant.
    C1: in modes edge, reflect and wrap the operand is not empty along padded dimensions; reflect does not repeat the border and pads less than the size.}];
  let arguments = (ins Graph_Tensor:$operand, Graph_Tensor:$value, AffineMapAttr:$low, Graph_PadAttr:$mode);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$mode $operand `,` $value custom<InlineMap>($low) attr-dict `:` type($operand) `,` type($value) `->` type($result)";
}
def Graph_GatherOp : Graph_PureOp<"gather"> {
  let summary = "take slices along an axis";
  let description = [{result[a..., i..., b...] = operand[a..., indices[i...], b...] with i... at `axis`. Indices are si32 or si64; negative ones count from the end; out of
    range is a run-time error.}];
  let arguments = (ins Graph_Tensor:$operand, Graph_Tensor:$indices, I64Attr:$axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `,` $indices `axis` $axis attr-dict `:` type($operand) `,` type($indices) `->` type($result)";
}
def Graph_GatherElementsOp : Graph_PureOp<"gather_elements"> {
  let description = "result[i] = operand[i with i_axis replaced by indices[i]]; result has the shape of indices (ONNX GatherElements).";
  let arguments = (ins Graph_Tensor:$operand, Graph_Tensor:$indices, I64Attr:$axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `,` $indices `axis` $axis attr-dict `:` type($operand) `,` type($indices) `->` type($result)";
}
def Graph_GatherNDOp : Graph_PureOp<"gather_nd"> {
  let description = "ONNX GatherND with `batchDims`.";
  let arguments = (ins Graph_Tensor:$operand, Graph_Tensor:$indices, I64Attr:$batchDims);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `,` $indices `batch` $batchDims attr-dict `:` type($operand) `,` type($indices) `->` type($result)";
}
def Graph_ScatterElementsOp : Graph_PureOp<"scatter_elements", [AllTypesMatch<["operand", "result"]>]> {
  let description = "ONNX ScatterElements: updates in row-major order, so duplicates are deterministic (the last one wins for assign).";
  let arguments = (ins Graph_Tensor:$operand, Graph_Tensor:$indices, Graph_Tensor:$updates, I64Attr:$axis, Graph_ScatterAttr:$kind);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$kind $operand `,` $indices `,` $updates `axis` $axis attr-dict `:` type($operand) `,` type($indices) `,` type($updates)";
}
def Graph_ScatterNDOp : Graph_PureOp<"scatter_nd", [AllTypesMatch<["operand", "result"]>]> {
  let description = "ONNX ScatterND, updates in row-major order.";
  let arguments = (ins Graph_Tensor:$operand, Graph_Tensor:$indices, Graph_Tensor:$updates, Graph_ScatterAttr:$kind);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$kind $operand `,` $indices `,` $updates attr-dict `:` type($operand) `,` type($indices) `,` type($updates)";
}
def Graph_CompactOp : Graph_PureOp<"compact"> {
  let summary = "the row-major positions of the true elements";
  let description = [{mask is i1; result is [count, rank(mask)] si64, count being a symbol defined before from the number of true elements (C1).}];
  let arguments = (ins Graph_Tensor:$mask);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$mask attr-dict `:` type($mask) `->` type($result)";
}

//===- Reductions -----------------------------------------------------------------===//
def Graph_ReduceOp : Graph_PureOp<"reduce"> {
  let description = [{Reduce away `dims` (strictly increasing). Floats accumulate in at least f32. max and min propagate NaN; of nothing: the type's lowest/highest value
    (-inf/+inf for floats). Integers wrap; bool: sum is or, prod is and, max is or, min is and.}];
  let arguments = (ins Graph_ReduceAttr:$kind, Graph_Tensor:$operand, DenseI64ArrayAttr:$dims);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$kind $operand $dims attr-dict `:` type($operand) `->` type($result)";
}
def Graph_ArgReduceOp : Graph_PureOp<"arg_reduce"> {
  let description = "Index (si64) of the largest (`isMax`) or smallest element along `axis`, which is removed; the first one, or the last with `lastIndex`. NaN counts as the extreme.";
  let arguments = (ins Graph_Tensor:$operand, I64Attr:$axis, BoolAttr:$isMax, BoolAttr:$lastIndex);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `axis` $axis attr-dict `:` type($operand) `->` type($result)";
}
def Graph_ScanOp : Graph_PureOp<"scan"> {
  let description = "Running sum or product along `axis`; `exclusive` starts from the neutral element, `reverse` runs from the end.";
  let arguments = (ins Graph_ReduceAttr:$kind, Graph_Tensor:$operand, I64Attr:$axis, BoolAttr:$exclusive, BoolAttr:$reverse);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$kind $operand `axis` $axis attr-dict `:` type($operand) `->` type($result)";
}
def Graph_SortOp : Graph_PureOp<"sort"> {
  let description = [{Stable sort along `axis`: values and their si64 positions. NaN counts as the largest. The results' size along the axis may be smaller than the operand's: the
    first ones are kept (top-k).}];
  let arguments = (ins Graph_Tensor:$operand, I64Attr:$axis, BoolAttr:$descending);
  let results = (outs Graph_Tensor:$values, Graph_Tensor:$indices);
  let assemblyFormat = "$operand `axis` $axis attr-dict `:` type($operand) `->` type($values) `,` type($indices)";
}
def Graph_WindowOp : Graph_PureOp<"window"> {
  let summary = "pooling";
  let description = [{Dimensions are [N, C, spatial...], or [N, spatial..., C] with `channelsLast`. Taps outside the operand are skipped; a window with none gives the neutral element.
    wargmax: si64 flat position of the maximum within the whole operand of one (n, c) slice, in row-major spatial order. C1: one kernel, stride, dilation and low pad a spatial dimension;
    the result's dimensions say how far windows go.}];
  let arguments = (ins Graph_WindowAttr:$kind, Graph_Tensor:$operand, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations,
                       AffineMapAttr:$low, UnitAttr:$channelsLast);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$kind $operand attr-dict `:` type($operand) `->` type($result)";
}

//===- Contractions ---------------------------------------------------------------===//
def Graph_ContractOp : Graph_PureOp<"contract"> {
  let summary = "general dot product";
  let description = [{result[batch..., lhs free..., rhs free...] = sum over the contracted dimensions of lhs * rhs. Batch dimensions come first in the order of lhsBatch; free dimensions in operand order.
    C1: the four lists pair dimensions of equal size. C2: result element type: floats equal the operands' (accumulated in at least f32); integers si32 (or si64) for any integer operands, wrapping.}];
  let arguments = (ins Graph_Tensor:$lhs, Graph_Tensor:$rhs, DenseI64ArrayAttr:$lhsBatch, DenseI64ArrayAttr:$rhsBatch,
                       DenseI64ArrayAttr:$lhsContract, DenseI64ArrayAttr:$rhsContract);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{$lhs `,` $rhs `batch` $lhsBatch $rhsBatch `contract` $lhsContract $rhsContract attr-dict `:` type($lhs) `,` type($rhs) `->` type($result)}];
}
def Graph_ConvOp : Graph_PureOp<"conv"> {
  let summary = "convolution of any rank, groups, dilation on both sides";
  let description = [{lhs is [N, C, spatial...] and rhs [O, C/groups, spatial...]; with `channelsLast` lhs is [N, spatial..., C], rhs [spatial..., C/groups, O], result [N, spatial..., O].
    `lhsDilation` spreads the operand with zeros (transposed convolutions), `low` pads it in front (may be negative: cropped) after spreading; the result's dimensions give the rest. No kernel flip.
    C1: C and O are multiples of groups. C2: as contract's C2. C3: one stride, dilation and pad a spatial dimension.}];
  let arguments = (ins Graph_Tensor:$lhs, Graph_Tensor:$rhs, DenseI64ArrayAttr:$strides, AffineMapAttr:$low,
                       DenseI64ArrayAttr:$lhsDilation, DenseI64ArrayAttr:$rhsDilation, I64Attr:$groups, UnitAttr:$channelsLast);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs) `->` type($result)";
}

//===- Control flow ----------------------------------------------------------------===//
def Graph_IfOp : Graph_Op<"if", [RecursiveMemoryEffects, SingleBlock, NoRegionArguments]> {
  let summary = "run one of two regions";
  let description = [{condition: i1 with one element. C1: both regions end in graph.yield. C2: yielded types equal the results' up to symbols: where branches differ in a dimension, the result has a fresh
    symbol for it, listed in `symbols`, with one expression a branch in `thenDims` / `elseDims`.}];
  let arguments = (ins Graph_Tensor:$condition, DenseI64ArrayAttr:$symbols, AffineMapAttr:$thenDims, AffineMapAttr:$elseDims);
  let results = (outs Variadic<Graph_Tensor>:$results);
  let regions = (region SizedRegion<1>:$thenRegion, SizedRegion<1>:$elseRegion);
}
def Graph_LoopOp : Graph_Op<"loop", [RecursiveMemoryEffects, SingleBlock]> {
  let summary = "counted and conditional loop with carried values and stacked outputs";
  let description = [{Runs the body for i = 0, 1, ... while i < tripCount (one si64 element; negative: no limit) and the condition (one i1 element) holds. Body arguments: i (tensor<si64>), then the carried values.
    The body yields: the next condition (tensor<i1>), the next carried values, then one slice for each stacked output. Results: final carried values, then the stacked outputs with a new leading dimension: the symbol `iterations`
    (defined by this op; -1 when there is no stacked output), or a constant dimension.
    Dimensions may change from one iteration to the next: those of the body's arguments, and of the slices in the stacked outputs' types, that are among `symbols`. Symbol `symbols[k]` is `initialDims[k]`
    in the first iteration (or after the loop, where there is none) and `nextDims[k]`, over the body's symbols, in the next and after the last. Those in the stacked outputs' types are 0 at first, and
    nextDims must be the same after each iteration, or the run fails.
    C1: the initial and the yielded types are the arguments' with `symbols` replaced by initialDims and nextDims.}];
  let arguments = (ins Graph_Tensor:$tripCount, Graph_Tensor:$condition, Variadic<Graph_Tensor>:$initial, I64Attr:$iterations,
                       OptionalAttr<DenseI64ArrayAttr>:$symbols, OptionalAttr<AffineMapAttr>:$initialDims, OptionalAttr<AffineMapAttr>:$nextDims);
  let results = (outs Variadic<Graph_Tensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let builders = [OpBuilder<(ins "mlir::TypeRange":$types, "mlir::Value":$tripCount, "mlir::Value":$condition,
                                 "mlir::ValueRange":$initial, "int64_t":$iterations), [{
    build($_builder, $_state, types, tripCount, condition, initial, uint64_t(iterations), nullptr, nullptr, nullptr);
  }]>];
  let extraClassDeclaration = [{
    llvm::ArrayRef<int64_t> symbolsThatChange() { return getSymbols().value_or(llvm::ArrayRef<int64_t>()); }
    /// Whether the symbol is a size of the slices of a stacked output.
    bool isSliceSize(int64_t symbol);
  }];
}
def Graph_YieldOp : Graph_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let arguments = (ins Variadic<Graph_Tensor>:$operands);
  let assemblyFormat = "($operands^ `:` type($operands))? attr-dict";
  let hasVerifier = 0;
}

#endif
