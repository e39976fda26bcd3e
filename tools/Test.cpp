/// tilewright test: ONNX-style test cases, each isolated, many at once.
#include "CasePool.h"
#include "support/Json.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

namespace tilewright::tools {

namespace {

struct Counts {
  size_t passed = 0, failed = 0, unsupported = 0, crashed = 0;
  size_t lacking = 0; ///< of those that failed
  void add(CaseStatus status) {
    lacking += status == CaseStatus::Lacking;
    ++(status == CaseStatus::Passed        ? passed
       : status == CaseStatus::Failed      ? failed
       : status == CaseStatus::Lacking     ? failed
       : status == CaseStatus::Unsupported ? unsupported
                                           : crashed);
  }
  size_t total() const { return passed + failed + unsupported + crashed; }
};

} // namespace

static unsigned availableCores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  return sched_getaffinity(0, sizeof cores, &cores) == 0 ? static_cast<unsigned>(CPU_COUNT(&cores)) : 1;
}

static Json toJson(const std::vector<std::string> &cases, const std::vector<CaseResult> &results,
                   const Counts &counts) {
  Json list = Json::array();
  for (size_t i = 0; i < cases.size(); ++i)
    list.push_back(
        {{"dir", cases[i]}, {"status", nameOf(results[i].status)}, {"message", results[i].message}});
  return {{"total", counts.total()},           {"passed", counts.passed},   {"failed", counts.failed},
          {"unsupported", counts.unsupported}, {"crashed", counts.crashed}, {"cases", std::move(list)}};
}

static std::string summary(const Counts &counts) {
  return fmt::format("{} cases: {} passed, {} failed, {} unsupported, {} crashed", counts.total(),
                     counts.passed, counts.failed, counts.unsupported, counts.crashed);
}

static ExitCode verdict(const Counts &counts) {
  if (counts.failed > counts.lacking || counts.crashed)
    return ExitCode::Differs;
  if (counts.lacking)
    return ExitCode::Io;
  return counts.unsupported ? ExitCode::Unsupported : ExitCode::Ok;
}

/// A line per case that did not pass. Unsupported ones are many and expected: only on demand.
static void printCases(const std::vector<std::string> &cases, const std::vector<CaseResult> &results,
                       bool verbose) {
  for (size_t i = 0; i < cases.size(); ++i)
    if (results[i].status != CaseStatus::Passed && (verbose || results[i].status != CaseStatus::Unsupported))
      fmt::print("{} {}: {}\n", nameOf(results[i].status), cases[i], results[i].message);
}

static ExitCode finish(const std::vector<std::string> &cases, const std::vector<CaseResult> &results,
                       const Counts &counts, const TestOptions &options) {
  if (options.json)
    fmt::print("{}\n", jsonText(toJson(cases, results, counts), 1));
  else
    printCases(cases, results, options.verbose);
  fmt::print(options.json ? stderr : stdout, "{}\n", summary(counts));
  return verdict(counts);
}

/// The one case whose model somebody has compiled.
static ExitCode testArtifact(const std::vector<std::string> &cases, const TestOptions &options) {
  if (cases.size() != 1)
    return report(usageProblem("TW5008",
                               fmt::format("--artifact is the model of one case, not of {}", cases.size()),
                               "name the folder of that case"));
  CommonOptions common = options.common;
  common.threads = common.threads ? common.threads : 1;
  const std::vector<CaseResult> results = {runCompiledCase(options.artifact, cases.front(), common)};
  Counts counts;
  counts.add(results.front().status);
  return finish(cases, results, counts, options);
}

ExitCode testCommand(const TestOptions &options) {
  auto cases = findCases(options.folders);
  if (!cases)
    return report(cases.problem());
  if (cases->empty())
    return report(usageProblem("TW5007", "no test cases found",
                               "a case is a folder with model.onnx and test_data_set_0/"));
  if (!options.artifact.empty())
    return testArtifact(*cases, options);

  auto compiler = Compiler::open();
  if (!compiler)
    return report(compiler.problem());
  CommonOptions common = options.common;
  // Cases run side by side: one thread each, unless asked otherwise.
  common.threads = common.threads ? common.threads : 1;
  PoolOptions pool{options.jobs ? options.jobs : availableCores(), options.timeout};
  Counts counts;
  ProgressBar progress("testing", 0);
  auto work = [&](size_t index) { return runCase(**compiler, (*cases)[index], common); };
  auto done = [&](size_t, const CaseResult &result) {
    counts.add(result.status);
    progress.update(fmt::format("{} passed, {} failed,", counts.passed, counts.failed + counts.crashed),
                    static_cast<uint32_t>(counts.total()), static_cast<uint32_t>(cases->size()));
  };
  auto results = runPool(cases->size(), pool, work, done);
  progress.clear();
  if (!results)
    return report(results.problem());
  return finish(*cases, *results, counts, options);
}

} // namespace tilewright::tools
