//===- Result.h - a value, or an error that says what to do -----*- C++ -*-===//
//
// The reader throws nothing. Every fallible call returns Result<T>; an Error carries the stable code, the
// place in the model, and a hint.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_FRONTEND_READER_RESULT_H
#define TILEWRIGHT_FRONTEND_READER_RESULT_H

#include <string>
#include <utility>
#include <variant>

namespace tilewright::onnx {

/// Whose fault it is. The values are the driver's exit codes.
enum class Status { Unsupported = 3, Invalid = 4, Io = 5, Internal = 70 };

/// One problem with a model. All strings are owned: an Error may outlive the model.
struct Error {
  int code = 0; ///< 1001 for "TW1001"; the reader's codes are listed in README.md
  Status status = Status::Invalid;
  std::string message = {}; ///< one line: what is wrong
  std::string hint = {};    ///< what to do next, or empty
  std::string node = {};    ///< ONNX node name, or empty
  std::string op = {};      ///< operator of that node, or empty
  std::string tensor = {};  ///< tensor (value) name, or empty

  /// "TW1014"
  std::string codeText() const { return "TW" + std::to_string(code); }
  /// "TW1014: message (node 'n', op Conv, tensor 't'). Hint."
  std::string text() const;
};

/// A T or an Error. Test it with `if (!result)` before using the value.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : state(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state.index() == 0; }
  T &operator*() { return *std::get_if<0>(&state); }
  const T &operator*() const { return *std::get_if<0>(&state); }
  T *operator->() { return std::get_if<0>(&state); }
  const T *operator->() const { return std::get_if<0>(&state); }
  const Error &error() const { return *std::get_if<1>(&state); }

private:
  std::variant<T, Error> state;
};

} // namespace tilewright::onnx

#endif // TILEWRIGHT_FRONTEND_READER_RESULT_H
