/// tilewright bench: how long a run takes.
#include "Commands.h"
#include "Inputs.h"
#include "Model.h"
#include "Runner.h"
#include "support/Json.h"
#include "support/Table.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unordered_map>

namespace tilewright::tools {

namespace {

/// A session with its inputs bound, ready to be run again and again without allocating.
class BoundRun {
public:
  BoundRun(tw_session *session, const std::vector<Tensor> &inputs, size_t outputCount)
      : session(session), views(inputs), outputs(outputCount) {}
  MaybeProblem run();

private:
  tw_session *session;
  TensorViews views;
  std::vector<tw_tensor> outputs;
};

/// What the launches of one kernel took, over all profiled runs.
struct KernelTime {
  std::string kernel;
  uint64_t launches = 0, nanoseconds = 0;
};

class Profile {
public:
  /// A tw_profile_callback.
  static void add(void *user, uint32_t launch, const char *kernel, uint64_t nanoseconds);
  /// Slowest first.
  std::vector<KernelTime> sorted() const;
  uint64_t runs = 0;

private:
  std::unordered_map<std::string, KernelTime> kernels;
};

} // namespace

MaybeProblem BoundRun::run() {
  // The outputs are the session's memory again: what an earlier run filled in must not be taken for the
  // caller's.
  for (tw_tensor &output : outputs)
    output.data = nullptr;
  tw_error error{};
  if (tw_session_run(session, views.data(), views.size(), outputs.data(),
                     static_cast<uint32_t>(outputs.size()), &error) != TW_OK)
    return fromRuntime(error);
  return std::nullopt;
}

void Profile::add(void *user, uint32_t, const char *kernel, uint64_t nanoseconds) {
  KernelTime &entry = static_cast<Profile *>(user)->kernels[kernel];
  ++entry.launches;
  entry.nanoseconds += nanoseconds;
}

std::vector<KernelTime> Profile::sorted() const {
  std::vector<KernelTime> list;
  for (const auto &[kernel, entry] : kernels)
    list.push_back({kernel, entry.launches, entry.nanoseconds});
  std::sort(list.begin(), list.end(),
            [](const KernelTime &a, const KernelTime &b) { return a.nanoseconds > b.nanoseconds; });
  return list;
}

/// Run until `seconds` have passed, at least three times. Returns each run's milliseconds.
static Result<std::vector<double>> timeRuns(BoundRun &bound, double seconds) {
  std::vector<double> times;
  for (double end = monotonicSeconds() + seconds, now = 0; now < end || times.size() < 3;) {
    double start = monotonicSeconds();
    if (auto problem = bound.run())
      return *problem;
    now = monotonicSeconds();
    times.push_back((now - start) * 1e3);
  }
  return times;
}

/// Caches, page tables, clock frequency and the session's memory plan reach their steady state.
static MaybeProblem warmUp(BoundRun &bound, double seconds) {
  double end = monotonicSeconds() + std::min(seconds / 5, 0.5);
  for (int runs = 0; runs < 2 || (runs < 100 && monotonicSeconds() < end); ++runs)
    if (auto problem = bound.run())
      return problem;
  return std::nullopt;
}

/// The value below which a share `quantile` of the sorted values lies.
static double atQuantile(const std::vector<double> &sorted, double quantile) {
  auto rank = static_cast<size_t>(std::ceil(quantile * static_cast<double>(sorted.size())));
  return sorted[std::max<size_t>(rank, 1) - 1];
}

static double peakMegabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

static Result<Profile> profileRuns(tw_session *session, BoundRun &bound, double seconds) {
  Profile profile;
  tw_session_profile(session, Profile::add, &profile);
  auto times = timeRuns(bound, std::min(seconds, 1.0));
  tw_session_profile(session, nullptr, nullptr);
  if (!times)
    return times.problem();
  profile.runs = times->size();
  return profile;
}

/// FLOPs per launch by kernel, where the artifact's report has numbers.
static const Json &reportedKernel(const Json &report, const std::string &name) {
  static const Json nothing;
  for (const Json &kernel : member(report, "kernels"))
    if (plainText(member(kernel, "name")) == name)
      return kernel;
  return nothing;
}

/// Six decimals: a clock's nanosecond in milliseconds.
static double rounded(double value) { return std::round(value * 1e6) / 1e6; }

static Json profileJson(const Profile &profile) {
  Json list = Json::array();
  auto kernels = profile.sorted();
  double total = 0;
  for (const KernelTime &kernel : kernels)
    total += static_cast<double>(kernel.nanoseconds);
  for (const KernelTime &kernel : kernels)
    list.push_back(
        {{"kernel", kernel.kernel},
         {"launches", kernel.launches / profile.runs},
         {"ms", rounded(static_cast<double>(kernel.nanoseconds) / 1e6 / static_cast<double>(profile.runs))},
         {"share", total > 0 ? rounded(static_cast<double>(kernel.nanoseconds) / total) : 0}});
  return list;
}

static std::string profileTable(const Json &profile, const Json &report) {
  Table table{{"kernel", "launches", "ms", "share", "GFLOP/s"}, {1, 2, 3, 4}, {}};
  for (const Json &row : profile) {
    std::string name = plainText(row["kernel"]);
    const Json &kernel = reportedKernel(report, name), &flops = member(kernel, "flops");
    double ms = row["ms"].get<double>();
    table.rows.push_back(
        {name, plainText(row["launches"]), fmt::format("{:.4f}", ms),
         fmt::format("{:.1f} %", 100 * row["share"].get<double>()),
         flops.is_number() && ms > 0
             ? fmt::format("{:.1f}", flops.get<double>() * row["launches"].get<double>() / ms / 1e6)
             : ""});
  }
  return table.text();
}

static Json figures(std::vector<double> times, const LoadedModel &loaded) {
  std::sort(times.begin(), times.end());
  size_t middle = times.size() / 2;
  double median = times.size() % 2 ? times[middle] : (times[middle - 1] + times[middle]) / 2;
  return {{"median_ms", rounded(median)},
          {"min_ms", rounded(times.front())},
          {"p99_ms", rounded(atQuantile(times, 0.99))},
          {"runs", times.size()},
          {"compile_s", rounded(loaded.compileSeconds)},
          {"load_ms", rounded(loaded.loadSeconds * 1e3)},
          {"peak_rss_mb", peakMegabytes()}};
}

/// The runner's figures, with what it cannot know: how long the model took to compile.
static ExitCode benchElsewhere(const Runner &runner, const MadeArtifact &made, const BenchOptions &options) {
  std::vector<std::string> arguments = runner.arguments("bench", made, options.common);
  addInputArguments(options.inputs, arguments);
  arguments.insert(arguments.end(), {"--seconds", fmt::format("{}", options.seconds)});
  if (options.profile)
    arguments.push_back("--profile");
  if (options.json)
    arguments.push_back("--json");
  std::string printed;
  if (ExitCode code = runner.execute(arguments, &printed); code != ExitCode::Ok)
    return code;
  auto result = parseJson(printed);
  if (!result || !result->is_object())
    return report(runner.noAnswer(printed));
  (*result)["compile_s"] = rounded(made.compileSeconds);
  fmt::print("{}\n", jsonText(*result));
  return ExitCode::Ok;
}

ExitCode benchCommand(const BenchOptions &options) {
  MadeArtifact made = makeArtifact(options.common);
  if (made.exit != ExitCode::Ok)
    return made.exit;
  auto runner = Runner::find(made.path, options.common.runner);
  if (!runner)
    return report(runner.problem());
  if (*runner)
    return benchElsewhere(**runner, made, options);
  LoadOutcome outcome = loadModel(made, options.common);
  if (outcome.exit != ExitCode::Ok)
    return outcome.exit;
  tw_model *model = outcome.loaded.model.get();
  auto inputs = gatherInputs(model, options.inputs, options.common.dims);
  if (!inputs)
    return report(inputs.problem());
  double start = monotonicSeconds();
  auto session = createSession(model, options.common.threads);
  if (!session)
    return report(session.problem());
  outcome.loaded.loadSeconds += monotonicSeconds() - start;
  BoundRun bound(session->get(), *inputs, tw_model_output_count(model));
  if (auto problem = warmUp(bound, options.seconds))
    return report(*problem);
  auto times = timeRuns(bound, options.seconds);
  if (!times)
    return report(times.problem());
  Json result = figures(std::move(*times), outcome.loaded);
  if (options.profile) {
    auto profile = profileRuns(session->get(), bound, options.seconds);
    if (!profile)
      return report(profile.problem());
    Json rows = profileJson(*profile);
    const char *text = tw_model_report(model);
    fmt::print(stderr, "{}", profileTable(rows, parseJson(text ? text : "").value_or(Json())));
    if (options.json)
      result["profile"] = std::move(rows);
  }
  fmt::print("{}\n", jsonText(result));
  return ExitCode::Ok;
}

} // namespace tilewright::tools
