/// Damaged files: every changed bit is found, and nothing of the file runs before.
#include "Support.h"

#include <gtest/gtest.h>

#include <random>

using tilewright::Digest128;
using tilewright::digestOf;

namespace {

const std::vector<float> weights = {1, 2, 3, 4};

std::string wholeArtifact() {
  return withWeights(readFile(artifactPath("affine")), floatBytes(weights), affineId);
}

/// An artifact and its weights in a folder of their own.
struct SidePair {
  TemporaryFolder folder;
  const std::string artifact = folder.file("model.so"), weightsFile = folder.file("affine.weights");
  SidePair() {
    writeFile(artifact, readFile(artifactPath("affine_side")));
    writeFile(weightsFile, withWeights("", floatBytes(weights), affineId));
  }
};

bool isOfTheFile(const tw_error &error) { return std::string(error.code).substr(0, 4) == "TW40"; }

std::string flipped(std::string bytes, size_t at, unsigned bit) {
  bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
  return bytes;
}

/// The file at `damaged` with each of its bytes changed in one bit; `load` must be refused.
void expectEveryFlipRefused(const std::string &damaged, const std::string &load) {
  const std::string whole = readFile(damaged);
  std::mt19937 random(3);
  for (size_t at = 0; at < whole.size(); ++at) {
    writeFile(damaged, flipped(whole, at, random() % 8));
    const tw_error error = loadError(load);
    ASSERT_TRUE(isOfTheFile(error)) << "byte " << at << " of " << whole.size() << ": " << error.code << " "
                                    << error.message;
  }
  writeFile(damaged, whole);
  EXPECT_TRUE(loadArtifact(load));
}

} // namespace

TEST(Damage, EveryBitOfAnArtifactCounts) {
  TemporaryFolder folder;
  writeFile(folder.file("model.so"), wholeArtifact());
  expectEveryFlipRefused(folder.file("model.so"), folder.file("model.so"));
}

TEST(Damage, EveryBitOfSideWeightsCounts) {
  SidePair pair;
  expectEveryFlipRefused(pair.weightsFile, pair.artifact);
  expectEveryFlipRefused(pair.artifact, pair.artifact);
}

TEST(Damage, LostAndRepeatedPieces) {
  SidePair pair;
  TemporaryFolder folder;
  const std::string embedded = folder.file("model.so");
  writeFile(embedded, wholeArtifact());
  for (const auto &[damaged, load] :
       {std::pair(embedded, embedded), std::pair(pair.weightsFile, pair.artifact),
        std::pair(pair.artifact, pair.artifact)}) {
    const std::string whole = readFile(damaged);
    auto expectRefused = [&](const std::string &bytes, const char *what, size_t at) {
      writeFile(damaged, bytes);
      EXPECT_TRUE(isOfTheFile(loadError(load))) << what << " at " << at;
    };
    for (size_t at = 0; at < whole.size(); at += 64) {
      const size_t count = std::min<size_t>(64, whole.size() - at);
      expectRefused(whole.substr(0, at), "cut", at);
      expectRefused(whole.substr(0, at) + whole.substr(at + count), "64 bytes lost", at);
      expectRefused(whole.substr(0, at + count) + whole.substr(at), "64 bytes twice", at);
      if (whole.compare(at, count, std::string(count, '\0')) != 0)
        expectRefused(std::string(whole).replace(at, count, count, '\0'), "zeros", at);
    }
    for (size_t more : {1, 64, 4096})
      expectRefused(whole + std::string(more, '\0'), "longer", more);
    writeFile(damaged, whole);
    EXPECT_TRUE(loadArtifact(load));
  }
}

TEST(Damage, LargeWeightsAreCheckedOnDemand) {
  TemporaryFolder folder;
  const std::string path = folder.file("model.so");
  std::string many(68157440, '\0');
  memcpy(many.data(), weights.data(), 16);
  std::string whole = withWeights(readFile(artifactPath("affine_large")), many, affineId);
  writeFile(path, whole);
  EXPECT_TRUE(loadArtifact(path));
  whole[trailerOf(whole).weights_offset + many.size() / 2] = 1;
  writeFile(path, whole);
  EXPECT_TRUE(loadArtifact(path)); // above the limit
  EXPECT_STREQ(loadError(path, nullptr, TW_LOAD_CHECK_WEIGHTS).code, "TW4017");
}

TEST(Damage, TrustedWeightsAreNotRead) {
  TemporaryFolder folder;
  const std::string path = folder.file("model.so");
  std::string bytes = wholeArtifact();
  bytes[trailerOf(bytes).weights_offset] ^= 1;
  writeFile(path, bytes);
  EXPECT_STREQ(loadError(path).code, "TW4017");
  tw_load_options options = {sizeof options, TW_LOAD_TRUST_WEIGHTS, nullptr};
  tw_model *model = nullptr;
  EXPECT_EQ(tw_model_load(path.c_str(), &options, &model, nullptr), TW_OK);
  tw_model_free(model);
}

TEST(Damage, SaysWhereSideWeightsAre) {
  SidePair pair;
  EXPECT_EQ(std::string(tw_model_weights_path(loadArtifact(pair.artifact).get())), pair.weightsFile);
  EXPECT_EQ(tw_model_weights_path(loadArtifact(artifactPath("alias")).get()), nullptr);
  EXPECT_EQ(tw_model_weights_path(nullptr), nullptr);
}

TEST(Digest, EveryBitAndLengthCounts) {
  std::string bytes(2500, '\0');
  std::mt19937 random(5);
  for (char &byte : bytes)
    byte = static_cast<char>(random());
  for (size_t length : {1u, 7u, 64u, 65u, 1023u, 1024u, 1025u, 2500u}) {
    const std::string whole = bytes.substr(0, length);
    const Digest128 digest = digestOf(whole.data(), length);
    for (size_t at = 0; at < length; ++at)
      for (unsigned bit = 0; bit < 8; ++bit)
        ASSERT_FALSE(digestOf(flipped(whole, at, bit).data(), length) == digest) << at << " " << bit;
    EXPECT_FALSE(digestOf((whole + '\0').data(), length + 1) == digest);
  }
}

TEST(Digest, OrderCounts) {
  // Stripes of 64 bytes, and the 1024 between two stirs, in another order.
  std::string bytes(4096, '\0');
  for (size_t at = 0; at < bytes.size(); ++at)
    bytes[at] = static_cast<char>(at / 64 + 1);
  const Digest128 digest = digestOf(bytes.data(), bytes.size());
  for (size_t from = 0; from + 64 <= bytes.size(); from += 64)
    for (size_t to = from + 64; to + 64 <= bytes.size(); to += 64) {
      std::string swapped = bytes;
      std::swap_ranges(swapped.begin() + from, swapped.begin() + from + 64, swapped.begin() + to);
      ASSERT_FALSE(digestOf(swapped.data(), swapped.size()) == digest) << from << " " << to;
    }
}

TEST(Digest, InPiecesAsInOne) {
  std::string bytes(5000, 'x');
  tilewright::Digest digest;
  digest.add(bytes.data(), 1024);
  digest.add(bytes.data() + 1024, 3072);
  digest.add(bytes.data() + 4096, 904);
  EXPECT_TRUE(digest.finish() == digestOf(bytes.data(), bytes.size()));
}

/// Files that were written must be readable: another value here is another TW_ABI_VERSION.
TEST(Digest, StaysAsItIs) {
  std::string bytes(3000, '\0');
  for (size_t at = 0; at < bytes.size(); ++at)
    bytes[at] = static_cast<char>(at * 7 + at / 256);
  const Digest128 digest = digestOf(bytes.data(), bytes.size());
  EXPECT_EQ(digest.words[0], 9976198026323821882ull);
  EXPECT_EQ(digest.words[1], 2151400694280612727ull);
}
