// SipHash-2-4 with a result of 128 bits (Aumasson and Bernstein, 2012): a keyed hash that nobody
// without the key can predict, fast on short inputs.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_SIP_HASH_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_SIP_HASH_H_

#include <array>
#include <cstdint>

#include "absl/types/span.h"

namespace anywire::udp {

struct SipKey {
  uint64_t k0 = 0;
  uint64_t k1 = 0;
};

using SipDigest = std::array<uint8_t, 16>;

SipDigest SipHash128(const SipKey& key, absl::Span<const uint8_t> bytes);

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_SIP_HASH_H_
