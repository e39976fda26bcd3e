//===- ProgramKinds.td - the enumeration of the program dialect -===//
#ifndef TILEWRIGHT_PROGRAM_KINDS
#define TILEWRIGHT_PROGRAM_KINDS

include "mlir/IR/EnumAttr.td"

def Program_BufferKind : I32EnumAttr<"BufferKind", "how a buffer gets its memory (the numbers are TW_BUFFER_*)", [
  I32EnumAttrCase<"arena", 0>, I32EnumAttrCase<"input", 1>, I32EnumAttrCase<"output", 2>, I32EnumAttrCase<"growable", 3>,
  I32EnumAttrCase<"growable_output", 4>]> {
  let cppNamespace = "::tilewright::program";
  let genSpecializedAttr = 0;
}

#endif
