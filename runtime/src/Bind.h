/// Bind.h - are these the inputs the model was compiled for, and what do they make of its symbols?
#ifndef TILEWRIGHT_RUNTIME_BIND_H
#define TILEWRIGHT_RUNTIME_BIND_H

#include "Array.h"
#include "Error.h"
#include "Model.h"

namespace tilewright::runtime {

/// What one set of inputs says. Allocated with the session, overwritten by each run.
struct Binding {
  Array<int64_t> symbols;       ///< [symbols] those no input binds hold their maximum
  Array<uint32_t> symbolInputs; ///< [symbols] the input that bound it, or `none`
  Array<uint64_t> inputBytes;   ///< [inputs] of the dense tensor
  Array<uint8_t> strided;       ///< [inputs] non-zero: not row-major, must be copied

  [[nodiscard]] bool prepare(const tw_descriptor &descriptor);
};

/// Compare `inputs` with the model's declaration. `needData` is false when only shapes are of interest.
/// Messages name the input, the shape expected and the shape got.
tw_status bindInputs(const tw_model &model, const tw_tensor *inputs, uint32_t count, bool needData,
                     Binding &binding, tw_error *error);

/// Whether the elements lie row-major without gaps.
bool isDense(const tw_tensor &tensor);

/// Gather a strided tensor of elements of `elementBytes` into row-major order.
void copyStrided(const tw_tensor &tensor, uint32_t elementBytes, uint8_t *destination);

/// The elements of a shape without negative dimensions; false when element count times `elementBytes` leaves
/// the address space.
[[nodiscard]] bool countBytes(const int64_t *shape, int32_t rank, uint32_t elementBytes, uint64_t &bytes);

/// "[1, 3, 224, 224]"
void describeShape(const int64_t *shape, int32_t rank, Text &text);
/// "[batch, 3, 224, 224]"
void describeShape(const tw_tensor_info &info, Text &text);

} // namespace tilewright::runtime
#endif
