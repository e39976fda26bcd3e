#include "Support.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <protozero/pbf_writer.hpp>
#include <sstream>
#include <sys/wait.h>

namespace tilewright::tools {

MaybeProblem writeNpz(const std::string &path, const std::vector<NamedTensor> &tensors) {
  auto file = OutputFile::create(path);
  return file ? writeNpz(*file, tensors) : MaybeProblem(file.problem());
}

} // namespace tilewright::tools

namespace tilewright::tools::test {

namespace fs = std::filesystem;

FolderTest::~FolderTest() { readFiles() = files::ReadFiles(); }

std::string FolderTest::write(const std::string &name, const std::string &content) const {
  fs::create_directories(fs::path(path(name)).parent_path());
  std::ofstream(path(name), std::ios::binary) << content;
  return path(name);
}

static std::string readAll(const std::string &path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

std::string FolderTest::read(const std::string &name) const { return readAll(path(name)); }

Bytes bytesOf(const std::string &content) {
  auto storage = std::make_shared<std::string>(content);
  return {std::as_bytes(std::span(*storage)), storage};
}

Ran runShell(const std::string &command) {
  tests::TemporaryFolder folder;
  std::string out = folder.path() + "/out", err = folder.path() + "/err";
  int status = std::system(("{ " + command + "\n} >" + out + " 2>" + err).c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), readAll(out), readAll(err)};
}

Ran driver(const std::string &words, const std::string &below) {
  return runShell(below + DRIVER + " " + words);
}

std::string tensorProto(tw_dtype dtype, const std::vector<int64_t> &dims, const std::string &raw) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_packed_int64(1, dims.begin(), dims.end());
  writer.add_int32(2, dtype);
  writer.add_bytes(9, raw);
  return bytes;
}

std::string valueInfo(const std::string &name, uint32_t kind) {
  std::string type, bytes;
  protozero::pbf_writer(type).add_message(kind, std::string());
  protozero::pbf_writer writer(bytes);
  writer.add_string(1, name);
  writer.add_message(2, type);
  return bytes;
}

std::string modelProto(const std::string &request, const std::string &extra) {
  std::string graph, model;
  protozero::pbf_writer writer(graph);
  for (const char *input : {"x", "half/in"})
    writer.add_message(11, valueInfo(input));
  for (const char *output : {"y", "half/out"})
    writer.add_message(12, valueInfo(output));
  protozero::pbf_writer whole(model);
  whole.add_int64(1, 8);
  whole.add_string(2, request);
  whole.add_message(7, graph + extra);
  return model;
}

} // namespace tilewright::tools::test
