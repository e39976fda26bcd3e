#include "Cpu.h"
#include "Support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <elf.h>
#include <filesystem>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

using testing::HasSubstr;

namespace {

std::vector<float> runAffine(const ModelPointer &model, const std::vector<float> &x) {
  SessionPointer session = createSession(model, 1);
  std::vector<float> y(4);
  tw_tensor input = tensorOf(TW_F32, {4}, x.data()), output = tensorOf(TW_F32, {4}, y.data());
  tw_error error;
  EXPECT_EQ(tw_session_run(session.get(), &input, 1, &output, 1, &error), TW_OK) << error.message;
  return y;
}

} // namespace

TEST(Load, EmbeddedWeights) {
  TemporaryFolder folder;
  ModelPointer model = loadAffine(folder, {1, 2, 3, 4});
  EXPECT_EQ(runAffine(model, {10, 20, 30, 40}), (std::vector<float>{21, 42, 63, 84}));
  EXPECT_EQ(tw_model_weight_bytes(model.get()), 16u);
  EXPECT_GT(tw_model_code_bytes(model.get()), 500u);
  EXPECT_LE(tw_model_code_bytes(model.get()), std::filesystem::file_size(artifactPath("affine")));
  EXPECT_STREQ(tw_model_report(model.get()), "{\"kernels\":[]}");
}

TEST(Load, DescribesInputsAndOutputs) {
  ModelPointer model = loadArtifact(artifactPath("nonzero"));
  ASSERT_EQ(tw_model_input_count(model.get()), 1u);
  ASSERT_EQ(tw_model_output_count(model.get()), 2u);
  const tw_tensor_info *input = tw_model_input(model.get(), 0), *pairs = tw_model_output(model.get(), 1);
  EXPECT_STREQ(input->name, "x");
  EXPECT_EQ(input->dtype, TW_U8);
  EXPECT_EQ(input->rank, 1);
  EXPECT_LT(input->dims[0].value, 0);
  EXPECT_STREQ(input->dims[0].text, "length");
  EXPECT_STREQ(pairs->name, "pairs");
  EXPECT_STREQ(pairs->dims[0].text, "found");
  EXPECT_EQ(pairs->dims[1].value, 2);
  EXPECT_EQ(tw_model_input(model.get(), 1), nullptr);
  EXPECT_EQ(tw_model_output(model.get(), 2), nullptr);
  EXPECT_STREQ(tw_model_report(model.get()), "{}");
}

TEST(Load, RelativePathWithoutFolder) {
  TemporaryFolder folder;
  loadAffine(folder, {0, 0, 0, 0});
  const auto former = std::filesystem::current_path();
  std::filesystem::current_path(folder.name());
  ModelPointer model = loadArtifact("affine.so");
  std::filesystem::current_path(former);
  EXPECT_EQ(runAffine(model, {1, 2, 3, 4}), (std::vector<float>{2, 4, 6, 8}));
}

TEST(Load, SlackBehindWeightsIsReadableWhereverTheyEnd) {
  // The file ends exactly with a page, and just before and behind; with the least slack, and with much.
  constexpr size_t rest = 4096 - 16 - sizeof(tw_block) - sizeof(tw_trailer);
  for (size_t slack : {size_t(0), rest - 8, rest, rest + 8, size_t(4072)}) {
    TemporaryFolder folder;
    const std::string path = folder.file("affine.so");
    writeFile(path, withWeights(readFile(artifactPath("affine")), floatBytes({1, 1, 1, 1}), affineId, slack));
    EXPECT_EQ(runAffine(loadArtifact(path), {1, 2, 3, 4}), (std::vector<float>{3, 5, 7, 9})) << slack;
  }
}

TEST(Load, TheSameFileTwiceAndAReplacedOne) {
  TemporaryFolder folder;
  ModelPointer first = loadAffine(folder, {0, 0, 0, 0});
  ModelPointer again = loadArtifact(folder.file("affine.so"));
  ModelPointer replaced = loadAffine(folder, {5, 5, 5, 5});
  EXPECT_EQ(runAffine(first, {1, 1, 1, 1}), (std::vector<float>{2, 2, 2, 2}));
  EXPECT_EQ(runAffine(again, {1, 1, 1, 1}), (std::vector<float>{2, 2, 2, 2}));
  EXPECT_EQ(runAffine(replaced, {1, 1, 1, 1}), (std::vector<float>{7, 7, 7, 7}));
}

TEST(Load, AnotherArtifactAtThePathOfALoadedOne) {
  TemporaryFolder folder;
  const std::string path = folder.file("model.so");
  writeFile(path, readFile(artifactPath("alias")));
  ModelPointer alias = loadArtifact(path);
  writeFile(path, readFile(artifactPath("nonzero")));
  ModelPointer nonzero = loadArtifact(path);
  EXPECT_EQ(tw_model_output_count(alias.get()), 4u);
  EXPECT_EQ(tw_model_output_count(nonzero.get()), 2u);
}

TEST(Load, SideWeights) {
  TemporaryFolder folder;
  const std::string path = folder.file("model.so"), weights = folder.file("affine.weights");
  writeFile(path, readFile(artifactPath("affine_side")));
  EXPECT_STREQ(loadError(path).code, "TW4011");
  std::filesystem::create_directory(weights);
  EXPECT_STREQ(loadError(path).code, "TW4002");
  std::filesystem::remove(weights);
  EXPECT_EQ(loadError(path).status, TW_IO);
  EXPECT_THAT(loadError(path).message, HasSubstr("affine.weights"));

  writeFile(weights, withWeights("", floatBytes({1, 2, 3, 4}), affineId));
  EXPECT_EQ(runAffine(loadArtifact(path), {0, 0, 0, 0}), (std::vector<float>{1, 2, 3, 4}));

  const uint8_t otherId[16] = {9};
  writeFile(weights, withWeights("", floatBytes({1, 2, 3, 4}), otherId));
  EXPECT_STREQ(loadError(path).code, "TW4012");
  writeFile(weights, "");
  EXPECT_STREQ(loadError(path).code, "TW4010");
}

TEST(Load, SideWeightsElsewhere) {
  TemporaryFolder folder, elsewhere;
  const std::string path = folder.file("model.so"), weights = elsewhere.file("affine.weights");
  writeFile(path, readFile(artifactPath("affine_side")));
  writeFile(weights, withWeights("", floatBytes({1, 2, 3, 4}), affineId));
  for (const std::string &given : {weights, elsewhere.name()}) {
    tw_load_options options = {sizeof options, 0, given.c_str()};
    tw_model *model = nullptr;
    tw_error error;
    ASSERT_EQ(tw_model_load(path.c_str(), &options, &model, &error), TW_OK) << error.message;
    EXPECT_EQ(runAffine(ModelPointer(model), {0, 0, 0, 0}), (std::vector<float>{1, 2, 3, 4}));
  }
  EXPECT_STREQ(loadError(path, "/nowhere/at/all").code, "TW4011");
}

TEST(LoadError, NoFile) {
  const tw_error error = loadError("/nowhere/model.so");
  EXPECT_EQ(error.status, TW_IO);
  EXPECT_STREQ(error.code, "TW4001");
  EXPECT_THAT(error.message, HasSubstr("/nowhere/model.so"));
  EXPECT_THAT(error.message, HasSubstr("No such file"));
  EXPECT_STREQ(loadError("").code, "TW4001");
}

TEST(LoadError, UnreadableFile) {
  if (geteuid() == 0)
    GTEST_SKIP() << "root may read everything";
  TemporaryFolder folder;
  writeFile(folder.file("model.so"), "x");
  chmod(folder.file("model.so").c_str(), 0);
  EXPECT_STREQ(loadError(folder.file("model.so")).code, "TW4001");
}

TEST(LoadError, NotAFile) {
  TemporaryFolder folder;
  EXPECT_STREQ(loadError(folder.name()).code, "TW4002");
  EXPECT_THAT(loadError(folder.name()).message, HasSubstr("a directory"));
  ASSERT_EQ(mkfifo(folder.file("pipe").c_str(), 0600), 0);
  EXPECT_STREQ(loadError(folder.file("pipe")).code, "TW4002");
}

TEST(LoadError, NotAnArtifact) {
  TemporaryFolder folder;
  const std::string path = folder.file("model.so");
  for (const char *content : {"", "\x7f", "#!/bin/sh\n",
                              "\x7f"
                              "ELX and some more text that is no header"}) {
    writeFile(path, content);
    EXPECT_STREQ(loadError(path).code, "TW4003") << content;
    EXPECT_EQ(loadError(path).status, TW_INVALID);
  }
  EXPECT_STREQ(loadError("/proc/self/exe").code, "TW4003");
}

TEST(LoadError, ForeignSharedObjectIsNotRun) {
  // Its constructor would end this process.
  const tw_error error = loadError(artifactPath("other"));
  EXPECT_STREQ(error.code, "TW4003");
  EXPECT_THAT(error.message, HasSubstr("no model is in it"));
}

TEST(LoadError, OtherProcessor) {
  TemporaryFolder folder;
  std::string object = objectOf(readFile(artifactPath("alias")));
  reinterpret_cast<Elf64_Ehdr *>(object.data())->e_machine = EM_RISCV;
  for (const std::string &bytes : {object, sealed(object, "", {})}) {
    writeFile(folder.file("model.so"), bytes);
    EXPECT_EQ(loadError(folder.file("model.so")).status, TW_UNSUPPORTED);
  }
}

TEST(LoadError, TruncatedAnywhere) {
  TemporaryFolder folder;
  const std::string path = folder.file("model.so");
  const std::string whole = withWeights(readFile(artifactPath("affine")), floatBytes({1, 2, 3, 4}), affineId);
  for (size_t length = 1; length < whole.size(); length += length < 70 ? 3 : 191) {
    writeFile(path, whole.substr(0, length));
    const tw_error error = loadError(path);
    EXPECT_TRUE(error.status == TW_INVALID) << length << ": " << error.code << " " << error.message;
    const std::string code = error.code;
    EXPECT_TRUE(code == "TW4003" || code == "TW4004") << length << ": " << code;
  }
}

TEST(LoadError, CorruptedHeadersNeverCrash) {
  TemporaryFolder folder;
  // Sealed, so that the headers' own checks have to find it.
  const std::string path = folder.file("model.so"), whole = objectOf(readFile(artifactPath("alias")));
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::string bytes = whole;
    // Only what the checks read: the file header, the types and file ranges of the segments.
    auto *header = reinterpret_cast<Elf64_Ehdr *>(bytes.data());
    auto *segments = reinterpret_cast<Elf64_Phdr *>(bytes.data() + header->e_phoff);
    Elf64_Phdr &segment = segments[random() % header->e_phnum];
    const uint64_t absurd = uint64_t(1) << (20 + random() % 44);
    switch (random() % 5) {
    case 0:
      segment.p_offset = absurd;
      break;
    case 1:
      segment.p_filesz = absurd;
      break;
    case 2:
      header->e_phoff = absurd;
      break;
    case 3:
      header->e_phnum = static_cast<uint16_t>(100 + random() % 60000);
      break;
    case 4:
      header->e_shoff = absurd;
      break;
    }
    writeFile(path, round % 2 ? bytes : sealed(bytes, "", {}));
    EXPECT_STREQ(loadError(path).code, "TW4004") << round;
  }
}

TEST(LoadError, Descriptor) {
  EXPECT_STREQ(loadError(artifactPath("affine_magic")).code, "TW4007");
  EXPECT_STREQ(loadError(artifactPath("affine_size")).code, "TW4007");
  EXPECT_STREQ(loadError(artifactPath("affine_tables")).code, "TW4014");
  EXPECT_STREQ(loadError(artifactPath("dynamic_squeezed_rank")).code, "TW4014");
  const tw_error abi = loadError(artifactPath("affine_abi"));
  EXPECT_STREQ(abi.code, "TW4008");
  EXPECT_EQ(abi.status, TW_UNSUPPORTED);
  EXPECT_THAT(abi.message, HasSubstr("999"));
}

TEST(LoadError, CpuFeatures) {
  const tw_error unknown = loadError(artifactPath("affine_features"));
  EXPECT_STREQ(unknown.code, "TW4009");
  EXPECT_EQ(unknown.status, TW_UNSUPPORTED);
  EXPECT_THAT(unknown.message, HasSubstr("feature 62"));
  if (tilewright::runtime::detectCpuFeatures() & TW_X86_AMX_BF16)
    GTEST_SKIP() << "this machine has AMX";
  EXPECT_THAT(loadError(artifactPath("affine_amx")).message, HasSubstr("AMX-BF16"));
}

TEST(LoadError, Weights) {
  TemporaryFolder folder;
  const std::string path = folder.file("model.so"), object = readFile(artifactPath("affine"));
  const std::string whole = withWeights(object, floatBytes({1, 2, 3, 4}), affineId);
  auto codeOf = [&](const std::string &bytes) {
    writeFile(path, bytes);
    return std::string(loadError(path).code);
  };
  auto withOffset = [&](uint64_t offset) {
    tw_trailer trailer = trailerOf(whole);
    trailer.weights_offset = offset;
    signTrailer(trailer);
    return whole.substr(0, whole.size() - sizeof trailer)
        .append(reinterpret_cast<const char *>(&trailer), sizeof trailer);
  };
  EXPECT_EQ(codeOf(object), "TW4010");
  EXPECT_EQ(codeOf(withWeights(object, floatBytes({1, 2, 3}), affineId)), "TW4010");
  EXPECT_EQ(codeOf(withOffset(0)), "TW4016");
  EXPECT_EQ(codeOf(withOffset(whole.size() - 40)), "TW4016");
  EXPECT_EQ(codeOf(withOffset(uint64_t(1) << 63)), "TW4016");
  EXPECT_EQ(codeOf(withOffset(UINT64_MAX & ~uint64_t(4095))), "TW4016");
  const uint8_t otherId[16] = {};
  EXPECT_EQ(codeOf(withWeights(object, floatBytes({1, 2, 3, 4}), otherId)), "TW4012");
}

TEST(LoadError, Misuse) {
  tw_error error;
  EXPECT_STREQ(loadError(artifactPath("alias"), nullptr, 4).code, "TW4501"); // a flag of the future
  EXPECT_STREQ(loadError(artifactPath("alias"), nullptr, TW_LOAD_CHECK_WEIGHTS | TW_LOAD_TRUST_WEIGHTS).code,
               "TW4501");
  EXPECT_EQ(tw_model_load(nullptr, nullptr, nullptr, &error), TW_INVALID);
  EXPECT_STREQ(error.code, "TW4501");
  EXPECT_EQ(tw_model_load("/nowhere", nullptr, nullptr, nullptr), TW_INVALID);
  tw_model *model = nullptr;
  EXPECT_EQ(tw_model_load("/nowhere", nullptr, &model, nullptr), TW_IO);
  tw_model_free(nullptr);
  EXPECT_EQ(tw_model_input_count(nullptr), 0u);
  EXPECT_EQ(tw_model_output(nullptr, 0), nullptr);
}

TEST(Cpu, FeaturesAgreeWithTheCompilersView) {
#if defined(__x86_64__)
  const uint64_t features = tilewright::runtime::detectCpuFeatures();
  EXPECT_EQ((features & TW_X86_AVX2) != 0, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
  EXPECT_EQ((features & TW_X86_AVX512) != 0,
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd"));
  EXPECT_EQ((features & TW_X86_AVX512_VNNI) != 0, __builtin_cpu_supports("avx512vnni") != 0);
  EXPECT_EQ((features & TW_X86_AVX512_BF16) != 0, __builtin_cpu_supports("avx512bf16") != 0);
#endif
}

TEST(Dtype, SizesAndNames) {
  EXPECT_EQ(tw_dtype_bytes(TW_F32), 4u);
  EXPECT_EQ(tw_dtype_bytes(TW_C128), 16u);
  EXPECT_EQ(tw_dtype_bytes(TW_BF16), 2u);
  EXPECT_EQ(tw_dtype_bytes(TW_I4), 1u);
  EXPECT_EQ(tw_dtype_bytes(TW_STRING), 0u);
  EXPECT_EQ(tw_dtype_bytes(static_cast<tw_dtype>(99)), 0u);
  EXPECT_STREQ(tw_dtype_name(TW_I2), "int2");
  EXPECT_STREQ(tw_dtype_name(TW_BOOL), "bool");
  EXPECT_STREQ(tw_dtype_name(static_cast<tw_dtype>(31)), "undefined");
}

TEST(Version, IsThree) { EXPECT_EQ(std::string(tw_version()).substr(0, 4), "0.1."); }
