#include "Support.h"
#include "artifacts/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <pthread.h>
#include <sched.h>
#include <set>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

class Team : public testing::TestWithParam<int> {
protected:
  static constexpr int rounds = UNDER_SANITIZER ? 300 : 3000;

  tw_status run(std::vector<int64_t> orders) {
    orders.resize(CONTROL_LENGTH);
    tw_tensor input = tensorOf(TW_I64, {CONTROL_LENGTH}, orders.data());
    tw_tensor output = tensorOf(TW_I64, {CONTROL_LENGTH}, out);
    return tw_session_run(session.get(), &input, 1, &output, 1, &error);
  }
  /// All threads left at the same barrier; which one.
  int64_t leftAt() {
    for (int thread = 1; thread < GetParam(); ++thread)
      EXPECT_EQ(out[thread], out[0]) << "thread " << thread << " of " << GetParam();
    return out[0];
  }

  ModelPointer model = loadArtifact(artifactPath("control"));
  SessionPointer session = createSession(model, GetParam());
  int64_t out[CONTROL_LENGTH] = {};
  tw_error error = {};
};

double processSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

} // namespace

TEST_P(Team, NobodyPassesABarrierAlone) {
  ASSERT_EQ(run({CONTROL_BARRIERS, rounds}), TW_OK);
  for (int thread = 0; thread < GetParam(); ++thread)
    EXPECT_EQ(out[thread], 0) << thread;
}

TEST_P(Team, ManyShortRuns) {
  for (int round = 0; round < rounds / 3; ++round)
    ASSERT_EQ(run({CONTROL_BARRIERS, round % 3}), TW_OK);
}

TEST_P(Team, OneFailsAllLeaveTogether) {
  for (int thread = 0; thread < GetParam(); ++thread)
    for (int64_t barrier : {0, 1, 50, 99}) {
      ASSERT_EQ(run({CONTROL_FAIL, thread, TW_FAIL_INDEX, 0, 12, 10, barrier}), TW_INVALID);
      EXPECT_STREQ(error.code, "TW4401");
      EXPECT_EQ(leftAt(), barrier);
    }
}

TEST_P(Team, WhoeverFailsFirstAllLeaveTogether) {
  for (int round = 0; round < rounds / 10; ++round) {
    ASSERT_EQ(run({CONTROL_RACE, round}), TW_INVALID);
    EXPECT_STREQ(error.code, "TW4406");
    const int64_t barrier = leftAt();
    EXPECT_TRUE(barrier >= 20 && barrier < 25) << barrier;
  }
}

TEST_P(Team, Cancellation) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> over{false};
    std::thread canceller([&] {
      // A request before the run has begun is void: repeat until heard.
      while (!over) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        tw_session_cancel(session.get());
      }
    });
    EXPECT_EQ(run({CONTROL_UNTIL_CANCELLED}), TW_CANCELLED);
    over = true;
    canceller.join();
    EXPECT_STREQ(error.code, "TW4408");
    leftAt();
  }
  tw_session_cancel(session.get());
  EXPECT_EQ(run({CONTROL_BARRIERS, 3}), TW_OK) << "nothing is left of a request without a run";
}

TEST_P(Team, SubnormalsAreKeptOnEveryThreadAndTheCallersModeComesBack) {
#if defined(__x86_64__)
  const unsigned former = _mm_getcsr();
  const unsigned unusual = (former & ~0xe07fu) | 0x4000 | 0x0002; // round up, a sticky flag set
  for (unsigned mode : {former, unusual, former | 0x8040}) {
    _mm_setcsr(mode);
    const tw_status status = run({CONTROL_SUBNORMAL});
    const unsigned after = _mm_getcsr();
    _mm_setcsr(former);
    ASSERT_EQ(status, TW_OK);
    EXPECT_EQ(after, mode);
    for (int thread = 0; thread < GetParam(); ++thread)
      EXPECT_EQ(out[thread], 1) << thread;
  }
  volatile double small = 2.3e-308;
  EXPECT_NE(small * 0.5, 0);
#endif
}

TEST_P(Team, IdleWorkersSleep) {
  ASSERT_EQ(run({CONTROL_BARRIERS, 3}), TW_OK);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const double before = processSeconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(processSeconds() - before, 0.05);
}

INSTANTIATE_TEST_SUITE_P(Threads, Team, testing::Values(1, 2, 3, 4, 8));

TEST(Session, ThreadCounts) {
  ModelPointer model = loadArtifact(artifactPath("control"));
  tw_error error;
  tw_session *session = nullptr;
  for (int threads : {-1, 1025}) {
    tw_session_options options = {sizeof options, threads, 0};
    EXPECT_EQ(tw_session_create(model.get(), &options, &session, &error), TW_INVALID);
    EXPECT_STREQ(error.code, "TW4103");
    EXPECT_EQ(session, nullptr);
  }
  ASSERT_EQ(tw_session_create(model.get(), nullptr, &session, &error), TW_OK);
  tw_session_free(session);
  // An older caller's smaller structure: the fields it lacks are not read.
  tw_session_options old = {offsetof(tw_session_options, threads), -77, 0};
  ASSERT_EQ(tw_session_create(model.get(), &old, &session, &error), TW_OK);
  tw_session_free(session);
}

TEST(Session, AllCoresWithinTheAffinityMask) {
  cpu_set_t former, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof former, &former), 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); ++cpu)
    if (CPU_ISSET(cpu, &former))
      CPU_SET(cpu, &one);
  auto threadsOfProcess = [] {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;)
      if (word == "Threads:") {
        int count = 0;
        status >> count;
        return count;
      }
    return 0;
  };
  // A joined thread may be listed for a moment longer.
  auto settlesAt = [&](int expected) {
    for (int attempt = 0; attempt < 1000 && threadsOfProcess() != expected; ++attempt)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return threadsOfProcess();
  };
  ModelPointer model = loadArtifact(artifactPath("control"));
  // ThreadSanitizer starts a thread of its own together with the first one of the program: have it behind us.
  std::thread([] {}).join();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const int before = threadsOfProcess();
  {
    SessionPointer all = createSession(model, 0);
    EXPECT_EQ(threadsOfProcess() - before, CPU_COUNT(&former) - 1);
  }
  EXPECT_EQ(settlesAt(before), before);
  sched_setaffinity(0, sizeof one, &one);
  {
    SessionPointer single = createSession(model, 0);
    EXPECT_EQ(threadsOfProcess(), before);
  }
  sched_setaffinity(0, sizeof former, &former);
}

TEST(Session, OutlivesTheModelHandle) {
  TemporaryFolder folder;
  ModelPointer model = loadAffine(folder, {1, 1, 1, 1});
  SessionPointer session = createSession(model, 2);
  model.reset();
  const float x[] = {1, 2, 3, 4};
  tw_tensor input = tensorOf(TW_F32, {4}, x), output = {};
  ASSERT_EQ(tw_session_run(session.get(), &input, 1, &output, 1, nullptr), TW_OK);
  EXPECT_EQ(static_cast<float *>(output.data)[3], 9);
}

TEST(Session, ManyAtOnceOnOneModel) {
  ModelPointer model = loadArtifact(artifactPath("dynamic"));
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&, caller] {
      SessionPointer session = createSession(model, 1 + caller % 3);
      for (int64_t round = 0; round < (UNDER_SANITIZER ? 40 : 300); ++round) {
        const int64_t batch = 1 + round % 5, width = 1 + (round * 7 + caller) % 90;
        std::vector<float> a(static_cast<size_t>(batch * 3 * width), float(caller)), b(a.size(), 1);
        tw_tensor inputs[] = {tensorOf(TW_F32, {batch, 3, width}, a.data()),
                              tensorOf(TW_F32, {batch, 3, width}, b.data())};
        tw_tensor output = {};
        wrong += tw_session_run(session.get(), inputs, 2, &output, 1, nullptr) != TW_OK;
        for (size_t i = 0; i < a.size(); ++i)
          wrong += static_cast<float *>(output.data)[i] != 2 * (float(caller) + 1) - 1;
      }
    });
  for (std::thread &caller : callers)
    caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Session, RefusesTwoThreadsAtOnce) {
  ModelPointer model = loadArtifact(artifactPath("control"));
  SessionPointer session = createSession(model, 2);
  std::vector<int64_t> orders(CONTROL_LENGTH);
  orders[0] = CONTROL_UNTIL_CANCELLED;
  tw_tensor input = tensorOf(TW_I64, {CONTROL_LENGTH}, orders.data());
  std::thread runner([&] {
    tw_tensor output = {};
    tw_status status;
    do // refused itself while the other thread is inside
      status = tw_session_run(session.get(), &input, 1, &output, 1, nullptr);
    while (status == TW_INVALID);
    EXPECT_EQ(status, TW_CANCELLED);
  });
  // Once the runner is inside, reserving is refused; before, it succeeds.
  tw_error error = {};
  while (tw_session_reserve(session.get(), &input, 1, &error) == TW_OK)
    std::this_thread::yield();
  EXPECT_STREQ(error.code, "TW4502");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  tw_session_cancel(session.get());
  runner.join();
}

TEST(Session, WorkersLeaveSignalsToTheProcess) {
  // Blocked here, a signal to the process would be delivered to a worker that does not block it.
  static volatile sig_atomic_t delivered;
  delivered = 0;
  const auto former = signal(SIGUSR1, [](int) { delivered = 1; });
  ModelPointer model = loadArtifact(artifactPath("control"));
  SessionPointer session = createSession(model, 4);
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, &old);
  kill(getpid(), SIGUSR1);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(delivered, 0);
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  EXPECT_EQ(delivered, 1);
  signal(SIGUSR1, former);
}

TEST(Session, WorkersLeaveTheirOwnFaultsToTheHandlers) {
  // Blocked, a fault ends the process without a word.
  const auto tasks = [] {
    std::set<std::string> names;
    for (const auto &task : std::filesystem::directory_iterator("/proc/self/task"))
      names.insert(task.path().string());
    return names;
  };
  const auto before = tasks();
  ModelPointer model = loadArtifact(artifactPath("control"));
  SessionPointer session = createSession(model, 3);
  std::vector<int64_t> orders(CONTROL_LENGTH), out(CONTROL_LENGTH);
  tw_tensor input = tensorOf(TW_I64, {CONTROL_LENGTH}, orders.data());
  tw_tensor output = tensorOf(TW_I64, {CONTROL_LENGTH}, out.data());
  // A thread that is being started blocks everything: after a run all have started.
  ASSERT_EQ(tw_session_run(session.get(), &input, 1, &output, 1, nullptr), TW_OK);
  int workers = 0;
  for (const std::string &task : tasks()) {
    std::string name;
    std::getline(std::ifstream(task + "/comm"), name);
    if (before.count(task) || name.rfind("tilewright", 0) != 0) // a sanitizer has threads of its own
      continue;
    std::ifstream status(task + "/status");
    for (std::string word; status >> word;)
      if (word == "SigBlk:") {
        uint64_t blocked = 0;
        status >> std::hex >> blocked;
        for (int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
          EXPECT_FALSE(blocked >> (own - 1) & 1) << own;
        EXPECT_TRUE(blocked >> (SIGTERM - 1) & 1);
        ++workers;
      }
  }
  EXPECT_EQ(workers, 2);
}

TEST(Session, AForkedChildIsToldWhyItCannotRun) {
  if (UNDER_SANITIZER)
    GTEST_SKIP() << "sanitizers do not follow a fork with threads";
  ModelPointer model = loadArtifact(artifactPath("control"));
  SessionPointer many = createSession(model, 3), one = createSession(model, 1);
  std::vector<int64_t> orders(CONTROL_LENGTH), out(CONTROL_LENGTH);
  tw_tensor input = tensorOf(TW_I64, {CONTROL_LENGTH}, orders.data());
  tw_tensor output = tensorOf(TW_I64, {CONTROL_LENGTH}, out.data());
  orders = {CONTROL_BARRIERS, 3};
  orders.resize(CONTROL_LENGTH);
  input.data = orders.data();
  const pid_t child = fork();
  if (child == 0) {
    alarm(20); // as a hang would end
    tw_error error;
    const bool refused = tw_session_run(many.get(), &input, 1, &output, 1, &error) == TW_INVALID &&
                         std::string(error.code) == "TW4503" &&
                         tw_session_reserve(many.get(), &input, 1, &error) == TW_INVALID;
    const bool alone = tw_session_run(one.get(), &input, 1, &output, 1, &error) == TW_OK;
    many.reset();
    SessionPointer fresh = createSession(model, 3);
    const bool again = tw_session_run(fresh.get(), &input, 1, &output, 1, &error) == TW_OK;
    _exit(refused && alone && again ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(tw_session_run(many.get(), &input, 1, &output, 1, nullptr), TW_OK);
}

TEST(Session, WhatHasNoMeaningYetIsRefused) {
  ModelPointer model = loadArtifact(artifactPath("control"));
  SessionPointer session = createSession(model, 1);
  std::vector<int64_t> orders(CONTROL_LENGTH), out(CONTROL_LENGTH);
  auto run = [&](uint32_t flags, uint32_t reserved, uint32_t outputFlags) {
    tw_tensor input = tensorOf(TW_I64, {CONTROL_LENGTH}, orders.data());
    tw_tensor output = tensorOf(TW_I64, {CONTROL_LENGTH}, out.data());
    input.flags = flags, input.reserved = reserved, output.flags = outputFlags;
    tw_error error = {};
    tw_session_run(session.get(), &input, 1, &output, 1, &error);
    return std::string(error.code);
  };
  EXPECT_EQ(run(0, 0, 0), "");
  EXPECT_EQ(run(1, 0, 0), "TW4501");
  EXPECT_EQ(run(0, 1, 0), "TW4501");
  EXPECT_EQ(run(0, 0, 1), "TW4501");
  tw_session_options options = {sizeof options, 1, 1};
  tw_session *future = nullptr;
  EXPECT_EQ(tw_session_create(model.get(), &options, &future, nullptr), TW_INVALID);
}

TEST(Session, Misuse) {
  tw_error error;
  EXPECT_EQ(tw_session_create(nullptr, nullptr, nullptr, &error), TW_INVALID);
  EXPECT_STREQ(error.code, "TW4501");
  EXPECT_EQ(tw_session_run(nullptr, nullptr, 0, nullptr, 0, &error), TW_INVALID);
  EXPECT_EQ(tw_session_reserve(nullptr, nullptr, 0, nullptr), TW_INVALID);
  tw_session_cancel(nullptr);
  tw_session_profile(nullptr, nullptr, nullptr);
  tw_session_free(nullptr);
  EXPECT_EQ(tw_session_memory_bytes(nullptr), 0u);
}
