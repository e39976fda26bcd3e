//===- KernelOps.td - the kernel dialect: fusion groups and the program that launches them -===//
// Tensor IR: a kernel.func holds one fusion group as graph ops over its arguments; func.func @main is the program, in value
// semantics, with kernel.launch for work, graph.reshape for views, graph.define / if / loop for control.
#ifndef TILEWRIGHT_KERNEL_OPS
#define TILEWRIGHT_KERNEL_OPS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let cppNamespace = "::tilewright::kernel";
  let useDefaultAttributePrinterParser = 1;
}
def Kernel_Tensor : Type<CPred<"::llvm::isa<::mlir::RankedTensorType>($_self)">, "tensor", "::mlir::RankedTensorType">;

class Kernel_Attr<string name, string keyword> : AttrDef<Kernel_Dialect, name> {
  let mnemonic = keyword;
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}
def Kernel_ScheduleAttr : Kernel_Attr<"Schedule", "schedule"> {
  let summary = "how a kernel is computed: `#kernel.schedule<product tiles, columns = 32, rows = 14, ...>`";
  let description = [{The root family of the kernel, an algorithm of that family, and a number for each of its parameters. What there is to choose from, and what
    is legal for which kernel and target: codegen/schedule. S1: every parameter is a 64-bit number.}];
  let parameters = (ins "::mlir::StringAttr":$family, "::mlir::StringAttr":$algorithm, "::mlir::DictionaryAttr":$parameters);
  let extraClassDeclaration = [{
    /// The number of a parameter that the algorithm has.
    int64_t operator[](::llvm::StringRef name) const;
    std::optional<int64_t> find(::llvm::StringRef name) const;
    /// The same schedule with another number.
    ScheduleAttr with(::llvm::StringRef name, int64_t value) const;
  }];
}
def Kernel_LayoutStepAttr : Kernel_Attr<"LayoutStep", "layout_step"> {
  let summary = "one step from a logical value to what is stored: `transpose [1, 0]`, `pad [0, 12]`, `reshape [4, 16]`";
  let description = [{L1: a transpose names every dimension once, a pad adds no less than 0 zeros behind each dimension, a reshape keeps the number of elements.}];
  let parameters = (ins "::mlir::StringAttr":$kind, "::mlir::DenseI64ArrayAttr":$numbers);
}
def Kernel_LayoutAttr : Kernel_Attr<"Layout", "layout"> {
  let summary = "how an argument lies in memory: steps from its logical value, in order";
  let parameters = (ins ArrayRefParameter<"LayoutStepAttr">:$steps);
  let extraClassDeclaration = [{
    /// The type of what is stored for a logical value of this type; null where a step does not fit it.
    ::mlir::RankedTensorType storedType(::mlir::RankedTensorType logical) const;
  }];
}

def Kernel_FuncOp : Op<Kernel_Dialect, "func", [Symbol, IsolatedFromAbove, SingleBlock]> {
  let summary = "one fusion group";
  let description = [{The body is one block of graph ops over logical values, ending in kernel.yield. The root decides how it is computed: a contraction (two in a row chain), a
    convolution, a serial op (scan, sort, scatter, compact), or none: then it is loops over the yielded values, which may reduce rows or windows.
    K1: the body ends in kernel.yield. K2: at most one root, or two contractions of which the second reads what follows from the first. K3: `schedule` is of the
    root family of the body (ir/OpFacts.h). K4: `constants` are the positions of arguments, ascending: those that every launch gives a constant expression.
    K5: `layouts` has one entry for each argument, unit for row-major. K6: an argument with a layout is a constant, is read once, and every step of the layout fits it.
    `hash` names the kernel before it was scheduled: of its text without names, weights, schedule and layouts.}];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<Kernel_ScheduleAttr>:$schedule, OptionalAttr<ArrayAttr>:$layouts,
    OptionalAttr<DenseI64ArrayAttr>:$constants, OptionalAttr<StrAttr>:$hash);
  let regions = (region SizedRegion<1>:$body);
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Null: row-major.
    LayoutAttr layoutOf(unsigned argument);
    void setLayout(unsigned argument, LayoutAttr layout);
    bool isConstant(unsigned argument);
  }];
}
def Kernel_YieldOp : Op<Kernel_Dialect, "yield", [Pure, Terminator, ReturnLike, HasParent<"FuncOp">]> {
  let arguments = (ins Variadic<Kernel_Tensor>:$operands);
  let assemblyFormat = "($operands^ `:` type($operands))? attr-dict";
}
def Kernel_LaunchOp : Op<Kernel_Dialect, "launch", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "run a kernel over the whole team";
  let description = [{`symbols` gives, for each symbol of the kernel (its types use s0, s1, ... locally), the expression over the program's symbols. N1: there is such a kernel, with as many
    arguments and results. N2: each operand has the rank, static sizes and element type of what the kernel's argument stores (its layout), each result those of what it yields.}];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<Kernel_Tensor>:$operands, AffineMapAttr:$symbols);
  let results = (outs Variadic<Kernel_Tensor>:$results);
  let assemblyFormat = "$kernel `(` $operands `)` $symbols attr-dict `:` functional-type($operands, $results)";
}

#endif
