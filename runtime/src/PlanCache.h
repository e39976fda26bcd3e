/// PlanCache.h - memory plans for the last few sets of dimensions a session met.
#ifndef TILEWRIGHT_RUNTIME_PLANCACHE_H
#define TILEWRIGHT_RUNTIME_PLANCACHE_H

#include "MemoryPlan.h"
#include "Model.h"

namespace tilewright::runtime {

/// Where everything lies for one set of dimensions.
struct Plan {
  Array<int64_t> symbols;        ///< [symbols] the key
  Array<uint64_t> arenaOffsets;  ///< [layout.arenaBuffers]
  Array<int64_t> outputDims;     ///< all outputs; final only for those that do not need the program
  Array<uint64_t> outputBytes;   ///< [outputs] dense
  Array<uint64_t> outputOffsets; ///< [outputs] in the region of session-owned outputs
  uint64_t arenaBytes = 0;
  uint64_t ownedOutputBytes = 0; ///< when the session owns all outputs that are not growable
  uint64_t scratchBytes = 0;     ///< per thread
  uint64_t serial = 0;           ///< differs from every other plan of the session, never 0
  uint64_t lastUse = 0;          ///< 0: this entry holds nothing
};

/// Least recently used goes first. A model without symbols has one plan for ever.
class PlanCache {
public:
  static constexpr size_t capacity = 8;

  [[nodiscard]] bool prepare(const tw_model &model);

  /// The plan for these symbols, made now or before; stays valid until the next call. Allocates only the
  /// first time an entry is used. Sizes that overflow or leave the address space are refused.
  tw_status find(const int64_t *symbols, const Plan **plan, tw_error *error);

  /// Plans made since the beginning.
  uint64_t misses() const { return missCount; }

private:
  tw_status make(const int64_t *symbols, Plan &plan, tw_error *error);
  tw_status placeOutputs(Plan &plan, tw_error *error);

  const tw_model *model = nullptr;
  MemoryPlanner planner;
  Array<Interval> intervals;
  Array<int64_t> sizes; ///< as the artifact computes them: [buffers + 1]
  Plan entries[capacity];
  uint64_t zone = 0; ///< bytes of the red zone on either side of each buffer of the arena
  uint64_t useCount = 0;
  uint64_t missCount = 0;
};

} // namespace tilewright::runtime
#endif
