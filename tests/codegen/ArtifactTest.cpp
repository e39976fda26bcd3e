//===- ArtifactTest.cpp - the file, field by field ------------------------===//
#include "Support.h"

#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace tilewright::codegen;
using namespace tilewright::codegen::testing;

namespace {

const TargetInfo &target() {
  static const TargetInfo info = llvm::cantFail(resolveTarget("cpu:haswell"));
  return info;
}

/// A program that leaves marks: what it is called with, and two sizes and dims that depend on a symbol.
const std::string &programObject() {
  static const std::string object = llvm::cantFail(compileText(R"(
    func.func @tilewright_program(%frame: !llvm.ptr, %thread: i32, %threads: i32) {
      %sum = arith.addi %thread, %threads : i32
      llvm.store %sum, %frame : i32, !llvm.ptr
      return
    }
    func.func @tilewright_derive(%symbols: !llvm.ptr) {
      %batch = llvm.load %symbols : !llvm.ptr -> i64
      %c2 = arith.constant 2 : i64
      %twice = arith.muli %batch, %c2 : i64
      %second = llvm.getelementptr %symbols[1] : (!llvm.ptr) -> !llvm.ptr, i64
      llvm.store %twice, %second : i64, !llvm.ptr
      return
    }
    func.func @tilewright_sizes(%symbols: !llvm.ptr, %bytes: !llvm.ptr) {
      %batch = llvm.load %symbols : !llvm.ptr -> i64
      %c12 = arith.constant 12 : i64
      %size = arith.muli %batch, %c12 : i64
      llvm.store %size, %bytes : i64, !llvm.ptr
      return
    }
    func.func @tilewright_output_dims(%symbols: !llvm.ptr, %dims: !llvm.ptr) {
      %batch = llvm.load %symbols : !llvm.ptr -> i64
      %c1 = arith.constant 1 : i64
      %next = arith.addi %batch, %c1 : i64
      llvm.store %next, %dims : i64, !llvm.ptr
      return
    })",
                                                               target()))
                                        .bytes;
  return object;
}

ArtifactDescription fullDescription() {
  ArtifactDescription description;
  description.flags = 5;
  description.cpuFeatures = target().requiredCpuFeatures;
  description.inputs = {{"x", 1, {{-1, 0, "batch"}, {3, 0, ""}}, 0}, {"scalar", 7, {}, 1}};
  description.outputs = {{"y", 10, {{-2, 0, "batch+1"}}, 2}};
  description.symbols = {{"batch", 1, 64, false}, {"found", 0, INT64_MAX, true}};
  description.buffers = {{TW_BUFFER_INPUT, 0, 0, 3, UINT32_MAX, 1},
                         {TW_BUFFER_INPUT, 1, 0, 3, UINT32_MAX, 1},
                         {TW_BUFFER_OUTPUT, 0, 2, 3, 1, 64}};
  description.sites = {{"node \"quoted\" \xc3\xa9", "Gather", "indices"}, {"other", "Gather", ""}};
  description.launches = {"matmul_0", "softmax_1", "matmul_0"};
  description.report = R"({"kernels": 3})";
  return description;
}

llvm::Error noWeights(WeightSink &) { return llvm::Error::success(); }

std::vector<uint8_t> someWeights(size_t count) {
  std::vector<uint8_t> bytes(count);
  for (size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<uint8_t>(i * 31 + i / 251);
  return bytes;
}

tw_trailer trailerOf(const std::string &file) {
  tw_trailer trailer;
  memcpy(&trailer, file.data() + file.size() - sizeof trailer, sizeof trailer);
  return trailer;
}

TEST(Artifact, DescriptorReadsBackFieldByField) {
  TemporaryFolder folder;
  ASSERT_EQ(problemOf(writeArtifact(folder.file("m.so"), {programObject()}, fullDescription(), target(),
                                    noWeights)),
            "");
  LoadedArtifact artifact(folder.file("m.so"));
  ASSERT_TRUE(artifact.descriptor());
  const tw_descriptor &d = *artifact.descriptor();
  EXPECT_EQ(d.magic, TW_DESCRIPTOR_MAGIC);
  EXPECT_EQ(d.size, sizeof(tw_descriptor));
  EXPECT_EQ(d.abi, uint32_t(TW_ABI_VERSION));
  EXPECT_EQ(d.flags, 5u);
  EXPECT_EQ(d.cpu_features, uint64_t(TW_X86_AVX2));
  EXPECT_EQ(d.weight_bytes, 0u);
  EXPECT_EQ(d.weights_file, nullptr);
  EXPECT_STREQ(d.report, R"({"kernels": 3})");

  ASSERT_EQ(d.input_count, 2u);
  EXPECT_STREQ(d.inputs[0].name, "x");
  EXPECT_EQ(d.inputs[0].dtype, 1);
  ASSERT_EQ(d.inputs[0].rank, 2);
  EXPECT_EQ(d.inputs[0].dims[0].value, -1);
  EXPECT_EQ(d.inputs[0].dims[0].symbol, 0u);
  EXPECT_STREQ(d.inputs[0].dims[0].text, "batch");
  EXPECT_EQ(d.inputs[0].dims[1].value, 3);
  EXPECT_EQ(d.inputs[0].dims[1].text, nullptr);
  EXPECT_STREQ(d.inputs[1].name, "scalar");
  EXPECT_EQ(d.inputs[1].rank, 0);
  EXPECT_EQ(d.inputs[1].dims, nullptr);
  EXPECT_EQ(d.inputs[1].buffer, 1u);
  ASSERT_EQ(d.output_count, 1u);
  EXPECT_EQ(d.outputs[0].dtype, 10);
  EXPECT_EQ(d.outputs[0].buffer, 2u);
  EXPECT_EQ(d.outputs[0].dims[0].value, -2);
  EXPECT_STREQ(d.outputs[0].dims[0].text, "batch+1");

  ASSERT_EQ(d.symbol_count, 2u);
  EXPECT_STREQ(d.symbols[0].name, "batch");
  EXPECT_EQ(d.symbols[0].max, 64);
  EXPECT_EQ(d.symbols[0].defined_by_program, 0);
  EXPECT_EQ(d.symbols[1].max, INT64_MAX);
  EXPECT_EQ(d.symbols[1].defined_by_program, 1);
  ASSERT_EQ(d.buffer_count, 3u);
  EXPECT_EQ(d.buffers[1].io, 1u);
  EXPECT_EQ(d.buffers[1].alias, UINT32_MAX);
  EXPECT_EQ(d.buffers[2].kind, uint32_t(TW_BUFFER_OUTPUT));
  EXPECT_EQ(d.buffers[2].birth, 2u);
  EXPECT_EQ(d.buffers[2].death, 3u);
  EXPECT_EQ(d.buffers[2].alias, 1u);
  EXPECT_EQ(d.buffers[2].align, 64u);
  ASSERT_EQ(d.site_count, 2u);
  EXPECT_STREQ(d.sites[0].node, "node \"quoted\" \xc3\xa9");
  EXPECT_STREQ(d.sites[0].op, "Gather");
  EXPECT_STREQ(d.sites[0].tensor, "indices");
  EXPECT_STREQ(d.sites[1].tensor, "");
  ASSERT_EQ(d.launch_count, 3u);
  EXPECT_STREQ(d.launches[1].kernel, "softmax_1");
  EXPECT_STREQ(d.launches[2].kernel, "matmul_0");

  int64_t symbols[] = {8, 0}, bytes = 0, dim = 0;
  d.derive(symbols);
  EXPECT_EQ(symbols[1], 16);
  d.sizes(symbols, &bytes);
  d.output_dims(symbols, &dim);
  EXPECT_EQ(bytes, 96);
  EXPECT_EQ(dim, 9);
  int32_t mark = 0;
  d.program(reinterpret_cast<tw_frame *>(&mark), 2, 40);
  EXPECT_EQ(mark, 42);
}

TEST(Artifact, EmbeddedWeights) {
  TemporaryFolder folder;
  const std::vector<uint8_t> weights = someWeights(3 << 20);
  ArtifactDescription description = fullDescription();
  description.weightBytes = weights.size() + 128;
  auto writer = [&](WeightSink &sink) -> llvm::Error { // in any order, from any thread, with a gap
    std::thread other([&] { llvm::cantFail(sink.write(128, weights)); });
    llvm::Error error = sink.write(0, llvm::ArrayRef(weights).take_front(100));
    other.join();
    return error;
  };
  ASSERT_EQ(problemOf(writeArtifact(folder.file("m.so"), {programObject()}, description, target(), writer)),
            "");
  EXPECT_EQ(folder.list(), (std::vector<std::string>{"m.so"}));
  const std::string file = readFile(folder.file("m.so"));
  const tw_trailer trailer = trailerOf(file);
  EXPECT_EQ(trailer.magic, TW_TRAILER_MAGIC);
  EXPECT_EQ(trailer.weights_offset % 4096, 0u);
  std::string expected(weights.begin(), weights.begin() + 100);
  expected.resize(128);
  expected.append(weights.begin(), weights.end());
  expected.append(64, '\0'); // the slack
  EXPECT_EQ(file.compare(trailer.weights_offset, expected.size(), expected), 0);
  LoadedArtifact artifact(folder.file("m.so"));
  ASSERT_TRUE(artifact.descriptor());
  EXPECT_EQ(artifact.descriptor()->weight_bytes, description.weightBytes);
  EXPECT_EQ(memcmp(artifact.descriptor()->weights_id, trailer.weights_id, 16), 0);
  const uint8_t zeros[16] = {};
  EXPECT_NE(memcmp(trailer.weights_id, zeros, 16), 0);
  struct stat status;
  stat(folder.file("m.so").c_str(), &status);
  const mode_t mask = umask(0);
  umask(mask);
  EXPECT_EQ(status.st_mode & 0777, 0777 & ~mask);
}

TEST(Artifact, SideWeightsAndReproducibleFiles) {
  TemporaryFolder folder;
  const std::vector<uint8_t> weights = someWeights(2500000);
  ArtifactDescription description = fullDescription();
  description.weightBytes = weights.size();
  description.weightsFile = "m.weights";
  // The id depends on the parts, not on their order.
  auto write = [&](const std::string &name, std::vector<size_t> order) {
    std::filesystem::create_directory(folder.file(name));
    auto writer = [&](WeightSink &sink) -> llvm::Error {
      for (size_t part : order)
        if (auto error = sink.write(part * 500000, llvm::ArrayRef(weights).slice(part * 500000, 500000)))
          return error;
      return llvm::Error::success();
    };
    EXPECT_FALSE(
        writeArtifact(folder.file(name + "/m.so"), {programObject()}, description, target(), writer));
    return std::pair(readFile(folder.file(name + "/m.so")), readFile(folder.file(name + "/m.weights")));
  };
  const auto first = write("a", {0, 1, 2, 3, 4}), second = write("b", {3, 0, 4, 1, 2});
  EXPECT_TRUE(first == second);
  const tw_trailer trailer = trailerOf(first.second);
  EXPECT_EQ(trailer.magic, TW_TRAILER_MAGIC);
  EXPECT_EQ(trailer.weights_offset, 0u);
  EXPECT_EQ(first.second.compare(0, weights.size(), std::string(weights.begin(), weights.end())), 0);
  LoadedArtifact artifact(folder.file("a/m.so"));
  ASSERT_TRUE(artifact.descriptor());
  EXPECT_STREQ(artifact.descriptor()->weights_file, "m.weights");
  EXPECT_EQ(memcmp(artifact.descriptor()->weights_id, trailer.weights_id, 16), 0);
}

TEST(Artifact, FailuresLeaveNothingBehind) {
  TemporaryFolder folder;
  ArtifactDescription description = fullDescription();
  auto fail = [&](const std::string &path, WeightWriter writer) {
    return errorOf(writeArtifact(path, {programObject()}, description, target(), writer));
  };
  const ErrorText noFolder = fail(folder.file("absent/m.so"), noWeights);
  EXPECT_EQ(noFolder.code, 5011);
  EXPECT_NE(noFolder.text.find("No such file or directory"), std::string::npos) << noFolder.text;
  EXPECT_EQ(fail("/proc/m.so", noWeights).code, 5011);
  std::filesystem::create_directory(folder.file("taken.so"));
  EXPECT_EQ(fail(folder.file("taken.so"), noWeights).code, 5013);
  const uint8_t bytes[3] = {};
  EXPECT_EQ(fail(folder.file("m.so"), [&](WeightSink &sink) { return sink.write(0, bytes); }).code, 9220);
  description.weightBytes = 8;
  EXPECT_EQ(fail(folder.file("m.so"), [&](WeightSink &sink) { return sink.write(6, bytes); }).code, 9220);
  EXPECT_EQ(fail(folder.file("m.so"),
                 [&](WeightSink &sink) {
                   llvm::cantFail(sink.write(2, bytes));
                   return sink.write(0, bytes);
                 })
                .code,
            9220);
  EXPECT_EQ(errorOf(writeArtifact(folder.file("m.so"), {}, description, target(), noWeights)).code, 9210);
  EXPECT_EQ(folder.list(), (std::vector<std::string>{"taken.so"}));
}

TEST(Artifact, FullDiskIsAnErrorAndKeepsTheOldFile) {
  TemporaryFolder folder;
  writeFile(folder.file("m.so"), "old");
  const std::string &object = programObject();
  // A limit on file size stands in for a full disk. In a child, as limits stay.
  const pid_t process = fork();
  if (process == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit small = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &small);
    ArtifactDescription description = fullDescription();
    description.weightBytes = 2 << 20;
    auto writer = [](WeightSink &sink) { return sink.write(0, std::vector<uint8_t>(2 << 20)); };
    const ErrorText error =
        errorOf(writeArtifact(folder.file("m.so"), {object}, description, target(), writer));
    _exit(error.code == 5012 && error.text.find("File too large") != std::string::npos ? 0 : 1);
  }
  int status = -1;
  waitpid(process, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(folder.list(), std::vector<std::string>{"m.so"});
  EXPECT_EQ(readFile(folder.file("m.so")), "old");
}

} // namespace
