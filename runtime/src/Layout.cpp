/// Layout.cpp - check a descriptor's tables, and derive once what every session on the model needs.

#include "Model.h"

#include <algorithm>

namespace tilewright::runtime {

namespace {

bool isPowerOfTwo(uint32_t value) { return value && (value & (value - 1)) == 0; }

class DescriptorChecker {
public:
  explicit DescriptorChecker(const tw_descriptor &descriptor) : descriptor(descriptor) {}

  /// Null, or what is wrong.
  const char *check() const {
    const uint32_t largest = 1u << 24;
    for (uint32_t count : {descriptor.input_count, descriptor.output_count, descriptor.symbol_count,
                           descriptor.buffer_count, descriptor.site_count, descriptor.launch_count})
      if (count > largest)
        return "a table is absurdly large";
    if (!descriptor.program || !descriptor.sizes || !descriptor.output_dims)
      return "an entry point is missing";
    if ((descriptor.input_count && !descriptor.inputs) || (descriptor.output_count && !descriptor.outputs) ||
        (descriptor.symbol_count && !descriptor.symbols) ||
        (descriptor.buffer_count && !descriptor.buffers) || (descriptor.site_count && !descriptor.sites) ||
        (descriptor.launch_count && !descriptor.launches))
      return "a table is missing";
    for (uint32_t index = 0; index < descriptor.buffer_count; ++index)
      if (const char *fault = checkBuffer(index))
        return fault;
    for (uint32_t index = 0; index < descriptor.input_count; ++index)
      if (const char *fault = checkIo(descriptor.inputs[index], true))
        return fault;
    for (uint32_t index = 0; index < descriptor.output_count; ++index)
      if (const char *fault = checkIo(descriptor.outputs[index], false))
        return fault;
    return nullptr;
  }

private:
  const char *checkBuffer(uint32_t index) const {
    const tw_buffer_info &buffer = descriptor.buffers[index];
    if (buffer.kind > TW_BUFFER_GROWABLE_OUTPUT)
      return "a buffer is of unknown kind";
    if (buffer.kind == TW_BUFFER_INPUT && buffer.io >= descriptor.input_count)
      return "a buffer belongs to an input that does not exist";
    if ((buffer.kind == TW_BUFFER_OUTPUT || buffer.kind == TW_BUFFER_GROWABLE_OUTPUT) &&
        buffer.io >= descriptor.output_count)
      return "a buffer belongs to an output that does not exist";
    if (buffer.kind == TW_BUFFER_ARENA && buffer.birth > buffer.death)
      return "a buffer dies before it is born";
    if (buffer.align && (!isPowerOfTwo(buffer.align) || buffer.align > 4096))
      return "a buffer's alignment is no power of two up to 4096";
    uint32_t current = index;
    for (uint32_t steps = 0; descriptor.buffers[current].alias != none; ++steps) {
      current = descriptor.buffers[current].alias;
      if (current >= descriptor.buffer_count || steps > descriptor.buffer_count)
        return "buffer aliases lead nowhere";
    }
    return nullptr;
  }

  const char *checkIo(const tw_io_info &io, bool input) const {
    if (!io.name || io.rank < 0 || io.rank > TW_MAX_RANK || (io.rank && !io.dims))
      return "an input or output lacks a name or has an impossible rank";
    if (io.buffer >= descriptor.buffer_count)
      return "an input or output belongs to a buffer that does not exist";
    for (int32_t axis = 0; axis < io.rank; ++axis) {
      const tw_io_dim &dim = io.dims[axis];
      if (dim.value == -1 && dim.symbol >= descriptor.symbol_count)
        return "a dimension is a symbol that does not exist";
      if (dim.value < (input ? -1 : -2))
        return "a dimension is neither a constant nor a symbol";
    }
    if (input ? io.squeezed_dims != 0 : io.squeezed_dims >> io.rank != 0)
      return "a dimension is squeezed that does not exist";
    return nullptr;
  }

  const tw_descriptor &descriptor;
};

uint32_t findRoot(const tw_descriptor &descriptor, uint32_t buffer) {
  while (descriptor.buffers[buffer].alias != none)
    buffer = descriptor.buffers[buffer].alias;
  return buffer;
}

OutputSource findSource(const tw_descriptor &descriptor, const Layout &layout, uint32_t output) {
  const tw_buffer_info &root = descriptor.buffers[layout.roots[descriptor.outputs[output].buffer]];
  if (root.kind == TW_BUFFER_OUTPUT && root.io == output)
    return OutputSource::direct;
  if (root.kind == TW_BUFFER_GROWABLE || root.kind == TW_BUFFER_GROWABLE_OUTPUT)
    return OutputSource::growable;
  return OutputSource::copied;
}

bool isProgramDefined(const tw_descriptor &descriptor, const tw_io_dim &dim) {
  // An expression may hold any symbol; which ones is only known to the artifact's code.
  if (dim.value == -2)
    return std::any_of(descriptor.symbols, descriptor.symbols + descriptor.symbol_count,
                       [](const tw_symbol_info &symbol) { return symbol.defined_by_program != 0; });
  return dim.value == -1 && descriptor.symbols[dim.symbol].defined_by_program;
}

bool describeOutputs(const tw_descriptor &descriptor, Layout &layout) {
  if (!layout.sources.allocate(descriptor.output_count) ||
      !layout.dimOffsets.allocate(descriptor.output_count + 1))
    return false;
  for (uint32_t output = 0; output < descriptor.output_count; ++output) {
    const tw_io_info &io = descriptor.outputs[output];
    layout.sources[output] = findSource(descriptor, layout, output);
    layout.dimOffsets[output + 1] = layout.dimOffsets[output] + static_cast<uint32_t>(io.rank);
    for (int32_t axis = 0; axis < io.rank; ++axis)
      layout.outputsNeedProgram |= isProgramDefined(descriptor, io.dims[axis]);
    layout.outputsNeedProgram |= layout.sources[output] == OutputSource::growable;
  }
  return true;
}

/// Sort buffers by what their memory depends on.
bool groupBuffers(const tw_descriptor &descriptor, Layout &layout) {
  uint32_t arena = 0, bound = 0, growable = 0;
  for (int filling = 0; filling < 2; ++filling) {
    if (filling && (!layout.arenaBuffers.allocate(arena) || !layout.boundBuffers.allocate(bound) ||
                    !layout.growables.allocate(growable)))
      return false;
    arena = bound = growable = 0;
    for (uint32_t buffer = 0; buffer < descriptor.buffer_count; ++buffer) {
      const uint32_t root = layout.roots[buffer], kind = descriptor.buffers[root].kind;
      auto add = [&](Array<uint32_t> &group, uint32_t &count) {
        if (filling)
          group[count] = buffer;
        ++count;
      };
      if (kind == TW_BUFFER_INPUT || kind == TW_BUFFER_OUTPUT)
        add(layout.boundBuffers, bound);
      else if (root == buffer)
        kind == TW_BUFFER_ARENA ? add(layout.arenaBuffers, arena) : add(layout.growables, growable);
    }
  }
  return true;
}

/// The lifetime of an arena buffer spans those of its aliases, and the rest of the run when an output is read
/// from it.
bool mergeLifetimes(const tw_descriptor &descriptor, Layout &layout) {
  Array<Interval> merged;
  if (!merged.allocate(descriptor.buffer_count) || !layout.intervals.allocate(layout.arenaBuffers.size()))
    return false;
  for (uint32_t root : layout.arenaBuffers)
    merged[root] = {0, descriptor.buffers[root].birth, descriptor.buffers[root].death, 64};
  for (uint32_t buffer = 0; buffer < descriptor.buffer_count; ++buffer) {
    const tw_buffer_info &info = descriptor.buffers[buffer];
    Interval &interval = merged[layout.roots[buffer]];
    interval.align = std::max(interval.align, info.align);
    if (info.kind != TW_BUFFER_ARENA)
      continue;
    interval.birth = std::min(interval.birth, info.birth);
    interval.death = std::max(interval.death, info.death);
  }
  for (uint32_t output = 0; output < descriptor.output_count; ++output)
    merged[layout.roots[descriptor.outputs[output].buffer]].death = UINT32_MAX;
  for (size_t index = 0; index < layout.arenaBuffers.size(); ++index)
    layout.intervals[index] = merged[layout.arenaBuffers[index]];
  return true;
}

} // namespace

tw_status checkDescriptor(const tw_descriptor &descriptor, const char *path, tw_error *error) {
  const char *fault = DescriptorChecker(descriptor).check();
  if (!fault)
    return TW_OK;
  return reportError(error, TW_INVALID, 4014, "artifact '%s' is damaged: %s; compile it again", path, fault);
}

bool buildLayout(const tw_descriptor &descriptor, Layout &layout) {
  if (!layout.roots.allocate(descriptor.buffer_count))
    return false;
  for (uint32_t buffer = 0; buffer < descriptor.buffer_count; ++buffer)
    layout.roots[buffer] = findRoot(descriptor, buffer);
  return describeOutputs(descriptor, layout) && groupBuffers(descriptor, layout) &&
         mergeLifetimes(descriptor, layout);
}

} // namespace tilewright::runtime
