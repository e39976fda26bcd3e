/// Host.cpp - what the runtime lends to generated code: barriers, failures, growing buffers, timing,
/// elementary functions.

#include "Cpu.h"
#include "Session.h"

#include <algorithm>
#include <cmath>

using namespace tilewright::runtime;

bool tw_session::meet(int32_t thread) {
  return team.meet(thread, [this] {
    checkRedZones();
    if (failure.claimed.load(std::memory_order_relaxed))
      return true;
    cancelled = cancelRequested.load(std::memory_order_relaxed) != 0;
    return cancelled;
  });
}

void tw_session::fail(int32_t code, int32_t site, int64_t a, int64_t b) {
  uint32_t unclaimed = 0;
  if (!failure.claimed.compare_exchange_strong(unclaimed, 1, std::memory_order_acq_rel))
    return;
  failure.code = code;
  failure.site = site;
  failure.a = a;
  failure.b = b;
  __atomic_store_n(&frame.failed, 1, __ATOMIC_RELEASE);
}

bool tw_session::grow(uint32_t buffer, int64_t bytes, bool keep) {
  const uint32_t root = buffer < descriptor.buffer_count ? model.layout.roots[buffer] : none;
  Region *region = growables.find(root);
  const int32_t site = region ? static_cast<int32_t>(descriptor.buffers[buffer].site) - 1 : -1;
  if (!region || bytes < 0) {
    fail(region ? TW_FAIL_MEMORY : 0, site, -1, 0);
    return true;
  }
  const auto wanted = static_cast<uint64_t>(bytes);
  const uint64_t doubled = region->data() ? 2 * region->capacity() : 0;
  const auto reserve = [&](uint64_t room) { return keep ? region->extend(room) : region->reserve(room); };
  if (!region->data() || wanted > region->capacity())
    if (!(doubled > wanted && reserve(doubled)) && !reserve(wanted)) {
      fail(TW_FAIL_MEMORY, site, bytes, 0);
      return true;
    }
  if (checked)
    watchGrown(root, wanted, *region);
  if (buffers[root] != region->data())
    for (uint32_t alias = 0; alias < descriptor.buffer_count; ++alias)
      if (model.layout.roots[alias] == root)
        buffers[alias] = region->data();
  return false;
}

namespace tilewright::runtime {

void Profile::start() {
  std::fill(nanoseconds.begin(), nanoseconds.end(), 0);
  std::fill(counts.begin(), counts.end(), 0);
  current = none;
}

void Profile::mark(uint32_t launch) {
  const uint64_t now = readNanoseconds();
  if (current < nanoseconds.size())
    nanoseconds[current] += now - since;
  if (launch < counts.size())
    ++counts[launch];
  current = launch;
  since = now;
}

void Profile::report(const tw_descriptor &descriptor) const {
  for (uint32_t launch = 0; launch < descriptor.launch_count; ++launch)
    if (counts[launch]) {
      const char *kernel = descriptor.launches[launch].kernel;
      callback(user, launch, kernel ? kernel : "", nanoseconds[launch]);
    }
}

namespace {

tw_session &sessionOf(tw_frame *frame) { return *static_cast<SessionFrame *>(frame)->session; }

int32_t hostBarrier(tw_frame *frame, int32_t thread) { return sessionOf(frame).meet(thread); }

void hostFail(tw_frame *frame, int32_t code, int32_t site, int64_t a, int64_t b) {
  sessionOf(frame).fail(code, site, a, b);
}

int32_t hostGrow(tw_frame *frame, uint32_t buffer, int64_t bytes, int32_t keep) {
  return sessionOf(frame).grow(buffer, bytes, keep != 0);
}

void hostMark(tw_frame *frame, int32_t thread, uint32_t launch) {
  if (thread == 0)
    sessionOf(frame).profile.mark(launch);
}

/// lgamma keeps the sign in a global variable, shared by all threads.
double logGamma(double x) {
  int sign;
  return lgamma_r(x, &sign);
}

/// In the order of TW_MATH_SIN ... TW_MATH_LGAMMA.
double (*const unaryFunctions[])(double) = {::sin,  ::cos,  ::tan,  ::asin,  ::acos,  ::atan,
                                            ::sinh, ::cosh, ::tanh, ::asinh, ::acosh, ::atanh,
                                            ::exp,  ::log,  ::erf,  ::log1p, ::expm1, logGamma};
static_assert(sizeof unaryFunctions / sizeof unaryFunctions[0] == TW_MATH1_COUNT);

/// In the order of TW_MATH_POW, TW_MATH_ATAN2, TW_MATH_FMOD.
double (*const binaryFunctions[])(double, double) = {::pow, ::atan2, ::fmod};
static_assert(sizeof binaryFunctions / sizeof binaryFunctions[0] == TW_MATH2_COUNT);

} // namespace

const tw_host_table hostTable = {
    sizeof(tw_host_table), TW_ABI_VERSION,  hostBarrier, hostFail, hostGrow, hostMark,
    unaryFunctions,        binaryFunctions, {}};

namespace {

/// What happened, in words; `status` says whose fault it is.
void describeFailure(const Failure &failure, Text &text, tw_status &status) {
  const auto a = static_cast<long long>(failure.a), b = static_cast<long long>(failure.b);
  status = TW_INVALID;
  switch (failure.code) {
  case TW_FAIL_INDEX:
    return text.append("index %lld is outside [%lld, %lld)", a, -b, b);
  case TW_FAIL_SHAPE:
    return text.append("a dimension is %lld where %lld is needed", a, b);
  case TW_FAIL_AT_MOST:
    return text.append("a size is %lld where at most %lld fits", a, b);
  case TW_FAIL_AT_LEAST:
    return text.append("a size is %lld where at least %lld is needed", a, b);
  case TW_FAIL_RESHAPE:
    return text.append("%lld elements cannot be reshaped into %lld", a, b);
  case TW_FAIL_SIZE:
    return a < 0 ? text.append("%lld is used as a size or count, which cannot be negative", a)
                 : text.append("%lld is used as a size or count, the limit is %lld", a, b);
  case TW_FAIL_MEMORY:
    status = TW_IO;
    return a < 0 ? text.append("a result is larger than any memory: its size takes more than 64 bits")
                 : text.append("%lld bytes of memory cannot be allocated", a);
  case TW_FAIL_DIVIDE:
    return text.append("integer division by zero");
  case TW_FAIL_BRANCH:
    return text.append("the branch that the inputs choose cannot run: shapes or sizes do not fit this node");
  case TW_FAIL_ASSUMPTION:
    status = TW_UNSUPPORTED;
    return text.append(
        "a condition or size that follows from the inputs is %lld, but the model was compiled for "
        "%lld only: what it does otherwise has results of another rank or element type",
        a, b);
  case TW_FAIL_READ:
  case TW_FAIL_WRITE:
    status = TW_INTERNAL;
    return text.append("out of bounds %s at byte %lld of a buffer of %lld bytes; please report this",
                       failure.code == TW_FAIL_READ ? "read" : "write", a, b);
  case TW_FAIL_RED_ZONE:
    status = TW_INTERNAL;
    return text.append("byte %lld %s buffer %lld was overwritten; please report this", a < 0 ? -a : a,
                       a < 0 ? "before" : "behind", b);
  default:
    status = TW_INTERNAL;
    return text.append("the program reported the unknown failure %d; please report this", failure.code);
  }
}

int codeOf(const Failure &failure, tw_status status) {
  if (status != TW_INTERNAL)
    return 4400 + failure.code;
  if (failure.code == TW_FAIL_RED_ZONE)
    return 9411;
  return failure.code == TW_FAIL_READ || failure.code == TW_FAIL_WRITE ? 9410 : 9401;
}

} // namespace

tw_status reportFailure(const tw_descriptor &descriptor, const Failure &failure, tw_error *error) {
  Text what;
  tw_status status;
  describeFailure(failure, what, status);
  const int code = codeOf(failure, status);
  if (failure.site < 0 || static_cast<uint32_t>(failure.site) >= descriptor.site_count)
    return reportError(error, status, code, "%s", what.c_str());
  const tw_site_info &site = descriptor.sites[failure.site];
  const bool named = site.node && site.node[0], known = named || (site.op && site.op[0]);
  const bool explained = site.sizes && site.sizes[0];
  reportError(error, status, code, "%s%s%s%s%s%s%s%s", site.op ? site.op : "", named ? " '" : "",
              named ? site.node : "", named ? "'" : "", known ? ": " : "", explained ? site.sizes : "",
              explained ? ": " : "", what.c_str());
  if (error) {
    copyText(error->node, sizeof error->node, site.node);
    copyText(error->op, sizeof error->op, site.op);
    copyText(error->tensor, sizeof error->tensor, site.tensor);
  }
  return status;
}

} // namespace tilewright::runtime
