/// Program.h - the program dialect. The steps, and what each must obey: ProgramOps.td and README.md.
#pragma once
#include "ir/Graph.h"
#include "ir/Symbols.h"

namespace tilewright::program {

/// One access of a step to memory or to a symbol that the program defines.
struct Access {
  enum Kind {
    Read,       ///< of a buffer
    Write,      ///< of all of a buffer
    Append,     ///< of a part of a buffer; the rest stays
    Grow,       ///< a buffer gets room, and what it held is lost
    GrowKept,   ///< a buffer gets room for more
    ReadSizes,  ///< of the symbols in an expression
    WriteSymbol ///< of a symbol's value
  };
  Kind kind = Read;
  mlir::Value buffer;    ///< or a view of it
  mlir::AffineExpr size; ///< of ReadSizes
  unsigned symbol = 0;   ///< of WriteSymbol
  bool writes() const { return kind != Read && kind != ReadSizes; }
};

} // namespace tilewright::program

#include "ir/ProgramDialect.h.inc"
#include "ir/ProgramEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/ProgramAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "ir/ProgramInterfaces.h.inc"
#include "ir/ProgramTypes.h.inc"
#define GET_OP_CLASSES
#include "ir/ProgramOps.h.inc"

namespace tilewright::program {

/// The buffer or constant behind a view, or the value itself.
mlir::Value rootOf(mlir::Value value);
/// The buffer that a value lies in; null: a constant.
BufferOp bufferOf(mlir::Value value);
mlir::RankedTensorType tensorOf(mlir::Value value);
/// What the value's tensor takes, in bytes.
mlir::AffineExpr bytesOf(mlir::Value value);
uint32_t deviceOf(mlir::Value value);
bool isGrowable(BufferOp buffer);
/// The buffer at the end of the chain of `over`.
BufferOp memoryOf(BufferOp buffer);

/// In the order of their numbers.
std::vector<BufferOp> buffersOf(FuncOp func);
/// In the order of the text, nested ones too: launch n of a profile is the n-th.
std::vector<LaunchOp> launchesOf(FuncOp func);
std::vector<ConstantOp> constantsOf(FuncOp func);
/// How many there are, phase 0 included.
uint32_t countPhases(FuncOp func);

/// C2 to C9: a proof that no two accesses that may run at once conflict, that nothing is read which is not
/// yet written, and that lives cover all accesses, for any number of threads and devices. Reports the first
/// step that breaks it. Time is linear in the steps, times the depth of loops in each other.
mlir::LogicalResult verifyOrder(FuncOp func);

} // namespace tilewright::program
