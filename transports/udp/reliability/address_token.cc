#include "transports/udp/reliability/address_token.h"

#include <cstring>

namespace anywire::udp {
namespace {

uint64_t Microseconds(Instant time) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count());
}

SipDigest Proof(const SipKey& key, uint64_t time, const PeerAddress& address, uint64_t client_id) {
  uint8_t input[sizeof(time) + PeerAddress::kSize + sizeof(client_id)];
  std::memcpy(input, &time, sizeof(time));
  std::memcpy(input + sizeof(time), address.bytes.data(), PeerAddress::kSize);
  std::memcpy(input + sizeof(time) + PeerAddress::kSize, &client_id, sizeof(client_id));
  return SipHash128(key, input);
}

}  // namespace

Token AddressTokens::Make(Instant now, const PeerAddress& address, uint64_t client_id) const {
  const uint64_t time = Microseconds(now);
  const SipDigest proof = Proof(key_, time, address, client_id);
  Token token;
  static_assert(sizeof(time) + sizeof(proof) == kTokenSize);
  std::memcpy(token.data(), &time, sizeof(time));
  std::memcpy(token.data() + sizeof(time), proof.data(), sizeof(proof));
  return token;
}

bool AddressTokens::IsValid(Instant now, const PeerAddress& address, uint64_t client_id,
                            const Token& token) const {
  uint64_t time;
  std::memcpy(&time, token.data(), sizeof(time));
  const SipDigest proof = Proof(key_, time, address, client_id);
  uint8_t difference = 0;
  for (size_t i = 0; i < proof.size(); ++i) difference |= proof[i] ^ token[sizeof(time) + i];
  // Below 0, and so far above, for a token of later than now, which we have not made.
  const uint64_t age = Microseconds(now) - time;
  const auto lifetime = std::chrono::duration_cast<std::chrono::microseconds>(kTokenLifetime);
  return difference == 0 && age <= static_cast<uint64_t>(lifetime.count());
}

}  // namespace anywire::udp
