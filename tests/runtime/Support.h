/// Support.h - files, models and tensors for the tests of the runtime.
#ifndef TILEWRIGHT_TESTS_SUPPORT_H
#define TILEWRIGHT_TESTS_SUPPORT_H

#include "Seal.h"
#include "tilewright.h"
#include "tilewright/artifact.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

/// A folder that disappears with everything in it.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string file(const std::string &name) const { return path + "/" + name; }
  const std::string &name() const { return path; }

private:
  std::string path;
};

/// A handwritten artifact as the build left it.
std::string artifactPath(const std::string &name);

std::string readFile(const std::string &path);
void writeFile(const std::string &path, const std::string &bytes);

/// The id that affine.c declares.
extern const uint8_t affineId[16];

/// `artifact`, or nothing for a side weights file, with these weights and `slack` bytes behind them.
std::string withWeights(const std::string &artifact, const std::string &weights, const uint8_t (&id)[16],
                        size_t slack = 64);
std::string floatBytes(const std::vector<float> &values);

struct FreeModel {
  void operator()(tw_model *model) const { tw_model_free(model); }
};
struct FreeSession {
  void operator()(tw_session *session) const { tw_session_free(session); }
};
using ModelPointer = std::unique_ptr<tw_model, FreeModel>;
using SessionPointer = std::unique_ptr<tw_session, FreeSession>;

/// Load what must load; the test fails otherwise.
ModelPointer loadArtifact(const std::string &path);
/// affine.so with its weights, written into `folder`.
ModelPointer loadAffine(const TemporaryFolder &folder, const std::vector<float> &weights);
SessionPointer createSession(const ModelPointer &model, int threads);

tw_tensor tensorOf(tw_dtype dtype, const std::vector<int64_t> &shape, const void *data);

/// The error of loading what must not load.
tw_error loadError(const std::string &path, const char *weightsPath = nullptr, uint32_t flags = 0);

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

#endif
