//===- KernelOps.td - the kernel dialect: fusion groups and the program that launches them -===//
// Tensor IR: a kernel.func holds one fusion group as graph ops over its arguments; func.func @main is the program, in value
// semantics, with kernel.launch for work, graph.reshape for views, graph.define / if / loop for control.
#ifndef TILEWRIGHT_KERNEL_OPS
#define TILEWRIGHT_KERNEL_OPS

include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let cppNamespace = "::tilewright::kernel";
}
def Kernel_Tensor : Type<CPred<"::llvm::isa<::mlir::RankedTensorType>($_self)">, "tensor", "::mlir::RankedTensorType">;

def Kernel_FuncOp : Op<Kernel_Dialect, "func", [Symbol, IsolatedFromAbove, SingleBlock]> {
  let summary = "one fusion group";
  let description = [{The body is one block of graph ops ending in kernel.yield. C1: exactly one root op (contract, conv, window, scan, sort, scatter, compact, arg_reduce) or none (then the group is loops over the
    yielded value, with reduces computed per row). `schedule` is a dictionary that the emitter obeys; `packing` says which physical order each constant argument is stored in.}];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<DictionaryAttr>:$schedule);
  let regions = (region SizedRegion<1>:$body);
  let hasVerifier = 1;
}
def Kernel_YieldOp : Op<Kernel_Dialect, "yield", [Pure, Terminator, ReturnLike, HasParent<"FuncOp">]> {
  let arguments = (ins Variadic<Kernel_Tensor>:$operands);
  let assemblyFormat = "($operands^ `:` type($operands))? attr-dict";
}
def Kernel_LaunchOp : Op<Kernel_Dialect, "launch", [Pure]> {
  let summary = "run a kernel over the whole team";
  let description = [{`symbols` gives, for each symbol of the kernel (its types use s0, s1, ... locally), the expression over the program's symbols.}];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<Kernel_Tensor>:$operands, AffineMapAttr:$symbols);
  let results = (outs Variadic<Kernel_Tensor>:$results);
  let assemblyFormat = "$kernel `(` $operands `)` $symbols attr-dict `:` functional-type($operands, $results)";
}

#endif
