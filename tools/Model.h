/// Model.h - a model ready to run, whether it came as an artifact or as ONNX.
#pragma once

#include "Commands.h"
#include "support/File.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tilewright::tools {

struct FreeModel {
  void operator()(tw_model *model) const { tw_model_free(model); }
};
struct FreeSession {
  void operator()(tw_session *session) const { tw_session_free(session); }
};
using ModelHandle = std::unique_ptr<tw_model, FreeModel>;
using SessionHandle = std::unique_ptr<tw_session, FreeSession>;

struct LoadedModel {
  ModelHandle model;
  double compileSeconds = 0; ///< 0 for an artifact
  double loadSeconds = 0;
};

/// Whether the file's content is that of a compiled artifact, whatever its name.
Result<bool> isArtifact(const std::string &path);

/// `flags`: TW_LOAD_*.
Result<ModelHandle> loadArtifact(const std::string &path, uint32_t flags = 0);

/// An artifact that was given, or made of an ONNX model.
struct MadeArtifact {
  std::string path;
  std::optional<PrivateFile> file; ///< of one that was made: it is there as long as this is
  double compileSeconds = 0;
  ExitCode exit = ExitCode::Ok; ///< `path` leads nowhere unless Ok
};

/// The artifact that `options.model` is; or compile it, an ONNX model, in a process of its own so that this
/// one stays small, into a private file without a name. When the compiler fails it has printed why: the
/// result has its exit code. `result`, a file that the caller is going to write, is refused when the model is
/// read from it; may be empty. Must be called before this process has threads.
MadeArtifact makeArtifact(const CommonOptions &options, const std::string &result = "");

struct LoadOutcome {
  LoadedModel loaded;
  ExitCode exit = ExitCode::Ok; ///< loaded.model is null unless Ok, and why has been printed
};
LoadOutcome loadModel(const MadeArtifact &artifact, const CommonOptions &options);

Result<SessionHandle> createSession(tw_model *model, int32_t threads);

std::vector<const tw_tensor_info *> inputsOf(const tw_model *model);
std::vector<const tw_tensor_info *> outputsOf(const tw_model *model);

/// "float32[batch,3,224,224]"
std::string typeText(const tw_tensor_info &info);

} // namespace tilewright::tools
