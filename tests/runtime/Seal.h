/// Seal.h - the trailer of artifacts written by hand.
#ifndef TILEWRIGHT_TESTS_SEAL_H
#define TILEWRIGHT_TESTS_SEAL_H

#include "tilewright/artifact.h"
#include "tilewright/digest.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

/// Store the trailer's own digest.
inline void signTrailer(tw_trailer &trailer) {
  const tilewright::Digest128 digest = tilewright::digestOf(&trailer, offsetof(tw_trailer, digest));
  memcpy(trailer.digest, digest.words, sizeof trailer.digest);
}

/// `object` (or nothing) padded to whole pages, the weights as one block, `slack` further bytes, the trailer.
inline std::string sealed(std::string object, const std::string &weights, const uint8_t (&id)[16],
                          size_t slack = 64) {
  auto digestOf = [](const std::string &bytes, uint64_t (&words)[2]) {
    memcpy(words, tilewright::digestOf(bytes.data(), bytes.size()).words, sizeof words);
  };
  tw_trailer trailer = {};
  trailer.magic = TW_TRAILER_MAGIC;
  trailer.code_bytes = object.size();
  digestOf(object, trailer.code_digest);
  object.resize((object.size() + 4095) / 4096 * 4096);
  trailer.weights_offset = object.size();
  trailer.weight_bytes = weights.size();
  object += weights;
  object.resize((object.size() + slack + 7) / 8 * 8);
  trailer.blocks_offset = object.size();
  std::string blocks;
  if (!weights.empty()) {
    tw_block block = {0, weights.size(), {}};
    digestOf(weights, block.digest);
    blocks.assign(reinterpret_cast<const char *>(&block), sizeof block);
  }
  trailer.block_count = blocks.size() / sizeof(tw_block);
  digestOf(blocks, trailer.blocks_digest);
  memcpy(trailer.weights_id, id, sizeof id);
  object += blocks;
  trailer.file_bytes = object.size() + sizeof trailer;
  signTrailer(trailer);
  return object.append(reinterpret_cast<const char *>(&trailer), sizeof trailer);
}

inline tw_trailer trailerOf(const std::string &file) {
  tw_trailer trailer;
  memcpy(&trailer, file.data() + file.size() - sizeof trailer, sizeof trailer);
  return trailer;
}

/// The shared object in a sealed file.
inline std::string objectOf(const std::string &file) { return file.substr(0, trailerOf(file).code_bytes); }

#endif
