/// Session.h - one caller's state on a model, and the course of a run.
#ifndef TILEWRIGHT_RUNTIME_SESSION_H
#define TILEWRIGHT_RUNTIME_SESSION_H

#include "Bind.h"
#include "PlanCache.h"
#include "RedZones.h"
#include "Region.h"
#include "Team.h"

namespace tilewright::runtime {

/// The frame generated code sees, with the way back to the session for the host functions.
struct SessionFrame : tw_frame {
  tw_session *session;
};

/// The first failure of a run. Threads compete for `claimed`; the winner writes the rest before its next
/// barrier.
struct Failure {
  std::atomic<uint32_t> claimed{0};
  int32_t code = 0, site = 0;
  int64_t a = 0, b = 0;
};

/// Time per launch, taken by thread 0 between successive marks.
struct Profile {
  tw_profile_callback callback = nullptr;
  void *user = nullptr;
  Array<uint64_t> nanoseconds; ///< [launches]
  Array<uint32_t> counts;      ///< [launches]
  uint32_t current = none;
  uint64_t since = 0;

  void start();
  void mark(uint32_t launch);
  void report(const tw_descriptor &descriptor) const;
};

/// Memory of growable buffers, one region each.
class GrowableRegions {
public:
  GrowableRegions() = default;
  GrowableRegions(const GrowableRegions &) = delete;
  GrowableRegions &operator=(const GrowableRegions &) = delete;
  ~GrowableRegions();
  [[nodiscard]] bool prepare(const tw_descriptor &descriptor, const Layout &layout);
  /// Null when `buffer` is not growable.
  Region *find(uint32_t buffer);
  uint64_t mappedBytes() const;

private:
  Array<uint32_t> indices; ///< [buffers]
  Region *regions = nullptr;
  size_t count = 0;
};

/// The table lent to generated code.
extern const tw_host_table hostTable;

/// Word the failure of a run. `error` may be null.
tw_status reportFailure(const tw_descriptor &descriptor, const Failure &failure, tw_error *error);

} // namespace tilewright::runtime

struct tw_session {
  explicit tw_session(tw_model &model);
  ~tw_session();
  tw_session(const tw_session &) = delete;
  tw_session &operator=(const tw_session &) = delete;

  tw_status prepare(int32_t threads, tw_error *error);
  tw_status reserve(const tw_tensor *inputs, uint32_t inputCount, tw_error *error);
  tw_status run(const tw_tensor *inputs, uint32_t inputCount, tw_tensor *outputs, uint32_t outputCount,
                tw_error *error);
  uint64_t memoryBytes() const;
  uint64_t plannedArenaBytes = 0; ///< of the plan that memory was claimed for last

  /// Host functions, called by the team.
  bool meet(int32_t thread); ///< true: the run stops here
  void fail(int32_t code, int32_t site, int64_t a, int64_t b);
  bool grow(uint32_t buffer, int64_t bytes, bool keep); ///< true: failed

  std::atomic<uint32_t> busy{0}; ///< guards against two threads in one session
  std::atomic<uint32_t> cancelRequested{0};
  tilewright::runtime::Profile profile;
  bool isLost() const { return team.isLost(); } ///< see Team
  uint64_t planCount() const { return plans.misses(); }

private:
  /// Bind the inputs and all symbols that follow; withData is false when only shapes are of interest.
  tw_status findPlan(const tw_tensor *inputs, uint32_t inputCount, bool withData,
                     const tilewright::runtime::Plan **plan, tw_error *error);
  tw_status checkOutputs(const tilewright::runtime::Plan &plan, const tw_tensor *outputs, uint32_t count,
                         tw_error *error) const;
  tw_status checkOutputShape(uint32_t output, const int64_t *dims, const tw_tensor &tensor,
                             tw_error *error) const;
  tw_status claimMemory(const tilewright::runtime::Plan &plan, bool ownsOutputs, tw_error *error);
  bool overlapsInput(const tw_tensor *inputs, const void *data, uint64_t bytes) const;
  bool chooseTargets(const tilewright::runtime::Plan &plan, const tw_tensor *inputs,
                     const tw_tensor *outputs);
  void placeInputs(const tw_tensor *inputs);
  void placeBuffers(const tilewright::runtime::Plan &plan, const tw_tensor *outputs);
  bool prepareGuards(int32_t threads);
  void guardBuffers(const tilewright::runtime::Plan &plan);
  void watchGrown(uint32_t buffer, uint64_t bytes, const tilewright::runtime::Region &region);
  void checkRedZones();
  void execute();
  tw_status finishOutputs(const tilewright::runtime::Plan &plan, tw_tensor *outputs, tw_error *error);
  tw_status finishGrowable(uint32_t output, const int64_t *dims, tw_tensor &tensor, tw_error *error);
  static void runThread(void *session, int32_t thread);

  tw_model &model;
  const tw_descriptor &descriptor;
  tilewright::runtime::SessionFrame frame = {};
  tilewright::runtime::Team team;
  tilewright::runtime::Binding binding;
  tilewright::runtime::PlanCache plans;
  tilewright::runtime::Region arena, scratch, staging, ownedOutputs;
  tilewright::runtime::GrowableRegions growables;
  tilewright::runtime::Failure failure;
  bool cancelled = false; ///< decided at a barrier

  tilewright::runtime::Array<uint8_t *> buffers;         ///< [buffers] of the frame
  tilewright::runtime::Array<uint8_t *> scratchPointers; ///< [threads] of the frame
  tilewright::runtime::Array<uint8_t *> inputPointers;   ///< [inputs] dense data of this run
  tilewright::runtime::Array<uint8_t *>
      outputTargets; ///< [outputs] where the result is produced; null: in the owned region
  tilewright::runtime::Array<int64_t> finalDims; ///< output dimensions after a run that had to find them
  uint64_t placedPlan = 0;                       ///< serial of the plan the arena pointers follow
  const uint8_t *placedArena = nullptr;

  /// Of checked artifacts.
  bool checked = false;
  tilewright::runtime::Array<int64_t> extents; ///< [buffers + 1] of the frame
  tilewright::runtime::RedZones redZones;
};

#endif
