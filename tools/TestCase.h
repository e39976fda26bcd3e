/// TestCase.h - one ONNX-style test case: a folder with model.onnx, data.json (optional) and
/// test_data_set_N/input_K.pb, output_K.pb.
#pragma once

#include "Commands.h"
#include "Compiler.h"

#include <string>
#include <vector>

namespace tilewright::tools {

enum class CaseStatus : char {
  Passed = 'p',
  Failed = 'f',
  Lacking = 'l', ///< failed for want of a file, memory or the like
  Unsupported = 'u',
  Crashed = 'c'
};

struct CaseResult {
  CaseStatus status = CaseStatus::Passed;
  std::string message;
};

/// All case folders below `roots`, sorted, each once. A root may be a case itself. Links are not followed.
Result<std::vector<std::string>> findCases(const std::vector<std::string> &roots);

/// Compile the case's model and run all its data sets, in this process.
CaseResult runCase(const Compiler &compiler, const std::string &folder, const CommonOptions &common);

/// Run all data sets of a case whose model was compiled to `artifact`.
CaseResult runCompiledCase(const std::string &artifact, const std::string &folder,
                           const CommonOptions &common);

/// "passed" and the like; and back, where somebody else judged.
const char *nameOf(CaseStatus status);
CaseStatus statusNamed(const std::string &name);

} // namespace tilewright::tools
