#include "transports/udp/reliability/sip_hash.h"

#include <bit>
#include <cstring>

namespace anywire::udp {
namespace {

static_assert(std::endian::native == std::endian::little);

struct State {
  uint64_t v0, v1, v2, v3;

  void Rounds(int count) {
    for (int i = 0; i < count; ++i) {
      v0 += v1;
      v2 += v3;
      v1 = std::rotl(v1, 13) ^ v0;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 = std::rotl(v0, 32);
      v2 += v1;
      v0 += v3;
      v1 = std::rotl(v1, 17) ^ v2;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 = std::rotl(v2, 32);
    }
  }
  void Compress(uint64_t word) {
    v3 ^= word;
    Rounds(2);
    v0 ^= word;
  }
  uint64_t Result() const { return v0 ^ v1 ^ v2 ^ v3; }
};

}  // namespace

SipDigest SipHash128(const SipKey& key, absl::Span<const uint8_t> bytes) {
  // "somepseudorandomlygeneratedbytes", and a bit that tells this length of result from that of 64.
  State state = {key.k0 ^ 0x736f6d6570736575, key.k1 ^ 0x646f72616e646f6d ^ 0xee,
                 key.k0 ^ 0x6c7967656e657261, key.k1 ^ 0x7465646279746573};
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    state.Compress(word);
  }
  uint64_t last = static_cast<uint64_t>(bytes.size()) << 56;
  for (size_t i = 0; i < left; ++i) last |= static_cast<uint64_t>(at[i]) << (8 * i);
  state.Compress(last);

  state.v2 ^= 0xee;
  state.Rounds(4);
  const uint64_t low = state.Result();
  state.v1 ^= 0xdd;
  state.Rounds(4);
  const uint64_t high = state.Result();
  SipDigest digest;
  std::memcpy(digest.data(), &low, 8);
  std::memcpy(digest.data() + 8, &high, 8);
  return digest;
}

}  // namespace anywire::udp
