/// Inputs.h - from the command line's inputs to what tw_session_run takes, and from its outputs back to
/// tensors.
#pragma once

#include "Commands.h"
#include "Model.h"
#include "support/Tensor.h"

namespace tilewright::tools {

/// The tensors of all inputs of `model`, in its order, typed as the model declares them where a file carries
/// a type in another one (uint16 for bfloat16 ...). Every name must be an input and every input be given, or
/// none at all: then values are drawn.
Result<std::vector<Tensor>> gatherInputs(const tw_model *model, const InputOptions &options,
                                         const std::vector<DimensionRange> &dims);

/// Reproducible values for an input declared as `info`: floats from the standard normal distribution, wide
/// integers 0 or 1 (valid as indices), bytes over their range. A dynamic dimension is 1 unless `dims` names
/// it.
Result<Tensor> randomInput(const tw_tensor_info &info, uint64_t seed,
                           const std::vector<DimensionRange> &dims);

/// Views for the C interface; the tensors must outlive them. A string element is a pointer to NUL-terminated
/// UTF-8.
class TensorViews {
public:
  explicit TensorViews(const std::vector<Tensor> &tensors);
  const tw_tensor *data() const { return views.data(); }
  uint32_t size() const { return static_cast<uint32_t>(views.size()); }

private:
  std::vector<tw_tensor> views;
  std::vector<std::vector<const char *>> strings;
};

/// A result of a run as a tensor. Its elements stay where they are: valid until the session's next run.
Tensor viewOf(const tw_tensor &output);

/// Run the session once; the outputs in the model's order, valid until the session's next run.
Result<std::vector<NamedTensor>> runOnce(tw_session *session, const TensorViews &inputs,
                                         const std::vector<const tw_tensor_info *> &outputs);

} // namespace tilewright::tools
