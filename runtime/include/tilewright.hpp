/// tilewright.hpp - the C interface with C++ ownership. Header-only, C++20.
///
///     auto model = tilewright::Model::load("model.so").value();
///     auto session = model.createSession({.threads = 2}).value();
///     std::vector<float> image(1 * 3 * 224 * 224);
///     auto outputs = session.run({tilewright::Tensor::view(image, {1, 3, 224, 224})});
///     if (!outputs)
///       return std::fprintf(stderr, "%s\n", outputs.error().text().c_str());
///     std::span<const float> scores = outputs->at(0).values<float>();
///
/// Fallible calls return a Result. value() of a failed one throws std::runtime_error where exceptions are
/// enabled and ends the process where they are not; test it first where failure is expected. Threading is
/// that of tilewright.h.
#ifndef TILEWRIGHT_HPP
#define TILEWRIGHT_HPP

#include "tilewright.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace tilewright {

/// A tw_error whose fields are also readable as strings.
struct Error : tw_error {
  Error() : tw_error{} {}
  std::string_view codeName() const { return code; }
  /// "TW4204: input 'x' has ..."
  std::string text() const { return std::string(code) + ": " + message; }
};

[[noreturn]] inline void reportUnchecked(const Error &error) {
#if defined(__cpp_exceptions)
  throw std::runtime_error(error.text());
#else
  std::fprintf(stderr, "tilewright: %s\n", error.text().c_str());
  std::abort();
#endif
}

/// A value, or the error that kept it from being.
template <typename Value> class [[nodiscard]] Result {
public:
  Result(Value value) : content(std::move(value)) {}
  Result(const Error &error) : failure(std::make_unique<Error>(error)) {}

  explicit operator bool() const { return content.has_value(); }
  /// Only where there is none.
  const Error &error() const { return *failure; }
  Value &value() & { return checked(), *content; }
  const Value &value() const & { return checked(), *content; }
  Value &&value() && { return checked(), std::move(*content); }
  Value &operator*() { return value(); }
  Value *operator->() { return &value(); }

private:
  void checked() const {
    if (!content)
      reportUnchecked(*failure);
  }
  std::optional<Value> content;
  std::unique_ptr<Error> failure;
};

template <> class [[nodiscard]] Result<void> {
public:
  Result() = default;
  Result(const Error &error) : failure(std::make_unique<Error>(error)) {}
  explicit operator bool() const { return !failure; }
  const Error &error() const { return *failure; }
  void value() const {
    if (failure)
      reportUnchecked(*failure);
  }

private:
  std::unique_ptr<Error> failure;
};

/// The tw_dtype of a C++ type. 16-bit floats have none in C++20: pass the dtype explicitly.
template <typename T> constexpr tw_dtype dtypeOf() {
  using Plain = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<Plain, bool>)
    return TW_BOOL;
  else if constexpr (std::is_same_v<Plain, float>)
    return TW_F32;
  else if constexpr (std::is_same_v<Plain, double>)
    return TW_F64;
  else if constexpr (std::is_integral_v<Plain> && std::is_signed_v<Plain>)
    return sizeof(T) == 1 ? TW_I8 : sizeof(T) == 2 ? TW_I16 : sizeof(T) == 4 ? TW_I32 : TW_I64;
  else if constexpr (std::is_integral_v<Plain>)
    return sizeof(T) == 1 ? TW_U8 : sizeof(T) == 2 ? TW_U16 : sizeof(T) == 4 ? TW_U32 : TW_U64;
  else
    static_assert(sizeof(T) == 0, "no element type of this name: pass the dtype explicitly");
}

/// A view of elements that live elsewhere. An empty one asks run() for memory of the session.
struct Tensor : tw_tensor {
  Tensor() : tw_tensor{} {}

  /// Row-major elements of type `dtype` at `data`. At most TW_MAX_RANK dimensions; more make an impossible
  /// tensor that run() refuses.
  static Tensor view(const void *data, tw_dtype dtype, std::span<const int64_t> shape) {
    Tensor tensor;
    tensor.data = const_cast<void *>(data); // Inputs are only read.
    tensor.dtype = dtype;
    tensor.rank = static_cast<int32_t>(shape.size());
    std::copy_n(shape.begin(), std::min<size_t>(shape.size(), TW_MAX_RANK), tensor.tw_tensor::shape);
    return tensor;
  }
  /// Of a vector, array or span. It must hold as many elements as the shape has.
  template <typename Container>
  static Tensor view(Container &container, std::initializer_list<int64_t> shape) {
    using Element = std::remove_pointer_t<decltype(std::data(container))>;
    return view(std::data(container), dtypeOf<Element>(),
                std::span<const int64_t>(shape.begin(), shape.size()));
  }

  std::span<const int64_t> dims() const { return {shape, static_cast<size_t>(rank)}; }
  size_t elements() const {
    size_t count = 1;
    for (int64_t dim : dims())
      count *= static_cast<size_t>(dim);
    return count;
  }
  size_t bytes() const { return elements() * tw_dtype_bytes(dtype); }
  /// All elements of a row-major tensor; empty when T is not its element type.
  template <typename T> std::span<const T> values() const {
    if (dtype != dtypeOf<T>())
      return {};
    return {static_cast<const T *>(data), elements()};
  }
};

struct LoadOptions {
  std::string weightsPath; ///< see tw_load_options; empty: beside the artifact
  uint32_t flags = 0;      ///< TW_LOAD_*
};

struct SessionOptions {
  int threads = 0; ///< 0: all cores this process may run on
};

/// One caller's state on a model. Movable; keeps its model alive.
class Session {
public:
  /// Run once; the outputs lie in memory of the session, valid until the next run. Allocates only the vector.
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs) {
    std::vector<Tensor> outputs(outputCount);
    if (auto done = run(inputs, outputs); !done)
      return done.error();
    return outputs;
  }
  Result<std::vector<Tensor>> run(std::initializer_list<Tensor> inputs) {
    return run(std::span<const Tensor>(inputs.begin(), inputs.size()));
  }
  /// Run once into `outputs`, see tw_session_run. Allocates nothing.
  Result<void> run(std::span<const Tensor> inputs, std::span<Tensor> outputs) {
    static_assert(sizeof(Tensor) == sizeof(tw_tensor));
    Error error;
    if (tw_session_run(handle.get(), inputs.data(), static_cast<uint32_t>(inputs.size()), outputs.data(),
                       static_cast<uint32_t>(outputs.size()), &error) != TW_OK)
      return error;
    return {};
  }
  /// Plan and allocate for inputs of these shapes ahead of the first run.
  Result<void> reserve(std::span<const Tensor> inputs) {
    Error error;
    if (tw_session_reserve(handle.get(), inputs.data(), static_cast<uint32_t>(inputs.size()), &error) !=
        TW_OK)
      return error;
    return {};
  }
  /// The only call allowed from another thread during a run.
  void cancel() { tw_session_cancel(handle.get()); }

  /// Called after each later run with (launch, kernel, nanoseconds); an empty function switches it off.
  using ProfileFunction = std::function<void(uint32_t, std::string_view, uint64_t)>;
  void profile(ProfileFunction function) {
    profiler = function ? std::make_unique<ProfileFunction>(std::move(function)) : nullptr;
    tw_profile_callback callback = [](void *user, uint32_t launch, const char *kernel, uint64_t nanoseconds) {
      (*static_cast<ProfileFunction *>(user))(launch, kernel, nanoseconds);
    };
    tw_session_profile(handle.get(), profiler ? callback : nullptr, profiler.get());
  }
  uint64_t arenaBytes() const { return tw_session_arena_bytes(handle.get()); }
  uint64_t memoryBytes() const { return tw_session_memory_bytes(handle.get()); }
  tw_session *get() const { return handle.get(); }

private:
  friend class Model;
  struct Free {
    void operator()(tw_session *session) const { tw_session_free(session); }
  };
  Session(tw_session *session, uint32_t outputs) : handle(session), outputCount(outputs) {}

  std::unique_ptr<tw_session, Free> handle;
  std::unique_ptr<ProfileFunction> profiler;
  uint32_t outputCount;
};

/// A loaded artifact. Movable; share it by reference between threads.
class Model {
public:
  static Result<Model> load(const std::string &path, const LoadOptions &options = {}) {
    tw_load_options raw = {};
    raw.struct_size = sizeof raw;
    raw.flags = options.flags;
    raw.weights_path = options.weightsPath.empty() ? nullptr : options.weightsPath.c_str();
    tw_model *model = nullptr;
    Error error;
    if (tw_model_load(path.c_str(), &raw, &model, &error) != TW_OK)
      return error;
    return Model(model);
  }

  Result<Session> createSession(const SessionOptions &options = {}) const {
    tw_session_options raw = {};
    raw.struct_size = sizeof raw;
    raw.threads = options.threads;
    tw_session *session = nullptr;
    Error error;
    if (tw_session_create(handle.get(), &raw, &session, &error) != TW_OK)
      return error;
    return Session(session, outputCount());
  }

  uint32_t inputCount() const { return tw_model_input_count(handle.get()); }
  uint32_t outputCount() const { return tw_model_output_count(handle.get()); }
  /// `index` must be below the count.
  const tw_tensor_info &input(uint32_t index) const { return *tw_model_input(handle.get(), index); }
  const tw_tensor_info &output(uint32_t index) const { return *tw_model_output(handle.get(), index); }
  /// JSON, see tw_model_report.
  std::string_view report() const { return tw_model_report(handle.get()); }
  uint64_t codeBytes() const { return tw_model_code_bytes(handle.get()); }
  uint64_t weightBytes() const { return tw_model_weight_bytes(handle.get()); }
  tw_model *get() const { return handle.get(); }

private:
  struct Free {
    void operator()(tw_model *model) const { tw_model_free(model); }
  };
  explicit Model(tw_model *model) : handle(model) {}

  std::unique_ptr<tw_model, Free> handle;
};

} // namespace tilewright
#endif
