#include "Bind.h"

#include "Region.h"

#include <cstring>

namespace tilewright::runtime {

bool Binding::prepare(const tw_descriptor &descriptor) {
  return symbols.allocate(descriptor.symbol_count) && symbolInputs.allocate(descriptor.symbol_count) &&
         inputBytes.allocate(descriptor.input_count) && strided.allocate(descriptor.input_count);
}

void describeShape(const int64_t *shape, int32_t rank, Text &text) {
  text.append("[");
  for (int32_t axis = 0; axis < rank; ++axis)
    text.append("%s%lld", axis ? ", " : "", static_cast<long long>(shape[axis]));
  text.append("]");
}

void describeShape(const tw_tensor_info &info, Text &text) {
  text.append("[");
  for (int32_t axis = 0; axis < info.rank; ++axis) {
    text.append(axis ? ", " : "");
    if (info.dims[axis].value >= 0)
      text.append("%lld", static_cast<long long>(info.dims[axis].value));
    else
      text.append("%s", info.dims[axis].text ? info.dims[axis].text : "?");
  }
  text.append("]");
}

bool countBytes(const int64_t *shape, int32_t rank, uint32_t elementBytes, uint64_t &bytes) {
  bytes = elementBytes;
  bool empty = false, tooLarge = false;
  for (int32_t axis = 0; axis < rank; ++axis) {
    const auto extent = static_cast<uint64_t>(shape[axis]);
    empty |= extent == 0;
    tooLarge |= __builtin_mul_overflow(bytes, extent ? extent : 1, &bytes) || bytes > largestMemory;
  }
  if (empty)
    bytes = 0;
  return empty || !tooLarge;
}

bool isDense(const tw_tensor &tensor) {
  if (!tensor.strides)
    return true;
  int64_t expected = 1;
  bool dense = true;
  for (int32_t axis = tensor.rank - 1; axis >= 0; --axis) {
    if (tensor.shape[axis] == 0)
      return true;
    dense &= tensor.shape[axis] == 1 || tensor.strides[axis] == expected;
    expected *= tensor.shape[axis];
  }
  return dense;
}

namespace {

/// Copy one row of `extent` elements that lie `stride` elements apart.
template <typename Element>
void copyRow(const uint8_t *source, int64_t stride, int64_t extent, uint8_t *destination) {
  constexpr int64_t size = sizeof(Element);
  for (int64_t index = 0; index < extent; ++index) // memcpy: neither side need be aligned
    memcpy(destination + index * size, source + index * stride * size, size);
}

struct Complex128 {
  double parts[2];
};

void copyRow(const uint8_t *source, int64_t stride, int64_t extent, uint32_t elementBytes,
             uint8_t *destination) {
  if (stride == 1)
    memcpy(destination, source, static_cast<size_t>(extent) * elementBytes);
  else if (elementBytes == 1)
    copyRow<uint8_t>(source, stride, extent, destination);
  else if (elementBytes == 2)
    copyRow<uint16_t>(source, stride, extent, destination);
  else if (elementBytes == 4)
    copyRow<uint32_t>(source, stride, extent, destination);
  else if (elementBytes == 8)
    copyRow<uint64_t>(source, stride, extent, destination);
  else
    copyRow<Complex128>(source, stride, extent, destination);
}

class Binder {
public:
  Binder(const tw_model &model, Binding &binding, tw_error *error)
      : model(model), descriptor(*model.descriptor), binding(binding), error(error) {}

  void start() {
    for (uint32_t symbol = 0; symbol < descriptor.symbol_count; ++symbol) {
      binding.symbols[symbol] = descriptor.symbols[symbol].max;
      binding.symbolInputs[symbol] = none;
    }
  }

  tw_status bind(uint32_t index, const tw_tensor &tensor, bool needData) {
    const tw_tensor_info &info = model.inputs[index];
    if (tw_status status = checkType(info, tensor))
      return status;
    if (tensor.rank != info.rank)
      return mismatch(4203, info, tensor, "has the wrong number of dimensions");
    for (int32_t axis = 0; axis < info.rank; ++axis)
      if (tw_status status = bindAxis(index, axis, tensor))
        return status;
    if (!countBytes(tensor.shape, tensor.rank, tw_dtype_bytes(info.dtype), binding.inputBytes[index]))
      return mismatch(4301, info, tensor, "is larger than any memory", TW_IO);
    if (needData && !tensor.data && binding.inputBytes[index])
      return fail(TW_INVALID, 4207, info, "input '%s' has no data: its pointer is null", info.name);
    binding.strided[index] = !isDense(tensor);
    return TW_OK;
  }

private:
  template <typename... Arguments>
  tw_status fail(tw_status status, int code, const tw_tensor_info &info, const char *format,
                 Arguments... arguments) {
    reportError(error, status, code, format, arguments...);
    if (error)
      copyText(error->tensor, sizeof error->tensor, info.name);
    return status;
  }

  tw_status mismatch(int code, const tw_tensor_info &info, const tw_tensor &tensor, const char *what,
                     tw_status status = TW_INVALID) {
    Text expected, got;
    describeShape(info, expected);
    describeShape(tensor.shape, tensor.rank, got);
    return fail(status, code, info, "input '%s' %s: expected shape %s, got %s", info.name, what,
                expected.c_str(), got.c_str());
  }

  tw_status checkType(const tw_tensor_info &info, const tw_tensor &tensor) {
    if (tensor.device.kind != 0)
      return fail(TW_UNSUPPORTED, 4208, info,
                  "input '%s' lies on device kind %d; only CPU memory (0) is supported", info.name,
                  tensor.device.kind);
    if (tensor.dtype != info.dtype)
      return fail(TW_INVALID, 4202, info, "input '%s' has element type %s where the model takes %s",
                  info.name, tw_dtype_name(tensor.dtype), tw_dtype_name(info.dtype));
    if (tw_dtype_bytes(info.dtype) == 0)
      return fail(TW_UNSUPPORTED, 4202, info,
                  "input '%s' has element type %s, which this runtime cannot pass", info.name,
                  tw_dtype_name(info.dtype));
    if (tensor.rank < 0 || tensor.rank > TW_MAX_RANK)
      return fail(TW_INVALID, 4203, info, "input '%s' has rank %d; ranks go from 0 to %d", info.name,
                  tensor.rank, TW_MAX_RANK);
    return TW_OK;
  }

  tw_status bindAxis(uint32_t index, int32_t axis, const tw_tensor &tensor) {
    const tw_tensor_info &info = model.inputs[index];
    const tw_io_dim &dim = descriptor.inputs[index].dims[axis];
    const int64_t extent = tensor.shape[axis];
    Text what;
    if (extent < 0) {
      what.append("has a negative dimension %d", axis);
      return mismatch(4204, info, tensor, what.c_str());
    }
    if (dim.value >= 0) {
      if (extent == dim.value)
        return TW_OK;
      what.append("has %lld in dimension %d where %lld is needed", static_cast<long long>(extent), axis,
                  static_cast<long long>(dim.value));
      return mismatch(4204, info, tensor, what.c_str());
    }
    return bindSymbol(index, axis, dim.symbol, tensor);
  }

  tw_status bindSymbol(uint32_t index, int32_t axis, uint32_t symbol, const tw_tensor &tensor) {
    const tw_tensor_info &info = model.inputs[index];
    const tw_symbol_info &declared = descriptor.symbols[symbol];
    const char *name = declared.name ? declared.name : "?";
    const auto extent = static_cast<long long>(tensor.shape[axis]);
    Text what;
    if (extent < declared.min || extent > declared.max) {
      what.append(
          "has %s = %lld in dimension %d, outside the range %lld..%lld it was compiled for (see --dim)", name,
          extent, axis, static_cast<long long>(declared.min), static_cast<long long>(declared.max));
      return mismatch(4206, info, tensor, what.c_str());
    }
    const uint32_t before = binding.symbolInputs[symbol];
    if (before != none && binding.symbols[symbol] != extent) {
      what.append("has %s = %lld in dimension %d, but input '%s' has %s = %lld", name, extent, axis,
                  model.inputs[before].name, name, static_cast<long long>(binding.symbols[symbol]));
      return mismatch(4205, info, tensor, what.c_str());
    }
    binding.symbols[symbol] = extent;
    if (before == none)
      binding.symbolInputs[symbol] = index;
    return TW_OK;
  }

  const tw_model &model;
  const tw_descriptor &descriptor;
  Binding &binding;
  tw_error *error;
};

} // namespace

void copyStrided(const tw_tensor &tensor, uint32_t elementBytes, uint8_t *destination) {
  const int32_t last = tensor.rank - 1; // A scalar is always dense and does not come here.
  int64_t position[TW_MAX_RANK] = {};
  const auto *source = static_cast<const uint8_t *>(tensor.data);
  const int64_t rowBytes = tensor.shape[last] * elementBytes;
  for (int32_t axis = 0; axis >= 0;) {
    copyRow(source, tensor.strides[last], tensor.shape[last], elementBytes, destination);
    destination += rowBytes;
    for (axis = last - 1; axis >= 0; --axis) {
      const int64_t step = tensor.strides[axis] * static_cast<int64_t>(elementBytes);
      if (++position[axis] < tensor.shape[axis]) {
        source += step;
        break;
      }
      source -= step * (tensor.shape[axis] - 1);
      position[axis] = 0;
    }
  }
}

tw_status bindInputs(const tw_model &model, const tw_tensor *inputs, uint32_t count, bool needData,
                     Binding &binding, tw_error *error) {
  if (count != model.descriptor->input_count || (count && !inputs))
    return reportError(error, TW_INVALID, 4201, "the model takes %u inputs, %u were given",
                       model.descriptor->input_count, inputs ? count : 0);
  Binder binder(model, binding, error);
  binder.start();
  for (uint32_t index = 0; index < count; ++index)
    if (tw_status status = binder.bind(index, inputs[index], needData))
      return status;
  return TW_OK;
}

} // namespace tilewright::runtime
