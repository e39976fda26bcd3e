#include "Session.h"

#include "Cpu.h"

#include <algorithm>
#include <cstring>

using namespace tilewright::runtime;

namespace {

/// Stands in for memory of no bytes, so that generated code never sees a null pointer.
alignas(64) uint8_t emptyMemory[2 * readableSlack];

/// Scratch of different threads never shares a page.
constexpr uint64_t scratchGrain = 4096;

/// What the caller sees of an output: its dimensions without those of size 1 that it squeezes.
struct VisibleShape {
  VisibleShape(const tw_io_info &io, const int64_t *dims) {
    for (int32_t axis = 0; axis < io.rank; ++axis)
      if (dims[axis] != 1 || !(io.squeezed_dims >> axis & 1))
        sizes[rank++] = dims[axis];
  }

  int32_t rank = 0;
  int64_t sizes[TW_MAX_RANK];
};

uint8_t *orEmpty(void *data) { return data ? static_cast<uint8_t *>(data) : emptyMemory; }

tw_status outOfMemory(tw_error *error, const char *what, uint64_t bytes) {
  return reportError(error, TW_IO, 4302, "cannot allocate %llu bytes of memory for %s",
                     static_cast<unsigned long long>(bytes), what);
}

} // namespace

GrowableRegions::~GrowableRegions() {
  for (size_t index = 0; index < count; ++index)
    regions[index].~Region();
  free(regions);
}

bool GrowableRegions::prepare(const tw_descriptor &descriptor, const Layout &layout) {
  regions = static_cast<Region *>(malloc(std::max<size_t>(layout.growables.size(), 1) * sizeof(Region)));
  if (!regions || !indices.allocate(descriptor.buffer_count))
    return false;
  for (count = 0; count < layout.growables.size(); ++count)
    new (&regions[count]) Region();
  std::fill(indices.begin(), indices.end(), none);
  for (uint32_t index = 0; index < count; ++index)
    indices[layout.growables[index]] = index;
  return true;
}

Region *GrowableRegions::find(uint32_t buffer) {
  return buffer < indices.size() && indices[buffer] != none ? &regions[indices[buffer]] : nullptr;
}

uint64_t GrowableRegions::mappedBytes() const {
  uint64_t bytes = 0;
  for (size_t index = 0; index < count; ++index)
    bytes += regions[index].mappedBytes();
  return bytes;
}

tw_session::tw_session(tw_model &owner) : model(owner), descriptor(*owner.descriptor) {
  model.references.fetch_add(1, std::memory_order_relaxed);
}

tw_session::~tw_session() {
  team.stop();
  model.release();
}

tw_status tw_session::prepare(int32_t threads, tw_error *error) {
  const uint32_t dimCount = model.layout.dimOffsets[descriptor.output_count];
  if (!binding.prepare(descriptor) || !plans.prepare(model) || !growables.prepare(descriptor, model.layout) ||
      !buffers.allocate(descriptor.buffer_count) || !scratchPointers.allocate(static_cast<size_t>(threads)) ||
      !inputPointers.allocate(descriptor.input_count) || !outputTargets.allocate(descriptor.output_count) ||
      !finalDims.allocate(dimCount) || !profile.nanoseconds.allocate(descriptor.launch_count) ||
      !profile.counts.allocate(descriptor.launch_count) || !prepareGuards(threads))
    return reportError(error, TW_IO, 4102, "not enough memory for a session");
  std::fill(buffers.begin(), buffers.end(), static_cast<uint8_t *>(emptyMemory));
  frame.host = &hostTable;
  frame.buffers = buffers.data();
  frame.symbols = binding.symbols.data();
  frame.weights = model.weights.data();
  frame.scratch = scratchPointers.data();
  frame.extents = extents.data();
  frame.session = this;
  return team.start(threads, runThread, this, error);
}

void tw_session::runThread(void *argument, int32_t thread) {
  auto *session = static_cast<tw_session *>(argument);
  session->descriptor.program(&session->frame, thread, session->team.size());
}

tw_status tw_session::findPlan(const tw_tensor *inputs, uint32_t inputCount, bool withData, const Plan **plan,
                               tw_error *error) {
  if (tw_status status = bindInputs(model, inputs, inputCount, withData, binding, error))
    return status;
  if (descriptor.derive)
    descriptor.derive(binding.symbols.data());
  return plans.find(binding.symbols.data(), plan, error);
}

tw_status tw_session::reserve(const tw_tensor *inputs, uint32_t inputCount, tw_error *error) {
  const Plan *plan;
  if (tw_status status = findPlan(inputs, inputCount, false, &plan, error))
    return status;
  return claimMemory(*plan, true, error);
}

tw_status tw_session::run(const tw_tensor *inputs, uint32_t inputCount, tw_tensor *outputs,
                          uint32_t outputCount, tw_error *error) {
  const Plan *plan;
  if (tw_status status = findPlan(inputs, inputCount, true, &plan, error))
    return status;
  if (tw_status status = checkOutputs(*plan, outputs, outputCount, error))
    return status;
  const bool ownsOutputs = chooseTargets(*plan, inputs, outputs);
  if (tw_status status = claimMemory(*plan, ownsOutputs, error))
    return status;
  placeInputs(inputs);
  placeBuffers(*plan, outputs);
  if (checked)
    guardBuffers(*plan);
  execute();
  if (failure.claimed.load(std::memory_order_acquire))
    return reportFailure(descriptor, failure, error);
  if (cancelled)
    return reportError(error, TW_CANCELLED, 4408, "the run was cancelled");
  if (tw_status status = finishOutputs(*plan, outputs, error))
    return status;
  if (profile.callback)
    profile.report(descriptor);
  return TW_OK;
}

tw_status tw_session::checkOutputs(const Plan &plan, const tw_tensor *outputs, uint32_t count,
                                   tw_error *error) const {
  if (count != descriptor.output_count || (count && !outputs))
    return reportError(error, TW_INVALID, 4209, "the model has %u outputs, room for %u was given",
                       descriptor.output_count, outputs ? count : 0);
  for (uint32_t output = 0; output < count; ++output) {
    const tw_tensor &tensor = outputs[output];
    const tw_tensor_info &info = model.outputs[output];
    if (tw_dtype_bytes(info.dtype) == 0)
      return reportError(error, TW_UNSUPPORTED, 4210,
                         "output '%s' has element type %s, which this runtime cannot pass", info.name,
                         tw_dtype_name(info.dtype));
    if (!tensor.data)
      continue;
    if (tensor.device.kind != 0)
      return reportError(error, TW_UNSUPPORTED, 4208,
                         "output '%s' lies on device kind %d; only CPU memory (0) is supported", info.name,
                         tensor.device.kind);
    if (tensor.dtype != info.dtype)
      return reportError(error, TW_INVALID, 4210,
                         "output '%s' has element type %s, the buffer given is of %s", info.name,
                         tw_dtype_name(info.dtype), tw_dtype_name(tensor.dtype));
    if (model.layout.sources[output] == OutputSource::growable)
      continue; // Compared after the run, when its shape is known.
    const int64_t *dims = &plan.outputDims[model.layout.dimOffsets[output]];
    if (tw_status status = checkOutputShape(output, dims, tensor, error))
      return status;
  }
  return TW_OK;
}

tw_status tw_session::checkOutputShape(uint32_t output, const int64_t *dims, const tw_tensor &tensor,
                                       tw_error *error) const {
  const tw_tensor_info &info = model.outputs[output];
  const VisibleShape shape(descriptor.outputs[output], dims);
  Text computed, given;
  if (tensor.rank == shape.rank && std::equal(shape.sizes, shape.sizes + shape.rank, tensor.shape)) {
    if (isDense(tensor))
      return TW_OK;
    return reportError(error, TW_UNSUPPORTED, 4211,
                       "the buffer for output '%s' has strides; outputs are written row-major", info.name);
  }
  describeShape(shape.sizes, shape.rank, computed);
  describeShape(tensor.shape, std::clamp(tensor.rank, 0, TW_MAX_RANK), given);
  reportError(error, TW_INVALID, 4210, "output '%s' has shape %s, the buffer given is for %s", info.name,
              computed.c_str(), given.c_str());
  if (error)
    copyText(error->tensor, sizeof error->tensor, info.name);
  return TW_INVALID;
}

/// A program that writes an output over an input still to be read would compute nonsense.
bool tw_session::overlapsInput(const tw_tensor *inputs, const void *data, uint64_t bytes) const {
  const auto begin = reinterpret_cast<uintptr_t>(data);
  for (uint32_t input = 0; input < descriptor.input_count; ++input) {
    const auto other = reinterpret_cast<uintptr_t>(inputs[input].data);
    if (!binding.strided[input] && begin < other + binding.inputBytes[input] && other < begin + bytes)
      return true;
  }
  return false;
}

/// Decide which outputs the program writes straight into the caller's buffer. True when the session has to
/// own others.
bool tw_session::chooseTargets(const Plan &plan, const tw_tensor *inputs, const tw_tensor *outputs) {
  bool ownsOutputs = false;
  for (uint32_t output = 0; output < descriptor.output_count; ++output) {
    outputTargets[output] = nullptr;
    if (model.layout.sources[output] == OutputSource::growable)
      continue;
    void *data = outputs[output].data;
    if (data && !overlapsInput(inputs, data, plan.outputBytes[output]))
      outputTargets[output] = static_cast<uint8_t *>(data);
    else
      ownsOutputs = true;
  }
  return ownsOutputs;
}

tw_status tw_session::claimMemory(const Plan &plan, bool ownsOutputs, tw_error *error) {
  uint64_t stagingBytes = 0;
  for (uint32_t input = 0; input < descriptor.input_count; ++input)
    if (binding.strided[input])
      stagingBytes += alignUp(binding.inputBytes[input] + readableSlack, 64);
  const uint64_t scratchStride = alignUp(plan.scratchBytes + readableSlack, scratchGrain);
  const uint64_t scratchBytes = plan.scratchBytes ? scratchStride * scratchPointers.size() : 0;
  plannedArenaBytes = plan.arenaBytes;
  if (plan.arenaBytes && !arena.reserve(plan.arenaBytes))
    return outOfMemory(error, "intermediate results", plan.arenaBytes);
  if (scratchBytes && !scratch.reserve(scratchBytes))
    return outOfMemory(error, "scratch", scratchBytes);
  if (stagingBytes && !staging.reserve(stagingBytes))
    return outOfMemory(error, "dense copies of inputs", stagingBytes);
  if (ownsOutputs && plan.ownedOutputBytes && !ownedOutputs.reserve(plan.ownedOutputBytes))
    return outOfMemory(error, "outputs", plan.ownedOutputBytes);
  for (size_t thread = 0; thread < scratchPointers.size(); ++thread)
    scratchPointers[thread] = scratchBytes ? scratch.data() + thread * scratchStride : emptyMemory;
  return TW_OK;
}

void tw_session::placeInputs(const tw_tensor *inputs) {
  uint64_t offset = 0;
  for (uint32_t input = 0; input < descriptor.input_count; ++input) {
    if (!binding.strided[input]) {
      inputPointers[input] = orEmpty(inputs[input].data);
      continue;
    }
    inputPointers[input] = staging.data() + offset;
    copyStrided(inputs[input], tw_dtype_bytes(inputs[input].dtype), inputPointers[input]);
    offset += alignUp(binding.inputBytes[input] + readableSlack, 64);
  }
}

void tw_session::placeBuffers(const Plan &plan, const tw_tensor *outputs) {
  const Layout &layout = model.layout;
  if (placedPlan != plan.serial || placedArena != arena.data()) {
    for (size_t index = 0; index < layout.arenaBuffers.size(); ++index)
      buffers[layout.arenaBuffers[index]] =
          arena.data() ? arena.data() + plan.arenaOffsets[index] : emptyMemory;
    for (uint32_t buffer = 0; buffer < descriptor.buffer_count; ++buffer)
      buffers[buffer] = buffers[layout.roots[buffer]];
    placedPlan = plan.serial;
    placedArena = arena.data();
  }
  for (uint32_t output = 0; output < descriptor.output_count; ++output)
    if (!outputTargets[output] && layout.sources[output] != OutputSource::growable)
      outputTargets[output] = ownedOutputs.data() + plan.outputOffsets[output];
  for (uint32_t buffer : layout.boundBuffers) {
    const tw_buffer_info &root = descriptor.buffers[layout.roots[buffer]];
    buffers[buffer] = root.kind == TW_BUFFER_INPUT ? inputPointers[root.io] : orEmpty(outputTargets[root.io]);
  }
}

bool tw_session::prepareGuards(int32_t threads) {
  checked = descriptor.flags & TW_ARTIFACT_CHECKED;
  const Layout &layout = model.layout;
  const size_t zones = 2 * layout.arenaBuffers.size() + layout.growables.size() + descriptor.output_count +
                       static_cast<size_t>(threads);
  return !checked || (extents.allocate(descriptor.buffer_count + size_t(1)) && redZones.prepare(zones));
}

/// Say what may be reached, fill all the rest, and what nobody has written yet, with what is no sensible
/// value.
void tw_session::guardBuffers(const Plan &plan) {
  const Layout &layout = model.layout;
  redZones.clear();
  descriptor.sizes(binding.symbols.data(), extents.data()); // of those in the arena, and scratch
  if (plan.arenaBytes)
    memset(arena.data(), 0xff, plan.arenaBytes);
  for (uint32_t buffer : layout.arenaBuffers) {
    redZones.addBefore(buffers[buffer] - redZoneBytes, redZoneBytes, buffer);
    redZones.addBehind(buffers[buffer] + extents[buffer], redZoneBytes, buffer);
  }
  for (uint32_t buffer : layout.boundBuffers) {
    const tw_buffer_info &root = descriptor.buffers[layout.roots[buffer]];
    extents[buffer] = static_cast<int64_t>(root.kind == TW_BUFFER_INPUT ? binding.inputBytes[root.io]
                                                                        : plan.outputBytes[root.io]);
  }
  for (uint32_t buffer = 0; buffer < descriptor.buffer_count; ++buffer)
    extents[buffer] = extents[layout.roots[buffer]];
  for (uint32_t output = 0; output < descriptor.output_count; ++output)
    if (outputTargets[output] && outputTargets[output] == ownedOutputs.data() + plan.outputOffsets[output])
      redZones.addBehind(outputTargets[output] + plan.outputBytes[output], readableSlack,
                         descriptor.outputs[output].buffer);
  for (uint8_t *own : scratchPointers)
    if (plan.scratchBytes) {
      memset(own, 0xff, plan.scratchBytes);
      redZones.addBehind(own + plan.scratchBytes, readableSlack, descriptor.buffer_count);
    }
}

void tw_session::watchGrown(uint32_t buffer, uint64_t bytes, const Region &region) {
  for (uint32_t alias = 0; alias < descriptor.buffer_count; ++alias)
    if (model.layout.roots[alias] == buffer)
      extents[alias] = static_cast<int64_t>(bytes);
  redZones.forget(buffer);
  redZones.addBehind(region.data() + bytes, std::min(redZoneBytes, region.capacity() + readableSlack - bytes),
                     buffer);
}

void tw_session::checkRedZones() {
  int64_t offset, buffer;
  if (checked && redZones.findDamage(offset, buffer))
    fail(TW_FAIL_RED_ZONE, -1, offset, buffer);
}

void tw_session::execute() {
  failure.claimed.store(0, std::memory_order_relaxed);
  cancelRequested.store(0, std::memory_order_relaxed);
  cancelled = false;
  frame.failed = 0;
  frame.profile = profile.callback != nullptr;
  if (frame.profile)
    profile.start();
  team.run();
  checkRedZones();
  if (frame.profile)
    profile.mark(none);
}

tw_status tw_session::finishOutputs(const Plan &plan, tw_tensor *outputs, tw_error *error) {
  const Layout &layout = model.layout;
  const int64_t *allDims = plan.outputDims.data();
  if (layout.outputsNeedProgram) {
    descriptor.output_dims(binding.symbols.data(), finalDims.data());
    allDims = finalDims.data();
  }
  // All copies out of inputs come before anything is written back over inputs.
  for (uint32_t output = 0; output < descriptor.output_count; ++output)
    if (layout.sources[output] == OutputSource::copied && plan.outputBytes[output])
      memmove(outputTargets[output], buffers[descriptor.outputs[output].buffer], plan.outputBytes[output]);
  for (uint32_t output = 0; output < descriptor.output_count; ++output) {
    const int64_t *dims = allDims + layout.dimOffsets[output];
    tw_tensor &tensor = outputs[output];
    if (layout.sources[output] == OutputSource::growable) {
      if (tw_status status = finishGrowable(output, dims, tensor, error))
        return status;
    } else if (!tensor.data) {
      tensor.data = outputTargets[output];
    } else if (tensor.data != outputTargets[output] && plan.outputBytes[output]) {
      memcpy(tensor.data, outputTargets[output], plan.outputBytes[output]);
    }
    const VisibleShape shape(descriptor.outputs[output], dims);
    tensor.dtype = model.outputs[output].dtype;
    tensor.rank = shape.rank;
    std::copy(shape.sizes, shape.sizes + shape.rank, tensor.shape);
    tensor.strides = nullptr;
    tensor.device = {0, 0};
  }
  return TW_OK;
}

tw_status tw_session::finishGrowable(uint32_t output, const int64_t *dims, tw_tensor &tensor,
                                     tw_error *error) {
  const tw_tensor_info &info = model.outputs[output];
  const uint32_t buffer = descriptor.outputs[output].buffer;
  const Region *region = growables.find(model.layout.roots[buffer]);
  uint64_t bytes = 0;
  const bool sane = std::all_of(dims, dims + info.rank, [](int64_t dim) { return dim >= 0; });
  if (!sane || !countBytes(dims, info.rank, tw_dtype_bytes(info.dtype), bytes) || bytes > region->capacity())
    return reportError(error, TW_INTERNAL, 9403,
                       "output '%s' is larger than the buffer the program made for it; please report this",
                       info.name);
  if (!tensor.data) {
    tensor.data = buffers[buffer];
    return TW_OK;
  }
  if (tw_status status = checkOutputShape(output, dims, tensor, error))
    return status;
  if (bytes)
    memcpy(tensor.data, buffers[buffer], bytes);
  return TW_OK;
}

uint64_t tw_session::memoryBytes() const {
  return arena.mappedBytes() + scratch.mappedBytes() + staging.mappedBytes() + ownedOutputs.mappedBytes() +
         growables.mappedBytes();
}
