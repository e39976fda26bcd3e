#include "Support.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

TemporaryFolder::TemporaryFolder() {
  std::string pattern = std::filesystem::temp_directory_path() / "tilewright-XXXXXX";
  path = mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

std::string artifactPath(const std::string &name) {
  return std::string(ARTIFACT_FOLDER) + "/" + name + ".so";
}

std::string readFile(const std::string &path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

void writeFile(const std::string &path, const std::string &bytes) {
  // A new file each time: the old one may be mapped.
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary) << bytes;
}

const uint8_t affineId[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

std::string withWeights(const std::string &artifact, const std::string &weights, const uint8_t (&id)[16],
                        size_t slack) {
  return sealed(artifact.empty() ? "" : objectOf(artifact), weights, id, slack);
}

std::string floatBytes(const std::vector<float> &values) {
  return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float)};
}

ModelPointer loadArtifact(const std::string &path) {
  tw_model *model = nullptr;
  tw_error error;
  EXPECT_EQ(tw_model_load(path.c_str(), nullptr, &model, &error), TW_OK)
      << error.code << ": " << error.message;
  return ModelPointer(model);
}

ModelPointer loadAffine(const TemporaryFolder &folder, const std::vector<float> &weights) {
  const std::string path = folder.file("affine.so");
  writeFile(path, withWeights(readFile(artifactPath("affine")), floatBytes(weights), affineId));
  return loadArtifact(path);
}

SessionPointer createSession(const ModelPointer &model, int threads) {
  tw_session_options options = {sizeof options, threads, 0};
  tw_session *session = nullptr;
  tw_error error;
  EXPECT_EQ(tw_session_create(model.get(), &options, &session, &error), TW_OK)
      << error.code << ": " << error.message;
  return SessionPointer(session);
}

tw_tensor tensorOf(tw_dtype dtype, const std::vector<int64_t> &shape, const void *data) {
  tw_tensor tensor = {};
  tensor.data = const_cast<void *>(data);
  tensor.dtype = dtype;
  tensor.rank = static_cast<int32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), tensor.shape);
  return tensor;
}

tw_error loadError(const std::string &path, const char *weightsPath, uint32_t flags) {
  tw_load_options options = {sizeof options, flags, weightsPath};
  tw_model *model = nullptr;
  tw_error error = {};
  EXPECT_NE(tw_model_load(path.c_str(), &options, &model, &error), TW_OK) << path << " was loaded";
  EXPECT_EQ(model, nullptr);
  tw_model_free(model);
  return error;
}
