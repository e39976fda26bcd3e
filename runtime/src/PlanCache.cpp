#include "PlanCache.h"

#include "Bind.h"
#include "RedZones.h"
#include "Region.h"

#include <algorithm>
#include <cstring>

namespace tilewright::runtime {

namespace {

bool prepareEntry(const tw_descriptor &descriptor, const Layout &layout, Plan &plan) {
  return plan.symbols.allocate(descriptor.symbol_count) &&
         plan.arenaOffsets.allocate(layout.arenaBuffers.size()) &&
         plan.outputDims.allocate(layout.dimOffsets[descriptor.output_count]) &&
         plan.outputBytes.allocate(descriptor.output_count) &&
         plan.outputOffsets.allocate(descriptor.output_count);
}

tw_status tooLarge(const tw_descriptor &descriptor, const int64_t *symbols, tw_error *error) {
  Text dims;
  for (uint32_t symbol = 0; symbol < std::min(descriptor.symbol_count, 8u); ++symbol)
    dims.append("%s%s = %lld", symbol ? ", " : ": ",
                descriptor.symbols[symbol].name ? descriptor.symbols[symbol].name : "?",
                static_cast<long long>(symbols[symbol]));
  return reportError(
      error, TW_IO, 4301,
      "the model needs more memory than a process can address with inputs of these dimensions%s",
      dims.c_str());
}

} // namespace

bool PlanCache::prepare(const tw_model &owner) {
  model = &owner;
  const Layout &layout = owner.layout;
  if (!intervals.allocate(layout.intervals.size()) ||
      !sizes.allocate(size_t(owner.descriptor->buffer_count) + 1))
    return false;
  std::copy(layout.intervals.begin(), layout.intervals.end(), intervals.begin());
  if (owner.descriptor->flags & TW_ARTIFACT_CHECKED) {
    zone = redZoneBytes;
    for (Interval &interval : intervals) // red zones stay where they are: no memory is used twice
      interval.birth = 0, interval.death = UINT32_MAX;
  }
  return planner.prepare(intervals.data(), intervals.size());
}

tw_status PlanCache::find(const int64_t *symbols, const Plan **plan, tw_error *error) {
  const size_t keyBytes = model->descriptor->symbol_count * sizeof(int64_t);
  Plan *oldest = &entries[0];
  for (Plan &entry : entries) {
    if (entry.lastUse && memcmp(entry.symbols.data(), symbols, keyBytes) == 0) {
      entry.lastUse = ++useCount;
      *plan = &entry;
      return TW_OK;
    }
    if (entry.lastUse < oldest->lastUse)
      oldest = &entry;
  }
  oldest->lastUse = 0; // A plan that fails half way must not be found.
  if (tw_status status = make(symbols, *oldest, error))
    return status;
  oldest->serial = ++missCount;
  oldest->lastUse = ++useCount;
  *plan = oldest;
  return TW_OK;
}

tw_status PlanCache::make(const int64_t *symbols, Plan &plan, tw_error *error) {
  const tw_descriptor &descriptor = *model->descriptor;
  const Layout &layout = model->layout;
  if (!plan.symbols.data() && !prepareEntry(descriptor, layout, plan))
    return reportError(error, TW_IO, 4302, "not enough memory for a memory plan");
  std::copy(symbols, symbols + descriptor.symbol_count, plan.symbols.begin());
  descriptor.sizes(symbols, sizes.data());
  for (int64_t bytes : sizes)
    if (bytes < 0 || static_cast<uint64_t>(bytes) > largestMemory)
      return tooLarge(descriptor, symbols, error);

  for (size_t index = 0; index < intervals.size(); ++index)
    intervals[index].bytes = static_cast<uint64_t>(sizes[layout.arenaBuffers[index]]) + 2 * zone;
  if (!planner.plan(intervals.data(), plan.arenaOffsets.data(), plan.arenaBytes))
    return tooLarge(descriptor, symbols, error);
  for (uint64_t &offset : plan.arenaOffsets)
    offset += zone;
  plan.scratchBytes = static_cast<uint64_t>(sizes[descriptor.buffer_count]);
  descriptor.output_dims(symbols, plan.outputDims.data());
  return placeOutputs(plan, error);
}

tw_status PlanCache::placeOutputs(Plan &plan, tw_error *error) {
  const tw_descriptor &descriptor = *model->descriptor;
  const Layout &layout = model->layout;
  plan.ownedOutputBytes = 0;
  for (uint32_t output = 0; output < descriptor.output_count; ++output) {
    plan.outputBytes[output] = 0;
    plan.outputOffsets[output] = plan.ownedOutputBytes;
    if (layout.sources[output] == OutputSource::growable)
      continue;
    const tw_io_info &io = descriptor.outputs[output];
    const int64_t *dims = &plan.outputDims[layout.dimOffsets[output]];
    const auto dtype = static_cast<tw_dtype>(io.dtype);
    if (std::any_of(dims, dims + io.rank, [](int64_t dim) { return dim < 0; }) ||
        !countBytes(dims, io.rank, tw_dtype_bytes(dtype), plan.outputBytes[output]))
      return tooLarge(descriptor, plan.symbols.data(), error);
    if (layout.sources[output] == OutputSource::direct &&
        static_cast<uint64_t>(sizes[layout.roots[io.buffer]]) > plan.outputBytes[output])
      return reportError(error, TW_INTERNAL, 9402,
                         "output '%s' has a buffer of %lld bytes but dimensions for %llu; please report this",
                         io.name, static_cast<long long>(sizes[layout.roots[io.buffer]]),
                         static_cast<unsigned long long>(plan.outputBytes[output]));
    plan.ownedOutputBytes = alignUp(plan.ownedOutputBytes + plan.outputBytes[output] + readableSlack, 64);
    if (plan.ownedOutputBytes > largestMemory)
      return tooLarge(descriptor, plan.symbols.data(), error);
  }
  return TW_OK;
}

} // namespace tilewright::runtime
