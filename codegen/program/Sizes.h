/// Sizes.h - how much memory a run needs, as functions of the artifact that the runtime asks before it.
#pragma once
#include "codegen/program/Program.h"

namespace tilewright::codegen {

/// Whether only the program knows how much scratch the launch needs.
bool hasOwnScratch(program::LaunchOp launch, const KernelBinding &kernel, const SymbolTable &symbols);

/// Defines tilewright_derive, tilewright_sizes and tilewright_output_dims.
void emitSizes(const ProgramInputs &inputs, mlir::ModuleOp module);

} // namespace tilewright::codegen
