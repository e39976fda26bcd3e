/// ForeignArtifact.h - what can be said of an artifact that this machine cannot load: all that its file says.
#pragma once

#include "File.h"

#include <string>

namespace tilewright::tools {

/// The name of the architecture that an artifact is for, as in TW_ARCHITECTURES; empty: this program's own,
/// or the file is no artifact for any, which loading it will say better.
Result<std::string> foreignArchitecture(const std::string &path);

/// The compiler's report and sizes, read from the file without loading it. The code is compared with its
/// digest. Error TW5112: it is no whole artifact.
struct ForeignReport {
  std::string report; ///< JSON
  uint64_t codeBytes = 0, weightBytes = 0;
};
Result<ForeignReport> readForeignReport(const std::string &path);

} // namespace tilewright::tools
