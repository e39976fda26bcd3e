/// Model.h - a loaded artifact: immutable, shared by sessions, counted by them.
#ifndef TILEWRIGHT_RUNTIME_MODEL_H
#define TILEWRIGHT_RUNTIME_MODEL_H

#include "Array.h"
#include "ArtifactFile.h"
#include "MemoryPlan.h"
#include "tilewright.h"
#include "tilewright/artifact.h"

#include <atomic>

namespace tilewright::runtime {

constexpr uint32_t none = UINT32_MAX;

/// Where output `io` is found after a run.
enum class OutputSource : uint8_t {
  direct,   ///< the program writes it into the memory bound to the output
  growable, ///< in a growable buffer of the session
  copied,   ///< in another buffer (an input, the arena, another output): the runtime copies it
};

/// What follows from a descriptor once, for all sessions.
struct Layout {
  Array<uint32_t> roots;        ///< [buffers] the end of each buffer's alias chain
  Array<uint32_t> arenaBuffers; ///< roots that live in the arena
  Array<Interval>
      intervals; ///< [arenaBuffers] lifetime of each and its aliases; bytes are filled in per plan
  Array<uint32_t>
      boundBuffers; ///< buffers whose root is an input or an output: their address changes from run to run
  Array<uint32_t> growables;       ///< roots that are growable
  Array<OutputSource> sources;     ///< [outputs]
  Array<uint32_t> dimOffsets;      ///< [outputs + 1] where each output's dimensions start in output_dims
  bool outputsNeedProgram = false; ///< some output's dimensions are only known after the run
};

} // namespace tilewright::runtime

struct tw_model {
  tw_model() = default;
  ~tw_model();

  const tw_descriptor *descriptor = nullptr;
  tilewright::runtime::WeightMap weights;
  tilewright::runtime::Layout layout;
  uint64_t codeBytes = 0;
  tilewright::runtime::Array<char> weightsPath; ///< of the side weights file; empty when there is none

  void *library = nullptr; ///< of dlopen
  tilewright::runtime::Array<tw_tensor_info> inputs, outputs;
  tilewright::runtime::Array<tw_dim> dims;

  /// One for the caller's handle and one per session; the last one out frees.
  std::atomic<uint32_t> references{1};
  void release();
};

namespace tilewright::runtime {

/// How a model is loaded; see tw_load_options.
struct LoadOptions {
  const char *weightsPath = nullptr;
  uint32_t flags = 0;
};

tw_status loadModel(const char *path, const LoadOptions &options, tw_model **model, tw_error *error);

/// Check that the descriptor's tables refer only to what exists. Part of loading; apart for tests.
tw_status checkDescriptor(const tw_descriptor &descriptor, const char *path, tw_error *error);

/// Derive `layout` from a checked descriptor. False when memory cannot be had.
[[nodiscard]] bool buildLayout(const tw_descriptor &descriptor, Layout &layout);

} // namespace tilewright::runtime
#endif
