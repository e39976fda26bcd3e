//===- ProgramOps.td - the program dialect: the steps of a run -===//
// Program IR: a program.func declares buffers, constants and views, and then lists the steps that every thread of the team walks. Memory,
// barriers and lives are explicit, and emitting it takes no decision. The constraints (C1, C2, ...) are numbered for the whole dialect:
// README.md has the list, ProgramVerify.cpp and ProgramOrder.cpp check it.
#ifndef TILEWRIGHT_PROGRAM_OPS
#define TILEWRIGHT_PROGRAM_OPS

include "ir/GraphDialect.td"
include "ir/ProgramKinds.td"
include "mlir/IR/SymbolInterfaces.td"

def Program_Dialect : Dialect {
  let name = "program";
  let cppNamespace = "::tilewright::program";
  let dependentDialects = ["::tilewright::graph::GraphDialect"];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}
def Program_BufferType : TypeDef<Program_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "memory that holds a tensor; which one, its declaration says";
}
def Program_Buffer : DialectType<Program_Dialect, CPred<"::llvm::isa<::tilewright::program::BufferType>($_self)">, "buffer">,
                     BuildableType<"$_builder.getType<::tilewright::program::BufferType>()">;
def Program_Tensor : TypeAttrOf<Graph_Tensor>;

def Program_BufferKindAttr : EnumAttr<Program_Dialect, Program_BufferKind, "kind"> { let assemblyFormat = "$value"; }

def Program_Step : OpInterface<"Step"> {
  let cppNamespace = "::tilewright::program";
  let description = "What the program does at run time, in order: all there is to know of an op in order to prove that a program is sound.";
  let methods = [
    InterfaceMethod<"The device that does it; 0: the CPU.", "uint32_t", "deviceOfStep", (ins), "", "return 0;">,
    InterfaceMethod<"Whether thread 0 does it alone; else all threads do, each its share or each for itself.", "bool", "isByThreadZero", (ins), "",
                    "return false;">,
    InterfaceMethod<"What it reads and writes, the reads first. Steps inside are steps of their own.", "void", "visitAccesses",
                    (ins "llvm::function_ref<void(const ::tilewright::program::Access &)>":$visit)>];
}

class Program_Op<string mnemonic, list<Trait> traits = []> : Op<Program_Dialect, mnemonic, traits>;
def Program_Inside : ParentOneOf<["FuncOp", "IfOp", "LoopOp"]>;
class Program_StepOp<string mnemonic, list<Trait> traits = [], list<string> own = ["visitAccesses"]>
    : Program_Op<mnemonic, !listconcat(traits, [Program_Inside, DeclareOpInterfaceMethods<Program_Step, own>])>;

//===- Declarations ----------------------------------------------------------===//
def Program_FuncOp : Program_Op<"func", [Symbol, IsolatedFromAbove, SingleBlock]> {
  let summary = "the program of a model";
  let description = [{Graph ops (recipes of constants), constants, buffers and views; then steps; then program.return. The team meets before the first step
    and after the last. Its module has the table of symbols.}];
  let arguments = (ins SymbolNameAttr:$sym_name);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name $body attr-dict-with-keyword";
  let hasRegionVerifier = 1;
}
def Program_BufferOp : Program_Op<"buffer", [Program_Inside]> {
  let summary = "memory of a run";
  let description = [{Lives from phase `birth` to phase `death`, both included: arena buffers of one device whose lives do not meet may share memory. `io` is the number of the
    input or output. `over`: the growable buffer whose memory this one takes over. The tensor says how many bytes there are; they are row-major.}];
  let arguments = (ins Program_BufferKindAttr:$kind, OptionalAttr<I32Attr>:$io, I32Attr:$birth, I32Attr:$death,
                       Optional<Program_Buffer>:$alias, I32Attr:$device, Program_Tensor:$tensor);
  let results = (outs Program_Buffer:$result);
  let assemblyFormat = "`` $kind (`[` $io^ `]`)? `live` $birth `to` $death (`over` $alias^)? `on` $device `:` $tensor attr-dict";
}
def Program_ConstantOp : Program_Op<"constant", [Program_Inside]> {
  let summary = "a constant of the artifact";
  let description = "`value` is a constant expression, evaluated when the artifact is written. `offset`: where it is from the start of the weights, once that is known.";
  let arguments = (ins Graph_Tensor:$value, OptionalAttr<I64Attr>:$offset, I32Attr:$device);
  let results = (outs Program_Buffer:$result);
  let assemblyFormat = "$value (`at` $offset^)? `on` $device attr-dict `:` type($value)";
}
def Program_ViewOp : Program_Op<"view", [Program_Inside]> {
  let summary = "the same bytes as another tensor";
  let arguments = (ins Program_Buffer:$source, Program_Tensor:$tensor);
  let results = (outs Program_Buffer:$result);
  let assemblyFormat = "$source attr-dict `:` $tensor";
}

//===- Steps of the team -------------------------------------------------------===//
def Program_PhaseOp : Program_StepOp<"phase"> {
  let summary = "a barrier: here phase `number` begins";
  let description = [{Every thread waits for all others, and sees what they wrote before; a run that has failed ends here. Phase 0 begins with the program. Phases are numbered as they stand in the text.}];
  let arguments = (ins I32Attr:$number);
  let assemblyFormat = "$number attr-dict";
}
def Program_LaunchOp : Program_StepOp<"launch", [AttrSizedOperandSegments], ["visitAccesses", "deviceOfStep"]> {
  let summary = "each thread runs its share of a kernel";
  let description = [{Reads `sources` and writes all of `targets`. `symbols` gives, for each symbol of the kernel, the expression over the program's. `scratch` of `scratchBytes` for each thread,
    where only the program knows how much is needed; else the frame has enough. `site`: the first of the launch's failure sites.}];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<Program_Buffer>:$sources, Variadic<Program_Buffer>:$targets, AffineMapAttr:$symbols,
                       Optional<Program_Buffer>:$scratch, OptionalAttr<AffineMapAttr>:$scratchBytes, OptionalAttr<I32Attr>:$site, I32Attr:$device);
  let assemblyFormat = [{$kernel `(` $sources `)` `to` `(` $targets `)` `with` $symbols (`scratch` $scratch^ `of` $scratchBytes)? (`site` $site^)? `on` $device attr-dict}];
}
def Program_CopyOp : Program_StepOp<"copy", [], ["visitAccesses", "deviceOfStep"]> {
  let summary = "the bytes of one buffer to another";
  let description = "As many as the source's tensor has. `at`: to the place of slice number `at` of a stacked output, which keeps the others.";
  let arguments = (ins Program_Buffer:$source, Program_Buffer:$target, Optional<I64>:$at, I32Attr:$device);
  let assemblyFormat = "$source `to` $target (`at` $at^)? `on` $device attr-dict";
}
def Program_ReadOp : Program_StepOp<"read"> {
  let summary = "each thread reads a number from memory";
  let description = "A condition (i1), or a count (i64): a negative one is no limit, and reads as the largest number.";
  let arguments = (ins Program_Buffer:$buffer);
  let results = (outs AnyTypeOf<[I1, I64]>:$result);
  let assemblyFormat = "$buffer attr-dict `:` type($result)";
}
def Program_CheckOp : Program_StepOp<"check"> {
  let summary = "two sizes must fit, or the run fails at the next phase";
  let description = "Have, want and possibly when (graph.require). `later`: asked only where this number is not 0.";
  let arguments = (ins Graph_RelationAttr:$kind, AffineMapAttr:$sizes, Optional<I64>:$later, OptionalAttr<I32Attr>:$site);
  let assemblyFormat = "$kind $sizes (`later` $later^)? (`site` $site^)? attr-dict";
}
def Program_IfOp : Program_StepOp<"if", [NoTerminator, SingleBlock, NoRegionArguments]> {
  let summary = "all threads take the same branch";
  let arguments = (ins I1:$condition);
  let regions = (region SizedRegion<1>:$thenRegion, SizedRegion<1>:$elseRegion);
  let assemblyFormat = "$condition $thenRegion `else` $elseRegion attr-dict";
}
def Program_LoopOp : Program_StepOp<"loop", [SingleBlock]> {
  let summary = "while the condition holds, at most `count` times";
  let description = [{The body's argument is the number of the iteration; it yields the next condition. The result is how many iterations ran. `stacks` are the buffers that iterations fill slice by
    slice: written as a whole when the loop has ended.}];
  let arguments = (ins I64:$count, I1:$condition, Variadic<Program_Buffer>:$stacks);
  let results = (outs I64:$iterations);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$count `while` $condition (`stacks` `(` $stacks^ `)`)? $body attr-dict";
}
def Program_YieldOp : Program_Op<"yield", [Terminator, HasParent<"LoopOp">]> {
  let arguments = (ins I1:$condition);
  let assemblyFormat = "$condition attr-dict";
}
def Program_ReturnOp : Program_StepOp<"return", [Terminator, HasParent<"FuncOp">]> {
  let summary = "the outputs, in order";
  let arguments = (ins Variadic<Program_Buffer>:$outputs);
  let assemblyFormat = "($outputs^)? attr-dict";
}

//===- Steps of thread 0 ---------------------------------------------------------===//
class Program_ZeroOp<string mnemonic, list<string> own = ["visitAccesses"]>
    : Program_StepOp<mnemonic, [], !listconcat(own, ["isByThreadZero"])> {
  let extraClassDefinition = "bool $cppClass::isByThreadZero() { return true; }";
}
def Program_GrowOp : Program_ZeroOp<"grow"> {
  let summary = "room for so many bytes";
  let description = [{`bytes`, `times` a number (and one more), or for each thread of the team. With `keep` what the buffer holds stays, else it is lost. A number that does not fit in 64 bits fails the run.}];
  let arguments = (ins Program_Buffer:$buffer, AffineMapAttr:$bytes, Optional<I64>:$times, UnitAttr:$plusOne, UnitAttr:$perThread, UnitAttr:$keep);
  let assemblyFormat = "$buffer `to` $bytes (`times` $times^ (`plus_one` $plusOne^)?)? (`per_thread` $perThread^)? (`keep` $keep^)? attr-dict";
}
def Program_DefineOp : Program_ZeroOp<"define"> {
  let summary = "symbols get the values that a buffer holds";
  let description = "One outside its symbol's range fails the run. `branch`: it means that a branch is taken which cannot run.";
  let arguments = (ins Program_Buffer:$values, DenseI64ArrayAttr:$symbols, UnitAttr:$branch, OptionalAttr<I32Attr>:$site);
  let assemblyFormat = "$values $symbols (`branch` $branch^)? (`site` $site^)? attr-dict";
}
def Program_StoreOp : Program_ZeroOp<"store"> {
  let summary = "symbols get the values of expressions, or of one number";
  let description = "All are computed before the first is stored.";
  let arguments = (ins DenseI64ArrayAttr:$symbols, OptionalAttr<AffineMapAttr>:$values, Optional<I64>:$number);
  let assemblyFormat = "$symbols (`to` $values^)? (`number` $number^)? attr-dict";
}
def Program_WriteOp : Program_ZeroOp<"write"> {
  let summary = "a number to a buffer of one si64";
  let arguments = (ins I64:$number, Program_Buffer:$buffer);
  let assemblyFormat = "$number `to` $buffer attr-dict";
}
def Program_WaitOp : Program_ZeroOp<"wait", ["visitAccesses", "deviceOfStep"]> {
  let summary = "thread 0 waits until a device has done what it was given";
  let description = [{A device other than the CPU does its launches and copies in order, beside everything else. Thread 0 hands them over, when it gets there. All other threads see
    what they wrote in the phase after this one.}];
  let arguments = (ins I32Attr:$device);
  let assemblyFormat = "`on` $device attr-dict";
}

#endif
