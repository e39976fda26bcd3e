/// Support.h - helpers of the tool tests.
#pragma once

#include "support/Npy.h"
#include "support/Tensor.h"
#include "tests/support/TemporaryFolder.h"

#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace tilewright::tools {

/// Write a whole .npz file.
MaybeProblem writeNpz(const std::string &path, const std::vector<NamedTensor> &tensors);

} // namespace tilewright::tools

namespace tilewright::tools::test {

/// A folder of its own for each test, removed afterwards. What was read in a test may be written in the next:
/// its number goes to another file.
class FolderTest : public ::testing::Test {
protected:
  ~FolderTest() override;
  /// A path below the folder.
  std::string path(const std::string &name) const { return folder.path() + "/" + name; }
  /// Write a file there and return its path. Folders on the way are made.
  std::string write(const std::string &name, const std::string &content) const;
  std::string read(const std::string &name) const;
  /// Names of everything in the folder, sorted.
  std::vector<std::string> entries() const { return folder.list(); }

private:
  tests::TemporaryFolder folder;
};

Bytes bytesOf(const std::string &content);

template <typename T>
Tensor tensorOf(tw_dtype dtype, std::vector<int64_t> shape, const std::vector<T> &values) {
  std::string content(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
  return {dtype, std::move(shape), bytesOf(content), {}};
}

template <typename T> std::vector<T> valuesOf(const Tensor &tensor) {
  auto *first = reinterpret_cast<const std::byte *>(tensor.bytes.view.data());
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  if (!values.empty())
    std::memcpy(values.data(), first, tensor.bytes.size());
  return values;
}

/// What a program did.
struct Ran {
  int exit = -1; ///< 128 + the signal when it died of one
  std::string out, err;
};

/// Run a shell command line.
Ran runShell(const std::string &command);
/// Run the driver with these words of shell, below a command such as "timeout 60 ".
Ran driver(const std::string &words, const std::string &below = "");

/// A serialised TensorProto with raw_data.
std::string tensorProto(tw_dtype dtype, const std::vector<int64_t> &dims, const std::string &raw);
template <typename T>
std::string tensorProto(tw_dtype dtype, const std::vector<int64_t> &dims, const std::vector<T> &values) {
  return tensorProto(dtype, dims,
                     std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)));
}

/// A model as the stand-in compiler takes it: inputs x and half/in, outputs y and half/out; `request` asks
/// for something
/// ("fake:crash"); `extra` is appended to the graph message.
std::string modelProto(const std::string &request = "", const std::string &extra = "");
/// A ValueInfoProto; `kind` is the field of TypeProto: 1 for tensors, 4 for sequences.
std::string valueInfo(const std::string &name, uint32_t kind = 1);

} // namespace tilewright::tools::test
