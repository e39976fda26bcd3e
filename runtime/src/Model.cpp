#include "Model.h"

#include "Cpu.h"
#include "Region.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tilewright::runtime {

namespace {

/// A spelling of `path` that no load in this process used before. dlopen takes an object of an equal path
/// that is still loaded for the same object even when the file was replaced meanwhile; with a fresh spelling
/// it compares device and inode.
bool spellFresh(const char *path, Array<char> &spelling) {
  static std::atomic<uint32_t> serial{0};
  constexpr size_t bits = 32;
  if (!spelling.allocate(strlen(path) + 2 * bits + 3))
    return false;
  const char *slash = strrchr(path, '/');
  const int folderLength = slash ? static_cast<int>(slash - path) : 1;
  char *end = spelling.data() + sprintf(spelling.data(), "%.*s/", folderLength, slash ? path : ".");
  for (uint32_t rest = serial.fetch_add(1, std::memory_order_relaxed); rest; rest >>= 1)
    end += sprintf(end, "%s", rest & 1 ? "./" : "/");
  strcpy(end, slash ? slash + 1 : path);
  return true;
}

tw_status outOfMemory(const char *path, tw_error *error) {
  return reportError(error, TW_IO, 4015, "not enough memory to load '%s'", path);
}

/// Between dlopen and use: is this a descriptor, of our ABI, for this processor?
tw_status checkIdentity(const tw_descriptor *descriptor, const char *path, tw_error *error) {
  constexpr uint32_t smallest = offsetof(tw_descriptor, weights_id) + sizeof(tw_descriptor::weights_id);
  if (descriptor->magic != TW_DESCRIPTOR_MAGIC)
    return reportError(error, TW_INVALID, 4007,
                       "artifact '%s' is damaged: its descriptor has the wrong magic number %08x", path,
                       descriptor->magic);
  if (descriptor->abi != TW_ABI_VERSION)
    return reportError(
        error, TW_UNSUPPORTED, 4008,
        "artifact '%s' has ABI version %u, this runtime (%s) reads version %u: compile the model again with "
        "the compiler of this version",
        path, descriptor->abi, tw_version(), TW_ABI_VERSION);
  if (descriptor->size < smallest)
    return reportError(error, TW_INVALID, 4007,
                       "artifact '%s' is damaged: its descriptor is cut off after %u bytes", path,
                       descriptor->size);
  const uint64_t missing = descriptor->cpu_features & ~detectCpuFeatures();
  if (missing || !requestCpuFeatures(descriptor->cpu_features)) {
    Text names;
    describeCpuFeatures(missing ? missing : descriptor->cpu_features & (TW_X86_AMX_INT8 | TW_X86_AMX_BF16),
                        names);
    return reportError(
        error, TW_UNSUPPORTED, 4009,
        "artifact '%s' needs CPU features this machine (or its operating system) does not offer: %s; compile "
        "it for this machine, or with --target %s",
        path, names.c_str(), baselineTarget);
  }
  return TW_OK;
}

/// The side weights file: `given`, or a file of the descriptor's name in the folder `given` or the
/// artifact's.
bool sidePath(const char *artifact, const char *given, const char *name, Array<char> &path) {
  const char *folder = given ? given : artifact;
  int folderLength = static_cast<int>(strlen(folder));
  struct stat facts;
  if (given && (stat(given, &facts) != 0 || !S_ISDIR(facts.st_mode)))
    name = nullptr;
  if (!given) {
    const char *slash = strrchr(artifact, '/');
    folderLength = slash ? static_cast<int>(slash - artifact) : 1;
    folder = slash ? artifact : ".";
  }
  const size_t capacity = strlen(folder) + (name ? strlen(name) : 0) + 2;
  if (!path.allocate(capacity))
    return false;
  snprintf(path.data(), capacity, "%.*s%s%s", folderLength, folder, name ? "/" : "", name ? name : "");
  return true;
}

/// Weights up to this size are compared with their digests unless the caller says otherwise: what reading
/// them costs is little beside the rest of a start.
constexpr uint64_t alwaysChecked = uint64_t(64) << 20;

tw_status mapFrom(tw_model &model, const InputFile &file, const char *path, const tw_trailer &trailer,
                  uint32_t flags, tw_error *error) {
  const tw_descriptor &descriptor = *model.descriptor;
  if (tw_status status =
          model.weights.map(file, path, trailer, descriptor.weight_bytes, descriptor.weights_id, error))
    return status;
  const bool checked = flags & TW_LOAD_CHECK_WEIGHTS ||
                       (!(flags & TW_LOAD_TRUST_WEIGHTS) && descriptor.weight_bytes <= alwaysChecked);
  return checked ? model.weights.check(file, path, trailer, error) : TW_OK;
}

tw_status mapWeights(tw_model &model, const InputFile &artifact, const char *path, const tw_trailer &trailer,
                     const LoadOptions &options, tw_error *error) {
  const tw_descriptor &descriptor = *model.descriptor;
  if (descriptor.weight_bytes == 0)
    return TW_OK;
  if (descriptor.weight_bytes > largestMemory)
    return reportError(error, TW_INVALID, 4010, "artifact '%s' is damaged: it claims %llu bytes of weights",
                       path, static_cast<unsigned long long>(descriptor.weight_bytes));
  if (!descriptor.weights_file)
    return mapFrom(model, artifact, path, trailer, options.flags, error);
  Array<char> &side = model.weightsPath;
  if (!sidePath(path, options.weightsPath, descriptor.weights_file, side))
    return outOfMemory(path, error);
  InputFile file;
  tw_trailer sideTrailer;
  if (tw_status status = file.open(side.data(), "weights file", 4011, error))
    return status;
  if (tw_status status = readTrailer(file, side.data(), 4010, sideTrailer, error))
    return status;
  return mapFrom(model, file, side.data(), sideTrailer, options.flags, error);
}

/// The file that was checked is the one to open, also when its name has become another one's since. Where
/// there is no /proc the name has to do.
tw_status openLibrary(tw_model &model, const InputFile &file, const char *path, tw_error *error) {
  char checked[32];
  sprintf(checked, "/proc/self/fd/%d", file.descriptor());
  Array<char> spelling;
  if (!spellFresh(access(checked, R_OK) == 0 ? checked : path, spelling))
    return outOfMemory(path, error);
  model.library = dlopen(spelling.data(), RTLD_NOW | RTLD_LOCAL);
  if (!model.library) {
    const char *reason = dlerror();
    // What the loader cannot map or read is no fault of the file, whose code is the one that was compiled.
    return reportError(error, TW_IO, 4005, "artifact '%s' cannot be loaded: %s", path,
                       reason ? reason : "unknown");
  }
  model.descriptor = static_cast<const tw_descriptor *>(dlsym(model.library, TW_DESCRIPTOR_SYMBOL));
  if (!model.descriptor)
    return reportError(error, TW_INVALID, 4006, "'%s' is not a Tilewright artifact: it does not export %s",
                       path, TW_DESCRIPTOR_SYMBOL);
  return TW_OK;
}

size_t countDims(const tw_io_info *ios, uint32_t count) {
  size_t dims = 0;
  for (uint32_t index = 0; index < count; ++index)
    dims += static_cast<size_t>(ios[index].rank);
  return dims;
}

/// The public view of inputs or outputs; `dims` is filled from `next` on.
bool describeTensors(const tw_descriptor &descriptor, const tw_io_info *ios, uint32_t count,
                     Array<tw_tensor_info> &infos, Array<tw_dim> &dims, size_t &next) {
  if (!infos.allocate(count))
    return false;
  for (uint32_t index = 0; index < count; ++index) {
    const tw_io_info &io = ios[index];
    infos[index] = {io.name, static_cast<tw_dtype>(io.dtype), io.rank, dims.data() + next};
    for (int32_t axis = 0; axis < io.rank; ++axis) {
      const tw_io_dim &dim = io.dims[axis];
      const char *text = dim.text;
      if (dim.value == -1 && !text)
        text = descriptor.symbols[dim.symbol].name;
      dims[next++] = {dim.value < 0 ? -1 : dim.value, text};
    }
  }
  return true;
}

tw_status finishModel(tw_model &model, const char *path, tw_error *error) {
  const tw_descriptor &descriptor = *model.descriptor;
  size_t next = 0;
  if (!model.dims.allocate(countDims(descriptor.inputs, descriptor.input_count) +
                           countDims(descriptor.outputs, descriptor.output_count)) ||
      !describeTensors(descriptor, descriptor.inputs, descriptor.input_count, model.inputs, model.dims,
                       next) ||
      !describeTensors(descriptor, descriptor.outputs, descriptor.output_count, model.outputs, model.dims,
                       next) ||
      !buildLayout(descriptor, model.layout))
    return outOfMemory(path, error);
  return TW_OK;
}

tw_status loadInto(tw_model &model, const char *path, const LoadOptions &options, tw_error *error) {
  InputFile file;
  tw_trailer trailer;
  if (tw_status status = file.open(path, "artifact", 4001, error))
    return status;
  // A file without a trailer is cut off or something else: its headers say which. With one, they are looked
  // at when every bit of them is known to be right: a changed bit is damage, not another processor.
  if (!hasTrailer(file))
    if (tw_status status = checkObject(file, path, error))
      return status;
  if (tw_status status = readTrailer(file, path, 4004, trailer, error))
    return status;
  if (tw_status status = checkCode(file, path, trailer, error))
    return status;
  if (tw_status status = checkObject(file, path, error))
    return status;
  model.codeBytes = trailer.code_bytes;
  if (tw_status status = openLibrary(model, file, path, error))
    return status;
  if (tw_status status = checkIdentity(model.descriptor, path, error))
    return status;
  if (tw_status status = checkDescriptor(*model.descriptor, path, error))
    return status;
  if (tw_status status = mapWeights(model, file, path, trailer, options, error))
    return status;
  return finishModel(model, path, error);
}

} // namespace

tw_status loadModel(const char *path, const LoadOptions &options, tw_model **model, tw_error *error) {
  *model = nullptr;
  auto *loaded = create<tw_model>();
  if (!loaded)
    return outOfMemory(path, error);
  const tw_status status = loadInto(*loaded, path, options, error);
  if (status == TW_OK)
    *model = loaded;
  else
    destroy(loaded);
  return status;
}

} // namespace tilewright::runtime

tw_model::~tw_model() {
  if (library)
    dlclose(library);
}

void tw_model::release() {
  if (references.fetch_sub(1, std::memory_order_acq_rel) == 1)
    tilewright::runtime::destroy(this);
}
