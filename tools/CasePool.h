/// CasePool.h - test cases run several at once, each in a process of its own, under a time limit.
#pragma once

#include "TestCase.h"

#include <functional>

namespace tilewright::tools {

struct PoolOptions {
  unsigned jobs = 1;
  double timeout = 60; ///< seconds for one case
};

/// What a worker process does with case `index`.
using CaseWork = std::function<CaseResult(size_t index)>;
/// Called in this process whenever a case ends.
using CaseDone = std::function<void(size_t index, const CaseResult &result)>;

/// Run `count` cases and return their results in order. A case whose process dies or takes too long has
/// crashed; with this process its workers end. Must be called while this process has a single thread.
Result<std::vector<CaseResult>> runPool(size_t count, const PoolOptions &options, const CaseWork &work,
                                        const CaseDone &done);

} // namespace tilewright::tools
