/// Api.cpp - the C interface: argument checks, then the work is handed on.

#include "Cpu.h"
#include "Session.h"

#include <algorithm>
#include <cstddef>

using namespace tilewright::runtime;

namespace {

constexpr int32_t largestTeam = 1024;

tw_status misuse(tw_error *error, const char *function, const char *what) {
  return reportError(error, TW_INVALID, 4501, "%s: %s", function, what);
}

/// Whether the caller's structure reaches far enough to hold `field`.
#define HAS_FIELD(options, type, field)                                                                      \
  ((options) && (options)->struct_size >= offsetof(type, field) + sizeof((options)->field))

/// Lets one thread at a time into a session.
class Entry {
public:
  explicit Entry(tw_session &session)
      : session(session), admitted(session.busy.exchange(1, std::memory_order_acquire) == 0) {}
  ~Entry() {
    if (admitted)
      session.busy.store(0, std::memory_order_release);
  }
  Entry(const Entry &) = delete;
  Entry &operator=(const Entry &) = delete;
  explicit operator bool() const { return admitted; }

private:
  tw_session &session;
  const bool admitted;
};

/// What later versions may give a meaning must be 0 until then.
bool isPlain(const tw_tensor *tensors, uint32_t count) {
  return !tensors || std::all_of(tensors, tensors + count, [](const tw_tensor &tensor) {
    return tensor.flags == 0 && tensor.reserved == 0;
  });
}
constexpr const char *notPlain = "flags and reserved of a tensor must be 0";

tw_status lost(tw_error *error) {
  return reportError(error, TW_INVALID, 4503,
                     "this session was created before fork(): its threads are in the parent process; create "
                     "a session in the child (it may share the model)");
}

tw_status alreadyBusy(tw_error *error) {
  return reportError(error, TW_INVALID, 4502,
                     "another thread is using this session; give each thread its own session on the model");
}

} // namespace

const char *tw_version(void) { return TILEWRIGHT_VERSION; }

tw_status tw_model_load(const char *path, const tw_load_options *options, tw_model **model, tw_error *error) {
  clearError(error);
  if (model)
    *model = nullptr;
  if (!path || !model)
    return misuse(error, "tw_model_load", "path and model must not be null");
  LoadOptions how;
  if (HAS_FIELD(options, tw_load_options, weights_path))
    how.weightsPath = options->weights_path;
  if (HAS_FIELD(options, tw_load_options, flags))
    how.flags = options->flags;
  constexpr uint32_t either = TW_LOAD_CHECK_WEIGHTS | TW_LOAD_TRUST_WEIGHTS;
  if (how.flags & ~either)
    return misuse(error, "tw_model_load", "flags has bits that this version does not know");
  if (how.flags == either)
    return misuse(error, "tw_model_load", "weights are either checked or trusted");
  return loadModel(path, how, model, error);
}

void tw_model_free(tw_model *model) {
  if (model)
    model->release();
}

uint32_t tw_model_input_count(const tw_model *model) { return model ? model->descriptor->input_count : 0; }
uint32_t tw_model_output_count(const tw_model *model) { return model ? model->descriptor->output_count : 0; }

const tw_tensor_info *tw_model_input(const tw_model *model, uint32_t index) {
  return model && index < model->inputs.size() ? &model->inputs[index] : nullptr;
}

const tw_tensor_info *tw_model_output(const tw_model *model, uint32_t index) {
  return model && index < model->outputs.size() ? &model->outputs[index] : nullptr;
}

const char *tw_model_report(const tw_model *model) {
  return model && model->descriptor->report ? model->descriptor->report : "{}";
}

uint64_t tw_model_code_bytes(const tw_model *model) { return model ? model->codeBytes : 0; }
const char *tw_model_weights_path(const tw_model *model) {
  return model && model->weightsPath.size() ? model->weightsPath.data() : nullptr;
}
uint64_t tw_model_weight_bytes(const tw_model *model) { return model ? model->descriptor->weight_bytes : 0; }

tw_status tw_session_create(tw_model *model, const tw_session_options *options, tw_session **session,
                            tw_error *error) {
  clearError(error);
  if (session)
    *session = nullptr;
  if (!model || !session)
    return misuse(error, "tw_session_create", "model and session must not be null");
  if (HAS_FIELD(options, tw_session_options, flags) && options->flags)
    return misuse(error, "tw_session_create", "flags has bits that this version does not know");
  int32_t threads = HAS_FIELD(options, tw_session_options, threads) ? options->threads : 0;
  if (threads < 0 || threads > largestTeam)
    return reportError(error, TW_INVALID, 4103,
                       "a session of %d threads was asked for; between 0 (all cores) and %d can be had",
                       threads, largestTeam);
  if (threads == 0)
    threads = availableProcessors() < largestTeam ? availableProcessors() : largestTeam;
  auto *created = create<tw_session>(*model);
  if (!created)
    return reportError(error, TW_IO, 4102, "not enough memory for a session");
  const tw_status status = created->prepare(threads, error);
  if (status == TW_OK)
    *session = created;
  else
    destroy(created);
  return status;
}

void tw_session_free(tw_session *session) { destroy(session); }

tw_status tw_session_reserve(tw_session *session, const tw_tensor *inputs, uint32_t input_count,
                             tw_error *error) {
  clearError(error);
  if (!session)
    return misuse(error, "tw_session_reserve", "session must not be null");
  if (!isPlain(inputs, input_count))
    return misuse(error, "tw_session_reserve", notPlain);
  if (session->isLost())
    return lost(error);
  Entry entry(*session);
  return entry ? session->reserve(inputs, input_count, error) : alreadyBusy(error);
}

tw_status tw_session_run(tw_session *session, const tw_tensor *inputs, uint32_t input_count,
                         tw_tensor *outputs, uint32_t output_count, tw_error *error) {
  clearError(error);
  if (!session)
    return misuse(error, "tw_session_run", "session must not be null");
  if (!isPlain(inputs, input_count) || !isPlain(outputs, output_count))
    return misuse(error, "tw_session_run", notPlain);
  if (session->isLost())
    return lost(error);
  Entry entry(*session);
  return entry ? session->run(inputs, input_count, outputs, output_count, error) : alreadyBusy(error);
}

void tw_session_cancel(tw_session *session) {
  if (session)
    session->cancelRequested.store(1, std::memory_order_relaxed);
}

void tw_session_profile(tw_session *session, tw_profile_callback callback, void *user) {
  if (!session)
    return;
  session->profile.callback = callback;
  session->profile.user = user;
}

uint64_t tw_session_arena_bytes(const tw_session *session) {
  return session ? session->plannedArenaBytes : 0;
}
uint64_t tw_session_memory_bytes(const tw_session *session) { return session ? session->memoryBytes() : 0; }
