#include "CasePool.h"

#include "support/File.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <fcntl.h>
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
  std::optional<PrivateFile> log; ///< what the case printed
  std::string received;           ///< the status as one character, then the message
  bool late = false;
};

class Pool {
public:
  Pool(const PoolOptions &options, const CaseWork &work, const CaseDone &done)
      : options(options), work(work), done(done) {}
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
  dup2(worker.log->descriptor(), STDOUT_FILENO);
  dup2(worker.log->descriptor(), STDERR_FILENO);
  CaseResult result = work(worker.index);
  // A pipe takes this much at once: the worker never waits for its reader.
  std::string message = static_cast<char>(result.status) + result.message.substr(0, 4000);
  ssize_t written = write(pipe, message.data(), message.size());
  _exit(written == static_cast<ssize_t>(message.size()) ? 0 : 1);
}

MaybeProblem Pool::start(size_t index) {
  Worker worker;
  worker.index = index;
  int ends[2];
  auto log = PrivateFile::create();
  if (!log)
    return log.problem();
  worker.log = std::move(*log);
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
static std::string lastLine(const PrivateFile &log) {
  char tail[1024];
  const off_t length = lseek(log.descriptor(), 0, SEEK_END), begin = std::max<off_t>(length - sizeof tail, 0);
  const ssize_t count = pread(log.descriptor(), tail, sizeof tail, begin);
  const std::string_view text(tail, static_cast<size_t>(std::max<ssize_t>(count, 0)));
  const size_t end = text.find_last_not_of("\n");
  if (end == std::string_view::npos)
    return "";
  const size_t last = text.find_last_of('\n', end), first = last == std::string_view::npos ? 0 : last + 1;
  return fmt::format(": {}", text.substr(first, std::min<size_t>(end - first + 1, 300)));
}

CaseResult Pool::resultOf(const Worker &worker, int status) const {
  if (worker.late)
    return {CaseStatus::Crashed, fmt::format("no result after {:g} s", options.timeout)};
  if (!worker.received.empty())
    return {static_cast<CaseStatus>(worker.received[0]), worker.received.substr(1)};
  if (WIFSIGNALED(status))
    return {CaseStatus::Crashed,
            fmt::format("died of signal {}{}", strsignal(WTERMSIG(status)), lastLine(*worker.log))};
  const bool lacking = WEXITSTATUS(status) == static_cast<int>(ExitCode::Io); // its last words say of what
  return {lacking ? CaseStatus::Lacking : CaseStatus::Crashed,
          fmt::format("ended with exit code {}{}", WEXITSTATUS(status), lastLine(*worker.log))};
}

void Pool::finish(Worker &worker) {
  int status = 0;
  kill(-worker.process, SIGKILL); // its result is in, or it is too late
  while (waitpid(worker.process, &status, 0) < 0 && errno == EINTR) {
  }
  close(worker.pipe);
  worker.pipe = -1;
  results[worker.index] = resultOf(worker, status);
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
  while (next < count || !workers.empty()) {
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
  return Pool(options, work, done).run(count);
}

} // namespace tilewright::tools
