#include "Inputs.h"

#include "support/EditDistance.h"
#include "support/Npy.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <numbers>

namespace tilewright::tools {

using Infos = std::vector<const tw_tensor_info *>;

static std::vector<std::string> namesOf(const Infos &infos) {
  std::vector<std::string> names;
  for (const tw_tensor_info *info : infos)
    names.push_back(info->name);
  return names;
}

namespace {

/// Given tensors by input name.
class GivenInputs {
public:
  explicit GivenInputs(const Infos &infos) : infos(infos), names(namesOf(infos)) {}
  MaybeProblem addNpz(const std::string &path);
  /// `argument` is NAME=FILE.npy.
  MaybeProblem addFile(const std::string &argument);
  Result<std::vector<Tensor>> inOrder(const Infos &infos);

private:
  MaybeProblem checkName(const std::string &name, const std::string &source) const;
  /// Whether the model can take an array of this shape, as far as it declares it.
  MaybeProblem checkShape(const std::string &name, const Tensor &given) const;
  const Infos &infos;
  std::vector<std::string> names;
  std::map<std::string, Tensor> tensors;
};

} // namespace

MaybeProblem GivenInputs::checkName(const std::string &name, const std::string &source) const {
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    Diagnostic problem =
        invalidProblem("TW5302", fmt::format("the model has no input '{}' (given by {})", name, source),
                       didYouMean(name, names));
    problem.tensor = name;
    return problem;
  }
  if (tensors.count(name))
    return invalidProblem("TW5303", fmt::format("input '{}' is given twice", name));
  return std::nullopt;
}

MaybeProblem GivenInputs::checkShape(const std::string &name, const Tensor &given) const {
  const tw_tensor_info &info =
      *infos[static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin())];
  bool fits = info.rank < 0 || given.shape.size() == static_cast<size_t>(info.rank);
  for (int32_t axis = 0; fits && axis < info.rank; ++axis)
    fits = info.dims[axis].value < 0 || info.dims[axis].value == given.shape[static_cast<size_t>(axis)];
  if (fits)
    return std::nullopt;
  Diagnostic problem =
      invalidProblem("TW5305", fmt::format("input '{}' is given as {}; the model wants {}", name,
                                           typeText(given.dtype, given.shape), typeText(info)));
  problem.tensor = name;
  return problem;
}

MaybeProblem GivenInputs::addNpz(const std::string &path) {
  auto npz = NpzReader::open(path);
  if (!npz)
    return npz.problem();
  for (const std::string &name : npz->names()) {
    if (auto problem = checkName(name, path))
      return problem;
    if (npz->isCompressed(name)) { // a few bytes may become gigabytes
      auto described = npz->describe(name);
      if (!described)
        return described.problem();
      if (auto problem = checkShape(name, *described))
        return problem;
    }
    auto tensor = npz->read(name);
    if (!tensor)
      return tensor.problem();
    tensors.emplace(name, std::move(*tensor));
  }
  return std::nullopt;
}

MaybeProblem GivenInputs::addFile(const std::string &argument) {
  size_t split = argument.find('=');
  if (split == std::string::npos)
    return usageProblem("TW5004", fmt::format("--input '{}' is not NAME=FILE.npy", argument));
  // Input names may hold '=' themselves.
  for (size_t at = split; at != std::string::npos; at = argument.find('=', at + 1))
    if (std::find(names.begin(), names.end(), argument.substr(0, at)) != names.end())
      split = at;
  std::string name = argument.substr(0, split), path = argument.substr(split + 1);
  if (auto problem = checkName(name, "--input"))
    return problem;
  auto file = readFile(path);
  if (!file)
    return file.problem();
  auto tensor = readNpy(*file, path);
  if (!tensor)
    return tensor.problem();
  tensors.emplace(name, std::move(*tensor));
  return std::nullopt;
}

/// Give a tensor the declared type when it has the type that carries it in files. Other mismatches are the
/// runtime's to word.
static void adoptType(Tensor &tensor, tw_dtype declared) {
  tw_dtype carrier = carrierOf(declared);
  bool byteForSubByte = tw_dtype_bytes(declared) == 1 && carrier != declared &&
                        (tensor.dtype == TW_U8 || tensor.dtype == TW_I8);
  if (tensor.dtype == carrier || byteForSubByte)
    tensor.dtype = declared;
}

Result<std::vector<Tensor>> GivenInputs::inOrder(const Infos &infos) {
  std::vector<Tensor> ordered;
  for (const tw_tensor_info *info : infos) {
    auto found = tensors.find(info->name);
    if (found == tensors.end()) {
      Diagnostic problem = invalidProblem(
          "TW5301", fmt::format("input '{}' is missing; the model wants {}", info->name, typeText(*info)));
      problem.tensor = info->name;
      return problem;
    }
    adoptType(found->second, info->dtype);
    ordered.push_back(std::move(found->second));
  }
  return ordered;
}

namespace {

/// SplitMix64: tiny, and the same everywhere.
struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
  }
  /// In (0, 1].
  double uniform() { return static_cast<double>((next() >> 11) + 1) * 0x1p-53; }
  /// Box-Muller.
  double normal() {
    double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
};

} // namespace

static double randomValue(tw_dtype dtype, Random &random) {
  switch (dtype) {
  case TW_U8:
    return static_cast<double>(random.next() % 256);
  case TW_I8:
    return static_cast<double>(random.next() % 256) - 128;
  case TW_U4:
    return static_cast<double>(random.next() % 16);
  case TW_I4:
    return static_cast<double>(random.next() % 16) - 8;
  case TW_F32:
  case TW_F64:
  case TW_F16:
  case TW_BF16:
    return random.normal();
  default:
    // Integers are mostly indices and lengths. A float8 or float4 gets a valid pattern, too.
    return static_cast<double>(random.next() % 2);
  }
}

static Result<std::vector<int64_t>> randomShape(const tw_tensor_info &info,
                                                const std::vector<DimensionRange> &dims) {
  if (info.rank < 0)
    return invalidProblem("TW5304",
                          fmt::format("the rank of input '{}' is only known at run time", info.name),
                          "give its value with --input or --inputs");
  std::vector<int64_t> shape;
  for (int32_t i = 0; i < info.rank; ++i) {
    const tw_dim &dim = info.dims[i];
    auto named = std::find_if(dims.begin(), dims.end(),
                              [&](const DimensionRange &d) { return dim.text && d.name == dim.text; });
    shape.push_back(dim.value >= 0 ? dim.value : named != dims.end() ? named->low : 1);
  }
  return shape;
}

Result<Tensor> randomInput(const tw_tensor_info &info, uint64_t seed,
                           const std::vector<DimensionRange> &dims) {
  auto shape = randomShape(info, dims);
  if (!shape)
    return shape.problem();
  size_t width = std::max<size_t>(1, tw_dtype_bytes(info.dtype));
  auto count = checkedElementCount(*shape, width);
  if (!count)
    return usageProblem("TW5004", fmt::format("input '{}' would be too large", info.name));
  Tensor tensor{info.dtype, *shape, {}, {}};
  Random random{seed};
  if (info.dtype == TW_STRING) {
    for (size_t i = 0; i < *count; ++i)
      tensor.strings.push_back(random.next() % 2 ? "one" : "two");
    return tensor;
  }
  auto buffer = allocate(*count * width);
  if (!buffer)
    return buffer.problem();
  size_t parts = isComplex(info.dtype) ? 2 : 1;
  tw_dtype part = info.dtype == TW_C64 ? TW_F32 : info.dtype == TW_C128 ? TW_F64 : info.dtype;
  for (size_t i = 0; i < *count * parts; ++i)
    storeElement(part, buffer->data, i, randomValue(part, random));
  tensor.bytes = buffer->bytes;
  return tensor;
}

/// A --dim whose name is almost that of a dynamic dimension is a misprint; one that is far from all of them
/// may name a dimension that was fixed when the model was compiled.
static MaybeProblem checkDimensionNames(const Infos &infos, const std::vector<DimensionRange> &dims) {
  std::vector<std::string> names;
  for (const tw_tensor_info *info : infos)
    for (int32_t i = 0; i < info->rank; ++i)
      if (info->dims[i].value < 0 && info->dims[i].text)
        names.push_back(info->dims[i].text);
  for (const DimensionRange &dim : dims) {
    auto meant = closest(dim.name, names);
    if (meant && *meant != dim.name && std::find(names.begin(), names.end(), dim.name) == names.end())
      return usageProblem("TW5005", fmt::format("no input has a dimension '{}'", dim.name),
                          fmt::format("did you mean '{}'?", *meant));
  }
  return std::nullopt;
}

Result<std::vector<Tensor>> gatherInputs(const tw_model *model, const InputOptions &options,
                                         const std::vector<DimensionRange> &dims) {
  Infos infos = inputsOf(model);
  if (!options.npz.empty() || !options.files.empty()) {
    GivenInputs given(infos);
    if (!options.npz.empty())
      if (auto problem = given.addNpz(options.npz))
        return *problem;
    for (const std::string &file : options.files)
      if (auto problem = given.addFile(file))
        return *problem;
    return given.inOrder(infos);
  }
  if (auto problem = checkDimensionNames(infos, dims))
    return *problem;
  std::vector<Tensor> tensors;
  for (const tw_tensor_info *info : infos) {
    // Inputs draw from separate sequences, so that a change of one shape leaves the others' values alone.
    auto tensor = randomInput(*info, options.seed * 0x2545f4914f6cdd1dull + tensors.size() + 1, dims);
    if (!tensor)
      return tensor.problem();
    tensors.push_back(std::move(*tensor));
  }
  return tensors;
}

TensorViews::TensorViews(const std::vector<Tensor> &tensors)
    : views(tensors.size()), strings(tensors.size()) {
  // An empty tensor must not look like a missing one.
  static std::byte nothing[64];
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor &tensor = tensors[i];
    tw_tensor &view = views[i];
    view = {};
    for (const std::string &text : tensor.strings)
      strings[i].push_back(text.c_str());
    const void *data =
        tensor.dtype == TW_STRING ? static_cast<const void *>(strings[i].data()) : tensor.bytes.view.data();
    view.data = tensor.elementCount() ? const_cast<void *>(data) : nothing;
    view.dtype = tensor.dtype;
    view.rank = static_cast<int32_t>(tensor.shape.size());
    std::copy(tensor.shape.begin(), tensor.shape.end(), view.shape);
  }
}

Tensor viewOf(const tw_tensor &output) {
  Tensor tensor{output.dtype, {output.shape, output.shape + output.rank}, {}, {}};
  size_t count = tensor.elementCount();
  if (output.dtype != TW_STRING) {
    tensor.bytes.view = {static_cast<const std::byte *>(output.data), count * tw_dtype_bytes(output.dtype)};
    return tensor;
  }
  auto *texts = static_cast<const char *const *>(output.data);
  tensor.strings.assign(texts, texts + count);
  return tensor;
}

Result<std::vector<NamedTensor>> runOnce(tw_session *session, const TensorViews &inputs,
                                         const Infos &outputs) {
  std::vector<tw_tensor> results(outputs.size());
  tw_error error{};
  if (tw_session_run(session, inputs.data(), inputs.size(), results.data(),
                     static_cast<uint32_t>(results.size()), &error) != TW_OK)
    return fromRuntime(error);
  std::vector<NamedTensor> tensors;
  for (size_t i = 0; i < results.size(); ++i)
    tensors.push_back({outputs[i]->name, viewOf(results[i])});
  return tensors;
}

} // namespace tilewright::tools
