//===- GraphDialect.td - the graph dialect: whole models with value semantics -===//
// Numbered constraints (C1, C2, ...) are followed by the verifier (GraphOps.cpp), the interpreter and the tests.
#ifndef TILEWRIGHT_GRAPH_DIALECT
#define TILEWRIGHT_GRAPH_DIALECT

include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def Graph_Dialect : Dialect {
  let name = "graph";
  let cppNamespace = "::tilewright::graph";
  let summary = "Whole neural networks: an orthogonal op set with value semantics and symbolic dimensions.";
  let useDefaultAttributePrinterParser = 1;
}

//===- Types ------------------------------------------------------------------===//
// Tensors are builtin ranked tensors. Integers are signed (si8 ... si64), unsigned (ui8 ... ui64) or bool (i1).
// A tensor with dynamic dimensions carries an affine map as encoding, `()[s0, s1] -> (s0, s0 + s1, 128)`: one expression for
// each dimension over the module's symbols (see Symbols.h).
def Graph_Tensor : Type<CPred<"::llvm::isa<::mlir::RankedTensorType>($_self)">, "tensor", "::mlir::RankedTensorType">;

//===- Enumerations -----------------------------------------------------------===//
class Graph_Kind<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::tilewright::graph";
  let genSpecializedAttr = 0;
}
class Case<string name, int value> : I32EnumAttrCase<name, value, name>;

def Graph_UnaryKind : Graph_Kind<"UnaryKind", "element-wise function of one operand", [
  Case<"neg", 0>, Case<"abs", 1>, Case<"sign", 2>, Case<"exp", 3>, Case<"log", 4>, Case<"sqrt", 5>, Case<"rsqrt", 6>,
  Case<"sin", 7>, Case<"cos", 8>, Case<"tan", 9>, Case<"asin", 10>, Case<"acos", 11>, Case<"atan", 12>, Case<"sinh", 13>,
  Case<"cosh", 14>, Case<"tanh", 15>, Case<"asinh", 16>, Case<"acosh", 17>, Case<"atanh", 18>, Case<"erf", 19>,
  Case<"sigmoid", 20>, Case<"floor", 21>, Case<"ceil", 22>, Case<"round", 23>, Case<"trunc", 24>, Case<"bitnot", 25>,
  Case<"isnan", 26>, Case<"isinf", 27>, Case<"log1p", 28>, Case<"expm1", 29>, Case<"lgamma", 30>,
  Case<"reciprocal", 31>]>;
def Graph_BinaryKind : Graph_Kind<"BinaryKind", "element-wise function of two operands of one type", [
  Case<"add", 0>, Case<"sub", 1>, Case<"mul", 2>, Case<"div", 3>, Case<"rem", 4>, Case<"mod", 5>, Case<"pow", 6>,
  Case<"min", 7>, Case<"max", 8>, Case<"iand", 9>, Case<"ior", 10>, Case<"ixor", 11>, Case<"shl", 12>, Case<"shr", 13>,
  Case<"atan2", 14>]>;
def Graph_CompareKind : Graph_Kind<"CompareKind", "comparison", [
  Case<"eq", 0>, Case<"ne", 1>, Case<"lt", 2>, Case<"le", 3>, Case<"gt", 4>, Case<"ge", 5>]>;
def Graph_ReduceKind : Graph_Kind<"ReduceKind", "associative reduction", [
  Case<"sum", 0>, Case<"prod", 1>, Case<"rmax", 2>, Case<"rmin", 3>]>;
def Graph_PadMode : Graph_Kind<"PadMode", "what lies outside", [
  Case<"constant", 0>, Case<"edge", 1>, Case<"reflect", 2>, Case<"wrap", 3>]>;
def Graph_ScatterKind : Graph_Kind<"ScatterKind", "how an update meets the old value", [
  Case<"assign", 0>, Case<"sadd", 1>, Case<"smul", 2>, Case<"smax", 3>, Case<"smin", 4>]>;
def Graph_RelationKind : Graph_Kind<"RelationKind", "what two sizes, have and want, must be to each other", [
  Case<"equal", 0>, Case<"reshape", 1>, Case<"repeat", 2>, Case<"either", 3>, Case<"at_most", 4>, Case<"at_least", 5>]>;
def Graph_WindowKind : Graph_Kind<"WindowKind", "reduction over a sliding window", [
  Case<"wmax", 0>, Case<"wsum", 1>, Case<"wargmax", 2>]>;

class Graph_Enum<EnumInfo info> : EnumAttr<Graph_Dialect, info, !tolower(info.className)> {
  let assemblyFormat = "`<` $value `>`";
}
def Graph_UnaryAttr : Graph_Enum<Graph_UnaryKind>;
def Graph_BinaryAttr : Graph_Enum<Graph_BinaryKind>;
def Graph_CompareAttr : Graph_Enum<Graph_CompareKind>;
def Graph_ReduceAttr : Graph_Enum<Graph_ReduceKind>;
def Graph_PadAttr : Graph_Enum<Graph_PadMode>;
def Graph_ScatterAttr : Graph_Enum<Graph_ScatterKind>;
def Graph_RelationAttr : Graph_Enum<Graph_RelationKind>;
def Graph_WindowAttr : Graph_Enum<Graph_WindowKind>;

#endif
