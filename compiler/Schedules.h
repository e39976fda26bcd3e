/// Schedules.h - schedules of kernels as JSON: what `inspect --json` prints is what `--schedules` reads.
///
///     {"schedules": {"7f0c2b...": {"family": "product", "algorithm": "tiles", "parameters": {"rows": 14,
///     ...}}}}
///
/// The key is the hash of the kernel before it was scheduled. What is left out is the default choice: the
/// algorithm, or single parameters. Other members beside "schedules" are ignored.
#pragma once
#include "codegen/target/Error.h"
#include "passes/Passes.h"
#include "llvm/Support/JSON.h"

namespace tilewright::compiler {

/// Errors: TW3601.
llvm::Expected<passes::ScheduleOverrides> parseSchedules(llvm::StringRef text);

llvm::json::Object toJson(kernel::ScheduleAttr schedule);

} // namespace tilewright::compiler
