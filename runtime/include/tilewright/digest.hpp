/// digest.hpp - 128 bits that tell a damaged file from a whole one: at the speed of memory, in plain C++.
///
/// For accidents, not for malice. Eight lanes of 64 bits take a stripe of 64 bytes at a time: each word,
/// mixed with a key that differs from stripe to stripe, is added as the product of its halves to one lane and
/// as it is to the neighbour, so that a changed word changes at least the neighbour for certain; after 1024
/// bytes every lane is stirred by a bijection. The construction is that of XXH3's long inputs; the digests
/// are our own. Written by the compiler, checked by the runtime: a change here is a new TW_ABI_VERSION.
#ifndef TILEWRIGHT_DIGEST_HPP
#define TILEWRIGHT_DIGEST_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tilewright {

namespace digest {

/// A bijection that spreads every bit.
constexpr uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ x >> 27) * 0x94d049bb133111ebull;
  return x ^ x >> 31;
}

/// One word for each lane of each of the 16 stripes between two stirs, a stripe's shifted by one against the
/// last one's; then those that stir.
struct Keys {
  uint64_t words[8 + 16 + 8] = {};
  constexpr Keys() {
    uint64_t state = 0x54696c6577726967ull;
    for (uint64_t &word : words)
      word = mix(state += 0x9e3779b97f4a7c15ull);
  }
};

} // namespace digest

struct Digest128 {
  uint64_t words[2];
  bool operator==(const Digest128 &) const = default;
};

class Digest {
public:
  /// Every call but the last takes a multiple of this many bytes.
  static constexpr size_t grain = 1024;

  void add(const void *bytes, size_t count) {
    const auto *source = static_cast<const uint8_t *>(bytes);
    total += count;
    for (; count >= grain; count -= grain, source += grain) {
      for (size_t stripe = 0; stripe < stripes; ++stripe)
        accumulate(source + 64 * stripe, stripe);
      stir();
    }
    if (!count)
      return;
    uint8_t rest[grain] = {};
    memcpy(rest, source, count);
    for (size_t stripe = 0; stripe < stripes; ++stripe)
      accumulate(rest + 64 * stripe, stripe);
    stir();
  }

  Digest128 finish() const {
    uint64_t forward = mix(total ^ keys.words[0]), backward = mix(total ^ keys.words[1]);
    for (size_t lane = 0; lane < 8; ++lane) {
      forward = mix(forward ^ lanes[lane]);
      backward = mix(backward + lanes[7 - lane]);
    }
    return {{forward, backward}};
  }

private:
  static constexpr size_t stripes = grain / 64;
  static constexpr auto mix = digest::mix;
  static constexpr digest::Keys keys{};

  /// A lane and its neighbour, which compilers turn into one vector of two.
  static void accumulatePair(uint64_t *pair, const uint8_t *bytes, const uint64_t *key) {
    uint64_t words[2];
    memcpy(words, bytes, sizeof words);
    const uint64_t first = words[0] ^ key[0], second = words[1] ^ key[1];
    pair[0] += (first & 0xffffffffu) * (first >> 32) + words[1];
    pair[1] += (second & 0xffffffffu) * (second >> 32) + words[0];
  }

  void accumulate(const uint8_t *bytes, size_t stripe) {
    for (size_t lane = 0; lane < 8; lane += 2)
      accumulatePair(lanes + lane, bytes + 8 * lane, keys.words + stripe + lane);
  }

  void stir() {
    for (size_t lane = 0; lane < 8; ++lane)
      lanes[lane] = (lanes[lane] ^ lanes[lane] >> 47 ^ keys.words[stripes + 8 + lane]) * 0x9e3779b1u;
  }

  uint64_t lanes[8] = {keys.words[0], keys.words[1], keys.words[2], keys.words[3],
                       keys.words[4], keys.words[5], keys.words[6], keys.words[7]};
  uint64_t total = 0;
};

inline Digest128 digestOf(const void *bytes, size_t count) {
  Digest digest;
  digest.add(bytes, count);
  return digest.finish();
}

} // namespace tilewright
#endif
