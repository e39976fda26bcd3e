#include "CasePool.h"

#include "support/File.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tilewright::tools {

namespace {

/// A case under way.
struct Worker {
  size_t index = 0;
  pid_t process = 0;
  int pipe = -1;
  double deadline = 0;
  std::string scratch;
  std::string received; ///< the status as one character, then the message
  bool late = false;
};

volatile std::sig_atomic_t stopSignal = 0;

class Pool {
public:
  Pool(const PoolOptions &options, const CaseWork &work, const CaseDone &done, std::string root)
      : options(options), work(work), done(done), root(std::move(root)) {}
  Result<std::vector<CaseResult>> run(size_t count);

private:
  MaybeProblem start(size_t index);
  [[noreturn]] void runWorker(const Worker &worker, int pipe);
  void waitForNews();
  void receive(Worker &worker);
  void finish(Worker &worker);
  CaseResult resultOf(const Worker &worker, int status) const;
  void killAll();

  const PoolOptions &options;
  const CaseWork &work;
  const CaseDone &done;
  std::string root;
  std::vector<Worker> workers;
  std::vector<CaseResult> results;
};

} // namespace

static void resetSignals() {
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGINT, SIGTERM, SIGHUP})
    std::signal(signal, SIG_DFL);
}

void Pool::runWorker(const Worker &worker, int pipe) {
  setpgid(0, 0); // a time-out ends whatever the case started, too
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  resetSignals();
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  // What the case prints is kept for the message of a crash.
  int log = open((worker.scratch + "/log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  CaseResult result = work(worker.index, worker.scratch);
  // A pipe takes this much at once: the worker never waits for its reader.
  std::string message = static_cast<char>(result.status) + result.message.substr(0, 4000);
  ssize_t written = write(pipe, message.data(), message.size());
  _exit(written == static_cast<ssize_t>(message.size()) ? 0 : 1);
}

MaybeProblem Pool::start(size_t index) {
  Worker worker;
  worker.index = index;
  worker.scratch = fmt::format("{}/{}", root, index);
  int ends[2];
  std::error_code error;
  if (!std::filesystem::create_directory(worker.scratch, error))
    return ioProblem("TW5104", fmt::format("cannot make '{}'", worker.scratch), error.value());
  if (pipe2(ends, O_CLOEXEC) != 0)
    return ioProblem("TW5106", "cannot make a pipe", errno);
  std::fflush(nullptr);
  worker.process = fork();
  if (worker.process == 0)
    runWorker(worker, ends[1]);
  close(ends[1]);
  if (worker.process < 0) {
    close(ends[0]);
    return ioProblem("TW5106", "cannot start a process for a test case", errno);
  }
  worker.pipe = ends[0];
  worker.deadline = monotonicSeconds() + options.timeout;
  workers.push_back(std::move(worker));
  return std::nullopt;
}

/// The last line the case printed: an assertion's or a sanitizer's words.
static std::string lastLine(const std::string &scratch) {
  auto log = readFile(scratch + "/log");
  if (!log)
    return "";
  std::string_view text(reinterpret_cast<const char *>(log->view.data()), log->size());
  size_t end = text.find_last_not_of("\n");
  if (end == std::string_view::npos)
    return "";
  size_t begin = text.find_last_of('\n', end);
  begin = begin == std::string_view::npos ? 0 : begin + 1;
  return fmt::format(": {}", text.substr(begin, std::min<size_t>(end - begin + 1, 300)));
}

CaseResult Pool::resultOf(const Worker &worker, int status) const {
  if (worker.late)
    return {CaseStatus::Crashed, fmt::format("no result after {:g} s", options.timeout)};
  if (!worker.received.empty())
    return {static_cast<CaseStatus>(worker.received[0]), worker.received.substr(1)};
  if (WIFSIGNALED(status))
    return {CaseStatus::Crashed,
            fmt::format("died of signal {}{}", strsignal(WTERMSIG(status)), lastLine(worker.scratch))};
  return {CaseStatus::Crashed,
          fmt::format("ended with exit code {}{}", WEXITSTATUS(status), lastLine(worker.scratch))};
}

void Pool::finish(Worker &worker) {
  int status = 0;
  kill(-worker.process, SIGKILL); // its result is in, or it is too late
  while (waitpid(worker.process, &status, 0) < 0 && errno == EINTR) {
  }
  close(worker.pipe);
  worker.pipe = -1;
  results[worker.index] = resultOf(worker, status);
  std::error_code ignored;
  std::filesystem::remove_all(worker.scratch, ignored);
  done(worker.index, results[worker.index]);
}

void Pool::receive(Worker &worker) {
  char chunk[4096];
  ssize_t count = read(worker.pipe, chunk, sizeof chunk);
  if (count > 0)
    worker.received.append(chunk, static_cast<size_t>(count));
  else if (count == 0 || errno != EINTR)
    finish(worker);
}

void Pool::waitForNews() {
  std::vector<pollfd> pipes;
  double deadline = INFINITY;
  for (const Worker &worker : workers) {
    pipes.push_back({worker.pipe, POLLIN, 0});
    deadline = std::min(deadline, worker.deadline);
  }
  double wait = std::clamp(deadline - monotonicSeconds(), 0.0, 3600.0);
  if (poll(pipes.data(), pipes.size(), static_cast<int>(wait * 1e3) + 1) < 0)
    return;
  for (size_t i = 0; i < workers.size(); ++i) {
    if (pipes[i].revents)
      receive(workers[i]);
    else if (monotonicSeconds() >= workers[i].deadline) {
      workers[i].late = true;
      finish(workers[i]);
    }
  }
  std::erase_if(workers, [](const Worker &worker) { return worker.pipe < 0; });
}

void Pool::killAll() {
  for (Worker &worker : workers) {
    kill(-worker.process, SIGKILL);
    kill(worker.process, SIGKILL); // it may not have its process group yet
    waitpid(worker.process, nullptr, 0);
    close(worker.pipe);
  }
  workers.clear();
}

Result<std::vector<CaseResult>> Pool::run(size_t count) {
  results.resize(count);
  size_t next = 0;
  while (!stopSignal && (next < count || !workers.empty())) {
    if (next < count && workers.size() < options.jobs) {
      if (auto problem = start(next++)) {
        killAll();
        return *problem;
      }
      continue;
    }
    waitForNews();
  }
  killAll();
  return std::move(results);
}

Result<std::vector<CaseResult>> runPool(size_t count, const PoolOptions &options, const CaseWork &work,
                                        const CaseDone &done) {
  auto folder = TemporaryFolder::create();
  if (!folder)
    return folder.problem();
  struct sigaction action{}, before[3];
  action.sa_handler = [](int signal) { stopSignal = signal; };
  static constexpr int signals[3] = {SIGINT, SIGTERM, SIGHUP};
  for (int i = 0; i < 3; ++i)
    sigaction(signals[i], &action, &before[i]);
  auto results = Pool(options, work, done, folder->path()).run(count);
  folder->remove();
  for (int i = 0; i < 3; ++i)
    sigaction(signals[i], &before[i], nullptr);
  if (stopSignal)
    raise(stopSignal);
  return results;
}

} // namespace tilewright::tools
