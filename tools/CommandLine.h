/// CommandLine.h - the driver's command line: what it accepts, in one place.
#pragma once

#include "Commands.h"

namespace tilewright::tools {

/// Parse the arguments and run the subcommand they name. Returns the exit code.
ExitCode runCommandLine(int count, const char *const *arguments);

/// "NAME=N" or "NAME=LO..HI", with 0 <= LO <= HI.
Result<DimensionRange> parseDimension(const std::string &text);

/// A number of bytes: "123", "4K", "1.5G" (powers of 1024; "KB" and "KiB" are the same).
Result<uint64_t> parseBytes(const std::string &text);

} // namespace tilewright::tools
